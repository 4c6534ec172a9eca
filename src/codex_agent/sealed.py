"""Owns reading a job without decoding its record: the answer that stands in it, its seal, and whether its lock is
held.

The answer is the job as `--json` shows it, byte for byte, put there by whoever saved the record (``sealing``); the
seal says that nobody has touched the file since. Loaded by the fast routes: imports nothing that costs. Must never
guess: what has no seal, or another version's, or a broken one, is None, and the record has to be decoded.
"""

from __future__ import annotations

import os

ID_CHARS = 8
_HEX = frozenset("0123456789abcdef")
# Grows when the same record would be told otherwise: by the fields of a job, the verdict, the prices
# (tests/test_sealed.py holds it). Records that were sealed before are decoded.
VIEW = 1
_VIEW = b"%d " % VIEW
_MARK = b',"seal":"'
_ELAPSED = b'"elapsed_ms": '
_NAME_AT = len('{"id": "0badcafe", "name": "')
_NAME_MOST = 1000  # bytes; a name has 64 characters, each of which may be escaped


class Sealed:
    """What a sealed record tells."""

    __slots__ = ("answer", "begun_ms", "created_at", "ended", "id", "status")

    def __init__(
        self, job_id: str, status: str, created_at: str, begun_ms: int, ended: bool, answer: bytes
    ) -> None:
        self.id = job_id
        self.status = status
        """For one that has not ended: what it is as long as its lock is held."""
        self.created_at = created_at
        self.begun_ms = begun_ms
        """Since when its time is counted, in milliseconds since the epoch."""
        self.ended = ended
        self.answer = answer

    @property
    def name(self) -> str | None:
        """Its name, which is the second thing in the answer."""
        from _json import scanstring  # json's own scanner, without what `json` loads around it

        at = _NAME_AT
        if self.answer[at - 1 : at] != b'"':
            return None
        name: str = scanstring(self.answer[at : at + _NAME_MOST].decode("utf-8", "ignore"), 0)[0]
        return name

    def told(self, now: float) -> bytes:
        """The job as JSON. ``now`` (seconds since the epoch) counts for one that has not ended, and lives."""
        if self.ended:
            return self.answer
        before, key, rest = self.answer.partition(_ELAPSED)
        elapsed_ms = max(0, round((now - self.begun_ms / 1000) * 1000))
        return b"%b%b%d%b" % (before, key, elapsed_ms, rest[rest.index(b",") :])


def read(folder: str, job_id: str) -> Sealed | None:
    """What the record of this job says under its seal; None if it cannot be taken as it stands."""
    try:
        with open(f"{folder}/{job_id}.json", "rb", 0) as file:
            data = file.read()
    except OSError:
        return None
    return parse(data, job_id)


def parse(data: bytes, job_id: str) -> Sealed | None:
    """The same of a record's bytes."""
    from zlib import crc32

    record, found, rest = data.rpartition(_MARK)
    words, _, check = rest.removesuffix(b'"}').rpartition(b" ")
    if not found or not words.startswith(_VIEW) or check != b"%08x" % crc32(words, crc32(record)):
        return None
    _, whose, status, created_at, begun_ms, ended, length = words.decode("ascii").split(" ")
    if whose != job_id:
        return None
    return Sealed(job_id, status, created_at, int(begun_ms), ended == "ended", record[-int(length) :])


def seal(record: bytes, job: Sealed) -> bytes:
    """A record's JSON object with the answer and the seal at its end."""
    from zlib import crc32

    body = b'%b,"answer":%b' % (record.removesuffix(b"}"), job.answer)
    ended = "ended" if job.ended else "open"
    words = f"{VIEW} {job.id} {job.status} {job.created_at} {job.begun_ms} {ended} {len(job.answer)}".encode(
        "ascii"
    )
    return b'%b%b%b %08x"}' % (body, _MARK, words, crc32(words, crc32(body)))


def ids(folder: str) -> list[str]:
    """Every id that has a record, in no particular order. Raises OSError."""
    return [name[:-5] for name in os.listdir(folder) if name.endswith(".json") and is_id(name[:-5])]


def is_id(text: str) -> bool:
    """Whether this has the form of a job id."""
    return len(text) == ID_CHARS and _HEX.issuperset(text)


def is_held(path: str) -> bool | None:
    """Whether somebody holds this lock of ours exclusively; None if it is gone.

    Opened for reading: closing that wakes nobody who listens for the end of writing.
    """
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def wait_dead(path: str) -> bool:
    """Sleeps in the kernel until nobody holds this lock exclusively; False if there is no such file."""
    import fcntl

    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
    finally:
        os.close(handle)
    return True
