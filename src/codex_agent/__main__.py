"""The entry point: ``codex-agent`` and ``python -m codex_agent``."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as `typing` has it, without loading that: the fast routes come through here
if TYPE_CHECKING:
    from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    from codex_agent.fast import route

    words = sys.argv[1:]
    try:
        code = route(words)
        if code is None:
            code = _by_typer(words)
    except BaseException as error:
        from codex_agent.cli.telling import failed

        code = failed(error, "--json" in words)
    if sys.stderr is not None:
        sys.stderr.flush()
    # Taking the interpreter apart costs 16 ms once typer is loaded, most of what `wait` takes to return.
    os._exit(code)


def _by_typer(words: list[str]) -> int:
    if sys.flags.no_site:
        # The launcher starts without it, for the fast routes; what is installed is found through it.
        import site

        site.main()
    from codex_agent.cli.app import run

    # Somebody may have closed them (`>&-`); then Python has none, and what is printed goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or sys.stdout
    return run(words)


if __name__ == "__main__":
    main()
