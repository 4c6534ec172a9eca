"""Owns what happens to a pane whose job has ended while somebody looks at it: it stays until they have read it.

Never delays the job's end: that is written and its lock is free before this begins.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import termios
import time

from codex_agent import tmux

_LOOK_S = 30.0
_MOST_S = 3600.0
_PANE_IN, _PANE_OUT = 0, 1


def while_watched(socket: str, session: str) -> None:
    """Returns when nobody is attached (at once, as a rule), Enter was pressed, or after an hour."""
    if not tmux.attached(socket, session):
        return
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, lambda *_: os._exit(0))
    with contextlib.suppress(OSError, termios.error):
        termios.tcflush(_PANE_IN, termios.TCIFLUSH)  # what was typed at the agent is no answer to this
        os.write(_PANE_OUT, b"\nPress Enter to close this pane.\n")
        deadline = time.monotonic() + _MOST_S
        while time.monotonic() < deadline and tmux.attached(socket, session):
            if select.select([_PANE_IN], [], [], _LOOK_S)[0]:
                break
    tmux.send_back(socket, session)
