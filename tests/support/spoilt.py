"""Rollouts as Codex writes them, with what spoils them every now and then, and what they add up to.

What spoils them: counters that begin again, requests with a long input, midnight, other models and tiers, other
threads' records, torn lines, lines in another order, long lines.
"""

from __future__ import annotations

import datetime
import json
import random
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rollout_files
from codex_agent.rollouts import Reader
from support.slow_fold import SlowFold

VERSIONS = ["0.98.0", "0.125.0", "0.133.0", "0.150.0", "0.163.0", "0.169.0"]
UNMARKED = ("0.98.0", "0.125.0", "0.133.0")  # their lines have no ordinals
PATCHES_IN_CALLS = ("0.98.0", "0.125.0")
SIZE = 120_000
Line = dict[str, Any]


def spoilt(path: Path, version: str, seed: int) -> list[bytes]:
    """The lines of a rollout with something odd every now and then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_files, "_OUTPUT_CHARS", 150)
        patch.setattr(rollout_files, "_LONG_EVERY", 60)
        patch.setattr(rollout_files, "_LONG_CHARS", 9_000)
        patch.setattr(rollout_files, "_COMMANDS", 6)
        patch.setattr(rollout_files, "_THOUGHTS", (1, 30))
        patch.setattr(rollout_files, "_FILES", 7)
        patch.setattr(rollout_files, "_TRAP_EVERY", 5)
        rollout_files.write(str(path), SIZE, version, seed=seed)
    spoiler = Spoiler(random.Random(f"{version}/{seed}"), ordinals=version not in UNMARKED)
    found: list[bytes] = []
    for line in path.read_bytes().splitlines():
        found += spoiler.line(json.loads(line))
    return found


class Spoiler:
    """Hands on lines, changed or not; what it changes lasts where it would last in Codex."""

    def __init__(self, rng: random.Random, *, ordinals: bool) -> None:
        self._rng = rng
        self._ordinals = ordinals
        self._days = 0
        self._base: dict[str, int] = {}  # taken off all totals: they began again

    def line(self, record: Line) -> list[bytes]:
        rng, payload = self._rng, record["payload"]
        at = datetime.datetime.fromisoformat(record["timestamp"]) + datetime.timedelta(days=self._days)
        record["timestamp"] = at.strftime("%Y-%m-%dT%H:%M:%S.") + record["timestamp"][-4:]
        kind = payload.get("type") if record["type"] == "event_msg" else record["type"]
        before = self.before(record) if rng.randrange(40) == 0 else []
        if kind in ("token_count", "token_usage_record"):
            self.counters(payload)
            if kind == "token_usage_record" and rng.randrange(6) == 0:
                return [*before, packed(record), packed(foreign(record))]
        elif kind == "turn_context" and rng.randrange(4) == 0:
            payload["model"] = rng.choice(["gpt-5.4", "gpt-5.5", "gpt-6-sol"])
        elif kind == "thread_settings_applied" and rng.randrange(4) == 0:
            payload["thread_settings"]["service_tier"] = rng.choice([None, "flex"])
        elif kind == "task_complete" and rng.randrange(2) == 0:
            self.end(payload)
        elif kind == "task_started" and rng.randrange(6) == 0:
            payload["model_context_window"] = rng.choice([258_400, 400_000])
        data = packed(record)
        if rng.randrange(60) == 0:
            self._days += 1
        # To 0.133 a patch is told of twice, by the call as well; the slow way knows one of the two.
        if rng.randrange(80) == 0 and kind not in ("session_meta", "patch_apply_end"):
            return [*before, *self.odd(record, data)]
        return [*before, data]

    def before(self, record: Line) -> list[bytes]:
        """A line that does not belong to what stands around it."""
        at = {"timestamp": record["timestamp"], **({"ordinal": record["ordinal"]} if self._ordinals else {})}
        other = "01a1fded-0000-7000-8000-000000000000"
        given = self._rng.randrange(1_000_000)
        usage = {"input_tokens": given, "output_tokens": 7, "total_tokens": given + 7}
        lines = [
            {
                **at,
                "type": "event_msg",
                "payload": {"type": "error", "message": "no", "codex_error_info": "other"},
            },
            {**at, "type": "event_msg", "payload": {"type": "token_count", "info": None, "rate_limits": None}},
            {**at, "type": "world_state", "payload": {"full": True, "state": {}}},
        ]
        if self._ordinals:
            counts = {"usage": usage, "turn_token_usage": usage, "thread_token_usage": usage}
            lines.append({**at, "type": "token_usage_record", "payload": {"thread_id": other, **counts}})
        return [packed(self._rng.choice(lines))]

    def counters(self, payload: Line) -> None:
        rng, info = self._rng, payload.get("info")
        if payload.get("type") == "token_count" and rng.randrange(8) == 0:
            payload["rate_limits"] = {"primary": {"used_percent": rng.randrange(100)}, "secondary": None}
        totals = [part for part in (info or payload, payload) for key, part in part.items() if "t" in key[:2]]
        totals = [part for part in totals if isinstance(part, dict) and "total_tokens" in part]
        last = (info or payload).get("last_token_usage" if info else "usage")
        if not totals or last is None:
            return
        if rng.randrange(25) == 0:
            self._base = dict(totals[-1])
            self._base = {key: count - last[key] for key, count in self._base.items()}
        for total in totals:
            for key in total:
                total[key] = max(0, total[key] - self._base.get(key, 0))
        if rng.randrange(20) == 0:
            last["input_tokens"] = rng.choice([99_999, 100_000, 271_999, 272_000, 272_001, 300_000, 1_500_000])
        if rng.randrange(25) == 0:  # the context overflowed
            for counts in (*totals, last):
                counts.update(dict.fromkeys(counts, 0))
            totals[0]["total_tokens"] = totals[-1]["total_tokens"] = 258_400

    def end(self, payload: Line) -> None:
        how = self._rng.choice([0, 1, 2, 3, 3, 3])
        if how == 0:
            payload.update(last_agent_message=None)
        elif how == 1:
            payload.update(error={"message": "it failed", "codex_error_info": "other"})
        elif how == 2:
            payload.update(type="turn_aborted", reason="interrupted")
        else:
            payload.update(last_agent_message='He said "turn_id":"x", and 日本 \\ \n')

    def odd(self, record: Line, data: bytes) -> list[bytes]:
        how = self._rng.randrange(4)
        if how == 0 and self._ordinals:
            return [data[: self._rng.randrange(len(data))]]  # torn by a crash
        if how == 1:
            return [data, data]
        if how == 2:
            return []
        payload = dict(sorted(record["payload"].items()))
        return [packed({"type": record["type"], "payload": payload, "timestamp": record["timestamp"]})]


def foreign(record: Line) -> Line:
    """Another thread's request, as it is copied into a fork: with higher counters, and as long."""
    payload = record["payload"]
    totals = {key: count + 5 for key, count in payload["thread_token_usage"].items()}
    other = f"{payload['thread_id'][:-4]}ffff"
    return {**record, "payload": {**payload, "thread_id": other, "thread_token_usage": totals}}


def packed(record: Line) -> bytes:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()


def expected(lines: list[bytes], version: str) -> Line:
    wanted = SlowFold().lines(lines).result()
    if version in PATCHES_IN_CALLS:
        del wanted["files"]  # test_rollouts.py has them
    return wanted


def told(found: Reader, names: Line) -> Line:
    return {name: getattr(found.state, name) for name in names}
