"""codex_monitor: what it tells, how it is gone on from, and that nothing of it is left when its call ends."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until
from support.jobs import begin, make_repo
from support.mcp_client import Mcp, mcp, servers


@pytest.fixture
def client(home: Home) -> Iterator[Mcp]:
    with mcp(home) as made:
        yield made


def held(model: ModelServer, cli: Cli, repo: Path, marker: str, *steps: Step) -> str:
    """A job whose agent is held in its first request."""
    gate = model.gate(marker)
    model.on(marker, Step.hold(gate, steps[0]), *steps[1:])
    job_id = begin(cli, repo, marker)
    gate.reached()
    return job_id


def test_it_tells_what_happens_until_the_end(
    client: Mcp, home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """A failed command and the end, as progress at once and all of it in the answer."""
    job_id = held(model, cli, repo, "%%watched", Step.command("exit 3"), Step.message("Done."))
    watching = client.begin("codex_monitor", threads=[job_id], on=["failure"], progress=True, timeoutMs=60_000)
    until(lambda: watching_in(home), 10, "a monitor that sleeps")
    model.gate("%%watched").open()
    answer = watching.answer()
    told = answer.data
    assert [event["kind"] for event in told["events"]] == ["failure", "end"]
    assert told["events"][0]["data"]["exit_code"] == 3 and told["events"][0]["job_id"] == job_id
    assert (told["end"]["ended"], told["end"]["exit_code"]) == ("until", 0)
    assert "failure" in answer.text and any("failure" in line for line in watching.told)


def test_its_time_is_up_and_another_goes_on(client: Mcp, cli: Cli, model: ModelServer, repo: Path) -> None:
    """Nothing between the two is lost."""
    job_id = held(model, cli, repo, "%%slow", Step.command("exit 4"), Step.message("Done."))
    first = client("codex_monitor", threads=[job_id], timeoutMs=300)
    assert first.data["events"] == [] and first.data["end"]["ended"] == "timeout"
    since = first.data["end"]["since"]
    assert since in first.text and first.data["end"]["command"][-2:] == ["--since", since]
    model.gate("%%slow").open()
    cli("wait", job_id).ok()
    told = client("codex_monitor", threads=[job_id], since=since, timeoutMs=20_000).data
    assert [event["kind"] for event in told["events"]] == ["failure", "turn", "end"]


def test_a_cap_on_events_and_other_repositories(
    client: Mcp, home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """Of a repository that is not the thread's own."""
    job_id, other = held(model, cli, repo, "%%more", Step.message("Done.")), make_repo(home, home.root / "other")
    watching = client.begin(
        "codex_monitor",
        threads=[job_id],
        on=["commit"],
        until=["end"],
        repos=[str(other)],
        maxEvents=1,
        timeoutMs=60_000,
    )
    until(lambda: watching_in(home), 10, "a monitor that sleeps")
    words = ["git", "commit", "-q", "--allow-empty", "-m", "one more"]
    subprocess.run(words, cwd=other, check=True, env=home.env, capture_output=True)
    told = watching.answer().data
    assert [event["kind"] for event in told["events"]] == ["commit"] and told["end"]["ended"] == "max_events"
    model.gate("%%more").open()


def test_a_call_that_is_cancelled_leaves_no_thread(
    client: Mcp, home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """And nothing of the job's: it goes on."""
    job_id = held(model, cli, repo, "%%left", Step.message("Done."))
    watching = client.begin("codex_monitor", threads=[job_id], timeoutMs=0)
    until(lambda: watching_in(home), 10, "a monitor that sleeps")
    watching.cancel()
    until(lambda: not watching_in(home), 10, "it gone")
    assert client("codex_status", taskId=job_id).data["task"]["status"] == "running"
    model.gate("%%left").open()


def watching_in(home: Home) -> bool:
    """Whether the server has an inotify instance open: a monitor's."""
    (server,) = servers(home)
    folder = Path(f"/proc/{server.pid}/fd")
    names = []
    for each in folder.iterdir():
        try:
            names.append(str(each.readlink()))
        except FileNotFoundError:
            pass
    return "anon_inode:inotify" in names


def test_words_that_mean_nothing(client: Mcp) -> None:
    assert "no event 'frobs'" in client("codex_monitor", threads=["last"], on=["frobs"]).error
    assert "[thread_not_found]" in client("codex_monitor", threads=["nobody"]).error
    assert "threads" in client("codex_monitor", threads=[]).error
    assert "idleMs" in client("codex_monitor", threads=["last"], idleMs=0).error
    assert "since" in client("codex_monitor", threads=["last"], since="yesterday").error
