"""Owns the way from a record's JSON back to its dataclasses: every field is held to its annotation.

Pure. Must never pass over what is wrong: a record that cannot be trusted is reported, not guessed at.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar, get_args

from codex_agent.model import (
    Activity,
    Driver,
    Facts,
    Mode,
    Process,
    Question,
    QueueKind,
    QueuePlace,
    Record,
    Request,
    Resume,
    ReviewKind,
    ReviewTarget,
    SetUp,
    Spent,
    Tokens,
    Turn,
    TurnMark,
    Waiting,
    WaitKind,
    Worktree,
)
from codex_agent.stamps import seconds
from codex_agent.tracked import Committed, PullRequest, PullSeenBy, PullStatus, Work

T = TypeVar("T")

_NESTED = {
    "tokens": Tokens,
    "supervisor": Process,
    "codex": Process,
    "viewer": Process,
    "turn": Turn,
    "rollout_turn": Turn,
    "last_turn": Turn,
    "queue": QueuePlace,
    "resume": Resume,
    "review": ReviewTarget,
    "work": Work,
    "pull_request": PullRequest,
    "worktree": Worktree,
    "setup": SetUp,
}
_NESTED_LISTS = {
    "waiting": Waiting,
    "questions": Question,
    "commits": Committed,
    "spent": Spent,
    "agents_spent": Spent,
}

_NONE = type(None)
# What each annotation of the recorded dataclasses allows in JSON. A new kind of field fails here at once.
_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "str | None": (str, _NONE),
    "int | None": (int, _NONE),
    "float | None": (int, float, _NONE),
    "list[str]": list,
    "list[str] | None": (list, _NONE),
    "bool": bool,
}
_WORDS: dict[str, Any] = {
    "Mode": get_args(Mode),
    "Driver": get_args(Driver),
    "WaitKind": get_args(WaitKind),
    "QueueKind": get_args(QueueKind),
    "ReviewKind": get_args(ReviewKind),
    "PullStatus": get_args(PullStatus),
    "PullSeenBy": get_args(PullSeenBy),
    "TurnMark | None": (*get_args(TurnMark), None),
    "Activity | None": (*get_args(Activity), None),
}


def decode(data: dict[str, Any]) -> Record:
    """A record from its JSON object. Raises TypeError, ValueError, KeyError or AttributeError if it is none."""
    return Record(
        version=data["version"],
        id=_text(data["id"]),
        name=None if data.get("name") is None else _text(data["name"]),
        created_at=_time(data["created_at"]),
        mark=_text(data["mark"]),
        tmux_session=_text(data["tmux_session"]),
        request=_fill(Request, data["request"]),
        facts=_fill(Facts, data["facts"]),
    )


def _fill(kind: type[T], data: dict[str, Any]) -> T:
    """A dataclass from its JSON object; keys this version does not know are passed over."""
    if not isinstance(data, dict):
        raise TypeError(f"{kind.__name__.lower()} should be an object, is {data!r}")
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]
        if item.name not in data:
            continue
        value = data[item.name]
        wanted = str(item.type)
        nested = _NESTED.get(item.name)
        if nested is not None:
            value = None if value is None and wanted.endswith("| None") else _fill(nested, value)
        elif item.name in _NESTED_LISTS:
            value = [_fill(_NESTED_LISTS[item.name], one) for one in value]
        elif not _fits(wanted, value):
            raise TypeError(f"{item.name} should be {wanted}, is {value!r}")
        elif item.name.endswith("_at") and value is not None:
            _time(value)
        values[item.name] = value
    return kind(**values)


def _fits(wanted: str, value: Any) -> bool:
    if wanted in _WORDS:
        return value in _WORDS[wanted]
    if isinstance(value, list) and not all(isinstance(one, str) for one in value):
        return False
    # For Python a bool is an int.
    return isinstance(value, _TYPES[wanted]) and (wanted == "bool" or not isinstance(value, bool))


def _time(value: Any) -> str:
    """One of our stamps (``model.stamp``). Raises TypeError or ValueError."""
    text = _text(value)
    seconds(text)
    if len(text) != 24 or text[19] != "." or not text[20:23].isdecimal() or text[23] != "Z":
        raise ValueError(f"a time expected, found {text!r}")
    return text


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"text expected, found {value!r}")
    return value
