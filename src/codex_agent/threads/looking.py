"""Owns one thread as it stands: everything its rollout, Codex's databases and the system say of it.

What is in it is found afresh each time, since a resume may write a new file. Writes nothing but its own memory of
a large rollout (``memory``).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence

from codex_agent import holders, index, kernel
from codex_agent.answers import FileChanged, Ran, Step
from codex_agent.cost import bill
from codex_agent.errors import ThreadNotFound
from codex_agent.index.goals import database
from codex_agent.model import stamp
from codex_agent.rollouts import RolloutState, locate
from codex_agent.rollouts.calls import Calls
from codex_agent.rollouts.head import Head, read_head
from codex_agent.rollouts.tail import Call, end_of, narrations
from codex_agent.store import Store
from codex_agent.thread_answers import Goal, Narration, Owner, ThreadView
from codex_agent.threads.family import sub_agents
from codex_agent.threads.memory import read
from codex_agent.threads.owner import Owners, Unknown
from codex_agent.threads.refs import Ref
from codex_agent.threads.spending import agents_of, limits_of
from codex_agent.threads.state import judge, suspect
from codex_agent.threads.telling import job_now, last_active, title_of
from codex_agent.verdict import seconds

_TRIES = 5


def where(ref: Ref) -> str:
    """The thread's rollout as found now. Raises ThreadNotFound if there is none."""
    path = ref.rollout
    if path is None or not os.path.isfile(path):
        # Twice, since one that is being moved may have been in neither folder when that was looked into.
        path = locate.find(ref.codex_home, ref.thread_id) or locate.find(ref.codex_home, ref.thread_id)
    if path is None:
        raise _no_rollout(ref)
    return path


def _no_rollout(ref: Ref) -> ThreadNotFound:
    hint = "Codex writes it with the first turn; `codex delete` removes it."
    return ThreadNotFound(f"Thread {ref.thread_id} has no rollout below {ref.codex_home}.", hint, id=ref.thread_id)


def folder(ref: Ref) -> str:
    """The thread's working directory as its first line has it; empty if that says none."""
    return read_head(where(ref)).cwd or ""


def look(
    store: Store, ref: Ref, *, last: int = 3, prices: Sequence[str] = (), now: float | None = None
) -> ThreadView:
    """The thread as it stands now, with the ``last`` things it said; ``prices`` as in the settings.

    Raises ThreadNotFound, OSError.
    """
    now = time.time() if now is None else now
    for _ in range(_TRIES):
        try:
            return _look(store, ref, where(ref), last, prices, now)
        except FileNotFoundError:
            continue  # archived, packed or unpacked while it was read: it lies elsewhere now
    raise _no_rollout(ref)


def _look(store: Store, ref: Ref, path: str, last: int, prices: Sequence[str], now: float) -> ThreadView:
    head = read_head(path)
    reader = read(store.home, path, ref.thread_id)
    state, end = reader.state, end_of(path)
    owners = Owners(ref.codex_home)
    owner, loaded = _owner(owners, ref.thread_id, path)
    job = job_now(store, ref.job_id)
    # The end may have been written since the reader was there; the reader knows late words from the turn's own.
    verdict = judge(state.turn_state or end.turn, loaded=loaded, job=job, unmarked=end.unmarked)
    active_at = last_active(end.last_at, os.stat(path).st_mtime, now)
    idle_s = max(0.0, now - active_at)
    calls = end.calls if verdict.turn == "open" else []
    row = _row(ref)
    agents = agents_of(store, ref.codex_home, ref.thread_id)
    whole = bill([*state.spent, *(agents or ())], prices)
    return ThreadView(
        id=ref.thread_id,
        rollout=path,
        source=state.source or head.source,
        cwd=state.cwd or head.cwd,
        title=title_of(row, path),
        cli_version=state.cli_version or head.cli_version,
        model=state.model,
        reasoning=state.reasoning,
        sandbox=state.sandbox,
        approval=state.approval,
        state=verdict.state,
        state_reason=verdict.reason,
        turn=verdict.turn,
        turn_id=state.turn_id,
        turn_started_at=state.turn_started_at,
        turn_ended_at=state.turn_ended_at,
        turn_error=state.turn_error,
        turns=state.turns_started,
        owner=owner,
        suspicion=suspect(
            verdict,
            calls,
            approval=state.approval,
            commands_run=_commands_run(owner, ref.thread_id, calls),
            idle_s=idle_s,
            job=job,
        ),
        job_id=ref.job_id,
        active_at=stamp(active_at),
        idle_s=round(idle_s),
        goal=goal_of(ref, state),
        plan=[Step(text, status) for text, status in state.plan],
        narrations=_said(path, last, ref.thread_id, head, state),
        running=_running(calls, state),
        files=[FileChanged(kind, file, None) for file, kind in state.files.items()],
        tokens=state.tokens,
        cost_usd=whole.total if state.spent or agents else None,
        agents_cost_usd=None if agents is None else bill(agents, prices).total,
        unpriced=whole.unpriced,
        limits=limits_of(state),
        sub_agents=sub_agents(ref.codex_home, ref.thread_id, owners),
        parent_id=head.parent_id,
        forked_from=head.forked_from,
        bad_lines=reader.bad_lines,
        unknown_lines=reader.unknown_lines,
    )


