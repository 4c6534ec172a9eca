"""Owns an agent that stays and is Codex's bare TUI: for a Codex that cannot be driven through an app-server.

What its turn does stands in the rollout; whether it waits for somebody, in the pane's title; what is said to it is
typed, and proven by the rollout. Nothing is ever read off the screen: what these cannot tell is ``unknown``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from codex_agent import kernel, rollouts
from codex_agent.answers import Entry, Marked, Said
from codex_agent.child import end_commands
from codex_agent.codex.interactive import has_channel
from codex_agent.codex.resuming import plain_words
from codex_agent.drivers.base import Done, Host, Json, Message, cut_off, let_leave, pointer, prompt_of, refusal
from codex_agent.drivers.following import Following, as_events
from codex_agent.drivers.idle import IdleClock
from codex_agent.drivers.pane import Pane, Title
from codex_agent.drivers.showing import Showing
from codex_agent.drivers.typed import Typed
from codex_agent.drivers.viewer import Viewer, terminal_is_gone
from codex_agent.errors import CodexAgentError, StartFailed
from codex_agent.model import Turn, TurnMark, stamp
from codex_agent.render import event_text
from codex_agent.rollouts.locate import thread_of

_COME_UP_S, _BEGIN_S, _PAUSE_S = 30.0, 15.0, 0.02
_ARGV_BYTES = 100_000  # of 131,072 that Linux takes in one word
# Where the kernel tells of each write this is only a net under it; elsewhere it is all there is.
_LOOK_S, _LOOK_ALONE_S = 3.0, 0.2
_CUT_AGAIN_S, _CUT_S = 2.0, 10.0
# One Ctrl-C ends an idle TUI with status 0; what is typed half, a turn or a menu takes one more each (0.25 s).
_KEYS, _KEY_S = 8, 0.25
_MARKS: dict[str | None, TurnMark] = {"completed": "completed", "failed": "failed", "interrupted": "aborted"}


class PlainDriver:
    """The bare TUI, its rollout and its title."""

    def __init__(self, supervisor: Host) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._version = supervisor.record.request.codex_version or "0.0.0"
        self._idle = IdleClock(supervisor)
        self._pane = Pane(supervisor)
        self._typed = Typed(supervisor, self, self._pane)
        self._showing = Showing(supervisor, self._pane)
        self._following: Following | None = None
        self._cutting: list[tuple[float, Done]] = []
        self._cut_again_at: float | None = None
        self._next_look = 0.0
        self._shown = Title(None, None)
        self._keys_left, self._key_at = 0, 0.0
        self._tui: Viewer
        self._stderr: int

    @property
    def over(self) -> bool:
        return not self._tui.runs

    # ---- start ----

    def launch(self) -> int:
        supervisor, facts, launch = self._supervisor, self._facts, self._supervisor.launch
        resumes = facts.thread_id is not None
        text = self._first_words()
        # Pictures go with a prompt in the command line only, and an old TUI does not show when it can be typed to.
        # Otherwise no other user of the machine is to see it in a list of processes.
        pictures = not resumes and bool(supervisor.record.request.images)
        by_argv = text is not None and (pictures or not has_channel(self._version))
        if by_argv and text is not None and len(text.encode("utf-8", "replace")) > _ARGV_BYTES:
            text = pointer(supervisor.store.put_message(supervisor.record.id, "first", text), len(text))
        argv = plain_words(launch.argv, facts.thread_id, text if by_argv else None)
        self._stderr, stderr = os.pipe()
        os.set_blocking(self._stderr, False)
        self._tui = Viewer(argv, launch.cwd, supervisor.environment(), stderr, launch.umask)
        try:
            self._tui.begin()
        finally:
            os.close(stderr)
        assert self._tui.identity is not None
        facts.codex = self._tui.identity
        supervisor.watch(self._stderr, self._on_stderr)
        if not by_argv:
            self._wait(self._is_ready, _COME_UP_S, "was ready for a message")
        if facts.thread_id is not None:
            self._follow(facts.thread_id, from_end=True)
        if text is not None:
            self._typed.expect(text)
            if not by_argv:
                self._pane.type(text)
            self._wait(self._has_begun, _BEGIN_S + (_COME_UP_S if by_argv else 0), "began a turn with the message")
        return facts.codex.pid

    def _first_words(self) -> str | None:
        """What the TUI begins with: the prompt, or when the job is begun again a message that waits."""
        supervisor = self._supervisor
        if self._facts.runs > 1:
            message = self._typed.first()
            return None if message is None else self._typed.sayable(message.id, message.text)
        if supervisor.record.request.prompt_chars == 0:
            return None
        return self._typed.sayable("first", prompt_of(supervisor.store, supervisor.record.id))

    def _is_ready(self) -> bool:
        """Whether a message would be taken: one typed before the thread is there may be lost (0.133.0)."""
        self._shown = title = self._pane.title()
        return title.state == "idle" and title.thread is not None

    def _has_begun(self) -> bool:
        if self._following is None:
            files = self._open_files()
            if files is None:
                self._showing.blind("Only on Linux can it be told which rollout is this agent's.")
                return True
            threads = [thread for path in files if (thread := thread_of(path)) and self._shown.is_of(thread)]
            found = threads[0] if threads else None
            if found is None:
                return False
            self._facts.thread_id = found
            self._supervisor.note("thread", thread_id=found)
            self._follow(found, from_end=False)
        self._look()
        return self._typed.proven

    def _open_files(self) -> list[str] | None:
        """What Codex holds open; a script that was given as Codex holds nothing, its child does."""
        assert self._tui.identity is not None
        below = [self._tui.identity.pid, *(one.pid for one in kernel.descendants(self._tui.identity.pid))]
        told = [kernel.open_files(pid) for pid in below]
        return None if None in told else [path for files in told for path in files or []]

    def _follow(self, thread_id: str, *, from_end: bool) -> None:
        path = rollouts.find(self._supervisor.record.request.codex_home, thread_id)
        if path is None or path.endswith(".zst"):
            if from_end:
                raise StartFailed(f"Codex has no rollout of the thread {thread_id} open.", "Start a new agent.")
            return
        self._facts.rollout = path
        self._following = following = Following(path, thread_id, from_end=from_end)
        if following.handle is not None:
            self._supervisor.watch(following.handle, self._on_write)

    def _wait(self, done: Callable[[], bool], patience_s: float, what: str) -> None:
        """Waits for the TUI to have done this. Raises StartFailed if it ends, or if the time is over."""
        deadline = time.monotonic() + patience_s
        while not done():
            for pid, status in kernel.reap():
                self._tui.met(pid, status)
            why = None
            if self._tui.status is not None:
                self._on_stderr()
                said = " ".join(self._supervisor.outputs.stderr_tail()[-3:])[:500]
                code = os.waitstatus_to_exitcode(self._tui.status)
                why = f"Codex ended with status {code} before it {what}. {said}"
            elif terminal_is_gone():
                why = f"The pane was closed before Codex {what}."
            elif time.monotonic() > deadline:
                why = f"Codex came up, but within {patience_s:.0f} s it was not seen that it {what}."
            if why is not None:
                hint = "Run `codex` by hand in that folder: it may want something answered first."
                raise StartFailed(why.strip(), hint)
            time.sleep(_PAUSE_S)

    # ---- what the supervisor asks ----

    def again(self) -> bool:
        return False

    def reaped(self, pid: int, status: int) -> None:
        if self._tui.met(pid, status):
            if terminal_is_gone():
                self._supervisor.stop("closed")
            elif status == 0:
                self._supervisor.stop("left")

    def due(self) -> float | None:
        times = [self._next_look, self._tui.kill_at, self._idle.due, self._typed.due, self._showing.due]
        times += [at for at, _ in self._cutting]
        if self._cutting:
            times.append(self._cut_again_at)
        if self._keys_left:
            times.append(self._key_at)
        return min(at for at in times if at is not None)

    def on_time(self, now: float) -> None:
        if now >= self._next_look:
            self._look()
        self._tui.go_on()
        self._showing.on_time(now, self._following)
        self._typed.on_time(now)
        self._cut_on_time(now)
        if self._keys_left and now >= self._key_at:
            self._press_on()
        if self._tui.kill_at is not None and now >= self._tui.kill_at:
            self._tui.insist()
        self._idle.look(others_work=self._typed.busy)
        if self._idle.due is not None and now >= self._idle.due:
            title = self._pane.title()
            if not title.is_of(self._facts.thread_id) and title.state != "idle":
                self._idle.look(others_work=True)  # a person works with another thread there
            elif self._idle.has_run_out():
                self._supervisor.stop("idle")

    def insist(self) -> None:
        if not self._tui.runs:
            return
        assert self._tui.identity is not None
        if self._facts.turn.state == "open":
            with contextlib.suppress(ProcessLookupError):
                end_commands(self._tui.identity.pid)
                os.kill(self._tui.identity.pid, signal.SIGCONT)
        self._keys_left = 0 if terminal_is_gone() else _KEYS
        self._press_on()

    def _press_on(self) -> None:
        """Ctrl-C lets Codex write down how its turn ended, and leave; signals are for one that does not."""
        if self._keys_left:
            try:
                self._pane.press("C-c")
                self._keys_left -= 1
                self._key_at = time.monotonic() + _KEY_S
            except CodexAgentError:
                self._keys_left = 0
        if not self._keys_left:
            self._tui.end()

    def collect(self) -> None:
        supervisor, facts = self._supervisor, self._facts
        assert self._tui.status is not None
        code = os.waitstatus_to_exitcode(self._tui.status)
        facts.exit_code, facts.exit_signal = (code, None) if code >= 0 else (None, -code)
        self._look()
        self._typed.ended()
        self._on_stderr()
        supervisor.unwatch(self._stderr)
        if self._following is not None and self._following.handle is not None:
            supervisor.unwatch(self._following.handle)
            self._following.close()
        self._tui.take_back()

    # ---- what Codex writes ----

    def _on_stderr(self) -> bool:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._stderr, 65536)
            self._supervisor.outputs.stderr(data)
        return bool(data)

    def _on_write(self) -> bool:
        assert self._following is not None
        self._following.drain()
        self._look()
        return True

    def _look(self) -> None:
        """Takes in what the rollout has more."""
        following = self._following
        alone = following is None or following.handle is None
        self._next_look = time.monotonic() + (_LOOK_ALONE_S if alone else _LOOK_S)
        if following is None:
            return
        try:
            for entry in following.read_new():
                self._take(entry, following)
            self._showing.readable(None)
            self._showing.looked(following)
        except OSError as error:
            # Archived under us; the kernel goes on telling of it, wherever it lies.
            moved = rollouts.find(self._supervisor.record.request.codex_home, self._facts.thread_id or "")
            following.path = moved or following.path
            self._showing.readable(f"Its rollout cannot be read: {error.strerror}: {following.path}")
        self._supervisor.look_at_rollout()

    def _take(self, entry: Entry, following: Following) -> None:
        supervisor, facts = self._supervisor, self._facts
        supervisor.worked("rollout")
        for event in as_events(entry):
            supervisor.outputs.event(event)
            supervisor.outputs.show(event_text(event, supervisor.record.request.cwd))
        if isinstance(entry, Marked):
            if entry.kind == "turn_started":
                self._turn_started(entry)
            elif entry.kind == "turn_ended":
                self._turn_ended(entry, following)
        elif isinstance(entry, Said):
            self._typed.spoken(entry)
            if entry.kind == "agent":
                facts.last_message, facts.spoke_in = entry.text, entry.turn_id
        supervisor.changed()

    def _turn_started(self, entry: Marked) -> None:
        facts, supervisor = self._facts, self._supervisor
        if facts.turn.state is not None:
            facts.last_turn = facts.turn
        facts.turn = Turn(
            state="open", count=facts.turn.count + 1, started_at=entry.at or stamp(), id=entry.turn_id
        )
        self._showing.turn_started()
        supervisor.note("turn_started", count=facts.turn.count, turn_id=entry.turn_id)
        supervisor.changed(at_once=True)

    def _turn_ended(self, entry: Marked, following: Following) -> None:
        supervisor, turn = self._supervisor, self._facts.turn
        if turn.state != "open":
            return
        end = following.end if entry.status != "interrupted" else None
        turn.state = _MARKS[entry.status]
        turn.ended_at, turn.duration_ms = entry.at or stamp(), entry.duration_ms
        if turn.state == "failed":
            turn.error, turn.error_info = entry.message, end.error_info if end is not None else None
        following.calls.clear()
        following.answers.clear()
        self._showing.turn_ended(silent=turn.state == "completed" and end is not None and end.silent)
        self._typed.turn_ended()
        supervisor.note("turn_ended", state=turn.state, turn_id=turn.id, error=turn.error)
        supervisor.look_at_rollout()
        supervisor.changed(at_once=True)
        cut, self._cutting = self._cutting, []
        for _, done in cut:
            done({"ok": True, "turn_id": turn.id, "untaken": []})
        self._typed.next()

    # ---- what somebody asks ----

    @property
    def open(self) -> bool:
        return self._facts.stop_reason is None and self._tui.runs

    def hindered(self) -> Json | None:
        return self._showing.hinders()

    def send(self, message: Message, done: Done) -> None:
        self._typed.send(message, done)

    def delivered(self, message_id: str, done: Done) -> None:
        self._typed.delivered(message_id, done)

    def cut(self, then: Done) -> None:
        self._cutting.append((time.monotonic() + _CUT_S, then))
        self._escape()

    def _escape(self) -> None:
        self._cut_again_at = time.monotonic() + _CUT_AGAIN_S
        with contextlib.suppress(CodexAgentError):  # then it will be said that the turn did not end
            self._pane.press("Escape")

    def _cut_on_time(self, now: float) -> None:
        for waiting in [each for each in self._cutting if now >= each[0]]:
            self._cutting.remove(waiting)
            waiting[1](refusal("failed", "Codex did not end its turn at Escape.", "Try codex-agent kill."))
        if self._cutting and self._cut_again_at is not None and now >= self._cut_again_at:
            self._escape()  # the first one may have closed a menu

    def interrupt(self, done: Done) -> None:
        cut_off(self._supervisor, self.cut, done)

    def respond(self, request: Json, done: Done) -> None:
        self._showing.respond(request, done)

    def leave(self, cut: bool, done: Done) -> None:
        let_leave(self._supervisor, busy=self._typed.busy, cut=cut, done=done)
