"""Owns when a usage limit is reset: from Codex's sentence, or from the counts it wrote into the rollout.

Codex says a time of the day, in the zone of the machine it runs on, and the date before it if that is another day
(0.104 to 0.169): `try again at 10:26 PM.`, `Try again at Nov 24th, 2026 4:10 AM.`; or nothing but `later`.
Must never guess one that nobody told.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_AT = re.compile(
    r"[Tt]ry again at (?:(?P<month>[A-Z][a-z]{2})[a-z]* (?P<day>\d{1,2})[a-z]*,? (?P<year>\d{4}),? )?"
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d) (?P<half>[AP])M"
)
_MINUTE_S = 60
_FULL_PCT = 100.0


def reset_said(message: str, said_at: float) -> float | None:
    """When the sentence says the limit is reset, in seconds since the epoch; None if it does not say.

    ``said_at`` is when it was said: a time without a date is the first one after that.
    """
    match = _AT.search(message)
    if match is None:
        return None
    hour = int(match["hour"]) % 12 + (12 if match["half"] == "P" else 0)
    minute = int(match["minute"])
    day = time.localtime(said_at)
    if match["month"] is not None:
        if match["month"] not in _MONTHS:
            return None
        month = _MONTHS.index(match["month"]) + 1
        return _local(int(match["year"]), month, int(match["day"]), hour, minute)
    found = _local(day.tm_year, day.tm_mon, day.tm_mday, hour, minute)
    if found < said_at - _MINUTE_S:
        found = _local(day.tm_year, day.tm_mon, day.tm_mday + 1, hour, minute)
    return found


def reset_counted(limits: Mapping[str, Any] | None) -> float | None:
    """When the limit that is used up is reset, by Codex's own counts (`rate_limits` of the rollout); else None.

    There are two windows, a short and a long one; if both are used up the later reset counts.
    """
    ends = []
    for name in ("primary", "secondary"):
        window = (limits or {}).get(name)
        if not isinstance(window, dict):
            continue
        used, at = window.get("used_percent"), window.get("resets_at")
        if isinstance(used, int | float) and used >= _FULL_PCT and isinstance(at, int | float):
            ends.append(float(at))
    return max(ends, default=None)


def _local(year: int, month: int, day: int, hour: int, minute: int) -> float:
    return time.mktime((year, month, day, hour, minute, 0, 0, 0, -1))
