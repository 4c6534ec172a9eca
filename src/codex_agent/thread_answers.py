"""Owns the shape of what is said about threads: Codex sessions wherever they run, ours among them.

Only shapes, as in ``answers.py``; ``threads/`` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.answers import FileChanged, Ran, Step
from codex_agent.cost_answers import RateLimit
from codex_agent.model import Tokens, TurnState, TurnStatus, doc

ThreadState = TurnState | Literal["closed"]


@dataclass(slots=True)
class Owner:
    """The process that has a thread loaded."""

    pid: int | None = doc("Its pid; null if the system does not tell.")
    program: str | None = doc("Its name.")
    since: str | None = doc("When that process started.")
    evidence: Literal["writer_lock", "open_rollout"] = doc(
        "writer_lock: it holds Codex's own lock on the thread. open_rollout: it has the rollout open (there is no "
        "lock before 0.150)."
    )


@dataclass(slots=True)
class ThreadRow:
    """One Codex session."""

    id: str = doc("Codex's id of the thread.")
    source: str | None = doc("Where it comes from: exec, cli, vscode, subagent, ...; null if nothing tells.")
    cwd: str | None = doc("Its working directory.")
    title: str | None = doc("Its title or name, else the beginning of its first prompt.")
    model: str | None = doc("The model of its last turn.")
    state: ThreadState = doc(
        "working, idle, closed (no process has it loaded) or unknown; of our jobs what `status` says, such as "
        "waiting_approval."
    )
    turn: TurnStatus | Literal["open"] | None = doc(
        "How its last turn stands; interrupted also if nobody lives to end it. Null before the first."
    )
    active_at: str | None = doc("When something was last written about it.")
    idle_s: int = doc("Seconds since then.")
    tokens: int | None = doc("Input and output tokens of the thread, as Codex last counted them.")
    job_id: str | None = doc("Our newest job that has this thread.")
    archived: bool = doc("Whether `codex archive` put it away.")
    rollout: str | None = doc("Its rollout, absolute; null if there is none to be found.")


@dataclass(slots=True)
class ThreadList:
    """`threads`: every Codex session of this machine's CODEX_HOME, newest activity first."""

    generated_at: str = doc("When this was put together.")
    codex_home: str = doc("Where was looked.")
    basis: Literal["index", "rollouts"] = doc("What it was made from: Codex's own index, or the files alone.")
    notes: list[str] = doc("Why the index was not used, or where it and the files disagree.")
    threads: list[ThreadRow] = doc("The threads.")
    total: int = doc("How many there are of the kind asked for; more than `threads` where `--limit` cut.")


@dataclass(slots=True)
class Goal:
    """What a thread works towards by itself, in goal mode."""

    objective: str = doc("The goal in words.")
    status: str = doc("active, paused, blocked, usage_limited, budget_limited or complete.")
    tokens_used: int | None = doc("Tokens spent on it.")
    token_budget: int | None = doc("Tokens it may cost.")
    time_used_s: int | None = doc("Seconds spent on it.")
    updated_at: str | None = doc("When it last changed.")
    basis: Literal["rollout", "database"] = doc("Where it is written: the rollout, or Codex's database.")


@dataclass(slots=True)
class Narration:
    """Something the agent said."""

    at: str | None = doc("When.")
    text: str = doc("The words.")


@dataclass(slots=True)
class SubAgent:
    """A thread that another one started."""

    id: str = doc("Its thread.")
    parent_id: str | None = doc("The thread that started it.")
    depth: int = doc("1 for a child, 2 for a child's child, ...")
    name: str | None = doc("What its parent calls it.")
    state: ThreadState = doc("As for threads.")
    turn: TurnStatus | Literal["open"] | None = doc("As for threads.")
    tokens: int | None = doc("As for threads.")
    last_message: str | None = doc("What it said last.")


@dataclass(slots=True)
class Suspicion:
    """Whether the thread probably waits for an approval in its IDE or terminal, which no rollout records."""

    probable: bool = doc("Whether it does.")
    since: str | None = doc("Since when, if so.")
    evidence: list[str] = doc("What speaks for it and against it.")


@dataclass(slots=True)
class ThreadView:
    """`thread`: one Codex session."""

    id: str = doc("Codex's id of the thread.")
    rollout: str = doc("Its rollout, absolute, as found now.")
    source: str | None = doc("Where it comes from: exec, cli, vscode, subagent, ...")
    cwd: str | None = doc("Its working directory.")
    title: str | None = doc("Its title or name, else the beginning of its first prompt.")
    cli_version: str | None = doc("The Codex that began it.")
    model: str | None = doc("The model of its last turn.")
    reasoning: str | None = doc("The effort of its last turn.")
    sandbox: str | None = doc("The sandbox of its last turn.")
    approval: str | None = doc("The approval policy of its last turn.")
    state: ThreadState = doc("As in a list of threads.")
    state_reason: str | None = doc("Why, where the state alone does not say it.")
    turn: TurnStatus | Literal["open"] | None = doc("How its last turn stands.")
    turn_id: str | None = doc("Codex's id of that turn.")
    turn_started_at: str | None = doc("When it started.")
    turn_ended_at: str | None = doc("When it ended.")
    turn_error: str | None = doc("Codex's words, if it failed.")
    turns: int = doc("Turns started.")
    owner: Owner | None = doc("The process that has the thread loaded; null if none has, or nobody can tell.")
    suspicion: Suspicion = doc("Whether it probably waits for an approval somewhere else.")
    job_id: str | None = doc("Our newest job that has this thread.")
    active_at: str | None = doc("When something was last written about it.")
    idle_s: int = doc("Seconds since then.")
    goal: Goal | None = doc("Its goal, if it has one.")
    plan: list[Step] = doc("Its last plan; empty if it made none.")
    narrations: list[Narration] = doc("What the agent said last, oldest first.")
    running: list[Ran] = doc("Commands that have begun and not ended.")
    files: list[FileChanged] = doc("Every file changed through Codex, in order, each once; absolute.")
    tokens: Tokens | None = doc("The thread's totals.")
    cost_usd: float | None = doc(
        "What it cost in US dollars, with its sub-agents and without what a fork began with; null if the price of "
        "a model is unknown or nothing was counted."
    )
    agents_cost_usd: float | None = doc("The part of that which its sub-agents have cost; null if it has none.")
    unpriced: list[str] = doc("Models whose price is unknown.")
    limits: list[RateLimit] = doc("The account's limits, as this thread last heard of them.")
    sub_agents: list[SubAgent] = doc("The threads it started, each before its own.")
    parent_id: str | None = doc("The thread that started it, if it is a sub-agent's.")
    forked_from: str | None = doc("The thread it was forked from.")
    bad_lines: int = doc("Lines of the rollout that could not be read.")
    unknown_lines: int = doc("Lines of a kind that no known Codex writes.")
