"""Owns the commands that look: status, jobs, wait, capture, output, watch, attach, sessions."""

from __future__ import annotations

import os
import sys
from typing import Annotated, cast, get_args

import typer

from codex_agent import jobs as jobs_room
from codex_agent import logs, screen, tmux
from codex_agent import transcript as transcript_room
from codex_agent.answers import Attach, Captured, Events, Output
from codex_agent.cli.common import (
    Fields,
    JobRef,
    JobRefs,
    Json,
    Strip,
    check_fields,
    exit_of_job,
    print_jobs_json,
    resolve_all,
    settings,
    store,
    wait_for,
    worst,
)
from codex_agent.cli.telling import color, note, print_json, print_text
from codex_agent.errors import EXIT_FAILED, EXIT_TIMED_OUT, UsageError
from codex_agent.fast.limit import keep as keep_limit
from codex_agent.job_text import details, outcome, table
from codex_agent.jobs import Until
from codex_agent.model import TERMINAL

_STATUSES = ("pending", "queued", "running", "completed", "failed", "interrupted")


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    for command in (status, jobs, wait, capture, output, watch, attach, sessions):
        app.command()(command)


def status(ref: JobRef, fields: Fields = None, json_output: Json = False) -> None:
    """Say what one job is doing, or how it ended."""
    check_fields(fields, json_output)
    where = store()
    job = jobs_room.view(where, where.resolve(ref))
    if json_output:
        print_jobs_json(job, fields)
    else:
        print_text(details(job, color=color()))


def jobs(
    show_all: Annotated[bool, typer.Option("--all", help="All of them, however many.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many [default: 20, or jobs_limit].")
    ] = None,
    status: Annotated[
        list[str] | None, typer.Option("--status", help=f"Only {', '.join(_STATUSES)}; repeatable.")
    ] = None,
    fields: Fields = None,
    json_output: Json = False,
) -> None:
    """List jobs: running ones first, then the newest."""
    check_fields(fields, json_output)
    for word in status or ():
        if word not in _STATUSES:
            raise UsageError(f"Unknown status '{word}'.", f"One of {', '.join(_STATUSES)}.")
    most = None if show_all else limit or _usual_limit()
    answer = jobs_room.listing(store(), statuses=status or (), limit=most)
    if json_output:
        print_jobs_json(answer, fields)
        return
    print_text(table(answer.jobs, color=color()))
    if answer.total > len(answer.jobs):
        note(f"{answer.total - len(answer.jobs)} more: --all")
    for problem in answer.problems:
        note(f"warning: {problem.message}")


def _usual_limit() -> int:
    usual = settings().jobs_limit
    keep_limit(os.environ, usual)
    return usual


def wait(
    refs: JobRefs,
    until: Annotated[
        str,
        typer.Option(
            "--until",
            metavar="WHAT",
            help="end: the job has ended. turn: the agent has handed its turn back, needs you, or ended. "
            "approval: it needs you, or ended.",
        ),
    ] = "end",
    wait_any: Annotated[bool, typer.Option("--any", help="Return when one of them is so far.")] = False,
    wait_all: Annotated[bool, typer.Option("--all", help="Return when all are (the default).")] = False,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="S", min=0, help="Give up after so many seconds (exit 124)."),
    ] = None,
    fields: Fields = None,
    json_output: Json = False,
) -> None:
    """Sleep until jobs have ended. Exit 0: completed; 1: failed or interrupted; 124: timed out.

    With --until turn or approval also, and first: 10: one needs you; 11: one is at its context or usage limit.
    """
    check_fields(fields, json_output)
    if wait_any and wait_all:
        raise UsageError("--any and --all are opposites.", "Give one of them.")
    if until not in get_args(Until):
        raise UsageError(f"--until: there is no '{until}' to wait for.", f"One of {', '.join(get_args(Until))}.")
    where = store()
    ids = resolve_all(where, refs)
    done = wait_for(where, ids, until=cast(Until, until), wait_any=wait_any, timeout_s=timeout)
    answer = jobs_room.several(where, ids)
    if json_output:
        print_jobs_json(answer, fields)
    else:
        for job in answer.jobs:
            print_text(outcome(job))
    if not done:
        if not json_output:
            note(f"Timed out after {timeout:g} s.")
        raise typer.Exit(EXIT_TIMED_OUT)
    if until != "end":
        raise typer.Exit(worst(exit_of_job(job) for job in answer.jobs))
    if any(job.status in TERMINAL and job.status != "completed" for job in answer.jobs):
        raise typer.Exit(EXIT_FAILED)


