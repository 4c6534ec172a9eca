"""Owns the commands about the tool itself: health, doctor and config."""

from __future__ import annotations

import os
import shlex
from typing import Annotated

import typer

from codex_agent import settings as settings_room
from codex_agent.answers import Config, ConfigPath, Setting
from codex_agent.cli.common import Json
from codex_agent.cli.telling import print_json, print_text
from codex_agent.errors import EXIT_MISSING_PROGRAM, UsageError


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(health)
    app.command()(doctor)
    config = typer.Typer(help="Show and change the settings.", no_args_is_help=True, rich_markup_mode=None)
    config.command("path")(config_path)
    config.command("show")(config_show)
    config.command("set")(config_set)
    config.command("unset")(config_unset)
    app.add_typer(config, name="config")


def health(json_output: Json = False) -> None:
    """Check tmux, Codex, the login and the folders. Exit 5 if something needed is missing."""
    from codex_agent import health as health_room

    answer = health_room.check(os.environ)
    if json_output:
        print_json(answer)
    else:
        for check in answer.checks:
            print_text(f"{'ok  ' if check.ok else 'MISS'}  {check.name:<9} {check.detail}")
            if check.fix:
                print_text(f"      {'':<9} {check.fix}")
    if not answer.ok:
        raise typer.Exit(EXIT_MISSING_PROGRAM)


def doctor(
    report: Annotated[
        str | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Write a report for whoever is to find a fault: no keys, no prompts. - is stdout.",
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Do what health does, and explain each check: what was looked at, why it matters, how to mend it."""
    if report is not None:
        if json_output:
            raise UsageError("A report is Markdown.", "Leave --json or --report out.")
        _report(report)
        return
    from codex_agent import doctor as doctor_room

    answer = doctor_room.examine(os.environ)
    if json_output:
        print_json(answer)
    else:
        for check in answer.checks:
            print_text(f"{'ok  ' if check.ok else 'MISS'}  {check.name}: {check.found}")
            _paragraph("looked at", check.looked_at)
            _paragraph("why", check.why)
            for line in check.mend:
                _paragraph("do", line)
            print_text("")
        print_text("All that agents need is there." if answer.ok else "Agents cannot run until that is mended.")
    if not answer.ok:
        raise typer.Exit(EXIT_MISSING_PROGRAM)


def _paragraph(name: str, text: str) -> None:
    import textwrap

    print_text(textwrap.fill(f"{name:<9}  {text}", 100, initial_indent=" " * 6, subsequent_indent=" " * 17))


def _report(path: str) -> None:
    from codex_agent import bug_report

    if path == "-":
        print_text(bug_report.text(os.environ).rstrip("\n"))
        return
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{path} is there already.", "Name another file, or - for stdout.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}.", "Name another file.") from error
    with open(handle, "w", encoding="utf-8") as file:
        file.write(bug_report.text(os.environ))
    print_text(f"Written: {path}. Look through it before you send it to anybody.")


def config_path(json_output: Json = False) -> None:
    """Print where the settings file is (it need not exist)."""
    path = settings_room.config_path(os.environ)
    if json_output:
        print_json(ConfigPath(path))
    else:
        print_text(path)


def config_show(json_output: Json = False) -> None:
    """Print every setting, its value and where that comes from."""
    _show(json_output)


def config_set(
    key: Annotated[str, typer.Argument(metavar="KEY", help="One of the keys that `config show` prints.")],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Its new value.")],
    json_output: Json = False,
) -> None:
    """Change a setting in the file; everything else in it stays as it is."""
    settings_room.set_value(os.environ, key, value)
    _show(json_output, only=key)


def config_unset(
    key: Annotated[str, typer.Argument(metavar="KEY", help="One of the keys that `config show` prints.")],
    json_output: Json = False,
) -> None:
    """Take a setting out of the file, back to its default."""
    settings_room.unset(os.environ, key)
    _show(json_output, only=key)


def _show(json_output: bool, only: str | None = None) -> None:
    rows = [
        Setting(
            row.key,
            list(row.value) if isinstance(row.value, tuple) else row.value,
            row.origin,
            doc=key.doc if (key := settings_room.key_of(row.key)) else "",
        )
        for row in settings_room.show(os.environ)
        if only in (None, row.key)
    ]
    if json_output:
        print_json(Config(settings_room.config_path(os.environ), rows))
        return
    for row in rows:
        print_text(f"{row.key:<20} {_said(row.value):<24} {row.origin:<8} {row.doc}")


def _said(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return shlex.join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
