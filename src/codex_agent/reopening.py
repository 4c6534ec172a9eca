"""Owns beginning an ended job again: the same job and thread, a new supervisor, a message to go on with.

Whoever gets the job's lock does it; another ``send`` at the same moment finds the job alive and talks to it. If it
cannot be begun, the record and the queue are as they were. Must never touch a job that lives.
"""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Mapping

from codex_agent import arrival, budget, codex, mailbox, sealing, tmux
from codex_agent.command_lines import set_argv
from codex_agent.drivers.base import Message
from codex_agent.errors import BadState, StoreUnwritable
from codex_agent.launching import launch
from codex_agent.model import Facts, Record, Turn
from codex_agent.settings import Settings, cache_dir
from codex_agent.starting import live_job, thread_taken
from codex_agent.store import Store


def reopen(store: Store, job_id: str, message: Message, settings: Settings, environ: Mapping[str, str]) -> bool:
    """Begins the job again with this message, after those that still wait. False if it turned out to live.

    Raises BadState if there is no thread to go on with, and what ``start`` raises if Codex cannot be run.
    """
    tmux.version(environ)
    found = codex.find(settings.codex, environ, cache_dir(environ))
    with store.settling():
        lock = store.relock(job_id)
        if lock is None:
            return False
        record = store.load(job_id)
        if record.facts.ended_at is None:
            os.close(lock)
            return False
        try:
            before, waited = copy.deepcopy(record), mailbox.load(store, job_id)
            _check(store, record, found)
            _begin_anew(record, found, environ)
            box = _still_to_say(record, [*copy.deepcopy(waited), message])
            record.facts.queued = len(box)
            try:
                mailbox.save(store, job_id, box)
                sealing.save(store, record)
            except BaseException:
                _put_back(store, before, waited)
                raise
        except BaseException:
            os.close(lock)
            raise
    try:
        launch(store, record, lock, found, settings, environ)
    except BaseException:
        _put_back(store, before, waited)
        raise
    finally:
        os.close(lock)
    return True


def _put_back(store: Store, before: Record, waited: list[Message]) -> None:
    with contextlib.suppress(StoreUnwritable):
        mailbox.save(store, before.id, waited)
    with contextlib.suppress(StoreUnwritable):
        sealing.save(store, before)


def _still_to_say(record: Record, messages: list[Message]) -> list[Message]:
    """Without those that were being said when the job ended, and that the thread has; each once."""
    there = arrival.turns(record.facts, record.request, [one for one in messages if one.said])
    box = {one.id: one for one in messages if one.id not in there}
    for one in box.values():
        one.said = False
    return list(box.values())


def _check(store: Store, record: Record, found: codex.Codex) -> None:
    if record.facts.thread_id is None:
        raise BadState(
            f"Job {record.id} ended before Codex had opened a thread, so there is nothing to go on with.",
            "Start a new one.",
            id=record.id,
        )
    taken = live_job(store, record.facts.thread_id, but=record.id)
    if taken is not None:
        raise thread_taken(taken)
    if (budget.share(record.request, record.facts) or 0) >= 1:
        raise BadState(
            f"The budget of job {record.id} is used up: {budget.words(record.request, record.facts)}.",
            f"codex-agent resume {record.id} goes on with its thread, with another --budget or none.",
            id=record.id,
        )
    if not os.path.isdir(record.request.cwd):
        raise BadState(
            f"The folder of job {record.id} is gone: {record.request.cwd}", "Start a new one.", id=record.id
        )
    if record.request.driver == "channel" and not codex.has_channel(found.version):
        raise BadState(
            f"Job {record.id} needs a Codex that can be driven from outside; {found.path} is {found.version}.",
            "Name a newer one with CODEX_AGENT_CODEX.",
            id=record.id,
        )


def _begin_anew(record: Record, found: codex.Codex, environ: Mapping[str, str]) -> None:
    """The record of a job that is about to run again; what it has done so far stays in it."""
    request, facts, fresh = record.request, record.facts, Facts()
    request.codex_version = found.version
    set_argv(request, found, environ)
    if facts.turn.state is not None:
        if request.mode == "exec":
            facts.turn.id = facts.turn.id or facts.rollout_turn.id  # the event stream gives turns no ids
        if facts.turn.state == "open":
            facts.turn.state, facts.turn.ended_at = "aborted", facts.ended_at
        facts.last_turn = facts.turn
        facts.turn = Turn(count=facts.turn.count)
    for name in (
        *("supervisor", "codex", "viewer", "exit_code", "exit_signal", "exited_at", "last_stderr", "stop_reason"),
        *("lost", "ended_at", "settled_by", "waiting", "waiting_flags", "unknown", "reconnecting"),
        *("queue", "not_begun"),
    ):
        setattr(facts, name, getattr(fresh, name))
    facts.runs += 1
