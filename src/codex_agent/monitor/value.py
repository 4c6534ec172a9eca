"""Owns the watching of one value in a file: whatever in it the pattern matches.

What the file holds is compared, never what anybody says about it.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator

from codex_agent import watching

from .source import Place
from .told import Told, Who, one_line
from .what import Wanted

_MOST_BYTES = 16 << 20
_MOST_MATCHES = 1000
# A file that is being rewritten holds nothing for a moment: what is gone must stay gone for so long to count.
_GONE_S = 1.0
_FOLDER = watching.CREATE | watching.MOVED_TO | watching.DELETE | watching.MOVED_FROM
_FILE = watching.MODIFY | watching.CLOSE_WRITE


class ValueSource:
    """A value. ``since``: a mark of what it was, as ``since()`` said."""

    def __init__(self, wanted: Wanted, who: Who, since: str | None = None) -> None:
        self._file, self._pattern, self._who = wanted.file, wanted.pattern, who
        self._now = self._read()
        self._known: list[str] | None = self._now
        self._gone_at: float | None = None
        self._dirty = False
        if since is not None and since != _mark(self._now):
            self._known, self._dirty = None, True

    def fired(self, _what: str, /) -> None:
        self._dirty = True

    def look(self) -> Iterator[Told]:
        if not self._dirty and self.due() is None:
            return
        self._dirty = False
        now = self._read()
        if now == self._known:
            self._gone_at = None
            return
        if not now and self._known:
            self._gone_at = time.monotonic() if self._gone_at is None else self._gone_at
            if time.monotonic() < self._gone_at + _GONE_S:
                return
        old, self._known, self._gone_at = self._known, now, None
        data = {"file": self._file, "regex": self._pattern.pattern, "old": old, "new": now}
        before = "(changed since)" if old is None else _shown(old)
        yield self._who.tells("value", f"{os.path.basename(self._file)}: {before} -> {_shown(now)}", data)

    def _read(self) -> list[str]:
        """Every match: its groups if the pattern has any, else all of it. None at all if there is no such file."""
        try:
            with open(self._file, "rb") as file:
                text = file.read(_MOST_BYTES).decode("utf-8", "replace")
        except OSError:
            return []
        found: list[str] = []
        for match in self._pattern.finditer(text):
            found.append(_words(match))
            if len(found) == _MOST_MATCHES:
                break
        return found

    def places(self) -> list[Place]:
        above = os.path.dirname(self._file)
        name = os.path.basename(self._file)
        while not os.path.isdir(above) and above != "/":
            above, name = os.path.dirname(above), os.path.basename(above)
        return [Place(above, _FOLDER, "value", frozenset([name])), Place(self._file, _FILE, "value")]

    def due(self) -> float | None:
        return None if self._gone_at is None else self._gone_at + _GONE_S

    def since(self) -> str:
        return "v" + ("-" if self._known is None else _mark(self._known))


def _words(match: re.Match[str]) -> str:
    return " ".join(each or "" for each in match.groups()) if match.re.groups else match[0]


def _shown(found: list[str]) -> str:
    return one_line(" | ".join(found), 80) if found else "(nothing)"


def _mark(found: list[str]) -> str:
    return hashlib.sha256("\0".join(found).encode("utf-8", "replace")).hexdigest()[:8]
