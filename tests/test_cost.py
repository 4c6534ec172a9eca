"""What tokens cost, by hand: the package's prices, the user's, and what nobody knows. See test_cost_real too."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any

import pytest

from codex_agent import cost, costing
from codex_agent.cost import as_of, bill, is_priced
from codex_agent.errors import SettingsError
from codex_agent.model import Spent
from codex_agent.rollouts import Reader
from codex_agent.settings import load
from codex_agent.store import Store

THREAD = "01a1fd66-9d0f-7d30-b781-b521de99b021"


def _prices(text: str) -> tuple[str, ...]:
    return load({"HOME": "/nowhere", "CODEX_AGENT_PRICES": text}).prices


def _spent(model: str, **more: Any) -> Spent:
    return Spent(model, more.pop("day", "2026-11-21"), **more)


def test_by_hand() -> None:
    used = [
        _spent("a", input=1000, cached_input=400, cache_write=100, output=50, reasoning=20),
        _spent("b", input=10, output=1),
    ]
    made = bill(used, _prices("a=1.25,0.125,10,3 b=2,1,20"))
    by_hand = (500 * 1.25 + 400 * 0.125 + 100 * 3 + 50 * 10 + 10 * 2 + 20) / 1e6
    assert made.total == pytest.approx(by_hand) and made.unpriced == []
    without = bill(used[:1], _prices("a=1.25,0.125,10"))
    assert without.total == pytest.approx((600 * 1.25 + 400 * 0.125 + 50 * 10) / 1e6), "to write costs no more"


def test_no_price_is_no_zero() -> None:
    made = bill([_spent("a", input=1000), _spent("b", input=10), _spent("", input=1)], _prices("a=1,1,1"))
    assert made.total is None and made.usd == pytest.approx(0.001)
    assert made.unpriced == ["b", "unknown model"]


def test_what_openai_bills() -> None:
    """A long request costs more in all of it; other tiers by their factor; a price of its day; snapshots."""

    def usd(model: str, **more: Any) -> float | None:
        return bill([_spent(model, input=1_000_000, cached_input=400_000, cache_write=100_000, **more)]).total

    short = 0.5 * 2 + 0.4 * 0.2 + 0.1 * 2.5
    assert usd("gpt-6-sol", output=100_000) == pytest.approx(short + 1)
    assert usd("gpt-6-sol", output=100_000, long=True) == pytest.approx(2 * short + 1.5)
    assert usd("gpt-6-sol", output=100_000, tier="priority") == pytest.approx(2 * (short + 1))
    assert usd("gpt-6-sol", tier="flex") == pytest.approx(short / 2)
    assert usd("gpt-6-sol", tier="nobody-knows") is None
    assert usd("gpt-6-sol", day="2026-09-21") is None, "before it was there"
    assert usd("gpt-6-sol-2026-09-22") == usd("gpt-6-sol")
    assert usd("gpt-5.6-sol", day="2026-07-31") == pytest.approx(0.5 * 5 + 0.4 * 0.5 + 0.1 * 6.25)
    assert usd("gpt-5.6-sol", day="2026-08-15") is None, "nobody knows on which day it changed"
    assert usd("gpt-5.6-sol") == pytest.approx(0.5 * 4 + 0.4 * 0.4 + 0.1 * 5)
    assert usd("GPT-6-sol") is None and usd("gpt-6") is None and usd("openai/gpt-6-sol") is None


def test_the_users_price_is_the_price() -> None:
    used = _spent("gpt-6-sol", input=1_000_000, output=1_000_000, long=True, tier="flex", day="2020-01-01")
    assert bill([used], _prices("gpt-6-sol=1,1,2")).total == pytest.approx(3)


def test_every_price_of_the_package_has_its_source() -> None:
    told = json.loads((Path(cost.__file__).parent / "prices.json").read_text())
    assert told["as_of"] == as_of() and len(told["models"]) > 10
    for model, entries in told["models"].items():
        assert is_priced(model), model
        for one in entries:
            assert "https://" in one["source"], model
            assert set(one) <= {
                "input",
                "cached_input",
                "cache_write",
                "output",
                "long",
                "tiers",
                "since",
                "until",
                "source",
            }
            assert one["cached_input"] <= one["input"] <= one["output"], model
        days = [(one.get("since", ""), one.get("until", "9")) for one in entries]
        assert all(before[1] < after[0] for before, after in itertools.pairwise(days)), model


@pytest.mark.parametrize(
    "word", ["a", "a=1,2", "a=1,2,3,4,5", "a=1,2,3,-4", "a=1,2,x", "a=-1,2,3", "a=1,2,inf", "=1,2,3", "a=nan,1,1"]
)
def test_what_is_no_price(word: str) -> None:
    with pytest.raises(SettingsError, match="PRICES"):
        _prices(word)


def _line(kind: str, **payload: Any) -> str:
    record = {"timestamp": "2026-11-21T09:18:43.058Z", "type": kind, "payload": payload}
    return json.dumps(record, separators=(",", ":")) + "\n"


def _counted(given: int, cached: int, made: int, last: tuple[int, int, int]) -> str:
    def counts(one: tuple[int, int, int]) -> dict[str, int]:
        return {"input_tokens": one[0], "cached_input_tokens": one[1], "output_tokens": one[2]}

    info = {"total_token_usage": counts((given, cached, made)), "last_token_usage": counts(last)}
    return _line("event_msg", type="token_count", info=info)


def _turn(number: int, model: str, *counted: str) -> str:
    turn = f"01a1fd66-9d0f-7d30-b781-{number:012d}"
    return (
        _line("event_msg", type="task_started", turn_id=turn)
        + _line("turn_context", cwd="/here", model=model)
        + "".join(counted)
        + _line("event_msg", type="task_complete", turn_id=turn, last_agent_message="Done.")
    )


def test_every_turn_is_its_models(tmp_path: Path) -> None:
    """Also read in two goes, as a supervisor does."""
    path = tmp_path / "rollout.jsonl"
    first = _line("session_meta", id=THREAD, cwd="/here") + _turn(1, "a", _counted(100, 40, 5, (100, 40, 5)))
    second = _turn(2, "b", _counted(300, 90, 12, (150, 50, 4)), _counted(350, 90, 13, (50, 0, 1)))
    third = _turn(3, "a", _counted(1350, 90, 14, (1000, 0, 1)))
    path.write_text(first + second + third)
    whole = Reader(str(path))
    whole.read_new()
    assert {one.model: (one.input, one.cached_input, one.output) for one in whole.state.spent} == {
        "a": (1100, 40, 6),
        "b": (250, 50, 8),
    }
    assert {one.day for one in whole.state.spent} == {"2026-11-21"}
    path.write_text(first)
    again = Reader(str(path))
    again.read_new()
    with path.open("a") as file:
        file.write(second + third)
    again.read_new()
    assert again.state.spent == whole.state.spent


def test_a_fork_pays_for_its_own(tmp_path: Path) -> None:
    """It counts on from where its parent was."""
    path = tmp_path / "rollout.jsonl"
    meta = _line("session_meta", id=THREAD, cwd="/here", forked_from_id="01a1fd66-9d0f-7d30-b781-000000000000")
    path.write_text(
        meta + _turn(1, "a", _counted(5100, 40, 505, (100, 40, 5)), _counted(5300, 40, 506, (200, 0, 1)))
    )
    reader = Reader(str(path))
    reader.read_new()
    (used,) = reader.state.spent
    assert (used.input, used.cached_input, used.output) == (300, 40, 6)
    assert reader.state.tokens is not None and reader.state.tokens.input == 5300, "the thread's own total"


def _thread(home: Path, number: int, *lines: str, **meta: Any) -> tuple[str, Path]:
    """A rollout below this CODEX_HOME; its thread's id, and where it is."""
    thread = f"01a1fd66-9d0f-7d30-b781-{number:012d}"
    folder = home / "sessions" / "2026" / "11" / "21"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-2026-11-21T09-18-43-{thread}.jsonl"
    path.write_text(_line("session_meta", id=thread, cwd="/here", **meta) + "".join(lines))
    return thread, path


