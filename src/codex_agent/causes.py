"""Owns why a job is as it is, in words: the likely cause, what that was taken from, and what to do about it.

Pure: no file, no clock, no process; whoever asks brings what was seen. Finer than the reason of a failure wherever
more is known. Must never decide a status or a failure (``verdict.py`` does), and never name a cause for certain
that is only likely. Light, since a supervisor asks at its job's end.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from codex_agent import cause_words as words
from codex_agent.codex.failures import diagnose
from codex_agent.codex.limits import reset_counted, reset_said
from codex_agent.diagnosis_answers import Cause
from codex_agent.model import TERMINAL, Failure, Job, Record
from codex_agent.text import span
from codex_agent.verdict import seconds

SILENT_S = 120.0
_EVIDENCE_LINES = 3
_NO_MEMORY = re.compile(r"memory allocation of \d+ bytes failed|Cannot allocate memory|\(os error 12\)")
# What Codex (and Rust) says of the machine's troubles, wherever it says it.
_MACHINE = (
    ("disk_full", re.compile(r"No space left on device|\(os error 28\)|Disk quota exceeded|\(os error 122\)")),
    ("open_files", re.compile(r"Too many open files|\(os error 2[34]\)")),
    ("not_permitted", re.compile(r"Permission denied|\(os error 13\)|Read-only file system|\(os error 30\)")),
    ("crash", re.compile(r"panicked at ")),
)
_VARIABLE = re.compile(r"[Mm]issing environment variable: `?(\w+)")
_STATUS = re.compile(r"\bstatus:? (\d{3})\b")
_KEY = "CODEX_API_KEY"
_EXPIRED = re.compile(r"sign in again|log in again|refresh token|token could not be refreshed", re.IGNORECASE)
_CRASHES = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP})
_ASKED = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_LIMITS = {signal.SIGXCPU: "processor time (ulimit -t)", signal.SIGXFSZ: "the size of a file (ulimit -f)"}


@dataclass(slots=True)
class Seen:
    """What is known of a job. Everything but the first three may be missing."""

    record: Record
    job: Job
    now: float
    """Seconds since the epoch: a limit's reset is told as seen from then."""
    stderr: list[str] = field(default_factory=list)
    """The last lines of Codex's stderr, oldest first."""
    rollout_limits: Mapping[str, Any] | None = None
    """The thread's last `rate_limits`, as Codex wrote them into the rollout."""
    kernel: list[str] = field(default_factory=list)
    """What the kernel's log says of the job's processes (``oom.told``)."""
    silent_s: float | None = None
    """For how long a running job has done nothing."""
    login: str | None = None
    """That nobody is logged in now, in a sentence; None if somebody is, or if nobody looked."""
    environment: Mapping[str, str] | None = None
    """What Codex was started with, secrets hidden; None if nobody wrote it down."""
    refused: list[str] = field(default_factory=list)
    """What commands of the agent's printed when the sandbox could not be made (``circumstances.refused``)."""


def likely_cause(seen: Seen) -> Cause:
    """Why the job is as it is; the reason is `none` if nothing is wrong."""
    job = seen.job
    if job.status not in TERMINAL:
        return _at_work(seen)
    if job.failure is None:
        return _completed(seen)
    failure = job.failure
    found = _memory(seen) or _BY_REASON.get(failure.reason, _plain)(seen, failure)
    if found.reason not in ("memory", "sandbox") and seen.refused:
        found.advice.append(words.ALSO_SANDBOX.format(id=job.id))
        found.evidence += seen.refused[:1]
    return found


def _cause(seen: Seen, reason: str, *evidence: str | None, **values: object) -> Cause:
    """The words of a reason, filled in."""
    entry = words.WORDS[reason]
    known = {
        "id": seen.job.id,
        "cwd": seen.job.cwd,
        "model": seen.job.model or "the one of Codex's configuration",
        "codex_home": seen.record.request.codex_home or "~/.codex",
        **values,
    }
    advice = [line.format(**known) for line in entry.advice]
    if entry.goes_on and seen.job.thread_id is not None and seen.job.status in TERMINAL:
        advice.append(words.GO_ON.format(**known))
    return Cause(reason, entry.cause.format(**known).strip(), advice, [line for line in evidence if line])


def _plain(seen: Seen, failure: Failure) -> Cause:
    """A reason of which no more is to be found out than it says; one of a later version has no words of ours."""
    if failure.reason not in words.WORDS:
        advice = [failure.hint] if failure.hint else []
        return Cause(failure.reason, failure.message, advice, [])
    return _cause(seen, failure.reason, _said(failure), message=failure.message)


def _said(failure: Failure) -> str:
    return f"Codex: {failure.message}"


# ---- the machine ----


