"""Owns the arithmetic of a rollout's token records, and the careful way of taking a value out of any record."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Input, cached input, output, reasoning, input and output together, cache writes.
Counts = tuple[int, int, int, int, int, int]
# The values of ``model.Tokens`` and of ``model.Spent``, in the order of their fields.
Counted = tuple[int, int, int, int, int, "int | None", "float | None", int]
Billed = tuple[str, str, "str | None", bool, int, int, int, int, int]

# A request with more input than this costs more, in all of it (OpenAI's models since gpt-5.4).
LONG_INPUT = 272_000
NOTHING: Counts = (0, 0, 0, 0, 0, 0)
TOTAL = 4  # where it stands in Counts


class Usage:
    """Adds up to the thread's totals, in spite of Codex's own counters.

    ``token_count`` carries counters that an overflow of the context resets (to 0, 0 and the window as the total)
    and that count on from there; ``token_usage_record`` (from 0.163 on) carries the thread's totals as they are,
    a little earlier: with the model's reply, before the tool calls in it have run. Both agree otherwise; where
    there are both, the second counts.
    """

    def __init__(self) -> None:
        self.counted: Counted | None = None
        """None until anything was counted."""
        self.used = NOTHING
        self.before_overflow = NOTHING
        self.size: int | None = None
        self.share: float | None = None
        self.spent: dict[tuple[str, str, str | None, bool], list[int]] = {}
        """What was used, by model, day, service tier and length; in the order in which they came."""
        self.charged = NOTHING
        """How much of ``used`` is in ``spent``, or was another thread's."""
        self.recorded = False
        """Whether this file's Codex writes ``token_usage_record``."""
        self._last = NOTHING

    @property
    def billed(self) -> list[Billed]:
        """What was used, as ``Spent`` has it."""
        return [(*key, *counts) for key, counts in self.spent.items()]  # type: ignore[misc]

    def charge(self, model: str | None, tier: str | None, at: str | None) -> None:
        """What was used since the last time was used with this model at that time."""
        more = difference(self.used, self.charged)
        if more[TOTAL] < 0:
            more = self._last  # a counter that began again
        if more[TOTAL] <= 0:
            return  # Codex says the same once more, with new limits
        self.charged = self.used
        key = (model or "", (at or "")[:10], tier, self._last[0] > LONG_INPUT)
        given, cached, made, reasoned, _, written = more
        spent = self.spent.setdefault(key, [0, 0, 0, 0, 0])
        for place, count in enumerate((given, cached, written, made, reasoned)):
            spent[place] += count

    def leave_out_history(self, *, all_of_it: bool) -> None:
        """A fork counts on from its parent's totals (0.133 to 0.169): what came before the last request is its.

        ``all_of_it``: there was no request of its own yet.
        """
        self.charged = self.used if all_of_it else difference(self.used, self._last)

    def count(self, info: dict[str, Any]) -> None:
        """``token_count.info``."""
        total = mapping(info, "total_token_usage")
        self.window(info.get("model_context_window"))
        reported = counts_of(total)
        if reported[TOTAL] == 0 and number(total, "total_tokens") > 0:
            self.before_overflow = self.used
            self.share = 100.0
        else:
            counted = _sum(self.before_overflow, reported)
            if not self.recorded or counted[TOTAL] > self.used[TOTAL]:  # the better record is believed before it
                self.used = counted
            self._last_request(mapping(info, "last_token_usage"))
        self._show()

    def record(self, payload: dict[str, Any]) -> None:
        """``token_usage_record``."""
        total = payload.get("thread_token_usage")
        if isinstance(total, dict):
            self.recorded = True
            self.used = counts_of(total)
            self._last_request(mapping(payload, "usage"))
            self._show()

    def window(self, size: Any) -> None:
        if isinstance(size, int) and size > 0:
            self.size = size
            if self.counted is not None:
                self._show()

    def _last_request(self, counts: dict[str, Any]) -> None:
        # The thread's total exceeds the window sooner or later; the last request is what is in the context.
        self._last = counts_of(counts)
        tokens = number(counts, "total_tokens")
        if self.size and tokens:
            self.share = round(min(100.0, 100.0 * tokens / self.size), 2)

    def _show(self) -> None:
        *counts, written = self.used
        self.counted = (*counts, self.size, self.share, written)  # type: ignore[assignment]


def counts_of(counts: dict[str, Any]) -> Counts:
    """One of Codex's sets of counters."""
    given, made = number(counts, "input_tokens"), number(counts, "output_tokens")
    return (
        given,
        number(counts, "cached_input_tokens"),
        made,
        number(counts, "reasoning_output_tokens"),
        given + made,
        number(counts, "cache_write_input_tokens"),
    )


def difference(one: Counts, other: Counts) -> Counts:
    """What ``one`` has more than ``other``."""
    return tuple(more - less for more, less in zip(one, other, strict=True))  # type: ignore[return-value]


def _sum(one: Counts, other: Counts) -> Counts:
    return tuple(some + more for some, more in zip(one, other, strict=True))  # type: ignore[return-value]


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
