"""Owns the options that every command which begins an agent has: ``start``, ``resume``, ``review``.

``Options`` lists them once; ``takes_options`` puts them onto a command, which gets them as one value. Must never
start anything.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from codex_agent.cli.common import (
    Json,
    duration,
    resolve_all,
    settings,
    store,
)
from codex_agent.errors import UsageError
from codex_agent.worktrees import TreeOptions

if TYPE_CHECKING:
    from codex_agent.start_options import StartOptions


@dataclass(slots=True)
class Options:
    """What may be asked for, as it was typed. Lists are None where nothing was given."""

    prompt_file: Annotated[str | None, typer.Option("--prompt-file", help="Read the task from a file.")] = None
    model: Annotated[str | None, typer.Option("-m", "--model", help="Model [default: Codex's own].")] = None
    reasoning: Annotated[
        str | None,
        typer.Option("-r", "--reasoning", help="none, minimal, low, medium, high, xhigh [default: Codex's own]."),
    ] = None
    sandbox: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--sandbox",
            help="read-only, workspace-write or danger-full-access [default: workspace-write; review: read-only].",
        ),
    ] = None
    file: Annotated[
        list[str] | None,
        typer.Option("-f", "--file", help="Put the files of this glob into the prompt; !GLOB leaves some out."),
    ] = None
    directory: Annotated[
        str | None,
        typer.Option(
            "-d", "--dir", help="The agent's working directory [default: this one; resume: the thread's own]."
        ),
    ] = None
    use_map: Annotated[bool, typer.Option("--map", help="Put the codebase map into the prompt.")] = False
    one_shot: Annotated[
        bool, typer.Option("--one-shot", help="The agent does its task and ends (the default).")
    ] = False
    interactive: Annotated[
        bool, typer.Option("--interactive", help="An agent that stays: it takes messages and may ask.")
    ] = False
    plain: Annotated[
        bool,
        typer.Option("--plain", help="With --interactive: Codex's bare TUI, for a Codex without the channel."),
    ] = False
    approval: Annotated[
        str | None,
        typer.Option(
            "--approval",
            metavar="POLICY",
            help="With --interactive, when it asks before it acts: never, on-request, untrusted, on-failure "
            "(also skip, auto-edit, suggest), as far as your Codex has it.",
        ),
    ] = None
    idle_exit: Annotated[
        str | None,
        typer.Option(
            "--idle-exit",
            metavar="DURATION",
            help="With --interactive: end it after so long idle with nobody attached; seconds, or 10m, 2h; off is "
            "never [default: 30, or idle_grace_s].",
        ),
    ] = None
    instructions: Annotated[
        str | None,
        typer.Option("--instructions", metavar="TEXT", help="What it is told besides its task."),
    ] = None
    instructions_file: Annotated[
        str | None, typer.Option("--instructions-file", metavar="FILE", help="The same, from a file.")
    ] = None
    agents_md: Annotated[
        bool,
        typer.Option("--agents-md", help="Tell it how to work under this tool; no file is written."),
    ] = False
    named: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Use this profile of the settings; what is given here wins."),
    ] = None
    add_dir: Annotated[
        list[str] | None, typer.Option("--add-dir", help="Another directory the agent may write.")
    ] = None
    image: Annotated[list[str] | None, typer.Option("-i", "--image", help="An image for the prompt.")] = None
    profile: Annotated[str | None, typer.Option("-p", "--profile", help="Profile of Codex's configuration.")] = (
        None
    )
    config: Annotated[
        list[str] | None,
        typer.Option("-c", "--config", metavar="KEY=VALUE", help="Codex configuration, handed on as it is."),
    ] = None
    output_schema: Annotated[
        str | None, typer.Option("--output-schema", help="JSON Schema the last message must follow.")
    ] = None
    skip_git_repo_check: Annotated[
        bool, typer.Option("--skip-git-repo-check", help="Run outside a git repository.")
    ] = False
    thread_source: Annotated[
        str | None,
        typer.Option(
            "--thread-source",
            metavar="WORD",
            help="What Codex writes down as the thread's source, as far as it can.",
        ),
    ] = None
    parent_session: Annotated[
        str | None,
        typer.Option("--parent-session", help="Id of the session that starts this, for the record."),
    ] = None
    name: Annotated[str | None, typer.Option("--name", help="A name that works as an id.")] = None
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="End it after so long without activity; minutes, or 90s, 2h; 0 is never [default: 60].",
        ),
    ] = None
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", metavar="DURATION", help="End it after so long in all [default: never]."),
    ] = None
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="TOKENS|USD",
            help="End it when it has used so many tokens (500k, 2M) or dollars (5usd), sub-agents included.",
        ),
    ] = None
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Return when it has ended; exit 1 unless completed. With --interactive: as await-turn does.",
        ),
    ] = False
    notify_on_complete: Annotated[
        str | None,
        typer.Option("--notify-on-complete", metavar="CMD", help="Run this (without a shell) when it has ended."),
    ] = None
    gate: Annotated[
        list[str] | None,
        typer.Option("--gate", metavar="NAME", help="Hold a slot of this gate while it runs; repeatable."),
    ] = None
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="ID", help="Begin when this job has completed; repeatable."),
    ] = None
    after_any: Annotated[
        list[str] | None,
        typer.Option("--after-any", metavar="ID", help="Begin when this job has ended, however; repeatable."),
    ] = None
    max_parallel: Annotated[
        int | None,
        typer.Option(
            "--max-parallel",
            metavar="N",
            min=0,
            help="Begin when fewer than N agents are at work; 0: at once [default: 0, or queue.max_parallel].",
        ),
    ] = None
    issue: Annotated[str | None, typer.Option("--issue", metavar="WORD", help="The issue it works on.")] = None
    no_track: Annotated[
        bool, typer.Option("--no-track", help="Note no branches and pull requests that it makes.")
    ] = False
    worktree: Annotated[
        str | None,
        typer.Option(
            "--worktree",
            metavar="[BRANCH]",
            help="Give it a git worktree of its own [default: on a new branch, codex-agent/NAME].",
        ),
    ] = None
    base: Annotated[
        str | None, typer.Option("--base", metavar="REF", help="Where a new worktree begins [default: HEAD].")
    ] = None
    setup: Annotated[
        str | None,
        typer.Option(
            "--setup",
            metavar="CMD",
            help="Run this (without a shell) in the new worktree first [default: worktree.setup].",
        ),
    ] = None
    allow_commits: Annotated[
        bool,
        typer.Option(
            "--allow-commits",
            help="Let the agent write git's own folders. Hooks and settings that it puts there run outside its "
            "sandbox, at the next git command.",
        ),
    ] = False
    commit: Annotated[
        bool,
        typer.Option("--commit", help="Commit what it changed in its worktree at the end of turns and job."),
    ] = False
    no_overlap_check: Annotated[
        bool, typer.Option("--no-overlap-check", help="Say nothing of others at work in the same tree.")
    ] = False
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")] = False
    json_output: Json = False


@functools.cache
def _parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(Options, include_extras=True)
    kind = inspect.Parameter.KEYWORD_ONLY
    return [
        inspect.Parameter(field.name, kind, default=field.default, annotation=hints[field.name])
        for field in dataclasses.fields(Options)
    ]


def takes_options(*, without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command these options, behind its own; it gets them as its last argument, ``options``.

    Those named in ``without`` it does not have; in what it gets they are as if not given.
    """
    shared = [each for each in _parameters() if each.name not in without]

    def put_on(command: Callable[..., None]) -> Callable[..., None]:
        def call(**given: Any) -> None:
            options = Options(**{each.name: given.pop(each.name) for each in shared})
            command(**given, options=options)

        own = [
            each
            for each in inspect.signature(command, eval_str=True).parameters.values()
            if each.name != "options"
        ]
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
        call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return call

    return put_on


def read_prompt(prompt: str | None, options: Options) -> str:
    """The task, from wherever it was given. Raises UsageError if it was not."""
    from codex_agent import codex
    from codex_agent import prompt as prompt_room

    return prompt_room.read_prompt(prompt, options.prompt_file, sys.stdin.buffer, limit=codex.MAX_PROMPT_CHARS)


def start_options(options: Options) -> StartOptions:
    """The same for ``starting``, with no prompt yet and its profile applied. Raises UsageError."""
    from codex_agent import profiles
    from codex_agent.start_options import StartOptions

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