def _memory(seen: Seen) -> Cause | None:
    """Whether memory ran out: the kernel's log is proof, its counter and Codex's last words are strong hints."""
    facts, failure = seen.record.facts, seen.job.failure
    assert failure is not None
    lost = _is_lost(seen)
    if seen.kernel and (lost or failure.reason in ("signal", "channel_lost", "exit_code", "unknown")):
        return _cause(seen, "memory", *(f"kernel: {line}" for line in seen.kernel[:_EVIDENCE_LINES]))
    killed = lost or facts.exit_signal == signal.SIGKILL
    if killed and facts.stop_reason is None and facts.oom_kills:
        told = f"control group: the kernel killed {facts.oom_kills} of its processes for memory meanwhile"
        return _cause(seen, "memory", told)
    line = next((line for line in reversed(seen.stderr) if _NO_MEMORY.search(line)), None)
    if line is not None and (facts.exit_signal == signal.SIGABRT or facts.exit_code):
        return _cause(seen, "memory_limit", f"stderr: {line}")
    return None


def _signal(seen: Seen, failure: Failure) -> Cause:
    number = failure.signal or 0
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    told = f"Codex's wait status: {name}"
    if number == signal.SIGKILL:
        return _cause(seen, "signal", told)
    if number in _CRASHES:
        return _cause(seen, "crash", told, _last(seen), what=name)
    if number in _ASKED:
        return _cause(seen, "asked_to_end", told, what=name)
    if number in _LIMITS:
        return _cause(seen, "process_limit", told, what=_LIMITS[signal.Signals(number)])
    return _cause(seen, "signal_other", told, what=name)


def _is_lost(seen: Seen) -> bool:
    """Whether the supervisor died before it could write the job's end; perhaps nobody has written that so far."""
    facts = seen.record.facts
    return facts.lost == "supervisor" or (facts.ended_at is None and facts.lost is None)


def _interrupted(seen: Seen, failure: Failure) -> Cause:
    facts = seen.record.facts
    match facts.lost:
        case None if not _is_lost(seen):
            return _cause(seen, "ctrl_c")
        case "reboot":
            return _cause(seen, "reboot", f"the boot id was {facts.boot_id} when it began, and is another now")
        case "start" | "queue":
            return _cause(seen, f"lost_{facts.lost}", message=failure.message)
        case _:
            told = None if facts.supervisor is None else f"its supervisor (pid {facts.supervisor.pid}) is gone"
            return _cause(seen, "lost_supervisor", told)


def _exit(seen: Seen, failure: Failure) -> Cause:
    """Codex ended by itself, and its words are none that tell a reason."""
    told = [failure.message]
    if failure.reason != "bad_config":  # there the message is the line that tells
        told += reversed(seen.stderr)
    for reason, pattern in _MACHINE:
        line = next((line for line in told if pattern.search(line)), None)
        if line is not None:
            return _cause(seen, reason, line, what=line)
    return _cause(seen, failure.reason, _said(failure), _last(seen), message=failure.message)


def _last(seen: Seen) -> str | None:
    line = seen.record.facts.last_stderr or next((line for line in reversed(seen.stderr) if line.strip()), None)
    return None if line is None else f"stderr: {line}"


def _sandbox(seen: Seen, failure: Failure) -> Cause:
    told = f"{seen.record.facts.turn.error_info} {seen.record.facts.rollout_turn.error_info}"
    if "denials" in told.lower() and not seen.refused:
        return _cause(seen, "denied", _said(failure), sandbox=seen.job.sandbox)
    return _cause(seen, "sandbox", _said(failure), *seen.refused[:_EVIDENCE_LINES])


# ---- the account ----


def _auth(seen: Seen, failure: Failure) -> Cause:
    message = failure.message
    variable = _VARIABLE.search(message)
    if variable is not None:
        return _cause(seen, "key_missing", _said(failure), variable=variable[1])
    # A key that the job had, and whoever asks has not, is no login that is missing.
    key = (seen.environment or {}).get(_KEY)
    if seen.login is not None and not key:
        return _cause(seen, "not_logged_in", _said(failure), seen.login)
    if _EXPIRED.search(message):
        return _cause(seen, "login_expired", _said(failure))
    status = _STATUS.search(message)
    if status is not None and status[1] == "403":
        return _cause(seen, "forbidden", _said(failure))
    if "not logged in" in message.lower():
        return _cause(seen, "not_logged_in", _said(failure))
    return _cause(seen, "key_refused", _said(failure), f"environment: {_KEY} was set for the job" if key else None)


def _usage_limit(seen: Seen, failure: Failure) -> Cause:
    if "to use codex with your chatgpt plan" in failure.message.lower():
        return _cause(seen, "not_included", _said(failure))
    ended = seen.job.completed_at or seen.job.last_activity_at or seen.record.created_at
    said_at = seconds(ended)
    at = reset_said(failure.message, said_at)
    counted = reset_counted(seen.rollout_limits)
    evidence = [_said(failure)]
    if at is None and counted is not None:
        at = counted
        evidence.append(f"rollout: the limit that is used up is reset at {words.moment(counted)}")
    if at is None:
        return _cause(seen, "usage_limit", *evidence, when=words.NOBODY_SAID)
    return _cause(seen, "usage_limit", *evidence, when=words.reset(at, seen.now))


