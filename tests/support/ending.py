"""How the ends of the truth table are brought about: asked for, by the clock, by force, by the person in the pane.

Plays as in ``provoking.py``. Each needs an agent of its own.
"""

from __future__ import annotations

import os
import signal

from codex_agent.demo.model_server import Step
from support.situations import DONE, Play, Running, Scene


def _at_work(s: Scene, *more: str) -> Running:
    s.drop()
    command = Running(s)
    s.start(command.step, DONE, more=more)
    command.runs()
    return command


def _at_rest(s: Scene) -> int:
    """The pid of the Codex of an agent that has nothing to do."""
    s.rest()
    return s.agent.pid("codex")


# ---- asked for ----


def exits(s: Scene) -> Play:
    pid = _at_rest(s)
    asking = s.place.cli.start("exit", s.agent.id)
    s.gone(pid)
    yield
    assert asking.wait(20) == 0


def exits_at_work(s: Scene) -> Play:
    _at_work(s)
    pid = s.agent.pid("codex")
    asking = s.place.cli.start("exit", "--interrupt", s.agent.id)
    s.gone(pid)
    yield
    assert asking.wait(20) == 0


def killed(s: Scene) -> Play:
    _at_work(s)
    pid = s.agent.pid("codex")
    asking = s.place.cli.start("kill", s.agent.id)
    s.gone(pid)
    yield
    assert asking.wait(20) == 0


# ---- by the clock ----


def idle_too_long(s: Scene) -> Play:
    s.drop()
    s.start(DONE, more=("--idle-exit", "0.3"))
    s.gone(s.agent.pid("codex"))
    yield


def inactive_too_long(s: Scene) -> Play:
    yield from _too_long(s, "--timeout")


def takes_too_long(s: Scene) -> Play:
    yield from _too_long(s, "--max-time")


def _too_long(s: Scene, limit: str) -> Play:
    s.drop()
    s.start(Step.hold(s.gate()), more=(limit, "1s"))
    s.gone(s.agent.pid("codex"))
    yield


# ---- the person in the pane ----


def person_leaves(s: Scene) -> Play:
    pid = _at_rest(s)
    s.person_says("/exit")
    s.gone(pid)
    yield


def person_presses_ctrl_c(s: Scene) -> Play:
    if s.stays:
        pid = _at_rest(s)
        s.person_sits_down()
        s.agent.type("C-c")
    else:
        _at_work(s)
        pid = s.agent.pid("codex")
        s.agent.type("C-c")
    s.gone(pid)
    yield


def session_closed(s: Scene) -> Play:
    _at_work(s)
    pid = s.agent.pid("codex")
    assert s.place.home.tmux("kill-session", "-t", f"=codex-agent-{s.agent.id}").returncode == 0
    s.gone(pid)
    yield


def tmux_killed(s: Scene) -> Play:
    _at_work(s)
    pid = s.agent.pid("codex")
    os.kill(int(s.place.home.tmux("display-message", "-p", "#{pid}").stdout), signal.SIGKILL)
    s.gone(pid)
    yield


# ---- by force ----


def codex_killed(s: Scene) -> Play:
    _at_work(s)
    s.agent.signal("codex")
    yield


def codex_killed_at_rest(s: Scene) -> Play:
    _at_rest(s)
    s.agent.signal("codex")
    yield


def tui_killed(s: Scene) -> Play:
    command = _at_work(s)
    s.gone(s.agent.signal("viewer"))
    yield
    command.finish()
    s.over()
    s.drop()


def tui_killed_at_rest(s: Scene) -> Play:
    _at_rest(s)
    s.gone(s.agent.signal("viewer"))
    yield
    s.drop()


def supervisor_killed(s: Scene) -> Play:
    _at_work(s)
    s.agent.signal("supervisor")
    yield


def supervisor_killed_at_rest(s: Scene) -> Play:
    _at_rest(s)
    s.agent.signal("supervisor")
    yield


def supervisor_and_guardian_killed(s: Scene) -> Play:
    _at_work(s)
    guardian = s.agent.pid("guardian")
    os.kill(guardian, signal.SIGSTOP)  # so that it cannot act when the supervisor dies
    s.agent.signal("supervisor")
    os.kill(guardian, signal.SIGKILL)
    yield
