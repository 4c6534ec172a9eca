"""Owns what the facts mean: the one place that decides a status, a turn state and a failure.

Pure: no file, no clock, no process. The strongest evidence wins: how Codex's process ended, then what its
event stream said, then what the rollout said. ``tests/test_verdict.py`` holds the table.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from codex_agent.codex.failures import diagnose, reconnect_reason
from codex_agent.cost import bill
from codex_agent.model import (
    PROMPT_HEAD_CHARS,
    SUMMARY_CHARS,
    CurrentTurn,
    Facts,
    Failure,
    Job,
    LastTurn,
    Mode,
    Record,
    Status,
    Turn,
    TurnState,
    TurnStatus,
)
from codex_agent.stamps import seconds as seconds  # noqa: PLC0414 (others have it from here)


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
    "budget": ("failed", "The job's budget is used up"),
    "channel_lost": ("failed", "Codex's app-server no longer answered, so nobody could tell what it did."),
}
# A queued job whose Codex was never run, and what to do about it.
_NOT_BEGUN = {
    "dependency": "Mend that job (codex-agent send goes on with it), then start this one again.",
    "spawn_failed": "Mend what is in the way, then start it again.",
}
# An agent that stays was ended as it should be: by `exit`, by its idle time, by a person in its pane.
_POLITE = frozenset({"exit", "idle", "left"})
_TURN_STATUS: dict[str, TurnStatus] = {"completed": "completed", "failed": "failed", "aborted": "interrupted"}
_LIMITS: dict[str, TurnState] = {
    "context_window": "context_limit",
    "usage_limit": "usage_limit",
    "quota": "usage_limit",
}

_LOST: dict[str, str] = {
    "supervisor": "The job's supervisor died (killed, or by a fault: see its .stderr), and the agent with it.",
    "reboot": "The machine restarted while the agent was at work.",
    "start": "The command that was starting this job ended before the agent ran.",
    "queue": "The job's supervisor died while the job was queued; Codex was not run.",
}


def judge(facts: Facts, *, alive: bool, mode: Mode = "exec") -> Verdict:
    """The verdict on these facts; ``alive`` is whether the job's lock is held."""
    if facts.ended_at is None:
        if alive and facts.queue is not None:
            return Verdict("queued", "starting", facts.queue.detail)
        if alive:
            return _living(facts) if mode == "exec" else _staying(facts)
        # Whoever finds this settles the record; until it has, the facts can say no more than this.
        return Verdict("interrupted", failure=_failure(facts, "interrupted", _LOST["supervisor"]))
    if facts.lost is not None:
        message = _LOST.get(facts.lost, _LOST["supervisor"])
        if facts.turn.state == "completed":
            message += " Its turn had already completed; the last message is whole."
        return Verdict("interrupted", failure=_failure(facts, "interrupted", message))
    if facts.stop_reason in _POLITE:
        return _left_politely(facts)
    if mode == "exec" and _did_its_work(facts):
        # Even where a stop was asked for meanwhile: the work was done.
        return Verdict("completed")
    if facts.stop_reason in _NOT_BEGUN:
        message = facts.not_begun or "Codex was not run."
        hint = _NOT_BEGUN[facts.stop_reason]
        return Verdict("failed", failure=_failure(facts, facts.stop_reason, message, hint))
    if facts.stop_reason is not None:
        unknown: tuple[Status, str] = ("interrupted", f"The job was stopped: {facts.stop_reason}.")
        status, message = _STOPPED.get(facts.stop_reason, unknown)
        if facts.stop_reason == "budget":
            hint = "Go on with its thread: codex-agent resume THREAD, with another --budget or none."
            return Verdict(status, failure=_failure(facts, "budget", f"{message}: {facts.budget}.", hint))
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


def _staying(facts: Facts) -> Verdict:
    """What an agent that stays does now. Nothing here is a guess: what nobody can tell is ``unknown``."""
    turn = facts.turn
    if facts.started_at is None:
        return Verdict("pending", "starting")
    if facts.unknown is not None:
        return Verdict("running", "unknown", facts.unknown)
    if facts.waiting:
        asks = facts.waiting[0].kind in ("question", "elicitation")
        return Verdict("running", "waiting_input" if asks else "waiting_approval", facts.waiting[0].reason)
    if "waitingOnUserInput" in facts.waiting_flags:
        return Verdict("running", "waiting_input", "Codex waits for an answer that only its pane shows.")
    if "waitingOnApproval" in facts.waiting_flags:
        return Verdict("running", "waiting_approval", "Codex waits for an approval that only its pane shows.")
    if turn.state is None:
        return Verdict("running", "starting")
    if turn.state == "open" and facts.reconnecting is not None:
        return Verdict("running", "reconnecting", reconnect_reason(facts.reconnecting) or facts.reconnecting)
    if turn.state == "open":
        return Verdict("running", "working")
    if turn.state == "failed":
        found = diagnose(message=turn.error, info=turn.error_info, stderr_tail="", exit_code=None)
        return Verdict("running", _LIMITS.get(found.reason, "error"), found.message)
    return Verdict("running", "idle")


