"""Owns asking the person at the client for what an agent waits for (MCP elicitation).

Older protocols let a server ask in the middle of a call; from 2026-07-28 on a call answers with the question, and
the client calls again with what the person said and what we gave it to keep. Must never answer for them.
"""

from __future__ import annotations

import json
from typing import Any

import anyio
import mcp_types as types
from mcp.shared.exceptions import MCPError

from codex_agent import jobs, talking
from codex_agent.answers import Responded
from codex_agent.errors import BadState, CodexAgentError, UsageError
from codex_agent.mcp_server.door import Call
from codex_agent.model import Job, Question, Waiting
from codex_agent.store import Store
from codex_agent.text import plain

_LOOK_S = 0.5
_KEY = "answer"
_MOST_ROUNDS = 8  # clients give up on a call that comes again too often
_DECISIONS: dict[str, talking.Decision] = {
    "approve": "accept",
    "approve always": "accept_always",
    "deny": "decline",
}


async def ask_person(call: Call, job: Job) -> bool:
    """Asks whoever is at the client about the first thing the agent waits for, and passes the answer on.

    False if nobody can be asked, or nobody answered: then the model gets to know what the agent waits for. True
    also if it was answered elsewhere meanwhile. Raises Asking where the client asks between two calls.
    """
    waiting, store = job.waiting_for, call.door.store()
    if waiting is None or not may_ask(call) or not can_be_asked(waiting):
        return False
    if not in_the_middle(call):
        if _name(job.id, waiting.n) in call.put_away or call.rounds >= _MOST_ROUNDS:
            return False
        raise Asking(call, job.id, job.name, waiting)
    said = None
    with anyio.CancelScope() as asking:
        async with anyio.create_task_group() as group:
            group.start_soon(_until_gone, call, store, job.id, waiting, asking)
            said = await ask_now(call, job.id, job.name, waiting)
            group.cancel_scope.cancel()
    if asking.cancelled_caught:
        return True
    if said is None:
        return False
    try:
        await call.verb(pass_on, store, job.id, waiting, said)
    except BadState:
        pass  # somebody else was faster; what the agent does now is looked at next
    return True


async def _until_gone(call: Call, store: Store, job_id: str, waiting: Waiting, asking: anyio.CancelScope) -> None:
    """Takes the question back once somebody else has answered it."""
    while True:
        try:
            now = (await call.verb(jobs.view, store, job_id)).waiting_for
        except CodexAgentError:
            now = None  # whoever looks next tells of it
        if now is None or now.n != waiting.n:
            asking.cancel()
        await anyio.sleep(_LOOK_S)


def may_ask(call: Call) -> bool:
    """Whether the client said that it can ask its person something."""
    capabilities = call.context.session.client_capabilities
    told = None if capabilities is None else capabilities.elicitation
    return told is not None and (told.form is not None or told.url is None)


def in_the_middle(call: Call) -> bool:
    """Whether that can be done before the call is answered."""
    return call.context.session.can_send_request


def can_be_asked(waiting: Waiting) -> bool:
    """Whether a form can settle it: not what only keys in the pane answer, nor a secret, which MCP forbids."""
    return waiting.kind not in ("prompt", "other") and not any(each.secret for each in waiting.questions)


async def ask_now(call: Call, job_id: str, name: str | None, waiting: Waiting) -> dict[str, Any] | None:
    """What the person put into the form; None if they put it away, or the client cannot show it after all."""
    message, form = question(job_id, name, waiting)
    try:
        told = await call.context.session.elicit_form(message, form, call.context.request_id)
    except MCPError:
        return None
    return told.content or {} if told.action == "accept" else None


class Asking(Exception):
    """The call is to be answered with a question to the person; the client calls again with what they said."""

    def __init__(self, call: Call, job_id: str, name: str | None, waiting: Waiting) -> None:
        message, form = question(job_id, name, waiting)
        kept = {
            "id": job_id,
            "n": waiting.n,
            "begun": call.begun,
            "put_away": call.put_away,
            "rounds": call.rounds + 1,
        }
        params = types.ElicitRequestFormParams(message=message, requested_schema=form)
        self.question = types.InputRequiredResult(
            input_requests={_KEY: types.ElicitRequest(params=params)}, request_state=json.dumps(kept)
        )
        super().__init__(message)


