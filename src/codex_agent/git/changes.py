"""Owns what was changed in a worktree since a commit: committed, not committed, and new files alike.

Reads through an index of its own, so that the worktree's stays as it is. What lies in a submodule is that
repository's; here it counts as one path. Must never write to a work tree.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from codex_agent import git
from codex_agent.git import trees

# What a repository's configuration may have run in reading, and what it may say of how paths look.
_PLAIN = ("--no-ext-diff", "--no-textconv", "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "--no-relative")
_DIFF_S = 120.0


@dataclass(frozen=True, slots=True)
class Changed:
    """A path that differs. ``added`` and ``deleted`` are lines, None for what is no text."""

    path: str
    added: int | None
    deleted: int | None


def nested(top: str) -> list[str]:
    """Repositories in this one that it does not know: relative paths. git would take them for submodules."""
    words = ("ls-files", "--others", "--exclude-standard", "-z")
    return [path.rstrip("/") for path in git.ask(top, *words).split("\0") if path.endswith("/")]


def submodules(top: str) -> list[str]:
    """The submodules, checked out or not: relative paths."""
    entries = git.ask(top, "ls-files", "--stage", "-z").split("\0")
    return [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]


def matching(top: str, patterns_file: str | None, patterns: Sequence[str]) -> list[str]:
    """Untracked files that these patterns (written as in .gitignore) name, ignored or not: relative paths."""
    given = [] if patterns_file is None else [f"--exclude-from={patterns_file}"]
    given += [f"--exclude={pattern}" for pattern in patterns]
    found = git.ask(top, "ls-files", "--others", "--ignored", *given, "-z", timeout_s=_DIFF_S).split("\0")
    return [path for path in found if path and not path.endswith("/")]


def ignored(top: str, paths: Sequence[str]) -> list[str]:
    """Those of these relative paths that git ignores."""
    stdin = "\0".join(paths).encode("utf-8", "surrogateescape")
    return git.ask(top, "check-ignore", "-z", "--stdin", stdin=stdin, allowed=(0, 1)).split("\0")


def unresolved(top: str) -> list[str]:
    """Files with a conflict that nobody has resolved: relative paths."""
    entries = git.ask(top, "ls-files", "--unmerged", "-z").split("\0")
    return list(dict.fromkeys(entry.partition("\t")[2] for entry in entries if entry))


def module(top: str, path: str) -> git.Place | None:
    """Where git keeps a submodule that is checked out; None if it is not, or its git folder is nowhere git put it.

    An agent can write a submodule's `.git` file, and so have git obey settings that it made up.
    """
    above, where = git.place(top), git.place(os.path.join(top, path))
    if above is None or where is None or not where.folder.startswith(os.path.join(above.common, "")):
        return None
    return where


def all_but(paths: list[str]) -> list[str]:
    """The whole tree without these, as git's pathspecs."""
    return [":(top)", *(f":(top,exclude,literal){path}" for path in paths)]


def uncommitted(top: str, *, untracked: bool = True) -> list[str]:
    """What differs from HEAD: relative paths. A repository that it does not know is one, with a final ``/``."""
    words = ("--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty")
    files = "--untracked-files=all" if untracked else "--untracked-files=no"
    return [entry[3:] for entry in git.ask(top, "status", *words, files).split("\0") if len(entry) > 3]


def diff(top: str, base: str, *words: str, color: bool = False) -> str:
    """What differs between a commit and the worktree as it is, as `git diff WORDS` says it."""
    with _index_with_new_files(top) as index:
        plain = [each for each in _PLAIN if not (color and each == "--no-color")]
        more = ["--color=always"] if color else []
        said = git.run(
            top,
            *("diff", *plain, *more, "--ignore-submodules=dirty", *words, base, "--"),
            more_environ={"GIT_INDEX_FILE": index},
            timeout_s=_DIFF_S,
        )
    return said.out


def between(common: str, old: str, new: str, *words: str, color: bool = False) -> str:
    """The same for two commits of a repository."""
    plain = [each for each in _PLAIN if not (color and each == "--no-color")]
    more = ["--color=always"] if color else []
    return trees.in_repository(common, "diff", *plain, *more, *words, old, new, "--", timeout_s=_DIFF_S)


def numbers(said: str) -> list[Changed]:
    """What `--numstat -z --no-renames` says."""
    found = []
    for entry in filter(None, said.split("\0")):
        added, deleted, path = entry.split("\t", 2)
        found.append(Changed(path, int(added) if added != "-" else None, int(deleted) if deleted != "-" else None))
    return found


def snapshot(top: str, message: str) -> str:
    """The worktree as it is, as a commit on top of HEAD that no branch has; git forgets it after some weeks."""
    with _own_index(top) as index:
        env = {"GIT_INDEX_FILE": index, "GIT_OPTIONAL_LOCKS": "0"} | NOBODY
        leave = [*submodules(top), *nested(top)]
        git.run(
            top, "add", *sparse_words(top), "--all", "--", *all_but(leave), more_environ=env, timeout_s=_DIFF_S
        )
        tree = git.run(top, "write-tree", more_environ=env).out.strip()
        words = ("commit-tree", tree, "-p", "HEAD", "-m", message)
        return git.run(top, *words, more_environ=env).out.strip()


NOBODY = {
    "GIT_AUTHOR_NAME": "codex-agent",
    "GIT_AUTHOR_EMAIL": "codex-agent@localhost",
    "GIT_COMMITTER_NAME": "codex-agent",
    "GIT_COMMITTER_EMAIL": "codex-agent@localhost",
}


def sparse_words(top: str) -> list[str]:
    """What `git add` needs so that a file outside a sparse checkout, which an agent wrote all the same, counts."""
    said = git.run(top, "config", "--bool", "core.sparseCheckout", allowed=(0, 1, 128)).out.strip()
    return ["--sparse"] if said == "true" else []


@contextmanager
def _index_with_new_files(top: str) -> Iterator[str]:
    with _own_index(top) as index:
        leave = all_but([*submodules(top), *nested(top)])
        words = ("add", *sparse_words(top), "--intent-to-add", "--", *leave)
        git.run(top, *words, more_environ={"GIT_INDEX_FILE": index}, timeout_s=_DIFF_S)
        yield index


@contextmanager
def _own_index(top: str) -> Iterator[str]:
    """A copy of the worktree's index, for a moment."""
    where = git.place(top)
    assert where is not None, top
    with tempfile.TemporaryDirectory(prefix="codex-agent-") as folder:
        index = os.path.join(folder, "index")
        if os.path.exists(os.path.join(where.folder, "index")):
            shutil.copy2(os.path.join(where.folder, "index"), index)
        yield index
