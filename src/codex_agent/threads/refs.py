"""Owns what a THREAD on a command line means."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from codex_agent.errors import AmbiguousId, JobNotFound, ThreadNotFound
from codex_agent.model import Record
from codex_agent.rollouts import locate
from codex_agent.rollouts.head import read_head
from codex_agent.store import Store

_ADDRESS = re.compile(r"codex:/*(?:threads|local)/([0-9a-fA-F-]+)/?(?:[?#].*)?")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_NAMED = 8


@dataclass(frozen=True, slots=True)
class Ref:
    """A thread: its id, its rollout as found now (None if there is none), our newest job that has it."""

    thread_id: str
    rollout: str | None
    job_id: str | None
    codex_home: str


def resolve(store: Store, codex_home: str, word: str) -> Ref:
    """The thread that is meant: an id or a unique prefix, a ``codex://threads/<id>`` address, a job, ``last``.

    What is exactly a job's id or name means the job's thread. Raises ThreadNotFound, AmbiguousId.
    """
    wanted = word.strip()
    address = _ADDRESS.fullmatch(wanted)
    wanted = (address[1] if address else wanted).lower() if address or _is_hex(wanted) else wanted
    if not wanted:
        raise _not_found(word, codex_home)
    if wanted == "last":
        return newest(store, codex_home)
    if address is None and not _ID.fullmatch(wanted):
        job = _job(store, wanted)
        if job is not None:
            return job
    if _ID.fullmatch(wanted):
        path = locate.find(codex_home, wanted)
        job_id = job_of(store, wanted)
        if path is None and job_id is None:
            raise _not_found(word, codex_home)
        return _of(store, codex_home, wanted, path, job_id)
    matches = sorted(
        {one.thread_id for one in locate.everything(codex_home, archived=True) if one.thread_id.startswith(wanted)}
    )
    if not matches:
        raise _not_found(word, codex_home)
    if len(matches) > 1:
        some = ", ".join(matches[:_MOST_NAMED]) + (", ..." if len(matches) > _MOST_NAMED else "")
        raise AmbiguousId(
            f"'{word}' could be any of {len(matches)} threads: {some}",
            "Give more characters of the id; those of one minute begin alike.",
            id=word,
            matches=matches,
        )
    return _of(store, codex_home, matches[0], locate.find(codex_home, matches[0]), job_of(store, matches[0]))


def job_of(store: Store, thread_id: str) -> str | None:
    """Our newest job that has this thread; None if none of ours has."""
    records = [one for one in store.load_all()[0] if one.facts.thread_id == thread_id]
    return max(records, key=lambda one: one.created_at).id if records else None


def jobs_of(store: Store) -> dict[str, str]:
    """Our newest job of every thread that one of ours has, by thread."""
    found: dict[str, str] = {}
    for record in sorted(store.load_all()[0], key=lambda one: one.created_at):
        if record.facts.thread_id is not None:
            found[record.facts.thread_id] = record.id
    return found


def record_of(store: Store, word: str) -> Record | None:
    """The job of exactly this id or name; None if there is none: the beginning of one may be a thread's."""
    try:
        record = store.load(store.resolve(word))
    except (JobNotFound, AmbiguousId):
        return None
    return record if word in (record.id, record.name) else None


def _job(store: Store, word: str) -> Ref | None:
    record = record_of(store, word)
    if record is None:
        return None
    thread_id, job_id = record.facts.thread_id, record.id
    if thread_id is None:
        raise ThreadNotFound(
            f"Job {job_id} has no thread (yet).", f"codex-agent status {job_id} says what it does.", id=word
        )
    path = record.facts.rollout
    if path is None or not os.path.isfile(path):
        path = locate.find(record.request.codex_home, thread_id)
    return Ref(thread_id, path, job_id, record.request.codex_home)


def newest(store: Store, codex_home: str, folder: str | None = None) -> Ref:
    """The thread that was active last, of this folder if one is given; a sub-agent's is none.

    Raises ThreadNotFound.
    """
    where = None if folder is None else os.path.realpath(folder)
    there = locate.everything(codex_home)
    for found in sorted(there, key=lambda one: (one.changed_at, one.thread_id), reverse=True):
        try:
            head = read_head(found.path)
        except OSError:
            continue  # moved since it was listed
        if head.source == "subagent" or (where is not None and os.path.realpath(head.cwd or "") != where):
            continue
        return Ref(found.thread_id, found.path, job_of(store, found.thread_id), codex_home)
    at = "" if where is None else f" that began in {where}"
    hint = "codex-agent threads lists those there are; is CODEX_HOME the right one?"
    raise ThreadNotFound(f"There is no thread{at} below {codex_home}.", hint)


def _of(store: Store, codex_home: str, thread_id: str, path: str | None, job_id: str | None) -> Ref:
    if path is None and job_id is not None:
        codex_home = store.load(job_id).request.codex_home
        path = locate.find(codex_home, thread_id)
    return Ref(thread_id, path, job_id, codex_home)


def _is_hex(word: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-fA-F-]+", word))


def _not_found(word: str, codex_home: str) -> ThreadNotFound:
    return ThreadNotFound(
        f"No thread '{word}' below {codex_home}, and no job of that name.",
        "codex-agent threads --all lists them; is CODEX_HOME the right one?",
        id=word,
    )
