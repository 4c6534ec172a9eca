"""Owns the one conversation between ``start`` and the supervisor it launched, over a private Unix socket.

``start`` offers; the supervisor calls, and gets what to run, the caller's environment and the job's lock itself
(as an open file descriptor); it answers with "Codex runs as pid N" or the reason why not. So no secret is ever in
argv or in a file, and the lock is held without a gap. Must never be used after that answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from codex_agent.errors import StartFailed

_PATH_LIMIT = 100  # sun_path holds 104 bytes on macOS, 108 on Linux
_LOOK_S = 0.5
_MOST_HANDLES = 64
_HINT = "Does your tmux.conf set exit-unattached? Another server: CODEX_AGENT_TMUX_SOCKET."
_LINUX = sys.platform.startswith("linux")


@dataclass(slots=True)
class Launch:
    """What the supervisor is to run, as the caller would: ``env`` is its whole environment, ``umask`` its mask."""

    argv: list[str]
    cwd: str
    env: dict[str, str]
    umask: int
    # The job's tickets, in the order in which their handles come after the lock's, and the rules of its gates.
    tickets: list[dict[str, Any]] = field(default_factory=list)
    rules: dict[str, Any] = field(default_factory=dict)


class Offer:
    """The listening side; a context manager that removes its socket.

    ``path`` is where the socket should be; if that is too long for a socket, and there is no other way to reach
    it (see ``reachable``), it lies in a temporary folder.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._folder: str | None = None

    def __enter__(self) -> Offer:
        if len(os.fsencode(self.path)) > _PATH_LIMIT and not _LINUX:
            import tempfile  # the supervisor, which loads this module too, never needs it (3 MB)

            self._folder = tempfile.mkdtemp(prefix="codex-agent-", dir="/tmp")
            self.path = os.path.join(self._folder, "s")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with reachable(self.path) as path:
            self._listener.bind(path)
        self._listener.listen(1)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        os.unlink(self.path)
        if self._folder is not None:
            os.rmdir(self._folder)

    def serve(
        self, launch: Launch, handles: Sequence[int], still_there: Callable[[], bool], timeout_s: float
    ) -> dict[str, Any]:
        """Waits for the supervisor, hands over, and returns its answer. ``handles``: the job's lock, its tickets.

        ``still_there`` is asked now and then whether the pane lives. Raises StartFailed if it died without a
        word or nothing happened within ``timeout_s``.
        """
        deadline = time.monotonic() + timeout_s
        self._listener.settimeout(_LOOK_S)
        while True:
            try:
                connection, _ = self._listener.accept()
                break
            except TimeoutError:
                if not still_there():
                    raise StartFailed("The supervisor ended before it said anything.", _HINT) from None
                if time.monotonic() > deadline:
                    raise StartFailed(f"The supervisor did not come up within {timeout_s:.0f} s.") from None
        with connection:
            connection.settimeout(timeout_s)
            body = json.dumps(dataclasses.asdict(launch)).encode("ascii")
            try:
                socket.send_fds(connection, [len(body).to_bytes(8, "big")], handles)
                connection.sendall(body)
                answer = _read_message(connection)
            except (OSError, EOFError) as error:
                raise StartFailed(f"The supervisor broke off: {error}.") from error
        reply = json.loads(answer)
        if not isinstance(reply, dict):
            raise StartFailed("The supervisor gave an answer that is none.")
        return reply


def call(path: str) -> tuple[socket.socket, Launch, list[int]]:
    """The supervisor's side: connection, what to run, handles (the lock first). Raises EOFError, OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with reachable(path) as short:
        connection.connect(short)
    header, fds, _, _ = socket.recv_fds(connection, 8, _MOST_HANDLES)
    if len(header) != 8 or not fds:
        raise EOFError("start ended before it handed over")
    for handle in fds:
        os.set_inheritable(handle, False)
    data = json.loads(_read_exactly(connection, int.from_bytes(header, "big")))
    return connection, Launch(**data), list(fds)


def answer(connection: socket.socket, reply: dict[str, Any]) -> None:
    """Says how it went. A ``start`` that has died meanwhile changes nothing: the job goes on."""
    body = json.dumps(reply).encode("ascii")
    try:
        connection.sendall(len(body).to_bytes(8, "big") + body)
    except (BrokenPipeError, ConnectionResetError):
        pass
    finally:
        connection.close()


@contextlib.contextmanager
def reachable(path: str) -> Iterator[str]:
    """A path to the same place that is short enough for a socket: on Linux, through its open folder.

    So the socket of a `start` that is killed lies in the jobs folder, where ``clean`` finds it.
    """
    if len(os.fsencode(path)) <= _PATH_LIMIT or not _LINUX:
        yield path
        return
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{os.path.basename(path)}"
    finally:
        os.close(folder)


def _read_message(connection: socket.socket) -> bytes:
    return _read_exactly(connection, int.from_bytes(_read_exactly(connection, 8), "big"))


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 16))
        if not part:
            raise EOFError("the other side closed the connection")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
