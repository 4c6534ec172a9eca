"""Owns ``<id>.queue``: the messages that wait for the running turn's end, oldest first.

Written by whoever holds the job's lock: its supervisor, or the ``send`` that reopens it. A message leaves the file
only when Codex has taken it. Must never deliver anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from codex_agent.drivers.base import Message
from codex_agent.errors import RecordUnreadable
from codex_agent.store import Store

_SUFFIX = ".queue"


def load(store: Store, job_id: str) -> list[Message]:
    """What waits. Raises RecordUnreadable if the file cannot be read; it is left as it is."""
    path = store.path(job_id, _SUFFIX)
    try:
        with open(path, encoding="utf-8", errors="surrogatepass") as file:
            return [_message(one) for one in json.load(file)]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError) as error:
        raise RecordUnreadable(
            f"The queue of job {job_id} cannot be read ({error}): {path}",
            "It was left as it is: mend it, or move it away.",
            id=job_id,
            file=path,
        ) from error


def _message(data: dict[str, Any]) -> Message:
    message = Message(**data)
    if not (isinstance(message.id, str) and isinstance(message.text, str)):
        raise TypeError("a message without words")
    return message


def save(store: Store, job_id: str, messages: list[Message]) -> None:
    """Replaces what waits, durably. Raises StoreUnwritable, and then what was there still is."""
    text = json.dumps([asdict(message) for message in messages], ensure_ascii=False)
    store.write(job_id, _SUFFIX, text.encode("utf-8", "surrogatepass"))
