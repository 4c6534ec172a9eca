"""The rows of a job whose agent thinks: what the supervisor, the guardian and a waiter use meanwhile."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass

from benchmarks.measure import cpu_seconds, lock_waiters, parent, pss_kb, rss_kb
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step
from support import until

SECONDS = 30.0
TEN_MINUTES, HOUR = 600.0, 3600.0
COMMANDS = 15
LIMIT_KB = 20 * 1024


@dataclass(frozen=True)
class Pids:
    """The processes of one job."""

    supervisor: int
    guardian: int


def rows(stage: Stage) -> list[Row]:
    """``thinking``: two agents whose model says nothing for thirty seconds, one of them after much work."""
    place = stage.place("thinking")
    gate = place.model.gate("thinking")
    work = [Step.command("seq 20000") for _ in range(COMMANDS)]
    place.model.on("%%fresh", Step.hold(gate, Step.message("done")))
    place.model.on("%%worked", *work, Step.hold(gate, Step.message("done")))
    fresh, worked = (_pids(place, place.job(prompt)) for prompt in ("%%fresh", "%%worked"))
    gate.reached(60, count=2)
    waiter = _waiter(place)
    pids = [fresh.supervisor, fresh.guardian, worked.supervisor, waiter.pid]
    time.sleep(1.0)  # what came last is being folded in; nothing after this belongs to it
    before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
    time.sleep(SECONDS)
    took = time.monotonic() - began
    share = dict(
        zip(pids, ((cpu_seconds(pid) - was) / took for pid, was in zip(pids, before, strict=True)), strict=True)
    )
    resident = {pid: rss_kb(pid) for pid in (*pids, worked.guardian)}
    both = pss_kb(fresh.supervisor) + pss_kb(fresh.guardian)
    gate.open()
    assert waiter.wait(timeout=60) == 0
    told = f"{SECONDS:.0f} s of thinking"
    supervisor = share[fresh.supervisor] * TEN_MINUTES
    waiting = share[waiter.pid] * HOUR
    return [
        Row("supervisor's memory (RSS)", resident[fresh.supervisor], "kB", told, limit=LIMIT_KB),
        Row(
            f"the same, after {COMMANDS} commands of 109 KB output",
            resident[worked.supervisor],
            "kB",
            told,
            limit=LIMIT_KB,
        ),
        Row("guardian's memory (RSS)", resident[fresh.guardian], "kB", told),
        Row("supervisor and guardian, shared pages counted once (PSS)", both, "kB", told),
        Row("supervisor's CPU, 10 minutes (extrapolated)", supervisor, "s", told, limit=0.5),
        Row("wait ID: CPU of an hour (extrapolated)", waiting, "s", told, limit=1),
        Row("the same, with the supervisor's", waiting + share[fresh.supervisor] * HOUR, "s", told, limit=1),
    ]


def _pids(place: Place, job_id: str) -> Pids:
    supervisor = place.store.load(job_id).facts.supervisor
    assert supervisor is not None
    return Pids(supervisor.pid, parent(supervisor.pid))


def _waiter(place: Place) -> subprocess.Popen[bytes]:
    """A process that waits for every job of this place, asleep."""
    ids = place.store.ids()
    argv = place.argv("wait", *ids)
    waiter = subprocess.Popen(argv, env=place.home.env, cwd=place.repo, stdout=subprocess.DEVNULL)
    locks = [place.store.path(job_id, ".lock") for job_id in ids]
    until(lambda: any(lock_waiters(lock) == 1 for lock in locks), 20, "the waiter sleeps on one of the locks")
    return waiter
