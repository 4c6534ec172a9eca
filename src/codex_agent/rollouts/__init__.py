"""Owns all knowledge of Codex's rollouts: where they lie, how their lines look, what the lines add up to.

Read-only: a rollout is Codex's file and nothing here ever writes one. What the facts *mean* (has the job
failed?) is ``verdict.py``'s question. Standard library only; ``zstandard`` is loaded only for a
``.jsonl.zst``.
"""

from __future__ import annotations

from .locate import find
from .reader import Reader
from .state import RolloutState

__all__ = ["Reader", "RolloutState", "find"]
