"""The rows of ``await-turn``: how soon it returns. What it costs while it sleeps is in ``staying``.

A turn's end is told from outside, by a second client of the job's app-server or by the end of `codex exec`, and
by the record. Must never take the supervisor's word alone for it.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.channel import Channel, ChannelClosed, words
from codex_agent.demo.model_server import Gate, Step
from codex_agent.model import Facts
from codex_agent.verdict import seconds
from support import until
from support.interactive import callers

TURNS = 50
POLLED = 10
_PAUSE_S = 1.0
_LIMIT_MS, _ANSWER_S = 50.0, 20.0


Times = queue.Queue[float]  # seconds since the epoch


@dataclass(frozen=True)
class End:
    """When the model ``said`` its last words, who knew the turn's end when, and when ``await-turn`` had exited.

    ``seen`` is another client of the app-server or, for an exec job, the end of Codex's process.
    """

    said: float
    seen: float
    recorded: float
    filed: float
    exited: float
    polled: float | None


def rows(stage: Stage) -> list[Row]:
    """``turns``: fifty turns of an agent that stays, and fifty exec agents, each with an ``await-turn`` asleep."""
    place = stage.place("turns")
    live, once = _turns(place), [_exec_turn(place, number) for number in range(TURNS)]
    return [
        *_table("await-turn ID, interactive", live, "turn/completed at another client", limit=_LIMIT_MS),
        *_table("await-turn ID, exec", once, "codex exec has exited", goal=_LIMIT_MS),
    ]


def _table(
    work: str, ends: list[End], seen: str, *, limit: float | None = None, goal: float | None = None
) -> list[Row]:
    """``limit`` and ``goal`` are for the worst one; the median's limit is always the same."""
    told = [(end.exited - end.seen) * 1000 for end in ends]
    recorded = [(end.exited - end.recorded) * 1000 for end in ends]
    ours = [(end.exited - end.said) * 1000 for end in ends]
    filed = [(end.filed - end.said) * 1000 for end in ends]
    polled = [(end.polled - end.said) * 1000 for end in ends if end.polled is not None]
    mine = [(end.exited - end.said) * 1000 for end in ends if end.polled is not None]
    name, record = f"{work}: until it has exited, median of {len(ends)}", "last_turn.ended_at in the record"
    worst = f"the worst of the {len(ends)}"
    return [
        Row(name, _median(told), "ms", seen, limit=_LIMIT_MS),
        Row(worst, max(told), "ms", seen, limit=limit, goal=goal),
        Row(name, _median(recorded), "ms", record, limit=_LIMIT_MS),
        Row(worst, max(recorded), "ms", record, goal=_LIMIT_MS),
        _ratio("the same, since the model's last words", ours, "tail -f of the rollout has the turn's end", filed),
        _ratio(f"{len(mine)} of them, since then", mine, "status --json every second has told it", polled),
    ]


def _ratio(work: str, ours: list[float], against: str, theirs: list[float]) -> Row:
    ratio = _median([one / other for one, other in zip(ours, theirs, strict=True)])
    return Row(work, _median(ours), "ms", against, _median(theirs), ratio)


def _median(numbers: list[float]) -> float:
    return statistics.median(numbers)


# ---- an agent that stays ----


def _turns(place: Place) -> list[End]:
    place.model.on("%%first", Step.message("done"))
    job_id = str(place.call("start", "%%first", "--interactive", "--idle-exit", "off", "--json")["id"])
    place.call("await-turn", job_id, "--json")
    facts = place.store.load(job_id).facts
    assert facts.rollout is not None
    with _witness(place, job_id, facts) as seen, _lines(facts.rollout) as filed:
        return [_one_turn(place, job_id, number, seen, filed) for number in range(TURNS)]


def _one_turn(place: Place, job_id: str, number: int, seen: Times, filed: Times) -> End:
    gate = place.model.gate(f"turn {number}")
    place.model.on(f"%%turn-{number}.", Step.hold(gate, Step.message("done")))
    place.call("send", job_id, f"%%turn-{number}.", "--json")
    gate.reached()
    return _end(place, job_id, number, gate, seen, filed)


