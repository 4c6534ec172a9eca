"""Owns the shape of what is said about work: shared trees and files, commits, notes, reports.

Only shapes, as in ``answers.py``; ``git``, ``notes``, ``sharing``, ``overlap`` and ``report`` fill them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.answers import FileChanged
from codex_agent.model import Failure, Tokens, TurnStatus, doc

NoteKind = Literal["mistake", "resolution", "note"]


@dataclass(slots=True)
class Commit:
    """A commit."""

    id: str = doc("Its id, whole.")
    subject: str = doc("The first line of its message.")
    author: str = doc("Its author's name.")
    at: str = doc("When it was committed.")


@dataclass(slots=True)
class SharedFile:
    """A file that more than one agent has changed."""

    path: str = doc("The file, absolute.")
    by: list[str] = doc("Who has: `id` of the agents in `sharers`.")
    uncommitted: bool | None = doc("Whether it differs from HEAD now; null outside git.")


@dataclass(slots=True)
class Sharer:
    """An agent at work in a tree."""

    id: str = doc("What commands take: the job's id, else the thread's.")
    job_id: str | None = doc("Our job; null for a session of somebody else's.")
    thread_id: str | None = doc("Codex's id of the thread; null until Codex has reported it.")
    name: str | None = doc("The job's name, or the thread's title.")
    state: str = doc("As `status` or `threads` tells it: working, idle, queued, waiting_approval, ...; or ended.")
    source: str | None = doc("Where a thread comes from: cli, vscode, exec, ...; null for our jobs.")
    cwd: str = doc("Its working directory.")
    sandbox: str | None = doc("Its sandbox; null if nothing tells.")
    may_write: bool = doc("Whether its sandbox lets it change this tree; true if nothing tells.")
    files: int = doc("How many files of this tree it has changed through Codex.")


@dataclass(slots=True)
class Tree:
    """A working tree with more than one agent in it."""

    path: str = doc("Where it begins: the top of the git work tree; outside git, the folder.")
    git: bool = doc("Whether it is a git work tree.")
    branch: str | None = doc("The branch that is checked out.")
    sharers: list[Sharer] = doc("The agents, the longest running first.")
    shared_files: list[SharedFile] = doc("What more than one of them has changed, by path.")


@dataclass(slots=True)
class ApartFile:
    """A file that agents in different worktrees have changed."""

    path: str = doc("Relative to each of the worktrees.")
    by: list[str] = doc("Who has: `id` of the agents.")


@dataclass(slots=True)
class Apart:
    """Worktrees of one repository whose agents have changed the same files: they meet when that is merged."""

    repository: str = doc("The repository: git's common folder.")
    agents: list[Sharer] = doc("Those who have changed such a file.")
    files: list[ApartFile] = doc("The files, by path.")


@dataclass(slots=True)
class OverlapList:
    """`overlap`: where agents share a working tree."""

    generated_at: str = doc("When this was put together.")
    apart: list[Apart] = doc("Repositories where agents in different worktrees have changed the same file.")
    trees: list[Tree] = doc("Those with files that more than one has changed first, then by path.")
    agents: int = doc("How many living agents and threads were looked at.")
    notes: list[str] = doc("What could not be seen, and why.")


@dataclass(slots=True)
class Note:
    """Something a reviewer wrote down about an agent's work."""

    id: str = doc("8 hexadecimal characters.")
    at: str = doc("When.")
    kind: NoteKind = doc("mistake: what is wrong. resolution: what became of a mistake. note: anything else.")
    text: str = doc("The words.")
    resolves: str | None = doc("The mistake that a resolution is about, by its id.")
    job_id: str | None = doc("The job, if it was named by one.")


@dataclass(slots=True)
class Notes:
    """`note --list`, and what `note` leaves: all that was noted about one agent."""

    thread_id: str | None = doc("The thread; null if the job never had one.")
    job_id: str | None = doc("The job, if it is one of ours.")
    file: str = doc("Where new notes of it are kept, absolute; it need not exist.")
    notes: list[Note] = doc("Oldest first.")
    bad_lines: int = doc("Lines that could not be read and were passed over.")


@dataclass(slots=True)
class Asking:
    """Something the agent was asked."""

    at: str | None = doc("When Codex wrote it down.")
    turn_id: str | None = doc("The turn.")
    text: str = doc("The words; of long ones the beginning and the end.")
    chars: int = doc("Their whole length, in characters.")


@dataclass(slots=True)
class TurnDone:
    """A turn of the agent's."""

    id: str | None = doc("Codex's id of it.")
    status: TurnStatus | Literal["open"] = doc("completed, failed, interrupted; open if no end was written down.")
    started_at: str | None = doc("When it started.")
    ended_at: str | None = doc("When it ended.")
    duration_ms: int | None = doc("How long it took.")
    error: str | None = doc("Why it failed or was interrupted, if Codex says so.")


@dataclass(slots=True)
class CommitMade:
    """A commit that was made in the agent's tree while it was at work."""

    id: str = doc("Its id, whole.")
    subject: str = doc("The first line of its message.")
    author: str = doc("Its author's name.")
    at: str = doc("When it was committed.")
    seen: bool = doc(
        "Whether a command of the agent's printed its id as made; else somebody else may have made it."
    )


