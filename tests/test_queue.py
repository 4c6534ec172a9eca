"""Agents that wait for their turn: at a gate, after other jobs, until fewer work."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until
from support.jobs import begin, ended, record, see, user_texts, working
from support.processes import job_processes
from support.queueing import held, set_up

DONE = Step.message("Done.")


def queued(cli: Cli, job_id: str) -> dict[str, Any]:
    """The job, which is queued."""
    job = see(cli, job_id)
    assert job["status"] == "queued", job
    return job


def order(model: ModelServer, *markers: str) -> list[str]:
    """These markers in the order in which the model first heard of them."""
    texts = ["\n".join(user_texts(request)) for request in model.requests]
    first = {marker: next((n for n, text in enumerate(texts) if marker in text), -1) for marker in markers}
    assert -1 not in first.values(), first
    return sorted(markers, key=lambda marker: first[marker])


def ended_as(job: dict[str, Any]) -> tuple[str, str | None]:
    return job["status"], job["failure"]["reason"] if job["failure"] else None


# ---- gates ----


def test_a_gate_lets_them_in_one_by_one(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("first")
    model.on("%%one", Step.hold(gate, DONE))
    model.on("%%two", DONE)
    model.on("%%three", DONE)
    one = cli("start", "%%one", "-d", str(repo), "--gate", "gpu", "--json").ok().json()
    assert one["status"] == "running" and one["queue"] is None
    said = cli("start", "%%two", "-d", str(repo), "--gate", "gpu", "--name", "second").ok().out
    assert f"queued (gate gpu: 1 of 1 slot taken by job {one['id']}; place 1 of 1)" in said
    three = begin(cli, repo, "%%three", "--gate", "gpu")
    job = queued(cli, three)
    assert job["turn_state"] == "starting" and job["started_at"] is None and job["queued"] == 0
    place = {key: job["queue"][key] for key in ("kind", "name", "place", "of")}
    assert place == {"kind": "gate", "name": "gpu", "place": 2, "of": 2}
    assert job["turn_state_reason"] == job["queue"]["detail"]
    until(lambda: see(cli, "second")["queue"]["of"] == 2, 5, "the one that came after it")
    listed = cli("jobs").ok().out
    assert "queued 1/2" in listed and "queued 2/2" in listed
    assert "waits    gate gpu:" in cli("status", three).ok().out
    assert [one["id"] for one in cli("jobs", "--status", "queued", "--json").json()["jobs"]] == [
        three,
        see(cli, "second")["id"],
    ]
    assert not [one for one in model.requests if "%%two" in str(one)]
    gate.open()
    assert ended(cli, three)["status"] == "completed" and ended(cli, "second")["status"] == "completed"
    assert order(model, "%%three", "%%two", "%%one") == ["%%one", "%%two", "%%three"]
    assert see(cli, three)["queue"] is None
    waits = [
        each
        for each in cli("output", three, "--events", "--json").json()["events"]
        if each["event"] == "waits_for"
    ]
    assert [(each["what"], each["name"]) for each in waits] == [("gate", "gpu")]
    assert os.listdir(home.agent_home / "gates" / "gpu") == os.listdir(home.agent_home / "gates" / ".all") == []


def test_several_gates_and_more_slots(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    set_up(home, "[gates.gpu]\nslots = 2\n")
    gate = model.gate("all")
    model.on("%%job", Step.hold(gate, DONE))
    first = begin(cli, repo, "%%job 1", "--gate", "gpu", "--gate", "disk")
    assert see(cli, first)["status"] == "running" and record(home, first).request.gates == ["disk", "gpu"]
    second = begin(cli, repo, "%%job 2", "--gate", "gpu")
    assert see(cli, second)["status"] == "running"
    third = begin(cli, repo, "%%job 3", "--gate", "disk", "--gate", "gpu")
    assert queued(cli, third)["queue"]["name"] == "disk"
    cli("config", "set", "gates.gpu.slots", "3").ok()
    cli("config", "set", "gates.disk.slots", "2").ok()
    until(lambda: see(cli, third)["status"] == "running", 10, "the slots that were added")
    gate.open()
    assert {ended(cli, one)["status"] for one in (first, second, third)} == {"completed"}


def test_what_a_gate_demands(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    set_up(home, "[gates.lab]\ncommand = 'test -e unlocked'\n")
    model.on("%%lab", DONE)
    job = begin(cli, repo, "%%lab", "--gate", "lab")
    queue = queued(cli, job)["queue"]
    assert (queue["kind"], queue["name"]) == ("condition", "lab")
    assert queue["detail"] == "gate lab: its command says 1 (test -e unlocked)"
    (repo / "unlocked").touch()
    assert ended(cli, job)["status"] == "completed"
    # If all is as demanded, `start` returns with Codex at work.
    assert cli("start", "%%lab", "-d", str(repo), "--gate", "lab", "--json").ok().json()["status"] in (
        "running",
        "completed",
    )


def test_killed_in_the_line(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    with held(str(home.agent_home), "gpu"):
        first, second = (begin(cli, repo, f"%%never {n}", "--gate", "gpu") for n in (1, 2))
        until(lambda: queued(cli, second)["queue"]["place"] == 2, 5)
        killed = cli("kill", first, "--json").ok().json()
        assert ended_as(killed) == ("interrupted", "killed") and killed["queue"] is None
        until(lambda: queued(cli, second)["queue"]["place"] == 1, 5, "the place of the one that was killed")
        assert cli("delete", first).ok()
        assert cli("delete", second).rc == 4
        home.tmux("kill-session", "-t", f"=codex-agent-{second}")
        assert ended_as(ended(cli, second)) == ("interrupted", "closed")
        assert cli("send", second, "go on").rc == 4  # there is no thread to go on with
    assert model.requests == []


def test_a_supervisor_that_dies_in_the_line(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%next", DONE)
    with held(str(home.agent_home), "gpu"):
        first, second = begin(cli, repo, "%%never", "--gate", "gpu"), begin(cli, repo, "%%next", "--gate", "gpu")
        supervisor = record(home, first).facts.supervisor
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        job = ended(cli, first)
        assert ended_as(job) == ("interrupted", "interrupted") and "queued" in job["failure"]["message"]
        until(lambda: queued(cli, second)["queue"]["place"] == 1, 5)
    assert ended(cli, second)["status"] == "completed"


def test_the_next_begins_when_nothing_of_the_dead_is_left(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Supervisor and guardian are killed, and a command of the agent's would go on with the GPU."""
    model.on("%%next", Step.command("pgrep -f 'sleep 98[7]' > left; true"), DONE)
    # What has a session of its own does not end with Codex.
    model.on("%%work", Step.command("setsid sleep 987 > /dev/null 2>&1 & touch begun; sleep 986"), DONE)
    first = begin(cli, repo, "%%work", "--gate", "gpu", "-s", "danger-full-access")
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    second = begin(cli, repo, "%%next", "--gate", "gpu", "-s", "danger-full-access")
    queued(cli, second)
    for one in job_processes(str(home.agent_home)):
        if "guardian.py" in one.command and first in one.command:
            one.kill()
    assert ended(cli, second)["status"] == "completed"
    assert (repo / "left").read_text() == ""
    assert ended_as(see(cli, first)) == ("interrupted", "interrupted")


