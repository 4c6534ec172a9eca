"""Owns the question whether a process has a thread loaded, and being woken when that changes.

Never takes a lock, not even to look; ``threads.owner`` says how that is known.
"""

from __future__ import annotations

import os
import time

from codex_agent import kernel, watching
from codex_agent.threads.owner import Unknown, lock_path, owner

from .source import Place

# A thread may be handed from one process to the next (`codex exec resume` right after `codex exec`).
_SURE_S = 1.0
_CLOSE_NOWRITE = 0x00000010  # include/uapi/linux/inotify.h
# A process that ends, however it does, closes what it has open: here, its lock.
_LOCK = watching.CLOSE_WRITE | _CLOSE_NOWRITE | watching.DELETE_SELF


class Life:
    """One thread's. ``loaded``: True, False (and that for a moment already), or None where nobody can tell."""

    def __init__(self, codex_home: str, thread_id: str) -> None:
        self.loaded: bool | None = None
        self._home, self._thread = codex_home, thread_id
        self._lock = lock_path(codex_home, thread_id)
        self._pid: int | None = None
        self._open: str | None = None  # the rollout the process has open, where that is the evidence
        self._missing_at: float | None = None
        self.dirty = True

    def look(self, rollout: str | None, *, sure: bool = False) -> None:
        """Brings ``loaded`` up to date, if it may have changed. ``sure``: it cannot be only just beginning."""
        if not self.dirty and self._missing_at is None:
            return
        if self._still_open():
            self.dirty = False
            return
        try:
            found = owner(self._home, self._thread, rollout)
        except Unknown:
            self.loaded, self.dirty, self._missing_at = None, False, None
            return
        self.dirty = False
        if found is not None:
            self.loaded, self._missing_at = True, None
            self._open = os.path.realpath(rollout) if rollout and found.evidence == "open_rollout" else None
            self._pid = found.pid
            return
        self._pid = None
        if sure:
            self.loaded = False
        elif self._missing_at is None:
            self._missing_at = time.monotonic()
        if self._missing_at is not None and time.monotonic() >= self._missing_at + _SURE_S:
            self.loaded, self._missing_at = False, None

    def _still_open(self) -> bool:
        """Whether the process known to have the rollout open still has; to look through all of them is costly."""
        if self._pid is None or self._open is None or not self.loaded:
            return False
        return self._open in (kernel.open_files(self._pid) or [])

    def due(self) -> float | None:
        return None if self._missing_at is None else self._missing_at + _SURE_S

    def places(self) -> list[Place]:
        name = frozenset([os.path.basename(self._lock)])
        return [
            Place(os.path.dirname(self._lock), watching.CREATE | watching.DELETE, "life", name),
            Place(self._lock, _LOCK, "life"),
        ]
