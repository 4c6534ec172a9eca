"""Owns Codex as a child process with pipes: started, read, signalled, reaped.

Knows nothing of what Codex says. Must never be used from a process with threads: it runs code between fork and
exec.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence

from codex_agent import kernel
from codex_agent.model import Process

_READ_BYTES = 1 << 16
# One step of ending it: a signal, and how many seconds it gets before the next.
Rung = tuple[signal.Signals, float]
_COMMANDS_S = 0.5

Taker = Callable[[bytes], None]


class Child:
    """A running Codex. ``exit_status`` is its wait status once ``reap`` has met it."""

    def __init__(
        self,
        argv: Sequence[str],
        cwd: str,
        env: dict[str, str],
        umask: int,
        stdin: str,
        out: Taker,
        err: Taker,
        ladder: Sequence[Rung],
    ) -> None:
        """Starts it with this environment; ``stdin`` is a file's path. Raises OSError if it cannot be run."""
        with open(stdin, "rb") as source:
            self._process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=cwd,
                umask=umask,
                env=env,
                start_new_session=True,
                preexec_fn=kernel.dies_with_parent(),  # noqa: PLW1509 (this process has one thread)
                bufsize=0,
            )
        assert self._process.stdout is not None and self._process.stderr is not None
        self.pipes: dict[int, Taker] = {self._process.stdout.fileno(): out, self._process.stderr.fileno(): err}
        for pipe in self.pipes:
            os.set_blocking(pipe, False)
        self.identity: Process = kernel.identify(self._process.pid)
        self.exit_status: int | None = None
        self.next_step_at: float | None = None
        self._ladder = iter(ladder)
        self._asked = False

    def read(self, pipe: int) -> bool:
        """Hands on what is in one of the pipes now; False at its end."""
        try:
            data = os.read(pipe, _READ_BYTES)
        except BlockingIOError:
            return True
        if data:
            self.pipes[pipe](data)
        return bool(data)

    def drain(self) -> None:
        """Hands on what is in the pipes now. Their end is not waited for: a stranger may hold them open."""
        for pipe in self.pipes:
            while select.select([pipe], [], [], 0)[0] and self.read(pipe):
                pass

    def close(self) -> None:
        """Lets go of the pipes."""
        assert self._process.stdout is not None and self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()

    def insist(self) -> bool:
        """The next, harder signal; ``next_step_at`` says when to come again. False if there is none left."""
        if self.exit_status is not None:
            return True  # reaped: its pid may be another's by now
        step = next(self._ladder, None)
        if step is None:
            self.next_step_at = None
            return False
        number, patience_s = step
        # Not reaped yet, so the pid is still Codex's.
        with contextlib.suppress(ProcessLookupError):
            if not self._asked:
                self._asked = True
                end_commands(self._process.pid)
            os.kill(self._process.pid, number)
            os.kill(self._process.pid, signal.SIGCONT)
        self.next_step_at = time.monotonic() + patience_s
        return True

    def end_commands(self, then: Callable[[], None]) -> None:
        """Ends the commands below it, does ``then`` while it stands still, and lets it go on."""
        if self.exit_status is not None:
            then()
            return
        with contextlib.suppress(ProcessLookupError):
            end_commands(self._process.pid)
        then()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)

    def met(self, pid: int, status: int) -> None:
        """A child of this process has ended; perhaps this one."""
        if pid == self._process.pid:
            self.exit_status = status
            self.next_step_at = None
            self._process.returncode = os.waitstatus_to_exitcode(status)


def end_commands(codex: int) -> None:
    """Ends the commands below Codex (a child of this process that is not reaped), and leaves Codex stopped.

    At SIGINT Codex kills its sandbox helper the hard way, and then the empty .codex, .agents and .aws that the
    helper had put into the repository stay there (0.133.0 and 0.163.0). Asked with SIGTERM the helper takes them
    away. Codex stands still meanwhile, so that it cannot go on with its turn. Raises ProcessLookupError.
    """
    os.kill(codex, signal.SIGSTOP)
    commands = kernel.children(codex)
    for command in commands:
        with contextlib.suppress(PermissionError):  # `sudo ...`: not ours to end
            kernel.send(command, signal.SIGTERM)
    deadline = time.monotonic() + _COMMANDS_S
    while any(kernel.is_same(command) for command in commands) and time.monotonic() < deadline:
        time.sleep(0.005)
