"""Owns git: where a work tree begins, which commit it stands at, what was committed, what is changed.

The only room that knows how git keeps its things. Where HEAD stands is read from git's files, without a process,
since that is asked at every event; what takes more (a log, a status) is asked of ``git``. This file only reads:
takes no lock, refreshes no index (``GIT_OPTIONAL_LOCKS=0``), and runs nothing that a repository's configuration
names, as far as git lets us switch it off. ``trees.py`` makes and removes worktrees, ``changes.py`` tells what was
changed in one, ``writing.py`` commits and merges.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codex_agent.errors import GitFailed, MissingProgram
from codex_agent.model import stamp

if TYPE_CHECKING:
    from codex_agent.work_answers import Commit

TIMEOUT_S = 20.0
# What HEAD says where the refs are kept in another way (reftable): nobody but git can read those.
_ELSEWHERE = "refs/heads/.invalid"
_HEX = frozenset("0123456789abcdef")
_LINKS = 5  # symbolic refs that git itself follows
# What a hook or an alias that called us has set: it speaks of that repository, not of the one we are asked about.
_OF_CALLER = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX", "GIT_NAMESPACE",
              "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")  # fmt: skip
_DIFF = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
_MOST_UNTRACKED = 50  # a process each
_FIELDS = "%H%x1f%ct%x1f%an%x1f%s"


@dataclass(frozen=True, slots=True)
class Said:
    """What a git command has said; paths that are no UTF-8 stand in ``out`` as lone surrogates."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where git keeps a work tree's things; absolute."""

    folder: str
    """HEAD, the index and whatever is this work tree's own."""
    common: str
    """Branches, packed refs and objects, shared by all work trees of the repository; often the same."""


def toplevel(path: str) -> str | None:
    """The work tree that holds this file or folder, as a real path; None outside of any. Starts no process.

    The path need not exist. A submodule and a linked work tree are trees of their own; a bare repository is none.
    """
    folder = os.path.realpath(path)
    while True:
        found = place(folder)
        if found is not None:
            return None if _is_bare(found) else folder
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above


def place(top: str) -> Place | None:
    """Where the things of the work tree that begins at ``top`` lie; None if none begins there."""
    dot = os.path.join(top, ".git")
    if not os.path.isdir(dot):
        said = _text(dot)
        if said is None or not said.startswith("gitdir: "):
            return None
        dot = os.path.realpath(os.path.join(top, said[len("gitdir: ") :].rstrip("\n")))
    if not os.path.lexists(os.path.join(dot, "HEAD")):
        return None  # a folder that is only called so; git looks further up as well
    common = _text(os.path.join(dot, "commondir"))
    return Place(dot, dot if common is None else os.path.realpath(os.path.join(dot, common.rstrip("\n"))))


def head(top: str) -> str | None:
    """The id of the commit that HEAD stands for; None before the first one, or if there is no work tree.

    No process, unless the repository keeps its refs in a way that only git reads.
    """
    where = place(top)
    if where is None:
        return None
    said = _text(os.path.join(where.folder, "HEAD"))
    for _ in range(_LINKS):
        if said is None or not said.startswith("ref:"):
            break
        name = said[len("ref:") :].strip()
        if name == _ELSEWHERE:
            return verify(top, "HEAD")
        said = _ref(where, name)
    said = (said or "").strip()
    return said if _is_commit(said) else None


def branch(top: str) -> str | None:
    """The branch that is checked out, such as ``main``; None if HEAD is detached, or there is no work tree."""
    where = place(top)
    said = None if where is None else _text(os.path.join(where.folder, "HEAD"))
    if said is None or not said.startswith("ref:"):
        return None
    name = said[len("ref:") :].strip()
    if name == _ELSEWHERE:
        name = ask(top, "symbolic-ref", "--quiet", "HEAD", allowed=(0, 1)).strip()
    return name.removeprefix("refs/heads/") or None


