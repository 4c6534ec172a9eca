"""Owns a repository's worktrees and branches: which there are, making one, removing one, moving a branch.

A repository is named by git's common folder, which bare ones have too. No hook runs: what hooks are for is done by
the set-up command, and an agent may have written the files they lie in. Must never decide whether something may be
removed; who calls has asked.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from codex_agent import git
from codex_agent.errors import GitFailed

# A checkout of a large repository takes a while; so does whatever reads all of it.
CHECKOUT_S = 600.0
NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A worktree as git lists it."""

    path: str
    head: str | None
    branch: str | None
    bare: bool
    locked: str | None
    """Why it is locked ("" if nobody said); None if it is not."""
    gone: bool
    """Whether its folder is not there any more."""


def repository(folder: str) -> str | None:
    """git's common folder for whatever repository this folder is in, as a real path; None outside of any."""
    said = git.run(folder, "rev-parse", "--git-common-dir", allowed=(0, 128))
    if said.code:
        if "not a git repository" in said.err:
            return None
        raise GitFailed(f"git could not answer in {folder}: {said.err.partition(chr(10))[0]}", None, path=folder)
    return os.path.realpath(os.path.join(folder, said.out.rstrip("\n")))


def in_repository(
    common: str, *words: str, allowed: tuple[int, ...] = (0,), timeout_s: float = git.TIMEOUT_S
) -> str:
    """What git prints about a repository as a whole."""
    return git.ask(os.path.dirname(common), f"--git-dir={common}", *words, allowed=allowed, timeout_s=timeout_s)


def listed(common: str) -> list[Listed]:
    """Every worktree, the main one first (of a bare repository, that itself)."""
    found = []
    for entry in in_repository(common, "worktree", "list", "--porcelain").split("\n\n"):
        about: dict[str, str] = {}
        for line in entry.splitlines():
            word, _, rest = line.partition(" ")
            about[word] = rest
        if "worktree" in about:
            path = about["worktree"]
            branch = about.get("branch")
            found.append(
                Listed(
                    path=path,
                    head=about.get("HEAD"),
                    branch=None if branch is None else branch.removeprefix("refs/heads/"),
                    bare="bare" in about,
                    locked=about.get("locked"),
                    gone="bare" not in about and not os.path.isdir(path),
                )
            )
    return found


def checked_out(common: str, branch: str) -> str | None:
    """Where a branch is checked out; None if nowhere."""
    return next((tree.path for tree in listed(common) if tree.branch == branch and not tree.bare), None)


def tip(common: str, branch: str) -> str | None:
    """The commit a branch stands at; None if there is no such branch."""
    return commit_of(common, f"refs/heads/{branch}")


def head_branch(common: str) -> str | None:
    """The branch that a bare repository's HEAD names; None if it names none."""
    said = in_repository(common, "symbolic-ref", "--quiet", "HEAD", allowed=(0, 1)).strip()
    return said.removeprefix("refs/heads/") or None


def commit_of(common: str, rev: str) -> str | None:
    """The commit a revision means in this repository; None if it means none."""
    if not rev or rev.startswith("-") or "\0" in rev:
        return None
    words = ("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}")
    return in_repository(common, *words, allowed=(0, 1, 128)).strip() or None


def is_branch_name(name: str) -> bool:
    """Whether git would take this as a branch's name."""
    if not name or name.startswith("-") or "\0" in name:
        return False
    return git.run("/", "check-ref-format", f"refs/heads/{name}", allowed=(0, 1, 129)).code == 0


def add(source: str | None, common: str, path: str, branch: str, commit: str | None) -> None:
    """Makes a worktree at ``path``. ``commit``: a new branch from there; None: the branch that exists.

    ``source`` is the work tree whose sparse checkout it gets, if there is one. Raises GitFailed.
    """
    words = ["-b", branch, "--no-track", "--", path, commit] if commit else ["--", path, branch]
    words = [*NO_HOOKS, "worktree", "add", "--quiet", *words]
    if source is None:
        in_repository(common, *words, timeout_s=CHECKOUT_S)
    else:
        git.ask(source, *words, timeout_s=CHECKOUT_S)


def remove(common: str, path: str, *, force: bool = True) -> None:
    """Removes a worktree. Nothing happens if git knows none there.

    Without ``force`` git looks once more whether something is not committed, and raises GitFailed then; it cannot
    where there are submodules.
    """
    if any(tree.path == path for tree in listed(common)):
        words = ("--force", "--force") if force else ()
        in_repository(common, "worktree", "remove", *words, "--", path, timeout_s=CHECKOUT_S)


def delete_branch(common: str, branch: str, commit: str) -> bool:
    """Deletes a branch that stands at this commit; False if it stands elsewhere by now, or is checked out."""
    if checked_out(common, branch) is not None:
        return False
    words = ("update-ref", "-m", "codex-agent", "-d", f"refs/heads/{branch}", commit)
    done = git.run(os.path.dirname(common), f"--git-dir={common}", *words, allowed=(0, 1, 128))
    if done.code == 0:
        # The branch's settings (its upstream), if it has any.
        section = ("config", "--local", "--remove-section", f"branch.{branch}")
        git.run(os.path.dirname(common), f"--git-dir={common}", *section, allowed=(0, 1, 5, 128, 255))
    return done.code == 0


def move_branch(common: str, branch: str, new: str, old: str) -> None:
    """Moves a branch that is checked out nowhere. Raises GitFailed if it does not stand at ``old`` any more."""
    in_repository(common, "update-ref", "-m", "codex-agent merge", f"refs/heads/{branch}", new, old)


@contextmanager
def scratch(common: str, commit: str) -> Iterator[str]:
    """A worktree for a moment, at this commit and on no branch; its path. Nothing of it stays."""
    folder = tempfile.mkdtemp(prefix="codex-agent-")
    path = os.path.join(os.path.realpath(folder), "tree")
    try:
        words = ("worktree", "add", "--quiet", "--detach", "--", path, commit)
        in_repository(common, *NO_HOOKS, *words, timeout_s=CHECKOUT_S)
        yield path
    finally:
        remove(common, path)
        shutil.rmtree(folder, ignore_errors=True)


def only_in(common: str, commits: list[str], *, but: str | None) -> list[str]:
    """What of these commits' history no branch, tag or remote branch has; newest first.

    ``but``: a branch that does not count, since it is about to go.
    """
    if not commits:
        return []
    leave = [] if but is None else [f"--exclude={but}"]
    words = [*commits, "--not", *leave, "--branches", "--tags", "--remotes"]
    return in_repository(common, "rev-list", *words).split()


def count(common: str, old: str, new: str) -> int:
    """How many commits ``new`` has that ``old`` has not."""
    return int(in_repository(common, "rev-list", "--count", new, f"^{old}"))


def is_ancestor(common: str, one: str, other: str) -> bool:
    """Whether a commit is in the history of another."""
    words = ("merge-base", "--is-ancestor", one, other)
    return git.run(os.path.dirname(common), f"--git-dir={common}", *words, allowed=(0, 1)).code == 0


def merge_base(common: str, one: str, other: str) -> str | None:
    """The best common ancestor; None if there is none."""
    return in_repository(common, "merge-base", one, other, allowed=(0, 1)).split("\n", 1)[0] or None
