"""Owns the reading of ``apply_patch`` calls, for Codex versions that record no file changes (to 0.125).

Never used where the rollout itself says which files changed. Only paths are taken, and what was done with them; no
patch is ever applied.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Literal

SUCCESS = "Success. Updated the following files:"  # what apply_patch prints, in every version

Kind = Literal["add", "update", "delete"]
Change = tuple[Kind, str, str | None]  # what is done, the path, its new path if it is moved
_HEADERS: dict[str, Kind | Literal["move"]] = {
    "*** Add File: ": "add",
    "*** Update File: ": "update",
    "*** Delete File: ": "delete",
    "*** Move to: ": "move",
}
# `cd sub && apply_patch <<'EOF'` is the one prelude that Codex itself understands.
_CD = re.compile(r"""(?:^|[\s;&])cd\s+("[^"]+"|'[^']+'|[^\s;&]+)\s*(?:&&|;|\n)\s*(?:apply_patch|applypatch)\b""")


def changes(text: str, folder: str) -> list[Change]:
    """What the patches in ``text`` (a patch, or a shell script with some) do, to absolute paths.

    Relative ones are taken from ``folder``, or from where a ``cd`` right before the patch leads.
    """
    found: list[Change] = []
    for word, path in _headers(text, folder):
        if word != "move":
            found.append((word, path, None))
        elif found:
            found[-1] = (*found[-1][:2], path)
    return found


def _headers(text: str, folder: str) -> Iterator[tuple[Kind | Literal["move"], str]]:
    moved = _CD.search(text)
    if moved is not None:
        folder = os.path.join(folder, moved.group(1).strip("\"'"))
    inside = False
    for line in text.split("\n"):
        if line.startswith("*** Begin Patch") or line.endswith("*** Begin Patch"):
            inside = True
        elif line.startswith("*** End Patch"):
            inside = False
        elif inside and line.startswith(tuple(_HEADERS)):
            header, _, name = line.partition(": ")
            if name.strip():
                yield _HEADERS[f"{header}: "], os.path.normpath(os.path.join(folder, name.strip()))


def changes_of_function_call(arguments: str, folder: str) -> list[Change]:
    """As ``changes``, from the arguments (JSON text) of ``exec_command``, ``shell``, ``shell_command``."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return []
    return changes_of_call(given, folder) if isinstance(given, dict) else []


def changes_of_call(given: dict[str, Any], folder: str) -> list[Change]:
    """As ``changes``, from the arguments themselves."""
    for key in ("workdir", "working_directory", "cwd"):
        where = given.get(key)
        if isinstance(where, str) and where:
            folder = os.path.join(folder, where)
            break
    text = _script(given)
    return changes(text, folder) if "apply_patch" in text or "applypatch" in text else []


def _script(given: dict[str, Any]) -> str:
    """The shell script in a call; the patch itself where ``apply_patch`` is a function of its own."""
    if isinstance(given.get("input"), str):
        return f"apply_patch\n{given['input']}"
    for key in ("cmd", "command"):
        value = given.get(key)
        if isinstance(value, str):
            return value
        if isinstance(value, list):
            return "\n".join(part for part in value if isinstance(part, str))
    return ""


def succeeded(output: Any) -> bool:
    """Whether a call's output (text, JSON in text, or a list of parts) says that a patch was applied."""
    if isinstance(output, str):
        return SUCCESS in output
    if isinstance(output, list):
        return any(succeeded(part) for part in output)
    if isinstance(output, dict):
        return any(succeeded(output.get(key)) for key in ("text", "content", "output"))
    return False
