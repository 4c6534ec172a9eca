"""Owns the shape of what is said about worktrees: what was changed in one, merges, and which there are.

Only shapes, as in ``answers.py``; the rooms of ``worktrees/`` fill them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.model import Status, doc
from codex_agent.work_answers import Commit

MergeHow = Literal["merge", "squash", "rebase"]


@dataclass(slots=True)
class DiffFile:
    """A file that differs."""

    path: str = doc("Relative to the worktree.")
    added: int | None = doc("Lines added; null for what is no text.")
    deleted: int | None = doc("Lines taken out; null for what is no text.")
    uncommitted: bool = doc("Whether it differs from the last commit too.")


@dataclass(slots=True)
class Diff:
    """`diff`: what a job has changed since its base, committed or not."""

    id: str = doc("The job.")
    worktree: str = doc("Its worktree, absolute.")
    branch: str | None = doc("The branch there; null if HEAD is detached.")
    base: str = doc("The commit it is compared with.")
    files: list[DiffFile] = doc("Every file that differs, by path.")
    text: str | None = doc("The patch, as `git apply` takes it; null with `--stat`.")


@dataclass(slots=True)
class CommitList:
    """`commits`: what was committed in a job's worktree."""

    id: str = doc("The job.")
    worktree: str = doc("Its worktree, absolute.")
    branch: str | None = doc("The branch there; null if HEAD is detached.")
    base: str = doc("The commit it began at.")
    commits: list[Commit] = doc("Oldest first; the newest 1,000 of many.")
    uncommitted: list[str] = doc("Files that are changed and not committed, relative to the worktree.")


@dataclass(slots=True)
class Merged:
    """`merge`: where a job's work went."""

    id: str = doc("The job.")
    how: MergeHow = doc("merge, squash or rebase.")
    branch: str | None = doc("The branch it came from.")
    into: str = doc("The branch it went into.")
    before: str = doc("The commit that branch stood at.")
    after: str = doc("The commit it stands at now; the same if there was nothing to merge.")
    commits: int = doc("How many commits it did not have before.")
    worktree: str | None = doc("Where that branch is checked out; null if nowhere.")


@dataclass(slots=True)
class Applied:
    """`apply`: a job's work as uncommitted changes."""

    id: str = doc("The job.")
    path: str = doc("The working tree they were put into.")
    files: list[str] = doc("The files changed there, relative to it.")


@dataclass(slots=True)
class WorktreeRow:
    """A worktree that was made for a job."""

    path: str = doc("Where it begins, absolute.")
    repository: str = doc("The repository: git's common folder.")
    branch: str | None = doc("The branch that is checked out; null if HEAD is detached.")
    base: str | None = doc("The branch it began at.")
    jobs: list[str] = doc("Jobs that have it, the newest first.")
    name: str | None = doc("The name of the newest one.")
    status: Status | None = doc("How the newest one stands.")
    there: bool = doc("Whether its folder is still there.")
    commits: int = doc("Commits since its base.")
    unmerged: int = doc(
        "Commits that are on no other branch, tag or remote branch, and were not merged by `merge`."
    )
    uncommitted: list[str] = doc("Files changed and not committed, relative to it; those of submodules too.")
    locked: str | None = doc("Why git keeps it from being removed (`git worktree lock`); null if it does not.")
    trouble: str | None = doc("Why some of this could not be found out.", default=None)


@dataclass(slots=True)
class WorktreeList:
    """`worktree list`: the worktrees of jobs."""

    generated_at: str = doc("When this was put together.")
    worktrees: list[WorktreeRow] = doc("By repository and path.")


@dataclass(slots=True)
class WorktreeKept:
    """A worktree that was not removed."""

    path: str = doc("Where it begins.")
    code: str = doc("As in errors: work_at_risk, bad_state, ...")
    message: str = doc("Why.")
    hint: str | None = doc("What to do about it.")


@dataclass(slots=True)
class WorktreesRemoved:
    """`worktree remove`, `worktree prune`: what went and what stayed."""

    removed: list[WorktreeRow] = doc("As they were.")
    kept: list[WorktreeKept] = doc("What stayed.")
