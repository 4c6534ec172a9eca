"""Owns turns that begin and end while lines are skimmed: they are counted, and the last alone is put in.

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
_END = b"}}\n"


class Turns:
    """Those of some lines, until ``settle``."""

    __slots__ = (
        "_begun",
        "_ended",
        "_fold",
        "_last",
        "_oldest",
        "_open",
        "_size",
        "_started",
        "_thread",
        "_window",
    )

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._thread: str | None = None
        self._oldest = b""  # no turn of this thread has a lower id
        self._size: int | None = None
        self._window = b""
        self._open = b""  # the id of the one that began last, while it has no end
        self._begun = b""  # the line that says so
        self._started = self._ended = 0  # how many ended, and how many of these began in these lines too
        self._last = (b"", b"", b"")  # the lines in which the last of those began and ended, and its id

    def begin(self, line: bytes) -> bool:
        """A ``task_started``; False if it must be looked at by itself. No other may be open."""
        fold = self._fold
        if self._size != fold.usage.size or self._thread != fold.state.thread_id:
            self._size, self._thread = fold.usage.size, fold.state.thread_id
            self._window = b"%b%d" % (WINDOW, self._size or 0)
            self._oldest = (self._thread or "")[:13].encode() if len(self._thread or "") == _ID else b""
        turn, window, rest = fold.run.start
        if not rest or line[window:] != rest or line[turn - len(TURN_ID) : turn] != TURN_ID:
            turn = line.rfind(TURN_ID) + len(TURN_ID)
            window = line.find(self._window)
            rest = line[window:]
            if (
                turn < len(TURN_ID)
                or window <= turn + _ID
                or rest[len(self._window) : len(self._window) + 1].isdigit()
                or not rest.endswith(_END)
            ):
                return False
            fold.run.start = turn, window, rest
        name = line[turn : turn + _ID]
        if (
            self._open
            or line[turn + _ID] != _QUOTE
            or b'"' in name
            or name < self._oldest
            or not rest.startswith(self._window)
            or line[: len(STAMPED)] != STAMPED
            or not name.isascii()
            or name.decode() in fold.turns
        ):
            return False
        self._open, self._begun = name, line
        return True

    def end(self, line: bytes) -> bool:
        """A ``task_complete`` with last words of the open turn; False if it must be looked at by itself."""
        turn = line.rfind(TURN_ID) + len(TURN_ID)
        name = line[turn : turn + _ID]
        if (
            not self._is_open(name)
            or not line.endswith(_END)
            or line[turn + _ID] != _QUOTE
            or line[: len(STAMPED)] != STAMPED
            or line.find(SAID) < 0
            or line.find(ERROR) >= 0
        ):
            return False
        self._fold.turns.add(name.decode())
        self._last = (self._begun, line, name)
        self._started += bool(self._begun)
        self._ended += 1
        self._open = self._begun = b""
        return True

    def _is_open(self, name: bytes) -> bool:
        if self._open or self._ended:
            return name == self._open
        # Perhaps it began before these lines.
        state = self._fold.state
        return state.turn_state == "open" and name.isascii() and name.decode() == state.turn_id

    def settle(self) -> None:
        """Put in what was passed; what the last one said is the caller's."""
        fold = self._fold
        if self._ended:
            begun, ended, name = self._last
            state = fold.state
            state.turns_started += self._started
            state.turns_completed += self._ended
            state.turn_state, state.turn_id = "completed", name.decode()
            state.turn_ended_at = _stamp(ended)
            if begun:
                state.turn_started_at = _stamp(begun)
                state.turn_error = state.turn_error_info = fold.kept_error = None
            fold.changes += self._started + self._ended
            self._started = self._ended = 0
        if self._open:
            turn, self._open = self._open.decode(), b""
            fold.at = _stamp(self._begun)
            self._begun = b""
            fold.start_turn(turn, self._size)
            fold.changes += 1


def _stamp(line: bytes) -> str:
    return line[len(STAMPED) : line.find(b'"', len(STAMPED))].decode("ascii", "replace")
