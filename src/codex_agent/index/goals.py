"""Owns Codex's goals (`goals_<n>.sqlite`), for the versions that write none into the rollout (0.150 to 0.169)."""

from __future__ import annotations

from dataclasses import dataclass

from .open import Unreadable, newest, reading

_COLUMNS = ("objective", "status", "token_budget", "tokens_used", "time_used_seconds", "updated_at_ms")


@dataclass(slots=True)
class GoalRow:
    """A thread's goal. ``updated_at`` in seconds since the epoch."""

    objective: str
    status: str
    token_budget: int | None
    tokens_used: int
    time_used_s: int
    updated_at: float


def database(codex_home: str) -> str | None:
    """The file the goals are in; None if this Codex has none."""
    return newest(codex_home, "goals")


def goal(codex_home: str, thread_id: str) -> GoalRow | None:
    """The thread's goal; None if it has none, or this Codex keeps none. Raises Unreadable."""
    path = database(codex_home)
    if path is None:
        return None
    with reading(path) as connection:
        there = {row["name"] for row in connection.execute("PRAGMA table_info(thread_goals)")}
        if not there.issuperset(_COLUMNS):
            raise Unreadable("its table of goals is laid out otherwise")
        row = connection.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM thread_goals WHERE thread_id = ?",  # noqa: S608 (names of ours)
            (thread_id,),
        ).fetchone()
    if row is None:
        return None
    objective, status, budget, tokens, seconds, at = row
    return GoalRow(objective, status, budget, tokens, seconds, at / 1000)
