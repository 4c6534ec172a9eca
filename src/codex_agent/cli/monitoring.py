"""Owns the command that watches: monitor."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.common import Json, duration, store
from codex_agent.cli.telling import print_json, print_text
from codex_agent.codex.home import codex_home
from codex_agent.errors import UsageError

if TYPE_CHECKING:
    from codex_agent.monitor.told import Told
    from codex_agent.monitor_answers import MonitorEnd

_THREADS = "Threads: ids, unique prefixes, codex://threads/<id>, our job ids or names, or last."


def register(app: typer.Typer) -> None:
    """Adds the command of this room."""
    app.command()(monitor)


def monitor(
    threads: Annotated[list[str], typer.Argument(metavar="THREAD...", help=_THREADS, show_default=False)],
    on: Annotated[
        str | None,
        typer.Option(
            "--on",
            metavar="KINDS",
            help="What to tell, of commit,goal,turn,failure,idle,file,value,end,approval "
            "[default: all but file; value if one is named].",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until",
            metavar="KINDS",
            help="What ends it for a thread, of the same [default: end,goal,idle].",
        ),
    ] = None,
    wait_any: Annotated[bool, typer.Option("--any", help="One thread's end is enough.")] = False,
    repo: Annotated[
        list[str] | None,
        typer.Option("--repo", metavar="D", help="Watch this repository's commits [default: the threads' own]."),
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option("--value", metavar="FILE:REGEX", help="Tell when what the regex matches changes."),
    ] = None,
    failure: Annotated[
        list[str] | None,
        typer.Option("--failure", metavar="REGEX", help="Output that means failure, whatever the exit status."),
    ] = None,
    idle: Annotated[
        str, typer.Option("--idle", metavar="T", help="Silence that counts as idle, such as 10m.")
    ] = "10m",
    max_events: Annotated[int, typer.Option("--max-events", min=0, help="Stop after so many; 0: never.")] = 10,
    timeout: Annotated[
        float | None, typer.Option("--timeout", metavar="S", min=0, help="Stop after so many seconds (exit 124).")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="WORD", help="Go on where another stopped (its last line says); or start."
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Tell what happens to threads, a line each, until all have come to an end; see docs/threads.md.

    Exit 0: ended well; 1: failed or interrupted; 10: needs somebody; 11: at a limit; 12: idle; 13: --max-events
    reached; 124: timed out.
    """
    from codex_agent.monitor import go_on, options
    from codex_agent.monitor import monitor as watch
    from codex_agent.monitor.told import line, note

    idle_s = duration(idle, "m", "--idle")
    if idle_s <= 0:
        raise UsageError("--idle: there is always some silence.", "Give it a minute or more: --idle 10m.")
    asked = options(
        on=on,
        until=until,
        wait_any=wait_any,
        repos=repo or [],
        values=value or [],
        failures=failure or [],
        idle_s=idle_s,
        max_events=max_events,
        timeout_s=timeout,
        since=since,
    )

    def tell(told: Told) -> None:
        if json_output:
            print_text(json.dumps(dataclasses.asdict(told.event), ensure_ascii=False))
        else:
            print_text(line(told))

    given = {
        "--on": on,
        "--until": until,
        "--any": wait_any,
        "--repo": repo,
        "--value": value,
        "--failure": failure,
        "--idle": idle,
        "--max-events": max_events,
        "--timeout": timeout,
        "--json": json_output,
    }
    end = watch(store(), codex_home(os.environ), threads, asked, tell)
    go_on(end, given)
    if json_output:
        print_json(end)
    elif end.ended != "until":
        print_text(note(_why(end)))
    raise typer.Exit(end.exit_code)


def _why(end: MonitorEnd) -> str:
    """The last line where no event is the last word: why it stops, and how to go on."""
    count = sum(end.counts.values())
    why = {"max_events": f"stopped after {count} events", "timeout": "timed out", "interrupted": "interrupted"}
    return f"{why[end.ended]}; go on: {shlex.join(end.command)}"
