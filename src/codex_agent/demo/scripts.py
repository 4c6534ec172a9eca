"""Owns the words of a scripted conversation: steps, gates, token counts, and where a request stands in it.

A step says what the model answers to one request. Where a conversation stands is read from the request's own
input items and from nowhere else, so a request that Codex repeats gets the same step again, and agents that
run side by side never mix. This module never opens a socket and knows nothing of what the steps are used for.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Json = dict[str, Any]

# How Codex begins the helper requests by which its TUI names a task; they quote the user's prompt and marker.
TITLE_REQUEST = "Generate a concise, single-line task title"
TITLE_ANSWER = "Scripted task"


@dataclass(frozen=True)
class Usage:
    """Token counts of one reply; `cached` and `written` are parts of `input`, `reasoning` a part of `output`."""

    input: int
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    written: int = 0

    def to_json(self) -> Json:
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": self.written},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        }


def default_usage(index: int) -> Usage:
    """What step `index` (from 0) reports unless told otherwise: a growing context, mostly cached."""
    cached = 600 + 200 * index if index else 0
    return Usage(input=1000 + 200 * index, cached=cached, output=40, reasoning=8)


class Gate:
    """A place where replies wait until the test (or the demo) lets them go on."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._change = threading.Condition()
        self._arrived = 0
        self._open = False

    def reached(self, timeout: float = 20.0, count: int = 1) -> None:
        """Blocks until `count` requests have come to this gate; TimeoutError after `timeout` seconds."""
        with self._change:
            if not self._change.wait_for(lambda: self._arrived >= count, timeout):
                raise TimeoutError(f"gate {self.name}: {self._arrived} of {count} came within {timeout} s")

    def open(self) -> None:
        """Lets everybody through, from now on."""
        with self._change:
            self._open = True
            self._change.notify_all()

    def arrive(self) -> None:
        """A reply is here now (called by the server, once per reply)."""
        with self._change:
            self._arrived += 1
            self._change.notify_all()

    def wait(self, seconds: float) -> bool:
        """Waits at most `seconds`; says whether the gate is open."""
        with self._change:
            return self._change.wait_for(lambda: self._open, seconds)


@dataclass(frozen=True)
class Offer:
    """What a request lets the model do (the tools), and the tag that a reply's ids have to carry."""

    tools: frozenset[str]
    custom_tools: frozenset[str]
    tag: str

    def call_id(self, number: int) -> str:
        return f"call_{self.tag}_{number}"


Item = Callable[[Offer, int], Json]
Ending = Literal["completed", "failed", "incomplete", "cut", "silent", "http"]


def _call(offer: Offer, number: int, name: str, arguments: Json) -> Json:
    return {
        "type": "function_call",
        "name": name,
        "call_id": offer.call_id(number),
        "arguments": json.dumps(arguments),
    }


def _command_call(offer: Offer, number: int, cmd: str, workdir: str | None, yield_time_ms: int | None) -> Json:
    """A shell command by whichever tool this Codex offers: `exec_command`, or what older versions had."""
    where = {"workdir": workdir} if workdir else {}
    if "exec" in offer.custom_tools:  # "code mode": the model writes JavaScript that calls the tools
        arguments: Json = {"cmd": cmd, **where}
        if yield_time_ms:
            arguments["yield_time_ms"] = yield_time_ms
        script = f"const r = await tools.exec_command({json.dumps(arguments)}); text(r);"
        return _custom_call(offer, number, "exec", script)
    if "exec_command" in offer.tools or not offer.tools & {"shell_command", "shell"}:
        more = {"yield_time_ms": yield_time_ms} if yield_time_ms else {}
        return _call(offer, number, "exec_command", {"cmd": cmd, **where, **more})
    if "shell_command" in offer.tools:
        return _call(offer, number, "shell_command", {"command": cmd, **where})
    return _call(offer, number, "shell", {"command": ["bash", "-lc", cmd], **where})


