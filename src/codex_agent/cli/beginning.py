"""Owns ``start``, and what ``resume`` and ``review`` do alike once all is checked: show it, begin it, wait for it.

Loads no typer by itself: ``fast/starting.py`` comes here too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from codex_agent.calling import me
from codex_agent.cli.asked import Options, read_prompt, settings, start_options, store
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.errors import EXIT_FAILED, EXIT_OK
from codex_agent.model import Job
from codex_agent.settings import Settings
from codex_agent.store import Store

if TYPE_CHECKING:
    from codex_agent.starting import Plan


def start(prompt: str | None, options: Options) -> int:
    """``start``; the exit code."""
    from codex_agent import starting

    where, chosen = store(), settings()
    wanted = start_options(options)
    wanted.prompt = read_prompt(prompt, options)
    return begin(starting.plan(wanted, chosen, os.environ), options, where, chosen)


def begin(
    planned: Plan, options: Options, where: Store, chosen: Settings, show_end: Callable[[Job], None] | None = None
) -> int:
    """Begins what was planned and says so, as far as the options want it; the exit code.

    ``show_end`` prints what came of it, where that is more than the job itself.
    """
    from codex_agent import starting

    json_output = options.json_output
    if options.dry_run:
        _show_plan(planned, json_output)
        return EXIT_OK
    told = len(planned.notices)
    if not json_output:
        for notice in planned.notices:
            note(f"note: {notice}")
    job = starting.start(planned, chosen, where, os.environ)
    if not json_output:
        for notice in planned.notices[told:]:
            note(f"note: {notice}")
    if options.wait and job.mode == "interactive":
        if not json_output:
            note(f"{job.id} {_begun(job)}; waiting for its turn's end ({me()} attach {job.id} shows it)")
        from codex_agent.cli.talking import wait_for_turn

        return wait_for_turn(where, job.id, None, json_output)
    if options.wait:
        from codex_agent import jobs
        from codex_agent.cli.common import wait_for

        if not json_output:
            note(f"{job.id} {_begun(job)}; waiting for its end (codex-agent watch {job.id} shows it)")
        wait_for(where, [job.id])
        job = jobs.view(where, job.id)
        if show_end is not None:
            show_end(job)
            return EXIT_OK
    _show_job(job, json_output, ended=options.wait, version=planned.found.version)
    return EXIT_FAILED if options.wait and job.status != "completed" else EXIT_OK


def _begun(job: Job) -> str:
    return "started" if job.queue is None else f"queued ({job.queue.detail})"


def _show_job(job: Job, json_output: bool, *, ended: bool, version: str) -> None:
    if json_output:
        print_json(job)
    elif ended:
        from codex_agent.job_text import details

        print_text(details(job, color=False))
    elif job.mode == "interactive":
        plainly = " (plain)" if job.driver == "plain" else ""
        print_text(
            f"{job.id} {_begun(job)}: Codex {version}, interactive{plainly}, {job.sandbox}, "
            f"approval {job.approval}, {job.cwd}"
        )
        _tell_where(job)
        print_text(f'  {me()} send {job.id} "..." | await-turn {job.id} | approvals {job.id}')
        print_text(f"  {me()} status {job.id} | attach {job.id} | exit {job.id} | kill {job.id}")
    else:
        print_text(f"{job.id} {_begun(job)}: Codex {version}, {job.sandbox}, {job.cwd}")
        _tell_where(job)
        print_text(f"  {me()} status {job.id} | watch {job.id} | wait {job.id} | attach {job.id} | kill {job.id}")


def _tell_where(job: Job) -> None:
    if job.worktree is not None:
        begins = job.worktree.base or job.worktree.base_commit[:12]
        print_text(f"  in a worktree, on branch {job.worktree.branch}, from {begins}")
    if job.resume is not None:
        print_text(f"  {'a fork of' if job.resume.forked else 'goes on with'} thread {job.resume.thread_id}")


def _show_plan(planned: Plan, json_output: bool) -> None:
    import shlex

    from codex_agent.answers import DryRun

    answer = DryRun(
        dry_run=True,
        prompt=planned.prompt.text,
        prompt_chars=planned.prompt.chars,
        tokens_estimated=planned.prompt.tokens_estimated,
        argv=planned.request.argv,
        viewer_argv=planned.request.viewer_argv,
        cwd=planned.request.cwd,
        codex_path=planned.found.path,
        codex_version=planned.found.version,
        notices=planned.notices,
    )
    if json_output:
        print_json(answer)
        return
    for notice in planned.notices:
        note(f"note: {notice}")
    print_text(answer.prompt)
    note(f"{answer.prompt_chars} characters, about {answer.tokens_estimated} tokens; not started. Would run:")
    note(f"  {shlex.join(answer.argv)}")
    if answer.viewer_argv:
        note("and in the pane:")
        note(f"  {shlex.join(answer.viewer_argv)}")
