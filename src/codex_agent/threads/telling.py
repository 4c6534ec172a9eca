"""Owns what a list of threads and a look at one tell in the same way: title, last activity, the job."""

from __future__ import annotations

from codex_agent import index, jobs
from codex_agent.errors import CodexAgentError
from codex_agent.model import Job
from codex_agent.rollouts.head import first_prompt
from codex_agent.store import Store
from codex_agent.verdict import seconds

_TITLE_CHARS = 120


def last_active(written_at: str | None, changed_at: float, now: float) -> float:
    """When something was last written, in seconds since the epoch: as the last record says.

    A file's own time is that of its last copy too, so it only bounds that; it counts where the record's is of a
    clock ahead of ours.
    """
    try:
        at = changed_at if written_at is None else seconds(written_at)
    except ValueError:
        at = changed_at
    return min(at, changed_at, now)


def title_of(row: index.Row | None, path: str) -> str | None:
    """A thread's title on one line: as the index has it, else its first prompt's beginning. Raises OSError."""
    title = row.title if row is not None else None
    if title is None:
        title = first_prompt(path)
    return None if title is None else " ".join(title[: _TITLE_CHARS * 2].split())[:_TITLE_CHARS]


def job_now(store: Store, job_id: str | None) -> Job | None:
    """Our job as it stands; None if there is none, or it cannot be read."""
    try:
        return None if job_id is None else jobs.view(store, job_id)
    except CodexAgentError:
        return None  # deleted or unreadable: then the thread's own files must do
