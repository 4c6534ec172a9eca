"""Owns the tools that look at tasks: codex_status, codex_tasks, codex_result. Change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from codex_agent import changes, diagnosing, diagnosis_text, jobs, logs, screen, transcript
from codex_agent.errors import MissingProgram, TmuxFailed, UsageError
from codex_agent.mcp_answers import Diagnostics, TaskList, TaskRow, TaskStatus, TaskText
from codex_agent.mcp_server.door import TASK_ID, Call, Offer, Tool
from codex_agent.mcp_server.following import seen
from codex_agent.mcp_server.telling import asked, in_words
from codex_agent.model import Job, Status, doc
from codex_agent.store import Store

TAIL_LINES, TASKS, CHARS = 10, 20, 20_000
What = Literal["result", "transcript", "log", "prompt", "diff"]


@dataclass(slots=True)
class Look:
    """Parameters of codex_status."""

    task_id: str = doc(TASK_ID)
    tail_lines: int = doc(
        f"How many of the last lines that the agent showed; 0 for none. Default: {TAIL_LINES}.", default=TAIL_LINES
    )


@dataclass(slots=True)
class List:
    """Parameters of codex_tasks."""

    status: Literal["all"] | Status = doc("Only tasks of this status. Default: all.", default="all")
    limit: int = doc(f"At most so many. Default: {TASKS}.", default=TASKS)


@dataclass(slots=True)
class Read:
    """Parameters of codex_result."""

    task_id: str = doc(TASK_ID)
    what: What = doc(
        "result: the agent's final message (the default). transcript: the conversation, with commands and edits. "
        "log: what its pane showed. prompt: what it was told. diff: how its git work tree differs from the commit "
        "its thread began at.",
        default="result",
    )
    offset: int = doc(
        "Where to begin, in characters; negative counts from the end. Default: 0, for a log its last piece.",
        default=0,
    )
    max_chars: int = doc(f"At most so many characters. Default: {CHARS}.", default=CHARS)


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_status",
            about="Say what one Codex task does right now, or how it ended and why: state, result so far, tokens, "
            "changed files, the likely cause of trouble and what to do, the last lines it showed. Does not wait; "
            "to learn when a task is done call codex_wait instead of this again and again.",
            takes=Look,
            answers=TaskStatus,
            run=status,
            text=_status_text,
            reads=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_tasks",
            about="List Codex tasks, a short row each, those that live first, then the newest; also those that "
            "another session or the codex-agent command began. codex_status tells more of one.",
            takes=List,
            answers=TaskList,
            run=tasks,
            text=_tasks_text,
            reads=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_result",
            about="Read what a Codex task produced, a piece at a time: its final message, the conversation with "
            "all commands and edits, what its pane showed, its prompt, or the git diff of its work tree.",
            takes=Read,
            answers=TaskText,
            run=result,
            text=lambda answer: answer.text,
            reads=True,
        )
    )


def status(call: Call, wanted: Look) -> TaskStatus:
    """codex_status."""
    if wanted.tail_lines < 0:
        raise UsageError("tailLines is less than nothing.", "Give 0 for none.")
    store = call.door.store()
    job_id = store.resolve(wanted.task_id)
    found = diagnosing.diagnose(store, job_id, call.door.environ)
    job = jobs.view(store, job_id)
    return TaskStatus(
        task=seen(store, job_id),
        prompt=job.prompt,
        model=job.model,
        why=job.queue.detail if job.queue is not None else job.turn_state_reason,
        turns=job.turn_count,
        diagnostics=Diagnostics(found.cause.cause, found.cause.advice, dict(diagnosis_text.table(found))),
        tail=_tail(store, job_id, wanted.tail_lines) if wanted.tail_lines else [],
    )


def _tail(store: Store, job_id: str, count: int) -> list[str]:
    try:
        return logs.capture(store, job_id, count, clean=True)
    except (TmuxFailed, MissingProgram):
        return logs.tail(store, job_id, count)  # the pane cannot be had; all the rest of the status can


def tasks(call: Call, wanted: List) -> TaskList:
    """codex_tasks."""
    if wanted.limit < 1:
        raise UsageError("limit is less than 1.", f"Such as {TASKS}.")
    statuses = () if wanted.status == "all" else (wanted.status,)
    found = jobs.listing(call.door.store(), statuses=statuses, limit=wanted.limit)
    return TaskList([_row(job) for job in found.jobs], found.problems, found.total)


def _row(job: Job) -> TaskRow:
    return TaskRow(
        id=job.id,
        name=job.name,
        status=job.status,
        turn_state=job.turn_state,
        task=job.prompt,
        cwd=job.cwd,
        elapsed_ms=job.elapsed_ms,
        tokens=None if job.tokens is None else job.tokens.total,
        files=len(job.files_modified),
        asks=None if job.waiting_for is None else asked(job.waiting_for),
        failure=None if job.failure is None else job.failure.reason,
    )


def result(call: Call, wanted: Read) -> TaskText:
    """codex_result."""
    if wanted.max_chars < 1:
        raise UsageError("maxChars is less than 1.", f"Such as {CHARS}.")
    store = call.door.store()
    job_id = store.resolve(wanted.task_id)
    told = pieces(store, job_id, wanted.what)
    offset = wanted.offset if wanted.offset or wanted.what != "log" else -wanted.max_chars
    if offset < 0:
        offset = max(0, sum(map(len, told())) + offset)
    text, total = _window(told(), offset, wanted.max_chars)
    end = offset + len(text)
    status = jobs.view(store, job_id).status
    return TaskText(job_id, status, wanted.what, text, offset, total, end if end < total else None)


def pieces(store: Store, job_id: str, what: What) -> Callable[[], Iterator[str]]:
    """How to read one of a task's texts from its beginning."""
    if what == "transcript":
        source = transcript.source(store, job_id)
        return lambda: transcript.text(source)
    if what in ("result", "diff"):
        text = changes.diff(store, job_id) if what == "diff" else logs.result(store, job_id)
        return lambda: iter([text])
    return lambda: screen.clean(logs.pieces(store, job_id, f".{what}"))


