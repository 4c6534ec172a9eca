"""Owns the tools for agents that need somebody: codex_approvals, codex_approve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent import talking
from codex_agent.answers import Approvals, Asked, Responded
from codex_agent.errors import BadState, Interrupted, UsageError
from codex_agent.mcp_server import eliciting, limits
from codex_agent.mcp_server.door import TASK_ID, Call, Offer, Tool
from codex_agent.mcp_server.telling import asked
from codex_agent.model import doc
from codex_agent.store import Store

_DECISIONS: dict[str, talking.Decision] = {
    "approve": "accept",
    "approve_always": "accept_always",
    "deny": "decline",
}


@dataclass(slots=True)
class Which:
    """Parameters of codex_approvals."""

    task_ids: list[str] | None = doc("Only of these tasks.", default=None)


@dataclass(slots=True)
class Approve:
    """Parameters of codex_approve."""

    task_id: str = doc(TASK_ID)
    decision: Literal["ask", "approve", "approve_always", "deny", "answer"] = doc(
        "ask: the person at this client decides; prefer it where the client can ask. approve, or deny; "
        "approve_always: and do not ask again for the same. answer: to questions, with answers."
    )
    n: int | None = doc("Which, by its number; needed if more than one waits.", default=None)
    message: str | None = doc("With deny: what to do instead.", default=None)
    answers: list[str] | None = doc(
        "With answer, one for each question: an option's number or label, or words of your own.", default=None
    )


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_approvals",
            about="List what Codex agents wait for: approvals of commands and edits, and questions, longest "
            "waiting first. An agent that waits does nothing until codex_approve answers it.",
            takes=Which,
            answers=Approvals,
            run=approvals,
            text=_approvals_text,
            reads=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_approve",
            about="Answer one thing that a Codex agent waits for, or have the person at this client answer it. "
            "What is approved is done, outside the sandbox too: read the command first.",
            takes=Approve,
            answers=Responded,
            run=approve,
            text=_responded_text,
            destroys=True,
        )
    )


def approvals(call: Call, wanted: Which) -> Approvals:
    """codex_approvals."""
    store = call.door.store()
    ids = None if wanted.task_ids is None else [store.resolve(ref) for ref in wanted.task_ids]
    return talking.approvals(store, ids)


async def approve(call: Call, wanted: Approve) -> Responded:
    """codex_approve."""
    if wanted.message is not None and wanted.decision != "deny":
        raise UsageError("message goes with decision deny.", "codex_send says something to an agent.")
    if (wanted.answers is not None) != (wanted.decision == "answer"):
        raise UsageError("answers and decision answer go together.", "codex_approvals shows the questions.")
    store = call.door.store()
    if wanted.decision == "ask":
        return await _ask(call, store, wanted)
    return await call.verb(_decide, call, store, wanted)


def _decide(call: Call, store: Store, wanted: Approve) -> Responded:
    job_id = store.resolve(wanted.task_id)
    limits.check_answer(call.door.settings(), store.load(job_id).request)
    if wanted.answers is not None:
        return talking.answer(store, job_id, wanted.answers, n=wanted.n)
    return talking.respond(store, job_id, wanted.n, _DECISIONS[wanted.decision], message=wanted.message)


async def _ask(call: Call, store: Store, wanted: Approve) -> Responded:
    said = eliciting.was_asked(call)
    number = wanted.n if said is None else said[1]
    one = await call.verb(_waits, store, wanted.task_id, number)
    if said is not None and said[0] == one.id:
        content = said[2]
    elif not eliciting.may_ask(call):
        raise UsageError(
            "This client cannot ask its person.",
            "Give another decision, or have them answer in a terminal: codex-agent approvals",
        )
    elif not eliciting.can_be_asked(one.waiting):
        raise BadState(
            f"Number {one.waiting.n} of job {one.id} cannot be answered in a form.",
            f"In a terminal: codex-agent attach {one.id} --exec",
            id=one.id,
        )
    elif not eliciting.in_the_middle(call):
        raise eliciting.Asking(call, one.id, one.name, one.waiting)
    else:
        content = await eliciting.ask_now(call, one.id, one.name, one.waiting)
    if content is None:
        raise Interrupted(
            "The person did not decide; the agent still waits.", "Ask them what to do.", id=one.id, n=one.waiting.n
        )
    return await call.verb(eliciting.pass_on, store, one.id, one.waiting, content)


def _waits(store: Store, ref: str, number: int | None) -> Asked:
    """The one thing that is meant."""
    job_id = store.resolve(ref)
    waiting = talking.approvals(store, [job_id]).waiting
    found = [one for one in waiting if number in (None, one.waiting.n)]
    if len(found) == 1:
        return found[0]
    numbers = ", ".join(str(one.waiting.n) for one in waiting)
    if found:
        raise BadState(f"Several wait in job {job_id}: {numbers}.", "Say which: give n.", id=job_id)
    if number is None or not waiting:
        raise BadState(f"Job {job_id} waits for nobody.", "codex_status says what it does.", id=job_id)
    raise BadState(
        f"Job {job_id} waits for {numbers}, not for {number}.", "codex_approvals lists them.", id=job_id
    )


def _approvals_text(told: Approvals) -> str:
    lines = [
        f"{one.id}{f' ({one.name})' if one.name else ''} waits for {asked(one.waiting)}" for one in told.waiting
    ]
    return "\n".join(lines) or "Nothing waits."


def _responded_text(told: Responded) -> str:
    word = {
        "accept": "approved",
        "accept_always": "approved for good",
        "decline": "denied",
        "answer": "answered",
    }[told.decision]
    said = f"; told it in turn {told.sent.turn_id or '(queued)'}" if told.sent is not None else ""
    return (
        f"Task {told.id}: {word} {asked(told.waiting)}{said}. Now {told.turn_state or 'ended'}; codex_wait waits."
    )
