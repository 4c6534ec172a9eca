"""Owns what callers of the MCP server may ask for: the settings table ``mcp``, held against each request.

Whoever calls here is a model; what it may do with agents is its owner's decision, and does not grow by asking.
Must never start anything.
"""

from __future__ import annotations

import os

from codex_agent.errors import UsageError
from codex_agent.model import SANDBOXES, Request
from codex_agent.settings import Settings


def default_sandbox(settings: Settings, usual: str | None = None) -> str:
    """The sandbox of a job for which none was asked: the usual one, or less where that is more than allowed."""
    return min(usual or settings.sandbox, settings.mcp.max_sandbox, key=SANDBOXES.index)


def check(settings: Settings, request: Request) -> None:
    """Raises UsageError if such a job is more than MCP callers may have, begun or talked to."""
    most = settings.mcp.max_sandbox
    if SANDBOXES.index(request.sandbox) > SANDBOXES.index(most):
        raise UsageError(
            f"The sandbox {request.sandbox} is more than MCP callers may use: {most} (setting mcp.max_sandbox).",
            f"Use {most}. The owner of this machine can change the setting.",
            sandbox=request.sandbox,
        )
    tree = request.worktree
    # A worktree lies elsewhere; what counts is whose it is.
    where = request.cwd if tree is None else tree.source or tree.repository
    for path in (where, *request.add_dirs):
        check_folder(settings, path)


def check_answer(settings: Settings, request: Request) -> None:
    """Raises UsageError if MCP callers may not answer the approvals of this job by themselves."""
    check(settings, request)
    if not settings.mcp.approve:
        raise UsageError(
            "MCP callers may not answer approvals (setting mcp.approve).",
            "Ask the person you work for: codex-agent approvals shows them what waits.",
        )


def check_folder(settings: Settings, path: str) -> None:
    """Raises UsageError if MCP callers may have no agent at work there."""
    allowed = settings.mcp.allowed_dirs
    real = os.path.realpath(path)
    if allowed and not any(_within(real, os.path.realpath(each)) for each in allowed):
        raise UsageError(
            f"MCP callers may not use {real} (setting mcp.allowed_dirs).",
            f"Allowed, with what is below: {', '.join(allowed)}. Their owner can change the setting.",
            path=real,
        )


def _within(path: str, folder: str) -> bool:
    return os.path.commonpath((path, folder)) == folder
