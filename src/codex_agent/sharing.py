"""Owns who is at work where: which agents share a working tree, and what a new one should be told of that.

Reads records, git's files and the beginnings of a few rollouts; starts no process. Two agents in one tree are a
fact here and no fault: whoever asks says what that means.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from time import time

from codex_agent import git, sealing
from codex_agent.errors import CodexAgentError, JobNotFound, RecordUnreadable
from codex_agent.model import Record, stamp
from codex_agent.store import Store
from codex_agent.threads.owner import Owners, Unknown
from codex_agent.verdict import job_view

READS = "read-only"
# Of a stranger's rollout `start` reads so much and no more to find its sandbox; else that counts as unknown.
_CHEAP = 4 << 20
_NAMED = 4  # agents that a warning names


@dataclass(slots=True)
class Agent:
    """Somebody at work. ``folders``: its working directory, then what else it may write."""

    id: str
    job_id: str | None
    thread_id: str | None
    name: str | None
    state: str
    source: str | None
    folders: list[str]
    sandbox: str | None
    since: str
    files: list[str] = field(default_factory=list)
    """What it changed through Codex, absolute; a move counts as both paths."""
    after: list[str] = field(default_factory=list)
    """Jobs that end before this one begins."""
    rollout: str | None = None

    @property
    def may_write(self) -> bool:
        """Whether its sandbox lets it; also where nobody knows its sandbox."""
        return self.sandbox != READS


@dataclass(slots=True)
class Shared:
    """A tree with more than one agent."""

    path: str
    git: bool
    agents: list[Agent]


def of_job(record: Record, *, alive: bool) -> Agent:
    """One of our jobs."""
    request, job = record.request, job_view(record, alive=alive, now=time())
    working = job.turn_state if job.status == "running" else None
    return Agent(
        id=record.id,
        job_id=record.id,
        thread_id=record.facts.thread_id,
        name=record.name,
        state=working or job.status,
        source=None,
        folders=[request.cwd, *(request.add_dirs if request.sandbox != READS else [])],
        sandbox=request.sandbox,
        since=record.created_at,
        files=list(record.facts.files),
        after=[*request.after, *request.after_any],
    )


def living_jobs(store: Store) -> list[Agent]:
    """Our jobs that run or are queued, the longest running first, from their records alone."""
    found = []
    for job_id in store.ids():
        # The lock first: it costs less than a record, and most jobs have ended.
        if store.is_alive(job_id):
            with contextlib.suppress(JobNotFound, RecordUnreadable):  # `jobs` names what cannot be read
                record = store.load(job_id)
                if record.facts.ended_at is None:
                    found.append(of_job(record, alive=True))
    return sorted(found, key=lambda one: one.since)


def shared(agents: Iterable[Agent]) -> list[Shared]:
    """The trees with more than one of these agents, by path.

    A git work tree is a tree (a linked one too, and a submodule); outside git, a folder with all below it is. Who
    works outside git and may write is also in the git trees below its folder.
    """
    where = cache(place)  # many are in the same folder
    spots = [(agent, *where(folder)) for agent in agents for folder in agent.folders]
    kinds = {path: is_git for _, path, is_git in spots}
    outside = [path for path, is_git in kinds.items() if not is_git]
    trees = []
    for tree, is_git in sorted(kinds.items()):
        if not is_git and any(within(tree, folder, itself=False) for folder in outside):
            continue  # the outermost of them has all that is in here
        members: dict[str, Agent] = {}
        for agent, path, in_git in spots:
            around = not in_git and (agent.may_write and within(tree, path) if is_git else within(path, tree))
            if path == tree or around:
                members[agent.id] = agent
        if len(members) > 1:
            trees.append(Shared(tree, is_git, list(members.values())))
    return trees


def without_thread(jobs: Iterable[Agent]) -> set[str]:
    """Where jobs work that have begun this moment and do not know their threads yet."""
    return {job.folders[0] for job in jobs if job.thread_id is None and job.state not in ("pending", "queued")}


def place(folder: str) -> tuple[str, bool]:
    """Where the tree begins that a folder is in, and whether that is git's."""
    top = git.toplevel(folder)
    return (os.path.realpath(folder), False) if top is None else (top, True)


