"""Owns what a gate demands of the machine: free memory (also a GPU's), room on the disk, a command that exits 0.

A probe never blocks: what takes a process is begun, and asked for later. Says what is missing in words. Must never
decide who is next.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from codex_agent import kernel
from codex_agent.settings_keys import Gate

if TYPE_CHECKING:
    import subprocess

MIB, GIB = 1 << 20, 1 << 30
# The column of nvidia-smi that counts, one line a GPU, in MiB.
GPU_ARGV = ("nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits")
_LONGEST_S = 30.0


class Probe:
    """One look at what these gates demand; ``result`` is None until it is over, then what is missing, or ""."""

    def __init__(self, gates: Sequence[tuple[str, Gate]], cwd: str, env: Mapping[str, str]) -> None:
        """Begins it. ``env`` is what its programs get."""
        self._cwd, self._env = cwd, dict(env)
        self._process: subprocess.Popen[bytes] | None = None
        self._until = 0.0
        self._steps = [(name, gate, what) for name, gate in gates for what in ("gpu", "command")]
        self._now: tuple[str, Gate, str] | None = None
        self.result = next((why for name, gate in gates if (why := self._at_once(name, gate))), None)
        if self.result is None:
            self._go_on()

    def look(self) -> str | None:
        """How it stands; ``result``."""
        while self.result is None and self._process is not None:
            status = self._process.poll()
            if status is None and time.monotonic() < self._until:
                return None
            self.result = self._judged(status)
            self._drop()
            if self.result is None:
                self._go_on()
        return self.result

    def close(self) -> None:
        """Ends what still runs of it."""
        self._drop()

    def _at_once(self, name: str, gate: Gate) -> str | None:
        if gate.mem_free_mib:
            free = memory_free()
            if free is not None and free < gate.mem_free_mib * MIB:
                return f"gate {name} demands {gate.mem_free_mib} MiB of free memory, there are {free // MIB}"
        if gate.disk_free_gib:
            try:
                free = disk_free(self._cwd)
            except OSError as error:
                return f"gate {name}: the disk of {self._cwd} cannot be asked ({error.strerror})"
            if free < gate.disk_free_gib * GIB:
                return f"gate {name} demands {gate.disk_free_gib:g} GiB of free disk, there are {free / GIB:.1f}"
        return None

    def _go_on(self) -> None:
        """Begins the next step that takes a process; without one it is over, and nothing is missing."""
        import subprocess  # late: most jobs have no gate

        while self._steps:
            self._now = name, gate, what = self._steps.pop(0)
            if what == "gpu" and gate.gpu_free_mib:
                argv: Sequence[str] = GPU_ARGV
            elif what == "command" and gate.command:
                argv = shlex.split(gate.command)
            else:
                continue
            try:
                self._process = subprocess.Popen(
                    argv,
                    cwd=self._cwd,
                    env=self._env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if what == "gpu" else subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=kernel.dies_with_parent(),  # noqa: PLW1509 (whoever waits has one thread)
                )
            except OSError as error:
                self.result = f"gate {name}: {argv[0]} cannot be run ({error.strerror})"
                return
            self._until = time.monotonic() + _LONGEST_S
            return
        self.result = ""

    def _judged(self, status: int | None) -> str | None:
        """What is missing by this step; None if nothing."""
        assert self._now is not None and self._process is not None
        name, gate, what = self._now
        if what == "command":
            if status is None:
                return f"gate {name}: its command takes longer than {_LONGEST_S:.0f} s ({gate.command})"
            return None if status == 0 else f"gate {name}: its command says {status} ({gate.command})"
        assert self._process.stdout is not None
        told = b"" if status is None else self._process.stdout.read(1 << 16)
        free = [int(line) for line in told.split(b"\n") if line.strip().isdigit()]
        if status != 0 or not free:
            return f"gate {name}: nvidia-smi does not tell of any GPU"
        if max(free) < gate.gpu_free_mib:
            return f"gate {name} demands {gate.gpu_free_mib} MiB of free GPU memory, there are {max(free)}"
        return None

    def _drop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, 9)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def demands(gate: Gate) -> bool:
    """Whether this gate has conditions at all."""
    return bool(gate.gpu_free_mib or gate.mem_free_mib or gate.disk_free_gib or gate.command)


def memory_free() -> int | None:
    """Bytes that could be had without swapping; None where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except FileNotFoundError:
        pass
    return None


def disk_free(path: str) -> int:
    """Bytes that the user may still write where ``path`` is. Raises OSError."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize
