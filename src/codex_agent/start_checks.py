"""Owns what is checked, decided and said of a start besides its folder, prompt and name.

Must never start anything, or change what was asked for without a word.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from codex_agent import codex
from codex_agent.errors import UsageError
from codex_agent.launching import is_text
from codex_agent.model import Request
from codex_agent.start_options import StartOptions

# Approval policies that an exec agent has anyway; the last two are what such a policy was once called.
_NEVER_ASKS = ("never", "skip", "auto-edit")


def check_interactive(options: StartOptions) -> None:
    """Raises UsageError for what only an agent that stays can have."""
    if options.approval is not None and options.approval not in _NEVER_ASKS:
        raise UsageError(
            f"--approval {options.approval} needs --interactive: an agent that does its task and ends cannot ask "
            "anybody.",
            "Add --interactive, or leave --approval out.",
        )
    for given, option in ((options.plain, "--plain"), (options.idle_exit_s is not None, "--idle-exit")):
        if given:
            raise UsageError(f"{option} is for agents that stay.", f"Add --interactive, or leave {option} out.")


def check_said_once(request: Request) -> None:
    """Raises UsageError where one thing would silently take the other's place."""
    if request.instructions is None:
        return
    for text in request.config:
        if text.partition("=")[0].strip() == "developer_instructions":
            raise UsageError(
                "Both the instructions and -c developer_instructions were given.", "Leave one of them out."
            )


def raise_reasoning(request: Request) -> list[str]:
    """An o-series model is made to think hard, unless somebody has said how hard; the notice that says so."""
    if request.reasoning is not None or request.resume is not None:
        return []
    request.reasoning = codex.raised_effort(request.model, request.codex_home)
    if request.reasoning is None:
        return []
    return [f"An o-series model: it thinks with the effort {request.reasoning}; --reasoning says otherwise."]


def source_notice(request: Request) -> list[str]:
    """A notice of what a source of one's own means. The lists of IDEs go by another word (0.150.0 to 0.169.0)."""
    if request.thread_source is None:
        return []
    listed = (
        "in an IDE's list it stands as any interactive one"
        if request.mode == "interactive"
        else ("it does not bring the thread into an IDE's list, which leaves out what `codex exec` began")
    )
    return [
        f"Codex writes down '{request.thread_source}' as the thread's source for good; {listed}. Whatever goes by "
        "that word may take the thread for something else."
    ]


def not_there(command: list[str] | None, cwd: str, environ: Mapping[str, str]) -> list[str]:
    """A notice if the command to run at the end is not there now. It may still come; so it is no error."""
    if command is None:
        return []
    import shutil  # late: few jobs have one

    if shutil.which(os.path.join(cwd, command[0]) if "/" in command[0] else command[0], path=environ.get("PATH")):
        return []
    return [f"--notify-on-complete: there is no program '{command[0]}' now."]


def left_out(environ: Mapping[str, str]) -> list[str]:
    """A notice of the variables that cannot be handed on.

    With a single one of them in its environment Codex (0.104 to 0.169) panics at every command of the agent, says
    so on stderr only, and calls the turn completed.
    """
    names = sorted(name for name, value in environ.items() if not (is_text(name) and is_text(value)))
    if not names:
        return []
    return [f"Left out of the agent's environment (not UTF-8): {', '.join(map(ascii, names))}."]
