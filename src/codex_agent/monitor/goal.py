"""Owns the watching of a thread's goal: as the rollout tells, where a version does, else as Codex's database."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from typing import Any

from codex_agent import index, watching
from codex_agent.errors import EXIT_FAILED, EXIT_LIMIT, EXIT_OK
from codex_agent.index.goals import database

from .source import Place
from .told import Told, Who, one_line

_CODES = {"blocked": EXIT_FAILED, "paused": EXIT_FAILED, "usage_limited": EXIT_LIMIT, "budget_limited": EXIT_LIMIT}
_AGAIN_S = 1.0
_TICK_S = 0.05
_STATE = tuple[str, str]  # status, objective
_Seen = tuple[int, int, int]


class GoalSource:
    """The goal of one thread. ``since``: a mark of what it was, as ``since()`` said."""

    def __init__(self, codex_home: str, who: Who, since: str | None = None) -> None:
        self._home, self._who = codex_home, who
        self._since = since
        self._known: _STATE | None = None
        self._seen: list[_Seen | None] | None = None  # the database's files when it was last asked
        self._dirty = True
        self._again_at: float | None = None
        self._begun = False

    def fired(self, _what: str, /) -> None:
        self._dirty = True

    def begin(self) -> None:
        """What it is now is known and no news, unless another monitor knew it differently."""
        self._ask()

    @property
    def over(self) -> bool:
        """Whether there is a goal and it is no longer pursued."""
        return self._known is not None and self._known[0] != "active"

    def stands(self) -> Told | None:
        """The goal as it stands, as an event; None if there is none."""
        return None if self._known is None else self._tells(None, self._known, {})

    def look(self) -> Iterator[Told]:
        if not self._begun:
            self._begun = True
            mark = _mark(self._known)
            if self._since is not None and self._since != mark:
                yield self._tells(None, self._known, {})
        if not (self._dirty or self._again_at) or self._who.thread_id is None:
            return
        self._dirty, self._again_at = False, None
        old = self._known
        more = self._ask()
        if more is not None and self._known != old:
            yield self._tells(old, self._known, more)

    def said(self, goal: dict[str, Any]) -> Iterator[Told]:
        """The rollout tells of the goal."""
        if database(self._home) is not None:
            # From 0.150 on it has the beginning of a person's goal, and nothing of how that goes on.
            self._dirty = True
            yield from self.look()
            return
        objective = goal.get("objective") or goal.get("text") or ""
        old, self._known = self._known, (str(goal.get("status") or ""), str(objective))
        if self._known != old:
            yield self._tells(old, self._known, goal)

    def _ask(self) -> dict[str, Any] | None:
        """Asks the database, if it may know something new; None if not."""
        path = database(self._home)
        if path is None or self._who.thread_id is None:
            return None
        seen = [_status(path + suffix) for suffix in ("", "-wal")]
        if seen == self._seen:
            return None
        try:
            row = index.goal(self._home, self._who.thread_id)
        except index.Unreadable:
            self._again_at = time.monotonic() + _AGAIN_S  # it is being written, or made
            return None
        # Two writes within one tick of the file system's clock look like one: then the next look asks again.
        self._seen = seen if all(time.time() - at > _TICK_S for at in _times(seen)) else None
        if row is None:
            self._known = None
            return {}
        self._known = (row.status, row.objective)
        return {"tokens_used": row.tokens_used, "time_used_s": row.time_used_s}

    def _tells(self, old: _STATE | None, new: _STATE | None, more: dict[str, Any]) -> Told:
        status, objective = new if new is not None else (None, old[1] if old else "")
        used = more.get("tokens_used")
        took = more.get("time_used_s", more.get("time_used_seconds"))
        data = {
            "objective": objective,
            "status": status,
            "old": old[0] if old else None,
            "tokens_used": used if isinstance(used, int) else None,
            "time_used_s": took if isinstance(took, int) else None,
        }
        text = f"{status or 'removed'}: {one_line(objective)}"
        code = _CODES.get(status or "", EXIT_OK)
        return self._who.tells("goal", text, data, final=status != "active", exit_code=code)

    def places(self) -> list[Place]:
        path = database(self._home)
        made = Place(self._home, watching.CREATE | watching.MOVED_TO, "goal", _names(path))
        if path is None:
            return [made]
        return [made, *(Place(path + suffix, watching.MODIFY, "goal") for suffix in ("", "-wal"))]

    def due(self) -> float | None:
        return self._again_at

    def since(self) -> str:
        return "g" + _mark(self._known)


def _names(path: str | None) -> frozenset[str] | None:
    """What to be woken by in Codex's home, where much else goes on."""
    if path is None:
        return None
    name = os.path.basename(path)
    return frozenset([name, f"{name}-wal"])


def _times(seen: list[_Seen | None]) -> list[float]:
    """When these files were written, in seconds since the epoch."""
    return [each[1] / 1e9 for each in seen if each is not None]


def _status(path: str) -> _Seen | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def _mark(known: _STATE | None) -> str:
    return "-" if known is None else hashlib.sha256("\0".join(known).encode("utf-8", "replace")).hexdigest()[:8]
