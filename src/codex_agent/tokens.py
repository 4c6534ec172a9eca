"""Owns ``doc``, with which every recorded class says what its fields are."""

from __future__ import annotations

from dataclasses import field
from typing import Any


def doc(text: str, **kwargs: Any) -> Any:
    """A dataclass field with its documentation (``kwargs`` as for ``dataclasses.field``)."""
    return field(metadata={"doc": text}, **kwargs)
