"""Owns saving a record together with its answer: the job as readers are told it, so that they need not
work it out.

Every save of ours goes through here. Must never change a fact.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from codex_agent.model import Record
from codex_agent.sealed import Sealed
from codex_agent.store import Store
from codex_agent.verdict import job_view, seconds


def save(store: Store, record: Record) -> None:
    """Replaces the record. Raises StoreUnwritable and then the old one still stands."""
    # A name that is no text could not be found again by its bytes in the answer.
    named = record.name is None or record.name.isprintable()
    store.save(record, answer(record) if named else None)


def answer(record: Record) -> Sealed:
    """The job as it is told from now on: for one that has not ended, as long as its lock is held."""
    facts = record.facts
    begun = seconds(facts.started_at or record.created_at)
    job = job_view(record, alive=facts.ended_at is None, now=begun)
    text = json.dumps(asdict(job), ensure_ascii=False).encode("utf-8", "replace")
    begun_ms = round(begun * 1000)
    return Sealed(record.id, job.status, record.created_at, begun_ms, facts.ended_at is not None, text)
