"""Owns tool calls of which it is not known yet what came of them, while lines are skimmed.

A plan counts once its output says that it was taken, and a patch (of a Codex that records no file changes) once it
succeeded. Must never look at a line that has no end yet.
"""

from __future__ import annotations

from .kinds import PLAN, PLAN_WITHIN
from .taking import TAKEN, call_id, take_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fold import Fold

_OUTPUT = b'_output"'
_OUTPUT_WITHIN = 80  # bytes from the first type in which that stands
_PATCH = b"apply_patch"


class Pending:
    """The calls of one pass over some lines. A plan waits here undecoded: mostly it is refused."""

    __slots__ = ("_awaits", "_fold", "_patched", "_plan", "_plan_id")

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._plan = self._plan_id = b""
        self._awaits = fold.planned is not None
        self._patched = not fold.has_items and bool(fold.calls)

    @property
    def quiet(self) -> bool:
        """Whether no output matters, and of the calls plans alone."""
        return self._fold.has_items and not self._awaits and not self._patched

    def call(self, line: bytes, place: int) -> None:
        """A call whose type begins at ``place``, or what came of one, since some begin alike."""
        fold = self._fold
        if line.find(PLAN, place, place + PLAN_WITHIN) >= 0:
            self.settle()
            self._plan, self._awaits = line, True
            self._plan_id = call_id(line)
            if not fold.has_items or not self._plan_id:
                self.settle()
                self._awaits = fold.planned is not None
        elif self.quiet:
            return
        elif line.find(_OUTPUT, place, place + _OUTPUT_WITHIN) >= 0:
            self.output(line)
        elif not fold.has_items and line.find(_PATCH, place) >= 0:
            fold.put(b"call", line)
            self._patched = bool(fold.calls)

    def output(self, line: bytes) -> None:
        """What came of a call."""
        fold = self._fold
        if self._plan and not fold.calls and line.endswith(b"}}") and line.find(TAKEN) < 0:
            if line.find(self._plan_id) >= 0:  # it was refused
                fold.planned, self._plan, self._awaits = None, b"", False
        elif self._awaits or self._patched:
            self.settle()
            take_output(fold, line)
            self._awaits = fold.planned is not None
            self._patched = self._patched and bool(fold.calls)

    def settle(self) -> None:
        """Put in the plan that waits."""
        if self._plan:
            self._fold.put(b"call", self._plan)
            self._plan = b""
