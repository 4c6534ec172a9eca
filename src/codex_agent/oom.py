"""Owns what the kernel tells of processes that it killed because memory ran out.

Two witnesses: the counter of a control group, which names nobody, and the kernel's log, which names a pid and is
for root alone on many machines. Linux only; elsewhere nothing is known. Must never write, and never guess.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Collection

_RECORD_BYTES = 16384  # a record of /dev/kmsg comes whole or not at all
# `Memory cgroup out of memory: Killed process 12 (codex) total-vm:...`; `Out of memory: ...` of the whole machine.
_KILLED = re.compile(r"\b[Kk]illed process (\d+) \(")


def count(groups: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> int | None:
    """Processes killed for memory in this process's control group since that was made; None if nobody tells.

    Version 2 counts the groups below with it, version 1 does not (``memory.oom_control``, Linux 4.13 and later).
    Inside a container the path of one's own group may be the host's: then the top of what is mounted here is it.
    """
    for file in _files(groups, own):
        with contextlib.suppress(OSError), open(file, encoding="ascii") as lines:
            for line in lines:
                word, _, value = line.partition(" ")
                if word == "oom_kill":
                    return int(value)
    return None


def _files(groups: str, own: str) -> list[str]:
    try:
        with open(own, encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split(":", 2) for line in lines]
    except OSError:
        return []
    found = []
    for _, controllers, path in (row for row in rows if len(row) == 3):
        if "memory" in controllers.split(","):
            found += [f"{groups}/memory{place}/memory.oom_control" for place in (path.rstrip("/"), "")]
        elif not controllers:
            found += [f"{groups}{place}/memory.events" for place in (path.rstrip("/"), "")]
    return found


def told(pids: Collection[int], since: float, log: str = "/dev/kmsg") -> list[str]:
    """The kernel's lines about these processes being killed for memory, oldest first.

    ``since`` (seconds since the epoch) leaves out earlier processes with such a pid. Empty where the log may not
    be read, where it has been overwritten since, and in a container: the log has the
    pids of the host.
    """
    try:
        handle = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []
    # The log counts from the boot and stands still while the machine sleeps, as this clock does. So a line from
    # before a sleep seems later than it was, and none is left out for that.
    booted = time.time() - time.monotonic()
    found = []
    try:
        for line in _lines(handle):
            at, text = _parsed(line)
            killed = _KILLED.search(text)
            if killed is not None and int(killed[1]) in pids and booted + at >= since:
                found.append(text)
    finally:
        os.close(handle)
    return found


def _lines(handle: int) -> list[str]:
    """Every record that the log holds now."""
    found: list[str] = []
    while True:
        try:
            data = os.read(handle, _RECORD_BYTES)
        except BrokenPipeError:
            continue  # this one was overwritten meanwhile; the next read gives the oldest there is
        except OSError:  # BlockingIOError at the end; a kernel that does not let us
            return found
        if not data:
            return found
        found += data.decode("utf-8", "replace").splitlines()


def _parsed(line: str) -> tuple[float, str]:
    """Seconds since the boot, and the text, of `6,1234,98765432,-;text`; (0, "") of another line."""
    head, separator, text = line.partition(";")
    fields = head.split(",")
    if not separator or len(fields) < 3 or not fields[2].isdecimal():
        return 0.0, ""
    return int(fields[2]) / 1_000_000, text
