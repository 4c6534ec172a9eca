"""Owns ``report``: what an agent was asked, what it did, and what there is to show for it.

A claim is not evidence: what the agent says stands apart from what its rollout, git and the reviewers' notes show.
The rollout is read from one end to the other, an entry at a time; of long lists the last ones are kept and all are
counted. Writes nothing but what a reader remembers (``threads.memory``).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections import deque
from collections.abc import Sequence
from time import time

from codex_agent import git, jobs, testruns
from codex_agent.answers import Changed, Entry, FileChanged, Marked, Ran, Said
from codex_agent.cost import bill
from codex_agent.errors import AmbiguousId, CodexAgentError, JobNotFound, ThreadNotFound
from codex_agent.model import TERMINAL, Job, stamp
from codex_agent.notes import NoteBook
from codex_agent.rollouts import RolloutState
from codex_agent.rollouts.conversation import Conversation
from codex_agent.rollouts.head import Head, read_head
from codex_agent.store import Store
from codex_agent.threads.family import sub_agents
from codex_agent.threads.memory import read
from codex_agent.threads.owner import Owners, Unknown
from codex_agent.threads.refs import Ref, resolve
from codex_agent.threads.spending import agents_of
from codex_agent.threads.state import judge
from codex_agent.verdict import seconds
from codex_agent.work_answers import (
    Asking,
    CommandRun,
    CommitMade,
    Commits,
    Mistake,
    Note,
    RanTests,
    Report,
    ReportList,
    TurnDone,
)

COMMANDS, TESTS, TURNS, ASKED, COMMITS = 500, 200, 200, 100, 200
_COMMAND_CHARS, _ASKED_CHARS = 2_000, 8_000
_TRIES = 4
# `git commit` says `[main 1a2b3c4] subject`; so do cherry-pick and revert.
_MADE = re.compile(r"^\[[^\]\n]*\b([0-9a-f]{7,40})\] ", re.MULTILINE)


def reports(store: Store, codex_home: str, words: Sequence[str], prices: Sequence[str] = ()) -> ReportList:
    """A report of each agent, by thread or job, in that order; ``prices`` as in the settings.

    Raises ThreadNotFound, AmbiguousId.
    """
    return ReportList(stamp(), [_report(store, codex_home, word, prices) for word in dict.fromkeys(words)])


def _report(store: Store, codex_home: str, word: str, prices: Sequence[str]) -> Report:
    for _ in range(_TRIES):
        with contextlib.suppress(
            FileNotFoundError
        ):  # archived, or packed, while it was read: it lies elsewhere now
            return _report_now(store, codex_home, word, prices)
    return _report_now(store, codex_home, word, prices)


def _report_now(store: Store, codex_home: str, word: str, prices: Sequence[str]) -> Report:
    try:
        ref = resolve(store, codex_home, word)
    except ThreadNotFound as error:
        # A job that never came to a thread has a record all the same.
        try:
            job_id = store.resolve(word)
        except (JobNotFound, AmbiguousId):
            raise error from None
        return _by_record(store, job_id)
    job = None if ref.job_id is None else jobs.view(store, ref.job_id)
    if ref.rollout is None:
        if job is not None:
            return _by_record(store, job.id)
        raise ThreadNotFound(
            f"The rollout of thread {ref.thread_id} is not below {ref.codex_home} any more.",
            "There is nothing left to report.",
            id=ref.thread_id,
        )
    state, head = read(store.home, ref.rollout, ref.thread_id).state, read_head(ref.rollout, whole=True)
    owners = Owners(ref.codex_home)
    loaded = _loaded(owners, ref)
    work = _Work(ref.thread_id, ref.rollout)
    spent = [*state.spent, *(agents_of(store, ref.codex_home, ref.thread_id) or ())]
    mistakes, notes = _noted(store, ref.thread_id, ref.job_id)
    started = head.created_at or (work.turns[0].started_at if work.turns else None)
    return Report(
        id=ref.job_id or ref.thread_id,
        job_id=ref.job_id,
        thread_id=ref.thread_id,
        name=job.name if job else None,
        rollout=ref.rollout,
        source=state.source or head.source,
        codex_version=state.cli_version,
        cwd=state.cwd,
        model=state.model,
        reasoning=state.reasoning,
        sandbox=state.sandbox,
        state=_state(job, state, loaded),
        failure=job.failure if job else None,
        started_at=started,
        last_at=state.last_record_at,
        asked=work.asked(),
        asked_total=work.asked_total,
        turns=list(work.turns),
        turns_total=work.turns_total,
        claim=state.last_message,
        commits=_commits(head, state, work, started, _until(job, state, loaded)),
        commands=list(work.commands),
        commands_total=work.commands_total,
        commands_failed=work.commands_failed,
        tests=list(work.tests),
        files=work.files(),
        tokens=state.tokens,
        cost_usd=bill(spent, prices).total if spent else None,
        sub_agents=[one.id for one in sub_agents(ref.codex_home, ref.thread_id, owners)],
        mistakes=mistakes,
        notes=notes,
        bad_lines=work.bad_lines,
    )


def _loaded(owners: Owners, ref: Ref) -> bool | None:
    """Whether some process has the thread; None if the system does not tell."""
    try:
        return owners.of(ref.thread_id, ref.rollout) is not None
    except Unknown:
        return None


def _state(job: Job | None, state: RolloutState, loaded: bool | None) -> str:
    """The job's status; of a thread what it does, or how its last turn ended."""
    if job is not None:
        return job.status
    verdict = judge(state.turn_state, loaded=loaded)
    return verdict.turn or verdict.state if verdict.state in ("closed", "unknown") else verdict.state


