"""Owns what is said to an agent over the channel: each message with the turn that took it.

What is said now steers the running turn or begins one; in which order, and what waits, is the outbox's. Must
never say the same message twice.
"""

from __future__ import annotations

import time
from typing import Protocol

from codex_agent.channel import Reply, words
from codex_agent.drivers import outbox
from codex_agent.drivers.base import Host, Json, Message, refusal
from codex_agent.drivers.outbox import Outbox, nobody
from codex_agent.model import Turn

_HEAD_CHARS = 200
# How long Codex may take to begin a turn without input.
_GO_ON_S = 5.0


class Thread(outbox.Thread, Protocol):
    """What the saying needs of the thread it is said to."""

    def start(self, what: Json, then: Reader) -> None:
        """Calls ``turn/start``."""

    def steer(self, what: Json, then: Reader) -> None:
        """Calls ``turn/steer`` for the running turn."""

    def began(self, turn: Turn) -> None:
        """A turn runs."""


class Reader(Protocol):
    """Takes the reply to a call."""

    def __call__(self, reply: Reply) -> None: ...


class Saying(Outbox):
    """The messages on their way to one thread, over the channel."""

    _thread: Thread

    def __init__(self, supervisor: Host, thread: Thread) -> None:
        super().__init__(supervisor, thread)
        self._unheard: list[Message] = []
        self._heard: list[Json] = []
        self._turn_before: str | None = None
        self._promised: str | None = None
        self._going_on_until: float | None = None
        self._steered_turn: str | None = None
        self._last_item: str | None = None

    @property
    def due(self) -> float | None:
        times = [super().due, self._going_on_until]
        return min((at for at in times if at is not None), default=None)

    def on_time(self, now: float) -> None:
        super().on_time(now)
        if self._going_on_until is not None and now >= self._going_on_until:
            self._supervisor.warn("Codex took a message, did not answer it, and did not go on.")
            self._went_on()

    def next(self) -> None:
        if self._going_on_until is None:
            super().next()

    def began(self, turn_id: str | None) -> None:
        """A turn runs, by Codex's own word."""
        if self._going_on_until is not None:
            self._went_on()
        if self._promised is not None and self._promised == turn_id:
            self._promised = None
            self.said("turn")

    def heard(self, item: Json, turn_id: str | None) -> None:
        """An item of that turn: it may be a message of ours, which the agent has now before it."""
        self._last_item = str(item.get("type"))
        if self._last_item != "userMessage":
            return
        taken = next((one for one in self._unheard if words.is_message(item, one.id, one.text)), None)
        if taken is not None:
            self._unheard.remove(taken)
            self._leave_box(taken)
        elif self._saying is not None:
            self._heard.append(item)  # the reply may be about to come
            if self._promised is not None and words.is_message(item, self._saying.id, self._saying.text):
                # Somebody else's turn had just begun, and it went into that: the one promised never comes (0.133).
                self._promised = None
                self._thread.began(Turn(id=turn_id))
                self.said("steer")

    def turn_ended(self, turn: Turn, *, meant: bool) -> list[str]:
        """Looks after what was said into the turn; the texts that the agent never saw and is not told again.

        A steer waits in Codex until the running command has ended; a turn that is cut off, or fails, forgets it.
        If the cut was ``meant`` (somebody stopped the agent) it is only told of; else it is said again.
        """
        left, self._unheard = self._unheard, []
        supervisor = self._supervisor
        for message in left:
            supervisor.note("not_taken", message_id=message.id, turn_id=turn.id, said_again=not meant)
        self._go_on_if_unanswered(turn)
        if not meant:
            self._outbox.extendleft((message, nobody) for message in reversed(left))
            return []
        for message in left:
            self._leave_box(message)
            head = message.text[:_HEAD_CHARS]
            supervisor.warn(f"A message was not taken, since its turn was cut off; send it again: {head}")
        return [message.text for message in left]

    def ended(self) -> None:
        """The agent is gone. What it never saw stays in the mailbox, for whoever goes on with the thread."""
        self._facts.queued = len(self._box())

    def _go_on_if_unanswered(self, turn: Turn) -> None:
        """Has Codex answer a message that it took as the turn was ending, and then let lie.

        Up to 0.163 a steer that comes within about 15 ms of the turn's last answer is recorded in the turn, which
        then ends (16 of 209 that were timed so; 0.169: none of 84). A turn without input answers it.
        """
        if turn.state == "completed" and turn.id == self._steered_turn and self._last_item == "userMessage":
            self._facts.queued += 1  # until the turn runs that takes it
            self._supervisor.note("unanswered", turn_id=turn.id)
            self._going_on_until = time.monotonic() + _GO_ON_S
            self._thread.start({"input": []}, self._goes_on)
        self._steered_turn = None

    def _goes_on(self, reply: Reply) -> None:
        if reply.error is not None:
            self._supervisor.warn(f"Codex took a message, did not answer it, and would not go on: {reply.error}")
            self._went_on()

    def _went_on(self) -> None:
        self._going_on_until = None
        self._count()
        self._supervisor.changed(at_once=True)
        self.next()

    def said(self, delivery: str) -> None:
        """Codex has taken the message."""
        message = self._saying
        assert message is not None
        if delivery == "steer":
            self._steered_turn = self._facts.turn.id
        if not any(words.is_message(item, message.id, message.text) for item in self._heard):
            # It is promised now, and Codex has it in its memory only.
            self._unheard.append(message)
            self._mark(message)
        self._heard.clear()
        late = delivery == "steer" and self._facts.turn.state != "open"
        super().said(delivery)
        if late:  # the turn's end was told before the reply to the steer
            self.turn_ended(self._facts.turn, meant=self._facts.turn.state == "aborted")
            self.next()

    def _leave_box(self, message: Message) -> None:
        if message not in self._unheard:
            super()._leave_box(message)

    def _say(self, message: Message) -> None:
        what = words.message_params(message.id, message.text)
        self._turn_before = self._facts.turn.id
        if self._facts.turn.state == "open":
            self._thread.steer(what, self._steered)
        else:
            self._thread.start(what, self._started)

    def _steered(self, reply: Reply) -> None:
        told = (reply.error or "").lower()
        if reply.error is None:
            self.said("steer")
        elif "steer" in told and "no active turn" not in told:
            hint = "Add --queue: it is said when this turn has ended."
            self._unsaid(refusal("bad_state", f"This turn takes no messages: {reply.error}", hint))
        else:
            # The turn ended at this moment. `turn/start` begins one, or joins one that somebody else has begun.
            message = self._saying
            assert message is not None
            self._thread.start(words.message_params(message.id, message.text), self._started)

    def _started(self, reply: Reply) -> None:
        if reply.error is not None:
            self._unsaid(refusal("bad_state", f"Codex did not take the message: {reply.error}"))
            return
        turn = words.turn_of(reply.result)
        if turn.id == self._facts.turn.id:
            self.said("steer" if turn.id == self._turn_before else "turn")
        else:
            self._promised = turn.id  # `turn/started` follows, or the message turns up in another turn
