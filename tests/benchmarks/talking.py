"""The rows of talking to an agent that stays: beginning it, and saying something to it."""

from __future__ import annotations

import functools

from benchmarks.measure import Pair, pairs
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step

PAIRS = 15
STAY = ("--interactive", "--idle-exit", "off")


def rows(stage: Stage) -> list[Row]:
    """``talking``: `start --interactive` against `start`, and `send` to an idle agent against `status`."""
    place = stage.place("talking")
    place.model.on("%%short", Step.message("done"))
    start = pairs(PAIRS, functools.partial(_start, place, *STAY), functools.partial(_start, place))
    job_id = str(place.call("start", "%%short", *STAY, "--json")["id"])
    place.call("await-turn", job_id, "--json")
    send = pairs(PAIRS, functools.partial(_send, place, job_id), lambda: place.time("status", job_id))
    place.call("exit", job_id, "--json")
    return [
        _row("start --interactive --json", start, "start --json"),
        _row("send ID, idle: its turn has begun", send, "status ID, the same agent"),
    ]


def _start(place: Place, *options: str) -> float:
    """Seconds of one ``start``. Its job has ended and is deleted before this returns."""
    before = set(place.store.ids())
    seconds = place.time("start", "%%short", "--json", *options)
    (job_id,) = set(place.store.ids()) - before
    place.call("await-turn", job_id, "--json")
    if options:
        place.call("exit", job_id, "--json")
    place.call("wait", job_id, "--json")
    place.call("delete", job_id, "--json")
    return seconds


def _send(place: Place, job_id: str) -> float:
    """Seconds of one ``send``. The turn that it began has ended before this returns."""
    seconds = place.time("send", job_id, "%%short")
    place.call("await-turn", job_id, "--json")
    return seconds


def _row(name: str, pair: Pair, against: str) -> Row:
    return Row(name, pair.work * 1000, "ms", against, pair.against * 1000, pair.ratio)
