"""Owns what tokens cost, as far as somebody has said what a model costs.

Prices are the user's (the setting ``prices``): none is built in yet, and none is guessed. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from codex_agent.model import Tokens

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens of each kind; reasoning is billed as output."""

    input: float
    cached_input: float
    output: float


def price(entry: str) -> tuple[str, Price]:
    """The model and its price in ``MODEL=INPUT,CACHED,OUTPUT``. Raises ValueError."""
    model, _, numbers = entry.rpartition("=")
    given, cached, made = (float(number) for number in numbers.split(","))
    if not model.strip() or not all(0 <= number < float("inf") for number in (given, cached, made)):
        raise ValueError(entry)
    return model, Price(given, cached, made)


def cost_usd(by_model: Mapping[str, Tokens], prices: Sequence[str]) -> float | None:
    """What these tokens cost; None if the price of one of the models is not known, or nothing was used."""
    known = dict(price(entry) for entry in prices)
    if not by_model or not set(by_model) <= set(known):
        return None
    return round(sum(_of(tokens, known[model]) for model, tokens in by_model.items()), 6)


def _of(tokens: Tokens, at: Price) -> float:
    fresh = max(0, tokens.input - tokens.cached_input)
    return (fresh * at.input + tokens.cached_input * at.cached_input + tokens.output * at.output) / _MILLION
