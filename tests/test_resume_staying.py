"""`resume --interactive`: an agent that stays in a thread somebody else began, with a message or without."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent
from support.ide import ide
from support.interactive import keys_arrive, screen, told
from support.jobs import Place, user_texts
from support.threads import Outside, Thread, outside, rollouts

AGAIN = "%%again%%"
STAYS = ("--interactive", "--idle-exit", "off")


@pytest.fixture
def there(home: Home, cli: Cli, model: ModelServer, repo: Path, each_codex: Codex) -> Iterator[Outside]:
    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), each_codex) as made:
        yield made


def stays(home: Home, cli: Cli, thread: Thread, *words: str) -> Agent:
    job = told(cli, "resume", thread.id, *STAYS, *words)
    assert job["thread_id"] == thread.id and job["resume"]["thread_id"] == thread.id
    return Agent(home, cli, job["id"])


def of_ide(there: Outside, *steps: Step) -> Thread:
    with ide(there) as vscode:
        thread = vscode.thread(*steps)
        vscode.ended(thread)
    return thread


def test_with_a_message(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """An IDE's thread: the TUI shows all of it, messages go into it, the model knows what was before."""
    thread = of_ide(there, Step.message("Said in the IDE."))
    before = rollouts(home.codex_home)
    agent = stays(home, cli, thread, AGAIN)
    assert agent.answers() == "Again."
    assert (agent.job.turn_count, agent.job.sandbox, agent.job.approval) == (1, "workspace-write", "on-request")
    assert agent.facts.rollout == str(thread.rollout) and rollouts(home.codex_home) == before
    assert any(text.startswith(thread.marker) for text in user_texts(model.requests_for(AGAIN)[0]))
    until(lambda: "Said in the IDE." in screen(home, agent.id), 20, "the TUI with the whole thread")
    assert agent.send(f"{AGAIN} more")["delivery"] == "turn" and agent.answers() == "Again."
    assert agent.job.turn_count == 2
    told(cli, "exit", agent.id)
    # Ended, it is reopened as any job.
    assert agent.send(f"{AGAIN} reopened")["reopened"] is True
    assert agent.answers() == "Again." and agent.job.thread_id == thread.id


def test_without_a_message(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """It opens the thread and waits: idle from the start, with the thread's last words; nothing is asked."""
    thread = of_ide(there, Step.message("Last words."))
    agent = stays(home, cli, thread)
    job = agent.job
    assert (job.turn_state, job.turn_count, job.prompt) == ("idle", 0, "")
    assert job.last_turn is not None and job.last_turn.status == "completed"
    assert job.last_turn.id == thread.payloads("task_complete")[-1]["turn_id"]
    assert agent.answers() == "Last words."
    assert len(thread.payloads("task_started")) == 1 and not model.requests_for(AGAIN)
    until(lambda: "Last words." in screen(home, agent.id), 20, "the TUI with the thread")
    assert agent.send(AGAIN)["delivery"] == "turn"
    assert agent.answers() == "Again." and agent.job.turn_count == 1
    assert agent.job.thread_id == thread.id


def test_a_person_types_first(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """Opened without a message, the TUI takes a person's."""
    thread = there.aborted(Step.command("true"))
    agent = stays(home, cli, thread)
    assert agent.job.turn_state == "idle" and agent.job.last_turn is not None
    assert agent.job.last_turn.status == "interrupted"

    def press(*keys: str) -> None:
        home.tmux("send-keys", "-t", f"=codex-agent-{agent.id}:", *keys)

    keys_arrive(home, agent.id, press)
    press("-l", AGAIN)
    until(lambda: AGAIN in screen(home, agent.id), 10, "the words")

    def entered() -> bool:
        press("Enter")
        return agent.job.turn_count == 1

    until(entered, 20, "the turn")
    assert agent.answers() == "Again."


def test_idle_from_the_start_ends_by_itself(cli: Cli, home: Home, there: Outside) -> None:
    thread = of_ide(there)
    job = told(cli, "resume", thread.id, "--interactive", "--idle-exit", "1")
    ended = told(cli, "wait", job["id"])["jobs"][0]
    assert ended["status"] == "completed" and ended["turn_count"] == 0


def test_in_another_folder(
    cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside, tmp_path: Path
) -> None:
    """Nothing asks which folder is meant; commands run in the one that was given."""
    thread = of_ide(there, Step.message("From the IDE."))
    other = tmp_path / "other"
    shutil.copytree(repo, other)
    model.on("%%where", Step.command("pwd >where"), Step.message("Here."))
    agent = stays(home, cli, thread, "%%where", "-d", str(other))
    assert agent.answers() == "Here." and (other / "where").read_text() == f"{other}\n"
    until(lambda: "Here." in screen(home, agent.id), 20, "the TUI with the thread")


@pytest.mark.parametrize("words", [(AGAIN,), ()], ids=["with-a-message", "without"])
def test_plain(cli: Cli, home: Home, model: ModelServer, there: Outside, words: tuple[str, ...]) -> None:
    """The bare TUI goes on with it too."""
    thread = there.exec(Step.message("From exec."))
    agent = stays(home, cli, thread, *words, "--plain")
    if words:
        assert agent.answers() == "Again."
    assert agent.job.turn_state == "idle"
    assert agent.send(f"{AGAIN} more")["delivery"] == "turn"
    assert agent.answers() == "Again." and agent.job.turn_count == len(words) + 1
    assert agent.job.thread_id == thread.id and agent.facts.rollout == str(thread.rollout)


def test_a_failed_turn_before(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """The thread's last turn failed: the agent that opens it says so, until its next turn."""
    thread = there.begin(Step.failed("context_length_exceeded"))
    assert thread.process is not None and thread.process.wait(60) == 1
    agent = stays(home, cli, thread)
    if there.codex.label == "newest":  # 0.133 does not write down that a turn failed
        assert agent.job.turn_state == "context_limit"
    agent.send(AGAIN)
    assert agent.answers() == "Again." and agent.job.turn_state == "idle"
