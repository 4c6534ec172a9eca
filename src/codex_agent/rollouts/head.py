"""Owns what the beginning of a rollout says: whose it is, where it comes from, what was asked first.

Reads the beginning only, however long the file is. Never fails on what it contains.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from .files import Damaged, opened
from .usage import mapping, number, text

_FIRST = 4096  # bytes in which Codex's own fields of the first line stand, before its long instructions
_WHOLE = 4 << 20  # of a first line that is laid out otherwise
_PROMPT_WITHIN = 1 << 20
_CUT = b',"base_instructions":'


@dataclass(slots=True)
class Head:
    """The first line. ``created_at`` is Codex's stamp; ``own_from`` the first ordinal that is not copied."""

    thread_id: str | None = None
    cwd: str | None = None
    source: str | None = None
    cli_version: str | None = None
    originator: str | None = None
    created_at: str | None = None
    forked_from: str | None = None
    parent_id: str | None = None
    agent_name: str | None = None
    own_from: int = 0
    commit: str | None = None
    branch: str | None = None


def read_head(path: str, *, whole: bool = False) -> Head:
    """What the first line says; ``whole``: also what stands behind the instructions (git). OSError if unreadable.

    An empty Head if that is no rollout's first line (the file is empty for a moment when it is made).
    """
    payload: dict[str, Any] | None = None
    with contextlib.suppress(Damaged), opened(path) as file:
        data = file.read(_FIRST)
        line, end, _ = data.partition(b"\n")
        payload = None if whole and not end else _payload(line) if end else _shortened(line)
        if payload is None and not end:
            payload = _payload(line + file.readline(_WHOLE))
    return _head(payload or {})


def first_prompt(path: str) -> str | None:
    """What a person said first, looked for in the first MiB. OSError if the file cannot be read."""
    from .conversation import Conversation  # late: a supervisor asks only whose a rollout is

    with contextlib.suppress(Damaged), opened(path) as file:
        conversation, seen = Conversation(), 0
        while seen < _PROMPT_WITHIN and (line := file.readline(_PROMPT_WITHIN)).endswith(b"\n"):
            seen += len(line)
            for entry in conversation.line(line):
                if entry.kind == "user" and entry.text.strip():
                    return entry.text
    return None


def _shortened(line: bytes) -> dict[str, Any] | None:
    """The payload of a first line of which only the beginning is there, if that is enough."""
    at = line.find(_CUT)
    return None if at < 0 else _payload(line[:at] + b"}}")


def _payload(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("type") != "session_meta":
        return None
    return mapping(record, "payload")


def _head(payload: dict[str, Any]) -> Head:
    source = payload.get("source")
    spawn: dict[str, Any] = {}
    if isinstance(source, dict):  # {"subagent": "review"} or {"subagent": {"thread_spawn": {...}}}
        inner = source.get("subagent")
        spawn = mapping(inner, "thread_spawn") if isinstance(inner, dict) else {}
        source = next(iter(source), None)
    git = mapping(payload, "git")
    name = text(payload, "agent_path") or text(spawn, "agent_path") or text(spawn, "agent_nickname")
    return Head(
        thread_id=text(payload, "id"),
        cwd=text(payload, "cwd"),
        source=source if isinstance(source, str) else None,
        cli_version=text(payload, "cli_version"),
        originator=text(payload, "originator"),
        created_at=text(payload, "timestamp"),
        forked_from=text(payload, "forked_from_id"),
        parent_id=text(payload, "parent_thread_id") or text(spawn, "parent_thread_id"),
        agent_name=name,
        own_from=number(payload, "subagent_history_start_ordinal"),
        commit=text(git, "commit_hash"),
        branch=text(git, "branch"),
    )
