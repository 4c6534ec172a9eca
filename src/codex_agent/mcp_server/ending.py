"""Owns the tools that wait for work and end it: codex_wait, codex_cancel."""

from __future__ import annotations

from dataclasses import dataclass

from codex_agent import ending as verbs
from codex_agent.errors import UsageError
from codex_agent.jobs import Until
from codex_agent.mcp_answers import Task, Waited
from codex_agent.mcp_server.door import TASK_ID, TIMEOUT, Call, Offer, Tool
from codex_agent.mcp_server.following import follow, seen
from codex_agent.mcp_server.telling import in_words
from codex_agent.model import doc


@dataclass(slots=True)
class WaitFor:
    """Parameters of codex_wait."""

    task_id: str | None = doc(TASK_ID, default=None)
    task_ids: list[str] | None = doc("Several tasks, instead of taskId.", default=None)
    any: bool = doc("Return when one of them is done, not all.", default=False)
    until: Until | None = doc(
        "end, turn (the agent has handed the turn back, or needs somebody) or approval (it needs somebody). "
        "Default: end for a task that does its work and ends, turn for one that stays.",
        default=None,
    )
    timeout_ms: float | None = doc(TIMEOUT, default=None)


@dataclass(slots=True)
class Cancel:
    """Parameters of codex_cancel."""

    task_id: str = doc(TASK_ID)


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_wait",
            about="Wait until Codex tasks are done, and get their results. Costs nothing while it waits: use it "
            "instead of asking codex_status again and again.",
            takes=WaitFor,
            answers=Waited,
            run=wait,
            waits=True,
            text=lambda answer: "\n\n".join(map(in_words, answer.tasks)),
            reads=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_cancel",
            about="End a running Codex task and everything it started. What it changed so far stays.",
            takes=Cancel,
            answers=Task,
            run=cancel,
            text=in_words,
            destroys=True,
        )
    )


async def wait(call: Call, wanted: WaitFor) -> Waited:
    """codex_wait."""
    store = call.door.store()
    seconds = call.limit_s(wanted.timeout_ms)
    refs = [*([wanted.task_id] if wanted.task_id else []), *(wanted.task_ids or [])]
    if not refs:
        raise UsageError("Which task? taskId is missing.", "codex_tasks lists them.")
    ids = await call.verb(lambda: list(dict.fromkeys(store.resolve(ref) for ref in refs)))
    done = await follow(call, ids, until=wanted.until, wait_any=wanted.any, seconds=seconds)
    tasks = await call.verb(lambda: [seen(store, job_id) for job_id in ids])
    return Waited(done, tasks)


def cancel(call: Call, wanted: Cancel) -> Task:
    """codex_cancel."""
    store = call.door.store()
    job_id = store.resolve(wanted.task_id)
    verbs.kill(store, job_id)
    return seen(store, job_id)