def _did_its_work(facts: Facts) -> bool:
    return facts.exit_code == 0 and facts.turn.state == "completed" and facts.rollout_turn.state != "failed"


def _left_politely(facts: Facts) -> Verdict:
    """An agent that stays and was ended as it should be is what its last turn was."""
    turn = facts.turn
    if turn.state == "failed":
        found = diagnose(message=turn.error, info=turn.error_info, stderr_tail="", exit_code=None)
        return Verdict("failed", failure=_failure(facts, found.reason, found.message, found.hint))
    if turn.state in ("aborted", "open"):
        message = "Its last turn was interrupted."
        return Verdict("interrupted", failure=_failure(facts, "turn_aborted", message))
    if turn.state == "completed" and facts.unknown is not None:
        return Verdict("failed", failure=_failure(facts, "unknown", facts.unknown))
    return Verdict("completed")


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
    verdict = judge(facts, alive=alive, mode=request.mode)
    begun = facts.started_at or record.created_at
    ended = facts.ended_at
    whole = bill([*facts.spent, *facts.agents_spent], request.prices)
    elapsed_ms = round(((seconds(ended) if ended else now) - seconds(begun)) * 1000)
    return Job(
        id=record.id,
        name=record.name,
        status=verdict.status,
        turn_state=verdict.turn_state,
        turn_state_reason=verdict.turn_state_reason,
        turn_count=facts.turn.count,
        current_turn=_current(facts) if alive and ended is None else None,
        last_turn=_last(facts),
        waiting_for=facts.waiting[0] if alive and ended is None and facts.waiting else None,
        queued=facts.queued,
        queue=facts.queue if alive and ended is None else None,
        mode=request.mode,
        driver=request.driver,
        prompt=request.prompt_head[:PROMPT_HEAD_CHARS],
        model=facts.model or request.model,
        reasoning=facts.reasoning or request.reasoning,
        sandbox=request.sandbox,
        approval=request.approval,
        cwd=request.cwd,
        parent_session=request.parent_session,
        resume=request.resume,
        review=request.review,
        worktree=request.worktree,
        committed=list(facts.committed),
        thread_id=facts.thread_id,
        rollout=facts.rollout,
        git=facts.work,
        branches_made=list(facts.branches_made),
        pull_request=facts.pull_request,
        issue=request.issue,
        tmux_session=record.tmux_session,
        tmux_socket=facts.tmux_socket,
        created_at=record.created_at,
        started_at=facts.started_at,
        completed_at=ended,
        elapsed_ms=max(0, elapsed_ms),
        last_activity_at=facts.last_activity_at,
        tokens=facts.tokens,
        cost_usd=whole.total if facts.spent or facts.agents_spent else None,
        agents_cost_usd=bill(facts.agents_spent, request.prices).total if facts.agents_spent else None,
        unpriced=whole.unpriced,
        budget_tokens=request.budget_tokens,
        budget_usd=request.budget_usd,
        files_modified=[_shown(path, request.cwd) for path in facts.files],
        last_message=facts.last_message,
        summary=None if facts.last_message is None else facts.last_message[:SUMMARY_CHARS],
        exit_code=facts.exit_code,
        failure=verdict.failure,
        warnings=list(facts.warnings),
    )


def _current(facts: Facts) -> CurrentTurn | None:
    if facts.turn.state != "open":
        return None
    witness = facts.rollout_turn
    # The event stream of `codex exec` gives turns no ids; the rollout does.
    turn_id = facts.turn.id or (witness.id if witness.state == "open" else None)
    return CurrentTurn(turn_id, facts.turn.started_at)


def _last(facts: Facts) -> LastTurn | None:
    turn: Turn | None = facts.turn
    if facts.turn.state in (None, "open"):
        turn = facts.last_turn
        if facts.ended_at is not None and facts.turn.state == "open":
            return LastTurn(
                facts.turn.id or facts.rollout_turn.id,
                "interrupted",
                facts.turn.started_at,
                facts.ended_at,
                None,
                facts.turn.error,
            )
    if turn is None or turn.state in (None, "open"):
        return None
    # One that is known to be of another turn is no witness; the stream of `codex exec` gives turns no ids.
    same = turn is facts.turn and turn.id in (None, facts.rollout_turn.id)
    witness = facts.rollout_turn if same else Turn()
    failed = "failed" in (turn.state, witness.state)
    return LastTurn(
        turn.id or witness.id,
        "failed" if failed else _TURN_STATUS[turn.state],
        turn.started_at,
        turn.ended_at,
        _duration(turn),
        turn.error or (witness.error if failed else None),
    )


def _duration(turn: Turn) -> int | None:
    """As Codex counts, where it tells; else between the two times we saw."""
    if turn.duration_ms is not None or turn.started_at is None or turn.ended_at is None:
        return turn.duration_ms
    return max(0, round((seconds(turn.ended_at) - seconds(turn.started_at)) * 1000))


def _shown(path: str, cwd: str) -> str:
    """Relative to the working directory when inside it, absolute otherwise."""
    inside = os.path.join(cwd, "")
    return path[len(inside) :] if path.startswith(inside) else path
