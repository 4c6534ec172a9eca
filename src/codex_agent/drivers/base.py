"""Owns what every way to drive a Codex has in common: what the supervisor may ask of it, and how it answers.

Only shapes and words; nothing in here starts anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from codex_agent.handshake import Launch
from codex_agent.model import Activity, Facts, Record
from codex_agent.outputs import Outputs
from codex_agent.store import Store

Json = dict[str, Any]
# Told once how a request went: ``{"ok": true, ...}`` or what ``refusal`` makes.
Done = Callable[[Json], None]


@dataclass(slots=True)
class Message:
    """Something somebody says to the agent. ``how`` as in ``send``: now, queue, interrupt.

    ``said``: Codex was told it, and nobody has seen yet that the thread has it.
    """

    id: str
    text: str
    how: Literal["now", "queue", "interrupt"]
    sent_at: str
    file: str | None = None
    said: bool = False


class Host(Protocol):
    """What a driver has of its supervisor: the job, and somebody who watches, notes and saves for it."""

    store: Store
    record: Record
    facts: Facts
    launch: Launch
    outputs: Outputs

    @property
    def turn_state(self) -> str | None:
        """What the agent does now, by the one who decides that."""

    @property
    def saved(self) -> bool:
        """Whether the record on disk says what the facts say."""

    def environment(self) -> dict[str, str]:
        """What Codex gets."""

    def watch(self, handle: int, ready: Callable[[], bool], *, writing: bool = False) -> None:
        """Calls ``ready`` whenever this descriptor can be read (``writing``: or written).

        It says False when that is over. The last call for a descriptor counts.
        """

    def unwatch(self, handle: int) -> None:
        """No more of that."""

    def stop(self, reason: str) -> None:
        """Begins to end Codex."""

    def note(self, kind: str, **data: Any) -> None:
        """An event."""

    def warn(self, text: str) -> None:
        """Something that decides nothing."""

    def worked(self, by: Activity) -> None:
        """Codex did something that was work, as ``by`` tells."""

    def changed(self, *, at_once: bool = False) -> None:
        """The facts changed."""

    def rollout_soon(self) -> None:
        """The rollout will have more in a moment."""

    def look_at_rollout(self) -> None:
        """Reads what is new in the rollout into the facts."""


class Driver(Protocol):
    """One way to drive a Codex. All times are ``time.monotonic()`` seconds."""

    @property
    def over(self) -> bool:
        """Whether every process it started has ended."""

    def launch(self) -> int:
        """Starts Codex on its first turn; its pid. Raises OSError or CodexAgentError, and then nothing runs."""

    def again(self) -> bool:
        """Asked when it is over and nobody wanted that: whether it goes on with a message that waits."""

    def reaped(self, pid: int, status: int) -> None:
        """A child of the supervisor's has ended."""

    def due(self) -> float | None:
        """When it wants to be asked ``on_time`` next."""

    def on_time(self, now: float) -> None:
        """The clock went on, or something happened."""

    def insist(self) -> None:
        """Ends Codex; called once, what has to follow is the driver's own business (``due``)."""

    def collect(self) -> None:
        """After the end: takes what is left in pipes, and how Codex exited, into the facts."""

    def send(self, message: Message, done: Done) -> None:
        """Says something to the agent."""

    def delivered(self, message_id: str, done: Done) -> None:
        """Tells when a message that waits in the queue has been said."""

    def interrupt(self, done: Done) -> None:
        """Cuts the running turn off."""

    def respond(self, request: Json, done: Done) -> None:
        """Answers what the agent waits for."""

    def leave(self, cut: bool, done: Done) -> None:
        """Ends an agent that stays, politely."""


def refusal(code: str, message: str, hint: str | None = None, **data: Any) -> Json:
    """The answer to a request that is not done; ``code`` as in ``errors``."""
    return {"ok": False, "code": code, "message": message, "hint": hint, **data}


def cut_off(supervisor: Host, cut: Callable[[Done], None], done: Done) -> None:
    """``interrupt`` for an agent that stays: only a turn that runs can be cut off."""
    turn = supervisor.facts.turn
    if turn.state != "open":
        done(refusal("bad_state", f"No turn of job {supervisor.record.id} runs: it is {supervisor.turn_state}."))
        return
    supervisor.note("interrupt_asked", turn_id=turn.id)
    cut(done)


def let_leave(supervisor: Host, *, busy: bool, cut: bool, done: Done) -> None:
    """``exit`` for an agent that stays: not from its work, and not with messages to deliver, unless ``cut``."""
    job_id, working = supervisor.record.id, supervisor.facts.turn.state == "open"
    if not cut and (working or busy):
        why = "is at work" if working else "has messages to deliver"
        hint = f"codex-agent await-turn {job_id} waits for that; exit --interrupt cuts it off."
        done(refusal("bad_state", f"Job {job_id} {why}.", hint))
        return
    done({"ok": True})
    supervisor.stop("exit")


# The longest message that is said as it is. Up to this the attached TUI came up within 0.7 s, whatever the text
# (0.133.0, 0.163.0, 0.169.0); 900,000 characters in half as many lines took it 5 s (0.163.0).
SAID_CHARS = 200_000


def prompt_of(store: Store, job_id: str) -> str:
    """The job's prompt as it is said: itself, or where it lies."""
    path = store.path(job_id, ".prompt")
    with open(path, encoding="utf-8", errors="replace") as file:
        text = file.read()
    return pointer(path, len(text)) if len(text) > SAID_CHARS else text


def pointer(path: str, chars: int) -> str:
    """What is said instead of a message that is too long."""
    return (
        f"This message is {chars} characters long, so it is in a file. Read the whole file first, in pieces if "
        f"need be, then do what it says: {path}"
    )
