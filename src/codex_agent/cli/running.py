"""Owns the commands that begin work: ``start`` and ``demo``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from codex_agent.answers import DryRun
from codex_agent.calling import me
from codex_agent.cli.common import Json, duration, note, print_json, print_text, settings, store, wait_for
from codex_agent.cli.show import details
from codex_agent.cli.talking import wait_for_turn
from codex_agent.errors import EXIT_FAILED, UsageError
from codex_agent.model import Job

# Approval policies that an exec agent has anyway; the last two are what such a policy was once called.
_NEVER_ASKS = ("never", "skip", "auto-edit")


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(start)
    app.command()(demo)


def start(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The task; - reads it from stdin.", show_default=False),
    ] = None,
    prompt_file: Annotated[str | None, typer.Option("--prompt-file", help="Read the task from a file.")] = None,
    model: Annotated[str | None, typer.Option("-m", "--model", help="Model [default: Codex's own].")] = None,
    reasoning: Annotated[
        str | None,
        typer.Option("-r", "--reasoning", help="none, minimal, low, medium, high, xhigh [default: Codex's own]."),
    ] = None,
    sandbox: Annotated[
        str | None,
        typer.Option(
            "-s",
            "--sandbox",
            help="read-only, workspace-write or danger-full-access [default: workspace-write].",
        ),
    ] = None,
    file: Annotated[
        list[str] | None,
        typer.Option("-f", "--file", help="Put the files of this glob into the prompt; !GLOB leaves some out."),
    ] = None,
    directory: Annotated[str, typer.Option("-d", "--dir", help="The agent's working directory.")] = ".",
    use_map: Annotated[bool, typer.Option("--map", help="Put the codebase map into the prompt.")] = False,
    one_shot: Annotated[
        bool, typer.Option("--one-shot", help="The agent does its task and ends (the default).")
    ] = False,
    interactive: Annotated[
        bool, typer.Option("--interactive", help="An agent that stays: it takes messages and may ask.")
    ] = False,
    plain: Annotated[
        bool,
        typer.Option("--plain", help="With --interactive: Codex's bare TUI, for a Codex without the channel."),
    ] = False,
    approval: Annotated[
        str | None,
        typer.Option(
            "--approval",
            metavar="POLICY",
            help="With --interactive, when it asks before it acts: never, on-request, untrusted, on-failure "
            "(also skip, auto-edit, suggest), as far as your Codex has it.",
        ),
    ] = None,
    idle_exit: Annotated[
        str | None,
        typer.Option(
            "--idle-exit",
            metavar="DURATION",
            help="With --interactive: end it after so long idle with nobody attached; seconds, or 10m, 2h; off is "
            "never [default: 30, or idle_grace_s].",
        ),
    ] = None,
    add_dir: Annotated[
        list[str] | None, typer.Option("--add-dir", help="Another directory the agent may write.")
    ] = None,
    image: Annotated[list[str] | None, typer.Option("-i", "--image", help="An image for the prompt.")] = None,
    profile: Annotated[
        str | None, typer.Option("-p", "--profile", help="Profile of Codex's configuration.")
    ] = None,
    config: Annotated[
        list[str] | None,
        typer.Option("-c", "--config", metavar="KEY=VALUE", help="Codex configuration, handed on as it is."),
    ] = None,
    output_schema: Annotated[
        str | None, typer.Option("--output-schema", help="JSON Schema the last message must follow.")
    ] = None,
    skip_git_repo_check: Annotated[
        bool, typer.Option("--skip-git-repo-check", help="Run outside a git repository.")
    ] = False,
    parent_session: Annotated[
        str | None,
        typer.Option("--parent-session", help="Id of the session that starts this, for the record."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="A name that works as an id.")] = None,
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout",
            metavar="DURATION",
            help="End it after so long without activity; minutes, or 90s, 2h; 0 is never [default: 60].",
        ),
    ] = None,
    max_time: Annotated[
        str | None,
        typer.Option("--max-time", metavar="DURATION", help="End it after so long in all [default: never]."),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Return when it has ended; exit 1 unless completed. With --interactive: as await-turn does.",
        ),
    ] = False,
    notify_on_complete: Annotated[
        str | None,
        typer.Option("--notify-on-complete", metavar="CMD", help="Run this (without a shell) when it has ended."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run, and run nothing.")] = False,
    json_output: Json = False,
) -> None:
    """Start an agent on a task; returns once it runs."""
    from codex_agent import codex, starting
    from codex_agent import prompt as prompt_room

    if interactive and one_shot:
        raise UsageError("--interactive and --one-shot are opposites.", "Give one of them.")
    if not interactive:
        _needs_interactive(plain, approval, idle_exit)
    where, chosen = store(), settings()
    options = starting.StartOptions(
        prompt=prompt_room.read_prompt(prompt, prompt_file, sys.stdin.buffer, limit=codex.MAX_PROMPT_CHARS),
        cwd=directory,
        files=file or [],
        use_map=use_map,
        model=model,
        reasoning=reasoning,
        sandbox=sandbox,
        add_dirs=add_dir or [],
        images=image or [],
        profile=profile,
        config=config or [],
        output_schema=output_schema,
        skip_git_repo_check=skip_git_repo_check,
        parent_session=parent_session,
        name=name,
        timeout_s=None if timeout is None else duration(timeout, "m", "--timeout"),
        max_time_s=None if max_time is None else duration(max_time, "m", "--max-time"),
        notify_on_complete=notify_on_complete,
        interactive=interactive,
        plain=plain,
        approval=approval,
        idle_exit_s=None if idle_exit is None else _idle_exit(idle_exit),
    )
    planned = starting.plan(options, chosen, os.environ)
    if dry_run:
        _show_plan(planned, json_output)
        return
    if not json_output:
        for notice in planned.notices:
            note(f"note: {notice}")
    job = starting.start(planned, chosen, where, os.environ)
    if wait and interactive:
        if not json_output:
            note(f"{job.id} started; waiting for its turn's end ({me()} attach {job.id} shows it)")
        raise typer.Exit(wait_for_turn(where, job.id, None, json_output))
    if wait:
        from codex_agent import jobs

        if not json_output:
            note(f"{job.id} started; waiting for its end (codex-agent watch {job.id} shows it)")
        wait_for(where, [job.id])
        job = jobs.view(where, job.id)
    _show_job(job, json_output, ended=wait, version=planned.found.version)
    if wait and job.status != "completed":
        raise typer.Exit(EXIT_FAILED)


def _needs_interactive(plain: bool, approval: str | None, idle_exit: str | None) -> None:
    """Raises UsageError for what only an agent that stays can have."""
    if approval is not None and approval not in _NEVER_ASKS:
        raise UsageError(
            f"--approval {approval} needs --interactive: an agent that does its task and ends cannot ask anybody.",
            "Add --interactive, or leave --approval out.",
        )
    for given, option in ((plain, "--plain"), (idle_exit is not None, "--idle-exit")):
        if given:
            raise UsageError(f"{option} is for agents that stay.", f"Add --interactive, or leave {option} out.")


def _idle_exit(text: str) -> float:
    return 0.0 if text.strip() == "off" else duration(text, "s", "--idle-exit")


def _show_job(job: Job, json_output: bool, *, ended: bool, version: str) -> None:
    if json_output:
        print_json(job)
    elif ended:
        print_text(details(job, color=False))
    elif job.mode == "interactive":
        plainly = " (plain)" if job.driver == "plain" else ""
        print_text(
            f"{job.id} started: Codex {version}, interactive{plainly}, {job.sandbox}, approval {job.approval}, "
            f"{job.cwd}"
        )
        print_text(f'  {me()} send {job.id} "..." | await-turn {job.id} | approvals {job.id}')
        print_text(f"  {me()} status {job.id} | attach {job.id} | exit {job.id} | kill {job.id}")
    else:
        print_text(f"{job.id} started: Codex {version}, {job.sandbox}, {job.cwd}")
        print_text(f"  {me()} status {job.id} | watch {job.id} | wait {job.id} | attach {job.id} | kill {job.id}")


def _show_plan(planned: object, json_output: bool) -> None:
    import shlex

    from codex_agent.starting import Plan

    assert isinstance(planned, Plan)
    answer = DryRun(
        dry_run=True,
        prompt=planned.prompt.text,
        prompt_chars=planned.prompt.chars,
        tokens_estimated=planned.prompt.tokens_estimated,
        argv=planned.request.argv,
        viewer_argv=planned.request.viewer_argv,
        cwd=planned.request.cwd,
        codex_path=planned.found.path,
        codex_version=planned.found.version,
        notices=planned.notices,
    )
    if json_output:
        print_json(answer)
        return
    for notice in planned.notices:
        note(f"note: {notice}")
    print_text(answer.prompt)
    note(f"{answer.prompt_chars} characters, about {answer.tokens_estimated} tokens; not started. Would run:")
    note(f"  {shlex.join(answer.argv)}")
    if answer.viewer_argv:
        note("and in the pane:")
        note(f"  {shlex.join(answer.viewer_argv)}")


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the jobs and the repository behind.")] = False,
    json_output: Json = False,
) -> None:
    """Three real Codex agents on a scripted model: no account, no network, nothing left behind."""
    from codex_agent.demo.run import run_demo

    raise typer.Exit(run_demo(keep=keep, json_output=json_output))
