"""Owns where a thread's rollout lies below CODEX_HOME. The id decides; it never guesses by cwd or time.

Layout, as Codex 0.98 to 0.169 write it: ``sessions/YYYY/MM/DD/rollout-<local time>-<thread id>.jsonl``, by
the local date of the thread's creation; ``codex archive`` moves the file to ``archived_sessions/`` (flat).
Cold files may be compressed to ``.jsonl.zst``.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

_DAY = 86400.0
_NAME = re.compile(r"rollout-.*-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl(\.zst)?")


@dataclass(frozen=True, slots=True)
class Found:
    """A rollout as it lies on disk; ``changed_at`` in seconds since the epoch, ``size`` in bytes."""

    thread_id: str
    path: str
    archived: bool
    changed_at: float
    size: int


def find(codex_home: str, thread_id: str) -> str | None:
    """The rollout of exactly this thread, absolute if ``codex_home`` is; None while there is none.

    A plain file wins over a compressed one, the newer over the older, ``sessions`` over
    ``archived_sessions``; but one whose name says the second in which its thread was made (a UUIDv7 tells) is that
    thread's, and nothing is listed. Else the days around that and around now are looked into, which costs a few
    listings however many rollouts there are; only if it is in none of them is the whole tree walked.
    """
    wanted = thread_id.strip().lower()
    if not wanted or "/" in wanted:
        return None
    sessions = os.path.join(codex_home, "sessions")
    named = _by_its_name(sessions, wanted)
    if named is not None:
        return named
    near = _near_days(sessions, wanted)
    found = [path for day in near for path in _in_folder(day, wanted)]
    if not found:
        for day in _all_days(sessions):
            found = [] if day in near else _in_folder(day, wanted)
            if found:
                break
    if not found:
        found = _in_folder(sessions, wanted) or _in_folder(os.path.join(codex_home, "archived_sessions"), wanted)
    return max(found, key=_rank) if found else None


def _by_its_name(sessions: str, wanted: str) -> str | None:
    """The plain rollout under the name that Codex gives it; None if there is none."""
    for name in _own_names(wanted):
        path = f"{sessions}/{name}"
        if os.path.isfile(path):
            return path
    return None


def _own_names(thread_id: str) -> Iterator[str]:
    """Where below ``sessions`` Codex puts a new thread's rollout, by its clock here or in UTC."""
    made = created_at(thread_id)
    # The name is made a few milliseconds after the id, so that may be in the next second.
    for moment in () if made is None else (made, made + 1):
        for zone in (time.localtime, time.gmtime):
            try:
                at = time.strftime("%Y/%m/%d/rollout-%Y-%m-%dT%H-%M-%S", zone(moment))
            except (OverflowError, ValueError, OSError):  # an id that claims a year beyond the calendar
                continue
            yield f"{at}-{thread_id}.jsonl"


def _is_own(path: str, thread_id: str) -> bool:
    return any(path.endswith(f"/{name}") for name in _own_names(thread_id))


def thread_of(path: str) -> str | None:
    """The thread's id in a rollout's path; None for any other file, and for a compressed one."""
    found = _NAME.fullmatch(os.path.basename(path))
    return found[1] if found and found[2] is None else None


def is_archived(path: str) -> bool:
    """Whether this rollout lies where ``codex archive`` puts them."""
    return os.path.basename(os.path.dirname(path)) == "archived_sessions"


def everything(codex_home: str, *, archived: bool = False) -> list[Found]:
    """Every rollout, one a thread (as ``find`` chooses), in no particular order; the archived ones only if asked.

    Nothing is opened: names and times alone. What vanishes meanwhile is left out.
    """
    sessions = os.path.join(codex_home, "sessions")
    best: dict[str, Found] = {}
    if archived:
        _gather(os.path.join(codex_home, "archived_sessions"), best, archived=True)
    _gather(sessions, best)
    for day in _all_days(sessions):
        _gather(day, best)
    return list(best.values())


def _gather(folder: str, best: dict[str, Found], *, archived: bool = False) -> None:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    with entries:
        for entry in entries:
            name = _NAME.fullmatch(entry.name)
            if name is None:
                continue
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue  # moved or compressed since it was listed
            one = Found(name[1], entry.path, archived, status.st_mtime, status.st_size)
            other = best.get(one.thread_id)
            if other is None or other.archived or _better(one, other):
                best[one.thread_id] = one


def _better(one: Found, other: Found) -> bool:
    ranks = [
        (each.path.endswith(".jsonl"), _is_own(each.path, each.thread_id), each.changed_at)
        for each in (one, other)
    ]
    return ranks[0] > ranks[1]


def _rank(path: str) -> tuple[bool, float, str]:
    try:
        changed = os.stat(path).st_mtime
    except OSError:  # moved or compressed since it was listed
        changed = 0.0
    return changed > 0 and path.endswith(".jsonl"), changed, path


def _in_folder(folder: str, wanted: str) -> list[str]:
    ends = (f"-{wanted}.jsonl", f"-{wanted}.jsonl.zst")
    return [os.path.join(folder, name) for name in _names(folder) if name.lower().endswith(ends)]


def _names(folder: str) -> list[str]:
    """What is in ``folder``; nothing if it is not there (yet), which is a normal state of this tree."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def created_at(thread_id: str) -> float | None:
    """Seconds since the epoch at which a UUIDv7 was made; None for an id of another kind."""
    digits = thread_id.replace("-", "")
    if len(digits) != 32 or digits[12] != "7":
        return None
    try:
        return int(digits[:12], 16) / 1000
    except ValueError:
        return None


def days_now(codex_home: str) -> list[str]:
    """The folders in which a thread that begins now can be, in whatever time zone Codex runs; not all exist."""
    return _near_days(os.path.join(codex_home, "sessions"), "")


def _near_days(sessions: str, wanted: str) -> list[str]:
    # Three days each way of looking at it covers every time zone Codex or we may run in.
    now = time.time()
    made = created_at(wanted)
    moments = [now] if made is None else [made, now]
    days: dict[str, None] = {}
    for moment in moments:
        for offset in (0.0, -_DAY, _DAY):
            try:
                day = time.strftime("%Y/%m/%d", time.gmtime(moment + offset))
            except (OverflowError, ValueError, OSError):  # an id that claims a year beyond the calendar
                continue
            days[os.path.join(sessions, *day.split("/"))] = None
    return list(days)


def _all_days(sessions: str) -> Iterator[str]:
    """Every day folder, newest first."""
    for year in _numbered(sessions):
        for month in _numbered(year):
            yield from _numbered(month)


def _numbered(folder: str) -> list[str]:
    return [os.path.join(folder, name) for name in sorted(_names(folder), reverse=True) if name.isdigit()]
