"""Owns the stop-watch: whole processes in alternating pairs, medians, and what the kernel says a process used.

Knows nothing of codex-agent. Must never report a number on its own where a ratio can be had: machines are noisy.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """What two kinds of work took, in seconds (medians); ``ratio`` is the median of the pairs' own ratios."""

    work: float
    against: float
    ratio: float


def pairs(count: int, work: Callable[[], float], against: Callable[[], float]) -> Pair:
    """Runs both ``count`` times, in turns and each first every other time, after one run of each for nothing.

    Both return their own seconds, so that what they set up and clear away is not counted.
    """
    work()
    against()
    seconds: list[tuple[float, float]] = []
    for number in range(count):
        if number % 2:
            other = against()
            seconds.append((work(), other))
        else:
            seconds.append((work(), against()))
    return Pair(
        statistics.median(ours for ours, _ in seconds),
        statistics.median(theirs for _, theirs in seconds),
        statistics.median(ours / theirs for ours, theirs in seconds),
    )


def timed(argv: Sequence[str], env: Mapping[str, str], cwd: str) -> float:
    """Seconds from before the process is made to after it was reaped. Raises if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    # stderr is only read at the end: these commands say nothing there unless they fail.
    assert process.stderr is not None
    process.wait()
    seconds = time.perf_counter() - began
    with process.stderr as pipe:
        told = pipe.read()
    if process.returncode != 0:
        raise RuntimeError(f"{list(argv)} -> {process.returncode}: {told.decode(errors='replace')}")
    return seconds


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads that live, in nanosecond steps (user and system together)."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def rss_kb(pid: int) -> int:
    """Resident memory now (VmRSS), pages shared with other processes included."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def pss_kb(pid: int) -> int:
    """Its share of resident memory: a page that n processes share counts as 1/n."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))


def parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def lock_waiters(path: str) -> int:
    """How many processes or threads sleep on this file's lock (``->`` in /proc/locks)."""
    inode = os.stat(path).st_ino
    with open("/proc/locks", encoding="ascii") as file:
        return sum("->" in line and f":{inode} " in line for line in file)
