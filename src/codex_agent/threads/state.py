"""Owns what the facts about a thread mean: what it does now, how its last turn stands, whether it waits somewhere.

Pure: no file, no clock, no process; ``tests/test_thread_state.py`` holds the table. The strongest evidence wins:
our own supervisor's record of a job that lives, then who has the thread loaded, then what its rollout says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from codex_agent.model import TERMINAL, WAITING, Job, TurnStatus
from codex_agent.rollouts.tail import Call
from codex_agent.thread_answers import Suspicion, ThreadState

Mark = Literal["open", "completed", "failed", "aborted"]
TurnWord = TurnStatus | Literal["open"]

_TURNS: dict[Mark, TurnWord] = {
    "open": "open",
    "completed": "completed",
    "failed": "failed",
    "aborted": "interrupted",
}
# How long a call may have been going on before its silence means anything.
_GRACE_S = 3.0
_ASKING_TOOLS = ("request_user_input", "request_permissions")
# What starts a process or changes files, so that Codex may have to ask first. Others (waiting for a sub-agent, an
# MCP server's tools) may be silent for long and start nothing.
_ACTING_TOOLS = ("exec_command", "shell_command", "shell", "local_shell", "apply_patch", "exec")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a thread does, and why."""

    state: ThreadState
    turn: TurnWord | None
    reason: str | None = None


def judge(mark: Mark | None, *, loaded: bool | None, job: Job | None = None, unmarked: bool = False) -> Verdict:
    """``mark``: how the rollout says the last turn stands; ``loaded``: whether a process has the thread, None if
    nobody can tell; ``job``: our job of this thread; ``unmarked``: it had turns, and its Codex marks none (0.98).
    """
    turn = None if mark is None else _TURNS[mark]
    if job is not None and job.status not in TERMINAL and job.turn_state is not None:
        if job.current_turn is not None:
            turn = "open"
        elif job.last_turn is not None:
            turn = job.last_turn.status
        return Verdict(job.turn_state, turn, job.turn_state_reason)
    if loaded is None:
        return Verdict("unknown", turn, "This system does not tell which process has the thread loaded.")
    if loaded and mark is None and unmarked:
        return Verdict("unknown", turn, "Its Codex does not write down when a turn begins and ends.")
    if loaded:
        return Verdict("working" if mark == "open" else "idle", turn)
    if mark == "open":
        return Verdict("closed", "interrupted", "Nobody lives to end its last turn.")
    return Verdict("closed", turn)


def suspect(
    verdict: Verdict,
    calls: Sequence[Call],
    *,
    approval: str | None,
    commands_run: bool | None,
    idle_s: float,
    job: Job | None = None,
) -> Suspicion:
    """Whether the thread probably waits for somebody where we cannot look: Codex records no approval in a rollout.

    ``calls``: tool calls without an output, oldest first. ``commands_run``: whether the process that has the
    thread has started another one since the first of them; None if nobody can tell.
    """
    if job is not None and job.status not in TERMINAL:
        told = "Our own job: its record says what it waits for."
        since = None if job.waiting_for is None else job.waiting_for.asked_at
        return Suspicion(job.turn_state in WAITING, since, [told])
    if verdict.state not in ("working", "unknown") or verdict.turn != "open":
        return Suspicion(False, None, ["No turn of it is running."])
    if not calls:
        return Suspicion(False, None, ["No tool call is without an answer: it thinks, or talks to the model."])
    asking = next((call for call in calls if call.payload.get("name") in _ASKING_TOOLS), None)
    if asking is not None:
        return Suspicion(True, asking.at, [f"It called {asking.payload['name']}, which only a person answers."])
    first = min(calls, key=lambda call: (not _escalates(call.payload), not _acts(call.payload)))
    name = str(first.payload.get("name") or "a tool")
    evidence = [f"Its call of {name} has no output for {idle_s:.0f} s."]
    if approval == "never":
        return Suspicion(False, None, [*evidence, "Its approval policy is never, so it does not ask."])
    if commands_run:
        return Suspicion(
            False, None, [*evidence, "The process that has it has started another one since: it runs."]
        )
    if commands_run is False:
        evidence.append("The process that has it has started no other one since.")
    if _escalates(first.payload):
        evidence.append("The call asks to run outside the sandbox.")
        return Suspicion(True, first.at, evidence)
    if approval is not None:
        evidence.append(f"Its approval policy is {approval}.")
    probable = _acts(first.payload) and commands_run is False and idle_s >= _GRACE_S
    return Suspicion(probable, first.at if probable else None, evidence)


def _acts(payload: dict[str, Any]) -> bool:
    return payload.get("name") in _ACTING_TOOLS or payload.get("type") == "local_shell_call"


def _escalates(payload: dict[str, Any]) -> bool:
    """Whether a call's arguments ask for more than the sandbox gives (0.98 says it in another word than 0.150)."""
    try:
        given = json.loads(payload.get("arguments") or "{}")
    except (ValueError, TypeError, RecursionError):
        return False
    if not isinstance(given, dict):
        return False
    wanted = given.get("sandbox_permissions")
    return wanted in ("require_escalated", "with_additional_permissions") or bool(
        given.get("with_escalated_permissions")
    )
