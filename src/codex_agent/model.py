"""Owns the words every part shares: a job's record, the facts in it, and the public face of a job.

Plain dataclasses, so that the supervisor and the commands that are called all day load no validation library;
``schema.py`` makes the JSON Schema from these same classes. A field's ``doc`` is its line in docs/formats.md.
This module never reads or writes a file and never decides what a status is (``verdict.py`` does).

Times are UTC, ISO 8601 with milliseconds and a final ``Z``. Durations carry their unit in the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.stamps import stamp as stamp
from codex_agent.text import SUMMARY_CHARS as SUMMARY_CHARS
from codex_agent.tokens import Shape
from codex_agent.tokens import Spent as Spent
from codex_agent.tokens import Tokens as Tokens
from codex_agent.tokens import doc as doc
from codex_agent.tracked import PullRequest, Work
from codex_agent.tracked import SetUp as SetUp
from codex_agent.tracked import Worktree as Worktree
from codex_agent.turns import CurrentTurn as CurrentTurn
from codex_agent.turns import LastTurn as LastTurn
from codex_agent.turns import Turn as Turn
from codex_agent.turns import TurnMark as TurnMark
from codex_agent.turns import TurnStatus as TurnStatus

RECORD_VERSION = 1

Status = Literal["pending", "queued", "running", "completed", "failed", "interrupted"]
TurnState = Literal[
    "starting",
    "working",
    "reconnecting",
    "idle",
    "waiting_approval",
    "waiting_input",
    "context_limit",
    "usage_limit",
    "error",
    "unknown",
]
Mode = Literal["exec", "interactive"]
# How Codex is driven: `codex exec`; a private app-server with the TUI attached; the bare TUI.
Driver = Literal["exec", "channel", "plain"]
QueueKind = Literal["after", "gate", "condition", "parallel"]
ReviewKind = Literal["uncommitted", "base", "commit", "custom"]
# What told last that Codex did something.
Activity = Literal["start", "stream", "channel", "rollout", "answer"]
WaitKind = Literal["command", "file_change", "permissions", "question", "elicitation", "prompt", "other"]

TERMINAL: frozenset[str] = frozenset({"completed", "failed", "interrupted"})
PROMPT_HEAD_CHARS = 100

# While one of these holds, the agent has not handed the turn back.
BUSY: frozenset[str] = frozenset({"starting", "working", "reconnecting", "unknown"})
WAITING: frozenset[str] = frozenset({"waiting_approval", "waiting_input"})
LIMITED: frozenset[str] = frozenset({"context_limit", "usage_limit"})

# What stands in a recorded command line for what is known only when it runs: the app-server's socket, the thread.
LISTEN, THREAD = "@LISTEN@", "@THREAD@"

# Sandbox modes Codex takes; the last one removes the sandbox and must be asked for by its full name.
SANDBOXES = ("read-only", "workspace-write", "danger-full-access")


@dataclass(slots=True, eq=False, repr=False)
class Question(Shape):
    """One question of the agent's."""

    id: str = doc("Codex's name for it.")
    header: str = doc("A few words; may be empty.", default="")
    text: str = doc("The question.", default="")
    options: list[str] = doc("What it offers to choose from; empty if it wants words.", default_factory=list)
    secret: bool = doc("Whether the answer should not be shown.", default=False)


