"""Owns what a record says of git and GitHub. Words of ``model.py``, which hands them on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.tokens import Shape, doc

PullStatus = Literal["pr_open", "merged", "closed"]
PullSeenBy = Literal["gh", "head"]


@dataclass(slots=True, eq=False, repr=False)
class Committed(Shape):
    """A commit that was made while the job ran."""

    id: str = doc("Its id, whole.")
    subject: str = doc("The first line of its message.")


@dataclass(slots=True, eq=False, repr=False)
class Work(Shape):
    """Where the work tree of a job stands in git, by comparing HEAD."""

    top: str = doc("The work tree, absolute.")
    branch_before: str | None = doc("The branch that was checked out when the job began; null if none was.")
    head_before: str | None = doc("The commit it stood at; null before the first one.")
    branch: str | None = doc("The branch now, or at the job's end.")
    head: str | None = doc("The commit now, or at the job's end.")
    commits: list[Committed] = doc(
        "What HEAD has and had not when the job began, oldest first, the newest 20; filled in at the job's end.",
        default_factory=list,
    )
    more_commits: bool = doc("Whether there are more than those.", default=False)
    dirty: list[str] = doc(
        "Files that are not committed at the job's end, whoever changed them, relative to `top`; the first 20.",
        default_factory=list,
    )
    dirty_count: int | None = doc(
        "How many there are; null while it runs, and where the agent could write git's own folders: to ask git "
        "would run what it put there.",
        default=None,
    )


@dataclass(slots=True, eq=False, repr=False)
class PullRequest(Shape):
    """A pull request that the job opened or merged."""

    url: str | None = doc("Its address; null where gh did not tell.")
    status: PullStatus = doc("pr_open, merged or closed.")
    seen_by: PullSeenBy = doc(
        "gh: the agent ran `gh pr`. head: found by asking gh about the branch, at the job's end."
    )


@dataclass(slots=True, eq=False, repr=False)
class SetUp(Shape):
    """The command that made a worktree ready."""

    command: list[str] = doc("Its words.")
    exit_code: int | None = doc("Its exit status; null until it was run.", default=None)
    seconds: float = doc("How long it took.", default=0.0)
    output: str = doc("The end of what it printed, stdout and stderr as they came.", default="")


@dataclass(slots=True, eq=False, repr=False)
class Worktree(Shape):
    """The git worktree that a job works in."""

    path: str = doc("Where it begins, absolute.")
    branch: str = doc("The branch that was checked out there for the job.")
    created: bool = doc("Whether that branch was made for the job; only then is it removed with the worktree.")
    base: str | None = doc("The branch it began at, where `merge` brings it; null if it began at another commit.")
    base_commit: str = doc("The commit it began at.")
    repository: str = doc("The repository: git's common folder, absolute.")
    source: str | None = doc(
        "The working tree that `start` was called for, where `apply` brings it; null if bare."
    )
    copied: list[str] = doc(
        "Untracked files that were copied into it, by `.worktreeinclude`.", default_factory=list
    )
    setup: SetUp | None = doc("The set-up command; null if there was none.", default=None)
