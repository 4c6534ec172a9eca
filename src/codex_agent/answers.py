"""Owns the shape of every ``--json`` answer that is not a job or a list of jobs (those are in ``model.py``).

Only shapes: each door fills and prints them, ``schema.py`` documents them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from codex_agent.model import Failure, Status, Tokens, TurnState, TurnStatus, Waiting, doc


@dataclass(slots=True)
class DryRun:
    """`start --dry-run`: what would run."""

    dry_run: bool = doc("Always true.")
    prompt: str = doc("The whole prompt Codex would get.")
    prompt_chars: int = doc("Its length in characters.")
    tokens_estimated: int = doc("A rough estimate: four characters a token.")
    argv: list[str] = doc("The exact command line; `@LISTEN@` stands for the path of a private socket.")
    viewer_argv: list[str] = doc(
        "The command line of the TUI in the pane, where that is a process beside Codex; `@THREAD@` stands for the "
        "thread's id."
    )
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
class Examined:
    """One thing `doctor` looked at, explained."""

    name: str = doc("As in `health`.")
    ok: bool = doc("Whether it is as it should be.")
    needed: bool = doc("Whether agents cannot run without it.")
    looked_at: str = doc("What was looked at.")
    found: str = doc("What was found.")
    why: str = doc("Why it matters.")
    mend: list[str] = doc("How to mend it, the first thing to try first; empty if nothing is wrong.")


@dataclass(slots=True)
class Doctor:
    """`doctor`."""

    ok: bool = doc("True if nothing needed is missing.")
    version: str = doc("Version of codex-agent.")
    checks: list[Examined] = doc("In the order they were made.")


@dataclass(slots=True)
class Setting:
    """One key of the settings."""

    key: str = doc(
        "Its name, `TABLE.KEY` in a table of the file; `CODEX_AGENT_<KEY>` in the environment, a dot as `_`."
    )
    value: str | int | float | bool | list[str] | None = doc("What is in force.")
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


@dataclass(slots=True)
class AgentsMd:
    """`agents-md add`, `agents-md remove` and `agents-md show`: how a folder's AGENTS.md stands now."""

    path: str = doc("The file, absolute; it need not exist.")
    present: bool = doc("Whether our section is in it.")
    current: bool = doc("Whether that is the section this version would put in.")
    changed: bool = doc("Whether the file was written just now.")
    section: str | None = doc("The section as it stands in the file, marks included.")


@dataclass(slots=True)
class Sent:
    """`send`: the proof that a message arrived."""

    id: str = doc("The job.")
    message_id: str = doc("Our own id of the message; the `sent` event has it too.")
    delivery: Literal["turn", "steer", "queued"] = doc(
        "turn: it began a turn. steer: it went into the running turn. queued: it will when that turn has ended."
    )
    turn_id: str | None = doc("The turn that took it; null while it is queued.")
    reopened: bool = doc("Whether the job had ended and runs again because of it.")
    file: str | None = doc("The file that holds it, if it was too long to be said; the agent was told to read it.")


@dataclass(slots=True)
class TurnReport:
    """`await-turn`: how the turn ended, or what the agent needs."""

    id: str = doc("The job.")
    status: Status = doc("The job's status.")
    turn_state: TurnState | None = doc("What the agent does now; null once the job has ended.")
    turn_id: str | None = doc("The turn this is about: the running one if it has not ended, else the last one.")
    turn_status: TurnStatus | None = doc("completed, failed or interrupted; null if it has not ended.")
    duration_ms: int | None = doc("How long the turn took.")
    message: str | None = doc("The agent's last message, whole.")
    waiting_for: list[Waiting] = doc("What the agent waits for.")
    tokens: Tokens | None = doc("The thread's totals.")
    files_modified: list[str] = doc("Every path changed so far, as in a job.")
    error: str | None = doc("Codex's words, if the turn failed.")
    failure: Failure | None = doc("Why the job ended, if it did and is not completed.")


@dataclass(slots=True)
class Asked:
    """One thing that waits for somebody."""

    id: str = doc("The job.")
    name: str | None = doc("Its name.")
    waiting: Waiting = doc("What it waits for.")


@dataclass(slots=True)
class Approvals:
    """`approvals`: everything that waits for somebody."""

    generated_at: str = doc("When this was put together.")
    waiting: list[Asked] = doc("Longest waiting first.")


@dataclass(slots=True)
class Responded:
    """`approve`, `deny`, `answer`: what was answered, and what the agent does since."""

    id: str = doc("The job.")
    waiting: Waiting = doc("What had waited.")
    decision: Literal["accept", "accept_always", "decline", "answer"] = doc("What was answered.")
    sent: Sent | None = doc("The message that went with a refusal.")
    turn_state: TurnState | None = doc("What the agent does now.")


