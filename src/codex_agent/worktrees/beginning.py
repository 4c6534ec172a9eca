"""Owns what ``start`` does about git: what was asked for is checked, the worktree is made, or taken back.

Loads what it needs only for jobs that ask for it. Must never make a worktree before everything else is checked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from codex_agent import git, kernel
from codex_agent.errors import CodexAgentError, UsageError
from codex_agent.model import Record, Request, SetUp, Worktree
from codex_agent.settings import home
from codex_agent.settings_keys import WorktreeSettings
from codex_agent.store import Store
from codex_agent.worktrees import TreeOptions

_HOOKS = (
    "The agent may write git's own folders: hooks and settings that it puts there run outside its sandbox, at "
    "whatever git command is used in this repository next."
)


def settle(
    request: Request, wanted: TreeOptions, name: str | None, settings: WorktreeSettings, environ: Mapping[str, str]
) -> list[str]:
    """Completes the request: its worktree and folder, as they will be, and what it may write. Notices.

    Raises UsageError, BadState, GitFailed.
    """
    notices: list[str] = []
    if wanted.worktree is not None:
        from codex_agent.worktrees import making

        folder = os.path.join(home(environ), "worktrees")
        asked = (wanted.worktree, wanted.base, name)
        request.worktree, request.cwd, notices = making.plan(request.cwd, *asked, settings, folder)
        command = _words(wanted.setup if wanted.setup is not None else settings.setup)
        request.worktree.setup = None if command is None else SetUp(command)
    elif wanted.base is not None or wanted.setup is not None:
        raise UsageError("--base and --setup are for a new worktree.", "Add --worktree.")
    else:
        request.worktree = _of_an_earlier_job(request.cwd, environ)
    if wanted.commit:
        if request.worktree is None:
            raise UsageError(
                "--commit needs a worktree of its own: else what others change would be committed with it.",
                "Add --worktree.",
            )
        from codex_agent.git import writing

        tree = request.worktree
        writing.check_identity(tree.source or tree.repository, environ)
        request.commit = True
    if wanted.allow_commits:
        notices.append(_HOOKS)
        if not wanted.wants_new:
            request.git_folders = git_folders(request.cwd)
        if request.sandbox == "read-only":
            raise UsageError(
                "A read-only agent cannot commit.", "Leave --allow-commits out, or choose another -s."
            )
    request.allow_commits = wanted.allow_commits
    return notices


def name(record: Record) -> None:
    """Gives the worktree that is to be made its name; saved so, nobody can leave one that no job knows of."""
    from codex_agent.worktrees import making

    request = record.request
    assert request.worktree is not None
    request.worktree, request.cwd = making.named(request.worktree, request.cwd, record.id)


def make(record: Record, settings: WorktreeSettings, environ: Mapping[str, str]) -> list[str]:
    """Makes the worktree of a job; notices. Raises what ``making.make`` does."""
    from codex_agent.worktrees import making

    request = record.request
    assert request.worktree is not None
    # With the job's mark, so that whoever settles the job of a `start` that was killed ends the set-up command.
    marked = {**environ, kernel.MARK: record.mark}
    request.worktree, notices = making.make(request.worktree, request.cwd, record.id, settings, marked)
    if request.allow_commits:
        request.git_folders = git_folders(request.cwd)
    return notices


def unmake(tree: Worktree, error: BaseException) -> None:
    """Takes the worktree of a start that failed away; what somebody may have done in it stays, and is said."""
    from codex_agent.git import changes
    from codex_agent.worktrees import making

    try:
        touched = git.head(tree.path) != tree.base_commit or bool(changes.uncommitted(tree.path))
    except CodexAgentError:
        touched = True
    if not touched:
        making.discard(tree)
    elif isinstance(error, CodexAgentError):
        error.message = f"{error.message} Its worktree was left, since something is changed in it: {tree.path}"
        error.args = (error.message,)


def git_folders(folder: str) -> list[str]:
    """git's own folders for a tree: a worktree has one of its own beside the one all share.

    Codex (0.163.0, 0.169.0) keeps a worktree's own read-only unless it is named itself.
    """
    top = git.toplevel(folder)
    where = None if top is None else git.place(top)
    if where is None:
        raise UsageError(
            f"{folder} is in no git repository, so there is nothing to commit to.", "Leave --allow-commits out."
        )
    return list(dict.fromkeys((where.common, where.folder)))


def _of_an_earlier_job(cwd: str, environ: Mapping[str, str]) -> Worktree | None:
    """The worktree of an earlier job, where this one goes on in it."""
    top = git.toplevel(cwd)
    where = None if top is None else git.place(top)
    if where is None or where.folder == where.common:
        return None
    from codex_agent.worktrees import looking

    return looking.known(Store(home(environ)), cwd)


def _words(command: str | None) -> list[str] | None:
    import shlex

    if not command:
        return None
    try:
        return shlex.split(command) or None
    except ValueError as error:
        raise UsageError(f"--setup: {error}: {command}", "Check the quotes.") from error
