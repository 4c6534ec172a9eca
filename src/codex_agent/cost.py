"""Owns what tokens cost: the dated price list of the package (``prices.json``), and the user's own prices over it.

Nothing is guessed: a model that is in neither has no price. Must never read a rollout.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from codex_agent.tokens import Spent

_MILLION = 1_000_000
_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prices.json")
_DATE_CHARS = len("-2026-11-21")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens of each kind; reasoning is billed as output.

    ``long`` is by how much input and output cost more in requests with a long input; ``tiers`` the same for other
    service tiers. ``since`` and ``until`` are the first and the last day (UTC).
    """

    input: float
    cached_input: float
    output: float
    cache_write: float | None = None
    long: tuple[float, float] = (1.0, 1.0)
    tiers: Mapping[str, float] | None = None
    """None: the price holds whatever the tier."""
    since: str = ""
    until: str = "9"

    def of(self, spent: Spent) -> float | None:
        """What these tokens cost; None in a tier without a price. To write to the cache may cost no more."""
        factor = 1.0
        if self.tiers is not None and spent.tier is not None:
            if spent.tier not in self.tiers:
                return None
            factor = self.tiers[spent.tier]
        write = self.input if self.cache_write is None else self.cache_write
        given, made = self.long if spent.long else (1.0, 1.0)
        fresh = max(0, spent.input - spent.cached_input - spent.cache_write)
        put_in = fresh * self.input + spent.cached_input * self.cached_input + spent.cache_write * write
        return factor * (given * put_in + made * spent.output * self.output) / _MILLION


def price(entry: str) -> tuple[str, Price]:
    """The model and its price in ``MODEL=INPUT,CACHED,OUTPUT`` or ``...,CACHE_WRITE``. Raises ValueError.

    It holds for every request, however long and on whatever day.
    """
    model, _, numbers = entry.rpartition("=")
    given, cached, made, *written = (float(number) for number in numbers.split(","))
    if not model.strip() or len(written) > 1:
        raise ValueError(entry)
    if not all(0 <= number < float("inf") for number in (given, cached, made, *written)):
        raise ValueError(entry)
    return model, Price(given, cached, made, written[0] if written else None)


@dataclass(slots=True)
class Bill:
    """What tokens cost. ``usd`` is what is known of it; ``unpriced`` are the models whose price is not."""

    usd: float
    unpriced: list[str]

    @property
    def total(self) -> float | None:
        """The whole cost; None if a price is unknown."""
        return None if self.unpriced else round(self.usd, 6)


def bill(spent: Iterable[Spent], prices: Sequence[str] = ()) -> Bill:
    """What was used, priced with the user's ``prices`` (as in the settings) before the package's."""
    own = dict(price(entry) for entry in prices)
    made = Bill(0.0, [])
    for one in spent:
        at = own.get(one.model) or _listed(one.model, one.day)
        usd = None if at is None else at.of(one)
        if usd is not None:
            made.usd += usd
            continue
        name = (one.model or "unknown model") + (f" ({one.tier})" if one.tier else "")
        if name not in made.unpriced:
            made.unpriced.append(name)
    return made


def add_up(spent: Iterable[Spent]) -> list[Spent]:
    """The same with one entry for each model, day, tier and length."""
    found: dict[tuple[str, str, str | None, bool], Spent] = {}
    for one in spent:
        key = (one.model, one.day, one.tier, one.long)
        total = found.setdefault(key, Spent(*key))
        total.input += one.input
        total.cached_input += one.cached_input
        total.cache_write += one.cache_write
        total.output += one.output
        total.reasoning += one.reasoning
    return list(found.values())


def is_priced(model: str, prices: Sequence[str] = ()) -> bool:
    """Whether this model has a price today."""
    return not bill([Spent(model, "")], prices).unpriced


def as_of() -> str:
    """The day on which the package's prices were looked up."""
    return str(_list()["as_of"])


def _listed(model: str, day: str) -> Price | None:
    """The package's price of that day; there is none of a day of which it is not known."""
    models = _list()["models"]
    known = models.get(model)
    if known is None and len(model) > _DATE_CHARS and model[-_DATE_CHARS:].replace("-", "").isdecimal():
        known = models.get(model[:-_DATE_CHARS])  # a dated snapshot
    at = day or "9"
    return next((one for one in known or () if one.since <= at <= one.until), None)


@functools.cache
def _list() -> dict[str, Any]:
    with open(_FILE, encoding="utf-8") as file:
        told: dict[str, Any] = json.load(file)
    told["models"] = {
        model: [_entry(one) for one in reversed(entries)] for model, entries in told["models"].items()
    }
    return told


def _entry(one: dict[str, Any]) -> Price:
    long_input, long_output = one.get("long", (1.0, 1.0))
    return Price(
        float(one["input"]),
        float(one["cached_input"]),
        float(one["output"]),
        one.get("cache_write"),
        (float(long_input), float(long_output)),
        one.get("tiers", {}),
        one.get("since", ""),
        one.get("until", "9"),
    )
