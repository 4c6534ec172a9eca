"""Owns the command ``review``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.asked import Options, read_prompt, settings, start_options, store
from codex_agent.cli.beginning import begin
from codex_agent.cli.options import takes_options
from codex_agent.cli.telling import print_json, print_text
from codex_agent.model import Job
from codex_agent.review_text import as_text

if TYPE_CHECKING:
    from codex_agent.review_answers import Review

# What a review has no use for.
_WITHOUT = (
    *("prompt_file", "file", "use_map", "one_shot", "interactive", "plain", "approval", "idle_exit"),
    *("image", "output_schema", "thread_source", "worktree", "base", "setup", "allow_commits", "commit"),
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(review)


@takes_options(without=_WITHOUT)
def review(
    prompt: Annotated[
        str | None,
        typer.Argument(
            metavar="[PROMPT]",
            help="What to look at, or to look out for; - reads it from stdin. Alone, it says what to review.",
            show_default=False,
        ),
    ] = None,
    uncommitted: Annotated[
        bool, typer.Option("--uncommitted", help="Staged, unstaged and untracked changes (the default).")
    ] = False,
    base: Annotated[
        str | None, typer.Option("--base", metavar="BRANCH", help="What this branch has over that one.")
    ] = None,
    commit: Annotated[
        str | None, typer.Option("--commit", metavar="SHA", help="What this commit changed.")
    ] = None,
    *,
    options: Options,
) -> int:
    """Have an agent review code; changes nothing. Its findings: --wait, or output ID --review."""
    from codex_agent import reviewing

    where, chosen = store(), settings()
    wanted = start_options(options)
    wanted.prompt = "" if prompt is None else read_prompt(prompt, options)
    about = reviewing.target(wanted.cwd, uncommitted=uncommitted, base=base, commit=commit, prompt=wanted.prompt)
    planned = reviewing.plan(wanted, about, chosen, os.environ)

    def show_end(job: Job) -> None:
        if job.status != "completed":
            raise reviewing.failed(job)
        show(reviewing.read(where, job.id), options.json_output)

    return begin(planned, options, where, chosen, show_end)


def show(found: Review, json_output: bool) -> None:
    """Prints it."""
    if json_output:
        print_json(found)
    else:
        print_text(as_text(found))
