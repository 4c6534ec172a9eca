"""The entry point: ``codex-agent`` and ``python -m codex_agent``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Runs the command line and ends the process with its exit code."""
    from codex_agent.cli.app import run

    # Somebody may have closed them (`>&-`); then Python has none, and what is printed goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or sys.stdout
    code = run(sys.argv[1:])
    sys.stderr.flush()
    # Taking the interpreter apart costs 16 ms once typer is loaded, most of what `wait` takes to return.
    os._exit(code)


if __name__ == "__main__":
    main()
