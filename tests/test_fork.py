"""`resume --fork`: a new thread that begins with another one's history; that one stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent
from support.interactive import refused, screen, told
from support.jobs import Place, ended, user_texts
from support.threads import Outside, outside

AGAIN = "%%again%%"
OLD = "oldest"


@pytest.fixture
def there(home: Home, cli: Cli, model: ModelServer, repo: Path, each_codex: Codex) -> Iterator[Outside]:
    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), each_codex) as made:
        yield made


def test_exec(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    thread = there.exec(Step.patch("*** Begin Patch\n*** Add File: a\n+a\n*** End Patch"), Step.message("Old."))
    before = thread.rollout.read_bytes()
    if there.codex.label == OLD:
        assert "0.150.0" in refused(cli, "resume", thread.id, AGAIN, "--fork", rc=5)
        assert not list(home.jobs.glob("*.json"))
        return
    job = ended(cli, told(cli, "resume", thread.id, AGAIN, "--fork")["id"])
    assert (job["status"], job["last_message"], job["files_modified"]) == ("completed", "Again.", [])
    assert job["thread_id"] not in (thread.id, None) and thread.rollout.read_bytes() == before
    assert job["resume"] == {"thread_id": thread.id, "forked": True}
    assert any(text.startswith(thread.marker) for text in user_texts(model.requests_for(AGAIN)[0]))
    assert f"forked   thread {thread.id}" in cli("status", job["id"]).ok().out
    # It is a thread of its own now: messages and further turns go there.
    told(cli, "send", job["id"], AGAIN, "--wait", shape="send --wait")
    again = ended(cli, job["id"])
    assert again["thread_id"] == job["thread_id"] and thread.rollout.read_bytes() == before
    assert ended(cli, told(cli, "resume", job["id"], AGAIN)["id"])["thread_id"] == job["thread_id"]


@pytest.mark.parametrize("each_codex", ["newest"], indirect=True)  # 0.133 cannot fork with exec
def test_of_a_thread_that_somebody_has(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """A fork disturbs nobody, so it is not refused; it begins with what was said so far."""
    gate = model.gate("held")
    thread = there.begin(Step.hold(gate))
    gate.reached()
    job = ended(cli, told(cli, "resume", thread.id, AGAIN, "--fork")["id"])
    assert job["status"] == "completed" and job["thread_id"] != thread.id
    gate.open()
    assert thread.process is not None and thread.process.wait(30) == 0
    assert thread.payloads("task_complete")


@pytest.mark.parametrize("words", [(AGAIN,), ()], ids=["with-a-message", "without"])
def test_staying(cli: Cli, home: Home, model: ModelServer, there: Outside, words: tuple[str, ...]) -> None:
    """Over the channel every Codex that has one can fork; the TUI in the pane shows the fork."""
    thread = there.exec(Step.message("Said before."))
    before = thread.rollout.read_bytes()
    job = told(cli, "resume", thread.id, "--fork", "--interactive", "--idle-exit", "off", *words)
    agent = Agent(home, cli, job["id"])
    assert job["thread_id"] not in (thread.id, None)
    if words:
        assert agent.answers() == "Again."
    assert agent.job.turn_state == "idle"
    agent.send(f"{AGAIN} more")
    assert agent.answers() == "Again." and agent.job.turn_count == len(words) + 1
    assert any(text.startswith(thread.marker) for text in user_texts(model.requests_for(AGAIN)[0]))
    until(lambda: "Said before." in screen(home, agent.id), 20, "the TUI with the history")
    assert thread.rollout.read_bytes() == before
    told(cli, "exit", agent.id)
    assert agent.send(f"{AGAIN} reopened")["reopened"] is True
    assert agent.answers() == "Again." and agent.job.thread_id == job["thread_id"]
    assert thread.rollout.read_bytes() == before
