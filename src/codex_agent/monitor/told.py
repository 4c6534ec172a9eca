"""Owns one event on its way out: what it says, what it means for the exit code, how it looks as a line.

What agents, commands and files said is made safe here: one line, no control characters, not long.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from codex_agent.model import stamp
from codex_agent.monitor_answers import EventKind, MonitorEvent
from codex_agent.text import plain

TEXT_CHARS = 200
_WORDS = 120


@dataclass(slots=True)
class Told:
    """An event. ``thread`` is the number of the thread it is about, None for what belongs to none of several.

    ``final``: whether, if ``--until`` names its kind, it is over with that thread. ``exit_code``: with which code.
    """

    event: MonitorEvent
    where: str
    thread: int | None
    final: bool = True
    exit_code: int = 0


@dataclass(slots=True)
class Who:
    """Whom events are about."""

    number: int | None
    thread_id: str | None
    job_id: str | None
    label: str

    def tells(
        self,
        kind: EventKind,
        text: str,
        data: dict[str, Any],
        *,
        at: str | None = None,
        final: bool = True,
        exit_code: int = 0,
    ) -> Told:
        event = MonitorEvent(at or stamp(), kind, self.thread_id, self.job_id, one_line(text, TEXT_CHARS), data)
        return Told(event, self.label, self.number, final, exit_code)


def line(told: Told) -> str:
    """The event as a line for a person."""
    event = told.event
    return f"{event.at[11:19]}Z {told.where} {event.kind} {event.text}"


def note(text: str) -> str:
    """A line of the monitor's own, in the same form."""
    return f"{stamp(time.time())[11:19]}Z - {text}"


def one_line(text: str, most: int = _WORDS) -> str:
    """A text of anybody's as part of a line."""
    words = " ".join(plain(text[: most * 8]).split())
    return words if len(words) <= most else words[: most - 3] + "..."


def lasted(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``10 min``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
