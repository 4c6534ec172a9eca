"""Owns stand-ins for many jobs: copies of real jobs' records, locks that one process holds, sessions that sleep.

A hundred real agents would take 15 GB; what `start` and the readers can see of a job is its record, its lock and
its tmux session, and those are real here. Run as a process (``-m benchmarks.crowd FOLDER``), it holds the locks
of the ids it reads from stdin until stdin ends.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import IO

from benchmarks.stage import Place
from codex_agent import sealed, sealing
from codex_agent.model import Record

Change = Callable[[Record, int], None]


def copies(place: Place, of: Record, count: int, change: Change | None = None, *, seed: int = 0) -> list[str]:
    """Writes ``count`` records like this one, under ids of their own (unsynced, thousands must go fast)."""
    rng = random.Random(f"{seed}.{of.id}")
    place.store.prepare()
    ids = []
    for number in range(count):
        record = copy.deepcopy(of)
        record.id = f"{rng.getrandbits(32):08x}"
        record.mark = f"{record.id}.{rng.getrandbits(128):032x}"
        record.tmux_session = f"codex-agent-{record.id}"
        if change is not None:
            change(record, number)
        data = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":")).encode()
        with open(place.store.path(record.id, ".json"), "wb") as file:
            file.write(sealed.seal(data, sealing.answer(record)))
        with open(place.store.path(record.id, ".lock"), "w", encoding="utf-8"):
            pass
        ids.append(record.id)
    return ids


@contextlib.contextmanager
def alive(place: Place, ids: list[str], *, sessions: bool) -> Iterator[None]:
    """While it lasts, the locks of these jobs are held; with ``sessions`` each also has its tmux session."""
    if sessions:
        for job_id in ids:
            opened = place.home.tmux("new-session", "-d", "-s", f"codex-agent-{job_id}", "sleep", "100000")
            assert opened.returncode == 0, opened.stderr
    holder = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crowd", place.store.folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdin is not None and holder.stdout is not None
        holder.stdin.write(" ".join(ids) + "\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "held\n"
        yield
    finally:
        holder.communicate()
        if sessions:
            for job_id in ids:
                place.home.tmux("kill-session", "-t", f"=codex-agent-{job_id}")


def check(place: Place, living: int) -> None:
    """Fails if the command line does not take exactly so many jobs for living ones."""
    listed = place.call("jobs", "--all", "--json", "--status", "running")
    assert len(listed["jobs"]) == living and not listed["problems"], f"{len(listed['jobs'])} of {living} live"


def _hold(folder: str, stdin: IO[str]) -> None:
    held = []
    for job_id in stdin.readline().split():
        held.append(os.open(os.path.join(folder, f"{job_id}.lock"), os.O_RDWR))
        fcntl.flock(held[-1], fcntl.LOCK_EX)
    print("held", flush=True)
    stdin.read()


if __name__ == "__main__":
    _hold(sys.argv[1], sys.stdin)
