"""Owns the WebSocket frames between us and Codex's app-server: text messages over a connected Unix socket.

The client's half of RFC 6455, as much as Codex speaks: no compression is offered (Codex up to 0.150 drops a client
that offers it), text frames, continuation, ping, close. It never blocks and never waits: the owner polls the
socket. Must never know what a message says.

Why not a library: docs/decisions/0011.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
from collections.abc import Iterator

_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_READ_BYTES = 1 << 16
_HEAD_LIMIT = 1 << 16
# A thread with a long history is answered in one message; more than this is no answer of Codex's.
_MESSAGE_LIMIT = 1 << 28


class WebSocket:
    """One connection, from the upgrade on. Owns the socket given to it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        key = base64.b64encode(os.urandom(16))
        self._expected = base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest())
        self._in = bytearray()
        # Frames wait for the server's answer: one that is sent right behind the request is lost (0.163).
        self._waiting = bytearray()
        self._out = bytearray(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + b"\r\n\r\n"
        )
        self._open = False
        self._parts = bytearray()
        self.ended = False
        self.received = 0
        """Bytes that came so far."""

    def fileno(self) -> int:
        """For ``poll``."""
        return self._socket.fileno()

    @property
    def wants_to_write(self) -> bool:
        """Whether something is left that the socket did not take yet."""
        return bool(self._out)

    def send(self, text: str) -> None:
        """Queues one message; ``flush`` sends it."""
        self._frame(_TEXT, text.encode("utf-8"))

    def flush(self) -> None:
        """Sends what the socket takes now. Raises OSError if the connection is broken."""
        while self._out:
            try:
                sent = self._socket.send(self._out)
            except BlockingIOError:
                return
            del self._out[:sent]

    def receive(self) -> list[bytes]:
        """The messages that are complete now, in order. ``ended`` is set when the server has closed.

        Raises EOFError when it has and there is nothing left, or when what it says is no WebSocket.
        """
        while True:
            try:
                data = self._socket.recv(_READ_BYTES)
            except BlockingIOError:
                break
            except ConnectionResetError:
                data = b""
            if not data:
                self.ended = True
                break
            self.received += len(data)
            self._in += data
        messages = list(self._messages()) if self._open or self._upgraded() else []
        if self.ended and not messages:
            raise EOFError("the app-server closed its connection")
        return messages

    def close(self) -> None:
        """Ends the connection at once."""
        self._socket.close()

    def _upgraded(self) -> bool:
        end = self._in.find(b"\r\n\r\n")
        if end < 0:
            if len(self._in) > _HEAD_LIMIT:
                raise EOFError("what answers is no WebSocket server")
            return False
        head = bytes(self._in[:end]).split(b"\r\n")
        del self._in[: end + 4]
        fields = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head)
        }
        if b" 101 " not in head[0] + b" " or fields.get(b"sec-websocket-accept") != self._expected:
            raise EOFError(f"the app-server refused the connection: {head[0].decode('latin-1')}")
        self._open = True
        self._out += self._waiting
        self._waiting.clear()
        self.flush()
        return True

    def _messages(self) -> Iterator[bytes]:
        while (frame := self._next_frame()) is not None:
            final, kind, payload = frame
            if kind == _PING:
                self._frame(_PONG, payload)
                self.flush()
            elif kind == _CLOSE:
                self.ended = True
                return
            elif kind in (_TEXT, _BINARY, _CONTINUATION):
                self._parts += payload
                if len(self._parts) > _MESSAGE_LIMIT:
                    raise EOFError("a message of the app-server is too long")
                if final:
                    yield bytes(self._parts)
                    self._parts.clear()

    def _next_frame(self) -> tuple[bool, int, bytes] | None:
        """The next whole frame: final, kind, payload (a server's is never masked)."""
        data = self._in
        if len(data) < 2:
            return None
        length, start = data[1] & 0x7F, 2
        if length == 126:
            length, start = int.from_bytes(data[2:4], "big"), 4
        elif length == 127:
            length, start = int.from_bytes(data[2:10], "big"), 10
        if length > _MESSAGE_LIMIT:
            raise EOFError("a message of the app-server is too long")
        if len(data) < start or len(data) < start + length:
            return None
        frame = (bool(data[0] & 0x80), data[0] & 0x0F, bytes(data[start : start + length]))
        del data[: start + length]
        return frame

    def _frame(self, kind: int, payload: bytes) -> None:
        length = len(payload)
        head = bytearray([0x80 | kind])
        if length < 126:
            head.append(0x80 | length)
        elif length < 1 << 16:
            head.append(0x80 | 126)
            head += length.to_bytes(2, "big")
        else:
            head.append(0x80 | 127)
            head += length.to_bytes(8, "big")
        mask = os.urandom(4)
        # One big number is much quicker than a loop over bytes.
        whole = (mask * (length // 4 + 1))[:length]
        masked = (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(length, "big")
        (self._out if self._open else self._waiting).extend(head + mask + masked)
