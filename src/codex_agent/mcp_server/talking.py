"""Owns the tools that talk to agents: codex_send, codex_interrupt."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from codex_agent import talking as verbs
from codex_agent.answers import Cut, Sent
from codex_agent.mcp_answers import Spoken
from codex_agent.mcp_server import limits
from codex_agent.mcp_server.door import ASYNC, TASK_ID, TIMEOUT, Call, Offer, Tool
from codex_agent.mcp_server.following import finish, seen
from codex_agent.mcp_server.telling import in_words
from codex_agent.model import doc
from codex_agent.talking import How


@dataclass(slots=True)
class Send:
    """Parameters of codex_send."""

    task_id: str = doc(TASK_ID)
    message: str = doc("What to say.")
    how: How = doc(
        "While the agent is at work. now: it hears it in the middle of its turn. queue: when the turn has ended. "
        "interrupt: the turn is cut off first. A task that does its work and ends takes queue only.",
        default="now",
    )
    async_: bool = doc(ASYNC, default=False)
    timeout_ms: float | None = doc(TIMEOUT, default=None)


@dataclass(slots=True)
class Interrupt:
    """Parameters of codex_interrupt."""

    task_id: str = doc(TASK_ID)


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_send",
            about="Say something to a Codex agent that knows its task already: more to do, a correction, an "
            "answer. One that has ended goes on with its whole conversation. Waits for the turn's end.",
            takes=Send,
            answers=Spoken,
            run=send,
            waits=True,
            text=_spoken,
            destroys=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_interrupt",
            about="Cut off what an interactive Codex agent does right now; it stays, and codex_send tells it what "
            "to do instead. To end a task: codex_cancel.",
            takes=Interrupt,
            answers=Cut,
            run=interrupt,
            text=_cut,
        )
    )


async def send(call: Call, wanted: Send) -> Spoken:
    """codex_send."""
    door = call.door

    def say() -> Sent:
        settings, store = door.settings(), door.store()
        job_id = store.resolve(wanted.task_id)
        limits.check(settings, store.load(job_id).request)
        return verbs.send(store, job_id, wanted.message, settings, door.environ, how=wanted.how)

    seconds = call.limit_s(wanted.timeout_ms)
    sent = await call.verb(say) if call.begun is None else Sent(**call.begun)
    call.begun = asdict(sent)
    task = await call.verb(seen, door.store(), sent.id)
    return Spoken(sent, task if wanted.async_ else await finish(call, task, seconds))


def interrupt(call: Call, wanted: Interrupt) -> Cut:
    """codex_interrupt."""
    store = call.door.store()
    return verbs.interrupt(store, store.resolve(wanted.task_id))


def _spoken(answer: Spoken) -> str:
    turn = f"turn {answer.sent.turn_id or '(no id)'}"
    what = {
        "turn": f"{turn} began with the message",
        "steer": f"The message went into {turn}",
        "queued": "The message is queued for the end of the running turn",
    }[answer.sent.delivery]
    return f"{what[0].upper()}{what[1:]}.\n{in_words(answer.task)}"


def _cut(answer: Cut) -> str:
    told = f"Task {answer.id}: the turn was cut off; now {answer.turn_state or 'ended'}."
    return "\n".join([told, *(f"Not seen by the agent, send it again: {text}" for text in answer.untaken)])
