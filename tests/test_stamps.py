"""Times as they are written: there and back, and what is none."""

from __future__ import annotations

from calendar import timegm
from time import strptime

import pytest

from codex_agent.stamps import seconds, stamp


def test_there_and_back_as_the_calendar_has_it() -> None:
    days = [0, 58, 59, 60, 365, 789, 10_956, 11_016, 11_017, 20_512, 20_777, 47_540, 47_541]  # 1970 to 2100
    for at in [day * 86_400.0 + second for day in days for second in (0, 43_199.5, 86_399.999)]:
        text = stamp(at)
        assert seconds(text) == timegm(strptime(text[:19], "%Y-%m-%dT%H:%M:%S")) + int(text[20:23]) / 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026",
        "2026-02-29T00:00:00.000Z",
        "2026-00-10T00:00:00.000Z",
        "2026-13-10T00:00:00.000Z",
        "2026-04-31T00:00:00.000Z",
        "2026-04-00T00:00:00.000Z",
        "2026-04-01T24:00:00.000Z",
        "2026-04-01T00:60:00.000Z",
        "2026-04-01 00:00:00.000Z",
        "2026-4-001T00:00:00.000Z",
        "2026-04-01T00:00:00.xxxZ",
    ],
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError):
        seconds(text)
