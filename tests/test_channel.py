"""The connection to an app-server, against a socket of our own: the upgrade, frames, calls and their replies."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent.channel import Channel, ChannelClosed, Reply, websocket
from codex_agent.channel.websocket import WebSocket

TEXT, BINARY, CLOSE, PING, PONG, MORE = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
BORDERS = [0, 1, 125, 126, 127, 65535, 65536, 70000]


def frame(payload: bytes, kind: int = TEXT, *, final: bool = True) -> bytes:
    """As a server sends it: not masked, with the shortest length that holds."""
    length = len(payload)
    if length < 126:
        size = bytes([length])
    elif length < 1 << 16:
        size = bytes([126]) + length.to_bytes(2, "big")
    else:
        size = bytes([127]) + length.to_bytes(8, "big")
    return bytes([(0x80 if final else 0) | kind]) + size + payload


class Server:
    """The other end of the connection, by hand."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.connection.settimeout(5)

    def head(self) -> bytes:
        """The request, up to its empty line."""
        got = b""
        while not got.endswith(b"\r\n\r\n"):
            got += self.connection.recv(1)
        return got

    def upgrade(self) -> None:
        self.connection.sendall(self.accepting(self.head()))

    @staticmethod
    def accepting(head: bytes) -> bytes:
        key = next(
            line.partition(b": ")[2] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key")
        )
        digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nSEC-websocket-ACCEPT: "
            + digest
            + b"\r\n\r\n"
        )

    def take(self) -> tuple[int, bytes]:
        """One frame of the client's, which must be masked: its kind and payload."""
        first, second = self.exactly(2)
        assert first & 0x80 and second & 0x80, "whole and masked"
        length = second & 0x7F
        if length >= 126:
            shortest = 126 if length == 126 else 1 << 16
            length = int.from_bytes(self.exactly(2 if length == 126 else 8), "big")
            assert length >= shortest, "no longer form than needed"
        mask = self.exactly(4)
        payload = self.exactly(length)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))

    def exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = self.connection.recv(count - len(got))
            assert part, "the client hung up"
            got += part
        return got

    def say(self, message: dict[str, Any]) -> None:
        self.connection.sendall(frame(json.dumps(message).encode()))

    def heard(self) -> dict[str, Any]:
        kind, payload = self.take()
        assert kind == TEXT
        found = json.loads(payload)
        assert isinstance(found, dict) and found.pop("jsonrpc") == "2.0"
        return found


@pytest.fixture
def pair() -> Iterator[tuple[WebSocket, Server]]:
    """Connected, and nothing said so far."""
    ours, theirs = socket.socketpair()
    wire = WebSocket(ours)
    yield wire, Server(theirs)
    wire.close()
    theirs.close()


@pytest.fixture
def wire(pair: tuple[WebSocket, Server]) -> tuple[WebSocket, Server]:
    """Upgraded."""
    ours, theirs = pair
    ours.flush()
    theirs.upgrade()
    assert ours.receive() == []
    return ours, theirs


# ---- frames ----


def test_the_upgrade(pair: tuple[WebSocket, Server]) -> None:
    """No compression is offered, and nothing is sent behind the request before the server has answered."""
    ours, theirs = pair
    ours.send("early")
    ours.flush()
    head = theirs.head()
    assert head.startswith(b"GET / HTTP/1.1\r\n") and b"Sec-WebSocket-Version: 13" in head
    assert b"xtensions" not in head
    theirs.connection.settimeout(0.05)
    with pytest.raises(TimeoutError):
        theirs.connection.recv(1)
    theirs.connection.settimeout(5)
    answer = theirs.accepting(head)
    theirs.connection.sendall(answer[:20])
    assert ours.receive() == []
    theirs.connection.sendall(answer[20:] + frame(b"at once"))
    assert ours.receive() == [b"at once"]
    assert theirs.take() == (TEXT, b"early")


@pytest.mark.parametrize("length", BORDERS)
def test_what_is_sent(wire: tuple[WebSocket, Server], length: int) -> None:
    ours, theirs = wire
    text = ("\u00e9x\u4e2d"[: length % 3] + "y" * length)[:length]
    ours.send(text)
    ours.flush()
    assert theirs.take() == (TEXT, text.encode())