def was_asked(call: Call) -> tuple[str, int, dict[str, Any] | None] | None:
    """Of a call that comes again: the job, the number of what the person was shown, and what they said to it.

    What was kept for the call is put back into it. Raises UsageError if the client brings something else back.
    """
    request = call.request
    if request is None or request.request_state is None:
        return None
    told = (request.input_responses or {}).get(_KEY)
    try:
        kept = json.loads(request.request_state)
        job_id, n = str(kept["id"]), int(kept["n"])
        call.begun, call.put_away, call.rounds = kept["begun"], list(kept["put_away"]), int(kept["rounds"])
    except (ValueError, TypeError, KeyError):
        raise UsageError("The state of this call is none that was given out.", "Call again without it.") from None
    if not isinstance(told, types.ElicitResult):
        raise UsageError("The answer of the person at the client is missing.", "Call again without requestState.")
    return job_id, n, told.content or {} if told.action == "accept" else None


async def take_up(call: Call) -> None:
    """Of a call that comes again: passes on what the person said, if the agent still waits for that."""
    asked = was_asked(call)
    if asked is None:
        return
    job_id, n, said = asked
    if said is None:
        call.put_away.append(_name(job_id, n))
        return
    await call.verb(_pass_on_if_it_waits, call.door.store(), job_id, n, said)


def _pass_on_if_it_waits(store: Store, ref: str, n: int, said: dict[str, Any]) -> None:
    for one in talking.approvals(store, [store.resolve(ref)]).waiting:
        if one.waiting.n == n:
            try:
                pass_on(store, one.id, one.waiting, said)
            except BadState:
                pass  # somebody else was faster; what the agent does now is looked at next


def _name(job_id: str, n: int) -> str:
    return f"{job_id} {n}"


def question(job_id: str, name: str | None, waiting: Waiting) -> tuple[str, dict[str, Any]]:
    """What the person is shown, and the form they fill in (JSON Schema)."""
    lines = [f"Codex agent {job_id}{f' ({name})' if name else ''} {_wants(waiting)}"]
    if waiting.command is not None:
        lines.append("$ " + plain(waiting.command))
    lines += [f"~ {plain(path)}" for path in waiting.files]
    if waiting.cwd is not None:
        lines.append(f"in {plain(waiting.cwd)}")
    if waiting.reason is not None and not waiting.questions:
        lines.append(f"Why: {plain(waiting.reason)}")
    if waiting.kind == "question":
        properties = {f"answer{n}": _field(each, n) for n, each in enumerate(waiting.questions, 1)}
        return "\n".join(lines), {"type": "object", "properties": properties, "required": list(properties)}
    properties = {
        "decision": {
            "type": "string",
            "title": "Decision",
            "description": "approve always: do not ask again for the same, as long as this agent runs.",
            "enum": list(_DECISIONS),
        },
        "message": {
            "type": "string",
            "title": "What to do instead",
            "description": "Told to the agent if you deny.",
        },
    }
    return "\n".join(lines), {"type": "object", "properties": properties, "required": ["decision"]}


def _wants(waiting: Waiting) -> str:
    return {
        "command": "wants to run a command:",
        "file_change": "wants to change files:",
        "permissions": "wants more permissions:",
        "question": "asks:",
        "elicitation": "has a question from an MCP server it uses:",
    }[waiting.kind]


def _field(asked: Question, number: int) -> dict[str, Any]:
    options = "; ".join(f"{n}. {plain(option)}" for n, option in enumerate(asked.options, 1))
    text = plain(asked.text) + (f" ({options}; a number, or words of your own)" if options else "")
    return {"type": "string", "title": plain(asked.header) or f"Answer {number}", "description": text}


def pass_on(store: Store, job_id: str, waiting: Waiting, said: dict[str, Any]) -> Responded:
    """Gives the agent what the person said. Raises BadState if it does not wait for that any more."""
    if waiting.kind == "question":
        texts = [str(said.get(f"answer{n}", "")) for n, _ in enumerate(waiting.questions, 1)]
        return talking.answer(store, job_id, texts, n=waiting.n)
    decision = _DECISIONS.get(str(said.get("decision")))
    if decision is None:
        raise BadState(
            "The client's form came back without a decision.", f"codex-agent approvals {job_id}", id=job_id
        )
    message = str(said.get("message") or "") if decision == "decline" else None
    return talking.respond(store, job_id, waiting.n, decision, message=message)
