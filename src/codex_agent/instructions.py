"""Owns what an agent is told besides its task: Codex's developer instructions, put together from what was given.

Also how an agent works under this tool, in the words that AGENTS.md or an agent's instructions get. Must never
write a file (``agents_md.py`` does), and never drop what the user's own Codex configuration says.
"""

from __future__ import annotations

import os

from codex_agent.errors import UsageError

# The kernel takes 128 KiB in one word of a command line (MAX_ARG_STRLEN), and quoting makes some of it longer.
_MOST_BYTES = 100_000

HOW_TO_WORK = """\
You may have been started by codex-agent, which runs agents in the background, each in a tmux session (then
CODEX_AGENT_JOB_ID is set). Work so that whoever started you need not look over your shoulder:

- Do the whole task that you were given, and no other. Nobody may be there to answer: where something is open, take
  the reading that is easiest to undo, go on, and say so at the end.
- Other agents may be at work in this repository at the same time. Touch only what your task needs, never undo
  changes that you did not make, and never end processes that you did not start.
- A message that reaches you in the middle of a turn comes from whoever started you: follow it.
- What the sandbox refuses stays refused: say what you would have needed, and do what can be done without.
- Run the tests that concern your change, and report what they really printed.
- Your last message is what is read. Begin it with the outcome in one sentence; then the files changed, the
  commands that prove it works, what is left, and what you assumed.
"""


def combined(text: str | None, file: str | None, how_to_work: bool) -> str | None:
    """The instructions of one agent; None if it gets none. Raises UsageError."""
    parts = []
    if file is not None:
        parts.append(_read(os.path.abspath(file)))
    if text is not None:
        parts.append(text)
    if any(not part.strip() for part in parts):
        raise UsageError("The instructions are empty.", "Say something, or leave the option out.")
    if how_to_work:
        parts.append(HOW_TO_WORK)
    if not parts:
        return None
    told = "\n\n".join(part.strip("\n") for part in parts)
    size = len(told.encode("utf-8", "surrogatepass"))
    if size > _MOST_BYTES:
        raise UsageError(
            f"The instructions have {size} bytes; Codex can be given {_MOST_BYTES}.",
            "Put them in a file of the repository, and tell the agent to read that.",
        )
    return told


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise UsageError(f"The instructions {path} are not UTF-8.", "Give a text file.", path=path) from error
    except OSError as error:
        raise UsageError(
            f"The instructions {path} cannot be read: {error.strerror}.", "Give a text file.", path=path
        ) from error
