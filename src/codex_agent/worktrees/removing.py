"""Owns removing worktrees: what may go, and what would be lost.

Work is what is not committed (also in submodules) and commits that are nowhere else. Files that git ignores are
none: a build's, and those that were copied in. Must never remove work unless it is forced to, nor a tree that a
living job is in.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from codex_agent.errors import BadState, CodexAgentError, JobNotFound, WorkAtRisk
from codex_agent.git import changes, trees
from codex_agent.model import Record, Worktree
from codex_agent.store import Store
from codex_agent.tree_answers import WorktreeKept, WorktreeRow, WorktreesRemoved
from codex_agent.worktrees import looking
from codex_agent.worktrees.joining import listed


@dataclass(frozen=True, slots=True)
class Found:
    """A worktree, as it stands."""

    row: WorktreeRow
    tree: Worktree
    records: list[Record]
    tip: str | None
    """Where its branch stood."""


def find(store: Store, ref: str) -> Found:
    """The worktree that is meant: by a job, by its folder, or by its branch. Raises JobNotFound, BadState."""
    found = [one for one in _all(store) if ref in (one.tree.branch, one.row.branch)]
    if len(found) > 1:
        raise BadState(f"More than one repository has a worktree on {ref}.", "Name its folder, or its job.")
    if not found:
        path = os.path.realpath(ref)
        found = [one for one in _all(store) if one.tree.path == path]
    if not found:
        try:
            job_id = store.resolve(ref)
        except JobNotFound:
            raise JobNotFound(
                f"No job, folder or branch '{ref}' has a worktree that was made for a job.",
                "codex-agent worktree list lists them.",
                id=ref,
            ) from None
        path = looking.work(store, job_id).tree.path
        found = [one for one in _all(store) if one.tree.path == path]
    if not found:
        raise BadState(f"The worktree of job {ref} is gone already.", "There is nothing to remove.", id=ref)
    return found[0]


def remove(store: Store, found: Found, *, force: bool = False, keep_branch: bool = False) -> WorktreeRow:
    """Removes a worktree, and its branch if that was made for it. Raises WorkAtRisk or BadState as ``check`` does.

    ``keep_branch``: then commits are not lost with it.
    """
    check(store, found, force=force, keep_branch=keep_branch)
    tree = found.tree
    if os.path.isdir(tree.repository):
        look_again = not force and found.row.there and not changes.submodules(tree.path)
        trees.remove(tree.repository, tree.path, force=not look_again)
        if found.tip is not None and tree.created and not keep_branch:
            trees.delete_branch(tree.repository, tree.branch, found.tip)
    if force:
        shutil.rmtree(tree.path, ignore_errors=True)  # what git does not know any more
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(tree.path))  # the repository's folder, if this was the last one in it
    for record in found.records[:1]:
        store.event(record.id, "worktree_removed", path=tree.path, forced=force)
    return found.row


def check(store: Store, found: Found, *, force: bool = False, keep_branch: bool = False) -> None:
    """Raises WorkAtRisk if something would be lost, BadState if a living job is in there or it is locked."""
    row, tree = found.row, found.tree
    living = looking.at_work(store, tree.path)
    if living:
        raise BadState(
            f"Job {living[0].id} runs in {tree.path}.",
            f"End it first: codex-agent kill {living[0].id}",
            id=living[0].id,
            path=tree.path,
        )
    if force:
        return
    again = f"worktree remove {row.jobs[0]} --force"
    if row.locked is not None:
        why = f": {row.locked}" if row.locked else ""
        raise BadState(f"{tree.path} is locked{why}.", f"git worktree unlock, or {again}.", path=tree.path)
    if row.trouble is not None:
        raise BadState(
            f"Nobody can tell what work is in {tree.path}: {row.trouble}",
            f"Look at it; {again} removes it all the same.",
            path=tree.path,
        )
    told = []
    if row.uncommitted:
        told.append(f"not committed: {listed(row.uncommitted)}")
    if row.unmerged and not keep_branch:
        many = f"{row.unmerged} commits, which are" if row.unmerged > 1 else "1 commit, which is"
        told.append(f"{many} only on {row.branch or 'no branch'}")
    if told:
        raise WorkAtRisk(
            f"With {tree.path} this would be lost: {'; '.join(told)}.",
            f"codex-agent merge {row.jobs[0]} keeps it, diff {row.jobs[0]} shows it; {again} throws it away.",
            path=tree.path,
            id=row.jobs[0],
            uncommitted=row.uncommitted,
            unmerged=row.unmerged,
        )


def prune(store: Store, *, repository: str | None, dry_run: bool) -> WorktreesRemoved:
    """Removes every worktree of ended jobs with nothing to lose in it. What stays is said, with the reason."""
    answer = WorktreesRemoved([], [])
    # One after the other: what is on two branches is safe with either, and not without both.
    for found in _all(store):
        if repository not in (None, found.row.repository):
            continue
        try:
            if dry_run:
                check(store, found)
                answer.removed.append(found.row)
            else:
                answer.removed.append(remove(store, found))
        except CodexAgentError as error:
            answer.kept.append(WorktreeKept(found.row.path, error.code, error.message, error.hint))
    return answer


def with_job(store: Store, record: Record, seen: looking.Seen, *, dry_run: bool = False) -> None:
    """Before a job is deleted: removes the worktree that no other job has. Raises if work would be lost.

    ``seen`` may be older than jobs that were deleted since.
    """
    tree = record.request.worktree
    records = [] if tree is None else seen.by_path.get(tree.path, [])
    records = [one for one in records if os.path.exists(store.path(one.id, ".json"))]
    found = _found(store, records)
    if found is None or len(records) > 1:
        return
    if dry_run:
        check(store, found)
    else:
        remove(store, found)


def _all(store: Store) -> Iterator[Found]:
    for records in looking.Seen.of(store).by_path.values():
        found = _found(store, records)
        if found is not None:
            yield found


def _found(store: Store, records: list[Record]) -> Found | None:
    tree = records[0].request.worktree if records else None
    if tree is None:
        return None
    tip = trees.tip(tree.repository, tree.branch) if os.path.isdir(tree.repository) else None
    row = looking.row_of(store, records)
    return None if row is None else Found(row, tree, records, tip)
