"""`diagnose`, `<id>.debug.json` and the pulse in the events: what was counted of real agents, no secret."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_agent import pulse, schema
from codex_agent.debug_file import SUFFIX
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.diagnosis_answers import Diagnosis
from codex_agent.diagnosis_text import table
from codex_agent.model import Facts
from codex_agent.outputs import Outputs
from codex_agent.rollouts.limits import last_limits
from codex_agent.store import Store
from codex_agent.verdict import seconds
from support import Cli, Home, until
from support.agents import agent
from support.interactive import wants
from support.jobs import begin, ended, record, working, write_record

FIXTURES = Path(__file__).parent / "fixtures"
KEY = "sk-test-0123456789abcdefghij"
SECRETS = {
    "MY_SERVICE_TOKEN": "hush-hush",
    "SOME_ADDRESS": f"https://me:hush-hush@host/?a={KEY}",
    "PLAIN_WORD": "seen",
}


@pytest.fixture
def quick(home: Home) -> None:
    """A heartbeat in 0.2 s, silence after 0.6."""
    home.env.update({"CODEX_AGENT_TEST_HEARTBEAT_S": "0.2", "CODEX_AGENT_TEST_SILENT_S": "0.6"})


def diagnosed(cli: Cli, job_id: str) -> dict[str, Any]:
    """What `diagnose --json` tells, held to its documented shape."""
    found = cli("diagnose", job_id, "--json").ok().json()
    schema.check(Diagnosis, found)
    assert isinstance(found, dict)
    return found


def written(home: Home, job_id: str) -> dict[str, Any]:
    """The job's debug.json, held to the same shape; only its owner may read it."""
    path = home.jobs / f"{job_id}{SUFFIX}"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = json.loads(path.read_text())
    schema.check(Diagnosis, found)
    assert isinstance(found, dict)
    return found