class _Work:
    """What a rollout shows, gathered while it passes by once. Raises OSError if it cannot be read."""

    def __init__(self, thread_id: str, rollout: str) -> None:
        self._first: Asking | None = None
        self._later: deque[Asking] = deque(maxlen=ASKED - 1)
        self.asked_total = self.turns_total = self.commands_total = self.commands_failed = 0
        self.turns: deque[TurnDone] = deque(maxlen=TURNS)
        self.commands: deque[CommandRun] = deque(maxlen=COMMANDS)
        self.tests: deque[RanTests] = deque(maxlen=TESTS)
        self.made: deque[str] = deque(maxlen=COMMITS)
        """Beginnings of commit ids that commands printed as made."""
        self._files = _Files()
        self._running: dict[str, Ran] = {}  # commands that run on; of old versions each is told twice
        conversation = Conversation(thread_id)
        for entry in conversation.read(rollout):
            self._put(entry)
        for run in list(self._running.values()):
            self._ran(run)
        self.bad_lines = conversation.bad_lines

    def asked(self) -> list[Asking]:
        return [*([] if self._first is None else [self._first]), *self._later]

    def files(self) -> list[FileChanged]:
        return self._files.all()

    def _put(self, entry: Entry) -> None:
        match entry:
            case Said(kind="user"):
                self._ask(Asking(entry.at, entry.turn_id, cut(entry.text, _ASKED_CHARS), len(entry.text)))
            case Marked(kind="turn_started"):
                self.turns_total += 1
                self.turns.append(TurnDone(entry.turn_id, "open", entry.at, None, None, None))
            case Marked(kind="turn_ended"):
                self._end(entry)
            case Ran(status="running"):
                self._running[entry.command] = entry
            case Ran():
                self._running.pop(entry.command, None)
                self._ran(entry)
            case Changed(status="completed"):
                for file in entry.files:
                    self._files.put(file)

    def _ask(self, asking: Asking) -> None:
        self.asked_total += 1
        if self._first is None:
            self._first = asking
        else:
            self._later.append(asking)

    def _end(self, mark: Marked) -> None:
        # A review's start and end carry different ids: then it is the turn that is open.
        for turn in reversed(self.turns):
            if turn.id == mark.turn_id or (turn is self.turns[-1] and turn.status == "open"):
                turn.status, turn.ended_at, turn.error = mark.status or "open", mark.at, mark.message
                turn.duration_ms = mark.duration_ms
                if turn.duration_ms is None and turn.started_at and mark.at:
                    turn.duration_ms = round((seconds(mark.at) - seconds(turn.started_at)) * 1000)
                return

    def _ran(self, run: Ran) -> None:
        self.commands_total += 1
        failed = run.status == "failed" or run.exit_code not in (0, None)
        self.commands_failed += failed
        command = cut(run.command, _COMMAND_CHARS)
        code = run.exit_code if run.exit_code is not None and run.exit_code >= 0 else None
        self.commands.append(CommandRun(run.at, run.turn_id, command, run.by, run.status, code))
        ended = run.status in ("completed", "failed")
        seen = testruns.judge(run.command, code, run.output, ended=ended)
        if seen is not None:
            self.tests.append(
                RanTests(
                    at=run.at,
                    turn_id=run.turn_id,
                    command=command,
                    runner=seen.runner,
                    outcome=seen.outcome,
                    basis=seen.basis,
                    exit_code=code,
                    passed=seen.passed,
                    failed=seen.failed,
                    skipped=seen.skipped,
                )
            )
        if not failed and "git" in run.command:
            self.made.extend(_MADE.findall(run.output))


