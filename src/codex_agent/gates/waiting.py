"""Owns one who waits: woken by the kernel when something moves in its lines, it looks whether it may go in.

Never sleeps itself: its owner polls ``fileno``, calls ``heard``, and ``look`` when it is ``due``. What wakes it is
a ticket that was given back or closed (also at SIGKILL); a look every two seconds is a net under that, and sees
changed settings. Must never end what waits.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence

from codex_agent import settings, watching
from codex_agent.errors import SettingsError
from codex_agent.gates import slots
from codex_agent.gates.conditions import Probe, demands
from codex_agent.gates.lines import Blocked, Line
from codex_agent.gates.slots import Seen
from codex_agent.model import QueuePlace, stamp
from codex_agent.settings_keys import Gate, Settings

_NET_S, _ALONE_S = 2.0, 0.5  # where the kernel tells, and where it does not
_AGAIN_S = 0.02
# The kernel tells that a ticket is closed just before it lets go of the lock on it.
_JUST_AFTER_S = 0.005
_CONDITIONS_S = 3.0
_MOVES = watching.CLOSE_WRITE | watching.DELETE | watching.MOVED_TO

# What somebody waits for before its gates count: a place to tell of, or None when that is over.
First = Callable[[], QueuePlace | None]


class Rules:
    """The settings that count here. Read anew when their file changes; one that cannot be read changes nothing."""

    def __init__(self, environ: Mapping[str, str], given: Settings, max_parallel: int | None) -> None:
        self._environ, self._settings, self._max_parallel = environ, given, max_parallel
        self._seen = self._look()

    @property
    def cap(self) -> int:
        """How many agents may be at work at once; 0 is any number."""
        return self._settings.queue.max_parallel if self._max_parallel is None else self._max_parallel

    def gate(self, name: str) -> Gate:
        """What is set for this gate; the defaults if nothing is."""
        return self._settings.gates.get(name, Gate())

    def refresh(self) -> None:
        """Takes what has changed."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            with contextlib.suppress(SettingsError):
                self._settings = settings.load(self._environ)

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.stat(settings.config_path(self._environ))
        except (OSError, ImportError, SettingsError):  # without site-packages only Linux knows where the file is
            return None
        return found.st_mtime_ns, found.st_ino


class Waiter:
    """One who waits. ``due`` (``time.monotonic``) is when to look next."""

    def __init__(
        self,
        line: Line,
        rules: Rules,
        *,
        cwd: str,
        env: Mapping[str, str],
        bury: Callable[[Sequence[Seen]], None],
        first: First | None = None,
    ) -> None:
        """``bury`` ends what is left of jobs that died inside; ``env`` and ``cwd`` are for a gate's command."""
        self._line, self._rules, self.first, self._bury = line, rules, first, bury
        self._cwd, self._env = cwd, env
        self._probe: Probe | None = None
        self._missing: str | None = None
        self._probe_at = 0.0
        self._since = stamp()
        self.watch = watching.begin()
        self._watched: set[int] = set()
        self.place: QueuePlace | None = None
        self.due = 0.0

    @property
    def undecided(self) -> bool:
        """Whether it is the next, and only its first look at the machine is not over."""
        return self._probe is not None and self._missing is None

    def heard(self) -> bool:
        """Takes what the kernel tells. True, so that it can be what a poll calls."""
        assert self.watch is not None
        events = self.watch.read()
        if any(event.mask & watching.IGNORED for event in events):
            self._watched.clear()
        if events:
            self.due = min(self.due, time.monotonic() + _JUST_AFTER_S)
        return True

    def look(self) -> QueuePlace | None:
        """What it waits for; None when it has gone in. Raises StoreUnwritable, and what ``first`` does."""
        self._watch_folders()
        self._rules.refresh()
        self.due = time.monotonic() + (_NET_S if self._watched else _ALONE_S)
        first = self.first() if self.first is not None else None
        if first is not None:
            self.place = first
            return first
        self.first = None
        try:
            self.place = self._try()
        except slots.Busy:
            self.due = time.monotonic() + _AGAIN_S
            if self.place is None:
                detail = "its place in the line is being looked up"
                self.place = QueuePlace("parallel", None, None, None, self._since, detail)
        return self.place

    def close(self) -> None:
        """Watches no more; the tickets stay as they are."""
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        self._drop_probe()

    def _try(self) -> QueuePlace | None:
        demanding = [
            (ticket.gate, gate) for ticket in self._line.tickets if demands(gate := self._rules.gate(ticket.gate))
        ]
        ready = not demanding or self._is_ready()
        blocked = self._line.look(lambda name: self._rules.gate(name).slots, self._rules.cap, ready=ready)
        if blocked is not None and blocked.kind == "condition":
            self._look_at_machine(demanding)
            if self._is_ready():
                blocked = self._line.look(lambda name: self._rules.gate(name).slots, self._rules.cap, ready=True)
        elif blocked is not None and blocked.kind == "gate":
            self._drop_probe()
        if blocked is None:
            self._drop_probe()
            return None
        if blocked.dead:
            self._bury(blocked.dead)
            self._line.clear(blocked.dead, blocked.gate or slots.ALL)
            self.due = time.monotonic()
        return self._told(blocked)

    # ---- what the gates demand ----

    def _is_ready(self) -> bool:
        """Whether the last look at the machine found all as demanded, and is not old."""
        return self._missing == "" and time.monotonic() < self._probe_at

    def _look_at_machine(self, demanding: Sequence[tuple[str, Gate]]) -> None:
        now = time.monotonic()
        if self._probe is None and now >= self._probe_at:
            self._probe = Probe(demanding, self._cwd, self._env)
        if self._probe is not None:
            result = self._probe.look()
            if result is not None:
                self._missing, self._probe_at = result, now + _CONDITIONS_S
                self._probe = None
        self.due = min(self.due, now + _AGAIN_S if self._probe is not None else self._probe_at)

    def _drop_probe(self) -> None:
        if self._probe is not None:
            self._probe.close()
        self._probe, self._missing, self._probe_at = None, None, 0.0

    # ---- small things ----

    def _watch_folders(self) -> None:
        if self.watch is None or self._watched:
            return
        for ticket in self._line.all:
            with contextlib.suppress(OSError):  # removed, or no watch left: the net catches it
                self._watched.add(self.watch.add(slots.folder(ticket.home, ticket.gate), _MOVES))

    def _told(self, blocked: Blocked) -> QueuePlace:
        gate = None if blocked.kind == "parallel" else blocked.gate
        line = f"place {blocked.place} of {blocked.of}"
        if blocked.kind == "condition":
            detail = self._missing or f"it is looked whether gate {gate} would let it in"
        elif blocked.kind == "parallel":
            agents = "agent" if blocked.taken == 1 else "agents"
            detail = f"{blocked.taken} {agents} at work, {blocked.slots} may be; {line}"
        else:
            by = f" by {', '.join(blocked.holders)}" if blocked.holders else ""
            slot = "slot" if blocked.slots == 1 else "slots"
            detail = f"gate {gate}: {blocked.taken} of {blocked.slots} {slot} taken{by}; {line}"
        return QueuePlace(blocked.kind, gate, blocked.place, blocked.of, self._since, detail)
