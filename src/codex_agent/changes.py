"""Owns what a job changed, as git tells it: the difference between where its thread began and its tree now.

Git cannot tell who changed a file, so neither does this; the head of the text says what was compared. Writes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from codex_agent import git, jobs
from codex_agent.errors import BadState
from codex_agent.model import Job
from codex_agent.rollouts.head import read_head
from codex_agent.store import Store


def diff(store: Store, job_id: str) -> str:
    """The difference as text, after lines (``# ...``) that say what it is a difference of.

    Raises BadState outside git, GitFailed and MissingProgram as git does.
    """
    job = jobs.view(store, job_id)
    top = git.toplevel(job.cwd)
    if top is None:
        raise BadState(
            f"Job {job_id} works in no git work tree, so there is nothing to compare: {job.cwd}",
            f"codex-agent status {job_id} names the files that were changed through Codex.",
            id=job_id,
        )
    base, why = _base(job, top)
    text, untracked = git.diff(top, base), git.diff_untracked(top)
    return "".join(f"# {line}\n" for line in _head(job, top, why)) + "\n" + text + untracked


def _base(job: Job, top: str) -> tuple[str | None, str]:
    """The commit to compare with, and in words which that is."""
    began = None
    if job.rollout is not None:
        try:
            began = read_head(job.rollout, whole=True).commit
        except FileNotFoundError:
            pass  # archived or gone; then HEAD has to do
    base = None if began is None else git.verify(top, began)
    if base is not None:
        return base, f"commit {base[:12]}, at which its thread began"
    head = git.head(top)
    if head is None:
        return None, "nothing: there is no commit yet"
    return head, f"commit {head[:12]}, HEAD now (at which commit its thread began is not known)"


def _head(job: Job, top: str, why: str) -> Iterator[str]:
    yield f"{top} as it is now, against {why}."
    yield "Whoever changed it: other agents, people and commits since then are in it; ignored files are not."
    if job.files_modified:
        yield f"Changed through Codex by job {job.id}: {', '.join(job.files_modified)}"
    else:
        yield f"Job {job.id} changed no file through Codex's own tool; its commands may have."
