"""Owns the sleep between two looks: until the kernel says that something happened, or somebody's time has come.

Where the kernel cannot say it (no inotify, a file system that is elsewhere), it wakes every now and then. Must
never look at anything itself.
"""

from __future__ import annotations

import errno
import resource
import select
import time
from collections.abc import Iterable, Sequence

from codex_agent import watching

from .source import EVERYTHING, Source

SAFETY_S = 30.0  # some file systems (network, FUSE) tell nothing: so often everything is looked at anyway
_BLIND_S = 2.0  # the same where there is no inotify at all
# Looking takes about this share of a processor in the long run, however busy a thread is: 0.03 s in a minute.
# What was not used is saved, up to so many seconds, for when much happens at once.
_SHARE, _SAVED_S = 0.0005, 0.1
_REST_S = (0.1, 5.0)  # at least and at most between two looks
_MASK_ADD = 0x20000000  # include/uapi/linux/inotify.h: what others want to know of the same place stays

_Row = tuple[Source, str, frozenset[str] | None, int]


class Waking:
    """The sleep of one monitor over its sources. ``stop``: a file descriptor; when it can be read, it is over."""

    def __init__(self, sources: Sequence[Source], stop: int | None = None) -> None:
        self._sources, self._stop = sources, stop
        self._watch = watching.begin()
        self._rows: dict[int, list[_Row]] = {}  # by watch
        self._safety_at = time.monotonic() + self._every
        self._credit_s, self._paid_at = _SAVED_S, time.monotonic()
        self._spent_s: float | None = None

    @property
    def _every(self) -> float:
        return SAFETY_S if self._watch is not None else _BLIND_S

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
            self._watch = None
            self._safety_at = min(self._safety_at, time.monotonic() + self._every)

    def watch(self, sources: Iterable[Source]) -> list[Source]:
        """Watches what these sources want watched by now. Gives those with something that was not watched before,
        told so: to be looked at once more before sleeping, since nobody knows what happened there until now.
        """
        new: dict[int, Source] = {}
        for source in sources:
            for place in source.places():
                if self._watch is None:
                    return []
                try:
                    wd = self._watch.add(place.path, place.mask | _MASK_ADD)
                except OSError as error:
                    if error.errno == errno.ENOSPC:  # this user's watches are used up
                        self.close()
                    continue  # it is not there (now)
                rows = self._rows.setdefault(wd, [])
                row = (source, place.what, place.names, place.mask)
                if row not in rows:
                    if all(each[:2] != row[:2] for each in rows):
                        new[id(source)] = source
                        source.fired(place.what)
                    rows[:] = [each for each in rows if each[:2] != row[:2]]
                    rows.append(row)
        return list(new.values())

    def sleep(self, until: float | None) -> list[Source]:
        """Sleeps until something happened, or until then (``time.monotonic``). Gives the sources to be looked at,
        which have been told what fired.
        """
        rest_until = time.monotonic() + self._rest_s()
        fired = self._wait(until)
        now = time.monotonic()
        if fired and now < rest_until:
            # What comes in a burst is looked at once.
            time.sleep(max(0.0, min(rest_until, until if until is not None else rest_until) - now))
        return self._who()

    def stopped(self) -> bool:
        """Whether somebody wants it to be over."""
        if self._stop is None:
            return False
        poll = select.poll()
        poll.register(self._stop, select.POLLIN)
        return bool(poll.poll(0))

    def _rest_s(self) -> float:
        """For how long to rest after what looking has cost so far."""
        now, spent = time.monotonic(), _spent_s()
        earned = (now - self._paid_at) * _SHARE
        # What was spent before the first time is the price of beginning.
        self._credit_s = min(_SAVED_S, self._credit_s + earned) - (spent - (self._spent_s or spent))
        self._paid_at, self._spent_s = now, spent
        return min(max(-self._credit_s / _SHARE, _REST_S[0]), _REST_S[1])

    def _wait(self, until: float | None) -> bool:
        """Whether something happened."""
        deadline = min(self._safety_at, until) if until is not None else self._safety_at
        poll = select.poll()
        if self._watch is not None:
            poll.register(self._watch.fileno(), select.POLLIN)
        if self._stop is not None:
            poll.register(self._stop, select.POLLIN)
        return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000 + 1))

    def _who(self) -> list[Source]:
        woken: dict[int, Source] = {}
        if time.monotonic() >= self._safety_at:
            self._safety_at = time.monotonic() + self._every
            return self._all()
        for event in self._watch.read() if self._watch is not None else []:
            if event.mask & watching.OVERFLOW:
                return self._all()
            gone = event.mask & (watching.MOVE_SELF | watching.DELETE_SELF | watching.IGNORED)
            for source, what, names, mask in self._rows.get(event.wd, ()):
                if not event.mask & (mask | watching.IGNORED):
                    continue
                if names is None or event.name in names or not event.name:
                    source.fired("moved" if gone and what == "rollout" else what)
                    woken[id(source)] = source
            if event.mask & watching.IGNORED:
                self._rows.pop(event.wd, None)
        now = time.monotonic()
        for source in self._sources:
            due = source.due()
            if due is not None and due <= now:
                woken[id(source)] = source
        return list(woken.values())

    def _all(self) -> list[Source]:
        for source in self._sources:
            source.fired(EVERYTHING)
        return list(self._sources)


def _spent_s() -> float:
    """What this process, and git for it, have used of a processor so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