def within(path: str, folder: str, *, itself: bool = True) -> bool:
    """Whether a path lies below a folder, or is it."""
    return path.startswith(os.path.join(folder, "")) or (itself and path == folder)


def warn(store: Store, record: Record) -> list[str]:
    """Puts ``warnings`` into the record of a job that was saved and does not run yet, and returns them.

    Saved before, so that of two starts at once the later one sees the other.
    """
    told = warnings(store, record)
    if told:
        record.facts.warnings += told
        sealing.save(store, record)
    return told


def warnings(store: Store, record: Record) -> list[str]:
    """What whoever starts this job should be told: who else works in its tree, if both may write there.

    Costs a look at each job's lock, the records of those that live, and the first lines of rollouts that somebody
    else has loaded. Jobs that one of the two waits for are no concern.
    """
    new = of_job(record, alive=True)
    if not new.may_write:
        return []
    jobs = living_jobs(store)
    threads = _loaded(record.request.codex_home, jobs)
    others = [one for one in [*jobs, *threads] if one.id != new.id and not _in_turn(new, one, jobs)]
    told = []
    for tree in shared([new, *others]):
        writers = [one for one in tree.agents if one is not new and _writes(one)]
        if new in tree.agents and writers:
            told.append(_warning(tree, writers))
    return told


def _warning(tree: Shared, writers: Sequence[Agent]) -> str:
    names = [_called(one) for one in writers[:_NAMED]]
    more = f" and {len(writers) - _NAMED} more" if len(writers) > _NAMED else ""
    apart = "its own work tree (--worktree)" if tree.git else "its own folder"
    return (
        f"Also at work in {tree.path}, and may write there: {', '.join(names)}{more}. They see each other's "
        f"changes at once; give each {apart}, or -s read-only (codex-agent overlap; --no-overlap-check)."
    )


def _called(agent: Agent) -> str:
    if agent.job_id is not None:
        return f"job {agent.id} ({agent.name})" if agent.name else f"job {agent.id}"
    return f"Codex session {agent.id} ({agent.source})" if agent.source else f"Codex session {agent.id}"


def _loaded(codex_home: str, jobs: Sequence[Agent]) -> list[Agent]:
    """Threads that somebody else's Codex has loaded, as far as its own locks tell (0.150 and later).

    Sub-agents are left out: they belong to the thread that started them.
    """
    mine = {job.thread_id for job in jobs}
    unnamed = without_thread(jobs)
    found = []
    with contextlib.suppress(Unknown):  # then nothing is known of threads, here as everywhere
        for thread_id in Owners(codex_home).locked(but=mine):
            # Late, like all that reads rollouts here: mostly there is none to read.
            from codex_agent.rollouts import locate
            from codex_agent.rollouts.head import read_head

            path = locate.find(codex_home, thread_id)
            try:
                head = None if path is None else read_head(path)
            except (OSError, CodexAgentError):
                continue  # archived or compressed meanwhile: nobody works on it
            if head is None or head.cwd is None or head.parent_id or os.path.realpath(head.cwd) in unnamed:
                continue
            since = head.created_at or stamp()
            agent = Agent(thread_id, None, thread_id, None, "unknown", head.source, [head.cwd], None, since)
            agent.rollout = path
            found.append(agent)
    return found


def _writes(agent: Agent) -> bool:
    """Whether it may write; of a stranger its rollout tells, if that is not long."""
    if agent.rollout is not None:
        from codex_agent.rollouts import Reader

        with contextlib.suppress(OSError, CodexAgentError):
            if os.path.getsize(agent.rollout) <= _CHEAP:
                reader = Reader(agent.rollout, thread_id=agent.thread_id)
                reader.read_new()
                agent.sandbox = reader.state.sandbox
    return agent.may_write


def _in_turn(one: Agent, other: Agent, jobs: Sequence[Agent]) -> bool:
    """Whether one of the two begins only when the other has ended."""
    after = {job.id: job.after for job in jobs}

    def waits(first: str, for_: str) -> bool:
        seen, left = set[str](), [first]
        while left:
            job_id = left.pop()
            if job_id not in seen:
                seen.add(job_id)
                left += after.get(job_id, [])
        return for_ in seen

    return waits(one.id, other.id) or waits(other.id, one.id)
