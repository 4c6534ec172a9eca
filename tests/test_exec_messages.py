"""Messages to an agent that does its task and ends: what is refused, what follows a run, what comes after."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import Gate, ModelServer, Step
from support import Cli, Codex, Home, until
from support.interactive import callers, refused, told
from support.jobs import begin, ended, record, see, user_texts, working


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """A folder not below /tmp, which Codex's workspace-write leaves open."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-test-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture
def gate(model: ModelServer) -> Gate:
    """Holds the run of whoever is told `%%first`; then `%%one` and `%%two` can follow."""
    gate = model.gate("first")
    model.on("%%first", Step.hold(gate, Step.message("First.")))
    model.on("%%one", Step.message("One."))
    model.on("%%two", Step.message("Two."))
    return gate


def test_a_run_takes_no_message(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """Exit 4, and the way out is named; nor is there anything to cut off, to approve or to leave."""
    job_id = begin(cli, repo, "%%first")
    gate.reached()
    for words in ((), ("--interrupt",), ("--wait",)):
        assert "--queue" in refused(cli, "send", job_id, "%%one", *words)
    assert "kill" in refused(cli, "interrupt", job_id) and "wait" in refused(cli, "exit", job_id)
    assert "never asks" in refused(cli, "approve", job_id) and "never asks" in refused(cli, "answer", job_id, "1")
    assert see(cli, job_id)["queued"] == 0
    gate.open()
    job = ended(cli, job_id)
    assert job["status"] == "completed" and job["turn_count"] == 1 and not model.requests_for("%%one")
    assert "ended" in refused(cli, "interrupt", job_id) and "ended" in refused(cli, "exit", job_id)


def test_queue(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate, each_codex: Codex) -> None:
    """What is queued follows when the run ends, one run each, in order, in the same thread; then the job ends."""
    job_id = begin(cli, repo, "%%first")
    gate.reached()
    for word in ("one", "two"):
        sent = told(cli, "send", job_id, f"%%{word}", "--queue")
        assert (sent["delivery"], sent["turn_id"], sent["reopened"]) == ("queued", None, False)
    text = cli("send", job_id, "%%two", "--queue").ok()
    assert text.out.startswith(f"{job_id}  queued for the end of the running turn\n")
    assert see(cli, job_id)["queued"] == 3
    waiting = cli.start("await-turn", job_id)
    until(lambda: callers(job_id) == 1, 10, "await-turn on the line")
    gate.open()
    job = ended(cli, job_id)
    assert waiting.communicate(timeout=10)[0] == "Two.\n" and waiting.returncode == 0
    assert (job["status"], job["last_message"], job["turn_count"], job["queued"]) == ("completed", "Two.", 4, 0)
    assert cli("output", job_id, "--result").ok().out == "Two.\n"
    texts = user_texts(model.requests_for("%%two")[-1])
    assert [text for text in texts if text.startswith("%%")] == ["%%first", "%%one", "%%two", "%%two"]
    asked = {
        request["prompt_cache_key"]
        for marker in ("%%first", "%%one", "%%two")
        for request in model.requests_for(marker)
    }
    assert len(asked) == 1, "one thread"
    said = told(cli, "output", job_id, "--transcript", shape="output --transcript")
    assert [each["text"] for each in said["entries"] if each["kind"] in ("user", "agent")] == [
        *("%%first", "First.", "%%one", "One.", "%%two", "Two.", "%%two", "Two."),
    ]
    events = told(cli, "output", job_id, "--events", shape="output --events")["events"]
    sent_turns = [event["turn_id"] for event in events if event["event"] == "sent"]
    assert len(set(sent_turns)) == 3 and None not in sent_turns and job["last_turn"]["id"] == sent_turns[-1]


@pytest.mark.parametrize("later", [False, True], ids=["queued", "after the end"])
def test_sandbox_and_folder_stay(
    later: bool,
    cli: Cli,
    home: Home,
    model: ModelServer,
    repo: Path,
    gate: Gate,
    elsewhere: Path,
    each_codex: Codex,
) -> None:
    """`codex exec resume` restores neither by itself. Seen by what a command can write, and where."""
    model.on("%%where", Step.command(f"pwd > where; touch {elsewhere}/outside"), Step.message("There."))
    (repo / "sub").mkdir()
    job_id = begin(cli, repo / "sub", "%%first", "-m", "gpt-5.4-mini", "-r", "low")
    gate.reached()
    if later:
        gate.open()
        ended(cli, job_id)
        told(cli, "send", job_id, "%%where")
    else:
        told(cli, "send", job_id, "%%where", "--queue")
        gate.open()
    job = ended(cli, job_id)
    assert (job["status"], job["last_message"]) == ("completed", "There.")
    assert (repo / "sub" / "where").read_text().strip() == str(repo / "sub") and not (
        elsewhere / "outside"
    ).exists()
    for request in model.requests_for("%%where"):
        assert (request["model"], request["reasoning"]["effort"]) == ("gpt-5.4-mini", "low")


def test_one_that_ended_goes_on(
    cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate, each_codex: Codex
) -> None:
    """Under the same id and in the same thread; `--no-resume` refuses that."""
    gate.open()
    job_id = begin(cli, repo, "%%first", "--name", "worker")
    before = ended(cli, job_id)
    assert "--no-resume" in refused(cli, "send", "worker", "%%one", "--no-resume")
    assert "--no-resume" in refused(cli, "send", "worker", "%%one", "--no-resume", "--queue")
    second = model.gate("second")
    model.on("%%held", Step.hold(second, Step.message("Held.")))
    sent = told(cli, "send", "worker", "%%held")
    assert sent["id"] == job_id and sent["reopened"] and sent["delivery"] == "turn" and sent["turn_id"]
    second.reached()
    job = see(cli, job_id)
    assert (job["status"], job["turn_state"], job["completed_at"], job["exit_code"]) == (
        *("running", "working", None, None),
    )
    assert job["last_turn"]["id"] == before["last_turn"]["id"] and job["current_turn"]["id"] == sent["turn_id"]
    assert "--queue" in refused(cli, "send", "worker", "%%two")
    second.open()
    report = told(cli, "await-turn", job_id)
    assert report["message"] == "Held." and report["turn_id"] == sent["turn_id"]
    after = ended(cli, job_id)
    assert (after["status"], after["turn_count"], after["thread_id"]) == ("completed", 2, before["thread_id"])
    assert after["created_at"] == before["created_at"] and after["rollout"] == before["rollout"]
    report = told(cli, "send", "worker", "%%one", "--wait", shape="send --wait")
    assert report["message"] == "One." and report["status"] in ("running", "completed")
    assert record(home, job_id).facts.runs == 3


def test_what_waits_survives_a_kill(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """It is kept with the ended job, and said first when the next message begins it again."""
    job_id = begin(cli, repo, "%%first")
    gate.reached()
    told(cli, "send", job_id, "%%one", "--queue")
    cli("kill", job_id).ok()
    job = see(cli, job_id)
    assert job["status"] == "interrupted" and job["queued"] == 1 and not model.requests_for("%%one")
    report = told(cli, "send", job_id, "%%two", "--wait", shape="send --wait")
    assert report["message"] == "Two."
    job = ended(cli, job_id)
    assert (job["status"], job["queued"]) == ("completed", 0)
    said = [text for text in user_texts(model.requests_for("%%two")[-1]) if text.startswith("%%")]
    assert said == ["%%first", "%%one", "%%two"]


def test_what_waits_survives_the_supervisor(
    cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate
) -> None:
    job_id = begin(cli, repo, "%%first")
    gate.reached()
    told(cli, "send", job_id, "%%one", "--queue")
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    assert ended(cli, job_id)["status"] == "interrupted"
    told(cli, "send", job_id, "%%two")
    assert ended(cli, job_id)["status"] == "completed"
    said = [text for text in user_texts(model.requests_for("%%two")[-1]) if text.startswith("%%")]
    assert said == ["%%first", "%%one", "%%two"]


def test_a_failed_run_and_what_waits(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """What follows is said all the same, and the job is what its last run was."""
    fails = model.gate("fails")
    model.on("%%bad", Step.hold(fails, Step.failed("insufficient_quota")))
    job_id = begin(cli, repo, "%%bad")
    fails.reached()
    told(cli, "send", job_id, "%%one", "--queue")
    fails.open()
    job = ended(cli, job_id)
    assert (job["status"], job["last_message"], job["failure"]) == ("completed", "One.", None)


def test_await_turn_of_an_exec_job(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """It sleeps until the run has ended; of one that ended it tells at once, with the same exit code."""
    model.on("%%bad", Step.failed("insufficient_quota"))
    job_id = begin(cli, repo, "%%first")
    gate.reached()
    assert told(cli, "await-turn", job_id, "--timeout", "0.1", rc=124)["turn_state"] == "working"
    waiting = cli.start("await-turn", job_id, "--json")
    until(lambda: callers(job_id) >= 1, 10, "await-turn on the line")
    gate.open()
    assert waiting.wait(10) == 0
    ended(cli, job_id)
    report = told(cli, "await-turn", job_id)
    assert (report["status"], report["turn_status"], report["message"]) == ("completed", "completed", "First.")
    assert cli("await-turn", job_id).out == "First.\n"
    bad = begin(cli, repo, "%%bad")
    report = told(cli, "await-turn", bad, rc=11)
    assert report["turn_status"] == "failed" and "quota" in str(report["error"]).lower()
    killed = working(cli, model, repo, "%%killed")
    cli("kill", killed).ok()
    assert told(cli, "await-turn", killed, rc=1)["turn_status"] == "interrupted"


def test_a_thread_that_is_not_there(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """Nothing to go on with is an error, and leaves the job and what waits as they were."""
    gate.open()
    job_id = begin(cli, repo, "%%first")
    ended(cli, job_id)
    before = (home.jobs / f"{job_id}.json").read_bytes()
    (repo.parent / "moved").mkdir()
    repo.rename(repo.parent / "moved" / "repo")
    assert "folder" in refused(cli, "send", job_id, "%%one")
    assert (home.jobs / f"{job_id}.json").read_bytes() == before
    (repo.parent / "moved" / "repo").rename(repo)
    told(cli, "send", job_id, "%%two", "--wait", shape="send --wait")
    assert not model.requests_for("%%one")
