"""``diff`` and ``commits``: all that a job has changed, and nothing else; and nothing is touched by looking."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from codex_agent import schema
from codex_agent.store import Store
from support.home import Home
from support.jobs import Here, write_record
from support.repos import Git, say
from support.trees import Made, Tree, committed, everything, here, made

__all__ = ["here", "made", "say"]


def diff(here: Here, one: Tree, *words: str) -> dict[str, Any]:
    found = here("diff", one.id, "--json", *words).ok().json()
    schema.check(schema.COMMANDS["diff"], found)
    assert isinstance(found, dict)
    return found


def commits(here: Here, one: Tree) -> dict[str, Any]:
    found = here("commits", one.id, "--json").ok().json()
    schema.check(schema.COMMANDS["commits"], found)
    assert isinstance(found, dict)
    return found


def test_everything_that_differs(here: Here, made: Made, say: Git, repo: Path) -> None:
    (repo / ".gitignore").write_text("ignored\n")
    committed(say, repo, gone="1\n", kept="1\n")
    one = made("aaaaaaa1")
    assert (diff(here, one)["files"], diff(here, one)["text"], commits(here, one)["commits"]) == ([], "", [])
    first = committed(say, one.path, "first", fresh="quite\nnew\n")
    (one.path / "kept.txt").write_text("1\n2\n")
    (one.path / "gone.txt").unlink()
    (one.path / "bytes").write_bytes(b"\0\xff")
    (one.path / "staged").write_text("something else\n")
    say(one.path, "add", "staged")
    (one.path / "ignored").write_text("a build's")
    before = everything(one.path), say(one.path, "status", "--porcelain")
    git_side = everything(repo / ".git")
    found = diff(here, one)
    assert [(each["path"], each["added"], each["deleted"], each["uncommitted"]) for each in found["files"]] == [
        ("bytes", None, None, True),
        ("fresh.txt", 2, 0, False),
        ("gone.txt", 0, 1, True),
        ("kept.txt", 1, 0, True),
        ("staged", 1, 0, True),
    ]
    assert diff(here, one, "--stat")["text"] is None
    assert "5 files changed" in here("diff", one.id, "--stat").ok().out
    told = commits(here, one)
    assert [each["id"] for each in told["commits"]] == [first]
    assert sorted(told["uncommitted"]) == ["bytes", "gone.txt", "kept.txt", "staged"]
    assert (everything(one.path), say(one.path, "status", "--porcelain")) == before
    assert everything(repo / ".git") == git_side
    # The patch is one: it makes the same of the base elsewhere.
    patch = subprocess.run(["git", "apply"], cwd=repo, input=found["text"], text=True, check=False)
    assert patch.returncode == 0
    assert {path.name for path in repo.iterdir()} == {path.name for path in one.path.iterdir()} - {"ignored"}
    assert (repo / "bytes").read_bytes() == b"\0\xff"


def test_what_came_from_the_base_meanwhile_is_not_the_jobs(here: Here, made: Made, say: Git, repo: Path) -> None:
    one, two = made("aaaaaaa1"), made("aaaaaaa2")
    for each in (one, two):
        committed(say, each.path, "mine", mine="1")
    committed(say, repo, "theirs", theirs="1")
    say(one.path, "merge", "-q", "--no-edit", "main")
    say(two.path, "rebase", "-q", "main")
    for each in (one, two):
        assert [file["path"] for file in diff(here, each)["files"]] == ["mine.txt"]
        assert "theirs" not in [commit["subject"] for commit in commits(here, each)["commits"]]
    # Once merged it is still what the job did.
    here("merge", two.id).ok()
    committed(say, repo, "later", later="1")
    assert [file["path"] for file in diff(here, two)["files"]] == ["mine.txt"]


def test_names_that_are_no_text(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    for name in (b"caf\xe9", b"two\nlines", b"-dash", b'quo"te'):
        (Path(f"{one.path}") / name.decode("utf-8", "surrogateescape")).write_text("1\n")
    assert len(diff(here, one)["files"]) == 4
    shown = here("diff", one.id).ok().out
    assert subprocess.run(["git", "apply", "--check"], cwd=repo, input=shown.encode(), check=False).returncode == 0
    here("merge", one.id, "--commit").ok()
    assert (repo / b"caf\xe9".decode("utf-8", "surrogateescape")).exists()


def test_where_there_is_nothing_to_look_at(here: Here, made: Made, say: Git, repo: Path, home: Home) -> None:
    write_record(Store(str(home.agent_home)), "aaaaaaa9")
    for words in (["diff"], ["commits"], ["merge"], ["apply"]):
        said = here(*words, "aaaaaaa9")
        assert said.rc == 4 and "no worktree" in said.err
    one = made("aaaaaaa1")
    say(repo, "worktree", "remove", str(one.path))
    say(repo, "branch", "-q", "-D", one.branch)
    for words in (["diff"], ["commits"], ["merge"]):
        said = here(*words, one.id)
        assert said.rc == 4 and "is gone, and so is its branch" in said.err, said
    assert here("diff", "nothing").rc == 3
    here("clean", "--older-than", "0").ok()
    assert here("jobs", "--all", "--json").ok().json()["jobs"] == []
