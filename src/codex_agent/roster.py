"""Owns the roster: what is known of the jobs that have ended, so that ten thousand are not read to list twenty.

A file in the cache folder, one line a job, the newest first; it may be removed at any time. It is believed only as
far as the file system bears it out: all of it if nothing was made, renamed or removed in the jobs folder since,
else each line whose record is the very same file, unchanged. Jobs that have not ended are never in it. Loaded by
the fast routes: imports nothing that costs. Must never be the only place where something stands.
"""

from __future__ import annotations

import os
from time import time_ns
from zlib import crc32

from codex_agent.sealed import VIEW, ids, read

MANY = 200  # fewer are read each time
_HEAD = b"codex-agent roster %d\n" % VIEW
_SUM = len("0badcafe\n")  # over what follows
# What was written so lately may yet change within the same tick of the file system's clock.
_SETTLED_NS = 2_000_000_000


class Roster:
    """What stands in the file, or is to."""

    __slots__ = ("folder_ns", "lines", "others")

    def __init__(self, folder_ns: int, others: list[str], lines: list[bytes]) -> None:
        self.folder_ns = folder_ns
        """When something was last made, renamed or removed in the jobs folder; 0: it is not to be relied on."""
        self.others = others
        """The jobs that have to be looked at: not ended, just ended, or with a record that cannot be read."""
        self.lines = lines
        """Of each other job: when it was made, id, status, what identifies its record, name; the newest first."""


def line(job_id: str, name: str | None, status: str, created_at: str, version: str) -> bytes:
    """The line of a job that has ended; ``version`` is its record's ``mark``."""
    return f"{created_at} {job_id} {status} {version} {name or ''}".encode("utf-8", "surrogatepass")


def id_of(one: bytes) -> str:
    """Whose line it is."""
    return one[25:33].decode("ascii")


def created_at(one: bytes) -> str:
    """When that job was made."""
    return one[:24].decode("ascii")


def status_of(one: bytes) -> str:
    """How that job ended."""
    return one[34 : one.index(b" ", 34)].decode("ascii")


def name_of(one: bytes) -> str | None:
    """What that job is called."""
    return one.split(b" ", 4)[4].decode("utf-8", "surrogatepass") or None


def mark(status: os.stat_result) -> str:
    """What tells one version of a file from any other; empty if it is too young to be sure."""
    if time_ns() - status.st_ctime_ns < _SETTLED_NS:
        return ""
    return f"{status.st_ino}.{status.st_size}.{status.st_ctime_ns}"


def path(home: str) -> str:
    """The roster's file."""
    return os.path.join(home, "cache", "jobs.roster")


def load(home: str) -> Roster | None:
    """The roster as it was written; None if there is none of this version."""
    try:
        with open(path(home), "rb", 0) as file:
            data = file.read()
    except OSError:
        return None
    start = len(_HEAD) + _SUM
    if not data.startswith(_HEAD) or data[len(_HEAD) : start] != b"%08x\n" % crc32(data[start:]):
        return None
    first, *lines = data[start:].split(b"\n")
    folder_ns, *others = first.decode("ascii").split()
    return Roster(int(folder_ns), others, lines)


def save(home: str, folder_ns: int, others: list[str], lines: list[bytes]) -> Roster:
    """Writes it anew, and says what it is. Where that cannot be written the next reader has to read more."""
    lines.sort(reverse=True)
    if time_ns() - folder_ns < _SETTLED_NS:
        folder_ns = 0
    target = path(home)
    temporary = f"{target}.{os.getpid()}"
    data = b"\n".join([f"{folder_ns} {' '.join(others)}".encode("ascii"), *lines])
    try:
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(b"%b%08x\n%b" % (_HEAD, crc32(data), data))
        os.replace(temporary, target)
    except OSError:
        pass
    return Roster(folder_ns, others, lines)


def folder_ns(folder: str) -> int:
    """When something was last made, renamed or removed in the jobs folder."""
    return os.stat(folder).st_mtime_ns


def current(home: str, folder: str) -> Roster | None:
    """The roster as it is true now; None if there is none, or too much has changed since. Raises OSError.

    What has changed only a little is taken into the file.
    """
    known = load(home)
    if known is None:
        return None
    now_ns = folder_ns(folder)
    if now_ns == known.folder_ns:
        return known
    there = set(ids(folder))
    lines = [one for one in known.lines if _is_same(folder, one, there)]
    if len(there) > MANY:
        return None
    # What is left has changed, is new, or had to be looked at before.
    others = []
    for job_id in sorted(there):
        try:
            version = mark(os.stat(f"{folder}/{job_id}.json"))  # before it is read
        except OSError:
            version = ""
        job = read(folder, job_id)
        if job is not None and job.ended and version:
            lines.append(line(job_id, job.name, job.status, job.created_at, version))
        else:
            others.append(job_id)
            now_ns = 0 if job is not None and job.ended else now_ns  # it has a line as soon as it is old enough
    return save(home, now_ns, others, lines)


def _is_same(folder: str, one: bytes, there: set[str]) -> bool:
    """Whether the line's record is the one it was; if so it is taken out of ``there``."""
    job_id = id_of(one)
    try:
        status = os.stat(f"{folder}/{job_id}.json")
    except OSError:
        return False
    if one.split(b" ", 4)[3] != b"%d.%d.%d" % (status.st_ino, status.st_size, status.st_ctime_ns):
        return False
    there.discard(job_id)
    return True
