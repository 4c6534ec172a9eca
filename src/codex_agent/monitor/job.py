"""Owns the watching of one job of ours: what it waits for, and its end. Its record says both, exactly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from codex_agent import jobs, watching
from codex_agent.errors import EXIT_FAILED, EXIT_LIMIT, EXIT_NEEDS_YOU, EXIT_OK, CodexAgentError, JobNotFound
from codex_agent.model import TERMINAL, WAITING, Job, Waiting
from codex_agent.store import Store

from .signs import LIMITS
from .source import EVERYTHING, Place
from .told import Told, Who, one_line


class JobWatch:
    """One job. ``job`` is how it stood at the last look; ``gone`` says that its record was deleted."""

    def __init__(self, store: Store, job_id: str) -> None:
        self._store, self._id = store, job_id
        self._record = store.path(job_id, ".json")
        self._dirty = False
        self._asked: str | None = None
        self.gone = False
        self.job: Job = jobs.view(store, job_id)

    @property
    def ended(self) -> bool:
        return self.gone or self.job.status in TERMINAL

    def fired(self, what: str) -> None:
        self._dirty = self._dirty or what in ("job", EVERYTHING)

    def look(self) -> None:
        """Brings ``job`` up to date, if its record was written or its lock let go of."""
        if not self._dirty:
            return
        self._dirty = False
        try:
            self.job = jobs.view(self._store, self._id)
        except JobNotFound:
            self.gone = True
        except CodexAgentError:
            pass  # a record that cannot be read: what was known stands

    def approval(self, who: Who) -> Iterator[Told]:
        """What it waits for, told once each."""
        job = self.job
        if self.ended or job.turn_state not in WAITING:
            self._asked = None if self.ended or job.turn_state not in WAITING else self._asked
            return
        waiting = job.waiting_for
        key = f"{waiting.n}" if waiting is not None else str(job.turn_state)
        if key == self._asked:
            return
        self._asked = key
        data: dict[str, Any] = {
            "probable": False,
            "what": waiting.kind if waiting is not None else None,
            "command": waiting.command if waiting is not None else None,
            "n": waiting.n if waiting is not None else None,
            "evidence": [],
            "waiting": None if waiting is None else asdict(waiting),
        }
        at = waiting.asked_at if waiting is not None else None
        yield who.tells("approval", _asks(job, waiting), data, at=at, exit_code=EXIT_NEEDS_YOU)

    def end(self, who: Who) -> Told:
        """The end of the job."""
        job = self.job
        failure = job.failure
        code = EXIT_OK if job.status == "completed" else EXIT_FAILED
        if failure is not None and failure.reason in LIMITS:
            code = EXIT_LIMIT
        text = "the job was deleted" if self.gone else f"the job {job.status}"
        if job.status == "interrupted" and not self.gone:
            text = "the job was interrupted"
        if failure is not None:
            text += f": {one_line(failure.message)}"
        last = job.last_turn.status if job.last_turn is not None else None
        data = {
            "why": "job",
            "status": job.status,
            "turn": last,
            "error": failure.message if failure is not None else None,
            "reason": failure.reason if failure is not None else None,
        }
        return who.tells("end", text, data, at=job.completed_at, exit_code=code)

    def places(self) -> list[Place]:
        names = frozenset([os.path.basename(self._record)])
        return [
            Place(self._store.folder, watching.MOVED_TO | watching.DELETE, "job", names),
            Place(self._store.path(self._id, ".lock"), watching.CLOSE_WRITE, "job"),
        ]


def _asks(job: Job, waiting: Waiting | None) -> str:
    if waiting is None:
        return job.turn_state_reason or "it waits for somebody"
    if waiting.questions:
        return f"asks: {one_line(waiting.questions[0].text)} (codex-agent answer {job.id})"
    what = waiting.command or waiting.reason or " ".join(waiting.files) or waiting.kind
    return f"wants {waiting.kind}: {one_line(what, 100)} (codex-agent approve {job.id} {waiting.n})"
