"""Owns talking to an agent from outside: send, await, interrupt, approve, deny, answer, type keys, end politely.

Every verb asks the job's supervisor over its control socket and tells what it answered; what the supervisor says
was done has been done. A job that has ended is reopened by ``send``. Must never write a living job's record.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from codex_agent import arrival, codex, jobs, tmux
from codex_agent.answers import Approvals, Asked, Cut, Keyed, Responded, Sent, TurnReport
from codex_agent.calls import Ended, ask, wait_down
from codex_agent.drivers.base import SAID_CHARS, Message, pointer
from codex_agent.errors import BadState, CodexAgentError, TmuxFailed, UsageError
from codex_agent.model import BUSY, TERMINAL, Job, Question, Record, Waiting, stamp
from codex_agent.prompt import check_length
from codex_agent.reopening import reopen
from codex_agent.settings import Settings
from codex_agent.store import Store

How = Literal["now", "queue", "interrupt"]
Decision = Literal["accept", "accept_always", "decline"]

_GO_DOWN_S = 20.0
_AGAIN_S = 0.02


def send(
    store: Store,
    job_id: str,
    text: str,
    settings: Settings,
    environ: Mapping[str, str],
    *,
    how: How = "now",
    resume: bool = True,
) -> Sent:
    """Says something to the agent and returns with the turn that took it (``how`` "queue": with its place).

    An ended job is reopened unless ``resume`` is False. Raises BadState (an exec job that runs, without
    ``how="queue"``; an ended one with ``resume=False``; a turn that takes no message), UsageError (empty text).
    """
    if not text.strip():
        raise UsageError("The message is empty.", f'Say something: codex-agent send {job_id} "..."')
    check_length(text, codex.MAX_PROMPT_CHARS)
    message = Message(os.urandom(8).hex(), text, how, stamp())
    record = store.load(job_id)
    if record.request.mode == "interactive" and len(text) > SAID_CHARS:
        message.file = store.put_message(job_id, message.id, text)
        message.text = pointer(message.file, len(text))
    while True:
        if jobs.view(store, job_id).status in TERMINAL:
            if not resume:
                raise BadState(
                    f"Job {job_id} has ended.", "Leave --no-resume out to go on with its thread.", id=job_id
                )
            if reopen(store, job_id, message, settings, environ):
                return _reopened(store, job_id, message)
            continue
        runs = store.load(job_id).facts.runs
        try:
            request = {
                "do": "send",
                "message_id": message.id,
                "text": message.text,
                "how": how,
                "file": message.file,
            }
            answer = ask(store, job_id, request)
        except TimeoutError as error:
            raise CodexAgentError(
                f"The supervisor of job {job_id} did not answer in time; it may still take the message.",
                f"codex-agent status {job_id} says what it does; codex-agent kill {job_id} ends it.",
                id=job_id,
            ) from error
        except Ended as ended:
            wait_down(store, job_id, runs)
            told = _told(store, job_id, message) if ended.heard else None
            if told is not None:
                return Sent(job_id, message.id, told["delivery"], told.get("turn_id"), False, message.file)
            continue
        return Sent(job_id, message.id, answer["delivery"], answer["turn_id"], False, message.file)


def _reopened(store: Store, job_id: str, message: Message) -> Sent:
    """What became of the message with which the job was begun again."""
    try:
        ask(store, job_id, {"do": "delivered", "message_id": message.id}, timeout_s=_GO_DOWN_S)
    except (Ended, TimeoutError):
        pass  # what was noted counts
    told = _told(store, job_id, message)
    if told is None:
        return Sent(job_id, message.id, "queued", None, True, message.file)
    return Sent(job_id, message.id, told["delivery"], told.get("turn_id"), True, message.file)


def _told(store: Store, job_id: str, message: Message) -> dict[str, Any] | None:
    """What says that the message was taken, or put by: an event, or the thread itself."""
    found, message_id = None, message.id
    try:
        with open(store.path(job_id, ".events.jsonl"), encoding="utf-8", errors="surrogatepass") as file:
            for line in file:
                if message_id not in line:
                    continue
                event = json.loads(line)
                if event.get("event") == "sent":
                    return dict(event)
                if event.get("event") == "queued":
                    found = {"delivery": "queued", "turn_id": None}
    except (FileNotFoundError, ValueError):
        pass
    if found is None:
        record = store.load(job_id)
        there = arrival.turns(record.facts, record.request, [message])
        if message_id in there:
            found = {"delivery": "turn", "turn_id": there[message_id]}
    return found


def await_turn(store: Store, job_id: str, *, timeout_s: float | None = None) -> tuple[TurnReport, bool]:
    """Sleeps until the agent has handed the turn back, needs somebody, or the job ended; False at the time-out."""
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        done = jobs.wait(store, [job_id], until="turn", timeout_s=left)
        told = report(store, job_id)
        # Somebody may have begun another turn since: then there is that one to wait for.
        if not done or told.turn_state not in BUSY or told.turn_state == "unknown":
            return told, done
        time.sleep(_AGAIN_S)  # the record may lag behind what was answered, while the disk is full


def report(store: Store, job_id: str) -> TurnReport:
    """How the turn stands now (what ``await_turn`` tells)."""
    job, record = jobs.view(store, job_id), store.load(job_id)
    last = None if job.current_turn is not None else job.last_turn
    turn_id = job.current_turn.id if job.current_turn is not None else last.id if last is not None else None
    spoke = job.mode == "exec" or record.facts.spoke_in in (None, turn_id)
    return TurnReport(
        id=job.id,
        status=job.status,
        turn_state=job.turn_state,
        turn_id=turn_id,
        turn_status=last.status if last is not None else None,
        duration_ms=last.duration_ms if last is not None else None,
        message=job.last_message if spoke else None,
        waiting_for=list(record.facts.waiting) if job.waiting_for is not None else [],
        tokens=job.tokens,
        files_modified=job.files_modified,
        error=last.error if last is not None else None,
        failure=job.failure,
    )


def interrupt(store: Store, job_id: str) -> Cut:
    """Cuts the running turn off; returns when it has ended. Raises BadState if none runs."""
    answer = _ask(store, job_id, {"do": "interrupt"})
    return Cut(job_id, answer["turn_id"], jobs.view(store, job_id).turn_state, answer["untaken"])


def approvals(store: Store, ids: Sequence[str] | None = None) -> Approvals:
    """What waits for somebody, in these jobs or in all, longest waiting first."""
    records: list[Record] = [store.load(job_id) for job_id in ids] if ids is not None else store.load_all()[0]
    found = [
        Asked(record.id, record.name, waiting)
        for record in records
        if record.facts.waiting and jobs.view(store, record.id).status not in TERMINAL
        for waiting in record.facts.waiting
    ]
    found.sort(key=lambda one: one.waiting.asked_at)
    return Approvals(stamp(), found)


def respond(
    store: Store, job_id: str, n: int | None, decision: Decision, *, message: str | None = None
) -> Responded:
    """Answers an approval; ``n`` may be left out where only one waits. Raises BadState if it is gone."""
    answer = _ask(store, job_id, {"do": "respond", "n": n, "decision": decision})
    sent = None
    if message is not None and message.strip():
        said = Message(os.urandom(8).hex(), message, "now", stamp())
        request = {"do": "send", "message_id": said.id, "text": said.text, "how": said.how}
        told = _ask(store, job_id, request)
        sent = Sent(job_id, said.id, told["delivery"], told["turn_id"], False, None)
    return Responded(job_id, _waiting(answer), decision, sent, jobs.view(store, job_id).turn_state)


def answer(store: Store, job_id: str, answers: Sequence[str], *, n: int | None = None) -> Responded:
    """Answers the agent's questions, one text for each: an option's number or label, or words of one's own."""
    waiting = [
        one for one in store.load(job_id).facts.waiting if one.kind == "question" and (n is None or one.n == n)
    ]
    texts = list(answers)
    if len(waiting) == 1 and len(waiting[0].questions) == len(texts):
        texts = [_chosen(question, text) for question, text in zip(waiting[0].questions, texts, strict=True)]
    told = _ask(store, job_id, {"do": "respond", "n": n, "answers": texts})
    return Responded(job_id, _waiting(told), "answer", None, jobs.view(store, job_id).turn_state)


