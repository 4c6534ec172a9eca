"""Parts of an interactive agent stand still, or its files are odd: no command hangs, nothing is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent, agent, heard
from support.disks import fill, small_disk
from support.interactive import callers, wants
from support.jobs import begin, ended

__all__ = ["small_disk"]  # a fixture


def idle(cli: Cli, home: Home, model: ModelServer, repo: Path, *more: str) -> Agent:
    model.on("%%idle", Step.message("Ready."))
    one = agent(home, cli, repo, "%%idle", *more)
    assert one.answers() == "Ready."
    return one


# ---- stopped ----


def test_the_app_server_stopped(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It answers nobody: every command comes back and says so, and kill still works."""
    model.on("%%ask", wants("true"), Step.message("Asked."))
    one = agent(home, cli, repo, "%%ask")
    one.until_state("waiting_approval")
    one.signal("codex", signal.SIGSTOP)
    calls = [("send", "one"), ("send", "two"), ("approve",), ("interrupt",), ("send", "three", "--interrupt")]
    begun = time.monotonic()
    running = [cli.start(verb, one.id, *words, "--json") for verb, *words in calls]
    for words, process in zip(calls, running, strict=True):
        out, err = process.communicate(timeout=45)
        assert process.returncode == 1 and "did not" in json.loads(out)["error"]["message"], (words, out, err)
    assert time.monotonic() - begun < 45, "the supervisor says so, before the commands give it up"
    assert one("status", "--json").ok().json()["turn_state"] == "waiting_approval"
    assert one("kill", "--json").ok().json()["failure"]["reason"] == "killed"
    assert not one.of_codex()


