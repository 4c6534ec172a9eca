"""Owns the demo itself: sets the stage, starts the three agents through the same verbs as the CLI, watches them,
checks what they did, and takes everything down.

It never leaves a process behind, nor a file unless it was told to keep them; not on an error, not on Ctrl-C.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from types import FrameType
from typing import TYPE_CHECKING

from codex_agent import ending, jobs, settings, starting, tmux
from codex_agent.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, BadState, WaitTimedOut
from codex_agent.model import TERMINAL, Job, stamp
from codex_agent.start_options import StartOptions
from codex_agent.store import Store

from . import show, stage
from .cast import PARTS, Part
from .model_server import ModelServer

if TYPE_CHECKING:
    from rich.console import Console

# An agent that hangs is ended by its supervisor, even if this process has been killed meanwhile.
_MAX_TIME_S = 90.0
_LOOK_S = 0.1


def run_demo(
    *, keep: bool, json_output: bool, console: Console | None = None, environ: Mapping[str, str] | None = None
) -> int:
    """Runs the demo and returns the exit code: 0 if all three completed and did exactly what they should, else 1.

    It is shown on ``console`` (stdout by default), or with ``json_output`` as one object at the end. Ctrl-C,
    SIGTERM and SIGHUP take everything down and give 130. Raises what stands in the way (MissingProgram, ...).
    """
    screen = None if json_output else console or _stdout()
    try:
        with _stoppable():
            return _run(keep, screen, os.environ if environ is None else environ)
    except KeyboardInterrupt:
        if screen is not None:
            screen.print("Stopped. Nothing is left of it.")
        return EXIT_INTERRUPTED


def _stdout() -> Console:
    from rich.console import Console

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to fail
    return Console()


def _run(keep: bool, screen: Console | None, environ: Mapping[str, str]) -> int:
    tmux_version = tmux.version(environ)
    own = settings.load(environ)
    with ModelServer() as model:
        for part in PARTS:
            model.on(part.prompt, *part.script)
        place = stage.build(environ, model.base_url)
        store = Store(place.agents_home)
        kept = False
        try:
            plans = [_plan(part, place, own, environ) for part in PARTS]
            if screen is not None:
                version = plans[0].request.codex_version or "of unknown version"
                show.opening(screen, place, model.base_url, version, tmux_version)
            started = [starting.start(plan, _settings(own, place), store, place.environ).id for plan in plans]
            ended = _watch(store, started, screen)
            diff = stage.diff(place)
            wrong = _wrong(ended, model) + stage.wrong_changes(place)
            kept = keep
        finally:
            _take_down(store, place, kept)
    if screen is None:
        _print_json(place, ended, diff, wrong, keep)
    else:
        show.results(screen, ended, diff)
        show.closing(screen, place, ended, wrong, keep=keep)
    return EXIT_FAILED if wrong else EXIT_OK


def _settings(own: settings.Settings, place: stage.Stage) -> settings.Settings:
    """Nothing of the user's settings but where Codex is. The agents share a repository on purpose."""
    return replace(settings.Settings(), codex=own.codex, tmux_socket=place.tmux_socket, overlap_check=False)


def _plan(part: Part, place: stage.Stage, own: settings.Settings, environ: Mapping[str, str]) -> starting.Plan:
    options = StartOptions(
        prompt=part.prompt,
        cwd=place.repository,
        sandbox=part.sandbox,
        name=part.name,
        max_time_s=_MAX_TIME_S,
    )
    # Codex is looked for where the user has it, so with the user's HOME; everything else is the stage's.
    ours = {"CODEX_HOME": place.codex_home, "CODEX_AGENT_HOME": place.agents_home}
    return starting.plan(options, _settings(own, place), {**environ, **ours})


def _watch(store: Store, ids: Sequence[str], screen: Console | None) -> list[Job]:
    deadline = time.monotonic() + _MAX_TIME_S + 30
    with show.watching(screen) as tell:
        while True:
            seen = [jobs.view(store, job_id) for job_id in ids]
            tell(seen)
            if all(job.status in TERMINAL for job in seen):
                return seen
            if time.monotonic() > deadline:
                raise WaitTimedOut("The demo's agents did not end.", "Try again; codex-agent health may tell why.")
            time.sleep(_LOOK_S)


def _wrong(ended: Sequence[Job], model: ModelServer) -> list[str]:
    wrong = [f"the scripted model was asked for what is not in the script ({what})" for what in model.surprises]
    for part, job in zip(PARTS, ended, strict=True):
        if job.status != "completed":
            wrong.append(f"{part.name} is {job.status}: {job.failure.message if job.failure else '?'}")
        elif job.summary != part.last_words:
            wrong.append(f"{part.name} did not end with its last words, but with {job.summary!r}")
        elif sorted(job.files_modified) != sorted(part.changes):
            wrong.append(f"{part.name} is reported to have changed {job.files_modified}")
        elif job.tokens is None or job.tokens.total == 0:
            wrong.append(f"{part.name} has no tokens counted")
    return [text.rstrip(".") for text in wrong]


def _take_down(store: Store, place: stage.Stage, kept: bool) -> None:
    with _undisturbed():
        try:
            for job_id in store.ids():
                if jobs.view(store, job_id).status not in TERMINAL:
                    with contextlib.suppress(BadState):  # it ended just now
                        ending.kill(store, job_id)
        finally:
            if kept:
                stage.end_tmux(place)
            else:
                place.remove()


def _print_json(place: stage.Stage, ended: Sequence[Job], diff: str, wrong: list[str], keep: bool) -> None:
    answer = {
        "generated_at": stamp(),
        "jobs": [asdict(job) for job in ended],
        "ok": not wrong,
        "wrong": wrong,
        "diff": diff,
        "folder": place.folder if keep else None,
        "environment": place.exports if keep else None,
    }
    sys.stdout.write(json.dumps(answer) + "\n")


# --- signals: the first one stops the demo, none disturbs the taking down

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stoppable() -> contextlib.AbstractContextManager[None]:
    return _handled(_stop)


def _undisturbed() -> contextlib.AbstractContextManager[None]:
    return _handled(signal.SIG_IGN)
