"""Owns the conversation in a rollout: who said what, which commands ran, what was changed, turn by turn.

Reads whole lines only, one at a time, and keeps none. What Codex puts in for the model (instructions, environment,
its own warnings) is no part of it: the person's words are ``UserMessage`` items from 0.150 on and ``user_message``
events before; messages among the response items are never read. History that was copied from a parent is passed
over, as in ``fold``. Never writes, never fails on what a line contains.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

from ..answers import Changed, Entry, FileChanged, Marked, Noted, Planned, Ran, Said, Used
from ..model import TurnStatus
from .calls import SHELLS, Calls, clip, command_text, plain_text, plan
from .files import Damaged, opened
from .fold import Fold
from .kinds import CALLS, GLUED, PLAN, PLAN_WITHIN, RESPONSE, TYPE
from .state import RolloutState
from .usage import mapping, number, text

LONGEST_LINE = 64 * 1024 * 1024  # a longer one is counted as bad
_HEAD = 96  # bytes in which the first "type" must begin
_CALL_ID = b'"call_id":"'
_OUTPUT_HEAD = 400  # bytes in which an output says how the command ended
# Most of a rollout; not worth decoding. What these begin with stands right after the first `"type":"`.
_SILENT = (
    b'response_item","payload":{"type":"message"',
    b'response_item","payload":{"type":"reasoning"',
    b'event_msg","payload":{"type":"token_count"',
    b'event_msg","payload":{"type":"agent_reasoning',
    b'event_msg","payload":{"type":"thread_settings_applied"',
    b"world_state",
    b"token_usage_record",
    b"retained_context",
)
_TURNS: dict[str | None, TurnStatus] = {"completed": "completed", "failed": "failed", "aborted": "interrupted"}


class Conversation:
    """One thread's conversation, put together line by line.

    ``thread_id`` says whose it is, as for ``Reader``. ``bad_lines`` counts what could not be read. ``read`` takes
    a whole file; whoever follows one that grows hands its new lines to ``line``, and calls ``rest`` at the end.
    ``whole``: outputs of commands are not clipped. ``open_calls``: ids of tool calls that have no output yet.
    """

    def __init__(self, thread_id: str | None = None, *, whole: bool = False) -> None:
        self.bad_lines = 0
        self.open_calls: set[str] = set()
        self._kept: dict[str, bytes] = {}  # calls that nothing else has told of so far
        self._whole = whole
        self._fold = Fold(thread_id)
        self._calls = Calls(whole=whole)
        self._items = False  # this Codex writes items, so events and calls say the same a second time
        self._searched: tuple[bool, str] | None = None

    @property
    def thread_id(self) -> str | None:
        return self._fold.state.thread_id

    @property
    def state(self) -> RolloutState:
        """What the lines so far add up to, as far as they are decoded here: who, where, turns, policy and goal."""
        return self._fold.state

    def read(self, path: str) -> Iterator[Entry]:
        """Every entry of a file up to its last whole line. OSError if it cannot be read."""
        with opened(path) as file:
            while data := self._next(file):
                yield from self.line(data)
        yield from self.rest()

    def _next(self, file: io.BufferedIOBase) -> bytes:
        """The next whole line; empty at the end (a torn last line is not there yet)."""
        try:
            data = file.readline(LONGEST_LINE)
            if len(data) < LONGEST_LINE or data.endswith(b"\n"):
                return data if data.endswith(b"\n") else b""
            while (more := file.readline(LONGEST_LINE)) and not more.endswith(b"\n"):
                pass
        except Damaged:
            self.bad_lines += 1
            return b""
        return b"(a line that is too long)\n" if more else b""

    def rest(self) -> list[Entry]:
        """What has begun and not ended, once there are no more lines."""
        return self._calls.rest()

    def line(self, data: bytes) -> list[Entry]:
        """What one whole line says; mostly nothing, sometimes more than one thing."""
        kind = data.find(TYPE, 0, _HEAD) + len(TYPE)
        if kind >= len(TYPE) and data.startswith(_SILENT, kind) and data.find(GLUED, 1) < 0:
            return []
        if self._items and data.startswith(RESPONSE, kind) and self._fold.plain and self._says_no_more(data, kind):
            return []
        try:
            record, data = _decoded(data)
        except (ValueError, RecursionError):
            return self._broken(data)
        payload = record.get("payload") if isinstance(record, dict) else None
        if not isinstance(payload, dict):
            self.bad_lines += 1
            return []
        top, name = text(record, "type") or "", text(payload, "type") or ""
        fold = self._fold
        if fold.own_from:
            ordinal = number(record, "ordinal")
            if 0 < ordinal < fold.own_from:
                return []
            if ordinal:
                fold.own_from = 0
        if (fold.copied or fold.own_from) and top != "session_meta" and name != "task_started":
            return []
        return self._record(top, name, payload, text(record, "timestamp"), data)

    def _says_no_more(self, data: bytes, kind: int) -> bool:
        """Whether this is a call, or its output, that says no more than the items do. A call is kept, in case."""
        at = kind + len(RESPONSE)
        name = data[at : data.find(b'"', at, at + 64)]
        key = data.find(_CALL_ID, at) + len(_CALL_ID)
        if key < len(_CALL_ID) or data.find(PLAN, at, kind + PLAN_WITHIN) >= 0 or data.find(GLUED, 1) >= 0:
            return False
        call_id = data[key : data.find(b'"', key)].decode("utf-8", "replace")
        if name in CALLS:
            self.open_calls.add(call_id)
            if any(data.find(b'"name":"%s"' % shell.encode(), at, at + 160) >= 0 for shell in SHELLS):
                self._kept[call_id] = data
            return True
        if not name.endswith(b"_output"):
            return False
        self.open_calls.discard(call_id)
        call = self._kept.pop(call_id, None)
        if call is None:  # an item has told of it; or it is no shell's
            return not self._calls.is_open(call_id)
        head = data[key : key + _OUTPUT_HEAD]
        if b"xited with code 0\\n" in head or b"xit code: 0\\n" in head:
            return True
        try:
            record, _ = _decoded(call)
        except (ValueError, RecursionError):
            self._broken(call)
            return False
        state = self._fold.state
        if isinstance(record, dict):
            self._calls.begin(mapping(record, "payload"), None, state.turn_id, state.cwd or "/")
        return False

    def _broken(self, data: bytes) -> list[Entry]:
        # To 0.133 Codex appends to a line that a crash had torn: the sound record begins in its middle.
        self.bad_lines += bool(data.strip())
        glued = data.rfind(GLUED, 1)
        return self.line(data[glued:]) if glued > 0 else []

    def _record(self, top: str, name: str, payload: dict[str, Any], at: str | None, data: bytes) -> list[Entry]:
        state = self._fold.state
        turn_id = text(payload, "turn_id") or (state.turn_id if state.turn_state == "open" else None)
        if top == "response_item":
            return self._response(name, payload, at, turn_id)
        if top == "compacted":
            return [Marked("compacted", at, turn_id, None, None, None)]
        if top in ("session_meta", "turn_context"):
            self._fold.put(top.encode(), data)
        elif name == "thread_goal_updated":
            self._fold.put(b"thread_goal_updated", data)
        elif name in ("task_started", "task_complete", "turn_aborted", "error"):
            return self._turn(name, payload, at, data)
        elif name == "item_completed":
            return self._item(mapping(payload, "item"), at, turn_id)
        elif name in EVENTS and not self._fold.older_than_thread(turn_id):
            self._calls.drop(text(payload, "call_id"))
            if name == "user_message":
                self._fold.put(b"user_message", data)
                turn_id = turn_id if state.turn_state == "open" else None
            if not self._items or name == "thread_rolled_back":
                return EVENTS[name](self, payload, at, turn_id)
        return []

    def _turn(self, name: str, payload: dict[str, Any], at: str | None, data: bytes) -> list[Entry]:
        state = self._fold.state
        before = (state.turns_started, state.turn_state)
        self._fold.put(name.encode(), data)
        if name != "error":
            self.open_calls.clear()
            self._kept.clear()
        if name == "task_started" and state.turns_started > before[0]:
            return [*self._calls.rest(), Marked("turn_started", at, state.turn_id, None, None, None)]
        status = _TURNS.get(state.turn_state)
        if name not in ("task_complete", "turn_aborted") or status is None or state.turn_state == before[1]:
            return []
        why = state.turn_error if status == "failed" else None
        if status == "interrupted" and text(payload, "reason") != "interrupted":
            why = text(payload, "reason")
        took = payload.get("duration_ms")
        ended = Marked("turn_ended", at, state.turn_id, status, why, took if isinstance(took, int) else None)
        return [*self._calls.rest(), ended]

    def _response(self, name: str, payload: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        if name in _CALL_NAMES:
            self.open_calls.add(text(payload, "call_id") or "")
            if not self._items or text(payload, "name") in ("update_plan", *SHELLS):
                self._calls.begin(payload, at, turn_id, self._fold.state.cwd or "/")
        elif name.endswith("_output"):
            self.open_calls.discard(text(payload, "call_id") or "")
            return self._calls.end(payload, at)
        elif name == "web_search_call" and not self._items:
            return self._search(payload, at, turn_id)
        return []

    # -- items, and the events that were there before them

    def _item(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        kind = text(item, "type") or ""
        if kind != "Plan" and not self._items:  # to 0.133 a plan was the only item
            self._items = True
            self._calls.forget()
        if self._fold.older_than_thread(turn_id) or kind in ("Reasoning", "ContextCompaction"):
            return []
        self._kept.pop(text(item, "id") or "", None)
        first = self._calls.drop(text(item, "id"))
        if kind == "CommandExecution" and not first:
            return []
        told = ITEMS.get(kind)
        return told(self, item, at, turn_id) if told else [_tool(item, kind, None, at, turn_id)]

    def _user(self, payload: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        return [Said("user", at, turn_id, _words(payload))]

    def _agent(self, payload: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        words = _words(payload)
        return [Said("agent", at, turn_id, words)] if words else []

    def _command(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        printed = text(item, "aggregated_output") or ""
        code = item.get("exit_code")
        return [
            Ran(
                "command",
                at,
                turn_id,
                command_text(item.get("command")),
                "user" if item.get("source") == "user_shell" else "agent",
                text(item, "status") or "completed",
                code if isinstance(code, int) else None,
                printed if self._whole else clip(printed),
                len(printed),
            )
        ]

    def _files(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        files = [
            FileChanged(_KINDS.get(text(change, "type") or "", "update"), path, text(change, "move_path"))
            for path, change in mapping(item, "changes").items()
        ]
        status = text(item, "status") or ("completed" if item.get("success") is not False else "failed")
        why = clip(text(item, "stderr") or text(item, "stdout") or "") if status != "completed" else None
        return [Changed("files", at, turn_id, status, files, why)]

    def _plan(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        found = plan(item, at, turn_id)
        return [found] if found.steps else [Planned("plan", at, turn_id, text(item, "text"), [])]

    def _mcp(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        call = mapping(item, "invocation") or item
        name = f"{text(call, 'server')}.{text(call, 'tool')}"
        return [_tool(item, name, call.get("arguments"), at, turn_id)]

    def _agents(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        return [_tool(item, text(item, "tool") or "agents", item.get("prompt"), at, turn_id)]

    def _search(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        action = mapping(item, "action")
        wanted = text(item, "query") or text(action, "query") or text(action, "url") or ""
        # 0.133 tells of each search twice: an event, then the response item, which no id ties to it.
        again = ("status" in item, wanted)
        if self._searched == (not again[0], wanted):
            return []
        self._searched = again
        return [Used("search", at, turn_id, wanted, None, text(item, "status") or "completed", "")]

    def _sub_agent(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        name = text(item, "agent_path") or text(item, "agent_thread_id")
        return [Noted("note", at, turn_id, f"agent {name}: {text(item, 'kind')}")]

    def _review(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        return [Noted("note", at, turn_id, f"review of {text(item, 'user_facing_hint') or 'changes'}")]

    def _reviewed(self, item: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        found = mapping(item, "review_output")
        lines = [text(found, "overall_explanation") or "no result"]
        findings = found.get("findings")
        for one in findings if isinstance(findings, list) else []:
            lines += [f"- {text(one, 'title')}", *(text(one, "body") or "").split("\n")]
        return [Noted("note", at, turn_id, "review ended: " + "\n".join(lines))]

    def _rolled_back(self, payload: dict[str, Any], at: str | None, turn_id: str | None) -> list[Entry]:
        return [Noted("note", at, turn_id, f"turns taken back: {number(payload, 'num_turns')}")]


_Told = Callable[[Conversation, dict[str, Any], str | None, str | None], list[Entry]]
ITEMS: dict[str, _Told] = {
    "UserMessage": Conversation._user,
    "AgentMessage": Conversation._agent,
    "CommandExecution": Conversation._command,
    "FileChange": Conversation._files,
    "Plan": Conversation._plan,
    "McpToolCall": Conversation._mcp,
    "CollabAgentToolCall": Conversation._agents,
    "SubAgentActivity": Conversation._sub_agent,
    "WebSearch": Conversation._search,
    "EnteredReviewMode": Conversation._review,
    "ExitedReviewMode": Conversation._reviewed,
}
"""Items, from 0.150 on. Those that are not here are told as the use of a tool of that name."""

EVENTS: dict[str, _Told] = {
    "user_message": Conversation._user,
    "agent_message": Conversation._agent,
    "exec_command_end": Conversation._command,
    "patch_apply_end": Conversation._files,
    "mcp_tool_call_end": Conversation._mcp,
    "web_search_end": Conversation._search,
    "entered_review_mode": Conversation._review,
    "exited_review_mode": Conversation._reviewed,
    "thread_rolled_back": Conversation._rolled_back,
}
"""What stood for them up to 0.133, as far as a version wrote it."""

_CALL_NAMES = frozenset(name.decode() for name in CALLS)
_KINDS: dict[str, Literal["add", "update", "delete"]] = {"add": "add", "delete": "delete"}


def _decoded(data: bytes) -> tuple[Any, bytes]:
    """A line's record; half a character in it, which would fail whoever writes it on, is replaced. ValueError."""
    record = json.loads(data)
    if b"\\ud" in data or b"\\uD" in data:
        data = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace")
        record = json.loads(data)
    return record, data


def _words(payload: dict[str, Any]) -> str:
    """The text of a message: an event's, or an item's parts."""
    parts = payload.get("content")
    if not isinstance(parts, list):
        pictures = [payload.get("images"), payload.get("local_images")]
        count = sum(len(some) for some in pictures if isinstance(some, list))
        return "\n".join([*filter(None, [text(payload, "message")]), *["[image]"] * count])
    words = [text(part, "text") or ("[image]" if "image" in (text(part, "type") or "") else "") for part in parts]
    return "\n".join(filter(None, words))


def _tool(item: dict[str, Any], name: str, given: Any, at: str | None, turn_id: str | None) -> Used:
    result = item.get("result")
    if isinstance(result, dict) and ("Ok" in result or "Err" in result):  # an event's
        failed = "Err" in result or mapping(result, "Ok").get("isError") is True
        status, answer = ("failed" if failed else "completed"), plain_text(result.get("Err") or result.get("Ok"))
    else:
        status, answer = text(item, "status") or "completed", plain_text(result)
    answer = answer or text(mapping(item, "error"), "message") or ""
    if given is not None and not isinstance(given, str):
        given = json.dumps(given, ensure_ascii=False)
    return Used("tool", at, turn_id, name, clip(given) if given else None, status, clip(answer))
