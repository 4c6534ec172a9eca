"""Owns what is said to an agent by typing: pasted into its pane, and proven by what Codex then writes down.

A message counts as said when its own words stand in the rollout as a person's. Only what is typed into a running
turn may be told of before: Codex writes that down when the command that runs has ended. Must never type the same
message twice, proven or not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from codex_agent.answers import Said
from codex_agent.codex.interactive import pasted
from codex_agent.drivers import outbox
from codex_agent.drivers.base import Done, Host, Json, Message, refusal
from codex_agent.drivers.outbox import Outbox, nobody
from codex_agent.drivers.pane import Pane
from codex_agent.errors import CodexAgentError, UsageError

# Measured: 25 to 80 ms, 310 ms for 400 KB (0.133.0, 0.163.0); a steer waits for the end of the running command.
_PROOF_S, _STEER_S = 10.0, 3.0
_RETRY_S = 2.0
_HEAD_CHARS = 60


class Thread(outbox.Thread, Protocol):
    """What typing needs of the thread it is typed to."""

    def hindered(self) -> Json | None:
        """Why nothing may be typed now, as a refusal."""


@dataclass(slots=True)
class Expected:
    """A message that was typed and has not been seen in the rollout. ``turn_id`` is the turn it was typed into.

    ``due`` is when whoever sent it is told what is known; None once that was done.
    """

    words: str
    message: Message | None
    done: Done
    turn_id: str | None
    due: float | None


class Typed(Outbox):
    """The messages on their way through one pane."""

    _thread: Thread

    def __init__(self, supervisor: Host, thread: Thread, pane: Pane) -> None:
        super().__init__(supervisor, thread)
        self._pane = pane
        self._typed: list[Expected] = []
        self._retry_at: float | None = None
        self._last_word: Said | None = None

    @property
    def busy(self) -> bool:
        return super().busy or any(one.due is not None for one in self._typed)

    @property
    def due(self) -> float | None:
        times = [super().due, self._retry_at, *(one.due for one in self._typed)]
        return min((at for at in times if at is not None), default=None)

    @property
    def proven(self) -> bool:
        """Whether everything that was typed has been seen in the rollout."""
        return not self._typed

    def sayable(self, name: str, text: str) -> str:
        """The text as it may be typed. One with a ``!`` first would be a shell command: it goes into a file."""
        if not text.lstrip().startswith("!"):
            return text
        path = self._supervisor.store.put_message(self._supervisor.record.id, name, text)
        return f"This message is in a file, since it begins with an exclamation mark. Do what it says: {path}"

    def expect(self, text: str) -> Expected:
        """What is typed, or given as the first prompt, is to be seen in the rollout."""
        running = self._facts.turn.id if self._facts.turn.state == "open" else None
        patience = _PROOF_S if running is None else _STEER_S
        one = Expected(_bare(text), self._saying, nobody, running, time.monotonic() + patience)
        self._typed.append(one)
        return one

    def spoken(self, entry: Said) -> None:
        """Somebody's words stand in the rollout: the agent's, a person's, or what was typed here."""
        self._last_word = entry
        if entry.kind != "user":
            return
        words = _bare(entry.text)
        # With what a person had begun to write there, if somebody had.
        found = [one for one in self._typed if one.words == words] or [
            one for one in self._typed if one.words in words
        ]
        if found:
            self._taken(found[0])

    def _taken(self, one: Expected) -> None:
        self._typed.remove(one)
        turn_id = self._facts.turn.id
        delivery = "steer" if one.turn_id == turn_id else "turn"
        if one.message is None:
            return
        if one.message is self._saying:
            self.said(delivery)
            return
        self._supervisor.note(
            "sent",
            message_id=one.message.id,
            delivery=delivery,
            turn_id=turn_id,
            chars=len(one.message.text),
        )
        one.done({"ok": True, "delivery": delivery, "turn_id": turn_id})

    def turn_ended(self) -> None:
        """What was typed into the turn and was not taken by it begins the next one, or lies in the pane."""
        turn, last = self._facts.turn, self._last_word
        if turn.state == "completed" and last is not None and last.kind == "user" and last.turn_id == turn.id:
            self._supervisor.warn(
                "Codex took a message as its turn was ending, and let it lie; send it again if it counts: "
                + last.text[:_HEAD_CHARS]
            )
        for one in self._typed:
            if one.due is not None:
                one.due = time.monotonic() + _PROOF_S

    def ended(self) -> None:
        """Codex has ended: what it has not written down, it has not taken."""
        for one in self._typed:
            if one.message is not None:
                head = one.message.text[:_HEAD_CHARS]
                self._supervisor.warn(f"A message was typed and not taken before the end: {head}")

    def on_time(self, now: float) -> None:
        super().on_time(now)
        for one in [one for one in self._typed if one.due is not None and now >= one.due]:
            one.due = None
            if one.message is not None and one.message is self._saying:
                job_id = self._supervisor.record.id
                why = "It was typed into the pane, but Codex did not write down that it took it"
                queued = self._facts.queued
                self._leave_box(one.message)  # else it would be typed again
                if self._facts.queued != queued:  # nobody waits to hear of it
                    self._supervisor.warn(f"{why}: {one.message.text[:_HEAD_CHARS]}")
                self._unsaid(refusal("failed", f"{why}.", f"codex-agent capture {job_id} shows the pane."))
                if self._facts.queued:
                    self._retry_at = now + _RETRY_S  # what is behind it
            else:
                one.done({"ok": True, "delivery": "steer", "turn_id": None})
                one.done = nobody
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
            self.next()

    def _say(self, message: Message) -> None:
        answer = self._thread.hindered()
        if answer is None:
            answer = self._type(message)
        if answer is not None:
            self._unsaid(answer)
            if self._facts.queued:
                self._retry_at = time.monotonic() + _RETRY_S

    def _type(self, message: Message) -> Json | None:
        one: Expected | None = None
        try:
            text = self.sayable(message.id, message.text)
            one = self.expect(text)
            self._pane.type(text)
        except CodexAgentError as error:
            if one is not None:
                self._typed.remove(one)
            return {"ok": False, **error.to_json()}
        if one.turn_id is not None:
            # The TUI keeps what is typed into a turn in order, so the next need not wait until this one is taken.
            one.done = self._told.pop(message.id, nobody)
            self._let_go(message)
            self.next()
        return None


def _bare(text: str) -> str:
    """Its letters: how Codex keeps blanks is its own business."""
    try:
        text = pasted(text)
    except UsageError:
        pass  # what a person typed
    return "".join(text.encode("utf-8", "replace").decode().split())