def events(home: Home, job_id: str, kind: str) -> list[dict[str, Any]]:
    lines = (home.jobs / f"{job_id}.events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def more_beats(home: Home, job_id: str) -> None:
    """Waits for six heartbeats more: twice as long as a silence lasts until somebody is warned."""
    before = len(events(home, job_id, "heartbeat"))
    until(lambda: len(events(home, job_id, "heartbeat")) >= before + 6, 20)


def no_secret(text: str) -> bool:
    return "hush" not in text and KEY not in text


# ---- an agent that runs a task ----


@pytest.mark.usefixtures("quick")
def test_a_job_from_its_beginning_to_its_end(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    home.env.update(SECRETS)
    first, second = model.gate("first"), model.gate("second")
    hold = Step.hold(first, Step.command("true"))
    model.on("%%work", hold, Step.hold(second, Step.message("Done.")))
    job_id = begin(cli, repo, "%%work", "--timeout", "90s")
    first.reached()
    until(lambda: events(home, job_id, "silent"), 10)
    more_beats(home, job_id)
    early = written(home, job_id)
    assert (early["status"], early["ended_at"], early["environment"]["PLAIN_WORD"]) == ("running", None, "seen")
    during = diagnosed(cli, job_id)
    assert during["silences"] and during["heartbeats"] > 5 and during["silent_ms"] >= 600
    assert during["status"] == "running" and during["exit_code"] is None
    before = len(events(home, job_id, "silent"))
    first.open()
    second.reached()
    until(lambda: len(events(home, job_id, "silent")) > before, 10, "another silence")
    second.open()
    ended(cli, job_id)
    since = [seconds(each["at"]) - each["last_activity_ms"] / 1000 for each in events(home, job_id, "silent")]
    assert all(late - early > 0.1 for early, late in itertools.pairwise(since)), "one warning for each silence"

    late, told = written(home, job_id), diagnosed(cli, job_id)
    facts = record(home, job_id).facts
    for found in (late, told):
        assert (found["status"], found["exit_code"], found["signal"], found["cause"]["reason"]) == (
            *("completed", 0, None),
            "none",
        )
        assert found["stdout_bytes"] == (home.jobs / f"{job_id}.jsonl").stat().st_size == facts.stdout_bytes
        assert found["stderr_bytes"] == (home.jobs / f"{job_id}.stderr").stat().st_size
        assert found["heartbeats"] == len(events(home, job_id, "heartbeat")) and found["silences"] == len(since)
        assert found["last_heartbeat_at"] == events(home, job_id, "heartbeat")[-1]["at"]
        assert found["timeout_s"] == 90 and found["last_activity_by"] in ("stream", "rollout")
        assert found["command"][1] == "exec" and found["versions"]["codex"] and found["versions"]["tmux"]
        environ = found["environment"]
        assert environ["MY_SERVICE_TOKEN"] == "[hidden]" and environ["PLAIN_WORD"] == "seen"
        assert environ["SOME_ADDRESS"] == "https://[hidden]@host/?a=[hidden]"
        assert environ["CODEX_AGENT_JOB_ID"] == job_id, "as Codex got it"
    (summary,) = events(home, job_id, "exited")
    assert (summary["stdout_bytes"], summary["stderr_bytes"], summary["turns"], summary["exit_code"]) == (
        *(late["stdout_bytes"], late["stderr_bytes"]),
        *(1, 0),
    )
    beats = events(home, job_id, "heartbeat")
    assert all(beat["elapsed_ms"] >= beat["n"] * 200 for beat in beats) and beats[-1]["state"] == "working"
    assert all(late["n"] > early["n"] for early, late in itertools.pairwise(beats))
    text = cli("diagnose", job_id).ok().out
    assert "Exit code" in text and "hidden" in text and no_secret(text + json.dumps([late, told]))
    assert "heartbeat" not in (home.jobs / f"{job_id}.log").read_text(), "never mixed into what the pane shows"
    assert f"heartbeat n={beats[-1]['n']}" in cli("output", job_id, "--events").ok().out

    cli("delete", job_id).ok()
    assert not (home.jobs / f"{job_id}{SUFFIX}").exists()


def test_a_refused_key_and_what_codex_says_of_it(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    body = {"error": {"message": f"Incorrect API key provided: {KEY}.", "code": "invalid_api_key"}}
    model.on("%%key", Step.http(400, body))
    job_id = begin(cli, repo, "%%key")
    assert ended(cli, job_id)["failure"]["reason"] == "auth"
    for found in (written(home, job_id), diagnosed(cli, job_id)):
        assert found["failure_reason"] == "auth" and found["cause"]["reason"] == "key_refused"
        assert found["cause"]["advice"] and "[hidden]" in found["codex_error"]
        assert no_secret(json.dumps(found)), found
    assert no_secret(cli("diagnose", job_id).ok().out)


def test_a_lost_supervisor_is_diagnosed_too(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Whoever settles the job writes the file again; what only the supervisor knew stays in it."""
    home.env.update(SECRETS)
    job_id = working(cli, model, repo, "%%lost")
    until(lambda: (home.jobs / f"{job_id}{SUFFIX}").exists(), 10)
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    ended(cli, job_id)
    until(lambda: events(home, job_id, "settled"), 10)
    found = written(home, job_id)
    assert (found["status"], found["settled_by"], found["exit_code"]) == ("interrupted", "guardian", None)
    assert found["environment"]["PLAIN_WORD"] == "seen" and found["versions"]["codex"] and found["ended_at"]
    assert diagnosed(cli, job_id)["environment"] == found["environment"]
    assert re.search(r"written by +guardian", cli("diagnose", job_id).ok().out)


def test_counts_go_on_when_a_job_is_begun_again(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%one", Step.message("One."))
    model.on("%%two", Step.message("Two."))
    job_id = begin(cli, repo, "%%one")
    ended(cli, job_id)
    before = diagnosed(cli, job_id)
    cli("send", job_id, "%%two").ok()
    ended(cli, job_id)
    after = diagnosed(cli, job_id)
    assert (before["runs"], after["runs"]) == (1, 2)
    for kind, suffix in (("stdout_bytes", ".jsonl"), ("stderr_bytes", ".stderr")):
        assert after[kind] > before[kind] and after[kind] == (home.jobs / f"{job_id}{suffix}").stat().st_size


# ---- an agent that stays ----


@pytest.mark.usefixtures("quick")
def test_nobody_is_warned_while_a_person_is_waited_for(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    def nobody_is_warned(state: str) -> None:
        one.until_state(state)
        before = events(home, one.id, "silent")
        more_beats(home, one.id)
        assert events(home, one.id, "heartbeat")[-1]["state"] == state
        assert events(home, one.id, "silent") == before, "a person was waited for"

    gate = model.gate("slow")
    model.on("%%ask", wants("true"), Step.message("Asked."))
    model.on("%%slow", Step.hold(gate, Step.message("At last.")))
    one = agent(home, cli, repo, "%%ask")
    nobody_is_warned("waiting_approval")
    during = diagnosed(cli, one.id)
    one("approve", "--json").ok()
    nobody_is_warned("idle")
    before = len(events(home, one.id, "silent"))
    assert during["last_activity_by"] in ("channel", "rollout") and during["stdout_bytes"] > 1000
    assert during["viewer_command"] and during["mode"] == "interactive"
    one("send", "%%slow", "--json").ok()
    until(lambda: len(events(home, one.id, "silent")) > before, 10, "a warning of an agent at work")
    gate.open()
    one.until_state("idle")
    one("exit", "--json").ok()
    found = written(home, one.id)
    assert (found["status"], found["stop_reason"]) == ("completed", "exit")
    assert found["silences"] == len(events(home, one.id, "silent"))
    assert found["stdout_bytes"] > during["stdout_bytes"]


@pytest.mark.usefixtures("quick")
def test_the_bare_tui(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Its output is the pane, so nobody counts it; the rest is as of any agent."""
    gate = model.gate("slow")
    model.on("%%slow", Step.hold(gate, Step.message("At last.")))
    one = agent(home, cli, repo, "%%slow", "--plain")
    until(lambda: events(home, one.id, "silent"), 20)
    gate.open()
    one.until_state("idle")
    found = diagnosed(cli, one.id)
    assert (found["driver"], found["stdout_bytes"], found["last_activity_by"]) == ("plain", None, "rollout")
    assert found["heartbeats"] and "not known" in cli("diagnose", one.id).ok().out


# ---- little to tell ----


def test_a_job_of_an_older_version(cli: Cli, home: Home) -> None:
    """It has neither a debug.json nor events; a damaged file is passed over in the same way."""
    where = Store(str(home.agent_home))
    write_record(where, "00c0ffee")
    for content in (None, "", "[]", '{"environment": 1}', '{"environment": {}, "versions": {"x": 1}}'):
        if content is not None:
            Path(where.path("00c0ffee", SUFFIX)).write_text(content)
        found = diagnosed(cli, "00c0ffee")
        assert (found["environment"], found["versions"]["codex_agent"], found["heartbeats"]) == (None, None, 0)
    assert "Environment: not known." in cli("diagnose", "00c0ffee").ok().out
    assert cli("diagnose", "nobody").rc == 3


@pytest.mark.usefixtures("quick")
def test_a_job_in_a_queue_and_a_file_that_cannot_be_written(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Nothing beats while it is queued. What stands in the file's way costs a warning, never the job."""
    model.on("%%first", Step.command("until [ -e go ]; do sleep 0.05; done"), Step.message("Gone."))
    model.on("%%second", Step.message("One."))
    first = begin(cli, repo, "%%first")
    job_id = begin(cli, repo, "%%second", "--after", first)
    more_beats(home, first)
    found = diagnosed(cli, job_id)
    assert (found["status"], found["environment"], found["heartbeats"]) == ("queued", None, 0)
    assert not events(home, job_id, "silent")
    (home.jobs / f"{job_id}{SUFFIX}").mkdir()
    (repo / "go").touch()
    job = ended(cli, job_id)
    assert job["status"] == "completed" and any(".debug.json" in text for text in job["warnings"])


def test_the_table_has_every_figure_of_the_seed(cli: Cli, home: Home) -> None:
    write_record(Store(str(home.agent_home)), "00c0ffee")
    found = cli("diagnose", "00c0ffee", "--json").ok().json()
    made = Diagnosis(**{**found, "cause": None, "versions": None, "tokens": None})
    assert [name for name, _ in table(made)] == [
        *("Exit code", "Exit signal", "Stdout bytes", "Stderr bytes", "Timeout", "Last activity", "Heartbeats"),
        *("Silences", "Duration", "Failure reason"),
    ]
    killed = dict(
        table(dataclasses.replace(made, signal=9, signal_name="SIGKILL", exit_code=None, timeout_s=300.0))
    )
    assert killed["Exit signal"] == "9 (SIGKILL)" and killed["Timeout"] == "5m00s" and killed["Exit code"] == "-"


def test_the_last_limits_that_say_something(tmp_path: Path) -> None:
    """Where Codex was told of limits, the rollout has them; most counts have none (API keys)."""
    source = next((FIXTURES / "rollouts" / "0.163.0" / "work").glob("*.jsonl"))
    lines = source.read_text().splitlines(keepends=True)
    path = tmp_path / "rollout.jsonl"
    path.write_text("".join(lines))
    assert last_limits(str(path)) is None
    counts = [number for number, line in enumerate(lines) if '"type":"token_count"' in line]
    assert len(counts) > 2
    for number, used in zip(counts, (50.0, 97.5), strict=False):
        primary = f'"primary":{{"used_percent":{used},"window_minutes":300,"resets_at":1795298467}}'
        lines[number] = lines[number].replace('"primary":null', primary)
    path.write_text("".join(lines))
    found = last_limits(str(path))
    assert found is not None and found["secondary"] is None
    assert found["primary"] == {"used_percent": 97.5, "window_minutes": 300, "resets_at": 1795298467}


# ---- when it beats ----


def beats(environ: dict[str, str], store: Store) -> tuple[pulse.Pulse, list[str], Callable[[float], float]]:
    store.prepare()
    told: list[str] = []
    facts = Facts()
    one = pulse.Pulse(
        facts, Outputs(store, "00c0ffee", told.append, pane=False), lambda kind, **_: told.append(kind), environ
    )
    began = one.due(1e12, at_work=True) - float(environ.get("CODEX_AGENT_TEST_HEARTBEAT_S", 30))
    return one, told, lambda seconds: began + seconds


def test_it_wakes_the_supervisor_no_oftener_than_every_30_seconds(store: Store) -> None:
    one, told, at = beats({}, store)
    assert one.due(at(0), at_work=True) == pytest.approx(at(30))
    one.on_time(at(29.9), at(0), at_work=True, state="working")
    assert told == []
    for after in (30, 60, 90):
        one.on_time(at(after + 0.01), at(0), at_work=True, state="working")
        assert one.due(at(0), at_work=True) == pytest.approx(at(after + 30))
    one.on_time(at(120.01), at(0), at_work=True, state="working")
    assert told == ["heartbeat"] * 3 + ["silent", "heartbeat"]
    one.on_time(at(140), at(0), at_work=True, state="working")
    assert one.due(at(0), at_work=True) == pytest.approx(at(150)), "no second warning of the same silence"


def test_a_machine_that_slept_makes_up_no_heartbeats(store: Store) -> None:
    one, told, at = beats({}, store)
    one.on_time(at(3601), at(3600), at_work=True, state="working")
    assert told == ["heartbeat"] and one.due(at(3600), at_work=True) == pytest.approx(at(3630))


def test_who_waits_for_a_person_is_not_silent(store: Store) -> None:
    one, told, at = beats({}, store)
    one.on_time(at(130), at(0), at_work=False, state="idle")
    assert told == ["heartbeat"] and one.due(at(0), at_work=False) == pytest.approx(at(150))
    one.on_time(at(151), at(140), at_work=True, state="working")
    assert told == ["heartbeat"] * 2
