"""Owns who holds a file: which process has a lock on it, or has it open to write. Linux tells; others do not.

Must never take a lock itself, not for a moment: whoever wants the lock would find it taken.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

_READINGS = 3  # of /proc/locks, before nobody has the lock
LINUX = sys.platform.startswith("linux")


class Unknown(Exception):
    """The system does not tell."""


def flock_holder(path: str) -> int | None:
    """The pid of the process that holds an exclusive flock on this file; None if none does. 0: one we cannot see.

    Raises Unknown where the system does not tell, FileNotFoundError if there is no such file.
    """
    status = os.stat(path)
    if not LINUX:
        raise Unknown("Only Linux tells who holds a lock.")
    path = os.path.realpath(path)  # as the system names what a process has open
    # Read more than once: while other locks come and go, one reading may leave out a lock that is held all along
    # (seen 4 times in 4857 readings, never in two that follow each other).
    for _ in range(_READINGS):
        for inode, pid in _write_locks():
            # The device in there is not always the one that stat tells (overlayfs): what its holder has open
            # decides.
            if inode == status.st_ino and (pid <= 0 or path in _paths(pid) or not _visible(pid)):
                return max(0, pid)
    return None


def written_below(folder: str) -> dict[str, int]:
    """Every file below this folder that a process of ours has open to write, with a pid. Raises Unknown."""
    if not LINUX:
        raise Unknown("Only Linux tells who has a file open.")
    inside = os.path.join(os.path.realpath(folder), "")
    found: dict[str, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            for path, writes in _open_files(int(name)):
                if writes and path.startswith(inside):
                    found[path] = int(name)
    return found


def program(pid: int) -> str | None:
    """The process's name; None if it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def started_at(pid: int) -> float | None:
    """Seconds since the epoch at which the process began; None if it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
        with open("/proc/stat", encoding="ascii") as file:
            booted = next(int(row.split()[1]) for row in file if row.startswith("btime "))
    except OSError:
        return None
    # The name stands in parentheses and may hold anything (proc(5)).
    ticks = int(line[line.rindex(b")") + 2 :].split()[19])
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def variable(pid: int, name: str) -> str | None:
    """A variable of the environment that the process was started with; None if it has none such, or is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = file.read().split(b"\0")
    except OSError:
        return None
    begins = os.fsencode(f"{name}=")
    return next((os.fsdecode(pair[len(begins) :]) for pair in pairs if pair.startswith(begins)), None)


def _write_locks() -> Iterator[tuple[int, int]]:
    """Inode and pid of every exclusive flock; proc_locks(5)."""
    try:
        with open("/proc/locks", encoding="ascii") as file:
            rows = file.read().splitlines()
    except OSError as error:
        raise Unknown(f"/proc/locks cannot be read: {error.strerror}.") from error
    for row in rows:
        words = row.split()
        # `7: FLOCK  ADVISORY  WRITE 4701 fe:00:3064628 0 EOF`; `7: -> FLOCK ...` only waits.
        if len(words) >= 6 and words[1] == "FLOCK" and words[3] == "WRITE":
            yield int(words[5].rsplit(":", 1)[1]), int(words[4])


def _visible(pid: int) -> bool:
    return os.access(f"/proc/{pid}/fd", os.R_OK)


def _paths(pid: int) -> list[str]:
    return [path for path, _ in _open_files(pid)]


def _open_files(pid: int) -> Iterator[tuple[str, bool]]:
    """Each path a process holds open, and whether to write; nothing of one that is gone or another person's."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        try:
            path = os.readlink(f"{folder}/{name}")
            if path.startswith("/") and not path.startswith("/dev/"):
                yield path, bool(os.lstat(f"{folder}/{name}").st_mode & 0o200)
        except OSError:
            continue  # closed since it was listed
