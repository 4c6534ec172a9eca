"""Owns a job's control socket: one request in, one reply out, as JSON, between a command and the supervisor.

The supervisor's side never blocks; a caller may wait for its reply as long as it likes, and learns at once if the
supervisor dies. Must never know what a request means.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

Json = dict[str, Any]

_LENGTH_BYTES = 8
# A message to the agent is the longest thing said here.
_REQUEST_LIMIT = 1 << 24
_REPLY_S = 5.0


class Hangup(Exception):
    """The supervisor does not answer: it is not there, or (``heard``) it ended before it replied."""

    def __init__(self, why: str, *, heard: bool) -> None:
        super().__init__(why)
        self.heard = heard


class Listener:
    """The supervisor's side: takes callers. The socket file is its owner's alone (0600)."""

    def __init__(self, path: str) -> None:
        """Listens at ``path`` (short enough for a socket). Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # of a supervisor that was killed: whoever holds the job's lock is the only one
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(path)
        finally:
            os.umask(before)
        self._socket.listen(64)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """For ``poll``."""
        return self._socket.fileno()

    def accept(self) -> Caller | None:
        """The next caller, if one is there and can be taken."""
        try:
            connection, _ = self._socket.accept()
        except OSError:  # none, one that has gone already, or no descriptor left: it waits until there is one
            return None
        return Caller(connection)

    def close(self) -> None:
        """Takes no more callers. The file is removed by whoever made the path."""
        self._socket.close()


class Caller:
    """One caller: its request, then our reply."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setblocking(False)
        self._in = bytearray()
        self.gone = False

    def fileno(self) -> int:
        """For ``poll``."""
        return self._socket.fileno()

    def receive(self) -> Json | None:
        """The request once it is whole. Sets ``gone`` if the caller has hung up, or speaks nonsense."""
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return None
        except OSError:
            data = b""
        self.gone = not data
        self._in += data
        if len(self._in) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._in[:_LENGTH_BYTES], "big")
        if length > _REQUEST_LIMIT:
            self.gone = True
            return None
        if len(self._in) < _LENGTH_BYTES + length:
            return None
        try:
            request = json.loads(self._in[_LENGTH_BYTES : _LENGTH_BYTES + length])
        except ValueError:
            request = None
        self._in.clear()
        if not isinstance(request, dict):
            self.gone = True
            return None
        return request

    def reply(self, answer: Json) -> None:
        """Sends the reply and hangs up. A caller that is gone changes nothing."""
        body = json.dumps(answer).encode("ascii")
        with contextlib.suppress(OSError):
            self._socket.settimeout(_REPLY_S)
            self._socket.sendall(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
        self.close()

    def close(self) -> None:
        """Hangs up."""
        self.gone = True
        self._socket.close()


def ask(path: str, request: Json, timeout_s: float | None = None) -> Json:
    """A command's side: the supervisor's reply. Raises Hangup, and TimeoutError after ``timeout_s`` seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        body = json.dumps(request).encode("ascii")
        try:
            connection.connect(path)
        except OSError as error:
            raise Hangup(str(error), heard=False) from error
        try:
            connection.sendall(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
        except TimeoutError:
            raise
        except OSError as error:  # not all of it went out, so nobody can have acted on it
            raise Hangup(str(error), heard=False) from error
        try:
            answer = _read(connection, int.from_bytes(_read(connection, _LENGTH_BYTES), "big"))
        except TimeoutError:
            raise
        except OSError as error:
            raise Hangup(str(error), heard=True) from error
    try:
        reply = json.loads(answer)
    except ValueError as error:
        raise Hangup("the answer is none", heard=True) from error
    if not isinstance(reply, dict):
        raise Hangup("the answer is none", heard=True)
    return reply


def _read(connection: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = connection.recv(min(count - len(data), 1 << 16))
        if not part:
            raise Hangup("the supervisor ended before it answered", heard=True)
        data += part
    return bytes(data)
