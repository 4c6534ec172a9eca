"""Owns what every text for a terminal needs: control characters taken out, durations, tables that fit.

Loaded by the fast routes: imports nothing that costs. Must never decide anything.
"""

from __future__ import annotations

import os
import sys

SUMMARY_CHARS = 500

# Everything below a space but tab and newline, delete, and the C1 controls.
_CONTROLS = {code: None for code in (*range(0x20), 0x7F, *range(0x80, 0xA0)) if code not in (0x09, 0x0A)}


def plain(text: str) -> str:
    """The text without control characters; carriage returns become line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_CONTROLS)


def one_line(text: str) -> str:
    """A text without control codes and line ends."""
    return " ".join(plain(text).split())


def span(ms: int) -> str:
    """A duration as ``4.2s``, ``3m12s``, ``2h05m`` or ``3d4h``."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.1f}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"


def columns_of_terminal() -> int:
    """The terminal's columns, or 120 where there is none; COLUMNS goes before both (as in ``shutil``)."""
    try:
        given = int(os.environ.get("COLUMNS", ""))
    except ValueError:
        given = 0
    if given > 0:
        return given
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 120  # type: ignore[union-attr]
    except (AttributeError, ValueError, OSError):
        return 120
