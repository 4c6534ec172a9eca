"""Owns what every source of events is to the loop: it is woken, looked at, and asked what to watch meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from .told import Told

EVERYTHING = "everything"


class Place(NamedTuple):
    """A file or folder to watch (``mask`` as for ``watching``); of a folder only these names, if any are given.

    ``what`` is handed to ``Source.fired`` when something happened there.
    """

    path: str
    mask: int
    what: str
    names: frozenset[str] | None = None


class Source(Protocol):
    """One thing that is looked after."""

    def fired(self, what: str, /) -> None:
        """Something happened at a place of this kind; ``EVERYTHING``: nobody knows, look everywhere."""

    def look(self) -> Iterator[Told]:
        """What is new. Who stops in the middle gets the rest with the next look."""

    def places(self) -> list[Place]:
        """Where to be woken from, as of now; those that do not exist are passed over."""

    def due(self) -> float | None:
        """When to be looked at without being woken (``time.monotonic``)."""

    def since(self) -> str:
        """Where it stands, for ``--since``."""
