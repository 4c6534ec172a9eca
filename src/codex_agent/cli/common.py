"""Owns what all commands share: where things are, durations, JSON on stdout, completion of ids."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from typing import Annotated, Any

import typer

from codex_agent import settings as settings_room
from codex_agent.errors import CodexAgentError, Interrupted, UsageError
from codex_agent.store import Store

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def store() -> Store:
    """The jobs of this CODEX_AGENT_HOME."""
    return Store(settings_room.home(os.environ))


def settings() -> settings_room.Settings:
    """The settings in force."""
    return settings_room.load(os.environ)


def print_json(answer: Any) -> None:
    """One answer (a dataclass or plain data) on one line of stdout."""
    data = dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) else answer  # type: ignore[arg-type]
    print_text(json.dumps(data, ensure_ascii=False))


def print_text(text: str) -> None:
    """A line of stdout; what cannot be encoded is replaced, never an error."""
    sys.stdout.flush()
    sys.stdout.buffer.write((text + "\n").encode("utf-8", "replace"))
    sys.stdout.buffer.flush()


def note(text: str) -> None:
    """A remark for a person, on stderr."""
    print(text, file=sys.stderr)


def color() -> bool:
    """Whether stdout is a terminal that wants colors (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def duration(text: str, unit: str, what: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m``, ``2h`` or ``7d``; a bare number is in ``unit``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{what}: '{text}' is no duration.", "Such as 90s, 10m, 2h or 7d.")
    return float(match[1]) * _UNITS[match[2] or unit]


def complete_id(incomplete: str) -> list[tuple[str, str]]:
    """Ids and names that begin so, for the shell's completion."""
    try:
        records, _ = store().load_all()
    except (CodexAgentError, OSError):
        return []  # a shell that completes has no place to show an error
    records.sort(key=lambda record: record.created_at, reverse=True)
    words = [(word, record.request.prompt_head) for record in records for word in (record.id, record.name) if word]
    return [(word, help_text) for word, help_text in words if word.startswith(incomplete)]


def argument(metavar: str, help_text: str) -> Any:
    """A positional job reference that completes."""
    return typer.Argument(metavar=metavar, help=help_text, autocompletion=complete_id, show_default=False)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobRef = Annotated[str, argument("ID", "A job: its id, a unique prefix of it, or its name.")]
JobRefs = Annotated[list[str], argument("ID...", "Jobs: ids, unique prefixes, or names.")]
Strip = Annotated[bool, typer.Option("--strip-ansi", "--clean", help="Leave out terminal control codes.")]


def wait_for(where: Store, ids: list[str], *, wait_any: bool = False, timeout_s: float | None = None) -> bool:
    """``jobs.wait``, broken off by Ctrl-C with a word about what that means for the jobs: nothing."""
    from codex_agent import jobs

    try:
        return jobs.wait(where, ids, wait_any=wait_any, timeout_s=timeout_s)
    except KeyboardInterrupt:
        them = " ".join(ids)
        raise Interrupted(
            "No longer waiting; what runs goes on.",
            f"codex-agent wait {them} waits again, codex-agent kill {them} ends it.",
            ids=ids,
        ) from None


def resolve_all(where: Store, refs: list[str]) -> list[str]:
    """The ids these references mean, each once, in order."""
    return list(dict.fromkeys(where.resolve(ref) for ref in refs))
