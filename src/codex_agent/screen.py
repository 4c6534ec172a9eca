"""Owns turning what was written to a terminal into the text it would show: a small terminal, without a picture.

A line that holds only text and colors comes out as it is, tabs and all. Where the cursor was moved, what counts is
what stands there in the end, as on a real one (tests/test_screen.py compares with tmux). Unlike a real one it has
no right edge, and an unfinished sequence ends with its line, so that nothing is swallowed. The alternate screen is
not told apart. Never fails on what it is given; memory is that of the lines on the screen.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from unicodedata import category, east_asian_width

HEIGHT = 50  # of our panes (tmux.LINES): how far above the cursor a line can still change
_EDGE = 180  # columns the cursor can be sent to where nothing was written yet
_LONGEST = 1 << 20  # characters of an unfinished line that are waited for
# ECMA-48: a control sequence, a control string, an escape sequence, a control character, text.
_TOKEN = re.compile(
    r"\x1b\[(?P<values>[0-?]*)(?P<between>[ -/]*)(?P<final>[@-~]?)"
    r"|\x1b[]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"
    r"|\x1b(?:[ -/]+[0-~]?|(?P<escape>[0-~]?))"
    r"|(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|(?P<control>.)",
    re.DOTALL,
)
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
_SIMPLE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f-\x9f]*(?:\x1b\[[0-9;:]*m[^\x00-\x08\x0b-\x1f\x7f-\x9f]*)*")


def clean(pieces: Iterable[str], height: int = HEIGHT) -> Iterator[str]:
    """What a terminal of this height would show of these pieces of text, as pieces of whole lines.

    With a height of 1 each line is told as soon as the next one begins; a cursor that goes up stays where it is.
    """
    screen = Screen(height)
    for piece in pieces:
        if told := screen.feed(piece):
            yield told
    if told := screen.close():
        yield told


class Screen:
    """A terminal that is fed text and tells each line once it has left the top."""

    def __init__(self, height: int = HEIGHT) -> None:
        self._height = height
        # A line is its text, or, once it was written into, its cells: a wide character and an empty one beside it.
        self._rows: list[str | list[str]] = [""]
        self._y = self._x = 0
        self._saved = (0, 0)
        self._top, self._bottom = 0, height - 1  # of what scrolls
        self._gone: list[str] = []
        self._begun = ""

    def feed(self, text: str) -> str:
        """Takes more text; returns the lines that have left the screen, each with its end."""
        whole, _, rest = text.rpartition("\n")
        if not whole and "\n" not in text:
            self._begun += rest
            if len(self._begun) > _LONGEST:
                self._line(self._begun)
                self._begun = ""
            return ""
        whole = f"{self._begun}{whole}\n".replace("\r\n", "\n")[:-1]
        self._begun = rest
        if self._fresh() and _SIMPLE.fullmatch(whole):
            self._rows[-1:] = [*_COLOR.sub("", whole).split("\n"), ""]
            over = max(0, len(self._rows) - self._height)
            self._gone += map(_shown, self._rows[:over])
            del self._rows[:over]
            self._y = len(self._rows) - 1
        else:
            for line in whole.split("\n"):
                self._line(line)
                self._down()
                self._x = 0
        told = "".join(f"{line}\n" for line in self._gone)
        self._gone.clear()
        return told

    def close(self) -> str:
        """No more text comes: what is left on the screen, to the last line anything was written to."""
        self._line(self._begun)
        while len(self._rows) > self._y + 1 and not _shown(self._rows[-1]):
            self._rows.pop()
        return "\n".join([*self._gone, *map(_shown, self._rows)])

    def _fresh(self) -> bool:
        """Whether the cursor is at the beginning of the last line, and that one is empty."""
        last = self._x == 0 and self._y == len(self._rows) - 1 and not self._rows[-1]
        return last and self._top == 0 and self._bottom == self._height - 1

    def _line(self, line: str) -> None:
        if self._fresh() and _SIMPLE.fullmatch(line):
            self._rows[-1] = _COLOR.sub("", line)
            self._x = len(self._rows[-1])
            return
        for token in _TOKEN.finditer(line):
            if token["text"]:
                self._write(token["text"])
            elif token["control"]:
                self._control(token["control"])
            elif token["final"]:
                if not token["between"]:
                    self._sequence(token["final"], token["values"])
            elif token["escape"]:
                self._escape(token["escape"])

    # -- where the cursor goes

    def _control(self, char: str) -> None:
        if char == "\r":
            self._x = 0
        elif char == "\b":
            self._x = max(0, self._x - 1)
        elif char == "\t":
            self._x += 8 - self._x % 8
        elif char in "\v\f":
            self._down()

    def _escape(self, char: str) -> None:
        if char == "7":
            self._saved = (self._y, self._x)
        elif char == "8":
            self._y, self._x = self._saved
        elif char in "DE":
            self._down()
            self._x = self._x if char == "D" else 0
        elif char == "M":
            if self._y == self._top:
                self._scroll_down(self._top, 1)
            else:
                self._y = max(0, self._y - 1)
        elif char == "c":
            self._top, self._bottom = 0, self._height - 1
            self._clear(2)
            self._y = self._x = 0

    def _sequence(self, final: str, values: str) -> None:
        if values[:1] in ("<", "=", ">", "?"):
            return  # a mode, or a question to the terminal
        given = [int(value[:6]) if value.isdecimal() else 0 for value in values.split(";")]
        first = given[0]
        count = max(1, first)
        match final:
            case "A" | "F":  # not out of the part that scrolls
                end = self._top if self._y >= self._top else 0
                self._to(max(end, self._y - count), 0 if final == "F" else self._x)
            case "B" | "E":
                end = self._bottom if self._y <= self._bottom else self._height - 1
                self._to(min(end, self._y + count), 0 if final == "E" else self._x)
            case "C":
                self._to(self._y, self._x + count)
            case "D":
                self._to(self._y, self._x - count)
            case "G" | "`":
                self._to(self._y, count - 1)
            case "d":
                self._to(count - 1, self._x)
            case "H" | "f":
                self._to(count - 1, max(1, given[1] if len(given) > 1 else 1) - 1)
            case "J" if first <= 2:
                self._clear(first)
            case "K" if first <= 2:
                self._erase(self._y, first)
            case "L" | "M" if self._top <= self._y <= self._bottom:
                for _ in range(min(count, self._height)):
                    if final == "L":
                        self._scroll_down(self._y, 1)
                    else:
                        self._take(self._y)
            case "S" | "T":
                for _ in range(min(count, self._bottom - self._top + 1)):
                    if final == "S":
                        self._scroll_up()
                    else:
                        self._scroll_down(self._top, 1)
            case "P" | "@" | "X":
                self._shift(final, count)
            case "r":
                bottom = min((given[1] if len(given) > 1 else 0) or self._height, self._height) - 1
                if count - 1 < bottom:
                    self._top, self._bottom = count - 1, bottom
                    self._to(0, 0)
            case "s":
                self._saved = (self._y, self._x)
            case "u":
                self._y, self._x = self._saved

    def _to(self, y: int, x: int) -> None:
        self._y = min(max(0, y), self._height - 1)
        written = len(self._cells(self._y)) if x >= _EDGE and self._y < len(self._rows) else 0
        self._x = min(max(0, x), max(written, _EDGE - 1))

    def _down(self) -> None:
        """The next line; at the bottom the screen scrolls."""
        if self._y == self._bottom:
            self._scroll_up()
        else:
            self._y = min(self._y + 1, self._height - 1)
        self._reach(self._y)

    def _reach(self, y: int) -> None:
        self._rows += [""] * (y + 1 - len(self._rows))

    def _scroll_up(self) -> None:
        self._reach(self._bottom)
        self._gone.append(_shown(self._rows.pop(self._top)))  # as tmux does, whatever the part that scrolls
        self._rows.insert(self._bottom, "")

    def _scroll_down(self, top: int, count: int) -> None:
        self._reach(top)
        for _ in range(count):
            self._rows.insert(top, "")
            del self._rows[self._bottom + 1 : self._bottom + 2]

    def _take(self, y: int) -> None:
        self._reach(self._bottom)
        del self._rows[y]
        self._rows.insert(self._bottom, "")

    # -- what is written and erased

    def _cells(self, y: int) -> list[str]:
        self._reach(y)
        row = self._rows[y]
        if isinstance(row, str):
            cells: list[str] = []
            for char in row.expandtabs():
                _put(cells, len(cells), char)
            self._rows[y] = row = cells
        return row

    def _write(self, text: str) -> None:
        cells = self._cells(self._y)
        if len(cells) < self._x:
            cells += " " * (self._x - len(cells))
        if text.isascii():
            end = self._x + len(text)
            _split(cells, self._x)
            _split(cells, end)
            cells[self._x : end] = text
            self._x = end
        else:
            for char in text:
                self._x = _put(cells, self._x, char)

    def _erase(self, y: int, how: int) -> None:
        """0: from the cursor to the line's end; 1: from its beginning to the cursor; 2: all of it."""
        if y >= len(self._rows):
            return
        cells = self._cells(y)
        start = 0 if how else self._x
        end = self._x + 1 if how == 1 else len(cells)
        _split(cells, start)
        _split(cells, end)
        if end >= len(cells):
            del cells[start:]
        else:
            cells[start:end] = " " * (end - start)

    def _clear(self, how: int) -> None:
        """0: from the cursor on; 1: up to it; 2: all. A whole screen goes where it can still be read."""
        if how == 2 or (how == 0 and self._y == self._x == 0):
            while self._rows and not _shown(self._rows[-1]).strip():
                self._rows.pop()
            self._gone += map(_shown, self._rows)
            self._rows = [""]
            self._reach(self._y)
            return
        self._erase(self._y, how)
        if how == 0:
            del self._rows[self._y + 1 :]
        elif how == 1:
            for y in range(min(self._y, len(self._rows))):
                self._rows[y] = ""

    def _shift(self, final: str, count: int) -> None:
        cells = self._cells(self._y)
        end = self._x + min(count, max(0, len(cells) - self._x))
        _split(cells, self._x)
        _split(cells, end)
        if final == "P":
            del cells[self._x : end]
        elif final == "X":
            cells[self._x : end] = " " * (end - self._x)
        elif self._x < len(cells):
            cells[self._x : self._x] = " " * min(count, _EDGE)


def _put(cells: list[str], x: int, char: str) -> int:
    """Writes one character at ``x``, where the line reaches at least; returns where the next one goes."""
    if category(char) in ("Mn", "Me", "Cf"):  # belongs to the one before
        if x > 0:
            cells[x - 1 if cells[x - 1] else x - 2] += char
        return x
    wide = east_asian_width(char) in "WF"
    _split(cells, x)
    _split(cells, x + 1 + wide)
    cells[x : x + 1 + wide] = [char, ""] if wide else [char]
    return x + 1 + wide


def _split(cells: list[str], x: int) -> None:
    """Leaves no half of a wide character that ``x`` goes through."""
    if 0 < x < len(cells) and not cells[x]:
        cells[x - 1] = cells[x] = " "


def _shown(row: str | list[str]) -> str:
    return row if isinstance(row, str) else "".join(row).rstrip(" ")
