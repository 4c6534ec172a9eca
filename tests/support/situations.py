"""A stage on which agents are brought into situations: one agent, scripts for its model, a person's keyboard.

What must be said of a situation stands in ``tests/test_truth_table.py``; how it is brought about, in
``provoking.py``, ``people.py`` and ``ending.py``. Nothing in here asks the product what the agent does, except to
go back to rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from codex_agent import ending, jobs, talking
from codex_agent.answers import Sent
from codex_agent.demo.model_server import Gate, Step
from codex_agent.model import TERMINAL, Job
from codex_agent.settings import Settings
from codex_agent.store import Store
from support.agents import Agent
from support.codexes import Codex
from support.interactive import COMPOSER, QUESTIONS, keys_arrive
from support.jobs import Place
from support.waiting import until

Way = Literal["exec", "channel", "plain"]
# How a situation is brought about: up to the first `yield` it is made true, after it things are put right again.
Play = Generator[None, None, None]

# The tests' folders lie below /tmp, which Codex's sandbox leaves open unless told otherwise.
_CLOSED = tuple(
    word
    for key in ("exclude_slash_tmp", "exclude_tmpdir_env_var")
    for word in ("-c", f"sandbox_workspace_write.{key}=true")
)
STAYS = ("--interactive", "--idle-exit", "off", "--approval", "on-request", *QUESTIONS, *_CLOSED)
WORDS: dict[Way, tuple[str, ...]] = {"exec": (), "channel": STAYS, "plain": (*STAYS, "--plain")}
_MOST_TURNS = 40  # of one agent; a long conversation makes every request longer
REST = "Here I am."  # what an agent at rest has said
DONE = Step.message("Done.")


@dataclass
class Scene:
    """One Codex, driven one way. ``agent`` is the one that is looked at."""

    place: Place
    codex: Codex
    way: Way
    _agent: Agent | None = None
    _count: int = 0
    _turns: int = 0
    _sits_at: int = 0

    @property
    def agent(self) -> Agent:
        assert self._agent is not None
        return self._agent

    @property
    def stays(self) -> bool:
        return self.way != "exec"

    @property
    def store(self) -> Store:
        return Store(str(self.place.home.agent_home))

    def job(self) -> Job:
        return jobs.view(self.store, self.agent.id)

    # ---- things of one's own, every time ----

    def name(self, kind: str) -> str:
        self._count += 1
        return f"{kind}-{self._count}"

    def gate(self) -> Gate:
        return self.place.model.gate(self.name("gate"))

    def file(self) -> Path:
        return self.place.repo / self.name("file")

    def script(self, *steps: Step) -> str:
        """A prompt that the model answers so."""
        marker = f"%%{self.name('script')}%%"
        self.place.model.on(marker, *steps)
        return marker

    # ---- agents ----

    def start(self, *steps: Step, more: tuple[str, ...] = ()) -> str:
        """A new agent, at work on its first turn; its prompt."""
        prompt = self.script(*steps)
        answer = self.place.cli(
            "start", prompt, "-d", str(self.place.repo), "--json", *WORDS[self.way], *more
        ).ok()
        self.adopt(answer.json()["id"])
        return prompt

    def adopt(self, job_id: str) -> None:
        self._agent = Agent(self.place.home, self.place.cli, job_id)
        self._turns, self._sits_at = 1, 0

    def rest(self) -> None:
        """An agent that has nothing to do: the one there is, if it is fit for more."""
        if self._agent is not None and self._turns < _MOST_TURNS and self.job().turn_state == "idle":
            return
        self.drop()
        self.start(Step.message(REST))
        self.agent.until_state("idle")

    def drop(self) -> None:
        """Ends the agent, if it is still there."""
        if self._agent is not None and self.job().status not in TERMINAL:
            ending.kill(self.store, self.agent.id)
        self._agent = None

    def forget(self) -> None:
        """Ends the agent whatever has become of it: something went wrong."""
        if self._agent is not None:
            self.place.cli("kill", self._agent.id)
        self._agent = None

    def turn(self, *steps: Step) -> str:
        """A turn of this script: a new agent's (exec), or the next one of the agent at rest; what was said."""
        if not self.stays:
            return self.start(*steps)
        self.rest()
        return self.say(*steps)[0]

    def say(self, *steps: Step, how: talking.How = "now") -> tuple[str, Sent]:
        """Sends a message that is answered so."""
        prompt = self.script(*steps)
        self._turns += 1
        home = self.place.home
        return prompt, talking.send(self.store, self.agent.id, prompt, Settings(), home.env, how=how)

    def over(self) -> None:
        """Waits until the agent is at rest again (exec: has ended)."""
        if self.stays:
            self.agent.until_state("idle")
        else:
            self.agent.until_state(*TERMINAL)

    # ---- what can be seen from outside ----

    def ends(self) -> int:
        """How many turns have ended, by Codex's own file."""
        path = self.job().rollout
        assert path is not None
        count = 0
        with open(path, encoding="utf-8") as file:
            for line in file:
                if '"task_complete"' in line or '"turn_aborted"' in line:
                    payload = json.loads(line)["payload"]
                    count += payload.get("type") in ("task_complete", "turn_aborted")
        return count

    def one_more_end(self, before: int) -> None:
        until(lambda: self.ends() > before, 10, "the turn's end in the rollout")

    def asked(self, marker: str, times: int) -> None:
        """Waits until the model was asked so often in this conversation."""
        until(lambda: len(self.place.model.requests_for(marker)) >= times, 15, f"{marker} asked {times} times")

    def gone(self, pid: int) -> None:
        """Waits until this process is no more."""
        until(lambda: not _lives(pid), 20, f"the end of process {pid}")

    # ---- the person ----

    def person_sees(self, text: str) -> None:
        self.agent.shown(text)

    def person_sits_down(self) -> None:
        """The TUI takes keys. To be done while the agent is at rest."""
        tui = self.agent.pid("viewer" if self.way == "channel" else "codex")
        if self._sits_at == tui:
            return
        if self._turns == 1:
            self.person_sees(REST)
            until(lambda: "to interrupt" not in self.agent.screen(), 10, "the turn's end in the pane")
        self.person_sees(COMPOSER)
        keys_arrive(self.place.home, self.agent.id, self.agent.type)
        self._sits_at = tui

    def person_says(self, text: str, *, enter: bool = True) -> None:
        """Typed as a terminal pastes it, since keys that follow each other at a program's pace are no person's."""
        tmux, target = self.place.home.tmux, f"=codex-agent-{self.agent.id}:"
        self.person_sits_down()
        assert tmux("set-buffer", "-b", "typed", text).returncode == 0
        assert tmux("paste-buffer", "-p", "-d", "-b", "typed", "-t", target).returncode == 0
        self.person_sees(text.lstrip("!")[:40])  # the ! becomes the line's sign
        if enter:
            self.agent.type("Enter")


