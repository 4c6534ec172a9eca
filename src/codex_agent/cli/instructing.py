"""Owns the commands about what agents are told besides their task: ``agents-md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.common import Json
from codex_agent.cli.telling import print_json, print_text

if TYPE_CHECKING:
    from codex_agent.answers import AgentsMd

Folder = Annotated[
    str, typer.Option("-d", "--dir", help="The folder whose AGENTS.md is meant [default: this one].")
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    room = typer.Typer(
        help="Our section of a folder's AGENTS.md: how agents work under this tool.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    room.command("add")(add)
    room.command("remove")(remove)
    room.command("show")(show)
    app.add_typer(room, name="agents-md")


def add(folder: Folder = ".", json_output: Json = False) -> None:
    """Put our section in, or bring it up to date; all else in the file stays as it is."""
    from codex_agent import agents_md

    answer = agents_md.add(folder)
    _tell(answer, "written" if answer.changed else "there already", json_output)


def remove(folder: Folder = ".", json_output: Json = False) -> None:
    """Take our section out, without a trace."""
    from codex_agent import agents_md

    answer = agents_md.remove(folder)
    _tell(answer, "taken out" if answer.changed else "not in there", json_output)


def show(folder: Folder = ".", json_output: Json = False) -> None:
    """Show our section as it stands in the file."""
    from codex_agent import agents_md

    answer = agents_md.show(folder)
    if json_output or answer.section is None:
        _tell(answer, "not in there", json_output)
        return
    print_text(answer.section)


def _tell(answer: AgentsMd, what: str, json_output: bool) -> None:
    if json_output:
        print_json(answer)
    else:
        print_text(f"{answer.path}: our section is {what}")
