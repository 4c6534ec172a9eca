"""Owns what a rollout's records add up to: ``Fold``, which puts them into a ``RolloutState`` one by one.

Never opens a file and never decides whether a job is well: a turn that Codex calls complete is "completed"
here. The shapes are those of Codex 0.98 to 0.169, measured on samples that those versions wrote
(tests/fixtures/rollouts):

* 0.98 marks no turns at all (``turn_state`` stays None, except after an interruption).
* A failed turn is a ``task_complete`` with ``error`` from 0.150 on; before, it cannot be told from a good one
  here.
* Which files changed is said by ``FileChange`` items from 0.150 on, by ``patch_apply_end`` events in 0.133,
  and before that only by the ``apply_patch`` calls and their outputs.
* Tokens are the thread's totals. When a request overflows the context, Codex overwrites its counters (0, 0,
  and the window as the total) and counts on from there; the totals here keep what was used before.
"""

from __future__ import annotations

from .doings import Doings
from .plainjson import loads
from .run import Run
from .usage import Usage, mapping, text
from .values import flatten, goal, sandbox, without_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .state import RolloutTurn


class Fold(Doings):
    """Puts records into a state, in file order. Their kinds are the words of ``HANDLERS``."""

    def __init__(self, thread_id: str | None = None) -> None:
        super().__init__(thread_id)
        self.changes = 0
        """Grows whenever a record was put into the state."""
        self.bad = 0
        self.has_items = False
        """This file's Codex records file changes itself, so tool calls need not be read."""
        self.own_from = 0
        """First ordinal that is this thread's own; what is before was copied from its parent."""
        self._waiting: dict[bytes, bytes] = {}
        self.turns: set[str] = set()  # ids of those that were seen
        self.paths: dict[bytes, str] = {}  # of changed files, as they stand in lines
        self.at: str | None = None  # of the record that is being put in
        self.copied = False  # the turn that is passing by is another thread's
        self.kept_error: dict[str, Any] | None = None
        self.usage = Usage()
        self.counts_on = False  # a fork of which nothing has been counted yet
        self.turn_model: str | None = None  # of the turn that runs: what is set meanwhile is the next one's
        self.tier: str | None = None
        self.run = Run()
        self._limits: bytes | None = None
        self.settled: list[tuple[bytes, bytes]] = []  # the settings that were put in last

    @property
    def plain(self) -> bool:
        """Whether only a record's kind decides if it matters, because no copied history is passing by."""
        return not self.copied and self.own_from == 0 and not self.counts_on

    @property
    def awaits_output(self) -> bool:
        """Whether what came of a tool call has still to be told."""
        return self.planned is not None or bool(self.calls)

    @property
    def passes_calls(self) -> bool:
        """Whether tool calls and outputs say nothing: this Codex records itself what it did."""
        return self.has_items and self.planned is None

    def keep(self, kind: bytes, line: bytes) -> None:
        """A record of which only the last one counts: it is decoded when somebody asks (``settle``)."""
        if self.copied:
            return
        if kind in _COUNTS:
            self._count(kind, line)
            return
        if not line.endswith(b"}}"):
            self.bad += 1  # torn by a crash; it must not displace the sound one before it
            return
        # Taken out first, so that the order stays that of the last arrivals.
        self._waiting.pop(kind, None)
        self._waiting[kind] = line

    def _count(self, kind: bytes, line: bytes) -> None:
        """One request's tokens: each is put in as it comes, since each is billed by itself (but see ``skim``)."""
        limited = line.find(_LIMITED) >= 0
        if line.find(b'"token_count","info":null', 0, 200) >= 0:
            self._limits = line if limited else self._limits
            return
        self._end_run()
        self.settle_settings()
        used = self.usage.used
        if not self._apply(kind, line):
            return
        self._limits = line if limited else self._limits
        if self.counts_on:
            self.usage.leave_out_history(all_of_it=self.state.turns_started == 0)
            self.counts_on = False
        self._charge()
        recorded = kind == _RECORD
        if recorded == self.usage.recorded or self.usage.used != used:
            self.run.begin(line, self.usage, self.state.thread_id, recorded=recorded)

    def _charge(self) -> None:
        self.usage.charge(self.turn_model or self.state.model, self.tier, self.at)

    # -- runs of requests that are billed alike, see ``skim``

    def keep_run(self, record: bytes, count: bytes, *, counted_last: bool) -> None:
        """The last lines of a run, with their ends; an empty one: there is none."""
        kept = ((b"token_usage_record", record), (b"token_count", count))
        for kind, line in kept if counted_last else reversed(kept):
            if line:
                self._waiting.pop(kind, None)
                self._waiting[kind] = line[:-1]

    def keep_limits(self, line: bytes) -> None:
        """The last line that tells of the account's limits."""
        self._limits = line

    def _end_run(self) -> None:
        """What was used in it is billed."""
        for kind in [one for one in self._waiting if one in _COUNTS]:
            at = self.at
            # Where there are both, a run's counts say what its records have said.
            if self._apply(kind, self._waiting.pop(kind)) and (kind == _RECORD) == self.usage.recorded:
                self._charge()
            self.at = at

    @property
    def settings_wait(self) -> bool:
        """Whether the next request may run with other settings."""
        return not _SETTINGS.isdisjoint(self._waiting)

    def settle_settings(self) -> None:
        """What the next request runs with. Most turns say what the one before has said."""
        waiting = [(kind, without_ids(self._waiting[kind])) for kind in self._waiting if kind in _SETTINGS]
        if not waiting:
            return
        if waiting == self.settled:
            for kind, _ in waiting:
                del self._waiting[kind]
            self.changes += 1
            return
        self._end_run()
        for kind, _ in waiting:
            self._settle(kind)
        self.settled = waiting

    def settle(self) -> None:
        """Bring the state up to date with every record that was kept."""
        self.settle_settings()
        self._end_run()
        for kind in list(self._waiting):
            self._settle(kind)
        self.state.billed = self.usage.billed
        if self._limits is not None:
            line, self._limits = self._limits, None
            self._apply(b"rate_limits", line)

    def _settle(self, kind: bytes) -> None:
        line = self._waiting.pop(kind, None)
        if line is not None:
            at = self.at
            self._apply(kind, line)
            self.at = at  # of the record because of which it was settled

    def put(self, kind: bytes, line: bytes) -> None:
        """Decode one record and put it into the state; one that cannot be decoded is counted in ``bad``."""
        if kind == b"session_meta":
            self._end_run()
        elif self.copied and kind != b"task_started":
            return
        self._apply(kind, line)

    def _apply(self, kind: bytes, line: bytes) -> bool:
        try:
            record = loads(line.decode())
            if b"\\ud" in line or b"\\uD" in line:  # half a character would fail whoever writes it on
                from json import dumps  # late: hardly any line has one

                dumps(record, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            self.bad += 1
            return False
        payload = record.get("payload") if isinstance(record, dict) else None
        if not isinstance(payload, dict):
            self.bad += 1
            return False
        self.at = text(record, "timestamp")
        HANDLERS[kind](self, payload)
        self.changes += 1
        return True

    # -- who and with what

    def session_meta(self, payload: dict[str, Any]) -> None:
        state, thread = self.state, text(payload, "id")
        if thread is None or (state.thread_id is not None and thread != state.thread_id):
            return  # the parent's, copied into a fork
        self.settled = []
        state.thread_id = thread
        state.cwd = text(payload, "cwd") or state.cwd
        state.cli_version = text(payload, "cli_version") or state.cli_version
        source = payload.get("source")
        if isinstance(source, dict):  # {"subagent": ...}
            source = next(iter(source), None)
        state.source = source if isinstance(source, str) else state.source
        if self.usage.counted is None:
            self.counts_on = text(payload, "forked_from_id") is not None
        start = payload.get("subagent_history_start_ordinal")
        if isinstance(start, int):
            self.own_from = start

    def settings(self, payload: dict[str, Any]) -> None:
        """``turn_context``, or the settings in ``thread_settings_applied``."""
        inner = payload.get("thread_settings")
        if isinstance(inner, dict):
            payload = inner
        else:
            self.turn_model = text(payload, "model") or self.turn_model
        if isinstance(inner, dict) or "service_tier" in payload:
            self.tier = text(payload, "service_tier")
        mode = mapping(mapping(payload, "collaboration_mode"), "settings")
        state = self.state
        state.cwd = text(payload, "cwd") or state.cwd
        state.model = text(payload, "model") or state.model
        state.approval = text(payload, "approval_policy") or state.approval
        state.sandbox = sandbox(payload) or state.sandbox
        state.reasoning = (
            text(payload, "effort") or text(payload, "reasoning_effort") or text(mode, "reasoning_effort")
        )

    # -- turns

    def task_started(self, payload: dict[str, Any]) -> None:
        self.start_turn(text(payload, "turn_id"), payload.get("model_context_window"))

    def start_turn(self, turn: str | None, window: Any) -> None:
        state = self.state
        self.copied = self.older_than_thread(turn)
        if self.copied or (turn is not None and turn in self.turns):
            return
        if turn is not None:
            self.turns.add(turn)
        state.turn_state, state.turn_id = "open", turn
        state.turn_started_at, state.turn_ended_at = self.at, None
        state.turn_error = state.turn_error_info = self.kept_error = None
        state.turns_started += 1
        if window != self.usage.size:
            self._end_run()
        self.usage.window(window)
        self.state.counted = self.usage.counted

    def task_complete(self, payload: dict[str, Any]) -> None:
        message = text(payload, "last_agent_message")
        error = payload.get("error")
        if not isinstance(error, dict):
            error = self.kept_error if message is None else None
        if not self.end_turn("failed" if error else "completed", text(payload, "turn_id")):
            return
        if error:
            self.state.turn_error = text(error, "message")
            self.state.turn_error_info = flatten(error.get("codex_error_info"))
        if message is None:
            for kind in _SPOKEN:
                self._settle(kind)
        else:
            self.said(message)

    def said(self, message: str | None) -> None:
        """With these words the turn ended; what was said before is not the last any more."""
        for kind in _SPOKEN:
            self._waiting.pop(kind, None)
        self.state.last_message = message

    def said_last(self, line: bytes) -> None:
        """A ``task_complete`` that stands for its words until somebody asks."""
        self.said(None)
        self._waiting[b"last_words"] = line

    def last_words(self, payload: dict[str, Any]) -> None:
        """What ``said_last`` left."""
        self.state.last_message = text(payload, "last_agent_message")

    def turn_aborted(self, payload: dict[str, Any]) -> None:
        self.end_turn("aborted", text(payload, "turn_id"))

    def end_turn(self, how: RolloutTurn, turn: str | None) -> bool:
        """Whether this is the end of the current turn and not a late word about an earlier one.

        Ids that were never started are taken for the current turn's: a review's start and end carry different
        ones, and 0.98 gives none.
        """
        state = self.state
        if self.older_than_thread(turn):
            return False
        if turn in self.turns and (turn != state.turn_id or state.turn_state != "open"):
            return False
        if turn is None and state.turn_state not in ("open", None):
            return False
        if turn is not None:
            self.turns.add(turn)
        state.turn_state, state.turn_ended_at = how, self.at
        state.turn_id = state.turn_id if turn is None else turn
        if how == "completed":
            state.turns_completed += 1
        return True

    def error(self, payload: dict[str, Any]) -> None:
        """Kept until the turn ends: one that the agent got over is none."""
        self.kept_error = payload if self.state.turn_state == "open" else None

    def user_message(self, _payload: dict[str, Any]) -> None:
        if self.state.turns_started == 0:  # 0.98: the only sign of a new turn
            self.state.turn_state = self.state.turn_ended_at = None

    # -- what was said and done

    def agent_message(self, payload: dict[str, Any]) -> None:
        item = payload.get("item")
        if not isinstance(item, dict):
            self.state.last_message = text(payload, "message") or self.state.last_message
            return
        if self.older_than_thread(text(payload, "turn_id")):
            return
        parts = item.get("content")
        texts = [text(part, "text") or "" for part in parts] if isinstance(parts, list) else []
        self.state.last_message = "".join(texts) or self.state.last_message

    def goal(self, payload: dict[str, Any]) -> None:
        """``thread_goal_updated``, of the versions that wrote it into the rollout."""
        self.state.goal = goal(mapping(payload, "goal"))

    # -- tokens

    def token_count(self, payload: dict[str, Any]) -> None:
        self.usage.count(mapping(payload, "info"))
        self.state.counted = self.usage.counted

    def token_usage_record(self, payload: dict[str, Any]) -> None:
        if text(payload, "thread_id") not in (None, self.state.thread_id):
            return  # copied from another thread
        self.usage.record(payload)
        self.state.counted = self.usage.counted

    def rate_limits(self, payload: dict[str, Any]) -> None:
        told = mapping(payload, "rate_limits")
        if told:
            self.state.limits = {**told, "at": self.at}


_RECORD = b"token_usage_record"
_LIMITED = b'_percent":'
_SPOKEN = (b"last_words", b"AgentMessage", b"agent_message")
_COUNTS = (b"token_count", b"token_usage_record")
_SETTINGS = frozenset((b"turn_context", b"thread_settings_applied"))

HANDLERS: dict[bytes, Callable[[Fold, dict[str, Any]], None]] = {
    b"session_meta": Fold.session_meta,
    b"turn_context": Fold.settings,
    b"thread_settings_applied": Fold.settings,
    b"task_started": Fold.task_started,
    b"task_complete": Fold.task_complete,
    b"turn_aborted": Fold.turn_aborted,
    b"error": Fold.error,
    b"user_message": Fold.user_message,
    b"last_words": Fold.last_words,
    b"AgentMessage": Fold.agent_message,
    b"agent_message": Fold.agent_message,
    b"FileChange": Fold.file_change,
    b"patch_apply_end": Fold.file_change,
    b"token_count": Fold.token_count,
    b"token_usage_record": Fold.token_usage_record,
    b"rate_limits": Fold.rate_limits,
    b"call": Fold.call,
    b"output": Fold.output,
    b"thread_goal_updated": Fold.goal,
}
"""Every kind of record that says something for the state, and what puts it in."""
