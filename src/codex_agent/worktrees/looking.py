"""Owns how the work in a job's worktree stands: against its base, not committed, committed nowhere else.

Reads the repository and the job's events. Must never change either.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from codex_agent import git, jobs
from codex_agent.errors import BadState, CodexAgentError, JobNotFound, RecordUnreadable
from codex_agent.git import changes, trees
from codex_agent.model import Record, Worktree, stamp
from codex_agent.store import Store
from codex_agent.tree_answers import CommitList, Diff, DiffFile, WorktreeList, WorktreeRow

_MOST_COMMITS = 1000


@dataclass
class Work:
    """The work of a job in its worktree, or on its branch once that is gone."""

    store: Store
    record: Record
    tree: Worktree
    sharers: Sequence[Record] | None = None
    """The jobs that have this worktree, if they are known."""

    @cached_property
    def merges(self) -> list[dict[str, str]]:
        """What `merge` has noted of it, oldest first."""
        if self.sharers is None:
            self.sharers = Seen.of(self.store).by_path.get(self.tree.path, [])
        return _merges(self.store, self.sharers)

    @cached_property
    def there(self) -> bool:
        """Whether the worktree is, as git sees it."""
        return git.place(self.tree.path) is not None

    @cached_property
    def tip(self) -> str | None:
        """The last commit; None if worktree and branch are gone."""
        return git.head(self.tree.path) if self.there else trees.tip(self.tree.repository, self.tree.branch)

    @property
    def branch(self) -> str | None:
        """The branch that is checked out there: an agent that may commit can have switched to another."""
        return git.branch(self.tree.path) if self.there else self.tree.branch

    @cached_property
    def uncommitted(self) -> list[str]:
        """Files that differ from HEAD, relative paths, those in submodules too."""
        return dirty(self.tree.path, self.tree.base_commit) if self.there else []

    @cached_property
    def since(self) -> str:
        """The commit to compare with: the base, or what was merged from the base's branch since."""
        tree, tip = self.tree, self.must_tip()
        merged = [note["before"] for note in self.merges if note["tip"] == tip]
        # Once it is merged, what the target stood at before tells; else its branch does.
        onto = merged[-1] if merged else None if tree.base is None else trees.tip(tree.repository, tree.base)
        met = None if onto is None else trees.merge_base(tree.repository, onto, tip)
        if met is None or met == tip or not trees.is_ancestor(tree.repository, tree.base_commit, met):
            return tree.base_commit
        return met

    def must_tip(self) -> str:
        """``tip``. Raises BadState if there is none."""
        if self.tip is None:
            raise BadState(
                f"The worktree of job {self.record.id} is gone, and so is its branch {self.tree.branch}.",
                "There is nothing to look at.",
                id=self.record.id,
            )
        return self.tip

    def unmerged(self) -> list[str]:
        """Commits that would be on no branch, tag or remote branch were the worktree and its branch removed."""
        tree = self.tree
        own = trees.tip(tree.repository, tree.branch) if tree.created else None
        loose = self.tip if self.there and self.branch is None else None
        commits = [commit for commit in dict.fromkeys((own, loose)) if commit is not None]
        found = trees.only_in(tree.repository, commits, but=tree.branch if tree.created else None)
        if (
            found
            and len(commits) == 1
            and any(
                note["tip"] == commits[0] and not trees.only_in(tree.repository, [note["after"]], but=tree.branch)
                for note in self.merges
                if trees.commit_of(tree.repository, note["after"])
            )
        ):
            return []
        return found


@dataclass
class Seen:
    """Jobs by the worktree they have, of all records that can be read."""

    by_path: dict[str, list[Record]] = field(default_factory=dict)

    @classmethod
    def of(cls, store: Store) -> Seen:
        seen = cls()
        for record in sorted(store.load_all()[0], key=lambda one: one.created_at, reverse=True):
            if record.request.worktree is not None:
                seen.by_path.setdefault(record.request.worktree.path, []).append(record)
        return seen


def work(store: Store, job_id: str) -> Work:
    """The work of this job. Raises BadState if it has no worktree."""
    record = store.load(job_id)
    tree = record.request.worktree
    if tree is None:
        raise BadState(
            f"Job {job_id} has no worktree of its own, so nobody can tell its changes from others'.",
            f"git -C {record.request.cwd} diff shows what is changed there; start --worktree gives it its own.",
            id=job_id,
        )
    return Work(store, record, tree)


def known(store: Store, folder: str) -> Worktree | None:
    """The worktree of an earlier job that this folder is in. No process, and no record is read, in other trees."""
    top = git.toplevel(folder)
    where = None if top is None else git.place(top)
    if top is None or where is None or where.folder == where.common:
        return None
    found = Seen.of(store).by_path.get(top)
    return None if not found else found[0].request.worktree


