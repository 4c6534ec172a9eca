"""The fast way on streams that are closed, full, gone or a terminal does what typer's way does there.

Forks that run the whole of ``main`` (see ``test_fast_parity.py``); some again as the processes they are, and those
that wait for something to happen.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import parity_homes as homes
from support import parity_words as lists
from support.cli import SRC
from support.home import clean_environ
from support.parity import CAN_SEE_SLEEP, Both, Compared, Said, asleep, both_ways, check
from support.parity_child import SHAPES, TERMINALS
from support.parity_homes import Jobs
from support.parity_words import Words
from support.waiting import until

ID, LIVE = lists.ID, lists.LIVE
CALLS: list[Words] = [
    ("status", ID),
    ("status", lists.ASKING, "--json"),
    ("status", "z"),
    ("jobs", "--limit", "2"),
    ("jobs", "--json"),
    ("wait", ID, "0000000c"),
    ("wait", LIVE, "--timeout", "0.01"),
    ("wait", "z", "--json"),
]


@pytest.fixture(scope="module")
def both() -> Iterator[Both]:
    with both_ways() as made:
        yield made


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    jobs = homes.fill(tmp_path_factory.mktemp("streams") / "sound", homes.healthy())
    with homes.held(jobs):
        yield jobs


def environ(jobs: Jobs, **more: str) -> dict[str, str]:
    here = {"HOME": str(jobs.path.parent), "CODEX_AGENT_HOME": str(jobs.path), "LC_ALL": "C.UTF-8"}
    return {**clean_environ(), **here, **more}


@pytest.mark.parametrize("shape", SHAPES)
def test_streams_of_every_shape(both: Both, sound: Jobs, shape: str) -> None:
    found = both.compare(CALLS, environ(sound), sound.path.parent, sound.path / "jobs", shape)
    check(found)
    assert not any(one.typer.trouble for one in found)


@pytest.mark.parametrize("shape", TERMINALS)
def test_a_terminal(both: Both, sound: Jobs, shape: str) -> None:
    environments: list[dict[str, str]] = [{}, {"NO_COLOR": "1"}]
    if shape == "terminal":
        environments += [{"NO_COLOR": ""}, {"COLUMNS": "50"}, {"TERM": "dumb"}]
    for more in environments:
        found = both.compare(CALLS, environ(sound, **more), sound.path.parent, sound.path / "jobs", shape)
        check(found)
        colored = any(b"\x1b[3" in one.typer.out for one in found)
        assert colored != bool(more.get("NO_COLOR")), more


# ---- real processes ----

_BEGIN = f"import sys; sys.path.insert(0, {SRC!r}); sys.argv[0] = 'codex-agent'; "
_MAIN = "from codex_agent.__main__ import main; sys.exit(main())"
_TYPER = "from codex_agent import fast; fast.route = lambda words: None; "
WAYS = {
    "fast": [sys.executable, "-I", "-c", _BEGIN + _MAIN],
    "typer": [sys.executable, "-I", "-c", _BEGIN + _TYPER + _MAIN],
}
REDIRECTED = {"": "", "closed": ">&-", "full": ">/dev/full", "both closed": ">&- 2>&-"}


def begin(way: str, words: Words, jobs: Jobs, redirected: str = "") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {redirected}', "sh", *WAYS[way], *map(os.fsencode, words)],
        env=environ(jobs),
        cwd=jobs.path.parent,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes]) -> Said:
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    return Said(process.returncode, out, err)


# What the clock is in: it goes on between the two.
_MOVES = re.compile(rb'("generated_at": ?")[^"]*(")|("elapsed_ms": ?)\d+')
_STAMP = re.compile(rb'"generated_at": ?"(?P<at>[^"]*)"')


def without_clock(said: Said) -> Said:
    return Said(said.code, _MOVES.sub(rb"\1\2\3", said.out), said.err)


@pytest.mark.parametrize("redirected", REDIRECTED)
def test_as_processes(sound: Jobs, redirected: str) -> None:
    few: list[Words] = [("status", ID, "--json"), ("jobs", "--limit", "3")]
    if not redirected:
        few += [
            ("jobs", "--json"),
            ("wait", ID),
            ("status", lists.ODD_NAME),
            ("status", "till\udcff"),
            ("status",),
        ]
    found = []
    for words in few:
        running = {way: begin(way, words, sound, REDIRECTED[redirected]) for way in WAYS}
        said = {way: without_clock(end(process)) for way, process in running.items()}
        found.append(Compared(words, said["fast"], said["typer"]))
    check(found)


def test_the_clock_is_read(sound: Jobs) -> None:
    """A list says when it was made, and a living job how long it lives, in the time of now."""
    running = {way: begin(way, ("jobs", "--json", "--limit", "40"), sound) for way in ("typer", "fast")}
    said = {way: end(process) for way, process in running.items()}
    stamps = {way: _STAMP.search(one.out) for way, one in said.items()}
    assert all(stamps.values()), said
    ages = {way: list(map(int, re.findall(rb'"elapsed_ms": (\d+)', one.out))) for way, one in said.items()}
    assert len(ages["fast"]) == len(ages["typer"]) == 33
    far = [pair for pair in zip(ages["fast"], ages["typer"], strict=True) if abs(pair[0] - pair[1]) > 10_000]
    assert not far, far


# ---- waiting ----


needs_proc = pytest.mark.skipif(not CAN_SEE_SLEEP, reason="only Linux tells whether a process sleeps")


@contextlib.contextmanager
def sleeping(words: Words, jobs: Jobs) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Both ways as processes that sleep."""
    running = {way: begin(way, words, jobs) for way in WAYS}
    try:
        for process in running.values():
            until(functools.partial(asleep, process), 20, "a process that sleeps")
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.communicate()


