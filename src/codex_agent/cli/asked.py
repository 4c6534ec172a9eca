"""Owns the options that every command which begins an agent has (``start``, ``resume``, ``review``): what they
are called, what they take, and what they mean.

``options.py`` puts them onto typer's commands, ``fast/starting.py`` reads the plain ones without it; so typer is
not loaded here. Must never start anything.
"""

# ruff: noqa: RUF009 (what is called makes fields)
from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codex_agent import settings as settings_room
from codex_agent.errors import UsageError
from codex_agent.store import Store

if TYPE_CHECKING:
    from codex_agent.start_options import StartOptions

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _value(*names: str, says: str, metavar: str | None = None, least: int | None = None) -> Any:
    """An option that takes a text, several texts or a number, as the field's type tells."""
    return field(default=None, metadata={"names": names, "help": says, "metavar": metavar, "min": least})


def _flag(*names: str, says: str) -> Any:
    return field(default=False, metadata={"names": names, "help": says})


@dataclass(slots=True, eq=False, repr=False)
class Options:
    """What may be asked for, as it was typed. Lists are None where nothing was given."""

    prompt_file: str | None = _value("--prompt-file", says="Read the task from a file.")
    model: str | None = _value("-m", "--model", says="Model [default: Codex's own].")
    reasoning: str | None = _value(
        "-r", "--reasoning", says="none, minimal, low, medium, high, xhigh [default: Codex's own]."
    )
    sandbox: str | None = _value(
        "-s",
        "--sandbox",
        says="read-only, workspace-write or danger-full-access [default: workspace-write; review: read-only].",
    )
    file: list[str] | None = _value(
        "-f", "--file", says="Put the files of this glob into the prompt; !GLOB leaves some out."
    )
    directory: str | None = _value(
        "-d", "--dir", says="The agent's working directory [default: this one; resume: the thread's own]."
    )
    use_map: bool = _flag("--map", says="Put the codebase map into the prompt.")
    one_shot: bool = _flag("--one-shot", says="The agent does its task and ends (the default).")
    interactive: bool = _flag("--interactive", says="An agent that stays: it takes messages and may ask.")
    plain: bool = _flag("--plain", says="With --interactive: Codex's bare TUI, for a Codex without the channel.")
    approval: str | None = _value(
        "--approval",
        metavar="POLICY",
        says="With --interactive, when it asks before it acts: never, on-request, untrusted, on-failure "
        "(also skip, auto-edit, suggest), as far as your Codex has it.",
    )
    idle_exit: str | None = _value(
        "--idle-exit",
        metavar="DURATION",
        says="With --interactive: end it after so long idle with nobody attached; seconds, or 10m, 2h; off is "
        "never [default: 30, or idle_grace_s].",
    )
    instructions: str | None = _value("--instructions", metavar="TEXT", says="What it is told besides its task.")
    instructions_file: str | None = _value("--instructions-file", metavar="FILE", says="The same, from a file.")
    agents_md: bool = _flag("--agents-md", says="Tell it how to work under this tool; no file is written.")
    named: str | None = _value(
        "--as", metavar="NAME", says="Use this profile of the settings; what is given here wins."
    )
    add_dir: list[str] | None = _value("--add-dir", says="Another directory the agent may write.")
    image: list[str] | None = _value("-i", "--image", says="An image for the prompt.")
    profile: str | None = _value("-p", "--profile", says="Profile of Codex's configuration.")
    config: list[str] | None = _value(
        "-c", "--config", metavar="KEY=VALUE", says="Codex configuration, handed on as it is."
    )
    output_schema: str | None = _value("--output-schema", says="JSON Schema the last message must follow.")
    skip_git_repo_check: bool = _flag("--skip-git-repo-check", says="Run outside a git repository.")
    thread_source: str | None = _value(
        "--thread-source", metavar="WORD", says="What Codex writes down as the thread's source, as far as it can."
    )
    parent_session: str | None = _value(
        "--parent-session", says="Id of the session that starts this, for the record."
    )
    name: str | None = _value("--name", says="A name that works as an id.")
    timeout: str | None = _value(
        "--timeout",
        metavar="DURATION",
        says="End it after so long without activity; minutes, or 90s, 2h; 0 is never [default: 60].",
    )
    max_time: str | None = _value(
        "--max-time", metavar="DURATION", says="End it after so long in all [default: never]."
    )
    budget: str | None = _value(
        "--budget",
        metavar="TOKENS|USD",
        says="End it when it has used so many tokens (500k, 2M) or dollars (5usd), sub-agents included.",
    )
    wait: bool = _flag(
        "--wait", says="Return when it has ended; exit 1 unless completed. With --interactive: as await-turn does."
    )
    notify_on_complete: str | None = _value(
        "--notify-on-complete", metavar="CMD", says="Run this (without a shell) when it has ended."
    )
    gate: list[str] | None = _value(
        "--gate", metavar="NAME", says="Hold a slot of this gate while it runs; repeatable."
    )
    after: list[str] | None = _value(
        "--after", metavar="ID", says="Begin when this job has completed; repeatable."
    )
    after_any: list[str] | None = _value(
        "--after-any", metavar="ID", says="Begin when this job has ended, however; repeatable."
    )
    max_parallel: int | None = _value(
        "--max-parallel",
        metavar="N",
        least=0,
        says="Begin when fewer than N agents are at work; 0: at once [default: 0, or queue.max_parallel].",
    )
    issue: str | None = _value("--issue", metavar="WORD", says="The issue it works on.")
    no_track: bool = _flag("--no-track", says="Note no branches and pull requests that it makes.")
    worktree: str | None = _value(
        "--worktree",
        metavar="[BRANCH]",
        says="Give it a git worktree of its own [default: on a new branch, codex-agent/NAME].",
    )
    base: str | None = _value("--base", metavar="REF", says="Where a new worktree begins [default: HEAD].")
    setup: str | None = _value(
        "--setup",
        metavar="CMD",
        says="Run this (without a shell) in the new worktree first [default: worktree.setup].",
    )
    allow_commits: bool = _flag(
        "--allow-commits",
        says="Let the agent write git's own folders. Hooks and settings that it puts there run outside its "
        "sandbox, at the next git command.",
    )
    commit: bool = _flag("--commit", says="Commit what it changed in its worktree at the end of turns and job.")
    no_overlap_check: bool = _flag("--no-overlap-check", says="Say nothing of others at work in the same tree.")
    dry_run: bool = _flag("--dry-run", says="Show what would run, and run nothing.")
    json_output: bool = _flag("--json", says="Print JSON.")


