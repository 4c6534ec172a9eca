"""The bare TUI (`--plain`): the turn from the rollout, waiting from the title, words by paste, proof for all."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.demo.scripts import TITLE_REQUEST
from support import Cli, Codex, Home, until
from support.agents import Agent, agent, heard
from support.interactive import QUESTIONS, asks, refused, told, wants
from support.jobs import user_texts

PLAIN = ("--plain", "--idle-exit", "off")


def plain(home: Home, cli: Cli, repo: Path, prompt: str, *more: str) -> Agent:
    return agent(home, cli, repo, prompt, *PLAIN, *more)


def at_rest(home: Home, cli: Cli, model: ModelServer, repo: Path, *more: str) -> Agent:
    model.on("%%idle", Step.message("Ready."))
    one = plain(home, cli, repo, "%%idle", *more)
    assert one.answers() == "Ready."
    return one


def asked(model: ModelServer, marker: str = "") -> list[list[str]]:
    """A person's texts in each request for the thread itself; the TUI also has its tasks named (0.163.0)."""
    texts = [user_texts(each) for each in (model.requests_for(marker) if marker else model.requests)]
    return [each for each in texts if TITLE_REQUEST not in each[-1]]


def enter(one: Agent, text: str) -> None:
    """As a person types it: an Enter right behind quick letters would be a part of a paste."""
    before = one.job.turn_count
    one.type("-l", text)
    until(lambda: text in one.screen())
    for _ in range(10):
        one.type("Enter")
        with contextlib.suppress(AssertionError):
            until(lambda: one.job.turn_count > before or one.job.completed_at, 1)
            return


def typed(one: Agent) -> list[str]:
    """The command line of the TUI, as everybody on the machine can see it."""
    return Path(f"/proc/{one.pid('codex')}/cmdline").read_text().split("\0")


# ---- a day in its life ----


