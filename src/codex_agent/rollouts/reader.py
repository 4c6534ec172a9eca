"""Owns the reading of a rollout file: new bytes only, whole lines only, constant memory, little decoding.

Most of a rollout is text that says nothing for the state (instructions, command output, reasoning). What a
line is about stands in its first few hundred bytes, because Codex always writes ``timestamp``, ``ordinal``
(from 0.150 on), ``type``, ``payload`` in this order; so a line is decoded only if it matters. ``"type":"``
with bare quotes cannot occur inside a JSON string, so looking for it cannot be fooled by what a line quotes.

Never writes, never follows a file by its name to another one, never fails on what a line contains.
"""

from __future__ import annotations

import posix as os  # all that is needed of that here, and there is nothing to load
from _io import BytesIO  # the same
from itertools import chain

from .fold import Fold
from .kinds import (
    CALLS,
    EVENT,
    EVENTS,
    GLUED,
    ITEM,
    ITEMS,
    KEEP,
    ODD,
    PLAN,
    PLAN_WITHIN,
    PUT,
    RECORDS,
    RESPONSE,
    SKIP,
    TYPE,
    UNKNOWN,
)
from .plainjson import loads
from .skim import skim

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .state import RolloutState

CHUNK = 256 * 1024  # so much stays in the cache next to the processor until its lines have been looked at
LONGEST_LINE = 64 * 1024 * 1024  # of a line that matters; a longer one is counted as bad
_FROM_START, _FROM_HERE = 0, 1  # of lseek(2)
_HEAD = 96  # bytes in which the first "type" must begin
_DECIDE = 1024  # bytes after which an unfinished line is known to matter or not


