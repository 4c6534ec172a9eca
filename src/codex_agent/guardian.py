"""Owns the pane: the first process in it, parent of the supervisor. Run as a script, by path.

It waits. If the supervisor ends as it should, it does nothing. If the supervisor was killed, it ends what the job
left behind (orphans become its children) and writes down the job's end. Must stay tiny: nothing but what it
needs to wait is loaded before that.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__":
    # Run with -I -S -E, so that no environment of a stale tmux server can reach into it.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main(argv: list[str]) -> int:
    """``argv``: home, job id, path of the handshake socket."""
    from codex_agent import quick

    quick.begin()
    from codex_agent import kernel

    home, job_id, socket_path = argv
    kernel.become_subreaper()
    stops = {signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    supervisor = os.fork()
    if supervisor == 0:
        status = 1
        try:
            kernel.become_subreaper()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
            from codex_agent import pane_process as room

            status = room.main(home, job_id, socket_path)
        except BaseException:
            _leave_traceback(home, job_id)
        finally:
            os._exit(status)
    for number in stops:
        # A terminal's signals reach the supervisor anyway; one sent to the pane's process alone is passed on.
        signal.signal(number, lambda got, _: _forward(supervisor, got))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    status = _wait_for(supervisor)
    if status != 0:
        _clear_up(home, job_id)
    return 0


def _forward(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def _wait_for(supervisor: int) -> int:
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == supervisor:
            return status


def _clear_up(home: str, job_id: str) -> None:
    from codex_agent import kernel

    kernel.sweep(lambda: kernel.descendants(os.getpid()))
    from codex_agent import notify, settle
    from codex_agent.errors import JobNotFound
    from codex_agent.store import Store

    store = Store(home)
    try:
        record = settle.settle(store, job_id, by="guardian")
    except JobNotFound:
        return  # `start` took it back, or it was deleted
    if record.facts.started_at is not None and record.facts.ended_at is not None:
        notify.run(store, record, dict(os.environ))


def _leave_traceback(home: str, job_id: str) -> None:
    """A fault of ours: where a person who looks at the job will find it."""
    import traceback

    from codex_agent.store import Store

    handle = Store(home).open_append(job_id, ".stderr")
    os.write(handle, ("codex-agent: the supervisor failed\n" + traceback.format_exc()).encode())
    os.close(handle)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
