"""Codex sessions that codex-agent did not start: `codex exec`, the TUI, the IDE's app-server (`ide.py`).

Real Codex on the scripted model, run as a person would. What codex-agent says of such a session is the tests'
business; nothing in here asks it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_agent.codex import finding
from codex_agent.codex.interactive import InteractiveOptions, plain_argv
from codex_agent.demo.model_server import ModelServer, Step
from support.codexes import Codex
from support.home import Home
from support.jobs import Place
from support.processes import Seen, processes_with
from support.waiting import until

ANYWHERE = "danger-full-access"  # no sandbox: a command that runs is then this Codex's own child
DONE = Step.message("Done.")
# What `codex exec review --uncommitted` tells its model (0.98.0 to 0.169.0).
REVIEWS = "Review the current code changes"
_MARK = "CODEX_OUTSIDE_MARK"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Thread:
    """One session as it is on disk, and whatever still runs of it. ``pid`` is Codex itself."""

    id: str
    rollout: Path
    codex_home: Path
    marker: str
    mark: str = ""
    process: subprocess.Popen[bytes] | None = None
    pid: int | None = None

    @property
    def lock(self) -> Path:
        """Codex's own writer lock on it, from 0.150 on."""
        return self.codex_home / "thread-writer-locks" / f"{self.id}.lock"

    def records(self) -> list[dict[str, Any]]:
        """The whole lines of the rollout."""
        return records(self.rollout)

    def payloads(self, kind: str) -> list[dict[str, Any]]:
        """The payloads of its records or events of this kind."""
        found = [(record["type"], record.get("payload") or {}) for record in self.records()]
        return [payload for top, payload in found if kind in (top, payload.get("type"))]

    def processes(self) -> list[Seen]:
        """Everything that lives of it: Codex, its wrapper, its commands."""
        return _marked(self.mark) if self.mark else []


