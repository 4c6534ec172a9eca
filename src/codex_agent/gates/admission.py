"""Owns a queued job: its supervisor waits here until its turn has come, before Codex is run.

The supervisor is there already, in its pane and with the job's lock, so a queued job survives the shell that
started it, can be attached to and killed, and needs no daemon. Its tickets were taken by ``start`` and handed over
with the lock. Must never run Codex.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Protocol

from codex_agent import watching
from codex_agent.errors import CodexAgentError, DependencyFailed, JobNotFound, StoreUnwritable
from codex_agent.gates import lines, slots
from codex_agent.gates.conditions import demands
from codex_agent.gates.lines import Line
from codex_agent.gates.slots import Seen
from codex_agent.gates.waiting import Rules, Waiter
from codex_agent.model import TERMINAL, QueuePlace, Record, stamp
from codex_agent.settings_keys import Gate, Queue, Settings
from codex_agent.store import Store

if TYPE_CHECKING:
    from codex_agent.drivers.base import Host

    class Pauser(Host, Protocol):
        """What is needed of the supervisor to wait in it."""

        def pause(self, until: float) -> None:
            """Sleeps until then (``time.monotonic``), or until something happened; that is dealt with."""


# How long a job whose turn seems to have come is let be before `start` is told that it is queued.
_FIRST_LOOK_S = 2.0
_PANE = 1
_ENDS = {"failed": "failed", "interrupted": "was interrupted"}


def enter(store: Store, record: Record, settings: Settings) -> Line:
    """The job's place in its lines, or in already. Raises StoreUnwritable, DependencyFailed.

    The record's time of making is set to this moment: jobs go in in the order in which they were made.
    """
    request = record.request
    who = {"job": record.id, "pid": os.getpid()}
    first = record.facts.runs == 1
    waits = first and After(store, request.after, request.after_any, None).look() is not None
    try:
        with slots.locked(store.home, lines.gates_of(request.gates, job=True)):
            line = lines.enter(store.home, request.gates, who, job=True)
            if first:
                record.created_at = stamp()
            if waits:
                line.step_aside()
            else:
                rules = _rules(record, settings, {})
                ready = not any(demands(rules.gate(ticket.gate)) for ticket in line.tickets)
                line.settle_in(lambda name: rules.gate(name).slots, rules.cap, ready=ready)
    except slots.Busy as error:
        raise StoreUnwritable(
            f"Another codex-agent does not let go of {slots.folder(store.home, str(error))}.",
            "It may be stopped (Ctrl-Z): end or continue it, then try again.",
        ) from error
    return line


def _rules(record: Record, settings: Settings, environ: Mapping[str, str]) -> Rules:
    """What counts for this job. One that is begun again is in a talk: the cap on all agents is not for it."""
    again = record.facts.runs > 1
    return Rules(environ, settings, 0 if again else record.request.max_parallel)


def wait(supervisor: Pauser, line: Line, queued: Callable[[], None]) -> bool:
    """Returns when the job's turn has come; False if it was ended before. ``queued`` is called if it must wait.

    Raises DependencyFailed if it will never come, StoreUnwritable.
    """
    record, facts = supervisor.record, supervisor.facts
    request, launch = record.request, supervisor.launch
    waiter = Waiter(
        line,
        _rules(record, _settings(launch.rules), launch.env),
        cwd=launch.cwd,
        env=supervisor.environment(),
        bury=lambda dead: bury(supervisor.store, dead),
    )
    if facts.runs == 1:
        waiter.first = After(supervisor.store, request.after, request.after_any, waiter.watch).look
    if waiter.watch is not None:
        supervisor.watch(waiter.watch.fileno(), waiter.heard)
    told_at = time.monotonic() + _FIRST_LOOK_S
    told = False
    try:
        while facts.stop_reason is None:
            if time.monotonic() < waiter.due:
                supervisor.pause(waiter.due)
                continue
            place = waiter.look()
            if place is None:
                return True
            if not told and waiter.undecided and time.monotonic() < told_at:
                continue
            if place != facts.queue:
                _tell(supervisor, place)
                facts.queue = place
                supervisor.changed(at_once=True)
            if not told:
                told = True
                queued()
    finally:
        if waiter.watch is not None:
            supervisor.unwatch(waiter.watch.fileno())
        waiter.close()
    return False


def _tell(supervisor: Host, place: QueuePlace) -> None:
    """Says what the job waits for: in its events if that is another thing, and to whoever looks at the pane."""
    before = supervisor.facts.queue
    if before is None or (place.kind, place.name) != (before.kind, before.name):
        supervisor.note("waits_for", what=place.kind, name=place.name, detail=place.detail)
    text = f"queued: {place.detail}\n"
    supervisor.outputs.show(text)
    if supervisor.record.request.mode == "interactive" and select.select([], [_PANE], [], 0)[1]:
        with contextlib.suppress(OSError):  # the TUI is to come; until then the pane would be empty
            os.write(_PANE, text.replace("\n", "\r\n").encode("utf-8", "replace"))


def _settings(rules: Mapping[str, Any]) -> Settings:
    """What `start` read of the settings, until they change."""
    gates = {name: Gate(**gate) for name, gate in rules["gates"].items()}
    return Settings(queue=Queue(rules["max_parallel"]), gates=gates)


def rules_to_launch(settings: Settings, record: Record) -> dict[str, Any]:
    """What counts for this job of the settings, to be handed over."""
    gates = {name: asdict(settings.gates.get(name, Gate())) for name in record.request.gates}
    return {"gates": gates, "max_parallel": settings.queue.max_parallel}


def bury(store: Store, dead: Sequence[Seen]) -> None:
    """Ends what is left of jobs that died while they held a slot, and writes down their end."""
    from codex_agent.settle import settle

    for one in dead:
        try:
            settle(store, str(slots.who(one).get("job")), by="reader")
        except (JobNotFound, StoreUnwritable):
            pass  # its `start` took it back; or the end cannot be written, but its processes are gone
        except CodexAgentError:
            pass  # a record that cannot be read must not hold up everybody


class After:
    """The jobs that have to be over first."""

    def __init__(
        self, store: Store, after: Sequence[str], after_any: Sequence[str], watch: watching.Watch | None
    ) -> None:
        self._store, self._watch = store, watch
        self._left = [*dict.fromkeys([*after, *after_any])]
        self._must_complete = frozenset(after)
        self._since = stamp()

    def look(self) -> QueuePlace | None:
        """The first of them that is not over yet; None if all are. Raises DependencyFailed."""
        if not self._left:
            return None
        from codex_agent import jobs  # late: few jobs wait for others

        for job_id in list(self._left):
            self._listen(job_id)
            try:
                job = jobs.view(self._store, job_id)
            except CodexAgentError as error:
                if job_id in self._must_complete:
                    raise DependencyFailed(
                        f"Nobody can tell whether job {job_id} completed: {error.message}"
                    ) from error
                self._left.remove(job_id)
                continue
            if job.status not in TERMINAL:
                continue
            if job.status != "completed" and job_id in self._must_complete:
                why = job.failure.reason if job.failure else "?"
                raise DependencyFailed(f"Job {job_id}, which had to complete first, {_ENDS[job.status]} ({why}).")
            self._left.remove(job_id)
        if not self._left:
            return None
        first, *rest = self._left
        more = f" and {len(rest)} more" if rest else ""
        return QueuePlace("after", first, None, None, self._since, f"after job {first}{more}")

    def _listen(self, job_id: str) -> None:
        """Its supervisor holds the lock open for writing while it lives, and appends to its events at its end."""
        if self._watch is None:
            return
        for suffix, mask in ((".lock", watching.CLOSE_WRITE), (".events.jsonl", watching.MODIFY)):
            try:
                self._watch.add(self._store.path(job_id, suffix), mask)
            except OSError:
                continue  # not there (yet): there is a look now and then
