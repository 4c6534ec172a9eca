"""Owns what the facts mean: the one place that decides a status, a turn state and a failure.

Pure: no file, no clock, no process. The strongest evidence wins: how Codex's process ended, then what its
event stream said, then what the rollout said. ``tests/test_verdict.py`` holds the table.
"""

from __future__ import annotations

import os
from calendar import timegm
from dataclasses import dataclass
from time import strptime

from codex_agent.codex.failures import diagnose, reconnect_reason
from codex_agent.model import PROMPT_HEAD_CHARS, SUMMARY_CHARS, Facts, Failure, Job, Record, Status, TurnState


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a job is, and why."""

    status: Status
    turn_state: TurnState | None = None
    turn_state_reason: str | None = None
    failure: Failure | None = None


_STOPPED: dict[str, tuple[Status, str]] = {
    "killed": ("interrupted", "The job was killed."),
    "closed": ("interrupted", "Its tmux session was closed, or the tmux server ended."),
    "interrupted": ("interrupted", "It was stopped with Ctrl-C (or Ctrl-\\) in its pane."),
    "timeout_inactivity": ("failed", "Codex did nothing for longer than its inactivity time-out"),
    "timeout_total": ("failed", "The job ran longer than its --max-time"),
}

_LOST: dict[str, str] = {
    "supervisor": "The job's supervisor died (killed, or by a fault: see its .stderr), and the agent with it.",
    "reboot": "The machine restarted while the agent was at work.",
    "start": "The command that was starting this job ended before the agent ran.",
}


def judge(facts: Facts, *, alive: bool) -> Verdict:
    """The verdict on these facts; ``alive`` is whether the job's lock is held."""
    if facts.ended_at is None:
        if alive:
            return _living(facts)
        # Whoever finds this settles the record; until it has, the facts can say no more than this.
        return Verdict("interrupted", failure=_failure(facts, "interrupted", _LOST["supervisor"]))
    if facts.lost is not None:
        message = _LOST.get(facts.lost, _LOST["supervisor"])
        if facts.turn.state == "completed":
            message += " Its turn had already completed; the last message is whole."
        return Verdict("interrupted", failure=_failure(facts, "interrupted", message))
    if facts.exit_code == 0 and facts.turn.state == "completed" and facts.rollout_turn.state != "failed":
        # Even where a stop was asked for meanwhile: the work was done.
        return Verdict("completed")
    if facts.stop_reason is not None:
        unknown: tuple[Status, str] = ("interrupted", f"The job was stopped: {facts.stop_reason}.")
        status, message = _STOPPED.get(facts.stop_reason, unknown)
        if status == "failed":
            return Verdict(status, failure=_timed_out(facts, facts.stop_reason, message))
        return Verdict(status, failure=_failure(facts, facts.stop_reason, message))
    if facts.exit_signal is not None:
        message = f"Codex was ended by signal {facts.exit_signal} from outside this tool."
        return Verdict("failed", failure=_failure(facts, "signal", message))
    return _ended_by_itself(facts)


def _timed_out(facts: Facts, reason: str, message: str) -> Failure:
    if facts.reconnecting is not None:
        cause = reconnect_reason(facts.reconnecting) or facts.reconnecting
        hint = "Check the network and the model's address, then start it again."
        return _failure(facts, reason, f"{message}: it was only trying to reach the model ({cause}).", hint)
    option = "--timeout" if reason == "timeout_inactivity" else "--max-time"
    return _failure(facts, reason, f"{message}.", f"Give it longer: {option} (0 is none).")


def _living(facts: Facts) -> Verdict:
    if facts.started_at is None:
        return Verdict("pending", "starting")
    if facts.reconnecting is not None:
        return Verdict("running", "reconnecting", reconnect_reason(facts.reconnecting) or facts.reconnecting)
    return Verdict("running", "working" if facts.turn.state is not None else "starting")


def _ended_by_itself(facts: Facts) -> Verdict:
    """Codex exited, nobody asked it to, and it was not a success."""
    turn, witness = facts.turn, facts.rollout_turn
    if "failed" in (turn.state, witness.state) or facts.exit_code != 0:
        if witness.state == "aborted" and turn.state == "open":
            message = "The turn was interrupted from outside this tool."
            return Verdict("interrupted", failure=_failure(facts, "turn_aborted", message))
        told = turn.error or witness.error or facts.reconnecting
        found = diagnose(
            message=told,
            info=witness.error_info,
            stderr_tail=facts.last_stderr or "",
            exit_code=facts.exit_code,
        )
        return Verdict("failed", failure=_failure(facts, found.reason, found.message, found.hint))
    message = "Codex exited without finishing a turn."
    return Verdict("failed", failure=_failure(facts, "no_turn", message))


def _failure(facts: Facts, reason: str, message: str, hint: str | None = None) -> Failure:
    return Failure(
        reason=reason,
        message=message,
        hint=hint,
        exit_code=facts.exit_code,
        signal=facts.exit_signal,
        last_stderr=facts.last_stderr,
    )


def job_view(record: Record, *, alive: bool, now: float) -> Job:
    """The public face of a record. ``now`` is seconds since the epoch, for what is still counting."""
    facts, request = record.facts, record.request
    verdict = judge(facts, alive=alive)
    begun = facts.started_at or record.created_at
    ended = facts.ended_at
    elapsed_ms = round(((seconds(ended) if ended else now) - seconds(begun)) * 1000)
    return Job(
        id=record.id,
        name=record.name,
        status=verdict.status,
        turn_state=verdict.turn_state,
        turn_state_reason=verdict.turn_state_reason,
        mode=request.mode,
        prompt=request.prompt_head[:PROMPT_HEAD_CHARS],
        model=facts.model or request.model,
        reasoning=facts.reasoning or request.reasoning,
        sandbox=request.sandbox,
        cwd=request.cwd,
        parent_session=request.parent_session,
        thread_id=facts.thread_id,
        rollout=facts.rollout,
        tmux_session=record.tmux_session,
        tmux_socket=facts.tmux_socket,
        created_at=record.created_at,
        started_at=facts.started_at,
        completed_at=ended,
        elapsed_ms=max(0, elapsed_ms),
        last_activity_at=facts.last_activity_at,
        tokens=facts.tokens,
        files_modified=[_shown(path, request.cwd) for path in facts.files],
        summary=None if facts.last_message is None else facts.last_message[:SUMMARY_CHARS],
        exit_code=facts.exit_code,
        failure=verdict.failure,
        warnings=list(facts.warnings),
    )


def seconds(stamp: str) -> float:
    """Seconds since the epoch of one of our stamps (``model.stamp``)."""
    return timegm(strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) + int(stamp[20:23]) / 1000


def _shown(path: str, cwd: str) -> str:
    """Relative to the working directory when inside it, absolute otherwise."""
    inside = os.path.join(cwd, "")
    return path[len(inside) :] if path.startswith(inside) else path
