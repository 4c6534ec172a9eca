"""`monitor` on a busy thread for ten minutes: which events it missed or made up, and what it cost.

    PYTHONPATH=src:tests python -m benchmarks.monitor [--seconds 600]

A thread of a real Codex app-server (as an IDE runs it) gets turn after turn; in each things happen that must be
told, and others that only look like it. Exit code 1 if an event was missed or made up, or at a second of CPU.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from support import codex
from support.ide import Ide, ide
from support.jobs import place
from support.monitoring import Monitor, Script, script, told
from support.threads import DONE, Thread, outside

MOST_CPU_S = 1.0
KINDS = "commit,turn,failure,file,value,end"
_PAUSE_S = 0.25  # the model thinks so long before each step


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.monitor", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory(prefix="codex-agent-monitor-") as folder:
        return measure(Path(folder), seconds)


def measure(folder: Path, seconds: float) -> int:
    with place(folder) as here, outside(here, codex("newest")) as out, ide(out) as editor:
        play = script(here.repo)
        thread = editor.thread(DONE, sandbox="danger-full-access", approvalPolicy="never")
        editor.ended(thread)
        monitor = Monitor(here.cli, thread.id, "--on", KINDS, "--until", "end", "--max-events", "0", *play.wanted)
        start_s, began = sum(monitor.cpu_s()), time.monotonic()
        turns = 1
        while time.monotonic() - began < seconds:
            turns += 1
            _turn(editor, thread, play, turns)
        took = time.monotonic() - began
        _settled(monitor, len(play.expected))
        own, called = monitor.cpu_s()
        editor.close()
        monitor.ends()
        found = Counter(told(event) for event in monitor.events[:-1])
        size = thread.rollout.stat().st_size
    wanted = Counter(play.expected)
    missed, made_up = wanted - found, found - wanted
    print(f"{took:.0f} s, {turns} turns, {len(play.steps)} steps, a rollout of {size / 1e6:.1f} MB")
    print(f"events: {wanted.total()} wanted, {missed.total()} missed, {made_up.total()} made up")
    for what, events in (("missed", missed), ("made up", made_up)):
        for kind, word in list(events)[:20]:
            print(f"  {what}: {kind} {word}")
    print(f"CPU: {own:.2f} s itself, {start_s:.2f} s of it until it watched; {called:.2f} s of git")
    per = (own + called - start_s) / took * 600
    print(f"CPU in ten minutes at this pace: {start_s + per:.2f} s (at most {MOST_CPU_S:g} s)")
    return 1 if missed or made_up or start_s + per > MOST_CPU_S else 0


def _turn(editor: Ide, thread: Thread, play: Script, count: int) -> None:
    """One turn of everything, and a page of output."""
    before = len(play.steps)
    play.everything()
    play.run("seq 1 5000")
    play.done()
    steps = [step.after(_PAUSE_S) for step in play.steps[before:]]
    editor.says(thread, *steps)
    editor.ended(thread, count)


def _settled(monitor: Monitor, count: int) -> None:
    """Gives what is still on its way the time to arrive; what does not is missed."""
    deadline = time.monotonic() + 5
    while len(monitor.events) < count and time.monotonic() < deadline:
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
