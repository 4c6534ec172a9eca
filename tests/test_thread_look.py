"""`thread`, held against sessions of every kind that a real Codex has just made (``support/sessions.py``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.codex.interactive import records_failures
from codex_agent.codex.version import parse_version
from codex_agent.demo.model_server import Step
from support import Cli, Codex, codex
from support.codexes import WHEELS
from support.ide import IdeThread, escalates, ide
from support.jobs import Place
from support.sessions import AIM, HAS_FORK, KINDS, PLAN, Sessions, sessions
from support.threads import DONE, Outside, Thread
from support.waiting import until


@pytest.fixture(scope="module", params=WHEELS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    which = codex(request.param)
    with sessions(tmp_path_factory.mktemp("threads"), which) as all_of_them:
        yield all_of_them


@pytest.fixture(scope="module")
def runner(made: Sessions) -> Iterator[Cli]:
    run = Cli(made.out.home.env, made.out.home.root)
    yield run
    run.close()


def look(runner: Cli, thread: Thread | str, *words: str) -> dict[str, Any]:
    """`thread --json`, of the documented shape."""
    thread_id = thread if isinstance(thread, str) else thread.id
    answer = runner("thread", thread_id, "--json", *words).ok().json()
    schema.check(schema.COMMANDS["thread"], answer)
    assert isinstance(answer, dict)
    return answer


def one(made: Sessions, name: str) -> Thread:
    if name not in made.threads:
        pytest.skip(f"Codex {made.out.codex.version} has no such sessions")
    return made.threads[name]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind(made: Sessions, runner: Cli, name: str) -> None:
    thread, kind = one(made, name), made.kind(name)
    view = look(runner, thread)
    assert (view["source"], view["state"], view["turn"]) == (kind.source, kind.state, kind.turn)
    assert (view["id"], view["rollout"]) == (thread.id, str(thread.rollout))
    assert (view["cwd"], view["cli_version"]) == (str(made.out.repo), made.out.codex.version)
    # A review's model works in a thread of its own; from 0.169.0 on the settings name it here, too.
    assert view["model"] == "gpt-5.5" or name == "reviewed"
    said = view["narrations"][-1]["text"] if view["narrations"] else None
    assert said == kind.says
    assert (view["bad_lines"], view["unknown_lines"]) == (0, 0)
    assert view["job_id"] is None
    assert view["turns"] >= 1
    assert view["turn_started_at"]
    assert bool(view["turn_ended_at"]) == (
        view["turn"] in ("completed", "failed") or "abort" in name or "ide int" in name
    )
    if kind.turn == "interrupted" and not view["turn_ended_at"]:
        assert view["state_reason"]


@pytest.mark.parametrize("name", KINDS)
def test_whether_it_waits_for_an_approval(made: Sessions, runner: Cli, name: str) -> None:
    """No rollout says so; and what merely thinks, or runs a long command, does not wait."""
    suspicion = look(runner, one(made, name))["suspicion"]
    assert suspicion["probable"] == (name == "ide asks"), suspicion["evidence"]
    assert bool(suspicion["since"]) == (name == "ide asks")
    assert suspicion["evidence"]


@pytest.mark.parametrize("name", KINDS)
def test_who_has_it(made: Sessions, runner: Cli, name: str) -> None:
    thread = one(made, name)
    owner = look(runner, thread)["owner"]
    if KINDS[name].state == "closed":
        assert owner is None
        return
    assert owner is not None
    assert owner["pid"] == thread.pid
    assert owner["evidence"] == (
        "writer_lock" if parse_version(made.out.codex.version) >= HAS_FORK else "open_rollout"
    )
    assert owner["since"]


def test_who_has_it_through_a_link(made: Sessions, runner: Cli, tmp_path: Path) -> None:
    """~/.codex on another disk."""
    link = tmp_path / "link"
    link.symlink_to(made.codex_home)
    thread = made.threads["ide"]
    answer = runner("thread", thread.id, "--json", env={"CODEX_HOME": str(link)}).ok().json()
    assert answer["owner"] == look(runner, thread)["owner"]
    assert answer["owner"]["pid"] == thread.pid


@pytest.mark.parametrize("name", ["killed", "thinking", "done", "ide asks"])
def test_no_command_runs(made: Sessions, runner: Cli, name: str) -> None:
    """One that has died with its Codex does not; one that waits for a yes has been called, and counts."""
    assert bool(look(runner, one(made, name))["running"]) == (name == "ide asks")


def test_what_was_changed_and_counted(made: Sessions, runner: Cli) -> None:
    view = look(runner, made.threads["done"])
    assert [(file["kind"], file["path"]) for file in view["files"]] == [("add", str(made.out.repo / "made.txt"))]
    # Three answers of the scripted model: 1000, 1200, 1400 in, 40 out each.
    assert view["tokens"]["input"] == 3600 and view["tokens"]["output"] == 120
    assert view["turns"] == 1


def test_what_was_said(made: Sessions, runner: Cli) -> None:
    said = look(runner, made.threads["done"])["narrations"]
    assert [each["text"] for each in said] == ["I look first.", "Done."]
    assert all(each["at"] for each in said)
    assert len(look(runner, made.threads["done"], "--last", "1")["narrations"]) == 1
    assert look(runner, made.threads["done"], "--last", "0")["narrations"] == []


def test_why_it_failed(made: Sessions, runner: Cli) -> None:
    error = look(runner, made.threads["failed"])["turn_error"]
    if records_failures(made.out.codex.version):
        assert "ran out of room" in error
    else:
        assert error is None


def test_the_turns_of_a_resumed_one(made: Sessions, runner: Cli) -> None:
    assert look(runner, made.threads["resumed"])["turns"] == 2
    assert look(runner, made.threads["resumed after a kill"])["turns"] == 2


def test_where_a_fork_comes_from(made: Sessions, runner: Cli) -> None:
    view = look(runner, one(made, "forked"))
    assert view["forked_from"] == made.threads["done"].id
    assert view["turns"] == 1, "its parent's turn is not its own"
    assert [each["text"] for each in view["narrations"]] == ["Forked."]
    assert look(runner, made.threads["done"])["forked_from"] is None


def test_its_plan(made: Sessions, runner: Cli) -> None:
    thread = made.threads["planned"]
    plan = [(step["text"], step["status"]) for step in look(runner, thread)["plan"]]
    outputs = [payload.get("output") for payload in thread.payloads("function_call_output")]
    has_plans = not any("unsupported" in str(output) for output in outputs)
    assert plan == (list(PLAN) if has_plans else []), outputs


def test_its_goal(made: Sessions, runner: Cli) -> None:
    goal = look(runner, one(made, "reached"))["goal"]
    assert goal is not None
    assert (goal["objective"], goal["status"], goal["token_budget"]) == (AIM, "complete", 50000)
    assert goal["updated_at"]
    assert goal["basis"] == "database"
    goal = look(runner, one(made, "ide pursues"))["goal"]
    assert goal is not None
    assert (goal["objective"], goal["status"], goal["token_budget"]) == (AIM, "active", None)
    assert look(runner, made.threads["done"])["goal"] is None


def test_its_sub_agents(made: Sessions, runner: Cli) -> None:
    first, second, grandchild = made.children
    tree = look(runner, made.threads["parent"])["sub_agents"]
    parent = made.threads["parent"].id
    assert [(each["id"], each["parent_id"], each["depth"]) for each in tree] == [
        (first, parent, 1),
        (grandchild, first, 2),
        (second, parent, 1),
    ]
    says = {first: "I was the first.", second: "I was the second.", grandchild: "Done."}
    for each in tree:
        assert (each["turn"], each["last_message"]) == ("completed", says[each["id"]])
        assert each["state"] in ("idle", "closed")
        assert each["name"]
        view = look(runner, each["id"])
        assert (view["parent_id"], view["source"]) == (each["parent_id"], "subagent")
        assert [said["text"] for said in view["narrations"]][-1] == says[each["id"]]
    assert look(runner, made.threads["done"])["sub_agents"] == []


def test_as_text(made: Sessions, runner: Cli) -> None:
    for name, thread in made.threads.items():
        said = runner("thread", thread.id).ok()
        kind = made.kind(name)
        for text in (thread.id, str(thread.rollout), kind.source, kind.state):
            assert text in said.out, f"{name}: {said}"
        assert ("approv" in said.out.lower()) or name != "ide asks", said.out
        assert said.err == ""


def test_its_conversation(made: Sessions, runner: Cli) -> None:
    said = runner("thread", made.threads["done"].id, "--transcript").ok().out
    marker = made.threads["done"].marker
    assert said.index(marker) < said.index("I look first.") < said.index("Done.")
    both = runner("thread", made.threads["resumed"].id, "--transcript").ok().out
    last = runner("thread", made.threads["resumed"].id, "--transcript", "--since", "2").ok().out
    assert "Done." in both and "Again." in both
    assert "Done." not in last and "Again." in last
    assert runner("thread", made.threads["done"].id, "--since", "1").rc == 2


# ---- as it changes ----


@pytest.fixture
def place_here(home: Any, cli: Cli, model: Any, repo: Path) -> Place:
    return Place(home, cli, model, repo)


@pytest.fixture
def out(place_here: Place, each_codex: Codex) -> Iterator[Outside]:
    made = Outside(place_here.home, place_here.model, place_here.repo, each_codex)
    yield made
    made.close()


def test_the_approval_given(out: Outside, cli: Cli) -> None:
    """It waits; its person says yes; it runs the command, and no longer waits; it is done."""
    begun, over = out.repo / "begun", out.repo / "over"
    command = f"touch {begun}; while [ ! -e {over} ]; do sleep 0.05; done"
    with ide(out) as editor:
        thread: IdeThread = editor.thread(escalates(command), DONE)
        request = editor.asked(thread)
        assert look(cli, thread)["suspicion"]["probable"]
        editor.answers(request, "accept")
        until(begun.exists, 10, "the command")
        view = look(cli, thread)
        assert (view["state"], view["suspicion"]["probable"]) == ("working", False), view["suspicion"]
        over.touch()
        editor.ended(thread)
        view = look(cli, thread)
        assert (view["state"], view["turn"], view["suspicion"]["probable"]) == ("idle", "completed", False)
    view = look(cli, thread)
    assert (view["state"], view["turn"], view["owner"]) == ("closed", "completed", None)


def test_the_command_that_runs(out: Outside, cli: Cli) -> None:
    """As long as its model waits for it; Codex tells the model after a while that it runs in the background."""
    with ide(out) as editor:
        commands = {name: f"touch {out.repo / name}; sleep 987" for name in ("exec", "ide")}
        steps = {name: Step.command(command, yield_time_ms=30_000) for name, command in commands.items()}
        threads = {
            "exec": out.begin(steps["exec"], DONE),
            "ide": editor.thread(steps["ide"], DONE, sandbox="danger-full-access"),
        }
        for name, thread in threads.items():
            until((out.repo / name).exists, 20, "the command")
            view = look(cli, thread)
            (ran,) = view["running"]
            assert (view["state"], view["suspicion"]["probable"]) == ("working", False), name
            assert commands[name] in ran["command"]
            assert (ran["exit_code"], ran["status"]) == (None, "running")
        for thread in threads.values():
            out.kill(thread)


def test_one_waits_while_another_runs(out: Outside, cli: Cli) -> None:
    """Two threads of one IDE: a command of the one is no sign of the other's."""
    begun = out.repo / "begun"
    with ide(out) as editor:
        waits = editor.thread(escalates("curl example.invalid"), DONE)
        editor.asked(waits)
        runs = editor.thread(Step.command(f"touch {begun}; sleep 987"), DONE, sandbox="danger-full-access")
        until(begun.exists, 10, "the other's command")
        assert look(cli, waits)["suspicion"]["probable"]
        assert not look(cli, runs)["suspicion"]["probable"]
        out.kill(runs)


