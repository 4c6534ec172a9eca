"""Owns the tickets of the gates on disk: who stands in which line, since when, and who is in.

Each gate is a folder below ``gates/`` in our home. A ticket is a file in it, ``<number>.<state>``, held with an
exclusive flock by whoever waits or is in, from the first moment to the last; so the kernel says who is there. The
number is the place in the line. All that changes who is in happens under the lock of the folder itself, which is
held for a millisecond. Must never decide who may go in (``lines.py`` does).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic, sleep
from typing import Any, Literal, get_args

from codex_agent.errors import StoreUnwritable
from codex_agent.model import stamp
from codex_agent.sealed import is_held

# aside: it stands in the line and lets others by, since it waits for something else first.
State = Literal["aside", "waiting", "in"]
# The gate every job goes through: whoever caps how many agents are at work counts here. No name a person can give.
ALL = ".all"

_STATES: frozenset[str] = frozenset(get_args(State))
_PAUSE_S, _PATIENCE_S = 0.002, 10.0
# Who waits at the gate clears it too, so this need not insist.
_FORGET_S = 0.5


class Busy(Exception):
    """Somebody holds a gate's lock; it is free again in a moment."""


@dataclass(slots=True)
class Ticket:
    """A place in one line, held as long as ``handle`` is open."""

    home: str
    gate: str
    number: int
    state: State
    handle: int

    @property
    def path(self) -> str:
        """Where it is."""
        return os.path.join(folder(self.home, self.gate), _name(self.number, self.state))

    def move(self, state: State) -> None:
        """Says what its holder is from now on. Under the gate's lock only."""
        before = self.path
        self.state = state
        if before != self.path:
            os.rename(before, self.path)

    @property
    def lost(self) -> bool:
        """Whether somebody removed it under its holder."""
        return os.fstat(self.handle).st_nlink == 0

    def give_back(self) -> None:
        """Leaves the line; whoever is next hears of it at once. Does nothing the second time."""
        if self.handle < 0:
            return
        with contextlib.suppress(OSError):  # removed, or a folder that cannot be written: closing it is enough
            if os.stat(self.path).st_ino == os.fstat(self.handle).st_ino:
                os.unlink(self.path)
        os.close(self.handle)
        self.handle = -1


@dataclass(frozen=True, slots=True)
class Seen:
    """A ticket as somebody else sees it."""

    number: int
    state: State
    alive: bool
    path: str


def folder(home: str, gate: str) -> str:
    """Where a gate's tickets are."""
    return os.path.join(home, "gates", gate)


def names(home: str) -> list[str]:
    """Every gate that ever had a ticket, sorted."""
    try:
        found = os.listdir(os.path.join(home, "gates"))
    except FileNotFoundError:
        return []
    return sorted(name for name in found if not name.startswith("."))


@contextlib.contextmanager
def locked(home: str, gates: Sequence[str], patience_s: float = _PATIENCE_S) -> Iterator[None]:
    """Nobody else comes, goes in or is thrown out at these gates meanwhile. Raises Busy, StoreUnwritable.

    All are locked in one order, so that two who want several never wait for each other.
    """
    with contextlib.ExitStack() as stack:
        deadline = monotonic() + patience_s
        for gate in sorted(gates):
            handle = _open_folder(folder(home, gate))
            stack.callback(os.close, handle)
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if monotonic() >= deadline:
                        raise Busy(gate) from None
                    sleep(_PAUSE_S)
        yield


def take(home: str, gate: str, state: State, who: dict[str, Any]) -> Ticket:
    """The last place in a gate's line. Under the gate's lock only. ``who`` is told to those who list the holders.

    Raises StoreUnwritable.
    """
    line = seen(home, gate)
    number = max((one.number for one in line), default=0) + 1
    path = os.path.join(folder(home, gate), _name(number, state))
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)  # it is new: only who lists the line may share it, for an instant
        os.write(handle, json.dumps({**who, "since": stamp()}).encode("ascii"))
    except OSError as error:
        raise _unwritable(path, error) from error
    return Ticket(home, gate, number, state, handle)


def seen(home: str, gate: str) -> list[Seen]:
    """The line as it is now, by number; those who died are still in it."""
    where = folder(home, gate)
    found = []
    for name in os.listdir(where):
        number, _, state = name.partition(".")
        if not number.isdecimal() or state not in _STATES:
            continue
        path = os.path.join(where, name)
        alive = is_held(path)
        if alive is not None:
            found.append(Seen(int(number), state, alive, path))  # type: ignore[arg-type]  # checked above
    return sorted(found, key=lambda one: one.number)


def who(one: Seen) -> dict[str, Any]:
    """What its holder told when it came; empty if it is gone or unreadable."""
    try:
        with open(one.path, encoding="ascii") as file:
            told = json.load(file)
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def clear(one: Seen) -> None:
    """Takes the ticket of one who died out of the line. Under the gate's lock only."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(one.path)


def forget(home: str, job_id: str) -> None:
    """Takes the tickets of a job that died out of every line, and so wakes whoever stands behind them."""
    for gate in [*names(home), ALL]:
        if not os.path.isdir(folder(home, gate)):
            continue
        with contextlib.suppress(Busy, StoreUnwritable), locked(home, [gate], _FORGET_S):
            for one in seen(home, gate):
                if not one.alive and who(one).get("job") == job_id:
                    clear(one)


def _name(number: int, state: str) -> str:
    return f"{number:08d}.{state}"


def _open_folder(path: str) -> int:
    try:
        try:
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            home = os.path.dirname(os.path.dirname(path))
            for each in (home, os.path.dirname(path), path):
                os.makedirs(each, mode=0o700, exist_ok=True)
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077:
                os.chmod(path, 0o700)
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> StoreUnwritable:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "The disk is full: make room." if full else "Check who owns the folder, its mode, and CODEX_AGENT_HOME."
    return StoreUnwritable(f"Cannot write {path}: {error.strerror or error}.", hint, path=path)
