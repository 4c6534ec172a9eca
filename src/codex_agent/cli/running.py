"""Owns the commands that begin work: ``start``, ``resume`` and ``demo``."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from codex_agent.cli import beginning
from codex_agent.cli.asked import Options, read_prompt, settings, start_options, store
from codex_agent.cli.common import Json
from codex_agent.cli.options import takes_options
from codex_agent.errors import UsageError


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(start)
    app.command()(resume)
    app.command()(demo)


@takes_options()
def start(
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The task; - reads it from stdin.", show_default=False),
    ] = None,
    *,
    options: Options,
) -> int:
    """Start an agent on a task; returns once it runs."""
    return beginning.start(prompt, options)


@takes_options(without=("one_shot", "thread_source"))
def resume(
    thread: Annotated[
        str | None,
        typer.Argument(
            metavar="THREAD",
            help="A thread's id, a unique prefix of one, codex://threads/ID, a job, or last.",
            show_default=False,
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Argument(metavar="[PROMPT]", help="How to go on; - reads it from stdin.", show_default=False),
    ] = None,
    last: Annotated[
        bool,
        typer.Option("--last", help="The thread that was active last; with --dir: the last one of that folder."),
    ] = False,
    fork: Annotated[
        bool, typer.Option("--fork", help="Leave that thread as it is: a new one that begins with its history.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Try it even if another process has the thread.")] = False,
    *,
    options: Options,
) -> int:
    """Go on with a Codex session, whoever began it, as a job; --interactive without PROMPT waits in it."""
    from codex_agent import resuming
    from codex_agent.codex.home import codex_home
    from codex_agent.threads.refs import newest, resolve

    if last and prompt is not None:
        raise UsageError("--last and THREAD exclude each other.", 'Like this: resume --last "..."')
    if last or thread == "last":
        prompt, thread = (thread, None) if last else (prompt, None)
    elif thread is None:
        raise UsageError(
            "Which thread? THREAD is missing.", "codex-agent threads lists them; --last is the newest."
        )
    where, chosen, home = store(), settings(), codex_home(os.environ)
    wanted = start_options(options)
    if prompt is not None or options.prompt_file is not None or not wanted.interactive:
        wanted.prompt = read_prompt(prompt, options)
    ref = newest(where, home, options.directory) if thread is None else resolve(where, home, thread)
    how = resuming.Wanted(forked=fork, force=force, directory=options.directory)
    planned = resuming.plan(where, ref, how, wanted, chosen, os.environ)
    return beginning.begin(planned, options, where, chosen)


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the jobs and the repository behind.")] = False,
    json_output: Json = False,
) -> None:
    """Three real Codex agents on a scripted model: no account, no network, nothing left behind."""
    from codex_agent.demo.run import run_demo

    raise typer.Exit(run_demo(keep=keep, json_output=json_output))
