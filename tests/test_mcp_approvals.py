"""codex_approvals and codex_approve; asking the person at the client (elicitation), in both ages of MCP."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import mcp_types as types
import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until
from support.interactive import QUESTIONS, asks, heard, stay, told, wants
from support.jobs import see
from support.mcp_client import Mcp, mcp

ERAS = ["legacy", "auto"]  # until 2025-11-25 a server asks in the middle of a call, then no more


@dataclass
class Person:
    """Whoever sits at the client. ``says``: what they put into each form; None: they put it away. May be slow."""

    says: list[dict[str, Any] | None]
    is_there: bool = True
    seen: list[types.ElicitRequestFormParams] = field(default_factory=list)

    async def __call__(self, context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        assert isinstance(params, types.ElicitRequestFormParams)
        self.seen.append(params)
        while not self.is_there:
            await anyio.sleep(0.01)
        said = self.says.pop(0)
        if said is None:
            return types.ElicitResult(action="decline")
        return types.ElicitResult(action="accept", content=said)


@contextlib.contextmanager
def at(home: Home, person: Person, era: str) -> Iterator[Mcp]:
    with mcp(home, elicitation_callback=person, mode=era) as client:
        assert (client.client.protocol_version >= "2026-07-28") == (era == "auto")
        yield client


@pytest.fixture
def client(home: Home) -> Iterator[Mcp]:
    """One at which nobody can be asked."""
    with mcp(home) as made:
        yield made


def waiting(cli: Cli, model: ModelServer, repo: Path, *steps: Step, words: tuple[str, ...] = ()) -> str:
    """An agent that stays and has asked; its id."""
    model.on("%%ask", *steps, Step.message("Done."))
    job_id = stay(cli, repo, "%%ask", *words)
    told(cli, "await-turn", job_id, rc=10)
    return job_id


# ---- the model answers ----


def test_what_waits_and_the_answers(client: Mcp, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Two wait: a number must say which. Approved is done, denied is not, and the agent hears why."""
    a, b = home.root / "a", home.root / "b"
    assert client("codex_approvals").text == "Nothing waits."
    job_id = waiting(cli, model, repo, Step.all(wants(f"touch {a}", "to count"), wants(f"touch {b}")))
    until(lambda: len(client("codex_approvals").data["waiting"]) == 2, 10, "both to be asked")
    answer = client("codex_approvals", taskIds=[job_id[:6]])
    first, second = (one["waiting"] for one in answer.data["waiting"])
    assert (first["n"], first["kind"], first["cwd"]) == (1, "command", str(repo)) and "question" not in first
    assert f"{job_id} waits for 1 (command): " in answer.text and str(a) in first["command"] + second["command"]
    assert "1, 2" in client("codex_approve", taskId=job_id, decision="approve").error
    assert "not 3" not in client("codex_approve", taskId=job_id, decision="approve", n=3).error
    done = client("codex_approve", taskId=job_id, decision="approve", n=1)
    assert done.data["waiting"] == first and done.data["decision"] == "accept"
    assert done.text.startswith(f"Task {job_id}: approved 1 (command)")
    said = client("codex_approve", taskId=job_id, decision="deny", message="count on your fingers").data
    assert said["decision"] == "decline" and said["waiting"]["n"] == 2
    assert client("codex_wait", taskId=job_id).data["done"]
    assert (a.exists(), b.exists()) == (str(a) in first["command"], str(b) in first["command"])
    assert "count on your fingers" in [text for each in heard(model, "%%ask") for text in each]
    assert "has been answered" in client("codex_approve", taskId=job_id, decision="approve", n=1).error


