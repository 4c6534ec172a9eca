"""Owns the rule of who goes in: first come, first served, at several gates at once.

One who waits has a ticket at each of its gates, all taken at the same moment, so two who share gates stand in the
same order at each. It goes in at all of them together, when everywhere the slots are more than those who are in
and those who came before: so nobody holds a slot while it waits for another, and no two wait for each other.

A job also has a ticket at the gate that counts all jobs. There it lets others by (``aside``) until its own gates
would let it in: who waits for a GPU must not hold up who needs none. Must never wait.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from codex_agent.errors import UsageError
from codex_agent.gates import slots
from codex_agent.gates.slots import Seen, State, Ticket
from codex_agent.model import QueueKind

# A look that finds a gate's lock held comes again; in the process of a job it must not hold up signals.
_PATIENCE_S = 0.05
MOST_GATES = 20
_WORDS_CHARS = 40


@dataclass(slots=True)
class Blocked:
    """Why one may not go in yet. ``gate`` is None for the cap on all jobs."""

    kind: QueueKind
    gate: str | None
    place: int
    of: int
    taken: int
    slots: int
    holders: list[str] = field(default_factory=list)
    # Tickets of jobs that died inside: somebody has to end what is left of them before their slots are free.
    dead: list[Seen] = field(default_factory=list)


@dataclass(slots=True)
class Line:
    """One who waits, or is in: its tickets, and the job (or command) it is."""

    home: str
    who: dict[str, Any]
    tickets: list[Ticket]
    everyone: Ticket | None

    @property
    def all(self) -> list[Ticket]:
        """Every ticket, the one that counts all jobs last."""
        return [*self.tickets, *([self.everyone] if self.everyone else [])]

    @property
    def is_in(self) -> bool:
        """Whether it holds its slots."""
        return all(ticket.state == "in" for ticket in self.all)

    def look(self, slots_of: Callable[[str], int], cap: int, *, ready: bool) -> Blocked | None:
        """Goes in everywhere if it may, else says what it waits for first. Raises slots.Busy, StoreUnwritable.

        ``ready``: the machine is as its gates demand. ``cap`` 0 is none.
        """
        with slots.locked(self.home, [ticket.gate for ticket in self.all], _PATIENCE_S):
            self._take_again()
            return self.settle_in(slots_of, cap, ready=ready)

    def settle_in(self, slots_of: Callable[[str], int], cap: int, *, ready: bool) -> Blocked | None:
        """The same, for who holds the locks."""
        blocked: Blocked | None = None
        for ticket in self.tickets:
            ticket.move("waiting")
            found = _blocked(ticket, slots_of(ticket.gate), "gate")
            blocked = blocked or found
        if blocked is None and not ready:
            first = self.tickets[0]
            blocked = _place(first, slots.seen(self.home, first.gate), slots_of(first.gate), "condition")
        if self.everyone is not None:
            self.everyone.move("aside" if blocked else "waiting")
            if blocked is None and cap:
                blocked = _blocked(self.everyone, cap, "parallel")
        if blocked is None:
            for ticket in self.all:
                ticket.move("in")
        return blocked

    def step_aside(self) -> None:
        """Lets others by everywhere: it waits for something else first. Under the locks only."""
        for ticket in self.all:
            ticket.move("aside")

    def clear(self, dead: Sequence[Seen], gate: str) -> None:
        """Takes these tickets out of a gate's line, unless somebody holds them now."""
        with slots.locked(self.home, [gate], _PATIENCE_S):
            still = {one.path for one in slots.seen(self.home, gate) if not one.alive}
            for one in dead:
                if one.path in still:
                    slots.clear(one)

    def give_back(self) -> None:
        """Leaves all lines."""
        for ticket in self.all:
            ticket.give_back()

    def let_go(self) -> None:
        """Closes our handles on the tickets, which somebody else holds now."""
        for ticket in self.all:
            os.close(ticket.handle)
            ticket.handle = -1

    def words(self) -> list[dict[str, Any]]:
        """The tickets in words, to be handed over with their handles (``taken_over``)."""
        return [{"gate": ticket.gate, "number": ticket.number, "state": ticket.state} for ticket in self.all]

    def _take_again(self) -> None:
        """A ticket that somebody removed is taken anew, at the end of the line."""
        for ticket in self.all:
            if ticket.lost:
                new = slots.take(self.home, ticket.gate, ticket.state, self.who)
                ticket.give_back()
                ticket.number, ticket.handle = new.number, new.handle


