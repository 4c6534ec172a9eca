"""The commands that talk to an agent, each with its options: what they do, print and return.

That the state is right whatever the screen shows is in test_interactive.py; approvals and questions are in
test_interactive_answers.py, the options of `start` in test_interactive_start.py.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codex_agent import calls, settings, talking
from codex_agent.demo.model_server import Gate, ModelServer, Step
from codex_agent.store import Store
from support import Cli, Codex, Home, until
from support.interactive import callers, heard, refused, stay, told, wants
from support.jobs import Place, ended, place, record, see
from support.person import Person

USAGE_LIMIT = {
    "error": {"type": "usage_limit_reached", "message": "x", "plan_type": "plus", "resets_in_seconds": 60}
}


@dataclass(frozen=True)
class Talk:
    """One agent that stays, for tests that leave it idle."""

    place: Place
    id: str

    def said(self, marker: str) -> str:
        """The newest thing a person said, as the model got it."""
        return heard(self.place.model, marker)[-1][-1]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talk]:
    with place(tmp_path_factory.mktemp("talk")) as here:
        here.model.on("%%", Step.message("Understood."))
        here.model.on("%%start", Step.message("Ready."))
        job_id = stay(here.cli, here.repo, "%%start", "--name", "talker")
        told(here.cli, "await-turn", job_id)
        yield Talk(here, job_id)


@pytest.fixture
def gate(model: ModelServer) -> Gate:
    """Holds the turn of whoever is told `%%hold`."""
    gate = model.gate("hold")
    model.on("%%hold", Step.hold(gate, Step.message("Let go.")))
    return gate


# ---- send ----


def test_send_from_stdin_and_file(talk: Talk) -> None:
    cli = talk.place.cli
    file = talk.place.home.root / "message.txt"
    file.write_text("%%from-file\nsecond line\n")
    told(cli, "send", talk.id, "--file", str(file))
    told(cli, "await-turn", talk.id)
    assert talk.said("%%") == "%%from-file\nsecond line\n"
    told(cli, "send", talk.id, "-", stdin="%%from-stdin \u00e9\u4e2d\n")
    told(cli, "await-turn", talk.id)
    assert talk.said("%%") == "%%from-stdin \u00e9\u4e2d\n"


@pytest.mark.parametrize(
    "text", ["-x %%", "--queue %%", "C-c %%", "/quit %%", "!touch /tmp/x %%", "$(id) `id` %%"]
)
def test_send_says_every_text_as_it_is(talk: Talk, text: str) -> None:
    """What begins with a dash comes after `--`, as everywhere; nothing is a key, a slash command, a shell."""
    sent = told(talk.place.cli, "send", talk.id, "--", text)
    assert told(talk.place.cli, "await-turn", talk.id)["turn_id"] == sent["turn_id"]
    assert talk.said("%%") == text


def test_send_as_text(talk: Talk) -> None:
    """By name; what a person reads says how it goes on."""
    answer = talk.place.cli("send", "talker", "%%text").ok()
    turn = talk.place.cli("await-turn", "talker").ok()
    turn_id = see(talk.place.cli, talk.id)["last_turn"]["id"]
    assert answer.out.splitlines()[0] == f"{talk.id}  turn {turn_id} began with it"
    assert f"await-turn {talk.id}" in answer.out and turn.out == "Understood.\n" and turn.err == ""


def test_send_wait(talk: Talk) -> None:
    """One command for a question and its answer."""
    report = told(talk.place.cli, "send", talk.id, "%%wait", "--wait", "--timeout", "20", shape="send --wait")
    assert report["turn_status"] == "completed" and report["message"] == "Understood."
    answer = talk.place.cli("send", talk.id, "%%wait", "--wait").ok()
    assert answer.out == "Understood.\n" and "began with it" in answer.err


def test_send_refuses_nonsense(talk: Talk) -> None:
    cli = talk.place.cli
    count = see(cli, talk.id)["turn_count"]
    assert "empty" in refused(cli, "send", talk.id, " \n", rc=2)
    assert "no message" in refused(cli, "send", talk.id, rc=2)
    assert "exclude" in refused(cli, "send", talk.id, "%%", "--queue", "--interrupt", rc=2)
    assert "--wait" in refused(cli, "send", talk.id, "%%", "--timeout", "3", rc=2)
    assert "two messages" in refused(cli, "send", talk.id, "%%", "--file", "/dev/null", rc=2)
    assert cli("send", "00000000", "%%").rc == 3
    assert see(cli, talk.id)["turn_count"] == count


def test_send_queue(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """The running turn is left alone; what was queued follows, one turn each, in order, with no idling."""
    for word in ("one", "two"):
        model.on(f"%%{word}", Step.message(f"Said {word}."))
    job_id = stay(cli, repo, "%%hold")
    gate.reached()
    first = see(cli, job_id)["current_turn"]["id"]
    for word in ("one", "two"):
        sent = told(cli, "send", job_id, f"%%{word}", "--queue")
        assert sent["delivery"] == "queued" and sent["turn_id"] is None
    job = see(cli, job_id)
    assert job["queued"] == 2 and job["current_turn"]["id"] == first
    assert "  queued   2 messages" in cli("status", job_id).out
    gate.open()
    report = told(cli, "await-turn", job_id)
    assert report["message"] == "Said two." and report["turn_id"] != first
    job = see(cli, job_id)
    assert job["turn_count"] == 3 and job["queued"] == 0 and job["turn_state"] == "idle"
    held, one, two = (heard(model, marker)[-1] for marker in ("%%hold", "%%one", "%%two"))
    assert held[-1] == "%%hold" and one[-1] == "%%one" and two[-2:] == ["%%one", "%%two"]
    assert not [each for each in model.surprises if "hold" in each]


def test_send_queue_to_an_idle_agent(talk: Talk) -> None:
    """There is nothing to wait for."""
    sent = told(talk.place.cli, "send", talk.id, "%%queue", "--queue")
    assert sent["delivery"] == "turn"
    assert told(talk.place.cli, "await-turn", talk.id)["turn_id"] == sent["turn_id"]


def test_send_interrupt(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """The running turn is cut off, then the message begins one."""
    model.on("%%instead", Step.message("Instead."))
    job_id = stay(cli, repo, "%%hold")
    gate.reached()
    first = see(cli, job_id)["current_turn"]["id"]
    sent = told(cli, "send", job_id, "%%instead", "--interrupt")
    assert sent["delivery"] == "turn" and sent["turn_id"] != first
    report = told(cli, "await-turn", job_id)
    assert report["turn_id"] == sent["turn_id"] and report["message"] == "Instead."
    states = [e["state"] for e in told(cli, "output", job_id, "--events", shape="output --events")["events"]
              if e["event"] == "turn_ended"]  # fmt: skip
    assert states == ["aborted", "completed"]
    again = told(cli, "send", job_id, "%%instead", "--interrupt")
    assert again["delivery"] == "turn", "where nothing runs there is nothing to cut off"


def test_send_to_one_that_ended(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    gate.open()
    job_id = stay(cli, repo, "%%hold")
    told(cli, "await-turn", job_id)
    before = told(cli, "exit", job_id)
    assert "--no-resume" in refused(cli, "send", job_id, "%%hold", "--no-resume")
    assert see(cli, job_id)["completed_at"] == before["completed_at"]
    answer = cli("send", job_id, "%%hold", "--wait").ok()
    assert answer.out == "Let go.\n" and "reopened: turn" in answer.err
    after = see(cli, job_id)
    assert after["thread_id"] == before["thread_id"] and after["turn_count"] == 2
    cli("kill", job_id).ok()
    sent = told(cli, "send", job_id, "%%hold", "--queue")
    assert sent["reopened"] and sent["delivery"] == "turn", "one that was killed goes on in the same way"


@pytest.mark.parametrize("resume", [True, False])
def test_send_to_one_that_is_just_ending(
    resume: bool, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """It waits for the end and reopens it; whoever forbade that hears why not."""
    for word in ("one", "two"):
        model.on(f"%%{word}", Step.message(word))
    job_id = stay(cli, repo, "%%one")
    told(cli, "await-turn", job_id)
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGSTOP)  # so that it finds both at once, in this order
    commands = []
    for words in (("exit", job_id), ("send", job_id, "%%two", "--json", *([] if resume else ["--no-resume"]))):
        commands.append(cli.start(*words))
        until(lambda: callers(job_id, "02") == len(commands), 10, "another one on the line")
    os.kill(supervisor.pid, signal.SIGCONT)
    leaving, sending = commands
    assert leaving.wait(15) == 0 and sending.wait(15) == (0 if resume else 4)
    if resume:
        assert sending.stdout is not None and json.loads(sending.stdout.read())["reopened"]
        assert told(cli, "await-turn", job_id)["message"] == "two"
    assert len(heard(model, "%%two")) == resume


def test_reopened_in_the_moment_its_pane_closes(
    cli: Cli, home: Home, model: ModelServer, repo: Path, tmp_path: Path
) -> None:
    """Its old session is there when asked for, and gone when used."""
    model.on("%%one", Step.message("one"))
    job_id = stay(cli, repo, "%%one")
    told(cli, "await-turn", job_id)
    with Person(cli, home, job_id) as person:
        told(cli, "exit", job_id)
        person.sees("Press Enter")
        real, folder = shutil.which("tmux"), tmp_path / "late"
        folder.mkdir()
        kills = f'{real} -S "{home.tmux_socket}" kill-session -t "=codex-agent-{job_id}"'
        script = f'#!/bin/sh\ncase "$*" in *respawn-pane*) {kills};; esac\nexec {real} "$@"\n'
        (folder / "tmux").write_text(script)
        (folder / "tmux").chmod(0o755)
        answer = cli("send", job_id, "%%one", "--wait", env={"PATH": f"{folder}:{home.env['PATH']}"}).ok()
        assert answer.out == "one\n" and see(cli, job_id)["turn_count"] == 2
        person.gone()


# ---- await-turn, interrupt ----


def test_exit_codes_of_await_turn(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """0 well, 1 failed or interrupted, 10 it needs you, 11 a limit, 124 timed out; of a job that ended, too."""
    model.on("%%well", Step.message("Well."))
    model.on("%%bad", Step.http(400, {"error": {"message": "No such thing."}}))
    model.on("%%usage", Step.http(429, USAGE_LIMIT))
    model.on("%%ask", wants("true"), Step.message("I may."))
    job_id = stay(cli, repo, "%%well")
    assert told(cli, "await-turn", job_id)["turn_state"] == "idle"

    report = told(cli, "send", job_id, "%%bad", "--wait", rc=1, shape="send --wait")
    assert (report["turn_state"], report["turn_status"]) == ("error", "failed") and "No such" in report["error"]
    assert report["message"] is None, "the message of the turn before is none of this one"
    text = cli("await-turn", job_id)
    assert text.rc == 1 and text.out == "" and text.err.startswith(f"{job_id}  running/error, turn failed: ")

    report = told(cli, "send", job_id, "%%usage", "--wait", rc=11, shape="send --wait")
    assert (report["turn_state"], report["turn_status"]) == ("usage_limit", "failed")
    assert cli("await-turn", job_id).rc == 11

    assert told(cli, "send", job_id, "%%ask", "--wait", rc=10, shape="send --wait")["waiting_for"]
    text = cli("await-turn", job_id)
    assert text.rc == 10 and text.out == "" and f"approve {job_id} 1" in text.err
    cli("approve", job_id).ok()
    assert cli("await-turn", job_id).ok().out == "I may.\n"

    told(cli, "send", job_id, "%%hold")
    late = told(cli, "await-turn", job_id, "--timeout", "0.2", rc=124)
    assert late["turn_state"] == "working" and late["turn_status"] is None and late["message"] is None
    text = cli("await-turn", job_id, "--timeout", "0")
    assert text.rc == 124 and text.out == "" and "timed out" in text.err

    cut = cli("interrupt", job_id).ok()
    assert "was cut off; now idle" in cut.out
    assert cli("await-turn", job_id).rc == 1
    assert "idle" in refused(cli, "interrupt", job_id)
    cli("kill", job_id).ok()
    assert told(cli, "await-turn", job_id, rc=1)["status"] == "interrupted"
    assert "ended" in refused(cli, "interrupt", job_id)


def test_context_limit(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%full", Step.failed("context_length_exceeded"))
    job_id = stay(cli, repo, "%%full")
    report = told(cli, "await-turn", job_id, rc=11)
    assert report["turn_state"] == "context_limit" and report["turn_status"] == "failed"
    assert see(cli, job_id)["status"] == "running"
    job = told(cli, "exit", job_id)
    assert (job["status"], job["failure"]["reason"]) == ("failed", "context_window")
    assert cli("await-turn", job_id).rc == 11


def test_await_turn_hears_of_the_jobs_end(
    cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate
) -> None:
    job_id = stay(cli, repo, "%%hold")
    waiting = cli.start("await-turn", job_id)
    until(lambda: callers(job_id) == 1, 10, "await-turn on the line")
    cli("kill", job_id).ok()
    _, err = waiting.communicate(timeout=10)
    assert waiting.returncode == 1 and "killed" in err


def test_interrupt_in_a_turns_first_moment(
    cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate, each_codex: Codex
) -> None:
    """Codex passes over what comes in its first milliseconds; a process of its own would be too late for that."""
    model.on("%%start", Step.message("Ready."))
    job_id = stay(cli, repo, "%%start")
    told(cli, "await-turn", job_id)
    store = Store(str(home.agent_home))
    for _ in range(8):
        sent = talking.send(store, job_id, "%%hold", settings.load(home.env), home.env)
        began = time.monotonic()
        assert calls.ask(store, job_id, {"do": "interrupt"})["turn_id"] == sent.turn_id
        assert time.monotonic() - began < 5 and see(cli, job_id)["turn_state"] == "idle"


# ---- wait --until ----


def test_wait_until(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """turn, approval, end; of several jobs all, or any; the exit code is that of the job that needs you most."""
    gates = {name: model.gate(name) for name in ("a", "b", "c")}
    model.on("%%a", Step.hold(gates["a"], Step.message("A.")))
    model.on("%%b", Step.hold(gates["b"], wants("true")), Step.message("B."))
    model.on("%%c", Step.hold(gates["c"], Step.message("C.")))
    a, b = stay(cli, repo, "%%a"), stay(cli, repo, "%%b")

    def waiting(*words: str, callers_of_b: int) -> subprocess.Popen[str]:
        process = cli.start("wait", *words)
        until(lambda: callers(b) == callers_of_b, 10, "wait on the line")
        return process

    assert cli("wait", a, b, "--until", "turn", "--timeout", "0.2").rc == 124
    until(lambda: callers(b) == 0, 10, "nobody on the line after the time-out")
    any_turn = waiting(a, b, "--until", "turn", "--any", callers_of_b=1)
    gates["a"].open()
    assert any_turn.wait(10) == 0 and any_turn.stdout
    assert any_turn.stdout.read().splitlines() == [f"{a}  running/idle", f"{b}  running/working"]
    until(lambda: callers(b) == 0, 10, "the one that was told hung up")
    all_turns = waiting(b, a, "--until", "turn", callers_of_b=1)
    approval = waiting(b, "--until", "approval", callers_of_b=2)
    nobody_asks = cli.start("wait", a, "--until", "approval")
    gates["b"].open()
    assert all_turns.wait(10) == 10 and approval.wait(10) == 10
    shown = told(cli, "wait", a, b, "--until", "turn", rc=10)
    assert [job["turn_state"] for job in shown["jobs"]] == ["idle", "waiting_approval"]
    cli("approve", b).ok()
    assert cli("wait", a, b, "--until", "turn").rc == 0
    end = cli.start("wait", a, b)
    cli("exit", a).ok()
    assert nobody_asks.wait(10) == 0, "a job that has ended asks nothing any more"
    assert end.poll() is None
    cli("exit", b).ok()
    assert end.wait(10) == 0
    assert cli("wait", a, b, "--until", "approval").rc == 0 and cli("wait", a, "--until", "lunch").rc == 2


# ---- keys, exit ----


def test_keys(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Typed into the pane; `--literal` for words that are names of keys."""
    for word in ("start", "typed"):
        model.on(f"%%{word}", Step.message(word))
    job_id = stay(cli, repo, "%%start")
    told(cli, "await-turn", job_id)
    until(
        lambda: "Ask Codex" in cli("capture", job_id).out or "\u203a" in cli("capture", job_id).out, 10, "the TUI"
    )
    done = told(cli, "keys", job_id, "--literal", "Enter %%typed")
    assert done["keys"] == ["Enter %%typed"]
    until(lambda: "Enter %%typed" in cli("capture", job_id, "--clean").out, 10, "the words in the TUI")
    assert see(cli, job_id)["turn_count"] == 1
    text = cli("keys", job_id, "Enter").ok()
    assert f"{job_id}  typed: Enter" in text.out
    until(lambda: see(cli, job_id)["turn_count"] == 2, 10, "the turn that was typed")
    assert told(cli, "await-turn", job_id)["message"] == "typed"
    assert heard(model, "%%typed")[0][-1] == "Enter %%typed"
    assert "no key" in refused(cli, "keys", job_id, "", rc=2)
    told(cli, "exit", job_id)
    assert "ended" in refused(cli, "keys", job_id, "Enter")


def test_exit(cli: Cli, home: Home, model: ModelServer, repo: Path, gate: Gate) -> None:
    """Not while it works (4), unless told to cut that off; and never twice."""
    job_id = stay(cli, repo, "%%hold")
    gate.reached()
    why = refused(cli, "exit", job_id)
    assert "at work" in why and "--interrupt" in why and see(cli, job_id)["turn_state"] == "working"
    job = told(cli, "exit", job_id, "--interrupt")
    assert job["status"] == "interrupted" and job["failure"]["reason"] == "turn_aborted"
    assert job["last_turn"]["status"] == "interrupted" and record(home, job_id).facts.stop_reason == "exit"
    assert "ended" in refused(cli, "exit", job_id)
    gate.open()
    cli("send", job_id, "%%hold", "--wait").ok()
    text = cli("exit", job_id).ok()
    assert text.out.startswith(f"{job_id}  completed\n") and ended(cli, job_id)["status"] == "completed"
