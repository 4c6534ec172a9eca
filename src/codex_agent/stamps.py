"""Owns the one form in which times are written: UTC, ISO 8601 with milliseconds and a final ``Z``."""

from __future__ import annotations

import time


def stamp(at: float | None = None) -> str:
    """``at`` (seconds since the epoch; now by default) as ``2026-11-21T09:18:43.058Z``."""
    at = time.time() if at is None else at
    whole = int(at)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int((at - whole) * 1000):03d}Z"
