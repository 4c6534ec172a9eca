"""Owns how tokens are counted: of a thread in all (``Tokens``), and as they are billed (``Spent``).

Words of ``model.py``, which hands them on; and what every recorded class is made of: ``Shape``, and ``doc``, with
which it says what its fields are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def doc(text: str, **kwargs: Any) -> Any:
    """A dataclass field with its documentation (``kwargs`` as for ``dataclasses.field``)."""
    return field(metadata={"doc": text}, **kwargs)


class Shape:
    """What the recorded classes have in common: they are told apart, and shown, by their fields.

    As ``dataclass`` would do it; but it compiles both anew for each class, 4 ms in every process of ours.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self._names())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in self._names())
        return f"{type(self).__qualname__}({shown})"

    def _names(self) -> list[str]:
        return [each.name for each in fields(self)]  # type: ignore[arg-type]


class Fixed(Shape):
    """The same for classes whose instances never change."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(getattr(self, name) for name in self._names()))


@dataclass(slots=True, eq=False, repr=False)
class Tokens(Shape):
    """What the thread has used so far. Totals of the whole thread, as Codex counts them."""

    input: int = doc("Input tokens of the thread, cached ones included.", default=0)
    cached_input: int = doc("The part of `input` that came from the cache.", default=0)
    output: int = doc("Output tokens, reasoning included.", default=0)
    reasoning: int = doc("The part of `output` spent on reasoning.", default=0)
    total: int = doc("Input plus output.", default=0)
    context_window: int | None = doc("The model's context window; null until Codex tells.", default=None)
    context_used_pct: float | None = doc(
        "The last request's tokens against the window: what is in the context now. 0 to 100.", default=None
    )
    cache_write: int = doc("The part of `input` that was written to the cache (0.150 and later).", default=0)


@dataclass(slots=True, eq=False, repr=False)
class Spent(Shape):
    """Tokens that requests of one kind used: of one model, on one day, at one rate."""

    model: str = doc("The model; empty where nothing tells.")
    day: str = doc("The day in UTC, as 2026-11-21; empty where nothing tells.")
    tier: str | None = doc(
        "The service tier that was asked for, such as flex; null for the usual one.", default=None
    )
    long: bool = doc(
        "Whether these were requests with more than 272,000 input tokens, which cost more.", default=False
    )
    input: int = doc("Input tokens, cached ones included.", default=0)
    cached_input: int = doc("The part of `input` that came from the cache.", default=0)
    cache_write: int = doc("The part of `input` that was written to the cache.", default=0)
    output: int = doc("Output tokens, reasoning included.", default=0)
    reasoning: int = doc("The part of `output` spent on reasoning.", default=0)
