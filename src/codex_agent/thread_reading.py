"""Owns what the rollout of a running job tells, that of its sub-agents, and whether its budget is used up.

Loaded once Codex runs. Must never decide what the facts mean, or end a job.
"""

from __future__ import annotations

from codex_agent import budget, rollouts
from codex_agent.drivers.base import Host
from codex_agent.errors import CodexAgentError
from codex_agent.offspring import Offspring
from codex_agent.settle import offspring_of, open_rollout, take_offspring, take_rollout


class Reading:
    """Follows one job's rollout, once it has a thread."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._reader: rollouts.Reader | None = None
        self._family: Offspring | None = None
        self._budget = budget.Watch(host)

    @property
    def bad_lines(self) -> int:
        """How many lines of the rollout could not be read."""
        return 0 if self._reader is None else self._reader.bad_lines

    def look(self, thread_id: str) -> bool:
        """Reads what is new into the facts. Whether all of the budget is used."""
        host, facts = self._host, self._host.facts
        try:
            if self._reader is None:
                path = rollouts.find(host.record.request.codex_home, thread_id)
                if path is None:
                    return False
                facts.rollout = path
                self._reader = open_rollout(facts, path)
                host.changed()
            changed = self._reader.read_new()
        except (OSError, CodexAgentError):
            # Archived, compressed or removed under us; where it is now is found at the next look.
            self._reader = None
            return False
        if changed:
            take_rollout(facts, self._reader.state)
            if facts.reconnecting is None:
                host.worked("rollout")
            host.changed()
        self._family = self._family or offspring_of(host.record)
        if self._family.look(thread_id, self._reader.fold.turns):
            take_offspring(facts, self._family)
            host.changed()
        return self._budget.look()