@dataclass(slots=True)
class Cut:
    """`interrupt`: the turn that was cut off."""

    id: str = doc("The job.")
    turn_id: str | None = doc("The turn.")
    turn_state: TurnState | None = doc("What the agent does now.")
    untaken: list[str] = doc(
        "Messages sent into the turn that the agent never came to see; they are not said again."
    )


@dataclass(slots=True)
class Keyed:
    """`keys`: what was typed into the pane."""

    id: str = doc("The job.")
    keys: list[str] = doc("The keys, in tmux's names.")


@dataclass(slots=True)
class Said:
    """Somebody said something."""

    kind: Literal["user", "agent"] = doc("Who: the person (or program) that gives the work, or the agent.")
    at: str | None = doc("When Codex wrote it down.")
    turn_id: str | None = doc("The turn; null where Codex does not tell (0.98).")
    text: str = doc("The words; `[image]` stands for a picture.")


@dataclass(slots=True)
class Ran:
    """A command was run."""

    kind: Literal["command"] = doc("Always command.")
    at: str | None = doc("When it had ended.")
    turn_id: str | None = doc("The turn.")
    command: str = doc("The command, without the shell Codex puts around it.")
    by: Literal["agent", "user"] = doc("Who had it run; a person does with `!` in the TUI.")
    status: str = doc("completed, failed, declined, interrupted, or running (no end was written down so far).")
    exit_code: int | None = doc("Its exit status; null or -1 if it has none.")
    output: str = doc("What it printed; of long texts the beginning and the end.")
    output_chars: int = doc("The length of all it printed, in characters, as far as Codex kept it.")


@dataclass(slots=True)
class FileChanged:
    """A file that was changed."""

    kind: Literal["add", "update", "delete"] = doc("What was done with it.")
    path: str = doc("The file, absolute.")
    moved_to: str | None = doc("Its new path, if it was moved.")


@dataclass(slots=True)
class Changed:
    """A patch was applied, or was meant to be."""

    kind: Literal["files"] = doc("Always files.")
    at: str | None = doc("When.")
    turn_id: str | None = doc("The turn.")
    status: str = doc("completed; failed or declined if nothing was changed.")
    files: list[FileChanged] = doc("What it was about.")
    message: str | None = doc("Why it failed.")


@dataclass(slots=True)
class Step:
    """One step of a plan."""

    text: str = doc("What is to be done.")
    status: str = doc("pending, in_progress or completed.")


@dataclass(slots=True)
class Planned:
    """The agent made a plan, or brought it up to date."""

    kind: Literal["plan"] = doc("Always plan.")
    at: str | None = doc("When.")
    turn_id: str | None = doc("The turn.")
    text: str | None = doc("The plan in words, or what was said with the steps.")
    steps: list[Step] = doc("Its steps, if it has any.")


@dataclass(slots=True)
class Used:
    """A tool other than the shell was used, or the web was searched."""

    kind: Literal["tool", "search"] = doc("search: the web was searched.")
    at: str | None = doc("When it had ended.")
    turn_id: str | None = doc("The turn.")
    name: str = doc("`server.tool`, or the tool's name; what was searched for.")
    input: str | None = doc("What it was given, as JSON or text, clipped.")
    status: str = doc("completed, failed, or running.")
    output: str = doc("What it answered, clipped.")


@dataclass(slots=True)
class Noted:
    """Something else that belongs to the conversation: a review, turns that were taken back."""

    kind: Literal["note"] = doc("Always note.")
    at: str | None = doc("When.")
    turn_id: str | None = doc("The turn.")
    text: str = doc("What happened.")


@dataclass(slots=True)
class Marked:
    """A turn started or ended, or the conversation so far was summed up to make room (compacted)."""

    kind: Literal["turn_started", "turn_ended", "compacted"] = doc("Which of them.")
    at: str | None = doc("When.")
    turn_id: str | None = doc("The turn.")
    status: TurnStatus | None = doc("How the turn ended; null for the others.")
    message: str | None = doc("Why, if it failed or was interrupted and Codex says so.")
    duration_ms: int | None = doc("How long the turn took, as Codex counts.")


Entry = Said | Ran | Changed | Planned | Used | Noted | Marked


@dataclass(slots=True)
class Transcript:
    """`output --transcript`: the conversation, from the rollout."""

    id: str | None = doc("The job.")
    thread_id: str | None = doc("Codex's id of the thread.")
    rollout: str = doc("The file this was read from, absolute.")
    bad_lines: int = doc("Lines of it that could not be read and were passed over.")
    entries: list[Said | Ran | Changed | Planned | Used | Noted | Marked] = doc("In order.")
