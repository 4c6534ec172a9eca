"""Owns all that this project knows about the Codex program: where it is, flags, versions, error words, login.

Nothing outside this package may name a Codex flag, compare a Codex version or read one of its error messages, and
nothing inside it may know about jobs. Standard library only: the supervisor imports parts of it.

The names below load their module when they are first used, so that a caller who only wants one of them pays for
one.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codex_agent.codex.failures import Diagnosis, diagnose, reconnect_reason, telling_stderr_line
    from codex_agent.codex.finding import Codex, find
    from codex_agent.codex.flags import (
        MAX_PROMPT_CHARS,
        ExecOptions,
        check_files,
        check_profile,
        check_reasoning,
        check_repository,
        check_thread_source,
        exec_argv,
        reasoning_efforts,
    )
    from codex_agent.codex.interactive import (
        InteractiveOptions,
        approval_policies,
        approval_word,
        has_channel,
        pasted,
        plain_argv,
        server_argv,
        title_state,
        viewer_argv,
    )
    from codex_agent.codex.login import Login, login_state
    from codex_agent.codex.own import raised_effort, with_own_instructions
    from codex_agent.codex.resuming import continued_argv, has_fork, review_argv
    from codex_agent.codex.sandbox import Sandbox, sandbox_state
    from codex_agent.codex.startup import startup_overrides
    from codex_agent.codex.version import KNOWN_NEWEST, KNOWN_OLDEST, is_known, parse_version

__all__ = [
    "KNOWN_NEWEST",
    "KNOWN_OLDEST",
    "MAX_PROMPT_CHARS",
    "Codex",
    "Diagnosis",
    "ExecOptions",
    "InteractiveOptions",
    "Login",
    "Sandbox",
    "approval_policies",
    "approval_word",
    "check_files",
    "check_profile",
    "check_reasoning",
    "check_repository",
    "check_thread_source",
    "continued_argv",
    "diagnose",
    "exec_argv",
    "find",
    "has_channel",
    "has_fork",
    "is_known",
    "login_state",
    "parse_version",
    "pasted",
    "plain_argv",
    "raised_effort",
    "reasoning_efforts",
    "reconnect_reason",
    "review_argv",
    "sandbox_state",
    "server_argv",
    "startup_overrides",
    "telling_stderr_line",
    "title_state",
    "viewer_argv",
    "with_own_instructions",
]

_HOME_OF = {
    "Codex": "finding",
    "Diagnosis": "failures",
    "ExecOptions": "flags",
    "InteractiveOptions": "interactive",
    "KNOWN_NEWEST": "version",
    "KNOWN_OLDEST": "version",
    "Login": "login",
    "Sandbox": "sandbox",
    "MAX_PROMPT_CHARS": "flags",
    "approval_policies": "interactive",
    "approval_word": "interactive",
    "check_files": "flags",
    "check_profile": "flags",
    "check_reasoning": "flags",
    "check_repository": "flags",
    "check_thread_source": "flags",
    "continued_argv": "resuming",
    "diagnose": "failures",
    "exec_argv": "flags",
    "find": "finding",
    "has_channel": "interactive",
    "has_fork": "resuming",
    "is_known": "version",
    "login_state": "login",
    "parse_version": "version",
    "pasted": "interactive",
    "plain_argv": "interactive",
    "reasoning_efforts": "flags",
    "reconnect_reason": "failures",
    "review_argv": "resuming",
    "sandbox_state": "sandbox",
    "server_argv": "interactive",
    "startup_overrides": "startup",
    "raised_effort": "own",
    "with_own_instructions": "own",
    "telling_stderr_line": "failures",
    "title_state": "interactive",
    "viewer_argv": "interactive",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
