"""Owns Codex's own databases about threads: its index, its goals, who started whom. Read-only.

Every one of them is optional: names carry numbers that change with versions, a Codex before 0.125 has none. Must
never write, lock or move anything of Codex's; not even the little files that SQLite puts beside a database.
"""

from __future__ import annotations

from .goals import GoalRow, goal
from .open import Unreadable
from .threads import Row, children, rows

__all__ = ["GoalRow", "Row", "Unreadable", "children", "goal", "rows"]
