"""Gates in tests: somebody else who holds a slot, and situations in which an agent waits for its turn."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from codex_agent.gates import lines, slots
from codex_agent.gates.lines import Line
from support.home import Home
from support.situations import DONE, WORDS, Play, Scene


def stand(home: str, *gates: str, job: bool = False, job_id: str | None = None) -> Line:
    """A place at the end of these lines, not looked at yet."""
    with slots.locked(home, lines.gates_of(gates, job=job)):
        return lines.enter(home, gates, {"job": job_id, "pid": os.getpid(), "command": "a test"}, job=job)


@contextlib.contextmanager
def held(home: str, gate: str) -> Iterator[Line]:
    """Somebody is in at this gate, and nobody else can be."""
    line = stand(home, gate)
    assert line.look(lambda _: 1, 0, ready=True) is None
    try:
        yield line
    finally:
        line.give_back()


def set_up(home: Home, text: str) -> Path:
    """The settings file of this home says this."""
    path = home.path / ".config" / "codex-agent" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# ---- situations (see situations.py) ----


def _begin(s: Scene, *more: str) -> None:
    s.drop()
    words = ["start", s.script(DONE), "-d", str(s.place.repo), "--json", *WORDS[s.way], *more]
    s.adopt(s.place.cli(*words).ok().json()["id"])


def waits_at_gate(s: Scene) -> Play:
    gate = s.name("gate")
    with held(s.store.home, gate):
        _begin(s, "--gate", gate)
        yield
        s.drop()


def waits_for_job(s: Scene) -> Play:
    gate = s.name("gate")
    with held(s.store.home, gate):
        _begin(s, "--gate", gate)
        first = s.agent.id
        words = ["start", s.script(DONE), "-d", str(s.place.repo), "--json", *WORDS[s.way], "--after", first]
        s.adopt(s.place.cli(*words).ok().json()["id"])
        yield
        s.drop()
        s.place.cli("kill", first).ok()


def killed_in_line(s: Scene) -> Play:
    gate = s.name("gate")
    with held(s.store.home, gate):
        _begin(s, "--gate", gate)
        s.place.cli("kill", s.agent.id).ok()
        yield
        s.drop()


def job_before_fails(s: Scene) -> Play:
    gate = s.name("gate")
    with held(s.store.home, gate):
        _begin(s, "--gate", gate)
        first = s.agent.id
        words = ["start", s.script(DONE), "-d", str(s.place.repo), "--json", *WORDS[s.way], "--after", first]
        s.adopt(s.place.cli(*words).ok().json()["id"])
        s.place.cli("kill", first).ok()
        yield
        s.drop()
