"""Owns ``<id>.debug.json``: all that tells why a job is as it is, put together in one shape.

Written when Codex was begun (only the supervisor has its environment) and at the job's end, by whoever writes it.
``diagnose`` puts the same together for a job as it is now. Must never decide what a job is (``verdict.py``) or why
(``causes.py``), and never write a secret: what is in it was masked before.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, fields

from codex_agent import __version__, masking
from codex_agent.causes import Seen, likely_cause
from codex_agent.diagnosis_answers import Cause, Diagnosis, Versions
from codex_agent.model import Record, stamp
from codex_agent.store import Store
from codex_agent.verdict import job_view, seconds

SUFFIX = ".debug.json"
STDERR_LINES = 20
_STDERR_BYTES = 16 << 10
_AT = slice(len('{"at": "'), len('{"at": "') + len(stamp(0)))  # the time in a line of events
# What only the job's supervisor can know: the environment Codex got (masked), and the versions.
Known = tuple[dict[str, str] | None, Versions | None]


def write(store: Store, record: Record, environ: Mapping[str, str] | None = None) -> None:
    """Puts the file in place; ``environ`` is what Codex gets, without it what was written before stands.

    Raises StoreUnwritable.
    """
    known: Known = kept(store, record.id)
    if environ is not None:
        known = masking.environment(environ), _versions(record)
    made = put_together(store, seen(store, record, alive=record.facts.ended_at is None), known)
    content = json.dumps(asdict(made), ensure_ascii=False, indent=1) + "\n"
    store.write(record.id, SUFFIX, content.encode("utf-8", "replace"))


def kept(store: Store, job_id: str) -> Known:
    """The environment and the versions as the supervisor wrote them; nothing where it did not, or it is spoilt."""
    try:
        with open(store.path(job_id, SUFFIX), "rb") as file:
            told = json.loads(file.read())
        environ, versions = told["environment"], told["versions"]
        names = {field.name for field in fields(Versions)}
        return environ, Versions(**{name: versions[name] for name in names})
    except (OSError, ValueError, TypeError, KeyError):
        return None, None  # what else is known of the job is worth telling all the same


def seen(store: Store, record: Record, *, alive: bool) -> Seen:
    """What the job's own files tell of it. ``alive``: whether its lock is held."""
    now = time.time()
    facts, job = record.facts, job_view(record, alive=alive, now=now)
    silent_s = None
    if alive and facts.ended_at is None and facts.last_activity_at is not None:
        silent_s = max(0.0, now - seconds(facts.last_activity_at))
    return Seen(
        record=record,
        job=job,
        stderr=[masking.text(line) for line in last_stderr(store, record.id)],
        silent_s=silent_s,
        now=now,
    )


def put_together(store: Store, what: Seen, known: Known) -> Diagnosis:
    """The diagnosis of a job, from what was seen of it and what only its supervisor could know."""
    record, job = what.record, what.job
    facts, request = record.facts, record.request
    environ, versions = known
    what.environment = environ
    end = seconds(facts.ended_at) if facts.ended_at else what.now
    heartbeats, last_heartbeat, silences = _pulse(store, record.id)
    told = facts.turn.error or facts.rollout_turn.error or facts.reconnecting
    info = facts.turn.error_info or facts.rollout_turn.error_info
    return Diagnosis(
        generated_at=stamp(what.now),
        id=record.id,
        name=record.name,
        status=job.status,
        turn_state=job.turn_state,
        mode=request.mode,
        driver=request.driver,
        failure_reason=job.failure.reason if job.failure else None,
        failure=masking.text(job.failure.message) if job.failure else None,
        cause=_told(likely_cause(what)),
        codex_error=None if told is None else masking.text(told),
        codex_error_info=info,
        exit_code=facts.exit_code,
        signal=facts.exit_signal,
        signal_name=_signal_name(facts.exit_signal),
        stop_reason=facts.stop_reason,
        stdout_bytes=None if request.driver == "plain" else facts.stdout_bytes,
        stderr_bytes=facts.stderr_bytes,
        timeout_s=request.timeout_s,
        max_time_s=request.max_time_s,
        last_activity_at=facts.last_activity_at,
        last_activity_by=facts.last_activity_by,
        silent_ms=(
            None
            if facts.last_activity_at is None
            else max(0, round((end - seconds(facts.last_activity_at)) * 1000))
        ),
        silences=silences,
        heartbeats=heartbeats,
        last_heartbeat_at=last_heartbeat,
        created_at=record.created_at,
        started_at=facts.started_at,
        ended_at=facts.ended_at,
        duration_ms=job.elapsed_ms,
        turns=facts.turn.count,
        runs=facts.runs,
        tokens=facts.tokens,
        cwd=request.cwd,
        cwd_exists=os.path.isdir(request.cwd),
        sandbox=request.sandbox,
        approval=request.approval,
        model=job.model,
        reasoning=job.reasoning,
        thread_id=facts.thread_id,
        rollout=facts.rollout,
        tmux_session=record.tmux_session,
        tmux_socket=facts.tmux_socket,
        supervisor_pid=facts.supervisor.pid if facts.supervisor else None,
        codex_pid=facts.codex.pid if facts.codex else None,
        oom_kills=facts.oom_kills,
        settled_by=facts.settled_by,
        command=masking.argv(request.argv),
        viewer_command=masking.argv(request.viewer_argv),
        environment=environ,
        versions=versions or Versions(None, request.codex_version, None, None, None),
        stderr=what.stderr,
        warnings=[masking.text(warning) for warning in facts.warnings],
    )


def _told(cause: Cause) -> Cause:
    """The cause as it may be shown: it quotes what Codex and others said."""
    return Cause(
        cause.reason,
        masking.text(cause.cause),
        [masking.text(line) for line in cause.advice],
        [masking.text(line) for line in cause.evidence],
    )


def last_stderr(store: Store, job_id: str) -> list[str]:
    """The last lines of the job's stderr, oldest first, read from its end."""
    try:
        with open(store.path(job_id, ".stderr"), "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _STDERR_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    lines = text.split("\n")
    if size > _STDERR_BYTES:
        lines = lines[1:]  # its beginning is not there
    return [line for line in lines if line.strip()][-STDERR_LINES:]


def _pulse(store: Store, job_id: str) -> tuple[int, str | None, int]:
    """From the job's events: heartbeats, when the last one was, warnings of silence."""
    heartbeats, silences, last = 0, 0, None
    try:
        with open(store.path(job_id, ".events.jsonl"), "rb") as file:
            for line in file:
                if b'"event": "heartbeat"' in line[:80]:
                    heartbeats, last = heartbeats + 1, line
                elif b'"event": "silent"' in line[:80]:
                    silences += 1
    except FileNotFoundError:
        pass  # nothing was noted yet
    return heartbeats, None if last is None else last[_AT].decode("ascii", "replace"), silences


def _signal_name(number: int | None) -> str | None:
    if number is None:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal


def _versions(record: Record) -> Versions:
    """Of this process, which is the job's supervisor; tmux says what it is in a pane's environment."""
    tmux = os.environ.get("TERM_PROGRAM_VERSION") if os.environ.get("TERM_PROGRAM") == "tmux" else None
    python = ".".join(map(str, sys.version_info[:3]))
    system = os.uname()
    told = f"{system.sysname} {system.release} {system.machine}"
    return Versions(__version__, record.request.codex_version, python, tmux, told)
