"""`monitor` on real threads: everything that was asked for and nothing else, and the end with its exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, codex
from support.codexes import WHEELS
from support.ide import Ide
from support.jobs import Place
from support.monitoring import Monitor, assert_told, script, told
from support.threads import DONE, Outside, outside
from support.waiting import until

GOALS = ("-c", "features.goals=true")
ALL = "commit,goal,turn,failure,idle,file,value,end,approval"


# -- what is told


@pytest.mark.parametrize("which", WHEELS)
def test_everything_asked_for_and_nothing_else(
    home: Home, cli: Cli, model: ModelServer, repo: Path, which: str
) -> None:
    chosen: Codex = codex(which)
    home.use_codex(chosen)
    play, gate = script(repo), model.gate("begin")
    has_goals = which == "newest"
    if has_goals:
        play.goal()
    play.everything()
    play.everything()
    if has_goals:
        play.reach()
    play.done()
    with outside(Place(home, cli, model, repo), chosen) as out:
        thread = out.begin(Step.hold(gate, Step.command("true")), *play.steps, words=GOALS if has_goals else ())
        gate.reached()
        monitor = Monitor(cli, thread.id, "--on", ALL, "--until", "end", "--max-events", "0", *play.wanted)
        gate.open()
        code, last = monitor.ends(60)
    found = [told(event) for event in monitor.events]
    assert found[-1] == ("end", "")
    assert_told(found[:-1], play.expected)
    assert (code, last["ended"], last["threads"][0]["done"]) == (0, "until", "end")
    assert last["counts"]["commit"] == 6
    for event in monitor.events:
        assert event["thread_id"] == thread.id and event["job_id"] is None


def test_a_command_that_only_the_sandbox_made_fail(out: Outside, cli: Cli) -> None:
    """0.163.0 writes no item of such a command: only the model's call and what it was answered tell of it."""
    gate = out.model.gate("begin")
    commit = "git commit -q --allow-empty -m no"
    steps = [Step.hold(gate, Step.command("true")), Step.command(commit), Step.command("false"), DONE]
    thread = out.begin(*steps, sandbox="workspace-write")
    gate.reached()
    monitor = Monitor(cli, thread.id, "--on", "failure,commit")
    gate.open()
    monitor.ends()
    assert [told(event) for event in monitor.events[:-1]] == [("failure", commit), ("failure", "false")]


def test_only_the_kinds_asked_for(out: Outside, cli: Cli) -> None:
    play, gate = script(out.repo), out.model.gate("begin")
    play.everything()
    thread = out.begin(Step.hold(gate, Step.command("true")), *play.done())
    gate.reached()
    monitor = Monitor(cli, thread.id, "--on", "commit", "--until", "end", "--repo", str(out.repo))
    gate.open()
    monitor.ends()
    assert sorted(told(event) for event in monitor.events[:-1]) == play.kinds("commit")


def test_an_event_storm_is_cut_and_gone_on_from_without_a_gap(out: Outside, cli: Cli) -> None:
    play, gate = script(out.repo), out.model.gate("begin")
    for _ in range(3):
        play.everything()
    play.done()
    thread = out.begin(Step.hold(gate, Step.command("true")), *play.steps)
    gate.reached()
    words = [thread.id, "--on", ALL, "--until", "end", "--max-events", "4", *play.wanted]
    monitor = Monitor(cli, *words)
    gate.open()
    found: list[tuple[str, str]] = []
    for _ in range(20):
        code, last = monitor.ends(60)
        found += [told(event) for event in monitor.events]
        if code != 13:
            break
        assert (last["ended"], len(monitor.events)) == ("max_events", 4)
        assert last["command"][-2:] == ["--since", last["since"]]
        monitor = Monitor(cli, *words, "--since", last["since"], ready=False)
    assert_told([one for one in found if one[0] != "end"], play.expected)


def test_as_text_it_is_a_line_for_each_event(out: Outside, cli: Cli) -> None:
    play, gate = script(out.repo), out.model.gate("begin")
    play.commit()
    play.fail()
    play.done()
    thread = out.begin(Step.hold(gate, Step.command("true")), *play.steps)
    gate.reached()
    watching = cli.start("monitor", thread.id)
    until(lambda: _watched(watching.pid), 20, "the monitor watching")
    gate.open()
    lines, err = watching.communicate(timeout=30)
    head = rf"\d\d:\d\d:\d\dZ {thread.id[:13]} "
    kinds = [re.sub(head, "", line).split(" ")[0] for line in lines.splitlines()]
    assert sorted(kinds) == ["commit", "end", "failure", "turn"] and kinds[-1] == "end", lines
    assert all(re.match(head, line) for line in lines.splitlines())
    assert (watching.returncode, err) == (0, "")


