"""Owns the arithmetic of a rollout's token records, and the careful way of taking a value out of any record."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ..model import Spent, Tokens

# A request with more input than this costs more, in all of it (OpenAI's models since gpt-5.4).
LONG_INPUT = 272_000
_COUNTERS = (
    rb'":\{"input_tokens":(%s),"cached_input_tokens":(\d+),(?:"cache_write_input_tokens":(\d+),)?'
    rb'"output_tokens":(\d+),"reasoning_output_tokens":(\d+),"total_tokens":\d+\}'
)
# An overflow of the context (input 0) must be looked at as a whole.
_TOTAL = re.compile(rb'"(?:total|thread)_token_usage' + _COUNTERS % rb"[1-9]\d*")
_LAST = re.compile(rb'"(?:last_token_)?usage' + _COUNTERS % rb"\d+")


class Usage:
    """Adds up to the thread's totals, in spite of Codex's own counters.

    ``token_count`` carries counters that an overflow of the context resets (to 0, 0 and the window as the total)
    and that count on from there; ``token_usage_record`` (from 0.163 on) carries the thread's totals as they are,
    a little earlier: with the model's reply, before the tool calls in it have run. Both agree otherwise; where
    there are both, the second counts.
    """

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        """None until anything was counted; a new object with each change."""
        self.used = Tokens()
        self.before_overflow = Tokens()
        self.size: int | None = None
        self.share: float | None = None
        self.spent: dict[tuple[str, str, str | None, bool], Spent] = {}
        """What was used, by model, day, service tier and length; in the order in which they came."""
        self.charged = Tokens()
        """How much of ``used`` is in ``spent``, or was another thread's."""
        self.recorded = False
        """Whether this file's Codex writes ``token_usage_record``."""
        self._last = Tokens()

    def charge(self, model: str | None, tier: str | None, at: str | None) -> None:
        """What was used since the last time was used with this model at that time."""
        more = difference(self.used, self.charged)
        if more.total < 0:
            more = self._last  # a counter that began again
        if more.total <= 0:
            return  # Codex says the same once more, with new limits
        self.charged = self.used
        key = (model or "", (at or "")[:10], tier, self._last.input > LONG_INPUT)
        spent = self.spent.setdefault(key, Spent(*key))
        spent.input += more.input
        spent.cached_input += more.cached_input
        spent.cache_write += more.cache_write
        spent.output += more.output
        spent.reasoning += more.reasoning

    def quickly(self, line: bytes, *, recorded: bool) -> bool:
        """Takes the counters of a record as Codex writes it, without decoding it; False if it is none such.

        Window and share are left to whoever decodes the last one.
        """
        total, last = _TOTAL.search(line), _LAST.search(line)
        if total is None or last is None:
            return False
        self._last, counted = _matched(last), _matched(total)
        if recorded:
            self.recorded, self.used = True, counted
        else:
            self._put(_sum(self.before_overflow, counted))
        return True

    def _put(self, counted: Tokens) -> None:
        """What a ``token_count`` says was used; the better record is believed before it."""
        if not self.recorded or counted.total > self.used.total:
            self.used = counted

    def leave_out_history(self, *, all_of_it: bool) -> None:
        """A fork counts on from its parent's totals (0.133 to 0.169): what came before the last request is its.

        ``all_of_it``: there was no request of its own yet.
        """
        self.charged = self.used if all_of_it else difference(self.used, self._last)

    def count(self, info: dict[str, Any]) -> None:
        """``token_count.info``."""
        total = mapping(info, "total_token_usage")
        self.window(info.get("model_context_window"))
        reported = tokens_of(total)
        if reported.total == 0 and number(total, "total_tokens") > 0:
            self.before_overflow = self.used
            self.share = 100.0
        else:
            self._put(_sum(self.before_overflow, reported))
            self._last_request(mapping(info, "last_token_usage"))
        self._show()

    def record(self, payload: dict[str, Any]) -> None:
        """``token_usage_record``."""
        total = payload.get("thread_token_usage")
        if isinstance(total, dict):
            self.recorded = True
            self.used = tokens_of(total)
            self._last_request(mapping(payload, "usage"))
            self._show()

    def window(self, size: Any) -> None:
        if isinstance(size, int) and size > 0:
            self.size = size
            if self.tokens is not None:
                self._show()

    def _last_request(self, counts: dict[str, Any]) -> None:
        # The thread's total exceeds the window sooner or later; the last request is what is in the context.
        self._last = tokens_of(counts)
        tokens = number(counts, "total_tokens")
        if self.size and tokens:
            self.share = round(min(100.0, 100.0 * tokens / self.size), 2)

    def _show(self) -> None:
        self.tokens = replace(self.used, context_window=self.size, context_used_pct=self.share)


def _matched(found: re.Match[bytes]) -> Tokens:
    given, cached, written, made, reasoned = (int(number or 0) for number in found.groups())
    return Tokens(given, cached, made, reasoned, given + made, cache_write=written)


def tokens_of(counts: dict[str, Any]) -> Tokens:
    """One of Codex's sets of counters."""
    given, made = number(counts, "input_tokens"), number(counts, "output_tokens")
    return Tokens(
        input=given,
        cached_input=number(counts, "cached_input_tokens"),
        cache_write=number(counts, "cache_write_input_tokens"),
        output=made,
        reasoning=number(counts, "reasoning_output_tokens"),
        total=given + made,
    )


def difference(one: Tokens, other: Tokens) -> Tokens:
    """What ``one`` has more than ``other``."""
    return Tokens(
        input=one.input - other.input,
        cached_input=one.cached_input - other.cached_input,
        cache_write=one.cache_write - other.cache_write,
        output=one.output - other.output,
        reasoning=one.reasoning - other.reasoning,
        total=one.total - other.total,
    )


def _sum(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        input=one.input + other.input,
        cached_input=one.cached_input + other.cached_input,
        cache_write=one.cache_write + other.cache_write,
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
