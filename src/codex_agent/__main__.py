"""The entry point: ``codex-agent`` and ``python -m codex_agent``."""

from __future__ import annotations

import sys


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    from codex_agent.cli.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
