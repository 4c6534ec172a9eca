"""The rows of ``wait``: how soon it returns. What it costs while it sleeps is in ``thinking``."""

from __future__ import annotations

import calendar
import fcntl
import os
import statistics
import subprocess
import threading
import time

from benchmarks.measure import lock_waiters
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step
from support import until

ENDS = 50
_STAMP = "%Y-%m-%dT%H:%M:%S"


def rows(stage: Stage) -> list[Row]:
    """``wait``: fifty real jobs end, each with one process that waits for it."""
    place = stage.place("waiting")
    ends = [_one_end(place, number) for number in range(ENDS)]
    after_lock, after_stamp = ([end[which] * 1000 for end in ends] for which in (0, 1))
    lock, stamp = "the job's lock was let go", "completed_at in the record"
    return [
        Row("wait ID: until it has exited, median of 50", statistics.median(after_lock), "ms", lock, limit=20),
        Row("the worst of the 50", max(after_lock), "ms", lock, limit=50),
        Row("wait ID: until it has exited, median of 50", statistics.median(after_stamp), "ms", stamp, limit=20),
        Row("the worst of the 50", max(after_stamp), "ms", stamp, limit=50),
    ]


def _one_end(place: Place, number: int) -> tuple[float, float]:
    """Seconds to the exit of the waiter, from the lock's release and from the time the record tells."""
    gate = place.model.gate(f"wait {number}")
    place.model.on(f"%%wait-{number}.", Step.hold(gate, Step.message("done")))
    job_id = place.job(f"%%wait-{number}.")
    gate.reached()
    lock = place.store.path(job_id, ".lock")
    waiter = subprocess.Popen(
        place.argv("wait", job_id), env=place.home.env, cwd=place.repo, stdout=subprocess.DEVNULL
    )
    free: list[float] = []
    witness = threading.Thread(target=_note_when_free, args=(lock, free))
    witness.start()
    watchdog = threading.Timer(60, waiter.kill)
    watchdog.start()
    until(lambda: lock_waiters(lock) == 2, 20, "the waiter and the witness sleep on the lock")
    gate.open()
    code = waiter.wait()  # without a time-out: with one, Popen looks only every 50 ms
    exited = time.time()
    watchdog.cancel()
    witness.join()
    completed_at = place.store.load(job_id).facts.ended_at
    assert code == 0 and completed_at is not None
    return exited - free[0], exited - _seconds(completed_at)


def _note_when_free(path: str, free: list[float]) -> None:
    handle = os.open(path, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_SH)
    free.append(time.time())
    os.close(handle)


def _seconds(stamp: str) -> float:
    whole, _, milliseconds = stamp.rstrip("Z").partition(".")
    return calendar.timegm(time.strptime(whole, _STAMP)) + int(milliseconds) / 1000
