"""Owns how a job is told to a model: as a ``Task``, in words, what to call next. Must never look anything up."""

from __future__ import annotations

from codex_agent.mcp_answers import Task
from codex_agent.model import BUSY, TERMINAL, WAITING, Job, Waiting

_MOST_FILES = 20


def is_done(job: Job) -> bool:
    """Whether there is nothing to wait for: it ended, or as one that stays has handed the turn back."""
    if job.status in TERMINAL:
        return True
    return job.mode == "interactive" and (job.turn_state not in BUSY or job.turn_state == "unknown")


def task(job: Job, waiting: list[Waiting], notices: list[str] | None = None) -> Task:
    """The job as a tool tells it; ``waiting`` is all that its agent waits for."""
    done = is_done(job)
    return Task(
        id=job.id,
        name=job.name,
        status=job.status,
        turn_state=job.turn_state,
        done=done,
        next=what_next(job),
        message=job.last_message if done else None,
        waiting_for=waiting,
        failure=job.failure,
        files_modified=job.files_modified,
        mode=job.mode,
        cwd=job.cwd,
        sandbox=job.sandbox,
        thread_id=job.thread_id,
        elapsed_ms=job.elapsed_ms,
        tokens=None if job.tokens is None else job.tokens.total,
        notices=notices or [],
    )


def what_next(job: Job) -> str:
    """Which tool goes on from here."""
    this = f'taskId "{job.id}"'
    if job.turn_state in WAITING:
        return f"It needs somebody: codex_approve answers ({this}), codex_approvals shows all that waits."
    if not is_done(job):
        return f"It goes on by itself: codex_wait waits for it ({this}), codex_status looks, codex_cancel ends it."
    if job.status in ("failed", "interrupted"):
        return f"codex_status says why ({this}); codex_send goes on with it."
    if job.status == "completed":
        return f"codex_send goes on with it ({this}); codex_result has the details."
    return f"codex_send gives it more to do ({this}); codex_cancel ends it."


def in_words(told: Task) -> str:
    """The task for a reader: how it stands, its message, what is next."""
    state = told.status if told.turn_state is None else f"{told.status}, {told.turn_state}"
    facts = [f"Task {told.id}{f' ({told.name})' if told.name else ''}: {state}", f"{told.elapsed_ms / 1000:.0f} s"]
    if told.tokens is not None:
        facts.append(f"{told.tokens} tokens")
    parts = [", ".join(facts) + "."]
    parts += [f"Note: {notice}" for notice in told.notices]
    if told.failure is not None:
        parts.append(" ".join(filter(None, (told.failure.message, told.failure.hint))))
    parts += [f"It waits for {asked(one)}" for one in told.waiting_for]
    if told.files_modified:
        more = len(told.files_modified) - _MOST_FILES
        names = ", ".join(told.files_modified[:_MOST_FILES]) + (f" and {more} more" if more > 0 else "")
        parts.append(f"Files modified: {names}")
    if told.message is not None:
        parts.append(f"\n{told.message}\n")
    return "\n".join([*parts, told.next])


def asked(one: Waiting) -> str:
    """What is waited for, with its number."""
    questions = "; ".join(each.text for each in one.questions)
    what = one.command or ", ".join(one.files) or questions or one.reason or ""
    return f"{one.n} ({one.kind}): {what}"


def progress_line(job: Job) -> str:
    """How it goes, in a line."""
    parts = [f"{job.id} {job.turn_state or job.status}"]
    if job.queue is not None:
        parts.append(job.queue.detail)
    if job.files_modified:
        parts.append(f"{len(job.files_modified)} files")
    if job.tokens is not None:
        parts.append(f"{job.tokens.total} tokens")
    return ", ".join([*parts, f"{job.elapsed_ms / 1000:.0f} s"])
