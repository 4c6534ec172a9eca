"""Owns one running job: has Codex started and driven, keeps the record, ends it, writes down how it ended.

Runs in the job's tmux pane as the child of the guardian, holds the job's lock for its whole life and is the only
writer of the record meanwhile. How Codex is talked to is its driver's (``drivers/``); who asks from outside comes
to its desk (``desk.py``). Loads nothing but the standard library and light modules of ours (it must stay small:
there may be a hundred), and before Codex runs only what that takes: ``start`` waits for it. Must never decide what
the facts mean; ``verdict.py`` does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from codex_agent import drivers, handshake, kernel
from codex_agent.desk import Desk
from codex_agent.errors import CodexAgentError, StoreUnwritable
from codex_agent.gates.lines import Line
from codex_agent.model import Activity, Record, stamp
from codex_agent.outputs import Outputs
from codex_agent.pulse import Pulse, note_exit
from codex_agent.render import closing, opening, shown_prompt
from codex_agent.store import Store
from codex_agent.tracking import work
from codex_agent.worktrees.committing import Committer

if TYPE_CHECKING:
    from codex_agent.thread_reading import Reading

_SAVE_EVERY_S = 0.25
_ROLLOUT_SOON_S = 0.2  # after something Codex said: the rollout's line for it follows within that
_ROLLOUT_IDLE_S = 3.0  # when nothing came: one stat per look
_DISK_RETRY_S = 1.0
_STOP_SIGNALS = {
    signal.SIGTERM: "killed",
    signal.SIGHUP: "closed",
    signal.SIGINT: "interrupted",
    signal.SIGQUIT: "interrupted",
}
# What a watched descriptor calls; False when it has ended and is to be watched no more.
Ready = Callable[[], bool]


class Supervisor:
    """One job, from the handshake to its end."""

    def __init__(self, store: Store, record: Record, launch: handshake.Launch, lock: int, line: Line) -> None:
        self.store = store
        self.record = record
        self.facts = record.facts
        self.launch = launch
        self.lock, self._line = lock, line
        self.outputs = Outputs(store, record.id, self.warn, pane=record.request.mode == "exec")
        self.outputs.stderr_bytes = self.facts.stderr_bytes  # of earlier runs
        self.driver = drivers.make(self)
        self._poller = select.poll()
        self._watched: dict[int, Ready] = {}
        self._work = work.Watch(record, self.note)
        self._signals: list[int] = []
        now = time.monotonic()
        self._started = self._worked = now
        self._next_save = self._next_rollout = now
        self._dirty = self._begun = False
        self._committer = Committer(self)

    # ---- start ----

    def come_up(self) -> None:
        """Hears signals and callers from now on. Raises OSError."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.watch(wake_read, lambda: self._awake(wake_read))
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, lambda got, _: self._signals.append(got))
        self.desk = Desk(self, self.driver)
        request = self.record.request
        self.outputs.show(
            opening(
                self.record.id,
                self.record.name,
                request.codex_version,
                request.sandbox,
                request.cwd,
                shown_prompt(request),
            )
        )

    def let_in(self, queued: Callable[[], None]) -> bool:
        """Waits until the job's turn has come; False if it was ended before. ``queued`` is called if it must wait.

        Raises CodexAgentError if its turn will never come.
        """
        if not self._line.is_in:
            from codex_agent import quick
            from codex_agent.gates import admission  # most jobs are let in at once

            quick.settle_in()  # this may take days
            if not admission.wait(self, self._line, queued):
                return False
            self.facts.queue = None
            self.changed(at_once=True)
        return True

    def begin(self) -> int:
        """Starts Codex on its turn; its pid. Raises OSError or CodexAgentError, and then there is no agent."""
        self._begun = True
        self._started = self._worked = time.monotonic()
        self._pulse = Pulse(self.facts, self.outputs, self.note, self.launch.env)
        if self.record.request.resume is not None:
            from codex_agent.settle import mark_beginning

            mark_beginning(self.record)
        work.begin(self.record)
        pid = self.driver.launch()
        facts = self.facts
        facts.started_at = facts.started_at or stamp()
        facts.last_activity_at, facts.last_activity_by = stamp(), "start"
        self.store.save(self.record)  # sealed once `start` is answered
        self.note("started", pid=pid)
        return pid

    def environment(self) -> dict[str, str]:
        """What Codex gets: the caller's, the job's mark, and the pane it is in."""
        mine = {
            kernel.MARK: self.record.mark,
            "CODEX_AGENT_JOB_ID": self.record.id,
            **{key: os.environ[key] for key in ("TMUX", "TMUX_PANE") if key in os.environ},
        }
        return {**self.launch.env, **mine}

    # ---- the long middle ----

    def run(self) -> None:
        """Follows Codex until it has ended."""
        self.changed(at_once=True)
        self._write_debug_file()
        while True:
            while not self.driver.over:
                self.pause(self._next_due())
                self._on_time()
            self.driver.collect()
            if self.facts.stop_reason is not None or not self.driver.again():
                return

    def pause(self, until: float) -> None:
        """Sleeps until then (``time.monotonic``) or until something happens, and deals with that."""
        for handle, _ in self._poller.poll(max(0.0, until - time.monotonic()) * 1000):
            ready = self._watched.get(handle)
            if ready is not None and not ready():
                self.unwatch(handle)
        self._on_signals()

    def watch(self, handle: int, ready: Ready, *, writing: bool = False) -> None:
        """Calls ``ready`` whenever this descriptor can be read (``writing``: or written); the last call counts."""
        self._watched[handle] = ready
        self._poller.register(handle, select.POLLIN | (select.POLLOUT if writing else 0))

    def unwatch(self, handle: int) -> None:
        """No more of that. Nothing happens if it is not watched."""
        if self._watched.pop(handle, None) is not None:
            self._poller.unregister(handle)

    def _awake(self, handle: int) -> bool:
        with contextlib.suppress(BlockingIOError):
            os.read(handle, 4096)
        return True

    def _next_due(self) -> float:
        due = [self._next_rollout, self._pulse.due(self._worked, at_work=self.at_work)]
        if self._dirty:
            due.append(self._next_save)
        wanted = self.driver.due()
        if wanted is not None:
            due.append(wanted)
        if self.facts.stop_reason is None:
            due.extend(at for at, _ in self._timeouts())
        return min(due)

    def _timeouts(self) -> list[tuple[float, str]]:
        request = self.record.request
        limits = []
        if request.timeout_s and self.at_work:
            limits.append((self._worked + request.timeout_s, "timeout_inactivity"))
        if request.max_time_s:
            limits.append((self._started + request.max_time_s, "timeout_total"))
        return limits

    @property
    def at_work(self) -> bool:
        """Whether the agent has something to do: one that waits for somebody cannot be inactive."""
        facts = self.facts
        if self.record.request.mode == "exec":
            return True
        return facts.turn.state == "open" and not facts.waiting and not facts.waiting_flags

    def _on_time(self) -> None:
        now = time.monotonic()
        if now >= self._next_rollout:
            self.look_at_rollout()
            self._dirty = self._work.look() or self._dirty
            self._next_rollout = now + _ROLLOUT_IDLE_S
        self.driver.on_time(now)
        if now >= self._pulse.due(self._worked, at_work=self.at_work):
            self._dirty |= self._pulse.count()
            self._pulse.on_time(now, self._worked, at_work=self.at_work, state=self.turn_state)
        if self._dirty and now >= self._next_save:
            self._save()
        if self.facts.stop_reason is not None:
            return
        for at, reason in self._timeouts():
            if now >= at:
                self.stop(reason)
                return

    def _on_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number == signal.SIGCHLD and not self._begun:
                continue  # what a gate demands is asked by a child; whoever began it takes its status
            if number == signal.SIGCHLD:
                for pid, status in kernel.reap():
                    self.driver.reaped(pid, status)
            else:
                self.stop(_STOP_SIGNALS[signal.Signals(number)])

    def stop(self, reason: str) -> None:
        """Begins to end Codex; the first reason given is the one recorded."""
        if self.facts.stop_reason is not None:
            return
        self.facts.stop_reason = reason
        self.note("stopping", reason=reason)
        self._save()
        if self._begun:
            self.driver.insist()

    def refused(self, code: str, message: str) -> None:
        """The job's turn had come, or never will, and Codex cannot be run."""
        self.facts.stop_reason = self.facts.stop_reason or code
        self.facts.not_begun = message
        self.note("stopping", reason=code)

    # ---- what drivers say ----

    def worked(self, by: Activity) -> None:
        """Codex did something that was work, as ``by`` tells."""
        self._worked = time.monotonic()
        self.facts.last_activity_at, self.facts.last_activity_by = stamp(), by

    def changed(self, *, at_once: bool = False) -> None:
        """The facts changed; they are saved soon, or now. Whoever waits for that hears of it afterwards."""
        self._dirty = True
        if at_once:
            self._save()

    @property
    def saved(self) -> bool:
        """Whether the record on disk says what the facts say."""
        return not self._dirty

    def rollout_soon(self) -> None:
        """The rollout will have more in a moment."""
        self._next_rollout = min(self._next_rollout, time.monotonic() + _ROLLOUT_SOON_S)

    def look_at_rollout(self) -> None:
        """Reads what is new in the rollout into the facts."""
        thread_id = self.facts.thread_id
        if thread_id is not None and self._reading.look(thread_id) and not self.driver.over:
            self.stop("budget")

    @cached_property
    def _reading(self) -> Reading:
        from codex_agent.thread_reading import Reading

        return Reading(self)

    # ---- the end ----

    def finish(self) -> None:
        """Collects what is left, of output and of processes, and writes the end. Then the lock is free."""
        from codex_agent import sealing
        from codex_agent.codex.failures import telling_stderr_line
        from codex_agent.settle import take_review
        from codex_agent.verdict import job_view

        facts = self.facts
        facts.exited_at = stamp()
        self.desk.close()
        left = kernel.sweep(lambda: kernel.descendants(os.getpid()))
        if not kernel.LINUX:
            # Without a subreaper an orphan is nobody's descendant any more.
            left += kernel.sweep(lambda: kernel.marked(self.record.mark))
        if left:
            self.warn(f"Could not end pid {', '.join(str(process.pid) for process in left)}.")
        self.look_at_rollout()
        take_review(self.record)
        if self._reading.bad_lines:
            self.warn(f"{self._reading.bad_lines} lines of the rollout could not be read.")
        self._committer.commit()
        self._work.look()
        work.end(self.record, self.launch.env)
        facts.waiting, facts.waiting_flags = [], []
        if self._begun:
            self._pulse.count()
        facts.last_stderr = telling_stderr_line(self.outputs.stderr_tail())
        if facts.turn.state == "completed" and facts.last_message is not None:
            message = facts.last_message.encode("utf-8", "replace")
            self._persist(lambda: self.store.write(self.record.id, ".result", message))
        facts.settled_by = "supervisor"
        facts.ended_at = stamp()
        job = job_view(self.record, alive=True, now=time.time())
        note_exit(self.note, facts, job.elapsed_ms)
        self.outputs.show(
            closing(job.status, job.failure.message if job.failure else None, facts, job.elapsed_ms / 1000)
        )
        self.outputs.close()
        self._persist(lambda: sealing.save(self.store, self.record))
        self._write_debug_file()
        self.note("ended", status=job.status, reason=job.failure.reason if job.failure else None)
        self._line.give_back()
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

    @property
    def turn_state(self) -> str | None:
        """What the agent does now, by the one who decides that."""
        from codex_agent.verdict import judge

        return judge(self.facts, alive=True, mode=self.record.request.mode).turn_state

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
            self._dirty = True

    def _write_debug_file(self) -> None:
        """What tells a reader why a job is as it is; no fault in that may touch the job."""
        from codex_agent import debug_file  # late: `start` is answered first

        try:
            debug_file.write(self.store, self.record, self.environment())
        except (CodexAgentError, OSError, TypeError, ValueError, KeyError, AttributeError) as error:
            self.warn(f".debug.json could not be written: {type(error).__name__}: {error}")
            self._save()

    def _save(self) -> None:
        self._next_save = time.monotonic() + _SAVE_EVERY_S
        self.facts.stderr_bytes = self.outputs.stderr_bytes
        self._committer.at_turn_end()
        try:
            from codex_agent import sealing

            sealing.save(self.store, self.record)
            self._dirty = False
            self.desk.look()
        except StoreUnwritable:
            self._next_save += _DISK_RETRY_S
