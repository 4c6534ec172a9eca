"""A person who is attached with tmux, and a script, at the same agent at the same time."""

from __future__ import annotations

import time
from pathlib import Path

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.interactive import heard, stay, told, wants
from support.jobs import begin, ended, record, see
from support.person import Person


def test_a_person_and_a_script_talk_to_the_same_agent(
    cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex
) -> None:
    """What one of them says or answers the other sees; leaving changes nothing for the agent."""
    mark, other = home.root / "mark", home.root / "other"
    gate = model.gate("held")
    model.on("%%start", Step.message("Ready when you are."))
    model.on("%%typed", Step.message("You typed that."))
    model.on("%%sent", Step.message("A script sent that."))
    model.on("%%mine", wants(f"touch {mark}"), Step.message("The person let me."))
    model.on("%%yours", wants(f"touch {other}"), Step.message("The script let me."))
    model.on("%%long", Step.hold(gate, Step.message("never")))
    job_id = stay(cli, repo, "%%start")
    told(cli, "await-turn", job_id)
    with Person(cli, home, job_id) as person:
        person.sees("Ready when you are.")
        person.sits_down()

        person.says("%%typed hello")
        until(lambda: see(cli, job_id)["turn_count"] == 2, 10, "the turn that a person began")
        assert told(cli, "await-turn", job_id)["message"] == "You typed that."
        assert heard(model, "%%typed")[0][-1] == "%%typed hello"

        told(cli, "send", job_id, "%%sent from outside")
        person.sees("%%sent from outside")
        person.sees("A script sent that.")

        report = told(cli, "send", job_id, "%%mine", "--wait", rc=10, shape="send --wait")
        assert report["waiting_for"][0]["n"] == 1
        person.sees("Would you like to run")
        waiting = cli.start("await-turn", job_id)  # tells of the same approval, at once
        assert waiting.wait(10) == 10
        person.types("y")
        until(mark.exists, 10, "what the person approved")
        assert told(cli, "await-turn", job_id)["message"] == "The person let me."

        told(cli, "send", job_id, "%%yours", "--wait", rc=10, shape="send --wait")
        person.sees("Would you like to run")
        told(cli, "approve", job_id)
        person.sees_no_more("Would you like to run")
        person.sees("The script let me.")
        assert other.exists()

        sent = told(cli, "send", job_id, "%%long")
        gate.reached()
        person.sees("esc to interrupt")
        person.types("\x1b")
        report = told(cli, "await-turn", job_id, rc=1)
        assert (report["turn_id"], report["turn_status"]) == (sent["turn_id"], "interrupted")

        person.leaves()
        assert person.clients() == 0
    assert told(cli, "send", job_id, "%%sent again", "--wait", shape="send --wait")["turn_state"] == "idle"
    events = told(cli, "output", job_id, "--events", shape="output --events")["events"]
    assert [event["by"] for event in events if event["event"] == "answered"] == ["pane", "command"]
    entries = told(cli, "output", job_id, "--transcript", shape="output --transcript")["entries"]
    assert [entry["text"] for entry in entries if entry["kind"] == "user"] == [
        *("%%start", "%%typed hello", "%%sent from outside", "%%mine", "%%yours", "%%long", "%%sent again"),
    ]


def test_the_idle_clock_stands_still_while_somebody_looks(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """And begins anew when they have gone."""
    gate = model.gate("held")
    model.on("%%idle", Step.hold(gate, Step.message("Look at me.")))
    job_id = begin(cli, repo, "%%idle", "--interactive", "--idle-exit", "1")
    with Person(cli, home, job_id) as person:
        gate.open()
        told(cli, "await-turn", job_id)
        assert cli("wait", job_id, "--timeout", "2.5").rc == 124 and see(cli, job_id)["turn_state"] == "idle"
        left = time.monotonic()
        person.leaves()
    assert ended(cli, job_id, 10)["status"] == "completed"
    assert time.monotonic() - left > 1, "the whole grace, from when they had gone"
    assert record(home, job_id).facts.stop_reason == "idle"


def test_the_end_while_somebody_looks(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """The job ends at once; the pane with what it showed last stays until they have read it."""
    model.on("%%read", Step.message("Read this."))
    job_id = stay(cli, repo, "%%read")
    told(cli, "await-turn", job_id)
    with Person(cli, home, job_id) as person:
        person.sees("Read this.")
        assert told(cli, "exit", job_id)["status"] == "completed"
        person.sees("Press Enter to close this pane.")
        person.sees("Read this.")
        person.types("x")
        person.types("\r")
        person.gone()
    assert home.tmux("has-session", "-t", f"=codex-agent-{job_id}").returncode != 0


def test_reopened_while_somebody_looks_at_the_end(
    cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex
) -> None:
    """They see the new pane where the old one was, and can type there."""
    model.on("%%first", Step.message("First."))
    model.on("%%second", Step.message("Second."))
    model.on("%%third", Step.message("Third."))
    job_id = stay(cli, repo, "%%first")
    told(cli, "await-turn", job_id)
    with Person(cli, home, job_id) as person:
        told(cli, "exit", job_id)
        person.sees("Press Enter")
        sent = told(cli, "send", job_id, "%%second", "--wait", shape="send --wait")
        assert sent["message"] == "Second." and person.clients() == 1
        person.sees("Second.")
        person.sees_no_more("Press Enter")
        person.sits_down()
        person.says("%%third")
        until(lambda: see(cli, job_id)["turn_count"] == 3, 10, "the turn that was typed")
        assert told(cli, "await-turn", job_id)["message"] == "Third."
        assert person.clients() == 1
