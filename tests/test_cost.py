"""What a thread has used costs what the settings say, and nothing is guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_agent.cost import cost_usd
from codex_agent.errors import SettingsError
from codex_agent.model import Tokens
from codex_agent.rollouts import Reader
from codex_agent.settings import load

THREAD = "01a1fd66-9d0f-7d30-b781-b521de99b021"


def _prices(text: str) -> tuple[str, ...]:
    return load({"HOME": "/nowhere", "CODEX_AGENT_PRICES": text}).prices


def test_by_hand() -> None:
    used = {"a": Tokens(input=1000, cached_input=400, output=50), "b": Tokens(input=10, output=1)}
    assert cost_usd(used, _prices("a=1.25,0.125,10 b=2,1,20")) == pytest.approx(
        (600 * 1.25 + 400 * 0.125 + 50 * 10 + 10 * 2 + 20) / 1e6
    )


def test_no_price_is_no_zero() -> None:
    used = {"a": Tokens(input=1000), "b": Tokens(input=10)}
    assert cost_usd(used, _prices("a=1,1,1")) is None and cost_usd({}, ()) is None


@pytest.mark.parametrize(
    "word", ["a", "a=1,2", "a=1,2,3,4", "a=1,2,x", "a=-1,2,3", "a=1,2,inf", "=1,2,3", "a=nan,1,1"]
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
    assert {model: (one.input, one.cached_input, one.output) for model, one in whole.state.by_model.items()} == {
        "a": (1100, 40, 6),
        "b": (250, 50, 8),
    }
    path.write_text(first)
    again = Reader(str(path))
    again.read_new()
    with path.open("a") as file:
        file.write(second + third)
    again.read_new()
    assert again.state.by_model == whole.state.by_model


def test_a_fork_pays_for_its_own(tmp_path: Path) -> None:
    """It counts on from where its parent was."""
    path = tmp_path / "rollout.jsonl"
    meta = _line("session_meta", id=THREAD, cwd="/here", forked_from_id="01a1fd66-9d0f-7d30-b781-000000000000")
    path.write_text(
        meta + _turn(1, "a", _counted(5100, 40, 505, (100, 40, 5)), _counted(5300, 40, 506, (200, 0, 1)))
    )
    reader = Reader(str(path))
    reader.read_new()
    used = reader.state.by_model["a"]
    assert (used.input, used.cached_input, used.output) == (300, 40, 6)
    assert reader.state.tokens is not None and reader.state.tokens.input == 5300, "the thread's own total"
