"""Owns an agent that stays: a private app-server, the thread in it, and the TUI in the pane attached to both.

Everything is asked and told through the channel; the TUI is one more client of the same thread, and what a person
types there is the same as what is sent from outside. Only the job's own thread counts as the agent; what other
threads of the server do (sub-agents, `/new` in the TUI) only keeps it from being ended as idle. Must never read
the screen.
"""

from __future__ import annotations

import os
import time
from functools import partial

from codex_agent import execstream, kernel
from codex_agent.channel import Channel, ChannelClosed, words
from codex_agent.child import Child
from codex_agent.drivers.asking import Asking
from codex_agent.drivers.base import Done, Host, Json, Message, cut_off, let_leave, prompt_of, refusal
from codex_agent.drivers.idle import IdleClock
from codex_agent.drivers.saying import Reader, Saying
from codex_agent.drivers.server import ANSWER_S, Server, open_thread
from codex_agent.drivers.viewer import Viewer, terminal_is_gone
from codex_agent.errors import StartFailed
from codex_agent.model import LISTEN, THREAD, Turn, stamp
from codex_agent.render import event_text

_REAP_S, _REAP_PAUSE_S = 0.5, 0.005
# How long a turn may take to be cut off before harder means: 9 ms, measured on 0.163.0.
_CUT_S, _CUT_AGAIN_S, _INTERRUPT_S = 2.0, 0.1, 15.0
_PLAIN = "Use the bundled Codex (CODEX_AGENT_CODEX), or try again with --plain, which runs the TUI alone."