def head_files(top: str) -> list[str]:
    """Folders (and one file) to watch so that no change of ``head`` goes unnoticed; all of them exist.

    git replaces its files by renaming, so folders must be watched for the names in them, and which ones matter
    depends on the branch: after anything that happened there, ask again, watch what is new, and only then read
    ``head``. The file, HEAD's log, is appended to.
    """
    where = place(top)
    if where is None:
        return []
    # HEAD itself; packed-refs; the branch's own file, whose folder may have to be made first.
    wanted = [where.folder, where.common]
    said = _text(os.path.join(where.folder, "HEAD")) or ""
    name = said.removeprefix("ref:").strip()
    if name == _ELSEWHERE:
        wanted += [os.path.join(folder, "reftable") for folder in (where.folder, where.common)]
    elif said.startswith("ref:") and _is_name(name):
        folder = os.path.dirname(os.path.join(_home(where, name), name))
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        wanted.append(folder)
    wanted.append(os.path.join(where.folder, "logs", "HEAD"))
    return [path for path in dict.fromkeys(wanted) if os.path.exists(path)]


def commits(
    top: str, old: str | None, new: str, limit: int, *, since: float | None = None, until: float | None = None
) -> list[Commit]:
    """What ``new`` has and ``old`` has not (None: no commit yet), oldest first; of many the newest ``limit``.

    Both are ids or other revisions; ``since`` and ``until`` (seconds since the epoch) are about when it was
    committed. Raises GitFailed if git knows one of the revisions not.
    """
    _not_an_option(top, new, old or "HEAD")
    words = [f"--max-count={limit}"]
    words += [] if since is None else [f"--since=@{int(since)}"]
    words += [] if until is None else [f"--until=@{int(until)}"]
    return _log(top, *words, new if old is None else f"{old}..{new}")


def commit(top: str, rev: str) -> Commit | None:
    """The commit that a revision means; None if it means none."""
    found = verify(top, rev)
    return None if found is None else _log(top, "--no-walk", found)[0]


def subject(top: str, rev: str) -> str:
    """The first line of a commit's message. Raises GitFailed if there is no such commit."""
    _not_an_option(top, rev)
    return _log(top, "--no-walk", rev)[0].subject


def changed(top: str) -> list[str]:
    """Every file that differs from HEAD, staged or not, and untracked ones that are not ignored; absolute.

    A file that was moved counts as both paths. What is changed inside a submodule is the submodule's.
    """
    words = ("--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", "--ignore-submodules=dirty")
    entries = ask(top, "status", *words).split("\0")
    return [os.path.join(top, entry[3:].rstrip("/")) for entry in entries if len(entry) > 3]


def diff(top: str, base: str | None) -> str:
    """How the work tree differs from a commit (None: from nothing), as a patch; untracked files left out.

    No program that the repository's configuration names for showing differences is run.
    """
    if base is None:  # git knows the empty tree without its being stored, by either kind of id
        base = ask(top, "hash-object", "-t", "tree", "--stdin").strip()
    _not_an_option(top, base)
    return ask(top, "diff", *_DIFF, "--ignore-submodules=dirty", base, "--")


def diff_untracked(top: str) -> str:
    """The untracked files that are not ignored, as patches that add them; of many only the names."""
    named = sorted(filter(None, ask(top, "ls-files", "-z", "--others", "--exclude-standard").split("\0")))
    files = [name for name in named if not name.endswith("/")]  # a slash: another repository in this one
    rest = files[_MOST_UNTRACKED:] + [name for name in named if name.endswith("/")]
    # git says 1 where there is a difference, and 0 for an empty file.
    patches = [
        ask(top, "diff", *_DIFF, "--no-index", "--", os.devnull, name, allowed=(0, 1))
        for name in files[:_MOST_UNTRACKED]
    ]
    return "".join([*patches, *(f"# untracked too: {name}\n" for name in rest)])


def has_remote(top: str) -> bool:
    """Whether the repository knows another one to send to, by its own configuration. Starts no process."""
    where = place(top)
    said = None if where is None else _text(os.path.join(where.common, "config"))
    return said is not None and '[remote "' in said


def verify(top: str, rev: str) -> str | None:
    """The id of the commit that a revision means; None if it means none."""
    if not rev or rev.startswith("-") or "\0" in rev:
        return None
    said = ask(top, "rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}", allowed=(0, 1)).strip()
    return said if _is_commit(said) else None


