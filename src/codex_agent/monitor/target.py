"""Owns what the words of a call stand for: threads, some of which are only about to begin, and repositories.

Reads what it must to begin; tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from codex_agent import git
from codex_agent.errors import UsageError
from codex_agent.rollouts.head import read_head
from codex_agent.store import Store
from codex_agent.threads.refs import record_of, resolve

from .told import Who

_THREAD = re.compile(r"codex:.*|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # surely no job
_PREFIX = 13  # the part of a thread's id that is its time in milliseconds


@dataclass(slots=True)
class Target:
    """A thread that is watched. ``thread_id`` is None while only our job of it is known."""

    thread_id: str | None
    rollout: str | None
    job_id: str | None
    codex_home: str
    cwd: str | None
    word: str
    """What to call it by the next time."""


def targets(store: Store, codex_home: str, words: Sequence[str]) -> list[Target]:
    """The threads that are meant, each once. Raises what ``threads.refs.resolve`` does."""
    found: list[Target] = []
    for word in words:
        one = _job(store, word) or _thread(store, codex_home, word)
        same = ({one.thread_id, one.job_id} - {None}) if one else set()
        if not any(same & {other.thread_id, other.job_id} for other in found):
            found.append(one)
    return found


def _job(store: Store, word: str) -> Target | None:
    """A job of ours, by its exact id or name: it may have no thread yet."""
    if _THREAD.fullmatch(word):
        return None
    record = record_of(store, word)
    if record is None:
        return None
    facts, request = record.facts, record.request
    return Target(facts.thread_id, facts.rollout, record.id, request.codex_home, request.cwd, record.id)


def _thread(store: Store, codex_home: str, word: str) -> Target:
    ref = resolve(store, codex_home, word)
    cwd = None
    if ref.rollout is not None:
        cwd = read_head(ref.rollout).cwd
    # A job of ours that has ended has nothing more to say about the thread: others may have it by now.
    job_id = ref.job_id if ref.job_id is not None and store.is_alive(ref.job_id) else None
    return Target(ref.thread_id, ref.rollout, job_id, ref.codex_home, cwd, ref.thread_id)


def whos(found: Sequence[Target]) -> list[Who]:
    """How events name each of them: by our job's id, else by the beginning of the thread's."""
    return [
        Who(number, one.thread_id, one.job_id, one.job_id or (one.thread_id or "?")[:_PREFIX])
        for number, one in enumerate(found)
    ]


def repositories(found: Sequence[Target], named: Sequence[str]) -> dict[str, list[int]]:
    """The work trees to watch, and the numbers of the threads at work in each.

    Those that are named (UsageError for what is none), else those that the threads work in.
    """
    own: dict[str, list[int]] = {}
    for number, one in enumerate(found):
        top = git.toplevel(one.cwd) if one.cwd else None
        if top is not None:
            own.setdefault(top, []).append(number)
    if not named:
        return own
    chosen: dict[str, list[int]] = {}
    for path in named:
        top = git.toplevel(path)
        if top is None:
            raise UsageError(f"--repo: {path} is in no git repository.", "Name a folder of a work tree.")
        chosen[top] = own.get(top, [])
    return chosen


def who_of(numbers: Sequence[int], everybody: Sequence[Who], label: str) -> Who:
    """Whom an event of a repository or file is about: the one thread there is, or that works there; else none."""
    if len(everybody) == 1:
        return everybody[0]
    return everybody[numbers[0]] if len(numbers) == 1 else Who(None, None, None, label)
