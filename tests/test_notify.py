"""`--notify-on-complete`: run once when a job has ended, however it ended and whether or not anyone waits."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until
from support.jobs import begin, ended, record, see, working

VARIABLES = '"$CODEX_AGENT_JOB_ID" "$CODEX_AGENT_STATUS" "$CODEX_AGENT_ERROR" "$MINE"'
TELL = f"""sh -c 'printf "%s|%s|%s|%s" {VARIABLES} > t; mv t told'"""


def told(repo: Path) -> list[str]:
    until((repo / "told").exists, 20, "the notice")
    return (repo / "told").read_text().split("|")


def test_notice_of_a_job_that_completed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Run by the supervisor, whether or not anyone waits, where the caller was, with the caller's environment."""
    model.on("%%notify", Step.message("well"))
    home.env["MINE"] = "my own"
    job_id = begin(cli, repo, "%%notify", "--notify-on-complete", TELL)
    assert told(repo) == [job_id, "completed", "", "my own"]
    assert see(cli, job_id)["status"] == "completed", "the end is written before it is told"
    until(lambda: "notified" in cli("output", job_id, "--events").out, 10, "the event")


def test_notice_of_a_job_that_failed(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%notify", Step.failed("insufficient_quota", "no money"))
    job_id = begin(cli, repo, "%%notify", "--notify-on-complete", TELL)
    got = told(repo)
    assert got[:2] == [job_id, "failed"] and got[2] == see(cli, job_id)["failure"]["message"] != ""


def test_notice_of_a_job_that_was_killed(cli: Cli, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%notify", "--notify-on-complete", TELL)
    cli("kill", job_id).ok()
    assert told(repo)[:3] == [job_id, "interrupted", "The job was killed."]


def test_notice_of_a_job_whose_supervisor_was_killed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """The guardian gives it, once."""
    job_id = working(cli, model, repo, "%%notify", "--notify-on-complete", TELL)
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    assert told(repo)[:3] == [job_id, "interrupted", see(cli, job_id)["failure"]["message"]]
    events = until(lambda: "notified" in (text := cli("output", job_id, "--events").out) and text, 10, "the event")
    assert isinstance(events, str) and events.count(" notifying") == 1


def test_a_notice_that_cannot_be_given_changes_nothing(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%notify", Step.message("well"))
    job_id = begin(cli, repo, "%%notify", "--notify-on-complete", "/no/such/program now")
    assert ended(cli, job_id)["status"] == "completed"
    until(lambda: "cannot be run" in cli("output", job_id, "--events").out, 10, "the event that says so")


def test_the_command_of_the_settings(cli: Cli, model: ModelServer, repo: Path) -> None:
    """It is used where no flag is given. Either is run as words, not through a shell."""
    model.on("%%notify", Step.message("well"))
    cli("config", "set", "notify_on_complete", TELL).ok()
    job_id = begin(cli, repo, "%%notify")
    assert told(repo)[:2] == [job_id, "completed"]
    (repo / "told").unlink()
    other = begin(cli, repo, "%%notify", "--notify-on-complete", "touch $HOME;")
    until((repo / "$HOME;").exists, 20, "the words as they are")
    assert ended(cli, other)["status"] == "completed" and not (repo / "told").exists()
