"""Owns TOML as Codex's configuration has it: its files read, its values in the words of a command line.

Must never write a file.
"""

from __future__ import annotations

import json
from typing import Any

from codex_agent.errors import UsageError


def read_toml(path: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Codex's configuration {path} cannot be read: {error}.", "Correct it.") from error


def toml(value: Any) -> str:
    """A value as TOML on one line; Codex takes what it cannot read as plain text, without a word."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    if isinstance(value, bool | int | float | str):
        # TOML escapes as JSON does, but for DEL, and it has no surrogate pairs: hence what is not ASCII stays.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return str(value)  # dates and times
