"""Owns the clock of an agent that stays and has nothing to do: when it may be ended.

It runs while the turn is over, nothing was written and nothing waits; an attached person stops it, and it begins
anew when they have gone. Must never end anything itself.
"""

from __future__ import annotations

import time

from codex_agent import tmux
from codex_agent.drivers.base import Host
from codex_agent.model import BUSY, WAITING

_LOOK_AGAIN_S = (0.5, 10.0)


class IdleClock:
    """``due`` is when to ask ``has_run_out`` next; None while the agent has something to do."""

    def __init__(self, supervisor: Host) -> None:
        self._supervisor = supervisor
        self._grace_s = supervisor.record.request.idle_exit_s
        self._watched = False
        self._seen: tuple[object, ...] | None = None
        self.due: float | None = None

    def look(self, *, others_work: bool) -> None:
        """Something may have changed. ``others_work``: a thread beside the job's own is active."""
        facts = self._supervisor.facts
        state = self._supervisor.turn_state
        over = state not in BUSY or (state == "unknown" and facts.turn.state not in (None, "open"))
        idle = over and state not in WAITING and facts.queued == 0 and not others_work
        if not self._grace_s or facts.stop_reason is not None or not idle:
            self.due = self._seen = None
            return
        seen = (facts.turn.id, facts.turn.ended_at, facts.last_activity_at)
        if seen != self._seen:
            self._seen = seen
            self.due = time.monotonic() + self._grace_s

    def has_run_out(self) -> bool:
        """Whether the grace is over and nobody looks; asked when it is ``due``."""
        socket = self._supervisor.facts.tmux_socket
        if socket is not None and tmux.attached(socket, self._supervisor.record.tmux_session):
            shortest, longest = _LOOK_AGAIN_S
            self._watched = True
            self.due = time.monotonic() + min(max(self._grace_s / 3, shortest), longest)
            return False
        if self._watched:
            # They left at some time since the last look: the whole grace from now on is never too short.
            self._watched = False
            self.due = time.monotonic() + self._grace_s
            return False
        return True