@dataclass(slots=True)
class Commits:
    """What was committed in the agent's tree during its run."""

    tree: str | None = doc("The git work tree of its folder; null outside git.")
    basis: Literal["head", "time", "none"] = doc(
        "head: from the commit the rollout begins at to HEAD, up to the agent's last record. time: by the times "
        "of commits, since no such commit is known. none: nothing could be compared."
    )
    before: str | None = doc("The commit the thread began at, as the rollout says.")
    after: str | None = doc("HEAD now.")
    made: list[CommitMade] = doc("Oldest first; the newest 200 of many.")
    uncommitted: list[str] = doc("Files the agent changed that differ from HEAD now, absolute.")
    note: str | None = doc("Why nothing could be compared, or what makes it doubtful.")


@dataclass(slots=True)
class CommandRun:
    """A command that was run."""

    at: str | None = doc("When it had ended.")
    turn_id: str | None = doc("The turn.")
    command: str = doc("The command, clipped.")
    by: Literal["agent", "user"] = doc("Who had it run.")
    status: str = doc("completed, failed, declined, interrupted or running.")
    exit_code: int | None = doc("Its exit status; null if it has none.")


@dataclass(slots=True)
class RanTests:
    """A command that ran tests."""

    at: str | None = doc("When it had ended.")
    turn_id: str | None = doc("The turn.")
    command: str = doc("The command, clipped.")
    runner: str = doc("pytest, unittest, cargo, go, jest, vitest, npm, ...")
    outcome: Literal["passed", "failed", "unknown"] = doc("What is seen of it.")
    basis: Literal["exit_code", "output", "none"] = doc(
        "exit_code: the exit status is the tests'. output: it is that of something else (a pipe), so the counts "
        "in the output tell. none: nothing tells."
    )
    exit_code: int | None = doc("The whole command's exit status.")
    passed: int | None = doc("How many passed, where the output says so plainly.")
    failed: int | None = doc("How many failed, errors included.")
    skipped: int | None = doc("How many were left out.")


@dataclass(slots=True)
class Mistake:
    """A mistake that was noted, and what became of it."""

    note: Note = doc("The mistake.")
    resolutions: list[Note] = doc("What was noted of its resolution; empty while it is open.")


@dataclass(slots=True)
class Report:
    """What one agent was asked, what it did, and what there is to show for it."""

    id: str = doc("The job's id, else the thread's.")
    state: str = doc("The job's status, or how the thread's last turn stands.")
    job_id: str | None = doc("Our newest job of the thread.", default=None)
    thread_id: str | None = doc("Codex's id of the thread.", default=None)
    name: str | None = doc("The job's name.", default=None)
    rollout: str | None = doc(
        "Its rollout, absolute; null if there is none, and then only the record tells.", default=None
    )
    source: str | None = doc("Where the thread comes from: exec, cli, vscode, ...", default=None)
    codex_version: str | None = doc("The Codex that began it.", default=None)
    cwd: str | None = doc("Its working directory.", default=None)
    model: str | None = doc("The model of its last turn.", default=None)
    reasoning: str | None = doc("The effort of its last turn.", default=None)
    sandbox: str | None = doc("The sandbox of its last turn.", default=None)
    failure: Failure | None = doc("Why the job is not completed.", default=None)
    started_at: str | None = doc("Its first record.", default=None)
    last_at: str | None = doc("Its last record.", default=None)
    asked: list[Asking] = doc(
        "What it was asked: the prompt, then every later message; the first and the last 99.", default_factory=list
    )
    asked_total: int = doc("How many messages there were.", default=0)
    turns: list[TurnDone] = doc("Its turns in order; the last 200 of many.", default_factory=list)
    turns_total: int = doc("How many turns there were.", default=0)
    claim: str | None = doc("Its last message: what the agent says, which proves nothing.", default=None)
    commits: Commits = doc("Commits.", default_factory=lambda: Commits(None, "none", None, None, [], [], None))
    commands: list[CommandRun] = doc("Commands in order; the last 500 of many.", default_factory=list)
    commands_total: int = doc("How many were run.", default=0)
    commands_failed: int = doc("How many of them ended with another exit status than 0.", default=0)
    tests: list[RanTests] = doc("Test runs in order; the last 200 of many.", default_factory=list)
    files: list[FileChanged] = doc(
        "What became of each file changed through Codex, by path.", default_factory=list
    )
    tokens: Tokens | None = doc("The thread's totals.", default=None)
    cost_usd: float | None = doc(
        "What it cost in US dollars, with its sub-agents; null if the price of a model is unknown.", default=None
    )
    sub_agents: list[str] = doc(
        "The threads it started, and those that they started; each has a report of its own.", default_factory=list
    )
    mistakes: list[Mistake] = doc(
        "Mistakes noted on review, oldest first, with their resolutions.", default_factory=list
    )
    notes: list[Note] = doc("The other notes.", default_factory=list)
    bad_lines: int = doc("Lines of the rollout that could not be read.", default=0)


@dataclass(slots=True)
class ReportList:
    """`report`."""

    generated_at: str = doc("When this was put together.")
    reports: list[Report] = doc("In the order asked for.")
