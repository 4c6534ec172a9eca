"""The rows of what looks at Codex sessions: ten thousand of them, one of a gigabyte."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks import rollout_files
from benchmarks.measure import pairs
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step
from codex_agent.rollouts.tail import narrations
from support import manythreads
from support.oddrollouts import sample

MANY = 10_000
INSTRUCTIONS = 18_000  # characters of Codex's own in each first line
LARGE_BYTES = 1_000_000_000
VERSION = "0.169.0"
PAIRS = 7
LOOKS = 15


def rows(stage: Stage) -> list[Row]:
    """``threads``: the list with and without Codex's index, and a look at a large rollout."""
    with_index, without, large = (stage.place(name) for name in ("indexed", "bare", "large"))
    made = manythreads.make(with_index.home.codex_home, MANY, now=time.time(), instructions=INSTRUCTIONS)
    manythreads.index(with_index.home.codex_home, _tables(stage), made)
    for name in ("sessions", "archived_sessions"):  # links: the same files, and no more of the disk
        where = with_index.home.codex_home / name
        shutil.copytree(where, without.home.codex_home / name, copy_function=os.link)
    _checked(with_index, "index")
    _checked(without, "rollouts")
    found = [
        _against_nothing(with_index, f"threads --json, {MANY:,} of them", ("threads", "--json"), 0.7),
        _against_nothing(without, "the same without Codex's index", ("threads", "--json"), 0.7),
        _against_nothing(
            with_index, "threads --source vscode --json", ("threads", "--source", "vscode", "--json")
        ),
        _against_nothing(without, "the same without Codex's index", ("threads", "--source", "vscode", "--json")),
        _against_nothing(with_index, "threads --active --json", ("threads", "--active", "--json"), 0.7),
        _against_nothing(with_index, "thread ID --json among them", ("thread", made[50].id, "--json"), 0.7),
        _against_nothing(without, "the same without Codex's index", ("thread", made[50].id, "--json")),
    ]
    return found + _large(large)


def _tables(stage: Stage) -> list[str]:
    """The statements that make a real Codex's index."""
    place = stage.place("real")
    place.model.on("%%tables", Step.message("Done."))
    job_id = place.job("%%tables")
    place.call("wait", job_id, "--json")
    return manythreads.schema(place.home.codex_home)


def _checked(place: Place, basis: str) -> None:
    answer = place.call("threads", "--json")
    assert (answer["basis"], answer["notes"]) == (basis, []), answer["notes"]
    assert answer["total"] == MANY - MANY // 100


def _against_nothing(place: Place, name: str, words: tuple[str, ...], limit_s: float | None = None) -> Row:
    pair = pairs(PAIRS, lambda: place.time(*words), lambda: place.time("--version"))
    limit = None if limit_s is None else limit_s * 1000
    return Row(name, pair.work * 1000, "ms", "--version", pair.against * 1000, limit=limit)


def _large(place: Place) -> list[Row]:
    """One thread of a gigabyte, and one of a megabyte beside it."""
    big, small = _rollout(place, LARGE_BYTES, 1), _rollout(place, 1_000_000, 2)
    _warm(big)

    def first() -> float:
        shutil.rmtree(place.home.agent_home / "cache", ignore_errors=True)
        return place.time("thread", _id(big), "--json")

    first_look = first()
    place.time("thread", _id(big), "--json")
    again = pairs(
        PAIRS, lambda: place.time("thread", _id(big), "--json"), lambda: place.time("thread", _id(small), "--json")
    )
    words = pairs(LOOKS, lambda: _seconds(lambda: _words(big)), lambda: _seconds(lambda: _words(small)))
    against = "the same of 1 MB"
    return [
        Row("thread ID --json, 1 GB, the first look", first_look * 1000, "ms"),
        Row("the second look", again.work * 1000, "ms", against, again.against * 1000, limit=500),
        Row(
            "the latest words of 1 GB, in the process",
            words.work * 1000,
            "ms",
            against,
            words.against * 1000,
            limit=100,
        ),
        Row("the worst of 15", max(_seconds(lambda: _words(big)) for _ in range(LOOKS)) * 1000, "ms", limit=100),
    ]


def _rollout(place: Place, size: int, number: int) -> Path:
    name = sample(VERSION).name
    path = place.home.codex_home / "sessions" / "2026" / "11" / "21" / f"{name[:-7]}{number}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rollout_files.write(str(path), size, VERSION)
    return path


def _id(path: Path) -> str:
    return path.name.removesuffix(".jsonl")[-36:]


def _warm(path: Path) -> None:
    """Read once, so that what is measured is not the disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass


def _words(path: Path) -> None:
    (said,) = narrations(str(path), 1)
    assert said.text == "All done."


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
