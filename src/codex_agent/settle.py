"""Owns the end of a job whose supervisor died before it could write one.

Whoever notices first does it (the guardian in the pane, or the next reader): ends what is left of the job, reads
what Codex had still written, and records that the supervisor was lost. Must never touch a job whose lock is held.
"""

from __future__ import annotations

import contextlib
import os
from functools import partial

from codex_agent import execstream, kernel, rollouts, sealing
from codex_agent.errors import MissingProgram, StoreUnwritable
from codex_agent.gates import slots
from codex_agent.model import Facts, Record, stamp
from codex_agent.offspring import Offspring
from codex_agent.rollouts import RolloutState
from codex_agent.rollouts.files import whole_bytes
from codex_agent.store import Store
from codex_agent.verdict import seconds


def settle(store: Store, job_id: str, *, by: str) -> Record:
    """The job's record with its end in it, written now if nobody had.

    ``by`` is "guardian" or "reader". Returns the record unchanged if it has ended or turned out to live after
    all. Raises StoreUnwritable if the end cannot be written; then the job's processes are ended all the same.
    """
    with store.settling():
        record = store.load(job_id)
        if record.facts.ended_at is not None or lives(store, record):
            return record
        facts = record.facts
        left = kernel.sweep(lambda: kernel.marked(record.mark))
        if left:
            facts.warnings.append(f"Could not end pid {', '.join(str(process.pid) for process in left)}.")
        listen = store.path(job_id, ".app")
        if os.path.lexists(listen):
            from codex_agent.drivers.server import clear_socket  # late: most jobs have none

            clear_socket(listen)
        catch_up(store, record)
        _take_work(store, record)
        facts.waiting, facts.waiting_flags = [], []
        facts.lost = _what_was_lost(facts)
        facts.settled_by = by
        facts.ended_at = stamp()
        if facts.turn.state == "completed" and facts.last_message is not None:
            store.write(job_id, ".result", facts.last_message.encode("utf-8", "replace"))
        sealing.save(store, record)
        with contextlib.suppress(StoreUnwritable):  # the end is written, and that counts
            from codex_agent import debug_file  # late: few jobs are settled

            debug_file.write(store, record)
        store.event(job_id, "settled", by=by, lost=facts.lost)
        slots.forget(store.home, job_id)
        return record


def _take_work(store: Store, record: Record) -> None:
    """Where the work stands in git, as far as that can be told without the agent's environment."""
    from codex_agent.tracking import work  # late: readers settle hardly ever

    work.Watch(record, partial(store.event, record.id)).look()
    work.end(record, None)


def lives(store: Store, record: Record) -> bool:
    """Whether the job's lock is held; if somebody removed the lock, whether its very supervisor still runs."""
    if os.path.exists(store.path(record.id, ".lock")):
        return store.is_alive(record.id)
    facts = record.facts
    return facts.supervisor is not None and facts.boot_id == kernel.boot_id() and kernel.is_same(facts.supervisor)


def catch_up(store: Store, record: Record) -> None:
    """Reads into the facts what the stream's file and the rollout hold beyond what the record knew."""
    facts, cwd = record.facts, record.request.cwd
    if record.request.mode == "interactive":
        _rollout(record)
        turn, witness = facts.turn, facts.rollout_turn
        if turn.state == "open" and turn.id == witness.id and witness.state is not None:
            # What the channel said last died with the supervisor.
            turn.state, turn.ended_at, turn.error = witness.state, witness.ended_at, witness.error
            turn.error_info = witness.error_info
        return
    fresh = Facts(tokens=facts.tokens, warnings=facts.warnings, last_activity_at=facts.last_activity_at)
    at = facts.last_activity_at or record.created_at
    try:
        with open(store.path(record.id, ".jsonl"), "rb") as stream:
            for line in stream:
                event = execstream.parse(line) if line.endswith(b"\n") else None
                if event is not None:
                    execstream.fold(fresh, event, at, cwd)
    except FileNotFoundError:
        return
    facts.thread_id = fresh.thread_id or facts.thread_id
    facts.last_message = fresh.last_message or facts.last_message
    if (fresh.turn.count, fresh.turn.ended_at or "") >= (facts.turn.count, facts.turn.ended_at or ""):
        facts.turn = fresh.turn  # else lines are missing in the file (a full disk), and the record knows more
    facts.reconnecting = fresh.reconnecting
    for path in fresh.files:
        execstream.add_file(facts, path)
    _rollout(record)


