"""Owns the TUI in the pane of an interactive job: a process beside Codex that only shows and takes what is typed.

It gets the terminal to itself (a process group of its own in the foreground), so that a Ctrl-C typed while it
comes up or goes down never reaches the supervisor. If it crashes it is begun again: the agent does not depend on
it. Must never be asked what the agent does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import termios
import time
from collections.abc import Callable

from codex_agent import kernel
from codex_agent.model import Process

_PANE = 0
_RESTARTS, _WITHIN_S = 3, 60.0
_PATIENCE_S = 2.0
# What a full-screen program may leave behind when it is killed: no cursor, bracketed paste, mouse and focus
# reports, other keyboard modes, colors (xterm's control sequences; kitty's keyboard protocol).
_MENDED = b"\x1b[?25h\x1b[?2004l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[<u\x1b[0m\r\n"


class Viewer:
    """One TUI at a time. ``status`` is the wait status of one that has ended, until the next is begun."""

    def __init__(self, argv: list[str], cwd: str, env: dict[str, str], stderr: int, umask: int = -1) -> None:
        """Nothing is started yet. ``stderr`` is where its complaints go; ``umask`` -1 leaves that as it is."""
        self._argv, self._cwd, self._stderr, self._umask = argv, cwd, stderr, umask
        # The terminal is the pane's and not the caller's.
        self._env = {**env, **{key: os.environ[key] for key in ("TERM", "COLORTERM") if key in os.environ}}
        self._process: subprocess.Popen[bytes] | None = None
        self._begun: list[float] = []
        self._mode: list[int | list[bytes | int]] | None = None
        with contextlib.suppress(termios.error):
            self._mode = termios.tcgetattr(_PANE)
        self.status: int | None = None
        self.identity: Process | None = None
        self.kill_at: float | None = None

    @property
    def runs(self) -> bool:
        """Whether one is there."""
        return self._process is not None and self.status is None

    def begin(self) -> None:
        """Starts it. Raises OSError if it cannot be run."""
        self.take_back()
        self._begun.append(time.monotonic())
        self._process = subprocess.Popen(
            self._argv,
            cwd=self._cwd,
            env=self._env,
            stderr=self._stderr,
            umask=self._umask,
            preexec_fn=_alone_in_front(),  # noqa: PLW1509 (this process has one thread)
        )
        self.status = None
        self.identity = kernel.identify(self._process.pid)

    def met(self, pid: int, status: int) -> bool:
        """A child of this process has ended; True if it was this one."""
        if self._process is None or pid != self._process.pid:
            return False
        self.status = status
        self.kill_at = None
        self._process.returncode = os.waitstatus_to_exitcode(status)
        return True

    def go_on(self) -> None:
        """Has it go on if it stopped itself, as Codex does at Ctrl-Z: no shell is in this pane to do that."""
        if not self.runs:
            return
        assert self._process is not None
        told = None
        with contextlib.suppress(ChildProcessError):  # it has just ended
            told = os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOHANG)
        if told is not None and told.si_status == signal.SIGTSTP:
            self._signal(signal.SIGCONT)

    def may_begin_again(self) -> bool:
        """Whether another try is worth it: not when it has come down several times within a minute."""
        recent = [at for at in self._begun if at > time.monotonic() - _WITHIN_S]
        return len(recent) <= _RESTARTS

    def end(self) -> None:
        """Asks it to go; ``insist`` is due at ``kill_at``."""
        if self.runs and self.kill_at is None:
            self._signal(signal.SIGTERM)
            self.kill_at = time.monotonic() + _PATIENCE_S

    def insist(self) -> None:
        """Ends it the hard way."""
        if self.runs:
            self._signal(signal.SIGKILL)
        self.kill_at = None

    def take_back(self) -> None:
        """The terminal is ours again, as it was before."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with contextlib.suppress(OSError, termios.error):
                os.tcsetpgrp(_PANE, os.getpgrp())
                if self._mode is not None:
                    termios.tcsetattr(_PANE, termios.TCSANOW, self._mode)
                if self._process is not None:
                    os.write(_PANE, _MENDED)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        # Not reaped yet, so the pid is still its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, number)
            os.kill(self._process.pid, signal.SIGCONT)


def terminal_is_gone() -> bool:
    """Whether the pane has been closed under us."""
    try:
        termios.tcgetattr(_PANE)
    except termios.error:
        return True
    return False


def _alone_in_front() -> Callable[[], None]:
    dies_with_parent = kernel.dies_with_parent()

    def in_child() -> None:
        dies_with_parent()
        os.setpgid(0, 0)
        # From a group in the background this would stop us, were the signal not blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            os.tcsetpgrp(_PANE, os.getpgrp())
        except OSError:
            pass  # no terminal: it will say so itself
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return in_child
