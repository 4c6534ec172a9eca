"""Owns the commands about gates: ``gate check`` and ``gate run``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from codex_agent.cli.common import (
    Json,
    duration,
    settings,
    store,
)
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.errors import EXIT_FAILED
from codex_agent.text import one_line

if TYPE_CHECKING:
    from codex_agent.gate_answers import GateCheck, Standing


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    gate = typer.Typer(
        help="Slots that agents and commands share: who is in, who waits, and what the machine has left.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    gate.command("check")(gate_check)
    gate.command("run")(gate_run)
    app.add_typer(gate, name="gate")


def gate_check(json_output: Json = False) -> None:
    """Show GPUs, busy processes, containers, memory, disk, load and gates. Exit 1 if something is busy or short.

    What counts as busy or short: the settings below check.
    """
    from codex_agent import machine

    where = store()
    answer = machine.check(where.home, os.getcwd(), settings(), os.environ)
    if json_output:
        print_json(answer)
    else:
        for line in _lines(answer):
            print_text(line)
    if not answer.ok:
        raise typer.Exit(EXIT_FAILED)


def gate_run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The gate.", show_default=False)],
    command: Annotated[
        list[str], typer.Argument(metavar="CMD...", help="The command, after --.", show_default=False)
    ],
    timeout: Annotated[
        str | None,
        typer.Option(
            "--timeout", metavar="S", help="Give up waiting after so many seconds (exit 124), or 10m, 2h."
        ),
    ] = None,
    json_output: Annotated[  # noqa: ARG001 (the top looks for it)
        bool, typer.Option("--json", help="Errors of ours as JSON; what the command prints stays as it is.")
    ] = False,
) -> None:
    """Run a command while holding a slot of a gate; its exit code is ours (128 and the number of a signal)."""
    from codex_agent.gates import command as room

    code = room.run(
        store(),
        name,
        command,
        settings(),
        os.environ,
        timeout_s=None if timeout is None else duration(timeout, "s", "--timeout"),
        say=lambda text: note(f"codex-agent: waits: {text}"),
    )
    raise typer.Exit(code)


def _lines(answer: GateCheck) -> list[str]:
    rows: list[tuple[bool | None, str, str]] = []
    for gpu in answer.gpus or []:
        rows.append((gpu.ok, f"gpu {gpu.index}", f"{gpu.verdict} ({gpu.name})"))
        for process in gpu.processes:
            memory = "?" if process.memory_mib is None else process.memory_mib
            rows.append((None, "", f"pid {process.pid}, {memory} MiB: {_short(process.command or '(gone)')}"))
    if answer.memory is not None:
        rows.append((answer.memory.ok, "memory", answer.memory.verdict))
    rows += [(disk.ok, "disk", f"{disk.verdict} ({disk.path})") for disk in answer.disks]
    if answer.load is not None:
        rows.append((answer.load.ok, "load", answer.load.verdict))
    for one in answer.busy or []:
        rows.append((False, "busy", f"pid {one.pid}: {_short(one.command)}"))
    if answer.busy == []:
        rows.append((True, "busy", "no process that a pattern finds"))
    for container in answer.containers or []:
        rows.append((None, "container", f"{container.name} ({container.image}): {container.status}"))
    if answer.containers == []:
        rows.append((None, "container", "none runs"))
    rows += [(None, "", text) for text in answer.notes]
    for gate in answer.gates:
        demands = f"; demands {', '.join(gate.conditions)}" if gate.conditions else ""
        taken = f"{len(gate.holders)} of {gate.slots} taken, {len(gate.waiting)} waiting{demands}"
        rows.append((None, f"gate {gate.name}", taken))
        rows += [(None, "", f"in: {_who(one)}") for one in gate.holders]
        rows += [(None, "", f"{one.place}: {_who(one)}") for one in gate.waiting]
    marks = {True: "ok  ", False: "BUSY", None: "    "}
    width = max((len(title) for _, title, _ in rows), default=0)
    return [f"{marks[ok]}  {title:<{width}} {one_line(text)}".rstrip() for ok, title, text in rows]


def _who(one: Standing) -> str:
    what = f"job {one.job}" if one.job else f"pid {one.pid}: {_short(one.command or '?')}"
    return f"{what}, since {one.since}" if one.since else what


def _short(command: str) -> str:
    return command if len(command) <= 100 else command[:97] + "..."