def _window(told: Iterator[str], offset: int, most: int) -> tuple[str, int]:
    """The piece that begins there, and the length of the whole."""
    total, taken = 0, []
    for piece in told:
        begin, end = max(0, offset - total), max(0, offset + most - total)
        taken.append(piece[begin:end])
        total += len(piece)
    return "".join(taken), total


def _status_text(told: TaskStatus) -> str:
    found = told.diagnostics
    table = ["### Diagnostics", "| Metric | Value |", "| --- | --- |"]
    table += [f"| {name} | {_cell(value)} |" for name, value in found.table.items()]
    table += [f"| Likely cause | {_cell(found.cause)} |"]
    parts = [in_words(told.task), *([f"Why: {told.why}"] if told.why else []), "", *table]
    if found.advice:
        parts += ["", "What to do:", *(f"- {line}" for line in found.advice)]
    if told.tail:
        parts += ["", "Last lines:", "```", *told.tail, "```"]
    return "\n".join(parts)


def _cell(value: str) -> str:
    return " ".join(value.split()).replace("|", "\\|")


def _tasks_text(told: TaskList) -> str:
    lines = [
        " ".join(
            [
                row.id,
                *([f"({row.name})"] if row.name else []),
                row.status if row.turn_state is None else f"{row.status}/{row.turn_state}",
                *([f"[{row.failure}]"] if row.failure else []),
                f"{row.elapsed_ms / 1000:.0f}s",
                " ".join(row.task.split()),
                *([f"- asks: {row.asks}"] if row.asks else []),
            ]
        )
        for row in told.tasks
    ]
    if told.total > len(told.tasks):
        lines.append(f"{told.total - len(told.tasks)} more: raise limit.")
    lines += [f"Problem: {problem.message}" for problem in told.problems]
    return "\n".join(lines) or "No tasks."
