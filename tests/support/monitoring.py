"""A monitor at work: started as its users do, its lines read as they come, its last word checked.

And a script of things that happen to a thread, each known beforehand, among others that only look like it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_agent import schema
from codex_agent.demo.model_server import Step
from support.cli import Cli
from support.threads import Outside
from support.waiting import until

Json = dict[str, Any]


class Monitor:
    """One call of `monitor --json`. Returned once it watches."""

    def __init__(self, cli: Cli, *words: str, ready: bool = True) -> None:
        self._process = cli.start("monitor", *words, "--json")
        self._lines: list[Json] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if ready:
            until(self._watches, 20, "the monitor watching")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def events(self) -> list[Json]:
        """What it has told so far."""
        return [line for line in list(self._lines) if "kind" in line]

    def kinds(self) -> list[str]:
        return [event["kind"] for event in self.events]

    def tells(self, kind: str, count: int = 1, timeout_s: float = 20.0) -> Json:
        """The ``count``-th event of this kind, once it is told."""

        def found() -> list[Json]:
            return [event for event in self.events if event["kind"] == kind][count - 1 :]

        return until(found, timeout_s, f"event {count} of {kind} among {self.kinds()}")[0]

    def ends(self, timeout_s: float = 30.0) -> tuple[int, Json]:
        """Its exit code and its last line, once it has ended; all it printed is of the documented shape."""
        try:
            code = self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the monitor has not ended; it told {self.events}") from None
        self._reader.join(10)
        assert self._lines, self._said()
        for event in self._lines[:-1]:
            schema.check(schema.COMMANDS["monitor"], event)
        last = self._lines[-1]
        assert "ended" in last, f"{last} {self._said()}"
        schema.check(schema.COMMANDS["monitor (last line)"], last)
        assert last["exit_code"] == code
        return code, last

    def interrupt(self) -> None:
        """Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def cpu_s(self) -> tuple[float, float]:
        """What it has used so far of a processor, its start included: itself, and what it called (git)."""
        with open(f"/proc/{self.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return sum(map(int, fields[11:13])) / ticks, sum(map(int, fields[13:15])) / ticks

    def _watches(self) -> bool:
        """Whether it has looked for the first time and asked the kernel to be woken (or has ended)."""
        if self._process.poll() is not None:
            return True
        folder = f"/proc/{self.pid}/fdinfo"
        try:
            return any("inotify wd" in Path(folder, name).read_text() for name in os.listdir(folder))
        except OSError:
            return False

    def _said(self) -> str:
        return self._process.stderr.read() if self._process.stderr is not None else ""

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(json.loads(line))


def told(event: Json) -> tuple[str, str]:
    """The kind of an event, and what it is about in a word that the script knows beforehand."""
    data = event["data"]
    match event["kind"]:
        case "commit":
            return "commit", data["subject"]
        case "goal":
            return "goal", str(data["status"])
        case "failure":
            return "failure", data["command"]
        case "file":
            return "file", " ".join(os.path.basename(change["path"]) for change in data["changes"])
        case "value":
            return "value", f"{data['old']} {data['new']}"
        case "turn":
            return "turn", data["status"]
    return event["kind"], ""


def assert_told(found: Sequence[tuple[str, str]], expected: Sequence[tuple[str, str]]) -> None:
    """Exactly this was told, each kind in its order.

    Values are states: what changed twice while nobody looked may have been told as one change.
    """
    for kind in sorted({one[0] for one in (*found, *expected)} - {"value"}):
        assert [one for one in found if one[0] == kind] == [one for one in expected if one[0] == kind]
    changes, wanted = ([one[1].split(" ") for one in each if one[0] == "value"] for each in (found, expected))
    assert bool(changes) == bool(wanted)
    for before, after in itertools.pairwise(changes):
        assert after[0] in (before[1], "None"), changes  # None: gone on from another monitor
    if wanted:
        assert changes[0][0] in (wanted[0][0], "None") and changes[-1][1] == wanted[-1][1], changes
        assert {new for _, new in changes} <= {new for _, new in wanted}


@dataclass
class Script:
    """Steps for the model, and what a monitor must tell of them, in order.

    ``repo`` and ``file`` (whose values are watched) are where it happens.
    """

    repo: Path
    file: Path
    steps: list[Step] = field(default_factory=list)
    expected: list[tuple[str, str]] = field(default_factory=list)
    _count: int = 0

    @property
    def wanted(self) -> list[str]:
        """The monitor's words for where it happens."""
        return ["--repo", str(self.repo), "--value", rf"{self.file}:^lr = (\S+)", "--failure", r"loss = nan"]

    def kinds(self, *kinds: str) -> list[tuple[str, str]]:
        return sorted(one for one in self.expected if one[0] in kinds)

    def run(self, command: str, *expected: tuple[str, str]) -> None:
        self.steps.append(Step.command(command, str(self.repo)))
        self.expected += expected

    def _next(self) -> int:
        self._count += 1
        return self._count

    # ---- what happens

    def commit(self) -> None:
        n = self._next()
        self.run(f"git commit -q --allow-empty -m 'commit {n}'", ("commit", f"commit {n}"))

    def commits(self) -> None:
        """Several at once."""
        first, second = self._next(), self._next()
        self.run(
            f"git commit -q --allow-empty -m 'commit {first}' && git commit -q --allow-empty -m 'commit {second}'",
            ("commit", f"commit {first}"),
            ("commit", f"commit {second}"),
        )

    def fail(self) -> None:
        command = f"echo no {self._next()}; exit 3"
        self.run(command, ("failure", command))

    def fail_in_a_pipe(self) -> None:
        """Its words stand in the middle of a long output."""
        command = f"(seq {self._next()} 3000; echo 'FAILED test_a.py::test_b'; seq 3000) | cat"
        self.run(command, ("failure", command))

    def fail_by_ones_own_words(self) -> None:
        command = f"echo {self._next()} loss = nan"
        self.run(command, ("failure", command))

    def patch(self) -> None:
        name = f"made-{self._next()}.txt"
        text = f"*** Begin Patch\n*** Add File: {self.repo}/{name}\n+x\n*** End Patch\n"
        self.steps.append(Step.patch(text))
        self.expected.append(("file", name))

    def value(self) -> None:
        old = next((new for kind, new in reversed(self.expected) if kind == "value"), "['0'] ['0']").split(" ")[1]
        new = f"['{self._next()}']"
        text = f"# lr = 7\nlr = {new[2:-2]}"
        self.run(f"printf '%s\\n' '{text}' > new; mv new {self.file}", ("value", f"{old} {new}"))

    def goal(self) -> None:
        """A goal that begins; the script goes on."""
        self.steps.append(Step.call("create_goal", {"objective": "Make it work.", "token_budget": 50000}))
        self.expected.append(("goal", "active"))

    def reach(self) -> None:
        self.steps.append(Step.call("update_goal", {"status": "complete"}))
        self.expected.append(("goal", "complete"))

    # ---- what only looks like it

    def decoys(self) -> None:
        n = self._next()
        words = "I ran git commit -m done. FAILED tests: Traceback (most recent call last): lr = 99 loss = nan"
        self.steps.append(Step.all(Step.message(words), Step.command("true", str(self.repo))))
        self.run(f"echo {n} we would git commit -m x if it had not FAILED before")
        self.run("git status --short; git log --oneline -1")
        self.run("grep -q nothing-like-this README.md")
        self.run(f"echo lr = {n} > unwatched.txt; touch {self.file}")
        self.run("git rev-parse HEAD > /dev/null; git stash list; git branch -f aside")

    def everything(self) -> None:
        """Each of these once."""
        for happen in (
            self.decoys,
            self.commit,
            self.fail,
            self.patch,
            self.value,
            self.fail_in_a_pipe,
            self.commits,
            self.decoys,
            self.fail_by_ones_own_words,
        ):
            happen()

    def done(self) -> Sequence[Step]:
        """The steps, and an end."""
        self.steps.append(Step.message("FAILED is only a word here, and so is git commit."))
        self.expected.append(("turn", "completed"))
        return self.steps


def script(repo: Path) -> Script:
    """An empty one, in this repository."""
    file = repo / "train.cfg"
    file.write_text("lr = 0\n")
    return Script(repo, file)


def git(out: Outside, *words: str) -> str:
    """Git in the repository that the thread works in; what it prints."""
    done = subprocess.run(
        ["git", *words], cwd=out.repo, env=out.home.env, capture_output=True, text=True, check=True, timeout=30
    )
    return done.stdout.strip()
