"""Owns who has a thread loaded. Codex from 0.150 on says so itself, by a lock; before, by the rollout it has open.

Must never take that lock, not even to look: a Codex that wants the thread at this moment would be refused.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from typing import TYPE_CHECKING, Literal

from codex_agent import holders
from codex_agent.holders import Unknown
from codex_agent.model import stamp

if TYPE_CHECKING:
    from codex_agent.thread_answers import Owner

__all__ = ["Owners", "Unknown", "lock_path", "owner"]


def owner(codex_home: str, thread_id: str, rollout: str | None) -> Owner | None:
    """The process that has this thread loaded; None if none has. Raises Unknown where the system does not tell."""
    return Owners(codex_home).of(thread_id, rollout)


def lock_path(codex_home: str, thread_id: str) -> str:
    """Codex's writer lock on the thread; the file is there while (and sometimes after) a process has it loaded."""
    return os.path.join(codex_home, "thread-writer-locks", f"{thread_id}.lock")


class Owners:
    """The same for many threads: the processes are gone through once."""

    def __init__(self, codex_home: str) -> None:
        self._codex_home = codex_home
        self._written: dict[str, int] | None = None

    def of(self, thread_id: str, rollout: str | None) -> Owner | None:
        """As ``owner``."""
        try:
            pid = holders.flock_holder(lock_path(self._codex_home, thread_id))
        except FileNotFoundError:
            pid = None
        if pid is not None:
            return _owner(pid, "writer_lock")
        if rollout is None:
            return None
        opener = self._writers().get(os.path.realpath(rollout))
        return None if opener is None else _owner(opener, "open_rollout")

    def candidates(self) -> set[str]:
        """The threads that some process may have loaded. Raises Unknown."""
        from codex_agent.rollouts.locate import thread_of  # late: `start` asks, and not for this

        return self._with_lock() | {name for path in self._writers() if (name := thread_of(path)) is not None}

    def locked(self, *, but: Collection[str | None] = ()) -> set[str]:
        """Threads that are loaded as far as Codex's own locks tell: costs little, and sees no Codex before 0.150.

        ``but``: threads of which that is known anyway. Raises Unknown.
        """
        some = self._with_lock().difference(word for word in but if word)
        return {thread_id for thread_id in some if self.of(thread_id, None) is not None}

    def _with_lock(self) -> set[str]:
        try:
            names = os.listdir(os.path.join(self._codex_home, "thread-writer-locks"))
        except OSError:
            names = []
        return {name.removesuffix(".lock") for name in names}

    def _writers(self) -> dict[str, int]:
        if self._written is None:
            self._written = holders.written_below(os.path.join(self._codex_home, "sessions"))
        return self._written


def _owner(pid: int, evidence: Literal["writer_lock", "open_rollout"]) -> Owner:
    from codex_agent.thread_answers import Owner  # late: `start` asks, and mostly nobody has anything

    began = holders.started_at(pid) if pid else None
    return Owner(
        pid=pid or None,
        program=holders.program(pid) if pid else None,
        since=None if began is None else stamp(began),
        evidence=evidence,
    )
