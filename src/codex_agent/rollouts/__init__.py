"""Owns all knowledge of Codex's rollouts: where they lie, how their lines look, what the lines add up to.

Read-only: a rollout is Codex's file and nothing here ever writes one. What the facts *mean* (has the job
failed?) is ``verdict.py``'s question. Standard library only; ``zstandard`` is loaded only for a
``.jsonl.zst``.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .locate import find
    from .reader import Reader
    from .state import RolloutState

__all__ = ["Reader", "RolloutState", "find"]
_WHERE = {"Reader": "reader", "RolloutState": "state", "find": "locate"}


def __getattr__(name: str) -> Any:
    """Each when it is asked for: who reads one rollout does not look for others."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # late, as everything here

    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
