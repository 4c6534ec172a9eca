"""Owns turns that begin and end while a chunk is skimmed: they are counted, and the last alone is put in.

What is looked for is told from what was said by quotes with nothing in front of them, as in ``taking.py``. Must
never count a turn whose end is not a good one, or does not follow its start.
"""

from __future__ import annotations

from .taking import ERROR, SAID, STAMPED, TURN_ID, WINDOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fold import Fold

_ID = 36  # letters of a turn's id
_QUOTE = ord('"')
_END = b"}}"


class Turns:
    """Those of one chunk, until ``settle``."""

    __slots__ = ("_begun", "_count", "_fold", "_last", "_oldest", "_open", "_size", "_thread", "_window")

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._thread: str | None = None
        self._oldest = b""  # no turn of this thread has a lower id
        self._size: int | None = None
        self._window = b""
        self._open = b""  # the id of the one that began last, while it has no end
        self._begun = 0  # where it began
        self._count = 0  # of those that ended
        self._last = (0, 0, b"")  # where the last of those began and ended, and its id

    def begin(self, chunk: bytes, at: int, end: int) -> bool:
        """A ``task_started``; False if it must be looked at by itself. No other may be open."""
        fold = self._fold
        if self._size != fold.usage.size or self._thread != fold.state.thread_id:
            self._size, self._thread = fold.usage.size, fold.state.thread_id
            self._window = b"%b%d" % (WINDOW, self._size or 0)
            self._oldest = (self._thread or "")[:13].encode() if len(self._thread or "") == _ID else b""
        turn = chunk.rfind(TURN_ID, at, end) + len(TURN_ID)
        window = chunk.find(self._window, at, end) + len(self._window)
        name = chunk[turn : turn + _ID]
        if (
            self._open
            or turn < at
            or window < at
            or chunk[window : window + 1].isdigit()
            or chunk.find(_QUOTE, turn, end) != turn + _ID
            or name < self._oldest
            or chunk[end - 2 : end] != _END
            or not chunk.startswith(STAMPED, at)
            or not name.isascii()
            or name.decode() in fold.turns
        ):
            return False
        self._open, self._begun = name, at
        return True

    def end(self, chunk: bytes, at: int, end: int) -> bool | None:
        """A ``task_complete`` with last words of the open turn; None if it must be looked at by itself."""
        turn = chunk.rfind(TURN_ID, at, end) + len(TURN_ID)
        name = chunk[turn : turn + _ID]
        if (
            name != self._open
            or chunk[turn + _ID] != _QUOTE
            or chunk[end - 2 : end] != _END
            or not chunk.startswith(STAMPED, at)
            or chunk.find(SAID, at, end) < 0
            or chunk.find(ERROR, at, end) >= 0
        ):
            return None
        self._fold.turns.add(name.decode())
        self._last = (self._begun, at, name)
        self._count += 1
        self._open = b""
        return True

    def settle(self, chunk: bytes) -> None:
        """Put in what was passed; what the last one said is the caller's."""
        fold = self._fold
        if self._count:
            begun, ended, name = self._last
            state = fold.state
            state.turns_started += self._count
            state.turns_completed += self._count
            state.turn_state, state.turn_id = "completed", name.decode()
            state.turn_started_at, state.turn_ended_at = _stamp(chunk, begun), _stamp(chunk, ended)
            state.turn_error = state.turn_error_info = fold.kept_error = None
            fold.changes += 2 * self._count
            self._count = 0
        if self._open:
            turn, self._open = self._open.decode(), b""
            fold.at = _stamp(chunk, self._begun)
            fold.start_turn(turn, self._size)
            fold.changes += 1


def _stamp(chunk: bytes, at: int) -> str:
    at += len(STAMPED)
    return chunk[at : chunk.find(b'"', at)].decode("ascii", "replace")
