"""The words of the app-server's protocol: against what two real versions say of it, and each shape by itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codex_agent.channel import client, words
from codex_agent.model import Question, Request, Waiting
from support import Codex, Home

COMMAND, QUESTION = "item/commandExecution/requestApproval", "item/tool/requestUserInput"


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
    request = Request(
        mode="interactive", prompt_head="", prompt_chars=0, cwd="/w", sandbox="read-only", approval="never"
    )
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
            "method": COMMAND,
            "params": {
                "threadId": "t",
                "turnId": "u",
                "itemId": "i",
                "command": "ls",
                "cwd": "/w",
                "reason": "why",
            },
        },
        3,
        "now",
    )
    assert command == Waiting(3, "command", "now", '"r1"', "t", "u", "i", "ls", "/w", "why")
    assert words.resolved_by({"params": {"threadId": "t", "requestId": "r1"}}) == command.request_id
    network = words.asked_by(
        {
            "id": 7,
            "method": COMMAND,
            "params": {"networkApprovalContext": {"host": "a.b"}},
        },
        1,
        "now",
    )
    assert network is not None and network.reason == "network access to a.b"
    assert words.resolved_by({"params": {"requestId": 7}}) == network.request_id == "7"
    question = words.asked_by(
        {
            "id": 0,
            "method": QUESTION,
            "params": {
                "questions": [
                    {
                        "id": "q",
                        "header": "H",
                        "question": "Which?",
                        "options": [{"label": "A"}, {"x": 1}, 3],
                        "isSecret": True,
                    },
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
    refused = {"httpConnectionFailed": {"httpStatusCode": 401}}
    turn = words.turn_of(
        {
            "params": {
                "turn": {
                    "id": "u",
                    "status": "failed",
                    "startedAt": 1_700_000_000,
                    "completedAt": 1_700_000_001.5,
                    "durationMs": 1500,
                    "error": {
                        "message": "no",
                        "codexErrorInfo": refused,
                    },
                }
            }
        }
    )
    assert (turn.id, turn.state, turn.duration_ms, turn.error) == ("u", "failed", 1500, "no")
    assert (turn.started_at, turn.ended_at) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:13:21.500Z")
    assert turn.error_info == "http_connection_failed:401"
    assert words.kind_of_error("contextWindowExceeded") == "context_window_exceeded"
    assert words.kind_of_error({"other": None}) == "other" and words.kind_of_error([]) is None
    assert words.turn_of({"turn": {"id": "u", "status": "brand new"}}).state == "open", (
        "in the reply to turn/start"
    )
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
    ran = {
        "type": "commandExecution",
        "id": "2",
        "command": "ls",
        "aggregatedOutput": None,
        "status": "inProgress",
    }
    assert event(ran, "item/started") == {
        "type": "item.started",
        "item": {
            "id": "2",
            "type": "command_execution",
            "command": "ls",
            "aggregated_output": "",
            "exit_code": None,
            "status": "in_progress",
        },
    }
    moved = {"path": "/a", "kind": {"type": "update", "move_path": "/b"}}
    assert [change["path"] for change in event({"type": "fileChange", "changes": [moved]})["item"]["changes"]] == [
        *("/a", "/b"),
    ]
    said = {
        "type": "userMessage",
        "content": [{"type": "text", "text": "hi"}, {"type": "localImage", "path": "/p"}],
    }
    assert event(said)["item"]["text"] == "hi\n[localImage]"
    assert event({"type": "somethingNew"}) is None and event({"type": "plan"}, "item/plan/delta") is None


@pytest.mark.parametrize(
    "params", [None, [], "x", {}, {"turn": 3, "status": [], "error": "x", "item": None, "thread": 1}]
)
def test_shapes_nobody_has_seen(params: Any) -> None:
    """Something is missing, or is something else: no reason to fall over."""
    message = {"method": QUESTION, "params": params}
    assert words.thread_of(message) is None and words.turn_of(message).id is None
    assert words.status_of(message)[1] == [] and words.trouble_of(message)[2] is False
    asked = words.asked_by(message, 1, "now")
    assert asked is not None and asked.questions == []
    assert words.resolved_by(message) == "null" and words.as_event(message) is None
