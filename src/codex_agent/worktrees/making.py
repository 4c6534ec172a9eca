"""Owns a new worktree: where it goes and on which branch, what is copied into it, the set-up command, undoing it.

``plan`` does nothing; ``make`` does all of it, or leaves nothing behind. Must never copy what git tracks, nor what
git would take for the agent's work.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from codex_agent import git
from codex_agent.errors import BadState, CodexAgentError, GitFailed, StartFailed, StoreUnwritable, UsageError
from codex_agent.git import changes, submodules, trees
from codex_agent.model import SetUp, Worktree
from codex_agent.settings_keys import WorktreeSettings

# What stands for the job's id until there is one.
ID = "@ID@"
INCLUDE = ".worktreeinclude"
PREFIX = "codex-agent/"
_OUTPUT_CHARS, _ERROR_CHARS = 1000, 4000  # of a job, which is listed often; of an error
_SLUG_CHARS = 64
_NAMED = 5


def plan(
    cwd: str, branch: str, base: str | None, name: str | None, settings: WorktreeSettings, folder: str
) -> tuple[Worktree, str, list[str]]:
    """The worktree to make (``ID`` stands in it for the job's id), the agent's folder in it, and notices.

    ``branch``: "" for a new one of the job's name. Raises UsageError, BadState.
    """
    common = trees.repository(cwd)
    if common is None:
        raise UsageError(
            f"{cwd} is in no git repository, so there is nothing to make a worktree of.",
            "Start it in a git repository, or leave --worktree out.",
            path=cwd,
        )
    source = git.toplevel(cwd)
    here = cwd if source is not None else common
    new = not branch or trees.tip(common, branch) is None
    if branch and not trees.is_branch_name(branch):
        raise UsageError(f"'{branch}' cannot be a branch's name.", "Give another one, or --worktree alone.")
    if not new:
        _free(common, branch, base)
    start = base or ("HEAD" if new else branch)
    commit = git.verify(here, start)
    if commit is None:
        why = "It has no commit yet." if start == "HEAD" else "git knows no such commit here."
        raise UsageError(f"A worktree cannot begin at {start}: {why}", "Name a commit: --base REF", path=cwd)
    label = _slug(name) if name else ID
    tree = Worktree(
        # As git will call it: without links.
        path=os.path.join(os.path.realpath(settings.folder or folder), _name_of(common, source), label),
        branch=branch or f"{PREFIX}{label}",
        created=new,
        base=_branch_of(common, here, base if new else None),
        base_commit=commit,
        repository=common,
        source=source,
    )
    below = "" if source is None else os.path.relpath(os.path.realpath(cwd), source)
    notices = [] if source is None else _left_out(source, tree)
    return tree, os.path.normpath(os.path.join(tree.path, below)), notices


def named(tree: Worktree, cwd: str, job_id: str) -> tuple[Worktree, str]:
    """With the job's id; with that behind the name too where an earlier job has left one of that name."""
    path, branch = tree.path.replace(ID, job_id), tree.branch.replace(ID, job_id)
    taken = tree.created and branch.startswith(PREFIX) and trees.tip(tree.repository, branch) is not None
    if os.path.lexists(path) or taken:
        path = f"{path}-{job_id}"
        branch = f"{branch}-{job_id}" if taken else branch
    return replace(tree, path=path, branch=branch), path + cwd[len(tree.path) :]


def make(
    tree: Worktree, cwd: str, job_id: str, settings: WorktreeSettings, environ: Mapping[str, str]
) -> tuple[Worktree, list[str]]:
    """Makes it, by its final name: as it is now, and notices. Raises what is wrong, and then none is left.

    The set-up command runs with the caller's environment, in the agent's folder, without a shell.
    """
    made = replace(tree)
    try:
        os.makedirs(os.path.dirname(made.path), mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreUnwritable(
            f"{os.path.dirname(made.path)} cannot be made: {error.strerror}.", "Set worktree.folder."
        ) from error
    try:
        trees.add(made.source, made.repository, made.path, made.branch, made.base_commit if made.created else None)
    except GitFailed:
        # A checkout that failed has left the branch behind. One that has moved, or is in use, is somebody's.
        if made.created and not os.path.lexists(made.path):
            with contextlib.suppress(CodexAgentError):
                trees.delete_branch(made.repository, made.branch, made.base_commit)
        raise
    try:
        if not os.path.isdir(cwd):
            raise BadState(
                f"{os.path.relpath(cwd, made.path)} is not in {made.base or made.base_commit[:12]}.",
                "Start it in a folder that is committed there, or name another --base.",
            )
        notices = submodules.fill(made.source, made.path) if made.source is not None else []
        if made.source is not None:
            made.copied, more = copy_included(made.source, made.path, settings.include)
            notices += more
        if made.setup is not None:
            made.setup = set_up(made, made.setup.command, cwd, settings.setup_min * 60, job_id, environ)
    except BaseException:
        discard(made)
        raise
    return made, notices


def discard(tree: Worktree) -> None:
    """Removes what ``make`` has made, if no agent was ever at work in it."""
    with contextlib.suppress(CodexAgentError):
        trees.remove(tree.repository, tree.path)
    shutil.rmtree(tree.path, ignore_errors=True)
    if tree.created:
        with contextlib.suppress(CodexAgentError):
            trees.delete_branch(tree.repository, tree.branch, tree.base_commit)


def copy_included(source: str, target: str, patterns: Sequence[str]) -> tuple[list[str], list[str]]:
    """Copies what ``.worktreeinclude`` and these patterns name and git ignores: relative paths, and notices.

    What git does not ignore is not copied: it would be taken for the agent's work.
    """
    wanted = _included(source, patterns)
    if not wanted:
        return [], []
    ignored = set(changes.ignored(source, wanted))
    notices = []
    not_ignored = [path for path in wanted if path not in ignored]
    if not_ignored:
        notices.append(
            f"Not copied into the worktree, since git does not ignore it: {_list(not_ignored)}. "
            "It would be taken for the agent's work."
        )
    copied = []
    for path in wanted:
        if path in ignored:
            trouble = _copy(source, target, path)
            if trouble is None:
                copied.append(path)
            else:
                notices.append(f"Not copied into the worktree: {path} ({trouble}).")
    return copied, notices


def _included(source: str, patterns: Sequence[str]) -> list[str]:
    file = os.path.join(source, INCLUDE)
    has_file = os.path.isfile(file)
    if not has_file and not patterns:
        return []
    return changes.matching(source, file if has_file else None, patterns)


def _copy(source: str, target: str, path: str) -> str | None:
    """Copies one file as it is; why not, if it cannot be."""
    old, new = os.path.join(source, path), os.path.join(target, path)
    folder = os.path.dirname(new)
    # A link in the worktree must not lead us out of it.
    if os.path.realpath(folder) != os.path.join(os.path.realpath(target), os.path.dirname(path)).rstrip("/"):
        return "its folder is a link there"
    if os.path.lexists(new):
        return "it is there already"
    try:
        os.makedirs(folder, exist_ok=True)
        shutil.copy2(old, new, follow_symlinks=False)
    except OSError as error:
        return error.strerror or str(error)
    return None


def set_up(
    tree: Worktree, command: Sequence[str], cwd: str, limit_s: float, job_id: str, environ: Mapping[str, str]
) -> SetUp:
    """Runs the set-up command; how that went. Raises StartFailed if it failed."""
    env = {
        **environ,
        "CODEX_AGENT_JOB_ID": job_id,
        "CODEX_AGENT_WORKTREE": tree.path,
        "CODEX_AGENT_BRANCH": tree.branch,
        "CODEX_AGENT_SOURCE": tree.source or tree.repository,
    }
    began = time.monotonic()
    try:
        process = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise StartFailed(
            f"The set-up command cannot be run ({error.strerror}): {command[0]}",
            "Check --setup or worktree.setup.",
        ) from error
    with process:
        try:
            out, _ = process.communicate(timeout=limit_s or None)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise StartFailed(
                f"The set-up command took more than {limit_s / 60:g} minutes.", "Raise worktree.setup_min."
            ) from None
    text = out.decode("utf-8", "replace")
    done = SetUp(list(command), process.returncode, round(time.monotonic() - began, 3), text[-_OUTPUT_CHARS:])
    if process.returncode:
        last = "\n".join(text.strip().splitlines()[-10:])
        raise StartFailed(
            f"The set-up command failed, exit status {process.returncode}: {' '.join(command)}\n{last}".strip(),
            "Nothing was started, and the worktree is gone again.",
            exit_code=process.returncode,
            output=text[-_ERROR_CHARS:],
        )
    return done


def _free(common: str, branch: str, base: str | None) -> None:
    """Raises if an existing branch cannot be had."""
    if base is not None:
        raise UsageError(
            f"The branch {branch} exists, so --base cannot say where it begins.",
            "Leave --base out to go on with that branch, or name a new one.",
        )
    where = trees.checked_out(common, branch)
    if where is not None:
        raise BadState(
            f"The branch {branch} is checked out in {where}, and git allows that once.",
            f"Begin a new one there: --worktree NEW --base {branch}; or start it with -d {where}.",
            path=where,
        )


def _branch_of(common: str, here: str, base: str | None) -> str | None:
    """The branch that work from this base goes back to; None if it is no branch of this repository."""
    if base is None or base == "HEAD":
        top = git.toplevel(here)
        found = trees.head_branch(common) if top is None else git.branch(top)
        return found if found is not None and trees.tip(common, found) is not None else None
    name = base.removeprefix("refs/heads/").removeprefix("heads/")
    return name if trees.tip(common, name) is not None else None


def _name_of(common: str, source: str | None) -> str:
    """What the repository is called."""
    main = os.path.dirname(common) if os.path.basename(common) == ".git" else common.removesuffix(".git")
    return _slug(os.path.basename(main) or os.path.basename(source or "") or "repository")


def _slug(text: str) -> str:
    """Letters, digits, dots, dashes: what a folder and a branch may both be called."""
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:_SLUG_CHARS].strip("-.")
    slug = re.sub(r"\.{2,}", ".", slug).removesuffix(".lock")
    return slug or "job"


def _left_out(source: str, tree: Worktree) -> list[str]:
    """A notice of what the agent will not see."""
    try:
        dirty = changes.uncommitted(source)
    except GitFailed as error:
        return [error.message]
    if not dirty:
        return []
    at = tree.base or tree.base_commit[:12]
    return [f"The worktree begins at {at}, without what is not committed in {source}: {_list(dirty)}."]


def _list(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
