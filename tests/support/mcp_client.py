"""The MCP server as its users run it: a process of its own, spoken to with the SDK's client."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import mcp_types as types
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters

from support.cli import COMMAND
from support.home import Home
from support.processes import Seen, processes_with


@dataclass(frozen=True)
class Answer:
    """What one call answered."""

    result: types.CallToolResult

    @property
    def data(self) -> dict[str, Any]:
        """The structured content of a success; fails the test otherwise."""
        assert not self.result.is_error, self.text
        assert isinstance(self.result.structured_content, dict), self.text
        return self.result.structured_content

    @property
    def text(self) -> str:
        """The words."""
        return "\n".join(block.text for block in self.result.content if isinstance(block, types.TextContent))

    @property
    def error(self) -> str:
        """The words of an error; fails the test if it was none."""
        assert self.result.is_error, self.text
        return self.text


@dataclass
class Pending:
    """A call that runs; ``told`` is what it said of its progress so far."""

    future: Future[types.CallToolResult]
    told: list[str] = field(default_factory=list)

    def answer(self, timeout_s: float = 30) -> Answer:
        return Answer(self.future.result(timeout_s))

    def cancel(self) -> None:
        """As a client does whose person pressed Escape: it tells the server and waits no longer."""
        self.future.cancel()


@dataclass
class Mcp:
    """One client with its server."""

    portal: BlockingPortal
    client: Client

    def __call__(self, tool: str, timeout_s: float = 60, **arguments: Any) -> Answer:
        """Calls a tool and waits for the answer. ``async`` goes in as ``async_``."""
        return self.begin(tool, **arguments).answer(timeout_s)

    def begin(self, tool: str, *, progress: bool = False, **arguments: Any) -> Pending:
        """Calls a tool without waiting; ``progress`` asks to be told how it goes."""
        given = {name.rstrip("_"): value for name, value in arguments.items()}
        told: list[str] = []

        async def hear(progress: float, total: float | None, message: str | None) -> None:
            told.append(message or "")

        call = partial(self.client.call_tool, tool, given, progress_callback=hear if progress else None)
        return Pending(self.portal.start_task_soon(call), told)

    def run(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Any other method of the SDK's client: ``mcp.run(mcp.client.list_tools)``."""
        return self.portal.call(partial(function, *args, **kwargs))

    def tools(self) -> dict[str, types.Tool]:
        """What is offered."""
        return {tool.name: tool for tool in self.run(self.client.list_tools).tools}


@contextlib.contextmanager
def mcp(home: Home, **options: Any) -> Iterator[Mcp]:
    """A client with a server of its own, in this home. ``options`` are those of the SDK's Client."""
    server = StdioServerParameters(command=COMMAND[0], args=[*COMMAND[1:], "mcp"], env=home.env, cwd=home.root)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Client(server, **options)) as client:
        yield Mcp(portal, client)


def servers(home: Home) -> list[Seen]:
    """The MCP servers that run in this home."""
    return [each for each in processes_with(f"{home.root}/") if each.command.endswith(" mcp")]


def threads(server: Seen) -> int:
    """How many threads it has."""
    return len(os.listdir(f"/proc/{server.pid}/task"))


def cpu_s(server: Seen) -> float:
    """The processor time it has used so far."""
    with open(f"/proc/{server.pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
