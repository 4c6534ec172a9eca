"""Owns the list of all Codex sessions: from Codex's own index where it can be read, held against the files.

Names and times of all files are looked at, contents only of what is shown (or, without an index, of what a filter
has to know). Writes nothing.
"""

from __future__ import annotations

import heapq
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from codex_agent import index
from codex_agent.model import stamp
from codex_agent.rollouts import locate
from codex_agent.rollouts.head import Head, read_head
from codex_agent.rollouts.tail import End, end_of
from codex_agent.store import Store
from codex_agent.thread_answers import Owner, ThreadList, ThreadRow
from codex_agent.threads.owner import Owners, Unknown
from codex_agent.threads.refs import jobs_of
from codex_agent.threads.state import judge
from codex_agent.threads.telling import job_now, last_active, title_of

_MOST_NAMED = 3


@dataclass(slots=True)
class Wanted:
    """Which threads. ``cwd``: at work in this folder or below; ``since_s``: active within so many seconds."""

    cwd: str | None = None
    source: str | None = None
    since_s: float | None = None
    active: bool = False
    archived: bool = False
    limit: int | None = None


@dataclass(slots=True)
class _Thread:
    """What is known of one thread before its contents are looked at."""

    found: locate.Found
    row: index.Row | None
    head: Head | None = None

    def told(self) -> Head | index.Row:
        """Who says where it comes from and where it works: the index, or the file's first line."""
        if self.row is not None:
            return self.row
        if self.head is None:
            try:
                self.head = read_head(self.found.path)
            except OSError:  # moved since it was listed
                self.head = Head()
        return self.head


def listing(store: Store, codex_home: str, wanted: Wanted, *, now: float | None = None) -> ThreadList:
    """The threads, newest activity first. Codex's home need not exist."""
    now = time.time() if now is None else now
    found = locate.everything(codex_home, archived=wanted.archived)
    rows, notes = _rows(codex_home)
    owners = Owners(codex_home)
    known_jobs = jobs_of(store)
    threads = [_Thread(one, None if rows is None else rows.get(one.thread_id)) for one in found]
    if rows is not None:
        notes += _disagreements(threads, rows, archived=wanted.archived)
    threads.sort(key=lambda one: (one.found.changed_at, one.found.thread_id), reverse=True)
    kept = [one for one in threads if _is_wanted(one, wanted, now)]
    if wanted.active:
        kept = _maybe_loaded(kept, owners, known_jobs, notes)
    shown: list[ThreadRow] = []
    newest: list[tuple[str, str]] = []  # of what is shown, as many as are wanted; the oldest of them first
    for one in kept:
        # Nothing was written about a thread after its file was changed, so none of the rest can be newer.
        full = wanted.limit is not None and len(newest) == wanted.limit
        if full and not wanted.active and stamp(one.found.changed_at) < newest[0][0]:
            break
        row = row_of(one.found, one.told, store, owners, known_jobs.get(one.found.thread_id), now=now)
        if wanted.active and row.state == "closed":
            continue
        shown.append(row)
        (heapq.heappushpop if full else heapq.heappush)(newest, _order(row))
    total = len(shown) if wanted.active else len(kept)
    shown.sort(key=_order, reverse=True)
    shown = shown[: wanted.limit]
    return ThreadList(stamp(now), codex_home, "rollouts" if rows is None else "index", notes, shown, total)


def _order(row: ThreadRow) -> tuple[str, str]:
    return row.active_at or "", row.id


def row_of(
    found: locate.Found,
    told: Callable[[], Head | index.Row],
    store: Store,
    owners: Owners,
    job_id: str | None,
    *,
    now: float,
) -> ThreadRow:
    """One thread as it stands. ``told`` says what the index, or else its first line, has."""
    about = told()
    row = about if isinstance(about, index.Row) else None
    try:
        end, title = end_of(found.path), title_of(row, found.path)
    except OSError:  # moved since it was listed
        end, title = End(), row.title if row else None
    job = job_now(store, job_id)
    verdict = judge(end.turn, loaded=_loaded(owners, found), job=job, unmarked=end.unmarked)
    active_at = last_active(end.last_at, found.changed_at, now)
    return ThreadRow(
        id=found.thread_id,
        source=about.source,
        cwd=about.cwd,
        title=title,
        model=end.model or (row.model if row else None),
        state=verdict.state,
        turn=verdict.turn,
        active_at=stamp(active_at),
        idle_s=max(0, round(now - active_at)),
        tokens=end.tokens or (row.tokens if row else None),
        job_id=job_id,
        archived=found.archived,
        rollout=found.path,
    )


def _loaded(owners: Owners, found: locate.Found) -> bool | None:
    try:
        owner: Owner | None = owners.of(found.thread_id, found.path)
    except Unknown:
        return None
    return owner is not None


def _rows(codex_home: str) -> tuple[dict[str, index.Row] | None, list[str]]:
    try:
        return index.rows(codex_home), []
    except index.Unreadable as error:
        return None, [f"Codex's index cannot be read ({error}); the list is made from the rollouts."]


def _disagreements(threads: list[_Thread], rows: dict[str, index.Row], *, archived: bool) -> list[str]:
    there = {one.found.thread_id for one in threads}
    gone = [row.id for row in rows.values() if (archived or not row.archived) and row.id not in there]
    strange = [one.found.thread_id for one in threads if one.row is None]
    notes = []
    if gone:
        notes.append(f"{_some(gone)} in Codex's index, and not among the rollouts.")
    if strange:
        notes.append(f"{_some(strange)} among the rollouts, and not in Codex's index.")
    return notes


def _some(ids: list[str]) -> str:
    named = ", ".join(sorted(ids)[:_MOST_NAMED]) + (", ..." if len(ids) > _MOST_NAMED else "")
    return f"{len(ids)} thread{'s are' if len(ids) > 1 else ' is'} ({named})"


def _is_wanted(one: _Thread, wanted: Wanted, now: float) -> bool:
    if wanted.since_s is not None and now - one.found.changed_at > wanted.since_s:
        return False
    if wanted.source is not None and one.told().source != wanted.source:
        return False
    if wanted.cwd is None:
        return True
    cwd = one.told().cwd
    return cwd is not None and os.path.join(cwd, "").startswith(os.path.join(wanted.cwd, ""))


def _maybe_loaded(
    threads: Iterable[_Thread], owners: Owners, known_jobs: dict[str, str], notes: list[str]
) -> list[_Thread]:
    """Those that some process may have loaded; all, where nobody can tell."""
    try:
        some = owners.candidates()
    except Unknown as error:
        notes.append(f"Which threads are active cannot be told here: {error}")
        return list(threads)
    return [one for one in threads if one.found.thread_id in some or one.found.thread_id in known_jobs]
