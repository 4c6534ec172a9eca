"""Owns how a job looks as text. Renders; never asks anything.

The fast routes print with this too: of the jobs it is given it only reads attributes, and it imports nothing that
costs.
"""

from __future__ import annotations

from codex_agent.text import SUMMARY_CHARS, columns_of_terminal, one_line, plain, span

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Sequence

    from codex_agent.model import Job, Tokens, Waiting

_COLORS = {
    "running": "\x1b[36m",
    "pending": "\x1b[36m",
    "queued": "\x1b[35m",
    "completed": "\x1b[32m",
    "failed": "\x1b[31m",
    "interrupted": "\x1b[33m",
}

_ASKS_CHARS = 200  # of what an agent asks for; `approvals` has the rest


def state(job: Job) -> str:
    """Status, and the turn's state or the reason where there is one: ``running/working``."""
    if job.queue is not None:
        place = f" {job.queue.place}/{job.queue.of}" if job.queue.place is not None else ""
        return f"{job.status}{place}"
    if job.turn_state is not None:
        return f"{job.status}/{job.turn_state}"
    return f"{job.status}/{job.failure.reason}" if job.failure else job.status


def outcome(job: Job) -> str:
    """One line: what it is, and why, or what it asks."""
    told = plain(job.failure.message) if job.failure else asks(job.waiting_for) if job.waiting_for else ""
    return f"{job.id}  {state(job)}" + (f"  {told}" if told else "")


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
            one_line((f"[{job.name}] " if job.name else "") + job.prompt),
        )
        for job in jobs
    ]
    lines = columns(head, rows, columns_of_terminal())
    if color:
        width = max(len(row[1]) for row in [head, *rows])
        for number, (job, row) in enumerate(zip(jobs, rows, strict=True), 1):
            before, cell, after = lines[number].partition(row[1].ljust(width))
            lines[number] = before + paint(job.status, cell, color) + after
    return "\n".join(lines)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    """Lines with their cells below each other; the last one is cut to what is left of ``room`` (20 at least).

    ``room`` is columns, and bytes too, for a reader who pays for them: no character has more columns than bytes.
    """
    last = len(head) - 1
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(last)]
    left = max(20, room - sum(widths) - 2 * last)
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), _cut(row[last], left)])
        for row in [head, *rows]
    ]


def _cut(text: str, most: int) -> str:
    return text.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def details(job: Job, *, color: bool) -> str:
    """Everything a person wants to know of one job."""
    title = f"{job.id}  {job.name}" if job.name else job.id
    rows = [("task", one_line(job.prompt))]
    rows.append(("model", f"{job.model or 'Codex default'}{f' ({job.reasoning})' if job.reasoning else ''}"))
    rows.append(("sandbox", job.sandbox))
    if job.mode == "interactive" or job.approval != "never":
        plain_one = ", plain (the bare TUI)" if job.driver == "plain" else ""
        rows.append(("mode", f"{job.mode}{plain_one}, approval {job.approval}"))
    rows.append(("cwd", one_line(job.cwd)))
    if job.worktree is not None:
        tree = job.worktree
        rows.append(("branch", f"{one_line(tree.branch)}, from {one_line(tree.base or tree.base_commit[:12])}"))
    begun = "made" if job.queue else "started"
    rows.append(("time", f"{span(job.elapsed_ms)}, {begun} {job.started_at or job.created_at}"))
    if job.mode == "interactive" or job.turn_count > 1:
        rows.extend(_turns(job))
    if job.waiting_for:
        rows.append(("asks", f"{job.waiting_for.n}: {asks(job.waiting_for)}, since {job.waiting_for.asked_at}"))
        rows.append(("", f"codex-agent approvals {job.id}"))
    if job.queued:
        rows.append(("queued", f"{job.queued} message{'s' * (job.queued != 1)}, for the running turn's end"))
    if job.tokens:
        rows.append(("tokens", tokens(job.tokens)))
        rows.append(("cost", cost(job.cost_usd, job.agents_cost_usd, job.unpriced)))
    if job.files_modified:
        rows.append(
            (
                "files",
                ", ".join(map(one_line, job.files_modified[:20]))
                + (" ..." if len(job.files_modified) > 20 else ""),
            )
        )
    rows.extend(_git(job))
    if job.thread_id:
        rows.append(("thread", job.thread_id))
    if job.resume:
        rows.append(("forked" if job.resume.forked else "resumed", f"thread {job.resume.thread_id}"))
    if job.parent_session:
        rows.append(("parent", job.parent_session))
    if job.queue is not None:
        rows.append(("waits", f"{one_line(job.queue.detail)}, since {job.queue.since}"))
    elif job.turn_state_reason:
        rows.append(("why", one_line(job.turn_state_reason)))
    if job.budget_tokens is not None:
        rows.append(("budget", f"{job.budget_tokens:,} tokens"))
    elif job.budget_usd is not None:
        rows.append(("budget", f"${job.budget_usd:g}"))
    if job.failure:
        rows.append(("failure", one_line(job.failure.message)))
        told = job.failure.last_stderr
        # What Codex says while it is being ended explains nothing.
        if job.status == "failed" and told and told not in job.failure.message:
            rows.append(("stderr", one_line(told)))
        if job.failure.hint:
            rows.append(("try", job.failure.hint))
    rows.extend(("note", one_line(text)) for text in job.warnings)
    if job.summary:
        said = plain(job.summary).strip()
        if len(job.summary) == SUMMARY_CHARS:
            # Only a job that completed is sure to have a result; all have a log.
            said += f" ... (codex-agent output {job.id}{' --result' if job.status == 'completed' else ''})"
        rows.append(("said", said.replace("\n", "\n" + " " * 11)))
    first = f"{title}  {paint(job.status, state(job), color)}"
    return "\n".join([first, *(f"  {key:<8} {value}" for key, value in rows)])


