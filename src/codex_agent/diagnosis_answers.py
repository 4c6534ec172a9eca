"""Owns the shape of a diagnosis: why a job is as it is, and what somebody would otherwise have to look up.

The same shape is what ``diagnose --json`` prints and what lies in ``<id>.debug.json``. Only shapes;
``debug_file.py`` fills them, ``causes.py`` finds the cause.
"""

from __future__ import annotations

from dataclasses import dataclass

from codex_agent.model import Activity, Driver, Mode, Status, Tokens, TurnState, doc


@dataclass(slots=True)
class Cause:
    """Why a job is as it is, in words."""

    reason: str = doc("As in a failure, or a finer word where more is known; `none` if nothing is wrong.")
    cause: str = doc("What probably happened, in a sentence or two.")
    advice: list[str] = doc("What to do about it, in this order.")
    evidence: list[str] = doc("What that was taken from.")


@dataclass(slots=True)
class Versions:
    """The programs a job ran with, and the system."""

    codex_agent: str | None = doc("This program, when the job was begun; null if nobody wrote it down.")
    codex: str | None = doc("Codex.")
    python: str | None = doc("The Python that the job's supervisor ran in.")
    tmux: str | None = doc("tmux, by what it puts into the environment of a pane.")
    system: str | None = doc("The operating system's name, release and machine.")


@dataclass(slots=True)
class Diagnosis:
    """`diagnose`, and `<id>.debug.json`: all that tells why a job is as it is. Secrets are `[hidden]`."""

    generated_at: str = doc("When this was put together.")
    id: str = doc("The job.")
    name: str | None = doc("Its name.")
    status: Status = doc("The job's status.")
    turn_state: TurnState | None = doc("What the agent does now; null once the job has ended.")
    mode: Mode = doc("exec or interactive.")
    driver: Driver = doc("How Codex is driven: exec, channel or plain.")
    failure_reason: str | None = doc("As in the job's failure; null if it has none.")
    failure: str | None = doc("The failure, in a sentence.")
    cause: Cause = doc("The likely cause, and what to do.")
    codex_error: str | None = doc("Codex's own words for what went wrong.")
    codex_error_info: str | None = doc("Codex's own kind of that error, with the HTTP status if it gave one.")
    exit_code: int | None = doc("Codex's exit status; null while it runs or if a signal ended it.")
    signal: int | None = doc("The signal that ended Codex.")
    signal_name: str | None = doc("That signal's name, such as SIGKILL.")
    stop_reason: str | None = doc("Why this program ended Codex, if it did.")
    stdout_bytes: int | None = doc(
        "Bytes of Codex's event stream (exec) or of what came over its channel (interactive); null with "
        "`--plain`, where its output is the pane."
    )
    stderr_bytes: int = doc("Bytes Codex wrote to stderr; of an agent that stays, its app-server's.")
    timeout_s: float = doc("Inactivity time-out; 0 is none.")
    max_time_s: float = doc("Total time-out; 0 is none.")
    last_activity_at: str | None = doc("When Codex last did something; reconnecting does not count.")
    last_activity_by: Activity | None = doc(
        "What told of that: start (it was begun), stream (`codex exec`'s events), channel, rollout, answer "
        "(somebody answered what it had asked)."
    )
    silent_ms: int | None = doc("From then to the job's end, or to now.")
    silences: int = doc("How often a warning was written that an agent at work did nothing for two minutes.")
    heartbeats: int = doc("How many heartbeats were written: one in 30 s from when Codex ran.")
    last_heartbeat_at: str | None = doc("When the last one was.")
    created_at: str = doc("When `start` made the record.")
    started_at: str | None = doc("When Codex was running.")
    ended_at: str | None = doc("When the job ended.")
    duration_ms: int = doc("From `started_at` (else `created_at`) to the end, or to now.")
    turns: int = doc("Turns started.")
    runs: int = doc("How often the job was begun.")
    tokens: Tokens | None = doc("The thread's totals.")
    cwd: str = doc("Working directory.")
    cwd_exists: bool = doc("Whether that folder is there now.")
    sandbox: str = doc("Sandbox mode.")
    approval: str = doc("Approval policy.")
    model: str | None = doc("The model used, or asked for; null leaves it to Codex's configuration.")
    reasoning: str | None = doc("The same of the reasoning effort.")
    thread_id: str | None = doc("Codex's id of the thread.")
    rollout: str | None = doc("The thread's rollout.")
    tmux_session: str = doc("The tmux session.")
    tmux_socket: str | None = doc("The tmux server's socket.")
    supervisor_pid: int | None = doc("Process id of the job's supervisor.")
    codex_pid: int | None = doc("Process id of Codex.")
    oom_kills: int = doc("Processes the kernel killed for memory in the job's cgroup while it ran.")
    settled_by: str | None = doc("Who wrote the job's end: supervisor, guardian or reader.")
    command: list[str] = doc("Codex's exact command line; the prompt went in on stdin or over the channel.")
    viewer_command: list[str] = doc("The command line of the TUI in the pane, where that is a process of its own.")
    environment: dict[str, str] | None = doc(
        "The environment Codex was started with; null if nobody wrote it down (a job of an older version, or one "
        "whose turn has not come)."
    )
    versions: Versions = doc("The programs it ran with.")
    stderr: list[str] = doc("The last lines Codex wrote to stderr.")
    warnings: list[str] = doc("What went wrong without deciding the job.")
