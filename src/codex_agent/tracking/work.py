"""Owns where a job's work stands in git: before it began, while it runs, and when it has ended.

Compares HEAD, never words. Used by the supervisor, and by whoever settles a job whose supervisor was lost. Must
never keep a job from ending: what git or gh do not tell in time is left out.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from codex_agent import git
from codex_agent.errors import CodexAgentError
from codex_agent.model import Record
from codex_agent.tracked import Committed, PullRequest, Work

if TYPE_CHECKING:
    from codex_agent.tracking.notes import Note

MOST_COMMITS = 20
MOST_DIRTY = 20
_GH_S = 10.0


def begin(record: Record) -> None:
    """Writes down where the work tree of the job stands. A job that is begun again keeps its first beginning."""
    facts = record.facts
    top = git.toplevel(record.request.cwd)
    if facts.work is not None or top is None:
        return
    with contextlib.suppress(CodexAgentError):  # refs that only git can read, and no git
        branch, head = git.branch(top), git.head(top)
        facts.work = Work(top=top, branch_before=branch, head_before=head, branch=branch, head=head)


class Watch:
    """Follows the work of a job that runs."""

    def __init__(self, record: Record, note: Callable[..., None]) -> None:
        self._record, self._note = record, note
        from codex_agent.tracking.notes import Folder  # late: ``begin`` stands before every Codex

        folder = record.request.track
        self._notes = None if folder is None else Folder(folder)

    def look(self) -> bool:
        """Takes what is new into the facts; whether anything was. Reads a few small files.

        What git does not tell now it may tell at the next look, or at the end.
        """
        try:
            return self._look()
        except CodexAgentError:
            return False

    def _look(self) -> bool:
        work = self._record.facts.work
        changed = False
        for note in self._notes.new() if self._notes is not None else []:
            changed = self._take(note) or changed
        if work is None:
            return changed
        branch, head = git.branch(work.top), git.head(work.top)
        if branch != work.branch:
            self._note("branch", branch=branch, was=work.branch)
        if head != work.head:
            self._note("head", head=head, was=work.head)
        changed = changed or (branch, head) != (work.branch, work.head)
        work.branch, work.head = branch, head
        return changed

    def _take(self, note: Note) -> bool:
        facts = self._record.facts
        if note.kind == "branch":
            known = (
                note.top is not None and git.toplevel(note.top) == note.top and _has_branch(note.top, note.value)
            )
            if not known or note.value in facts.branches_made:
                return False
            facts.branches_made.append(note.value)
            self._note("branch_made", branch=note.value, top=note.top)
            return True
        old = facts.pull_request
        url = note.value or (old.url if old is not None else None)
        new = PullRequest(url, note.kind, "gh")
        facts.pull_request = new
        self._note("pull_request", url=new.url, status=new.status)
        return new != old


def end(record: Record, env: Mapping[str, str] | None) -> None:
    """What has become of it: commits, what is not committed, the pull request. ``env`` is what gh is asked with.

    Asks git twice, and gh once where there may be a pull request that nobody noted; each for seconds at most.
    """
    facts = record.facts
    work = facts.work
    if work is None or not os.path.isdir(work.top):
        return
    try:
        work.branch, work.head = git.branch(work.top), git.head(work.top)
        if work.head is not None and work.head != work.head_before:
            made = git.commits(work.top, work.head_before, work.head, MOST_COMMITS + 1)
            work.commits = [Committed(one.id, one.subject) for one in made[-MOST_COMMITS:]]
            work.more_commits = len(made) > MOST_COMMITS
        if not _could_write_gits_own(record, work.top):
            dirty = git.changed(work.top)
            work.dirty = [os.path.relpath(path, work.top) for path in dirty[:MOST_DIRTY]]
            work.dirty_count = len(dirty)
    except CodexAgentError as error:
        facts.warnings.append(f"Git does not tell all of what was done: {error.message}")
    if env is not None and record.request.track is not None and _may_have_one(record):
        facts.pull_request = _asked(work.top, work.branch or "", env)


def _could_write_gits_own(record: Record, top: str) -> bool:
    """Whether the agent was sandboxed and could write git's own folders all the same.

    To tell what is changed, git runs the filters that its configuration names: what such an agent put there would
    run here, outside its sandbox, without anybody's doing. Codex keeps the `.git` of a folder it may write
    read-only, but not one that lies deeper (0.163.0).
    """
    request, where = record.request, git.place(top)
    if request.sandbox != "workspace-write" or where is None:
        return False
    for own in (where.folder, where.common):
        for open_folder in (request.cwd, *request.add_dirs, *request.git_folders):
            if _within(own, open_folder) and own != os.path.join(open_folder, ".git"):
                return True
            if _within(open_folder, own):
                return True
    return False


def _within(path: str, folder: str) -> bool:
    path, folder = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath((path, folder)) == folder


def _may_have_one(record: Record) -> bool:
    """Whether there may be one that nobody noted: something was done on a branch that can go out."""
    facts, work = record.facts, record.facts.work
    if facts.pull_request is not None or work is None or work.branch is None:
        return False
    done = work.branch != work.branch_before or work.head != work.head_before
    return done and git.has_remote(work.top)


def _asked(top: str, branch: str, env: Mapping[str, str]) -> PullRequest | None:
    """What gh knows of the branch; None if there is no gh, it is not logged in, or it knows of nothing."""
    import json
    import shutil
    import subprocess

    from codex_agent.tracking.wrappers import without  # late, as above

    plain = without(env)
    gh = shutil.which("gh", path=plain.get("PATH", os.defpath))
    if gh is None:
        return None
    try:
        done = subprocess.run(
            [gh, "pr", "view", branch, "--json", "url,state"],
            cwd=top,
            env={**plain, "GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_GH_S,
            start_new_session=True,
            check=False,
        )
        told: Any = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("url"), str):
        return None
    state = told.get("state")
    return PullRequest(
        told["url"], "merged" if state == "MERGED" else "closed" if state == "CLOSED" else "pr_open", "head"
    )


def _has_branch(top: str, branch: str) -> bool:
    return git.branch(top) == branch or git.verify(top, f"refs/heads/{branch}") is not None