def _custom_call(offer: Offer, number: int, name: str, text: str) -> Json:
    return {"type": "custom_tool_call", "name": name, "call_id": offer.call_id(number), "input": text}


@dataclass(frozen=True)
class Step:
    """What the model answers to one request: items, then an ending. Build it with the constructors below.

    A reply that holds a call (`command`, `patch`, `plan`) makes Codex run it and ask for the next step; a
    reply of messages and reasoning alone ends the turn.
    """

    made: tuple[Item, ...] = ()
    ending: Ending = "completed"
    pause_s: float = 0.0
    gate: Gate | None = None
    usage: Usage | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: Json = field(default_factory=dict)
    flaky: tuple[int, Step] | None = None

    # What the model says and does

    @staticmethod
    def message(text: str) -> Step:
        """The model's words; alone in a reply, they end the turn."""
        item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        return Step((lambda offer, n: {**item, "id": f"msg_{offer.tag}_{n}"},))

    @staticmethod
    def reasoning(text: str) -> Step:
        """A reasoning summary. Alone in a reply it ends the turn without a message."""
        item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}
        return Step((lambda offer, n: {**item, "id": f"rs_{offer.tag}_{n}"},))

    @staticmethod
    def command(cmd: str, workdir: str | None = None, yield_time_ms: int | None = None) -> Step:
        """A shell command. Codex reports to the model after `yield_time_ms` (10 s) even if it still runs."""
        return Step((lambda offer, n: _command_call(offer, n, cmd, workdir, yield_time_ms),))

    @staticmethod
    def patch(text: str) -> Step:
        """A file change (`*** Begin Patch` ... `*** End Patch`), by the tool or, without one, by heredoc."""

        def make(offer: Offer, n: int) -> Json:
            if "apply_patch" in offer.custom_tools:
                return _custom_call(offer, n, "apply_patch", text)
            if "exec" in offer.custom_tools:
                script = f"const r = await tools.apply_patch({json.dumps(text)}); text(r);"
                return _custom_call(offer, n, "exec", script)
            if "apply_patch" in offer.tools:
                return _call(offer, n, "apply_patch", {"input": text})
            return _command_call(offer, n, f"apply_patch <<'PATCH'\n{text.rstrip()}\nPATCH", None, None)

        return Step((make,))

    @staticmethod
    def plan(*lines: tuple[str, Literal["pending", "in_progress", "completed"]]) -> Step:
        """The model's plan. Newer versions have no such tool: they answer `unsupported call` and go on."""
        plan = [{"step": text, "status": status} for text, status in lines]
        return Step((lambda offer, n: _call(offer, n, "update_plan", {"plan": plan}),))

    @staticmethod
    def call(name: str, arguments: Json) -> Step:
        """Any other function call."""
        return Step((lambda offer, n: _call(offer, n, name, arguments),))

    @staticmethod
    def items(*raw: Json) -> Step:
        """Items exactly as given (a call needs its own `call_id`)."""
        return Step(tuple(_constant(item) for item in raw))

    @staticmethod
    def all(*steps: Step) -> Step:
        """Several items in one reply; everything but the items is taken from the last step."""
        return replace(steps[-1], made=tuple(item for step in steps for item in step.made))

    # How the reply goes wrong

    @staticmethod
    def http(status: int, body: Json | str = "", headers: Mapping[str, str] | None = None) -> Step:
        """An HTTP answer instead of a stream."""
        plain = isinstance(body, str)
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/plain" if plain else "application/json"
        return Step(
            ending="http",
            status=status,
            body=text.encode(),
            headers={"content-type": kind, **(headers or {})},
        )

    @staticmethod
    def failed(code: str, message: str = "It went wrong.") -> Step:
        """`response.failed` with this error code (`context_length_exceeded`, `rate_limit_exceeded`, ...)."""
        return Step(ending="failed", error={"code": code, "message": message})

    @staticmethod
    def incomplete(reason: str = "max_output_tokens") -> Step:
        """`response.incomplete`."""
        return Step(ending="incomplete", error={"reason": reason})

    @staticmethod
    def cut() -> Step:
        """The stream is closed half way: `response.created` was sent, `response.completed` never comes."""
        return Step(ending="cut")

    @staticmethod
    def silent() -> Step:
        """`response.created`, then nothing for as long as Codex keeps the connection."""
        return Step(ending="silent")

    @staticmethod
    def hold(gate: Gate, then: Step | None = None) -> Step:
        """`response.created`, then nothing until the gate opens; then what `then` says (a short message)."""
        return replace(then or Step.message("Released."), gate=gate)

    @staticmethod
    def flaking(times: int, first: Step, then: Step) -> Step:
        """`first` for the first `times` attempts at this place of a conversation, `then` afterwards."""
        return replace(then, flaky=(times, first))

    # Changes to a step

    def after(self, seconds: float) -> Step:
        """The same, answered only after so many seconds."""
        return replace(self, pause_s=seconds)

    def heading(self, headers: Mapping[str, str]) -> Step:
        """The same, with these HTTP headers, such as the account's limits."""
        return replace(self, headers={**self.headers, **headers})

    def using(self, usage: Usage) -> Step:
        """The same, reporting these token counts."""
        return replace(self, usage=usage)


