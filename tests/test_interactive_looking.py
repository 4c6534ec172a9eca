"""What can be seen of an agent that stays, from outside: capture, output, watch, attach, sessions, health."""

from __future__ import annotations

from pathlib import Path

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.interactive import QUESTIONS, asks, stay, told, wants
from support.jobs import see

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch\n"


def test_looking_at_it_while_it_lives_and_afterwards(
    cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex
) -> None:
    """The screen as it is rendered, and the conversation as it went."""
    model.on("%%first", Step.command("echo hello there"), Step.patch(PATCH), Step.message("First, *done*."))
    model.on("%%second", wants("true"), asks(("Which?", ["This", "That"])), Step.message("Second, done."))
    job_id = stay(cli, repo, "%%first", "--name", "talker", *QUESTIONS)
    watching = cli.start("watch", "talker", "--strip-ansi")
    told(cli, "await-turn", job_id)
    until(lambda: "First, done." in cli("capture", job_id, "40", "--clean").out, 15, "the answer in the TUI")
    lines = told(cli, "capture", job_id, "40")["lines"]
    assert any("First, " in line for line in lines) and "\x1b" not in cli("capture", job_id, "40", "--clean").out
    assert "%%first" in "\n".join(told(cli, "capture", job_id, "500")["lines"]), "the prompt has scrolled by"
    attach = told(cli, "attach", job_id)
    assert attach["tmux_session"] == f"codex-agent-{job_id}" and home.tmux_socket in attach["command"]
    row = told(cli, "sessions")["sessions"][0]
    assert (row["id"], row["status"], row["attached"]) == (job_id, "running", 0)

    told(cli, "send", job_id, "%%second", "--wait", rc=10, shape="send --wait")
    told(cli, "approve", job_id)
    told(cli, "await-turn", job_id, rc=10)
    told(cli, "answer", job_id, "2")
    assert told(cli, "await-turn", job_id)["files_modified"] == ["made.txt"]
    cli("exit", job_id).ok()

    seen, _ = watching.communicate(timeout=15)
    assert watching.returncode == 0
    for text in (seen, cli("output", job_id, "--clean").ok().out):
        for words in ("> %%first", "$ echo hello there", "hello there", "made.txt", "First, *done*.", "? Which?"):
            assert words in text, text
        assert text.index("First, *done*.") < text.index("%%second") < text.index("Second, done.")
        assert "\x1b" not in text and "thread/status" not in text
    said = told(cli, "output", job_id, "--transcript", shape="output --transcript")["entries"]
    assert [each["text"] for each in said if each["kind"] in ("user", "agent")] == [
        *("%%first", "First, *done*.", "%%second", "Second, done."),
    ]
    assert "echo hello there" in [each["command"] for each in said if each["kind"] == "command"]
    assert cli("output", job_id, "--result").ok().out == "Second, done.\n"
    assert cli("output", job_id, "--prompt").ok().out.startswith("%%first")
    assert "Second, done." in cli("capture", job_id, "20", "--clean").ok().out, "after the end, too"
    assert cli("attach", job_id).rc == 4 and see(cli, job_id)["status"] == "completed"
    kinds = [each["event"] for each in told(cli, "output", job_id, "--events", shape="output --events")["events"]]
    for before, after in (
        ("started", "asked"),
        ("asked", "answered"),
        ("answered", "exited"),
        ("exited", "ended"),
    ):
        assert kinds.index(before) < kinds.index(after)
