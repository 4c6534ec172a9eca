"""Owns what is written into a repository for somebody: a commit of an agent's work, a merge, a patch applied.

A merge is made in a worktree of its own and only then does the target move, at once or not at all: no conflict is
ever left in anybody's tree. No hook runs and nothing is signed (the agent may have written the one, and nobody is
there for the other). Must never move a branch backwards or touch a file that somebody has changed.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

from codex_agent import git
from codex_agent.errors import BadState, GitFailed, MergeConflict
from codex_agent.git import changes, trees

How = Literal["merge", "squash", "rebase"]
_OURS = (
    *trees.NO_HOOKS,
    *("-c", "commit.gpgSign=false", "-c", "rerere.enabled=false", "-c", "merge.verifySignatures=false"),
    *("-c", "merge.autoStash=false", "-c", "rebase.autoStash=false", "-c", "rebase.updateRefs=false"),
    *("-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "core.editor=true"),
)
_NO_LFS = {"GIT_LFS_SKIP_SMUDGE": "1"}  # in a scratch tree nobody looks at the files


def check_identity(folder: str, environ: Mapping[str, str]) -> None:
    """Raises GitFailed if git does not know in whose name to commit."""
    said = git.run(folder, "var", "GIT_COMMITTER_IDENT", allowed=(0, 1, 128), environ=environ)
    if said.code:
        raise GitFailed(
            f"git does not know in whose name to commit in {folder}: {said.err.rpartition(chr(10))[2]}",
            'Tell it: git config user.name "..."; git config user.email "..."',
            path=folder,
        )


def commit_all(top: str, message: str, environ: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """Commits whatever differs from HEAD: the commit (None if nothing did), and what could not go into it.

    Left out are what submodules point at and repositories that this one does not know: asking git to look into
    them would have it obey settings that an agent may have written. Raises GitFailed.
    """
    dirty = changes.uncommitted(top)
    if not dirty:
        return None, []
    if changes.unresolved(top):
        raise GitFailed(f"A merge in {top} is not finished, so nothing was committed.", "Finish it.", path=top)
    modules = changes.submodules(top)
    leave = [*modules, *(path.rstrip("/") for path in dirty if path.endswith("/"))]
    left = sorted(set(leave) & {path.rstrip("/") for path in dirty})
    add = ("add", *changes.sparse_words(top), "--all", "--", *changes.all_but(leave))
    git.ask(top, *_OURS, *add, environ=environ, timeout_s=trees.CHECKOUT_S)
    if git.run(top, "diff", "--cached", "--quiet", "--ignore-submodules=dirty", allowed=(0, 1)).code == 0:
        return None, left
    text = message.encode("utf-8", "replace")
    words = ("commit", "--quiet", "--no-verify", "--file=-")
    git.ask(top, *_OURS, *words, stdin=text, environ=environ, timeout_s=trees.CHECKOUT_S)
    return git.head(top), left


def joined(common: str, old: str, new: str, how: How, message: str, environ: Mapping[str, str]) -> str:
    """The commit that a target at ``old`` would stand at with ``new`` in it. Moves nothing.

    Raises MergeConflict with the files (``files``) that do not go together; GitFailed.
    """
    if how == "merge" and trees.is_ancestor(common, old, new):
        return new
    with trees.scratch(common, new if how == "rebase" else old) as tree:

        def do(*words: str) -> None:
            said = git.run(
                tree,
                *(*_OURS, *words),
                allowed=(0, 1, 128),
                stdin=message.encode("utf-8", "replace"),
                environ=environ,
                more_environ=_NO_LFS,
                timeout_s=trees.CHECKOUT_S,
            )
            if said.code:
                files = changes.unresolved(tree)
                if files:
                    raise MergeConflict(f"These do not go together: {', '.join(files)}.", None, files=files)
                told = (said.err or said.out.strip()).partition("\n")[0]
                raise GitFailed(f"git could not {words[0]}: {told}", None, path=common)

        if how == "rebase":
            do("rebase", "--quiet", "--no-autosquash", old)
        elif how == "merge":
            do("merge", "--quiet", "--no-ff", "-m", message, new)
        else:
            do("merge", "--quiet", "--ff", "--squash", new)
            staged = git.run(tree, "diff", "--cached", "--quiet", "--ignore-submodules=dirty", allowed=(0, 1))
            if staged.code:
                do("commit", "--quiet", "--no-verify", "--file=-")
        head = git.head(tree)
    assert head is not None
    return head


def advance(common: str, branch: str, old: str, new: str) -> str | None:
    """Moves a branch from ``old`` to ``new``, a commit that follows it; the worktree it is checked out in, if any.

    That worktree follows, unless one of its files would be overwritten: then BadState, and nothing has moved.
    """
    where = trees.checked_out(common, branch)
    if where is None:
        trees.move_branch(common, branch, new, old)
        return None
    if git.head(where) != old:
        raise BadState(f"{branch} has moved at this moment.", "Try again.", path=where)
    words = ("merge", "--quiet", "--ff-only", new)
    said = git.run(where, *_OURS, *words, allowed=(0, 1, 128), timeout_s=trees.CHECKOUT_S)
    if said.code:
        told = " ".join((said.err or said.out).split())
        raise BadState(f"{branch} in {where} stays where it is: {told}", "Nothing was changed.", path=where)
    return where


def apply(top: str, patch: str) -> None:
    """Applies a patch to a work tree's files, all of it or nothing. Raises MergeConflict with the files."""
    stdin = patch.encode("utf-8", "surrogateescape")
    words = ("apply", "--whitespace=nowarn", "-")
    said = git.run(top, *words, allowed=(0, 1, 128), stdin=stdin, timeout_s=trees.CHECKOUT_S)
    if said.code:
        # Such as `error: patch failed: a.txt:3`, `error: b.txt: already exists in working directory`.
        told = [line.removeprefix("error: ") for line in said.err.splitlines() if line.startswith("error: ")]
        raise MergeConflict(f"It does not fit: {'; '.join(told) or said.err}", None, files=_named(told))


def _named(told: list[str]) -> list[str]:
    names = []
    for line in told:
        if line.startswith("patch failed: "):
            names.append(line.removeprefix("patch failed: ").rpartition(":")[0])
        else:
            names.append(line.rpartition(": ")[0])
    return [name for name in dict.fromkeys(names) if name and os.path.basename(name)]
