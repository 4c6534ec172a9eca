"""Owns a running job's pulse: a heartbeat in its events every 30 s, a warning when an agent at work does nothing.

Wakes nobody beyond that. Must never end a job (time-outs are the supervisor's) nor say what silence means.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from codex_agent import oom
from codex_agent.model import Facts
from codex_agent.outputs import Outputs

_HEARTBEAT_S, _SILENT_S = 30.0, 120.0


def note_exit(note: Callable[..., None], facts: Facts, elapsed_ms: int) -> None:
    """Notes that Codex was collected, with the sum of what was counted."""
    note(
        "exited",
        exit_code=facts.exit_code,
        signal=facts.exit_signal,
        elapsed_ms=elapsed_ms,
        turns=facts.turn.count,
        last_activity_at=facts.last_activity_at,
        by=facts.last_activity_by,
        stdout_bytes=facts.stdout_bytes,
        stderr_bytes=facts.stderr_bytes,
        oom_kills=facts.oom_kills,
    )


class Pulse:
    """The pulse of one running Codex. All times are ``time.monotonic()`` seconds."""

    def __init__(
        self, facts: Facts, outputs: Outputs, note: Callable[..., None], environ: Mapping[str, str]
    ) -> None:
        """Beats from now on; ``note`` takes an event. Tests, which cannot wait for minutes, shorten both times."""
        self._facts, self._outputs, self._note = facts, outputs, note
        self._oom_kills = oom.count()
        self._every_s = float(environ.get("CODEX_AGENT_TEST_HEARTBEAT_S") or _HEARTBEAT_S)
        self._silent_s = float(environ.get("CODEX_AGENT_TEST_SILENT_S") or _SILENT_S)
        self._began, self._beats, self._told_of = time.monotonic(), 0, -1.0

    def count(self) -> bool:
        """Takes into the facts what nobody tells of by itself; whether anything of it is new."""
        facts, before, now = self._facts, self._oom_kills, oom.count()
        known = facts.stderr_bytes, facts.oom_kills
        facts.stderr_bytes = self._outputs.stderr_bytes
        if before is not None and now is not None:
            facts.oom_kills += max(0, now - before)
            self._oom_kills = now
        return known != (facts.stderr_bytes, facts.oom_kills)

    def due(self, worked: float, *, at_work: bool) -> float:
        """When to be asked ``on_time`` next; ``worked`` is when Codex last did something."""
        beat = self._began + (self._beats + 1) * self._every_s
        return min(beat, worked + self._silent_s) if at_work and worked != self._told_of else beat

    def on_time(self, now: float, worked: float, *, at_work: bool, state: str | None) -> None:
        """Notes what is due. One warning for each silence; the heartbeats tell how it goes on."""
        facts, silent_ms = self._facts, round((now - worked) * 1000)
        if at_work and worked != self._told_of and now >= worked + self._silent_s:
            self._told_of = worked
            self._note("silent", last_activity_ms=silent_ms, by=facts.last_activity_by, reason=facts.reconnecting)
        beats = int((now - self._began) / self._every_s)
        if beats <= self._beats:
            return
        self._beats = beats  # none is made up for a machine that slept
        self._note(
            "heartbeat",
            n=beats,
            elapsed_ms=round((now - self._began) * 1000),
            state=state,
            last_activity_ms=silent_ms,
            by=facts.last_activity_by,
            stdout_bytes=facts.stdout_bytes,
            stderr_bytes=facts.stderr_bytes,
        )