def test_an_agents_agents_are_its_parents(codex_home: Path, store: Store) -> None:
    """Also where only the youngest was at work lately, and where one of them is named."""
    turn = _turn(1, "a", _counted(10, 0, 1, (10, 0, 1)))
    ids = [f"01a1fd66-9d0f-7d30-b781-{number:012d}" for number in (1, 5, 9)]
    for number, parent in ((1, None), (5, ids[0]), (9, ids[1])):
        _, path = _thread(
            codex_home, number, turn, parent_thread_id=parent, source={"subagent": {}} if parent else "cli"
        )
        os.utime(path, (0, 0) if parent != ids[1] else None)
    answer = costing.report(store, str(codex_home), [], by="job", since=None, prices=["a=1,1,1"])
    assert [(row.key, row.threads, row.input) for row in answer.rows] == [(ids[0], 3, 30)]
    assert answer.rows[0].agents_cost_usd == pytest.approx(22e-6)
    lately = costing.report(store, str(codex_home), [], by="job", since="2026-11-21", prices=["a=1,1,1"])
    assert [(row.key, row.threads) for row in lately.rows] == [(ids[0], 1)]
    for words in ([ids[1], ids[0]], [ids[0], ids[1]]):
        both = costing.report(store, str(codex_home), words, by="job", since=None, prices=[])
        assert [(row.key, row.threads, row.cost_usd) for row in both.rows] == [(ids[0], 3, None)]
    (part,) = costing.report(store, str(codex_home), [ids[1]], by="job", since=None, prices=[]).rows
    assert (part.key, part.threads) == (ids[1], 2)