def _rollout(record: Record) -> None:
    facts = record.facts
    if facts.thread_id is None:
        return
    try:
        facts.rollout = facts.rollout or rollouts.find(record.request.codex_home, facts.thread_id)
        if facts.rollout is None:
            return
        reader = open_rollout(facts, facts.rollout)
        reader.read_new()
    except (OSError, MissingProgram) as error:
        facts.warnings.append(f"The rollout could not be read: {error}")
        return
    take_rollout(facts, reader.state)
    family = offspring_of(record)
    family.look(facts.thread_id, reader.fold.turns)
    take_offspring(facts, family)


def offspring_of(record: Record) -> Offspring:
    """The job's sub-agents, of which nothing is read yet."""
    return Offspring(record.request.codex_home, seconds(record.created_at))


def take_offspring(facts: Facts, family: Offspring) -> None:
    """Takes what sub-agents have used into the facts."""
    facts.agents, facts.agents_spent = family.count, family.spent()


def mark_beginning(record: Record) -> None:
    """Notes how long the rollout is of a thread that this job is about to go on with, for the first time."""
    facts, resume = record.facts, record.request.resume
    if resume is None or resume.forked or facts.runs > 1:
        return
    path = rollouts.find(record.request.codex_home, resume.thread_id)
    if path is not None and not path.endswith(".zst"):  # one that is packed was measured when it was asked for
        with contextlib.suppress(OSError):
            facts.rollout_before = whole_bytes(path)


def open_rollout(facts: Facts, path: str) -> rollouts.Reader:
    """A reader of what the job's thread has in its rollout, without what was there before the job.

    Raises OSError if there is no such file.
    """
    reader = rollouts.Reader(path, thread_id=facts.thread_id)
    if facts.rollout_before and not path.endswith(".zst"):
        status = os.stat(path)
        if status.st_size >= facts.rollout_before:
            reader.begin_at((status.st_dev, status.st_ino), facts.rollout_before)
    return reader


def take_rollout(facts: Facts, state: RolloutState) -> None:
    """Takes what the rollout tells into the facts; what the stream alone knows stays."""
    facts.model = state.model or facts.model
    facts.reasoning = state.reasoning or facts.reasoning
    facts.tokens = state.tokens or facts.tokens
    facts.spent = list(state.spent)
    facts.last_message = facts.last_message or state.last_message
    for path in state.files:
        execstream.add_file(facts, path)
    turn = facts.rollout_turn
    turn.id, turn.state, turn.count = state.turn_id, state.turn_state, state.turns_started
    turn.started_at, turn.ended_at = state.turn_started_at, state.turn_ended_at
    turn.error, turn.error_info = state.turn_error, state.turn_error_info


def take_review(record: Record) -> None:
    """Takes what a review has cost into the facts: it is not its own thread that has used it."""
    facts = record.facts
    if record.request.review is None or facts.tokens is not None or facts.rollout is None:
        return
    from codex_agent.rollouts import review  # late: few jobs are one

    with contextlib.suppress(OSError, MissingProgram):
        found = review.outcome(facts.rollout)
        facts.tokens = None if found is None else review.tokens(facts.rollout, found)


def _what_was_lost(facts: Facts) -> str:
    if facts.started_at is None and facts.queue is None:
        return "start"
    if facts.boot_id is not None and facts.boot_id != kernel.boot_id():
        return "reboot"
    return "queue" if facts.queue is not None else "supervisor"
