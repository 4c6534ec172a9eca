"""Owns what comes to a running job's control socket: requests for its driver, and callers that wait for something.

A caller that waits is answered when it has come true and the record says so; it costs nothing meanwhile. Must
never write the record itself.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from codex_agent import handshake, mailbox
from codex_agent.control import Caller, Listener
from codex_agent.drivers.base import Done, Driver, Host, Json, Message, refusal
from codex_agent.errors import CodexAgentError
from codex_agent.model import BUSY, WAITING, stamp

_MOST_CALLERS = 200


class Desk:
    """The job's side of its control socket."""

    def __init__(self, supervisor: Host, driver: Driver) -> None:
        self._supervisor, self._driver = supervisor, driver
        self._callers: dict[int, Caller] = {}
        self._waiters: list[tuple[Callable[[], bool], Caller]] = []
        self._path = supervisor.store.path(supervisor.record.id, ".sock")
        with handshake.reachable(self._path) as path:
            self._listener = Listener(path)
        supervisor.watch(self._listener.fileno(), self._on_call)

    def look(self) -> None:
        """Something changed: whoever waited for it is told."""
        for waiter in list(self._waiters):
            came_true, caller = waiter
            if caller.gone:
                self._waiters.remove(waiter)
            elif came_true():
                self._waiters.remove(waiter)
                self._reply(caller, {"ok": True})

    def close(self) -> None:
        """Takes no more callers, and hangs up on those that still wait: they find the job ended."""
        self._supervisor.unwatch(self._listener.fileno())
        self._listener.close()
        with contextlib.suppress(OSError):  # removed, or a folder that is read-only now: the job ends all the same
            os.unlink(self._path)
        for caller in list(self._callers.values()):
            self._drop(caller)

    def _on_call(self) -> bool:
        caller = self._listener.accept()
        if caller is None:
            return True
        if len(self._callers) >= _MOST_CALLERS:
            caller.reply(refusal("failed", "Too many commands ask this job's supervisor at once.", "Try again."))
            return True
        self._callers[caller.fileno()] = caller
        self._supervisor.watch(caller.fileno(), lambda: self._on_words(caller))
        return True

    def _on_words(self, caller: Caller) -> bool:
        request = caller.receive()
        if request is not None:
            try:
                self._handle(request, caller)
            except CodexAgentError as error:
                self._reply(caller, {"ok": False, **error.to_json()})
            except (KeyError, TypeError, ValueError) as error:
                self._reply(caller, refusal("failed", f"The request makes no sense: {error!r}"))
        elif caller.gone:
            self._drop(caller)
        return True

    def _handle(self, request: Json, caller: Caller) -> None:
        supervisor, driver = self._supervisor, self._driver
        if supervisor.facts.stop_reason is not None and request["do"] == "send":
            return  # it hears of the end when that is written, and reopens the job
        if supervisor.facts.stop_reason is not None and request["do"] != "wait":
            self._reply(caller, refusal("bad_state", f"Job {supervisor.record.id} is just being ended."))
            return

        def done(answer: Json) -> None:
            self._reply(caller, answer)

        if supervisor.facts.queue is not None and request["do"] != "wait":
            self._while_queued(supervisor.facts.queue.detail, request, done)
            return
        match request["do"]:
            case "send":
                driver.send(_message(request), done)
            case "delivered":
                driver.delivered(request["message_id"], done)
            case "interrupt":
                driver.interrupt(done)
            case "respond":
                driver.respond(request, done)
            case "leave":
                driver.leave(bool(request.get("cut")), done)
            case "wait":
                self._wait(request["until"], caller)
            case other:
                self._reply(caller, refusal("usage", f"Nobody knows how to '{other}' here."))

    def _while_queued(self, detail: str, request: Json, done: Done) -> None:
        """What can be done to a job whose Codex is not there yet: a message can wait with it."""
        supervisor, job_id = self._supervisor, self._supervisor.record.id
        queued = {"ok": True, "delivery": "queued", "turn_id": None}
        if request["do"] == "delivered":
            done(queued)
            return
        if request["do"] != "send" or request["how"] != "queue":
            hint = "send --queue leaves a message for after its first turn; kill ends it."
            done(refusal("bad_state", f"Job {job_id} is queued ({detail}).", hint))
            return
        message = _message(request)
        box = [*mailbox.load(supervisor.store, job_id), message]
        mailbox.save(supervisor.store, job_id, box)
        supervisor.facts.queued = sum(not one.said for one in box)
        supervisor.note("queued", message_id=message.id, chars=len(message.text))
        supervisor.changed(at_once=True)
        done(queued)

    def _wait(self, until: object, caller: Caller) -> None:
        if until not in ("turn", "approval"):
            raise ValueError(f"until {until}")
        came_true = self._handed_back if until == "turn" else self._needs_somebody
        if came_true() and self._supervisor.saved:
            self._reply(caller, {"ok": True})
            return
        self._waiters.append((came_true, caller))
        if not self._supervisor.saved:
            self._supervisor.changed(at_once=True)

    def _handed_back(self) -> bool:
        """The turn is over, or stands still until somebody says something."""
        if self._supervisor.facts.stop_reason is not None:
            return False  # the job's end follows, and says more than how its turn was cut off
        state = self._supervisor.turn_state
        if state in WAITING:
            return True
        facts = self._supervisor.facts
        # How a turn ended may be unknown (--plain), but not that it did.
        over = state not in BUSY or (state == "unknown" and facts.turn.state != "open")
        return over and facts.queued == 0

    def _needs_somebody(self) -> bool:
        return self._supervisor.turn_state in WAITING

    def _reply(self, caller: Caller, answer: Json) -> None:
        if not caller.gone:
            self._forget(caller)
            caller.reply(answer)

    def _drop(self, caller: Caller) -> None:
        self._forget(caller)
        caller.close()

    def _forget(self, caller: Caller) -> None:
        for handle, one in list(self._callers.items()):
            if one is caller:
                self._supervisor.unwatch(handle)
                del self._callers[handle]


def _message(request: Json) -> Message:
    """What is to be said. Raises KeyError or ValueError if that is none: it would lie in the queue for ever."""
    message_id, text, how, file = request["message_id"], request["text"], request["how"], request.get("file")
    texts = all(isinstance(word, str) for word in (message_id, text, file or ""))
    if not texts or how not in ("now", "queue", "interrupt"):
        raise ValueError("no message")
    return Message(message_id, text, how, stamp(), file)
