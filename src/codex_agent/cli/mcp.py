"""Owns the command ``mcp``: the MCP server of this program, on stdin and stdout."""

from __future__ import annotations

import os

import typer

from codex_agent.errors import MissingProgram


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(mcp)


def mcp() -> None:
    """Serve MCP tools on stdin and stdout, for Claude Code and other clients."""
    try:
        from codex_agent.mcp_server.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "codex_agent":
            raise
        raise MissingProgram(
            f"The MCP server needs a package that is not installed: {error.name}.",
            "pip install 'codex-agent[mcp]'",
        ) from error
    serve(os.environ)
