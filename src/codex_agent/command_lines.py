"""Owns the step from a job's request to Codex's command lines, for a job that begins and for one that goes on.

Pure but for what Codex itself is asked about its flags. Must never start anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from codex_agent import codex
from codex_agent.model import LISTEN, THREAD, Request


def set_argv(request: Request, found: codex.Codex, environ: Mapping[str, str]) -> None:
    """Puts Codex's command lines into the request."""
    if request.mode == "interactive":
        request.argv, request.viewer_argv = interactive_argv(request, found, environ)
    else:
        request.argv = exec_argv(request, found)


def exec_argv(request: Request, found: codex.Codex) -> list[str]:
    """The command line of an agent that does its task and ends."""
    argv = codex.exec_argv(found, exec_options(request))
    if request.review is not None:
        return codex.review_argv(argv, request.review)
    return argv if request.resume is None else codex.continued_argv(argv, request.resume)


def exec_options(request: Request) -> codex.ExecOptions:
    """What `codex exec` is to be told of this request."""
    return codex.ExecOptions(
        cwd=request.cwd,
        sandbox=request.sandbox,
        model=request.model,
        reasoning=request.reasoning,
        add_dirs=_writable(request),
        images=request.images,
        profile=request.profile,
        config=request.config,
        output_schema=request.output_schema,
        skip_git_repo_check=request.skip_git_repo_check,
        thread_source=request.thread_source,
        instructions=codex.with_own_instructions(request.instructions, request.codex_home),
    )


def _writable(request: Request) -> list[str]:
    """The folders that the sandbox leaves open, ours for the wrappers' notes among them."""
    notes = [request.track] if request.track is not None and request.sandbox == "workspace-write" else []
    return [*request.add_dirs, *request.git_folders, *notes]


def interactive_argv(
    request: Request, found: codex.Codex, environ: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """The command lines of an agent that stays: app-server and TUI; of a plain one, the TUI's alone."""
    wanted = codex.InteractiveOptions(
        cwd=request.cwd,
        sandbox=request.sandbox,
        approval=request.approval,
        model=request.model,
        reasoning=request.reasoning,
        add_dirs=_writable(request),
        images=request.images,
        profile=request.profile,
        config=request.config,
        instructions=codex.with_own_instructions(request.instructions, request.codex_home),
    )
    if request.driver == "plain":
        return codex.plain_argv(found, wanted, environ), []
    server = codex.server_argv(found, wanted, environ, LISTEN)
    return server, codex.viewer_argv(found, wanted, environ, LISTEN, THREAD)