def _said(path: str, last: int, thread_id: str, head: Head, state: RolloutState) -> list[Narration]:
    found = narrations(path, last, thread_id=thread_id, own_from=head.own_from)
    if not found and last > 0 and state.last_message:  # so long ago that it is not looked for
        return [Narration(None, state.last_message)]
    return [Narration(one.at, one.text) for one in found]


def goal_of(ref: Ref, state: RolloutState) -> Goal | None:
    """The thread's goal: from Codex's database where there is one, else from its rollout.

    0.133 writes all of it to both. Later versions write at most its beginning into the rollout: not that it was
    reached, and not that it was taken away.
    """
    with contextlib.suppress(index.Unreadable):
        row = index.goal(ref.codex_home, ref.thread_id)
        if row is not None:
            used = (row.tokens_used, row.token_budget, row.time_used_s)
            return Goal(row.objective, row.status, *used, stamp(row.updated_at), "database")
        if database(ref.codex_home) is not None:
            return None
    told = state.goal
    if told is None:
        return None
    told_at = _number(told.get("updated_at"))  # in seconds
    return Goal(
        objective=str(told.get("objective") or told.get("text") or ""),
        status=str(told.get("status") or "active"),
        tokens_used=_number(told.get("tokens_used")),
        token_budget=_number(told.get("token_budget")),
        time_used_s=_number(told.get("time_used_seconds")),
        updated_at=None if told_at is None else stamp(told_at),
        basis="rollout",
    )


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) else None


def _row(ref: Ref) -> index.Row | None:
    try:
        return (index.rows(ref.codex_home, ref.thread_id) or {}).get(ref.thread_id)
    except index.Unreadable:
        return None


def _owner(owners: Owners, thread_id: str, path: str) -> tuple[Owner | None, bool | None]:
    try:
        owner = owners.of(thread_id, path)
    except Unknown:
        return None, None
    return owner, owner is not None


def _commands_run(owner: Owner | None, thread_id: str, calls: list[Call]) -> bool | None:
    """Whether the process that has the thread has started another one for it since the first of these calls."""
    if owner is None or owner.pid is None or not calls or calls[0].at is None or not kernel.LINUX:
        return None
    called_at = seconds(calls[0].at)
    # An IDE has many threads in one process; commands are told whose they are (0.133.0 to 0.169.0).
    its_own = [
        one.pid
        for one in kernel.descendants(owner.pid)
        if holders.variable(one.pid, "CODEX_THREAD_ID") in (None, thread_id)
    ]
    began = [holders.started_at(pid) for pid in its_own]
    # A process's start is told in hundredths of a second, the system's in whole seconds.
    return any(at is not None and at >= called_at - 1.0 for at in began)


def _running(calls: list[Call], state: RolloutState) -> list[Ran]:
    begun = Calls()
    for call in calls:
        begun.begin(call.payload, call.at, state.turn_id, state.cwd or "/")
    return [entry for entry in begun.rest() if isinstance(entry, Ran)]