def test_an_app_server_that_goes_on_again(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """What it was told meanwhile it hears then, once."""
    one = idle(cli, home, model, repo)
    model.on("%%late", Step.message("Sorry, I slept."))
    one.signal("codex", signal.SIGSTOP)
    sender = cli.start("send", one.id, "%%late", "--json")
    until(lambda: callers(one.id), 10, "the message on its way")
    assert sender.poll() is None
    one.signal("codex", signal.SIGCONT)
    assert sender.wait(20) == 0 and one.answers() == "Sorry, I slept."
    assert heard(model, ["%%late"]) == ["%%late"]


def test_the_supervisor_stopped(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("never")
    model.on("%%held", Step.hold(gate))
    one = agent(home, cli, repo, "%%held")
    gate.reached()
    one.signal("supervisor", signal.SIGSTOP)
    begun = time.monotonic()
    code, report = one.turn(1)
    assert code == 124 and report["turn_state"] == "working" and time.monotonic() - begun < 6
    assert one("status", "--json").ok().json()["status"] == "running"
    assert one("kill", "--json").ok().json()["status"] == "interrupted"
    one.nothing_left()


# ---- files that are not as they should be ----


def test_no_control_socket(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """As with a job of an older codex-agent: it can be seen and ended, and that it hears nothing is said."""
    gate = model.gate("older")
    model.on("%%older", Step.hold(gate))
    job_id = begin(cli, repo, "%%older")
    gate.reached()
    (home.jobs / f"{job_id}.sock").unlink()
    answer = cli("send", job_id, "--queue", "hello", "--json")
    assert answer.rc == 4 and "does not answer" in answer.json()["error"]["message"], str(answer)
    assert answer.seconds < 30
    assert cli("kill", job_id, "--json").ok().json()["failure"]["reason"] == "killed"


@pytest.mark.parametrize("rubbish", ["[{", '{"a": 1}', '[{"id": 3}]', "null"])
def test_a_queue_that_cannot_be_read(rubbish: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It is said by name and left as it is; the agent goes on, also past the end of its turn."""
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate, Step.message("Held.")))
    one = agent(home, cli, repo, "%%held")
    gate.reached()
    assert one.send("waits", "--queue")["delivery"] == "queued"
    queue = one.file(".queue")
    queue.write_text(rubbish)
    refused = one("send", "--queue", "waits too", "--json")
    assert refused.rc == 1 and refused.json()["error"]["code"] == "record_unreadable"
    gate.open()
    assert one.answers() == "Held." and one.job.turn_state == "idle"
    assert any(".queue" in text for text in one.job.warnings), one.job.warnings
    model.on("%%next", Step.message("Next."))
    assert one.send("%%next")["delivery"] == "turn" and one.answers() == "Next."
    assert one("exit", "--json").ok().json()["status"] == "completed"
    assert queue.read_text() == rubbish
    reopening = one("send", "again", "--json")
    assert reopening.rc == 1 and str(queue) in reopening.json()["error"]["message"]
    assert queue.read_text() == rubbish and one.job.status == "completed"
    queue.unlink()
    model.on("%%mended", Step.message("Mended."))
    assert one.send("%%mended")["reopened"] and one.answers() == "Mended."


@pytest.mark.parametrize("queue", [True, False])
def test_disk_full(queue: bool, cli: Cli, home: Home, model: ModelServer, repo: Path, small_disk: Path) -> None:
    """What cannot be kept is refused; what was taken before is said once there is room or none is needed."""
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate, Step.message("Held.")))
    model.on("%%kept", Step.message("Kept."))
    one = agent(home, cli, repo, "%%held")
    gate.reached()
    assert one.send("%%kept", "--queue")["delivery"] == "queued"
    hog = fill(small_disk)
    if queue:
        answer = one("send", "--queue", "%%lost", "--json")
        assert answer.rc == 1 and answer.json()["error"]["code"] == "store_unwritable", str(answer)
    gate.open()
    hog.unlink()
    assert one.answers() == "Kept."
    assert heard(model, ["%%kept", "%%lost"]) == ["%%kept"]
    assert ended(cli, one("exit", "--json").ok().json()["id"])["status"] == "completed"


# ---- places ----


def test_a_jobs_folder_with_a_long_path(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    place = home.root / ("d" * 90) / ("e" * 90)
    place.mkdir(parents=True)
    home.env["CODEX_AGENT_HOME"] = str(place)
    far = Home(home.root, home.path, home.codex_home, place, home.tmux_socket, home.env)
    assert len(str(far.jobs)) > 200
    one = Agent(far, cli, idle(cli, far, model, repo).id)
    model.on("%%ask", wants("true"), Step.message("Asked."))
    one.send("%%ask")
    assert one.turn()[0] == 10
    one("approve").ok()
    assert one.answers() == "Asked."
    one.shown("Asked.")
    assert one("exit", "--json").ok().json()["status"] == "completed"
    model.on("%%more", Step.message("More."))
    assert one.send("%%more")["reopened"] and one.answers() == "More."
    one("kill").ok()


@pytest.mark.parametrize("wish", ["a folder never trusted", "a newer model"])
def test_what_would_ask_at_the_start(
    wish: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """The TUI comes up with the conversation, and the user's configuration is as it was, byte for byte."""
    if wish == "a newer model":
        home.use_model(model.base_url, model="gpt-5.5" if each_codex.label == "newest" else "gpt-5.1-codex")
    config = home.codex_home / "config.toml"
    if each_codex.label == "newest":
        # Its TUI notes this once in every home, and no override keeps it from that (0.163.0, 0.169.0).
        with config.open("a") as file:
            file.write("\n[tui]\nscreen_reader_detection_done = true\n")
    assert str(repo) not in config.read_text(), "the test wants a folder without a word on it"
    before = config.read_bytes()
    one = idle(cli, home, model, repo)
    one.shown("Ready.")
    one.type("-l", "%%typed")
    one.shown("%%typed")
    model.on("%%typed", Step.message("Typed."))
    one.type("Enter")
    one.shown("Typed.")
    assert one.job.turn_count == 2
    assert one("exit", "--json").ok().json()["status"] == "completed"
    assert config.read_bytes() == before
    assert sorted(os.listdir(repo)) == [".git", "README.md"]