@contextlib.contextmanager
def _witness(place: Place, job_id: str, facts: Facts) -> Iterator[Times]:
    """One more client of the job's thread, as the TUI is one: when it hears that turns end."""
    heard: Times = queue.Queue()

    def take(message: dict[str, Any]) -> None:
        if message["method"] == "turn/completed" and words.thread_of(message) == facts.thread_id:
            heard.put(time.time())

    channel = Channel(place.store.path(job_id, ".app"), take)
    channel.greet("0", _ANSWER_S)
    reply = channel.ask("thread/resume", {"threadId": facts.thread_id, "excludeTurns": True}, _ANSWER_S)
    assert reply.error is None, reply.error
    over = threading.Event()
    thread = threading.Thread(target=_listen, args=(channel, over))
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
        channel.close()


def _listen(channel: Channel, over: threading.Event) -> None:
    poller = select.poll()
    poller.register(channel, select.POLLIN)
    with contextlib.suppress(ChannelClosed):
        while not over.is_set():
            if poller.poll(200):
                channel.pump()


# ---- exec ----


def _exec_turn(place: Place, number: int) -> End:
    gate = place.model.gate(f"exec {number}")
    place.model.on(f"%%exec-{number}.", Step.hold(gate, Step.message("done")))
    job_id = place.job(f"%%exec-{number}.")
    gate.reached()
    until(lambda: place.store.load(job_id).facts.rollout is not None, 20, "the record names the rollout")
    facts = place.store.load(job_id).facts
    assert facts.rollout is not None and facts.codex is not None
    exited: Times = queue.Queue()
    threading.Thread(target=_note_exit, args=(facts.codex.pid, exited), daemon=True).start()
    with _lines(facts.rollout) as filed:
        return _end(place, job_id, number, gate, exited, filed)


def _note_exit(pid: int, when: Times) -> None:
    handle = os.pidfd_open(pid)
    select.select([handle], [], [])
    when.put(time.time())
    os.close(handle)


# ---- those who wait ----


def _end(place: Place, job_id: str, number: int, gate: Gate, seen: Times, filed: Times) -> End:
    """Has the model of a turn that runs say its last words, with everybody waiting for what follows."""
    polled = _poll(place, job_id, number)
    argv = place.argv("await-turn", job_id)
    waiter = subprocess.Popen(argv, env=place.home.env, cwd=place.repo, stdout=subprocess.DEVNULL)
    watchdog = threading.Timer(60, waiter.kill)
    watchdog.start()
    until(lambda: callers(job_id) > 0, 20, "await-turn is on the line")
    if polled is not None:
        # At another moment of the poller's second each time; the median is then that of any moment.
        time.sleep((number // (TURNS // POLLED) + 0.5) / POLLED * _PAUSE_S)
    said = time.time()
    gate.open()
    code = waiter.wait()  # without a time-out: with one, Popen looks only every 50 ms
    exited = time.time()
    watchdog.cancel()
    turn = place.store.load(job_id).facts.turn
    assert code == 0 and turn.state == "completed" and turn.ended_at is not None
    return End(
        said=said,
        seen=seen.get(timeout=_ANSWER_S),
        recorded=seconds(turn.ended_at),
        filed=filed.get(timeout=_ANSWER_S),
        exited=exited,
        polled=polled.get(timeout=_ANSWER_S) if polled is not None else None,
    )


def _poll(place: Place, job_id: str, number: int) -> Times | None:
    """In some of the turns: asks for the status every second until the turn has ended; when that was known."""
    if number % (TURNS // POLLED):
        return None
    known: Times = queue.Queue()
    asked = threading.Event()

    def ask() -> None:
        while place.call("status", job_id, "--json")["turn_state"] == "working":
            asked.set()
            time.sleep(_PAUSE_S)
        known.put(time.time())

    threading.Thread(target=ask, daemon=True).start()
    assert asked.wait(_ANSWER_S)
    return known


@contextlib.contextmanager
def _lines(rollout: str) -> Iterator[Times]:
    """When a plain ``tail -f`` of Codex's file comes to the end of a turn."""
    found: Times = queue.Queue()
    tail = subprocess.Popen(["tail", "-n", "0", "-f", rollout], stdout=subprocess.PIPE)
    until(lambda: _follows(tail.pid), 10, "tail sleeps")

    def read() -> None:
        assert tail.stdout is not None
        for line in tail.stdout:
            if b'"task_complete"' in line:
                found.put(time.time())

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield found
    finally:
        tail.kill()
        tail.wait()
        reader.join()
        assert tail.stdout is not None
        tail.stdout.close()


def _follows(pid: int) -> bool:
    handles = f"/proc/{pid}/fd"
    with contextlib.suppress(FileNotFoundError):  # one that it closes meanwhile
        return any("inotify" in os.readlink(f"{handles}/{handle}") for handle in os.listdir(handles))
    return False
