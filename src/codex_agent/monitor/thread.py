"""Owns the watching of one thread: its rollout as it grows, whether it is at work, who has it, and its end.

IDE sessions, other people's terminals and our own jobs alike; of a job of ours its record says besides, exactly,
what it waits for and that it has ended.
"""

from __future__ import annotations

import calendar
import os
import time
from collections.abc import Iterator
from typing import get_args

from codex_agent import watching
from codex_agent.answers import Changed, Entry, Marked, Ran, Said
from codex_agent.codex.failures import diagnose
from codex_agent.errors import EXIT_FAILED, EXIT_IDLE, EXIT_LIMIT, EXIT_NEEDS_YOU, EXIT_OK, CodexAgentError
from codex_agent.model import TurnStatus, stamp
from codex_agent.rollouts.conversation import Conversation
from codex_agent.rollouts.feed import Feed, joined
from codex_agent.store import Store
from codex_agent.threads.looking import look as look_at
from codex_agent.threads.refs import Ref

from . import signs
from .goal import GoalSource
from .job import JobWatch
from .life import Life
from .source import EVERYTHING, Place
from .target import Target
from .told import Told, Who, lasted, one_line
from .what import Options

_ROLLOUT = watching.MODIFY | watching.MOVE_SELF | watching.DELETE_SELF | watching.ATTRIB
_FIND_S = 0.5
_FRESH_S = 5.0  # a thread that was written to so lately may just be beginning
# How long a tool call may be silent before one asks whether it waits for somebody; again with three times as much.
_ASK_S = 5.0
# To ask costs something: so many times what it took last goes by before the next time.
_ASK_REST = 1000.0


