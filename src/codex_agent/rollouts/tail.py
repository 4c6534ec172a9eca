"""Owns what the end of a rollout says: the latest words, how the last turn stands, what has begun and not ended.

Reads backwards from the end, in blocks, and stops as soon as it knows; so a file of 1 GB costs what one of 1 MB
does. Whole lines only. Never fails on what a line contains.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from .files import Damaged, opened
from .kinds import CALLS, EVENT, GLUED, ITEM, RESPONSE, TYPE
from .usage import NOTHING, TOTAL, Counts, counts_of, mapping, number, text

_BLOCK = 256 * 1024
_HEAD = 96
_LONGEST = 8 << 20  # a longer line is passed over
# Between the last mark of a turn and the end there is at most the turn that runs.
_WITHIN = 8 << 20
# How far back the latest words are looked for; who has said nothing for longer has not said anything lately.
_WORDS_WITHIN = 32 << 20
_ORDINAL = b'"ordinal":'
_BEGINS = b'"type":"event_msg","payload":{"type":"task_started"'
_RECORDED = b'"type":"token_usage_record"'
_COUNTED = b'"payload":{"type":"token_count","info":{'
_MARKS = (b"task_started", b"task_complete", b"turn_aborted")


@dataclass(slots=True)
class Said:
    """Something the agent said."""

    at: str | None
    text: str


@dataclass(slots=True)
class Call:
    """A tool call without an output: its record's payload."""

    at: str | None
    payload: dict[str, Any]


@dataclass(slots=True)
class End:
    """What the end of a rollout says. Lists are oldest first."""

    turn: Literal["open", "completed", "failed", "aborted"] | None = None
    turn_id: str | None = None
    tokens: int | None = None
    model: str | None = None
    last_at: str | None = None
    calls: list[Call] = field(default_factory=list)

    @property
    def unmarked(self) -> bool:
        """Whether there were turns, and this Codex does not mark where they begin and end (0.98)."""
        return self.turn is None and self.model is not None


def lines_backwards(path: str) -> Iterator[bytes]:
    """Whole lines without their ends, the last one first; a torn one at the end is left out. OSError."""
    lines = _packed_backwards(path) if path.endswith(".zst") else _plain_backwards(path)
    for line in lines:
        # To 0.133 Codex appends to a line that a crash had torn: the sound record begins in its middle.
        glued = -1 if line.find(_ORDINAL, 0, _HEAD) >= 0 else line.rfind(GLUED)
        yield line[glued:] if glued > 0 else line


def counted_before(path: str, offset: int) -> Counts:
    """What the thread had used where ``offset`` is in its (plain) rollout, as Codex's counters stood. OSError."""
    counted = None
    for line in _plain_backwards(path, offset):
        if counted is not None and _BEGINS in line[: _HEAD * 2]:
            break  # from 0.163 on there would have been the better record by now
        if _RECORDED in line[:_HEAD]:
            return counts_of(mapping(mapping(record_of(line), "payload"), "thread_token_usage"))
        if counted is None and _COUNTED in line[: _HEAD * 2]:
            found = counts_of(mapping(mapping(mapping(record_of(line), "payload"), "info"), "total_token_usage"))
            counted = found if found[TOTAL] else None
    return counted or NOTHING


def _plain_backwards(path: str, end_at: int | None = None) -> Iterator[bytes]:
    with open(path, "rb", buffering=0) as file:
        at = file.seek(0, os.SEEK_END) if end_at is None else end_at
        rest: list[bytes] = []  # of the line whose beginning is further in front, last piece first
        size, torn = 0, True
        while at > 0:
            step = min(_BLOCK, at)
            at -= step
            block = os.pread(file.fileno(), step, at)
            end = len(block)
            while (cut := block.rfind(b"\n", 0, end)) >= 0:
                if not torn and size + end - cut <= _LONGEST:
                    yield block[cut + 1 : end] + b"".join(reversed(rest))
                torn, size, end = False, 0, cut
                rest.clear()
            size += end
            if size <= _LONGEST and not torn:
                rest.append(block[:end])
            else:
                rest.clear()
        if not torn and 0 < size <= _LONGEST:
            yield b"".join(reversed(rest))


def _packed_backwards(path: str) -> Iterator[bytes]:
    """It has to be read from its beginning; the last lines are kept."""
    last: deque[bytes] = deque()
    kept = 0
    with contextlib.suppress(Damaged), opened(path) as file:
        while (line := file.readline(_LONGEST)).endswith(b"\n"):
            last.append(line[:-1])
            kept += len(line)
            while kept > _WITHIN:
                kept -= len(last.popleft()) + 1
    yield from reversed(last)


