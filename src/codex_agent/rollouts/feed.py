"""Owns the following of one thread's rollout: whole lines, each once, as they are written and wherever they go.

The file may grow, end in a torn line, be moved (``codex archive``), packed or unpacked, cut, or be followed by a
new one of the same thread. Whether a file is the one that was read is told by the bytes before the place that was
reached, not by its name. Never writes, never looks at what a line says but for its time.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator

from .conversation import Conversation
from .files import Damaged, opened
from .locate import find
from .tail import end_of

_CHUNK = 256 * 1024
LONGEST_LINE = 64 * 1024 * 1024  # of a longer one nothing is given
_BEGINNING = 1 << 20  # of a file, that says how this Codex writes
_MARK = 96  # bytes before the place reached by which a file is known again
_STAMP = b'{"timestamp":"'


class Feed:
    """The lines of one thread.

    ``path`` is where its rollout lies, None while there is none. ``offset`` counts the bytes given so far, up to
    the end of the last line that was given, in the unpacked file. ``skipped`` counts lines that were too long.
    """

    def __init__(self, codex_home: str, thread_id: str, path: str | None = None) -> None:
        self.path = path
        self.offset = 0
        self.skipped = 0
        self.last_at = ""
        """The time of the last line given, as Codex wrote it; empty if none was."""
        self._home, self._thread = codex_home, thread_id
        self._mark = b""  # what stands right before ``offset``
        self._pending = bytearray()  # of a line whose end is not there yet
        self._skipping = False
        self._file: tuple[int, int] | None = None
        self._seen: tuple[int, int, int] | None = None
        self._after = ""  # of a file that is read anew: only what is later than this

    def begin(self, offset: int | None = None) -> None:
        """Go on from there (as ``offset`` was before), or from the end. OSError if the file cannot be read.

        From the end too if there is no such place in the file any more.
        """
        if not self._there() or self.path is None:
            return
        if offset is not None:
            with contextlib.suppress(Damaged), opened(self.path) as file:
                start = max(0, offset - _MARK)
                _pass(file, start)
                mark = file.read(offset - start)
                if len(mark) == offset - start and (not mark or mark.endswith(b"\n")):
                    self.offset, self._mark = offset, mark
                    return
        self._to_the_end()

    def lines(self) -> Iterator[bytes]:
        """What is new, with line ends. Who stops in the middle gets the rest the next time.

        Nothing if there is no file (now). OSError if it is there and cannot be read.
        """
        while True:
            try:
                if self._there():
                    yield from self._new()
                return
            except FileNotFoundError:  # gone since we looked for it
                self.path = None

    def look_again(self) -> bool:
        """Whether the thread has another file now than the one that is read; ``lines`` then reads that."""
        found = find(self._home, self._thread)
        if found is None or found == self.path:
            return False
        self.path, self._seen = found, None
        return True

    def _there(self) -> bool:
        """Whether there is a file; found anew if it is not where it was."""
        if self.path is not None and os.path.exists(self.path):
            return True
        self.path, self._seen = find(self._home, self._thread), None
        return self.path is not None

    def _new(self) -> Iterator[bytes]:
        path = self.path
        assert path is not None
        status = os.stat(path)
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen == self._seen and not self._pending and path.endswith(".zst"):
            return
        done = False
        try:
            if self._file != (status.st_dev, status.st_ino) or status.st_size < self.offset:
                self._recognise(path)
            self._file = (status.st_dev, status.st_ino)
            with opened(path) as file:
                _pass(file, self.offset + len(self._pending))
                yield from self._split(file)
            done = True
        except Damaged:  # cut: what came before stands
            done = True
        finally:
            if done:
                self._seen = seen
            else:
                self._pending.clear()

    def _recognise(self, path: str) -> None:
        """Is this what was read before (moved, packed, unpacked)? If not, it is read from its beginning."""
        self._pending.clear()
        self._skipping = False
        if self.offset == 0:
            return
        with opened(path) as file:
            _pass(file, self.offset - len(self._mark))
            found = file.read(len(self._mark))
        if found != self._mark:
            self.offset, self._mark, self._after = 0, b"", self.last_at

    def _split(self, file: io.BufferedIOBase) -> Iterator[bytes]:
        while chunk := file.read(_CHUNK):
            at = 0
            while (end := chunk.find(b"\n", at)) >= 0:
                line = bytes(self._pending) + chunk[at : end + 1] if self._pending else chunk[at : end + 1]
                at = end + 1
                self._pending.clear()
                if self._skipping:
                    # Its beginning was let go of, and with it how long it is: the offset was kept up to date.
                    self._skipping = False
                    self.offset += len(line)
                    self._mark = line[-_MARK:]
                    self.skipped += 1
                    continue
                self.offset += len(line)
                self._mark = line[-_MARK:]
                if self._is_new(line):
                    yield line
            rest = chunk[at:]
            self._pending += rest
            if len(self._pending) > LONGEST_LINE or self._skipping:
                self._skipping = True
                self.offset += len(self._pending)
                self._mark = bytes(self._pending[-_MARK:])
                self._pending.clear()

    def _is_new(self, line: bytes) -> bool:
        if not line.startswith(_STAMP):
            return not self._after
        stamp = line[len(_STAMP) : line.find(b'"', len(_STAMP), 64)].decode("ascii", "replace")
        if self._after:
            if stamp <= self._after:
                return False
            self._after = ""
        self.last_at = stamp
        return True

    def _to_the_end(self) -> None:
        """Behind the last whole line."""
        assert self.path is not None
        with contextlib.suppress(Damaged), opened(self.path) as file:
            if not file.seekable():
                for _ in self._split(file):
                    pass
                return
            end = file.seek(0, os.SEEK_END)
            while end > 0:
                start = max(0, end - _CHUNK)
                file.seek(start)
                chunk = file.read(end - start)
                cut = chunk.rfind(b"\n")
                if cut >= 0:
                    self.offset = start + cut + 1
                    file.seek(max(0, self.offset - _MARK))
                    self._mark = file.read(min(_MARK, self.offset))
                    before = chunk.rfind(b"\n", 0, cut)
                    self._is_new(chunk[before + 1 : cut])
                    return
                end = start


def _pass(file: io.BufferedIOBase, count: int) -> None:
    """From its beginning to this place in it."""
    if file.seekable():
        file.seek(count)
        return
    while count > 0 and (chunk := file.read(min(count, _CHUNK))):
        count -= len(chunk)


def joined(path: str, thread_id: str, offset: int, *, whole: bool = False) -> Conversation:
    """A conversation that can be handed the lines behind ``offset``, though most of what was before is not read.

    What matters of that: how this Codex writes (the beginning tells) and, if there is nothing behind, how the last
    turn stands (the end tells). OSError if the file cannot be read.
    """
    conversation = Conversation(thread_id, whole=whole)
    at = 0
    with contextlib.suppress(Damaged), opened(path) as file:
        while at < min(offset, _BEGINNING) and (line := file.readline(_BEGINNING)).endswith(b"\n"):
            at += len(line)
            if at > offset or any(entry.kind == "user" for entry in conversation.line(line)):
                break
    if offset == 0:
        return Conversation(thread_id, whole=whole)
    conversation.open_calls.clear()
    conversation.state.approval = None  # it is the first turn's; the others may have another
    state, end = conversation.state, end_of(path)
    if at < offset and os.path.getsize(path) == offset:
        state.turn_state, state.turn_id = end.turn, end.turn_id
        conversation.open_calls.update(str(call.payload.get("call_id")) for call in end.calls)
    return conversation
