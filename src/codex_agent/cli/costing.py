"""Owns the command ``cost``."""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from codex_agent.cli.common import (
    Json,
    duration,
    settings,
    store,
)
from codex_agent.cli.show import limit
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.codex.home import codex_home
from codex_agent.cost_answers import By
from codex_agent.errors import UsageError
from codex_agent.job_text import columns
from codex_agent.text import one_line

if TYPE_CHECKING:
    from codex_agent.cost_answers import CostReport, CostRow

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_HEADS = {"job": "JOB", "model": "MODEL", "day": "DAY", "dir": "FOLDER"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(cost)


def cost(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[THREAD...]",
            help="Threads as for `thread`, and jobs: their own part; none: all threads of this CODEX_HOME.",
            show_default=False,
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="DAY", help="Only from this day on (UTC): 2026-11-21, or 7d for a week ago."
        ),
    ] = None,
    by: Annotated[
        str, typer.Option("--by", metavar="WHAT", help="A row for each job (or thread), model, day or dir.")
    ] = "job",
    json_output: Json = False,
) -> None:
    """Say what jobs and threads have used and what that costs, sub-agents included, each thread counted once."""
    from codex_agent import costing

    if by not in get_args(By):
        raise UsageError(f"--by: '{by}' is none of them.", f"One of {', '.join(get_args(By))}.")
    answer = costing.report(
        store(),
        codex_home(os.environ),
        words or (),
        by=cast(By, by),
        since=None if since is None else _day(since),
        prices=settings().prices,
    )
    if json_output:
        print_json(answer)
        return
    print_text(_table(answer))
    for text in _remarks(answer):
        note(text)


def _day(text: str) -> str:
    """The day meant, in UTC."""
    if _DAY.fullmatch(text):
        return text
    return time.strftime("%Y-%m-%d", time.gmtime(time.time() - duration(text, "d", "--since")))


def _table(answer: CostReport) -> str:
    head = (_HEADS[answer.by], "INPUT", "CACHED", "WRITTEN", "OUTPUT", "REASONING", "COST", "AGENTS", "NAME")
    rows = [_cells(row) for row in answer.rows]
    if len(rows) != 1:
        rows.append(_cells(answer.total))
    room = max(140, shutil.get_terminal_size((140, 24)).columns)
    return "\n".join(columns(head, rows, room))


def _cells(row: CostRow) -> tuple[str, ...]:
    counts = (row.input, row.cached_input, row.cache_write, row.output, row.reasoning)
    usd = f"${row.known_usd:.4f}"
    if row.cost_usd is None:
        usd = "unknown price" if row.known_usd == 0 else f"{usd} + unknown price"
    agents = "-" if row.agents_cost_usd is None else f"${row.agents_cost_usd:.4f}"
    name = " ".join(filter(None, (row.job_id if row.job_id != row.key else None, row.name)))
    return (one_line(row.key), *map(str, counts), usd, agents, one_line(name) or "-")


def _remarks(answer: CostReport) -> list[str]:
    told = [f"note: {text}" for text in answer.notes]
    if answer.total.unpriced:
        models = ", ".join(answer.total.unpriced)
        told.append(f"note: no price is known for {models}; the setting prices can say it")
    told += [f"limit {limit(one)}" for one in answer.limits]
    told.append(f"prices as of {answer.prices_as_of}, in US dollars, as OpenAI bills its API")
    return told
