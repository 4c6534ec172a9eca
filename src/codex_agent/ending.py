"""Owns the end of jobs at somebody's wish: kill, delete, clean.

A running job is only ever asked to end: its supervisor does it and writes it down. Must never delete a job that
lives, nor end anything that is not this job's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from typing import TYPE_CHECKING

from codex_agent import jobs, kernel
from codex_agent.errors import BadState, CodexAgentError, GitFailed, JobNotFound, StoreUnwritable
from codex_agent.model import TERMINAL, Job, Problem, Process
from codex_agent.sealed import is_id
from codex_agent.store import Store
from codex_agent.tracking import wrappers
from codex_agent.verdict import seconds

if TYPE_CHECKING:
    from codex_agent.worktrees.looking import Seen

# The ladder and the sweep take 14 s at the very worst; a supervisor that is stopped (SIGSTOP) never answers.
_PATIENCE_S = 15.0
_COME_UP_S = 60.0


def kill(store: Store, job_id: str) -> Job:
    """Ends a running job and returns it ended. Raises BadState if it had ended before."""
    job = jobs.view(store, job_id)
    if job.status in TERMINAL:
        raise BadState(
            f"Job {job_id} has already ended ({job.status}).",
            "Nothing was changed.",
            id=job_id,
            status=job.status,
        )
    supervisor = _supervisor(store, job_id)
    if supervisor is not None:
        with contextlib.suppress(StoreUnwritable):  # a full disk must not keep anybody from ending a job
            store.event(job_id, "kill_asked", by_pid=os.getpid())
        kernel.send(supervisor, signal.SIGTERM)
        if not jobs.wait(store, [job_id], timeout_s=_PATIENCE_S) and kernel.send(supervisor, signal.SIGKILL):
            # It did not answer. Its death ends Codex, and the guardian or we settle the rest.
            jobs.wait(store, [job_id], timeout_s=_PATIENCE_S)
    job = jobs.view(store, job_id)
    if job.status not in TERMINAL:
        raise CodexAgentError(
            f"Job {job_id} could not be ended.", f"codex-agent attach {job_id} shows it.", id=job_id
        )
    return job


def _supervisor(store: Store, job_id: str) -> Process | None:
    """The job's supervisor; one that is only coming up is waited for. None if the job ended meanwhile."""
    deadline = time.monotonic() + _COME_UP_S
    while True:
        record = store.load(job_id)
        if record.facts.ended_at is not None or not store.is_alive(job_id):
            return None
        begun = record.facts.started_at is not None or record.facts.queue is not None
        if record.facts.supervisor is not None and begun:
            return record.facts.supervisor
        if time.monotonic() > deadline:
            raise BadState(f"Job {job_id} is still being started.", "Try again in a moment.", id=job_id)
        time.sleep(0.02)


def delete(store: Store, job_id: str, trees: _Worktrees | None = None) -> None:
    """Removes an ended job's files, and the worktree that no other job has.

    Raises BadState if it runs, WorkAtRisk if work would be lost with its worktree. A record that cannot be read
    stays.
    """
    job = jobs.view(store, job_id)
    if job.status not in TERMINAL:
        raise BadState(
            f"Job {job_id} is {job.status}.",
            f"End it first: codex-agent kill {job_id}",
            id=job_id,
            status=job.status,
        )
    store.wait_dead(job_id)  # its supervisor may be about to write its last line of events
    (trees or _Worktrees(store)).remove(job_id)
    with store.settling():
        if store.load(job_id).facts.ended_at is None:
            raise BadState(f"Job {job_id} runs again.", "It was reopened at this moment.", id=job_id)
        track = store.load(job_id).request.track
        store.delete(job_id)
        wrappers.forget(store.home, track)


class _Worktrees:
    """The worktrees of jobs that are about to be deleted; most jobs have none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: Seen | None = None

    def remove(self, job_id: str, *, dry_run: bool = False) -> None:
        """Removes the job's, if no other job has it. Raises if work would be lost."""
        record = self._store.load(job_id)
        if record.request.worktree is not None:
            from codex_agent.worktrees import looking, removing

            self._seen = self._seen or looking.Seen.of(self._store)
            removing.with_job(self._store, record, self._seen, dry_run=dry_run)


def clean(store: Store, *, older_than_s: float, dry_run: bool) -> tuple[list[Job], list[Problem]]:
    """Removes the jobs that ended longer ago than that: them, oldest first, and those that were kept, and why.

    A job is kept while there is work in its worktree that is nowhere else. Also removes the temporary files of
    writers that died. Records that cannot be read are left.
    """
    now = time.time()
    old = [
        job
        for job in jobs.listing(store).jobs
        if job.status in TERMINAL and job.completed_at and now - seconds(job.completed_at) >= older_than_s
    ]
    old.sort(key=lambda job: job.completed_at or "")
    removed: list[Job] = []
    kept: list[Problem] = []
    trees = _Worktrees(store)
    for job in old:
        try:
            if dry_run:
                trees.remove(job.id, dry_run=True)
            else:
                delete(store, job.id, trees)
        except JobNotFound:
            continue  # another clean was faster
        except (BadState, GitFailed) as error:
            kept.append(Problem(job.id, None, error.code, f"{error.message} {error.hint or ''}".strip()))
            continue
        removed.append(job)
    if not dry_run:
        _sweep_leftovers(store, now - older_than_s)
    return removed, kept


def _sweep_leftovers(store: Store, before: float) -> None:
    """What writers that were killed left: temporary files, and files of a job that never got its record."""
    try:
        entries = list(os.scandir(store.folder))
    except FileNotFoundError:
        return
    for entry in entries:
        job_id = entry.name.lstrip(".").split(".")[0]
        temporary = entry.name.startswith(".") and entry.name.endswith(".tmp")
        if not is_id(job_id) or (not temporary and os.path.exists(store.path(job_id, ".json"))):
            continue
        try:
            if entry.stat(follow_symlinks=False).st_mtime > before or store.is_alive(job_id):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        except FileNotFoundError:
            continue