class ThreadSource:
    """One thread. ``since``: where to go on in the rollout; None: from now on."""

    def __init__(
        self, store: Store, target: Target, who: Who, options: Options, goal: GoalSource, since: int | None = None
    ) -> None:
        self._store, self._target, self._who, self._options = store, target, who, options
        self._goal = goal
        self._job = None if target.job_id is None else JobWatch(store, target.job_id)
        self._start = since
        self._feed: Feed | None = None
        self._life: Life | None = None
        self._conversation = Conversation(None)
        self._find_at: float | None = None
        self._again = False  # the rollout may lie elsewhere by now
        self._begun = self._over = False
        self._active_at = time.time()
        self._idle_told = False
        self._turn: TurnStatus | None = None
        self._info: str | None = None  # Codex's kind of error of that turn
        self._error: str | None = None
        self._words: str | None = None  # what the agent said last in this turn
        self._entries = 1  # in this turn; the one that runs when this begins has some
        self._before: TurnStatus | None = None  # how the turn before it ended
        self._ask_after = _ASK_S
        self._ask_at = 0.0
        self._suspected = False

    # ---- what the loop asks

    def fired(self, what: str, /) -> None:
        if self._job is not None:
            self._job.fired(what)
        if self._life is not None and what in ("life", "closed", EVERYTHING):
            self._life.dirty = True
        self._again = self._again or what in ("moved", EVERYTHING)

    def look(self) -> Iterator[Told]:
        if self._over:
            return
        if self._job is not None:
            self._job.look()
            if self._job.job.started_at is None:  # it waits for its turn: that is no silence of the agent's
                self._active_at = time.time()
        if self._feed is None:
            self._find()
        if self._feed is not None:
            if not self._begun:
                self._begun = True
                yield from self._as_it_stands()
            elif self._again:
                self._feed.look_again()
            self._again = False
            yield from self._lines()
        if self._job is not None:
            yield from self._job.approval(self._who)
        if (end := self._end()) is not None:
            yield from self._lines()  # what was written last
            self._over = True
            yield end
            return
        yield from self._silence()

    def places(self) -> list[Place]:
        if self._over:
            return []
        found = [] if self._life is None else self._life.places()
        if self._job is not None:
            found += self._job.places()
        if self._feed is not None and self._feed.path is not None:
            found.append(Place(self._feed.path, _ROLLOUT, "rollout"))
            found.append(Place(self._feed.path, watching.CLOSE_WRITE, "closed"))
        return found

    def due(self) -> float | None:
        if self._over:
            return None
        moments = [self._find_at, None if self._life is None else self._life.due()]
        lag = time.monotonic() - time.time()
        if not self._idle_told:
            moments.append(self._active_at + self._options.idle_s + lag)
        if self._may_be_asking():
            moments.append(max(self._active_at + self._ask_after + lag, self._ask_at))
        return min((each for each in moments if each is not None), default=None)

    def since(self) -> str:
        return f"t{0 if self._feed is None else self._feed.offset}"

    @property
    def thread_id(self) -> str | None:
        return self._target.thread_id

    # ---- the rollout

    def _find(self) -> None:
        """The thread's rollout, once there is one."""
        target = self._target
        if target.thread_id is None and self._job is not None and self._job.job.thread_id is not None:
            target.thread_id = self._who.thread_id = self._job.job.thread_id
            self._start = 0  # it is only beginning: all of it is new
            self._goal.fired("goal")
        if target.thread_id is None:
            return
        if self._life is None and self._job is None:
            self._life = Life(target.codex_home, target.thread_id)
        feed = Feed(target.codex_home, target.thread_id, target.rollout)
        try:
            feed.begin(self._start)
            if feed.path is not None:
                self._conversation = joined(feed.path, target.thread_id, feed.offset, whole=True)
        except FileNotFoundError:  # it is being moved
            self._find_at = time.monotonic() + _FIND_S
            return
        if feed.path is None:  # not there yet: all of it will be new
            self._start, self._find_at = self._start or 0, time.monotonic() + _FIND_S
            return
        self._feed, self._find_at = feed, None
        self._active_at = min(time.time(), _seconds(feed.last_at) or os.path.getmtime(feed.path))
        mark = self._conversation.state.turn_state
        self._turn = _status(mark)

    def _as_it_stands(self) -> Iterator[Told]:
        """What ``--until`` asks for and has come already, of a thread that is at rest. Not if we only go on."""
        if self._start is not None or self._conversation.state.turn_state == "open":
            return
        if "turn" in self._options.until and self._turn is not None:
            state = self._conversation.state
            ended = Marked("turn_ended", None, state.turn_id, self._turn, None, None)
            text, data, code = signs.turn(ended, None, None)
            yield self._who.tells("turn", f"{text} (before this began)", data, exit_code=code)
        elif "goal" in self._options.until and self._goal.over and (told := self._goal.stands()) is not None:
            yield told

    def _lines(self) -> Iterator[Told]:
        feed = self._feed
        if feed is None:
            return
        for line in feed.lines():
            if self._idle_told:
                yield self._resumed()
            self._active_at = time.time()
            self._ask_after, self._suspected = _ASK_S, False
            goal = self._conversation.state.goal
            for entry in self._conversation.line(line):
                yield from self._entry(entry)
            if (now := self._conversation.state.goal) is not goal and now is not None:
                yield from self._goal.said(now)

    def _entry(self, entry: Entry) -> Iterator[Told]:
        match entry:
            case Ran():
                self._entries += 1
                found = signs.failure(entry, self._options.failures)
                # Codex writes down a command that it cut off, too; that the turn was interrupted is said anyway.
                if found is not None and not (self._turn == "interrupted" and (entry.exit_code or -1) < 0):
                    text, data = found
                    yield self._who.tells("failure", text, data, at=entry.at, exit_code=EXIT_FAILED)
            case Changed():
                self._entries += 1
                told = signs.files(entry, self._conversation.state.cwd or "/")
                if told is not None:
                    yield self._who.tells("file", told[0], told[1], at=entry.at)
            case Marked(kind="turn_started"):
                self._before, self._turn, self._words, self._entries = self._turn, None, None, 0
            case Marked(kind="turn_ended"):
                yield from self._turn_ended(entry)
            case Said():
                self._entries += 1
                self._words = entry.text if entry.kind == "agent" else self._words
            case _:
                self._entries += 1

    def _turn_ended(self, entry: Marked) -> Iterator[Told]:
        self._turn = entry.status
        self._info, self._error = self._conversation.state.turn_error_info, entry.message
        # `codex exec` with an open goal begins one more turn as it leaves, and breaks it off (0.169.0).
        if entry.status == "interrupted" and self._entries == 0:
            self._turn = self._before
            return
        text, data, code = signs.turn(entry, self._info, self._words)
        yield self._who.tells("turn", text, data, at=entry.at, exit_code=code)

    # ---- silence

    def _silence(self) -> Iterator[Told]:
        """It has been silent for long; or for long enough to ask whether it waits for somebody."""
        silent = time.time() - self._active_at
        if silent >= self._options.idle_s and not self._idle_told:
            self._idle_told = True
            yield self._idle(silent)
        if self._may_be_asking() and silent >= self._ask_after and time.monotonic() >= self._ask_at:
            yield from self._suspicion()

    def _idle(self, silent: float) -> Told:
        state = self._conversation.state.turn_state
        since = stamp(self._active_at)
        data = {"idle_s": round(silent), "since": since, "turn": "open" if state == "open" else self._turn}
        how = "a turn is open" if state == "open" else f"the last turn {_how(self._turn)}"
        code = EXIT_NEEDS_YOU if self._suspected else EXIT_IDLE
        return self._who.tells("idle", f"silent for {lasted(silent)}, {how}", data, exit_code=code)

    def _resumed(self) -> Told:
        self._idle_told = False
        silent = time.time() - self._active_at
        text = f"active again after {lasted(silent)}"
        return self._who.tells("resumed", text, {"idle_s": round(silent)}, final=False)

    def _may_be_asking(self) -> bool:
        state = self._conversation.state
        return (
            self._job is None
            and not self._suspected
            and self._feed is not None
            and state.turn_state == "open"
            and state.approval != "never"
            and bool(self._conversation.open_calls)
            and "approval" in self._options.on
        )

    def _suspicion(self) -> Iterator[Told]:
        """Whether it probably waits for an approval where we cannot look."""
        self._ask_after *= 3
        target, began = self._target, time.process_time()
        ref = Ref(target.thread_id or "", self._feed.path if self._feed else None, None, target.codex_home)
        try:
            view = look_at(self._store, ref, last=0)
        except (CodexAgentError, OSError):  # it is being moved just now
            return
        finally:
            self._ask_at = time.monotonic() + (time.process_time() - began) * _ASK_REST
        if not view.suspicion.probable:
            return
        self._suspected = True
        running = view.running[0].command if view.running else None
        what = f": {one_line(running)}" if running else ""
        since = f" since {view.suspicion.since[11:19]}Z" if view.suspicion.since else ""
        data = {
            "probable": True,
            "what": None,
            "command": running,
            "n": None,
            "evidence": view.suspicion.evidence,
            "waiting": None,
        }
        text = f"probably waits for somebody where it runs{since}{what}"
        yield self._who.tells("approval", text, data, exit_code=EXIT_NEEDS_YOU)

    # ---- its end

    def _end(self) -> Told | None:
        if self._job is not None:
            return self._job.end(self._who) if self._job.ended else None
        life, feed = self._life, self._feed
        if life is None:
            return None
        path = None if feed is None else feed.path
        life.look(path, sure=time.time() - self._active_at > _FRESH_S)
        if life.loaded is not False:
            return None
        code = {"completed": EXIT_OK, None: EXIT_OK}.get(self._turn, EXIT_FAILED)
        status = self._turn
        if self._conversation.state.turn_state == "open":
            status, code = "interrupted", EXIT_FAILED
        elif status == "failed":
            found = diagnose(message=self._error, info=self._info, stderr_tail="", exit_code=None)
            code = EXIT_LIMIT if found.reason in signs.LIMITS else EXIT_FAILED
        data = {"why": "closed", "status": None, "turn": status, "error": self._error, "reason": None}
        text = f"no process has the thread loaded; the last turn {_how(status)}"
        return self._who.tells("end", text, data, exit_code=code)


def _how(status: TurnStatus | None) -> str:
    return {"completed": "completed", "failed": "failed", "interrupted": "was interrupted"}.get(
        status or "", "is not known"
    )


def _status(mark: str | None) -> TurnStatus | None:
    found: dict[str, TurnStatus] = {"aborted": "interrupted"}
    found |= {each: each for each in get_args(TurnStatus)}
    return found.get(mark or "")


def _seconds(at: str) -> float | None:
    """Seconds since the epoch of a record's time; None if it is none."""
    try:
        whole = calendar.timegm(time.strptime(at[:19], "%Y-%m-%dT%H:%M:%S"))
        return whole + float(f"0{at[19:].rstrip('Z') or '.0'}")
    except ValueError:
        return None
