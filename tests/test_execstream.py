"""The event stream of ``codex exec --json``: every event into facts and into the pane; none can break it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from codex_agent import execstream, render
from codex_agent.model import Facts

FIXTURES = Path(__file__).parent / "fixtures" / "rollouts"
AT, CWD = "2026-11-21T10:00:00.000Z", "/home/ada/repo"


def folded(*events: dict[str, Any]) -> Facts:
    facts = Facts()
    for event in events:
        execstream.fold(facts, event, AT, CWD)
    return facts


def item(kind: str = "item.completed", **fields: Any) -> dict[str, Any]:
    return {"type": kind, "item": {"id": "item_0", **fields}}


STARTED = {"type": "turn.started"}
RETRY = {"type": "error", "message": "Reconnecting... 1/5 (stream disconnected)"}


def test_a_turn() -> None:
    facts = folded(
        {"type": "thread.started", "thread_id": "01a1"},
        STARTED,
        item(type="agent_message", text="I look."),
        item(
            type="file_change",
            status="completed",
            changes=[{"path": f"{CWD}/a", "kind": "add"}, {"path": "b/../c"}],
        ),
        item(type="agent_message", text="Done."),
        {"type": "turn.completed", "usage": {"input_tokens": 10, "cached_input_tokens": 4, "output_tokens": 3}},
    )
    assert (facts.thread_id, facts.turn.state, facts.turn.count, facts.last_message) == (
        "01a1",
        "completed",
        1,
        "Done.",
    )
    assert facts.files == [f"{CWD}/a", f"{CWD}/c"]
    assert facts.tokens is not None and (facts.tokens.input, facts.tokens.total) == (10, 13)


def test_an_error_is_a_reconnect_until_the_turn_fails() -> None:
    facts = folded(STARTED, RETRY)
    assert (facts.turn.state, facts.reconnecting) == ("open", RETRY["message"])
    assert folded(STARTED, RETRY, item(type="agent_message", text="x")).reconnecting is None
    failed = folded(STARTED, RETRY, {"type": "turn.failed", "error": {"message": "boom"}})
    assert (failed.turn.state, failed.turn.error, failed.reconnecting) == ("failed", "boom", None)


def test_reconnecting_is_no_activity() -> None:
    facts = folded(STARTED)
    execstream.fold(facts, RETRY, "2026-11-21T11:00:00.000Z", CWD)
    assert facts.last_activity_at == AT


def test_an_error_item_is_a_remark() -> None:
    facts = folded(STARTED, item(type="error", message="Model metadata not found"))
    assert (facts.turn.state, facts.warnings) == ("open", ["Codex: Model metadata not found"])


def test_refused_and_begun_changes_do_not_count() -> None:
    change = {"path": "a", "kind": "add"}
    facts = folded(
        item("item.started", type="file_change", status="in_progress", changes=[change]),
        item(type="file_change", status="failed", changes=[change]),
    )
    assert facts.files == []


def test_usage_of_zeros_says_nothing() -> None:
    """`exec review` reports zeros (0.169.0)."""
    assert folded({"type": "turn.completed", "usage": {"input_tokens": 0, "output_tokens": 0}}).tokens is None


@pytest.mark.parametrize(
    "path", sorted(FIXTURES.glob("*/*/exec.jsonl")), ids=lambda path: "-".join(path.parts[-3:-1])
)
def test_every_recorded_stream(path: Path) -> None:
    facts, shown = Facts(), ""
    for line in path.read_bytes().splitlines():
        event = execstream.parse(line)
        assert event is not None
        execstream.fold(facts, event, AT, CWD)
        shown += render.event_text(event, CWD)
    assert facts.thread_id and facts.turn.count >= 1 and shown.strip()
    assert '{"' not in shown, "an attached person sees no JSON"


STRANGE: list[Any] = [None, 3, "x", [], {}, [3], {"a": 1}, [{"path": 3}], {"message": None}, ["x", None]]


@pytest.mark.parametrize(
    "kind", ["thread.started", "turn.started", "turn.completed", "turn.failed", "error", "new.kind"]
)
def test_no_strange_event_breaks_it(kind: str) -> None:
    for key, value in itertools.product(["message", "error", "usage", "item", "thread_id"], STRANGE):
        event = {"type": kind, key: value}
        execstream.fold(Facts(), event, AT, CWD)
        render.event_text(event, CWD)


ITEMS = "agent_message reasoning command_execution file_change todo_list error mcp_tool_call web_search new_kind"


@pytest.mark.parametrize("what", ITEMS.split())
def test_no_strange_item_breaks_it(what: str) -> None:
    keys = [
        "text",
        "command",
        "aggregated_output",
        "exit_code",
        "changes",
        "items",
        "message",
        "query",
        "tool",
        "status",
    ]
    for kind, key, value in itertools.product(["item.started", "item.updated", "item.completed"], keys, STRANGE):
        event = item(kind, type=what, **{key: value})
        execstream.fold(Facts(), event, AT, CWD)
        render.event_text(event, CWD)


@pytest.mark.parametrize("line", [b"", b"{", b"3", b"[]", b'{"type": 3}', b'{"a": 1}', b"\xff\xfe", b"null"])
def test_a_line_that_is_no_event(line: bytes) -> None:
    assert execstream.parse(line) is None


def test_two_keys_of_one_name() -> None:
    """Codex writes `id` twice in a web search (0.169.0)."""
    event = execstream.parse(
        b'{"type":"item.completed","item":{"id":"item_6","type":"web_search","id":"ws5","query":"foo"}}'
    )
    assert event is not None and "search: foo" in render.event_text(event, CWD)


def test_what_an_agent_prints_cannot_drive_the_terminal() -> None:
    evil = "a\x1b]0;title\x07b\x1b[2Jc\x9bd\rE\x08\x7f\u2028"
    for event in (
        item(type="agent_message", text=evil),
        item(type="command_execution", command=evil, aggregated_output=evil, exit_code=0),
        item("item.started", type="command_execution", command=evil),
        item(type="file_change", changes=[{"path": evil, "kind": "add"}]),
        item(type="reasoning", text=evil),
        {"type": "error", "message": evil},
    ):
        text = render.event_text(event, CWD)
        for ours in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"):
            text = text.replace(ours, "")
        assert not any((ord(c) < 32 and c not in "\n\t") or 0x7F <= ord(c) < 0xA0 for c in text), json.dumps(text)


def test_long_output_is_cut_in_the_pane() -> None:
    output = "\n".join(f"line {n}" for n in range(500))
    text = render.event_text(
        item(type="command_execution", command="x", aggregated_output=output, exit_code=1), CWD
    )
    assert "line 499" in text and "line 400" not in text and "488 more lines" in text and "exit 1" in text
