"""Owns ``cost``: what jobs and threads have used, added up by job, model, day or folder, and what that costs.

Every thread is counted once, whoever went on with it or forked it. Must never guess a price.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from codex_agent.cost import add_up, as_of, bill
from codex_agent.cost_answers import By, CostReport, CostRow, RateLimit
from codex_agent.model import Record, Spent, stamp
from codex_agent.rollouts import locate
from codex_agent.store import Store
from codex_agent.threads import refs
from codex_agent.threads.spending import Census, limits_of


@dataclass(slots=True)
class _Item:
    """What one thread, or one job, has used itself; ``agent``: it is somebody's sub-agent."""

    root: str
    cwd: str
    spent: list[Spent]
    agent: bool
    threads: int = 1
    job_id: str | None = None
    name: str | None = None


@dataclass(slots=True)
class _Sum:
    """What goes into one row."""

    own: list[Spent] = field(default_factory=list)
    agents: list[Spent] = field(default_factory=list)
    threads: int = 0
    job_id: str | None = None
    name: str | None = None


def report(
    store: Store, codex_home: str, words: Sequence[str], *, by: By, since: str | None, prices: Sequence[str]
) -> CostReport:
    """What these jobs and threads have used; all of the CODEX_HOME's threads if none is named.

    ``since`` is a day (UTC) such as 2026-11-21. A job's own part of its thread is counted where a job is named.
    Raises ThreadNotFound, AmbiguousId.
    """
    notes: list[str] = []
    items, limits = _named(store, codex_home, words, notes) if words else _all(store, codex_home, since, notes)
    sums: dict[str, _Sum] = {}
    for one in items:
        one.spent = [spent for spent in one.spent if since is None or spent.day >= since]
        parts: dict[str, list[Spent]] = {}
        for spent in one.spent:
            parts.setdefault(_key(one, spent, by), []).append(spent)
        for key, part in parts.items():
            row = sums.setdefault(key, _Sum())
            (row.agents if one.agent else row.own).extend(part)
            row.threads += one.threads
            if by == "job" and not one.agent:
                row.job_id, row.name = one.job_id, one.name
    rows = [_row(key, one, prices) for key, one in sums.items()]
    if by == "day":
        rows.sort(key=lambda row: row.key)
    else:
        rows.sort(key=lambda row: (-row.known_usd, row.key))
    whole = _Sum(
        [spent for one in items if not one.agent for spent in one.spent],
        [spent for one in items if one.agent for spent in one.spent],
        sum(one.threads for one in items if one.spent),
    )
    return CostReport(stamp(), by, since, as_of(), rows, _row("total", whole, prices), limits, notes)


def _named(
    store: Store, codex_home: str, words: Sequence[str], notes: list[str]
) -> tuple[list[_Item], list[RateLimit]]:
    """Jobs by their records, threads with their sub-agents by their rollouts; each thread once."""
    threads: dict[str, list[str]] = {}  # by CODEX_HOME
    records: list[Record] = []
    for word in dict.fromkeys(words):
        record = refs.record_of(store, word)
        if record is None:
            ref = refs.resolve(store, codex_home, word)
            threads.setdefault(ref.codex_home, []).append(ref.thread_id)
        elif record.id not in [one.id for one in records]:
            records.append(record)
    jobs = _jobs(store)
    items: list[_Item] = []
    counted: set[str] = set()
    limits: list[RateLimit] = []
    for home, wanted in threads.items():
        census = Census(store, locate.everything(home, archived=True))
        within = {thread for root in wanted for thread in census.family(root)}
        family = {thread: root for root in wanted if root not in within for thread in census.family(root)}
        for thread in dict.fromkeys([*wanted, *family]):
            if thread not in counted and thread in census.heads:
                counted.add(thread)
                items.append(_thread(census, thread, family.get(thread), jobs))
        limits = _newest(limits, census, counted)
        notes += [f"{path} cannot be read." for path in census.unreadable]
    for record in records:
        if record.facts.thread_id in counted:
            notes.append(f"Job {record.id} is counted with its thread {record.facts.thread_id}.")
        else:
            items += _job(record)
    return items, limits


def _all(
    store: Store, codex_home: str, since: str | None, notes: list[str]
) -> tuple[list[_Item], list[RateLimit]]:
    """Every thread of this CODEX_HOME; of those not written to since then, the first line alone is read."""
    found = locate.everything(codex_home, archived=True)
    recent = [one.thread_id for one in found if since is None or stamp(one.changed_at)[:10] >= since]
    census = Census(store, found)
    families = {root: census.family(root) for root in census.roots()}
    root_of = {child: root for root, family in families.items() for child in family}
    jobs = _jobs(store)
    items = [_thread(census, thread, root_of.get(thread), jobs) for thread in recent if thread in census.heads]
    notes += [f"{path} cannot be read." for path in census.unreadable]
    return items, _newest([], census, recent)


def _thread(census: Census, thread: str, root: str | None, jobs: Mapping[str, Record]) -> _Item:
    """One thread; ``root``: whose sub-agent it is. ``jobs``: our job of each thread."""
    state = census.state(thread)
    cwd = state.cwd or census.heads[thread].cwd or "unknown"
    item = _Item(root or thread, cwd, list(state.spent), root is not None)
    if item.root in jobs:
        item.job_id, item.name = jobs[item.root].id, jobs[item.root].name
    return item


def _jobs(store: Store) -> dict[str, Record]:
    """Our newest job of each thread."""
    records = sorted(store.load_all()[0], key=lambda one: one.created_at)
    return {record.facts.thread_id: record for record in records if record.facts.thread_id is not None}


def _job(record: Record) -> list[_Item]:
    """A job's own part of its thread, and its sub-agents."""
    facts, cwd = record.facts, record.request.cwd
    made = [_Item(record.id, cwd, list(facts.spent), False, job_id=record.id, name=record.name)]
    if facts.agents_spent:
        made.append(_Item(record.id, cwd, list(facts.agents_spent), True, facts.agents))
    return made


def _newest(known: list[RateLimit], census: Census, threads: Iterable[str]) -> list[RateLimit]:
    told = [limits_of(census.state(thread)) for thread in threads if thread in census.heads]
    return max([known, *told], key=lambda one: one[0].at or "" if one else "")


def _key(one: _Item, spent: Spent, by: By) -> str:
    if by == "job":
        return one.root
    if by == "dir":
        return one.cwd
    return (spent.model if by == "model" else spent.day) or "unknown"


def _row(key: str, of: _Sum, prices: Sequence[str]) -> CostRow:
    spent = add_up([*of.own, *of.agents])
    made, agents = bill(spent, prices), bill(of.agents, prices)
    given, out = sum(one.input for one in spent), sum(one.output for one in spent)
    return CostRow(
        key=key,
        job_id=of.job_id,
        name=of.name,
        threads=of.threads,
        input=given,
        cached_input=sum(one.cached_input for one in spent),
        cache_write=sum(one.cache_write for one in spent),
        output=out,
        reasoning=sum(one.reasoning for one in spent),
        total=given + out,
        cost_usd=made.total,
        agents_cost_usd=agents.total if of.agents else None,
        known_usd=round(made.usd, 6),
        unpriced=made.unpriced,
    )