def test_start_and_await(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It returns with thread, turn and rollout, proven; nobody else on the machine can read the prompt."""
    gate = model.gate("first")
    model.on("%%start", Step.hold(gate, Step.message("It works.")))
    words = ("start", "%%start\nin two lines", "--interactive", *PLAIN, "-d", str(repo))
    job = told(cli, *words)
    one = Agent(home, cli, job["id"])
    assert (job["driver"], job["turn_state"], job["turn_count"]) == ("plain", "working", 1)
    turn = job["current_turn"]["id"]
    assert turn in Path(job["rollout"]).read_text() and job["thread_id"] in job["rollout"]
    assert not any("%%start" in word for word in typed(one))
    gate.reached()
    assert cli("await-turn", one.id, "--timeout", "0.1").rc == 124
    gate.open()
    report = told(cli, "await-turn", one.id)
    assert (report["turn_id"], report["turn_status"], report["message"]) == (turn, "completed", "It works.")
    now = told(cli, "status", one.id)
    assert now["turn_state"] == "idle" and now["last_turn"]["id"] == turn and now["tokens"]["total"] > 0
    assert asked(model, "%%start")[0][-1] == "%%start\nin two lines"
    log = one("output", "--strip-ansi").ok().out
    assert "> %%start" in log and "It works." in log


def test_send_steer_queue_interrupt(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """To an agent at rest, into its turn, behind it, in place of it: each with the turn that took it."""
    gate = model.gate("second")
    model.on("%%two", Step.command("echo"), Step.hold(gate, Step.command("echo")), Step.message("Second."))
    model.on("%%three", Step.message("Third."))
    model.on("%%four", Step.message("Fourth."))
    one = at_rest(home, cli, model, repo)
    sent = one.send("%%two")
    assert sent["delivery"] == "turn" and one.job.current_turn is not None
    assert sent["turn_id"] == one.job.current_turn.id and one.job.turn_count == 2
    gate.reached()
    steered = one.send("rather so")
    assert steered["delivery"] == "steer" and steered["turn_id"] in (sent["turn_id"], None)
    assert one.send("%%three", "--queue")["delivery"] == "queued" and one.job.queued == 1
    gate.open()
    until(lambda: one.job.last_message == "Third.", 20)
    assert "rather so" in asked(model, "%%two")[-1]
    by_turn = {event["turn_id"]: event["delivery"] for event in one.events("sent")}
    assert by_turn[sent["turn_id"]] == "steer" and list(by_turn.values()).count("turn") == 1
    never = model.gate("never")
    model.on("%%long", Step.hold(never))
    one.send("%%long")
    never.reached()
    cut = one.send("%%four", "--interrupt")
    assert cut["delivery"] == "turn" and one.answers() == "Fourth."
    assert [event["state"] for event in one.events("turn_ended")][-2:] == ["aborted", "completed"]


def test_interrupt(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    never = model.gate("never")
    model.on("%%long", Step.hold(never))
    one = plain(home, cli, repo, "%%long")
    never.reached()
    turn = one.job.current_turn
    assert turn is not None
    cut = told(cli, "interrupt", one.id)
    assert cut["turn_id"] == turn.id and cut["turn_state"] == "idle"
    assert one.job.last_turn is not None and one.job.last_turn.status == "interrupted"
    assert "it is idle" in refused(cli, "interrupt", one.id)


def test_approve(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It says what it waits for, takes nothing that would answer by accident, and goes on with a yes."""
    made = home.root / "outside"
    model.on("%%ask", wants(f"touch {made}", "to leave a mark"), Step.message("Touched."))
    one = plain(home, cli, repo, "%%ask")
    report = told(cli, "await-turn", one.id, rc=10)
    waiting = report["waiting_for"][0]
    assert (waiting["kind"], waiting["reason"]) == ("command", "to leave a mark") and "touch" in waiting["command"]
    assert "would be one" in refused(cli, "send", one.id, "by accident")
    assert "ends the turn" in refused(cli, "deny", one.id)
    assert "single yes" in refused(cli, "approve", one.id, "--always")
    assert "never asked" in refused(cli, "approve", one.id, "7") and not made.exists()
    assert told(cli, "approve", one.id)["waiting"] == waiting
    assert one.answers() == "Touched." and made.exists()
    assert "has been answered" in refused(cli, "approve", one.id, "1")


def test_answer(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """One of the options, by a digit; what Codex wrote down is the proof."""
    model.on("%%ask", asks(("Color?", ["Red", "Blue"]), ("Size?", ["S", "M", "L"])), Step.message("So be it."))
    one = plain(home, cli, repo, "%%ask", *QUESTIONS)
    report = told(cli, "await-turn", one.id, rc=10)
    assert report["turn_state"] == "waiting_input"
    assert [each["text"] for each in report["waiting_for"][0]["questions"]] == ["Color?", "Size?"]
    assert "only the options" in refused(cli, "answer", one.id, "Green", "2")
    assert "is a question" in refused(cli, "approve", one.id)
    told(cli, "answer", one.id, "Blue", "3")
    assert one.answers() == "So be it."
    assert all(word in str(model.requests_for("%%ask")[-1]["input"]) for word in ("Blue", "L"))


def test_a_person_types_and_leaves(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """What they do at the keyboard is known as what is sent; what they have written half goes along."""
    gate = model.gate("theirs")
    model.on("%%theirs", Step.hold(gate, Step.message("For you.")))
    model.on("%%ours", Step.message("For both."))
    one = at_rest(home, cli, model, repo)
    enter(one, "%%theirs")
    one.until_state("working")
    gate.open()
    until(lambda: one.job.last_message == "For you." and one.job.turn_state == "idle")
    one.type("-l", "by the way")
    until(lambda: "by the way" in one.screen())
    assert one.send("%%ours")["delivery"] == "turn" and one.answers() == "For both."
    assert asked(model, "%%ours")[-1][-1].split() == ["by", "the", "way", "%%ours"]
    enter(one, "/exit")
    assert one.ended() == ("completed", None) and one.facts.stop_reason == "left" and one.job.exit_code == 0


def test_exit_idle_exit_and_reopen(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Codex itself ends the politely ended one; the next message goes on with its thread, half a line or not."""
    one = at_rest(home, cli, model, repo)
    one.type("-l", "half a line")
    until(lambda: "half a line" in one.screen())
    thread = one.job.thread_id
    one("exit").ok()
    assert one.ended() == ("completed", None) and one.job.exit_code == 0
    model.on("%%again", Step.message("Here again."))
    sent = one.send("%%again")
    assert sent["reopened"] and sent["delivery"] == "turn" and one.answers() == "Here again."
    assert (one.job.thread_id, one.job.turn_count) == (thread, 2)
    assert "%%idle" in asked(model, "%%again")[-1]
    one("exit").ok()
    gone = plain(home, cli, repo, "%%idle", "--idle-exit", "0.5")
    assert gone.ended() == ("completed", None) and gone.facts.stop_reason == "idle"


# ---- bad days ----


@pytest.mark.parametrize("who", ["codex", "supervisor"])
def test_killed(who: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Nothing is left of the job, and a message goes on with it."""
    model.on("%%work", Step.command("touch begun; sleep 987"), Step.message("never"))
    one = plain(home, cli, repo, "%%work", "-s", "danger-full-access")
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    one.signal(who)
    expected = ("failed", "signal") if who == "codex" else ("interrupted", "interrupted")
    assert one.ended() == expected
    one.nothing_left()
    model.on("%%again", Step.message("Here again."))
    assert one.send("%%again")["reopened"] and one.answers() == "Here again."


def test_killed_by_command(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """The rollout tells how the turn ended, and the sandbox leaves nothing in the repository."""
    model.on("%%work", Step.command("touch begun; sleep 987"), Step.message("never"))
    one = plain(home, cli, repo, "%%work")
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    one("kill").ok()
    assert one.ended() == ("interrupted", "killed") and "turn_aborted" in Path(one.job.rollout or "").read_text()
    one.nothing_left()
    assert sorted(path.name for path in repo.iterdir()) == [".git", "README.md", "begun"]


ODD = ["/help", "!ls", "C-c", "-x", "@", "$x", "a\x1b[31mb\r\nc", "line\n" * 50, "y" * 180_000, "z" * 400_000]


def test_odd_messages(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Each arrives as it is, or as a file that holds it."""
    one = at_rest(home, cli, model, repo)
    for message in ODD:
        count = len(asked(model))
        sent = one.send(message) if len(message) < 100_000 else _send_stdin(one, message)
        assert sent["delivery"] == "turn", message[:20]
        until(lambda: one.job.turn_state == "idle")
        said = asked(model)[count:][-1][-1]
        in_file = re.search(r"/\S+\.txt$", said)
        if in_file is not None:
            assert message.startswith(("!", "z")) and Path(in_file[0]).read_text() == message
        else:
            assert said == message.replace("\x1b", "").replace("\r", "").strip()


def _send_stdin(one: Agent, message: str) -> dict[str, str]:
    found = one.cli("send", one.id, "-", "--json", stdin=message).ok().json()
    assert isinstance(found, dict)
    return found


def test_two_senders_at_once(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    one = at_rest(home, cli, model, repo)
    texts = [f"message {n}." for n in range(4)]
    senders = [cli.start("send", one.id, text, "--json") for text in texts]
    assert [sender.wait(30) for sender in senders] == [0] * 4
    until(lambda: sorted(heard(model, texts)) == texts and one.job.turn_state == "idle", 20)
    assert len(one.events("sent")) == 4


def test_another_thread_in_the_pane(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """A person has gone to another conversation: nothing is typed into that."""
    one = at_rest(home, cli, model, repo)
    one.type("-l", "/new")
    until(lambda: "/new" in one.screen())
    shown = ("display-message", "-p", "-t", f"=codex-agent-{one.id}:", "#{pane_title}")
    before = home.tmux(*shown).stdout
    for _ in range(5):  # the first Enter may only choose it from the menu
        one.type("Enter")
        with contextlib.suppress(AssertionError):
            until(lambda: home.tmux(*shown).stdout.partition("|")[2] not in (before.partition("|")[2], ""), 2)
            break
    assert "another thread" in refused(cli, "send", one.id, "%%idle")


def test_a_failed_turn(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Where Codex writes it down, what failed; else that it is not known."""
    model.on("%%full", Step.failed("context_length_exceeded"))
    one = plain(home, cli, repo, "%%full")
    state = "unknown" if each_codex.version == "0.133.0" else "context_limit"
    one.until_state(state)
    reason = one.job.turn_state_reason or ""
    assert ("does not write down" if state == "unknown" else "context") in reason
    code, report = one.turn()
    assert (code, report["turn_state"]) == (1 if state == "unknown" else 11, state)
    one("exit")
    assert one.ended() == ("failed", "unknown" if state == "unknown" else "context_window")


@pytest.mark.parametrize("way", ["channel", "plain"])
def test_ctrl_z(way: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Codex stops itself at that key. With no shell in the pane it would stay so, and a plain agent with it."""
    model.on("%%idle", Step.message("Ready."))
    one = agent(home, cli, repo, "%%idle", *(["--plain"] if way == "plain" else []))
    one.shown("Ready.")
    one.type("C-z")

    def drawn() -> bool:
        one.type("-l", "still here ")
        return "still here" in one.screen()

    until(drawn)
    one("exit").ok()
    assert one.ended() == ("completed", None)


def test_asking_tmux_leaves_the_pane_alone(home: Home, tmp_path: Path) -> None:
    """A tmux client sets its stdin to blocking: were that the pane, the TUI reading from it might never wake."""
    home.tmux("new-session", "-d", "-s", "look", "sleep", "60")
    read, write = os.pipe()
    os.set_blocking(read, False)
    code = "import sys; from codex_agent import tmux; assert tmux.pane_title(sys.argv[1], 'look') is not None"
    env = {**home.env, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, home.tmux_socket], stdin=read, env=env, check=True, timeout=20)
    assert not os.get_blocking(read)
    os.close(read)
    os.close(write)


# ---- versions ----


@pytest.fixture
def old(home: Home) -> Codex:
    from support.codexes import codex

    which = codex("npm-oldest")
    home.use_codex(which)
    return which


def test_an_old_codex(old: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Without --plain it is refused, with what to do; with it, what it cannot show is unknown."""
    answer = cli("start", "%%work", "--interactive", "-d", str(repo))
    assert answer.rc == 5 and "bundled" in answer.err and "--plain" in answer.err
    gate = model.gate("work")
    model.on("%%work", Step.hold(gate, Step.message("Old, but here.")))
    one = plain(home, cli, repo, "%%work")
    gate.reached()
    assert "does not show" in (one.until_state("unknown").turn_state_reason or "")
    assert "does not show" in refused(cli, "send", one.id, "now")
    gate.open()
    assert one.answers() == "Old, but here."
    one.until_state("idle")
    model.on("%%next", Step.message("Next."))
    assert one.send("%%next")["delivery"] == "turn" and one.answers() == "Next."
    one("exit").ok()
    assert one.ended() == ("completed", None)


def test_no_cpu_while_idle(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """The supervisor sleeps: less than a millisecond of work in a second."""
    one = at_rest(home, cli, model, repo)
    ticks = os.sysconf("SC_CLK_TCK")

    def used() -> float:
        fields = Path(f"/proc/{one.pid('supervisor')}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / ticks

    before = used()
    assert cli("wait", one.id, "--timeout", "5").rc == 124
    assert used() - before <= 0.02