def _chosen(question: Question, text: str) -> str:
    """The label that a number means, or one that was written in other letters; else the words as they are."""
    options = question.options
    if text.isdecimal() and 1 <= int(text) <= len(options):
        return options[int(text) - 1]
    same = [option for option in options if option.casefold() == text.strip().casefold()]
    return same[0] if len(same) == 1 else text


def keys(store: Store, job_id: str, names: Sequence[str], *, literal: bool = False) -> Keyed:
    """Types keys into the pane (tmux's names: Enter, Escape, C-c, ...); with ``literal`` as text."""
    record = _living(store, job_id)
    if record.facts.tmux_socket is None:
        raise BadState(f"Job {job_id} has no pane yet.", "Try again in a moment.", id=job_id)
    try:
        tmux.send_keys(record.facts.tmux_socket, record.tmux_session, list(names), literal=literal)
    except TmuxFailed as error:
        error.data["id"] = job_id
        raise
    # What is typed as text may be a password.
    told = [f"{len(name)} characters" for name in names] if literal else list(names)
    store.event(job_id, "keys", keys=told, literal=literal, by_pid=os.getpid())
    return Keyed(job_id, list(names))


def leave(store: Store, job_id: str, *, cut: bool = False) -> Job:
    """Ends an interactive agent politely; the job, ended. Raises BadState while a turn runs, unless ``cut``."""
    _ask(store, job_id, {"do": "leave", "cut": cut})
    if not jobs.wait(store, [job_id], timeout_s=_GO_DOWN_S):
        raise CodexAgentError(f"Job {job_id} does not end.", f"codex-agent kill {job_id} ends it.", id=job_id)
    return jobs.view(store, job_id)


def _ask(store: Store, job_id: str, request: dict[str, Any]) -> dict[str, Any]:
    """What the supervisor answers. Raises BadState if the job has ended, also at this moment."""
    runs = _living(store, job_id).facts.runs
    try:
        return ask(store, job_id, request)
    except Ended:
        wait_down(store, job_id, runs)
        _living(store, job_id)
        raise BadState(f"Job {job_id} ended at this moment.", f"codex-agent status {job_id}", id=job_id) from None
    except TimeoutError as error:
        raise CodexAgentError(f"The supervisor of job {job_id} did not answer in time.", id=job_id) from error


def _living(store: Store, job_id: str) -> Record:
    job = jobs.view(store, job_id)
    if job.status in TERMINAL:
        raise BadState(
            f"Job {job_id} has ended ({job.status}).",
            f'codex-agent send {job_id} "..." goes on with its thread.',
            id=job_id,
            status=job.status,
        )
    return store.load(job_id)


def _waiting(answer: dict[str, Any]) -> Waiting:
    told = answer["waiting"]
    return Waiting(**{**told, "questions": [Question(**one) for one in told["questions"]]})
