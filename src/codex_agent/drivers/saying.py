"""Owns what is said to an agent that stays: one message at a time, in order, each with the turn that took it.

What is said now steers the running turn or begins one; what is queued lies in the job's mailbox until the turn has
ended. Must never say the same message twice.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from codex_agent import mailbox
from codex_agent.channel import Reply, words
from codex_agent.drivers.base import Done, Host, Json, Message, refusal
from codex_agent.errors import StoreUnwritable
from codex_agent.model import Turn

_HEAD_CHARS = 200


class Thread(Protocol):
    """What the saying needs of the thread it is said to."""

    @property
    def open(self) -> bool:
        """Whether something can still be said."""

    def start(self, what: Json, then: Reader) -> None:
        """Calls ``turn/start``."""

    def steer(self, what: Json, then: Reader) -> None:
        """Calls ``turn/steer`` for the running turn."""

    def cut(self, then: Done) -> None:
        """Cuts the running turn off, and tells."""

    def began(self, turn: Turn) -> None:
        """A turn runs."""


class Reader(Protocol):
    """Takes the reply to a call."""

    def __call__(self, reply: Reply) -> None: ...


class Saying:
    """The messages on their way to one thread."""

    def __init__(self, supervisor: Host, thread: Thread) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._thread = thread
        self._outbox: deque[tuple[Message, Done]] = deque()
        self._saying: Message | None = None
        self._told: dict[str, Done] = {}
        self._steers: list[Message] = []
        self._steered_turn: str | None = None
        self._last_item: str | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still to be said."""
        return bool(self._outbox) or self._saying is not None or self._facts.queued > 0

    def first(self) -> Message | None:
        """The oldest message in the mailbox, with which a job is begun again; ``said`` has to follow."""
        waiting = mailbox.load(self._supervisor.store, self._supervisor.record.id)
        self._saying = waiting[0] if waiting else None
        return self._saying

    def send(self, message: Message, done: Done) -> None:
        """Takes a message on."""
        if message.how == "queue" and (self._facts.turn.state == "open" or self._facts.queued):
            self._put_by(message)
            done({"ok": True, "delivery": "queued", "turn_id": None})
        else:
            self._outbox.append((message, done))
        self.next()

    def delivered(self, message_id: str, done: Done) -> None:
        """Tells when a message in the mailbox has been said."""
        waiting = mailbox.load(self._supervisor.store, self._supervisor.record.id)
        if message_id in (one.id for one in waiting):
            self._told[message_id] = done
        else:
            done({"ok": True, "delivery": "turn", "turn_id": self._facts.turn.id})

    def next(self) -> None:
        """Says the next message, if one may be said now."""
        if self._saying is not None or not self._thread.open:
            return
        if self._outbox:
            message, done = self._outbox.popleft()
        elif self._facts.queued and self._facts.turn.state != "open":
            waiting = mailbox.load(self._supervisor.store, self._supervisor.record.id)
            if not waiting:
                return
            message = waiting[0]
            done = self._told.get(message.id, _nobody)
        else:
            return
        self._saying = message
        self._told[message.id] = done
        if message.how == "interrupt" and self._facts.turn.state == "open":
            self._thread.cut(self.after_cut)
        else:
            self._say()

    def heard(self, item: Json) -> None:
        """An item of the thread: it may be a message of ours, which the agent has now before it."""
        self._last_item = str(item.get("type"))
        if self._last_item == "userMessage":
            taken = next((one for one in self._steers if words.is_message(item, one.id, one.text)), None)
            if taken is not None:
                self._steers.remove(taken)

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
            self._outbox.extendleft((message, _nobody) for message in reversed(left))
            return []
        for message in left:
            head = message.text[:_HEAD_CHARS]
            supervisor.warn(f"A message was not taken, since its turn was cut off; send it again: {head}")
        return [message.text for message in left]

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
        supervisor, message = self._supervisor, self._saying
        assert message is not None
        if delivery == "steer":
            self._steered_turn = self._facts.turn.id
            self._steers.append(message)
        self._saying = None
        self._leave_box(message)
        turn_id = self._facts.turn.id
        supervisor.note("sent", message_id=message.id, delivery=delivery, turn_id=turn_id, chars=len(message.text))
        supervisor.changed(at_once=True)
        self._told.pop(message.id, _nobody)({"ok": True, "delivery": delivery, "turn_id": turn_id})
        self.next()

    def after_cut(self, answer: Json) -> None:
        """The turn is out of the way of a message sent with --interrupt."""
        if answer["ok"]:
            self._say()
        else:
            self._unsaid(answer)

    def _say(self) -> None:
        message = self._saying
        assert message is not None
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

    def _unsaid(self, answer: Json) -> None:
        message = self._saying
        assert message is not None
        self._saying = None
        self._supervisor.note("not_sent", message_id=message.id, reason=answer["message"])
        self._told.pop(message.id, _nobody)(answer)
        if self._outbox:
            self.next()

    def _put_by(self, message: Message) -> None:
        supervisor = self._supervisor
        waiting = [*mailbox.load(supervisor.store, supervisor.record.id), message]
        mailbox.save(supervisor.store, supervisor.record.id, waiting)
        self._facts.queued = len(waiting)
        supervisor.note("queued", message_id=message.id, chars=len(message.text))
        supervisor.changed(at_once=True)

    def _leave_box(self, message: Message) -> None:
        if not self._facts.queued:
            return
        supervisor = self._supervisor
        waiting = mailbox.load(supervisor.store, supervisor.record.id)
        rest = [one for one in waiting if one.id != message.id]
        try:
            mailbox.save(supervisor.store, supervisor.record.id, rest)
        except StoreUnwritable as error:
            supervisor.warn(error.message)
        self._facts.queued = len(rest)

    def _count(self) -> None:
        self._facts.queued = len(mailbox.load(self._supervisor.store, self._supervisor.record.id))


def _nobody(answer: Json) -> None:
    """For what nobody waits to hear."""
