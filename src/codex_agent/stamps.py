"""Owns the one form in which times are written: UTC, ISO 8601 with milliseconds and a final ``Z``."""

from __future__ import annotations

import time


def stamp(at: float | None = None) -> str:
    """``at`` (seconds since the epoch; now by default) as ``2026-11-21T09:18:43.058Z``."""
    at = time.time() if at is None else at
    whole = int(at)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((at - whole) * 1000):03d}Z"


def seconds(text: str) -> float:
    """Seconds since the epoch of such a time. Raises ValueError if its date or its time of day is none.

    By hand: to load ``strptime`` takes 4 ms, and `start` waits for a supervisor that has read its record.
    """
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:10])
    # As if years began in March: then a leap day is the last of its year.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day - 719_469
    whole = days * 86_400 + int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19])
    if stamp(whole)[:19] != text[:19]:
        raise ValueError(f"no time: {text!r}")
    return whole + int(text[20:23]) / 1000
