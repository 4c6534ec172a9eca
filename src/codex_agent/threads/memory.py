"""Owns what is kept between two looks at a large rollout, so that the second reads only what is new.

Below ``<home>/cache/threads/``, one small file a thread; it can be found out again, so nothing is lost with it,
and a disk that is full is no reason not to answer.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any

from codex_agent.rollouts import checkpoint
from codex_agent.rollouts.reader import Reader

_WORTH_BYTES = 4 << 20  # a smaller rollout is read again in less than 10 ms


def read(home: str, path: str, thread_id: str) -> Reader:
    """A reader that has read this rollout to its last whole line. Raises OSError, MissingProgram (compressed)."""
    kept = os.path.join(home, "cache", "threads", f"{thread_id}.json")
    reader = checkpoint.load(path, thread_id, _load(kept))
    before = reader.offset
    reader.read_new()
    if reader.offset - before > _WORTH_BYTES:
        with contextlib.suppress(OSError):
            _save(kept, checkpoint.save(reader))
    return reader


def _load(kept: str) -> dict[str, Any] | None:
    try:
        with open(kept, "rb") as file:
            saved = json.load(file)
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) else None


def _save(kept: str, saved: dict[str, Any] | None) -> None:
    if saved is None:
        return
    os.makedirs(os.path.dirname(kept), mode=0o700, exist_ok=True)
    draft = f"{kept}.{os.getpid()}.tmp"
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(saved, file)
        os.replace(draft, kept)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise
