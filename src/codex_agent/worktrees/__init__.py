"""Owns the git worktrees of jobs: what ``start`` does about one (``beginning.py``), making it (``making.py``), how
the work in it stands (``looking.py``), bringing it to where it belongs (``joining.py``), removing it
(``removing.py``), committing it (``committing.py``).

Must never lose work: what is not committed, or committed nowhere else, goes only where somebody forces it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TreeOptions:
    """What ``start`` was asked about git. ``worktree``: the branch of one of its own, "" for a new branch."""

    worktree: str | None = None
    base: str | None = None
    setup: str | None = None
    allow_commits: bool = False
    commit: bool = False

    @property
    def wants_new(self) -> bool:
        """Whether a worktree is to be made."""
        return self.worktree is not None
