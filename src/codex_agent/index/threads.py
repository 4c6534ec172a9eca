"""Owns Codex's list of threads (`state_<n>.sqlite`): what it says of each, and which thread started which."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .open import Unreadable, newest, reading

_NEEDED = ("id", "rollout_path", "source", "cwd", "title", "archived")
# What newer versions have besides; taken where it is.
_MORE = ("name", "first_user_message", "model", "tokens_used", "updated_at", "updated_at_ms", "created_at")
_TITLES = ("name", "title", "first_user_message")
_TITLE_CHARS = 200


@dataclass(slots=True)
class Row:
    """One thread as the index has it. ``updated_at`` in seconds since the epoch."""

    id: str
    rollout: str
    source: str | None
    cwd: str | None
    title: str | None
    model: str | None
    tokens: int | None
    archived: bool
    updated_at: float


def rows(codex_home: str, thread_id: str | None = None) -> dict[str, Row] | None:
    """Every thread in the index by its id, or the one asked for; None if this CODEX_HOME has no index.

    Raises Unreadable.
    """
    path = newest(codex_home, "state")
    if path is None:
        return None
    with reading(path) as connection:
        there = {row["name"] for row in connection.execute("PRAGMA table_info(threads)")}
        missing = [name for name in _NEEDED if name not in there]
        if missing:
            raise Unreadable(f"its table of threads has no {', '.join(missing)}")
        names = [*_NEEDED, *(name for name in _MORE if name in there)]
        # Titles may be whole prompts.
        words = [f"substr({name}, 1, {_TITLE_CHARS})" if name in _TITLES else name for name in names]
        asked = f"SELECT {', '.join(words)} FROM threads"  # noqa: S608 (names of ours)
        if thread_id is not None:
            asked += " WHERE id = ?"
        found = connection.execute(asked, () if thread_id is None else (thread_id,))
        return {row["id"]: _row(row) for row in (dict(zip(names, row, strict=True)) for row in found)}


def _row(data: dict[str, Any]) -> Row:
    at = data.get("updated_at_ms")
    updated_at = at / 1000 if isinstance(at, int) and at else float(data.get("updated_at") or 0)
    title = next((data[key] for key in _TITLES if data.get(key)), None)
    return Row(
        id=data["id"],
        rollout=data["rollout_path"],
        source=_source(data["source"]),
        cwd=data["cwd"] or None,
        title=title,
        model=data.get("model") or None,
        tokens=data.get("tokens_used") or None,
        archived=bool(data["archived"]),
        updated_at=updated_at,
    )


def _source(given: str | None) -> str | None:
    """A word; a sub-agent's is a JSON object."""
    if not given or not given.startswith("{"):
        return given or None
    try:
        return next(iter(json.loads(given)), None)
    except (ValueError, TypeError):
        return given


def children(codex_home: str) -> dict[str, list[str]] | None:
    """The threads that each thread started, by the parent's id; None where Codex keeps no such table.

    Raises Unreadable.
    """
    path = newest(codex_home, "state")
    if path is None:
        return None
    found: dict[str, list[str]] = {}
    with reading(path) as connection:
        if not connection.execute("PRAGMA table_info(thread_spawn_edges)").fetchall():
            return None
        for parent, child in connection.execute(
            "SELECT parent_thread_id, child_thread_id FROM thread_spawn_edges"
        ):
            found.setdefault(parent, []).append(child)
    return found
