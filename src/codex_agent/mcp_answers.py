"""Owns what the MCP tools answer where no command prints the same as JSON.

Plain data; a field's ``doc`` is its line in docs/formats.md and in the tool's output schema. Must never decide
anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.answers import Sent
from codex_agent.model import Failure, Mode, Problem, Status, TurnState, Waiting, doc
from codex_agent.monitor_answers import MonitorEnd, MonitorEvent
from codex_agent.review_answers import Review
from codex_agent.thread_answers import ThreadList, ThreadView


@dataclass(slots=True)
class Task:
    """A job as the tools that begin, wait for and end work tell it: what a model needs to go on, and no more."""

    id: str = doc("The task: what every tool takes as `taskId`.")
    name: str | None = doc("Its name, which works as a `taskId` too.")
    status: Status = doc("pending, queued, running, completed, failed or interrupted.")
    turn_state: TurnState | None = doc("What the agent does right now, as in a job; null once it has ended.")
    done: bool = doc("Whether there is nothing to wait for: it ended, handed the turn back, or needs somebody.")
    next: str = doc("What to call next.")
    message: str | None = doc("The agent's last message, whole; null while it is at work.")
    waiting_for: list[Waiting] = doc("What it needs somebody for.")
    failure: Failure | None = doc("Why it ended, if it did and is not completed.")
    files_modified: list[str] = doc("Every path changed so far, as in a job.")
    mode: Mode = doc("exec: it does its task and ends. interactive: it stays and takes messages.")
    cwd: str = doc("Its working directory, absolute.")
    sandbox: str = doc("read-only, workspace-write or danger-full-access.")
    thread_id: str | None = doc("Codex's id of the thread.")
    elapsed_ms: int = doc("How long it has run.")
    tokens: int | None = doc("Tokens of the thread so far; null until Codex has counted any.")
    notices: list[str] = doc("What its owner should know.")


@dataclass(slots=True)
class Waited:
    """`codex_wait`: whether what was waited for is there, and how the tasks stand."""

    done: bool = doc("Whether it is there; false if the time was up before.")
    tasks: list[Task] = doc("The tasks, in the order asked for.")


@dataclass(slots=True)
class TaskRow:
    """One task in a list."""

    id: str = doc("The task's id.")
    name: str | None = doc("Its name, which works as well.")
    status: Status = doc("pending, queued, running, completed, failed or interrupted.")
    turn_state: TurnState | None = doc("What the agent does right now; null once the job has ended.")
    task: str = doc("The first 100 characters of the prompt.")
    cwd: str = doc("The agent's working directory.")
    elapsed_ms: int = doc("From its start to the end, or to now.")
    tokens: int | None = doc("Input and output tokens so far.")
    files: int = doc("How many files were changed through Codex.")
    asks: str | None = doc("What it waits for: codex_approve answers it.")
    failure: str | None = doc("Why it failed or was interrupted, in a word.")


@dataclass(slots=True)
class TaskList:
    """`codex_tasks`: living ones first, then the newest."""

    tasks: list[TaskRow] = doc("The tasks.")
    problems: list[Problem] = doc("Jobs that could not be read.")
    total: int = doc("How many there are of the status asked for; more than `tasks` where the limit cut.")


@dataclass(slots=True)
class Diagnostics:
    """Why a job is as it is: what is looked at first of a `Diagnosis`."""

    cause: str = doc("What probably happened, or what the agent does, in words.")
    advice: list[str] = doc("What to do about it, in this order.")
    table: dict[str, str] = doc(
        "The figures: exit code, exit signal, bytes of stdout and stderr, time-out, last activity, heartbeats, "
        "silences, duration, failure reason."
    )


@dataclass(slots=True)
class TaskStatus:
    """`codex_status`: one task as it is now, why, and the last lines of what it showed."""

    task: Task = doc("The task.")
    prompt: str = doc("The first 100 characters of the prompt.")
    model: str | None = doc("The model Codex really uses; before it tells, the one asked for.")
    why: str | None = doc(
        "Why its state is what it is, where that alone does not say it; what a queued one waits for."
    )
    turns: int = doc("Turns started so far.")
    diagnostics: Diagnostics = doc("Why it is so.")
    tail: list[str] = doc("The last lines of its pane or log, oldest first.")


@dataclass(slots=True)
class TaskText:
    """`codex_result`: a piece of what an agent said or did."""

    id: str = doc("The task's id.")
    status: Status = doc("The job's status.")
    what: Literal["result", "transcript", "log", "prompt", "diff"] = doc("What this is a piece of.")
    text: str = doc("The piece.")
    offset: int = doc("Where it begins, in characters.")
    total_chars: int = doc("The length of the whole.")
    next_offset: int | None = doc("Where the next piece begins; null if this is the end.")


@dataclass(slots=True)
class ThreadsFound:
    """`codex_threads`: Codex sessions of this machine, or one of them."""

    listed: ThreadList | None = doc("The sessions; null if one was asked for.")
    thread: ThreadView | None = doc("The one asked for.")


@dataclass(slots=True)
class Monitored:
    """`codex_monitor`: what happened while it watched."""

    events: list[MonitorEvent] = doc("In the order in which they happened.")
    end: MonitorEnd = doc("Why it stopped, how each thread stood, and the word to go on from (`since`).")


@dataclass(slots=True)
class Spoken:
    """`codex_send`: the proof that a message arrived, and how the task stands since."""

    sent: Sent = doc("What became of the message.")
    task: Task = doc("The task.")


@dataclass(slots=True)
class Reviewed:
    """`codex_review`: the task, and what the review found."""

    task: Task = doc("The task.")
    review: Review | None = doc("What it found; null until it has completed.")
