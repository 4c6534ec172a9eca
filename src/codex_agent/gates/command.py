"""Owns ``gate run``: a command that waits for its turn at a gate, holds a slot while it runs, and gives it back.

The command has our terminal, and its exit is ours. The kernel gives the slot back if we are killed, and ends the
command with us (Linux). Must never read what the command says or hears.
"""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FrameType

from codex_agent import kernel
from codex_agent.errors import MissingProgram, StoreUnwritable, UsageError, WaitTimedOut
from codex_agent.gates import lines, slots
from codex_agent.gates.admission import bury
from codex_agent.gates.conditions import demands
from codex_agent.gates.lines import Line
from codex_agent.gates.waiting import Rules, Waiter
from codex_agent.settings_keys import Settings
from codex_agent.store import Store

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
_ENDED_BY_SIGNAL = 128


class _Asked(BaseException):
    """A signal that ends who waits."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run(
    store: Store,
    gate: str,
    argv: Sequence[str],
    settings: Settings,
    environ: Mapping[str, str],
    *,
    timeout_s: float | None,
    say: Callable[[str], None],
) -> int:
    """The command's exit status (128 and the signal's number, if one ended it).

    ``say`` hears what it waits for, each time that is another thing. Raises UsageError, MissingProgram,
    WaitTimedOut, StoreUnwritable; KeyboardInterrupt at a Ctrl-C while it waits.
    """
    lines.check_names([gate])
    if not argv:
        raise UsageError("There is no command to run.", "codex-agent gate run NAME -- COMMAND...")
    if shutil.which(argv[0], path=environ.get("PATH")) is None:
        raise MissingProgram(f"There is no program '{argv[0]}'.", "Check its name and PATH.")
    if _is_ours(store.home, gate, environ.get("CODEX_AGENT_JOB_ID")):
        return _run(argv)
    line = _enter(store, gate, argv, settings)
    try:
        with _ended_by_signals():
            _wait(store, line, settings, environ, timeout_s, say)
        return _run(argv)
    except _Asked as asked:
        return _ENDED_BY_SIGNAL + asked.number
    finally:
        line.give_back()


def _is_ours(home: str, gate: str, job_id: str | None) -> bool:
    """Whether the agent that calls us holds a slot of this gate: it would wait for itself."""
    if job_id is None:
        return False
    try:
        line = slots.seen(home, gate)
    except FileNotFoundError:
        return False
    return any(one.alive and one.state == "in" and slots.who(one).get("job") == job_id for one in line)


def _enter(store: Store, gate: str, argv: Sequence[str], settings: Settings) -> Line:
    who = {"job": None, "pid": os.getpid(), "command": shlex.join(argv)}
    try:
        with slots.locked(store.home, [gate]):
            line = lines.enter(store.home, [gate], who, job=False)
            rules = Rules({}, settings, 0)
            line.settle_in(lambda name: rules.gate(name).slots, 0, ready=not demands(rules.gate(gate)))
    except slots.Busy:
        raise StoreUnwritable(
            f"Another codex-agent does not let go of {slots.folder(store.home, gate)}.",
            "It may be stopped (Ctrl-Z): end or continue it, then try again.",
        ) from None
    return line


def _wait(
    store: Store,
    line: Line,
    settings: Settings,
    environ: Mapping[str, str],
    timeout_s: float | None,
    say: Callable[[str], None],
) -> None:
    if line.is_in:
        return
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    waiter = Waiter(
        line,
        Rules(environ, settings, 0),
        cwd=os.getcwd(),
        env=environ,
        bury=lambda dead: bury(store, dead),
    )
    poller = select.poll()
    if waiter.watch is not None:
        poller.register(waiter.watch.fileno(), select.POLLIN)
    said = None
    try:
        while (place := waiter.look()) is not None:
            if place.detail != said and not waiter.undecided:
                said = place.detail
                say(said)
            while (now := time.monotonic()) < waiter.due:
                if deadline is not None and now >= deadline:
                    raise WaitTimedOut(
                        f"Not let in after {timeout_s:g} s: {place.detail}.",
                        "Give it longer: --timeout.",
                    )
                until = waiter.due if deadline is None else min(waiter.due, deadline)
                if poller.poll(max(0.0, until - now) * 1000):
                    waiter.heard()
    finally:
        waiter.close()


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """In here these signals end what waits, with the slot given back."""

    def ask(number: int, _: FrameType | None) -> None:
        raise _Asked(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run(argv: Sequence[str]) -> int:
    heard = {*_PASSED_ON, signal.SIGCHLD}
    # Held back until they are fetched one by one; the command gets its mask as it would be without us.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    dies_with_parent = kernel.dies_with_parent()

    def in_child() -> None:
        dies_with_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        process = subprocess.Popen(argv, preexec_fn=in_child)  # noqa: PLW1509 (this process has one thread)
        while (status := process.poll()) is None:
            number = _next_signal(heard)
            if number in _PASSED_ON:
                process.send_signal(number)
    except OSError as error:
        raise MissingProgram(
            f"{argv[0]} cannot be run: {error.strerror}.", "Check its mode and first line."
        ) from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return status if status >= 0 else _ENDED_BY_SIGNAL - status


def _next_signal(heard: set[signal.Signals]) -> int | None:
    """Sleeps until one of these comes; None if the command has had it too: a terminal tells all in front of it."""
    if kernel.LINUX:
        info = signal.sigwaitinfo(heard)
        return None if info.si_code > 0 and info.si_signo != signal.SIGCHLD else info.si_signo
    number = signal.sigwait(heard)
    return None if number == signal.SIGINT and os.isatty(0) else number
