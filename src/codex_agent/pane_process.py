"""Owns the supervisor's process: taken on by ``start``, it has one job run from the handshake to the end.

Says how that went to whoever waits for it, once. Must never decide what the end was; ``supervisor.py`` writes it.
"""

from __future__ import annotations

import os
from typing import Any

from codex_agent import handshake, kernel, quick
from codex_agent.errors import CodexAgentError
from codex_agent.gates import lines
from codex_agent.store import Store
from codex_agent.supervisor import Supervisor


def main(home: str, job_id: str, socket_path: str) -> int:
    """The supervisor process. Returns 0 when the job's end is written and nothing of it is left."""
    store = Store(home)
    try:
        connection, launch, (lock, *tickets) = handshake.call(socket_path)
    except (OSError, EOFError):
        return 0  # `start` is gone: there is nobody to work for, and nothing was begun
    record = store.load(job_id)
    facts = record.facts
    facts.supervisor = kernel.identify(os.getpid())
    facts.boot_id = kernel.boot_id()
    # tmux puts `socket,server pid,session` into the pane's environment.
    facts.tmux_socket = os.environ.get("TMUX", "").rsplit(",", 2)[0] or None
    line = lines.taken_over(home, {"job": job_id, "pid": os.getpid()}, launch.tickets, tickets)
    answered = False

    def answer(reply: dict[str, Any]) -> None:
        nonlocal answered
        if not answered:
            answered = True
            handshake.answer(connection, reply)

    supervisor: Supervisor | None = None
    runs = False
    try:
        supervisor = Supervisor(store, record, launch, lock, line)
        supervisor.come_up()
        if supervisor.let_in(lambda: answer({"ok": True})):
            supervisor.begin()
            runs = True
    except (CodexAgentError, OSError) as error:
        kernel.sweep(lambda: kernel.descendants(os.getpid()))
        told = _why_not(error)
        if supervisor is None or not answered:
            answer({"ok": False, **told})
            return 0
        code = "dependency" if told["code"] == "dependency" else "spawn_failed"
        supervisor.refused(code, " ".join(filter(None, (told["message"], told["hint"]))))
    answer({"ok": True})
    # Late: `start` has waited for what is above. And now, not when it is needed: the package may be replaced by
    # another version while the job runs.
    from codex_agent import linger, notify, settle, thread_reading  # noqa: F401

    quick.settle_in()
    if runs:
        supervisor.run()
    supervisor.finish()
    notify.run(store, record, launch.env)
    if facts.tmux_socket is not None:
        linger.while_watched(facts.tmux_socket, record.tmux_session)
    return 0


def _why_not(error: CodexAgentError | OSError) -> dict[str, Any]:
    """What is said of a Codex that could not be run."""
    if isinstance(error, CodexAgentError):
        return error.to_json()
    return {"code": "spawn_failed", "message": f"Codex could not be run: {error}", "hint": None}
