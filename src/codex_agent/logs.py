"""Owns reading what a job has shown and what happened to it: log, result, prompt, events, its session.

Constant memory whatever the size, except where a caller wants one string. Writes nothing.
"""

from __future__ import annotations

import codecs
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

from codex_agent import jobs, screen, tmux
from codex_agent.answers import Attach, SessionRow, Sessions
from codex_agent.errors import BadState, JobNotFound, RecordUnreadable
from codex_agent.model import TERMINAL, stamp
from codex_agent.settings import Settings
from codex_agent.store import Store
from codex_agent.text import plain

_BLOCK = 1 << 16
_LOOK_S = 0.1


def capture(store: Store, job_id: str, count: int, *, clean: bool) -> list[str]:
    """The last ``count`` lines of the job's pane, oldest first; ``clean``: without colors, and rendered.

    Where Codex's own program runs in the pane, as tmux renders it; else from the log. Raises TmuxFailed if tmux
    cannot tell.
    """
    try:
        job = jobs.view(store, job_id)
        if job.mode == "interactive" and job.status == "running" and job.tmux_socket is not None:
            return tmux.screen(job.tmux_socket, job.tmux_session, count, colors=not clean)
    except RecordUnreadable:
        pass  # the log can be read all the same
    except BadState:
        if jobs.view(store, job_id).status == "running":
            raise
    last = tail(store, job_id, count)
    return "".join(screen.clean(["\n".join(last)])).split("\n")[-count:] if clean and last else last


def tail(store: Store, job_id: str, count: int) -> list[str]:
    """The last ``count`` lines of the job's log, oldest first, read from its end."""
    try:
        file = open(store.path(job_id, ".log"), "rb")
    except FileNotFoundError:
        return []
    with file:
        position = file.seek(0, os.SEEK_END)
        blocks: list[bytes] = []
        newlines = 0
        while position > 0 and newlines <= count:
            size = min(_BLOCK, position)
            position = file.seek(position - size)
            blocks.append(file.read(size))
            newlines += blocks[-1].count(b"\n")
    text = b"".join(reversed(blocks)).decode("utf-8", "replace")
    return text.removesuffix("\n").split("\n")[-count:] if text else []


def pieces(store: Store, job_id: str, suffix: str) -> Iterator[str]:
    """One of the job's files in pieces of whole lines (a very long line may be cut)."""
    try:
        file = open(store.path(job_id, suffix), encoding="utf-8", errors="replace", newline="")
    except FileNotFoundError:
        return
    with file:
        while lines := file.readlines(_BLOCK):
            yield "".join(lines)


def text(store: Store, job_id: str, suffix: str) -> str:
    """One of the job's files as one string; empty if the job has none yet."""
    return "".join(pieces(store, job_id, suffix))


def result(store: Store, job_id: str) -> str:
    """The agent's final message. Raises BadState if the job has none: it runs, or its turn never completed."""
    try:
        with open(store.path(job_id, ".result"), encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except FileNotFoundError:
        job = jobs.view(store, job_id)
    if job.status in TERMINAL:
        hint = f"codex-agent output {job_id} shows all it did."
        raise BadState(f"Job {job_id} ({job.status}) has no final message.", hint, id=job_id, status=job.status)
    raise BadState(
        f"Job {job_id} has no final message yet: it is {job.status}.",
        f"Wait for it: codex-agent wait {job_id}",
        id=job_id,
        status=job.status,
    )


def events(store: Store, job_id: str) -> tuple[list[dict[str, Any]], int]:
    """What happened to the job, in order, and how many lines could not be read."""
    found: list[dict[str, Any]] = []
    bad = 0
    for piece in pieces(store, job_id, ".events.jsonl"):
        for line in piece.rstrip("\n").split("\n"):
            try:
                event = json.loads(line)
                found.append({"at": event["at"], "event": event["event"], **event})
            except (ValueError, TypeError, KeyError):
                bad += 1
    return found, bad


def event_line(event: Mapping[str, Any]) -> str:
    """An event as a line for a person."""
    rest = [f"{key}={value}" for key, value in event.items() if key not in ("at", "event") and value is not None]
    return " ".join(plain(" ".join([str(event["at"]), str(event["event"]), *rest])).split())


def follow(store: Store, job_id: str, suffix: str) -> Iterator[str]:
    """What the file holds, and what is appended to it, until the job has ended and all of it is told."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    ended = jobs.wait_in_thread(store, job_id)
    position = 0
    over = False
    while True:
        try:
            with open(store.path(job_id, suffix), "rb") as file:
                file.seek(position)
                while block := file.read(_BLOCK):
                    position += len(block)
                    yield decode(block)
        except FileNotFoundError:
            pass  # not begun yet
        if over:
            return
        over = ended(_LOOK_S)


def attach(store: Store, job_id: str, environ: Mapping[str, str]) -> Attach:
    """How to look at the job's session. Raises BadState if the job has ended, and its session with it."""
    job = jobs.view(store, job_id)
    if job.status in TERMINAL or job.tmux_socket is None:
        raise BadState(
            f"Job {job_id} is {job.status}: there is no session to attach to.",
            f"codex-agent output {job_id} shows what was in it.",
            id=job_id,
            status=job.status,
        )
    command = tmux.attach_argv(job.tmux_socket, job.tmux_session, environ)
    return Attach(job_id, job.tmux_session, job.tmux_socket, command)


def sessions(store: Store, settings: Settings, environ: Mapping[str, str]) -> Sessions:
    """Every session of ours on the servers our jobs use, whether its job is known here or not.

    Raises MissingProgram without a usable tmux, TmuxFailed if a server cannot answer.
    """
    tmux.version(environ)
    sockets = {tmux.socket_path(settings.tmux_socket, environ)}
    records, _ = store.load_all()
    sockets.update(r.facts.tmux_socket for r in records if r.facts.tmux_socket and r.facts.ended_at is None)
    rows = []
    for socket in sorted(sockets):
        for session in tmux.sessions(socket, settings.tmux_prefix):
            job_id = session.name.rsplit("-", 1)[1]
            status = _status(store, job_id)
            command = tmux.attach_argv(socket, session.name, environ)
            opened = stamp(session.created_at)
            rows.append(
                SessionRow(
                    session.name,
                    job_id,
                    status is not None,
                    status,
                    session.attached,
                    opened,
                    socket,
                    command,
                )
            )
    rows.sort(key=lambda row: (row.created_at, row.name))
    return Sessions(stamp(), rows)


def _status(store: Store, job_id: str) -> str | None:
    try:
        return jobs.view(store, job_id).status
    except (JobNotFound, RecordUnreadable):
        return None
