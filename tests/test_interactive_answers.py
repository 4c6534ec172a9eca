"""What an agent asks of a person, and every way to answer it from outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.interactive import QUESTIONS, asks, heard, refused, stay, told, wants
from support.jobs import see


def outputs(model: ModelServer, marker: str) -> list[str]:
    """What the model was told of the calls it made, in the last request."""
    items = model.requests_for(marker)[-1]["input"]
    return [str(item["output"]) for item in items if item.get("type") == "function_call_output"]


# ---- approvals ----


def test_approvals_lists_what_waits(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Over all jobs or some, longest waiting first, each with the commands that answer it."""
    model.on("%%one", wants("touch /nowhere/1", "to count"), Step.message("One."))
    model.on("%%two", wants("touch /nowhere/2"), Step.message("Two."))
    model.on("%%free", Step.message("Free."))
    assert cli("approvals").ok().out == "Nothing waits.\n"
    one, two, free = (stay(cli, repo, f"%%{word}", "--name", f"job {word}") for word in ("one", "two", "free"))
    for job_id in (one, two):
        told(cli, "await-turn", job_id, rc=10)
    everything = told(cli, "approvals")["waiting"]
    assert [(each["id"], each["name"]) for each in everything] == [(one, "job one"), (two, "job two")]
    assert everything[0]["waiting"] == see(cli, one)["waiting_for"]
    assert [each["id"] for each in told(cli, "approvals", two, free)["waiting"]] == [two]
    assert told(cli, "approvals", "job free")["waiting"] == []
    lines = cli("approvals", one).ok().out.splitlines()
    assert lines[0].startswith(f"{one}  job one  1: command, waiting for ")
    assert "touch /nowhere/1" in lines[1] and lines[2] == "  why: to count" and lines[3] == f"  in {repo}"
    assert lines[4:] == [
        f"  codex-agent approve {one} 1",
        f"  codex-agent approve {one} 1 --always",
        f'  codex-agent deny {one} 1 --message "..."',
    ]
    cli("kill", one).ok()
    assert [each["id"] for each in told(cli, "approvals")["waiting"]] == [two], "who has ended waits for nothing"


