"""Owns what the operating system knows: processes, their parents and birth, and the ties between them.

What only Linux has (subreaper, parent-death signal, /proc, pidfd) is here and nowhere else. Elsewhere the
fallbacks are: no subreaper and no death signal (an orphan of a killed supervisor is found by the reader that
settles the job), ``ps`` instead of /proc, and plain ``kill`` after a look at the start time.

Must never signal a process by name, nor one whose start time it has not just compared.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable

from codex_agent.model import Process

LINUX = sys.platform.startswith("linux")

# In the environment of everything a job starts: `<job id>.<nonce>`; how a job's processes are recognised.
MARK = "CODEX_AGENT_MARK"
# In the environment of a tmux server that `start` had to launch. Such a server may have been launched from
# inside a job, and is that job's descendant by birth only: other jobs and people live in it.
BORDER = "CODEX_AGENT_SERVER"

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PF_EXITING, _PF_KTHREAD = 0x00000004, 0x00200000  # include/linux/sched.h
_SWEEP_PAUSE_S = 0.01
_EXEC_S, _EXEC_PAUSE_S, _LOOKS_AT_EMPTY = 2.0, 0.002, 25


def _prctl() -> Callable[[int, int], None]:
    import ctypes  # late: `start` loads this module too, and never needs it

    libc = ctypes.CDLL(None, use_errno=True)

    def call(option: int, value: int) -> None:
        if libc.prctl(option, value, 0, 0, 0) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return call


def umask() -> int:
    """This process's mask for new files. On Linux only looked at: another thread may just make a file."""
    if LINUX:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("Umask:"):
                    return int(line.split()[1], 8)
    mask = os.umask(0o077)  # elsewhere there is no way to look without touching
    os.umask(mask)
    return mask


def become_subreaper() -> None:
    """From now on orphaned descendants of this process become its children (Linux; elsewhere nothing)."""
    if LINUX:
        _prctl()(_PR_SET_CHILD_SUBREAPER, 1)


def dies_with_parent() -> Callable[[], None]:
    """A ``preexec_fn`` after which the child gets SIGKILL when the calling process dies (Linux).

    Everything is looked up here, before the fork. The child checks that its parent is still the caller, since
    a parent that died before the call would never be noticed.
    """
    if not LINUX:
        return lambda: None
    prctl = _prctl()
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return in_child


def boot_id() -> str | None:
    """What changes with every boot; None where the system does not tell."""
    if LINUX:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    import subprocess  # late, here and below: Linux never needs it

    try:
        # sysctl answers with the boot's time on macOS and the BSDs.
        answer = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "kern.boottime"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None


def identify(pid: int) -> Process:
    """The process with this pid, with its birth. Raises ProcessLookupError if there is none."""
    return Process(pid=pid, start_ticks=_stat(pid)[1])


def is_same(process: Process) -> bool:
    """Whether exactly this process (not a later one with its pid) still exists and is no zombie."""
    try:
        _, ticks, state = _stat(process.pid)
    except ProcessLookupError:
        return False
    return ticks == process.start_ticks and state not in ("Z", "X")


def send(process: Process, number: int) -> bool:
    """Signals exactly this process; False if it is gone. Raises PermissionError if it is not ours."""
    if not LINUX:
        if not is_same(process):
            return False
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return False
        return True
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The handle pins the process; only after that does comparing its birth prove anything.
        if not is_same(process):
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def descendants(root: int) -> list[Process]:
    """Every process below ``root``, zombies and whatever stands behind a border left out."""
    children: dict[int, list[tuple[int, int, str]]] = {}
    for pid in _pids():
        try:
            parent, ticks, state = _stat(pid)
        except ProcessLookupError:
            continue
        children.setdefault(parent, []).append((pid, ticks, state))
    found: list[Process] = []
    queue = [root]
    while queue:
        for pid, ticks, state in children.get(queue.pop(), ()):
            if state in ("Z", "X") or f"{BORDER}=1" in (_environ(pid) or ()):
                continue
            found.append(Process(pid, ticks))
            queue.append(pid)
    return found


def marked(mark: str) -> list[Process]:
    """Every living process that carries this job mark in the environment it was started with.

    A process that is in the middle of an exec shows no environment at all for a moment (Linux: the new memory is
    there, its ``env_end`` not yet). On a busy machine that moment can be long, so whoever may be in it is looked
    at until it is over.
    """
    entry = f"{MARK}={mark}"
    found: list[Process] = []
    me = os.getpid()
    unsure = [pid for pid in _pids() if pid != me]
    deadline = time.monotonic() + _EXEC_S
    for looks in itertools.count(1):
        looked_at, unsure = unsure, []
        for pid in looked_at:
            environ = _environ(pid)
            if environ is None:
                continue
            if not environ and _may_be_in_exec(pid, looks):
                unsure.append(pid)
            elif entry in environ:
                with contextlib.suppress(ProcessLookupError):
                    found.append(identify(pid))
        if not unsure or time.monotonic() > deadline:
            break
        time.sleep(_EXEC_PAUSE_S)
    return [process for process in found if is_same(process)]


