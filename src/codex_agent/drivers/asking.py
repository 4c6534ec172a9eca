"""Owns what the agent asks of a person: approvals and questions, until somebody has answered, here or in the TUI.

Every client of the thread is asked, and the first answer counts; Codex then says that it is resolved, whoever it
was. Must never answer by itself.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict

from codex_agent.channel import words
from codex_agent.drivers.base import Done, Host, Json, refusal
from codex_agent.model import Waiting, stamp

_ANSWERED_S, _FLAGS_S = 10.0, 0.3
Send = Callable[[str | int, Json], None]


class Asking:
    """The requests that are open. ``due`` is when one that we answered should have been resolved."""

    def __init__(self, supervisor: Host, send: Send) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._send = send
        self._requests: dict[str, Json] = {}
        self._paths: dict[str, list[str]] = {}
        self._answered: dict[str, tuple[float, Done, Json]] = {}
        self._flags: list[str] = []
        self._flags_at: float | None = None

    @property
    def due(self) -> float | None:
        times = [self._flags_at, *(at for at, _, _ in self._answered.values())]
        return min((at for at in times if at is not None), default=None)

    def flagged(self, flags: list[str]) -> None:
        """What the thread waits on, by its status. The request follows at once; if not, this is all there is."""
        self._flags = flags
        self._flags_at = time.monotonic() + _FLAGS_S if flags else None
        if not flags and self._facts.waiting_flags:
            self._facts.waiting_flags = []
            self._supervisor.changed(at_once=True)

    def seen(self, item: Json) -> None:
        """An item of the thread: what a file change is about is told here, and not where it is asked for."""
        if item.get("type") == "fileChange":
            self._paths[str(item.get("id"))] = words.changed_paths(item)

    def asked(self, message: Json) -> None:
        """Codex asks."""
        waiting = words.asked_by(message, self._facts.asked + 1, stamp())
        if waiting is None or waiting.request_id is None:
            return  # nothing a person could answer; the TUI deals with it
        waiting.files = self._paths.get(waiting.item_id or "", [])
        self._facts.asked = waiting.n
        self._facts.waiting.append(waiting)
        self._requests[waiting.request_id] = message
        self._supervisor.note(
            "asked", n=waiting.n, what=waiting.kind, command=waiting.command, reason=waiting.reason
        )
        self._supervisor.outputs.show(f"? {waiting.command or waiting.reason or waiting.kind}\n")
        self._supervisor.changed(at_once=True)

    def resolved(self, request_id: str) -> None:
        """Somebody answered, or the turn went away."""
        self._requests.pop(request_id, None)
        gone = [one for one in self._facts.waiting if one.request_id == request_id]
        self._facts.waiting = [one for one in self._facts.waiting if one.request_id != request_id]
        if not self._facts.waiting:
            self._facts.waiting_flags = []  # Codex says so itself in a moment
        ours = self._answered.pop(request_id, None)
        for waiting in gone:
            self._supervisor.note("answered", n=waiting.n, by="command" if ours else "pane")
        self._supervisor.worked("answer")
        self._supervisor.changed(at_once=True)
        if ours is not None:
            ours[1](ours[2])

    def respond(self, request: Json, done: Done) -> None:
        """A command answers: ``n`` (or None for the only one), and ``decision`` or ``answers``."""
        texts = request.get("answers")
        wanted = [
            one
            for one in self._facts.waiting
            if (one.kind == "question") == (texts is not None) or request.get("n")
        ]
        waiting = self._pick(request.get("n"), wanted, done)
        if waiting is None or waiting.request_id is None:
            return
        asked = self._requests[waiting.request_id]
        if waiting.request_id in self._answered:
            done(refusal("bad_state", f"Number {waiting.n} is just being answered by another command."))
            return
        if texts is None and waiting.kind == "question":
            done(refusal("bad_state", f"Number {waiting.n} is a question.", "Answer it: codex-agent answer."))
            return
        if texts is not None and waiting.kind != "question":
            done(refusal("bad_state", f"Number {waiting.n} is no question.", "codex-agent approve, or deny."))
            return
        if texts is not None:
            if len(texts) != len(waiting.questions):
                count = len(waiting.questions)
                done(refusal("usage", f"It asks {count} questions; {len(texts)} answers were given."))
                return
            result, decision = words.answers_to(waiting, [str(text) for text in texts]), "answer"
        else:
            decision = str(request["decision"])
            result = words.verdict_on(waiting, asked.get("params") or {}, decision)
        told = {"ok": True, "waiting": asdict(waiting), "decision": decision}
        self._answered[waiting.request_id] = (time.monotonic() + _ANSWERED_S, done, told)
        self._supervisor.note("answer_given", n=waiting.n, decision=decision)
        self._send(json.loads(waiting.request_id), result)

    def _pick(self, n: object, wanted: list[Waiting], done: Done) -> Waiting | None:
        job_id = self._supervisor.record.id
        if n is not None:
            found = [one for one in wanted if one.n == n]
            if found:
                return found[0]
            gone = isinstance(n, int) and 0 < n <= self._facts.asked
            why = "has been answered, or its turn ended" if gone else "was never asked"
            done(refusal("bad_state", f"Number {n} of job {job_id} {why}.", f"codex-agent approvals {job_id}"))
            return None
        if len(wanted) == 1:
            return wanted[0]
        if not wanted:
            done(
                refusal(
                    "bad_state", f"Nothing of that kind waits in job {job_id}.", f"codex-agent status {job_id}"
                )
            )
        else:
            numbers = ", ".join(str(one.n) for one in wanted)
            done(refusal("bad_state", f"Several wait in job {job_id}: {numbers}.", "Say which: give its number."))
        return None

    def on_time(self, now: float) -> None:
        """Whether what we answered was ever taken, and whether flags stand alone."""
        if self._flags_at is not None and now >= self._flags_at:
            self._flags_at, self._facts.waiting_flags = None, self._flags
            self._supervisor.changed(at_once=True)
        for request_id, (at, done, _) in list(self._answered.items()):
            if now >= at:
                del self._answered[request_id]
                done(refusal("failed", "Codex did not take the answer.", "codex-agent status says what it does."))
