"""Owns an agent that does its task and ends: `codex exec --json`, its event stream, and the runs that follow it.

A message that was queued meanwhile is said with `codex exec resume` when the run has ended, under the same job.
Must never talk to a run that goes on: `codex exec` takes no messages.
"""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from typing import Any

from codex_agent import execstream, kernel, mailbox
from codex_agent.child import Child, Rung
from codex_agent.drivers.base import Done, Host, Json, Message, refusal
from codex_agent.errors import RecordUnreadable, StartFailed, StoreUnwritable
from codex_agent.model import Resume, stamp
from codex_agent.render import event_text
from codex_agent.text import plain

_LINE_LIMIT = 1 << 26
# How long Codex may take to open a thread: 0.2 s as a rule, more for a long one and with many at once.
_OPEN_S, _OPEN_PAUSE_S = 30.0, 0.01
# SIGINT lets Codex note `turn_aborted` and end its own commands (40 ms, measured on 0.169.0); after that it is
# only a matter of time.
_LADDER: tuple[Rung, ...] = ((signal.SIGINT, 4.0), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))


class ExecDriver:
    """One `codex exec`, and then one for each message that waited for its end."""

    def __init__(self, supervisor: Host) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._line = bytearray()
        self._strange_lines = 0
        self._told: dict[str, Done] = {}
        self._said: Message | None = None
        self._taken: set[str] = set()  # also what a full disk kept in the mailbox
        self._turn_before: str | None = None
        self._count_before = 0
        self._thread: str | None = None
        self._child: Child

    @property
    def over(self) -> bool:
        return self._child.exit_status is not None

    # ---- runs ----

    def launch(self) -> int:
        supervisor = self._supervisor
        waiting = mailbox.load(supervisor.store, supervisor.record.id) if self._facts.runs > 1 else []
        if waiting:
            return self._follow_up(waiting)
        pid = self._run(supervisor.launch.argv, supervisor.store.path(supervisor.record.id, ".prompt"))
        resume = supervisor.record.request.resume
        if resume is not None and self._facts.runs == 1:
            self._see_thread(resume)
        return pid

    def _see_thread(self, resume: Resume) -> None:
        """Waits until Codex says which thread it has open. Raises StartFailed if that is none, or another one."""
        deadline = time.monotonic() + _OPEN_S
        while self._thread is None:
            for pid, status in kernel.reap():
                self._child.met(pid, status)
            self._child.drain()
            if self._thread is None and (self.over or time.monotonic() > deadline):
                break
            time.sleep(_OPEN_PAUSE_S)
        if self._thread is None:
            tail = self._supervisor.outputs.stderr_tail()
            ended = self._child.exit_status
            code = None if ended is None else os.waitstatus_to_exitcode(ended)
            from codex_agent.codex.failures import diagnose  # late: Codex is run first

            found = diagnose(message=None, info=None, stderr_tail=tail, exit_code=code)
            verb = "fork" if resume.forked else "go on with"
            raise StartFailed(f"Codex did not {verb} thread {resume.thread_id}: {found.message}", found.hint)
        if (self._thread == resume.thread_id) == resume.forked:
            raise StartFailed(f"Codex opened the thread {self._thread} when asked for {resume.thread_id}.")

    def again(self) -> bool:
        supervisor = self._supervisor
        try:
            found = mailbox.load(supervisor.store, supervisor.record.id)
            waiting = [one for one in found if one.id not in self._taken]
        except RecordUnreadable as error:
            supervisor.warn(error.message)
            return False
        if not waiting or self._facts.thread_id is None or self._said is not None:
            return False
        kernel.sweep(lambda: kernel.descendants(os.getpid()))
        try:
            self._follow_up(waiting)
        except OSError as error:
            supervisor.warn(f"Codex could not be run again for a message that waits: {error}")
            return False
        return True

    def _follow_up(self, waiting: list[Message]) -> int:
        """Says the first of these to the thread, in a run of its own."""
        supervisor, message = self._supervisor, waiting[0]
        assert self._facts.thread_id is not None
        turn = self._facts.turn
        if turn.state not in (None, "open"):
            turn.id = turn.id or self._facts.rollout_turn.id
            self._facts.last_turn = turn
        self._facts.last_message = None
        supervisor.outputs.show(f"\n> {plain(message.text)}\n")
        from codex_agent.codex.resuming import resume_argv  # late: few jobs have a second run

        temporary = supervisor.store.temporary(supervisor.record.id, "stdin")
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(message.text.encode("utf-8", "surrogatepass"))
        try:
            pid = self._run(resume_argv(supervisor.launch.argv, self._facts.thread_id), temporary)
        finally:
            os.unlink(temporary)
        self._said = message
        self._turn_before, self._count_before = self._facts.rollout_turn.id, self._facts.turn.count
        return pid

    def _run(self, argv: list[str], stdin: str) -> int:
        supervisor = self._supervisor
        launch = supervisor.launch
        self._child = Child(
            argv,
            launch.cwd,
            supervisor.environment(),
            launch.umask,
            stdin,
            self._on_stdout,
            supervisor.outputs.stderr,
            _LADDER,
        )
        for pipe in self._child.pipes:
            supervisor.watch(pipe, partial(self._child.read, pipe))
        self._facts.codex = self._child.identity
        return self._child.identity.pid

    def reaped(self, pid: int, status: int) -> None:
        self._child.met(pid, status)

    def due(self) -> float | None:
        return self._child.next_step_at

    def on_time(self, now: float) -> None:
        at = self._child.next_step_at
        if at is not None and now >= at and not self._child.insist():
            self._supervisor.warn("Codex did not end even after SIGKILL.")
        if self._said is not None and self._turn_id() is not None:
            self._delivered(self._said)

    def insist(self) -> None:
        self._child.insist()

    def collect(self) -> None:
        assert self._child.exit_status is not None
        code = os.waitstatus_to_exitcode(self._child.exit_status)
        self._facts.exit_code, self._facts.exit_signal = (code, None) if code >= 0 else (None, -code)
        self._child.drain()
        for pipe in self._child.pipes:
            self._supervisor.unwatch(pipe)
        self._child.close()
        if self._line:
            self._on_stdout(b"\n")
        if self._said is not None:
            self._supervisor.look_at_rollout()
            if self._turn_id() is not None or self._facts.turn.count > self._count_before:
                self._delivered(self._said)
            else:
                self._supervisor.warn(
                    "A message could not be said: Codex did not begin a turn with it. It is kept."
                )
        if self._strange_lines:
            self._supervisor.warn(f"{self._strange_lines} lines of Codex's event stream could not be read.")

    # ---- what Codex says ----

    def _on_stdout(self, data: bytes) -> None:
        self._facts.stdout_bytes += len(data)
        self._supervisor.outputs.raw(data)
        self._line += data
        if b"\n" not in data:
            if len(self._line) > _LINE_LIMIT:
                self._line.clear()
                self._supervisor.warn("A line of Codex's event stream was too long and was passed over.")
            return
        *lines, rest = bytes(self._line).split(b"\n")
        self._line = bytearray(rest)
        for line in lines:
            event = execstream.parse(line)
            if event is not None:
                self._take(event)
            elif line.strip():
                self._strange_lines += 1

    def _take(self, event: dict[str, Any]) -> None:
        supervisor, facts = self._supervisor, self._facts
        was_reconnecting = facts.reconnecting
        cwd = supervisor.record.request.cwd
        try:
            execstream.fold(facts, event, stamp(), cwd)
            supervisor.outputs.show(event_text(event, cwd))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # A shape nobody has seen yet must not end the job; it is in the .jsonl for whoever looks into it.
            supervisor.warn(
                f"An event of type {event['type']} could not be read ({type(error).__name__}: {error})."
            )
        if facts.reconnecting is None:
            supervisor.worked("stream")
        supervisor.rollout_soon()
        kind = event["type"]
        if kind == "thread.started":
            self._thread = facts.thread_id
            supervisor.note("thread", thread_id=facts.thread_id)
        elif kind == "turn.started":
            supervisor.note("turn_started", count=facts.turn.count)
        elif kind in ("turn.completed", "turn.failed"):
            supervisor.note("turn_ended", state=facts.turn.state, error=facts.turn.error)
        elif kind == "error" and was_reconnecting is None:
            supervisor.note("reconnecting", reason=facts.reconnecting)
        supervisor.changed(at_once=kind == "error" or kind.startswith("turn.") or kind == "thread.started")

    # ---- what somebody asks ----

    def send(self, message: Message, done: Done) -> None:
        supervisor = self._supervisor
        if message.how != "queue":
            done(
                refusal(
                    "bad_state",
                    f"Job {supervisor.record.id} is an exec agent at work: it takes no messages.",
                    "Add --queue: it gets the message when this run ends.",
                )
            )
            return
        before = mailbox.load(supervisor.store, supervisor.record.id)
        waiting = [*(one for one in before if one.id not in self._taken), message]
        mailbox.save(supervisor.store, supervisor.record.id, waiting)
        self._facts.queued = len(waiting)
        supervisor.note("queued", message_id=message.id, chars=len(message.text))
        supervisor.changed(at_once=True)
        done({"ok": True, "delivery": "queued", "turn_id": None})

    def delivered(self, message_id: str, done: Done) -> None:
        """Tells when a message that was queued has been said."""
        waiting = mailbox.load(self._supervisor.store, self._supervisor.record.id)
        if message_id in (one.id for one in waiting):
            self._told[message_id] = done
        else:
            done({"ok": True, "delivery": "turn", "turn_id": self._facts.rollout_turn.id})

    def _delivered(self, message: Message) -> None:
        supervisor = self._supervisor
        self._said = None
        self._taken.add(message.id)
        try:
            found = mailbox.load(supervisor.store, supervisor.record.id)
            rest = [one for one in found if one.id not in self._taken]
            self._facts.queued = len(rest)
            mailbox.save(supervisor.store, supervisor.record.id, rest)
        except (RecordUnreadable, StoreUnwritable) as error:
            supervisor.warn(error.message)
        turn_id = self._turn_id()
        supervisor.note("sent", message_id=message.id, delivery="turn", turn_id=turn_id, chars=len(message.text))
        supervisor.changed(at_once=True)
        told = self._told.pop(message.id, None)
        if told is not None:
            told({"ok": True, "delivery": "turn", "turn_id": turn_id})

    def _turn_id(self) -> str | None:
        """The id of the turn that a message began: only the rollout has one."""
        turn_id = self._facts.rollout_turn.id
        return turn_id if turn_id != self._turn_before else None

    def interrupt(self, done: Done) -> None:
        job_id = self._supervisor.record.id
        done(
            refusal(
                "bad_state",
                f"Job {job_id} is an exec agent: cutting its turn off ends it.",
                f"codex-agent kill {job_id} ends it; codex-agent send {job_id} ... goes on from there.",
            )
        )

    def respond(self, request: Json, done: Done) -> None:  # noqa: ARG002 (it never asks)
        done(refusal("bad_state", f"Job {self._supervisor.record.id} is an exec agent: it never asks."))

    def leave(self, cut: bool, done: Done) -> None:  # noqa: ARG002 (it never stays)
        job_id = self._supervisor.record.id
        done(
            refusal(
                "bad_state",
                f"Job {job_id} is an exec agent: it ends by itself.",
                f"codex-agent wait {job_id} waits for that, codex-agent kill {job_id} ends it now.",
            )
        )
