"""What a job changed, as git tells it; on records alone, with real git. With Codex: test_mcp_reading.py."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codex_agent import changes
from codex_agent.errors import BadState
from codex_agent.store import Store
from support import Home
from support.jobs import make_repo, write_record

ID = "0a1b2c3d"


def git(repo: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repo, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


@pytest.fixture
def tree(home: Home, tmp_path: Path) -> Path:
    """A repository with one commit."""
    made = make_repo(home, tmp_path / "tree")
    git(made, "config", "user.email", "tester@example.invalid")
    git(made, "config", "user.name", "A Tester")
    return made


def diff(store: Store, cwd: Path, began: str | None = None, *, files: tuple[str, ...] = ()) -> str:
    """The difference of a job that worked there; its thread began at that commit, as its rollout says."""
    rollout = Path(store.home).parent / "rollout-2026-01-02T03-04-05-01a1fd66-9d0f-7d30-b781-b521de99b021.jsonl"
    meta = {"id": "01a1fd66-9d0f-7d30-b781-b521de99b021", "cwd": str(cwd), "git": {"commit_hash": began}}
    rollout.write_text(
        json.dumps({"timestamp": "2026-01-02T03:04:05Z", "type": "session_meta", "payload": meta}) + "\n"
    )

    def change(data: dict[str, Any]) -> None:
        data["request"]["cwd"] = str(cwd)
        data["facts"]["files"] = [str(cwd / name) for name in files]
        data["facts"]["rollout"] = None if began is None else str(rollout)

    write_record(store, ID, change)
    return changes.diff(store, ID)


def test_since_the_thread_began(store: Store, tree: Path) -> None:
    """Committed since, staged, changed, untracked: all of it, whoever did it; the head says what was compared."""
    began = git(tree, "rev-parse", "HEAD")
    (tree / "committed").write_text("c\n")
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "second")
    (tree / "staged").write_text("s\n")
    git(tree, "add", "staged")
    (tree / "README.md").write_text("changed\n")
    (tree / "not tracked").write_text("u\n")
    (tree / ".gitignore").write_text("ignored\n")
    (tree / "ignored").write_text("i\n")
    text = diff(store, tree, began, files=("README.md",))
    head = text.splitlines()[:3]
    assert head[0] == f"# {tree} as it is now, against commit {began[:12]}, at which its thread began."
    assert head[2] == f"# Changed through Codex by job {ID}: README.md"
    for name in ("committed", "staged", "README.md", "not tracked", ".gitignore"):
        assert f"+++ b/{name}" in text, name
    assert "+i\n" not in text
    # Without the commit it began at, the commit that is there now has to do.
    for unknown in ("f" * 40, None):
        later = diff(store, tree, unknown)
        now = git(tree, "rev-parse", "HEAD")
        assert later.startswith(f"# {tree} as it is now, against commit {now[:12]}, HEAD now (at which commit")
        assert "+++ b/committed" not in later and "+++ b/staged" in later
        assert "changed no file through Codex" in later


def test_before_the_first_commit(store: Store, tmp_path: Path) -> None:
    tree = tmp_path / "new"
    tree.mkdir()
    git(tree, "init", "-q")
    (tree / "staged").write_text("s\n")
    git(tree, "add", ".")
    (tree / "empty").touch()
    text = diff(store, tree)
    assert "against nothing: there is no commit yet." in text and "+++ b/staged\n" in text and "b/empty" in text


def test_no_program_of_the_repository_is_run(store: Store, tree: Path, tmp_path: Path) -> None:
    """A diff program or a text conversion that its configuration names."""
    spy = tmp_path / "ran"
    git(tree, "config", "diff.external", f"touch {spy}; true")
    git(tree, "config", "diff.spy.textconv", f"touch {spy}; cat")
    (tree / ".gitattributes").write_text("* diff=spy\n")
    (tree / "README.md").write_text("changed\n")
    assert "+changed" in diff(store, tree) and not spy.exists()


def test_many_untracked_files_and_other_repositories(store: Store, tree: Path) -> None:
    """Of many the rest is named; a repository in this one is named, and not gone into."""
    for number in range(53):
        (tree / f"made{number:02}").write_text("x\n")
    (tree / "inner").mkdir()
    git(tree / "inner", "init", "-q")
    (tree / "inner" / "deep").write_text("y\n")
    lines = diff(store, tree).splitlines()
    assert sum(line.startswith("+++ b/made") for line in lines) == 50
    assert lines[-4:] == [f"# untracked too: {name}" for name in ("made50", "made51", "made52", "inner/")]


def test_outside_git(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BadState, match="no git work tree"):
        diff(store, tmp_path)
