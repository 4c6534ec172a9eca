"""Agents that stay: begin one, ask for it as JSON of the documented shape, make it ask, take its screen away."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from codex_agent import schema
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.demo.scripts import TITLE_REQUEST
from support.cli import Cli
from support.home import Home
from support.jobs import begin, record, user_texts
from support.waiting import until

# Only with this does the model get the tool by which it asks questions.
QUESTIONS = ("-c", "features.default_mode_request_user_input=true")

COMPOSER = "\u203a"  # the sign before the line in which the TUI takes a message
_KEY = "~"  # which no placeholder begins with
_CLEAR = "\x15"  # Ctrl-U


def stay(cli: Cli, cwd: Path, prompt: str, *more: str) -> str:
    """Starts an agent that stays, for as long as it takes; its id."""
    return begin(cli, cwd, prompt, "--interactive", "--idle-exit", "off", *more)


def told(cli: Cli, *words: str, rc: int = 0, shape: str = "", stdin: str | None = None) -> dict[str, Any]:
    """What the command prints as JSON. Fails the test at another exit code, or another shape than documented.

    ``shape`` is the command as the documents name it, where that is not the first word.
    """
    answer = cli(words[0], "--json", *words[1:], stdin=stdin)
    assert answer.rc == rc, str(answer)
    data = answer.json()
    schema.check(schema.COMMANDS[shape or words[0]], data)
    assert isinstance(data, dict)
    return data


def refused(cli: Cli, *words: str, rc: int = 4) -> str:
    """The message and hint with which the command refuses."""
    answer = cli(words[0], "--json", *words[1:])
    assert answer.rc == rc, str(answer)
    error = answer.json()["error"]
    return f"{error['message']} {error['hint']}"


def wants(cmd: str, why: str = "because") -> Step:
    """The model runs a command outside the sandbox, so that Codex has to ask."""
    return Step.call(
        "exec_command", {"cmd": cmd, "sandbox_permissions": "require_escalated", "justification": why}
    )


def asks(*questions: tuple[str, list[str]]) -> Step:
    """The model asks a person: texts, each with the labels of its options."""
    return Step.call(
        "request_user_input",
        {
            "questions": [
                {
                    "id": f"q{n}",
                    "header": f"H{n}",
                    "question": text,
                    "options": [{"label": label, "description": f"about {label}"} for label in labels],
                }
                for n, (text, labels) in enumerate(questions, 1)
            ]
        },
    )


def heard(model: ModelServer, marker: str) -> list[list[str]]:
    """What people had said by each request that this marker rules; the TUI's own requests for a title left out."""
    texts = [user_texts(request) for request in model.requests_for(marker)]
    return [each for each in texts if not each[-1].startswith(TITLE_REQUEST)]


def screen(home: Home, job_id: str) -> str:
    """What the job's pane shows now; nothing if the session is gone."""
    return home.tmux("capture-pane", "-p", "-t", f"=codex-agent-{job_id}:").stdout


def composer(home: Home, job_id: str) -> str:
    """The line of the pane in which a person types; empty if there is none."""
    lines = [line for line in screen(home, job_id).splitlines() if line.startswith(COMPOSER)]
    return lines[-1] if lines else ""


def keys_arrive(home: Home, job_id: str, press: Callable[[str], None]) -> None:
    """Waits until the TUI takes what is typed, with an empty line in the end.

    While it comes up it drops keys, even those that answer what it has drawn already (0.163.0).
    """

    def typed() -> bool:
        return composer(home, job_id).startswith(f"{COMPOSER} {_KEY}")

    def tried() -> bool:
        press(_KEY)
        with contextlib.suppress(AssertionError):
            until(typed, 0.5)
        return typed()

    until(tried, 15, "a key that arrives")
    press(_CLEAR)
    until(lambda: not typed(), 5, "an empty line")


@contextlib.contextmanager
def blind(home: Home, job_id: str) -> Iterator[None]:
    """The TUI is stopped (SIGSTOP): the pane cannot tell what the agent does. That it did not is checked."""
    viewer = record(home, job_id).facts.viewer
    assert viewer is not None
    until(lambda: _stopped(viewer.pid), 10, "the TUI stopped")
    before = screen(home, job_id)
    try:
        yield
        after = screen(home, job_id)
        assert after in (before, ""), f"the screen was to stay as it was:\n{before}\n---\n{after}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(viewer.pid, signal.SIGCONT)


def _stopped(pid: int) -> bool:
    """Stops it, unless it is just writing to Codex's databases: for each write the server would then wait 5 s."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: _state(pid) == "T", 5, "the process stopped")
    with open("/proc/locks") as file:
        locks = [line.split() for line in file]
    if not any(words[3] == "WRITE" and words[4] == str(pid) for words in locks if len(words) > 4):
        return True
    os.kill(pid, signal.SIGCONT)
    return False


def _state(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


def callers(job_id: str, state: str = "03") -> int:
    """How many commands have the job's supervisor on the line, by the kernel's list of sockets.

    ``state`` "02": those it has not accepted yet.
    """
    with open("/proc/net/unix") as file:
        # The supervisor's end of a connection carries the socket's path.
        return sum(line.split()[5] == state for line in file if line.rstrip().endswith(f"{job_id}.sock"))
