"""Who still runs that carries a test's own words: found in /proc by environment and argv, ended by pid only.

The start time is compared before a signal goes out, so that a pid that was given away meanwhile is left alone.
Only Linux can be asked this way; elsewhere nothing is found.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """One process, as it was when it was looked at."""

    pid: int
    started: int
    parent: int
    command: str
    environ: dict[str, str]

    def alive(self) -> bool:
        """Whether this very process still exists; a zombie does not count."""
        return _birth(self.pid) == self.started

    def signal(self, number: int) -> None:
        """Send ``number`` to this very process; nothing happens if it is gone."""
        if self.alive():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    def __str__(self) -> str:
        mark = self.environ.get("CODEX_AGENT_MARK", "-")
        return f"pid {self.pid} (parent {self.parent}, mark {mark}): {self.command[:200]}"


def processes_with(text: str) -> list[Seen]:
    """Every living process whose environment or argv held ``text`` when it started, this one left out."""
    needle = os.fsencode(text)
    found = []
    for name in os.listdir("/proc") if os.path.isdir("/proc") else []:
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            environ, argv = _read(f"/proc/{name}/environ"), _read(f"/proc/{name}/cmdline")
        except OSError:  # gone meanwhile, or somebody else's
            continue
        if needle in environ or needle in argv:
            seen = _look(int(name), environ, argv)
            if seen is not None:
                found.append(seen)
    return found


def job_processes(agent_home: str) -> list[Seen]:
    """Everything that runs for the jobs of this CODEX_AGENT_HOME; tmux itself does not count."""
    return [one for one in processes_with(agent_home) if os.path.basename(one.command.split(" ")[0]) != "tmux"]


def _look(pid: int, environ: bytes, argv: bytes) -> Seen | None:
    fields = _stat(pid)
    if fields is None:
        return None
    pairs = (os.fsdecode(pair).partition("=") for pair in environ.split(b"\0") if pair)
    return Seen(
        pid=pid,
        started=int(fields[19]),
        parent=int(fields[1]),
        command=os.fsdecode(argv.replace(b"\0", b" ").strip()),
        environ={key: value for key, _, value in pairs},
    )


def _birth(pid: int) -> int | None:
    fields = _stat(pid)
    return int(fields[19]) if fields is not None else None


def _stat(pid: int) -> list[bytes] | None:
    """The fields of /proc/<pid>/stat after the name (state, parent, ...; 19 is the start); None if it is over."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else fields


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
