"""Owns what an entry of the conversation means for a monitor: a failed command, a turn's end, changed files.

Pure. Failures are known by exit status first, by patterns in what was printed second; what the agent or a person
says is never looked at for either.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from codex_agent.answers import Changed, Marked, Ran
from codex_agent.codex.failures import diagnose
from codex_agent.errors import EXIT_FAILED, EXIT_LIMIT, EXIT_OK

from .told import lasted, one_line

LIMITS = frozenset({"context_window", "usage_limit", "quota"})
_OUTPUT = 2000
# Alone and with exit status 1 and nothing printed, these say "no": nothing was found, it differs, it is not so.
_ASKING = re.compile(
    r"(?:git (?:diff|grep|check-ignore)|[ef]?grep|rg|diff|cmp|test|\[|pgrep|which|command -v)(?=\s|$)"
)
_COMPOUND = re.compile(r"[;&|\n]")


def failure(entry: Ran, patterns: Sequence[re.Pattern[str]]) -> tuple[str, dict[str, Any]] | None:
    """What failed, in words and as data; None if nothing did."""
    if entry.status in ("running", "declined", "interrupted"):
        return None
    matched = next((found for each in patterns if (found := each.search(entry.output))), None)
    code = entry.exit_code
    if not matched and (code == 0 or (code is None and entry.status != "failed") or _says_no(entry)):
        return None
    shown = None
    if matched:
        end = entry.output.find("\n", matched.end())
        begin = entry.output.rfind("\n", 0, matched.start() + 1) + 1
        shown = one_line(entry.output[begin : end if end >= 0 else len(entry.output)])
    data = {
        "command": entry.command,
        "exit_code": code if code is not None and code >= 0 else None,
        "status": entry.status,
        "matched": shown,
        "output": entry.output[-_OUTPUT:],
    }
    how = f"exit {code}" if code is not None and code >= 0 else "no exit status"
    said = shown if shown else _last_line(entry.output)
    return f"{how}: {one_line(entry.command, 90)}" + (f" | {said}" if said else ""), data


def _says_no(entry: Ran) -> bool:
    asks = _ASKING.match(entry.command.strip()) and not _COMPOUND.search(entry.command)
    return entry.exit_code == 1 and bool(asks) and not entry.output.strip()


def _last_line(output: str) -> str:
    return one_line(output.rstrip().rpartition("\n")[2], 80)


def turn(entry: Marked, info: str | None, words: str | None) -> tuple[str, dict[str, Any], int]:
    """How the turn ended, and the exit code of that. ``info``: Codex's kind of error; ``words``: the last said."""
    took = f" after {lasted(entry.duration_ms / 1000)}" if entry.duration_ms is not None else ""
    code = EXIT_OK if entry.status == "completed" else EXIT_FAILED
    said = words or ""
    if entry.status == "failed":
        found = diagnose(message=entry.message, info=info, stderr_tail="", exit_code=None)
        said = entry.message or found.message
        code = EXIT_LIMIT if found.reason in LIMITS else EXIT_FAILED
    elif entry.status == "interrupted":
        said = entry.message or ""
    data = {
        "id": entry.turn_id,
        "status": entry.status,
        "duration_ms": entry.duration_ms,
        "error": entry.message,
        "message": words,
    }
    return f"{entry.status}{took}" + (f": {one_line(said)}" if said else ""), data, code


def files(entry: Changed, cwd: str) -> tuple[str, dict[str, Any]] | None:
    """Which files were changed; None if the patch was not applied."""
    if entry.status != "completed" or not entry.files:
        return None
    inside = os.path.join(cwd, "")
    signs = {"add": "+", "delete": "-", "update": "~"}
    names = []
    for one in entry.files:
        moved = f" -> {one.moved_to.removeprefix(inside)}" if one.moved_to else ""
        names.append(f"{signs[one.kind]}{one.path.removeprefix(inside)}{moved}")
    return " ".join(names), {"changes": [asdict(one) for one in entry.files]}
