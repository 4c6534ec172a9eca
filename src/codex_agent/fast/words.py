"""Owns the grammar of the fast routes: the few options they know, as the typer way reads them.

Must never guess: whatever could be read otherwise, or is an error, is None.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Collection


_MOST_DIGITS = 9  # a timer of the kernel's takes more, but not all that typer takes


class Words:
    """One command's words taken apart."""

    __slots__ = ("flags", "rest", "values")

    def __init__(self) -> None:
        self.rest: list[str] = []
        self.flags: set[str] = set()
        self.values: dict[str, list[str]] = {}

    def last(self, name: str) -> str | None:
        """The value of an option that holds one; where it was given twice, the later one."""
        given = self.values.get(name)
        return given[-1] if given else None


def split(words: list[str], flags: Collection[str], valued: Collection[str]) -> Words | None:
    """The words after the command's name; None if one is unknown, lacks its value, or could be read otherwise."""
    found, at = Words(), 0
    while at < len(words):
        word = words[at]
        at += 1
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            found.rest.append(word)
        elif word in flags:
            found.flags.add(word)
        elif name in valued:
            if not equals:
                if at == len(words) or words[at].startswith("-"):
                    return None
                value, at = words[at], at + 1
            found.values.setdefault(name, []).append(value)
        else:
            return None
    return found


def number(text: str) -> float | None:
    """Seconds in plain digits, a fraction too; None for everything else that typer may or may not take."""
    whole, _, part = text.partition(".")
    if len(text) > _MOST_DIGITS or not text.isascii():
        return None
    return float(text) if whole.isdecimal() and (part.isdecimal() or "." not in text) else None
