"""A pane whose job ends while somebody looks at it stays; one that nobody looks at closes."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until


def attached(home: Home, job_id: str) -> str:
    return home.tmux(
        "display-message", "-p", "-t", f"=codex-agent-{job_id}:", "#{session_attached}"
    ).stdout.strip()


def test_a_watched_pane_stays_until_enter(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("watched")
    model.on("%%watched", Step.hold(gate, Step.message("read me")))
    job_id = cli("start", "%%watched", "-d", str(repo), "--json").ok().json()["id"]
    command = cli("attach", job_id, "--json").ok().json()["command"]
    ours, theirs = pty.openpty()
    client = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=home.env)
    os.close(theirs)
    try:
        until(lambda: attached(home, job_id) == "1", 10, "the client is attached")
        gate.open()
        assert cli("wait", job_id).rc == 0, "the job has ended, whoever looks"
        shown = until(
            lambda: (
                "Press Enter" in (text := home.tmux("capture-pane", "-p", "-t", f"=codex-agent-{job_id}:").stdout)
                and text
            ),
            10,
            "the offer to close",
        )
        assert "read me" in str(shown)
        assert client.poll() is None
        os.write(ours, b"\r")
        until(lambda: client.poll() is not None, 10, "the pane is closed")
    finally:
        client.kill()
        client.wait()
        os.close(ours)
    until(lambda: job_id not in home.tmux("ls").stdout, 10, "the session is gone")


def test_an_unwatched_pane_closes(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%unwatched", Step.message("done"))
    job_id = cli("start", "%%unwatched", "-d", str(repo), "--wait", "--json").ok().json()["id"]
    until(lambda: job_id not in home.tmux("ls").stdout, 10, "the session is gone")
