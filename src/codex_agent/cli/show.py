"""Owns how jobs look as text. Renders; never asks anything."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence

from codex_agent.model import SUMMARY_CHARS, Job, Tokens
from codex_agent.render import plain

_COLORS = {
    "running": "\x1b[36m",
    "pending": "\x1b[36m",
    "completed": "\x1b[32m",
    "failed": "\x1b[31m",
    "interrupted": "\x1b[33m",
}
# CSI and OSC sequences, then any other escape (ECMA-48 sections 5.4 and 8.3.89).
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]")


def strip_ansi(text: str) -> str:
    """The text without terminal control sequences."""
    return _ANSI.sub("", text)


def span(ms: int) -> str:
    """A duration as ``4.2s``, ``3m12s``, ``2h05m`` or ``3d4h``."""
    seconds = ms // 1000
    if seconds < 60:
        return f"{ms / 1000:.1f}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02d}s"
    if seconds < 86400:
        return f"{seconds // 3600}h{seconds % 3600 // 60:02d}m"
    return f"{seconds // 86400}d{seconds % 86400 // 3600}h"


def state(job: Job) -> str:
    """Status, and the turn's state or the reason where there is one: ``running/working``."""
    if job.turn_state is not None:
        return f"{job.status}/{job.turn_state}"
    return f"{job.status}/{job.failure.reason}" if job.failure else job.status


def paint(status: str, text: str, color: bool) -> str:
    """The text in its status's color."""
    return f"{_COLORS[status]}{text}\x1b[0m" if color else text


def table(jobs: Sequence[Job], *, color: bool) -> str:
    """One line a job, for a terminal or a program that reads columns."""
    if not jobs:
        return "No jobs."
    head = ("ID", "STATUS", "TIME", "TOKENS", "FILES", "TASK")
    rows = [
        (
            job.id,
            state(job),
            span(job.elapsed_ms),
            str(job.tokens.total) if job.tokens else "-",
            str(len(job.files_modified)) if job.files_modified else "-",
            _one_line((f"[{job.name}] " if job.name else "") + job.prompt),
        )
        for job in jobs
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(5)]
    room = max(20, shutil.get_terminal_size((120, 24)).columns - sum(widths) - 10)
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(head, widths, strict=False)), head[5]])]
    for job, row in zip(jobs, rows, strict=True):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        cells[1] = paint(job.status, cells[1], color)
        lines.append("  ".join([*cells, row[5][:room]]))
    return "\n".join(lines)


def details(job: Job, *, color: bool) -> str:
    """Everything a person wants to know of one job."""
    title = f"{job.id}  {job.name}" if job.name else job.id
    rows = [("task", _one_line(job.prompt))]
    rows.append(("model", f"{job.model or 'Codex default'}{f' ({job.reasoning})' if job.reasoning else ''}"))
    rows.append(("sandbox", job.sandbox))
    rows.append(("cwd", _one_line(job.cwd)))
    rows.append(("time", f"{span(job.elapsed_ms)}, started {job.started_at or job.created_at}"))
    if job.tokens:
        rows.append(("tokens", tokens(job.tokens)))
    if job.files_modified:
        rows.append(
            (
                "files",
                ", ".join(map(_one_line, job.files_modified[:20]))
                + (" ..." if len(job.files_modified) > 20 else ""),
            )
        )
    if job.thread_id:
        rows.append(("thread", job.thread_id))
    if job.parent_session:
        rows.append(("parent", job.parent_session))
    if job.turn_state_reason:
        rows.append(("why", _one_line(job.turn_state_reason)))
    if job.failure:
        rows.append(("failure", _one_line(job.failure.message)))
        told = job.failure.last_stderr
        # What Codex says while it is being ended explains nothing.
        if job.status == "failed" and told and told not in job.failure.message:
            rows.append(("stderr", _one_line(told)))
        if job.failure.hint:
            rows.append(("try", job.failure.hint))
    rows.extend(("note", _one_line(text)) for text in job.warnings)
    if job.summary:
        said = plain(job.summary).strip()
        if len(job.summary) == SUMMARY_CHARS:
            # Only a job that completed is sure to have a result; all have a log.
            said += f" ... (codex-agent output {job.id}{' --result' if job.status == 'completed' else ''})"
        rows.append(("said", said.replace("\n", "\n" + " " * 11)))
    first = f"{title}  {paint(job.status, state(job), color)}"
    return "\n".join([first, *(f"  {key:<8} {value}" for key, value in rows)])


def tokens(used: Tokens) -> str:
    """Counts on one line."""
    text = f"{used.input} in ({used.cached_input} cached), {used.output} out"
    if used.context_used_pct is not None:
        text += f" · context {used.context_used_pct:.1f}% of {used.context_window}"
    return text


def _one_line(text: str) -> str:
    return " ".join(plain(text).split())
