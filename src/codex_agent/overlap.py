"""Owns ``overlap``: which agents, ours and other people's, are at work in one tree, and which files met there.

What counts as changed is what was changed through Codex's patches; what a shell command wrote is git's to tell,
and git does not say who. Writes nothing but what a reader remembers (``threads.memory``).
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from time import time

from codex_agent import git, sharing
from codex_agent.errors import CodexAgentError
from codex_agent.model import stamp
from codex_agent.rollouts.head import read_head
from codex_agent.sharing import Agent
from codex_agent.store import Store
from codex_agent.thread_answers import ThreadRow
from codex_agent.threads.listing import Wanted, listing
from codex_agent.threads.memory import read
from codex_agent.work_answers import Apart, ApartFile, OverlapList, SharedFile, Sharer, Tree
from codex_agent.worktrees import apart

# Where the system does not tell who has a thread loaded, one with an open turn counts for so long after its last
# record: longer than a model thinks, mostly.
_LATELY_S = 300


def overlaps(store: Store, codex_home: str, *, ended: bool = False, now: float | None = None) -> OverlapList:
    """The trees that agents share. ``ended``: also with our jobs that have ended and left changes uncommitted."""
    now = time() if now is None else now
    jobs = sharing.living_jobs(store)
    threads, notes = _threads(store, codex_home, jobs, now)
    living = [*jobs, *threads]
    dirty = _Dirty(notes)
    left = _left_behind(store, living, dirty) if ended else []
    trees = [_tree(shared, dirty) for shared in sharing.shared([*living, *left])]
    trees.sort(key=lambda tree: (not tree.shared_files, tree.path))
    return OverlapList(stamp(now), _apart(store, living, ended, notes), trees, len(living), notes)


def _apart(store: Store, living: list[Agent], ended: bool, notes: list[str]) -> list[Apart]:
    """What meets only when it is merged; ``ended``: also what jobs left in their worktrees."""
    found = []
    for met in apart.apart(store, [*living, *(apart.left(store, living) if ended else [])]):
        notes += met.trouble
        agents = [
            _sharer(one, len([path for path, by in met.files.items() if one.id in by])) for one in met.agents
        ]
        found.append(Apart(met.repository, agents, [ApartFile(path, by) for path, by in met.files.items()]))
    return found


class _Dirty:
    """What is uncommitted in each tree, asked of git once."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._known: dict[str, set[str] | None] = {}

    def __call__(self, tree: str) -> set[str] | None:
        if tree not in self._known:
            try:
                self._known[tree] = set(git.changed(tree))
            except CodexAgentError as error:
                self._notes.append(error.message)
                self._known[tree] = None
        return self._known[tree]


def _threads(store: Store, codex_home: str, jobs: list[Agent], now: float) -> tuple[list[Agent], list[str]]:
    """Sessions of others that are loaded. What a sub-agent changed counts for the thread that started it."""
    found = listing(store, codex_home, Wanted(active=True), now=now)
    notes = list(found.notes)
    mine = {job.thread_id: job for job in jobs if job.thread_id}
    unnamed = sharing.without_thread(jobs)
    agents: dict[str, Agent] = {}
    parents: dict[str, str] = {}
    for row in found.threads:
        lately = row.state == "unknown" and row.turn == "open" and row.idle_s <= _LATELY_S
        if row.id in mine or row.cwd is None or row.rollout is None or (row.state == "unknown" and not lately):
            continue
        if os.path.realpath(row.cwd) in unnamed:
            continue  # a job's own, most likely
        try:
            parent = read_head(row.rollout).parent_id
            agents[row.id] = _agent(store.home, row, row.rollout)
        except (OSError, CodexAgentError) as error:
            notes.append(f"Thread {row.id} could not be read: {error}")
            continue
        if parent is not None:
            parents[row.id] = parent
    for thread_id in list(parents):
        first, seen = thread_id, {thread_id}
        while (above := parents.get(first)) is not None and above not in seen:
            first = above
            seen.add(first)
        owner = mine.get(first) or agents.get(first)
        if owner is not None and owner is not agents[thread_id]:
            owner.files += agents.pop(thread_id).files
    return sorted(agents.values(), key=lambda one: one.since), notes


def _agent(home: str, row: ThreadRow, rollout: str) -> Agent:
    state = read(home, rollout, row.id).state
    return Agent(
        id=row.id,
        job_id=None,
        thread_id=row.id,
        name=row.title,
        state=row.state,
        source=row.source,
        folders=[state.cwd or row.cwd or "/"],
        sandbox=state.sandbox,
        since=state.turn_started_at or row.active_at or stamp(),
        files=list(state.files),
    )


def _left_behind(store: Store, living: Iterable[Agent], dirty: _Dirty) -> list[Agent]:
    """Our ended jobs with a changed file that differs from HEAD still, in a tree where somebody else was too."""
    alive = {agent.id for agent in living}
    records = [one for one in store.load_all()[0] if one.facts.ended_at is not None and one.facts.files]
    ended = [sharing.of_job(one, alive=False) for one in records if one.id not in alive]
    found: dict[str, Agent] = {}
    for tree in sharing.shared([*living, *ended]):
        changed = dirty(tree.path) if tree.git else None
        for agent in tree.agents:
            if (
                agent.id not in alive
                and changed
                and any(os.path.realpath(path) in changed for path in agent.files)
            ):
                found[agent.id] = agent
    return list(found.values())


def _sharer(agent: Agent, files: int) -> Sharer:
    return Sharer(
        id=agent.id,
        job_id=agent.job_id,
        thread_id=agent.thread_id,
        name=agent.name,
        state=agent.state,
        source=agent.source,
        cwd=agent.folders[0],
        sandbox=agent.sandbox,
        may_write=agent.may_write,
        files=files,
    )


def _tree(shared: sharing.Shared, dirty: _Dirty) -> Tree:
    by: dict[str, list[str]] = {}
    sharers = []
    for agent in shared.agents:
        # A path may lead through a link, and a file may be gone.
        files = {path for path in map(os.path.realpath, agent.files) if sharing.within(path, shared.path)}
        for path in files:
            by.setdefault(path, []).append(agent.id)
        sharers.append(_sharer(agent, len(files)))
    both = {path: ids for path, ids in sorted(by.items()) if len(ids) > 1}
    changed = dirty(shared.path) if both and shared.git else None
    return Tree(
        path=shared.path,
        git=shared.git,
        branch=git.branch(shared.path) if shared.git else None,
        sharers=sharers,
        shared_files=[
            SharedFile(path, ids, None if changed is None else path in changed) for path, ids in both.items()
        ],
    )
