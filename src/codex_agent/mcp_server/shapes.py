"""Owns how an answer of ours becomes what a tool returns: its structured content, and the schema of that.

What a client shows to its model may be the structured content alone (Claude Code does that), so it must be small:
a field that is null is left out.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from codex_agent import schema


def output_schema(kind: type[Any]) -> dict[str, Any]:
    """The schema of ``content`` of such an answer: that of ``--json``, with what may be null left out instead."""
    made = schema.schema(kind)
    for each in (made, *made.get("$defs", {}).values()):
        _without_nulls(each)
    return made


def content(told: Any) -> dict[str, Any]:
    """A dataclass as structured content. What is free-form in it (``dict[str, Any]``) stays as it is."""
    return {
        field.name: _value(value)
        for field in dataclasses.fields(told)
        if (value := getattr(told, field.name)) is not None
    }


def sayable(text: str) -> str:
    """A text that JSON can carry: of file names and files in no known encoding, what cannot be said is ``?``."""
    return text.encode("utf-8", "replace").decode()


def _value(value: Any) -> Any:
    if isinstance(value, str):
        return sayable(value)
    if dataclasses.is_dataclass(value):
        return content(value)
    if isinstance(value, list):
        return [_value(each) for each in value]
    if isinstance(value, dict):
        return {name: _value(each) for name, each in value.items()}
    return value


def _without_nulls(described: dict[str, Any]) -> None:
    properties = described.get("properties", {})
    for name, each in properties.items():
        kinds = each.get("anyOf", [])
        if {"type": "null"} not in kinds:
            continue
        described["required"] = [word for word in described["required"] if word != name]
        left = [kind for kind in kinds if kind != {"type": "null"}]
        del each["anyOf"]
        each.update(left[0] if len(left) == 1 else {"anyOf": left})
