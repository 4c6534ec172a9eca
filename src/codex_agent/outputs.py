"""Owns what a running job writes besides its record: the pane, ``.log``, ``.jsonl`` and ``.stderr``.

None of these may ever stop or block the supervisor: a pane that is gone is forgotten, a full disk is noted once
and tried again with the next write. Must never write the record.
"""

from __future__ import annotations

import contextlib
import json
import os
import termios
from collections import deque
from collections.abc import Callable
from typing import Any

from codex_agent.store import Store

_STDERR_LINES = 60
_LINE_BYTES = 4096
_PANE = 1  # the supervisor's standard output is the pane


class Outputs:
    """The job's output files, open. ``warn`` is told once per file what went wrong."""

    def __init__(self, store: Store, job_id: str, warn: Callable[[str], None], *, pane: bool) -> None:
        """``pane`` says whether the pane is ours to write; a TUI in it would not share it."""
        self._warn = warn
        self._log = _File(store, job_id, ".log", warn)
        self._raw = _File(store, job_id, ".jsonl", warn)
        self._stderr = _File(store, job_id, ".stderr", warn)
        self._tail: deque[str] = deque(maxlen=_STDERR_LINES)
        self._rest = b""
        self.stderr_bytes = 0
        self._pane_open = pane
        if pane:
            _quiet_terminal()
            os.set_blocking(_PANE, False)

    def show(self, text: str) -> None:
        """Lines for the attached person, and for the log."""
        if not text:
            return
        data = text.encode("utf-8", "replace")
        self._log.write(data)
        if not self._pane_open:
            return
        try:
            while data:
                data = data[os.write(_PANE, data) :]
        except BlockingIOError:
            pass  # the pane does not take more now; the log has it all
        except OSError:
            self._pane_open = False

    def raw(self, data: bytes) -> None:
        """Bytes of Codex's stdout as they came."""
        self._raw.write(data)

    def event(self, event: dict[str, Any]) -> None:
        """What Codex did, in the words of its event stream, where it does not write one itself."""
        self._raw.write(json.dumps(event).encode("ascii") + b"\n")

    def stderr(self, data: bytes) -> None:
        """Bytes of Codex's stderr as they came."""
        self.stderr_bytes += len(data)
        self._stderr.write(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[:_LINE_BYTES]
        self._tail.extend(line[:_LINE_BYTES].decode("utf-8", "replace") for line in lines)

    def stderr_tail(self) -> list[str]:
        """The last lines of stderr, oldest first, a last one without its end included."""
        rest = [self._rest.decode("utf-8", "replace")] if self._rest else []
        return [*self._tail, *rest]

    def close(self) -> None:
        """Closes the files; the pane stays as it is."""
        for file in (self._log, self._raw, self._stderr):
            file.close()


class _File:
    def __init__(self, store: Store, job_id: str, suffix: str, warn: Callable[[str], None]) -> None:
        self._suffix = suffix
        self._warn = warn
        self._warned = False
        self._torn = False
        self._handle = store.open_append(job_id, suffix)

    def write(self, data: bytes) -> None:
        if self._torn:
            data = b"\n" + data
        try:
            while data:
                data = data[os.write(self._handle, data) :]
            self._torn = False
        except OSError as error:
            self._torn = True
            if not self._warned:
                self._warned = True
                self._warn(f"Parts of {self._suffix} are missing: {error.strerror}.")

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._handle)


def _quiet_terminal() -> None:
    """Typing into the pane shows nothing, and Ctrl-S cannot stop the supervisor's output."""
    try:
        mode = termios.tcgetattr(_PANE)
        mode[0] &= ~(termios.IXON | termios.IXOFF)
        mode[3] &= ~termios.ECHO
        termios.tcsetattr(_PANE, termios.TCSANOW, mode)
    except termios.error:
        pass  # no terminal there (a test, or a pane that is already gone)
