"""Owns what agents in different worktrees of one repository have both changed: it meets when they are merged.

What counts is what an agent changed through Codex, and in a job's own worktree whatever differs from its base.
Only reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from codex_agent import git, sharing
from codex_agent.errors import CodexAgentError
from codex_agent.git import changes
from codex_agent.model import Record
from codex_agent.sharing import Agent
from codex_agent.store import Store
from codex_agent.worktrees import looking


@dataclass(slots=True)
class Met:
    """A repository, the agents in its worktrees, and the files (relative paths) that more than one has changed."""

    repository: str
    agents: list[Agent]
    files: dict[str, list[str]] = field(default_factory=dict)
    trouble: list[str] = field(default_factory=list)


def apart(store: Store, agents: Iterable[Agent]) -> list[Met]:
    """The repositories where agents in different worktrees have changed the same file."""
    spots: dict[str, list[tuple[Agent, str]]] = {}
    for agent in agents:
        for tree in dict.fromkeys(sharing.place(folder) for folder in agent.folders):
            where = git.place(tree[0]) if tree[1] else None
            if where is not None:
                spots.setdefault(where.common, []).append((agent, tree[0]))
    found = []
    seen: looking.Seen | None = None
    for repository, members in sorted(spots.items()):
        if len({tree for _, tree in members}) > 1:
            seen = seen or looking.Seen.of(store)
            met = _met(store, repository, members, seen)
            if met.files:
                found.append(met)
    return found


def left(store: Store, living: Iterable[Agent]) -> list[Agent]:
    """Ended jobs with work in their worktrees that is not merged yet; of several in one tree the newest."""
    alive = {agent.id for agent in living}
    found = []
    for records in looking.Seen.of(store).by_path.values():
        record = records[0]
        if record.facts.ended_at is None or alive & {one.id for one in records}:
            continue
        row = looking.row_of(store, records)
        if row is not None and row.there and (row.unmerged or row.uncommitted):
            found.append(sharing.of_job(record, alive=False))
    return found


def _met(store: Store, repository: str, members: list[tuple[Agent, str]], seen: looking.Seen) -> Met:
    by: dict[str, dict[str, str]] = {}
    met = Met(repository, [])
    for agent, tree in members:
        inside = os.path.join(tree, "")
        paths = {path[len(inside) :] for path in map(os.path.realpath, agent.files) if path.startswith(inside)}
        try:
            paths |= _changed(store, agent, tree, seen)
        except CodexAgentError as error:
            met.trouble.append(error.message)
        for path in paths:
            by.setdefault(path, {})[agent.id] = tree
    met.files = {path: list(who) for path, who in sorted(by.items()) if len(set(who.values())) > 1}
    meant = {agent_id for who in met.files.values() for agent_id in who}
    met.agents = list({agent.id: agent for agent, _ in members if agent.id in meant}.values())
    return met


def _changed(store: Store, agent: Agent, tree: str, seen: looking.Seen) -> set[str]:
    """What differs from the base in a job's own worktree: nobody else writes there."""
    record: Record | None = None if agent.job_id is None else store.load(agent.job_id)
    if record is None or record.request.worktree is None or record.request.worktree.path != tree:
        return set()
    one = looking.Work(store, record, record.request.worktree, seen.by_path.get(tree, []))
    said = changes.diff(tree, one.since, "--numstat", "-z", "--no-renames")
    return {each.path for each in changes.numbers(said)}
