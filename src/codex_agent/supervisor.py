"""Owns one running job: starts Codex, folds what it says into the record, ends it, writes down how it ended.

Runs in the job's tmux pane as the child of the guardian, holds the job's lock for its whole life and is the only
writer of the record meanwhile. Loads nothing but the standard library and light modules of ours (it must stay
small: there may be a hundred). Must never decide what the facts mean; ``verdict.py`` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Callable
from typing import Any

from codex_agent import execstream, handshake, kernel, linger, notify, rollouts
from codex_agent.child import Child
from codex_agent.codex.failures import telling_stderr_line
from codex_agent.errors import CodexAgentError, StoreUnwritable
from codex_agent.model import Record, stamp
from codex_agent.outputs import Outputs
from codex_agent.render import closing, event_text, opening
from codex_agent.settle import take_rollout
from codex_agent.store import Store
from codex_agent.verdict import job_view

_SAVE_EVERY_S = 0.25
_ROLLOUT_SOON_S = 0.2  # after an event of the stream: the rollout's line for it follows within that
_ROLLOUT_IDLE_S = 3.0  # when nothing came on the stream: one stat per look
_LINE_LIMIT = 1 << 26
_DISK_RETRY_S = 1.0
_STOP_SIGNALS = {
    signal.SIGTERM: "killed",
    signal.SIGHUP: "closed",
    signal.SIGINT: "interrupted",
    signal.SIGQUIT: "interrupted",
}


class Supervisor:
    """One job, from the handshake to its end."""

    def __init__(self, store: Store, record: Record, launch: handshake.Launch, lock: int) -> None:
        self.store = store
        self.record = record
        self.facts = record.facts
        self.launch = launch
        self.lock = lock
        self.outputs = Outputs(store, record.id, self.warn)
        self._line = bytearray()
        self._strange_lines = 0
        self._reader: rollouts.Reader | None = None
        self._signals: list[int] = []
        now = time.monotonic()
        self._started = self._worked = now
        self._next_save = self._next_rollout = now
        self._dirty = False

    # ---- start ----

    def launch_codex(self) -> None:
        """Starts Codex with the prompt on its stdin. Raises OSError if it cannot be run."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        self._wake = wake_read
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda got, _: self._signals.append(got))
        mine = {
            kernel.MARK: self.record.mark,
            "CODEX_AGENT_JOB_ID": self.record.id,
            **{key: os.environ[key] for key in ("TMUX", "TMUX_PANE") if key in os.environ},
        }
        stdin = self.store.path(self.record.id, ".prompt")
        env = {**self.launch.env, **mine}
        self.child = Child(self.launch, env, stdin, self._on_stdout, self.outputs.stderr)
        facts = self.facts
        facts.codex = self.child.identity
        facts.started_at = facts.last_activity_at = stamp()
        self.store.save(self.record)
        self.note("started", pid=self.child.identity.pid)
        request = self.record.request
        self.outputs.show(
            opening(
                self.record.id,
                self.record.name,
                request.codex_version,
                request.sandbox,
                request.cwd,
                request.prompt_head + ("..." if request.prompt_chars > len(request.prompt_head) else ""),
            )
        )

    # ---- the long middle ----

    def run(self) -> None:
        """Follows Codex until it has ended."""
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        for pipe in self.child.pipes:
            poller.register(pipe, select.POLLIN)
        while self.child.exit_status is None:
            for handle, _ in poller.poll(max(0.0, self._next_due() - time.monotonic()) * 1000):
                if handle == self._wake:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                elif not self.child.read(handle):
                    poller.unregister(handle)
            self._on_signals()
            self._on_time()

    def _next_due(self) -> float:
        due = [self._next_rollout]
        if self._dirty:
            due.append(self._next_save)
        if self.child.next_step_at is not None:
            due.append(self.child.next_step_at)
        elif self.facts.stop_reason is None:
            due.extend(at for at, _ in self._timeouts())
        return min(due)

    def _timeouts(self) -> list[tuple[float, str]]:
        request = self.record.request
        limits = []
        if request.timeout_s:
            limits.append((self._worked + request.timeout_s, "timeout_inactivity"))
        if request.max_time_s:
            limits.append((self._started + request.max_time_s, "timeout_total"))
        return limits

    def _on_time(self) -> None:
        now = time.monotonic()
        if now >= self._next_rollout:
            self._look_at_rollout()
            self._next_rollout = now + _ROLLOUT_IDLE_S
        if self._dirty and now >= self._next_save:
            self._save()
        if self.facts.stop_reason is not None:
            if self.child.next_step_at is not None and now >= self.child.next_step_at and not self.child.insist():
                self.warn("Codex did not end even after SIGKILL.")
            return
        for at, reason in self._timeouts():
            if now >= at:
                self.stop(reason)
                return

    def _on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGCHLD:
                self.child.reap()
            else:
                self.stop(_STOP_SIGNALS[signal.Signals(number)])

    def stop(self, reason: str) -> None:
        """Begins to end Codex; the first reason given is the one recorded."""
        if self.facts.stop_reason is not None:
            return
        self.facts.stop_reason = reason
        self.note("stopping", reason=reason)
        self._save()
        self.child.insist()

    # ---- what Codex says ----

    def _on_stdout(self, data: bytes) -> None:
        self.facts.stdout_bytes += len(data)
        self.outputs.raw(data)
        self._line += data
        if b"\n" not in data:
            if len(self._line) > _LINE_LIMIT:
                self._line.clear()
                self.warn("A line of Codex's event stream was too long and was passed over.")
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
        was_reconnecting = self.facts.reconnecting
        try:
            execstream.fold(self.facts, event, stamp(), self.record.request.cwd)
            self.outputs.show(event_text(event, self.record.request.cwd))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            # A shape nobody has seen yet must not end the job; it is in the .jsonl for whoever looks into it.
            self.warn(f"An event of type {event['type']} could not be read ({type(error).__name__}: {error}).")
        now = time.monotonic()
        if self.facts.reconnecting is None:
            self._worked = now
        self._next_rollout = min(self._next_rollout, now + _ROLLOUT_SOON_S)
        self._mark_dirty()
        kind = event["type"]
        if kind == "thread.started":
            self.note("thread", thread_id=self.facts.thread_id)
        elif kind == "turn.started":
            self.note("turn_started", count=self.facts.turn.count)
        elif kind in ("turn.completed", "turn.failed"):
            self.note("turn_ended", state=self.facts.turn.state, error=self.facts.turn.error)
        elif kind == "error" and was_reconnecting is None:
            self.note("reconnecting", reason=self.facts.reconnecting)
        if kind == "error" or kind.startswith("turn.") or kind == "thread.started":
            self._save()

    def _look_at_rollout(self) -> None:
        facts = self.facts
        if facts.thread_id is None:
            return
        try:
            if self._reader is None:
                path = rollouts.find(self.record.request.codex_home, facts.thread_id)
                if path is None:
                    return
                facts.rollout = path
                self._reader = rollouts.Reader(path, thread_id=facts.thread_id)
                self._mark_dirty()
            changed = self._reader.read_new()
        except (OSError, CodexAgentError):
            # Archived, compressed or removed under us; where it is now is found at the next look.
            self._reader = None
            return
        if changed:
            take_rollout(facts, self._reader.state)
            if facts.reconnecting is None:
                self._worked = time.monotonic()
                facts.last_activity_at = stamp()
            self._mark_dirty()

    # ---- the end ----

    def finish(self) -> None:
        """Collects what is left, of output and of processes, and writes the end. Then the lock is free."""
        facts = self.facts
        assert self.child.exit_status is not None
        code = os.waitstatus_to_exitcode(self.child.exit_status)
        facts.exit_code, facts.exit_signal = (code, None) if code >= 0 else (None, -code)
        facts.exited_at = stamp()
        left = kernel.sweep(lambda: kernel.descendants(os.getpid()))
        if not kernel.LINUX:
            # Without a subreaper an orphan is nobody's descendant any more.
            left += kernel.sweep(lambda: kernel.marked(self.record.mark))
        if left:
            self.warn(f"Could not end pid {', '.join(str(process.pid) for process in left)}.")
        self.child.drain()
        if self._line:
            self._on_stdout(b"\n")
        self._look_at_rollout()
        if self._strange_lines:
            self.warn(f"{self._strange_lines} lines of Codex's event stream could not be read.")
        if self._reader is not None and self._reader.bad_lines:
            self.warn(f"{self._reader.bad_lines} lines of the rollout could not be read.")
        facts.stderr_bytes = self.outputs.stderr_bytes
        facts.last_stderr = telling_stderr_line(self.outputs.stderr_tail())
        if facts.turn.state == "completed" and facts.last_message is not None:
            message = facts.last_message.encode("utf-8", "replace")
            self._persist(lambda: self.store.write(self.record.id, ".result", message))
        facts.settled_by = "supervisor"
        facts.ended_at = stamp()
        job = job_view(self.record, alive=True, now=time.time())
        self.note("exited", exit_code=facts.exit_code, signal=facts.exit_signal)
        self.outputs.show(
            closing(job.status, job.failure.message if job.failure else None, facts, job.elapsed_ms / 1000)
        )
        self.outputs.close()
        self._persist(lambda: self.store.save(self.record))
        self.note("ended", status=job.status, reason=job.failure.reason if job.failure else None)
        fcntl.flock(self.lock, fcntl.LOCK_UN)

    def _persist(self, write: Callable[[], None]) -> None:
        """Writes what must not be lost: while the disk is full the job is kept, and said to run."""
        while True:
            try:
                write()
                return
            except StoreUnwritable:
                if not os.path.isdir(self.store.folder):
                    return  # the jobs folder was removed: there is nothing left to keep
                time.sleep(_DISK_RETRY_S)

    # ---- small things ----

    def note(self, kind: str, **data: Any) -> None:
        """An event; a full disk loses the line, not the job."""
        try:
            self.store.event(self.record.id, kind, **data)
        except StoreUnwritable as error:
            self.warn(f"Parts of .events.jsonl are missing: {error.message}")

    def warn(self, text: str) -> None:
        """Something that decides nothing, for the record's ``warnings``."""
        if text not in self.facts.warnings:
            self.facts.warnings.append(text)
            self._mark_dirty()

    def _mark_dirty(self) -> None:
        self._dirty = True

    def _save(self) -> None:
        self._next_save = time.monotonic() + _SAVE_EVERY_S
        try:
            self.store.save(self.record)
            self._dirty = False
        except StoreUnwritable:
            self._next_save += _DISK_RETRY_S


