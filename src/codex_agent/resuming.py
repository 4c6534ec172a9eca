"""Owns going on with a thread, whoever began it: which one, whether it is free, and with what.

What Codex does not restore (sandbox, folder) is given anew, and said where it differs from what the thread had.
Only reads what Codex owns. Must never go on with another thread than the one that is meant.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from codex_agent import codex, profiles, starting
from codex_agent.codex.home import codex_home
from codex_agent.errors import BadState, MissingProgram, ThreadNotFound, UsageError
from codex_agent.model import SANDBOXES, Facts, Resume, Turn
from codex_agent.rollouts import RolloutState, locate
from codex_agent.rollouts.files import whole_bytes
from codex_agent.settings import Settings
from codex_agent.start_options import StartOptions
from codex_agent.starting import Plan
from codex_agent.store import Store
from codex_agent.threads import memory
from codex_agent.threads import owner as owners
from codex_agent.threads.refs import Ref


@dataclass(slots=True)
class Wanted:
    """How to go on. ``directory`` None: where the thread was. ``force``: even if somebody else has it."""

    forked: bool = False
    force: bool = False
    directory: str | None = None


def plan(
    store: Store, ref: Ref, wanted: Wanted, options: StartOptions, settings: Settings, environ: Mapping[str, str]
) -> Plan:
    """A job that goes on with this thread, checked as by ``starting.plan``, which says what else it raises.

    Raises ThreadNotFound if the thread has no rollout, BadState if somebody has it or it is archived.
    """
    options = profiles.applied(options, settings)
    path = _there(ref, environ)
    if not wanted.forked and not wanted.force:
        _free(store, ref, path)
    state, before = _read(store, path, ref.thread_id)
    options.cwd = _folder(wanted.directory, state.cwd, ref.thread_id)
    options.resume = Resume(ref.thread_id, wanted.forked)
    if not options.prompt.strip() and not options.interactive:
        raise UsageError(
            "An agent that does its task and ends needs a prompt.",
            f'Say how to go on: codex-agent resume {ref.thread_id} "..."; or add --interactive.',
        )
    if wanted.forked and options.interactive and options.plain:
        raise UsageError("--plain cannot fork a thread.", "Leave one of them out.")
    planned = starting.plan(options, settings, environ)
    if wanted.forked and not codex.has_fork(planned.found.version, planned.request.driver):
        raise MissingProgram(
            f"Codex {planned.found.version} cannot fork a thread this way (0.150.0 and later can).",
            "Name a newer one with CODEX_AGENT_CODEX, or leave --fork out.",
            path=planned.found.path,
        )
    planned.notices += _differences(planned, state)
    planned.facts = _known(planned, state, path, before)
    planned.alone = not wanted.force
    return planned


def _there(ref: Ref, environ: Mapping[str, str]) -> str:
    home = codex_home(environ)
    if ref.rollout is None:
        raise ThreadNotFound(
            f"The rollout of thread {ref.thread_id} is not below {ref.codex_home} any more.",
            "Start a new agent.",
            id=ref.thread_id,
        )
    if os.path.realpath(ref.codex_home) != os.path.realpath(home):
        raise BadState(
            f"Thread {ref.thread_id} lies below {ref.codex_home}, and CODEX_HOME is {home}.",
            f"CODEX_HOME={ref.codex_home} codex-agent resume {ref.thread_id} ...",
            id=ref.thread_id,
        )
    if locate.is_archived(ref.rollout):
        raise BadState(
            f"Thread {ref.thread_id} is archived.",
            f"Take it back first: codex unarchive {ref.thread_id}",
            id=ref.thread_id,
        )
    return ref.rollout


def _free(store: Store, ref: Ref, path: str) -> None:
    """Raises BadState if another process has the thread, ours or not."""
    job = starting.live_job(store, ref.thread_id)
    if job is not None:
        raise starting.thread_taken(job)
    try:
        holder = owners.owner(ref.codex_home, ref.thread_id, path)
    except owners.Unknown:
        return  # the system does not tell; Codex itself refuses a second writer, from 0.150 on
    if holder is None:
        return
    who = f"{holder.program or 'a process'} (pid {holder.pid})" if holder.pid else "another person's process"
    since = "" if holder.since is None else f", which runs since {holder.since}"
    raise BadState(
        f"Thread {ref.thread_id} is open in {who}{since}.",
        "Close it there, or go on there; --fork makes a new thread of it, --force tries all the same.",
        id=ref.thread_id,
        pid=holder.pid,
        program=holder.program,
        since=holder.since,
    )


def _read(store: Store, path: str, thread_id: str) -> tuple[RolloutState, int]:
    """What the thread's rollout says so far, and how long it is."""
    try:
        return memory.read(store.home, path, thread_id).state, whole_bytes(path)
    except FileNotFoundError:
        raise ThreadNotFound(f"The rollout {path} was just moved away.", "Try again.", id=thread_id) from None


def _folder(given: str | None, cwd: str | None, thread_id: str) -> str:
    if given is not None:
        return given
    if cwd is None:
        raise UsageError(f"Nothing says where thread {thread_id} was at work.", "Name a folder: -d DIR")
    if not os.path.isdir(cwd):
        raise UsageError(f"The folder of thread {thread_id} is gone: {cwd}", "Name another one: -d DIR", path=cwd)
    return cwd


def _differences(planned: Plan, state: RolloutState) -> list[str]:
    request, found = planned.request, []
    if state.sandbox is not None and state.sandbox != request.sandbox:
        wider = ""
        if state.sandbox in SANDBOXES and SANDBOXES.index(request.sandbox) > SANDBOXES.index(state.sandbox):
            wider = ", which allows more"
        found.append(
            f"The thread's last turn ran with the sandbox {state.sandbox}, this one runs with "
            f"{request.sandbox}{wider}."
        )
    if request.model is not None and state.model is not None and state.model != request.model:
        found.append(
            f"The thread's last turn ran with the model {state.model}, this one runs with {request.model}."
        )
    if state.cwd is not None and os.path.realpath(state.cwd) != request.cwd:
        here = "a new worktree" if planned.new_tree else request.cwd
        found.append(f"The thread's last turn was at work in {state.cwd}, this one is in {here}.")
    return found


def _known(planned: Plan, state: RolloutState, path: str, before: int) -> Facts:
    """What is known of the job beforehand: its thread, and if it only opens that, how the thread stands."""
    resume = planned.request.resume
    assert resume is not None
    facts = Facts()
    if not resume.forked:
        facts = Facts(thread_id=resume.thread_id, rollout=path, rollout_before=before)
    if planned.request.prompt_chars == 0:
        facts.turn = Turn(
            # One without an end was cut off by whatever ended its Codex; Codex 0.98 marks no turns.
            state="aborted" if state.turn_state == "open" else state.turn_state or "completed",
            started_at=state.turn_started_at,
            ended_at=state.turn_ended_at,
            error=state.turn_error,
            error_info=state.turn_error_info,
            id=state.turn_id,
        )
        facts.last_message, facts.spoke_in = state.last_message, state.turn_id
    return facts
