"""Parts of an interactive agent die or are closed: the state stays true, nothing survives, a message goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent, agent, heard
from support.interactive import wants
from support.processes import processes_with

COMMAND = Step.command("touch begun; sleep 987")


@pytest.fixture
def scratch(home: Home) -> Path:
    """The TMPDIR of the agents of this test."""
    path = home.root / "scratch"
    path.mkdir()
    home.env["TMPDIR"] = str(path)
    return path


def at_work(cli: Cli, home: Home, model: ModelServer, repo: Path, *more: str) -> Agent:
    """An agent whose command runs and never ends by itself."""
    model.on("%%work", COMMAND, Step.message("never"))
    one = agent(home, cli, repo, "%%work", *more)
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    return one


def idle(cli: Cli, home: Home, model: ModelServer, repo: Path, *more: str) -> Agent:
    model.on("%%idle", Step.message("Ready."))
    one = agent(home, cli, repo, "%%idle", *more)
    assert one.answers() == "Ready."
    return one


def waiting(cli: Cli, home: Home, model: ModelServer, repo: Path, *more: str) -> Agent:
    """An agent that waits for an approval, while another command of its runs."""
    model.on("%%ask", wants(f"touch {home.root}/asked-for"), Step.message("Asked."))
    one = agent(home, cli, repo, "%%ask", *more)
    one.until_state("waiting_approval")
    return one


SITUATIONS = {"working": at_work, "idle": idle, "waiting": waiting}


def goes_on(one: Agent, model: ModelServer) -> None:
    """The job that has ended is reopened by a message and knows what was said before."""
    model.on("%%again", Step.message("Here again."))
    sent = one.send("%%again")
    assert sent["reopened"] and sent["turn_id"] and one.answers() == "Here again."
    assert len(model.requests_for("%%again")[-1]["input"]) > len(model.requests[0]["input"])
    one("kill").ok()


# ---- one part dies ----


@pytest.mark.parametrize("situation", ["working", "idle"])
def test_the_app_server_killed(
    situation: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    one = SITUATIONS[situation](cli, home, model, repo, "-s", "danger-full-access")
    one.signal("codex")
    assert one.ended() == ("failed", "signal")
    assert one.job.failure is not None and one.job.failure.signal == signal.SIGKILL
    one.nothing_left()
    goes_on(one, model)


def test_the_tui_killed(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It is begun again, and the agent never notices."""
    gate = model.gate("on")
    model.on("%%on", Step.hold(gate, Step.message("Untouched.")))
    one = agent(home, cli, repo, "%%on")
    one.shown("%%on")
    gate.reached()
    killed = one.signal("viewer")
    until(lambda: one.pid("viewer") != killed, 10, "another TUI")
    one.shown("%%on")
    assert one.job.turn_state == "working"
    gate.open()
    assert one.answers() == "Untouched." and one.job.turn_count == 1
    one.shown("Untouched.")
    assert one.events("viewer_ended")[0]["exit_code"] == -signal.SIGKILL


