"""Owns bringing a job's work to where it belongs: merged into a branch, or applied as uncommitted changes.

Everything is checked first; what follows happens at once or not at all. Must never leave a conflict in a tree, nor
mix an agent's changes with somebody's own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from codex_agent import git
from codex_agent.errors import BadState, MergeConflict, UsageError, WorkAtRisk
from codex_agent.git import changes, trees, writing
from codex_agent.model import BUSY, SUMMARY_CHARS, WAITING, Record
from codex_agent.store import Store
from codex_agent.tree_answers import Applied, Merged, MergeHow
from codex_agent.verdict import job_view
from codex_agent.worktrees import committing, looking
from codex_agent.worktrees.looking import Work

_NAMED = 10


def merge(
    store: Store,
    job_id: str,
    environ: Mapping[str, str],
    *,
    how: MergeHow = "merge",
    into: str | None = None,
    commit: bool = False,
    force: bool = False,
) -> Merged:
    """Brings what the job has committed into a branch: the one it began at, or ``into``.

    ``commit``: commits first what is not committed; ``force``: leaves that behind. Raises BadState (an agent at
    work, a target with changes), WorkAtRisk (something is not committed), MergeConflict.
    """
    one = looking.work(store, job_id)
    _at_rest(store, one.tree.path, f"merge {job_id}")
    target = _target(one, into)
    old = trees.tip(one.tree.repository, target)
    assert old is not None
    _clean(store, one, target)
    if one.uncommitted and commit:
        _commit(one, environ)
        one = looking.work(store, job_id)
    if one.uncommitted and not force:
        raise WorkAtRisk(
            f"Not committed in {one.tree.path}, so it would not be merged: {listed(one.uncommitted)}.",
            f"merge {job_id} --commit commits it first; --force merges without it, and leaves it where it is.",
            id=job_id,
            files=one.uncommitted,
        )
    tip = one.must_tip()
    news = trees.count(one.tree.repository, old, tip)
    done = Merged(job_id, how, one.branch, target, old, old, news, trees.checked_out(one.tree.repository, target))
    if not news:
        return done
    try:
        after = writing.joined(one.tree.repository, old, tip, how, _message(one, how, target), environ)
        where = writing.advance(one.tree.repository, target, old, after)
    except MergeConflict as error:
        raise MergeConflict(
            f"Job {job_id} and {target} do not go together in {listed(error.data['files'])}. Nothing was changed.",
            f"Merge by hand, in {one.tree.path}: git merge {target}; then merge {job_id} again. "
            f"Or have an agent that may commit (--allow-commits) do it.",
            id=job_id,
            into=target,
            files=error.data["files"],
        ) from None
    store.event(job_id, "merged", how=how, into=target, tip=tip, before=old, after=after)
    done.after, done.worktree = after, where
    return done


def apply(store: Store, job_id: str, *, folder: str | None = None, force: bool = False) -> Applied:
    """Puts what the job has changed into a working tree, as changes that are not committed.

    ``folder`` None: the tree it was started from. ``force``: also where the same files are changed already. Raises
    BadState, MergeConflict; then nothing was changed.
    """
    one = looking.work(store, job_id)
    _at_rest(store, one.tree.path, f"apply {job_id}")
    top = _tree_to_apply(one, folder)
    files = [each.path for each in looking.diff(store, job_id, stat=True, color=False)[0].files]
    if not files:
        return Applied(job_id, top, [])
    if not force:
        mixed = sorted(set(files) & set(changes.uncommitted(top)))
        if mixed:
            raise BadState(
                f"Changed already in {top} and not committed: {listed(mixed)}. Afterwards nobody could tell the "
                "changes apart.",
                "Commit or stash them first; --force applies the job's on top, where they fit.",
                id=job_id,
                files=mixed,
            )
    patch = _patch(one, top)
    if patch:
        try:
            writing.apply(top, patch)
        except MergeConflict as error:
            raise _no_fit(job_id, top, error) from None
    store.event(job_id, "applied", path=top, files=len(files))
    return Applied(job_id, top, files)


def _patch(one: Work, top: str) -> str:
    """What makes of the tree's HEAD that same commit with the work in it. Raises MergeConflict."""
    words = ("--binary", "--ignore-submodules=all")
    tip = changes.snapshot(one.tree.path, "work") if one.uncommitted else one.must_tip()
    head = git.head(top)
    if head is None:
        raise BadState(f"{top} has no commit yet.", "Commit something there first.", path=top)
    try:
        both = writing.joined(one.tree.repository, head, tip, "merge", "applied", changes.NOBODY)
    except MergeConflict as error:
        raise _no_fit(one.record.id, top, error) from None
    return changes.between(one.tree.repository, head, both, *words)