def _lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except (FileNotFoundError, ProcessLookupError):
        return False


class Running:
    """A command of the agent's that runs until it is let go; it writes a file when it begins."""

    def __init__(self, scene: Scene) -> None:
        self.begun, self.enough = scene.file(), scene.file()
        self.line = f"touch {self.begun}; while [ ! -e {self.enough} ]; do sleep 0.1; done"
        self.step = Step.command(self.line)

    def runs(self) -> None:
        until(self.begun.exists, 20, "the agent's command")

    def finish(self) -> None:
        self.enough.touch()


def thinking(s: Scene, *then: Step, begin: Callable[..., object] | None = None) -> Gate:
    """A turn whose model has been asked and has not answered yet; what it does then."""
    gate = s.gate()
    first, *rest = then or (DONE,)
    (begin or s.turn)(Step.hold(gate, first), *rest)
    gate.reached()
    return gate


def slow_codex(scene: Scene) -> tuple[str, Path, Path]:
    """A program that runs the real Codex as soon as a file is gone: its path, that file, and one that it writes
    when it is called (the job's id).
    """
    hold, called = scene.place.home.root / scene.name("hold"), scene.place.home.root / scene.name("called")
    hold.touch()
    path = scene.place.home.root / scene.name("slow-codex")
    path.write_text(
        "#!/bin/sh\n"
        f'if [ -n "$CODEX_AGENT_JOB_ID" ] && [ -e {hold} ]; then\n'
        f'  echo "$CODEX_AGENT_JOB_ID" > {called}.new; mv {called}.new {called}\n'
        f"  while [ -e {hold} ]; do sleep 0.02; done\n"
        "fi\n"
        f'exec {scene.codex.path} "$@"\n'
    )
    os.chmod(path, 0o755)
    return str(path), hold, called