def test_questions(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    steps = asks(("Which color?", ["Red", "Blue"]), ("How many?", ["One", "Two"]))
    job_id = waiting(cli, model, repo, steps, words=QUESTIONS)
    assert "Which color?; How many?" in client("codex_approvals").text
    assert "is a question" in client("codex_approve", taskId=job_id, decision="approve", n=1).error
    for words in ({"decision": "answer"}, {"decision": "approve", "answers": ["1", "2"]}):
        assert "go together" in client("codex_approve", taskId=job_id, **words).error
    assert "2 questions" in client("codex_approve", taskId=job_id, decision="answer", answers=["1"]).error
    assert (
        client("codex_approve", taskId=job_id, decision="answer", answers=["2", "none"]).data["decision"]
        == "answer"
    )
    assert client("codex_wait", taskId=job_id).data["tasks"][0]["message"] == "Done."
    assert given(model) == {"q1": ["Blue"], "q2": ["none"]}


def given(model: ModelServer) -> dict[str, list[str]]:
    """What the agent was answered to its questions."""
    items = model.requests_for("%%ask")[-1]["input"]
    output = [item["output"] for item in items if item.get("type") == "function_call_output"][-1]
    return {key: value["answers"] for key, value in json.loads(output)["answers"].items()}


def test_what_cannot_be_answered(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    job_id = waiting(cli, model, repo, wants("touch /nowhere"))
    assert "cannot ask its person" in client("codex_approve", taskId=job_id, decision="ask").error
    task = client("codex_wait", taskId=job_id).data["tasks"][0]
    assert task["turn_state"] == "waiting_approval" and task["waiting_for"][0]["n"] == 1
    assert "message goes with" in client("codex_approve", taskId=job_id, decision="approve", message="no").error
    assert "decision" in client("codex_approve", taskId=job_id, decision="maybe").error
    assert "decision is missing" in client("codex_approve", taskId=job_id).error
    assert "waits for 1, not for 2" in client("codex_approve", taskId=job_id, decision="ask", n=2).error
    cli("interrupt", job_id).ok()
    for decision in ("approve", "ask"):
        assert "[bad_state]" in client("codex_approve", taskId=job_id, decision=decision).error
    assert "[not_found]" in client("codex_approvals", taskIds=["nobody"]).error


def test_a_model_that_may_not_answer(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """With the setting off only a person does."""
    home.env["CODEX_AGENT_MCP_APPROVE"] = "false"
    made, person = home.root / "made", Person([{"decision": "approve"}])
    job_id = waiting(cli, model, repo, wants(f"touch {made}"))
    with at(home, person, "auto") as client:
        for decision in ("approve", "approve_always", "deny"):
            assert "mcp.approve" in client("codex_approve", taskId=job_id, decision=decision).error
        assert not made.exists() and person.seen == []
        assert client("codex_approve", taskId=job_id, decision="ask").data["decision"] == "accept"
        assert client("codex_wait", taskId=job_id).data["done"]
    assert made.exists() and len(person.seen) == 1


# ---- a person answers ----


@pytest.mark.parametrize("era", ERAS)
def test_a_person_decides(era: str, home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """They see which agent wants what and why. Who puts the form away has decided nothing."""
    yes, no = home.root / "yes", home.root / "no"
    person = Person(
        [
            None,
            {"decision": "approve"},
            {"decision": "deny", "message": "not here"},
            {"answer1": "2", "answer2": "in my own words"},
        ]
    )
    questions = asks(("Which color?", ["Red", "Blue"]), ("How many?", ["One", "Two"]))
    steps = (wants(f"touch {yes}", "to see"), wants(f"touch {no}"), questions)
    job_id = waiting(cli, model, repo, *steps, words=("--name", "asker", *QUESTIONS))
    with at(home, person, era) as client:
        assert "did not decide" in client("codex_approve", taskId="asker", decision="ask").error
        assert see(cli, job_id)["waiting_for"]["n"] == 1
        for n, decision in enumerate(["accept", "decline", "answer"], 1):
            answer = client("codex_approve", taskId="asker", decision="ask").data
            assert (answer["id"], answer["decision"], answer["waiting"]["n"]) == (job_id, decision, n)
            cli("await-turn", job_id)
        assert client("codex_wait", taskId=job_id).data["tasks"][0]["message"] == "Done."
    assert yes.exists() and not no.exists()
    assert "not here" in [text for each in heard(model, "%%ask") for text in each]
    assert given(model) == {"q1": ["Blue"], "q2": ["in my own words"]}
    lines = person.seen[1].message.splitlines()
    assert lines[0] == f"Codex agent {job_id} (asker) wants to run a command:"
    assert f"touch {yes}" in lines[1] and lines[2:] == [f"in {repo}", "Why: to see"]
    assert person.seen[1].requested_schema["required"] == ["decision"]
    assert person.seen[3].message == f"Codex agent {job_id} (asker) asks:"
    form = person.seen[3].requested_schema["properties"]["answer1"]
    assert form["title"] == "H1" and form["description"].startswith("Which color? (1. Red; 2. Blue")


@pytest.mark.parametrize("era", ERAS)
def test_what_they_saw_is_what_they_answer(era: str, home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """While they think, somebody else denies it and the agent wants another thing: that was not approved."""
    first, second = home.root / "first", home.root / "second"
    person = Person([{"decision": "approve"}], is_there=False)
    job_id = waiting(cli, model, repo, wants(f"touch {first}"), wants(f"touch {second}"))
    with at(home, person, era) as client:
        asking = client.begin("codex_approve", taskId=job_id, decision="ask")
        until(lambda: person.seen, 10, "the question")
        cli("deny", job_id, "1").ok()
        until(lambda: (see(cli, job_id)["waiting_for"] or {}).get("n") == 2, 10, "the next question")
        person.is_there = True
        assert "[bad_state]" in asking.answer().error
    assert see(cli, job_id)["waiting_for"]["n"] == 2 and not first.exists() and not second.exists()


# ---- by themselves, calls that wait ask ----


@pytest.mark.parametrize("era", ERAS)
def test_a_call_that_waits_asks_and_goes_on_waiting(
    era: str, home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """What was begun is begun once. What is put away ends the wait: then the model gets to know what is wanted."""
    made, person = home.root / "made", Person([{"decision": "approve"}, None, {"decision": "approve"}, None, None])
    model.on("%%ask", wants(f"touch {made}"), wants("touch /nowhere"), Step.message("Done."))
    model.on("%%more", wants("true"), wants("false"), Step.message("More."))
    with at(home, person, era) as client:
        task = client("codex_agent", task="%%ask", workingDirectory=str(repo), interactive=True).data
        assert made.exists() and len(person.seen) == 2 and len(client("codex_tasks").data["tasks"]) == 1
        assert task["turn_state"] == "waiting_approval" and "codex_approve" in task["next"]
        client("codex_approve", taskId=task["id"], decision="deny")
        cli("await-turn", task["id"]).ok()
        said = client("codex_send", taskId=task["id"], message="%%more").data
        assert said["sent"]["delivery"] == "turn" and said["task"]["turn_state"] == "waiting_approval"
        assert len(person.seen) == 4 and heard(model, "%%more")[-1].count("%%more") == 1
        waited = client("codex_wait", taskId=task["id"]).data
        assert len(person.seen) == 5 and waited["tasks"][0]["waiting_for"][0]["n"] == 4


def test_a_call_comes_again_so_often_and_no_more(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """Clients give up on one that never ends; the next call goes on."""
    person = Person([{"decision": "approve"} for _ in range(9)])
    model.on("%%ask", *(wants(f"echo {n}") for n in range(9)), Step.message("Done."))
    with at(home, person, "auto") as client:
        task = client("codex_agent", task="%%ask", workingDirectory=str(repo), interactive=True).data
        assert task["waiting_for"][0]["n"] == 9 and len(person.seen) == 8
        assert client("codex_wait", taskId=task["id"]).data["tasks"][0]["message"] == "Done."


@pytest.mark.parametrize("era", ERAS)
def test_answered_elsewhere_while_they_are_asked(
    era: str, home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """The call goes on to the turn's end, whatever they say then; the older protocol takes the question back."""
    made, person = home.root / "made", Person([{"decision": "deny"}], is_there=False)
    model.on("%%ask", wants(f"touch {made}"), Step.message("Done."))
    with at(home, person, era) as client:
        asking = client.begin("codex_agent", task="%%ask", workingDirectory=str(repo), interactive=True, name="x")
        until(lambda: person.seen, 20, "the question")
        cli("approve", "x").ok()
        person.is_there = era == "auto"
        assert asking.answer().data["message"] == "Done."
        person.is_there = True
    assert made.exists()


def test_a_state_that_is_none_of_ours(client: Mcp, repo: Path) -> None:
    """Nothing is begun on the word of such a call."""
    session = client.client.session
    for state in ("nonsense", "{}", json.dumps({"id": 1, "n": "one", "begun": None, "put_away": [], "rounds": 0})):
        given = {"task": "%%no", "workingDirectory": str(repo)}
        result = client.run(session.call_tool, "codex_agent", given, request_state=state)
        assert result.is_error and "none that was given out" in result.content[0].text
    assert client("codex_tasks").data["tasks"] == []