def capture(
    ref: JobRef,
    lines: Annotated[int, typer.Argument(metavar="[N]", min=1, help="How many lines.", show_default=True)] = 50,
    strip: Strip = False,
    json_output: Json = False,
) -> None:
    """Print the last lines of a job's pane, also after its end."""
    where = store()
    job_id = where.resolve(ref)
    last = logs.capture(where, job_id, lines, clean=strip)
    if json_output:
        print_json(Captured(job_id, last))
    else:
        for line in last:
            print_text(line)


def output(
    ref: JobRef,
    events: Annotated[bool, typer.Option("--events", help="What happened to the job, one line each.")] = False,
    result: Annotated[bool, typer.Option("--result", help="The agent's final message.")] = False,
    prompt: Annotated[bool, typer.Option("--prompt", help="The prompt Codex got.")] = False,
    transcript: Annotated[
        bool, typer.Option("--transcript", help="The conversation: who said what, commands, changed files.")
    ] = False,
    review: Annotated[bool, typer.Option("--review", help="What a review found.")] = False,
    strip: Strip = False,
    json_output: Json = False,
) -> None:
    """Print all a job has shown in its pane, or its conversation, events, result, prompt or review."""
    if events + result + prompt + transcript + review > 1:
        raise UsageError(
            "--transcript, --events, --result, --prompt and --review exclude each other.", "Give one of them."
        )
    where = store()
    job_id = where.resolve(ref)
    if review:
        from codex_agent import reviewing
        from codex_agent.cli.reviewing import show

        show(reviewing.read(where, job_id), json_output)
        return
    if transcript:
        source = transcript_room.source(where, job_id)
        if json_output:
            print_json(transcript_room.whole(source))
        else:
            for piece in transcript_room.text(source):
                sys.stdout.write(piece)
        return
    if events:
        found, bad = logs.events(where, job_id)
        if json_output:
            print_json(Events(job_id, found, bad))
        else:
            for event in found:
                print_text(logs.event_line(event))
        return
    pieces = logs.pieces(where, job_id, ".prompt" if prompt else ".log")
    if result:
        pieces = iter([logs.result(where, job_id)])
    if strip:
        pieces = screen.clean(pieces)
    if json_output:
        print_json(Output(job_id, "result" if result else "prompt" if prompt else "log", "".join(pieces)))
    elif result:
        print_text("".join(pieces))
    else:
        for piece in pieces:
            sys.stdout.write(piece)


def watch(ref: JobRef, strip: Strip = False, json_output: Json = False) -> None:
    """Follow a job until its end. With --json: Codex's events as they come, then the job."""
    where = store()
    job_id = where.resolve(ref)
    pieces = logs.follow(where, job_id, ".jsonl" if json_output else ".log")
    # Each line at once: what is printed cannot be taken back.
    for piece in screen.clean(pieces, height=1) if strip and not json_output else pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
    job = jobs_room.view(where, job_id)
    if json_output:
        print_json(job)
    if job.status != "completed":
        raise typer.Exit(EXIT_FAILED)


def attach(
    ref: JobRef,
    execute: Annotated[bool, typer.Option("--exec", help="Attach now, in this terminal.")] = False,
    json_output: Json = False,
) -> None:
    """Print the command that attaches to a running job's session (leave: Ctrl-b d; inside tmux: Ctrl-b L)."""
    import shlex

    where = store()
    answer: Attach = logs.attach(where, where.resolve(ref), os.environ)
    if execute:
        tmux.version(os.environ)  # says what to do if there is none
        sys.stdout.flush()
        os.execvp(answer.command[0], answer.command)  # noqa: S606 (an argv list, not a shell)
    if json_output:
        print_json(answer)
    else:
        print_text(shlex.join(answer.command))


def sessions(json_output: Json = False) -> None:
    """List the tmux sessions of jobs."""
    import shlex

    answer = logs.sessions(store(), settings(), os.environ)
    if json_output:
        print_json(answer)
        return
    for row in answer.sessions:
        seen = f"{row.attached} attached" if row.attached else "nobody attached"
        print_text(f"{row.name}  {row.status or 'unknown job'}  {seen}  {shlex.join(row.command)}")
    if not answer.sessions:
        print_text("No sessions.")
