"""Owns the arithmetic of a rollout's token records, and the careful way of taking a value out of any record."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..model import Tokens


class Usage:
    """Adds up to the thread's totals, in spite of Codex's own counters.

    ``token_count`` carries counters that an overflow of the context resets (to 0, 0 and the window as the total)
    and that count on from there; ``token_usage_record`` (from 0.163 on) carries the thread's totals as they are,
    a little earlier: with the model's reply, before the tool calls in it have run. Both agree otherwise.
    """

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        """None until anything was counted; a new object with each change."""
        self.used = Tokens()
        self.before_overflow = Tokens()
        self.size: int | None = None
        self.share: float | None = None
        self.by_model: dict[str, Tokens] = {}
        """What each model was given and made, in the order in which they came; see ``attribute``."""
        self.attributed = Tokens()
        self._last = Tokens()

    def attribute(self, model: str | None) -> None:
        """What was used since the last time was used with this model."""
        more = _difference(self.used, self.attributed)
        if more.total > 0:
            name = model or ""
            self.by_model[name] = _sum(self.by_model.get(name, Tokens()), more)
            self.attributed = self.used

    def leave_out_history(self) -> None:
        """A fork counts on from its parent's totals (0.150 to 0.169): what came before this is its."""
        self.attributed = _difference(self.used, self._last)

    def count(self, info: dict[str, Any]) -> None:
        """``token_count.info``."""
        total = mapping(info, "total_token_usage")
        self.window(info.get("model_context_window"))
        reported = _tokens(total)
        if reported.total == 0 and number(total, "total_tokens") > 0:
            self.before_overflow = self.used
            self.share = 100.0
        else:
            self.used = _sum(self.before_overflow, reported)
            self._last_request(mapping(info, "last_token_usage"))
        self._show()

    def record(self, payload: dict[str, Any]) -> None:
        """``token_usage_record``."""
        total = payload.get("thread_token_usage")
        if isinstance(total, dict):
            self.used = _tokens(total)
            self._last_request(mapping(payload, "usage"))
            self._show()

    def window(self, size: Any) -> None:
        if isinstance(size, int) and size > 0:
            self.size = size
            if self.tokens is not None:
                self._show()

    def _last_request(self, counts: dict[str, Any]) -> None:
        # The thread's total exceeds the window sooner or later; the last request is what is in the context.
        self._last = _tokens(counts)
        tokens = number(counts, "total_tokens")
        if self.size and tokens:
            self.share = round(min(100.0, 100.0 * tokens / self.size), 2)

    def _show(self) -> None:
        self.tokens = replace(self.used, context_window=self.size, context_used_pct=self.share)


def _tokens(counts: dict[str, Any]) -> Tokens:
    given, made = number(counts, "input_tokens"), number(counts, "output_tokens")
    return Tokens(
        input=given,
        cached_input=number(counts, "cached_input_tokens"),
        output=made,
        reasoning=number(counts, "reasoning_output_tokens"),
        total=given + made,
    )


def _difference(one: Tokens, other: Tokens) -> Tokens:
    return _sum(one, Tokens(-other.input, -other.cached_input, -other.output, -other.reasoning, -other.total))


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        cached_input=one.cached_input + other.cached_input,
        output=one.output + other.output,
        reasoning=one.reasoning + other.reasoning,
        total=one.total + other.total,
    )


def text(of: Any, key: str) -> str | None:
    """``of[key]`` if it is there and a string."""
    value = of.get(key) if isinstance(of, dict) else None
    return value if isinstance(value, str) else None


def mapping(of: dict[str, Any], key: str) -> dict[str, Any]:
    """``of[key]`` if it is an object, else an empty one."""
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def number(of: dict[str, Any], key: str) -> int:
    """``of[key]`` if it is a whole number, else 0."""
    value = of.get(key)
    return value if isinstance(value, int) else 0
