"""Owns the shapes of single values in rollout records that more than one Codex version writes differently."""

from __future__ import annotations

from .plainjson import loads
from .usage import mapping, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TURN_ID = b'"turn_id":"'


def flatten(info: Any) -> str | None:
    """``codex_error_info`` as one string: its word, and the HTTP status where there is one."""
    if isinstance(info, str):
        return info
    if isinstance(info, dict) and info:
        word, inner = next(iter(info.items()))
        details = list(inner.values()) if isinstance(inner, dict) else [inner]
        return ":".join([str(word), *(str(one) for one in details[:1] if isinstance(one, (str, int)))])
    return None


def steps(arguments: str) -> list[list[str]]:
    """The steps of an ``update_plan`` call, each with its status."""
    try:
        given = loads(arguments)
    except (ValueError, RecursionError):
        return []
    steps = given.get("plan") if isinstance(given, dict) else None
    return [
        [text(step, "step") or "", text(step, "status") or "pending"]
        for step in (steps if isinstance(steps, list) else [])
        if isinstance(step, dict)
    ]


def goal(given: dict[str, Any]) -> dict[str, Any] | None:
    """The goal in a ``thread_goal_updated``, in the words of Codex's database (the event has the protocol's)."""
    told = {_snake(key): value for key, value in given.items()}
    if isinstance(told.get("status"), str):
        told["status"] = _snake(told["status"])
    return told or None


def _snake(word: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in word).lstrip("_")


def taken(output: Any) -> bool:
    if isinstance(output, list):
        return any(taken(part) for part in output)
    if isinstance(output, dict):
        return any(taken(output.get(key)) for key in ("text", "content", "output"))
    return isinstance(output, str) and output.startswith("Plan updated")


def sandbox(payload: dict[str, Any]) -> str | None:
    named = text(mapping(payload, "sandbox_policy"), "type")
    if named is not None:
        return named
    # thread_settings_applied speaks of permission profiles only.
    if text(mapping(payload, "permission_profile"), "type") == "disabled":
        return "danger-full-access"
    profile = text(mapping(payload, "active_permission_profile"), "id")
    return {":workspace": "workspace-write", ":read-only": "read-only"}.get(profile or "")


def without_ids(line: bytes) -> bytes:
    """What a record of settings says, but for when and in which turn (Codex names that first)."""
    told = line[line.find(b'"payload":') :]
    at = told.find(_TURN_ID, 0, 64) + len(_TURN_ID)
    return told if at < len(_TURN_ID) else told.replace(told[at : told.find(b'"', at)], b"")