@pytest.mark.parametrize("length", BORDERS)
def test_what_is_received(wire: tuple[WebSocket, Server], length: int) -> None:
    """Also in two pieces, cut anywhere in its head or just after it."""
    ours, theirs = wire
    payload = bytes(at % 251 for at in range(length))
    whole = frame(payload)
    theirs.connection.sendall(whole + whole + whole[:1])
    assert ours.receive() == [payload, payload]
    theirs.connection.sendall(whole[1:])
    assert ours.receive() == [payload]
    for cut in range(1, min(12, len(whole))):
        theirs.connection.sendall(whole[:cut])
        assert ours.receive() == []
        theirs.connection.sendall(whole[cut:])
        assert ours.receive() == [payload]


def test_fragments_with_others_between(wire: tuple[WebSocket, Server]) -> None:
    """A ping in the middle of a message is answered, and is no part of it."""
    ours, theirs = wire
    theirs.connection.sendall(frame(b"one ", final=False) + frame(b"p", PING) + frame(b"two ", MORE, final=False))
    assert ours.receive() == [] and theirs.take() == (PONG, b"p")
    theirs.connection.sendall(frame(b"", MORE, final=False) + frame(b"x", PONG) + frame(b"three", MORE))
    theirs.connection.sendall(frame(b"next") + frame(b"{}", BINARY) + frame(b"what is this", 0x3))
    assert ours.receive() == [b"one two three", b"next", b"{}"]


def test_the_server_closes(wire: tuple[WebSocket, Server]) -> None:
    """What it said before is not lost, in whichever way it goes."""
    ours, theirs = wire
    theirs.connection.sendall(frame(b"last words") + frame(b"\x03\xe8", CLOSE))
    assert ours.receive() == [b"last words"]
    with pytest.raises(EOFError):
        ours.receive()


def test_the_server_is_gone(wire: tuple[WebSocket, Server]) -> None:
    ours, theirs = wire
    theirs.connection.sendall(frame(b"last words") + frame(b"half")[:3])
    theirs.connection.close()
    assert ours.receive() == [b"last words"]
    with pytest.raises(EOFError):
        ours.receive()
    ours.send("x")
    with pytest.raises(OSError):
        ours.flush()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"\0" * 70_000,
    ],
    ids=["refused", "no key", "wrong key", "something else", "no end"],
)
def test_no_upgrade(pair: tuple[WebSocket, Server], answer: bytes) -> None:
    ours, theirs = pair
    ours.flush()
    theirs.head()
    theirs.connection.sendall(answer)
    with pytest.raises(EOFError):
        ours.receive()


