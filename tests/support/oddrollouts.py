"""Rollouts as they are found and not as one would like them: torn, broken, glued, huge, from another clock.

Each is made from a real sample (``fixtures/rollouts``, ``fixtures/threads``); what is added is either a line of
the sample itself or says in its name that no Codex wrote it.
"""

from __future__ import annotations

import calendar
import json
import os
import re
import time
from pathlib import Path
from typing import Any

_FIXTURES = Path(__file__).parents[1] / "fixtures"
HUGE = 5_000_000


def sample(version: str, scenario: str = "work") -> Path:
    """What `codex exec` of that version wrote (`fixtures/make_rollouts.py`)."""
    (path,) = (_FIXTURES / "rollouts" / version / scenario).glob("rollout-*.jsonl")
    return path


def versions() -> list[str]:
    return sorted(os.listdir(_FIXTURES / "rollouts"), key=lambda text: [int(part) for part in text.split(".")])


def put(codex_home: Path, data: Path | bytes, name: str | None = None, *, age_s: float = 0.0) -> Path:
    """A rollout in that home, in the folder of the day its name tells, as if written so long ago."""
    name = name or (data.name if isinstance(data, Path) else "")
    year, month, day = name.removeprefix("rollout-")[:10].split("-")
    folder = codex_home / "sessions" / year / month / day
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data.read_bytes() if isinstance(data, Path) else data)
    now = time.time()
    os.utime(path, (now - age_s, now - age_s))
    return path


def torn(data: bytes) -> bytes:
    """The last line is half there, as while Codex writes a long one."""
    return data[: -(len(data.splitlines()[-1]) // 2) - 1]


def with_line(data: bytes, line: bytes, at: int = -1) -> bytes:
    """One more line, before the one of that number."""
    lines = data.splitlines(keepends=True)
    lines.insert(at if at >= 0 else len(lines) + at, line)
    return b"".join(lines)


def with_unknown(data: bytes) -> bytes:
    """A record and an event of kinds that no Codex writes, before the last line."""
    at = _stamp(data)
    record = _line({"timestamp": at, "type": "dream", "payload": {"type": "of_sheep", "n": 1}})
    event = _line({"timestamp": at, "type": "event_msg", "payload": {"type": "of_sheep", "message": "baa"}})
    return with_line(with_line(data, record), event)


def with_broken(data: bytes) -> bytes:
    """Three lines that are no JSON: cut, not UTF-8, of zeros (a power cut), before the last line."""
    cut = data.splitlines()[-1][:-9] + b"\n"
    for line in (cut, b'{"timestamp":"\xff\xfe"}\n', b"\0" * 300 + b"\n"):
        data = with_line(data, line)
    return data


def with_glued(data: bytes) -> bytes:
    """To 0.133 Codex goes on in a line that a crash had torn: the last line stands behind half of another."""
    lines = data.splitlines(keepends=True)
    half = lines[-2][: len(lines[-2]) // 2]
    return b"".join([*lines[:-1], half + lines[-1]])


def with_huge(data: bytes, size: int = HUGE) -> bytes:
    """The first command's output is that long."""
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines):
        record = json.loads(line)
        if record["payload"].get("type") == "function_call_output":
            record["payload"]["output"] = "x" * size
            lines[number] = _line(record)
            return b"".join(lines)
    raise AssertionError("no command in this sample")


def shifted(data: bytes, seconds: float) -> bytes:
    """As if written by a machine whose clock is so far ahead (or, below zero, behind)."""

    def move(found: re.Match[bytes]) -> bytes:
        whole, part = found[1].decode().split(".")
        at = calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + seconds
        return b'"timestamp":"' + f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{part}".encode() + b'Z"'

    return re.sub(rb'"timestamp":"([0-9T:.-]+)Z"', move, data)


def renamed(path: Path, zone_hours: float) -> str:
    """The sample's name as Codex gives it in that time zone (by default samples are named in UTC)."""
    local = time.strptime(path.name.removeprefix("rollout-")[:19], "%Y-%m-%dT%H-%M-%S")
    at = time.gmtime(calendar.timegm(local) + zone_hours * 3600)
    return f"rollout-{time.strftime('%Y-%m-%dT%H-%M-%S', at)}-{path.name[28:]}"


def with_goal_event(data: bytes, objective: str, status: str, **more: Any) -> bytes:
    """The event by which 0.133.0 tells of a goal (0.150.0 leaves it to its database), before the last line.

    ``status`` is in the protocol's spelling ("budgetLimited").
    """
    head = json.loads(data.splitlines()[0])["payload"]
    seconds = calendar.timegm(time.strptime(_stamp(data)[:19], "%Y-%m-%dT%H:%M:%S"))
    goal = {
        "threadId": head["id"],
        "objective": objective,
        "status": status,
        "tokensUsed": 0,
        "timeUsedSeconds": 0,
        "createdAt": seconds,
        "updatedAt": seconds,
        **more,
    }
    payload = {"type": "thread_goal_updated", "threadId": head["id"], "goal": goal}
    return with_line(data, _line({"timestamp": _stamp(data), "type": "event_msg", "payload": payload}))


def _stamp(data: bytes) -> str:
    return str(json.loads(data.splitlines()[-1])["timestamp"])


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