def test_the_tui_killed_again_and_again(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """After some tries the agent goes on without one."""
    one = idle(cli, home, model, repo)
    for _ in range(3):
        killed = one.signal("viewer")
        until(lambda: one.pid("viewer") != killed, 10, "another TUI")  # noqa: B023
    one.signal("viewer")
    until(lambda: any("again and again" in text for text in one.job.warnings), 10, "that it is said")
    model.on("%%blind", Step.message("I need no screen."))
    assert one.send("%%blind")["delivery"] == "turn" and one.answers() == "I need no screen."
    assert not [each for each in processes_with(str(home.agent_home)) if "--remote=" in each.command]
    job = one("exit", "--json").ok().json()
    assert job["status"] == "completed"
    one.nothing_left()


@pytest.mark.parametrize("situation", SITUATIONS)
def test_the_supervisor_killed(situation: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    sandbox = "read-only" if situation == "waiting" else "danger-full-access"
    one = SITUATIONS[situation](cli, home, model, repo, "-s", sandbox)
    one.signal("supervisor")
    if situation == "idle":  # and nobody looks
        until(lambda: one.facts.ended_at, 10, "the guardian's word")
        assert one.facts.settled_by == "guardian"
    job = one.until_state("interrupted", timeout_s=1)
    assert (job.turn_state, job.waiting_for) == (None, None)
    assert job.failure is not None and job.failure.reason == "interrupted"
    one.nothing_left()
    goes_on(one, model)


def test_supervisor_and_guardian_killed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Nobody is left in the pane: the reader that settles the job ends what still runs."""
    one = at_work(cli, home, model, repo, "-s", "danger-full-access")
    guardian, supervisor = one.pid("guardian"), one.pid("supervisor")
    os.kill(guardian, signal.SIGSTOP)  # so that it cannot act when the supervisor dies
    os.kill(supervisor, signal.SIGKILL)
    os.kill(guardian, signal.SIGKILL)
    one.until_state("interrupted", timeout_s=1)
    assert one.facts.settled_by == "reader"
    one.nothing_left()
    for stale in (one.file(".sock"), one.file(".app")):  # as a run leaves them that nobody settles at once
        stale.touch()
    goes_on(one, model)


@pytest.mark.parametrize("who", ["codex", "supervisor", "guardian", "kill"])
def test_a_message_that_had_not_been_taken_yet(
    who: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Codex has it in its memory only, until the command ends: the next message is said behind it, each once."""
    one = at_work(cli, home, model, repo, "-s", "danger-full-access")
    model.on("%%last", *[Step.message("All there.")] * 9)
    assert one.send("on its way")["delivery"] == "steer"
    assert one.send("queued behind it", "--queue")["delivery"] == "queued"
    if who == "kill":
        one("kill").ok()
    else:
        one.signal(who)
    one.ended()
    assert one.send("%%last")["reopened"]
    texts = ["on its way", "queued behind it", "%%last"]
    until(lambda: heard(model, texts) == texts, 20, "all three, in order")
    one.answers()
    assert heard(model, texts) == texts and one.job.queued == 0
    one("kill").ok()


# ---- the pane goes away ----


@pytest.mark.parametrize("how", ["kill-pane", "kill-session", "server"])
def test_the_pane_closed_by_hand(how: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    one = at_work(cli, home, model, repo, "-s", "danger-full-access")
    if how == "server":
        os.kill(int(home.tmux("display-message", "-p", "#{pid}").stdout), signal.SIGKILL)
    else:
        assert home.tmux(how, "-t", f"=codex-agent-{one.id}:").returncode == 0
    assert one.ended() == ("interrupted", "closed")
    assert '"turn_aborted"' in Path(one.job.rollout or "").read_text(), "Codex was asked first"
    one.nothing_left()
    goes_on(one, model)


# ---- a person leaves ----


def leave(one: Agent, how: str) -> None:
    """As a person does it, looking at what the keys did."""
    if how == "/exit":
        one.type("-l", "/exit")
        one.shown("/exit")
        one.type("Enter")
        return
    one.type("C-c")
    if one.job.status == "running" and one.facts.turn.state != "completed":
        one.until_state("idle")  # the first one cuts the turn off
        one.type("C-c")


@pytest.mark.parametrize("how", ["/exit", "Ctrl-C"])
def test_left_while_idle(
    how: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    one = idle(cli, home, model, repo)
    one.shown("Ready.")
    leave(one, how)
    assert one.ended() == ("completed", None) and one.facts.stop_reason == "left"
    one.nothing_left()


@pytest.mark.parametrize("how", ["/exit", "Ctrl-C"])
def test_left_while_at_work(
    how: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """The turn is cut off and the job ends; by Ctrl-C it takes two. A person who leaves has had enough."""
    one = at_work(cli, home, model, repo, "-s", "danger-full-access")
    one.shown("Working")
    leave(one, how)
    assert one.ended() == ("interrupted", "turn_aborted")
    assert one.job.last_turn is not None and one.job.last_turn.status == "interrupted"
    assert '"turn_aborted"' in Path(one.job.rollout or "").read_text()
    one.nothing_left()


# ---- ended by command ----


@pytest.mark.parametrize(
    ("situation", "sandbox"),
    [
        ("working", "workspace-write"),
        ("working", "danger-full-access"),
        ("idle", "read-only"),
        ("waiting", "read-only"),
    ],
)
def test_kill(
    situation: str, sandbox: str, cli: Cli, home: Home, model: ModelServer, repo: Path, scratch: Path
) -> None:
    """When it returns TUI, app-server and every command are gone, and so is what the sandbox had put down."""
    one = SITUATIONS[situation](cli, home, model, repo, "-s", sandbox)
    job = one("kill", "--json").ok().json()
    assert not one.of_codex(), "when it returns, not a moment later"
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "killed")
    assert job["last_turn"]["status"] == ("completed" if situation == "idle" else "interrupted")
    assert set(os.listdir(repo)) - {"begun"} == {".git", "README.md"}
    # What SQLite has open for a moment stays if Codex is killed in that moment.
    left = {name for name in os.listdir(scratch) if not name.startswith(("codex-", "etilqs_"))}
    assert left == set()


@pytest.mark.parametrize("who", ["supervisor", "codex", "close", "exit"])
def test_other_ends_leave_no_litter(
    who: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path, scratch: Path
) -> None:
    one = at_work(cli, home, model, repo)
    assert len(os.listdir(repo)) > 3, "the test wants that litter"
    if who == "close":
        home.tmux("kill-session", "-t", f"=codex-agent-{one.id}")
    elif who == "exit":
        one("exit", "--interrupt").ok()
    else:
        one.signal(who)
    one.ended()
    one.nothing_left()
    assert sorted(os.listdir(repo)) == [".git", "README.md", "begun"]
    # What SQLite has open for a moment stays if Codex is killed in that moment.
    left = {name for name in os.listdir(scratch) if not name.startswith(("codex-", "etilqs_"))}
    assert left == set()
