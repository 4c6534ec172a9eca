"""The app-server's protocol from the socket up: frames against a socket of our own, words against the real schemas."""

from __future__ import annotations

import base64
import hashlib
import json
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent.channel import Channel, ChannelClosed, Reply, client, websocket, words
from codex_agent.channel.websocket import WebSocket
from codex_agent.model import Question, Request, Waiting
from support import Codex, Home

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
        key = next(line.partition(b": ")[2] for line in head.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nSEC-websocket-ACCEPT: " + digest + b"\r\n\r\n"

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


# ---- words ----


@pytest.fixture
def protocol(each_codex: Codex, home: Home, tmp_path: Path) -> dict[str, Any]:
    """What this Codex itself says of its protocol, by file name."""
    folder = tmp_path / "schema"
    argv = [each_codex.path, "app-server", "generate-json-schema", "--out", str(folder)]
    subprocess.run(argv, env=home.env, check=True, capture_output=True, timeout=60)
    return {path.stem: json.loads(path.read_text()) for path in folder.rglob("*.json")}


def methods(schema: dict[str, Any]) -> set[str]:
    return {word for one in schema["oneOf"] for word in one["properties"]["method"]["enum"]}


def enums(schema: Any) -> set[str]:
    """Every word that is a choice somewhere in there."""
    if isinstance(schema, list):
        return set().union(*map(enums, schema))
    if not isinstance(schema, dict):
        return set()
    mine = {word for word in schema.get("enum", []) if isinstance(word, str)}
    return mine.union(*map(enums, schema.values()))


def test_the_names_are_codexs(protocol: dict[str, Any]) -> None:
    """What we ask, what we listen to, what we do not want to hear, what we answer: all of it exists."""
    assert methods(protocol["ClientRequest"]) >= {
        *("initialize", "thread/start", "thread/resume", "turn/start", "turn/steer", "turn/interrupt"),
    }
    assert methods(protocol["ServerRequest"]) >= set(words._ASKS)
    assert methods(protocol["ServerNotification"]) >= {
        *("thread/started", "thread/status/changed", "turn/started", "turn/completed", "item/started"),
        *("item/completed", "serverRequest/resolved", "error", *client._UNHEARD),
    }
    for file in ("CommandExecutionRequestApprovalResponse", "FileChangeRequestApprovalResponse"):
        assert enums(protocol[file]) >= {"accept", "acceptForSession", "decline"}
    assert enums(protocol["PermissionsRequestApprovalResponse"]) >= {"turn", "session"}
    assert enums(protocol["McpServerElicitationRequestResponse"]) >= {"accept", "decline"}
    assert enums(protocol["TurnCompletedNotification"]) >= set(words._MARKS)
    assert enums(protocol["ThreadStatusChangedNotification"]) >= {
        *("idle", "active", "systemError", "notLoaded", "waitingOnApproval", "waitingOnUserInput"),
    }
    assert enums(protocol["ItemCompletedNotification"]) >= set(words._ITEMS)


def test_what_a_thread_is_told() -> None:
    request = Request(mode="interactive", prompt_head="", prompt_chars=0, cwd="/w", sandbox="read-only", approval="never")
    told = {"cwd": "/w", "sandbox": "read-only", "approvalPolicy": "never", "approvalsReviewer": "user"}
    assert words.thread_params(request) == told
    request.model = "m"
    assert words.thread_params(request) == {**told, "model": "m"}
    assert words.message_input("hi", ["/p.png"]) == [
        *({"type": "text", "text": "hi"}, {"type": "localImage", "path": "/p.png"}),
    ]


@pytest.mark.parametrize(
    ("kind", "decision", "result"),
    [
        ("command", "accept", {"decision": "accept"}),
        ("command", "accept_always", {"decision": "acceptForSession"}),
        ("file_change", "decline", {"decision": "decline"}),
        ("permissions", "accept", {"permissions": {"network": True}, "scope": "turn"}),
        ("permissions", "accept_always", {"permissions": {"network": True}, "scope": "session"}),
        ("permissions", "decline", {"permissions": {}, "scope": "turn"}),
        ("elicitation", "accept", {"action": "accept", "content": {}}),
        ("elicitation", "decline", {"action": "decline"}),
        ("command", "who knows", {"decision": "decline"}),
    ],
)
def test_verdicts(kind: Any, decision: str, result: dict[str, Any]) -> None:
    """In doubt nothing is allowed."""
    asked = {"permissions": {"network": True}}
    assert words.verdict_on(Waiting(1, kind, "now"), asked, decision) == result


def test_answers() -> None:
    waiting = Waiting(1, "question", "now", questions=[Question("a"), Question("b")])
    assert words.answers_to(waiting, ["x", "y"]) == {"answers": {"a": {"answers": ["x"]}, "b": {"answers": ["y"]}}}
    with pytest.raises(ValueError):
        words.answers_to(waiting, ["x"])


def test_what_is_asked() -> None:
    command = words.asked_by(
        {
            "id": "r1",
            "method": "item/commandExecution/requestApproval",
            "params": {"threadId": "t", "turnId": "u", "itemId": "i", "command": "ls", "cwd": "/w", "reason": "why"},
        },
        3,
        "now",
    )
    assert command == Waiting(3, "command", "now", '"r1"', "t", "u", "i", "ls", "/w", "why")
    assert words.resolved_by({"params": {"threadId": "t", "requestId": "r1"}}) == command.request_id
    network = words.asked_by(
        {"id": 7, "method": "item/commandExecution/requestApproval", "params": {"networkApprovalContext": {"host": "a.b"}}},
        1,
        "now",
    )
    assert network is not None and network.reason == "network access to a.b"
    assert words.resolved_by({"params": {"requestId": 7}}) == network.request_id == "7"
    question = words.asked_by(
        {
            "id": 0,
            "method": "item/tool/requestUserInput",
            "params": {
                "questions": [
                    {"id": "q", "header": "H", "question": "Which?", "options": [{"label": "A"}, {"x": 1}, 3], "isSecret": True},
                    {"id": "r", "header": "", "question": "And?", "options": None},
                    "nonsense",
                ]
            },
        },
        1,
        "now",
    )
    assert question is not None and (question.kind, question.reason) == ("question", "Which?")
    assert question.questions == [Question("q", "H", "Which?", ["A"], True), Question("r", "", "And?", [], False)]
    assert words.asked_by({"id": 1, "method": "item/tool/call", "params": {}}, 1, "now") is None
    bare = words.asked_by({"id": 1, "method": "item/permissions/requestApproval"}, 1, "now")
    assert bare is not None and bare.kind == "permissions"


def test_turns_and_troubles() -> None:
    turn = words.turn_of(
        {
            "params": {
                "turn": {
                    "id": "u",
                    "status": "failed",
                    "startedAt": 1_700_000_000,
                    "completedAt": 1_700_000_001.5,
                    "durationMs": 1500,
                    "error": {"message": "no", "codexErrorInfo": {"httpConnectionFailed": {"httpStatusCode": 401}}},
                }
            }
        }
    )
    assert (turn.id, turn.state, turn.duration_ms, turn.error) == ("u", "failed", 1500, "no")
    assert (turn.started_at, turn.ended_at) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.500Z")
    assert turn.error_info == "http_connection_failed:401"
    assert words.kind_of_error("contextWindowExceeded") == "context_window_exceeded"
    assert words.kind_of_error({"other": None}) == "other" and words.kind_of_error([]) is None
    assert words.turn_of({"turn": {"id": "u", "status": "brand new"}}).state == "open", "in the reply to turn/start"
    error = {"message": "Reconnecting... 1/5", "additionalDetails": "refused", "codexErrorInfo": None}
    assert words.trouble_of({"params": {"error": error, "willRetry": True}}) == (
        *("Reconnecting... 1/5 (refused)", None, True),
    )
    assert words.trouble_of({"params": {"error": error}}) == ("Reconnecting... 1/5", None, False)


def test_items_as_events() -> None:
    def event(item: dict[str, Any], method: str = "item/completed") -> Any:
        return words.as_event({"method": method, "params": {"item": item}})

    assert event({"type": "agentMessage", "id": "1", "text": "hi"}) == {
        "type": "item.completed",
        "item": {"id": "1", "type": "agent_message", "text": "hi", "query": None},
    }
    ran = {"type": "commandExecution", "id": "2", "command": "ls", "aggregatedOutput": None, "status": "inProgress"}
    assert event(ran, "item/started") == {
        "type": "item.started",
        "item": {
            **{"id": "2", "type": "command_execution", "command": "ls", "aggregated_output": ""},
            **{"exit_code": None, "status": "in_progress"},
        },
    }
    moved = {"path": "/a", "kind": {"type": "update", "move_path": "/b"}}
    assert [change["path"] for change in event({"type": "fileChange", "changes": [moved]})["item"]["changes"]] == [
        *("/a", "/b"),
    ]
    said = {"type": "userMessage", "content": [{"type": "text", "text": "hi"}, {"type": "localImage", "path": "/p"}]}
    assert event(said)["item"]["text"] == "hi\n[localImage]"
    assert event({"type": "somethingNew"}) is None and event({"type": "plan"}, "item/plan/delta") is None


@pytest.mark.parametrize("params", [None, [], "x", {}, {"turn": 3, "status": [], "error": "x", "item": None, "thread": 1}])
def test_shapes_nobody_has_seen(params: Any) -> None:
    """Something is missing, or is something else: no reason to fall over."""
    message = {"method": "item/tool/requestUserInput", "params": params}
    assert words.thread_of(message) is None and words.turn_of(message).id is None
    assert words.status_of(message)[1] == [] and words.trouble_of(message)[2] is False
    asked = words.asked_by(message, 1, "now")
    assert asked is not None and asked.questions == []
    assert words.resolved_by(message) == "null" and words.as_event(message) is None