def _model_unknown(seen: Seen, failure: Failure) -> Cause:
    request = seen.record.request
    place = "asked for with -m" if request.model else f"named in {request.codex_home or '~/.codex'}/config.toml"
    return _cause(seen, "model_unknown", _said(failure), place=place)


# ---- the way to the model, and time ----


def _network(seen: Seen, failure: Failure) -> Cause:
    # Codex's last sentence is often only "connection failed"; why stands on stderr.
    for line in (failure.message, *(line for line in reversed(seen.stderr) if "error" in line.lower())):
        why = next((why for pattern, why in words.NETWORK if re.search(pattern, line, re.IGNORECASE)), None)
        if why is not None:
            return _cause(seen, "network", _said(failure), line if line != failure.message else None, why=why)
    return _cause(seen, "network", _said(failure), why="")


def _timed_out(seen: Seen, failure: Failure) -> Cause:
    facts, request = seen.record.facts, seen.record.request
    if facts.reconnecting is not None:
        return _tries_again(seen, facts.reconnecting, words.GAVE_UP)
    limit = request.timeout_s if failure.reason == "timeout_inactivity" else request.max_time_s
    told = None if facts.last_activity_at is None else f"last activity: {facts.last_activity_at}"
    return _cause(seen, failure.reason, told, limit=span(round(limit * 1000)))


def _tries_again(seen: Seen, message: str, first: str) -> Cause:
    """Of a job that only reconnects: what is in the way."""
    found = diagnose(message=message, info=None, stderr_tail="", exit_code=None)
    failure = Failure(found.reason, found.message, found.hint)
    told = _BY_REASON.get(found.reason, _plain)(seen, failure)
    told.cause = f"{first} {told.cause}"
    return told


def _dependency(seen: Seen, failure: Failure) -> Cause:
    found = _cause(seen, "dependency", message=failure.message)
    found.advice[:0] = [f"`codex-agent diagnose {job_id}` says why." for job_id in seen.record.request.after]
    return found


_BY_REASON: dict[str, Callable[[Seen, Failure], Cause]] = {
    "signal": _signal,
    "interrupted": _interrupted,
    "exit_code": _exit,
    "unknown": _exit,
    "no_turn": _exit,
    "bad_config": _exit,
    "sandbox": _sandbox,
    "auth": _auth,
    "usage_limit": _usage_limit,
    "model_unknown": _model_unknown,
    "network": _network,
    "timeout_inactivity": _timed_out,
    "timeout_total": _timed_out,
    "dependency": _dependency,
}


# ---- jobs that have not failed ----


def _completed(seen: Seen) -> Cause:
    if seen.refused:
        return _cause(seen, "sandbox", *seen.refused[:_EVIDENCE_LINES])
    found = _cause(seen, "none", what=words.COMPLETED)
    if seen.record.facts.oom_kills:
        found.evidence.append(
            f"control group: {seen.record.facts.oom_kills} processes killed for memory meanwhile"
        )
    return found


def _at_work(seen: Seen) -> Cause:
    job, facts = seen.job, seen.record.facts
    if job.queue is not None:
        return _cause(seen, "queued", what=job.queue.detail)
    if job.turn_state in ("waiting_approval", "waiting_input"):
        return _waiting(seen)
    if job.turn_state == "reconnecting" and facts.reconnecting is not None:
        return _tries_again(seen, facts.reconnecting, words.TRIES)
    if job.turn_state in ("context_limit", "usage_limit", "error"):
        turn = facts.turn
        found = diagnose(message=turn.error, info=turn.error_info, stderr_tail="", exit_code=None)
        failure = Failure(found.reason, found.message, found.hint)
        return _BY_REASON.get(found.reason, _plain)(seen, failure)
    if job.turn_state == "unknown":
        return _cause(seen, "unknown_state", what=job.turn_state_reason or "")
    if job.turn_state == "working" and seen.silent_s is not None and seen.silent_s >= SILENT_S:
        return _cause(seen, "silent", what=span(round(seen.silent_s * 1000)))
    return _cause(seen, "none", what=words.STATES.get(job.turn_state or "", words.STATES["working"]))


def _waiting(seen: Seen) -> Cause:
    waiting = seen.job.waiting_for
    if waiting is None:
        return _cause(seen, "waiting_pane", what=seen.job.turn_state_reason or "")
    asks = waiting.kind in ("question", "elicitation")
    what = waiting.command or ", ".join(waiting.files) or waiting.reason or waiting.kind
    if asks and waiting.questions:
        what = waiting.questions[0].text
    return _cause(seen, "waiting_input" if asks else "waiting_approval", what=what, n=waiting.n)
