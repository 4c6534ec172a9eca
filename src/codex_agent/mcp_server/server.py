"""Owns the server: what is offered put together, calls carried out, errors told, stdin and stdout served.

The one place where an error becomes a tool's answer. Must never print to stdout: that is the protocol's.
"""

from __future__ import annotations

import inspect
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from codex_agent import __version__
from codex_agent.errors import CodexAgentError, SystemRefused
from codex_agent.mcp_server import (
    answering,
    beginning,
    eliciting,
    ending,
    looking,
    prompts,
    resources,
    talking,
    threads,
)
from codex_agent.mcp_server.door import Call, Door, Offer, Tool
from codex_agent.mcp_server.parameters import input_schema, read
from codex_agent.mcp_server.shapes import content, output_schema, sayable

_MODULES = (beginning, ending, looking, talking, answering, threads, resources, prompts)

_ABOUT = (
    "Delegates coding work to Codex agents that run in the background. codex_agent starts one and waits for it a "
    "while; what takes longer goes on by itself, and codex_wait waits for it. With async true it returns at once: "
    "start several, then codex_wait for all. A task goes on when this server or its client ends, and every tool "
    "takes its taskId later. interactive true is an agent that stays: codex_send gives it more to do, and it may "
    "ask (codex_approvals, codex_approve)."
)


def build(environ: Mapping[str, str]) -> Server[Any]:
    """A server with everything offered."""

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(tool) for tool in offer.tools.values()])

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        tool = offer.tools.get(params.name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool '{params.name}'.")
        return await _carried_out(tool, Call(offer.door, context, params), params.arguments)

    server: Server[Any] = Server(
        "codex-agent",
        version=__version__,
        title="Codex agents",
        instructions=_ABOUT,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    offer = Offer(Door(dict(environ)), server)
    for module in _MODULES:
        module.register(offer)
    return server


def serve(environ: Mapping[str, str]) -> None:
    """Serves stdin and stdout until stdin ends. What was started goes on."""
    # The SDK's reader sleeps in a thread that nothing can break off; there is nothing to put in order either.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.stdin.isatty():
        print("This speaks MCP with a program, such as Claude Code; Ctrl-C ends it.", file=sys.stderr)
    anyio.run(_serve, build(environ))


async def _serve(server: Server[Any]) -> None:
    async with stdio_server() as (incoming, outgoing):
        await server.run(incoming, outgoing, server.create_initialization_options())


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.about,
        input_schema=input_schema(tool.takes),
        output_schema=output_schema(tool.answers),
        annotations=types.ToolAnnotations(
            read_only_hint=tool.reads,
            destructive_hint=tool.destroys,
            idempotent_hint=tool.reads or tool.repeats,
            open_world_hint=not tool.reads,
        ),
    )


async def _carried_out(
    tool: Tool, call: Call, given: Mapping[str, Any] | None
) -> types.CallToolResult | types.InputRequiredResult:
    try:
        wanted = read(tool.takes, given)
        if tool.waits:
            await eliciting.take_up(call)
        if inspect.iscoroutinefunction(tool.run):
            answer = await tool.run(call, wanted)
        else:
            answer = await call.verb(tool.run, call, wanted)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=sayable(tool.text(answer)))],
            structured_content=content(answer),
        )
    except eliciting.Asking as asking:
        return asking.question
    except CodexAgentError as error:
        return _failed(error.code, error.message, error.hint)
    except MCPError:
        raise
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        return _failed(SystemRefused.code, f"{what}{error.strerror or error}.", None)
    except Exception as error:
        # A fault of ours: said to the client, and in full on stderr.
        traceback.print_exc()
        return _failed("internal", f"{type(error).__name__}: {error}", "This is a bug in codex-agent: report it.")


def _failed(code: str, message: str, hint: str | None) -> types.CallToolResult:
    """No structured content: clients hold that against the schema of a success."""
    text = f"{message} [{code}]" + (f"\n{hint}" if hint else "")
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