def _watched(pid: int) -> bool:
    try:
        return any("inotify wd" in one.read_text() for one in Path(f"/proc/{pid}/fdinfo").iterdir())
    except OSError:  # one that was closed since
        return False


# -- the end of others' threads


def test_a_closed_thread_has_ended(out: Outside, cli: Cli) -> None:
    thread = out.exec(DONE)
    code, last = Monitor(cli, thread.id, ready=False).ends()
    assert (code, last["threads"][0]["done"]) == (0, "end")


def test_one_that_failed(out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = out.begin(Step.hold(gate, Step.failed("server_error", "It broke.")))
    gate.reached()
    monitor = Monitor(cli, thread.id)
    gate.open()
    code, _ = monitor.ends(60)
    assert (code, monitor.kinds()) == (1, ["turn", "end"])
    assert monitor.events[0]["data"]["status"] == "failed"


def test_one_at_its_limit(out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = out.begin(Step.hold(gate, Step.failed("context_length_exceeded")))
    gate.reached()
    monitor = Monitor(cli, thread.id)
    gate.open()
    code, _ = monitor.ends()
    assert (code, monitor.kinds()) == (11, ["turn", "end"])


def test_one_that_is_killed(out: Outside, cli: Cli) -> None:
    """No end is written down, and Codex's lock stays: the kernel tells that nobody holds it."""
    gate = out.model.gate("begin")
    thread = out.begin(Step.hold(gate))
    gate.reached()
    monitor = Monitor(cli, thread.id)
    out.kill(thread)
    code, _ = monitor.ends(15)
    assert (code, monitor.kinds()) == (1, ["end"])
    assert monitor.events[0]["data"]["turn"] == "interrupted"


def test_interrupted(out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = out.begin(Step.command("true"), Step.hold(gate))
    gate.reached()
    monitor = Monitor(cli, thread.id, "--until", "turn")
    assert thread.process is not None
    thread.process.send_signal(2)
    code, _ = monitor.ends()
    assert (code, monitor.events[0]["data"]["status"]) == (1, "interrupted")


def test_handed_from_one_process_to_the_next_it_has_not_ended(out: Outside, cli: Cli) -> None:
    gate = out.model.gate("begin")
    thread = out.begin(Step.hold(gate))
    gate.reached()
    monitor = Monitor(cli, thread.id)
    gate.open()
    monitor.tells("turn")
    assert thread.process is not None
    thread.process.wait(10)
    again = out.model.gate("again")
    out.resuming(thread, Step.hold(again))
    again.reached()
    assert monitor.kinds() == ["turn"]
    again.open()
    code, _ = monitor.ends()
    assert (code, monitor.kinds()) == (0, ["turn", "turn", "end"])


def test_an_open_goal_as_exec_leaves(out: Outside, cli: Cli) -> None:
    """`codex exec` begins one more turn for the goal, and breaks it off: nobody was at work in it."""
    gate = out.model.gate("begin")
    aim = Step.call("create_goal", {"objective": "Make it work.", "token_budget": 50000})
    thread = out.begin(Step.hold(gate, aim), Step.message("Not yet."), words=GOALS)
    gate.reached()
    monitor = Monitor(cli, thread.id, "--until", "end")
    gate.open()
    code, _ = monitor.ends()
    found = [told(event) for event in monitor.events]  # the goal's database is no part of the rollout
    assert sorted(found[:-1]) == [("goal", "active"), ("turn", "completed")]
    assert found[-1] == ("end", "")
    assert code == 0


def test_archived_while_it_is_watched(out: Outside, editor: Ide, cli: Cli) -> None:
    thread = editor.thread(DONE)
    editor.ended(thread)
    monitor = Monitor(cli, thread.id, "--until", "end")
    editor.ask("thread/archive", {"threadId": thread.id})
    code, _ = monitor.ends()
    assert (code, monitor.kinds()) == (0, ["end"])
