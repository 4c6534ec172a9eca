"""What a thread does, as tables: what is known of it on the left, what that means on the right. Pure."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from codex_agent.model import CurrentTurn, Job, LastTurn, Waiting
from codex_agent.rollouts.tail import Call
from codex_agent.threads.state import Mark, judge, suspect

T = "2026-11-21T10:00:00.000Z"


def job(status: str = "running", turn_state: str | None = None, **more: Any) -> Job:
    """A job of ours of which only this is known."""
    nothing: dict[str, Any] = {each.name: None for each in dataclasses.fields(Job)}
    return Job(**{**nothing, "status": status, "turn_state": turn_state, **more})


def current() -> CurrentTurn:
    nothing: dict[str, Any] = {each.name: None for each in dataclasses.fields(CurrentTurn)}
    return CurrentTurn(**nothing)


def last(status: str) -> LastTurn:
    nothing: dict[str, Any] = {each.name: None for each in dataclasses.fields(LastTurn)}
    return LastTurn(**{**nothing, "status": status})


@dataclass
class Row:
    name: str
    mark: Mark | None
    loaded: bool | None
    state: str
    turn: str | None
    job: Job | None = None
    why: bool = False
    """Whether the state has to be explained."""
    unmarked: bool = False


TABLE = [
    # Nobody of ours: the lock and the rollout decide.
    Row("a turn runs", "open", True, "working", "open"),
    Row("between two turns", "completed", True, "idle", "completed"),
    Row("its turn failed, the IDE is open", "failed", True, "idle", "failed"),
    Row("Esc in the TUI", "aborted", True, "idle", "interrupted"),
    Row("exec that is done", "completed", False, "closed", "completed"),
    Row("exec that failed", "failed", False, "closed", "failed"),
    Row("exec with Ctrl-C", "aborted", False, "closed", "interrupted"),
    Row("killed in a turn: no end is ever written", "open", False, "closed", "interrupted", why=True),
    Row("nothing happened in it yet, nobody has it", None, False, "closed", None),
    # Codex 0.98 marks no turns.
    Row("no marks, somebody has it", None, True, "unknown", None, why=True, unmarked=True),
    Row("no marks, nobody has it", None, False, "closed", None, unmarked=True),
    Row("a thread without a turn yet", None, True, "idle", None),
    # Where nobody can tell whether it is loaded, nothing is guessed from what the rollout says.
    Row("cannot be told, a turn is open", "open", None, "unknown", "open", why=True),
    Row("cannot be told, its turn is done", "completed", None, "unknown", "completed", why=True),
    Row("cannot be told, no turn", None, None, "unknown", None, why=True),
    # Ours, and it lives: its own supervisor knows better than the files.
    Row("ours, works", "open", True, "working", "open", job("running", "working", current_turn=current())),
    Row(
        "ours, Codex begins and the rollout does not say so yet",
        "completed",
        True,
        "working",
        "open",
        job("running", "working", current_turn=current()),
    ),
    Row(
        "ours, waits for an approval",
        "open",
        True,
        "waiting_approval",
        "open",
        job("running", "waiting_approval", current_turn=current()),
    ),
    Row(
        "ours, idle although the lock cannot be looked at",
        "completed",
        None,
        "idle",
        "failed",
        job("running", "idle", last_turn=last("failed")),
    ),
    Row("ours, reconnects", "open", True, "reconnecting", "open", job("running", "reconnecting")),
    # Ours, and it has ended: then it is a thread like any other, and somebody else may have it now.
    Row("ours has ended", "completed", False, "closed", "completed", job("completed")),
    Row("ours was killed", "open", False, "closed", "interrupted", job("interrupted"), why=True),
    Row("ours has ended, the IDE has it now", "open", True, "working", "open", job("completed")),
    Row("ours waits in the queue", "completed", False, "closed", "completed", job("queued")),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_what_it_does(row: Row) -> None:
    verdict = judge(row.mark, loaded=row.loaded, job=row.job, unmarked=row.unmarked)
    assert (verdict.state, verdict.turn) == (row.state, row.turn)
    if row.why:
        assert verdict.reason


def call(name: str = "exec_command", **arguments: Any) -> Call:
    return Call(T, {"type": "function_call", "name": name, "call_id": "c1", "arguments": json.dumps(arguments)})


ESCALATED = call(cmd="curl x", sandbox_permissions="require_escalated", justification="because")
OLD_ESCALATED = call("shell_command", command="curl x", with_escalated_permissions=True)
PLAIN = call(cmd="make test")
PATCH = Call(T, {"type": "custom_tool_call", "name": "apply_patch", "call_id": "c2", "input": "*** Begin Patch"})


@dataclass
class Doubt:
    name: str
    probable: bool
    calls: list[Call] = field(default_factory=list)
    mark: Mark = "open"
    loaded: bool | None = True
    approval: str | None = "on-request"
    commands_run: bool | None = False
    idle_s: float = 60
    job: Job | None = None
    says: str = ""


DOUBTS = [
    Doubt("asks to leave the sandbox, no command begun", True, [ESCALATED], says="outside the sandbox"),
    Doubt("the same of an old Codex", True, [OLD_ESCALATED], says="outside the sandbox"),
    Doubt("asks, and the system does not tell what runs", True, [ESCALATED], commands_run=None),
    Doubt("asks, only just", True, [ESCALATED], idle_s=0.1),
    Doubt("asked, was let, and runs", False, [ESCALATED], commands_run=True, says="it runs"),
    Doubt("a plain command that runs", False, [PLAIN], commands_run=True),
    Doubt("a plain command without a process, for a minute", True, [PLAIN]),
    Doubt("a plain command without a process, only just", False, [PLAIN], idle_s=0.5),
    Doubt("a plain command, and nothing tells", False, [PLAIN], commands_run=None),
    Doubt("a patch outside the tree", True, [PATCH]),
    Doubt("may never ask", False, [ESCALATED], approval="never", says="never"),
    Doubt("a question to a person", True, [call("request_user_input")], commands_run=True, says="person"),
    Doubt("a question behind a command that runs", True, [PLAIN, call("request_user_input")], commands_run=True),
    Doubt("it waits for its sub-agents", False, [call("wait_agent")]),
    Doubt("an MCP server's tool takes long", False, [call("mcp__maps__route")]),
    Doubt("a tool of old, without a name", True, [Call(T, {"type": "local_shell_call", "call_id": "c3"})]),
    Doubt("both: it waits for a sub-agent, and asks", True, [call("wait_agent"), ESCALATED], says="outside"),
    Doubt("it thinks", False, []),
    Doubt("nobody has it: nobody can wait", False, [ESCALATED], loaded=False),
    Doubt("its turn is over", False, [ESCALATED], mark="completed"),
    Doubt("who has it cannot be told", True, [ESCALATED], loaded=None, commands_run=None),
    Doubt(
        "arguments that are no JSON",
        False,
        [Call(T, {"name": "exec_command", "arguments": "{"})],
        commands_run=None,
    ),
    Doubt("arguments that are a list", False, [Call(T, {"name": "exec_command", "arguments": "[1]"})], idle_s=1),
    Doubt(
        "ours, and its record says so",
        True,
        [],
        job=job("running", "waiting_approval", waiting_for=Waiting(1, "command", T)),
    ),
    Doubt("ours, at work", False, [ESCALATED], job=job("running", "working", current_turn=current())),
]


@pytest.mark.parametrize("row", DOUBTS, ids=lambda row: row.name)
def test_whether_it_waits_somewhere(row: Doubt) -> None:
    found = suspect(
        judge(row.mark, loaded=row.loaded, job=row.job),
        row.calls,
        approval=row.approval,
        commands_run=row.commands_run,
        idle_s=row.idle_s,
        job=row.job,
    )
    assert found.probable is row.probable, found.evidence
    assert found.evidence, "a suspicion says what it is made of, and so does its absence"
    assert row.says in " ".join(found.evidence)
    if not found.probable:
        assert found.since is None
    elif row.job is None:
        assert found.since == T
