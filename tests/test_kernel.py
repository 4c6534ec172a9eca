"""What the kernel tells about processes: exact identity, descendants, marks, and that a sweep leaves nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from codex_agent import kernel
from codex_agent.model import Process
from support import until

pytestmark = pytest.mark.skipif(not kernel.LINUX, reason="what is tested is /proc, pidfd and prctl")


@contextmanager
def running(*argv: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(argv, env={**os.environ, **env}, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_later_process_with_the_same_pid_is_not_the_same() -> None:
    with running("sleep", "60") as process:
        found = kernel.identify(process.pid)
        assert kernel.is_same(found)
        stranger = Process(found.pid, found.start_ticks - 1)
        assert not kernel.is_same(stranger) and not kernel.send(stranger, signal.SIGKILL)
        assert process.poll() is None
        assert kernel.send(found, signal.SIGKILL)
        process.wait()
        assert not kernel.is_same(found) and not kernel.send(found, signal.SIGKILL)


def test_a_zombie_does_not_live() -> None:
    process = subprocess.Popen(["true"])
    found = Process(process.pid, kernel.identify(process.pid).start_ticks)
    until(lambda: not kernel.is_same(found), 10, "it is a zombie")
    process.wait()


def test_marks_are_exact() -> None:
    with running("sleep", "60", CODEX_AGENT_MARK="aaaaaaaa.11") as process:
        assert [one.pid for one in kernel.marked("aaaaaaaa.11")] == [process.pid]
        assert kernel.marked("aaaaaaaa.1") == [] == kernel.marked("aaaaaaaa.111")


def test_a_process_is_found_while_it_execs() -> None:
    """It execs itself for ever; in the middle of that the kernel shows no environment."""
    again = 'exec /bin/sh -c "$0" "$0"'
    with running("/bin/sh", "-c", again, again, CODEX_AGENT_MARK="b.2") as process:
        for _ in range(2000):
            assert [one.pid for one in kernel.marked("b.2")] == [process.pid]


def test_descendants_stop_at_a_border() -> None:
    """A tmux server that `start` launched from inside a job lives on when that job is swept."""
    inner = f'{sys.executable} -c "import os, time; print(os.getpid(), flush=True); time.sleep(60)"'
    with running("/bin/sh", "-c", f"sleep 61 & {kernel.BORDER}=1 {inner}") as shell:
        assert shell.stdout is not None
        behind = int(shell.stdout.readline())
        found = {one.pid for one in kernel.descendants(os.getpid())}
        assert shell.pid in found and behind not in found
        kernel.sweep(lambda: [one for one in kernel.descendants(os.getpid()) if one.pid in found])
        assert kernel.is_same(kernel.identify(behind))
        os.kill(behind, signal.SIGKILL)


def test_sweep_says_who_would_not_go() -> None:
    me = kernel.identify(os.getpid())
    immortal = Process(me.pid, me.start_ticks - 1)  # never the same, so never signalled, and always found
    assert kernel.sweep(lambda: [immortal], timeout_s=0.05) == [immortal]
