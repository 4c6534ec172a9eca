"""Owns the shape of the ``codex exec --json`` event stream, and folds it into a job's facts.

The stream is the steadiest thing Codex writes: its shapes are nearly the same from 0.98 to 0.169. An event is
recorded as what it is; whether a turn's failure makes the job fail is decided in ``verdict.py``. Must never
read a file or a clock: the caller says when an event was seen.
"""

from __future__ import annotations

import json
import os
from typing import Any

from codex_agent.model import Facts, Tokens, Turn

_MAX_WARNINGS = 10


def parse(line: bytes) -> dict[str, Any] | None:
    """The event on one line of the stream, or None if the line is none (Codex may print a stray line)."""
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("type"), str) else None


def fold(facts: Facts, event: dict[str, Any], at: str, cwd: str) -> None:
    """Takes one event into the facts. ``at`` is when it was seen; ``cwd`` completes relative paths.

    A top-level ``error`` is a reconnect (or anything else Codex may recover from) until ``turn.failed`` says
    otherwise: it is never work, and it is forgotten with the next event that is.
    """
    kind = event["type"]
    if kind == "error":
        facts.reconnecting = str(event.get("message") or "an error without words")
        return
    facts.reconnecting = None
    facts.last_activity_at = at
    if kind == "thread.started":
        thread_id = event.get("thread_id")
        facts.thread_id = thread_id if isinstance(thread_id, str) else facts.thread_id
    elif kind == "turn.started":
        facts.turn = Turn(state="open", count=facts.turn.count + 1, started_at=at)
    elif kind == "turn.completed":
        _end_turn(facts, "completed", at)
        _take_usage(facts, event.get("usage"))
    elif kind == "turn.failed":
        _end_turn(facts, "failed", at)
        error = event.get("error")
        facts.turn.error = str(error.get("message") or "") if isinstance(error, dict) else str(error or "")
    elif kind.startswith("item."):
        item = event.get("item")
        if isinstance(item, dict):
            _take_item(facts, kind, item, cwd)


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; what is no list, or no object in it, is passed over."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _end_turn(facts: Facts, state: str, at: str) -> None:
    facts.turn.state = "completed" if state == "completed" else "failed"
    facts.turn.count = max(1, facts.turn.count)
    facts.turn.ended_at = at
    facts.turn.error = None


def _take_item(facts: Facts, kind: str, item: dict[str, Any], cwd: str) -> None:
    what = item.get("type")
    if what == "agent_message" and isinstance(item.get("text"), str):
        facts.last_message = item["text"]
    elif what == "file_change" and kind == "item.completed" and item.get("status") != "failed":
        for change in objects(item.get("changes")):
            path = change.get("path")
            if isinstance(path, str):
                add_file(facts, os.path.normpath(os.path.join(cwd, path)))
    elif what == "error" and kind == "item.completed":
        # An item of type error is a remark (unknown model metadata, ...): the turn goes on.
        warning = f"Codex: {item.get('message')}"
        if warning not in facts.warnings and len(facts.warnings) < _MAX_WARNINGS:
            facts.warnings.append(warning)


def add_file(facts: Facts, path: str) -> None:
    """Notes an absolute path as changed, once."""
    if path not in facts.files:
        facts.files.append(path)


def _take_usage(facts: Facts, usage: Any) -> None:
    """Codex's own count of the thread. The rollout tells more, so this only fills what is still empty."""
    if not isinstance(usage, dict):
        return
    counted = Tokens(
        input=_count(usage, "input_tokens"),
        cached_input=_count(usage, "cached_input_tokens"),
        output=_count(usage, "output_tokens"),
        reasoning=_count(usage, "reasoning_output_tokens"),
        cache_write=_count(usage, "cache_write_input_tokens"),
    )
    counted.total = counted.input + counted.output
    if counted.total and facts.tokens is None:
        facts.tokens = counted


def _count(usage: dict[str, Any], key: str) -> int:
    value = usage.get(key)
    return value if isinstance(value, int) else 0
