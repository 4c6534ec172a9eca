"""The rows of the launcher and of the commands called all day, against an interpreter that does nothing."""

from __future__ import annotations

import os
from collections.abc import Callable

from benchmarks import crowd, rollout_files
from benchmarks.measure import Pair, pairs, timed
from benchmarks.stage import LAUNCHER, TOP, Place, Stage
from benchmarks.table import Row
from codex_agent import sealing
from codex_agent.demo.model_server import Step
from codex_agent.model import Record
from support import until

PAIRS = 21
JOBS, LIVE = 20, 5
MANY = 10_000
ROLLOUT_BYTES = 20_000_000
_IMPORT = f"import sys; sys.path.insert(0, {str(TOP / 'src')!r}); import codex_agent"


def rows(stage: Stage) -> list[Row]:
    """``commands``: the launcher, the bare start, and what reads jobs."""
    place = stage.place("reading")
    ended, running = _real_records(place)
    few, big, many = (stage.place(name) for name in ("few", "big", "many"))
    few_live = _fill(few, ended, running, JOBS, None)
    big_live = _fill(big, ended, running, JOBS, ROLLOUT_BYTES)
    many_live = _fill(many, ended, running, MANY, None)
    with (
        crowd.alive(few, few_live, sessions=False),
        crowd.alive(big, big_live, sessions=False),
        crowd.alive(many, many_live, sessions=False),
    ):
        for filled in (few, big):
            crowd.check(filled, LIVE)
        many.call("jobs", "--json")  # the first call of all reads every record
        installed = [place.script(), "status", ended.id, "--json"]
        table = [
            _bare(place, "import codex_agent", lambda: place.time_python("-ISE", "-c", _IMPORT)),
            _bare(place, "--version", lambda: place.time("--version")),
            _bare(place, "status ID, ended", lambda: place.time("status", ended.id), 1.5),
            _bare(place, "status ID --json, ended", lambda: place.time("status", ended.id, "--json"), 1.5),
            _bare(place, "the same, bin/codex-agent", lambda: _launch(place, "status", ended.id, "--json")),
            _bare(
                place, "the same, as pip installs it", lambda: timed(installed, place.home.env, str(place.repo))
            ),
            _bare(place, "status ID, live", lambda: few.time("status", few_live[0]), 1.6),
            _bare(place, "status ID --json, live", lambda: few.time("status", few_live[0], "--json"), 1.6),
            _bare(place, "wait ID, ended", lambda: place.time("wait", ended.id), 1.6),
            _bare(place, f"jobs, {JOBS} jobs, {LIVE} live", lambda: few.time("jobs"), 2),
            _bare(place, "jobs --json", lambda: few.time("jobs", "--json"), 2),
            _bare(place, "the same, each with a rollout of 20 MB", lambda: big.time("jobs", "--json"), 2),
            _bare(place, "jobs --json among 10,000 records", lambda: many.time("jobs", "--json"), 4),
            _bare(place, "the same, one of them just written", lambda: _written(many, many_live[0])),
            _launcher(place),
        ]
        rollouts = pairs(PAIRS, lambda: big.time("jobs", "--json"), lambda: few.time("jobs", "--json"))
    table.append(_row("jobs --json, rollouts of 20 MB", rollouts, "the same without rollouts"))
    return table


def _bare(place: Place, name: str, work: Callable[[], float], limit: float | None = None) -> Row:
    pair = pairs(PAIRS, work, lambda: place.time_python("-ISE", "-c", "pass"))
    return _row(name, pair, "python -ISE -c pass", limit)


def _launch(place: Place, *words: str) -> float:
    return _timed(place, [LAUNCHER, *words])


def _timed(place: Place, argv: list[str]) -> float:
    return timed(argv, place.home.env, str(place.repo))


def _written(place: Place, job_id: str) -> float:
    """The same call after a living job's record was replaced, as its supervisor does."""
    record = place.store.load(job_id)
    sealing.save(place.store, record)
    return place.time("jobs", "--json")


def _launcher(place: Place) -> Row:
    pair = pairs(PAIRS, lambda: _launch(place, "--version"), lambda: place.time("--version"))
    return _row("bin/codex-agent --version", pair, "without the shell before it")


def _row(name: str, pair: Pair, against: str, limit: float | None = None) -> Row:
    return Row(name, pair.work * 1000, "ms", against, pair.against * 1000, pair.ratio, limit)


def _real_records(place: Place) -> tuple[Record, Record]:
    """What a real job's record holds when it has ended, and while its agent thinks."""
    gate = place.model.gate("reading")
    place.model.on("%%reading", Step.command("ls"), Step.hold(gate, Step.message("The end. " * 60)))
    job_id = place.job("%%reading " + "Say what stands in this folder. " * 20)
    gate.reached()
    running = until(lambda: _with_tokens(place.store.load(job_id)), 15, "the record has its tokens")
    assert running is not None
    gate.open()
    place.call("wait", job_id, "--json")
    ended = place.store.load(job_id)
    assert ended.facts.ended_at is not None
    return ended, running


def _with_tokens(record: Record) -> Record | None:
    return record if record.facts.tokens is not None else None


def _fill(place: Place, ended: Record, running: Record, count: int, rollout_bytes: int | None) -> list[str]:
    """``count`` jobs; the ids of the living ones. Their rollouts are hard links to one file a Codex version."""
    versions = rollout_files.versions() if rollout_bytes else []
    for number, version in enumerate(versions):
        rollout_files.write(_rollout(place, version), rollout_bytes or 0, version, torn=number % 2 == 0)

    def change(record: Record, number: int) -> None:
        record.created_at = f"2026-11-{number % 28 + 1:02d}T09:{number % 60:02d}:00.{number % 1000:03d}Z"
        if versions:
            record.facts.rollout = _rollout(place, record.id)
            os.link(_rollout(place, versions[number % len(versions)]), record.facts.rollout)

    crowd.copies(place, ended, count - LIVE, change)
    return crowd.copies(place, running, LIVE, change, seed=1)


def _rollout(place: Place, name: str) -> str:
    return str(place.home.root / f"rollout-{name}.jsonl")
