"""Owns what all tools share: where things are, one call of a tool, and the list of what is offered.

A module of this package has ``register(offer)``, which adds its tools. Verbs block, so they run in threads; the
server answers other calls meanwhile. Must never decide what a tool does.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import anyio.to_thread
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp_types import CallToolRequestParams

from codex_agent import settings as settings_room
from codex_agent.errors import UsageError
from codex_agent.mcp_server.waits import Waits
from codex_agent.store import Store

P = ParamSpec("P")
T = TypeVar("T")

# How long a call waits unless it or the settings say. The SDKs' clients give up after 60 s by default, progress or
# not; Claude Code (2.1) after 30 minutes in which it heard nothing, and it asks for progress.
_WAIT_S, _PATIENT_S = 50.0, {"claude-code": 600.0}

# What parameters that several tools have say of themselves.
TASK_ID = "The task: its id, a unique prefix of it, or its name."
ASYNC = "Return at once with the taskId instead of waiting."
TIMEOUT = (
    "How long this call waits, in milliseconds; 0: as long as it takes; by default nearly as long as the client. "
    "Past it the call answers with the task as it stands, and the task goes on."
)


@dataclass(frozen=True, slots=True)
class Door:
    """Where things are. Settings are read at each call: what the user changes holds from the next one on."""

    environ: Mapping[str, str]
    waits: Waits = field(default_factory=Waits)

    def store(self) -> Store:
        """The jobs of this CODEX_AGENT_HOME."""
        return Store(settings_room.home(self.environ))

    def settings(self) -> settings_room.Settings:
        """The settings in force."""
        return settings_room.load(self.environ)


def wait_s(timeout_ms: float | None, settings: settings_room.Settings, client: str | None) -> float | None:
    """How long a call may wait, in seconds: as it says, else as the settings say, else as its client does.

    None: as long as it takes. Raises UsageError.
    """
    if timeout_ms is not None and not timeout_ms >= 0:
        raise UsageError("timeoutMs is negative.", "Milliseconds; 0 is as long as it takes.")
    seconds = settings.mcp.wait_s if timeout_ms is None else timeout_ms / 1000
    if seconds is None:
        seconds = _PATIENT_S.get(client or "", _WAIT_S)
    return seconds or None


class Call:
    """One call of a tool."""

    def __init__(
        self, door: Door, context: ServerRequestContext[Any, Any], request: CallToolRequestParams | None = None
    ) -> None:
        self.door, self.context, self.request = door, context, request
        self._begun = time.monotonic()
        # Where the person at the client can only be asked by an answer, the call comes again with what they said
        # and with these (see ``eliciting``). What was begun must not be begun again.
        self.begun: dict[str, Any] | None = None
        self.put_away: list[str] = []
        self.rounds = 0

    @property
    def wants_progress(self) -> bool:
        """Whether the client asked to be told how it goes."""
        return "progress_token" in (self.context.meta or {})

    def limit_s(self, timeout_ms: float | None) -> float | None:
        """How long this call may wait, in seconds; None: as long as it takes. Raises UsageError."""
        client = self.context.session.client_params
        return wait_s(timeout_ms, self.door.settings(), None if client is None else client.client_info.name)

    async def progress(self, message: str) -> None:
        """Tells the client how it goes; the number is the seconds since the call came in."""
        await self.context.session.report_progress(round(time.monotonic() - self._begun, 1), None, message)

    async def verb(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a verb, which may block, in a thread. One that was begun is finished even if the call is cancelled.

        Half a start would be worse than one whose answer nobody reads.
        """
        return await anyio.to_thread.run_sync(functools.partial(function, *args, **kwargs))


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. ``run`` gets the call and its parameters and returns an ``answers``.

    If it is no coroutine function it runs in a thread. ``text`` says the answer in words, for clients that show no
    structured content.
    """

    name: str
    about: str
    takes: type[Any]
    answers: type[Any]
    run: Callable[[Call, Any], Any] | Callable[[Call, Any], Awaitable[Any]]
    text: Callable[[Any], str]
    reads: bool = False
    """Changes nothing."""
    destroys: bool = False
    """What it ends, or lets an agent change, may be gone for good."""
    repeats: bool = False
    """Called again with the same parameters it changes nothing more."""
    waits: bool = False
    """It may ask the person at the client while it waits. What it begins it puts into ``call.begun``, and does not
    begin if something is there."""


@dataclass(slots=True)
class Offer:
    """What the server offers so far. ``server`` is the SDK's, for what is no tool (resources, prompts)."""

    door: Door
    server: Server[Any]
    tools: dict[str, Tool] = field(default_factory=dict)

    def tool(self, tool: Tool) -> None:
        """Adds one."""
        assert tool.name not in self.tools, tool.name
        self.tools[tool.name] = tool
