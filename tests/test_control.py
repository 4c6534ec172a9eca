"""A job's control socket: what callers may do to it without harm; what a real supervisor makes of nonsense."""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent import calls, control
from codex_agent.control import Caller, Hangup, Listener, ask
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import BadState, CodexAgentError, UsageError
from codex_agent.store import Store
from support import Cli, Home, until
from support.interactive import callers, stay, told
from support.jobs import begin, see


def packed(body: bytes, length: int | None = None) -> bytes:
    return (len(body) if length is None else length).to_bytes(8, "big") + body


@pytest.fixture
def path() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="ca-", dir="/tmp") as folder:
        yield f"{folder}/s"


@pytest.fixture
def listener(path: str) -> Iterator[Listener]:
    found = Listener(path)
    yield found
    found.close()


def connected(path: str, listener: Listener) -> tuple[socket.socket, Caller]:
    """Somebody who called, and our side of it."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(path)
    caller = listener.accept()
    assert caller is not None
    return connection, caller


# ---- the supervisor's side ----


def test_the_socket_is_its_owners_alone(listener: Listener, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert listener.accept() is None, "nobody called; it does not wait"


def test_a_socket_left_by_one_that_was_killed_is_replaced(path: str) -> None:
    Listener(path).close()
    assert os.path.exists(path)
    with pytest.raises(Hangup) as gone:
        ask(path, {})
    assert not gone.value.heard
    second = Listener(path)
    connection, caller = connected(path, second)
    connection.sendall(packed(b"{}"))
    assert caller.receive() == {}
    connection.close()
    second.close()


def test_a_request_in_pieces(listener: Listener, path: str) -> None:
    """Whole is whole, however it comes; nothing blocks before."""
    connection, caller = connected(path, listener)
    text = json.dumps({"do": "send", "text": "\u00e9" * 100_000}).encode()
    whole = packed(text)
    assert caller.receive() is None and not caller.gone
    for at in range(16):
        connection.sendall(whole[at : at + 1])
        assert caller.receive() is None and not caller.gone
    writer = threading.Thread(target=connection.sendall, args=(whole[16:],))
    writer.start()
    request = None
    while request is None:
        assert select.select([caller], [], [], 5)[0] and not caller.gone
        request = caller.receive()
    writer.join()
    assert request == json.loads(text)
    caller.reply({"ok": True})
    assert connection.recv(100) == packed(b'{"ok": true}') and connection.recv(1) == b""
    connection.close()


@pytest.mark.parametrize(
    "said",
    [
        packed(b"{", 1),
        packed(b"[1]"),
        packed(b"null"),
        packed(b"\xff\xfe{}"),
        packed(b""),
        (1 << 63).to_bytes(8, "big"),
        ((1 << 24) + 1).to_bytes(8, "big"),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_whoever_speaks_nonsense_is_gone(listener: Listener, path: str, said: bytes) -> None:
    connection, caller = connected(path, listener)
    connection.sendall(said)
    assert caller.receive() is None and caller.gone
    caller.close()
    connection.close()


@pytest.mark.parametrize("said", [b"", b"\0\0\0", packed(b"{}", 100)])
def test_whoever_hangs_up_is_gone(listener: Listener, path: str, said: bytes) -> None:
    connection, caller = connected(path, listener)
    connection.sendall(said)
    connection.close()
    while not caller.gone:
        assert caller.receive() is None
    caller.reply({"ok": True})


def test_a_request_counts_also_of_one_that_hung_up(listener: Listener, path: str) -> None:
    connection, caller = connected(path, listener)
    connection.sendall(packed(b'{"do": "x"}'))
    connection.close()
    assert caller.receive() == {"do": "x"}
    caller.reply({"ok": True})


def test_a_caller_that_does_not_read_its_reply(
    listener: Listener, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The supervisor waits for nobody longer than a moment."""
    monkeypatch.setattr(control, "_REPLY_S", 0.1)
    connection, caller = connected(path, listener)
    began = time.monotonic()
    caller.reply({"text": "x" * (1 << 24)})
    assert time.monotonic() - began < 3 and caller.gone
    connection.close()


# ---- a command's side ----


def serve(listener: Listener, answer: bytes | None) -> list[Caller]:
    """Takes one caller's request, says these bytes, hangs up; with None it says nothing and holds the line.

    Returns whose line is held; keep it.
    """

    held: list[Caller] = []

    def run() -> None:
        select.select([listener], [], [], 5)
        caller = listener.accept()
        assert caller is not None
        while caller.receive() is None and not caller.gone:
            select.select([caller], [], [], 5)
        if answer is None:
            held.append(caller)
        else:
            caller._socket.sendall(answer)
            caller.close()

    threading.Thread(target=run, daemon=True).start()
    return held


def test_ask(listener: Listener, path: str) -> None:
    serve(listener, packed(b'{"ok": true, "n": 1}'))
    assert ask(path, {"do": "x"}, 5) == {"ok": True, "n": 1}


