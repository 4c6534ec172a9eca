"""Owns the messages on their way to an agent that stays: one at a time, in order, each answered for once.

What is sent now goes out as soon as the one before is said; what is queued lies in the job's mailbox until the
turn has ended. How one is said is the business of whoever builds on this. Must never say the same message twice.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Protocol

from codex_agent import mailbox
from codex_agent.drivers.base import Done, Host, Json, Message, refusal
from codex_agent.errors import RecordUnreadable, StoreUnwritable

# How long Codex may take to say that it takes a message: milliseconds, as a rule.
_TAKEN_S = 20.0
_STUCK = "codex-agent status says what it does; codex-agent kill ends it."


class Thread(Protocol):
    """What the outbox needs of the thread it is said to."""

    @property
    def open(self) -> bool:
        """Whether something can still be said."""

    def cut(self, then: Done) -> None:
        """Cuts the running turn off, and tells."""


class Outbox(ABC):
    """The messages on their way to one thread."""

    def __init__(self, supervisor: Host, thread: Thread) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._thread = thread
        self._outbox: deque[tuple[Message, Done]] = deque()
        self._saying: Message | None = None
        self._told: dict[str, Done] = {}
        self._until: dict[str, float] = {}
        # Said, but still in the mailbox: the disk was full when they should have left it.
        self._stale: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether something is still to be said."""
        return bool(self._outbox) or self._saying is not None or self._facts.queued > 0

    def first(self) -> Message | None:
        """The oldest message in the mailbox, with which a job is begun again; ``said`` has to follow."""
        waiting = self._waiting()
        self._saying = waiting[0] if waiting else None
        if self._saying is not None:
            self._mark(self._saying)
        return self._saying

    def send(self, message: Message, done: Done) -> None:
        """Takes a message on."""
        if message.how == "queue" and (self._facts.turn.state == "open" or self._facts.queued):
            self._put_by(message)
            done({"ok": True, "delivery": "queued", "turn_id": None})
        else:
            self._outbox.append((message, done))
            self._until[message.id] = time.monotonic() + _TAKEN_S
        self.next()

    @property
    def due(self) -> float | None:
        """When somebody will have waited long enough for a message to be taken."""
        return min(self._until.values(), default=None)

    def on_time(self, now: float) -> None:
        """Tells those who have. What Codex has before it may still be taken; what is behind that is not said."""
        for message_id in [one for one, at in self._until.items() if now >= at]:
            del self._until[message_id]
            if self._saying is not None and self._saying.id == message_id:
                why = "Codex did not answer in time; it has the message before it, and may still take it."
                self._told.pop(message_id, nobody)(refusal("failed", why, _STUCK))
            for waiting in [one for one in self._outbox if one[0].id == message_id]:
                self._outbox.remove(waiting)
                why = "Codex did not answer in time; the message was not said."
                self._supervisor.note("not_sent", message_id=message_id, reason=why)
                waiting[1](refusal("failed", why, _STUCK))

    def delivered(self, message_id: str, done: Done) -> None:
        """Tells when a message in the mailbox has been said."""
        if message_id in (one.id for one in self._box() if not one.said or one == self._saying):
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
            waiting = self._waiting()
            if not waiting:
                return
            message = waiting[0]
            self._mark(message)
            done = self._told.get(message.id, nobody)
        else:
            return
        self._saying = message
        self._told[message.id] = done
        if message.how == "interrupt" and self._facts.turn.state == "open":
            self._thread.cut(self.after_cut)
        else:
            self._say(message)

    @abstractmethod
    def _say(self, message: Message) -> None:
        """Says it; ``said`` or ``_unsaid`` has to follow, now or later."""

    def said(self, delivery: str) -> None:
        """The message has been taken, by the turn that runs now."""
        supervisor, message = self._supervisor, self._saying
        assert message is not None
        self._let_go(message)
        turn_id = self._facts.turn.id
        supervisor.note("sent", message_id=message.id, delivery=delivery, turn_id=turn_id, chars=len(message.text))
        supervisor.changed(at_once=True)
        self._told.pop(message.id, nobody)({"ok": True, "delivery": delivery, "turn_id": turn_id})
        self.next()

    def _let_go(self, message: Message) -> None:
        """It is on its way no more: the next may be said."""
        self._until.pop(message.id, None)
        self._saying = None
        self._leave_box(message)

    def after_cut(self, answer: Json) -> None:
        """The turn is out of the way of a message sent with --interrupt."""
        if answer["ok"]:
            assert self._saying is not None
            self._say(self._saying)
        else:
            self._unsaid(answer)

    def _unsaid(self, answer: Json) -> None:
        message = self._saying
        assert message is not None
        self._until.pop(message.id, None)
        self._saying = None
        self._supervisor.note("not_sent", message_id=message.id, reason=answer["message"])
        if message.id in (one.id for one in self._waiting()):
            self._set_aside(message, answer["message"])
        self._told.pop(message.id, nobody)(answer)
        self.next()

    def _set_aside(self, message: Message, why: str) -> None:
        """Takes a message that was refused out of the mailbox: it must not hold up what is behind it."""
        supervisor = self._supervisor
        try:
            path = supervisor.store.put_message(supervisor.record.id, message.id, message.text)
        except StoreUnwritable as error:
            supervisor.warn(f"A queued message could not be said ({why}), nor be put aside ({error.message})")
        else:
            supervisor.warn(f"A queued message could not be said, and lies in {path}: {why}")
        self._leave_box(message)
        supervisor.changed(at_once=True)

    def _put_by(self, message: Message) -> None:
        supervisor = self._supervisor
        before = mailbox.load(supervisor.store, supervisor.record.id)
        box = [*(one for one in before if one.id not in self._stale), message]
        mailbox.save(supervisor.store, supervisor.record.id, box)
        self._facts.queued = sum(not one.said for one in box)
        supervisor.note("queued", message_id=message.id, chars=len(message.text))
        supervisor.changed(at_once=True)

    def _leave_box(self, message: Message) -> None:
        box = self._box()
        rest = [one for one in box if one.id != message.id]
        if len(rest) < len(box):
            self._stale.add(message.id)  # gone, whether the disk takes it or not
            self._save(rest)

    def _mark(self, message: Message) -> None:
        """Writes down that it is being said: who finds it in the mailbox looks into the thread for it first."""
        message.said = True
        try:
            box = mailbox.load(self._supervisor.store, self._supervisor.record.id)
        except RecordUnreadable as error:
            self._supervisor.warn(error.message)
            return
        if message.id in (one.id for one in box):
            self._save([message if one.id == message.id else one for one in box])
        else:
            self._save([message, *box])

    def _save(self, box: list[Message]) -> None:
        supervisor = self._supervisor
        try:
            mailbox.save(supervisor.store, supervisor.record.id, box)
        except StoreUnwritable as error:
            supervisor.warn(error.message)
        self._facts.queued = sum(not one.said for one in box)

    def _count(self) -> None:
        self._facts.queued = len(self._waiting())

    def _waiting(self) -> list[Message]:
        """What is still to be said of what is in the mailbox."""
        return [one for one in self._box() if not one.said]

    def _box(self) -> list[Message]:
        """What is in the mailbox. One that cannot be read is left as it is, and holds nothing up."""
        try:
            found = mailbox.load(self._supervisor.store, self._supervisor.record.id)
            return [one for one in found if one.id not in self._stale]
        except RecordUnreadable as error:
            self._facts.queued = 0
            self._supervisor.warn(error.message)
            self._supervisor.changed(at_once=True)
            return []


def nobody(answer: Json) -> None:
    """For what nobody waits to hear."""