def children(parent: int) -> list[Process]:
    """The living direct children of a process."""
    found = []
    for pid in _pids():
        with contextlib.suppress(ProcessLookupError):
            above, ticks, state = _stat(pid)
            if above == parent and state not in ("Z", "X"):
                found.append(Process(pid, ticks))
    return found


def sweep(find: Callable[[], Iterable[Process]], grace_s: float = 0.5, timeout_s: float = 5.0) -> list[Process]:
    """Ends what ``find`` finds until it finds nothing; returns what was still there at the time-out.

    SIGTERM first: Codex's sandbox helper takes the empty folders away that it put into the repository, and a
    server of the agent's may put its house in order. After ``grace_s``, SIGKILL. Of this process's children it
    reaps those that it ended, and no others.
    """
    began = time.monotonic()
    asked: set[tuple[int, int]] = set()
    # Another person's (what `sudo` started): it is said, not waited for.
    refused: dict[tuple[int, int], Process] = {}
    while True:
        rest = [process for process in find() if (process.pid, process.start_ticks) not in refused]
        now = time.monotonic()
        if not rest or now > began + timeout_s:
            return [*(process for process in refused.values() if is_same(process)), *rest]
        for process in rest:
            key = (process.pid, process.start_ticks)
            try:
                if now > began + grace_s:
                    asked.add(key)
                    send(process, signal.SIGKILL)
                elif key not in asked:
                    asked.add(key)
                    send(process, signal.SIGTERM)
            except PermissionError:
                refused[key] = process
        for pid, _ in asked:
            with contextlib.suppress(ChildProcessError):  # mostly it is not our child
                os.waitpid(pid, os.WNOHANG)
        time.sleep(_SWEEP_PAUSE_S)


def open_files(pid: int) -> list[str] | None:
    """The paths that a process of ours holds open; None where the system does not tell. Empty if it is gone."""
    if not LINUX:
        return None
    found = []
    with contextlib.suppress(FileNotFoundError, PermissionError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def reap() -> list[tuple[int, int]]:
    """Collects every child that has ended: pid and wait status."""
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def _pids() -> list[int]:
    if LINUX:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return list(_ps())


def _stat(pid: int) -> tuple[int, int, str]:
    """Parent, start time and state letter of a process. Raises ProcessLookupError."""
    if not LINUX:
        try:
            return _ps()[pid]
        except KeyError:
            raise ProcessLookupError(pid) from None
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    # The command name stands in parentheses and may hold anything, so count from the last one (proc(5)).
    fields = line[line.rindex(b")") + 2 :].split()
    return int(fields[1]), int(fields[19]), fields[0].decode("ascii")


def _may_be_in_exec(pid: int, looks: int) -> bool:
    """Whether an environment that has read as empty ``looks`` times may be one for a moment only (proc(5): stat).

    A kernel thread and a process that is ending have no memory, and so no environment for good. Where it begins
    and ends (``env_start``, ``env_end``) tells about the others: 0 during an exec; one place if it is empty, but
    for an instant of an exec too; and if it lies somewhere and was not to be read, the exec came between.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            line = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return False
    fields = line[line.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X") or int(fields[6]) & (_PF_EXITING | _PF_KTHREAD):
        return False
    start, end = int(fields[47]), int(fields[48])
    return end == 0 or start != end or looks < _LOOKS_AT_EMPTY


def _environ(pid: int) -> list[str] | None:
    """The environment a process was started with; None if it is gone, or another person's."""
    if not LINUX:
        return _ps_environ(pid)
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            # Not without the empty ones: an environment overwritten with zeros is no empty one.
            data = file.read()
            return os.fsdecode(data).split("\0") if data else []
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None


def _ps() -> dict[int, tuple[int, int, str]]:
    import subprocess

    out = subprocess.run(
        ["/bin/ps", "-axo", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=True
    ).stdout
    table = {}
    for line in out.splitlines():
        pid, parent, state, started = line.split(None, 3)
        ticks = int(time.mktime(time.strptime(started.strip())))
        table[int(pid)] = (int(parent), ticks, state[0])
    return table


def _ps_environ(pid: int) -> list[str]:
    import subprocess

    out = subprocess.run(
        ["/bin/ps", "-Eww", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return out.split()
