"""`monitor` on the threads of an IDE and a terminal, on our own jobs, on several, and how else it ends."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home
from support.ide import Ide, escalates
from support.interactive import stay, wants
from support.jobs import begin
from support.monitoring import Monitor, git, script, told
from support.threads import DONE, Outside, set_age

ALL = "commit,goal,turn,failure,idle,file,value,end,approval"


# -- IDE


def test_a_turn_in_the_ide(editor: Ide, out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = editor.thread(Step.hold(gate, Step.message("All is well.")))
    gate.reached()
    monitor = Monitor(cli, thread.id, "--until", "turn")
    gate.open()
    code, _ = monitor.ends()
    (event,) = monitor.events
    assert (code, event["data"]["message"]) == (0, "All is well.")
    # It is over already: that is told at once, with the same code.
    code, _ = Monitor(cli, thread.id, "--until", "turn", ready=False).ends()
    assert code == 0


def test_an_approval_in_the_ide_is_suspected(editor: Ide, out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = editor.thread(Step.hold(gate, escalates("curl example.invalid")), DONE)
    gate.reached()
    monitor = Monitor(cli, f"codex://threads/{thread.id}", "--until", "approval")
    gate.open()
    editor.asked(thread)
    code, _ = monitor.ends(40)
    (event,) = monitor.events
    assert (code, event["kind"], event["data"]["probable"]) == (10, "approval", True)
    assert event["data"]["command"] == "curl example.invalid"


def test_a_goal_in_the_ide(editor: Ide, out: Outside, cli: Cli) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    monitor = Monitor(cli, thread.id, "--on", "goal,turn")
    editor.goal(thread, "Make it work.", status="paused")
    code, last = monitor.ends()
    (event,) = monitor.events
    assert (code, event["data"]["status"], last["threads"][0]["done"]) == (1, "paused", "goal")
    # A thread at rest with a goal that is not pursued: nothing is to come.
    code, _ = Monitor(cli, thread.id, ready=False).ends()
    assert code == 1


def test_a_persons_goal_that_the_agent_reaches(editor: Ide, out: Outside, cli: Cli) -> None:
    """Its beginning stands in the rollout, its end in Codex's database alone (0.150.0 to 0.169.0)."""
    begin, then = out.model.gate("begin"), out.model.gate("then")
    reached = Step.call("update_goal", {"status": "complete"})
    thread = editor.thread(Step.hold(begin, Step.command("true")), Step.hold(then, reached), DONE)
    begin.reached()
    monitor = Monitor(cli, thread.id, "--on", "goal", "--until", "goal")
    editor.goal(thread, "Make it work.")
    assert monitor.tells("goal")["data"]["status"] == "active"
    begin.open()
    then.reached()
    then.open()
    code, _ = monitor.ends()
    assert (code, monitor.events[-1]["data"]["status"]) == (0, "complete")


def test_idle_and_active_again(editor: Ide, out: Outside, cli: Cli) -> None:
    first, second = editor.thread(DONE), editor.thread(DONE)
    editor.ended(first)
    editor.ended(second)
    gate = out.model.gate("begin")
    monitor = Monitor(cli, first.id, second.id, "--idle", "2s", "--on", "idle,turn", "--max-events", "0")
    editor.says(second, Step.hold(gate))  # silent, and a turn is open
    event = monitor.tells("idle")
    assert (event["thread_id"], event["data"]["turn"]) == (first.id, "completed")
    editor.says(first, DONE)
    assert monitor.tells("resumed")["thread_id"] == first.id
    code, last = monitor.ends()
    gate.open()
    assert code == 12
    assert [one["done"] for one in last["threads"]] == ["idle", "idle"]
    assert {event["data"]["turn"] for event in monitor.events if event["kind"] == "idle"} == {"completed", "open"}


