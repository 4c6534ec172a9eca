"""Both ways through the command line, side by side: the fast one before typer is imported, and typer's."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.cli import SRC
from support.parity_words import Words

DEADLINE_S = 30.0
CAN_SEE_SLEEP = os.path.exists("/proc/self/schedstat")


@dataclass(frozen=True)
class Said:
    """What one way made of one argument list. ``code`` is None if it was not that way's to answer."""

    code: int | str | None
    out: bytes
    err: bytes
    trouble: str = ""
    changed: bool = False

    def __str__(self) -> str:
        return f"{self.code!r}, stdout {_short(self.out)}, stderr {_short(self.err)} {self.trouble}"


def _short(text: bytes) -> str:
    return repr(text) if len(text) < 400 else f"{text[:200]!r} ... {text[-150:]!r} ({len(text)} bytes)"


@dataclass(frozen=True)
class Compared:
    """One argument list, both ways."""

    words: Words
    fast: Said
    typer: Said

    @property
    def taken(self) -> bool:
        """Whether the fast way answered it."""
        return self.fast.code is not None

    @property
    def wrong(self) -> str:
        """What is not as it must be; empty if nothing is."""
        fast = self.fast
        if fast.trouble:
            return self._told("the fast way raised")
        if not self.taken:
            if fast.out or fast.err:
                return self._told("the fast way left it to typer, and had said something already")
            return self._told("the fast way left it to typer, and had changed something") if fast.changed else ""
        if self.typer.trouble:
            return self._told("typer's way raised")
        for what in ("code", "out", "err"):
            mine, other = getattr(fast, what), getattr(self.typer, what)
            if mine != other:
                return self._told(f"{what} differs{_where(mine, other)}")
        return ""

    def _told(self, what: str) -> str:
        return f"{self.words!r}: {what}\n  fast:  {self.fast}\n  typer: {self.typer}"


def _where(one: object, other: object) -> str:
    if not isinstance(one, bytes) or not isinstance(other, bytes):
        return ""
    at = next((n for n, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(other))
    return f" from byte {at}: {one[at : at + 60]!r}, {other[at : at + 60]!r}"


class Both:
    """The process that knows both ways (see ``parity_child``), begun when it is needed. Ended by ``close``."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def ask(
        self,
        words: Words,
        env: dict[str, str],
        cwd: Path,
        jobs: Path,
        *,
        ways: Sequence[str] = ("fast", "typer"),
        shape: str | None = None,
    ) -> dict[str, Said]:
        """What these ways say, on streams of this shape (see ``parity_child``). ``jobs`` is watched for changes.

        What takes longer than anything may fails the test.
        """
        process = self._process = self._process or _begin()
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps([ways, words, env, str(cwd), str(jobs), shape]).encode() + b"\n")
        line = b""
        while not line.endswith(b"\n"):
            if not select.select([process.stdout], [], [], DEADLINE_S)[0]:
                self.close()
                raise AssertionError(f"{words!r}: no answer within {DEADLINE_S:g} s from {ways}")
            more = os.read(process.stdout.fileno(), 1 << 20)
            if not more:
                self.close()
                raise AssertionError(f"{words!r}: the process that answers has ended")
            line += more
        return {way: _said(one) for way, one in json.loads(line).items()}

    def compare(
        self, lists: Iterable[Words], env: dict[str, str], cwd: Path, jobs: Path, shape: str | None = None
    ) -> list[Compared]:
        """All of them."""
        found = []
        for words in lists:
            said = self.ask(words, env, cwd, jobs, shape=shape)
            found.append(Compared(words, said["fast"], said["typer"]))
        return found

    def close(self) -> None:
        """Ends that process; the next question begins another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


def _begin() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("parity_child.py")), SRC],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"LC_ALL": "C.UTF-8", "PATH": os.defpath},
        bufsize=0,
    )


def _said(one: dict[str, Any]) -> Said:
    out, err = one["out"].encode("latin-1"), one["err"].encode("latin-1")
    return Said(one["code"], out, err, one["trouble"], one["changed"])


@contextlib.contextmanager
def both_ways() -> Iterator[Both]:
    """For as long as a module's tests run."""
    made = Both()
    try:
        yield made
    finally:
        made.close()


def check(compared: Iterable[Compared]) -> None:
    """Fails with the first few differences, if there is any."""
    all_of_them = list(compared)
    wrong = [told for one in all_of_them if (told := one.wrong)]
    shown = "\n".join(wrong[:8])
    assert not wrong, f"{len(wrong)} of {len(all_of_them)} argument lists differ:\n{shown}"


def asleep(process: subprocess.Popen[bytes]) -> bool:
    """Whether it sleeps: no thread of it has run for a while."""
    try:
        before = _looked_at(process)
        time.sleep(0.1)
        return before == _looked_at(process) and all(state == b"S" for state, _ in before)
    except OSError:
        return False


def _looked_at(process: subprocess.Popen[bytes]) -> list[tuple[bytes, bytes]]:
    """Each thread's state, and what it has run so far."""
    tasks = sorted(Path(f"/proc/{process.pid}/task").iterdir())
    return [
        ((task / "stat").read_bytes().rpartition(b")")[2].split()[0], (task / "schedstat").read_bytes())
        for task in tasks
    ]


def check_taken(compared: Iterable[Compared]) -> None:
    """Fails if the fast way left any of these to typer."""
    left = [one.words for one in compared if not one.taken]
    assert not left, f"left to typer: {len(left)}, such as {left[:12]!r}"
