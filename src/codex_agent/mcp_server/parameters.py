"""Owns a tool's parameters: their JSON Schema, and reading those of one call.

They are a dataclass with ``doc`` on its fields, in our spelling; on the wire they are in camel case (``task_id``
is ``taskId``, ``async_`` is ``async``). Must never know a tool.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from codex_agent.errors import UsageError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def wire_name(name: str) -> str:
    """The name of a field as it stands on the wire."""
    first, *rest = name.rstrip("_").split("_")
    return first + "".join(word.capitalize() for word in rest)


def input_schema(kind: type[Any]) -> dict[str, Any]:
    """JSON Schema of the parameters. What may be left out is not said to be null as well: it costs tokens."""
    made = _adapter(kind).json_schema(mode="validation")
    docs = {wire_name(each.name): each.metadata.get("doc", "") for each in dataclasses.fields(kind)}
    for name, described in made.get("properties", {}).items():
        kinds = [one for one in described.pop("anyOf", []) if one.get("type") != "null"]
        if len(kinds) == 1:
            described.update(kinds[0])
        elif kinds:
            described["anyOf"] = kinds
        if described.get("default", ...) is None:
            del described["default"]
        described.pop("title", None)
        described["description"] = docs[name]
    made.pop("title", None)
    made.pop("description", None)
    return made


def read(kind: type[T], given: Mapping[str, Any] | None) -> T:
    """The parameters of one call. What is null counts as left out. Raises UsageError."""
    from pydantic import ValidationError

    said = {name: value for name, value in (given or {}).items() if value is not None}
    known = [wire_name(each.name) for each in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in said:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            raise UsageError(
                f"There is no parameter '{name}'.",
                f"Did you mean {close[0]}?" if close else f"There are: {', '.join(known) or 'none'}.",
            )
    try:
        read_in: T = _adapter(kind).validate_python(said)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise UsageError(f"The parameter {where} is missing.", f"There are: {', '.join(known)}.") from None
        raise UsageError(f"{where}: {first['msg']}.") from None
    return read_in


def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        kind.__pydantic_config__ = {"extra": "forbid", "alias_generator": wire_name}
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
