"""Owns the step from a record to a running supervisor: the tmux session, the handshake, and taking it all back.

Used by ``start`` for a new job and by ``send`` for one that had ended. The caller holds the job's lock. Must never
leave a process or a session behind when it fails.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping

from codex_agent import codex, git, handshake, kernel, tmux
from codex_agent.errors import CodexAgentError, StartFailed, TmuxFailed
from codex_agent.gates import admission
from codex_agent.model import Record
from codex_agent.settings import Settings
from codex_agent.store import Store
from codex_agent.tracking import wrappers

# How long the supervisor may take to come up; generous, since thirty may start at once on two cores.
_COME_UP_S = 60.0
# What must not travel from the caller's environment into the agent's: another job's marks and our own.
_NOT_HANDED_ON = frozenset(
    {
        kernel.MARK,
        kernel.BORDER,
        "CODEX_AGENT_JOB_ID",
        "CODEX_AGENT_NAME",
        "CODEX_AGENT_STATUS",
        "CODEX_AGENT_ERROR",
    }
)


def launch(
    store: Store,
    record: Record,
    lock: int,
    found: codex.Codex,
    settings: Settings,
    environ: Mapping[str, str],
    meanwhile: Callable[[], None] = lambda: None,
) -> None:
    """Has the job's supervisor run, and returns once it says that Codex does, or that the job is queued.

    ``meanwhile`` is done while the supervisor comes up; it may change the record, and fail. Raises StartFailed,
    TmuxFailed, StoreUnwritable, DependencyFailed; then no session, process or ticket of this launch is left.
    """
    socket: str | None = None
    request = record.request
    line = admission.enter(store, record, settings)
    try:
        if not line.is_in:
            store.save(record)  # its time of making is the one of its place
        with handshake.Offer(store.temporary(record.id, "sock")) as offer:
            argv = [sys.executable, "-I", "-S", "-E", _guardian(), store.home, record.id, offer.path]
            before = record.facts.tmux_socket
            if before is not None and _is_still_there(before, record.tmux_session):
                socket = before
                try:
                    tmux.reopen_session(socket, record.tmux_session, argv, request.cwd)
                except TmuxFailed:
                    if _is_still_there(before, record.tmux_session):
                        raise
                    socket = None  # it closed at this moment
            if socket is None:
                socket = tmux.open_session(settings.tmux_socket, environ, record.tmux_session, argv, request.cwd)
            where = socket
            meanwhile()
            words = handshake.Launch(
                request.argv, request.cwd, _environment(store, record, found, environ), kernel.umask()
            )
            words.tickets, words.rules = line.words(), admission.rules_to_launch(settings, record)
            handles = [lock, *(ticket.handle for ticket in line.all)]
            reply = offer.serve(words, handles, lambda: tmux.has_session(where, record.tmux_session), _COME_UP_S)
        if not reply.get("ok"):
            raise StartFailed(str(reply.get("message")), reply.get("hint"))
    except BaseException as error:
        if isinstance(error, StartFailed):
            told = _last_words(store, record.id)
            if told:
                error.message = f"{error.message} {told}"
                error.args = (error.message,)
        if socket is not None:
            with contextlib.suppress(CodexAgentError):
                tmux.kill_session(socket, record.tmux_session)
        kernel.sweep(lambda: kernel.marked(record.mark))
        line.give_back()
        raise
    line.let_go()


def _is_still_there(socket: str, session: str) -> bool:
    """Whether the job's old session stayed, because somebody looks at it."""
    try:
        return tmux.has_session(socket, session)
    except CodexAgentError:
        return False  # a server that cannot be asked; the one that is set now will say


def _last_words(store: Store, job_id: str) -> str:
    """What the supervisor wrote about a fault of its own."""
    try:
        with open(store.path(job_id, ".stderr"), encoding="utf-8", errors="replace") as file:
            lines = file.read().strip().splitlines()
    except FileNotFoundError:
        return ""
    return lines[-1] if "codex-agent: the supervisor failed" in lines else ""


def _guardian() -> str:
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "guardian.py")


def _environment(store: Store, record: Record, found: codex.Codex, environ: Mapping[str, str]) -> dict[str, str]:
    """What the agent gets: the caller's, where Codex is, and what this job is about. Raises StoreUnwritable."""
    env = {
        key: value
        for key, value in environ.items()
        if key not in _NOT_HANDED_ON and is_text(key) and is_text(value)
    }
    env.update(found.env)
    if found.path_dirs:
        env["PATH"] = os.pathsep.join([*found.path_dirs, env.get("PATH", os.defpath)])
    env = wrappers.without(env)
    request = record.request
    if request.track is not None:
        env.update(wrappers.environment(store.home, request.track, env))
    top = git.toplevel(request.cwd)
    env.setdefault("CODEX_AGENT_PROJECT", os.path.basename(top or request.cwd))
    about = {"CODEX_AGENT_NAME": record.name, "CODEX_AGENT_ISSUE": request.issue}
    return env | {key: value for key, value in about.items() if value is not None}


def is_text(text: str) -> bool:
    """Whether this is UTF-8: bytes that are not stand in Python's environ as lone surrogates."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
