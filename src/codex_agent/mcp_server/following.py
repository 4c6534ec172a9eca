"""Owns waiting inside a call: until there is news or its time is up, telling the client how it goes meanwhile.

Must never end a job: a call that is cancelled, or whose time is up, only stops looking.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import anyio

from codex_agent import jobs
from codex_agent.jobs import Until
from codex_agent.mcp_answers import Task
from codex_agent.mcp_server.door import Call
from codex_agent.mcp_server.eliciting import ask_person
from codex_agent.mcp_server.telling import is_done, progress_line, task
from codex_agent.model import TERMINAL, WAITING, Job
from codex_agent.store import Store

_TELL_FIRST_S, _TELL_EVERY_S = 0.5, 5.0
_AGAIN_S = 0.02


async def follow(
    call: Call,
    ids: Sequence[str],
    *,
    until: Until | None = None,
    wait_any: bool = False,
    seconds: float | None,
) -> bool:
    """Sleeps until all these jobs (``wait_any``: one) have their news; False if the time is up before.

    ``until`` None: the end of a job that does its task, the end of the turn of one that stays. A person at the
    client is asked for what an agent waits for, where that is possible. Raises what looking at a job raises.
    """
    store = call.door.store()
    left = set(ids)
    troubles: list[Exception] = []
    with anyio.move_on_after(seconds):
        async with anyio.create_task_group() as group:

            async def wait(job_id: str) -> None:
                await _news(call, store, job_id, until)
                left.discard(job_id)
                if wait_any or not left:
                    group.cancel_scope.cancel()

            async def noting_trouble(part: Callable[[], Awaitable[None]]) -> None:
                # Out of a group they come wrapped in another error.
                try:
                    await part()
                except Exception as trouble:
                    troubles.append(trouble)
                    group.cancel_scope.cancel()

            for job_id in tuple(left):
                group.start_soon(noting_trouble, partial(wait, job_id))
            if call.wants_progress:
                group.start_soon(noting_trouble, partial(_tell, call, store, ids))
    if troubles:
        raise troubles[0]
    return not left or (wait_any and len(left) < len(set(ids)))


async def _news(call: Call, store: Store, job_id: str, until: Until | None) -> None:
    while True:
        job = await call.verb(jobs.view, store, job_id)
        if is_there(job, until):
            if job.turn_state in WAITING and until is None and await ask_person(call, job):
                continue
            return
        await call.door.waits.news(store, job_id, until or ("end" if job.mode == "exec" else "turn"))
        await anyio.sleep(_AGAIN_S)


def is_there(job: Job, until: Until | None) -> bool:
    """Whether this is what was waited for."""
    if until is None:
        return is_done(job)
    if job.status in TERMINAL:
        return True
    return (until == "turn" and is_done(job)) or (until == "approval" and job.turn_state in WAITING)


async def _tell(call: Call, store: Store, ids: Sequence[str]) -> None:
    """Soon, then every few seconds, for clients that give up on a call they hear nothing of."""
    pause = _TELL_FIRST_S
    while True:
        told = [progress_line(await call.verb(jobs.view, store, job_id)) for job_id in ids]
        await call.progress("; ".join(told))
        await anyio.sleep(pause)
        pause = min(pause * 2, _TELL_EVERY_S)


async def finish(call: Call, task: Task, seconds: float | None) -> Task:
    """The task when it is done, or as it stands when the call's time is up."""
    await follow(call, [task.id], seconds=seconds)
    return await call.verb(seen, call.door.store(), task.id, task.notices)


def seen(store: Store, job_id: str, notices: list[str] | None = None) -> Task:
    """The task as it stands."""
    job = jobs.view(store, job_id)
    waiting = list(store.load(job_id).facts.waiting) if job.waiting_for is not None else []
    return task(job, waiting, notices)