def taken_over(home: str, who: dict[str, Any], words: Sequence[dict[str, Any]], handles: Sequence[int]) -> Line:
    """A line that was handed over."""
    tickets = [
        Ticket(home, one["gate"], one["number"], one["state"], handle)
        for one, handle in zip(words, handles, strict=True)
    ]
    everyone = next((ticket for ticket in tickets if ticket.gate == slots.ALL), None)
    return Line(home, who, [ticket for ticket in tickets if ticket is not everyone], everyone)


def enter(home: str, gates: Sequence[str], who: dict[str, Any], *, job: bool, state: State = "waiting") -> Line:
    """A place at the end of each of these lines. Under the locks only (``gates_of``). Raises StoreUnwritable."""
    line = Line(home, who, [], None)
    try:
        for gate in sorted(set(gates)):
            line.tickets.append(slots.take(home, gate, state, who))
        if job:
            line.everyone = slots.take(home, slots.ALL, "aside", who)
    except BaseException:
        line.give_back()
        raise
    return line


def check_names(gates: Sequence[str]) -> list[str]:
    """These gates, each once, sorted. Raises UsageError for what cannot be a gate's name."""
    from codex_agent.settings_keys import is_name  # late: the supervisor never asks

    for name in gates:
        if not is_name(name):
            raise UsageError(
                f"'{name}' cannot be a gate's name.",
                "Up to 64 letters, digits, '-' and '_', a letter or digit first.",
            )
    if len(gates) > MOST_GATES:
        raise UsageError(f"{len(gates)} gates are too many.", f"{MOST_GATES} at most.")
    return sorted(set(gates))


def gates_of(gates: Sequence[str], *, job: bool) -> list[str]:
    """The gates whose locks it takes to enter these."""
    return [*sorted(set(gates)), *([slots.ALL] if job else [])]


def _blocked(mine: Ticket, count: int, kind: QueueKind) -> Blocked | None:
    """What keeps this ticket out; None if nothing does. Clears away the dead that left nothing behind."""
    line = []
    for one in slots.seen(mine.home, mine.gate):
        # Of a command of `gate run` the kernel leaves nothing; of a job somebody may have to end the rest.
        if one.alive or (one.state == "in" and slots.who(one).get("job") is not None):
            line.append(one)
        else:
            slots.clear(one)
    taken = [one for one in line if one.state == "in" and one.number != mine.number]
    before = [one for one in line if one.state == "waiting" and one.number < mine.number]
    if len(taken) + len(before) < count:
        return None
    found = _place(mine, line, count, kind)
    dead = [one for one in taken if not one.alive]
    if len(taken) - len(dead) + len(before) < count:
        found.dead = dead
    return found


def _place(mine: Ticket, line: Sequence[Seen], count: int, kind: QueueKind) -> Blocked:
    waiting = [one.number for one in line if one.state == "waiting"]
    inside = [one for one in line if one.state == "in" and one.number != mine.number]
    gate = None if mine.gate == slots.ALL else mine.gate
    return Blocked(
        kind=kind,
        gate=gate,
        place=sum(number < mine.number for number in waiting) + 1,
        of=len(waiting),
        taken=len(inside),
        slots=count,
        holders=[name_of(slots.who(one)) for one in inside[:3]] if gate is not None else [],
    )


def name_of(who: dict[str, Any]) -> str:
    """A holder in a few words."""
    if isinstance(who.get("job"), str):
        return f"job {who['job']}"
    command = str(who.get("command", ""))
    return f"pid {who.get('pid', '?')}" + (f" ({command[:_WORDS_CHARS]})" if command else "")
