"""Owns the sleep of `wait` in the fast routes: in the kernel, on the jobs' locks, one after the other.

To wait for all of them it does not matter which is slept on first. Must never wake up to look.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from codex_agent.fast.finding import Jobs


_NO_LOCK_S = 0.1  # somebody removed the lock of a job that lives: there is nothing to sleep on


class _Over(Exception):
    """The time-out."""


def until_ended(jobs: Jobs, ids: list[str], timeout_s: float | None) -> bool:
    """Whether all have ended; False at the time-out. Raises Interrupted at Ctrl-C, and what settling raises."""
    import _signal as signal  # type: ignore[import-not-found]  # `signal` makes enums of all its names first

    def over(*_: object) -> None:
        raise _Over

    try:
        if timeout_s is not None and timeout_s > 0:
            signal.signal(signal.SIGALRM, over)
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
        return all(_ended(jobs, job_id, sleep=timeout_s != 0) for job_id in ids)
    except _Over:
        return False
    except KeyboardInterrupt:
        from codex_agent.cli.telling import broken_off

        raise broken_off("wait", ids) from None
    finally:
        if timeout_s is not None and timeout_s > 0:
            signal.setitimer(signal.ITIMER_REAL, 0)


def _ended(jobs: Jobs, job_id: str, *, sleep: bool) -> bool:
    from codex_agent import sealed

    while True:
        job = jobs.read(job_id)
        if job is not None and job.ended:
            if sleep:
                sealed.wait_dead(jobs.lock(job_id))  # its supervisor's last line of events comes after that
            return True
        if job is None and _is_settled(jobs, job_id):
            return True
        if not sleep:
            return False
        if not sealed.wait_dead(jobs.lock(job_id)):
            from time import sleep as pause

            pause(_NO_LOCK_S)


def _is_settled(jobs: Jobs, job_id: str) -> bool:
    """Whether a job whose record does not tell has ended, by those who work that out and write it down."""
    from codex_agent.jobs import view
    from codex_agent.model import TERMINAL
    from codex_agent.store import Store

    return view(Store(jobs.home), job_id).status in TERMINAL
