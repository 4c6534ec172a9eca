"""Owns ``note``: whose notes are meant, and which mistake a resolution is about.

A note belongs to the thread, so that every job of it shows it; to the job while it has none. A thread whose
rollout is gone still has its notes. Must never change one.
"""

from __future__ import annotations

from codex_agent.errors import AmbiguousId, JobNotFound, ThreadNotFound, UsageError
from codex_agent.notes import NoteBook
from codex_agent.store import Store
from codex_agent.threads.refs import resolve
from codex_agent.work_answers import Note, NoteKind, Notes

_MOST_CHARS = 100_000


def notes(store: Store, codex_home: str, word: str) -> Notes:
    """All that was noted about this agent. Raises ThreadNotFound, AmbiguousId."""
    thread_id, job_id = _whose(store, codex_home, word)
    return _all(NoteBook(store.home), thread_id, job_id)


def add(store: Store, codex_home: str, word: str, text: str, kind: NoteKind, of: str | None = None) -> Notes:
    """Notes it, and returns all that was noted, this last. ``of``: the mistake a resolution is about.

    Without it a resolution is about the last mistake that has none. Raises ThreadNotFound, AmbiguousId, UsageError
    for a text or a mistake that cannot be, StoreUnwritable.
    """
    if not text.strip():
        raise UsageError("The note is empty.", "Say what you found.")
    if len(text) > _MOST_CHARS:
        raise UsageError(f"The note has {len(text)} characters; {_MOST_CHARS} are the most.", "Shorten it.")
    if of is not None and kind != "resolution":
        raise UsageError("--of is for a resolution.", "Add --kind resolution, or leave it out.")
    thread_id, job_id = _whose(store, codex_home, word)
    book = NoteBook(store.home)
    resolves = _mistake(book.read(job_id, thread_id)[0], of) if kind == "resolution" else None
    book.add(thread_id or job_id or word, kind, text.strip("\n"), job_id=job_id, resolves=resolves)
    return _all(book, thread_id, job_id)


def _all(book: NoteBook, thread_id: str | None, job_id: str | None) -> Notes:
    found, bad = book.read(job_id, thread_id)
    return Notes(thread_id, job_id, book.path(thread_id or job_id or ""), found, bad)


def _mistake(known: list[Note], of: str | None) -> str | None:
    """The id of the mistake that is meant; None if none is open, and then the resolution stands by itself."""
    mistakes = [one.id for one in known if one.kind == "mistake"]
    if of is None:
        resolved = {one.resolves for one in known}
        return next((one for one in reversed(mistakes) if one not in resolved), None)
    if of not in mistakes:
        raise UsageError(f"--of: no mistake '{of}' was noted.", "codex-agent note ID --list shows them.")
    return of


def _whose(store: Store, codex_home: str, word: str) -> tuple[str | None, str | None]:
    """The thread and the job that are meant; one of them may be None."""
    try:
        ref = resolve(store, codex_home, word)
        return ref.thread_id, ref.job_id
    except ThreadNotFound as error:
        try:
            return None, store.resolve(word)
        except (JobNotFound, AmbiguousId):
            if NoteBook(store.home).has(word):
                return (word, None) if "-" in word else (None, word)
            raise error from None
