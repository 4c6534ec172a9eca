"""Owns what rollouts hold of a review: its outcome, and what it cost.

The outcome is an item (`ExitedReviewMode`) from 0.150 on, an event (`exited_review_mode`) before. The work is done
in a thread of its own, which has the tokens; both files name its turn (0.104.0 to 0.169.0). Constant memory; never
fails on what a line contains.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import Any

from ..model import Tokens
from ..review_answers import Finding
from .files import Damaged, opened
from .head import read_head
from .locate import created_at, thread_of
from .reader import Reader
from .usage import mapping, text

_ENTERED = (b'"EnteredReviewMode"', b'"entered_review_mode"')
_EXITED = (b'"ExitedReviewMode"', b'"exited_review_mode"')
_BEGUN = b'"task_started"'
_LONGEST = 16 << 20
_WITHIN_S = 600.0  # the reviewer's thread is made right after the review's own: 50 ms, measured


@dataclass(slots=True)
class Outcome:
    """What the last review in a rollout came to. ``structured``: the model gave it in parts.

    ``turn_id``: the reviewer's turn.
    """

    structured: bool
    findings: list[Finding]
    correctness: str | None
    explanation: str
    confidence: float | None
    turn_id: str | None = None


def outcome(path: str) -> Outcome | None:
    """The last one; None if there is none, or it was broken off. Raises OSError if the file cannot be read."""
    found: Outcome | None = None
    turn_id: str | None = None
    with contextlib.suppress(Damaged), opened(path) as file:
        while line := file.readline(_LONGEST):
            if any(word in line for word in _ENTERED):
                turn_id = None
            elif turn_id is None and _BEGUN in line:
                turn_id = text(_payload(line), "turn_id")
            elif any(word in line for word in _EXITED):
                one = _outcome(_payload(line))
                if one is not None:
                    one.turn_id = turn_id
                    found = one
    return found


def tokens(path: str, of: Outcome) -> Tokens | None:
    """What the review in this rollout has cost; None if nothing tells."""
    folder, own = os.path.split(path)
    begun = created_at(thread_of(own) or "")
    for name in os.listdir(folder) if begun is not None and of.turn_id is not None else []:
        made = created_at(thread_of(name) or "")
        if made is None or begun is None or name == own or not begun <= made <= begun + _WITHIN_S:
            continue
        other = os.path.join(folder, name)
        with contextlib.suppress(OSError):
            if read_head(other).source != "subagent":
                continue
            reader = Reader(other)
            reader.read_new()
            if reader.state.turn_id == of.turn_id:
                return reader.state.tokens
    return None


def _payload(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return mapping(record, "payload") if isinstance(record, dict) else {}


def _outcome(payload: dict[str, Any]) -> Outcome | None:
    item = mapping(payload, "item")
    if text(payload, "type") == "item_completed" and text(item, "type") == "ExitedReviewMode":
        payload = item
    elif text(payload, "type") != "exited_review_mode":
        return None
    given = payload.get("review_output")
    if not isinstance(given, dict):
        return None
    if not given.get("findings") and not given.get("overall_correctness"):
        given = _parts(text(given, "overall_explanation") or "") or given
    found = [_finding(one) for one in given.get("findings") or [] if isinstance(one, dict)]
    verdict = text(given, "overall_correctness")
    return Outcome(
        # Of words alone Codex makes an outcome with nothing but an explanation.
        structured=bool(found or verdict),
        findings=found,
        correctness=verdict or None,
        explanation=text(given, "overall_explanation") or "",
        confidence=_number(given, "overall_confidence_score") if found or verdict else None,
    )


def _parts(words: str) -> dict[str, Any] | None:
    """An answer in parts that Codex has taken for words, as it does if one priority is null (0.169.0)."""
    try:
        parts = json.loads(words[words.find("{") : words.rfind("}") + 1])
    except (ValueError, RecursionError):
        return None
    return parts if isinstance(parts, dict) and isinstance(parts.get("findings"), list) else None


def _finding(given: dict[str, Any]) -> Finding:
    where = mapping(given, "code_location")
    lines = mapping(where, "line_range")
    return Finding(
        title=text(given, "title") or "",
        body=text(given, "body") or "",
        file=text(where, "absolute_file_path"),
        line_start=_whole(lines, "start"),
        line_end=_whole(lines, "end"),
        priority=_whole(given, "priority"),
        confidence=_number(given, "confidence_score"),
    )


def _whole(of: dict[str, Any], key: str) -> int | None:
    value = of.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(of: dict[str, Any], key: str) -> float | None:
    value = of.get(key)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
