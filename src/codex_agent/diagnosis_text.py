"""Owns a diagnosis as text: the table that every door shows, and all of it for a person.

Renders; never asks anything.
"""

from __future__ import annotations

import shlex

from codex_agent.diagnosis_answers import Diagnosis
from codex_agent.text import plain, span

_LINE_CHARS = 2000  # of a command line, a variable, a line of stderr; JSON has all of it


def table(found: Diagnosis) -> list[tuple[str, str]]:
    """The figures: what each is called, and what it is."""
    last = "never"
    if found.last_activity_at is not None:
        ago = "" if found.silent_ms is None else f", {span(found.silent_ms)} before {_end(found)}"
        last = f"{found.last_activity_at}{ago}" + (
            f" ({found.last_activity_by})" if found.last_activity_by else ""
        )
    reason = found.failure_reason or "-"
    return [
        ("Exit code", "-" if found.exit_code is None else str(found.exit_code)),
        ("Exit signal", "-" if found.signal is None else f"{found.signal} ({found.signal_name})"),
        ("Stdout bytes", "not known" if found.stdout_bytes is None else str(found.stdout_bytes)),
        ("Stderr bytes", str(found.stderr_bytes)),
        (
            "Timeout",
            _limit(found.timeout_s) + (f", in all {_limit(found.max_time_s)}" if found.max_time_s else ""),
        ),
        ("Last activity", last),
        ("Heartbeats", f"{found.heartbeats}" + (f", last {found.last_heartbeat_at}" if found.heartbeats else "")),
        ("Silences", f"{found.silences}, each of two minutes or more" if found.silences else "0"),
        ("Duration", span(found.duration_ms)),
        ("Failure reason", reason),
    ]


def text(found: Diagnosis) -> str:
    """All of it."""
    title = f"{found.id}  {found.name}" if found.name else found.id
    lines = [f"{title}  {found.status}" + (f"/{found.turn_state}" if found.turn_state else ""), ""]
    lines += [f"Likely cause: {_line(found.cause.cause)}"]
    if found.cause.advice:
        lines += ["What to do:", *(f"  - {_line(advice)}" for advice in found.cause.advice)]
    lines += [f"  taken from: {_line(each)}" for each in found.cause.evidence]
    lines += ["", *_rows(table(found)), "", *_rows(_details(found))]
    lines += _block("Last lines of stderr", found.stderr)
    lines += _block("Warnings", found.warnings)
    if found.environment is None:
        lines += ["", "Environment: not known."]
    else:
        told = [f"{name}={value}" for name, value in found.environment.items()]
        lines += _block("Environment (secrets hidden)", told)
    return "\n".join(lines)


def _details(found: Diagnosis) -> list[tuple[str, str]]:
    versions = found.versions
    programs = [
        ("codex-agent", versions.codex_agent),
        ("Codex", versions.codex),
        ("tmux", versions.tmux),
        ("Python", versions.python),
    ]
    error = found.codex_error and found.codex_error + (
        f" [{found.codex_error_info}]" if found.codex_error_info else ""
    )
    pids = [("supervisor", found.supervisor_pid), ("Codex", found.codex_pid)]
    rows = [
        ("failure", found.failure),
        ("codex error", error),
        ("stopped", found.stop_reason),
        ("command", shlex.join(found.command)),
        ("in the pane", shlex.join(found.viewer_command)),
        ("folder", found.cwd + ("" if found.cwd_exists else " (it is gone)")),
        ("sandbox", f"{found.sandbox}, approval {found.approval}"),
        ("model", found.model or "as Codex is configured"),
        ("mode", f"{found.mode} ({found.driver})"),
        ("thread", found.thread_id),
        ("rollout", found.rollout),
        ("session", found.tmux_session + (f" on {found.tmux_socket}" if found.tmux_socket else "")),
        ("processes", ", ".join(f"{name} {pid}" for name, pid in pids if pid is not None)),
        ("versions", ", ".join(f"{name} {version}" for name, version in programs if version)),
        ("system", versions.system),
        ("out of memory", f"{found.oom_kills} processes killed in its cgroup" if found.oom_kills else None),
        ("written by", found.settled_by if found.settled_by not in (None, "supervisor") else None),
    ]
    return [(name, told) for name, told in rows if told]


def _rows(rows: list[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"  {name:<{width}}  {_line(told)}" for name, told in rows]


def _block(title: str, lines: list[str]) -> list[str]:
    return ["", f"{title}:", *(f"  {_line(line)}" for line in lines)] if lines else []


def _end(found: Diagnosis) -> str:
    return "now" if found.ended_at is None else "the end"


def _limit(seconds: float) -> str:
    return span(round(seconds * 1000)) if seconds else "none"


def _line(text: str) -> str:
    line = " ".join(plain(text).split())
    left_out = len(line) - _LINE_CHARS
    return f"{line[:_LINE_CHARS]}... ({left_out} more characters)" if left_out > 0 else line