def test_several_wait(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """Then a number must say which; the agent waits until the last is answered. Numbers are never used twice."""
    a, b = home.root / "a", home.root / "b"
    model.on("%%both", Step.all(wants(f"touch {a}"), wants(f"touch {b}")), Step.message("Both."))
    model.on("%%more", wants(f"touch {b}-more"), Step.message("More."))
    job_id = stay(cli, repo, "%%both")
    until(lambda: len(told(cli, "approvals", job_id)["waiting"]) == 2, 10, "both to be asked")
    why = refused(cli, "approve", job_id)
    assert "1, 2" in why and not a.exists() and not b.exists()
    second = told(cli, "approvals", job_id)["waiting"][1]["waiting"]
    done = told(cli, "approve", job_id, "2")
    assert done["waiting"] == second and done["turn_state"] == "waiting_approval"
    assert see(cli, job_id)["waiting_for"]["n"] == 1
    assert "answered" in refused(cli, "approve", job_id, "2") and "never asked" in refused(
        cli, "deny", job_id, "3"
    )
    assert told(cli, "deny", job_id)["waiting"]["n"] == 1
    assert told(cli, "await-turn", job_id)["message"] == "Both."
    assert (a.exists(), b.exists()) == (str(a) in second["command"], str(b) in second["command"])
    told(cli, "send", job_id, "%%more", "--wait", rc=10, shape="send --wait")
    assert see(cli, job_id)["waiting_for"]["n"] == 3
    assert (
        "no question" in refused(cli, "answer", job_id, "-n", "3", "yes") and cli("approve", job_id, "0").rc == 2
    )


def test_approve_always(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The same command is not asked for again; another one is."""
    mark = home.root / "mark"
    again = Step.call(
        "exec_command",
        {"cmd": f"echo x >> {mark}", "sandbox_permissions": "require_escalated", "justification": "once more"},
    )
    model.on("%%same", again, again, wants(f"echo other >> {mark}"), Step.message("Thrice."))
    job_id = stay(cli, repo, "%%same")
    told(cli, "await-turn", job_id, rc=10)
    assert told(cli, "approve", job_id, "--always")["decision"] == "accept_always"
    report = told(cli, "await-turn", job_id, rc=10)
    assert "echo other" in report["waiting_for"][0]["command"] and report["waiting_for"][0]["n"] == 2
    assert mark.read_text() == "x\nx\n"
    answer = cli("approve", job_id).ok()
    assert answer.out.startswith(f"{job_id}  approved 2 (command: ")
    assert told(cli, "await-turn", job_id)["message"] == "Thrice." and mark.read_text() == "x\nx\nother\n"
    # The next turn is of the same agent.
    told(cli, "send", job_id, "%%same", "--wait", rc=10, shape="send --wait")
    assert mark.read_text() == "x\nx\nother\nx\nx\n"


def test_deny_with_a_message(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The turn goes on, and the model hears what it shall do instead."""
    made = home.root / "made"
    model.on("%%ask", wants(f"touch {made}"), Step.message("I see."), Step.message("As you say."))
    job_id = stay(cli, repo, "%%ask")
    turn = told(cli, "await-turn", job_id, rc=10)["turn_id"]
    done = told(cli, "deny", job_id, "--message", "use the other one")
    assert done["decision"] == "decline" and done["sent"]["delivery"] in ("steer", "turn")
    report = told(cli, "await-turn", job_id)
    assert report["turn_id"] == done["sent"]["turn_id"] and (report["turn_id"] == turn) == (
        done["sent"]["delivery"] == "steer"
    )
    assert heard(model, "%%ask")[-1][-1] == "use the other one" and not made.exists()
    assert heard(model, "%%ask")[-1].count("use the other one") == 1
    assert "rejected" in outputs(model, "%%ask")[0]


def test_nothing_to_answer(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%free", Step.message("Free."))
    job_id = stay(cli, repo, "%%free")
    told(cli, "await-turn", job_id)
    for words in (("approve", job_id), ("deny", job_id), ("answer", job_id, "yes")):
        assert "Nothing of that kind waits" in refused(cli, *words)
    assert "never asked" in refused(cli, "approve", job_id, "1")
    assert "empty" in refused(cli, "deny", job_id, "--message", " ", rc=2)
    told(cli, "exit", job_id)
    for words in (("approve", job_id), ("deny", job_id, "1"), ("answer", job_id, "yes")):
        assert "ended" in refused(cli, *words)
    assert cli("approvals", "00000000").rc == 3


def test_an_approval_ends_with_its_turn(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Interrupted while it waits: nothing waits any more, and nothing was done."""
    made = home.root / "made"
    model.on("%%ask", wants(f"touch {made}"), Step.message("never"))
    job_id = stay(cli, repo, "%%ask")
    told(cli, "await-turn", job_id, rc=10)
    told(cli, "interrupt", job_id)
    job = see(cli, job_id)
    assert job["turn_state"] == "idle" and job["waiting_for"] is None and not made.exists()
    assert told(cli, "approvals")["waiting"] == []
    assert "its turn ended" in refused(cli, "approve", job_id, "1") and not made.exists()


def test_changing_files(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """A patch that the sandbox does not allow: the files it is about are told with it."""
    made = repo / "made.txt"
    model.on(
        "%%patch",
        Step.patch(f"*** Begin Patch\n*** Add File: {made}\n+made\n*** End Patch\n"),
        Step.message("Done."),
    )
    job_id = stay(cli, repo, "%%patch", "-s", "read-only")
    report = told(cli, "await-turn", job_id, rc=10)
    waiting = report["waiting_for"][0]
    assert waiting["kind"] == "file_change" and waiting["files"] == [str(made)] and waiting["command"] is None
    assert str(made) in cli("approvals").out
    told(cli, "approve", job_id)
    assert told(cli, "await-turn", job_id)["files_modified"] == ["made.txt"] and made.read_text() == "made\n"


# ---- questions ----


@pytest.mark.parametrize(
    ("given", "means"),
    [("2", "Blue"), ("blue", "Blue"), ("Red", "Red"), ("neither, take green", "neither, take green"), ("7", "7")],
)
def test_answer_by_number_label_or_words(
    given: str, means: str, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    model.on("%%ask", asks(("Which color?", ["Red", "Blue"])), Step.message("Thanks."))
    job_id = stay(cli, repo, "%%ask", *QUESTIONS)
    told(cli, "await-turn", job_id, rc=10)
    answer = cli("answer", job_id, given).ok()
    assert answer.out.startswith(f"{job_id}  answered 1 (question: Which color?); now ")
    assert told(cli, "await-turn", job_id)["message"] == "Thanks."
    assert json.loads(outputs(model, "%%ask")[-1]) == {"answers": {"q1": {"answers": [means]}}}


def test_answer_several_questions(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """One answer for each, in order; an approval's words do not answer a question."""
    three = asks(("One?", ["A", "B"]), ("Two?", ["C", "D"]), ("Three?", ["E", "F"]))
    model.on("%%ask", three, Step.message("Thanks."))
    job_id = stay(cli, repo, "%%ask", *QUESTIONS)
    waiting = told(cli, "await-turn", job_id, rc=10)["waiting_for"][0]
    assert [question["text"] for question in waiting["questions"]] == ["One?", "Two?", "Three?"]
    assert cli("await-turn", job_id).err.rstrip().endswith(f"codex-agent answer {job_id} -n 1 1 1 1")
    assert "3 questions" in refused(cli, "answer", job_id, "1", "2", rc=2)
    assert "question" in refused(cli, "approve", job_id, "1") and cli("answer", job_id).rc == 2
    assert see(cli, job_id)["turn_state"] == "waiting_input"
    done = told(cli, "answer", job_id, "-n", "1", "2", "C", "in my own words")
    assert done["waiting"] == waiting
    assert told(cli, "await-turn", job_id)["message"] == "Thanks."
    given = {key: value["answers"] for key, value in json.loads(outputs(model, "%%ask")[-1])["answers"].items()}
    assert given == {"q1": ["B"], "q2": ["C"], "q3": ["in my own words"]}