def test_silent_for_long_already(editor: Ide, cli: Cli, out: Outside) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    data = re.sub(rb'"timestamp":"20\d\d', b'"timestamp":"2020', thread.rollout.read_bytes())
    thread.rollout.write_bytes(data)
    set_age(thread.rollout, 10**9, 0)
    code, _ = Monitor(cli, thread.id, ready=False).ends()
    assert code == 12


def test_a_terminal(out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = out.tui(Step.hold(gate, Step.command("exit 4")), DONE, approval="never")
    gate.reached()
    monitor = Monitor(cli, thread.id)
    gate.open()
    monitor.tells("turn")
    out.kill(thread)
    code, _ = monitor.ends()
    assert (code, monitor.kinds()) == (0, ["failure", "turn", "end"])


# -- our own jobs


def test_a_job_from_its_first_moment(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    play = script(repo)
    play.fail()
    play.commit()
    play.done()
    model.on("%%job", *play.steps)
    job_id = begin(cli, repo, "%%job", "-s", "danger-full-access")
    monitor = Monitor(cli, job_id, "--repo", str(repo), "--since", "start", ready=False)
    code, last = monitor.ends()
    found = [told(event) for event in monitor.events]
    assert code == 0 and found[-1] == ("end", "") and last["threads"][0]["job_id"] == job_id
    # `start` says when Codex runs; what was committed before the monitor looked is no news to it.
    assert [one for one in found if one[0] == "failure"] == play.kinds("failure")
    assert monitor.events[-1]["data"]["status"] == "completed"


def test_a_job_that_asks(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    gate = model.gate("ask")
    model.on("%%ask", Step.hold(gate, wants("touch asked")), DONE)
    job_id = stay(cli, repo, "%%ask", "--approval", "on-request")
    monitor = Monitor(cli, job_id, "--until", "approval,end")
    gate.open()
    code, _ = monitor.ends()
    event = monitor.events[-1]
    assert (code, event["kind"]) == (10, "approval")
    assert "touch asked" in event["data"]["command"]
    assert event["data"]["probable"] is False
    cli("approve", job_id).ok()
    monitor = Monitor(cli, job_id, "--until", "turn")
    code, _ = monitor.ends()
    assert code == 0
    monitor = Monitor(cli, job_id)
    cli("kill", job_id).ok()
    code, _ = monitor.ends()
    assert code == 1 and monitor.events[-1]["data"]["status"] == "interrupted"


def test_a_job_of_which_nobody_lives_to_write_the_end(
    home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    from support.agents import Agent

    gate = model.gate("held")
    model.on("%%lost", Step.hold(gate))
    job_id = begin(cli, repo, "%%lost")
    gate.reached()
    agent = Agent(home, cli, job_id)
    monitor = Monitor(cli, job_id)
    guardian = agent.pid("guardian")
    os.kill(guardian, signal.SIGSTOP)  # so that it does not settle the job: nobody writes anything
    agent.signal("supervisor")
    os.kill(guardian, signal.SIGKILL)
    code, _ = monitor.ends(15)
    gate.open()
    assert (code, monitor.kinds()[-1]) == (1, "end")


def test_one_that_ended_long_ago(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%short", DONE)
    job_id = begin(cli, repo, "%%short")
    cli("wait", job_id).ok()
    code, last = Monitor(cli, job_id, ready=False).ends()
    assert (code, last["threads"][0]["done"]) == (0, "end")


# -- several, and ends of another kind


def test_several_end_when_all_have(out: Outside, cli: Cli) -> None:
    gates = [out.model.gate(f"g{n}") for n in range(2)]
    threads = [out.begin(Step.hold(gate)) for gate in gates]
    for gate in gates:
        gate.reached()
    monitor = Monitor(cli, *(thread.id for thread in threads))
    first = Monitor(cli, *(thread.id for thread in threads), "--any")
    gates[0].open()
    monitor.tells("end")
    assert first.ends()[0] == 0
    assert monitor.kinds() == ["turn", "end"]
    gates[1].open()
    code, last = monitor.ends()
    assert code == 0 and monitor.kinds() == ["turn", "end", "turn", "end"]
    assert [event["thread_id"] for event in monitor.events] == [threads[0].id] * 2 + [threads[1].id] * 2
    assert [one["done"] for one in last["threads"]] == ["end", "end"]


def test_a_commit_may_end_it(editor: Ide, out: Outside, cli: Cli) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    head = git(out, "rev-parse", "HEAD")
    monitor = Monitor(cli, thread.id, "--until", "commit")
    git(out, "commit", "-q", "--allow-empty", "-m", "by hand")
    code, _ = monitor.ends()
    (event,) = monitor.events
    assert (code, event["data"]["subject"]) == (0, "by hand")
    assert event["data"]["id"] == git(out, "rev-parse", "HEAD")
    monitor = Monitor(cli, thread.id, "--until", "commit")
    git(out, "reset", "-q", "--hard", head)
    monitor.ends()
    assert "HEAD went to" in monitor.events[0]["text"]


def test_time_is_up(editor: Ide, cli: Cli) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    code, last = Monitor(cli, thread.id, "--timeout", "1").ends()
    assert (code, last["ended"]) == (124, "timeout")
    done = cli("monitor", thread.id, "--timeout", "0.5")
    assert done.rc == 124 and "go on: codex-agent monitor" in done.out


def test_broken_off(editor: Ide, cli: Cli) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    monitor = Monitor(cli, thread.id)
    monitor.interrupt()
    code, last = monitor.ends()
    assert (code, last["ended"]) == (130, "interrupted")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nosuchthread"], 3),
        (["last", "--on", "nothing"], 2),
        (["last", "--repo", "/"], 2),
        (["last", "--since", "t1.g-"], 2),
        (["last", "--idle", "0"], 2),
    ],
    ids=str,
)
def test_wrong_words(out: Outside, cli: Cli, words: list[str], code: int) -> None:
    out.exec(DONE)
    answer = cli("monitor", *words, "--json")
    assert answer.rc == code
    error: dict[str, Any] = answer.json()["error"]
    assert error["hint"]


def test_follow(out: Outside, cli: Cli) -> None:
    """`thread --follow` is the transcript, growing until nobody has the thread any more."""
    gate = out.model.gate("begin")
    first = Step.all(Step.message("First."), Step.command("true"))
    thread = out.begin(first, Step.hold(gate, Step.message("Second.")))
    gate.reached()
    reader = cli.start("thread", thread.id, "--follow")
    lines: list[str] = []
    assert reader.stdout is not None
    while not lines or "agent: First." not in lines[-1]:
        lines.append(reader.stdout.readline())
        assert lines[-1], lines
    gate.open()
    rest, err = reader.communicate(timeout=30)
    assert reader.returncode == 0, err
    assert "agent: Second." in rest


def test_named_twice_it_is_one(out: Outside, cli: Cli) -> None:
    thread = out.exec(DONE)
    monitor = Monitor(cli, thread.id, "last", f"codex://threads/{thread.id}", ready=False)
    code, last = monitor.ends()
    assert (code, len(last["threads"]), monitor.kinds()) == (0, 1, ["end"])


def test_a_job_that_waits_for_another_is_not_idle(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    gate = model.gate("held")
    model.on("%%first", Step.hold(gate))
    model.on("%%second", DONE)
    first = begin(cli, repo, "%%first")
    gate.reached()
    second = begin(cli, repo, "%%second", "--after", first)
    monitor = Monitor(cli, second, first, "--idle", "2s", "--until", "end")
    assert monitor.tells("idle")["job_id"] == first
    gate.open()
    code, _ = monitor.ends()
    assert code == 0
    assert [event["job_id"] for event in monitor.events if event["kind"] == "idle"] == [first]
    assert [event["job_id"] for event in monitor.events if event["kind"] == "end"] == [first, second]
