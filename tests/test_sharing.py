"""Which agents share a tree: the rule, on folders and agents made up for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from codex_agent import sharing
from codex_agent.sharing import Agent
from codex_agent.store import Store
from support.home import Home
from support.jobs import write_record

WRITES, READS = "workspace-write", "read-only"


def agent(name: str, *folders: Path, sandbox: str | None = WRITES) -> Agent:
    at = "2026-01-01T00:00:00.000Z"
    return Agent(name, name, None, None, "working", None, [str(folder) for folder in folders], sandbox, at)


def trees(*agents: Agent) -> dict[str, list[str]]:
    return {tree.path: [one.id for one in tree.agents] for tree in sharing.shared(agents)}


@pytest.fixture
def there(repo: Path, tmp_path: Path) -> Path:
    """``repo`` with folders in it, and folders outside git."""
    for folder in (repo / "a", repo / "b", tmp_path / "out" / "one" / "deep", tmp_path / "out" / "two"):
        folder.mkdir(parents=True)
    return tmp_path


def test_two_folders_of_one_work_tree_are_one_tree(there: Path, repo: Path) -> None:
    assert trees(agent("x", repo / "a"), agent("y", repo / "b")) == {str(repo): ["x", "y"]}
    assert trees(agent("x", repo), agent("y", there / "out")) == {}
    assert trees(agent("x", repo), agent("x", repo)) == {}  # one agent is not two


def test_whoever_only_reads_is_at_work_there_too(there: Path, repo: Path) -> None:
    (tree,) = sharing.shared([agent("x", repo, sandbox=READS), agent("y", repo, sandbox=None)])
    assert [one.may_write for one in tree.agents] == [False, True]
    assert tree.git


def test_work_trees_of_one_repository_are_apart(home: Home, there: Path, repo: Path) -> None:
    for where in (there / "linked", repo / "inside"):
        words = ["git", "worktree", "add", "-q", str(where)]
        subprocess.run(words, cwd=repo, env=home.env, check=True, capture_output=True, timeout=30)
    agents = [agent("x", repo), agent("y", there / "linked"), agent("z", repo / "inside")]
    assert trees(*agents) == {}
    assert trees(*agents, agent("w", there / "linked")) == {str(there / "linked"): ["y", "w"]}


def test_outside_git_a_folder_and_all_below_it(there: Path) -> None:
    out = there / "out"
    one, deep, two = agent("1", out / "one"), agent("d", out / "one" / "deep"), agent("2", out / "two")
    assert trees(one, two) == {}
    assert trees(one, deep, two) == {str(out / "one"): ["1", "d"]}
    above = agent("o", out, sandbox=READS)
    assert trees(one, deep, two, above) == {str(out): ["1", "d", "2", "o"]}
    # A name that begins alike is another folder.
    (there / "out" / "one-more").mkdir()
    assert trees(one, agent("m", out / "one-more")) == {}


def test_whoever_may_write_above_a_work_tree_is_in_it(there: Path, repo: Path) -> None:
    assert trees(agent("x", there), agent("y", repo)) == {str(repo): ["x", "y"]}
    assert trees(agent("x", there, sandbox=READS), agent("y", repo)) == {}
    # Two work trees below it do not meet because of it.
    other = there / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True, capture_output=True, timeout=30)
    found = trees(agent("x", there), agent("y", repo), agent("z", other))
    assert found == {str(repo): ["x", "y"], str(other): ["x", "z"]}


def test_another_folder_it_may_write_counts(there: Path, repo: Path) -> None:
    out = there / "out"
    assert trees(agent("x", out / "one", repo / ".git"), agent("y", repo)) == {str(repo): ["x", "y"]}
    assert trees(agent("x", out / "one", out / "two"), agent("y", out / "two")) == {str(out / "two"): ["x", "y"]}


def test_a_folder_by_another_name(there: Path, repo: Path) -> None:
    (there / "link").symlink_to(repo)
    assert trees(agent("x", there / "link" / "a"), agent("y", repo)) == {str(repo): ["x", "y"]}
    (there / "other").symlink_to(there / "out")
    assert trees(agent("x", there / "other" / "one"), agent("y", there / "out")) == {
        str(there / "out"): ["x", "y"]
    }


def test_a_folder_that_is_gone(there: Path, repo: Path) -> None:
    assert trees(agent("x", repo / "gone" / "since"), agent("y", repo)) == {str(repo): ["x", "y"]}


def test_only_living_jobs_are_looked_at(home: Home) -> None:
    store = Store(str(home.agent_home))
    write_record(store, "0000aaaa")
    assert sharing.living_jobs(store) == []
    Path(store.path("0000bbbb", ".json")).write_text("no record")
    assert sharing.living_jobs(store) == []
