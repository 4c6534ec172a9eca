"""Owns what is said to an agent over the channel: each message with the turn that took it.

What is said now steers the running turn or begins one; in which order, and what waits, is the outbox's. Must
never say the same message twice.
"""

from __future__ import annotations

from typing import Protocol

from codex_agent.channel import Reply, words
from codex_agent.drivers import outbox
from codex_agent.drivers.base import Host, Json, Message, refusal
from codex_agent.drivers.outbox import Outbox, nobody
from codex_agent.model import Turn

_HEAD_CHARS = 200


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
        self._steers: list[Message] = []
        self._taken_early: str | None = None
        self._steered_turn: str | None = None
        self._last_item: str | None = None

    def heard(self, item: Json) -> None:
        """An item of the thread: it may be a message of ours, which the agent has now before it."""
        self._last_item = str(item.get("type"))
        if self._last_item == "userMessage":
            taken = next((one for one in self._steers if words.is_message(item, one.id, one.text)), None)
            said = self._saying
            if taken is not None:
                self._steers.remove(taken)
            elif said is not None and words.is_message(item, said.id, said.text):
                self._taken_early = said.id  # before the reply to the steer

    def turn_ended(self, turn: Turn, *, meant: bool) -> list[str]:
        """Looks after what was said into the turn; the texts that the agent never saw and is not told again.

        A steer waits in Codex until the running command has ended; a turn that is cut off, or fails, forgets it.
        If the cut was ``meant`` (somebody stopped the agent) it is only told of; else it is said again.
        """
        left, self._steers = self._steers, []
        supervisor = self._supervisor
        for message in left:
            supervisor.note("not_taken", message_id=message.id, turn_id=turn.id, said_again=not meant)
        self._go_on_if_unanswered(turn)
        if not meant:
            self._outbox.extendleft((message, nobody) for message in reversed(left))
            return []
        for message in left:
            head = message.text[:_HEAD_CHARS]
            supervisor.warn(f"A message was not taken, since its turn was cut off; send it again: {head}")
        return [message.text for message in left]

    def ended(self) -> None:
        """Codex has ended: a steer that it has not shown, it has not taken. Other senders hear of the end."""
        again = [message for message, done in self._outbox if done is nobody]
        for message in [*self._steers, *again]:
            head = message.text[:_HEAD_CHARS]
            self._supervisor.warn(f"A message was not taken before the end; send it again: {head}")

    def _go_on_if_unanswered(self, turn: Turn) -> None:
        """Has Codex answer a message that it took as the turn was ending, and then let lie.

        Up to 0.163 a steer that comes within about 15 ms of the turn's last answer is recorded in the turn, which
        then ends (16 of 209 that were timed so; 0.169: none of 84). A turn without input answers it.
        """
        if turn.state == "completed" and turn.id == self._steered_turn and self._last_item == "userMessage":
            self._facts.queued += 1  # until the turn runs that takes it
            self._supervisor.note("unanswered", turn_id=turn.id)
            self._thread.start({"input": []}, self._went_on)
        self._steered_turn = None

    def _went_on(self, reply: Reply) -> None:
        self._count()
        if reply.error is None:
            self._thread.began(words.turn_of(reply.result))
        else:
            self._supervisor.warn(f"Codex took a message, did not answer it, and would not go on: {reply.error}")
            self._supervisor.changed(at_once=True)

    def said(self, delivery: str) -> None:
        """Codex has taken the message."""
        message = self._saying
        assert message is not None
        if delivery == "steer":
            self._steered_turn = self._facts.turn.id
            if message.id != self._taken_early:
                self._steers.append(message)
        late = delivery == "steer" and self._facts.turn.state != "open"
        super().said(delivery)
        if late:  # the turn's end was told before the reply to the steer
            self.turn_ended(self._facts.turn, meant=self._facts.turn.state == "aborted")
            self.next()

    def _say(self, message: Message) -> None:
        what = words.message_params(message.id, message.text)
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
        joined = turn.id == self._facts.turn.id
        self._thread.began(turn)
        self.said("steer" if joined else "turn")
