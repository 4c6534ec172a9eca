"""An agent that stays, driven from outside with its screen taken away: what is known of it comes from Codex.

In each test the TUI in the pane is stopped while things happen (`blind`), on the newest wheel and on the oldest.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.interactive import QUESTIONS, asks, blind, callers, heard, stay, told, wants
from support.jobs import ended, record, see


def outputs(request: dict[str, Any]) -> str:
    """What the model was told of the calls it made."""
    return json.dumps([item for item in request["input"] if item.get("type") == "function_call_output"])


def test_start(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """It returns with the thread, the turn and the rollout, and the agent at work; the prompt was never typed."""
    gate = model.gate("first")
    model.on("%%start", Step.hold(gate, Step.message("It works.")))
    words = ("start", "%%start", "--interactive", "--idle-exit", "off", "-d", str(repo))
    job = told(cli, *words)
    with blind(home, job["id"]):
        assert job["status"] == "running" and job["turn_state"] == "working" and job["turn_count"] == 1
        assert job["mode"] == "interactive" and job["driver"] == "channel" and job["approval"] == "on-request"
        turn = job["current_turn"]["id"]
        gate.reached()
        assert see(cli, job["id"])["turn_state"] == "working"
        gate.open()
        report = told(cli, "await-turn", job["id"])
        assert (report["turn_id"], report["turn_status"], report["message"]) == (turn, "completed", "It works.")
        now = told(cli, "status", job["id"])
    assert now["turn_state"] == "idle" and now["last_turn"]["id"] == turn and now["current_turn"] is None
    assert now["last_turn"]["duration_ms"] > 0 and now["tokens"]["total"] > 0
    first = json.loads(Path(now["rollout"]).read_text().splitlines()[0])
    assert first["payload"]["id"] == now["thread_id"]
    assert heard(model, "%%start")[0][-1] == "%%start"


def test_await(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """It sleeps until the turn ends, and no longer; an idle agent is told of at once."""
    gate = model.gate("first")
    model.on("%%await", Step.hold(gate, Step.message("Waited for.")))
    job_id = stay(cli, repo, "%%await")
    with blind(home, job_id):
        waiting = cli.start("await-turn", job_id)
        until(lambda: callers(job_id) == 1, 10, "await-turn on the line")
        assert cli("await-turn", job_id, "--timeout", "0.1").rc == 124 and waiting.poll() is None
        gate.open()
        assert waiting.communicate(timeout=10)[0] == "Waited for.\n" and waiting.returncode == 0
        again = cli("await-turn", job_id).ok()
    assert again.out == "Waited for.\n" and again.seconds < 2


def test_send(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """To an idle agent: the next turn begins with it, and its id is the proof."""
    gate = model.gate("second")
    model.on("%%one", Step.message("First."))
    model.on("%%two", Step.hold(gate, Step.message("Second.")))
    job_id = stay(cli, repo, "%%one")
    first = told(cli, "await-turn", job_id)
    with blind(home, job_id):
        sent = told(cli, "send", job_id, "%%two")
        assert sent["delivery"] == "turn" and not sent["reopened"] and sent["turn_id"] != first["turn_id"]
        job = see(cli, job_id)
        assert job["turn_state"] == "working" and job["turn_count"] == 2
        assert job["current_turn"]["id"] == sent["turn_id"] and job["last_turn"]["id"] == first["turn_id"]
        gate.open()
        report = told(cli, "await-turn", job_id)
    assert report["turn_id"] == sent["turn_id"] and report["message"] == "Second."
    assert heard(model, "%%two")[-1].count("%%two") == 1


def test_steer(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """To an agent at work: it goes into the running turn, which goes on."""
    gate = model.gate("first")
    model.on("%%work", Step.hold(gate, Step.command("echo one")), Step.message("As you like."))
    job_id = stay(cli, repo, "%%work")
    gate.reached()
    with blind(home, job_id):
        turn = see(cli, job_id)["current_turn"]["id"]
        sent = told(cli, "send", job_id, "rather like this")
        assert sent["delivery"] == "steer" and sent["turn_id"] == turn
        assert see(cli, job_id)["turn_state"] == "working"
        gate.open()
        report = told(cli, "await-turn", job_id)
        job = see(cli, job_id)
    assert report["turn_id"] == turn and report["message"] == "As you like." and job["turn_count"] == 1
    assert heard(model, "%%work")[-1][-1] == "rather like this"


def test_interrupt(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """It returns when the turn has ended; the agent is there for the next."""
    gate = model.gate("never")
    model.on("%%long", Step.hold(gate))
    model.on("%%short", Step.message("Now this."))
    job_id = stay(cli, repo, "%%long")
    gate.reached()
    with blind(home, job_id):
        turn = see(cli, job_id)["current_turn"]["id"]
        cut = told(cli, "interrupt", job_id)
        assert cut["turn_id"] == turn and cut["turn_state"] == "idle"
        job = see(cli, job_id)
        assert job["turn_state"] == "idle" and job["last_turn"]["status"] == "interrupted"
        assert told(cli, "await-turn", job_id, rc=1)["turn_status"] == "interrupted"
        told(cli, "send", job_id, "%%short")
        assert told(cli, "await-turn", job_id)["message"] == "Now this."


def test_approve(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The agent waits, says for what, and goes on with it."""
    made = home.root / "outside"
    model.on("%%ask", wants(f"touch {made}", "to leave a mark"), Step.message("Touched."))
    job_id = stay(cli, repo, "work")
    told(cli, "await-turn", job_id)
    with blind(home, job_id):
        told(cli, "send", job_id, "%%ask")
        report = told(cli, "await-turn", job_id, rc=10)
        assert report["turn_state"] == "waiting_approval" and report["turn_status"] is None
        job = see(cli, job_id)
        waiting = job["waiting_for"]
        assert job["turn_state"] == "waiting_approval" and report["waiting_for"] == [waiting]
        assert waiting["kind"] == "command" and str(made) in waiting["command"] and waiting["cwd"] == str(repo)
        assert waiting["reason"] == "to leave a mark" and waiting["n"] == 1
        assert not made.exists()
        done = told(cli, "approve", job_id)
        assert done["decision"] == "accept" and done["waiting"] == waiting
        report = told(cli, "await-turn", job_id)
    assert report["message"] == "Touched." and made.exists() and report["waiting_for"] == []
    assert record(home, job_id).facts.waiting == []


