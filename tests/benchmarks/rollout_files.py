"""Owns the making of big rollouts: the lines of real samples of several Codex versions, repeated and filled up.

Each repetition is a turn of its own, one second after the one before. Deterministic: the same size and seed give
the same bytes. Must never invent a kind of line that no Codex wrote.
"""

from __future__ import annotations

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


def write(path: str, size: int, version: str, *, seed: int = 7, torn: bool = False) -> None:
    """A completed thread's rollout of at least ``size`` bytes, as ``version`` writes it.

    ``torn``: the file ends inside a line, as it does while Codex writes.
    """
    head, turn = _sample(version)
    turn_id = next((line["payload"]["turn_id"] for line in turn if line["payload"].get("turn_id")), None)
    began = datetime.datetime.fromisoformat(turn[0]["timestamp"])
    rng = random.Random(seed)
    written = number = 0
    with open(path, "wb") as file:
        for line in head:
            written += file.write(_packed(line))
        while written < size:
            at = (began + datetime.timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%S").encode()
            for line in _turn(turn, rng):
                data = _packed(line)
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


def _sample(version: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The lines that stand at the top, and those of one turn."""
    (path,) = glob.glob(os.path.join(SAMPLES, version, "work", "rollout-*.jsonl"))
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    return lines[:1], lines[1:]


def _turn(lines: list[dict[str, Any]], rng: random.Random) -> Iterator[dict[str, Any]]:
    """The sample's turn with outputs as long as real ones."""
    for line in lines:
        payload = line["payload"]
        if str(payload.get("type", "")).endswith("_output") and isinstance(payload.get("output"), str):
            yield {**line, "payload": {**payload, "output": _output(rng)}}
        else:
            yield line


def _output(rng: random.Random) -> str:
    if rng.randrange(_LONG_EVERY) == 0:
        return "x" * _LONG_CHARS
    text = " ".join(rng.choices(_WORDS, k=rng.randrange(_OUTPUT_CHARS // 3)))
    return _TRAP + text if rng.randrange(_TRAP_EVERY) == 0 else text


def _packed(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
