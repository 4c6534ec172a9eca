"""Owns what readers ask about jobs: one, all, wait for them. Settles a job whose supervisor turns out dead.

The record is the answer: no rollout is parsed here and no process started. Must never write anything but, through
``settle``, the end of a job that has no supervisor, and the roster, which may be lost.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Literal

from codex_agent import roster
from codex_agent.calls import Ended, ask, wait_down
from codex_agent.errors import CodexAgentError, JobNotFound, StoreUnwritable, UsageError
from codex_agent.model import TERMINAL, Job, JobList, Problem, Record, stamp
from codex_agent.settle import lives, settle
from codex_agent.store import Store
from codex_agent.verdict import job_view

Until = Literal["end", "turn", "approval"]

_NO_LOCK_S = 0.1  # somebody removed the lock of a job that lives: there is nothing to sleep on


def view(store: Store, job_id: str) -> Job:
    """One job as it is now. ``job_id`` is a whole id (see ``Store.resolve``)."""
    return _view(store, store.load(job_id))


def _view(store: Store, record: Record) -> Job:
    if record.facts.ended_at is not None:
        return job_view(record, alive=False, now=time.time())
    if lives(store, record):
        return job_view(record, alive=True, now=time.time())
    try:
        # The lock is looked at again, and the record read again, under the settle lock.
        record = settle(store, record.id, by="reader")
    except StoreUnwritable:
        return job_view(record, alive=False, now=time.time())  # true all the same, only not written down
    return job_view(record, alive=record.facts.ended_at is None, now=time.time())


def several(store: Store, ids: Iterable[str]) -> JobList:
    """These jobs as they are now, in the order given."""
    found = [view(store, job_id) for job_id in ids]
    return JobList(stamp(), found, [], len(found))


def listing(store: Store, *, statuses: Collection[str] = (), limit: int | None = None) -> JobList:
    """All jobs, living ones first, then the newest; of these statuses and at most ``limit`` if told so."""
    ids = store.ids()
    if limit is None or len(ids) <= roster.MANY:
        return _listing(store, ids, statuses, limit, 0)
    known = roster.current(store.home, store.folder) or _call_the_roll(store)
    found = _by_roster(store, known, statuses, limit)
    if any(problem.id not in known.others for problem in found.problems):
        # A record was edited where it stands, which the folder's time does not tell.
        found = _by_roster(store, _call_the_roll(store), statuses, limit)
    return found


def _by_roster(store: Store, known: roster.Roster, statuses: Collection[str], limit: int) -> JobList:
    ended = [one for one in known.lines if not statuses or roster.status_of(one) in statuses]
    ids = [*known.others, *map(roster.id_of, ended[:limit])]
    return _listing(store, ids, statuses, limit, len(ended[limit:]))


def _listing(
    store: Store, ids: Sequence[str], statuses: Collection[str], limit: int | None, unseen: int
) -> JobList:
    """These jobs as a list; ``unseen`` more there are that will not be shown."""
    jobs: list[Job] = []
    problems: list[Problem] = []
    for job_id in ids:
        try:
            jobs.append(view(store, job_id))
        except JobNotFound:
            continue  # deleted meanwhile
        except CodexAgentError as error:
            problems.append(Problem(job_id, store.path(job_id, ".json"), error.code, error.message))
    if statuses:
        jobs = [job for job in jobs if job.status in statuses]
    jobs.sort(key=lambda job: (job.created_at, job.id), reverse=True)
    jobs.sort(key=lambda job: job.status in TERMINAL)
    problems.sort(key=lambda one: one.id)
    return JobList(stamp(), jobs if limit is None else jobs[:limit], problems, unseen + len(jobs))


def _call_the_roll(store: Store) -> roster.Roster:
    """A new roster: every record is read."""
    since_ns = roster.folder_ns(store.folder)
    lines, others = [], []
    for job_id in store.ids():
        line, version = None, ""
        with contextlib.suppress(CodexAgentError, OSError):
            version = roster.mark(os.stat(store.path(job_id, ".json")))  # before it is read
            job = view(store, job_id)
            if job.status in TERMINAL and (job.name or "").isprintable():  # else it might be two lines
                line = roster.line(job.id, job.name, job.status, job.created_at, version)
                since_ns = since_ns if version else 0  # too young: it has a line the next time
        if line is None or not version:
            others.append(job_id)
        else:
            lines.append(line)
    return roster.save(store.home, since_ns, others, lines)


def wait(
    store: Store,
    ids: Sequence[str],
    *,
    until: Until = "end",
    wait_any: bool = False,
    timeout_s: float | None = None,
) -> bool:
    """Sleeps until all of these jobs have ended (with ``wait_any``: one of them). False at the time-out.

    ``until`` "turn": until the agent has handed the turn back or needs somebody; "approval": until it needs
    somebody. A job that has ended is done with either.

    One thread a job sleeps in the kernel, on that job's lock or on its supervisor's answer: no polling, woken when
    it happens. The threads are daemons; one that is still asleep at the time-out dies with the process.
    """
    if timeout_s is not None:
        if math.isnan(timeout_s):
            raise UsageError("--timeout: that is no number of seconds.", "Such as 600; without it there is none.")
        timeout_s = min(timeout_s, threading.TIMEOUT_MAX)
    wanted = set(ids)
    ended: set[str] = set()
    if timeout_s == 0 and until == "end":
        # No thread could be so quick.
        ended = {job_id for job_id in wanted if view(store, job_id).status in TERMINAL}
        return bool(ended) if wait_any else ended == wanted
    troubles: list[BaseException] = []
    news = threading.Condition()

    def follow(job_id: str) -> None:
        try:
            sleep(store, job_id, until)
        except BaseException as error:
            troubles.append(error)
        with news:
            ended.add(job_id)
            news.notify()

    for job_id in wanted:
        threading.Thread(target=follow, args=(job_id,), daemon=True).start()
    with news:
        done = news.wait_for(lambda: bool(ended) if wait_any else ended == wanted, timeout_s)
    if troubles:
        raise troubles[0]
    return done


def sleep(store: Store, job_id: str, until: Until = "end") -> None:
    """What a thread of ``wait`` does: sleeps in the kernel until there is that news of one job."""
    if until == "end":
        _sleep_until_ended(store, job_id)
    else:
        _sleep_until(store, job_id, until)


def wait_in_thread(store: Store, job_id: str) -> Callable[[float], bool]:
    """Begins to wait for one job's end; the function returned sleeps up to that many seconds for it.

    It raises what ``view`` would, if the record turns out unreadable.
    """
    ended = threading.Event()
    troubles: list[BaseException] = []

    def follow() -> None:
        try:
            _sleep_until_ended(store, job_id)
        except BaseException as error:
            troubles.append(error)
        ended.set()

    def wait_a_while(seconds: float) -> bool:
        done = ended.wait(seconds)
        if troubles:
            raise troubles[0]
        return done

    threading.Thread(target=follow, daemon=True).start()
    return wait_a_while


def _sleep_until(store: Store, job_id: str, until: Until) -> None:
    while view(store, job_id).status not in TERMINAL:
        runs = store.load(job_id).facts.runs
        try:
            ask(store, job_id, {"do": "wait", "until": until}, timeout_s=None)
            return
        except Ended:
            wait_down(store, job_id, runs)


def _sleep_until_ended(store: Store, job_id: str) -> None:
    while view(store, job_id).status not in TERMINAL:
        if not store.wait_dead(job_id):
            time.sleep(_NO_LOCK_S)
    store.wait_dead(job_id)  # the supervisor's last line of events comes after the record's end
