"""Every reader of threads on sessions that seven Codex versions left (``fixtures/make_threads.py`` makes them).

An IDE's, a terminal's, sub-agents, goals; with what Codex's databases said of them, and without.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from codex_agent.store import Store
from codex_agent.thread_answers import ThreadRow, ThreadView
from codex_agent.threads.listing import Wanted, listing
from codex_agent.threads.looking import look
from codex_agent.threads.refs import resolve
from support import oddrollouts as odd
from support.manythreads import goals

FIXTURES = Path(__file__).parent / "fixtures" / "threads"
SAMPLES = sorted(folder for folder in FIXTURES.glob("*/*") if folder.is_dir())
WORK = "/home/ada/repo"
MARKS_NO_TURNS = "0.98.0"
GOAL_IN_ROLLOUT = "0.133.0"


def of(scenario: str) -> list[str]:
    return [folder.parent.name for folder in SAMPLES if folder.name == scenario]


class Home:
    """A CODEX_HOME with one sample's sessions in it."""

    def __init__(self, root: Path, version: str, scenario: str, *, databases: bool = False) -> None:
        self.path = root / "codex"
        self.path.mkdir()
        self.store = Store(str(root / "agent"))
        sample = FIXTURES / version / scenario
        self.said: dict[str, list[dict[str, Any]]] = json.loads((sample / "index.json").read_text())
        self.files = {path.stem[-36:]: odd.put(self.path, path) for path in sorted(sample.glob("rollout-*.jsonl"))}
        if databases:
            self._state()
            goals(self.path, self.said["goals"])

    def _state(self) -> None:
        with closing(sqlite3.connect(self.path / "state_5.sqlite")) as base:
            for table, rows in (("threads", self.said["threads"]), ("thread_spawn_edges", self.said["edges"])):
                names = list(rows[0]) if rows else ["parent_thread_id", "child_thread_id", "status"]
                base.execute(f"CREATE TABLE {table} ({', '.join(names)})")
                for row in rows:
                    here = row | ({"rollout_path": str(self.files[row["id"]])} if table == "threads" else {})
                    base.execute(
                        f"INSERT INTO {table} VALUES ({', '.join('?' * len(names))})", list(here.values())
                    )
            base.commit()

    def view(self, thread_id: str) -> ThreadView:
        return look(self.store, resolve(self.store, str(self.path), thread_id))

    def views(self) -> list[ThreadView]:
        """All of them, the one that was begun first first."""
        return [self.view(thread_id) for thread_id in sorted(self.files)]

    def rows(self) -> dict[str, ThreadRow]:
        return {row.id: row for row in listing(self.store, str(self.path), Wanted()).threads}


def test_there_are_enough() -> None:
    assert len(of("vscode")) >= 6 and len(of("cli")) >= 6
    assert len(of("subagents")) >= 4 and len(of("goal")) >= 4


@pytest.mark.parametrize("databases", [True, False], ids=["databases", "files"])
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: "-".join(path.parts[-2:]))
def test_the_list_and_the_look_agree(tmp_path: Path, sample: Path, databases: bool) -> None:
    version, scenario = sample.parts[-2:]
    if databases and not json.loads((sample / "index.json").read_text())["threads"]:
        pytest.skip("this Codex has no index")
    home = Home(tmp_path, version, scenario, databases=databases)
    answer = listing(home.store, str(home.path), Wanted())
    assert (answer.basis, answer.notes) == ("index" if databases else "rollouts", [])
    rows = home.rows()
    assert rows.keys() == home.files.keys()
    for view in home.views():
        row = rows[view.id]
        for name in ("source", "cwd", "title", "model", "state", "turn", "active_at", "rollout"):
            assert getattr(row, name) == getattr(view, name), name
        assert (view.cli_version, view.cwd, view.model) == (version, WORK, "gpt-5.5")
        assert (view.bad_lines, view.unknown_lines) == (0, 0)
        assert view.title is not None and view.title.startswith("%%outside-")
        assert view.state == "closed"


@pytest.mark.parametrize("version", of("vscode"))
def test_of_an_ide(tmp_path: Path, version: str) -> None:
    """One that is done; one that waited for an approval when the IDE was closed."""
    home = Home(tmp_path, version, "vscode")
    done, waited = home.views()
    assert (done.source, waited.source) == ("vscode", "vscode")
    assert (done.sandbox, waited.sandbox) == ("danger-full-access", "workspace-write")
    assert waited.approval == "on-request"
    assert [said.text for said in done.narrations] == ["I look first.", "All done."]
    assert [said.text for said in waited.narrations] == ["I need the network."]
    assert {Path(file.path).name for file in done.files} >= {"hello.txt", "moved.txt"}
    if version != MARKS_NO_TURNS:
        assert (done.turn, waited.turn) == ("completed", "interrupted")
    assert not waited.suspicion.probable, "nobody has it: nobody waits"


