"""Somebody at a terminal of their own who is attached to a job's session: a real tmux client in a real pty."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import termios
import threading
from types import TracebackType
from typing import Self

from support.cli import Cli
from support.home import Home
from support.interactive import keys_arrive, screen
from support.waiting import until

_ROWS, _COLUMNS = 45, 150


class Person:
    """Attached from the beginning. Leaves at the end of the ``with`` block, if not before."""

    def __init__(self, cli: Cli, home: Home, job_id: str) -> None:
        self._home, self._id = home, job_id
        command = cli("attach", job_id, "--json").ok().json()["command"]
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
            os.execvpe(command[0], command, home.env)
        self._exit_code: int | None = None
        # Somebody must read, or the client stands still.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: self.clients() == 1, 10, "the client attached")

    def clients(self) -> int:
        """How many look at the session, as tmux counts."""
        words = ("display-message", "-p", "-t", f"=codex-agent-{self._id}:", "#{session_attached}")
        told = self._home.tmux(*words).stdout.strip()
        return int(told) if told.isdigit() else 0

    def types(self, text: str) -> None:
        """Presses these keys, as bytes."""
        os.write(self._terminal, text.encode())

    def sits_down(self) -> None:
        """Waits until the TUI takes keys. To be done while the agent is at rest."""
        keys_arrive(self._home, self._id, self.types)

    def says(self, text: str) -> None:
        """Types a message into the TUI and, once it stands there, presses Enter."""
        self.types(text)
        self.sees(text)
        self.types("\r")

    def sees(self, text: str, timeout_s: float = 15.0) -> None:
        """Waits until the pane shows this."""
        until(lambda: text in screen(self._home, self._id), timeout_s, f"{text!r} in the pane")

    def sees_no_more(self, text: str) -> None:
        until(lambda: text not in screen(self._home, self._id), 15, f"{text!r} gone from the pane")

    def leaves(self) -> None:
        """Ctrl-b d."""
        self.types("\x02d")
        assert self.gone() == 0

    def gone(self, timeout_s: float = 10.0) -> int:
        """The client's exit code, once it has ended."""
        until(self._has_ended, timeout_s, "the tmux client gone")
        assert self._exit_code is not None
        return self._exit_code

    def _has_ended(self) -> bool:
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid == self._pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code is not None

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # EIO: the other side is closed
            while os.read(self._terminal, 1 << 16):
                pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._has_ended():
            self.leaves()
        self._reader.join(10)  # else it might go on reading what gets this number next
        os.close(self._terminal)