def compared(words: Words, running: dict[str, subprocess.Popen[bytes]]) -> Compared:
    said = {way: without_clock(end(process)) for way, process in running.items()}
    return Compared(words, said["fast"], said["typer"])


@needs_proc
@pytest.mark.parametrize("more", [(), ("--json",), ("--any", "--timeout", "60")], ids=" ".join)
def test_a_wait_ends_with_the_job(tmp_path: Path, more: Words) -> None:
    """With its lock, not with its record: the supervisor's last line of events comes in between."""
    jobs = homes.fill(
        tmp_path / "home", [(homes.record(f"1111000{n}", started_at=homes.T), True) for n in range(2)]
    )
    first, second = jobs.alive
    words = ("wait", first, *((second,) if "--any" in more else ()), *more)
    with homes.held(jobs) as locks, sleeping(words, jobs) as running:
        jobs.end(first)
        assert all(asleep(process) for process in running.values())
        os.close(locks.pop(first))
        found = compared(words, running)
    check([found])
    assert found.fast.code == 0 and first.encode() in found.fast.out


@needs_proc
@pytest.mark.parametrize("words", [("wait", LIVE), ("wait", ID, "at-work", "11110002", "--json")], ids=" ".join)
def test_a_wait_that_is_broken_off(sound: Jobs, words: Words) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        with sleeping(words, sound) as running:
            for process in running.values():
                process.send_signal(number)
            found = compared(words, running)
        check([found])
        assert found.typer.code == {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}[number]


@needs_proc
def test_a_wait_that_finds_a_dead_supervisor(tmp_path: Path) -> None:
    """Its lock goes, and the record does not say that the job has ended: who waited writes it down."""
    jobs = homes.fill(tmp_path / "home", [(homes.record("11110001", started_at=homes.T), True)])
    with homes.held(jobs) as locks, sleeping(("wait", "11110001"), jobs) as running:
        os.close(locks.pop("11110001"))
        found = compared(("wait", "11110001"), running)
    check([found])
    assert found.fast.code == 1 and b"interrupted" in found.fast.out