def narrations(path: str, count: int, *, thread_id: str | None = None, own_from: int = 0) -> list[Said]:
    """The last ``count`` things the agent said in the last 32 MiB, oldest first. OSError if it cannot be read.

    ``thread_id`` and ``own_from`` (as in ``Head``) leave out what was copied from another thread.
    """
    found: list[Said] = []
    words: set[tuple[str | None, str]] = set()
    if count <= 0:
        return found
    seen = 0
    for line in lines_backwards(path):
        seen += len(line)
        if seen > _WORDS_WITHIN:
            break
        kind = line.find(TYPE, 0, _HEAD) + len(TYPE)
        if kind < len(TYPE) or not line.startswith(EVENT, kind):
            continue
        name = _name(line, kind + len(EVENT))
        if name == b"item_completed":
            name = _name(line, line.find(ITEM, kind, kind + 600) + len(ITEM))
        if name not in (b"AgentMessage", b"agent_message"):
            continue
        record = record_of(line)
        payload = mapping(record, "payload")
        if _copied(record, payload, thread_id, own_from):
            break
        said = text(payload, "message") or _parts(mapping(payload, "item"))
        # A version between the two ways of writing tells each message twice, at the same moment.
        key = ((text(record, "timestamp") or "")[:19], said)
        if said.strip() and key not in words:
            words.add(key)
            found.append(Said(text(record, "timestamp"), said))
            if len(found) == count:
                break
    return found[::-1]


def end_of(path: str) -> End:
    """How the last turn stands, the last counts, the calls without output. OSError if it cannot be read.

    Looks at the last 8 MiB: where no turn begins or ends in them, one is running.
    """
    end, seen, done = End(), 0, set[str]()
    marks = False
    for line in lines_backwards(path):
        seen += len(line) + 1
        kind = line.find(TYPE, 0, _HEAD) + len(TYPE)
        if kind < len(TYPE):
            continue
        if end.last_at is None:
            end.last_at = _stamp(line)
        if line.startswith(EVENT, kind):
            marks = _event(end, line, _name(line, kind + len(EVENT))) or marks
        elif line.startswith(RESPONSE, kind):
            if not marks:
                _call(end, done, line, _name(line, kind + len(RESPONSE)))
        elif line.startswith(b"turn_context", kind) and end.model is None:
            end.model = text(mapping(record_of(line), "payload"), "model")
        if seen > _WITHIN:
            if not marks and _marks_turns(path):
                end.turn = "open"
            break
        if marks and end.tokens is not None and end.model is not None:
            break
    end.calls.reverse()
    if end.turn not in ("open", None):
        end.calls.clear()
    return end


def _marks_turns(path: str) -> bool:
    """Whether this file's Codex writes down where turns begin; 0.98 does not."""
    with contextlib.suppress(Damaged), opened(path) as file:
        return _BEGINS in file.read(_WITHIN // 8)
    return False


def _event(end: End, line: bytes, name: bytes) -> bool:
    """Whether this is the mark that tells how the last turn stands."""
    if name == b"token_count" and end.tokens is None:
        total = mapping(mapping(mapping(record_of(line), "payload"), "info"), "total_token_usage")
        used = number(total, "input_tokens") + number(total, "output_tokens")
        end.tokens = used or None
    if name not in _MARKS or end.turn is not None:
        return False
    payload = mapping(record_of(line), "payload")
    end.turn_id = text(payload, "turn_id")
    if name == b"task_started":
        end.turn = "open"
    elif name == b"turn_aborted":
        end.turn = "aborted"
    else:
        end.turn = "failed" if isinstance(payload.get("error"), dict) else "completed"
    return True


def _call(end: End, done: set[str], line: bytes, name: bytes) -> None:
    if name.endswith(b"_output"):
        done.add(text(mapping(record_of(line), "payload"), "call_id") or "")
    elif name in CALLS:
        record = record_of(line)
        payload = mapping(record, "payload")
        if text(payload, "call_id") not in done:
            end.calls.append(Call(text(record, "timestamp"), payload))


def _name(line: bytes, at: int) -> bytes:
    return line[at : line.find(b'"', at, at + 64)]


def _stamp(line: bytes) -> str | None:
    if not line.startswith(b'{"timestamp":"'):
        return None
    return line[14 : line.find(b'"', 14, 64)].decode("ascii", "replace")


def record_of(line: bytes) -> dict[str, Any]:
    """The record in a line; an empty one if it is broken."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _parts(item: dict[str, Any]) -> str:
    parts = item.get("content")
    texts = [text(part, "text") or "" for part in parts] if isinstance(parts, list) else []
    return "".join(texts)


def _copied(record: dict[str, Any], payload: dict[str, Any], thread_id: str | None, own_from: int) -> bool:
    """Whether this belongs to the thread that this one was made from (turn ids are UUIDv7, see ``fold``)."""
    ordinal = number(record, "ordinal")
    if 0 < ordinal < own_from:
        return True
    turn = text(payload, "turn_id")
    if turn is None or thread_id is None or len(turn) != 36 or len(thread_id) != 36:
        return False
    return turn[14] == thread_id[14] == "7" and turn[:13] < thread_id[:13]
