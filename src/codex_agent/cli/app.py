"""Owns the top of the command line: the commands put together, and typer's complaints in our form."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from codex_agent import __version__
from codex_agent.cli import (
    costing,
    diagnosing,
    ending,
    gate,
    instructing,
    looking,
    mcp,
    monitoring,
    reviewing,
    running,
    setup,
    talking,
    threads,
    trees,
    work,
)
from codex_agent.cli.telling import failed, print_text, tell
from codex_agent.errors import EXIT_INTERRUPTED, EXIT_USAGE

app = typer.Typer(
    name="codex-agent",
    help="Run Codex agents in the background, each in its own tmux session, and know what each is doing.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

running.register(app)
reviewing.register(app)
talking.register(app)
looking.register(app)
threads.register(app)
monitoring.register(app)
diagnosing.register(app)
costing.register(app)
work.register(app)
trees.register(app)
ending.register(app)
gate.register(app)
mcp.register(app)
instructing.register(app)
setup.register(app)

# What may begin with a dash without being an option, by command.
_AFTER_DASHES = {
    "start": ("the prompt", 'start -- "-..."'),
    "resume": ("the prompt", 'resume ID -- "-..."'),
    "review": ("the prompt", 'review -- "-..."'),
    "note": ("the text", 'note ID -- "-..."'),
    "send": ("the message", 'send ID -- "-..."'),
    "answer": ("the answer", 'answer ID -- "-..."'),
    "run": ("the command's option", "gate run NAME -- COMMAND -..."),
    "keys": ("a key", 'keys ID -- "-..."'),
}


def _version(wanted: bool) -> None:
    if wanted:
        print_text(f"codex-agent {__version__}")
        raise typer.Exit


@app.callback()
def top(
    show_version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run Codex agents in the background, each in its own tmux session, and know what each is doing."""


def with_values(words: list[str]) -> list[str]:
    """These words with an empty value for a `--worktree` that has none: the parser knows no optional values.

    What follows is a value unless it is an option, or text that no branch could be called: then it is the prompt.
    """
    until = words.index("--") if "--" in words else len(words)
    found = []
    for number, word in enumerate(words):
        following = words[number + 1] if number + 1 < until else "-"
        bare = word == "--worktree" and number < until and words[0] in ("start", "resume")
        found.append("--worktree=" if bare and (following.startswith("-") or " " in following) else word)
    return found


def run(words: list[str]) -> int:
    """The exit code of one call. Errors go to stderr, or with --json as an object to stdout."""
    before_dashes = words[: words.index("--")] if "--" in words else words
    as_json = "--json" in before_dashes
    try:
        code = app(args=with_values(words), prog_name="codex-agent", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except typer.Abort:
        return EXIT_INTERRUPTED
    except typer.TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print_text(str(error))
            return EXIT_USAGE
        return tell(_usage(error), EXIT_USAGE, as_json)
    except BaseException as error:
        return failed(error, as_json)


def _usage(error: typer.TyperException) -> dict[str, object]:
    """Typer's complaint in our form, with what to do next."""
    told = getattr(error, "format_message", None)
    message = told() if told is not None else str(error)
    message = message if message.endswith("?") else message.rstrip(".") + "."
    context: typer.Context | None = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "codex-agent"
    hint = f"{command} --help shows what it takes."
    words = _AFTER_DASHES.get(context.info_name or "") if context is not None else None
    if type(error).__name__ == "NoSuchOption" and words is not None:
        what, call = words
        hint = f"Is it {what}? Put -- before it: codex-agent {call}; or {hint}"
    elif message.startswith("No such command"):
        # What has a space is a task and no slip of a command's name.
        message = re.sub(r"^(No such command '\S+ .*'\.) Did you mean .*", r"\1", message)
        hint = f'To give a task: codex-agent start "...". {hint}'
    return {"code": "usage", "message": message, "hint": hint}
