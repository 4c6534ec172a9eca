"""Owns what the bare TUI's title tells beyond its rollout: whether the agent waits for somebody, and for what.

The title says that it waits; which call of the model's has no output yet says for what. It also owns ``unknown``:
whatever neither tells has a reason there. Must never answer anything that it cannot name.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from typing import Any

from codex_agent.codex.interactive import has_channel, records_failures, records_turns
from codex_agent.drivers.base import Done, Host, Json, refusal
from codex_agent.drivers.following import ASKS, Call, Following
from codex_agent.drivers.pane import Pane, Title
from codex_agent.errors import CodexAgentError
from codex_agent.model import Question, Waiting, WaitKind, stamp
from codex_agent.rollouts.calls import command_text

_LOOK_S, _LOOK_CLOSELY_S = 0.4, 0.1
# The title lags behind the rollout, and shows "Ready" for a moment where it should not (0.163.0, 0.169.0).
_DOUBT_S = 3.0
# Codex puts an approval off while somebody types: up to 1 s (0.133.0, 0.163.0).
_ANSWERED_S = 5.0
# How long the title may lag behind the end of a turn: some 50 ms, as a rule.
_LAG_S, _PAUSE_S = 1.0, 0.01
_BUSY = ("starting", "working")
_SHELLS = ("exec_command", "shell_command", "shell", "local_shell_call", "container.exec")
_PROMPT = "Something on its screen waits for an answer."


@dataclass(slots=True)
class Answering:
    """An answer that was given and has not been seen to be taken. ``wanted`` is what a question is to be told."""

    until: float
    done: Done
    told: Json
    wanted: Json | None


class Showing:
    """What the title of one job's pane tells while a turn runs. ``due`` is when to look again."""

    def __init__(self, supervisor: Host, pane: Pane) -> None:
        self._supervisor = supervisor
        self._facts = supervisor.facts
        self._pane = pane
        self._version = version = supervisor.record.request.codex_version or "0.0.0"
        self._tells = has_channel(version)
        self._never = None if records_turns(version) else f"Codex {version} does not write down what its turns do."
        self._unread: str | None = None
        self._silent: str | None = None
        self._doubt: str | None = None
        self._doubt_since: float | None = None
        self._next = 0.0
        self._answering: Answering | None = None
        self._facts.unknown = self._never  # nobody to be told of it is there yet

    @property
    def due(self) -> float | None:
        if self._answering is not None:
            return min(self._next, self._answering.until)
        return self._next if self._tells and self._facts.turn.state == "open" else None

    def blind(self, why: str) -> None:
        """Nothing can be told of this agent."""
        self._never = why
        self._settle()

    def readable(self, why_not: str | None) -> None:
        """Whether the rollout can be read."""
        if why_not != self._unread:
            self._unread = why_not
            self._settle()

    def turn_started(self) -> None:
        """A turn runs."""
        self._silent = self._doubt_since = None
        self._doubt = None if self._tells else f"Codex {self._version} does not show whether it works or waits."
        self._next = time.monotonic() + _LOOK_S
        self._settle()

    def turn_ended(self, *, silent: bool) -> None:
        """No turn runs. ``silent``: it is said to be complete, and the agent had no last word."""
        self._doubt = None
        if silent and not records_failures(self._version):
            self._silent = (
                f"The turn ended without a word, and Codex {self._version} does not write down if it failed."
            )
        self._answered()
        self._settle()

    def on_time(self, now: float, following: Following | None) -> None:
        """The clock went on."""
        if self._facts.turn.state == "open" and self._tells and now >= self._next:
            self._look(now, following)
            self._next = time.monotonic() + (_LOOK_S if self._answering is None else _LOOK_CLOSELY_S)
        if self._answering is not None and now >= self._answering.until:
            done, self._answering = self._answering.done, None
            job_id = self._supervisor.record.id
            done(refusal("failed", "Codex did not take the answer.", f"codex-agent attach {job_id} shows why."))

    def _look(self, now: float, following: Following | None) -> None:
        title = self._pane.title()
        ours = title.is_of(self._facts.thread_id)
        if ours and title.state == "needs_you":
            if not self._facts.waiting:
                self._asked({} if following is None else following.calls)
        elif ours and title.state is not None and not self._asks:
            self._answered()
        why = _doubtful(title, ours=ours)
        if why is None:
            self._doubt_since = self._doubt = None
        elif self._doubt_since is None:
            self._doubt_since = now
        elif now >= self._doubt_since + _DOUBT_S:
            self._doubt = why
        self._settle()

    def _asked(self, calls: dict[str, Call]) -> None:
        facts, supervisor = self._facts, self._supervisor
        facts.asked += 1
        waiting = _waits_for(calls, facts.asked)
        waiting.thread_id, waiting.turn_id = facts.thread_id, facts.turn.id
        facts.waiting = [waiting]
        supervisor.note("asked", n=waiting.n, what=waiting.kind, command=waiting.command, reason=waiting.reason)
        supervisor.outputs.show(f"? {waiting.command or waiting.reason}\n")
        supervisor.changed(at_once=True)

    @property
    def _asks(self) -> bool:
        """Whether it waits for an answer; when it has one, the rollout says so."""
        return any(one.kind == "question" for one in self._facts.waiting)

    def looked(self, following: Following) -> None:
        """The rollout was read."""
        for waiting in self._facts.waiting:
            if waiting.kind == "question" and waiting.item_id in following.answers:
                self._answered(following.answers[waiting.item_id])

    def _answered(self, taken: str | None = None) -> None:
        """Whatever it waited for is gone; ``taken`` is the answer to a question, as Codex wrote it down."""
        facts, supervisor = self._facts, self._supervisor
        if not facts.waiting:
            return
        gone, facts.waiting = facts.waiting, []
        answering, self._answering = self._answering, None
        for waiting in gone:
            supervisor.note("answered", n=waiting.n, by="command" if answering is not None else "pane")
        supervisor.worked("answer")
        supervisor.changed(at_once=True)
        if answering is None:
            return
        if answering.wanted is None or (taken is not None and _read(taken) == answering.wanted):
            answering.done(answering.told)
        else:
            answering.done(refusal("failed", f"Codex took another answer: {taken or 'none'}"))

    def _settle(self) -> None:
        why = self._never or self._unread or self._doubt or self._silent
        if why != self._facts.unknown:
            self._facts.unknown = why
            self._supervisor.changed(at_once=True)

    # ---- what somebody asks ----

    def hinders(self) -> Json | None:
        """Why nothing may be typed now, as a refusal: an Enter answers whatever stands on the screen."""
        facts, job_id = self._facts, self._supervisor.record.id
        hint = f"codex-agent attach {job_id} shows its screen; --queue waits for the turn's end."
        if not self._tells:
            if facts.turn.state != "open" or self._supervisor.record.request.approval == "never":
                return None
            why = f"Codex {self._version} does not show whether it waits for an approval"
            return refusal("bad_state", f"{why}, which a message would answer.", hint)
        title = self._pane.title()
        deadline = time.monotonic() + _LAG_S
        while facts.turn.state != "open" and title.state in _BUSY and time.monotonic() < deadline:
            # The TUI has not heard yet that its turn is over, and would put the message into that (0.163.0).
            time.sleep(_PAUSE_S)
            title = self._pane.title()
        if not title.is_of(facts.thread_id):
            return refusal("bad_state", f"The pane of job {job_id} shows another thread than the job's.", hint)
        if title.state == "needs_you":
            return refusal("bad_state", f"Job {job_id} waits for an answer, and a message would be one.", hint)
        if title.state is None:
            return refusal("bad_state", f"The TUI of job {job_id} does not show that it takes messages.", hint)
        return None

    def respond(self, request: Json, done: Done) -> None:
        """Answers what waits, if it is a plain yes to something that is known."""
        job_id, n, decision = self._supervisor.record.id, request.get("n"), request.get("decision") or "answer"
        texts = request.get("answers")
        by_hand = f"codex-agent attach {job_id}, or codex-agent keys {job_id} KEY..., answers it by hand."
        if not self._facts.waiting or n not in (None, self._facts.waiting[0].n):
            gone = isinstance(n, int) and 0 < n <= self._facts.asked
            what = f"Number {n}" if n is not None else "Nothing"
            why = "waits" if n is None else "has been answered, or its turn ended" if gone else "was never asked"
            done(refusal("bad_state", f"{what} {why} in job {job_id}.", f"codex-agent approvals {job_id}"))
            return
        waiting = self._facts.waiting[0]
        keys = ["y"] if texts is None else _digits(waiting.questions, texts)
        refused: str | None = None
        if self._answering is not None:
            refused = f"Number {waiting.n} is just being answered by another command."
        elif texts is not None and waiting.kind != "question":
            refused = f"Number {waiting.n} is no question."
        elif texts is not None and not keys:
            refused = f"With --plain only the options of number {waiting.n} can be chosen, one for each question."
        elif texts is None and waiting.kind == "question":
            refused = f"Number {waiting.n} is a question: codex-agent answer."
        elif waiting.kind == "prompt":
            refused = f"Number {waiting.n} cannot be answered from outside, since job {job_id} runs with --plain."
        elif decision == "accept_always":
            refused = "With --plain only a single yes can be given from outside."
        elif decision == "decline":
            refused = "With --plain a refusal ends the turn."
            by_hand = f"codex-agent interrupt {job_id} does both."
        if refused is not None:
            done(refusal("bad_state", refused, by_hand))
            return
        title = self._pane.title()
        if title.state != "needs_you" or not title.is_of(self._facts.thread_id):
            done(
                refusal("bad_state", f"Number {waiting.n} has just been answered.", f"codex-agent status {job_id}")
            )
            return
        try:
            for key in keys:
                self._pane.press(key)
        except CodexAgentError as error:
            done({"ok": False, **error.to_json()})
            return
        self._supervisor.note("answer_given", n=waiting.n, decision=decision)
        told = {"ok": True, "waiting": asdict(waiting), "decision": decision}
        wanted = None
        if texts is not None:
            pairs = zip(waiting.questions, texts, strict=True)
            wanted = {"answers": {question.id: {"answers": [text]} for question, text in pairs}}
        self._answering = Answering(time.monotonic() + _ANSWERED_S, done, told, wanted)
        self._next = time.monotonic() + _LOOK_CLOSELY_S