def test_a_persons_goal_that_the_agent_reaches(out: Outside, cli: Cli) -> None:
    """Its beginning stands in the rollout, its end (0.150.0 to 0.169.0) in Codex's database alone."""
    gate = out.model.gate("reaching")
    with ide(out) as editor:
        thread = editor.thread(Step.hold(gate, Step.call("update_goal", {"status": "complete"})), DONE, DONE)
        gate.reached()
        editor.goal(thread, AIM)
        assert look(cli, thread)["goal"]["status"] == "active"
        gate.open()
        editor.ended(thread)
        assert look(cli, thread)["goal"]["status"] == "complete"
        editor.ask("thread/goal/clear", {"threadId": thread.id})
        assert look(cli, thread)["goal"] is None


def test_the_tui_that_waits(out: Outside, cli: Cli) -> None:
    thread = out.tui(escalates("curl example.invalid"), DONE, sandbox="workspace-write")
    until(lambda: "Yes, proceed" in out.screen(thread.mark), 20, "the prompt")
    view = look(cli, thread)
    assert (view["source"], view["state"], view["suspicion"]["probable"]) == ("cli", "working", True)
    out.press(thread, "Escape")
    until(lambda: look(cli, thread)["turn"] == "interrupted", 10, "the end of the turn")
    assert look(cli, thread)["suspicion"]["probable"] is False


