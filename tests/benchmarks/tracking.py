"""The rows of what tracking adds: a git command of the agent's through the wrapper, against the real one."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

from benchmarks.measure import pairs, timed
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step
from codex_agent.tracking import wrappers

PAIRS = 41


def rows(stage: Stage) -> list[Row]:
    """``tracking``: what is passed on, what is noted, and the end of a job."""
    place = stage.place("tracking")
    notes = wrappers.notes_folder(str(place.home.agent_home))
    env = place.home.env | wrappers.environment(str(place.home.agent_home), notes, place.home.env)
    real, ours = str(shutil.which("git", path=place.home.env["PATH"])), env["PATH"].split(":")[0] + "/git"
    names = (f"branch-{number}" for number in itertools.count())

    def run(program: str, *words: str) -> float:
        return timed([program, *words], env, str(place.repo))

    found = []
    for name, words, limit in (
        ("git status, through the wrapper", ("status", "-s"), 1.5),
        ("git log -1, through the wrapper", ("log", "-1", "--oneline"), 1.5),
        ("git rev-parse HEAD, through the wrapper", ("rev-parse", "HEAD"), None),
    ):
        pair = pairs(PAIRS, lambda words=words: run(ours, *words), lambda words=words: run(real, *words))  # type: ignore[misc]
        found.append(Row(name, pair.work * 1000, "ms", "git", pair.against * 1000, pair.ratio, limit))
    pair = pairs(
        PAIRS,
        lambda: run(ours, "switch", "-q", "-c", next(names)),
        lambda: run(real, "switch", "-q", "-c", next(names)),
    )
    found.append(Row("git switch -c, noted", pair.work * 1000, "ms", "git", pair.against * 1000, pair.ratio))
    return [*found, _whole(place)]


def _whole(place: Place) -> Row:
    """A whole job, tracked and not: what the beginning, the looks at HEAD and the end cost it."""
    subprocess.run(["git", "checkout", "-q", "-"], cwd=Path(place.repo), env=place.home.env, check=False)
    place.model.on("%%job", Step.message("Done."))

    def job(*more: str) -> float:
        return place.time("start", "%%job", "-d", str(place.repo), "--wait", "--json", *more)

    pair = pairs(9, job, lambda: job("--no-track"))
    return Row(
        "start --wait, a job of one turn",
        pair.work * 1000,
        "ms",
        "--no-track",
        pair.against * 1000,
        pair.ratio,
        1.1,
    )
