"""Owns what a job's sub-agents have used: finds their rollouts as they appear, and follows them.

A sub-agent's first line names its parent; a reviewer's of Codex 0.133 does not, but it has the turn that its
parent's rollout names too. Only threads that are younger than the job are its. Reads new bytes only; a look costs
three ``stat`` where nothing is new.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection

from codex_agent.cost import add_up
from codex_agent.errors import CodexAgentError
from codex_agent.model import Spent
from codex_agent.rollouts import Reader, locate
from codex_agent.rollouts.head import read_head

_SLACK_S = 2.0  # the clock of a thread's id and ours are the same one, read at different moments


class Offspring:
    """The sub-agents of one thread, theirs too. ``since``: seconds since the epoch."""

    def __init__(self, codex_home: str, since: float) -> None:
        self._codex_home, self._since = codex_home, since - _SLACK_S
        self._listed: dict[str, int] = {}  # day folders, and when they were changed
        self._unread: dict[str, str] = {}  # rollouts of which nobody knows yet whose they are, by thread
        self._strangers: set[str] = set()
        self._readers: dict[str, Reader] = {}
        self._orphans: dict[str, Reader] = {}

    def look(self, thread_id: str, turns: Collection[str]) -> bool:
        """Reads what is new of all of them; True if there was any. ``turns``: those in the thread's rollout."""
        self._list()
        before = len(self._readers)
        while self._sort(thread_id):
            pass  # a child found is the parent of others
        changed = False
        for reader in (*self._orphans.values(), *self._readers.values()):
            with contextlib.suppress(OSError, CodexAgentError):  # archived: it is known how much it had used
                changed = reader.read_new() or changed
        for child in [name for name, one in self._orphans.items() if one.state.turn_id in turns]:
            self._readers[child] = self._orphans.pop(child)
        return changed or len(self._readers) != before

    @property
    def count(self) -> int:
        """How many there are so far."""
        return len(self._readers)

    def spent(self) -> list[Spent]:
        """What all of them have used, added up."""
        return add_up(one for reader in self._readers.values() for one in reader.state.spent)

    def _list(self) -> None:
        for folder in locate.days_now(self._codex_home):
            try:
                changed = os.stat(folder).st_mtime_ns
                if self._listed.get(folder) == changed:
                    continue
                names = os.listdir(folder)
            except FileNotFoundError:
                continue
            self._listed[folder] = changed
            for name in names:
                thread = locate.thread_of(name)
                born = None if thread is None else locate.created_at(thread)
                if thread is None or born is None or born < self._since:
                    continue
                if thread not in self._strangers and thread not in self._readers and thread not in self._orphans:
                    self._unread[thread] = os.path.join(folder, name)

    def _sort(self, thread_id: str) -> bool:
        """Whether another one was found to belong to the family."""
        found = False
        for thread, path in list(self._unread.items()):
            try:
                head = read_head(path)
            except OSError:
                del self._unread[thread]
                continue
            if head.thread_id is None:
                continue  # Codex is about to write the first line
            if head.parent_id == thread_id or head.parent_id in self._readers:
                self._readers[thread] = Reader(path, thread_id=thread)
                found = True
            elif head.parent_id is None and head.source == "subagent":
                self._orphans[thread] = Reader(path, thread_id=thread)
            elif head.parent_id is not None:
                continue  # its parent may be found yet
            else:
                self._strangers.add(thread)
            del self._unread[thread]
        return found