def _no_fit(job_id: str, top: str, error: MergeConflict) -> MergeConflict:
    files = error.data["files"]
    return MergeConflict(
        f"What job {job_id} has changed does not fit {top}: {listed(files) if files else error.message} "
        "Nothing was changed.",
        f"codex-agent diff {job_id} shows it.",
        id=job_id,
        path=top,
        files=files,
    )


def _tree_to_apply(one: Work, folder: str | None) -> str:
    wanted = one.tree.source if folder is None else folder
    top = None if wanted is None else git.toplevel(wanted)
    if top is None or not os.path.isdir(top):
        raise UsageError(
            f"There is no working tree at {wanted}."
            if wanted
            else "The repository is bare: it has no working tree.",
            "Name one: --dir DIR",
        )
    if trees.repository(top) != one.tree.repository:
        raise UsageError(f"{top} is another repository than job {one.record.id} works in.", "Name another --dir.")
    if top == one.tree.path:
        raise UsageError(f"{top} is the job's own worktree.", "Name another --dir.")
    return top


def _at_rest(store: Store, path: str, again: str) -> None:
    """Raises BadState while an agent is at work in this tree; one that stays and is idle is not."""
    for record in looking.at_work(store, path):
        if _works(record):
            raise BadState(
                f"Job {record.id} is at work in {path}.",
                f"codex-agent wait {record.id} waits for its end, kill {record.id} ends it; then {again}.",
                id=record.id,
            )


def _works(record: Record) -> bool:
    job = job_view(record, alive=True, now=0.0)
    return record.request.mode == "exec" or job.status != "running" or job.turn_state in BUSY | WAITING


def _target(one: Work, into: str | None) -> str:
    target = into or one.tree.base
    if target is None:
        raise UsageError(
            f"Job {one.record.id} began at commit {one.tree.base_commit[:12]}, which is no branch.",
            "Say where to merge: --into BRANCH",
            id=one.record.id,
        )
    target = target.removeprefix("refs/heads/")
    if target == one.branch:
        raise UsageError(f"{target} is the job's own branch.", "Name another one: --into BRANCH")
    if trees.tip(one.tree.repository, target) is None:
        raise UsageError(f"There is no branch {target}.", "Name another one: --into BRANCH")
    return target


def _clean(store: Store, one: Work, target: str) -> None:
    """Raises BadState if the tree that has the target is changed, or an agent is at work in it."""
    where = trees.checked_out(one.tree.repository, target)
    if where is None:
        return
    _at_rest(store, where, f"merge {one.record.id}")
    dirty = changes.uncommitted(where, untracked=False)
    if dirty:
        raise BadState(
            f"{target} is checked out in {where}, where this is not committed: {listed(dirty)}.",
            "Commit or stash it there first; or merge into another branch (--into).",
            path=where,
            files=dirty,
        )


def _commit(one: Work, environ: Mapping[str, str]) -> None:
    writing.check_identity(one.tree.path, environ)
    made, left = writing.commit_all(one.tree.path, committing.message(one.record), environ)
    if made is not None:
        one.store.event(one.record.id, "committed", commit=made, by="merge")
    if left:
        raise WorkAtRisk(
            f"These cannot be committed for you, since they are repositories of their own: {listed(left)}.",
            "Commit them by hand, or merge without them: --force",
            files=left,
        )


def _message(one: Work, how: str, target: str) -> str:
    if how == "squash":
        return committing.message(one.record)
    said = (one.record.facts.last_message or "").strip()[:SUMMARY_CHARS]
    name = one.branch or one.must_tip()[:12]
    return f"Merge {name} into {target} (codex-agent job {one.record.id})" + (f"\n\n{said}" if said else "")


def listed(paths: list[str]) -> str:
    """The first of these paths, and how many more there are."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
