"""Owns reading what the wrappers noted. The agent can write there too: no note is believed as it stands."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import Literal

_MOST_BYTES = 65_536
_MOST_CHARS = 4096
_MOST_NOTES = 1000  # of one job; each branch in them is looked up


@dataclass(frozen=True, slots=True)
class Note:
    """One command that succeeded."""

    kind: Literal["branch", "pr_open", "merged"]
    value: str
    """The branch, or the pull request's address (which may be empty where gh did not tell)."""
    top: str | None = None
    """The work tree whose branch it is."""


class Folder:
    """The notes of one job, each told once."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._changed_ns = -1
        self._seen: set[str] = set()

    def new(self) -> list[Note]:
        """What was noted since the last call, in the order of its times; one stat if there is nothing."""
        try:
            changed_ns = os.stat(self.path).st_mtime_ns
            if changed_ns == self._changed_ns:
                return []
            names = [name for name in os.listdir(self.path) if name.endswith(".note") and name not in self._seen]
        except OSError:
            return []  # the agent removed it
        self._changed_ns = changed_ns
        names = names[: _MOST_NOTES - len(self._seen)]
        self._seen.update(names)
        found = [one for name in names if (one := _read(os.path.join(self.path, name))) is not None]
        return [note for _, note in sorted(found, key=lambda one: one[0])]


def _read(path: str) -> tuple[float, Note] | None:
    """A note with its time; None if it is none."""
    try:
        # No link, and no pipe that would keep us waiting.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                return None
            note = _parsed(file.read(_MOST_BYTES).decode("utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return None if note is None else (status.st_mtime, note)


def _parsed(text: str) -> Note | None:
    pairs = (part.partition("=") for part in text.split("\0"))
    words = {key: value for key, _, value in pairs if len(value) <= _MOST_CHARS}
    if words.get("kind") == "git" and _plain(words.get("branch", "")) and os.path.isabs(words.get("top", "")):
        return Note("branch", words["branch"], words["top"])
    status = words.get("status")
    if words.get("kind") != "gh" or status not in ("pr_open", "merged"):
        return None
    url = words.get("url", "")
    if url and not (url.startswith(("https://", "http://")) and _plain(url)):
        return None
    return Note("pr_open" if status == "pr_open" else "merged", url)


def _plain(text: str) -> bool:
    return text != "" and text.isprintable() and not any(char.isspace() for char in text)