@dataclass(slots=True, eq=False, repr=False)
class Waiting(Shape):
    """One thing the agent waits for: an approval, or an answer."""

    n: int = doc("Its number in this job, counted from 1: what `approve`, `deny` and `answer` take.")
    kind: WaitKind = doc(
        "command, file_change, permissions, question, elicitation (an MCP server asks), prompt (something on the "
        "screen of a job that runs with --plain), other."
    )
    asked_at: str = doc("Since when.")
    request_id: str | None = doc("Codex's id of the request, as JSON.", default=None)
    thread_id: str | None = doc("The thread that asks; a sub-agent has its own.", default=None)
    turn_id: str | None = doc("The turn that stands still.", default=None)
    item_id: str | None = doc("The item that asks.", default=None)
    command: str | None = doc("The command it wants to run.", default=None)
    cwd: str | None = doc("Where.", default=None)
    reason: str | None = doc("What the agent gives as reason, or what is asked.", default=None)
    files: list[str] = doc("The files it wants to change, absolute.", default_factory=list)
    questions: list[Question] = doc("What it asks; empty for approvals.", default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Resume(Shape):
    """The thread that a job goes on with."""

    thread_id: str = doc("Codex's id of it.")
    forked: bool = doc("Whether the job has a new thread, which begins with that one's history.", default=False)


@dataclass(slots=True, eq=False, repr=False)
class ReviewTarget(Shape):
    """What a review is about."""

    kind: ReviewKind = doc("uncommitted, base, commit or custom (what the prompt says).")
    name: str | None = doc("The branch or commit as it was given.", default=None)
    commit: str | None = doc("The commit that this meant when the review began.", default=None)
    instructed: bool = doc(
        "Whether it was given in a prompt with more in it; Codex takes none beside a target.", default=False
    )


@dataclass(slots=True, eq=False, repr=False)
class QueuePlace(Shape):
    """What a queued job waits for, and where it stands."""

    kind: QueueKind = doc(
        "after: another job's end. gate: a slot of a gate. condition: what the gate demands of the machine. "
        "parallel: fewer agents at work."
    )
    name: str | None = doc("The job waited for, or the gate; null for parallel.")
    place: int | None = doc("1 is the next to go in; null where there is no line.")
    of: int | None = doc("How many stood in that line when it last looked: two seconds ago at most.")
    since: str = doc("When it began to wait.")
    detail: str = doc("All of it in a sentence.")


@dataclass(slots=True, eq=False, repr=False)
class Failure(Shape):
    """Why a job is not `completed`."""

    reason: str = doc(
        "Machine-readable: exit_code, signal, killed, closed, interrupted, timeout_inactivity, timeout_total, "
        "budget, channel_lost, dependency, spawn_failed, "
        "auth, usage_limit, rate_limit, quota, context_window, model_error, model_unknown, "
        "overloaded, network, bad_request, bad_config, not_a_repo, input_too_large, sandbox, no_turn, "
        "turn_aborted, unknown."
    )
    message: str = doc("One sentence for a person.")
    hint: str | None = doc("What to do about it.", default=None)
    exit_code: int | None = doc("Codex's exit status, if it exited.", default=None)
    signal: int | None = doc("The signal that ended Codex, if one did.", default=None)
    last_stderr: str | None = doc("The last telling line Codex wrote to stderr.", default=None)


@dataclass(slots=True, eq=False, repr=False)
class Job(Shape):
    """The public face of one job: what every `--json` prints of it."""

    id: str = doc("8 hexadecimal characters.")
    name: str | None = doc("The name given with `--name`; works wherever an id does.")
    status: Status = doc("pending, queued, running, completed, failed or interrupted.")
    turn_state: TurnState | None = doc(
        "What the agent does right now: starting, working, reconnecting, idle, waiting_approval, waiting_input, "
        "context_limit, usage_limit, error or unknown (docs/states.md); null once the job has ended."
    )
    turn_state_reason: str | None = doc("Why, where the state alone does not say it.")
    turn_count: int = doc("Turns started so far.")
    current_turn: CurrentTurn | None = doc("The turn that runs; null between turns.")
    last_turn: LastTurn | None = doc("The last turn that has ended.")
    waiting_for: Waiting | None = doc("The first thing the agent waits for; null if it waits for nothing.")
    queued: int = doc("Messages that wait for the running turn's end.")
    queue: QueuePlace | None = doc("What it waits for before Codex is run; null unless it is queued.")
    mode: Mode = doc("exec: the agent does its task and ends. interactive: it stays.")
    driver: Driver = doc("How Codex is driven: exec, channel (its app-server) or plain (the bare TUI).")
    prompt: str = doc("The first 100 characters of the prompt as it was given.")
    model: str | None = doc("The model Codex really uses; before it tells, the one asked for, or null.")
    reasoning: str | None = doc("The reasoning effort, in the same way.")
    sandbox: str = doc("read-only, workspace-write or danger-full-access.")
    approval: str = doc("When Codex asks before it acts: never, on-request, untrusted or on-failure.")
    cwd: str = doc("The agent's working directory, absolute.")
    parent_session: str | None = doc("What `--parent-session` said.")
    resume: Resume | None = doc("The thread it went on with, or forked; null if it began its own.")
    review: ReviewTarget | None = doc("What it reviews; null if it is no review.")
    worktree: Worktree | None = doc("The git worktree it has, of its own or an earlier job's; null without one.")
    committed: list[str] = doc("Commits that were made of its work for it (`--commit`), oldest first.")
    thread_id: str | None = doc("Codex's id of the thread; null until Codex reports it.")
    rollout: str | None = doc("The thread's rollout file, absolute; null until it is there.")
    git: Work | None = doc("Where its work tree stands in git; null outside of any.")
    branches_made: list[str] = doc("Branches the agent made with `git switch -c` or `git checkout -b`, in order.")
    pull_request: PullRequest | None = doc("The last pull request that it opened or merged.")
    issue: str | None = doc("The issue it works on, as `--issue` said.")
    tmux_session: str = doc("The tmux session's name.")
    tmux_socket: str | None = doc("The tmux server's socket path; null until the session was made.")
    created_at: str = doc("When `start` made the record.")
    started_at: str | None = doc("When Codex was running.")
    completed_at: str | None = doc("When the job ended, however it ended.")
    elapsed_ms: int = doc("From `started_at` (else `created_at`) to the end, or to now.")
    last_activity_at: str | None = doc("When Codex last did something; reconnecting does not count.")
    tokens: Tokens | None = doc("Null until Codex has counted any.")
    cost_usd: float | None = doc(
        "What this job has cost in US dollars, with its sub-agents, by the prices it was started with; null if a "
        "price is unknown or nothing was counted."
    )
    agents_cost_usd: float | None = doc("The part of that which its sub-agents have cost.")
    unpriced: list[str] = doc("Models it used whose price is unknown.")
    budget_tokens: int | None = doc("The tokens it may use, if it has such a budget.")
    budget_usd: float | None = doc("The US dollars it may cost, if it has such a budget.")
    files_modified: list[str] = doc("Every path changed through Codex, in order, relative to `cwd` when inside.")
    last_message: str | None = doc("The agent's last message, whole.")
    summary: str | None = doc("The first 500 characters of it.")
    exit_code: int | None = doc("Codex's exit status; null while it runs or if a signal ended it.")
    failure: Failure | None = doc("Null while the job runs and when it completed.")
    warnings: list[str] = doc("What went wrong without deciding the job (a log that could not be written, ...).")


@dataclass(slots=True, eq=False, repr=False)
class JobList(Shape):
    """What every command that speaks of several jobs prints."""

    generated_at: str = doc("When this was put together.")
    jobs: list[Job] = doc("The jobs.")
    problems: list[Problem] = doc("Jobs that could not be read, or not be dealt with.")
    total: int = doc("How many jobs there are of the kind asked for; more than `jobs` where `--limit` cut.")


@dataclass(slots=True, eq=False, repr=False)
class Problem(Shape):
    """A job that could not be spoken of, or to which what was asked could not be done."""

    id: str = doc("The job's id (of a record that cannot be read: what its file name says).")
    file: str | None = doc("The record's file, if the trouble is with that; it is left as it is.")
    code: str = doc("As in errors: record_unreadable, record_too_new, bad_state, ...")
    message: str = doc("What is wrong.")


@dataclass(slots=True, eq=False, repr=False)
class Request(Shape):
    """What was asked for; written once, by `start`."""

    mode: Mode = doc("exec or interactive.")
    prompt_head: str = doc("The first 100 characters of the prompt as given.")
    prompt_chars: int = doc("Length of the prompt that Codex gets, in characters.")
    cwd: str = doc("Working directory, absolute.")
    sandbox: str = doc("Sandbox mode.")
    model: str | None = doc("Model asked for; null leaves it to Codex's configuration.", default=None)
    reasoning: str | None = doc("Reasoning effort asked for; null leaves it to Codex.", default=None)
    parent_session: str | None = doc("Who started it, if it said so.", default=None)
    timeout_s: float = doc("Inactivity time-out; 0 is none.", default=3600.0)
    max_time_s: float = doc("Total time-out; 0 is none.", default=0.0)
    notify_on_complete: list[str] | None = doc("Command run at the end, as words.", default=None)
    driver: Driver = doc("How Codex is driven.", default="exec")
    approval: str = doc("Approval policy.", default="never")
    idle_exit_s: float = doc("An idle interactive agent is ended after so long; 0 is never.", default=0.0)
    add_dirs: list[str] = doc("More directories the agent may write, absolute.", default_factory=list)
    images: list[str] = doc("Images that go with the prompt, absolute.", default_factory=list)
    profile: str | None = doc("Profile of Codex's configuration.", default=None)
    config: list[str] = doc("Codex configuration given by the caller, KEY=VALUE.", default_factory=list)
    track: str | None = doc(
        "The folder in which the agent's git and gh leave notes; null: they do not.", default=None
    )
    issue: str | None = doc("The issue it works on.", default=None)
    instructions: str | None = doc("What the agent is told besides its task.", default=None)
    output_schema: str | None = doc("JSON Schema the last message must follow.", default=None)
    skip_git_repo_check: bool = doc("Whether it may run outside a repository.", default=False)
    resume: Resume | None = doc("The thread to go on with.", default=None)
    review: ReviewTarget | None = doc("What to review.", default=None)
    thread_source: str | None = doc("What Codex is to write down as the thread's source.", default=None)
    worktree: Worktree | None = doc("The git worktree it works in.", default=None)
    allow_commits: bool = doc("Whether the agent may write git's own folders.", default=False)
    git_folders: list[str] = doc("Those folders, absolute.", default_factory=list)
    commit: bool = doc("Whether its work is committed when a turn or the job ends.", default=False)
    gates: list[str] = doc("Gates of which it holds a slot while it runs, sorted.", default_factory=list)
    after: list[str] = doc("Jobs that must have completed before it begins.", default_factory=list)
    after_any: list[str] = doc("Jobs that must have ended, in whatever way.", default_factory=list)
    max_parallel: int | None = doc(
        "It begins when fewer agents than this are at work; null: as the setting says.", default=None
    )
    budget_tokens: int | None = doc("The job is stopped once it has used so many tokens.", default=None)
    budget_usd: float | None = doc("The job is stopped once it has cost so many US dollars.", default=None)
    prices: list[str] = doc("The setting `prices` when it was started.", default_factory=list)
    argv: list[str] = doc(
        "Codex's exact command line; the prompt goes in on stdin (exec) or through the channel.",
        default_factory=list,
    )
    viewer_argv: list[str] = doc("The command line of the TUI in the pane.", default_factory=list)
    codex_version: str | None = doc("Version of the Codex that was started.", default=None)
    codex_home: str = doc("The CODEX_HOME the agent runs with.", default="")


@dataclass(slots=True, eq=False, repr=False)
class Process(Shape):
    """A process, so that its pid cannot be mistaken for a later one."""

    pid: int = doc("Process id.")
    start_ticks: int = doc("Its start time in kernel clock ticks since boot (0 where unknown).")


@dataclass(slots=True, eq=False, repr=False)
class Facts(Shape):
    """What happened, as seen by whoever saw it. Nothing in here is an opinion."""

    tmux_socket: str | None = doc("tmux server's socket path.", default=None)
    boot_id: str | None = doc("The kernel's boot id when the job started.", default=None)
    supervisor: Process | None = doc("The supervisor.", default=None)
    codex: Process | None = doc("Codex itself: `codex exec`, the app-server, or the bare TUI.", default=None)
    viewer: Process | None = doc("The TUI in the pane, where it is a process beside Codex.", default=None)
    started_at: str | None = doc("Codex was running.", default=None)
    thread_id: str | None = doc("From Codex's `thread.started`.", default=None)
    rollout: str | None = doc("Its rollout.", default=None)
    rollout_before: int = doc(
        "Bytes of it (unpacked) that were there before the job: what the job did stands behind them.", default=0
    )
    model: str | None = doc("What the rollout says was used.", default=None)
    reasoning: str | None = doc("What the rollout says was used.", default=None)
    turn: Turn = doc("The last turn, by the event stream or the channel.", default_factory=Turn)
    last_turn: Turn | None = doc("The last turn that has ended, while another runs.", default=None)
    waiting: list[Waiting] = doc("What the agent waits for, oldest first.", default_factory=list)
    waiting_flags: list[str] = doc("What the channel says the thread waits on.", default_factory=list)
    asked: int = doc("How many things it has asked so far.", default=0)
    queued: int = doc("Messages in `<id>.queue`.", default=0)
    unknown: str | None = doc("Why nobody can tell what the agent does.", default=None)
    runs: int = doc("How often the job was begun: 1, and once more each time `send` reopened it.", default=1)
    queue: QueuePlace | None = doc("What it waits for; null once Codex was run.", default=None)
    not_begun: str | None = doc("Why Codex was not run although the job's turn had come.", default=None)
    rollout_turn: Turn = doc("The last turn, by the rollout.", default_factory=Turn)
    reconnecting: str | None = doc("Codex's words, while it only reconnects.", default=None)
    last_activity_at: str | None = doc("Last event that was work.", default=None)
    last_activity_by: Activity | None = doc("What told of it.", default=None)
    tokens: Tokens | None = doc("Thread totals.", default=None)
    spent: list[Spent] = doc("What the job's own thread has used in this job.", default_factory=list)
    agents_spent: list[Spent] = doc("What its sub-agents have used.", default_factory=list)
    agents: int = doc("How many sub-agents those are.", default=0)
    budget: str | None = doc("What was used of the budget when that became much.", default=None)
    files: list[str] = doc("Absolute paths changed, in order, each once.", default_factory=list)
    last_message: str | None = doc("The agent's last message, whole.", default=None)
    spoke_in: str | None = doc("The turn in which it said that, as the channel tells.", default=None)
    work: Work | None = doc("Where its work tree stands in git.", default=None)
    branches_made: list[str] = doc("Branches that were made through the wrapper.", default_factory=list)
    pull_request: PullRequest | None = doc("The last pull request.", default=None)
    committed: list[str] = doc("Commits made of its work for it, oldest first.", default_factory=list)
    exit_code: int | None = doc("Codex's exit status.", default=None)
    exit_signal: int | None = doc("The signal that ended Codex.", default=None)
    exited_at: str | None = doc("When Codex was reaped.", default=None)
    last_stderr: str | None = doc("Last telling stderr line.", default=None)
    stop_reason: str | None = doc(
        "Why the supervisor ended Codex: killed, closed, interrupted, timeout_inactivity, timeout_total, "
        "budget, exit, idle, left, channel_lost, dependency, spawn_failed.",
        default=None,
    )
    lost: str | None = doc("The supervisor died first: `supervisor`, `reboot`, `start` or `queue`.", default=None)
    ended_at: str | None = doc("The job's end; set once, last.", default=None)
    settled_by: str | None = doc("Who wrote the end: supervisor, guardian or reader.", default=None)
    stdout_bytes: int = doc("Bytes Codex wrote to stdout, or said over its channel.", default=0)
    stderr_bytes: int = doc("Bytes Codex wrote to stderr.", default=0)
    oom_kills: int = doc("Processes the kernel killed for memory in the job's cgroup while it ran.", default=0)
    warnings: list[str] = doc("Troubles that decided nothing.", default_factory=list)


@dataclass(slots=True, eq=False, repr=False)
class Record(Shape):
    """One job on disk: `<id>.json`."""

    version: int
    id: str
    name: str | None
    created_at: str
    mark: str
    tmux_session: str
    request: Request
    facts: Facts
