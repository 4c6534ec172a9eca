"""Removing worktrees: by hand, all at once, with their jobs. Nothing of an agent's work is lost unless forced."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import ModelServer, Step
from support.cli import Cli
from support.home import Home
from support.jobs import Here, begin, ended, make_repo
from support.repos import Git, say
from support.trees import Made, Tree, committed, here, made

__all__ = ["here", "made", "say"]


def told(here: Here, *words: str, rc: int = 0) -> dict[str, Any]:
    said = here("worktree", *words, "--json")
    assert said.rc == rc, str(said)
    found = said.json()
    if "error" not in found:
        schema.check(schema.COMMANDS[f"worktree {words[0]}"], found)
    assert isinstance(found, dict)
    return found


def row(here: Here, one: Tree) -> dict[str, Any]:
    (found,) = [row for row in told(here, "list")["worktrees"] if row["path"] == str(one.path)]
    assert isinstance(found, dict)
    return found


def kept(here: Here, one: Tree, *words: str, code: str = "work_at_risk") -> dict[str, Any]:
    """Every way refuses it, and it is there as before."""
    error = told(here, "remove", one.id, *words, rc=4)["error"]
    assert error["code"] == code and one.path.exists(), error
    assert [each["code"] for each in told(here, "prune")["kept"]] == [code]
    assert [each["code"] for each in told(here, "prune", "--dry-run")["kept"]] == [code]
    assert here("delete", one.id).rc == 4
    cleaned = here("clean", "--older-than", "0", "--json").ok().json()
    assert ([each["code"] for each in cleaned["problems"]], cleaned["jobs"]) == ([code], [])
    assert one.path.exists()
    assert isinstance(error, dict)
    return error


def gone(say: Git, repo: Path, one: Tree, *, branch: bool = True) -> None:
    assert not one.path.exists() and str(one.path) not in say(repo, "worktree", "list")
    assert (say(repo, "branch", "--list", one.branch) == "") is branch


def test_nothing_in_it(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    found = row(here, one)
    assert (found["commits"], found["unmerged"], found["uncommitted"], found["there"]) == (0, 0, [], True)
    assert (found["branch"], found["base"], found["jobs"]) == (one.branch, "main", [one.id])
    assert told(here, "remove", one.id)["removed"][0]["path"] == str(one.path)
    gone(say, repo, one)
    assert told(here, "list")["worktrees"] == []
    assert "gone already" in told(here, "remove", one.id, rc=4)["error"]["message"]
    here("delete", one.id).ok()


def test_what_is_not_committed(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    (one.path / "sub").mkdir()
    (one.path / "sub" / "new").write_text("1")
    (one.path / "README.md").unlink()
    error = kept(here, one)
    assert sorted(error["uncommitted"]) == ["README.md", "sub/new"] and error["unmerged"] == 0
    assert "--force" in error["hint"] and "sub/new" in error["message"]
    assert "work_at_risk" in str(told(here, "remove", one.id, "--keep-branch", rc=4))
    told(here, "remove", one.id, "--force")
    gone(say, repo, one)


def test_commits_that_are_nowhere_else(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    tip = committed(say, one.path, a="1")
    committed(say, one.path, b="1")
    error = kept(here, one)
    assert (error["unmerged"], error["uncommitted"]) == (2, []) and one.branch in error["message"]
    # One of the two is on another branch too.
    say(repo, "branch", "other", tip)
    assert row(here, one)["unmerged"] == 1
    told(here, "remove", one.id, "--keep-branch")
    gone(say, repo, one, branch=False)
    # The folder is gone and the work is not: it is listed, and shown, and kept still.
    assert (row(here, one)["there"], row(here, one)["unmerged"]) == (False, 1)
    assert "b.txt" in here("diff", one.id).ok().out
    assert len(here("commits", one.id, "--json").ok().json()["commits"]) == 2
    assert told(here, "prune")["kept"][0]["code"] == "work_at_risk"
    here("merge", one.id).ok()
    assert here("clean", "--older-than", "0").ok().out.endswith("1 job removed.\n")
    gone(say, repo, one)


@pytest.mark.parametrize("how", ["--squash", "--rebase"])
def test_what_was_merged_in_other_commits_is_not_lost(
    here: Here, made: Made, say: Git, repo: Path, how: str
) -> None:
    one = made("aaaaaaa1")
    committed(say, one.path, a="1")
    committed(say, one.path, b="1")
    committed(say, repo, elsewhere="1")
    here("merge", one.id, how).ok()
    assert row(here, one)["unmerged"] == 0
    # One more commit, and it is work again.
    committed(say, one.path, c="1")
    assert row(here, one)["unmerged"] == 3
    here("merge", one.id, how).ok()
    # Where it went may go too, and then this was the last place.
    say(repo, "reset", "-q", "--hard", "HEAD~1")
    assert row(here, one)["unmerged"] == 3
    kept(here, one)


def test_what_a_remote_or_a_tag_has_is_not_lost(here: Here, made: Made, say: Git, repo: Path, home: Home) -> None:
    remote = home.root / "remote.git"
    say(repo, "clone", "-q", "--bare", str(repo), str(remote))
    say(repo, "remote", "add", "origin", str(remote))
    one, two = made("aaaaaaa1"), made("aaaaaaa2")
    for each in (one, two):
        committed(say, each.path, **{each.id: "1"})
    say(one.path, "push", "-q", "origin", "HEAD")
    say(two.path, "tag", "v1")
    assert {each["branch"] for each in told(here, "prune")["removed"]} == {one.branch, two.branch}


def test_of_two_branches_with_the_same_work_one_stays(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    tip = committed(say, one.path, a="1")
    two = made("aaaaaaa2", base=tip)
    assert [row(here, each)["unmerged"] for each in (one, two)] == [0, 0]
    answer = told(here, "prune")
    assert (len(answer["removed"]), len(answer["kept"])) == (1, 1)
    assert tip in say(repo, "rev-list", "--branches").split()
    assert len(here("clean", "--older-than", "0", "--json").ok().json()["problems"]) == 1


def test_a_head_on_no_branch(here: Here, made: Made, say: Git) -> None:
    one = made("aaaaaaa1")
    say(one.path, "checkout", "-q", "--detach")
    committed(say, one.path, a="1")
    assert (row(here, one)["branch"], row(here, one)["unmerged"]) == (None, 1)
    kept(here, one)
    assert "no branch" in told(here, "remove", one.id, rc=4)["error"]["message"]


def test_a_branch_of_the_agents_own_making(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    say(one.path, "switch", "-q", "-c", "feature")
    committed(say, one.path, a="1")
    # It stays: only the branch that was made for the job goes with the worktree.
    assert row(here, one)["unmerged"] == 0
    told(here, "remove", "feature")
    gone(say, repo, one)
    assert say(repo, "log", "-1", "--format=%s", "feature") == "work"


def test_a_branch_that_was_there_before_stays(here: Here, made: Made, say: Git, repo: Path) -> None:
    say(repo, "branch", "side")
    one = made("aaaaaaa1", branch="side")
    committed(say, one.path, a="1")
    told(here, "remove", str(one.path))
    gone(say, repo, one, branch=False)
    assert told(here, "list")["worktrees"] == []


def test_work_in_a_submodule(here: Here, made: Made, say: Git, repo: Path, home: Home) -> None:
    lib = make_repo(home, home.root / "lib")
    say(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib), "lib")
    committed(say, repo)
    one = made("aaaaaaa1")
    assert row(here, one)["uncommitted"] == []
    (one.path / "lib" / "new").write_text("1")
    assert kept(here, one)["uncommitted"] == ["lib/new"]
    say(one.path / "lib", "add", ".")
    say(one.path / "lib", "commit", "-q", "-m", "inside")
    assert set(kept(here, one)["uncommitted"]) == {"lib", "lib (commits)"}
    # --commit does not take it for the agent's: what it points to would be nowhere.
    assert "repositories of their own" in here("merge", one.id, "--commit").err
    say(one.path / "lib", "checkout", "-q", "HEAD~1")
    assert row(here, one)["uncommitted"] == []
    told(here, "remove", one.id)
    gone(say, repo, one)


def test_a_repository_that_the_agent_made_in_it(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    inside = one.path / "inside"
    inside.mkdir()
    say(inside, "init", "-q")
    committed(say, inside, a="1")
    (one.path / "fine.txt").write_text("1")
    assert sorted(kept(here, one)["uncommitted"]) == ["fine.txt", "inside/"]
    assert [file["path"] for file in here("diff", one.id, "--json").ok().json()["files"]] == ["fine.txt"]
    assert "inside" in here("merge", one.id, "--commit").err
    here("merge", one.id, "--force").ok()
    assert say(repo, "ls-tree", "--name-only", "HEAD").split() == ["README.md", "fine.txt"]


def test_one_that_is_locked(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    say(repo, "worktree", "lock", "--reason", "on a stick", str(one.path))
    assert row(here, one)["locked"] == "on a stick"
    assert "on a stick" in kept(here, one, code="bad_state")["message"]
    told(here, "remove", one.id, "--force")
    gone(say, repo, one)


def test_a_job_at_work_in_it(cli: Cli, here: Here, model: ModelServer, say: Git, repo: Path) -> None:
    gate = model.gate("held")
    model.on("%%held%%", Step.hold(gate), Step.message("Done."))
    job = begin(cli, repo, "%%held%%", "--worktree", "one")
    gate.reached()
    for words in (["remove", job], ["remove", job, "--force"], ["remove", "one", "--force"]):
        error = told(here, *words, rc=4)["error"]
        assert error["code"] == "bad_state" and f"kill {job}" in error["hint"]
    assert told(here, "prune")["removed"] == []
    gate.open()
    ended(cli, job)
    assert len(told(here, "prune")["removed"]) == 1


def test_a_folder_or_a_repository_that_somebody_removed(
    here: Here, made: Made, say: Git, repo: Path, home: Home
) -> None:
    one, two = made("aaaaaaa1"), made("aaaaaaa2")
    other = make_repo(home, home.root / "other")
    three = made("aaaaaaa3", where=other)
    committed(say, one.path, a="1")
    for folder in (one.path, two.path, other):
        shutil.rmtree(folder)
    rows = {each["jobs"][0]: each for each in told(here, "list")["worktrees"]}
    assert (rows[one.id]["there"], rows[one.id]["unmerged"]) == (False, 1)
    assert rows[three.id]["there"] and "repository is gone" in rows[three.id]["trouble"]
    pruned = told(here, "prune")
    assert [each["path"] for each in pruned["removed"]] == [str(two.path)]
    assert {each["path"] for each in pruned["kept"]} == {str(one.path), str(three.path)}
    told(here, "remove", one.id, three.id, "--force")
    assert not three.path.exists()
    gone(say, repo, one)


def test_several_at_once(here: Here, made: Made, say: Git, repo: Path) -> None:
    one, two = made("aaaaaaa1"), made("aaaaaaa2")
    (one.path / "new").write_text("1")
    answer = told(here, "remove", one.id, two.id, "nothing", rc=4)
    assert [each["path"] for each in answer["removed"]] == [str(two.path)]
    assert [(each["code"]) for each in answer["kept"]] == ["work_at_risk", "not_found"]
    assert one.path.exists()


def test_only_those_of_one_repository(here: Here, made: Made, home: Home, repo: Path) -> None:
    other = make_repo(home, home.root / "other")
    made("aaaaaaa1"), made("aaaaaaa2", where=other)
    assert [row["jobs"] for row in told(here, "list", "--dir", str(other))["worktrees"]] == [["aaaaaaa2"]]
    assert len(told(here, "prune", "--dir", str(other))["removed"]) == 1
    assert [row["jobs"] for row in told(here, "list")["worktrees"]] == [["aaaaaaa1"]]
    assert here("worktree", "list", "-d", str(home.root)).rc == 2


def test_a_worktree_that_is_no_jobs_is_left_alone(here: Here, say: Git, repo: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    say(repo, "worktree", "add", "-q", str(mine))
    assert told(here, "list")["worktrees"] == [] and told(here, "prune") == {"removed": [], "kept": []}
    assert here("worktree", "remove", str(mine), "--force").rc == 3
    assert mine.exists()


def test_what_is_noted(here: Here, made: Made, say: Git, home: Home) -> None:
    one = made("aaaaaaa1")
    committed(say, one.path, a="1")
    here("merge", one.id).ok()
    told(here, "remove", one.id)
    lines = [json.loads(line) for line in (home.jobs / f"{one.id}.events.jsonl").read_text().splitlines()]
    assert [(line["event"], line.get("into"), line.get("forced")) for line in lines] == [
        ("merged", "main", None),
        ("worktree_removed", None, False),
    ]


def test_a_submodule_that_the_agent_has_bent(here: Here, made: Made, say: Git, repo: Path, home: Home) -> None:
    """Its `.git` file lies where an agent may write: git must not obey what it leads to."""
    lib = make_repo(home, home.root / "lib")
    say(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib), "lib")
    committed(say, repo)
    one = made("aaaaaaa1")
    evil = one.path / "evil"
    shutil.copytree(lib / ".git", evil)
    for key, value in (
        ("filter.x.clean", f"touch {home.root}/ran; cat"),
        ("core.fsmonitor", f"touch {home.root}/ran"),
    ):
        say(lib, "config", "--file", str(evil / "config"), key, value)
    (one.path / "lib" / ".gitattributes").write_text("* filter=x\n")
    text = (one.path / "lib" / "README.md").read_text()
    (one.path / "lib" / "README.md").write_text(text.upper())  # as long as before: git has to look inside
    (one.path / "lib" / ".git").write_text(f"gitdir: {evil}\n")
    assert "lib (a repository of its own)" in row(here, one)["uncommitted"]
    for words in (["diff", one.id], ["commits", one.id], ["merge", one.id, "--commit"], ["apply", one.id]):
        here(*words)
    made("aaaaaaa2", where=one.path)
    told(here, "remove", one.id, "--force")
    assert not (home.root / "ran").exists()