@pytest.mark.parametrize("version", of("cli"))
def test_of_a_terminal(tmp_path: Path, version: str) -> None:
    (view,) = Home(tmp_path, version, "cli").views()
    assert (view.source, view.turn) == ("cli", None if version == MARKS_NO_TURNS else "completed")
    assert [said.text for said in view.narrations] == ["I look first.", "All done."]


@pytest.mark.parametrize("databases", [True, False], ids=["databases", "files"])
@pytest.mark.parametrize("version", of("subagents"))
def test_sub_agents(tmp_path: Path, version: str, databases: bool) -> None:
    """Told by Codex's table, or by the first lines of the files: the same tree."""
    home = Home(tmp_path, version, "subagents", databases=databases)
    parent, *_ = home.views()
    assert (parent.parent_id, parent.source) == (None, "vscode")
    depths = [each.depth for each in parent.sub_agents]
    assert sorted(depths) == [1, 1, 2]
    for each in parent.sub_agents:
        view = home.view(each.id)
        assert view.parent_id == each.parent_id
        assert (view.source, view.turn, each.turn) == ("subagent", "completed", "completed")
        assert each.name
        above = home.view(each.parent_id or "")
        assert each.id in [one.id for one in above.sub_agents]
    (deepest,) = [each for each in parent.sub_agents if each.depth == 2]
    before = parent.sub_agents[parent.sub_agents.index(deepest) - 1]
    assert before.id == deepest.parent_id, "each stands before its own"
    words = {each.last_message for each in parent.sub_agents}
    assert words == {"I was the first.", "I was the second.", "Done."}
    assert [said.text for said in parent.narrations][-1] == "Both work."


@pytest.mark.parametrize("databases", [True, False], ids=["databases", "files"])
@pytest.mark.parametrize("version", of("goal"))
def test_goals(tmp_path: Path, version: str, databases: bool) -> None:
    """0.133 writes them down twice, later versions what the agent does about them into their database alone."""
    home = Home(tmp_path, version, "goal", databases=databases)
    reached, broken = (view.goal for view in home.views())
    if not databases and version != GOAL_IN_ROLLOUT:
        assert (reached, broken) == (None, None)
        return
    assert reached is not None and broken is not None
    assert (reached.objective, reached.status, reached.token_budget) == ("Make the tests pass.", "complete", 50000)
    assert (broken.objective, broken.status) == ("Make the tests pass.", "active")
    assert reached.basis == ("database" if databases else "rollout")
    rows = {row["thread_id"]: row for row in home.said["goals"]}
    assert reached.tokens_used == rows[min(rows)]["tokens_used"]
    assert reached.updated_at is not None


def test_the_later_word_on_a_goal(tmp_path: Path) -> None:
    """Begun with 0.133, gone on with by a Codex that writes its database alone."""
    home = Home(tmp_path, GOAL_IN_ROLLOUT, "goal")
    rows = [
        {**row, "status": "paused", "updated_at_ms": row["updated_at_ms"] + 60_000} for row in home.said["goals"]
    ]
    goals(home.path, rows)
    for view in home.views():
        assert view.goal is not None
        assert (view.goal.status, view.goal.basis) == ("paused", "database")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("active", "active"),
        ("budgetLimited", "budget_limited"),
        ("usageLimited", "usage_limited"),
        ("complete", "complete"),
    ],
)
def test_every_status_of_a_goal(tmp_path: Path, written: str, meant: str) -> None:
    sample = odd.sample("0.133.0")
    store, codex_home = Store(str(tmp_path / "agent")), tmp_path / "codex"
    data = odd.with_goal_event(sample.read_bytes(), "Make it so.", "active")
    data = odd.with_goal_event(
        data, "Make it so.", written, tokensUsed=7, tokenBudget=99, timeUsedSeconds=61, updatedAt=1795261600
    )
    path = odd.put(codex_home, data, sample.name)
    found = look(store, resolve(store, str(codex_home), path.stem[-36:]))
    assert found.goal is not None
    goal = found.goal
    assert (goal.objective, goal.status, goal.basis) == ("Make it so.", meant, "rollout")
    assert (goal.tokens_used, goal.token_budget, goal.time_used_s) == (7, 99, 61)
    assert goal.updated_at == "2026-11-21T11:46:40.000Z"
    assert (found.bad_lines, found.unknown_lines) == (0, 0)
