"""Owns asking the Codex program a short question (``--version``, ``login status``): run, read a little, be done.

Must never hang or fill the memory, whatever the program turns out to be, and never leaves it running.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess

# More than any honest answer; a program that writes without end is cut off here.
_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program said (stdout and stderr together, in order) and how it ended.

    ``exit_code`` is negative for a signal, as in ``subprocess``, and None if it had to be stopped.
    """

    text: str
    exit_code: int | None


def ask(argv: Sequence[str], environ: Mapping[str, str], timeout_s: float) -> Answer:
    """Runs ``argv`` with no stdin, in ``/``, in a session of its own. Raises OSError if it cannot be started."""
    import subprocess  # late: Codex is asked for its version once

    deadline = time.monotonic() + timeout_s
    with subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=dict(environ),
        cwd="/",
        start_new_session=True,
    ) as process:
        try:
            text, whole = _read(process, deadline)
            if not whole:
                return Answer(text, None)
            return Answer(text, process.wait(timeout=max(0.0, deadline - time.monotonic())))
        except subprocess.TimeoutExpired:
            return Answer(text, None)
        finally:
            # Its children too: a script's `sleep` would otherwise outlive the script and hold the pipe.
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass  # all gone; macOS says "not permitted" for a group of zombies


def _read(process: subprocess.Popen[bytes], deadline: float) -> tuple[str, bool]:
    """The text so far, and whether the program closed its output within time and size."""
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    data = b""
    while len(data) < _MOST_BYTES:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return data.decode(errors="replace"), False
        chunk = os.read(pipe, 8192)
        if not chunk:
            return data.decode(errors="replace"), True
        data += chunk
    return data.decode(errors="replace"), False
