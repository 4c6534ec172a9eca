"""Owns the question whether Codex's sandbox works on this machine. For ``health``; changes nothing.

Where it does not (a kernel that forbids user namespaces, some containers), Codex runs all the same, and each
command and patch of the agent fails: the job completes and nothing was done.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from codex_agent.codex.ask import ask
from codex_agent.errors import MissingProgram

if TYPE_CHECKING:
    from codex_agent.codex.finding import Codex

_TIMEOUT_S = 20.0
# Up to 0.133 the kind of sandbox is a subcommand; in 0.163 there is none, and `linux` would be the program to run.
_WAYS = (("sandbox", "--", "true"), ("sandbox", "linux", "--", "true"), ("sandbox", "macos", "--", "true"))
# How the helper begins its complaint, before it has run anything; Codex hands that on as the command's own output.
# A command that fails in a sandbox which works says nothing of the kind.
_REFUSALS = re.compile(
    r"^(?:bwrap: |sandbox-exec: |(?:failed to|error) .*\b(?:bubblewrap|landlock|seccomp)\b"
    r"|thread '.*panicked at linux-sandbox/)",
    re.IGNORECASE,
)
_USAGE = 2  # clap's exit status for a command line it does not know


class Sandbox(NamedTuple):
    """Whether a command can be run in it, and one sentence about it."""

    works: bool
    detail: str


def sandbox_state(codex: Codex, environ: Mapping[str, str]) -> Sandbox:
    """Runs ``true`` in the sandbox, in an empty CODEX_HOME. Raises MissingProgram if Codex cannot be run."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-") as empty:
        for way in _WAYS:
            try:
                answer = ask([codex.path, *way], {**environ, **codex.env, "CODEX_HOME": empty}, _TIMEOUT_S)
            except OSError as error:
                message = f"{codex.path} does not run: {error.strerror}."
                raise MissingProgram(message, "Install Codex again.", path=codex.path) from error
            if answer.exit_code != _USAGE:
                break
    if answer.exit_code == 0:
        return Sandbox(True, "commands run in Codex's sandbox")
    said = [line for line in answer.text.strip().splitlines() if line.strip() and not line.startswith("WARNING")]
    return Sandbox(False, f"Codex's sandbox does not work here: {said[0] if said else 'it said nothing'}")


def refusal(output: str) -> str | None:
    """The line that says that no sandbox could be made, of what a command printed; None if it is none of that."""
    head = output.lstrip()[:400].split("\n")[0].strip()
    return head if _REFUSALS.match(head) else None
