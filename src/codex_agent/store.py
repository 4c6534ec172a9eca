"""Owns the jobs folder: records, locks, events and the other files of a job. Nothing else touches that folder.

Records are replaced atomically (temporary file, fsync, rename); folders are 0700, files 0600. A record that
cannot be read is reported by name and never changed. Must never decide what a job's status is, nor delete a
job that lives.

Two locks. ``<id>.lock`` is a job's life: its supervisor holds it exclusively from before the record exists (it is
taken by ``start`` and handed over, so there is no moment in between) until the job's end is written; readers
only ever share it, so they never look like a supervisor to each other. ``.settle.lock`` makes the readers that
write down the end of a job whose supervisor died take turns.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict
from time import monotonic, sleep
from typing import Any

from codex_agent import roster
from codex_agent.decoding import decode
from codex_agent.errors import AmbiguousId, JobNotFound, RecordTooNew, RecordUnreadable, StoreUnwritable
from codex_agent.model import RECORD_VERSION, Problem, Record, stamp
from codex_agent.sealed import ID_CHARS, Sealed, ids, is_held, is_id, read, seal, wait_dead

# A reader that settles sweeps for 5 s at most; one that takes much longer has been stopped.
_SETTLE_S, _SETTLE_LOOK_S = 10.0, 0.01
_LIST = "codex-agent jobs --all lists every job."
# Every file a job may have; what `delete` removes.
SUFFIXES = (
    ".json",
    ".events.jsonl",
    ".debug.json",
    ".prompt",
    ".log",
    ".jsonl",
    ".stderr",
    ".result",
    ".queue",
    ".sock",
    ".app",
    ".lock",
)


class Store:
    """The jobs folder below one home. Cheap to make; creates nothing until something is written."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.folder = os.path.join(home, "jobs")
        self._stuck = False

    def path(self, job_id: str, suffix: str) -> str:
        """The file of a job that ends in ``suffix`` (see ``SUFFIXES``); it need not exist."""
        return os.path.join(self.folder, job_id + suffix)

    def prepare(self) -> None:
        """Makes the folder. Raises StoreUnwritable if it cannot be made or written."""
        try:
            for folder in (self.home, self.folder):
                os.makedirs(folder, mode=0o700, exist_ok=True)
            if stat.S_IMODE(os.stat(self.folder).st_mode) & 0o077:
                os.chmod(self.folder, 0o700)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise _unwritable(self.folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    def temporary(self, job_id: str, word: str) -> str:
        """Where a file may lie for a moment; ``clean`` removes what a killed process left there."""
        return os.path.join(self.folder, f".{job_id}.{word}.{os.getpid()}.tmp")

    # ---- identity ----

    def reserve(self) -> tuple[str, int]:
        """A new job id and its lock, held: (id, file descriptor that the caller owns)."""
        while True:
            job_id = os.urandom(ID_CHARS // 2).hex()
            if os.path.exists(self.path(job_id, ".json")):
                continue
            try:
                lock = os.open(
                    self.path(job_id, ".lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
                )
            except FileExistsError:
                continue
            except OSError as error:
                raise _unwritable(self.folder, error) from error
            fcntl.flock(lock, fcntl.LOCK_EX)
            return job_id, lock

    def ids(self) -> list[str]:
        """Every id that has a record, in no particular order."""
        try:
            return ids(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            hint = "Check who owns the folder and its mode, and CODEX_AGENT_HOME."
            raise StoreUnwritable(
                f"Cannot read {self.folder}: {error.strerror}.", hint, path=self.folder
            ) from error

    def resolve(self, ref: str) -> str:
        """The id that ``ref`` means: an id, a name (first of a living job, then the newest), a unique prefix."""
        if is_id(ref) and os.path.exists(self.path(ref, ".json")):
            return ref
        known = self.named()
        named = [(job_id, created_at) for job_id, name, created_at in known if name == ref]
        if named:
            return max(named, key=lambda one: (self.is_alive(one[0]), one[1]))[0]
        matches = sorted(job_id for job_id, _, _ in known if ref and job_id.startswith(ref))
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise AmbiguousId(
                f"'{ref}' could be any of {', '.join(matches)}.",
                "Give more characters of the id.",
                id=ref,
                matches=matches,
            )
        raise JobNotFound(f"No job '{ref}'.", _LIST, id=ref)

    def named(self) -> list[tuple[str, str | None, str]]:
        """Each job's id, name and time of making; of one whose record cannot be read only the id."""
        lines, ids = self._roster()
        found = [(roster.id_of(one), roster.name_of(one), roster.created_at(one)) for one in lines]
        for job_id in ids:
            try:
                record = self.load(job_id)
            except JobNotFound:
                continue  # deleted since the folder was listed
            except RecordUnreadable:
                found.append((job_id, None, ""))
            else:
                found.append((job_id, record.name, record.created_at))
        return found

    def living(self, name: str) -> Iterator[str]:
        """The jobs of this name that live."""
        for job_id in self.unended():
            sealed = read(self.folder, job_id)
            with contextlib.suppress(JobNotFound, RecordUnreadable):
                if name == (self.load(job_id) if sealed is None else sealed).name and self.is_alive(job_id):
                    yield job_id

    def unended(self) -> list[str]:
        """The jobs that may live: every id but those that the roster knows to have ended."""
        return self._roster()[1]

    def _roster(self) -> tuple[list[bytes], list[str]]:
        """The lines of the roster, where there are many jobs and one is kept; and the ids it says nothing of."""
        ids = self.ids()
        known = roster.current(self.home, self.folder) if len(ids) > roster.MANY else None
        return ([], ids) if known is None else (known.lines, known.others)

    # ---- records ----

    def load(self, job_id: str) -> Record:
        """The record as it is on disk. Raises JobNotFound, RecordTooNew or RecordUnreadable."""
        file = self.path(job_id, ".json")
        try:
            with open(file, "rb") as handle:
                data = json.loads(handle.read())
        except FileNotFoundError:
            raise JobNotFound(f"No job '{job_id}'.", _LIST, id=job_id) from None
        except (OSError, ValueError, RecursionError) as error:
            raise _unreadable(file, job_id, str(error)) from error
        if not isinstance(data, dict):
            raise _unreadable(file, job_id, "it is not a JSON object")
        version = data.get("version")
        if isinstance(version, int) and version > RECORD_VERSION:
            raise RecordTooNew(
                f"The record of job {job_id} has version {version}; this codex-agent reads {RECORD_VERSION}.",
                "Use the newer codex-agent that wrote it. The file was left as it is.",
                id=job_id,
                file=file,
            )
        if version != RECORD_VERSION:
            raise _unreadable(file, job_id, f"its version is {version!r}")
        try:
            record = decode(data)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise _unreadable(file, job_id, f"{type(error).__name__}: {error}") from error
        if record.id != job_id:
            raise _unreadable(file, job_id, f"it says it is job {record.id!r}")
        return record

    def load_all(self) -> tuple[list[Record], list[Problem]]:
        """Every record, and a problem for each that cannot be read."""
        records, problems = [], []
        for job_id in self.ids():
            try:
                records.append(self.load(job_id))
            except JobNotFound:
                continue  # deleted since the folder was listed
            except RecordUnreadable as error:
                problems.append(Problem(job_id, self.path(job_id, ".json"), error.code, error.message))
        return records, problems

    def save(self, record: Record, answer: Sealed | None = None) -> None:
        """Replaces the record. Raises StoreUnwritable and then the old one still stands.

        With ``answer`` (see ``sealing``) readers are told that without decoding the record.
        """
        text = json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":"))
        data = text.encode("utf-8", "surrogatepass")
        self.write(record.id, ".json", data if answer is None else seal(data, answer))

    def write(self, job_id: str, suffix: str, content: bytes) -> None:
        """Puts a whole file in place at once, durably. Raises StoreUnwritable."""
        target = self.path(job_id, suffix)
        temporary = self.temporary(job_id, suffix[1:])
        try:
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, target)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise _unwritable(target, error) from error

    def open_append(self, job_id: str, suffix: str) -> int:
        """A descriptor that appends to a job's file; the caller closes it. Raises StoreUnwritable."""
        target = self.path(job_id, suffix)
        try:
            return os.open(target, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(target, error) from error

    def event(self, job_id: str, kind: str, **data: Any) -> None:
        """Appends one line to the job's events; each line is one write, so writers do not mix."""
        if not os.path.exists(self.path(job_id, ".json")):
            return  # deleted meanwhile: nothing of it may come back
        line = json.dumps({"at": stamp(), "event": kind, **data}, ensure_ascii=False) + "\n"
        handle = self.open_append(job_id, ".events.jsonl")
        try:
            os.write(handle, line.encode("utf-8", "surrogatepass"))
        except OSError as error:
            raise _unwritable(self.path(job_id, ".events.jsonl"), error) from error
        finally:
            os.close(handle)

    def delete(self, job_id: str) -> None:
        """Removes every file of a job, the record last but one, so that a half-done delete is still listed."""
        import shutil  # late: the supervisor, which loads this module too, never needs it

        try:
            shutil.rmtree(self.path(job_id, ".messages"))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise _unwritable(self.path(job_id, ".messages"), error) from error
        try:
            for suffix in (*[s for s in SUFFIXES if s not in (".json", ".lock")], ".json", ".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path(job_id, suffix))
        except OSError as error:
            raise _unwritable(self.path(job_id, ".json"), error) from error

    def put_message(self, job_id: str, name: str, text: str) -> str:
        """Keeps a message that is too long to be said; its path. Raises StoreUnwritable."""
        folder = self.path(job_id, ".messages")
        target = os.path.join(folder, f"{name}.txt")
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(handle, "wb") as file:
                file.write(text.encode("utf-8", "surrogatepass"))
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(target, error) from error
        return target

    # ---- life ----

    def relock(self, job_id: str, timeout_s: float = 2.0) -> int | None:
        """The lock of an ended job, held; None if it lives again. The caller owns the descriptor.

        Readers share the lock for an instant, so a refusal means little until it lasts.
        """
        try:
            handle = os.open(self.path(job_id, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(self.path(job_id, ".lock"), error) from error
        deadline = monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return handle
            except BlockingIOError:
                if monotonic() >= deadline or self.load(job_id).facts.ended_at is None:
                    os.close(handle)
                    return None
                sleep(_SETTLE_LOOK_S)

    def is_alive(self, job_id: str) -> bool:
        """Whether the job's supervisor (or the ``start`` that is making it) lives: whether its lock is held."""
        return is_held(self.path(job_id, ".lock")) is True

    def wait_dead(self, job_id: str) -> bool:
        """Sleeps in the kernel until nobody holds the job's lock; False if there is no lock file."""
        return wait_dead(self.path(job_id, ".lock"))

    @contextlib.contextmanager
    def settling(self) -> Iterator[None]:
        """Held by whoever changes a job that has no supervisor, or gives a job its name."""
        self.prepare()
        try:
            handle = os.open(
                os.path.join(self.folder, ".settle.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            # Who has waited in vain once does not wait again: a list may hold many jobs to settle.
            try:
                _lock_within(handle, 0.0 if self._stuck else _SETTLE_S, self.folder)
            except StoreUnwritable:
                self._stuck = True
                raise
            self._stuck = False
            yield
        finally:
            os.close(handle)


def _lock_within(handle: int, seconds: float, folder: str) -> None:
    deadline = monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if monotonic() >= deadline:
                raise StoreUnwritable(
                    f"Another codex-agent does not let go of {folder}/.settle.lock.",
                    "It may be stopped (Ctrl-Z): end or continue it, then try again.",
                    path=folder,
                ) from None
            sleep(_SETTLE_LOOK_S)


def _unreadable(file: str, job_id: str, why: str) -> RecordUnreadable:
    return RecordUnreadable(
        f"The record of job {job_id} cannot be read ({why}): {file}",
        "It was left as it is. Mend it, or move it away; its .log and .result beside it are still good.",
        id=job_id,
        file=file,
    )


def _unwritable(path: str, error: OSError) -> StoreUnwritable:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "The disk is full: make room (codex-agent clean removes old jobs), then try again."
    else:
        hint = "Check who owns the folder and its mode, or set CODEX_AGENT_HOME to one that can be written."
    return StoreUnwritable(f"Cannot write {path}: {error.strerror or error}.", hint, path=path)