def test_giants(wire: tuple[WebSocket, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    """A length that cannot be is no reason to wait for it, or to fill the memory."""
    ours, theirs = wire
    theirs.connection.sendall(b"\x81\x7f" + (1 << 62).to_bytes(8, "big"))
    with pytest.raises(EOFError, match="too long"):
        ours.receive()


def test_giants_in_pieces(wire: tuple[WebSocket, Server], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket, "_MESSAGE_LIMIT", 1000)
    ours, theirs = wire
    theirs.connection.sendall(frame(b"x" * 900, final=False))
    assert ours.receive() == []
    theirs.connection.sendall(frame(b"x" * 900, MORE, final=False))
    with pytest.raises(EOFError, match="too long"):
        ours.receive()


def test_a_server_that_does_not_read(wire: tuple[WebSocket, Server]) -> None:
    """Nothing blocks: what the socket does not take is kept, and known to be."""
    ours, theirs = wire
    text = "0123456789" * 300_000
    ours.send(text)
    began = time.monotonic()
    ours.flush()
    assert ours.wants_to_write and time.monotonic() - began < 2
    got: list[tuple[int, bytes]] = []
    reader = threading.Thread(target=lambda: got.append(theirs.take()))
    reader.start()
    while ours.wants_to_write:
        select.select([], [ours], [], 5)
        ours.flush()
    reader.join(20)
    assert got == [(TEXT, text.encode())]


# ---- calls ----


@pytest.fixture
def line(tmp_path: Path) -> Iterator[tuple[Channel, Server, list[dict[str, Any]]]]:
    """A channel, the server it talks to, and what it was told that is no reply."""
    with tempfile.TemporaryDirectory(prefix="ca-", dir="/tmp") as folder:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(f"{folder}/s")
        listener.listen()
        told: list[dict[str, Any]] = []
        channel = Channel(f"{folder}/s", told.append)
        channel.pump()
        server = Server(listener.accept()[0])
        server.upgrade()
        channel.pump()
        yield channel, server, told
        channel.close()
        server.connection.close()
        listener.close()


def answering(server: Server, *answers: Callable[[dict[str, Any]], dict[str, Any]]) -> threading.Thread:
    """Answers the next requests so."""

    def run() -> None:
        for answer in answers:
            server.say(answer(server.heard()))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_greeting(line: tuple[Channel, Server, list[dict[str, Any]]]) -> None:
    channel, server, _ = line
    seen: list[dict[str, Any]] = []

    def greet(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"id": request["id"], "result": {"userAgent": "codex"}}

    answering(server, greet)
    assert channel.greet("1.2", 5) == {"userAgent": "codex"}
    assert seen[0]["method"] == "initialize" and seen[0]["params"]["clientInfo"]["version"] == "1.2"
    assert server.heard() == {"method": "initialized"}


def test_greeting_refused_or_not_answered(line: tuple[Channel, Server, list[dict[str, Any]]]) -> None:
    channel, server, _ = line
    answering(server, lambda request: {"id": request["id"], "error": {"code": -1, "message": "not you"}}).join(0)
    with pytest.raises(ChannelClosed, match="not you"):
        channel.greet("1.2", 5)
    began = time.monotonic()
    with pytest.raises(ChannelClosed, match="no answer to initialize within"):
        channel.greet("1.2", 0.1)
    assert time.monotonic() - began < 2


def test_replies_find_their_calls(line: tuple[Channel, Server, list[dict[str, Any]]]) -> None:
    """In any order, among what the server says by itself; a call that is never answered is in nobody's way."""
    channel, server, told = line
    got: list[tuple[str, Reply]] = []
    for name in ("a", "b", "c", "d"):
        channel.call(name, {"n": name}, lambda reply, name=name: got.append((name, reply)))  # type: ignore[misc]
    ids = {request["method"]: request["id"] for request in (server.heard() for _ in range(4))}
    server.say({"method": "turn/started", "params": {}})
    server.say({"id": ids["c"], "result": {"x": 1}})
    server.say({"id": 0, "method": "item/tool/requestUserInput", "params": {}})
    server.say({"id": ids["a"], "error": {"code": 1}})
    server.say({"id": 999, "result": {}})
    server.say({"id": None, "result": {}})
    server.say({"id": [1], "result": {}})
    server.say({"id": ids["b"], "result": None})
    server.say({"id": ids["c"], "result": {"x": "again"}})
    channel.pump()
    assert got == [("c", Reply({"x": 1})), ("a", Reply({}, "an error without words")), ("b", Reply({}))]
    assert [message["method"] for message in told] == ["turn/started", "item/tool/requestUserInput"]
    channel.answer("an id", {"decision": "accept"})
    assert server.heard() == {"id": "an id", "result": {"decision": "accept"}}


@pytest.mark.parametrize("said", [b"no json", b"[1]", b"\xff\xfe", b'"text"', b""])
def test_garbage_ends_the_channel(line: tuple[Channel, Server, list[dict[str, Any]]], said: bytes) -> None:
    channel, server, told = line
    server.say({"method": "before"})
    server.connection.sendall(frame(said))
    with pytest.raises(ChannelClosed):
        channel.pump()
    assert [message["method"] for message in told] == ["before"]


@pytest.mark.parametrize("how", ["closes", "dies", "dies while we talk"])
def test_last_words_are_heard(line: tuple[Channel, Server, list[dict[str, Any]]], how: str) -> None:
    """A server that ends tells how the turn did, and closes behind it, in one breath."""
    channel, server, told = line
    last = json.dumps({"method": "turn/completed"}).encode()
    server.connection.sendall(frame(last) + (frame(b"\x03\xe8", CLOSE) if how == "closes" else b""))
    if how != "closes":
        server.connection.close()
    if how == "dies while we talk":
        channel.call("turn/interrupt", {}, lambda _: None)
    with pytest.raises(ChannelClosed):
        channel.pump()
    assert [message["method"] for message in told] == ["turn/completed"]
