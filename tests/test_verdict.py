"""The verdict, as one table: what happened (facts) on the left, what it means on the right."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from codex_agent.model import Facts, QueuePlace, Turn
from codex_agent.verdict import judge

T = "2026-11-21T10:00:00.000Z"
PLACE = QueuePlace("gate", "gpu", 1, 2, T, "gate gpu: 1 of 1 slot taken; place 1 of 2")
OPEN, DONE, BAD, CUT = Turn("open", 1), Turn("completed", 1), Turn("failed", 1, error="boom"), Turn("aborted", 1)


@dataclass
class Row:
    name: str
    status: str
    turn_state: str | None = None
    reason: str | None = None
    alive: bool = False
    facts: dict[str, Any] = field(default_factory=dict)


def ended(**more: Any) -> dict[str, Any]:
    return {"started_at": T, "ended_at": T, **more}


TABLE = [
    Row("record made, nothing runs yet", "pending", "starting", alive=True),
    Row("record made, start died", "interrupted", None, "interrupted"),
    Row("Codex runs, has said nothing", "running", "starting", alive=True, facts={"started_at": T}),
    Row("in a turn", "running", "working", alive=True, facts={"started_at": T, "turn": OPEN}),
    Row(
        "only reconnects",
        "running",
        "reconnecting",
        alive=True,
        facts={"started_at": T, "turn": OPEN, "reconnecting": "Reconnecting... 1/5"},
    ),
    Row("turn done, Codex not gone yet", "running", "working", alive=True, facts={"started_at": T, "turn": DONE}),
    Row("supervisor dead, not settled", "interrupted", None, "interrupted", facts={"started_at": T, "turn": OPEN}),
    Row("settled: supervisor lost", "interrupted", None, "interrupted", facts=ended(lost="supervisor", turn=OPEN)),
    Row("settled: after the turn was done", "interrupted", None, "interrupted", facts=ended(lost="supervisor", turn=DONE)),
    Row("settled: machine restarted", "interrupted", None, "interrupted", facts=ended(lost="reboot", turn=OPEN)),
    Row("waits at a gate", "queued", "starting", alive=True, facts={"queue": PLACE}),
    Row("begun again, waits at a gate", "queued", "starting", alive=True, facts={"started_at": T, "turn": DONE, "queue": PLACE}),
    Row("let in, Codex not run yet", "pending", "starting", alive=True),
    Row("supervisor dead in the line, not settled", "interrupted", None, "interrupted", facts={"queue": PLACE}),
    Row("settled: supervisor lost in the line", "interrupted", None, "interrupted", facts={"ended_at": T, "lost": "queue", "queue": PLACE}),
    Row("killed in the line", "interrupted", None, "killed", facts={"ended_at": T, "stop_reason": "killed", "queue": PLACE}),
    Row("the job before did not complete", "failed", None, "dependency", facts={"ended_at": T, "stop_reason": "dependency", "not_begun": "Job x failed."}),
    Row("its turn came, Codex was gone", "failed", None, "spawn_failed", facts={"ended_at": T, "stop_reason": "spawn_failed", "not_begun": "No."}),
    Row("settled: start lost", "interrupted", None, "interrupted", facts={"ended_at": T, "lost": "start"}),
    Row("done", "completed", facts=ended(exit_code=0, turn=DONE)),
    Row("done, rollout agrees", "completed", facts=ended(exit_code=0, turn=DONE, rollout_turn=DONE)),
    Row("done, then a goal's turn was cut off by exec's exit", "completed", facts=ended(exit_code=0, turn=DONE, rollout_turn=CUT)),
    Row("done, with noise on stderr", "completed", facts=ended(exit_code=0, turn=DONE, last_stderr="ERROR unsupported")),
    Row("done after a reconnect", "completed", facts=ended(exit_code=0, turn=DONE, reconnecting=None)),
    Row("done although a kill was on its way", "completed", facts=ended(exit_code=0, turn=DONE, stop_reason="killed")),
    Row("exit 0, but the rollout has the error", "failed", None, "unknown", facts=ended(exit_code=0, turn=DONE, rollout_turn=BAD)),
    Row("exit 0, but the turn failed", "failed", None, "unknown", facts=ended(exit_code=0, turn=BAD)),
    Row("exit 0 without any turn", "failed", None, "no_turn", facts=ended(exit_code=0)),
    Row("exit 0 in the middle of a turn", "failed", None, "no_turn", facts=ended(exit_code=0, turn=OPEN)),
    Row("exit 1 after a failed turn", "failed", None, "exit_code", facts=ended(exit_code=1, turn=BAD)),
    Row("exit 1 after the turn was done", "failed", None, "exit_code", facts=ended(exit_code=1, turn=DONE)),
    Row(
        "exit 1, not in a repository",
        "failed",
        None,
        "not_a_repo",
        facts=ended(
            exit_code=1, last_stderr="Not inside a trusted directory and --skip-git-repo-check was not specified."
        ),
    ),
    Row(
        "failed with a structured reason",
        "failed",
        None,
        "usage_limit",
        facts=ended(exit_code=1, turn=BAD, rollout_turn=Turn("failed", 1, error_info="usage_limit_exceeded")),
    ),
    Row("killed", "interrupted", None, "killed", facts=ended(exit_code=1, turn=OPEN, rollout_turn=CUT, stop_reason="killed")),
    Row("killed the hard way", "interrupted", None, "killed", facts=ended(exit_signal=9, turn=OPEN, stop_reason="killed")),
    Row("session closed by hand", "interrupted", None, "closed", facts=ended(exit_code=1, turn=OPEN, stop_reason="closed")),
    Row("Ctrl-C in the pane", "interrupted", None, "interrupted", facts=ended(exit_code=1, turn=OPEN, stop_reason="interrupted")),
    Row("did nothing for too long", "failed", None, "timeout_inactivity", facts=ended(exit_code=1, turn=OPEN, stop_reason="timeout_inactivity")),
    Row("took too long in all", "failed", None, "timeout_total", facts=ended(exit_code=1, turn=OPEN, stop_reason="timeout_total")),
    Row("Codex killed from outside", "failed", None, "signal", facts=ended(exit_signal=9, turn=OPEN)),
    Row("Codex killed from outside after its turn", "failed", None, "signal", facts=ended(exit_signal=9, turn=DONE)),
    Row("somebody sent Codex SIGINT", "interrupted", None, "turn_aborted", facts=ended(exit_code=1, turn=OPEN, rollout_turn=CUT)),
]  # fmt: skip


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "_"))
def test_verdict(row: Row) -> None:
    verdict = judge(Facts(**row.facts), alive=row.alive)
    found = (verdict.status, verdict.turn_state, verdict.failure.reason if verdict.failure else None)
    assert found == (row.status, row.turn_state, row.reason)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name.replace(" ", "_"))
def test_what_did_not_complete_says_why(row: Row) -> None:
    verdict = judge(Facts(**row.facts), alive=row.alive)
    if verdict.status in ("failed", "interrupted"):
        assert verdict.failure is not None and verdict.failure.message.endswith((".", "boom"))
    else:
        assert verdict.failure is None