def _constant(item: Json) -> Item:
    return lambda _offer, _n: item


# --- where a request stands


def _text(item: Json) -> str:
    content = item.get("content")
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content or [] if isinstance(part, dict))


def _is_user(item: Json) -> bool:
    return item.get("role") == "user" and item.get("type", "message") == "message"


def last_user_text(body: Json) -> str:
    """The text of the newest user message ("" if there is none)."""
    for item in reversed(body.get("input") or []):
        if _is_user(item):
            return _text(item)
    return ""


def offer_of(body: Json, tag: str) -> Offer:
    """The tools in a request. Code-mode models get them in an `additional_tools` item, in namespaces."""
    listed: list[Json] = list(body.get("tools") or [])
    for item in body.get("input") or []:
        if item.get("type") == "additional_tools":
            for tool in item.get("tools") or []:
                listed += (tool.get("tools") or []) if tool.get("type") == "namespace" else [tool]
    custom = frozenset(str(t.get("name")) for t in listed if t.get("type") == "custom")
    return Offer(frozenset(str(t.get("name") or t.get("type")) for t in listed), custom, tag)


def find_place(body: Json, markers: Sequence[str]) -> tuple[str, int] | None:
    """The marker that rules this request and how many of its steps have been played; None if no marker does.

    The newest user message with a marker rules; of several in it, the longest (`%%a-12`, not `%%a-1`).
    Steps are counted by the step number in our own call ids and, for replies without a call, by the message.
    """
    items: list[Json] = body.get("input") or []
    for at in range(len(items) - 1, -1, -1):
        if _is_user(items[at]):
            text = _text(items[at])
            found = max((m for m in markers if m in text), key=len, default=None)
            if found is not None:
                return found, _played(items[at + 1 :])
    return None


def _played(items: Sequence[Json]) -> int:
    done = 0  # steps played
    spoken = False  # words that belong to no counted step yet
    open_call = False  # the counted step's call has no output yet, so words after it are of the same reply
    for item in items:
        kind = str(item.get("type", "message"))
        if kind in {"function_call", "custom_tool_call"}:
            step = _step_of(str(item.get("call_id", "")))
            done = max(done, step + 1) if step is not None else done + 1
            spoken, open_call = False, True
        elif kind in {"function_call_output", "custom_tool_call_output"}:
            open_call = False
        elif kind == "reasoning" or (kind == "message" and item.get("role") == "assistant"):
            spoken = spoken or not open_call
        elif _is_user(item) and spoken:
            done, spoken = done + 1, False
    return done + spoken


def _step_of(call_id: str) -> int | None:
    """The step number in a call id of ours (`call_<step>_<n>`)."""
    parts = call_id.split("_")
    return int(parts[1]) if len(parts) == 3 and parts[0] == "call" and parts[1].isdigit() else None
