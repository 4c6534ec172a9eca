"""Owns the commands about what agents did: overlap, note, report."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from codex_agent.cli.common import (
    Json,
    argument,
    settings,
    store,
)
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.codex.home import codex_home
from codex_agent.errors import UsageError
from codex_agent.text import plain

if TYPE_CHECKING:
    from codex_agent.work_answers import Apart, Note, Notes, OverlapList, Sharer, Tree

_MOST_FILES = 20


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(overlap)
    app.command(name="note")(note_command)
    app.command()(report)


def overlap(
    show_all: Annotated[
        bool, typer.Option("--all", help="Also jobs that have ended and left changes uncommitted.")
    ] = False,
    json_output: Json = False,
) -> None:
    """List the trees that agents share, and files that more than one has changed, there or in worktrees apart."""
    from codex_agent.overlap import overlaps

    answer = overlaps(store(), codex_home(os.environ), ended=show_all)
    if json_output:
        print_json(answer)
        return
    for remark in answer.notes:
        note(f"note: {remark}")
    print_text(_overlaps(answer))


def note_command(
    ref: Annotated[str, argument("ID", "A job or a thread.")],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="What to note; - reads it from stdin.", show_default=False)
    ] = None,
    kind: Annotated[
        str, typer.Option("--kind", metavar="KIND", help="mistake, resolution (of a mistake) or note.")
    ] = "note",
    of: Annotated[
        str | None,
        typer.Option("--of", metavar="NOTE", help="The mistake that is resolved [default: the last open one]."),
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="Only list what was noted.")] = False,
    json_output: Json = False,
) -> None:
    """Note what a review found about an agent's work and what became of it; `report` shows it."""
    from codex_agent import noting
    from codex_agent.work_answers import NoteKind

    if kind not in get_args(NoteKind):
        raise UsageError(f"--kind: there is no '{kind}'.", f"One of {', '.join(get_args(NoteKind))}.")
    where, home = store(), codex_home(os.environ)
    if show_list or text is None:
        if text is not None or not show_list:
            raise UsageError("TEXT and --list do not go together, and one is needed.", "Give one of them.")
        _show_notes(noting.notes(where, home, ref), json_output)
        return
    if text == "-":
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
    _show_notes(noting.add(where, home, ref, text, cast(NoteKind, kind), of), json_output, last=True)


def report(
    refs: Annotated[list[str], argument("THREAD...", "Jobs or threads.")],
    json_output: Json = False,
) -> None:
    """Report what agents were asked, what they did, and the evidence for it, as Markdown."""
    from codex_agent.report import reports

    answer = reports(store(), codex_home(os.environ), refs, settings().prices)
    if json_output:
        print_json(answer)
        return
    from codex_agent.report_text import markdown

    print_text(markdown(answer).rstrip("\n"))


def _overlaps(answer: OverlapList) -> str:
    if not answer.trees and not answer.apart:
        return f"No two of {answer.agents} agents at work share a tree." if answer.agents > 1 else "No overlap."
    lines = [line for tree in answer.trees for line in _tree(tree)]
    return "\n".join([*lines, *(line for one in answer.apart for line in _apart(one))])


def _apart(one: Apart) -> list[str]:
    lines = [f"{_line(one.repository)} (worktrees apart; this meets when it is merged)"]
    lines += [_agent(agent) for agent in one.agents]
    lines += [f"  ! {_line(file.path)}: {', '.join(file.by)}" for file in one.files[:_MOST_FILES]]
    left = len(one.files) - _MOST_FILES
    return [*lines, f"  ! and {left} more"] if left > 0 else lines


def _tree(tree: Tree) -> list[str]:
    kind = f"git, {_line(tree.branch or 'no branch')}" if tree.git else "no git"
    lines = [f"{_line(tree.path)} ({kind})"]
    lines += [_agent(one) for one in tree.sharers]
    for file in tree.shared_files[:_MOST_FILES]:
        name = os.path.relpath(file.path, tree.path)
        lines.append(f"  ! {_line(name)}: {', '.join(file.by)}{' (uncommitted)' if file.uncommitted else ''}")
    left = len(tree.shared_files) - _MOST_FILES
    return [*lines, f"  ! and {left} more"] if left > 0 else lines


def _agent(one: Sharer) -> str:
    who = f"{one.id}{f' {_line(one.name)[:40]}' if one.name else ''}{f' ({one.source})' if one.source else ''}"
    sandbox = _line(one.sandbox or "sandbox unknown")
    return f"  {who}  {one.state}  {sandbox}  {one.files} file{'s' * (one.files != 1)} changed"


def _show_notes(notes: Notes, json_output: bool, *, last: bool = False) -> None:
    if json_output:
        print_json(notes)
        return
    if notes.bad_lines:
        note(f"note: {notes.bad_lines} lines of {notes.file} could not be read")
    shown = notes.notes[-1:] if last else notes.notes
    print_text("\n".join(map(_note, shown)) or "Nothing was noted.")


def _note(one: Note) -> str:
    first, *rest = plain(one.text).strip("\n").split("\n")
    about = f" of {one.resolves}" if one.resolves else ""
    return "\n".join([f"{one.id}  {one.at}  {one.kind}{about}: {first}", *(f"  {line}" for line in rest)])


def _line(text: str) -> str:
    return " ".join(plain(text).split())
