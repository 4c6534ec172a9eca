"""Owns the shape of what one thread's rollout says: ``RolloutState``, which ``fold.py`` fills.

No dataclass, and tokens as plain numbers until somebody asks: what reads a rollout of 200 MB takes less time for
that than the libraries behind dataclasses take to be loaded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Literal

    from ..tokens import Spent, Tokens
    from .patches import Kind
    from .usage import Billed, Counted

    RolloutTurn = Literal["open", "completed", "failed", "aborted"]


class RolloutState:
    """What one thread's rollout says so far. Times are Codex's: UTC, ISO 8601, milliseconds, ``Z``."""

    __slots__ = (
        "approval",
        "billed",
        "cli_version",
        "counted",
        "cwd",
        "files",
        "goal",
        "last_message",
        "last_record_at",
        "limits",
        "model",
        "plan",
        "reasoning",
        "sandbox",
        "source",
        "thread_id",
        "turn_ended_at",
        "turn_error",
        "turn_error_info",
        "turn_id",
        "turn_started_at",
        "turn_state",
        "turns_completed",
        "turns_started",
    )

    def __init__(self, thread_id: str | None = None, **given: Any) -> None:
        self.thread_id = thread_id
        self.cwd: str | None = None
        self.cli_version: str | None = None
        self.source: str | None = None
        """Where the thread comes from: ``exec``, ``cli``, ``vscode`` or ``subagent``."""
        self.model: str | None = None
        self.reasoning: str | None = None
        """The effort the last turn ran with; None if Codex left it to the model."""
        self.sandbox: str | None = None
        self.approval: str | None = None
        self.counted: Counted | None = None
        """``tokens`` as plain numbers, in the order of its fields."""
        self.billed: list[Billed] = []
        """``spent`` as plain values, in the order of its fields."""
        self.limits: dict[str, Any] | None = None
        """The last ``rate_limits`` with a window in them, as Codex writes them, and ``at``, when."""
        self.files: dict[str, Kind] = {}
        """Absolute paths that were changed through Codex, in order, and what became of each.

        A move counts as both.
        """
        self.plan: list[list[str]] = []
        """The last plan's steps, each with its status."""
        self.goal: dict[str, Any] | None = None
        """The last ``thread_goal_updated``'s goal, for the versions that write one."""
        self.last_message: str | None = None
        self.turn_state: RolloutTurn | None = None
        """How the last turn stands; None before the first, and for versions that do not mark turns (0.98)."""
        self.turn_id: str | None = None
        self.turns_started = 0
        self.turns_completed = 0
        self.turn_started_at: str | None = None
        self.turn_ended_at: str | None = None
        self.turn_error: str | None = None
        self.turn_error_info: str | None = None
        """Codex's kind of error as one string: ``context_window_exceeded``, ``http_connection_failed:401``."""
        self.last_record_at: str | None = None
        for name, value in given.items():
            setattr(self, name, value)

    @property
    def tokens(self) -> Tokens | None:
        """What the thread has used; None until anything was counted. A new object each time."""
        from ..tokens import Tokens  # late: dataclasses

        return None if self.counted is None else Tokens(*self.counted)

    @property
    def spent(self) -> list[Spent]:
        """What this thread has used itself, as it is billed. New objects each time."""
        from ..tokens import Spent  # late: dataclasses

        return [Spent(*one) for one in self.billed]

    def values(self) -> dict[str, Any]:
        """Everything in it, by name: what it can be made from again."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RolloutState) and self.values() == other.values()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"RolloutState({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"
