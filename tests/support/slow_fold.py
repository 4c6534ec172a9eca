"""What a rollout adds up to, worked out the slow and obvious way: every line decoded, everything put in, in order.

For versions that write items (0.150 and later) and for 0.133; what a patch changed is taken from its own record
only. Independent of the code under test, and no more careful than a sound rollout asks for; a line that is no JSON
is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

KEYS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
LONG = 272_000


class SlowFold:
    """Hand it lines; ``result`` then is what ``RolloutState`` says, by name."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {
            "thread_id": None,
            "cwd": None,
            "model": None,
            "files": {},
            "plan": [],
            "last_message": None,
            "limits": None,
            "turn_state": None,
            "turn_id": None,
            "turns_started": 0,
            "turns_completed": 0,
            "turn_started_at": None,
            "turn_ended_at": None,
            "turn_error": None,
        }
        self.turns: set[str] = set()
        self.kept_error: dict[str, Any] | None = None
        self.plan: tuple[str, Any] | None = None
        self.tier: str | None = None
        self.turn_model: str | None = None
        self.window: int | None = None
        self.share: float | None = None
        self.counted = self.recorded = False
        self.used = dict.fromkeys(KEYS, 0)
        self.charged = dict(self.used)
        self.before = dict(self.used)
        self.spent: dict[tuple[str, str, str | None, bool], dict[str, int]] = {}

    def lines(self, lines: Iterable[bytes]) -> SlowFold:
        for line in lines:
            try:
                record = json.loads(line)
            except ValueError:
                record = {}
            if isinstance(record.get("payload"), dict):
                self.record(record["timestamp"], record["type"], record["payload"])
        return self

    def result(self) -> dict[str, Any]:
        tokens = None
        if self.counted:
            given, cached, written, made, reasoned = self.used.values()
            tokens = (given, cached, made, reasoned, given + made, self.window, self.share, written)
        return {
            **self.state,
            "counted": tokens,
            "billed": [(*key, *more.values()) for key, more in self.spent.items()],
        }

    def record(self, at: str, top: str, payload: dict[str, Any]) -> None:
        kind = payload.get("type")
        if top == "session_meta":
            if self.state["thread_id"] in (None, payload["id"]):
                self.state.update(thread_id=payload["id"], cwd=payload["cwd"])
        elif top == "turn_context":
            self.turn_model = payload.get("model") or self.turn_model
            if "service_tier" in payload:
                self.tier = payload["service_tier"]
            self.settings(payload)
        elif top == "token_usage_record":
            self.usage(at, payload)
        elif top == "response_item":
            self.response(kind, payload)
        elif top == "event_msg" and hasattr(self, f"on_{kind}"):
            getattr(self, f"on_{kind}")(at, payload)

    def settings(self, payload: dict[str, Any]) -> None:
        self.state["cwd"] = payload.get("cwd") or self.state["cwd"]
        self.state["model"] = payload.get("model") or self.state["model"]

    def on_thread_settings_applied(self, _at: str, payload: dict[str, Any]) -> None:
        self.tier = payload["thread_settings"].get("service_tier")
        self.settings(payload["thread_settings"])

    # -- turns

    def on_task_started(self, at: str, payload: dict[str, Any]) -> None:
        if payload["turn_id"] in self.turns:
            return
        self.turns.add(payload["turn_id"])
        self.kept_error = None
        self.state.update(turn_state="open", turn_id=payload["turn_id"], turn_started_at=at)
        self.state.update(turn_ended_at=None, turn_error=None, turns_started=self.state["turns_started"] + 1)
        self.window = payload.get("model_context_window") or self.window

    def on_task_complete(self, at: str, payload: dict[str, Any]) -> None:
        words = payload.get("last_agent_message")
        error = payload.get("error") or (self.kept_error if words is None else None)
        if not self.ends(at, payload, "failed" if error else "completed"):
            return
        if error:
            self.state["turn_error"] = error["message"]
        if words is not None:
            self.state["last_message"] = words

    def on_turn_aborted(self, at: str, payload: dict[str, Any]) -> None:
        self.ends(at, payload, "aborted")

    def ends(self, at: str, payload: dict[str, Any], how: str) -> bool:
        turn = payload["turn_id"]
        if turn in self.turns and (turn != self.state["turn_id"] or self.state["turn_state"] != "open"):
            return False
        self.turns.add(turn)
        self.state.update(turn_state=how, turn_id=turn, turn_ended_at=at)
        self.state["turns_completed"] += how == "completed"
        return True

    def on_error(self, _at: str, payload: dict[str, Any]) -> None:
        self.kept_error = payload if self.state["turn_state"] == "open" else None

    # -- what was said and done

    def on_agent_message(self, _at: str, payload: dict[str, Any]) -> None:
        self.state["last_message"] = payload["message"] or self.state["last_message"]

    def on_item_completed(self, _at: str, payload: dict[str, Any]) -> None:
        item = payload["item"]
        if item["type"] == "AgentMessage":
            self.state["last_message"] = (
                "".join(part["text"] for part in item["content"]) or self.state["last_message"]
            )
        elif item["type"] == "FileChange":
            self.on_patch_apply_end(_at, item)

    def on_patch_apply_end(self, _at: str, item: dict[str, Any]) -> None:
        if item["status"] != "completed":
            return
        for path, change in item["changes"].items():
            moved = change.get("move_path")
            self.changed(path, "delete" if moved else change["type"])
            if moved:
                self.changed(moved, "add")

    def changed(self, path: str, kind: str) -> None:
        path = os.path.normpath(os.path.join(self.state["cwd"], path))
        merged = {("add", "update"): "add", ("delete", "add"): "update"}
        self.state["files"][path] = merged.get((self.state["files"].get(path), kind), kind)

    def response(self, kind: str | None, payload: dict[str, Any]) -> None:
        if kind == "function_call" and payload["name"] == "update_plan":
            self.plan = (payload["call_id"], json.loads(payload["arguments"])["plan"])
        elif kind == "function_call_output" and self.plan is not None and self.plan[0] == payload["call_id"]:
            if payload["output"].startswith("Plan updated"):
                self.state["plan"] = [[step["step"], step["status"]] for step in self.plan[1]]
            self.plan = None

    # -- tokens

    def on_token_count(self, at: str, payload: dict[str, Any]) -> None:
        limits = payload.get("rate_limits") or {}
        if any(limits.get(name) for name in ("primary", "secondary")):
            self.state["limits"] = {**limits, "at": at}
        info = payload.get("info")
        if info is None:
            return
        self.window = info.get("model_context_window") or self.window
        total = counters(info["total_token_usage"])
        self.counted = True
        if size(total) == 0 and info["total_token_usage"]["total_tokens"] > 0:
            self.before, self.share = dict(self.used), 100.0
            return
        total = {key: self.before[key] + total[key] for key in KEYS}
        if not self.recorded or size(total) > size(self.used):
            self.used = total
        self.charge(at, info["last_token_usage"])

    def usage(self, at: str, payload: dict[str, Any]) -> None:
        if payload["thread_id"] != self.state["thread_id"]:
            return
        self.counted = self.recorded = True
        self.used = counters(payload["thread_token_usage"])
        self.charge(at, payload["usage"])

    def charge(self, at: str, last: dict[str, int]) -> None:
        if self.window and last["total_tokens"]:
            self.share = round(min(100.0, 100.0 * last["total_tokens"] / self.window), 2)
        more = {key: self.used[key] - self.charged[key] for key in KEYS}
        if size(more) < 0:
            more = counters(last)
        if size(more) <= 0:
            return
        self.charged = dict(self.used)
        key = (self.turn_model or self.state["model"] or "", at[:10], self.tier, last["input_tokens"] > LONG)
        spent = self.spent.setdefault(key, dict.fromkeys(KEYS, 0))
        for name in KEYS:
            spent[name] += more[name]


def counters(given: dict[str, int]) -> dict[str, int]:
    return {key: given.get(key, 0) for key in KEYS}


def size(counts: dict[str, int]) -> int:
    return counts["input_tokens"] + counts["output_tokens"]
