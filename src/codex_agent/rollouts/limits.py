"""Owns what a rollout says of the account's limits: how much is used, and when it starts anew.

Reads backwards from the end. Must never judge: whether a limit stopped anything is for others to say.
"""

from __future__ import annotations

from typing import Any

from .kinds import EVENT, TYPE
from .tail import lines_backwards, record_of
from .usage import mapping

_HEAD = 96
_WITHIN = 8 << 20


def last_limits(path: str) -> dict[str, Any] | None:
    """The last ``rate_limits`` that say something, as Codex wrote them; None if there are none in the last 8 MiB.

    An account without limits, or with an API key, has only nulls there. Raises OSError if there is no such file.
    """
    seen = 0
    for line in lines_backwards(path):
        seen += len(line) + 1
        if seen > _WITHIN:
            return None
        kind = line.find(TYPE, 0, _HEAD) + len(TYPE)
        if kind < len(TYPE) or not line.startswith(EVENT + b"token_count", kind):
            continue
        told = mapping(mapping(record_of(line), "payload"), "rate_limits")
        if isinstance(told.get("primary"), dict) or isinstance(told.get("secondary"), dict):
            return told
    return None
