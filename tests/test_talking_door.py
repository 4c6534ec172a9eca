"""What the command line makes of a report: its exit code, what a person reads. No agent runs here."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from codex_agent import verdict
from codex_agent.answers import Approvals, Asked, Responded, Sent, TurnReport
from codex_agent.cli import talking
from codex_agent.cli.common import (
    LIMIT_REASONS,
    exit_of_job,
    exit_of_report,
    worst,
)
from codex_agent.cli.show import asked
from codex_agent.job_text import details, state
from codex_agent.model import BUSY, CurrentTurn, Failure, Job, LastTurn, Question, TurnState, Waiting
from codex_agent.store import Store
from support import Home, Result
from support.jobs import Here, write_record

AT = "2026-11-21T09:00:00.000Z"
COMMAND = Waiting(
    3, "command", AT, command="rm -rf build\nmake", cwd="/home/ann/till", reason="to build\x1b[2J anew"
)
QUESTION = Waiting(
    4,
    "question",
    AT,
    reason="Which one?",
    questions=[
        Question("a", "Database", "Which one?", ["sqlite", "postgres"]),
        Question("b", "", "What password?", secret=True),
    ],
)
FILES = Waiting(1, "file_change", AT, files=["/home/ann/till/a.py", "/etc/b"])


def report(**values: Any) -> TurnReport:
    """An idle agent whose turn completed, but for what is told."""
    usual: dict[str, Any] = {
        **dict.fromkeys(field.name for field in dataclasses.fields(TurnReport)),
        "id": "abc00001",
        "status": "running",
        "turn_state": "idle",
        "turn_status": "completed",
        "waiting_for": [],
        "files_modified": [],
        "message": "All done.",
    }
    return TurnReport(**(usual | values))


def failure(reason: str) -> Failure:
    return Failure(reason, "It went\nwrong.")


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, 0),
        ({"turn_status": "failed"}, 1),
        ({"turn_status": "interrupted"}, 1),
        ({"turn_state": "error", "turn_status": "failed"}, 1),
        ({"turn_state": "error", "turn_status": None}, 1),
        ({"turn_state": "context_limit", "turn_status": "failed"}, 11),
        ({"turn_state": "usage_limit", "turn_status": "failed"}, 11),
        ({"turn_state": "waiting_approval", "turn_status": None}, 10),
        ({"turn_state": "waiting_input", "turn_status": None}, 10),
        # Still busy and yet it came back: nobody can tell. A turn that ended while the next one began is fine.
        ({"turn_state": "unknown", "turn_status": None}, 1),
        ({"turn_state": "unknown", "turn_status": "completed"}, 1),
        ({"turn_state": "working", "turn_status": "completed"}, 0),
        # The job has ended.
        ({"status": "completed", "turn_state": None}, 0),
        ({"status": "completed", "turn_state": None, "turn_status": None}, 0),
        ({"status": "failed", "turn_state": None, "turn_status": "failed", "failure": failure("network")}, 1),
        ({"status": "failed", "turn_state": None, "turn_status": "failed", "failure": failure("usage_limit")}, 11),
        ({"status": "failed", "turn_state": None, "turn_status": "failed", "failure": failure("quota")}, 11),
        ({"status": "failed", "turn_state": None, "failure": failure("context_window")}, 11),
        ({"status": "interrupted", "turn_state": None, "failure": failure("killed")}, 1),
    ],
    ids=lambda value: "-".join(str(each) for each in value.values()) if isinstance(value, dict) else "",
)
def test_exit_codes_of_a_turn(values: dict[str, Any], code: int) -> None:
    assert exit_of_report(report(**values)) == code


def test_a_limit_is_the_same_before_and_after_the_jobs_end() -> None:
    assert set(verdict._LIMITS) == LIMIT_REASONS


def job(home: Home, **values: Any) -> Job:
    """A job of an agent that stays, idle after its second turn, but for what is told."""
    store = Store(str(home.agent_home))
    write_record(store, "abc00001", lambda data: data["request"].update(mode="interactive", driver="channel"))
    found = verdict.job_view(store.load("abc00001"), alive=True, now=0.0)
    usual: dict[str, Any] = {
        "status": "running",
        "turn_state": "idle",
        "completed_at": None,
        "turn_count": 2,
        "approval": "on-request",
        "last_turn": LastTurn("t1", "completed", AT, AT, 4200, None),
    }
    return dataclasses.replace(found, **(usual | values))


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({}, 0),
        ({"turn_state": "waiting_approval", "current_turn": CurrentTurn("t2", AT)}, 10),
        ({"turn_state": "usage_limit"}, 11),
        ({"last_turn": LastTurn("t1", "interrupted", AT, AT, 1, None)}, 1),
        ({"status": "failed", "turn_state": None, "failure": failure("context_window")}, 11),
        ({"status": "interrupted", "turn_state": None, "failure": failure("killed")}, 1),
    ],
)
def test_exit_codes_of_a_job(values: dict[str, Any], code: int, home: Home) -> None:
    assert exit_of_job(job(home, **values)) == code


@pytest.mark.parametrize("turn_state", sorted(BUSY))
def test_a_turn_that_runs_is_no_failure(turn_state: TurnState, home: Home) -> None:
    """``wait --any`` came back for another job; how the turn before this one ended says nothing."""
    before = LastTurn("t1", "failed", AT, AT, 1, "no")
    assert exit_of_job(job(home, turn_state=turn_state, current_turn=CurrentTurn("t2", AT), last_turn=before)) == 0


@pytest.mark.parametrize(
    ("codes", "code"), [((0, 0), 0), ((0, 1), 1), ((1, 11, 0), 11), ((11, 10, 1), 10), ((10,), 10)]
)
def test_several_jobs_have_one_exit_code(codes: tuple[int, ...], code: int) -> None:
    assert worst(codes) == code


# ---- what a person reads ----


def test_what_waits_comes_with_the_commands_that_answer_it() -> None:
    assert asked(Asked("abc00001", "till", COMMAND), "2026-11-21T09:01:05.000Z").splitlines() == [
        "abc00001  till  3: command, waiting for 1m05s",
        "  $ rm -rf build",
        "    make",
        "  why: to build[2J anew",
        "  in /home/ann/till",
        "  codex-agent approve abc00001 3",
        "  codex-agent approve abc00001 3 --always",
        '  codex-agent deny abc00001 3 --message "..."',
    ]
    assert asked(Asked("abc00001", None, QUESTION), AT).splitlines() == [
        "abc00001  4: question, waiting for 0.0s",
        "  ? Database: Which one?",
        "    1. sqlite",
        "    2. postgres",
        "  ? What password? (the answer is secret)",
        '  codex-agent answer abc00001 -n 4 1 "..."',
    ]
    files = asked(Asked("abc00001", None, FILES), AT)
    assert "  ~ /home/ann/till/a.py\n  ~ /etc/b\n" in files and "approve abc00001 1" in files
    prompt = asked(Asked("abc00001", None, Waiting(1, "prompt", AT)), AT)
    assert "attach abc00001 --exec" in prompt and "keys abc00001" in prompt and "approve" not in prompt


def line(**values: Any) -> str:
    made = report(**values)
    return talking._report_line(made, exit_of_report(made))


def test_what_is_no_plain_success_is_said_on_one_line() -> None:
    assert line(turn_status="interrupted") == "abc00001  running/idle, turn interrupted"
    told = line(turn_state="error", turn_status="failed", error="Selected model\nis at capacity.")
    assert told == "abc00001  running/error, turn failed: Selected model is at capacity."
    waits = line(turn_state="waiting_approval", turn_status=None, waiting_for=[COMMAND, FILES])
    assert waits.startswith("abc00001  running/waiting_approval 3: command: rm -rf build ↵ make (and 1 more): ")
    assert "codex-agent approve abc00001 3 | " in waits and "\n" not in waits
    only_there = line(turn_state="waiting_input", turn_status=None)
    assert only_there == "abc00001  running/waiting_input: codex-agent approvals abc00001 | attach abc00001"
    killed = line(status="interrupted", turn_state=None, failure=failure("killed"))
    assert killed == "abc00001  interrupted, turn completed: It went wrong."
    late = talking._report_line(report(turn_state="working", turn_status=None), 124)
    assert late == "abc00001  running/working: timed out, the turn has not ended"


def test_what_became_of_a_message() -> None:
    sent = Sent("abc00001", "m1", "turn", "t9", False, None)
    assert talking._sent_line(sent) == "abc00001  turn t9 began with it"
    steered = dataclasses.replace(sent, delivery="steer", file="/home/ann/m1.md")
    assert talking._sent_line(steered) == (
        "abc00001  it went into turn t9; it is long, so the agent was told to read /home/ann/m1.md"
    )
    queued = dataclasses.replace(sent, delivery="queued", turn_id=None)
    assert talking._sent_line(queued) == "abc00001  queued for the end of the running turn"
    back = dataclasses.replace(sent, reopened=True)
    assert talking._sent_line(back) == "abc00001  reopened: turn t9 began with it"


def test_what_became_of_an_answer(capfd: pytest.CaptureFixture[str]) -> None:
    sent = Sent("abc00001", "m1", "steer", "t9", False, None)
    talking._tell_responded(Responded("abc00001", COMMAND, "decline", sent, "working"), False)
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "abc00001  denied 3 (command: rm -rf build ↵ make); now working"
    assert lines[1] == "  abc00001  it went into turn t9" and "await-turn abc00001" in lines[2]


def test_details_of_an_agent_that_stays(home: Home) -> None:
    told = details(
        job(
            home,
            turn_state="waiting_approval",
            current_turn=CurrentTurn("t2", AT),
            waiting_for=COMMAND,
            queued=2,
        ),
        color=False,
    )
    assert told.splitlines()[0] == "abc00001  running/waiting_approval"
    for words in (
        "mode     interactive, approval on-request",
        "turns    2",
        f"now      turn t2, since {AT}",
        "last     turn t1 completed after 4.2s",
        f"asks     3: command: rm -rf build ↵ make, since {AT}",
        "codex-agent approvals abc00001",
        "queued   2 messages",
    ):
        assert f"  {words}" in told, told
    assert "plain (the bare TUI)" in details(job(home, driver="plain"), color=False)


def test_details_of_an_exec_agent_have_no_more_than_before(home: Home) -> None:
    store = Store(str(home.agent_home))
    write_record(store, "abc00002")
    found = verdict.job_view(store.load("abc00002"), alive=False, now=0.0)
    told = details(found, color=False)
    assert state(found) == "completed"
    assert not [word for word in ("mode ", "turns ", "now ", "last ", "asks ", "queued ") if f"  {word}" in told]


# ---- without an agent ----


def test_nothing_waits(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    call = Here(home, monkeypatch, capfd)
    store = Store(str(home.agent_home))
    write_record(store, "abc00001")
    for words in ((), ("abc00001",)):
        assert call("approvals", *words).ok().out == "Nothing waits.\n"
        found = call("approvals", *words, "--json").ok().json()
        assert found["waiting"] == [] and list(found) == [f.name for f in dataclasses.fields(Approvals)]


def test_dry_run_of_an_agent_that_stays(
    home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Both command lines: what listens, and what the pane shows."""
    call = Here(home, monkeypatch, capfd)
    words = ("start", "hello", "--dry-run", "--interactive")
    plan: Result = call(*words, "--json").ok()
    assert "app-server" in plan.json()["argv"] and "resume" in plan.json()["viewer_argv"]
    text = call(*words).ok()
    assert text.out == "hello\n" and "app-server" in text.err and "and in the pane:" in text.err
    plain = call(*words, "--plain", "--json").ok().json()
    assert "app-server" not in plain["argv"] and plain["viewer_argv"] == []
    assert not home.jobs.exists()
