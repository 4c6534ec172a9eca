"""Owns the making of big rollouts: the lines of real samples of several Codex versions, repeated and filled up.

Each repetition is a turn of its own with several commands in it, one second after the one before. Counters,
ordinals and turn ids go on as Codex counts them. Deterministic: the same size and seed give the same bytes. Must
never invent a kind of line that no Codex wrote.
"""

from __future__ import annotations

import base64
import datetime
import glob
import json
import os
import random
from collections.abc import Iterator
from typing import Any

SAMPLES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fixtures", "rollouts")
_OUTPUT_CHARS = 3000  # of an ordinary command output, on average
_LONG_EVERY, _LONG_CHARS = 700, 1_000_000  # one line in so many is so long
_TRAP_EVERY = 50
_THOUGHTS = (400, 4000)  # characters of what a model thought before each call, sealed: from, to
_COMMANDS = 30  # a turn has one to so many, beside its patch and its plan
_FILES = 200  # so many names are changed in turns
_STAMP = '{"timestamp":"'
# What an agent reads when it looks at a rollout: it stands, escaped, inside a string, and means nothing.
_TRAP = (
    '{"timestamp":"2026-01-01T00:00:00.000Z","type":"event_msg","payload":{"type":"token_count","info":'
    '{"total_token_usage":{"total_tokens":999999999}}}}\n{"type":"event_msg","payload":{"type":"task_complete"}}\n'
)
_WORDS = (
    "src/app.py:",
    "error",
    "return",
    "def",
    "import",
    "passed",
    "0.01s",
    "=>",
    "\t",
    "\n",
    "if",
    "value",
    "日本",
)
_NAMES = (b"a.txt", b"moved.txt", b"hello.txt", b"old.txt")  # of the files in the samples' patches
_CALLS = ("function_call", "custom_tool_call")
_COUNTERS = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens", "total_tokens")

# What a sealed thought looks like; nobody reads it.
_SEALED = base64.urlsafe_b64encode(random.Random(1).randbytes(60_000)).decode()

Line = dict[str, Any]