def test_time_outs_count_from_when_codex_runs(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%later", DONE)
    with held(str(home.agent_home), "gpu"):
        job = begin(cli, repo, "%%later", "--gate", "gpu", "--timeout", "4s", "--max-time", "5s")
        made = record(home, job).created_at
        began = time.monotonic()
        until(lambda: time.monotonic() > began + 6, 10)
        assert queued(cli, job)["created_at"] == made
    assert ended(cli, job)["status"] == "completed"


def test_messages_wait_with_it(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%first", DONE, Step.message("And this."))
    with held(str(home.agent_home), "gpu"):
        job = begin(cli, repo, "%%first", "--gate", "gpu")
        refused = cli("send", job, "now?", "--json")
        assert refused.rc == 4 and "is queued (gate gpu" in refused.json()["error"]["message"]
        assert cli("interrupt", job).rc == 4
        sent = cli("send", job, "and then", "--queue", "--json").ok().json()
        assert sent["delivery"] == "queued" and queued(cli, job)["queued"] == 1
    found = ended(cli, job)
    assert (found["status"], found["last_message"], found["queued"]) == ("completed", "And this.", 0)


def test_start_wait_goes_through_the_line(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%waits", DONE)
    with held(str(home.agent_home), "gpu"):
        starter = cli.start(
            "start", "%%waits", "--name", "waits", "-d", str(repo), "--gate", "gpu", "--wait", "--json"
        )
        until(lambda: cli("jobs", "--status", "queued", "--json").json()["jobs"], 20)
        watcher = cli.start("watch", "waits")
        shown = watcher.stdout
        assert shown is not None
        until(lambda: "queued: gate gpu: 1 of 1" in shown.readline(), 10, "what it waits for, to be seen")
        assert starter.poll() is None and watcher.poll() is None
    assert watcher.communicate(timeout=30) and watcher.returncode == 0
    out, _ = starter.communicate(timeout=30)
    assert starter.returncode == 0 and '"completed"' in out


def test_codex_is_gone_when_the_turn_comes(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    program = home.root / "codex"
    program.symlink_to(os.path.realpath(home.env.get("CODEX_AGENT_CODEX") or _codex(cli, repo)))
    with held(str(home.agent_home), "gpu"):
        words = ("start", "%%x", "-d", str(repo), "--gate", "gpu", "--json")
        job = cli(*words, env={"CODEX_AGENT_CODEX": str(program)}).ok().json()["id"]
        program.unlink()
    found = ended(cli, job)
    assert ended_as(found) == ("failed", "spawn_failed") and str(program) in found["failure"]["message"]
    with held(str(home.agent_home), "gpu"):
        pass  # and its slot is free


def _codex(cli: Cli, repo: Path) -> str:
    return str(cli("start", "x", "-d", str(repo), "--dry-run", "--json").ok().json()["codex_path"])


def test_begun_again_it_takes_its_place_again(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%twice", DONE, Step.message("Again."))
    job = begin(cli, repo, "%%twice", "--gate", "gpu", "--after", begin_done(cli, model, repo))
    assert ended(cli, job)["status"] == "completed"
    with held(str(home.agent_home), "gpu"):
        sent = cli("send", job, "go on", "--json").ok().json()
        assert sent["delivery"] == "queued"
        assert queued(cli, job)["queue"]["name"] == "gpu" and see(cli, job)["queued"] == 1
    found = ended(cli, job)
    assert (found["status"], found["last_message"]) == ("completed", "Again.")


def begin_done(cli: Cli, model: ModelServer, repo: Path) -> str:
    """A job that has completed."""
    model.on("%%before", DONE)
    job = begin(cli, repo, "%%before")
    assert ended(cli, job)["status"] == "completed"
    return job


@pytest.mark.parametrize("plain", [(), ("--plain",)], ids=["channel", "plain"])
def test_an_agent_that_stays_waits_too(
    cli: Cli, home: Home, model: ModelServer, repo: Path, plain: tuple[str, ...]
) -> None:
    model.on("%%stays", Step.message("Here."), Step.message("There."))
    with contextlib.ExitStack() as stack:
        stack.enter_context(held(str(home.agent_home), "gpu"))
        words = ("--interactive", "--idle-exit", "off", *plain, "--gate", "gpu")
        job = begin(cli, repo, "%%stays", *words)
        waits = cli.start("await-turn", job, "--json")
        assert queued(cli, job)["mode"] == "interactive" and cli("exit", job).rc == 4
        shown = until(lambda: home.tmux("capture-pane", "-p", "-t", f"=codex-agent-{job}:").stdout.strip(), 5)
        assert "queued: gate gpu" in shown
        assert cli("send", job, "and you?", "--queue").ok()
        assert waits.poll() is None
    out, _ = waits.communicate(timeout=60)
    assert waits.returncode == 0 and '"There."' in out
    assert see(cli, job)["turn_count"] == 2
    cli("exit", job).ok()
    assert os.listdir(home.agent_home / "gates" / "gpu") == []


def test_a_thread_that_is_gone_on_with_waits_too(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%before", DONE, Step.message("On it went."))
    before = begin(cli, repo, "%%before")
    ended(cli, before)
    with held(str(home.agent_home), "gpu"):
        job = cli("resume", before, "go on", "--gate", "gpu", "--json").ok().json()
        assert job["status"] == "queued" and job["turn_count"] == 0
    found = ended(cli, job["id"])
    assert (found["status"], found["last_message"], found["turn_count"]) == ("completed", "On it went.", 1)
    assert found["thread_id"] == see(cli, before)["thread_id"]


# ---- after other jobs ----


def test_after_a_job(cli: Cli, model: ModelServer, repo: Path) -> None:
    gate = model.gate("first")
    model.on("%%one", Step.hold(gate, DONE))
    model.on("%%two", DONE)
    one = begin(cli, repo, "%%one", "--name", "one")
    two = begin(cli, repo, "%%two", "--after", "one", "--after", begin_done(cli, model, repo))
    queue = queued(cli, two)["queue"]
    assert (queue["kind"], queue["name"], queue["detail"]) == ("after", one, f"after job {one}")
    third = begin(cli, repo, "%%two again", "--after-any", one, "--after", two)
    assert queued(cli, third)["queue"]["detail"] == f"after job {two} and 1 more"
    began = time.monotonic()
    gate.open()
    assert ended(cli, two)["status"] == ended(cli, third)["status"] == "completed"
    assert order(model, "%%two", "%%one") == ["%%one", "%%two"]
    assert time.monotonic() - began < 10


def test_after_a_job_that_does_not_complete(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%then", DONE)
    one = working(cli, model, repo, "%%one")
    two, any_end = begin(cli, repo, "%%then 1", "--after", one), begin(cli, repo, "%%then 2", "--after-any", one)
    behind = begin(cli, repo, "%%then 3", "--after", two)
    cli("kill", one).ok()
    found = ended(cli, two)
    assert ended_as(found) == ("failed", "dependency")
    assert f"Job {one}, which had to complete first, was interrupted (killed)." in found["failure"]["message"]
    assert ended_as(ended(cli, behind)) == ("failed", "dependency")
    assert ended(cli, any_end)["status"] == "completed"
    # What cannot come any more is refused at once, and leaves no job.
    before = len(list(home.jobs.glob("*.json")))
    refused = cli("start", "%%then", "-d", str(repo), "--after", one, "--json")
    assert refused.rc == 1 and refused.json()["error"]["code"] == "dependency"
    assert len(list(home.jobs.glob("*.json"))) == before
    assert cli("start", "%%then", "--after", "nosuch", "-d", str(repo)).rc == 3


def test_who_waits_for_a_job_keeps_its_place_and_holds_up_nobody(cli: Cli, model: ModelServer, repo: Path) -> None:
    first, second = model.gate("first"), model.gate("second")
    model.on("%%one", Step.hold(first, DONE))
    model.on("%%passes", Step.hold(second, DONE))
    model.on("%%rest", DONE)
    one = begin(cli, repo, "%%one")
    early = begin(cli, repo, "%%rest early", "--after", one, "--gate", "gpu")
    passes = begin(cli, repo, "%%passes", "--gate", "gpu")
    late = begin(cli, repo, "%%rest late", "--gate", "gpu")
    assert see(cli, passes)["status"] == "running"
    assert queued(cli, late)["queue"]["place"] == 1
    first.open()
    ended(cli, one)
    until(lambda: queued(cli, early)["queue"]["kind"] == "gate", 10, "its turn at the gate")
    until(lambda: queued(cli, late)["queue"]["place"] == 2, 10, "the earlier one before it")
    second.open()
    assert ended(cli, late)["status"] == "completed"
    assert order(model, "%%rest late", "%%rest early") == ["%%rest early", "%%rest late"]


# ---- how many at once ----


def test_no_more_than_so_many_at_once(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("all")
    model.on("%%job", Step.hold(gate, DONE))
    first = begin(cli, repo, "%%job 1")
    second = begin(cli, repo, "%%job 2", "--max-parallel", "1")
    queue = queued(cli, second)["queue"]
    assert (queue["kind"], queue["name"], queue["place"]) == ("parallel", None, 1)
    assert queue["detail"] == "1 agent at work, 1 may be; place 1 of 1"
    assert see(cli, begin(cli, repo, "%%job 3"))["status"] == "running"  # who asks for no cap has none
    env = {"CODEX_AGENT_QUEUE_MAX_PARALLEL": "1"}
    fourth = cli("start", "%%job 4", "-d", str(repo), "--json", env=env).ok().json()
    assert fourth["status"] == "queued"
    fifth = cli("start", "%%job 5", "-d", str(repo), "--json", "--max-parallel", "0", env=env).ok().json()
    assert fifth["status"] == "running"
    cli("kill", fourth["id"]).ok()
    gate.open()
    assert ended(cli, first)["status"] == ended(cli, second)["status"] == "completed"
