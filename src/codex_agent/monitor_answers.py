"""Owns the shape of what `monitor` prints as JSON: a line for each event, and a last one that says why it ended.

Only shapes, as in ``answers.py``; ``monitor`` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from codex_agent.model import doc

EventKind = Literal["commit", "goal", "turn", "failure", "idle", "resumed", "file", "value", "end", "approval"]


@dataclass(slots=True)
class MonitorEvent:
    """`monitor`: something happened that is worth acting on. One line each, as it happens."""

    at: str = doc("When: as Codex wrote it down, else when it was noticed.")
    kind: EventKind = doc("What; resumed is told after idle, if the monitor goes on.")
    thread_id: str | None = doc("The thread; null for a repository or file of no one thread among several.")
    job_id: str | None = doc("Our job that has the thread, if it was asked for by that, or is one that lives.")
    text: str = doc("What happened, in one line for a person.")
    data: dict[str, Any] = doc(
        "The same for a program. commit: repo, id, subject, author, at, old, new, more. goal: objective, status, "
        "old, tokens_used, time_used_s. turn: id, status, duration_ms, error, message. failure: command, "
        "exit_code, status, matched, output. idle: idle_s, since, turn. resumed: idle_s. file: changes. value: "
        "file, regex, old, new. end: why, status, turn, error, reason. approval: probable, what, command, n, "
        "evidence, waiting."
    )


@dataclass(slots=True)
class MonitoredThread:
    """How a thread stood when `monitor` ended."""

    thread_id: str | None = doc("Codex's id of it; null of a job that never had a thread.")
    job_id: str | None = doc("Our job, as in events.")
    done: EventKind | None = doc("The event that ended the watching of it; null if none did.")
    exit_code: int | None = doc("What that means, as the exit code of a monitor of this thread alone.")


@dataclass(slots=True)
class MonitorEnd:
    """`monitor`: its last line."""

    ended: Literal["until", "max_events", "timeout", "interrupted"] = doc(
        "Why it ended: all that `--until` says has happened, the cap on events, the time-out, Ctrl-C."
    )
    exit_code: int = doc("Its exit code (docs/threads.md).")
    threads: list[MonitoredThread] = doc("Every thread, in the order given.")
    counts: dict[str, int] = doc("How many events of each kind were told.")
    since: str = doc("Where it stopped: `--since` with this goes on from there without a gap.")
    command: list[str] = doc("The command that goes on from there, as words.")