def records(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a rollout."""
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]


def _marked(mark: str) -> list[Seen]:
    # A tmux server carries the words of its first session, so the environment decides.
    return [one for one in processes_with(f"{_MARK}={mark}") if one.environ.get(_MARK) == mark]


def rollouts(codex_home: Path) -> list[Path]:
    """Every rollout below, archived ones too, in the order of their names."""
    return sorted(codex_home.rglob("rollout-*.jsonl*"), key=lambda path: path.name)


@dataclass
class Outside:
    """One CODEX_HOME and one Codex, used as if there were no codex-agent."""

    home: Home
    model: ModelServer
    repo: Path
    codex: Codex
    _begun: list[str] = field(default_factory=list)

    # ---- `codex exec` ----

    def exec(self, *steps: Step, sandbox: str = ANYWHERE, words: Sequence[str] = (), **env: str) -> Thread:
        """A run to its end. ``words`` are more of exec's options."""
        return self._ended(self.begin(*steps, sandbox=sandbox, words=words, **env))

    def begin(self, *steps: Step, sandbox: str = ANYWHERE, words: Sequence[str] = (), **env: str) -> Thread:
        """A run that is under way; use a gate or a long command to hold it there."""
        return self._run([*self._options(sandbox, words), "-"], *steps, **env)

    def resumed(self, thread: Thread, *steps: Step, sandbox: str = ANYWHERE) -> Thread:
        """One more turn of it, to its end."""
        return self._ended(self.resuming(thread, *steps, sandbox=sandbox))

    def resuming(self, thread: Thread, *steps: Step, sandbox: str = ANYWHERE) -> Thread:
        return self._run([*self._options(sandbox), "resume", thread.id, "-"], *steps)

    def forked(self, thread: Thread, *steps: Step) -> Thread:
        """A new thread that goes on where it is (0.150 and later)."""
        return self._ended(self._run([*self._options(ANYWHERE), "fork", thread.id, "-"], *steps))

    def failed(self, *steps: Step) -> Thread:
        """A run whose last step is a failure."""
        return self._ended(self.begin(*steps), ok=False)

    def aborted(self, *steps: Step) -> Thread:
        """Its turn was interrupted with Ctrl-C while the model thought, after these steps."""
        gate = self.model.gate(f"outside-{next(_numbers)}")
        thread = self.begin(*steps, Step.hold(gate))
        gate.reached()
        assert thread.process is not None
        thread.process.send_signal(signal.SIGINT)
        ended = self._ended(thread, ok=False)
        gate.open()
        return ended

    def killed(self, *steps: Step) -> Thread:
        """Codex died in the middle of a turn: no end is recorded, the writer lock lies there and nobody holds it.

        Without steps, while a command ran.
        """
        gate = self.model.gate(f"outside-{next(_numbers)}")
        begun = self.repo / f"begun-{next(_numbers)}"
        thread = self.begin(*(steps or (Step.command(f"touch {begun}; sleep 987"),)), Step.hold(gate))
        if steps:
            gate.reached()
        else:
            until(begun.exists, 20, "the command running")
        self.kill(thread)
        gate.open()
        return thread

    def archived(self, thread: Thread) -> Thread:
        """Put away with `codex archive`."""
        self.say("archive", thread.id)
        return self.again(thread)

    def reviewed(self, review: dict[str, Any], *, base: str | None = None) -> Thread:
        """A review of the work tree (or of what it has over ``base``) that finds this."""
        about = ["--base", base] if base else ["--uncommitted"]
        marker = "Review the code changes against" if base else REVIEWS
        self.model.on(marker, Step.message(json.dumps(review)))
        return self._ended(self._launch([*self._options(ANYWHERE), "review", *about], marker, None))

    # ---- the TUI ----

    def tui(self, *steps: Step, sandbox: str = ANYWHERE, approval: str = "on-request") -> Thread:
        """The TUI in a terminal of its own (tmux), at work on its first message; it stays until it is killed."""
        marker, mark = self.script(steps), self.new_mark()
        codex = finding.find(self.codex.path, self.home.env, str(self.home.root / "codex-versions"))
        env = self.env(mark) | codex.env
        options = InteractiveOptions(str(self.repo), sandbox, approval)
        argv = plain_argv(codex, options, env, f"{marker} please")
        kept = [f"{key}={env[key]}" for key in ("HOME", "PATH", "CODEX_HOME", "LC_ALL", _MARK, *codex.env)]
        done = self.home.tmux(
            *("new-session", "-d", "-s", mark, "-x", "120", "-y", "40", "-c", str(self.repo)),
            *("-P", "-F", "#{pane_pid}", "env", *kept, *argv),
        )
        assert done.returncode == 0, done.stderr
        path = until(lambda: self._of(marker), 30, f"a rollout of the TUI (it shows: {self.screen(mark)})")
        return self._thread(path, marker, mark, pid=int(done.stdout))

    def screen(self, mark: str) -> str:
        """What the TUI with this mark shows."""
        return self.home.tmux("capture-pane", "-p", "-t", f"={mark}:").stdout

    def press(self, thread: Thread, *keys: str) -> None:
        assert self.home.tmux("send-keys", "-t", f"={thread.mark}:", *keys).returncode == 0

    # ---- all of them ----

    def say(self, *words: str) -> str:
        """`codex WORDS...`, which must succeed; what it prints."""
        done = subprocess.run(
            [self.codex.path, *words],
            cwd=self.repo,
            env=self.home.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"codex {words} -> {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def again(self, thread: Thread) -> Thread:
        """The same thread, wherever its rollout lies now."""
        (path,) = [path for path in rollouts(self.home.codex_home) if thread.id in path.name]
        return Thread(thread.id, path, thread.codex_home, thread.marker, thread.mark)

    def kill(self, thread: Thread) -> None:
        """Everything of it, at once and without a word."""
        for process in thread.processes():
            process.kill()
        if thread.process is not None:
            thread.process.wait(10)
        until(lambda: not thread.processes(), 10, "every process of the thread gone")

    def close(self) -> None:
        """End what still runs."""
        for mark in self._begun:
            for process in _marked(mark):
                process.kill()
        until(lambda: not any(_marked(mark) for mark in self._begun), 10, "every process of these threads gone")

    def _options(self, sandbox: str, words: Sequence[str] = ()) -> list[str]:
        return ["exec", "--json", "--skip-git-repo-check", "-s", sandbox, "-C", str(self.repo), *words]

    def script(self, steps: Sequence[Step]) -> str:
        marker = f"%%outside-{next(_numbers)}%%"
        self.model.on(marker, *(steps or (DONE,)))
        return marker

    def new_mark(self) -> str:
        mark = f"outside-{os.getpid()}-{next(_numbers)}"  # other runs of tests look for theirs
        self._begun.append(mark)
        return mark

    def env(self, mark: str, **more: str) -> dict[str, str]:
        return self.home.env | {_MARK: mark} | more

    def _run(self, words: list[str], *steps: Step, **env: str) -> Thread:
        marker = self.script(steps)
        return self._launch(words, marker, f"{marker} please", **env)

    def _launch(self, words: list[str], marker: str, prompt: str | None, **env: str) -> Thread:
        mark = self.new_mark()
        told, wrong = (self.home.root / f"{mark}.{kind}" for kind in ("jsonl", "err"))
        with told.open("wb") as out, wrong.open("wb") as err:
            process = subprocess.Popen(
                [self.codex.path, *words],
                cwd=self.repo,
                env=self.env(mark, **env),
                stdin=subprocess.PIPE if prompt is not None else subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        if process.stdin is not None and prompt is not None:
            process.stdin.write(prompt.encode())
            process.stdin.close()

        def begun() -> str | None:
            over = process.poll() is not None  # asked first: what it has printed by then is there to be read
            first, newline, _ = told.read_bytes().partition(b"\n")
            assert newline or not over, f"codex {words}: {wrong.read_text()}"
            return str(json.loads(first)["thread_id"]) if newline else None

        thread_id = until(begun, 30, "the thread's id")
        path = until(lambda: self._named(str(thread_id)), 20, "the thread's rollout")
        return self._thread(path, marker, mark, process=process, pid=process.pid)

    def _thread(self, path: Path | None, marker: str, mark: str, **more: Any) -> Thread:
        assert path is not None
        thread_id = path.name.removesuffix(".jsonl")[-36:]
        return Thread(thread_id, path, self.home.codex_home, marker, mark, **more)

    def _named(self, thread_id: str) -> Path | None:
        found = [path for path in rollouts(self.home.codex_home) if thread_id in path.name]
        return found[-1] if found and found[-1].stat().st_size else None

    def _of(self, marker: str) -> Path | None:
        """The newest rollout in which a person said this."""
        for path in reversed(rollouts(self.home.codex_home)):
            if marker.encode() in path.read_bytes():
                return path
        return None

    def _ended(self, thread: Thread, *, ok: bool = True) -> Thread:
        assert thread.process is not None
        code = thread.process.wait(60)
        told = (self.home.root / f"{thread.mark}.err").read_text()
        assert (code == 0) or not ok, f"codex exec -> {code}: {told}"
        return Thread(thread.id, thread.rollout, thread.codex_home, thread.marker, thread.mark)


@contextlib.contextmanager
def outside(place: Place, codex: Codex) -> Iterator[Outside]:
    """This Codex in that place; what it left running is ended, by pid."""
    made = Outside(place.home, place.model, place.repo, codex)
    try:
        yield made
    finally:
        made.close()


def set_age(path: Path, now: float, seconds: float) -> None:
    """As if nothing had been written to this file for so long."""
    os.utime(path, (now - seconds, now - seconds))
