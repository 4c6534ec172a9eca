"""Owns ``--notify-on-complete``: the one command of the user's that is run when a job has ended.

The supervisor runs it, with the caller's environment; if the supervisor was killed, the guardian does, with the
pane's. Never twice: an event says that it was begun. It is not part of the job, so what it leaves running stays.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Mapping

from codex_agent.errors import StoreUnwritable
from codex_agent.model import Record
from codex_agent.store import Store
from codex_agent.verdict import job_view

_LIMIT_S = 300.0


def run(store: Store, record: Record, env: Mapping[str, str]) -> None:
    """Runs the command of an ended job, if it has one and it was not run yet; waits for it, 300 s at most."""
    words = record.request.notify_on_complete
    if not words or _begun(store, record.id):
        return
    job = job_view(record, alive=False, now=time.time())
    told = {
        "CODEX_AGENT_JOB_ID": record.id,
        "CODEX_AGENT_STATUS": job.status,
        "CODEX_AGENT_ERROR": job.failure.message if job.failure else "",
    }
    _note(store, record.id, "notifying")
    try:
        code: int | None = subprocess.run(
            words,
            env={**env, **told},
            cwd=record.request.cwd if os.path.isdir(record.request.cwd) else "/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT_S,
            start_new_session=True,
            check=False,
        ).returncode
        trouble = None
    except subprocess.TimeoutExpired:
        code, trouble = None, f"stopped after {_LIMIT_S:g} s"
    except OSError as error:
        code, trouble = None, f"cannot be run: {error.strerror}"
    _note(store, record.id, "notified", exit_code=code, trouble=trouble)


def _begun(store: Store, job_id: str) -> bool:
    try:
        with open(store.path(job_id, ".events.jsonl"), "rb") as file:
            return any(b'"event": "notifying"' in line for line in file)
    except FileNotFoundError:
        return False


def _note(store: Store, job_id: str, kind: str, **data: object) -> None:
    # A full disk, or a job deleted meanwhile, must not keep the command from running.
    with contextlib.suppress(StoreUnwritable):
        store.event(job_id, kind, **data)
