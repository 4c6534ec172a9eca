"""Owns the fast routes: `status`, `jobs` and `wait` answered straight from sealed records, before typer is loaded;
and the one into `start`.

Why there is a second way at all: docs/decisions/0029, for `start` 0028. The rule: a route answers only what it is
sure of, byte for byte as the typer way would (tests/test_fast_parity.py), and else prints nothing and says None:
help, errors, options it does not know, a job to settle, a record without a seal. But for `start`, nothing in here
loads typer, rich, pydantic, libtmux, re or subprocess, or starts a process (tests/test_fast_guard.py).
"""

from __future__ import annotations

import os

ROUTES = ("status", "jobs", "wait")


def route(words: list[str]) -> int | None:
    """The exit code of a call that was answered here; None if it is the typer way's, and nothing was printed."""
    if not words or "_CODEX_AGENT_COMPLETE" in os.environ:  # a shell completes a word
        return None
    if words[0] == "start":
        from codex_agent import quick

        quick.begin()  # before anything of ours that is not small
        from codex_agent.fast import starting

        return starting.route(words[1:])
    if words[0] not in ROUTES:
        return None
    from codex_agent.fast import looking

    return looking.answer(words)
