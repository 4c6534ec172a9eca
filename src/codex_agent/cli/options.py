"""Owns how ``asked.Options`` come onto a command of typer's: ``takes_options``."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, get_type_hints

import typer

from codex_agent.cli.asked import Options


@functools.cache
def _parameters() -> list[inspect.Parameter]:
    hints = get_type_hints(Options)
    made = []
    for each in dataclasses.fields(Options):
        how = dict(each.metadata)
        hint: Any = hints[each.name]
        shown = Annotated[hint, typer.Option(*how.pop("names"), **how)]
        kind = inspect.Parameter.KEYWORD_ONLY
        made.append(inspect.Parameter(each.name, kind, default=each.default, annotation=shown))
    return made


def takes_options(
    *, without: Collection[str] = ()
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Gives a command these options, behind its own; it gets them as its last argument, ``options``.

    Those named in ``without`` it does not have; in what it gets they are as if not given.
    """
    shared = [each for each in _parameters() if each.name not in without]

    def put_on(command: Callable[..., int | None]) -> Callable[..., int | None]:
        def call(**given: Any) -> int | None:
            options = Options(**{each.name: given.pop(each.name) for each in shared})
            return command(**given, options=options)

        own = [
            each
            for each in inspect.signature(command, eval_str=True).parameters.values()
            if each.name != "options"
        ]
        call.__name__, call.__doc__ = command.__name__, command.__doc__
        call.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
        call.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        return call

    return put_on