def write(path: str, size: int, version: str, *, seed: int = 7, torn: bool = False) -> None:
    """A completed thread's rollout of at least ``size`` bytes, as ``version`` writes it.

    ``torn``: the file ends inside a line, as it does while Codex writes.
    """
    head, turn = _sample(version)
    turn_id = next((line["payload"]["turn_id"] for line in turn if line["payload"].get("turn_id")), None)
    began = datetime.datetime.fromisoformat(turn[0]["timestamp"])
    rng = random.Random(seed)
    counters = Counters(rng)
    written = number = ordinal = 0
    with open(path, "wb") as file:
        for line in head:
            written += file.write(_packed(line))
        while written < size:
            at = (began + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S").encode()
            for line in _turn(turn, rng, counters):
                ordinal += 1
                if "ordinal" in line:
                    line = {**line, "ordinal": ordinal}
                data = _named(_packed(line), number)
                data = data[: len(_STAMP)] + at + data[len(_STAMP) + len(at) :]
                if turn_id is not None:
                    data = data.replace(turn_id.encode(), f"{turn_id[:24]}{number:012x}".encode())
                written += file.write(data)
            number += 1
        if torn:
            file.write(_packed(turn[-1])[:-20])


def versions() -> list[str]:
    """The Codex versions of which there is a sample."""
    return sorted(os.listdir(SAMPLES))


class Counters:
    """The tokens of a thread: what it used in all, in the running turn, and with the last request."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._context = 0
        self._sample = 0  # the sample's own total, by which is seen that it counts something new
        self.last = dict.fromkeys(_COUNTERS, 0)
        self.turn = dict(self.last)
        self.thread = dict(self.last)

    def begin(self, *, turn: bool) -> None:
        """A turn begins, or a command in it: what the sample counts there is new."""
        self._sample = 0
        if turn:
            self.turn = dict.fromkeys(_COUNTERS, 0)

    def put(self, payload: Line) -> Line:
        """The payload of a ``token_count`` or a ``token_usage_record`` with these counters for the sample's."""
        info = payload.get("info")
        if isinstance(info, dict):
            self._count(info["total_token_usage"]["total_tokens"])
            info = {
                **info,
                "total_token_usage": _like(info["total_token_usage"], self.thread),
                "last_token_usage": _like(info["last_token_usage"], self.last),
            }
            return {**payload, "info": info}
        if "thread_token_usage" not in payload:
            return payload
        self._count(payload["thread_token_usage"]["total_tokens"])
        return {
            **payload,
            "usage": _like(payload["usage"], self.last),
            "turn_token_usage": _like(payload["turn_token_usage"], self.turn),
            "thread_token_usage": _like(payload["thread_token_usage"], self.thread),
        }

    def _count(self, total: int) -> None:
        if total == self._sample:
            return  # Codex says the same once more
        self._sample = total
        self._context += self._rng.randrange(500, 4000)
        if self._context > 230_000:
            self._context = 20_000  # it was compacted
        made = self._rng.randrange(50, 1500)
        given = 12_000 + self._context
        self.last = dict(zip(_COUNTERS, (given, given * 9 // 10, made, made // 3, given + made), strict=True))
        for sums in (self.turn, self.thread):
            for name, count in self.last.items():
                sums[name] += count


def _like(sample: Line, counts: dict[str, int]) -> Line:
    return {name: counts.get(name, 0) for name in sample}


def _sample(version: str) -> tuple[list[Line], list[Line]]:
    """The lines that stand at the top, and those of one turn."""
    (path,) = glob.glob(os.path.join(SAMPLES, version, "work", "rollout-*.jsonl"))
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[:1], lines[1:]


def _turn(lines: list[Line], rng: random.Random, counters: Counters) -> Iterator[Line]:
    """The sample's turn with its command so many times, outputs and patches as long as real ones."""
    calls = [at for at, line in enumerate(lines) if line["payload"].get("type") in _CALLS][:2]
    commands = [lines[calls[0] : calls[1]]] * rng.randrange(1, _COMMANDS + 1)
    counters.begin(turn=True)
    for part in (lines[: calls[0]], *commands, lines[calls[1] :]):
        if part is commands[0]:
            counters.begin(turn=False)
        output = _output(rng)
        for line in part:
            if line["payload"].get("type") in _CALLS:
                yield _thought(line, rng)
            yield {**line, "payload": _filled(counters.put(line["payload"]), output)}
            if _has_output(line["payload"]):
                output = _output(rng)


def _thought(call: Line, rng: random.Random) -> Line:
    """What Codex writes before a call of a model that thinks (0.98 to 0.169; the samples' model does not)."""
    length = rng.randrange(*_THOUGHTS)
    begin = rng.randrange(len(_SEALED) - length)
    thought: Line = {
        "type": "reasoning",
        "summary": [],
        "content": None,
        "encrypted_content": "gAAAAA" + _SEALED[begin : begin + length],
    }
    return {**call, "payload": thought}


def _has_output(payload: Line) -> bool:
    """Whether a command's output is in it; what came of a patch or a plan is short."""
    return str(payload.get("output", "")).startswith("Chunk ID:")


def _filled(payload: Line, output: str) -> Line:
    """A payload with this output of a command in it, where the sample has one; a patch with a body."""
    if _has_output(payload):
        return {**payload, "output": output}
    item = payload.get("item", payload)
    if item.get("type") == "CommandExecution":
        return {**payload, "item": {**item, "aggregated_output": output}}
    if isinstance(item.get("changes"), dict):
        item = {**item, "changes": _changes(item["changes"], output)}
        return item if "item" not in payload else {**payload, "item": item}
    return payload


def _changes(changes: dict[str, Line], output: str) -> dict[str, Line]:
    """As much in each file as a command prints, but no long line."""
    body = output[:_OUTPUT_CHARS]
    return {
        path: {**change, **{key: body for key in ("unified_diff", "content") if key in change}}
        for path, change in changes.items()
    }


def _named(data: bytes, number: int) -> bytes:
    """A line of a patch with other files in each turn."""
    if b"*** Begin Patch" in data or b'"changes":{' in data:
        for name in _NAMES:
            data = data.replace(name, b"%d-%b" % (number % _FILES, name))
    return data


def _output(rng: random.Random) -> str:
    if rng.randrange(_LONG_EVERY) == 0:
        return "x" * _LONG_CHARS
    text = " ".join(rng.choices(_WORDS, k=rng.randrange(_OUTPUT_CHARS // 3)))
    return _TRAP + text if rng.randrange(_TRAP_EVERY) == 0 else text


def _packed(line: Line) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
