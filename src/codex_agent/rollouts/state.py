"""Owns the shape of what one thread's rollout says: ``RolloutState``, which ``fold.py`` fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from ..model import Spent, Tokens
from .patches import Kind

RolloutTurn = Literal["open", "completed", "failed", "aborted"]


@dataclass(slots=True)
class RolloutState:
    """What one thread's rollout says so far. Times are Codex's: UTC, ISO 8601, milliseconds, ``Z``."""

    thread_id: str | None = None
    cwd: str | None = None
    cli_version: str | None = None
    source: str | None = None
    """Where the thread comes from: ``exec``, ``cli``, ``vscode`` or ``subagent``."""
    model: str | None = None
    reasoning: str | None = None
    """The effort the last turn ran with; None if Codex left it to the model."""
    sandbox: str | None = None
    approval: str | None = None
    tokens: Tokens | None = None
    spent: list[Spent] = field(default_factory=list)
    """What this thread has used itself, as it is billed."""
    limits: dict[str, Any] | None = None
    """The last ``rate_limits`` with a window in them, as Codex writes them, and ``at``, when."""
    files: dict[str, Kind] = field(default_factory=dict)
    """Absolute paths that were changed through Codex, in order, and what became of each; a move counts as both."""
    plan: list[list[str]] = field(default_factory=list)
    """The last plan's steps, each with its status."""
    goal: dict[str, Any] | None = None
    """The last ``thread_goal_updated``'s goal, for the versions that write one."""
    last_message: str | None = None
    turn_state: RolloutTurn | None = None
    """How the last turn stands; None before the first, and for versions that do not mark turns (0.98)."""
    turn_id: str | None = None
    turns_started: int = 0
    turns_completed: int = 0
    turn_started_at: str | None = None
    turn_ended_at: str | None = None
    turn_error: str | None = None
    turn_error_info: str | None = None
    """Codex's kind of error as one string: ``context_window_exceeded``, ``http_connection_failed:401``."""
    last_record_at: str | None = None