def at_work(store: Store, path: str) -> list[Record]:
    """Living jobs whose folder is in this tree."""
    inside = os.path.join(path, "")
    found = []
    for job_id in store.ids():
        if store.is_alive(job_id):
            with contextlib.suppress(JobNotFound, RecordUnreadable):  # `jobs` names what cannot be read
                record = store.load(job_id)
                if os.path.join(record.request.cwd, "").startswith(inside):
                    found.append(record)
    return found


def dirty(top: str, base: str, before: str = "") -> list[str]:
    """What is not committed in a tree, and in the submodules that are checked out in it: relative paths.

    A submodule with commits that neither a remote branch of it nor ``base`` has is one too: they go with the tree.
    """
    found = [before + path for path in changes.uncommitted(top)]
    for path in changes.submodules(top):
        sub = os.path.join(top, path)
        tip = git.head(sub)
        if tip is None:
            continue
        if changes.module(top, path) is None:
            found.append(f"{before}{path} (a repository of its own)")
            continue
        pinned = git.ask(top, "rev-parse", "--quiet", "--verify", f"{base}:{path}", allowed=(0, 1, 128)).strip()
        found += dirty(sub, pinned or tip, f"{before}{path}/")
        leave = [pinned] if pinned else []
        if git.ask(sub, "rev-list", "--max-count=1", tip, "--branches", "--not", "--remotes", *leave):
            found.append(f"{before}{path} (commits)")
    return list(dict.fromkeys(found))


def _merges(store: Store, records: Sequence[Record]) -> list[dict[str, str]]:
    found = []
    for record in records:
        try:
            with open(store.path(record.id, ".events.jsonl"), encoding="utf-8") as file:
                lines = [json.loads(line) for line in file if '"event": "merged"' in line]
        except (OSError, ValueError):
            continue  # a line that is half written says nothing, and then the work counts as unmerged
        found += [line for line in lines if {"at", "tip", "before", "after"} <= line.keys()]
    return sorted(found, key=lambda line: line["at"])


def diff(store: Store, job_id: str, *, stat: bool, color: bool) -> tuple[Diff, str]:
    """What the job has changed, and the same as git would show it."""
    one = work(store, job_id)
    since, tip = one.since, one.must_tip()
    top, repository = one.tree.path, one.tree.repository

    def say(*words: str, paint: bool = False) -> str:
        if one.there:
            return changes.diff(top, since, *words, color=paint)
        return changes.between(repository, since, tip, *words, color=paint)

    open_files = set(one.uncommitted)
    files = [
        DiffFile(each.path, each.added, each.deleted, each.path in open_files)
        for each in changes.numbers(say("--numstat", "-z", "--no-renames"))
    ]
    text = None if stat else say("--binary")
    shown = say("--stat", "--summary", paint=color) if stat else text if not color else say("--binary", paint=True)
    return Diff(job_id, top, one.branch, since, files, text), shown or ""


def commits(store: Store, job_id: str) -> CommitList:
    """What was committed since the base."""
    one = work(store, job_id)
    tip = one.must_tip()
    folder = one.tree.path if one.there else one.tree.repository
    return CommitList(
        job_id,
        one.tree.path,
        one.branch,
        one.tree.base_commit,
        git.commits(folder, one.since, tip, _MOST_COMMITS),
        one.uncommitted,
    )


def listing(store: Store, *, repository: str | None = None) -> WorktreeList:
    """The worktrees of jobs that are left: there, or their branches with work on them."""
    rows = [row_of(store, records) for records in Seen.of(store).by_path.values()]
    kept = [row for row in rows if row is not None and repository in (None, row.repository)]
    kept.sort(key=lambda row: (row.repository, row.path))
    return WorktreeList(stamp(), kept)


def row_of(store: Store, records: Sequence[Record]) -> WorktreeRow | None:
    """The worktree of these jobs; None if nothing of it is left."""
    newest = records[0]
    tree = newest.request.worktree
    assert tree is not None
    one = Work(store, newest, tree, records)
    row = WorktreeRow(
        path=tree.path,
        repository=tree.repository,
        branch=tree.branch,
        base=tree.base,
        jobs=[record.id for record in records],
        name=newest.name,
        status=jobs.view(store, newest.id).status,
        there=os.path.isdir(tree.path),
        commits=0,
        unmerged=0,
        uncommitted=[],
        locked=None,
    )
    try:
        if not os.path.isdir(tree.repository):
            row.trouble = f"the repository is gone: {tree.repository}"
            return row if row.there else None
        if row.there and not one.there:
            row.trouble = "git knows no worktree there any more"
            return row
        if not one.there and (one.tip is None or not tree.created):
            return None
        row.branch = one.branch
        row.commits = trees.count(tree.repository, tree.base_commit, one.must_tip())
        row.unmerged = len(one.unmerged())
        row.uncommitted = one.uncommitted
        row.locked = next((each.locked for each in trees.listed(tree.repository) if each.path == tree.path), None)
    except CodexAgentError as error:
        row.trouble = error.message
    return row
