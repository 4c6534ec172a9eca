"""Owns how a turn stands: as a record keeps it (``Turn``), and as it is told (``CurrentTurn``, ``LastTurn``).

Words of ``model.py``, which hands them on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.tokens import Shape, doc

TurnMark = Literal["open", "completed", "failed", "aborted"]
TurnStatus = Literal["completed", "failed", "interrupted"]


@dataclass(slots=True, eq=False, repr=False)
class CurrentTurn(Shape):
    """The turn that runs."""

    id: str | None = doc("Codex's id of it; null until Codex tells.")
    started_at: str | None = doc("When it started.")


@dataclass(slots=True, eq=False, repr=False)
class LastTurn(Shape):
    """The last turn that has ended."""

    id: str | None = doc("Codex's id of it.")
    status: TurnStatus = doc("completed, failed or interrupted.")
    started_at: str | None = doc("When it started.")
    ended_at: str | None = doc("When it ended.")
    duration_ms: int | None = doc("How long it took, as Codex counts; else between the two times.")
    error: str | None = doc("Codex's words, if it failed.")


@dataclass(slots=True, eq=False, repr=False)
class Turn(Shape):
    """How the thread's last turn stands, as one witness (the stream or the rollout) tells it."""

    state: TurnMark | None = doc("Null before the first turn.", default=None)
    count: int = doc("Turns started.", default=0)
    started_at: str | None = doc("When the last one started.", default=None)
    ended_at: str | None = doc("When it ended.", default=None)
    error: str | None = doc("Codex's own words for what failed it.", default=None)
    error_info: str | None = doc(
        "Codex's error kind from the rollout (`codex_error_info`), flattened.", default=None
    )
    id: str | None = doc("Codex's id of it.", default=None)
    duration_ms: int | None = doc("How long it took, as Codex counts.", default=None)
