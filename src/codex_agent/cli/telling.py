"""Owns what every command says: answers on stdout, remarks on stderr, and every error as text or JSON.

The one place where an error becomes an exit code. Loads neither typer nor any room.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from codex_agent.errors import EXIT_FAILED, EXIT_INTERRUPTED, CodexAgentError, Interrupted, SystemRefused


def print_json(answer: Any) -> None:
    """One answer (a dataclass or plain data) on one line of stdout."""
    import dataclasses
    import json

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


def broken_off(again: str, ids: list[str]) -> Interrupted:
    """The error of whoever pressed Ctrl-C while waiting; ``again`` is the command that takes it up again."""
    them = " ".join(ids)
    return Interrupted(
        "No longer waiting; what runs goes on.",
        f"codex-agent {again} {them} waits again, codex-agent kill {them} ends it.",
        ids=ids,
    )


def failed(error: BaseException, as_json: bool) -> int:
    """Says what went wrong, to stderr or with --json as an object to stdout; the exit code."""
    if isinstance(error, CodexAgentError):
        return tell(error.to_json(), error.exit_code, as_json)
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader (head, a pager) has enough.
        _discard_stdout()
        return EXIT_FAILED
    if isinstance(error, OSError):
        return _refused(error, as_json)
    if not isinstance(error, Exception):
        raise error
    import traceback

    # A fault of ours: said in the form that was asked for, and in full on stderr.
    traceback.print_exception(error)
    told = {
        "code": "internal",
        "message": f"{type(error).__name__}: {error}",
        "hint": "This is a bug: report it.",
    }
    return tell(told, EXIT_FAILED, as_json)


def _refused(error: OSError, as_json: bool) -> int:
    """What a verb foresees is one of our errors by now; this is what is left, a full stdout among it."""
    what = f"{error.filename}: " if error.filename else ""
    told = SystemRefused(f"{what}{error.strerror or error}.")
    try:
        return tell(told.to_json(), told.exit_code, as_json)
    except OSError:
        _discard_stdout()
        return tell(told.to_json(), told.exit_code, False)


def _discard_stdout() -> None:
    """Nothing more may be written, not even what is still in a buffer."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def tell(error: Mapping[str, object], code: int, as_json: bool) -> int:
    """Says one error in its JSON form; the exit code that was given."""
    if as_json:
        print_json({"error": dict(error)})
    else:
        print(f"codex-agent: {error['message']}", file=sys.stderr)
        if error.get("hint"):
            print(f"  {error['hint']}", file=sys.stderr)
    return code
