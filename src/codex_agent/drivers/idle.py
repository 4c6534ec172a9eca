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
        self._since: float | None = None
        self._seen: tuple[object, ...] | None = None
        self.due: float | None = None

    def look(self, *, others_work: bool) -> None:
        """Something may have changed. ``others_work``: a thread beside the job's own is active."""
        facts = self._supervisor.facts
        state = self._supervisor.turn_state
        idle = state not in BUSY and state not in WAITING and facts.queued == 0 and not others_work
        if not self._grace_s or facts.stop_reason is not None or not idle:
            self._since = self.due = self._seen = None
            return
        seen = (facts.turn.id, facts.turn.ended_at, facts.last_activity_at)
        if self._since is None or seen != self._seen:
            self._seen, self._since = seen, time.monotonic()
            self.due = self._since + self._grace_s

    def has_run_out(self) -> bool:
        """Whether the grace is over and nobody looks; asked when it is ``due``."""
        socket = self._supervisor.facts.tmux_socket
        if socket is not None and tmux.attached(socket, self._supervisor.record.tmux_session):
            shortest, longest = _LOOK_AGAIN_S
            self._since = time.monotonic()
            self.due = self._since + min(max(self._grace_s / 3, shortest), longest)
            return False
        assert self._since is not None
        if time.monotonic() < self._since + self._grace_s:
            # Somebody was there until a moment ago: the whole grace from then on.
            self.due = self._since + self._grace_s
            return False
        return True
