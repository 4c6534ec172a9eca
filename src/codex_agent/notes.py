"""Owns the notes that reviewers make about an agent's work: ``notes/<thread or job id>.jsonl`` below our home.

One line a note, only ever appended, each durable before the command returns. Kept apart from the jobs, since a
thread outlives its job: ``clean`` and ``delete`` leave them. Must never write to a job's files or to Codex's.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import get_args

from codex_agent.errors import StoreUnwritable
from codex_agent.model import stamp
from codex_agent.work_answers import Note, NoteKind

_KEY = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{8}")
_PATIENCE_S, _LOOK_S = 10.0, 0.01
_KINDS = frozenset(get_args(NoteKind))


class NoteBook:
    """The notes below one home. Cheap to make; creates nothing until something is noted."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.folder = os.path.join(home, "notes")

    def path(self, key: str) -> str:
        """The file of a thread's or a job's notes; it need not exist. ``key`` is a whole id."""
        return os.path.join(self.folder, f"{key}.jsonl")

    def has(self, key: str) -> bool:
        """Whether anything was noted under this id; False for what is no id."""
        return bool(_KEY.fullmatch(key)) and os.path.exists(self.path(key))

    def read(self, *keys: str | None) -> tuple[list[Note], int]:
        """What was noted under any of these ids, oldest first, and how many lines could not be read.

        Notes of one moment stand in the order of the ids.
        """
        found: list[Note] = []
        bad = 0
        for key in dict.fromkeys(keys):
            if key is None:
                continue
            try:
                with open(self.path(key), "rb") as file:
                    lines = file.read().split(b"\n")
            except FileNotFoundError:
                continue
            lines.pop()  # empty; or a line that is just being written
            for line in lines:
                note = _note(line)
                bad += note is None
                found += [] if note is None else [note]
        found.sort(key=lambda note: note.at)
        return found, bad

    def add(
        self, key: str, kind: NoteKind, text: str, *, job_id: str | None = None, resolves: str | None = None
    ) -> Note:
        """Appends a note and returns it once it is on disk. Raises StoreUnwritable, and then nothing was added."""
        text = text.encode("utf-8", "replace").decode()
        note = Note(os.urandom(4).hex(), stamp(), kind, text, resolves, job_id)
        line = json.dumps(asdict(note), ensure_ascii=False).encode() + b"\n"
        target = self.path(key)
        try:
            os.makedirs(self.home, mode=0o700, exist_ok=True)
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            new = not os.path.exists(target)
            handle = os.open(target, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                with _locked(handle, target):
                    _append(handle, line)
            finally:
                os.close(handle)
            if new:
                _sync_folder(self.folder)
        except OSError as error:
            raise _unwritable(target, error) from error
        return note


def _append(handle: int, line: bytes) -> None:
    """All of the line or nothing: a full disk takes a part of it, and that part is taken back."""
    size = os.fstat(handle).st_size
    # Somebody was killed in the middle of a line: ours must not become a part of it.
    if size and os.pread(handle, 1, size - 1) != b"\n":
        line = b"\n" + line
    try:
        view = memoryview(line)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(handle, size)
        raise


@contextlib.contextmanager
def _locked(handle: int, path: str) -> Iterator[None]:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise StoreUnwritable(
                    f"Another codex-agent does not let go of {path}.",
                    "It may be stopped (Ctrl-Z): end or continue it, then try again.",
                    path=path,
                ) from None
            time.sleep(_LOOK_S)
    try:
        yield
    finally:
        fcntl.flock(handle, fcntl.LOCK_UN)


def _sync_folder(folder: str) -> None:
    """The name of a new file lasts once its folder is on disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _note(line: bytes) -> Note | None:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict):
        return None
    words = [data.get(key) for key in ("id", "at", "kind", "text")]
    more = [data.get(key) for key in ("resolves", "job_id")]
    if not all(isinstance(word, str) for word in words) or data["kind"] not in _KINDS:
        return None
    if not all(word is None or isinstance(word, str) for word in more):
        return None
    return Note(data["id"], data["at"], data["kind"], data["text"], *more)


def _unwritable(path: str, error: OSError) -> StoreUnwritable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "The disk is full: make room, then note it again; nothing of it was kept."
    else:
        hint = "Check who owns the folder and its mode, or set CODEX_AGENT_HOME to one that can be written."
    return StoreUnwritable(f"Cannot write {path}: {error.strerror or error}.", hint, path=path)
