"""Owns the quick way into ``start``: plain words are read here, without typer, and the same verb is called.

Must never know an option of its own: ``asked.Options`` tells what there is. Whatever is not plain (help, a word it
does not know, a value that begins with a dash or is missing) it leaves to typer, which says what is wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields

from codex_agent.cli.asked import Options


def route(words: Sequence[str]) -> int | None:
    """The exit code of ``start`` with these words (those after it); None if typer is to read them.

    Raises what ``start`` raises.
    """
    read = parse(words)
    if read is None or sys.stdout is None or sys.stderr is None:
        return None
    if sys.flags.no_site:
        # The launcher starts without it; Codex's own Python package is found through it.
        import site

        site.main()
    from codex_agent.cli.beginning import start

    code = start(*read)
    sys.stdout.flush()
    return code


def parse(words: Sequence[str]) -> tuple[str, Options] | None:
    """The prompt and the options, as typer would hand them on; None if these words are not plain."""
    known = {name: each for each in fields(Options) for name in each.metadata["names"]}
    options = Options()
    prompts = []
    left = iter(words)
    for word in left:
        if word == "-" or not word.startswith("-"):
            prompts.append(word)
            continue
        name, equals, value = word.partition("=")
        option = known.get(name)
        if option is None or (equals and not name.startswith("--")):
            return None
        if option.type == "bool":
            if equals:
                return None
            setattr(options, option.name, True)
            continue
        if not equals:
            value = next(left, "-")
            if value.startswith("-") or option.name == "worktree":
                return None  # missing, most likely; a worktree's may be
        if option.type == "list[str] | None":
            setattr(options, option.name, [*(getattr(options, option.name) or []), value])
        elif option.type == "str | None":
            setattr(options, option.name, value)
        else:
            return None  # a number: typer says what is none
    return (prompts[0], options) if len(prompts) == 1 else None
