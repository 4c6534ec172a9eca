"""Owns the run of a monitor: looks, tells, counts, and knows when it is over and with which exit code."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from codex_agent.errors import (
    EXIT_FAILED,
    EXIT_IDLE,
    EXIT_INTERRUPTED,
    EXIT_LIMIT,
    EXIT_MOST_EVENTS,
    EXIT_NEEDS_YOU,
    EXIT_OK,
    EXIT_TIMED_OUT,
)
from codex_agent.monitor_answers import EventKind, MonitoredThread, MonitorEnd
from codex_agent.store import Store

from . import target
from .goal import GoalSource
from .repo import RepoSource
from .source import EVERYTHING, Source
from .thread import ThreadSource
from .told import Told, Who
from .value import ValueSource
from .waking import Waking
from .what import Options, Since, fits, since_word

_T = TypeVar("_T")
Why = Literal["until", "max_events", "timeout", "interrupted"]
_WORST_FIRST = (EXIT_NEEDS_YOU, EXIT_LIMIT, EXIT_FAILED, EXIT_IDLE, EXIT_OK)


def monitor(
    store: Store,
    codex_home: str,
    words: Sequence[str],
    options: Options,
    tell: Callable[[Told], None],
    stop: int | None = None,
) -> MonitorEnd:
    """Tells of every event until it is over. In the answer ``command`` is only the threads, by their ids.

    ``stop``: a file descriptor; once it can be read, the monitor ends as if interrupted.
    Raises what ``target.targets`` and ``target.repositories`` do, and OSError.
    """
    run = _Run(store, codex_home, words, options, tell, stop)
    try:
        return run.end(run.go())
    except KeyboardInterrupt:
        return run.end("interrupted")
    finally:
        run.close()


class _Run:
    """One monitor. ``done``: by thread number, the kind of its last event and the exit code of that."""

    def __init__(
        self,
        store: Store,
        codex_home: str,
        words: Sequence[str],
        options: Options,
        tell: Callable[[Told], None],
        stop: int | None,
    ) -> None:
        self._options, self._tell = options, tell
        targets = target.targets(store, codex_home, words)
        self._targets, self._who = targets, target.whos(targets)
        repos = target.repositories(targets, options.repos) if "commit" in options.on else {}
        since = options.since or Since()
        if since.start:
            since = Since(offsets=(0,) * len(targets))
        elif options.since is not None:
            fits(since, len(targets), len(repos), len(options.values))
        everybody = range(len(targets))
        self._repos = [
            RepoSource(top, target.who_of(numbers, self._who, os.path.basename(top)), _nth(since.heads, n))
            for n, (top, numbers) in enumerate(repos.items())
        ]
        self._values = [
            ValueSource(value, target.who_of((), self._who, os.path.basename(value.file)), _nth(since.values, n))
            for n, value in enumerate(options.values)
        ]
        self._goals = [GoalSource(targets[n].codex_home, self._who[n], _nth(since.goals, n)) for n in everybody]
        goals = self._goals if "goal" in options.on else []
        for goal in goals:
            goal.begin()
        self._threads = [
            ThreadSource(store, targets[n], self._who[n], options, self._goals[n], _nth(since.offsets, n))
            for n in everybody
        ]
        # Threads last: what else has come about is told before the end of one ends it all.
        self._sources: list[Source] = [*self._repos, *self._values, *goals, *self._threads]
        self._waking = Waking(self._sources, stop)
        self._done: dict[int, tuple[EventKind, int]] = {}
        self._ended_by: int | None = None  # the exit code of an event that is about no one thread
        self._counts: Counter[str] = Counter()

    def close(self) -> None:
        self._waking.close()

    def go(self) -> Why:
        """Runs until it is over; why it is (see ``MonitorEnd.ended``)."""
        deadline = None
        if self._options.timeout_s is not None:
            deadline = time.monotonic() + self._options.timeout_s
        sources = self._sources
        while True:
            over = self._look(sources)
            if over is not None:
                return over
            if new := self._waking.watch(sources):
                sources = new
                continue
            if self._waking.stopped():
                return "interrupted"
            if deadline is not None and time.monotonic() >= deadline:
                return "timeout"
            moments = [deadline, *(source.due() for source in self._sources)]
            sources = self._waking.sleep(min((each for each in moments if each is not None), default=None))

    def _look(self, sources: Sequence[Source]) -> Why | None:
        for source in sources:
            for told in source.look():
                if not self._wanted(told):
                    continue
                if self._is_last(told):
                    # What came about before it, and was not looked at yet, comes before it.
                    for other in self._sources:
                        if other is not source:
                            other.fired(EVERYTHING)
                            for earlier in other.look():
                                if self._wanted(earlier):
                                    self._say(earlier)
                self._say(told)
                if self._over():
                    return "until"
                if 0 < self._options.max_events <= self._counts.total():
                    return "max_events"
        return None

    def _wanted(self, told: Told) -> bool:
        kind = "idle" if told.event.kind == "resumed" else told.event.kind
        return kind in self._options.on

    def _ends(self, told: Told) -> bool:
        return told.final and told.event.kind in self._options.until

    def _is_last(self, told: Told) -> bool:
        """Whether with this one it is over."""
        if not self._ends(told):
            return False
        rest = {who.number for who in self._who} - set(self._done) - {told.thread}
        return told.thread is None or self._options.any or not rest

    def _say(self, told: Told) -> None:
        self._counts[told.event.kind] += 1
        self._tell(told)
        if told.event.kind == "resumed" and told.thread is not None:
            stands = self._done.get(told.thread)
            if stands is not None and stands[0] == "idle":
                del self._done[told.thread]
        elif self._ends(told):
            if told.thread is None:
                self._ended_by = told.exit_code
            else:
                self._done.setdefault(told.thread, (told.event.kind, told.exit_code))

    def _over(self) -> bool:
        if self._ended_by is not None or (self._options.any and self._done):
            return True
        return len(self._done) == len(self._who)

    def end(self, why: Why) -> MonitorEnd:
        """The last word."""
        codes = {"max_events": EXIT_MOST_EVENTS, "timeout": EXIT_TIMED_OUT, "interrupted": EXIT_INTERRUPTED}
        code = codes.get(why)
        if code is None:
            found = {each for _, each in self._done.values()} | {self._ended_by} - {None}
            code = next((each for each in _WORST_FIRST if each in found), EXIT_OK)
        # In the order in which ``_Run`` takes them apart again.
        sources: list[Source] = [*self._threads, *self._goals, *self._repos, *self._values]
        since = since_word(source.since() for source in sources)
        threads = [_stands(who, self._done.get(who.number or 0)) for who in self._who]
        return MonitorEnd(
            ended=why,
            exit_code=code,
            threads=threads,
            counts=dict(self._counts),
            since=since,
            command=[one.word for one in self._targets],
        )


def _stands(who: Who, done: tuple[EventKind, int] | None) -> MonitoredThread:
    kind, code = done if done is not None else (None, None)
    return MonitoredThread(who.thread_id, who.job_id, kind, code)


def _nth(of: Sequence[_T], n: int) -> _T | None:
    return of[n] if n < len(of) else None
