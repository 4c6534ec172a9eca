"""Owns the shape of every ``--json`` answer that is not a job or a list of jobs (those are in ``model.py``).

Only shapes: each door fills and prints them, ``schema.py`` documents them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from codex_agent.model import doc


@dataclass(slots=True)
class DryRun:
    """`start --dry-run`: what would run."""

    dry_run: bool = doc("Always true.")
    prompt: str = doc("The whole prompt Codex would get on stdin.")
    prompt_chars: int = doc("Its length in characters.")
    tokens_estimated: int = doc("A rough estimate: four characters a token.")
    argv: list[str] = doc("The exact command line.")
    cwd: str = doc("Where it would run.")
    codex_path: str = doc("The Codex that was found.")
    codex_version: str = doc("Its version.")
    notices: list[str] = doc("What was left out of the prompt, and why.")


@dataclass(slots=True)
class Captured:
    """`capture`: the last lines of the pane."""

    id: str = doc("The job.")
    lines: list[str] = doc("Oldest first.")


@dataclass(slots=True)
class Output:
    """`output`: one of a job's files, whole."""

    id: str = doc("The job.")
    kind: Literal["log", "result", "prompt"] = doc("log, result or prompt.")
    text: str = doc("What it holds.")


@dataclass(slots=True)
class Events:
    """`output --events`: what happened to the job, in order."""

    id: str = doc("The job.")
    events: list[dict[str, Any]] = doc("Each with `at`, `event` and what belongs to it.")
    bad_lines: int = doc("Lines that could not be read and were passed over.")


@dataclass(slots=True)
class Attach:
    """`attach`: how to look at the job's session."""

    id: str = doc("The job.")
    tmux_session: str = doc("The session.")
    tmux_socket: str = doc("The tmux server's socket, absolute.")
    command: list[str] = doc("The command, as words.")


@dataclass(slots=True)
class SessionRow:
    """One tmux session of ours."""

    name: str = doc("`<prefix>-<job id>`.")
    id: str = doc("The job it belongs to.")
    known: bool = doc("Whether this CODEX_AGENT_HOME has that job.")
    status: str | None = doc("The job's status, if known.")
    attached: int = doc("How many clients look at it.")
    created_at: str = doc("When the session was opened.")
    tmux_socket: str = doc("The tmux server's socket, absolute.")
    command: list[str] = doc("How to attach to it, as words.")


@dataclass(slots=True)
class Sessions:
    """`sessions`."""

    generated_at: str = doc("When this was put together.")
    sessions: list[SessionRow] = doc("Oldest first.")


@dataclass(slots=True)
class Check:
    """One thing `health` looked at."""

    name: str = doc("settings, tmux, codex, login, sandbox or home.")
    ok: bool = doc("Whether it is as it should be.")
    needed: bool = doc("Whether agents cannot run without it.")
    detail: str = doc("What was found.")
    fix: str | None = doc("How to mend it; null if nothing is wrong.")


@dataclass(slots=True)
class Health:
    """`health`."""

    ok: bool = doc("True if nothing needed is missing.")
    version: str = doc("Version of codex-agent.")
    checks: list[Check] = doc("In the order they were made.")


@dataclass(slots=True)
class Setting:
    """One key of the settings."""

    key: str = doc("Its name in the file; `CODEX_AGENT_<KEY>` in the environment.")
    value: str | int | float | bool | None = doc("What is in force.")
    origin: Literal["default", "file", "env"] = doc("Where that comes from.")
    doc: str = doc("What it does.")


@dataclass(slots=True)
class Config:
    """`config show`, and what `config set` and `config unset` leave."""

    path: str = doc("The settings file; it need not exist.")
    settings: list[Setting] = doc("Every key.")


@dataclass(slots=True)
class ConfigPath:
    """`config path`."""

    path: str = doc("The settings file; it need not exist.")
