"""Owns how the demo looks: what it says first, the table while the agents work, the results.

rich is loaded inside the functions. Where stdout is no terminal the table becomes plain lines. This module only
shows what it is given; it never asks for a job itself.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from codex_agent.calling import me
from codex_agent.model import PROMPT_HEAD_CHARS, TERMINAL, Job

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from .stage import Stage

_COLUMNS = (("agent", 6), ("id", 8), ("status", 21), ("time", 6), ("tokens", 6), ("files", 5))
_NUMBERS = ("time", "tokens", "files")
_STYLES = {"completed": "green", "running": "cyan", "pending": "dim", "queued": "dim"}


class Watcher(Protocol):
    """Is told, again and again, how the agents stand."""

    def __call__(self, jobs: Sequence[Job]) -> None: ...


def opening(console: Console, stage: Stage, base_url: str, codex: str, tmux: str) -> None:
    """What this is and what will happen, before it does."""
    _say(console, "Three real Codex agents at work, without an account and without the network.", "bold")
    _say(console)
    address = base_url.removeprefix("http://").removesuffix("/v1")
    for what, detail in (
        ("a folder of its own", stage.folder),
        ("a scripted model", f"{address} answers in OpenAI's place, from this process"),
        ("the rest is real", f"Codex {codex}, tmux {tmux}, a git repository"),
    ):
        _say(console, f"  {what:<20} {detail}")
    _say(console)


def _say(console: Console, text: str = "", style: str | None = None) -> None:
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _doing(job: Job) -> str:
    state = job.turn_state
    return f"{job.status}, {state}" if state and job.status not in TERMINAL else job.status


def _seconds(job: Job) -> str:
    return f"{job.elapsed_ms / 1000:.1f} s"


def _tokens(job: Job) -> str:
    return f"{job.tokens.total:,}" if job.tokens else "-"


def table(jobs: Sequence[Job]) -> Table:
    """The agents as they stand."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading, width in _COLUMNS:  # fixed, or long last words would squeeze them
        made.add_column(heading, width=width, no_wrap=True, justify="right" if heading in _NUMBERS else "left")
    made.add_column("last words", no_wrap=True, overflow="ellipsis", ratio=1)
    for job in jobs:
        made.add_row(
            Text(job.name or "", style="bold"),
            job.id,
            Text(_doing(job), style=_STYLES.get(job.status, "red")),
            _seconds(job),
            _tokens(job),
            str(len(job.files_modified)),
            Text((job.summary or "").replace("\n", " ")),
        )
    return made


@contextmanager
def watching(console: Console | None) -> Iterator[Watcher]:
    """How the agents are followed here: a live table, lines where something changed, or (None) not at all."""
    if console is None:
        yield lambda _: None
    elif console.is_terminal:
        from rich.live import Live

        with Live(console=console, refresh_per_second=10) as live:
            yield lambda jobs: live.update(table(jobs))
    else:
        told: dict[str, tuple[str, int, str | None]] = {}

        def lines(jobs: Sequence[Job]) -> None:
            for job in jobs:
                now = (_doing(job), len(job.files_modified), job.summary)
                if told.get(job.id) != now:
                    told[job.id] = now
                    files = f", {now[1]} file{'s' * (now[1] > 1)} changed" if now[1] else ""
                    said = f": {job.summary}" if job.summary else ""
                    _say(console, f"{_seconds(job):>6}  {job.name:<8} {now[0]}{files}{said}")

        yield lines


def results(console: Console, jobs: Sequence[Job], diff: str) -> None:
    """What each agent did, and what they changed."""
    for job in jobs:
        _say(console)
        _say(console, f"{job.name}: {job.status}", _STYLES.get(job.status, "red"))
        used = job.tokens
        counts = f"{used.input:,} in, {used.output:,} out" if used else "none counted"
        for label, text in (
            ("asked", job.prompt + ("..." if len(job.prompt) == PROMPT_HEAD_CHARS else "")),
            ("answered", job.summary or "-"),
            ("time", _seconds(job)),
            ("tokens", f"{_tokens(job)} ({counts})"),
            ("files", ", ".join(job.files_modified) or "-"),
            *([("failure", job.failure.message)] if job.failure else []),
        ):
            _say(console, f"  {label:<9} {text}")
    _say(console)
    _say(console, "The difference they made:", "bold")
    if console.is_terminal:
        from rich.syntax import Syntax

        console.print(Syntax(diff.rstrip(), "diff", theme="ansi_dark", background_color="default"))
    else:
        _say(console, diff.rstrip())
    _say(console)


def closing(console: Console, stage: Stage, jobs: Sequence[Job], wrong: Sequence[str], *, keep: bool) -> None:
    """Whether it went as it should, what is left, and the commands to go on with."""
    for line in wrong:
        _say(console, f"Not as it should be: {line}.", "red")
    if not wrong:
        _say(console, "All three completed, and the repository holds exactly what was asked for.", "green")
    if not keep:
        _say(console, "Nothing runs any more and the folder is gone (--keep keeps it). With your own Codex:")
        for words, what in (
            ('start "Fix the failing test" --name fix', "an agent in the background, in this folder"),
            ("jobs", "what every agent is doing"),
            ("watch fix", "follow one; `attach fix` sits down beside it"),
            ("output fix --result", "its last message"),
        ):
            _say(console, f"  {me()} {words:<42} {what}")
        return
    first = jobs[0].name
    _say(console, "Kept; nothing runs any more, and the scripted model is gone, so start no new agent there.")
    for name, value in stage.exports.items():
        _say(console, f"  export {name}={shlex.quote(value)}")
    for words, what in (
        ("jobs --all", "the three agents"),
        (f"status {first}", "one of them"),
        (f"output {first}", "what its pane showed; also --events, --result, --prompt"),
    ):
        _say(console, f"  {me()} {words:<20} {what}")
    _say(console, f"  git -C {shlex.quote(stage.repository)} diff")
    _say(console, f"  rm -rf {shlex.quote(stage.folder)}   when you have seen enough")
