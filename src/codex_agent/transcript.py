"""Owns a job's conversation as a person or a program reads it: found through the record, read from the rollout.

In the text the margin is ours alone: what was said or printed is indented after its first line, so that it cannot
pass for something else. Constant memory as text. Writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codex_agent import jobs, rollouts
from codex_agent.answers import Changed, Entry, FileChanged, Marked, Noted, Planned, Ran, Said, Transcript, Used
from codex_agent.errors import BadState
from codex_agent.model import TERMINAL
from codex_agent.rollouts.conversation import Conversation
from codex_agent.store import Store
from codex_agent.text import plain

_FIRST_LINES, _LAST_LINES, _LINE_CHARS = 4, 8, 400  # of a command's output
_NUMBER_CHARS = 6  # a longer word is the beginning of an id
_BOXES = {"completed": "[x]", "in_progress": "[>]"}


@dataclass(frozen=True, slots=True)
class Source:
    """Whose conversation, and where it lies."""

    id: str | None
    thread_id: str
    rollout: str
    cwd: str


def source(store: Store, job_id: str) -> Source:
    """Where the job's conversation lies. Raises BadState while (or if) there is none."""
    record = store.load(job_id)
    thread_id, path = record.facts.thread_id, record.facts.rollout
    # `codex archive` moves a rollout, and cold ones may be compressed.
    if thread_id is not None and (path is None or not os.path.isfile(path)):
        path = rollouts.find(record.request.codex_home, thread_id)
    if thread_id is not None and path is not None:
        return Source(job_id, thread_id, path, record.request.cwd)
    job = jobs.view(store, job_id)
    if thread_id is not None and job.status in TERMINAL:
        raise BadState(
            f"The rollout of job {job_id} (thread {thread_id}) is not below {record.request.codex_home} any more.",
            f"codex-agent output {job_id} shows what was in its pane.",
            id=job_id,
            status=job.status,
            thread_id=thread_id,
        )
    if job.status in TERMINAL:
        hint = f"codex-agent status {job_id} says why."
        raise BadState(f"Job {job_id} ({job.status}) has no conversation.", hint, id=job_id, status=job.status)
    raise BadState(
        f"Job {job_id} has no conversation yet: its rollout is not there.",
        "Codex begins it with the first turn: try again in a moment.",
        id=job_id,
        status=job.status,
    )


def whole(where: Source, *, since: str | None = None) -> Transcript:
    """The conversation as one answer; ``since`` as for ``from_turn``. Raises OSError if it cannot be read."""
    conversation = Conversation(where.thread_id)
    entries = list(from_turn(conversation.read(where.rollout), since))
    return Transcript(where.id, where.thread_id, where.rollout, conversation.bad_lines, entries)


def text(where: Source, *, since: str | None = None) -> Iterator[str]:
    """The conversation for a person, in pieces of whole lines. Raises as ``whole`` does."""
    conversation = Conversation(where.thread_id)
    yield from rendered(from_turn(conversation.read(where.rollout), since), where.cwd)
    if conversation.bad_lines:
        yield f"* {conversation.bad_lines} lines of {_line(where.rollout)} could not be read\n"


def from_turn(entries: Iterable[Entry], since: str | None) -> Iterator[Entry]:
    """The entries from this turn on: its number (from 1), its id or the beginning of it; None: all of them.

    Raises BadState at the end if there was no such turn.
    """
    if since is None:
        yield from entries
        return
    begun, number = False, 0
    for entry in entries:
        if not begun and entry.kind == "turn_started":
            number += 1
            begun = str(number) == since
            begun = begun or (len(since) > _NUMBER_CHARS and (entry.turn_id or "").startswith(since))
        if begun:
            yield entry
    if not begun:
        raise BadState(f"There is no turn '{since}'; there are {number}.", "Give its number, its id or a prefix.")


def rendered(entries: Iterable[Entry], cwd: str) -> Iterator[str]:
    """Entries as whole lines; an empty one between turns."""
    inside = os.path.join(cwd, "")
    told = False
    for entry in entries:
        piece = _piece(entry, inside)
        # 0.98 marks no turns: there, each message begins one.
        begins = entry.kind == "turn_started" or (entry.kind == "user" and entry.turn_id is None)
        if begins and told:
            yield "\n"
            told = False
        if piece:
            yield piece
            told = True


def _piece(entry: Entry, inside: str) -> str:
    match entry:
        case Said():
            return _block("you: " if entry.kind == "user" else "agent: ", entry.text)
        case Ran():
            head = "you: ! " if entry.by == "user" else "$ "
            return _block(head, entry.command, "> ") + _output(entry) + _end(entry)
        case Changed():
            return "".join(_file(entry, file, inside) for file in entry.files)
        case Planned():
            steps = "".join(f"  {_BOXES.get(step.status, '[ ]')} {_line(step.text)}\n" for step in entry.steps)
            return _block("plan: ", entry.text or "") + steps
        case Used():
            given = f" {_line(entry.input)}" if entry.input else ""
            failed = f"-> {_line(entry.status)} {_line(entry.output)}".rstrip() + "\n"
            did = "searched the web: " if entry.kind == "search" else "used "
            return f"{did}{_line(entry.name)}{given}\n" + (failed if entry.status != "completed" else "")
        case Noted():
            return _block("* ", entry.text)
        case Marked():
            return _mark(entry)


def _mark(entry: Marked) -> str:
    why = f": {_line(entry.message)}" if entry.message else ""
    if entry.kind == "compacted":
        return "* what was said so far was summed up to make room\n"
    if entry.status == "failed":
        return f"* the turn failed{why}\n"
    return f"* interrupted{why}\n" if entry.status == "interrupted" else ""


def _output(entry: Ran) -> str:
    lines = plain(entry.output).rstrip("\n").split("\n")
    if lines == [""]:
        return ""
    hidden = len(lines) - _FIRST_LINES - _LAST_LINES
    if hidden > 1:
        lines[_FIRST_LINES:-_LAST_LINES] = [f"... {hidden} lines left out ..."]
    return "".join(f"  {line[:_LINE_CHARS]}".rstrip() + "\n" for line in lines)


def _end(entry: Ran) -> str:
    if entry.status == "running":
        return "-> no end so far\n"
    if entry.exit_code is None or entry.status not in ("completed", "failed"):
        return "" if entry.status == "completed" else f"-> {_line(entry.status)}\n"
    # Codex writes -1 for a command that was ended.
    return f"-> exit {entry.exit_code}\n" if entry.exit_code > 0 else "-> no exit status\n" * (entry.exit_code < 0)


def _file(entry: Changed, file: FileChanged, inside: str) -> str:
    path, moved_to = (_line((name or "").removeprefix(inside)) for name in (file.path, file.moved_to))
    if entry.status != "completed":
        return f"-> {_line(entry.status)}: {file.kind} {path} {_line(entry.message)}".rstrip() + "\n"
    word = {"add": "added", "delete": "deleted", "update": "changed"}[file.kind]
    return f"{word} {path}, now {moved_to}\n" if moved_to else f"{word} {path}\n"


def _block(head: str, said: str, indent: str = "  ") -> str:
    """A text of several lines: our word before the first, the others indented (or marked, as a shell does)."""
    first, *rest = plain(said).strip("\n").split("\n")
    return "\n".join([(head + first).rstrip(), *((indent + line).rstrip() for line in rest)]) + "\n"


def _line(value: str | None) -> str:
    return " ".join(plain(value or "").split())[:_LINE_CHARS]
