"""The rows of reading a rollout: how long, against what, in how much memory, and how it is found."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import rollout_files
from benchmarks.measure import Pair, pairs, timed
from benchmarks.stage import TOP, Place, Stage
from benchmarks.table import Row
from codex_agent.rollouts import Reader, locate
from support import manythreads
from support.oddrollouts import sample

VERSION, BEFORE = "0.169.0", "0.133.0"
BYTES = 200_000_000
APPENDED = 47_000
PAIRS = 15
SESSIONS = 10_000
PROGRAM = str(Path(__file__).with_name("parse_rollout.py"))
PINNED = str(Path(__file__).with_name("ccusage"))
_NATIVE = "@ccusage/ccusage-*/bin/ccusage"


def rows(stage: Stage) -> list[Row]:
    """``rollouts``: 200 MB from nothing, what was appended to it, 1 GB, and one among ten thousand."""
    place = stage.place("rollouts")
    path, before = _rollout(place, VERSION, BYTES), _rollout(place, BEFORE, BYTES)
    whole = pairs(PAIRS, lambda: _parse(place, path), lambda: _cat(place, path))
    older = pairs(PAIRS, lambda: _parse(place, before), lambda: _cat(place, before))
    found = [_row("rollout of 200 MB, parsed from nothing", whole, "cat FILE >/dev/null", limit=4)]
    found += _ccusage(place, path)
    found += [_row(f"the same, of Codex {BEFORE}", older, "cat FILE >/dev/null")]
    found += [_memory(place, size) for size in (1_000_000, BYTES, 1_000_000_000)]
    return [*found, _appended(path), _one_of_many(stage.place("many rollouts"))]


def _row(name: str, pair: Pair, against: str, limit: float | None = None) -> Row:
    return Row(name, pair.work * 1000, "ms", against, pair.against * 1000, pair.ratio, limit=limit)


def _rollout(place: Place, version: str, size: int) -> Path:
    """It is read once, so that what is measured is not the disk."""
    path = place.home.codex_home / "sessions" / "2026" / "11" / version / sample(version).name
    path.parent.mkdir(parents=True, exist_ok=True)
    rollout_files.write(str(path), size, version)
    with path.open("rb", buffering=0) as file:
        while file.read(1 << 22):
            pass
    return path


# -- the whole of it


def _argv(place: Place, path: Path) -> list[str]:
    return [place.python, "-ISE", PROGRAM, str(TOP / "src"), str(path)]


def _parse(place: Place, path: Path) -> float:
    return timed(_argv(place, path), place.home.env, str(place.repo))


def _cat(place: Place, path: Path) -> float:
    return timed(["cat", str(path)], place.home.env, str(place.repo))


def _told(place: Place, path: Path) -> dict[str, Any]:
    done = subprocess.run(_argv(place, path), capture_output=True, check=True, env=place.home.env)
    told: dict[str, Any] = json.loads(done.stdout)
    assert (told["bad_lines"], told["unknown_lines"]) == (0, 0)
    return told


def _memory(place: Place, size: int) -> Row:
    """In a file of its own, which is gone again: 1 GB of page cache is not left to whoever measures next."""
    path = place.home.codex_home / f"{size}.jsonl"
    rollout_files.write(str(path), size, VERSION)
    try:
        return Row(f"peak memory of that, {_size(size)}", _told(place, path)["peak_kb"], "kB", limit=20 * 1024)
    finally:
        path.unlink()


def _size(size: int) -> str:
    return f"{size // 1_000_000_000} GB" if size >= 1_000_000_000 else f"{size // 1_000_000} MB"


# -- ccusage


def _ccusage(place: Place, path: Path) -> list[Row]:
    """Against the native program of ccusage, which must count the same tokens; no row where npm has it not."""
    native = _native()
    if native is None:
        return []
    home = place.home.codex_home.parent / "ccusage"
    folder = home / "sessions" / "2026" / "11" / "21"
    folder.mkdir(parents=True)
    os.link(path, folder / path.name)
    env = {**place.home.env, "CODEX_HOME": str(home)}
    argv = [native, "codex", "session", "--offline", "--json"]
    theirs = json.loads(subprocess.run(argv, capture_output=True, check=True, env=env).stdout)["totals"]
    given, _, made, *_ = _told(place, path)["tokens"]
    assert (theirs["inputTokens"] + theirs["cacheReadTokens"], theirs["outputTokens"]) == (given, made), theirs
    pair = pairs(PAIRS, lambda: _parse(place, path), lambda: timed(argv, env, str(place.repo)))
    return [_row("the same", pair, "ccusage codex session --json (native)", limit=0.6)]


def _native() -> str | None:
    """Where it is, fetched as the tests' programs are: by hash, into the checkout's own cache."""
    spec = importlib.util.spec_from_file_location("prepare", TOP / "bin" / "prepare.py")
    assert spec is not None and spec.loader is not None
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    setup = prepare.Setup()
    with setup.locked():
        # Its launcher makes the native program executable, which npm without install scripts does not.
        launcher = setup.npm("ccusage", "ccusage", "ccusage/src/cli.js", PINNED)
    if launcher is None:
        return None
    (native,) = Path(launcher).parents[2].glob(_NATIVE)
    return str(native)


# -- in the process


def _appended(path: Path) -> Row:
    """The end of a rollout is taken away and put back, in the process that has parsed it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size - APPENDED)
        end = file.read()

    def new() -> float:
        os.truncate(path, size - APPENDED)
        reader = Reader(str(path))
        reader.read_new()
        with path.open("ab") as file:
            file.write(end)
        return _seconds(reader.read_new)

    def whole() -> float:
        return _seconds(Reader(str(path)).read_new)

    pair = pairs(5, new, whole)
    return _row("47 KB appended to a parsed rollout of 200 MB", pair, "the whole parse", limit=0.005)


def _one_of_many(place: Place) -> Row:
    """Each of some hundred threads against the listing of its own day's folder."""
    made = manythreads.make(place.home.codex_home, SESSIONS, now=time.time())
    wanted = [one for one in made if not one.archived][:: SESSIONS // 300]
    home = str(place.home.codex_home)

    def find() -> float:
        found: list[str | None] = []
        seconds = _seconds(lambda: found.extend([locate.find(home, one.id) for one in wanted]))
        assert found == [str(one.path) for one in wanted]
        return seconds

    def listing() -> float:
        return _seconds(lambda: [os.listdir(one.path.parent) for one in wanted])

    pair = pairs(PAIRS, find, listing)
    each = Pair(pair.work / len(wanted), pair.against / len(wanted), pair.ratio)
    return _row(f"rollout of a known thread among {SESSIONS:,}", each, "listing one of 365 folders", limit=2)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
