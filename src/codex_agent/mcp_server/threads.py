"""Owns the tools that look further than tasks: codex_threads, codex_monitor. Change nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass

import anyio
import anyio.from_thread
import anyio.to_thread

from codex_agent.codex.home import codex_home
from codex_agent.errors import UsageError
from codex_agent.mcp_answers import Monitored, ThreadsFound
from codex_agent.mcp_server.door import Call, Offer, Tool
from codex_agent.model import doc
from codex_agent.monitor import go_on, monitor, options
from codex_agent.monitor.told import Told, line
from codex_agent.thread_answers import ThreadList, ThreadView
from codex_agent.threads import listing, looking, refs

THREADS, LAST, EVENTS = 10, 3, 10
_THREAD = "A thread: its id, a unique prefix, codex://threads/<id>, a task, or last."


@dataclass(slots=True)
class Which:
    """Parameters of codex_threads."""

    thread: str | None = doc(f"Tell all about this one instead of listing. {_THREAD}", default=None)
    working_directory: str | None = doc("Only those at work in this folder or below.", default=None)
    source: str | None = doc("Only from there: exec, cli, vscode, subagent, ...", default=None)
    active: bool = doc("Only those that a process has loaded.", default=False)
    archived: bool = doc("Archived ones too.", default=False)
    limit: int = doc(f"At most so many. Default: {THREADS}.", default=THREADS)


@dataclass(slots=True)
class Watch:
    """Parameters of codex_monitor."""

    threads: list[str] = doc(f"What to watch. {_THREAD}")
    on: list[str] | None = doc(
        "What to tell, of commit, goal, turn, failure (of a command), idle, file, end, approval. Default: all but "
        "file.",
        default=None,
    )
    until: list[str] | None = doc(
        "Which of them ends the watching of a thread. Default: end, goal, idle.", default=None
    )
    any: bool = doc("Stop when one thread has come to its end, not all.", default=False)
    repos: list[str] | None = doc("Repositories whose commits to watch. Default: the threads' own.", default=None)
    idle_ms: float = doc("Silence that counts as idle, in milliseconds. Default: ten minutes.", default=600_000)
    max_events: int = doc(f"Stop after so many; 0: never. Default: {EVENTS}.", default=EVENTS)
    timeout_ms: float | None = doc(
        "How long this call watches, in milliseconds; 0: as long as it takes. Default: as for codex_wait.",
        default=None,
    )
    since: str | None = doc(
        "Go on where another call stopped: its end.since; or start, for all from the beginning.", default=None
    )


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_threads",
            about="List the Codex sessions of this machine wherever they run (IDE, terminals, codex exec, tasks), "
            "newest activity first; or, with thread, say what one of them does: state, plan, goal, files, last "
            "words. codex_resume goes on with one.",
            takes=Which,
            answers=ThreadsFound,
            run=threads,
            text=_threads_text,
            reads=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_monitor",
            about="Sleep until something happens to Codex threads or tasks that is worth acting on, and tell it: "
            "a commit, a goal reached, a turn's end, a failed command, idleness, an approval wanted, the end. "
            "For what goes on by itself, such as somebody's session in an IDE; codex_wait is simpler for tasks.",
            takes=Watch,
            answers=Monitored,
            run=watch,
            text=_monitored_text,
            reads=True,
        )
    )


def threads(call: Call, wanted: Which) -> ThreadsFound:
    """codex_threads."""
    store, home = call.door.store(), codex_home(call.door.environ)
    if wanted.thread is not None:
        found = refs.resolve(store, home, wanted.thread)
        return ThreadsFound(None, looking.look(store, found, last=LAST, prices=call.door.settings().prices))
    if wanted.limit < 1:
        raise UsageError("limit is less than 1.", f"Such as {THREADS}.")
    which = listing.Wanted(
        cwd=os.path.realpath(wanted.working_directory) if wanted.working_directory else None,
        source=wanted.source,
        active=wanted.active,
        archived=wanted.archived,
        limit=wanted.limit,
    )
    return ThreadsFound(listing.listing(store, home, which), None)


async def watch(call: Call, wanted: Watch) -> Monitored:
    """codex_monitor. Its thread ends with the call, however that ends."""
    seconds = call.limit_s(wanted.timeout_ms)
    if not wanted.threads:
        raise UsageError("threads names nothing to watch.", "codex_threads lists them, codex_tasks tasks.")
    if wanted.idle_ms <= 0:
        raise UsageError("idleMs: there is always some silence.", "Give it a minute or more: 60000.")
    asked = options(
        on=_words(wanted.on),
        until=_words(wanted.until),
        wait_any=wanted.any,
        repos=wanted.repos or [],
        values=[],
        failures=[],
        idle_s=wanted.idle_ms / 1000,
        max_events=wanted.max_events,
        timeout_s=seconds,
        since=wanted.since,
    )
    told: list[Told] = []

    def tell(one: Told) -> None:
        told.append(one)
        if call.wants_progress:
            anyio.from_thread.run(call.progress, line(one))

    reading, writing = os.pipe()

    def run() -> Monitored:
        try:
            end = monitor(call.door.store(), codex_home(call.door.environ), wanted.threads, asked, tell, reading)
        finally:
            os.close(reading)
        given = {
            "--on": _words(wanted.on),
            "--until": _words(wanted.until),
            "--any": wanted.any,
            "--repo": wanted.repos,
            "--idle": f"{wanted.idle_ms / 1000:g}s",
            "--max-events": wanted.max_events,
        }
        go_on(end, given)
        return Monitored([one.event for one in told], end)

    try:
        return await anyio.to_thread.run_sync(run, abandon_on_cancel=True)
    finally:
        os.close(writing)  # whoever still watches can read the end of it, and stops


def _words(given: list[str] | None) -> str | None:
    return None if given is None else ",".join(given)


def _threads_text(told: ThreadsFound) -> str:
    if told.thread is not None:
        return _one(told.thread)
    assert told.listed is not None
    return _list(told.listed)


def _list(told: ThreadList) -> str:
    lines = [
        f"{row.id} {row.source or '?'} {row.state} idle {row.idle_s}s"
        + (f" task {row.job_id}" if row.job_id else "")
        + f" {' '.join((row.title or '').split())}"
        for row in told.threads
    ]
    if told.total > len(told.threads):
        lines.append(f"{told.total - len(told.threads)} more: raise limit.")
    return "\n".join([*lines, *(f"Note: {text}" for text in told.notes)]) or "No Codex sessions."


def _one(told: ThreadView) -> str:
    last = told.turn or "no turn yet"
    parts = [f"Thread {told.id}: {told.state}, last turn {last}, {told.turns} turns, idle {told.idle_s} s."]
    parts += [f"{name}: {value}" for name, value in _facts(told) if value]
    return "\n".join([*parts, *(f"Said: {' '.join(each.text.split())}" for each in told.narrations)])


def _facts(told: ThreadView) -> list[tuple[str, str | None]]:
    return [
        ("Title", told.title),
        ("Why", told.state_reason),
        ("Folder", told.cwd),
        ("Task", told.job_id),
        ("Failure", told.turn_error),
        ("Probably waits for an approval since", told.suspicion.since if told.suspicion.probable else None),
        ("Goal", f"{told.goal.objective} ({told.goal.status})" if told.goal else None),
        ("Runs", "; ".join(one.command for one in told.running)),
        ("Files", ", ".join(one.path for one in told.files)),
    ]


def _monitored_text(told: Monitored) -> str:
    lines = [f"{event.at} {event.kind}: {event.text}" for event in told.events]
    why = {"until": "It is over", "max_events": "Enough events", "timeout": "The time is up"}
    go = "" if told.end.ended == "until" else f'; go on with since "{told.end.since}"'
    return "\n".join([*lines, f"{why.get(told.end.ended, told.end.ended)}{go}."])
