"""Owns what all commands share: where things are, durations, JSON on stdout, completion of ids."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from codex_agent import jobs
from codex_agent.answers import TurnReport
from codex_agent.cli.asked import duration, resolve_all, settings, store
from codex_agent.cli.telling import broken_off, color, note, print_json, print_text
from codex_agent.errors import (
    EXIT_FAILED,
    EXIT_LIMIT,
    EXIT_NEEDS_YOU,
    EXIT_OK,
    CodexAgentError,
    UsageError,
)
from codex_agent.jobs import Until
from codex_agent.model import BUSY, LIMITED, WAITING, Failure, Job, JobList, Status, TurnState, TurnStatus
from codex_agent.store import Store

__all__ = [
    "color",
    "duration",
    "note",
    "print_json",
    "print_text",
    "resolve_all",
    "settings",
    "store",
]  # handed on

# What ended a job that stood at a limit: its exit code stays what it was while the job lived.
LIMIT_REASONS = frozenset({"context_window", "usage_limit", "quota"})


def print_jobs_json(answer: Job | JobList, fields: str | None) -> None:
    """One job or several as JSON. With ``fields`` only those, in their order, with as few bytes as JSON has: for
    whoever pays by the byte. A list then keeps ``total``, and ``problems`` only if there are any.
    """
    if fields is None:
        print_json(answer)
        return
    names = _field_names(fields)
    if isinstance(answer, Job):
        data = _only(answer, names)
    else:
        data = {"total": answer.total, "jobs": [_only(job, names) for job in answer.jobs]}
        if answer.problems:
            data["problems"] = [dataclasses.asdict(problem) for problem in answer.problems]
    print_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")))


def check_fields(fields: str | None, json_output: bool) -> None:
    """Raises UsageError for fields that no job has, or that nobody would see, before anything is done."""
    if fields is not None:
        _field_names(fields)
        if not json_output:
            raise UsageError("--fields is about JSON.", "Add --json.")


def _field_names(fields: str) -> list[str]:
    known = [field.name for field in dataclasses.fields(Job)]
    names = [name for name in (word.strip() for word in fields.split(",")) if name]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        wrong = f"a job has no '{unknown[0]}'" if unknown else "no field is named"
        raise UsageError(f"--fields: {wrong}.", f"Of {', '.join(known)}.")
    return names


def _only(job: Job, names: list[str]) -> dict[str, Any]:
    whole = dataclasses.asdict(job)
    return {name: whole[name] for name in names}


def complete_id(incomplete: str) -> list[tuple[str, str]]:
    """Ids and names that begin so, for the shell's completion."""
    try:
        records, _ = store().load_all()
    except (CodexAgentError, OSError):
        return []  # a shell that completes has no place to show an error
    records.sort(key=lambda record: record.created_at, reverse=True)
    words = [(word, record.request.prompt_head) for record in records for word in (record.id, record.name) if word]
    return [(word, help_text) for word, help_text in words if word.startswith(incomplete)]


def argument(metavar: str, help_text: str) -> Any:
    """A positional job reference that completes."""
    return typer.Argument(metavar=metavar, help=help_text, autocompletion=complete_id, show_default=False)


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
JobRef = Annotated[str, argument("ID", "A job: its id, a unique prefix of it, or its name.")]
JobRefs = Annotated[list[str], argument("ID...", "Jobs: ids, unique prefixes, or names.")]
Fields = Annotated[
    str | None, typer.Option("--fields", metavar="A,B", help="With --json: only these fields of a job.")
]
Strip = Annotated[bool, typer.Option("--strip-ansi", "--clean", help="Leave out terminal control codes.")]


def wait_for(
    where: Store,
    ids: list[str],
    *,
    until: Until = "end",
    wait_any: bool = False,
    timeout_s: float | None = None,
) -> bool:
    """``jobs.wait``, broken off by Ctrl-C with a word about what that means for the jobs: nothing."""
    again = "wait" if until == "end" else f"wait --until {until}"
    with no_longer_waiting(ids, again):
        return jobs.wait(where, ids, until=until, wait_any=wait_any, timeout_s=timeout_s)


@contextlib.contextmanager
def no_longer_waiting(ids: list[str], again: str) -> Iterator[None]:
    """Ctrl-C in here breaks off the waiting alone, and says which command (``again``) takes it up again."""
    try:
        yield
    except KeyboardInterrupt:
        raise broken_off(again, ids) from None


def exit_of_report(report: TurnReport) -> int:
    """The exit code of ``await-turn`` where it did not time out (0, 1, 10 or 11)."""
    if report.turn_state == "unknown" or (report.turn_status is None and report.turn_state in BUSY):
        return EXIT_FAILED  # nobody can tell how the turn ended, or what the agent does
    return _exit_of(report.status, report.turn_state, report.turn_status, report.failure)


def exit_of_job(job: Job) -> int:
    """The same code for a job as it stands; a turn that still runs is no failure."""
    last = None if job.last_turn is None or job.current_turn is not None else job.last_turn.status
    return _exit_of(job.status, job.turn_state, last, job.failure)


def worst(codes: Iterable[int]) -> int:
    """The one code for several jobs: one that needs somebody stands above a limit, and that above a failure."""
    found = set(codes)
    return next(code for code in (EXIT_NEEDS_YOU, EXIT_LIMIT, EXIT_FAILED, EXIT_OK) if code in found)


def _exit_of(status: Status, state: TurnState | None, turn: TurnStatus | None, failure: Failure | None) -> int:
    if state in WAITING:
        return EXIT_NEEDS_YOU
    if state in LIMITED or (failure is not None and failure.reason in LIMIT_REASONS):
        return EXIT_LIMIT
    wrong = ("failed", "interrupted")
    if status in wrong or turn in wrong or state == "error":
        return EXIT_FAILED
    return EXIT_OK
