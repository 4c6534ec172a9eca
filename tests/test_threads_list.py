"""`threads`, held against sessions of every kind that a real Codex has just made (``support/sessions.py``)."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.codex.version import parse_version
from codex_agent.demo.model_server import Step
from codex_agent.store import Store
from codex_agent.threads.listing import Wanted, listing
from support import Cli, codex
from support.codexes import WHEELS
from support.jobs import begin, ended
from support.manythreads import make
from support.sessions import KINDS, Sessions, sessions
from support.waiting import until

# Nothing is counted before the model has answered and what it called has ended.
NOT_COUNTED = ("killed", "running", "ide runs", "ide asks", "ide interrupted", "ide pursues")
HAS_INDEX = (0, 125, 0)


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


def ask(runner: Cli, *words: str) -> dict[str, Any]:
    """`threads --json`, of the documented shape."""
    answer = runner("threads", "--json", *words).ok().json()
    schema.check(schema.COMMANDS["threads"], answer)
    assert isinstance(answer, dict)
    return answer


def ids(runner: Cli, *words: str) -> list[str]:
    return [row["id"] for row in ask(runner, "--all", *words)["threads"]]


@pytest.fixture(scope="module")
def rows(runner: Cli) -> dict[str, dict[str, Any]]:
    """All of them, as they are listed."""
    return {row["id"]: row for row in ask(runner, "--all", "--archived")["threads"]}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind(made: Sessions, rows: dict[str, dict[str, Any]], name: str) -> None:
    if name not in made.threads:
        pytest.skip(f"Codex {made.out.codex.version} has no such sessions")
    thread, kind = made.threads[name], made.kind(name)
    row = rows[thread.id]
    assert (row["source"], row["state"], row["turn"]) == (kind.source, kind.state, kind.turn)
    assert row["cwd"] == str(made.out.repo)
    assert row["rollout"] == str(thread.rollout)
    assert row["archived"] == (name == "archived")
    assert row["job_id"] is None
    assert row["idle_s"] < 300
    if name != "reviewed":  # the model works in another thread of its own
        assert row["model"] == "gpt-5.5"
        # As soon as the running command is in the background, there are tokens.
        assert bool(row["tokens"]) == (name not in NOT_COUNTED) or "run" in name
    if "resumed" not in name and name != "reviewed":
        assert row["title"] is not None and thread.marker in row["title"]


def test_where_it_is_known_from(made: Sessions, runner: Cli) -> None:
    answer = ask(runner)
    has_index = parse_version(made.out.codex.version) >= HAS_INDEX
    assert answer["basis"] == ("index" if has_index else "rollouts")
    assert answer["notes"] == [], "Codex's index and its files agree"
    assert answer["codex_home"] == str(made.codex_home)


def test_newest_activity_first(made: Sessions, runner: Cli) -> None:
    listed = ask(runner, "--all", "--archived")["threads"]
    times = [os.stat(row["rollout"]).st_mtime for row in listed]
    assert times == sorted(times, reverse=True)
    assert {thread.id for thread in made.threads.values()} <= {row["id"] for row in listed}
    assert len({row["id"] for row in listed}) == len(listed), "each once"


def test_the_archived_ones(made: Sessions, runner: Cli) -> None:
    thread = made.threads["archived"]
    assert thread.id not in ids(runner)
    assert thread.id in ids(runner, "--archived")


def test_where_they_come_from(made: Sessions, runner: Cli) -> None:
    for source in ("exec", "cli", "vscode"):
        wanted = {made.threads[name].id for name in made.threads if KINDS[name].source == source}
        assert set(ids(runner, "--source", source, "--archived")) == wanted, source
    assert set(made.children) <= set(ids(runner, "--source", "subagent"))
    assert ids(runner, "--source", "nowhere") == []


def test_those_that_are_loaded(made: Sessions, runner: Cli) -> None:
    wanted = {made.threads[name].id for name in made.threads if KINDS[name].state != "closed"}
    found = set(ids(runner, "--active"))
    assert wanted <= found
    assert found <= wanted | set(made.children), "nothing that a killed Codex left behind"


def test_where_they_work(made: Sessions, runner: Cli, tmp_path: Path) -> None:
    everything = set(ids(runner))
    repo = made.out.repo
    for folder in (repo, repo.parent, f"{repo}/", repo / "..", "/"):
        assert set(ids(runner, "--dir", str(folder))) == everything, folder
    link = tmp_path / "link"
    link.symlink_to(repo)
    assert set(ids(runner, "--dir", str(link))) == everything
    for folder in (f"{repo}s", repo / "sub", tmp_path):
        assert ids(runner, "--dir", str(folder)) == [], folder


def test_since_when(runner: Cli) -> None:
    assert ids(runner, "--since", "2d") == ids(runner)
    assert ids(runner, "--since", "1h") == ids(runner)


def test_only_so_many(runner: Cli) -> None:
    whole, some = ask(runner, "--all"), ask(runner, "--limit", "3")
    assert [row["id"] for row in some["threads"]] == [row["id"] for row in whole["threads"][:3]]
    assert some["total"] == whole["total"] == len(whole["threads"])


@pytest.mark.parametrize("words", [("--limit", "0"), ("--since", "soon"), ("--dir", ""), ("--limit", "-1")])
def test_words_that_mean_nothing(runner: Cli, words: tuple[str, ...]) -> None:
    answer = runner("threads", *words)
    assert answer.rc == 2, str(answer)


def test_as_text(made: Sessions, runner: Cli) -> None:
    said = runner("threads", "--all", "--archived").ok()
    for name, thread in made.threads.items():
        (line,) = [line for line in said.out.splitlines() if thread.id in line or thread.id[:13] in line]
        kind = made.kind(name)
        assert kind.source in line and kind.state in line, line
    assert said.err == ""


def test_without_the_index(made: Sessions, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """The same files, elsewhere, where no Codex is: all but who has them loaded is the same."""
    home = tmp_path / "codex"
    for name in ("sessions", "archived_sessions"):
        if (made.codex_home / name).exists():
            shutil.copytree(made.codex_home / name, home / name)
    answer = listing(Store(str(tmp_path / "agent")), str(home), Wanted(archived=True))
    assert answer.basis == "rollouts"
    assert {row.id for row in answer.threads} == set(rows)
    for row in answer.threads:
        before = rows[row.id]
        assert (row.source, row.cwd) == (before["source"], before["cwd"])
        assert row.model == before["model"] or row.id == made.threads["reviewed"].id
        assert row.state == "closed"
        assert row.turn == ("interrupted" if before["turn"] == "open" else before["turn"])
        assert row.tokens is None or before["tokens"] is None or row.tokens == before["tokens"]
        # Codex shortens its titles in its own way.
        assert (row.title or "")[:20] == (before["title"] or "")[:20]


def test_a_home_that_is_a_link(made: Sessions, rows: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    """~/.codex on another disk: who has a thread loaded is known all the same."""
    link = tmp_path / "link"
    link.symlink_to(made.codex_home)
    answer = listing(Store(str(tmp_path / "agent")), str(link), Wanted(archived=True))
    assert {row.id: (row.state, row.turn) for row in answer.threads} == {
        thread: (row["state"], row["turn"]) for thread, row in rows.items()
    }


def test_our_own_jobs_are_named(made: Sessions, runner: Cli) -> None:
    out = made.out
    gate = out.model.gate("our-own")
    out.model.on("%%our-own", Step.hold(gate))
    job_id = begin(runner, out.repo, "%%our-own")
    gate.reached()

    def row() -> dict[str, Any] | None:
        found = [row for row in ask(runner, "--source", "exec")["threads"] if row["job_id"] == job_id]
        return found[0] if found else None

    found = until(row, 10, "the job's thread among the threads")
    assert found is not None and found["state"] == "working"
    gate.open()
    job = ended(runner, job_id)
    found = row()
    assert found is not None
    assert (found["id"], found["state"], found["turn"]) == (job["thread_id"], "closed", "completed")
    runner("delete", job_id).ok()
    assert found["id"] in ids(runner), "the thread is Codex's, not ours"


def test_there_is_none(tmp_path: Path, home: Any, cli: Cli) -> None:
    """No CODEX_HOME at all: an empty list, and it is not made."""
    answer = cli("threads", "--json", env={"CODEX_HOME": str(tmp_path / "nowhere")}).ok().json()
    assert answer["threads"] == [] and answer["total"] == 0
    assert not (tmp_path / "nowhere").exists()
    assert cli("threads", env={"CODEX_HOME": str(tmp_path / "nowhere")}).ok()


def test_two_thousand(tmp_path: Path) -> None:
    """Names and times of all, contents of those that are shown: not slower than the files can be listed."""
    home = tmp_path / "codex"
    home.mkdir()
    made = make(home, 2000, now=time.time())
    store = Store(str(tmp_path / "agent"))
    began = time.monotonic()
    answer = listing(store, str(home), Wanted(limit=20))
    seconds = time.monotonic() - began
    current = [one for one in made if not one.archived]
    assert [row.id for row in answer.threads] == [one.id for one in current[:20]]
    assert answer.total == len(current)
    assert seconds < 1
    asked = listing(store, str(home), Wanted(since_s=86400.0 * 30, source="vscode", cwd="/home/ada/maps"))
    wanted = [
        one.id
        for one in current
        if one.changed_at > time.time() - 86400 * 30 and one.source == "vscode" and one.cwd == "/home/ada/maps"
    ]
    assert wanted and [row.id for row in asked.threads] == wanted
