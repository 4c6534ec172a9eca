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


def test_who_came_from_another_session_goes_back_to_it(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Inside the same tmux, attaching switches the client; the end of the session must not be the client's end."""
    gate = model.gate("switched")
    model.on("%%switched", Step.hold(gate, Step.message("done")))
    home.tmux("new-session", "-d", "-s", "mine", "sleep 600")
    job_id = cli("start", "%%switched", "-d", str(repo), "--json").ok().json()["id"]
    command = cli("attach", job_id, "--json", env={"TMUX": f"{home.tmux_socket},1,0"}).ok().json()["command"]
    assert command[:2] == ["tmux", "switch-client"]
    ours, theirs = pty.openpty()
    words = ["tmux", "-S", home.tmux_socket, "attach-session", "-t", "=mine"]
    client = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=home.env)
    os.close(theirs)

    def looks_at() -> str:
        return home.tmux("list-clients", "-F", "#{client_session}").stdout.strip()

    try:
        until(lambda: looks_at() == "mine", 10, "the client is in its own session")
        name = home.tmux("list-clients", "-F", "#{client_name}").stdout.strip()
        assert home.tmux("switch-client", "-c", name, *command[2:]).returncode == 0
        until(lambda: looks_at() == f"codex-agent-{job_id}", 10, "the client looks at the job")
        gate.open()
        pane = f"=codex-agent-{job_id}:"
        until(lambda: "Press Enter" in home.tmux("capture-pane", "-p", "-t", pane).stdout, 10, "the offer")
        os.write(ours, b"\r")
        until(lambda: job_id not in home.tmux("ls").stdout, 10, "the session is gone")
        assert looks_at() == "mine" and client.poll() is None
    finally:
        client.kill()
        client.wait()
        os.close(ours)
        home.tmux("kill-server")