def _git(job: Job) -> list[tuple[str, str]]:
    """Its branch, if it is another one than before; its commits, its pull request, what it left uncommitted."""
    rows, work = [], job.git
    if job.issue:
        rows.append(("issue", one_line(job.issue)))
    if work is not None and work.branch != work.branch_before:
        rows.append(("branch", one_line(work.branch or "none (HEAD is detached)")))
    if work is not None and work.commits:
        count = f"{len(work.commits)}{'+' if work.more_commits else ''}"
        last = work.commits[-1]
        rows.append(("commits", f"{count}, the last: {last.id[:10]} {one_line(last.subject)}"))
    elif work is not None and work.head != work.head_before:
        rows.append(("head", f"{(work.head or 'no commit')[:10]}, was {(work.head_before or 'no commit')[:10]}"))
    if work is not None and work.dirty_count:
        rows.append(("dirty", f"{work.dirty_count} file{'s' * (work.dirty_count != 1)} not committed"))
    if job.pull_request is not None:
        rows.append(("pr", f"{job.pull_request.status.removeprefix('pr_')}: {job.pull_request.url or '?'}"))
    return rows


def _turns(job: Job) -> list[tuple[str, str]]:
    rows = [("turns", str(job.turn_count))]
    if job.current_turn is not None:
        now = job.current_turn
        rows.append(("now", f"turn {now.id or '(no id yet)'}, since {now.started_at or 'a moment ago'}"))
    if job.last_turn is not None:
        last = job.last_turn
        took = f" after {span(last.duration_ms)}" if last.duration_ms is not None else ""
        told = f": {one_line(last.error)}" if last.error else ""
        rows.append(("last", f"turn {last.id or '(no id)'} {last.status}{took}{told}"))
    return rows


def asks(waiting: Waiting) -> str:
    """What the agent waits for, on one line; a command of several lines is not passed off as one."""
    command = None if waiting.command is None else " ↵ ".join(plain(waiting.command).strip().split("\n"))
    what = one_line(command or ", ".join(waiting.files) or waiting.reason or "")
    kind = waiting.kind.replace("_", " ")
    cut = " ..." if len(what) > _ASKS_CHARS else ""
    return f"{kind}: {what[:_ASKS_CHARS]}{cut}" if what else kind


def cost(usd: float | None, agents_usd: float | None, unpriced: Sequence[str]) -> str:
    """What something has cost, sub-agents shown apart."""
    if usd is None:
        return f"unknown price ({', '.join(map(one_line, unpriced))})" if unpriced else "nothing counted"
    apart = "" if agents_usd is None else f", ${agents_usd:.4f} of it sub-agents"
    return f"${usd:.4f}{apart}"


def tokens(used: Tokens) -> str:
    """Counts on one line."""
    text = f"{used.input} in ({used.cached_input} cached), {used.output} out"
    if used.context_used_pct is not None:
        text += f" · context {used.context_used_pct:.1f}% of {used.context_window}"
    return text
