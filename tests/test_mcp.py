"""The MCP tools that begin, wait for, talk to and end work, with the SDK's client and the real Codex."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent import schema
from codex_agent.cli.app import run
from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, until
from support.interactive import stay, wants
from support.jobs import Place, ended, place, record, see, user_texts
from support.mcp_client import Mcp, cpu_s, mcp, servers, threads
from support.reviews import UNCOMMITTED, finding, reviewed


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One home for all tests of this module; each has words of its own for the model."""
    with place(tmp_path_factory.mktemp("mcp")) as made:
        yield made


@pytest.fixture(scope="module")
def client(at: Place) -> Iterator[Mcp]:
    """A client with a server of its own."""
    with mcp(at.home) as made:
        yield made


@pytest.fixture
def cli(at: Place) -> Cli:
    return at.cli


@pytest.fixture
def model(at: Place) -> ModelServer:
    return at.model


@pytest.fixture
def repo(at: Place) -> Path:
    return at.repo


# ---- codex_agent, codex_wait, codex_cancel ----


def test_a_call_waits_for_the_result(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("say hello", Step.message("Hello from the agent."))
    answer = client("codex_agent", task="say hello", workingDirectory=str(repo), name="greeter")
    told = answer.data
    assert (told["status"], told["done"], told["message"]) == ("completed", True, "Hello from the agent.")
    assert "Hello from the agent." in answer.text and "codex_send" in told["next"]
    job = see(cli, "greeter")
    assert (job["id"], job["sandbox"], job["mode"]) == (told["id"], "workspace-write", "exec")


def test_past_its_limit_a_call_answers_with_the_task_which_goes_on(
    client: Mcp, cli: Cli, model: ModelServer, repo: Path
) -> None:
    model.on("slow past", Step.hold(model.gate("slow past"), Step.message("At last.")))
    answer = client("codex_agent", task="slow past", workingDirectory=str(repo), timeoutMs=300)
    told = answer.data
    assert (told["status"], told["done"]) == ("running", False)
    assert "message" not in told and f'codex_wait waits for it (taskId "{told["id"]}")' in answer.text
    still = client("codex_wait", taskId=told["id"], timeoutMs=50).data
    assert not still["done"] and still["tasks"][0]["status"] == "running"
    model.gate("slow past").open()
    done = client("codex_wait", taskId=told["id"], timeoutMs=0).data
    assert done["done"] and done["tasks"][0]["message"] == "At last."
    assert ended(cli, told["id"])["status"] == "completed"


def test_the_limit_is_a_setting(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    cli("config", "set", "mcp.wait_s", "0.1").ok()
    model.on("slow setting", Step.hold(model.gate("slow setting")))
    told = client("codex_agent", task="slow setting", workingDirectory=str(repo)).data
    cli("config", "unset", "mcp.wait_s").ok()
    assert not told["done"]
    assert client("codex_cancel", taskId=told["id"]).data["status"] == "interrupted"


def test_several_at_once(client: Mcp, model: ModelServer, repo: Path) -> None:
    """Begun without waiting; the first that is done is told, then all."""
    for name in ("one", "two"):
        model.on(f"task {name}", Step.hold(model.gate(name), Step.message(f"{name} is done")))
    ids = [
        client("codex_agent", task=f"task {name}", workingDirectory=str(repo), async_=True).data["id"]
        for name in ("one", "two")
    ]
    first = client.begin("codex_wait", taskIds=ids, any=True)
    model.gate("two").open()
    told = first.answer().data
    assert told["done"] and [each["status"] for each in told["tasks"]] == ["running", "completed"]
    both = client.begin("codex_wait", taskIds=ids)
    model.gate("one").open()
    assert [each["message"] for each in both.answer().data["tasks"]] == ["one is done", "two is done"]


def test_starts_at_once(client: Mcp, model: ModelServer, repo: Path) -> None:
    """In one server, in threads: each is a job of its own; one name goes to one of them."""
    model.on("at once", Step.message("Done."))
    names = ["a", "b", "same", "same"]
    begun = [
        client.begin("codex_agent", task="at once", workingDirectory=str(repo), name=f"at once {name}")
        for name in names
    ]
    answers = [each.answer(60) for each in begun]
    fine = [each for each in answers if not each.result.is_error]
    assert [each.data["status"] for each in fine] == ["completed"] * len(fine)
    assert len({each.data["id"] for each in fine}) == len(fine) >= 3
    assert all("is called 'at once same'" in each.error for each in answers if each not in fine)


def test_a_client_is_told_how_it_goes(client: Mcp, model: ModelServer, repo: Path) -> None:
    model.on("slow progress", Step.hold(model.gate("slow progress")))
    pending = client.begin("codex_agent", task="slow progress", workingDirectory=str(repo), progress=True)
    until(lambda: pending.told and "working" in pending.told[-1], 20, "news of the agent at work")
    model.gate("slow progress").open()
    assert pending.answer().data["status"] == "completed"


def test_a_cancelled_wait_costs_nothing_and_ends_nothing(
    at: Place, client: Mcp, cli: Cli, model: ModelServer, repo: Path
) -> None:
    model.on("slow cancelled", Step.hold(model.gate("slow cancelled")))
    job_id = client("codex_agent", task="slow cancelled", workingDirectory=str(repo), async_=True).data["id"]
    (server,) = servers(at.home)
    client("codex_wait", taskId=job_id, timeoutMs=10)
    before, used = threads(server), cpu_s(server)
    for _ in range(20):
        pending = client.begin("codex_wait", taskId=job_id, timeoutMs=0)
        pending.cancel()
    assert not client("codex_wait", taskId=job_id, timeoutMs=10).data["done"]
    assert threads(server) <= before + 2, "a cancelled wait leaves a thread behind"
    assert cpu_s(server) - used < 1
    assert see(cli, job_id)["status"] == "running"
    pending = client.begin("codex_wait", taskId=job_id, timeoutMs=0)
    model.gate("slow cancelled").open()
    assert pending.answer().data["tasks"][0]["status"] == "completed"


def test_a_server_that_waits_answers_others(client: Mcp, model: ModelServer, repo: Path) -> None:
    """However many calls wait."""
    model.on("slow busy", Step.hold(model.gate("slow busy")))
    job_id = client("codex_agent", task="slow busy", workingDirectory=str(repo), async_=True).data["id"]
    waiting = [client.begin("codex_wait", taskId=job_id, timeoutMs=0) for _ in range(60)]
    assert client("codex_cancel", 10, taskId=job_id).data["status"] == "interrupted"
    assert {each.answer().data["tasks"][0]["status"] for each in waiting} == {"interrupted"}


def test_a_verb_that_blocks_holds_up_nobody(at: Place, client: Mcp, model: ModelServer, repo: Path) -> None:
    """One that waits for a supervisor which stands still."""
    model.on("quick blocked", Step.message("Done."))
    model.on("slow blocked", Step.hold(model.gate("slow blocked")))
    quick = client("codex_agent", task="quick blocked", workingDirectory=str(repo)).data["id"]
    slow = client("codex_agent", task="slow blocked", workingDirectory=str(repo), async_=True).data["id"]
    supervisor = record(at.home, slow).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGSTOP)
    try:
        blocked = client.begin("codex_interrupt", taskId=slow)
        assert client("codex_wait", 10, taskId=quick).data["done"]
        assert not blocked.future.done()
    finally:
        os.kill(supervisor.pid, signal.SIGCONT)
    assert slow in blocked.answer().error
    client("codex_cancel", taskId=slow)


def test_until_somebody_is_needed(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("outside", wants("touch outside.txt"), Step.message("Done."))
    told = client("codex_agent", task="outside", workingDirectory=str(repo), interactive=True).data
    assert (told["done"], told["turn_state"]) == (True, "waiting_approval")
    assert told["waiting_for"][0]["command"] and "codex_approve" in told["next"]
    assert client("codex_wait", taskId=told["id"], until="approval").data["done"]
    cli("approve", told["id"]).ok()
    again = client("codex_wait", taskId=told["id"]).data["tasks"][0]
    assert (again["turn_state"], again["message"]) == ("idle", "Done.")
    assert client("codex_cancel", taskId=told["id"]).data["status"] == "interrupted"


# ---- codex_send, codex_interrupt ----


def test_talking_to_an_agent_that_stays(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("first", Step.message("One."))
    model.on("second", Step.hold(model.gate("second"), Step.message("never")))
    model.on("third", Step.message("Three."))
    job_id = stay(cli, repo, "first")
    client("codex_wait", taskId=job_id)
    sent = client("codex_send", taskId=job_id, message="second", async_=True).data
    assert sent["sent"]["delivery"] == "turn" and not sent["task"]["done"]
    model.gate("second").reached()
    assert client("codex_interrupt", taskId=job_id).data["turn_id"] == sent["sent"]["turn_id"]
    answer = client("codex_send", taskId=job_id, message="third")
    assert answer.data["task"]["message"] == "Three." and "Three." in answer.text
    client("codex_cancel", taskId=job_id)


def test_an_ended_task_goes_on(client: Mcp, model: ModelServer, repo: Path) -> None:
    model.on("the first thing", Step.message("One."))
    model.on("the second thing", Step.message("Two."))
    job_id = client("codex_agent", task="the first thing", workingDirectory=str(repo)).data["id"]
    told = client("codex_send", taskId=job_id, message="the second thing").data
    assert told["sent"]["reopened"] and told["task"]["message"] == "Two."
    last = user_texts(model.requests_for("the second thing")[-1])
    assert any("the first thing" in text for text in last) and "the second thing" in last[-1]


# ---- codex_resume, codex_review ----


def test_going_on_with_a_session(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("begin it", Step.message("Begun."))
    model.on("go on", Step.message("Gone on."))
    first = client("codex_agent", task="begin it", workingDirectory=str(repo)).data
    told = client("codex_resume", thread=first["thread_id"], task="go on").data
    assert (told["thread_id"], told["message"]) == (first["thread_id"], "Gone on.") and told["id"] != first["id"]
    forked = client("codex_resume", thread="last", task="go on", fork=True).data
    assert forked["thread_id"] != first["thread_id"]
    assert see(cli, forked["id"])["resume"] == {"thread_id": first["thread_id"], "forked": True}


def test_a_review(client: Mcp, model: ModelServer, repo: Path) -> None:
    file = repo / "new.py"
    file.write_text("x = 1\ny = 2\n")
    model.on(UNCOMMITTED, reviewed(finding(file, 1, 2)))
    answer = client("codex_review", workingDirectory=str(repo))
    assert answer.data["task"]["sandbox"] == "read-only"
    assert [each["file"] for each in answer.data["review"]["findings"]] == [str(file)]
    assert f"{file}:1-2" in answer.text and "patch is incorrect" in answer.text
    assert "no commit 'nowhere'" in client("codex_review", workingDirectory=str(repo), base="nowhere").error


# ---- errors ----


def test_what_is_wrong_is_said_with_what_to_do(client: Mcp, cli: Cli, repo: Path, tmp_path: Path) -> None:
    here, before = str(repo), cli("jobs", "--json").ok().json()["total"]
    assert client("codex_cancel", taskId="nowhere").error.startswith("No job")
    assert "Did you mean workingDirectory?" in client("codex_agent", task="x", workingdirectory=here).error
    assert "workingDirectory is missing" in client("codex_agent", task="x").error
    assert "timeoutMs is negative" in client("codex_agent", task="x", workingDirectory=here, timeoutMs=-1).error
    wrong = client("codex_agent", task="x", workingDirectory=here, sandbox="all").error
    assert "sandbox: Input should be 'read-only'" in wrong
    assert "The prompt is empty. [usage]" in client("codex_agent", task=" ", workingDirectory=here).error
    gone = client("codex_agent", task="x", workingDirectory=str(tmp_path / "gone")).error
    assert "does not exist" in gone and "Check the path." in gone
    assert "taskId is missing" in client("codex_wait").error
    assert cli("jobs", "--json").ok().json()["total"] == before, "what was refused left a job"


def test_without_the_package_it_says_which_extra(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.startswith("codex_agent.mcp_server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp_types", None)
    assert run(["mcp"]) == 5
    assert "pip install 'codex-agent[mcp]'" in capfd.readouterr().err


def test_every_tool_describes_itself(client: Mcp) -> None:
    tools = client.tools()
    assert set(tools) == set(schema.TOOLS)
    for tool in tools.values():
        assert tool.description and tool.output_schema and tool.annotations, tool.name
        for name, each in tool.input_schema["properties"].items():
            assert each["description"], f"{tool.name}.{name}"
