"""Owns opening one of Codex's SQLite files without leaving a trace.

They are in WAL mode (0.125.0 to 0.169.0). A read-only connection there makes a `-shm` file if there is none (seen
with SQLite 3.40, Codex 0.163.0), and one that is told that nothing changes (`immutable`) does not see the log.
So: with a `-shm`, some Codex uses the database (or was killed), and it is read in place; without one nobody does,
and if there is a log beside it, both are copied and the copy is read.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_BUSY_S = 0.5


class Unreadable(Exception):
    """A database is there and cannot be read, or is not laid out as any Codex known lays it out."""


def newest(codex_home: str, stem: str) -> str | None:
    """The database `<stem>_<number>.sqlite` with the highest number; None if this Codex has none."""
    best: tuple[int, str] | None = None
    try:
        names = os.listdir(codex_home)
    except OSError:
        return None
    for name in names:
        found = re.fullmatch(rf"{stem}_(\d+)\.sqlite", name)
        if found and (best is None or int(found[1]) > best[0]):
            best = (int(found[1]), name)
    return None if best is None else os.path.join(codex_home, best[1])


@contextlib.contextmanager
def reading(path: str) -> Iterator[sqlite3.Connection]:
    """A connection that reads. Raises Unreadable for whatever SQLite has against it, also inside the block."""
    import sqlite3

    try:
        with contextlib.ExitStack() as stack:
            # Otherwise SQLite writes into the `-shm`, of a dead Codex as of a living one (3.40, seen).
            uri = _uri(path, "mode=ro&readonly_shm=1")
            if not os.path.exists(path + "-shm"):
                if _size(path + "-wal"):
                    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="codex-agent-"))
                    path = _copied(path, folder)
                    uri = _uri(path, "mode=ro")
                else:
                    uri = _uri(path, "mode=ro&immutable=1")
            connection = stack.enter_context(contextlib.closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_S)))
            connection.row_factory = sqlite3.Row
            yield connection
    except (sqlite3.Error, OSError) as error:
        raise Unreadable(f"{os.path.basename(path)}: {error}") from error


def _uri(path: str, options: str) -> str:
    from urllib.parse import quote

    return f"file:{quote(path)}?{options}"


def _copied(path: str, folder: str) -> str:
    """A copy of a database that nobody uses, with its log."""
    copy = os.path.join(folder, os.path.basename(path))
    for suffix in ("", "-wal"):
        shutil.copyfile(path + suffix, copy + suffix)
    return copy


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except FileNotFoundError:
        return 0
