"""Owns the commands that end and remove jobs: kill, delete, clean."""

from __future__ import annotations

from typing import Annotated

import typer

from codex_agent import ending as verbs
from codex_agent import jobs
from codex_agent.cli.common import (
    JobRef,
    JobRefs,
    Json,
    duration,
    store,
)
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.errors import CodexAgentError
from codex_agent.job_text import state
from codex_agent.model import JobList, Problem, stamp


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    for command in (kill, delete, clean):
        app.command()(command)


def kill(refs: JobRefs, json_output: Json = False) -> None:
    """End running jobs and everything they started. Exit 4 if one had ended before."""
    where = store()
    if len(refs) == 1:
        job = verbs.kill(where, where.resolve(refs[0]))
        if json_output:
            print_json(job)
        else:
            print_text(f"{job.id}  {state(job)}")
        return
    answer = JobList(stamp(), [], [], 0)
    first: CodexAgentError | None = None
    seen: set[str] = set()
    for ref in dict.fromkeys(refs):
        try:
            job_id = where.resolve(ref)
            if job_id not in seen:
                seen.add(job_id)
                answer.jobs.append(verbs.kill(where, job_id))
        except CodexAgentError as error:
            first = first or error
            answer.problems.append(Problem(str(error.data.get("id", ref)), None, error.code, error.message))
    answer.total = len(answer.jobs)
    if json_output:
        print_json(answer)
    else:
        for job in answer.jobs:
            print_text(f"{job.id}  {state(job)}")
        for problem in answer.problems:
            note(f"codex-agent: {problem.message}")
    if first is not None:
        raise typer.Exit(first.exit_code)


def delete(ref: JobRef, json_output: Json = False) -> None:
    """Remove an ended job, all its files, and its worktree unless work would be lost."""
    where = store()
    job = jobs.view(where, where.resolve(ref))
    verbs.delete(where, job.id)
    if json_output:
        print_json(job)
    else:
        print_text(f"{job.id}  deleted")


def clean(
    older_than: Annotated[
        str, typer.Option("--older-than", metavar="DURATION", help="Days, or 12h, 30m; 0 is every ended job.")
    ] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say which, and remove nothing.")] = False,
    json_output: Json = False,
) -> None:
    """Remove jobs that ended a while ago. Running ones, and work that is only in a worktree, are never touched."""
    limit_s = duration(older_than, "d", "--older-than")
    gone, kept = verbs.clean(store(), older_than_s=limit_s, dry_run=dry_run)
    if json_output:
        print_json(JobList(stamp(), gone, kept, len(gone)))
        return
    for problem in kept:
        note(f"{problem.id}  kept: {problem.message}")
    for job in gone:
        print_text(f"{job.id}  {job.status}  {job.completed_at}")
    word = "would be removed" if dry_run else "removed"
    print_text(f"{len(gone)} job{'s' * (len(gone) != 1)} {word}.")