def main(home: str, job_id: str, socket_path: str) -> int:
    """The supervisor process. Returns 0 when the job's end is written and nothing of it is left."""
    store = Store(home)
    try:
        connection, launch, lock = handshake.call(socket_path)
    except (OSError, EOFError):
        return 0  # `start` is gone: there is nobody to work for, and nothing was begun
    record = store.load(job_id)
    facts = record.facts
    facts.supervisor = kernel.identify(os.getpid())
    facts.boot_id = kernel.boot_id()
    # tmux puts `socket,server pid,session` into the pane's environment.
    facts.tmux_socket = os.environ.get("TMUX", "").rsplit(",", 2)[0] or None
    try:
        supervisor = Supervisor(store, record, launch, lock)
        supervisor.launch_codex()
    except CodexAgentError as error:
        if facts.codex is not None:
            supervisor.child.abandon()
        handshake.answer(connection, {"ok": False, **error.to_json()})
        return 0
    except OSError as error:
        message = f"Codex could not be run: {error}"
        handshake.answer(connection, {"ok": False, "code": "spawn_failed", "message": message, "hint": None})
        return 0
    assert facts.codex is not None
    handshake.answer(connection, {"ok": True, "pid": facts.codex.pid})
    supervisor.run()
    supervisor.finish()
    notify.run(store, record, launch.env)
    if facts.tmux_socket is not None:
        linger.while_watched(facts.tmux_socket, record.tmux_session)
    return 0