def cut(text: str, most: int) -> str:
    """A text, or the beginning and the end of a long one."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


class _Files:
    """What became of each file: what was added and then changed was added; what came and went is left out."""

    def __init__(self) -> None:
        self._known: dict[str, FileChanged] = {}  # by the name it has now; of a deleted one, that it had at first

    def put(self, file: FileChanged) -> None:
        before = self._known.pop(file.path, None)
        name = file.moved_to or file.path
        kind, origin = file.kind, file.path
        if before is not None and before.kind == "delete":
            kind = "update" if file.kind == "add" else file.kind
        elif before is not None and file.kind == "delete":
            if before.kind == "add":
                return
            name = origin = before.path
        elif before is not None:
            kind = before.kind
            origin = name if before.kind == "add" else before.path
        self._known[name] = FileChanged(kind, origin, None if name == origin else name)

    def all(self) -> list[FileChanged]:
        """By path."""
        return sorted(self._known.values(), key=lambda one: one.path)


# ---- commits ----


def _until(job: Job | None, state: RolloutState, loaded: bool | None) -> float | None:
    """Until when a commit can be this agent's: now, if somebody has its thread; else its last record."""
    if loaded or (job is not None and job.status not in TERMINAL) or state.last_record_at is None:
        return None
    return seconds(state.last_record_at)


def _commits(head: Head, state: RolloutState, work: _Work, started: str | None, until: float | None) -> Commits:
    cwd = state.cwd or head.cwd
    top = None if cwd is None else git.toplevel(cwd)
    found = Commits(top, "none", head.commit, None, [], [], None)
    if top is None:
        found.note = "Its folder is in no git work tree (now)."
        return found
    since = None if started is None else seconds(started)
    until = time() if until is None else until
    try:
        found.after = git.head(top)
        before = None if head.commit is None else git.verify(top, head.commit)
        if found.after is not None and (before is not None or since is not None):
            found.basis = "time" if before is None else "head"
            made = git.commits(top, before, found.after, COMMITS, since=since, until=until)
            found.made = [CommitMade(one.id, one.subject, one.author, one.at, False) for one in made]
        if head.commit is not None and before is None:
            found.note = "git does not know the commit that the thread began at (any more)."
        _mark_seen(found, top, work)
        paths = {path for one in work.files() for path in (one.path, one.moved_to) if path is not None}
        changed = set(git.changed(top)) if paths else set()
        found.uncommitted = sorted(path for path in map(os.path.realpath, paths) if path in changed)
    except CodexAgentError as error:
        found.note = error.message
    return found


def _mark_seen(found: Commits, top: str, work: _Work) -> None:
    """Which commits a command of the agent's printed as made; also those that HEAD does not have (any more)."""
    for short in dict.fromkeys(work.made):
        known = next((one for one in found.made if one.id.startswith(short)), None)
        if known is not None:
            known.seen = True
        elif (other := git.commit(top, short)) is not None:
            found.made.append(CommitMade(other.id, other.subject, other.author, other.at, True))
    found.made.sort(key=lambda one: one.at)


# ---- notes, and agents without a rollout ----


def _noted(store: Store, thread_id: str | None, job_id: str | None) -> tuple[list[Mistake], list[Note]]:
    found, _ = NoteBook(store.home).read(job_id, thread_id)
    mistakes = {note.id: Mistake(note, []) for note in found if note.kind == "mistake"}
    others = []
    for note in found:
        if note.kind == "resolution" and note.resolves in mistakes:
            mistakes[note.resolves].resolutions.append(note)
        elif note.kind != "mistake":
            others.append(note)
    return list(mistakes.values()), others


def _by_record(store: Store, job_id: str) -> Report:
    """What the record alone tells."""
    record, job = store.load(job_id), jobs.view(store, job_id)
    try:
        with open(store.path(job_id, ".prompt"), encoding="utf-8", errors="replace") as file:
            prompt = file.read()
    except FileNotFoundError:
        prompt = record.request.prompt_head
    mistakes, notes = _noted(store, job.thread_id, job_id)
    nothing = Commits(None, "none", None, None, [], [], "There is no rollout to tell what it did.")
    return Report(
        id=job_id,
        state=job.status,
        job_id=job_id,
        thread_id=job.thread_id,
        name=job.name,
        codex_version=record.request.codex_version,
        cwd=job.cwd,
        model=job.model,
        reasoning=job.reasoning,
        sandbox=job.sandbox,
        failure=job.failure,
        started_at=job.started_at or job.created_at,
        last_at=job.completed_at or job.last_activity_at,
        asked=[Asking(job.created_at, None, cut(prompt, _ASKED_CHARS), len(prompt))],
        asked_total=1,
        claim=job.last_message,
        commits=nothing,
        tokens=job.tokens,
        mistakes=mistakes,
        notes=notes,
    )