def test_a_thread_without_a_turn(out: Outside, cli: Cli) -> None:
    """An IDE that has made one and said nothing yet: Codex has no rollout of it."""
    with ide(out) as editor:
        made = editor.ask("thread/start", {"cwd": str(out.repo)})["thread"]["id"]
        answer = cli("thread", made, "--json")
        if answer.rc == 0:
            view = answer.json()
            assert (view["turn"], view["turns"]) == (None, 0)
        else:
            assert answer.rc == 3 and answer.json()["error"]["code"] == "thread_not_found"


def test_resumed_elsewhere(out: Outside, cli: Cli) -> None:
    """Looked at, gone on with in another program, looked at again."""
    thread = out.exec(Step.message("One."))
    assert look(cli, thread)["turns"] == 1
    gate = out.model.gate("later")
    going = out.resuming(thread, Step.hold(gate, Step.message("Two.")))
    gate.reached()
    view = look(cli, thread)
    assert (view["turns"], view["state"], view["turn"]) == (2, "working", "open")
    assert view["owner"]["pid"] == going.pid
    gate.open()
    assert going.process is not None and going.process.wait(20) == 0
    view = look(cli, thread)
    assert (view["state"], view["turn"], view["narrations"][-1]["text"]) == ("closed", "completed", "Two.")
    assert os.path.samefile(view["rollout"], thread.rollout)


def test_what_was_killed_leaves_its_lock(out: Outside, cli: Cli) -> None:
    """The lock is there, and nobody holds it."""
    thread = out.killed()
    view = look(cli, thread)
    assert (view["state"], view["turn"], view["owner"]) == ("closed", "interrupted", None)
    assert thread.lock.exists() == (parse_version(out.codex.version) >= HAS_FORK)
    assert look(cli, out.resumed(thread))["turn"] == "completed"


def test_none_of_that_name(cli: Cli) -> None:
    answer = cli("thread", "01a1ffff-ffff-7fff-8fff-ffffffffffff", "--json")
    assert answer.rc == 3
    assert answer.json()["error"]["code"] == "thread_not_found"
    assert cli("thread", "last").rc == 3
    assert cli("thread").rc == 2
