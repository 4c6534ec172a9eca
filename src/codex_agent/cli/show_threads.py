"""Owns how threads look as text. Renders; never asks anything."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from codex_agent.calling import me
from codex_agent.cli.show import limit
from codex_agent.job_text import columns, cost, tokens
from codex_agent.text import one_line, plain, span

if TYPE_CHECKING:
    from codex_agent.thread_answers import SubAgent, ThreadList, ThreadView

_COLORS = {"working": "\x1b[36m", "idle": "\x1b[32m", "closed": "\x1b[2m"}
_BOXES = {"completed": "[x]", "in_progress": "[>]"}
_MOST_FILES, _MOST_AGENTS = 20, 20
_SAID_CHARS = 600


def table(answer: ThreadList, *, color: bool) -> str:
    """One line a thread, for a terminal or a program that reads columns."""
    if not answer.threads:
        return f"No Codex sessions below {answer.codex_home}."
    head = ("THREAD", "SOURCE", "STATE", "IDLE", "TOKENS", "JOB", "TITLE")
    rows = [
        (
            row.id,
            row.source or "?",
            _state(row.state, row.turn),
            span(row.idle_s * 1000),
            str(row.tokens) if row.tokens else "-",
            row.job_id or "-",
            one_line(("[archived] " if row.archived else "") + (row.title or "")),
        )
        for row in answer.threads
    ]
    room = shutil.get_terminal_size((140, 24)).columns
    lines = columns(head, rows, room)
    if color:
        states = [row.state for row in answer.threads]
        lines[1:] = [_paint(state, line) for state, line in zip(states, lines[1:], strict=True)]
    return "\n".join(lines)


def details(view: ThreadView, *, color: bool) -> str:
    """Everything a person wants to know of one thread."""
    rows = [("title", one_line(view.title or ""))]
    if view.state_reason:
        rows.append(("why", one_line(view.state_reason)))
    rows.append(("source", f"{view.source or '?'}, Codex {view.cli_version or '?'}"))
    if view.owner is not None:
        process = f"{view.owner.program or 'a process'} (pid {view.owner.pid or '?'})"
        rows.append(("owner", f"{process}, since {view.owner.since or '?'}"))
    if view.suspicion.probable:
        rows.append(("asks", f"probably waits for an approval, since {view.suspicion.since or '?'}"))
        rows += [("", one_line(text)) for text in view.suspicion.evidence]
    if view.model:
        rows.append(("model", f"{view.model}{f' ({view.reasoning})' if view.reasoning else ''}"))
    rows.append(("sandbox", f"{view.sandbox or '?'}, approval {view.approval or '?'}"))
    rows.append(("cwd", one_line(view.cwd or "?")))
    rows.append(("turns", f"{view.turns}; the last one: {view.turn or 'none'} ({view.turn_id or 'no id'})"))
    if view.turn_error:
        rows.append(("failure", one_line(view.turn_error)))
    rows.append(("idle", f"{span(view.idle_s * 1000)}, since {view.active_at}"))
    if view.goal is not None:
        spent = f", {view.goal.tokens_used} tokens" if view.goal.tokens_used is not None else ""
        rows.append(("goal", f"{view.goal.status}: {one_line(view.goal.objective)}{spent}"))
    rows += [
        ("plan" if n == 0 else "", f"{_BOXES.get(step.status, '[ ]')} {one_line(step.text)}")
        for n, step in enumerate(view.plan)
    ]
    rows += [("runs", one_line(ran.command)) for ran in view.running]
    if view.files:
        named = [f"{one_line(file.path)} ({file.kind})" for file in view.files[:_MOST_FILES]]
        rows.append(("files", ", ".join(named) + (" ..." if len(view.files) > _MOST_FILES else "")))
    if view.tokens:
        rows.append(("tokens", tokens(view.tokens)))
        rows.append(("cost", cost(view.cost_usd, view.agents_cost_usd, view.unpriced)))
    rows += [("limit", limit(one)) for one in view.limits]
    rows += [("agent", _agent(one)) for one in view.sub_agents[:_MOST_AGENTS]]
    if len(view.sub_agents) > _MOST_AGENTS:
        rows.append(("", f"and {len(view.sub_agents) - _MOST_AGENTS} more (--json)"))
    if view.parent_id:
        rows.append(("parent", view.parent_id))
    if view.forked_from:
        rows.append(("fork of", view.forked_from))
    if view.job_id:
        rows.append(("job", f"{view.job_id}  {me()} status {view.job_id}"))
    rows.append(("rollout", view.rollout))
    if view.bad_lines or view.unknown_lines:
        rows.append(("note", f"{view.bad_lines} lines are broken, {view.unknown_lines} of an unknown kind"))
    rows += [("said", _said(one.text)) for one in view.narrations]
    state = _state(view.state, view.turn)
    first = f"{view.id}  {_paint(view.state, state) if color else state}"
    return "\n".join([first, *(f"  {key:<8} {value}" for key, value in rows)])


def _state(state: str, turn: str | None) -> str:
    """``closed/interrupted``; what the state says already is not said twice."""
    return state if turn in (None, "open") or state not in ("closed", "idle", "unknown") else f"{state}/{turn}"


def _agent(one: SubAgent) -> str:
    name = f" {one_line(one.name)}" if one.name else ""
    said = f": {one_line(one.last_message)[:120]}" if one.last_message else ""
    return f"{'  ' * (one.depth - 1)}{one.id}{name}  {_state(one.state, one.turn)}{said}"


def _said(text: str) -> str:
    cut = plain(text).strip()
    cut = cut[:_SAID_CHARS] + (" ..." if len(cut) > _SAID_CHARS else "")
    return cut.replace("\n", "\n" + " " * 11)


def _paint(state: str, text: str) -> str:
    return f"{_COLORS[state]}{text}\x1b[0m" if state in _COLORS else text
