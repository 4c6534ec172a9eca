"""Owns the watching of one repository: which commits HEAD has come to stand at.

HEAD is compared, never a log's words; git runs only once HEAD has moved.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict

from codex_agent import git, watching
from codex_agent.errors import GitFailed, MissingProgram
from codex_agent.work_answers import Commit

from .source import Place
from .told import Told, Who, one_line

_MOST = 50  # commits told of one move of HEAD
_SHORT = 12
_FOLDER = watching.CREATE | watching.MOVED_TO | watching.DELETE
_FILE = watching.MODIFY


class RepoSource:
    """A work tree. ``since``: the beginning of the commit it stood at ("-": none), as ``since()`` said."""

    def __init__(self, top: str, who: Who, since: str | None = None) -> None:
        self.top, self._who = top, who
        self._head = git.head(top)
        self._dirty = False
        self._left: deque[tuple[Commit, int]] = (
            deque()
        )  # commits that are not told yet, and how many were left out
        self._told = self._head  # up to where
        if since is not None and not (self._head or "-").startswith(since):
            self._told = None if since == "-" else since
            self._head, self._dirty = self._told, True

    def fired(self, _what: str, /) -> None:
        self._dirty = True

    def look(self) -> Iterator[Told]:
        """A commit each, oldest first; one event without a commit of its own if HEAD only went elsewhere."""
        if self._dirty:
            self._dirty = False
            now = git.head(self.top)
            if now is not None and now != self._head:
                yield from self._moved(self._head, now)
        while self._left:
            commit, more = self._left.popleft()
            self._told = commit.id
            yield self._commit(commit, more)
        self._told = self._head

    def _moved(self, old: str | None, new: str) -> Iterator[Told]:
        self._head = new
        try:
            found = git.commits(self.top, old, new, _MOST + 1)
            if not found:
                self._told = new
                yield self._elsewhere(old, new, git.subject(self.top, new))
        except (GitFailed, MissingProgram) as error:
            # There is a commit, whatever git has against telling about it.
            self._told = new
            yield self._elsewhere(old, new, f"({error.message})")
            return
        more = len(found) > _MOST
        self._left.extend((commit, int(more and n == 0)) for n, commit in enumerate(found[-_MOST:]))

    def _commit(self, commit: Commit, more: int) -> Told:
        data = {"repo": self.top, **asdict(commit), "old": None, "new": self._head, "more": bool(more)}
        text = f"{commit.id[:_SHORT]} {one_line(commit.subject)} ({os.path.basename(self.top)})"
        if more:
            text = f"(the last {_MOST} of more) {text}"
        return self._who.tells("commit", text, data)

    def _elsewhere(self, old: str | None, new: str, subject: str) -> Told:
        data = {"repo": self.top, "id": new, "subject": subject, "author": None, "at": None}
        text = f"HEAD went to {new[:_SHORT]} {one_line(subject)} ({os.path.basename(self.top)})"
        return self._who.tells("commit", text, {**data, "old": old, "new": new, "more": False})

    def places(self) -> list[Place]:
        found = git.head_files(self.top)
        return [Place(path, _FOLDER if os.path.isdir(path) else _FILE, "head") for path in found]

    def due(self) -> float | None:
        return None

    def since(self) -> str:
        return "r" + (self._told or "-")[:_SHORT]
