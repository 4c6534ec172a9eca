"""Owns ``--commit``: the supervisor commits what its agent has changed, when a turn or the job ends.

Loaded by every supervisor, so git comes late. A commit that fails costs a warning; the changes stay where
they are. Must never commit in a tree that is not the job's own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from codex_agent.drivers.base import Host
from codex_agent.errors import CodexAgentError
from codex_agent.model import Record

_SUBJECT_CHARS = 72
_BODY_CHARS = 20_000
# Somebody else's git may hold the index for a moment.
_TRIES, _PAUSE_S = 5, 0.1


class Committer:
    """What commits for one running job, if that was asked for."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._facts = host.facts
        self._done = self._turn()

    def at_turn_end(self) -> None:
        """Commits if a turn has ended since the last time; called before anybody hears of that end."""
        turn = self._turn()
        if self._facts.turn.state in ("completed", "failed", "aborted") and turn != self._done:
            self._done = turn
            self.commit()

    def _turn(self) -> tuple[object, ...]:
        return (self._facts.runs, self._facts.turn.count, self._facts.turn.ended_at)

    def commit(self) -> None:
        """Commits whatever is changed now. git may take a moment; meanwhile the supervisor does nothing else."""
        host = self._host
        tree = host.record.request.worktree
        if tree is None or not host.record.request.commit:
            return
        made, left, trouble = _commit(tree.path, message(host.record), host.launch.env)
        if trouble is not None:
            host.warn(f"The work could not be committed, and is in {tree.path}: {trouble}")
        if left:
            host.warn(f"Not committed, since they are repositories of their own: {', '.join(left)}.")
        if made is not None:
            self._facts.committed.append(made)
            host.note("committed", commit=made)


def _commit(top: str, text: str, environ: Mapping[str, str]) -> tuple[str | None, list[str], str | None]:
    from codex_agent.git import writing

    for left_tries in reversed(range(_TRIES)):
        try:
            return *writing.commit_all(top, text, environ), None
        except (CodexAgentError, OSError) as error:
            if not left_tries or "index.lock" not in str(error):
                return None, [], str(error)
            time.sleep(_PAUSE_S)
    raise AssertionError


def message(record: Record) -> str:
    """A commit's message: what the agent said last, and whose work it is."""
    said = (record.facts.last_message or "").strip()
    first = next((line.strip().lstrip("#").strip(" *") for line in said.splitlines() if line.strip(" #*")), "")
    subject = (
        first or f"{record.name or record.request.prompt_head}".strip().partition("\n")[0] or "Work of an agent"
    )
    if len(subject) > _SUBJECT_CHARS:
        subject = subject[: _SUBJECT_CHARS - 3].rstrip() + "..."
    body = said[:_BODY_CHARS]
    if body.partition("\n")[0].strip() == subject:
        body = body.partition("\n")[2].strip()
    trailers = [f"Codex-Agent-Job: {record.id}"]
    if record.facts.thread_id is not None:
        trailers.append(f"Codex-Thread: {record.facts.thread_id}")
    return "\n\n".join(filter(None, (subject, body, "\n".join(trailers)))) + "\n"
