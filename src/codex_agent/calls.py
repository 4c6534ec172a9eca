"""Owns a command's side of a job's control socket: finding it, asking, and what it means when nobody answers.

Must never decide what is asked, nor touch the record.
"""

from __future__ import annotations

import time

from codex_agent import control, errors, handshake
from codex_agent.control import Hangup, Json
from codex_agent.errors import BadState, CodexAgentError
from codex_agent.store import Store

_COME_UP_S, _GO_DOWN_S, _PAUSE_S = 60.0, 10.0, 0.02
_ANSWER_S = 60.0


class Ended(Exception):
    """The job's supervisor is gone. ``heard``: it may have heard what was asked."""

    def __init__(self, heard: bool) -> None:
        super().__init__("the job has ended")
        self.heard = heard


def ask(store: Store, job_id: str, request: Json, timeout_s: float | None = _ANSWER_S) -> Json:
    """What the job's supervisor answers. Raises what it refuses with, Ended, and TimeoutError.

    A supervisor that only comes up is waited for; one that holds the job's lock and has no socket is not ours.
    """
    path = store.path(job_id, ".sock")
    begun = time.monotonic()
    deadline = begun + (_COME_UP_S if timeout_s is None else min(timeout_s, _COME_UP_S))
    while True:
        try:
            with handshake.reachable(path) as short:
                answer = control.ask(short, request, timeout_s)
            break
        except Hangup as error:
            if error.heard:
                raise Ended(heard=True) from error
            if not store.is_alive(job_id):
                raise Ended(heard=False) from error
            if store.load(job_id).facts.supervisor is not None:
                # It has been up. Either it is just going down, or it listens nowhere.
                deadline = min(deadline, begun + _GO_DOWN_S)
            if time.monotonic() >= deadline:
                raise BadState(
                    f"The supervisor of job {job_id} does not answer ({error}).",
                    f"Was it started by another version? codex-agent attach {job_id} shows it.",
                    id=job_id,
                ) from error
            time.sleep(_PAUSE_S)
    if answer.get("ok") is True:
        return answer
    raise _refused(job_id, answer)


def wait_down(store: Store, job_id: str, runs: int) -> None:
    """Sleeps until a supervisor that hung up is gone, or its job runs again: ``facts.runs`` was ``runs`` before.

    Not on the lock: whoever reopens the job may take it before a sleeper has woken, who would sleep on.
    """
    time.sleep(_PAUSE_S)
    while store.is_alive(job_id) and store.load(job_id).facts.runs == runs:
        time.sleep(_PAUSE_S)


def _refused(job_id: str, answer: Json) -> CodexAgentError:
    """The error of this code, as if it had happened here."""
    code, message = str(answer.get("code")), str(answer.get("message"))
    hint = answer.get("hint")
    kind = errors.by_code(code)
    return kind(message, hint if isinstance(hint, str) else None, id=job_id)
