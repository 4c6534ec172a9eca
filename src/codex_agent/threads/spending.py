"""Owns what threads have used: who is whose sub-agent, and what each has used itself.

A thread is counted by its own rollout alone: a resume goes on in the same file, and what a fork or a sub-agent was
given of its parent's history is left out by the reader. Writes nothing but its memory of large rollouts.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from codex_agent.cost_answers import RateLimit
from codex_agent.model import Spent, stamp
from codex_agent.rollouts import Reader, RolloutState, locate
from codex_agent.rollouts.head import Head, read_head
from codex_agent.store import Store
from codex_agent.threads.memory import read


class Census:
    """These rollouts, and how they are related. What cannot be read is left out, and named in ``unreadable``."""

    def __init__(self, store: Store, found: Iterable[locate.Found]) -> None:
        self._home = store.home
        self.heads: dict[str, Head] = {}
        self.unreadable: list[str] = []
        self._paths: dict[str, str] = {}
        self._changed: dict[str, float] = {}
        self._readers: dict[str, Reader] = {}
        self._children: dict[str, list[str]] = {}
        self._orphans: list[str] = []
        for one in sorted(found, key=lambda each: each.thread_id):
            try:
                head = read_head(one.path)
            except OSError:
                self.unreadable.append(one.path)
                continue
            self.heads[one.thread_id] = head
            self._paths[one.thread_id], self._changed[one.thread_id] = one.path, one.changed_at
            if head.parent_id is not None:
                self._children.setdefault(head.parent_id, []).append(one.thread_id)
            elif head.source == "subagent":
                self._orphans.append(one.thread_id)  # a reviewer of 0.133

    def state(self, thread_id: str) -> RolloutState:
        """What this thread's rollout adds up to; nothing, if it cannot be read."""
        return self._reader(thread_id).state

    def family(self, thread_id: str) -> list[str]:
        """The thread's sub-agents, and theirs."""
        found: list[str] = []
        queue = [thread_id]
        while queue:
            one = queue.pop(0)
            for child in (*self._children.get(one, ()), *self._adopted(one)):
                if child != thread_id and child not in found:
                    found.append(child)
                    queue.append(child)
        return found

    def roots(self) -> list[str]:
        """Threads that are nobody's sub-agents, as far as these rollouts tell."""
        adopted = {child for one in self.heads for child in self._adopted(one)} if self._orphans else set()
        return [one for one, head in self.heads.items() if head.parent_id not in self.heads and one not in adopted]

    def _adopted(self, thread_id: str) -> list[str]:
        """Reviewers whose first line names no parent: the turn they have is in that one's rollout too."""
        if not self._orphans or thread_id not in self.heads or thread_id in self._orphans:
            return []
        # Who wrote nothing since a reviewer was born has not asked for it.
        young = [one for one in self._orphans if (locate.created_at(one) or 0.0) <= self._changed[thread_id]]
        turns = self._reader(thread_id).fold.turns if young else set()
        return [one for one in young if self.state(one).turn_id in turns]

    def _reader(self, thread_id: str) -> Reader:
        reader = self._readers.get(thread_id)
        if reader is None:
            path = self._paths[thread_id]
            try:
                reader = read(self._home, path, thread_id)
            except OSError:
                self.unreadable.append(path)
                reader = Reader(path, thread_id=thread_id)
            self._readers[thread_id] = reader
        return reader


def agents_of(store: Store, codex_home: str, thread_id: str) -> list[Spent] | None:
    """What this thread's sub-agents have used; None if it has none."""
    born = locate.created_at(thread_id)
    younger = [
        one
        for one in locate.everything(codex_home, archived=True)
        if born is None or (locate.created_at(one.thread_id) or born) >= born
    ]
    census = Census(store, younger)
    family = census.family(thread_id)
    return [spent for one in family for spent in census.state(one).spent] if family else None


def limits_of(state: RolloutState) -> list[RateLimit]:
    """The account's limits, as this thread last heard of them; empty if it never did."""
    told = state.limits or {}
    about = told.get("limit_name") or told.get("limit_id")
    prefix = "" if about in (None, "codex") else f"{about} "
    at = told.get("at")
    found = ((name, told.get(name)) for name in ("primary", "secondary"))
    return [_limit(prefix + name, window, at) for name, window in found if _is_window(window)]


def _is_window(window: Any) -> bool:
    return isinstance(window, dict) and isinstance(window.get("used_percent"), (int, float))


def _limit(name: str, window: Any, at: str | None) -> RateLimit:
    minutes, resets = window.get("window_minutes"), window.get("resets_at")
    return RateLimit(
        name=name,
        used_pct=float(window["used_percent"]),
        window_min=minutes if isinstance(minutes, int) else None,
        resets_at=stamp(resets) if isinstance(resets, (int, float)) else None,
        at=at,
    )