@pytest.mark.parametrize("answer", [b"", b"\0\0", packed(b'{"ok"', 100), packed(b"[]"), packed(b"no json")])
def test_an_answer_that_is_none(listener: Listener, path: str, answer: bytes) -> None:
    """The supervisor died under it, or is something else: it may have done what was asked."""
    serve(listener, answer)
    with pytest.raises(Hangup) as broken:
        ask(path, {"do": "x"}, 5)
    assert broken.value.heard


def test_nobody_listens(path: str, tmp_path: Path) -> None:
    for where in (path, str(tmp_path)):
        with pytest.raises(Hangup) as gone:
            ask(where, {"do": "x"}, 5)
        assert not gone.value.heard


def test_no_answer_in_time(listener: Listener, path: str) -> None:
    held = serve(listener, None)
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        ask(path, {"do": "x"}, 0.1)
    assert time.monotonic() - began < 2 and len(held) == 1


# ---- a real job's desk ----


NONSENSE: list[dict[str, Any]] = [
    {},
    {"do": None},
    {"do": "dance"},
    {"do": ["send"]},
    {"do": "send"},
    {"do": "send", "message_id": "a", "text": "x"},
    {"do": "send", "message_id": 1, "text": 2, "how": "now"},
    {"do": "send", "message_id": "a", "text": {"x": []}, "how": "queue"},
    {"do": "delivered"},
    {"do": "respond"},
    {"do": "respond", "n": "one", "decision": "accept"},
    {"do": "respond", "n": -1, "decision": "accept"},
    {"do": "respond", "n": 1, "decision": "burn it", "answers": 3},
    {"do": "respond", "answers": "yes"},
    {"do": "wait"},
    {"do": "wait", "until": "lunch"},
]


def outcome(store: Store, job_id: str, request: dict[str, Any]) -> str:
    """How the job's supervisor answers."""
    try:
        return f"done: {calls.ask(store, job_id, request, 5)}"
    except CodexAgentError as error:
        return f"{error.code}: {error.message}"
    except TimeoutError:
        return "no answer"


@pytest.mark.parametrize("interactive", [True, False], ids=["stays", "exec"])
def test_nonsense_does_no_harm(interactive: bool, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Each is refused, or hung up on; the agent at work never notices."""
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate, Step.message("Never noticed.")))
    job_id = stay(cli, repo, "%%held") if interactive else begin(cli, repo, "%%held")
    gate.reached()
    store = Store(str(home.agent_home))
    before = see(cli, job_id)
    for request in NONSENSE:
        assert outcome(store, job_id, request).startswith(("bad_state: ", "failed: ", "usage: ")), request
    path = store.path(job_id, ".sock")
    for said in (b"", b"GET / HTTP/1.1\r\n\r\n", packed(b"[]"), packed(b"{}", 1000), b"\xff" * 9):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(path)
            connection.sendall(said)
    after = see(cli, job_id)
    for key in ("status", "turn_state", "turn_count", "queued", "waiting_for", "warnings"):
        assert after[key] == before[key], key
    gate.open()
    assert told(cli, "await-turn", job_id)["message"] == "Never noticed."


def test_callers_that_went_away_are_forgotten(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """More than may ask at once, one after the other and all together; the others are told to try again."""
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate, Step.message("Still here.")))
    job_id = stay(cli, repo, "%%held")
    store = Store(str(home.agent_home))
    path = store.path(job_id, ".sock")
    wait = packed(json.dumps({"do": "wait", "until": "turn"}).encode())
    for _ in range(2):
        lines = []
        for _ in range(200):
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(path)
            connection.sendall(wait)
            lines.append(connection)
        with pytest.raises(CodexAgentError, match="Too many commands"):
            calls.ask(store, job_id, {"do": "wait", "until": "turn"}, 10)
        for connection in lines:
            connection.close()
        until(lambda: callers(job_id) == 0, 10, "all of them forgotten")
    gate.open()
    assert told(cli, "await-turn", job_id)["message"] == "Still here."


def test_refusals_arrive_as_what_they_are(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """With code, message and hint, and the job they are about."""
    model.on("%%idle", Step.message("Idle."))
    job_id = stay(cli, repo, "%%idle")
    told(cli, "await-turn", job_id)
    store = Store(str(home.agent_home))
    with pytest.raises(BadState) as state:
        calls.ask(store, job_id, {"do": "interrupt"}, 5)
    assert "idle" in state.value.message and state.value.data["id"] == job_id
    with pytest.raises(UsageError):
        calls.ask(store, job_id, {"do": "dance"}, 5)
    told(cli, "exit", job_id)
    with pytest.raises(calls.Ended) as ended:
        calls.ask(store, job_id, {"do": "interrupt"}, 5)
    assert not ended.value.heard
    assert not os.path.lexists(store.path(job_id, ".sock")) and not os.path.lexists(store.path(job_id, ".app"))
