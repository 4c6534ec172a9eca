"""Owns the shape of what ``cost`` says. Only shapes, as in ``answers.py``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.model import doc

By = Literal["job", "model", "day", "dir"]


@dataclass(slots=True)
class RateLimit:
    """One of the account's limits, as a rollout last tells of it."""

    name: str = doc("primary or secondary; behind the limit's own name where that is not codex.")
    used_pct: float = doc("How much of it was used, 0 to 100.")
    window_min: int | None = doc("Over how many minutes it is counted.")
    resets_at: str | None = doc("When it begins anew.")
    at: str | None = doc("When this was said.")


@dataclass(slots=True)
class CostRow:
    """What one job, thread, model, day or folder has used."""

    key: str = doc("The job's or thread's id, the model, the day in UTC, or the folder.")
    job_id: str | None = doc("With `--by job`: our job.")
    name: str | None = doc("With `--by job`: the job's name.")
    threads: int = doc("Threads that used something of it, sub-agents included.")
    input: int = doc("Input tokens, cached ones included.")
    cached_input: int = doc("The part of `input` that came from the cache.")
    cache_write: int = doc("The part of `input` that was written to the cache.")
    output: int = doc("Output tokens, reasoning included.")
    reasoning: int = doc("The part of `output` spent on reasoning.")
    total: int = doc("Input plus output.")
    cost_usd: float | None = doc("What that costs; null if a price is unknown.")
    agents_cost_usd: float | None = doc("The part of it that sub-agents have used; null if none did, or as above.")
    known_usd: float = doc("What the models with a price have cost.")
    unpriced: list[str] = doc("Models whose price is unknown.")


@dataclass(slots=True)
class CostReport:
    """`cost`: what tokens were used, and what they cost."""

    generated_at: str = doc("When this was put together.")
    by: By = doc("What a row is.")
    since: str | None = doc("The first day that is counted, in UTC.")
    prices_as_of: str = doc("The day of the package's price list.")
    rows: list[CostRow] = doc("The rows; days in order, others by cost.")
    total: CostRow = doc("All of them together; its key is `total`.")
    limits: list[RateLimit] = doc("The account's limits, as the newest of these threads tells of them.")
    notes: list[str] = doc("What could not be counted, and why.")