class Reader:
    """Follows one rollout.

    ``state`` is what the file says up to the last whole line. ``offset`` counts the bytes read so far (of the
    file as it lies on disk, so of the compressed data for a ``.zst``). ``bad_lines`` are broken,
    ``unknown_lines`` sound but of a kind no version measured writes; both are passed over. ``thread_id`` says
    whose rollout it is, for files that carry a second ``session_meta`` copied from a parent; without it the
    first one decides.
    """

    def __init__(self, path: str, *, thread_id: str | None = None) -> None:
        self.path = path
        self.offset = 0
        self._thread_id = thread_id
        self.file: tuple[int, int] | None = None
        self._seen: tuple[int, int] | None = None
        self._restart()

    def _restart(self) -> None:
        self.offset = 0
        self.unknown_lines = 0
        self._bad = 0
        self.fold = Fold(self._thread_id)
        self._parts: list[bytes] = []  # the beginning of a line whose end is not there yet
        self._size = 0
        self._skipping = False  # the unfinished line does not matter: only its beginning is kept

    @property
    def state(self) -> RolloutState:
        return self.fold.state

    @property
    def bad_lines(self) -> int:
        return self._bad + self.fold.bad

    @property
    def unfinished_bytes(self) -> int:
        """Bytes read of a line whose end is not there yet."""
        return self._size

    def go_on(self, file: tuple[int, int], offset: int, unknown_lines: int, bad: int) -> None:
        """As if everything up to ``offset`` of this file (device, inode) had been read; see ``checkpoint``."""
        self.file, self.offset, self.unknown_lines, self._bad = file, offset, unknown_lines, bad

    def begin_at(self, file: tuple[int, int], offset: int) -> None:
        """Leaves out what stands before ``offset``; the thread's counters go on from there. Raises OSError."""
        from .tail import counted_before  # late: few jobs go on with a thread

        self.go_on(file, offset, 0, 0)
        self.fold.usage.charged = counted_before(self.path, offset)

    def read_new(self) -> bool:
        """Read what was appended since the last call; True if that said anything for the state.

        Records that say nothing move ``state.last_record_at`` alone and give False. A file that was replaced
        or cut is read again from its start. OSError if it cannot be read, FileNotFoundError if it is gone
        (``codex archive`` moves it: ``find`` again).
        """
        before = self.fold.changes
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            file = (status.st_dev, status.st_ino)
            packed = self.path.endswith(".zst")
            seen = (status.st_size, status.st_mtime_ns)
            again = self.file not in (None, file) or status.st_size < self.offset
            again = again or (packed and seen != self._seen)
            if again:
                self._restart()
            self.file, self._seen = file, seen
            if packed:
                self._read_packed(fd, status.st_size)
            else:
                os.lseek(fd, self.offset, _FROM_START)
                while chunk := os.read(fd, CHUNK):
                    self.offset += len(chunk)
                    self._feed(chunk)
                    # A line that goes on in the next chunk is read with it again, so that it is in one piece.
                    if len(chunk) == CHUNK and 0 < self._size < CHUNK // 2 and len(self._parts) == 1:
                        self.offset = os.lseek(fd, -self._size, _FROM_HERE)
                        self._parts, self._size, self._skipping = [], 0, False
                    if len(chunk) == CHUNK and not self._parts and not self.fold.run.loose:
                        self._lines(chain.from_iterable(self._spans(fd)))
        finally:
            os.close(fd)
        self.fold.settle()
        return again or self.fold.changes != before

    def _read_packed(self, fd: int, size: int) -> None:
        if self.offset == size:
            return
        try:
            import zstandard
        except ImportError as error:
            from ..errors import MissingProgram

            raise MissingProgram(
                f"{self.path} is compressed and the Python package zstandard is not there.",
                "Install codex-agent with its dependencies, or unpack the file with `zstd -d`.",
            ) from error
        with open(fd, "rb", buffering=0, closefd=False) as raw:
            unpacker: Any = zstandard.ZstdDecompressor()
            stream = unpacker.stream_reader(raw, read_size=CHUNK)
            try:
                while chunk := stream.read(CHUNK):
                    self._feed(chunk)
            except zstandard.ZstdError:
                self._bad += 1  # cut or damaged: what came before stands
        self.offset = size

    def _feed(self, chunk: bytes) -> None:
        begin = 0
        if self._parts:
            end = chunk.find(b"\n")
            if end < 0:
                self._grow(chunk)
                return
            self._grow(chunk[:end])
            self._finish()
            begin = end + 1
        end = chunk.rfind(b"\n", begin) + 1
        if end > begin:
            lines = BytesIO(chunk)
            lines.seek(begin)
            self._lines(lines, chunk)
            self._stamp_last(chunk, begin, end)
        if max(begin, end) < len(chunk):
            self._grow(chunk[max(begin, end) :])

    def _spans(self, fd: int) -> Iterator[BytesIO]:
        """The lines of chunk after chunk; the last of each has no end, and is read again with the next.

        Up to the last chunk of the file, one with a long line in it, one that cannot be read, or an older Codex's:
        that is left.
        """
        last = b""
        while not self.fold.run.loose:
            try:
                chunk = os.read(fd, CHUNK)
            except OSError:
                break  # what was read is put in first; whoever reads on is told
            end = chunk.rfind(b"\n") + 1 if len(chunk) == CHUNK else 0
            if end < CHUNK // 2:
                os.lseek(fd, -len(chunk), _FROM_HERE)
                break
            os.lseek(fd, end - CHUNK, _FROM_HERE)
            self.offset += end
            last = chunk
            yield BytesIO(chunk)  # gives lines in half the time that a search for each one's end takes
        if last:
            self._stamp_last(last, 0, last.rfind(b"\n") + 1)

    def _lines(self, lines: Iterator[bytes], chunk: bytes | None = None) -> None:
        """All of them but those without an end. ``chunk``: what they are the lines of."""
        fold = self.fold
        sound: bool | None = None if chunk is not None else False
        line = b" "
        while line:
            if fold.run.loose and sound is None and chunk is not None:
                sound = _begins_each_line(chunk)
            plain = fold.plain and (sound or not fold.run.loose)
            line = skim(fold, lines) if plain else next(lines, b"")
            if line.endswith(b"\n"):
                self._line(line[:-1])

    def _stamp_last(self, chunk: bytes, begin: int, end: int) -> None:
        """The time of the last line before ``end``."""
        self._stamp(chunk, max(chunk.rfind(b"\n", begin, end - 1) + 1, begin))

    def _stamp(self, data: bytes, at: int) -> None:
        end = data.find(b'"', at + 14, at + 64)
        if end > 0 and data.startswith(b'{"timestamp":"', at):
            self.fold.state.last_record_at = data[at + 14 : end].decode("ascii", "replace")

    # -- lines that come in pieces

    def _grow(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._skipping:
            return
        self._parts.append(piece)
        if self._size < _DECIDE:
            return
        if len(self._parts) > 1 and self._size - len(piece) < _DECIDE:
            self._parts = [b"".join(self._parts)]
        head = self._parts[0]
        if len(self._parts) == 1:
            kind = head.find(TYPE, 0, _HEAD) + 8
            what = self._weigh(head, kind, whole=False)[0] if kind >= 8 else ODD
            self._skipping = what in (SKIP, UNKNOWN)
        elif self._size > LONGEST_LINE:
            self._skipping = True
            self._bad += 1
        if self._skipping:
            self._parts = [head[:_DECIDE]]

    def _finish(self) -> None:
        line = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        skipped = self._skipping
        self._parts, self._size, self._skipping = [], 0, False
        if skipped:
            kind = line.find(TYPE, 0, _HEAD) + 8
            if self._weigh(line, kind, whole=False)[0] == UNKNOWN:
                self.unknown_lines += 1
        else:
            self._line(line)
        self._stamp(line, 0)

    # -- what a line is

    def _line(self, line: bytes) -> None:
        """One whole line, without its end."""
        fold = self.fold
        kind = line.find(TYPE, 0, _HEAD) + 8
        usual = kind >= 8 and line.startswith(b'{"timestamp":"')
        ordinal = line.find(b'"ordinal":', 0, kind) if usual else -1
        if ordinal < 0:
            # To 0.133 Codex appends to a line that a crash had torn: the sound record begins in its middle.
            glued = line.find(GLUED, 1)
            if glued >= 0:
                self._bad += 1
                self._line(line[glued:])
                return
        if usual:
            fold.run.place, fold.run.loose = kind - 8, ordinal < 0
        if fold.own_from and ordinal >= 0:
            if 0 < _ordinal(line, ordinal + 10) < fold.own_from:
                return
            if _ordinal(line, ordinal + 10) >= fold.own_from:
                fold.own_from = 0
        if not usual:
            self._odd(line)
            return
        what, name = self._weigh(line, kind, whole=True)
        if what == PUT:
            fold.put(name, line)
        elif what == KEEP:
            fold.keep(name, line)
        elif what == UNKNOWN:
            self.unknown_lines += 1
        elif what == ODD:
            self._odd(line)

    def _weigh(self, data: bytes, kind: int, *, whole: bool) -> tuple[int, bytes]:
        """What to do with a line, and the word for what it is; ``whole``: all of it is in ``data``."""
        end = len(data)
        if data.startswith(EVENT, kind):
            start = kind + len(EVENT)
            name = data[start : data.find(b'"', start, start + 64)]
            if name != b"item_completed":
                return EVENTS.get(name, UNKNOWN), name
            start = data.find(ITEM, start, min(end, start + 600)) + len(ITEM)
            if start < len(ITEM):
                return ODD, b""
            name = data[start : data.find(b'"', start, start + 64)]
            # Versions that record no file changes may record a plan as an item.
            self.fold.has_items = self.fold.has_items or name != b"Plan"
            return ITEMS.get(name, SKIP), name
        if data.startswith(RESPONSE, kind):
            if data.find(PLAN, kind, min(end, kind + PLAN_WITHIN)) >= 0:
                return PUT, b"call"
            if self.fold.passes_calls:
                return SKIP, b""
            start = kind + len(RESPONSE)
            name = data[start : data.find(b'"', start, start + 64)]
            if name in CALLS:
                matters = not self.fold.has_items and (not whole or data.find(b"apply_patch", start, end) >= 0)
                return (PUT if matters else SKIP), b"call"
            matters = name.endswith(b"_output") and self.fold.awaits_output
            return (PUT if matters else SKIP), b"output"
        name = data[kind : data.find(b'"', kind, kind + 64)]
        if name in (b"event_msg", b"response_item"):
            return ODD, b""
        return RECORDS.get(name, UNKNOWN), name

    def _odd(self, line: bytes) -> None:
        """A line that does not begin as Codex's do: broken, or a version that orders its keys otherwise."""
        if not line.strip():
            return
        try:
            record = loads(line.decode())
        except (ValueError, RecursionError):
            self._bad += 1
            return
        payload = record.get("payload") if isinstance(record, dict) else None
        if not isinstance(payload, dict):
            self.unknown_lines += 1
            return
        # Put into the usual order, so that there is one way of telling what a line is.
        item = payload.get("item")
        if isinstance(item, dict):
            payload["item"] = _first("type", item)
        usual = {
            "timestamp": record.get("timestamp"),
            "type": record.get("type"),
            "payload": _first("type", _first("name", payload)),
        }
        from json import dumps  # late: no Codex writes such lines

        text = dumps(usual, separators=(",", ":")).encode()
        what, name = self._weigh(text, text.find(TYPE) + 8, whole=True)
        if what == PUT:
            self.fold.put(name, text)
        elif what == KEEP:
            self.fold.keep(name, text)
        elif what != SKIP:
            self.unknown_lines += 1


def _begins_each_line(chunk: bytes) -> bool:
    """Whether no record begins in the middle of a line, as when half a line stood there and Codex went on."""
    return chunk.count(GLUED) == chunk.count(b"\n" + GLUED) + chunk.startswith(GLUED)


def _first(key: str, of: dict[str, Any]) -> dict[str, Any]:
    return {key: of[key], **of} if key in of else of


def _ordinal(data: bytes, at: int) -> int:
    digits = data[at : data.find(b",", at, at + 20)]
    return int(digits) if digits.isdigit() else 0