def test_said_twice_is_used_once(tmp_path: Path) -> None:
    """Codex repeats its counters, with new limits, and after a compaction with nothing in the last request."""
    path = tmp_path / "rollout.jsonl"
    meta = _line("session_meta", id=THREAD, cwd="/here")
    first, again = _counted(100, 40, 5, (100, 40, 5)), _counted(100, 40, 5, (0, 0, 0))
    path.write_text(meta + _turn(1, "a", first, first, again, _counted(300, 40, 6, (200, 0, 1)), first[:-30]))
    reader = Reader(str(path))
    reader.read_new()
    assert [(one.input, one.output) for one in reader.state.spent] == [(300, 6)]


def test_a_long_request_is_known_by_its_input(tmp_path: Path) -> None:
    path = tmp_path / "rollout.jsonl"
    meta = _line("session_meta", id=THREAD, cwd="/here")
    counted = (
        _counted(272_000, 0, 1, (272_000, 0, 1)),
        _counted(544_001, 0, 2, (272_001, 0, 1)),
        _counted(544_011, 0, 3, (10, 0, 1)),
    )
    path.write_text(meta + _turn(1, "a", *counted))
    reader = Reader(str(path))
    reader.read_new()
    assert {one.long: one.input for one in reader.state.spent} == {False: 272_010, True: 272_001}


def test_the_turns_model_is_the_one_it_began_with(tmp_path: Path) -> None:
    """What a person chooses while it runs is for the next turn."""
    path = tmp_path / "rollout.jsonl"
    chosen = _line(
        "event_msg", type="thread_settings_applied", thread_settings={"model": "b", "service_tier": "flex"}
    )
    meta = _line("session_meta", id=THREAD, cwd="/here")
    path.write_text(meta + _turn(1, "a", chosen, _counted(100, 0, 1, (100, 0, 1))))
    reader = Reader(str(path))
    reader.read_new()
    assert [(one.model, one.input) for one in reader.state.spent] == [("a", 100)]


@pytest.mark.parametrize("spaces", [False, True], ids=["as-codex-writes-it", "as-json-may-be"])
def test_both_ways_of_reading_agree(tmp_path: Path, spaces: bool) -> None:
    """Counters are taken from the text where it is Codex's own, and decoded where it is not."""
    usage = {
        "input_tokens": 1000,
        "cached_input_tokens": 400,
        "cache_write_input_tokens": 30,
        "output_tokens": 50,
        "reasoning_output_tokens": 10,
        "total_tokens": 1050,
    }
    lines = [
        _line("session_meta", id=THREAD, cwd="/here"),
        _line("turn_context", cwd="/here", model="a"),
        _line(
            "token_usage_record", thread_id=THREAD, usage=usage, turn_token_usage=usage, thread_token_usage=usage
        ),
        _line(
            "token_usage_record",
            thread_id="another",
            usage=usage,
            thread_token_usage={**usage, "input_tokens": 9000},
        ),
        _line("event_msg", type="token_count", info={"total_token_usage": usage, "last_token_usage": usage}),
    ]
    path = tmp_path / "rollout.jsonl"
    path.write_text("".join(json.dumps(json.loads(line)) + "\n" if spaces else line for line in lines))
    reader = Reader(str(path))
    reader.read_new()
    assert reader.state.spent == [Spent("a", "2026-11-21", None, False, 1000, 400, 30, 50, 10)]


def test_a_job_that_goes_on_begins_at_its_own_part(tmp_path: Path) -> None:
    """Also where Codex repeats the last counters first."""
    path = tmp_path / "rollout.jsonl"
    before = _line("session_meta", id=THREAD, cwd="/here") + _turn(1, "a", _counted(5000, 40, 50, (5000, 40, 50)))
    path.write_text(
        before + _turn(2, "a", _counted(5000, 40, 50, (5000, 40, 50)), _counted(5100, 40, 51, (100, 0, 1)))
    )
    reader = Reader(str(path), thread_id=THREAD)
    status = path.stat()
    reader.begin_at((status.st_dev, status.st_ino), len(before.encode()))
    reader.read_new()
    assert [(one.input, one.cached_input, one.output) for one in reader.state.spent] == [(100, 0, 1)]