def _log(top: str, *words: str) -> list[Commit]:
    from codex_agent.work_answers import Commit  # late: `start` asks where a tree begins, and for no commit

    said = ask(
        top,
        *("-c", "log.showSignature=false", "-c", "log.mailmap=false"),
        *("log", "-z", "--reverse", "--encoding=UTF-8", f"--format={_FIELDS}", *words, "--"),
    )
    found = []
    for entry in filter(None, said.split("\0")):
        name, at, author, first = entry.rstrip("\n").split("\x1f", 3)
        found.append(Commit(id=name, subject=first, author=author, at=stamp(float(at))))
    return found


def _not_an_option(top: str, *revisions: str) -> None:
    for rev in revisions:
        if not rev or rev.startswith("-") or "\0" in rev:
            raise GitFailed(f"'{rev}' is no commit.", "Give a commit's id, or a branch.", path=top)


def ask(
    top: str,
    *words: str,
    allowed: tuple[int, ...] = (0,),
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> str:
    """What git prints, run in ``top`` with ``environ`` (else this process's) but for what names a repository.

    Raises MissingProgram, or GitFailed for an exit status that is not allowed.
    """
    return run(top, *words, allowed=allowed, stdin=stdin, environ=environ, timeout_s=timeout_s).out


def run(
    top: str,
    *words: str,
    allowed: tuple[int, ...] = (0,),
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    more_environ: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Said:
    """As ``ask``, with all that git says. ``more_environ`` is put on top, whatever it names."""
    import subprocess

    given = os.environ if environ is None else environ
    env = {name: value for name, value in given.items() if name not in _OF_CALLER}
    env |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C.UTF-8", **(more_environ or {})}
    argv = ["git", "--no-pager", "-C", top, "-c", "core.fsmonitor=false", *words]
    pipe = subprocess.PIPE
    try:
        # In a session of its own, so that a filter or the like which git runs can be ended with it.
        process = subprocess.Popen(
            argv,
            env=env,
            stdin=subprocess.DEVNULL if stdin is None else pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
    except OSError as error:
        raise MissingProgram(
            f"git cannot be run: {error.strerror}.", "Install git, or put it into PATH.", program="git"
        ) from error
    with process:
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise GitFailed(f"git took more than {timeout_s:g} s in {top}.", None, path=top) from None
    said = Said(process.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "replace").strip())
    if said.code not in allowed:
        told = said.err.partition("\n")[0] or f"exit {said.code}"
        raise GitFailed(f"git could not answer in {top}: {told}", f"Try: git -C {top} status", path=top)
    return said


def _ref(where: Place, name: str) -> str | None:
    """What a ref holds: a commit's id, or ``ref: `` and another one; None if it does not exist (yet)."""
    if not _is_name(name):
        return None
    # In this order: git packs a ref before it removes the file.
    loose = _text(os.path.join(_home(where, name), name))
    if loose is not None:
        return loose
    packed = _text(os.path.join(where.common, "packed-refs")) or ""
    end = f"\n{packed}".find(f" {name}\n")  # with a line end before, so that every line has one on both sides
    if end < 0:
        return None
    return f"\n{packed}"[:end].rpartition("\n")[2]


def _home(where: Place, name: str) -> str:
    """Where a ref is kept: all but these are shared by the work trees of a repository."""
    own = name.startswith(("refs/bisect/", "refs/worktree/", "refs/rewritten/")) or not name.startswith("refs/")
    return where.folder if own else where.common


def _is_name(name: str) -> bool:
    """Whether this can be a ref's name; above all, whether it stays inside git's folder."""
    return bool(name) and not name.startswith("/") and ".." not in name and "\0" not in name


def _is_commit(text: str) -> bool:
    return len(text) in (40, 64) and _HEX.issuperset(text)


def _is_bare(where: Place) -> bool:
    """Whether the repository says that it has no work tree. A linked work tree has no such file."""
    section = ""
    for line in (_text(os.path.join(where.folder, "config")) or "").lower().splitlines():
        section = line.strip() if line.strip().startswith("[") else section
        key, _, value = line.partition("=")
        if section == "[core]" and key.strip() == "bare":
            return value.strip() in ("true", "yes", "on", "1", "")
    return False


def _text(path: str) -> str | None:
    """A small file of git's; None if it is not there, or not ours to read (git then sees none either)."""
    try:
        with open(path, "rb") as file:
            return file.read().decode("utf-8", "surrogateescape")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
        return None