def store() -> Store:
    """The jobs of this CODEX_AGENT_HOME."""
    return Store(settings_room.home(os.environ))


def settings() -> settings_room.Settings:
    """The settings in force."""
    return settings_room.load(os.environ)


def duration(text: str, unit: str, what: str) -> float:
    """Seconds from ``90``, ``90s``, ``10m``, ``2h`` or ``7d``; a bare number is in ``unit``."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{what}: '{text}' is no duration.", "Such as 90s, 10m, 2h or 7d.")
    return float(match[1]) * _UNITS[match[2] or unit]


def resolve_all(where: Store, refs: list[str]) -> list[str]:
    """The ids these references mean, each once, in order."""
    return list(dict.fromkeys(where.resolve(ref) for ref in refs))


def read_prompt(prompt: str | None, options: Options) -> str:
    """The task, from wherever it was given. Raises UsageError if it was not."""
    from codex_agent import codex
    from codex_agent import prompt as prompt_room

    return prompt_room.read_prompt(prompt, options.prompt_file, sys.stdin.buffer, limit=codex.MAX_PROMPT_CHARS)


def start_options(options: Options) -> StartOptions:
    """The same for ``starting``, with no prompt yet and its profile applied. Raises UsageError."""
    from codex_agent import profiles
    from codex_agent.start_options import StartOptions
    from codex_agent.worktrees import TreeOptions

    if options.interactive and options.one_shot:
        raise UsageError("--interactive and --one-shot are opposites.", "Give one of them.")
    given = StartOptions(
        prompt="",
        cwd="." if options.directory is None else options.directory,
        files=options.file or [],
        use_map=options.use_map,
        model=options.model,
        reasoning=options.reasoning,
        sandbox=options.sandbox,
        add_dirs=options.add_dir or [],
        images=options.image or [],
        profile=options.profile,
        config=options.config or [],
        output_schema=options.output_schema,
        skip_git_repo_check=options.skip_git_repo_check,
        thread_source=options.thread_source,
        parent_session=options.parent_session,
        name=options.name,
        timeout_s=None if options.timeout is None else duration(options.timeout, "m", "--timeout"),
        max_time_s=None if options.max_time is None else duration(options.max_time, "m", "--max-time"),
        notify_on_complete=options.notify_on_complete,
        interactive=options.interactive,
        plain=options.plain,
        approval=options.approval,
        idle_exit_s=None if options.idle_exit is None else _idle_exit(options.idle_exit),
        gates=options.gate or [],
        after=resolve_all(store(), options.after or []),
        after_any=resolve_all(store(), options.after_any or []),
        max_parallel=options.max_parallel,
        budget=options.budget,
        overlap_check=not options.no_overlap_check,
        issue=options.issue,
        track=not options.no_track,
        instructions=options.instructions,
        instructions_file=options.instructions_file,
        agents_md=options.agents_md,
        named=options.named,
        tree=TreeOptions(options.worktree, options.base, options.setup, options.allow_commits, options.commit),
    )
    return given if options.named is None else profiles.applied(given, settings())


def _idle_exit(text: str) -> float:
    return 0.0 if text.strip() == "off" else duration(text, "s", "--idle-exit")
