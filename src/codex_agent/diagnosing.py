"""Owns the question why a job is as it is: everything that is known of it, the likely cause, what to do.

Looks further than ``<id>.debug.json`` does: at the kernel's log, the account's limits in the rollout, whether
somebody is logged in now. Must never change a job (but, through ``jobs``, write the end of one whose supervisor
died), and never show a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from codex_agent import circumstances, debug_file, jobs, oom
from codex_agent.diagnosis_answers import Diagnosis
from codex_agent.model import Facts, Record
from codex_agent.rollouts import limits
from codex_agent.store import Store
from codex_agent.verdict import seconds


def diagnose(store: Store, job_id: str, environ: Mapping[str, str]) -> Diagnosis:
    """Why this job is as it is. ``job_id`` is a whole id; ``environ`` the caller's.

    Starts a process only to ask Codex about its login, where a login may be the cause.
    """
    job = jobs.view(store, job_id)
    record = store.load(job_id)
    seen = debug_file.seen(store, record, alive=job.completed_at is None)
    seen.rollout_limits = _limits(record.facts)
    seen.kernel = _kernel(record)
    seen.login = circumstances.login(record, environ)
    seen.refused = circumstances.refused(record, store.path(job_id, ".jsonl"))
    return debug_file.put_together(store, seen, debug_file.kept(store, job_id))


def _limits(facts: Facts) -> dict[str, Any] | None:
    if facts.rollout is None:
        return None
    try:
        return limits.last_limits(facts.rollout)
    except OSError:
        return None  # archived or removed: the limits are one more thing that is not known


def _kernel(record: Record) -> list[str]:
    """What the kernel's log says of this job's processes."""
    facts = record.facts
    pids = [each.pid for each in (facts.supervisor, facts.codex, facts.viewer) if each is not None]
    return oom.told(pids, seconds(facts.started_at or record.created_at)) if pids else []
