"""Owns the conversation with Codex's app-server: JSON-RPC calls, their replies, what it says by itself.

Nothing in here waits, except ``ask`` while a job is being launched. Must never know what a job is.
"""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from codex_agent.channel.websocket import WebSocket

Json = dict[str, Any]

# What would only cost time: text as it grows (the whole item follows), counters that the rollout has too.
_UNHEARD = [
    "account/rateLimits/updated",
    "command/exec/outputDelta",
    "item/agentMessage/delta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/mcpToolCall/progress",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "mcpServer/startupStatus/updated",
    "process/outputDelta",
    "remoteControl/status/changed",
    "skills/changed",
    "thread/tokenUsage/updated",
    "turn/diff/updated",
]


class ChannelClosed(Exception):
    """The app-server is gone, or does not speak as it should."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answered to a call: ``result``, or its words in ``error``."""

    result: Json
    error: str | None = None


class Channel:
    """One connection to an app-server. Messages come in order, replies to calls among them."""

    def __init__(self, path: str, take: Callable[[Json], None]) -> None:
        """Connects to the socket at ``path``; ``take`` gets every message that is no reply. Raises OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError:
            connection.close()
            raise
        self._wire = WebSocket(connection)
        self._take = take
        self._calls: dict[int, Callable[[Reply], None]] = {}
        self._last_call = 0

    def fileno(self) -> int:
        """For ``poll``."""
        return self._wire.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something is left to be sent."""
        return self._wire.wants_to_write

    @property
    def received(self) -> int:
        """Bytes that came so far."""
        return self._wire.received

    def call(self, method: str, params: Json, then: Callable[[Reply], None]) -> None:
        """Sends a request; ``then`` gets its reply, if ever one comes (Codex leaves some without)."""
        self._last_call += 1
        self._calls[self._last_call] = then
        self._send({"id": self._last_call, "method": method, "params": params})

    def answer(self, request_id: str | int, result: Json) -> None:
        """Answers a request of the server's."""
        self._send({"id": request_id, "result": result})

    def pump(self) -> None:
        """Receives and sends what can be now. Raises ChannelClosed, once all that was said has been taken."""
        try:
            # First: a connection that takes nothing any more still holds what was said before.
            for text in self._wire.receive():
                self._message(text)
            self._wire.flush()
        except (OSError, EOFError) as error:
            raise ChannelClosed(str(error)) from error
        if self._wire.ended:
            raise ChannelClosed("the app-server closed its connection")

    def greet(self, version: str, timeout_s: float) -> Json:
        """Introduces us; what the server says of itself. Raises ChannelClosed, also if it does not answer."""
        reply = self.ask(
            "initialize",
            {
                "clientInfo": {"name": "codex-agent", "title": "codex-agent", "version": version},
                "capabilities": {"optOutNotificationMethods": _UNHEARD},
            },
            timeout_s,
        )
        if reply.error is not None:
            raise ChannelClosed(reply.error)
        self._send({"method": "initialized"})
        return reply.result

    def ask(self, method: str, params: Json, timeout_s: float) -> Reply:
        """A call that waits for its reply (only while a job is launched). Raises ChannelClosed."""
        replies: list[Reply] = []
        self.call(method, params, replies.append)
        deadline = time.monotonic() + timeout_s
        poller = select.poll()
        while not replies:
            self.pump()
            left = deadline - time.monotonic()
            if left <= 0:
                raise ChannelClosed(f"no answer to {method} within {timeout_s:g} s")
            if not replies:
                poller.register(self, select.POLLIN | (select.POLLOUT if self.wants_to_write else 0))
                poller.poll(left * 1000)
        return replies[0]

    def close(self) -> None:
        """Ends the connection; the server stays."""
        self._wire.close()

    def _send(self, message: Json) -> None:
        self._wire.send(json.dumps({"jsonrpc": "2.0", **message}))
        try:
            self._wire.flush()
        except OSError:
            pass  # the next `pump` finds the same, and says so

    def _message(self, text: bytes) -> None:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ChannelClosed(f"what the app-server says is no JSON: {error}") from error
        if not isinstance(message, dict):
            raise ChannelClosed("what the app-server says is no object")
        if "method" in message:
            self._take(message)
            return
        call = message.get("id")
        then = self._calls.pop(call, None) if isinstance(call, int) else None
        if then is None:
            return
        refused, result = message.get("error"), message.get("result")
        if isinstance(refused, dict):
            then(Reply({}, str(refused.get("message") or "an error without words")))
        else:
            then(Reply(result if isinstance(result, dict) else {}))