class LiveDriver:
    """The app-server, the channel to it, and the TUI."""

    _app: Server
    _server: Child
    _channel: Channel
    _viewer: Viewer

    def __init__(self, supervisor: Host) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._idle = IdleClock(supervisor)
        self._asking = Asking(supervisor, lambda *said: self._channel.answer(*said))  # noqa: PLW0108 (not there yet)
        self._others: set[str] = set()
        self._passing: set[str] = set()
        self._saying = Saying(supervisor, self)
        self._turns: set[str | None] = {supervisor.facts.turn.id, None}
        self._cutting: list[tuple[float, Done]] = []
        self._cut_again_at: float | None = None
        self._ending_since: float | None = None
        self._pushing = False
        self._closed = False
        self._bytes_before = supervisor.facts.stdout_bytes

    @property
    def over(self) -> bool:
        return self._server.exit_status is not None and not self._viewer.runs

    # ---- start ----

    def launch(self) -> int:
        supervisor, facts, launch = self._supervisor, self._facts, self._supervisor.launch
        self._app = Server(supervisor)
        self._server = self._app.child
        facts.codex = self._server.identity
        try:
            self._channel = self._app.connect(self._take)
            open_thread(self._channel, facts, supervisor.record.request)
            supervisor.note("thread", thread_id=facts.thread_id)
            self._first_turn()
        except ChannelClosed as error:
            self._server.drain()
            said = " ".join(supervisor.outputs.stderr_tail()[-3:])[:500]
            raise StartFailed(f"Codex's app-server does not work: {error}. {said}".strip(), _PLAIN) from error
        assert facts.thread_id is not None
        for pipe in self._server.pipes:
            supervisor.watch(pipe, partial(self._server.read, pipe))
        self._hear()
        viewer_argv = [
            word.replace(LISTEN, self._app.listen).replace(THREAD, facts.thread_id)
            for word in supervisor.record.request.viewer_argv
        ]
        self._viewer = Viewer(
            viewer_argv,
            launch.cwd,
            supervisor.environment(),
            supervisor.store.open_append(supervisor.record.id, ".stderr"),
        )
        self._show()
        return self._server.identity.pid

    def _first_turn(self) -> None:
        supervisor, facts = self._supervisor, self._facts
        message = self._saying.first() if facts.runs > 1 else None
        images: list[str] = []
        if message is not None:
            text = message.text
        elif facts.runs > 1 or supervisor.record.request.prompt_chars == 0:
            return
        else:
            text, images = prompt_of(supervisor.store, supervisor.record.id), supervisor.record.request.images
        params = {"threadId": facts.thread_id, "input": words.message_input(text, images)}
        reply = self._channel.ask("turn/start", params, ANSWER_S)
        if reply.error is not None:
            raise StartFailed(f"Codex did not begin the turn: {reply.error}")
        self.began(words.turn_of(reply.result))
        if message is not None:
            self._saying.said("turn")

    def _show(self) -> None:
        try:
            self._viewer.begin()
        except OSError as error:
            self._supervisor.warn(f"The TUI could not be started: {error}")
        self._facts.viewer = self._viewer.identity
        self._supervisor.changed()

    # ---- what the supervisor asks ----

    def again(self) -> bool:
        return False

    def reaped(self, pid: int, status: int) -> None:
        self._server.met(pid, status)
        if self._viewer.met(pid, status):
            self._viewer_ended(os.waitstatus_to_exitcode(status))
        if self._server.exit_status is not None:
            self._viewer.end()

    def _viewer_ended(self, code: int) -> None:
        supervisor = self._supervisor
        if supervisor.facts.stop_reason is not None or self._server.exit_status is not None:
            return
        if terminal_is_gone():
            supervisor.stop("closed")
        elif code == 0:
            supervisor.stop("left")
        elif self._viewer.may_begin_again():
            supervisor.note("viewer_ended", exit_code=code)
            self._show()
        else:
            self._viewer.take_back()
            supervisor.warn(f"The TUI ended again and again (status {code}); the agent goes on without.")

    def due(self) -> float | None:
        times = [self._server.next_step_at, self._viewer.kill_at, self._idle.due, self._asking.due]
        times += [self._saying.due, self._cut_again_at, *(at for at, _ in self._cutting)]
        if self._ending_since is not None:
            times.append(self._ending_since + _CUT_S)
        return min((at for at in times if at is not None), default=None)

    def on_time(self, now: float) -> None:
        if self._ending_since is not None and (
            self._facts.turn.state != "open" or now >= self._ending_since + _CUT_S or self._closed
        ):
            self._ending_since = None
            self._viewer.end()
            self._server.insist()
        at = self._server.next_step_at
        if at is not None and now >= at and not self._server.insist():
            self._supervisor.warn("Codex did not end even after SIGKILL.")
        if self._viewer.kill_at is not None and now >= self._viewer.kill_at:
            self._viewer.insist()
        if self._cut_again_at is not None and now >= self._cut_again_at:
            self._cut_again_at = None
            wanted = self._cutting or self._ending_since is not None
            if wanted and self._facts.turn.state == "open" and not self._closed:
                self._cut()
        for waiting in [each for each in self._cutting if now >= each[0]]:
            self._cutting.remove(waiting)
            waiting[1](refusal("failed", "Codex did not end its turn when asked to.", "Try codex-agent kill."))
        self._viewer.go_on()
        self._asking.on_time(now)
        self._saying.on_time(now)
        self._push()
        self._idle.look(others_work=bool(self._others) or self._saying.busy)
        if self._idle.due is not None and now >= self._idle.due and self._idle.has_run_out():
            self._supervisor.stop("idle")

    def insist(self) -> None:
        if self._facts.turn.state == "open" and not self._closed:
            # So that the rollout says how the turn ended. Its commands go first: one that has only begun Codex
            # would kill with the turn, sandbox helper and all (0.163), and what that one cleans up would stay.
            self._server.end_commands(self._cut)
            self._ending_since = time.monotonic()
        else:
            self._ending_since = 0.0
            self.on_time(time.monotonic())

    def collect(self) -> None:
        supervisor, facts = self._supervisor, self._facts
        assert self._server.exit_status is not None
        code = os.waitstatus_to_exitcode(self._server.exit_status)
        facts.exit_code, facts.exit_signal = (code, None) if code >= 0 else (None, -code)
        self._server.drain()
        for pipe in self._server.pipes:
            supervisor.unwatch(pipe)
        self._server.close()
        self._close_channel()
        self._saying.ended()
        self._viewer.take_back()
        self._app.clear()

    # ---- what the app-server says ----

    def _hear(self) -> None:
        self._supervisor.watch(self._channel.fileno(), self._pump)
        # What came while the thread was opened is read already, and no poll tells of it.
        self._pump()

    def _pump(self) -> bool:
        try:
            self._channel.pump()
        except ChannelClosed as error:
            self._lost(str(error))
            return False
        finally:
            self._facts.stdout_bytes = self._bytes_before + self._channel.received
        return True

    def _push(self) -> None:
        """A long message does not go into the socket at once; the rest follows when there is room."""
        if not self._closed and self._channel.wants_to_write != self._pushing:
            self._pushing = self._channel.wants_to_write
            self._supervisor.watch(self._channel.fileno(), self._pump, writing=self._pushing)

    def _lost(self, why: str) -> None:
        """The channel is gone. As a rule because the server is; then its end is about to be noticed."""
        self._close_channel()
        deadline = time.monotonic() + (_REAP_S if self._facts.stop_reason is None else 0.0)
        while self._server.exit_status is None:
            for pid, status in kernel.reap():
                self.reaped(pid, status)
            if time.monotonic() >= deadline:
                break
            time.sleep(_REAP_PAUSE_S)
        if self._server.exit_status is None and self._facts.stop_reason is None:
            self._supervisor.warn(f"The channel to Codex is lost: {why}")
            self._supervisor.stop("channel_lost")

    def _close_channel(self) -> None:
        if not self._closed:
            self._closed = True
            self._supervisor.unwatch(self._channel.fileno())
            self._channel.close()

    def _take(self, message: Json) -> None:
        """One message of the server's, in the order they came."""
        try:
            self._sort(message)
        except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
            # A shape nobody has seen yet must not end the job.
            what = f"{message.get('method')} of Codex's could not be read ({type(error).__name__}: {error})."
            self._supervisor.warn(what)

    def _sort(self, message: Json) -> None:
        method, thread = str(message["method"]), words.thread_of(message)
        if "id" in message:
            self._asking.asked(message)
        elif method == "serverRequest/resolved":
            self._asking.resolved(words.resolved_by(message))
        elif method == "thread/started":
            if message["params"]["thread"].get("ephemeral") is True and thread is not None:
                self._passing.add(thread)  # the TUI's, which names tasks
        elif thread != self._facts.thread_id:
            if method == "thread/status/changed" and thread is not None and thread not in self._passing:
                busy = words.status_of(message)[0] == "active"
                (self._others.add if busy else self._others.discard)(thread)
        else:
            self._own(method, message)

    def _own(self, method: str, message: Json) -> None:
        if method == "thread/status/changed":
            self._supervisor.worked("channel")
            self._asking.flagged(words.status_of(message)[1])
        elif method == "turn/started":
            self.began(words.turn_of(message))
        elif method == "turn/completed":
            self._turn_ended(words.turn_of(message))
        elif method == "error":
            self._trouble(message)
        elif method in ("item/started", "item/completed"):
            self._item(message)

    def _item(self, message: Json) -> None:
        supervisor, facts = self._supervisor, self._facts
        item = message["params"]["item"]
        self._asking.seen(item)
        self._saying.heard(item, message["params"].get("turnId"))
        event = words.as_event(message)
        supervisor.worked("channel")
        was_reconnecting = facts.reconnecting is not None
        facts.reconnecting = None
        if event is not None:
            cwd = supervisor.record.request.cwd
            execstream.fold(facts, event, stamp(), cwd)
            if event["item"]["type"] == "agent_message":
                facts.spoke_in = message["params"].get("turnId")
            supervisor.outputs.event(event)
            supervisor.outputs.show(event_text(event, cwd))
        supervisor.rollout_soon()
        supervisor.changed(at_once=was_reconnecting)

    def _trouble(self, message: Json) -> None:
        told, _, retries = words.trouble_of(message)
        if not retries:
            return  # `turn/completed` says the same, with the turn's end
        if self._facts.reconnecting is None:
            self._supervisor.note("reconnecting", reason=told)
        self._facts.reconnecting = told
        self._supervisor.outputs.show(f"! {told}\n")
        self._supervisor.changed(at_once=True)

    def began(self, turn: Turn) -> None:
        facts, supervisor = self._facts, self._supervisor
        if turn.id in self._turns:
            return  # the reply to `turn/start` was first
        self._turns.add(turn.id)
        if facts.turn.state is not None:
            facts.last_turn = facts.turn  # if its end has not been told yet, it will be
        facts.turn = Turn(state="open", count=facts.turn.count + 1, started_at=stamp(), id=turn.id)
        facts.reconnecting = None
        supervisor.worked("channel")
        supervisor.note("turn_started", count=facts.turn.count, turn_id=turn.id)
        supervisor.changed(at_once=True)
        self._saying.began(turn.id)

    def _turn_ended(self, turn: Turn) -> None:
        facts, supervisor = self._facts, self._supervisor
        self.began(turn)
        ended = facts.turn if turn.id == facts.turn.id else facts.last_turn
        if ended is None or ended.id != turn.id or ended.state != "open":
            return
        ended.state, ended.ended_at, ended.duration_ms = turn.state, stamp(), turn.duration_ms
        ended.error, ended.error_info = turn.error, turn.error_info
        facts.reconnecting = None
        facts.waiting = [one for one in facts.waiting if one.turn_id != turn.id]
        supervisor.worked("channel")
        supervisor.note("turn_ended", state=turn.state, turn_id=turn.id, error=turn.error)
        supervisor.look_at_rollout()
        supervisor.rollout_soon()
        cut, self._cutting = self._cutting, []
        # Whoever sends with --interrupt wants the agent to go on; anybody else who cuts it off wants it to stop.
        stopped = facts.stop_reason is None and all(done != self._saying.after_cut for _, done in cut)
        untaken = self._saying.turn_ended(turn, meant=turn.state == "aborted" and stopped)
        supervisor.changed(at_once=True)
        for _, done in cut:
            done({"ok": True, "turn_id": turn.id, "untaken": untaken})
        self._saying.next()

    # ---- what is said, and the turn ----

    @property
    def open(self) -> bool:
        return not self._closed and self._facts.stop_reason is None

    def send(self, message: Message, done: Done) -> None:
        self._saying.send(message, done)

    def delivered(self, message_id: str, done: Done) -> None:
        self._saying.delivered(message_id, done)

    def start(self, what: Json, then: Reader) -> None:
        self._channel.call("turn/start", {"threadId": self._facts.thread_id, **what}, then)

    def steer(self, what: Json, then: Reader) -> None:
        params = {"threadId": self._facts.thread_id, "expectedTurnId": self._facts.turn.id, **what}
        self._channel.call("turn/steer", params, then)

    def cut(self, then: Done) -> None:
        self._cutting.append((time.monotonic() + _INTERRUPT_S, then))
        self._cut()

    def _cut(self) -> None:
        # Codex answers this when the turn has ended, or never if it had ended before (0.163.0). In a turn's first
        # milliseconds it does nothing at all (0.133.0, 0.163.0), so it is asked again.
        self._cut_again_at = time.monotonic() + _CUT_AGAIN_S
        params = {"threadId": self._facts.thread_id, "turnId": self._facts.turn.id}
        self._channel.call("turn/interrupt", params, lambda _: None)

    def interrupt(self, done: Done) -> None:
        cut_off(self._supervisor, self.cut, done)

    def respond(self, request: Json, done: Done) -> None:
        self._asking.respond(request, done)

    def leave(self, cut: bool, done: Done) -> None:
        let_leave(self._supervisor, busy=self._saying.busy, cut=cut, done=done)