def test_deny(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The command is not run, the model hears that, and the turn goes on."""
    made = home.root / "outside"
    model.on("%%ask", wants(f"touch {made}"), Step.message("Then not."))
    job_id = stay(cli, repo, "work")
    told(cli, "await-turn", job_id)
    with blind(home, job_id):
        told(cli, "send", job_id, "%%ask")
        told(cli, "await-turn", job_id, rc=10)
        assert told(cli, "deny", job_id)["decision"] == "decline"
        report = told(cli, "await-turn", job_id)
    assert report["turn_status"] == "completed" and report["message"] == "Then not." and not made.exists()
    assert "rejected" in outputs(model.requests_for("%%ask")[-1])


def test_answer(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The agent's question, and what the model hears."""
    model.on("%%ask", asks(("Which color?", ["Red", "Blue"])), Step.message("Blue it is."))
    job_id = stay(cli, repo, "work", *QUESTIONS)
    told(cli, "await-turn", job_id)
    with blind(home, job_id):
        told(cli, "send", job_id, "%%ask")
        report = told(cli, "await-turn", job_id, rc=10)
        assert report["turn_state"] == "waiting_input"
        question = report["waiting_for"][0]["questions"][0]
        assert question["text"] == "Which color?" and question["options"][:2] == ["Red", "Blue"]
        done = told(cli, "answer", job_id, "2")
        assert done["decision"] == "answer" and done["turn_state"] in ("working", "idle")
        report = told(cli, "await-turn", job_id)
    assert report["message"] == "Blue it is."
    heard = outputs(model.requests_for("%%ask")[-1])
    assert "Blue" in heard and "Red" not in heard


def test_idle_exit(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """Idle for the grace and nobody there: the job completes. At work it stays, however long that takes."""
    gate = model.gate("first")
    model.on("%%idle", Step.hold(gate, Step.message("All done.")))
    job_id = stay(cli, repo, "%%idle", "--idle-exit", "0.5")
    gate.reached()
    with blind(home, job_id):
        late = cli("wait", job_id, "--timeout", "1.5")
        assert late.rc == 124 and see(cli, job_id)["turn_state"] == "working"
        gate.open()
        told(cli, "await-turn", job_id)
        job = ended(cli, job_id, 10)
    assert job["status"] == "completed" and job["turn_state"] is None and job["failure"] is None
    assert job["last_message"] == "All done." and job["last_turn"]["status"] == "completed"
    assert record(home, job_id).facts.stop_reason == "idle"


def test_reopen_by_send(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """An ended agent goes on with its thread under the same id, in a new pane."""
    gate = model.gate("second")
    model.on("%%one", Step.message("First."))
    model.on("%%two", Step.hold(gate, Step.message("Second.")))
    job_id = stay(cli, repo, "%%one")
    told(cli, "await-turn", job_id)
    before = told(cli, "exit", job_id)
    assert before["status"] == "completed"
    until(lambda: home.tmux("has-session", "-t", f"=codex-agent-{job_id}").returncode, 5, "the session gone")
    sent = told(cli, "send", job_id, "%%two")
    with blind(home, job_id):
        assert sent["reopened"] and sent["delivery"] == "turn"
        job = see(cli, job_id)
        assert job["status"] == "running" and job["turn_state"] == "working" and job["completed_at"] is None
        assert job["thread_id"] == before["thread_id"] and job["current_turn"]["id"] == sent["turn_id"]
        assert job["turn_count"] == 2 and job["last_turn"]["id"] == before["last_turn"]["id"]
        gate.open()
        assert told(cli, "await-turn", job_id)["message"] == "Second."
    texts = heard(model, "%%two")[0]
    assert texts.index("%%one") < texts.index("%%two"), "the thread's history went along"
