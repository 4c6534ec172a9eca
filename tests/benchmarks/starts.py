"""The rows of ``start``: a hundred living jobs must not make it slower."""

from __future__ import annotations

import functools
import itertools

from benchmarks import crowd
from benchmarks.measure import Pair, pairs
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step

LIVE = 100
PAIRS = 15
MORE_PAIRS = 25  # where a tenth is the limit
_NAMES = itertools.count()
_PACKAGES = "import typer, pydantic, libtmux"


def rows(stage: Stage) -> list[Row]:
    """``start``: with and without a hundred living jobs; and against importing the libraries it uses."""
    stage.model.on("%%quick", Step.message("done"))
    alone, crowded = stage.place("alone"), stage.place("crowded")
    for place in (alone, crowded):
        _start(place)  # asks Codex for its version, which is kept from then on
    # The record of a job that has ended, but for that: what reading it costs is the same.
    example = crowded.store.load(crowded.job("%%quick"))
    crowded.call("wait", example.id, "--json")
    example.facts.ended_at = None
    ids = crowd.copies(crowded, example, LIVE)
    with crowd.alive(crowded, ids, sessions=True):
        crowd.check(crowded, LIVE)
        plain = pairs(MORE_PAIRS, functools.partial(_start, crowded), functools.partial(_start, alone))
        named = pairs(
            MORE_PAIRS,
            functools.partial(_start, crowded, named=True),
            functools.partial(_start, alone, named=True),
        )
    imports = pairs(PAIRS, functools.partial(_start, alone), lambda: alone.time_python("-I", "-c", _PACKAGES))
    return [
        _row("start --json, 100 live jobs", plain, "the same with none", limit=1.1),
        _row("start --json --name, 100 live jobs", named, "the same with none", limit=1.1),
        _row("start --json", imports, f"python -I -c '{_PACKAGES}'", limit=1.3),
    ]


def _start(place: Place, *, named: bool = False) -> float:
    """Seconds of one ``start``. Its job has ended and is deleted before this returns."""
    before = set(place.store.ids())
    name = ["--name", f"name {next(_NAMES)}"] if named else []
    seconds = place.time("start", "%%quick", "--json", *name)
    (job_id,) = set(place.store.ids()) - before
    place.call("wait", job_id, "--json")
    place.call("delete", job_id, "--json")
    return seconds


def _row(name: str, pair: Pair, against: str, limit: float | None = None) -> Row:
    return Row(name, pair.work * 1000, "ms", against, pair.against * 1000, pair.ratio, limit)