def _doubtful(title: Title, *, ours: bool) -> str | None:
    """What is odd about this title, given that the rollout says that a turn runs."""
    if not ours:
        return "The pane shows another thread than the job's, so what this one waits for cannot be seen."
    if title.state is None:
        return "The TUI's title does not tell what it does."
    if title.state == "idle":
        return "The TUI says that it is ready, and the rollout that a turn runs."
    return None


def _digits(questions: list[Question], texts: list[str]) -> list[str]:
    """The keys that choose these answers, a digit for each question; none if they are not among the options.

    A digit chooses and goes on to the next question, the last one submits (0.133.0, 0.163.0, 0.169.0).
    """
    if len(questions) != len(texts):
        return []
    places = [
        question.options.index(text) + 1 if text in question.options[:9] else 0
        for question, text in zip(questions, texts, strict=True)
    ]
    return [] if 0 in places else [str(place) for place in places]


def _waits_for(open_calls: dict[str, Call], n: int) -> Waiting:
    """What the agent waits for, by the calls that have no output yet. Not more than these say for sure."""
    kind: WaitKind = "prompt"
    told: Json = {}
    questions: list[Question] = []
    calls = list(open_calls.values())
    asking = [call_id for call_id, call in open_calls.items() if call.name == ASKS]
    if asking:
        kind, told = "question", _read(open_calls[asking[0]].given)
        questions = [_question(each) for each in told.get("questions") or [] if isinstance(each, dict)]
    elif len(calls) == 1 and calls[0].name in _SHELLS:
        kind, told = "command", _read(calls[0].given)
    elif len(calls) == 1 and calls[0].name == "apply_patch":
        kind = "file_change"
    words = told.get("cmd") or told.get("command")
    reason = told.get("justification") or (questions[0].text if questions else None)
    if reason is None and kind == "prompt":
        reason = _PROMPT
    folder = told.get("workdir")
    return Waiting(
        n=n,
        kind=kind,
        asked_at=stamp(),
        item_id=asking[0] if asking else None,
        command=command_text(words) if words else None,
        cwd=folder if isinstance(folder, str) else None,
        reason=reason if isinstance(reason, str) else None,
        questions=questions,
    )


def _question(each: Json) -> Question:
    options = each.get("options")
    return Question(
        id=str(each.get("id") or ""),
        header=str(each.get("header") or ""),
        text=str(each.get("question") or ""),
        options=[str(one.get("label")) for one in options if isinstance(one, dict)]
        if isinstance(options, list)
        else [],
        secret=each.get("isSecret") is True,
    )


def _read(given: str) -> dict[str, Any]:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
