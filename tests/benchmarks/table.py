"""Owns a row and how rows look, on the terminal and in README.md. Must never measure anything."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "README.md")
_BEGIN, _END = "<!-- table -->", "<!-- end of table -->"
_HEAD = ("work", "took", "against", "took", "ratio", "at most", "met", "goal")


@dataclass(frozen=True)
class Row:
    """One comparison. ``limit`` and ``goal`` are for ``ratio`` or, where there is none, for ``value``.

    ``unit`` is that of ``value`` and ``base``: ms, kB or s. Without a ``limit`` the row only reports; ``goal`` is
    what is aimed at next and fails nothing yet.
    """

    work: str
    value: float
    unit: str
    against: str = "-"
    base: float | None = None
    ratio: float | None = None
    limit: float | None = None
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """None if the row only reports."""
        if self.limit is None:
            return None
        return (self.value if self.ratio is None else self.ratio) <= self.limit

    def cells(self) -> tuple[str, ...]:
        unit = self.unit if self.ratio is None else "x"
        return (
            self.work,
            _number(self.value, self.unit),
            self.against,
            "-" if self.base is None else _number(self.base, self.unit),
            "-" if self.ratio is None else f"{self.ratio:.2f} x",
            "-" if self.limit is None else f"{self.limit:g} {unit}",
            {None: "-", True: "yes", False: "**no**"}[self.met],
            "-" if self.goal is None else f"{self.goal:g} {unit}",
        )


def text(rows: Sequence[Row]) -> str:
    """The table in Markdown, its columns in line."""
    cells = [_HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(_HEAD))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
    return "\n".join(lines)


def put_into_readme(block: str) -> None:
    """Replaces what stands between the two marks."""
    with open(README, encoding="utf-8") as file:
        before, _, rest = file.read().partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    assert mark, f"{README} has lost its marks {_BEGIN} and {_END}"
    with open(README, "w", encoding="utf-8") as file:
        file.write(f"{before}{_BEGIN}\n{block}\n{_END}{after}")


def _number(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
