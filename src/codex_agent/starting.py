"""Owns ``start``: from what was asked for to a job whose Codex really runs, or to an error and no job.

Everything that can be checked without side effects is checked in ``plan``; ``start`` then makes the record, opens
the tmux session and hands over. Must never leave a half-made job behind when it fails.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from codex_agent import codex, instructions, profiles, prompt, tmux
from codex_agent.codex.home import codex_home
from codex_agent.command_lines import exec_options, set_argv
from codex_agent.errors import BadState, MissingProgram, StoreUnwritable, UsageError
from codex_agent.gates.lines import check_names
from codex_agent.launching import launch
from codex_agent.model import (
    PROMPT_HEAD_CHARS,
    RECORD_VERSION,
    Driver,
    Facts,
    Job,
    Record,
    Request,
    ReviewTarget,
    Worktree,
    stamp,
)
from codex_agent.settings import Settings, cache_dir, home, override
from codex_agent.start_checks import (
    check_interactive,
    check_said_once,
    left_out,
    not_there,
    raise_reasoning,
    source_notice,
)
from codex_agent.start_options import StartOptions
from codex_agent.store import Store
from codex_agent.tracking import wrappers
from codex_agent.worktrees import beginning

_GO_DOWN_S = 15.0
_NAME_CHARS = 64
# What an agent that stays does unless told otherwise: somebody can answer it.
_ASKS = "on-request"


@dataclass(slots=True)
class Plan:
    """A start that has been checked: what would run, with what prompt, and what a person should be told."""

    request: Request
    name: str | None
    prompt: prompt.BuiltPrompt
    found: codex.Codex
    notices: list[str]
    facts: Facts = field(default_factory=Facts)
    """What is known of the job before it runs."""
    alone: bool = True
    """Whether no other live job may have its thread."""
    overlap_check: bool = False
    """Whether to look who else is at work in its tree."""
    new_tree: bool = False
    """Whether its worktree is still to be made."""


def plan(options: StartOptions, settings: Settings, environ: Mapping[str, str]) -> Plan:
    """Checks everything that can be checked before anything starts. Raises UsageError, MissingProgram."""
    options = profiles.applied(options, settings)
    if not options.interactive:
        check_interactive(options)
    cwd = _folder(options.cwd, "The working directory")
    if options.resume is not None:
        # A thread has its own model; what new jobs get is no reason to change it.
        settings = replace(settings, model=None, reasoning=None)
    settings = override(
        settings,
        model=options.model,
        reasoning=options.reasoning,
        sandbox=options.sandbox,
        timeout_min=None if options.timeout_s is None else options.timeout_s / 60,
        max_time_min=None if options.max_time_s is None else options.max_time_s / 60,
        notify_on_complete=options.notify_on_complete,
    )
    name = _name(options.name)
    notify = _words(settings.notify_on_complete)
    if not options.prompt.strip() and not _needs_no_prompt(options):
        raise UsageError("The prompt is empty.", 'Give the task: codex-agent start "..."')
    limit = codex.MAX_PROMPT_CHARS
    built = prompt.build(options.prompt, cwd=cwd, globs=options.files, use_map=options.use_map, limit=limit)
    prompt.check_length(built.text, limit)
    request = Request(
        mode="interactive" if options.interactive else "exec",
        prompt_head=options.prompt[:PROMPT_HEAD_CHARS] or _in_words(options.review),
        prompt_chars=len(built.text),
        cwd=cwd,
        sandbox=settings.sandbox,
        model=settings.model,
        reasoning=settings.reasoning,
        parent_session=options.parent_session,
        timeout_s=settings.timeout_min * 60,
        max_time_s=settings.max_time_min * 60,
        notify_on_complete=notify,
        add_dirs=[_folder(path, "--add-dir") for path in options.add_dirs],
        images=[os.path.abspath(path) for path in options.images],
        profile=options.profile,
        config=options.config,
        issue=options.issue or environ.get("CODEX_AGENT_ISSUE") or None,
        instructions=instructions.combined(options.instructions, options.instructions_file, options.agents_md),
        output_schema=options.output_schema and os.path.abspath(options.output_schema),
        skip_git_repo_check=options.skip_git_repo_check,
        resume=options.resume,
        review=options.review,
        thread_source=options.thread_source,
        gates=check_names(options.gates),
        after=options.after,
        after_any=options.after_any,
        max_parallel=options.max_parallel,
        prices=list(settings.prices),
        codex_home=codex_home(environ),
    )
    raised = raise_reasoning(request)
    check_said_once(request)
    if options.budget is not None:
        from codex_agent import budget  # late: few jobs have one

        request.budget_tokens, request.budget_usd = budget.parse(options.budget)
        budget.check(request)
    tree_notices = beginning.settle(request, options.tree, name, settings.worktree, environ)
    wanted = exec_options(request)
    codex.check_files(wanted)
    if not options.interactive and not options.tree.wants_new:
        codex.check_repository(wanted)
    found = codex.find(settings.codex, environ, cache_dir(environ))
    request.codex_version = found.version
    if options.profile:
        codex.check_profile(options.profile, request.codex_home, found.version)
    if request.reasoning:
        codex.check_reasoning(found, request.reasoning, environ)
    if options.thread_source is not None:
        driver: Driver = "exec" if not options.interactive else "plain" if options.plain else "channel"
        codex.check_thread_source(options.thread_source, found.version, driver)
    if options.track and settings.track:
        request.track = wrappers.notes_folder(home(environ))
    if options.interactive:
        _make_interactive(request, options, settings, found)
    set_argv(request, found, environ)
    return Plan(
        request,
        name,
        built,
        found,
        [
            *tree_notices,
            *built.notices,
            *found.notes,
            *raised,
            *source_notice(request),
            *left_out(environ),
            *not_there(notify, cwd, environ),
        ],
        overlap_check=options.overlap_check and settings.overlap_check,
        new_tree=options.tree.wants_new,
    )


def _needs_no_prompt(options: StartOptions) -> bool:
    """Whether there is something to do without a word: a thread to open and wait in, or a review."""
    opens = options.resume is not None and options.interactive and not options.files and not options.use_map
    return opens or (options.review is not None and options.review.kind != "custom")


def _in_words(review: ReviewTarget | None) -> str:
    """What stands for the prompt of a review that has none."""
    if review is None:
        return ""
    return "Review of " + {"base": f"what is new since {review.name}", "commit": f"commit {review.name}"}.get(
        review.kind, "what is not committed"
    )


def _make_interactive(request: Request, options: StartOptions, settings: Settings, found: codex.Codex) -> None:
    """Completes the request for an agent that stays."""
    if options.output_schema is not None:
        raise UsageError("--output-schema is for agents that do their task and end.", "Leave one of them out.")
    if not options.plain and not codex.has_channel(found.version):
        raise MissingProgram(
            f"Codex {found.version} cannot be driven from outside (0.133.0 and later can): {found.path}",
            "Use the bundled one (pip install 'codex-agent[codex]', CODEX_AGENT_CODEX), or add --plain.",
            path=found.path,
        )
    request.driver = "plain" if options.plain else "channel"
    request.approval = codex.approval_word(
        _ASKS if options.approval is None else options.approval, found, plain=options.plain
    )
    idle_exit_s = settings.idle_grace_s if settings.idle_detection else 0.0
    request.idle_exit_s = idle_exit_s if options.idle_exit_s is None else options.idle_exit_s


def start(planned: Plan, settings: Settings, store: Store, environ: Mapping[str, str]) -> Job:
    """Starts the job; returns it once Codex runs or it is queued. Raises why not, and then no job is left."""
    tmux.find(environ)
    store.prepare()
    job_id, lock = store.reserve()
    made: Worktree | None = None
    try:
        store.write(job_id, ".prompt", planned.prompt.text.encode("utf-8", "surrogatepass"))
        record = Record(
            version=RECORD_VERSION,
            id=job_id,
            name=planned.name,
            created_at=stamp(),
            mark=f"{job_id}.{os.urandom(16).hex()}",
            tmux_session=f"{settings.tmux_prefix}-{job_id}",
            request=planned.request,
            facts=replace(planned.facts, warnings=list(planned.notices)),
        )
        if planned.new_tree:
            beginning.name(record)
        _save_new(store, record, alone=planned.alone)
        if planned.new_tree:
            told = beginning.make(record, settings.worktree, environ)
            made = record.request.worktree
            record.facts.warnings += told
            planned.notices += told
            set_argv(record.request, planned.found, environ)
            store.save(record)

        def look_around() -> None:
            if planned.overlap_check:
                from codex_agent import sharing

                planned.notices += sharing.warn(store, record)

        launch(store, record, lock, planned.found, settings, environ, look_around)
    except BaseException as error:
        _undo(store, job_id, lock)
        wrappers.forget(store.home, planned.request.track)
        if made is not None:
            beginning.unmake(made, error)
        raise
    from codex_agent.verdict import job_view  # late: by then Codex comes up

    os.close(lock)
    return job_view(store.load(job_id), alive=True, now=time.time())


def _save_new(store: Store, record: Record, *, alone: bool) -> None:
    """The first save. Name and thread are taken under the settle lock, so that two starts cannot both get them."""
    thread_id = record.facts.thread_id if alone else None
    if record.name is None and thread_id is None:
        store.save(record)
        return
    with store.settling():
        has_thread = None if thread_id is None else live_job(store, thread_id)
        if has_thread is not None:
            raise thread_taken(has_thread)
        has_name = None if record.name is None else next(store.living(record.name), None)
        if has_name is not None:
            raise BadState(
                f"Job {has_name} is called '{record.name}' and still runs.",
                "Choose another --name, or end that job first.",
                id=has_name,
            )
        store.save(record)


def live_job(store: Store, thread_id: str, *, but: str | None = None) -> Record | None:
    """A job that lives and has this thread; None if none has."""
    for record in store.load_all()[0]:
        if record.facts.thread_id == thread_id and record.id != but and store.is_alive(record.id):
            return record
    return None


def thread_taken(other: Record) -> BadState:
    """The error where this live job has the thread that is wanted."""
    thread_id = other.facts.thread_id
    return BadState(
        f"Job {other.id} has thread {thread_id} and still runs.",
        f'Talk to it: codex-agent send {other.id} "..."; or fork it: codex-agent resume {thread_id} --fork.',
        id=thread_id,
        job_id=other.id,
    )


def _undo(store: Store, job_id: str, lock: int) -> None:
    """Takes back a start that failed: its files, once its processes are gone."""
    os.close(lock)
    deadline = time.monotonic() + _GO_DOWN_S
    while store.is_alive(job_id) and time.monotonic() < deadline:
        time.sleep(0.02)
    if not store.is_alive(job_id):
        # One that will not go stays listed, and can be ended with `kill`. Under the settle lock: the guardian may
        # just be writing down the end of this job, and must not bring the record back.
        with contextlib.suppress(StoreUnwritable), store.settling():
            store.delete(job_id)


def _folder(path: str, what: str) -> str:
    if not path:
        # An empty variable, most likely; it must not mean the folder we happen to be in.
        raise UsageError(f"{what} is empty.", "Give a directory, or leave the option out.")
    full = os.path.abspath(path)
    if not os.path.exists(full):
        raise UsageError(f"{what} does not exist: {full}", "Check the path.", path=full)
    if not os.path.isdir(full):
        raise UsageError(f"{what} is not a directory: {full}", "Give a directory.", path=full)
    return os.path.realpath(full)


def _name(name: str | None) -> str | None:
    if name is None:
        return None
    if not re.fullmatch(r"[^\s\x00-\x1f\x7f-][^\x00-\x1f\x7f]*", name) or len(name) > _NAME_CHARS:
        raise UsageError(
            f"'{name[:_NAME_CHARS]}' cannot be a job's name.",
            f"Up to {_NAME_CHARS} characters on one line, not beginning with a space or '-'.",
        )
    if re.fullmatch(r"[0-9a-f]{1,8}", name):
        # Else, once the job is deleted, the same command would mean whichever job's id begins so.
        raise UsageError(f"'{name}' could be the beginning of a job id.", "Choose a name that is not hexadecimal.")
    return name


def _words(command: str | None) -> list[str] | None:
    """A command line as words; it is run without a shell (say ``sh -c '...'`` for one)."""
    import shlex

    if not command:
        return None
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--notify-on-complete: {error}: {command}", "Check the quotes.") from error
    if not words:
        raise UsageError("--notify-on-complete is empty.", "Give a command, or leave it out.")
    return words
