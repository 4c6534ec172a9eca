"""Owns how what waits for somebody looks as text, and an account's limits. Renders; never asks anything."""

from __future__ import annotations

from codex_agent.answers import Asked
from codex_agent.calling import me
from codex_agent.cost_answers import RateLimit
from codex_agent.model import Waiting
from codex_agent.text import one_line, plain, span
from codex_agent.verdict import seconds


def asked(one: Asked, now: str) -> str:
    """What waits for somebody, with the commands that answer it. ``now`` is a stamp."""
    waiting = one.waiting
    waited_ms = round(max(0.0, seconds(now) - seconds(waiting.asked_at)) * 1000)
    title = f"{one.id}  {one.name}" if one.name else one.id
    lines = [f"{title}  {waiting.n}: {waiting.kind.replace('_', ' ')}, waiting for {span(waited_ms)}"]
    if waiting.command is not None:
        lines.append("  $ " + plain(waiting.command).replace("\n", "\n    "))
    lines += [f"  ~ {one_line(path)}" for path in waiting.files]
    for question in waiting.questions:
        header = f"{one_line(question.header)}: " if question.header else ""
        secret = " (the answer is secret)" if question.secret else ""
        lines.append(f"  ? {header}{one_line(question.text)}{secret}")
        lines += [f"    {number}. {one_line(option)}" for number, option in enumerate(question.options, 1)]
    if waiting.reason is not None and not waiting.questions:
        lines.append(f"  why: {one_line(waiting.reason)}")
    if waiting.cwd is not None:
        lines.append(f"  in {one_line(waiting.cwd)}")
    return "\n".join([*lines, *(f"  {line}" for line in responses(one.id, waiting))])


def responses(job_id: str, waiting: Waiting) -> list[str]:
    """The commands that answer it, one a line."""
    if waiting.kind == "question":
        choices = ["1" if question.options else '"..."' for question in waiting.questions] or ['"..."']
        return [f"{me()} answer {job_id} -n {waiting.n} {' '.join(choices)}"]
    if waiting.kind in ("prompt", "other"):
        return [f"{me()} attach {job_id} --exec", f"{me()} keys {job_id} KEY..."]
    return [
        f"{me()} approve {job_id} {waiting.n}",
        f"{me()} approve {job_id} {waiting.n} --always",
        f'{me()} deny {job_id} {waiting.n} --message "..."',
    ]


def limit(one: RateLimit) -> str:
    """One of the account's limits."""
    window = "" if one.window_min is None else f" ({one.window_min} minutes)"
    resets = "" if one.resets_at is None else f", begins anew {one.resets_at}"
    return f"{one_line(one.name)}{window}: {one.used_pct:g} % used{resets} (as of {one.at or '?'})"
