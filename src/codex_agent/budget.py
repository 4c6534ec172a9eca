"""Owns a job's budget: how one is written, how much of it is used, and in what words that is said.

Everything the job has used counts: its own thread since the job began, and its sub-agents. Must never stop a job;
the supervisor acts on it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from codex_agent.cost import bill, is_priced
from codex_agent.errors import UsageError
from codex_agent.model import Facts, Request

if TYPE_CHECKING:
    from codex_agent.drivers.base import Host

WARN_AT = 0.8
_TOKENS = re.compile(r"(\d+(?:\.\d+)?)([km]?)", re.IGNORECASE)
_USD = re.compile(r"(?:\$ ?(\d+(?:\.\d+)?)|(\d+(?:\.\d+)?) ?usd)", re.IGNORECASE)
_TIMES = {"": 1, "k": 1_000, "m": 1_000_000}


class Watch:
    """Follows one job's budget."""

    def __init__(self, host: Host) -> None:
        self._host, self._told = host, False

    def look(self) -> bool:
        """Whether all of it is used; that most of it is, is told once."""
        host = self._host
        request, facts = host.record.request, host.record.facts
        used = share(request, facts)
        if used is None or used < WARN_AT:
            return False
        facts.budget = words(request, facts)
        if not self._told:
            self._told = True
            host.warn(f"Most of its budget was used: {facts.budget}.")
            host.note("budget", used=facts.budget, stops=used >= 1)
        return used >= 1


def parse(text: str) -> tuple[int | None, float | None]:
    """Tokens, or US dollars: ``500000``, ``500k``, ``2M``; ``$5`` or ``5usd``. Raises UsageError."""
    usd, tokens = _USD.fullmatch(text.strip()), _TOKENS.fullmatch(text.strip())
    if usd is not None and float(usd[1] or usd[2]) > 0:
        return None, float(usd[1] or usd[2])
    if tokens is not None:
        count = round(float(tokens[1]) * _TIMES[tokens[2].lower()])
        if count > 0:
            return count, None
    raise UsageError(f"--budget: '{text}' is no budget.", "Tokens, such as 500k or 2M; or dollars, such as 5usd.")


def check(request: Request) -> None:
    """Raises UsageError if nobody could tell when this budget is used up."""
    model = request.model
    if request.budget_usd is not None and model is not None and not is_priced(model, request.prices):
        raise UsageError(
            f"--budget in dollars: the price of {model} is unknown.",
            "Say what it costs in the setting prices, or give a budget in tokens.",
        )


def share(request: Request, facts: Facts) -> float | None:
    """How much of the budget is used: 1.0 is all of it. None without a budget.

    Infinite where a model was used whose price is unknown: nobody can tell that there is something left.
    """
    if request.budget_tokens is not None:
        return _tokens(facts) / request.budget_tokens
    if request.budget_usd is not None:
        made = bill([*facts.spent, *facts.agents_spent], request.prices)
        return float("inf") if made.unpriced else made.usd / request.budget_usd
    return None


def words(request: Request, facts: Facts) -> str:
    """What is used of the budget."""
    if request.budget_tokens is not None:
        return f"{_tokens(facts):,} of {request.budget_tokens:,} tokens"
    made = bill([*facts.spent, *facts.agents_spent], request.prices)
    if made.unpriced:
        return f"an unknown part of ${request.budget_usd:g}: no price is known for {', '.join(made.unpriced)}"
    return f"${made.usd:.4g} of ${request.budget_usd:g}"


def _tokens(facts: Facts) -> int:
    return sum(one.input + one.output for one in (*facts.spent, *facts.agents_spent))
