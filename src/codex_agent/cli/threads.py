"""Owns the commands that look at Codex sessions wherever they run: ``threads`` and ``thread``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.common import (
    Json,
    duration,
    settings,
    store,
)
from codex_agent.cli.show_threads import details, table
from codex_agent.cli.telling import color, note, print_json, print_text
from codex_agent.codex.home import codex_home
from codex_agent.errors import UsageError

if TYPE_CHECKING:
    from codex_agent.threads.refs import Ref

_LAST = 3

ThreadRef = Annotated[
    str,
    typer.Argument(
        metavar="THREAD",
        help="A thread id or a unique prefix of one, codex://threads/<id>, a job, or last.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(threads)
    app.command()(thread)


def threads(
    directory: Annotated[
        str | None, typer.Option("-d", "--dir", help="Only those at work in this folder or below.")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--source", help="Only from there: exec, cli, vscode, subagent, ...")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="DURATION", help="Only those active within 2d, 3h, 90s, ...")
    ] = None,
    active: Annotated[bool, typer.Option("--active", help="Only those that a process has loaded.")] = False,
    archived: Annotated[bool, typer.Option("--archived", help="Archived ones too.")] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many [default: 20, or jobs_limit].")
    ] = None,
    show_all: Annotated[bool, typer.Option("--all", help="All of them, however many.")] = False,
    json_output: Json = False,
) -> None:
    """List every Codex session of this machine, newest activity first: IDE, terminals, exec, jobs."""
    from codex_agent.threads import listing

    if directory is not None and not directory:
        raise UsageError("--dir is empty.", "Give a directory, or leave the option out.")
    wanted = listing.Wanted(
        cwd=None if directory is None else os.path.realpath(directory),
        source=source,
        since_s=None if since is None else duration(since, "s", "--since"),
        active=active,
        archived=archived,
        limit=None if show_all else limit or settings().jobs_limit,
    )
    answer = listing.listing(store(), codex_home(os.environ), wanted)
    if json_output:
        print_json(answer)
        return
    print_text(table(answer, color=color()))
    for text in answer.notes:
        note(f"note: {text}")
    if answer.total > len(answer.threads):
        note(f"{answer.total - len(answer.threads)} more: --all")


def thread(
    ref: ThreadRef,
    last: Annotated[
        int, typer.Option("--last", min=0, metavar="N", help="How many of the last things it said.")
    ] = _LAST,
    transcript: Annotated[bool, typer.Option("--transcript", help="The conversation instead.")] = False,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TURN",
            help="With --transcript: from this turn on; its id, a prefix, or its number.",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", help="The conversation as it goes on, until nobody has the thread loaded.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Say what one Codex session does, wherever it runs; or print its conversation."""
    from codex_agent import transcript as transcript_room
    from codex_agent.threads import looking, refs

    where = store()
    found = refs.resolve(where, codex_home(os.environ), ref)
    if since is not None and not (transcript or follow):
        raise UsageError("--since goes with --transcript.", "Add it, or leave --since out.")
    if follow:
        _follow(found, since, json_output)
    elif transcript:
        source = transcript_room.Source(found.job_id, found.thread_id, looking.where(found), looking.folder(found))
        if json_output:
            print_json(transcript_room.whole(source, since=since))
        else:
            for piece in transcript_room.text(source, since=since):
                sys.stdout.write(piece)
    else:
        answer = looking.look(where, found, last=last, prices=settings().prices)
        if json_output:
            print_json(answer)
        else:
            print_text(details(answer, color=color()))


def _follow(found: Ref, since: str | None, json_output: bool) -> None:
    from codex_agent import transcript as transcript_room
    from codex_agent.monitor import follow
    from codex_agent.threads import looking

    entries = transcript_room.from_turn(follow.entries(found), since)
    if json_output:
        for entry in entries:
            print_json(entry)
        return
    for piece in transcript_room.rendered(entries, looking.folder(found)):
        sys.stdout.write(piece)
        sys.stdout.flush()
