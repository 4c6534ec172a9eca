"""Jobs with worktrees: real ones made as `start` makes them, with or without an agent that was at work in them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from codex_agent.settings_keys import WorktreeSettings
from codex_agent.store import Store
from codex_agent.worktrees import making
from support.home import Home
from support.jobs import Here, write_record
from support.repos import Git


@dataclass(frozen=True)
class Tree:
    """A worktree, and the job that ended in it."""

    id: str
    path: Path
    branch: str


Made = Callable[..., Tree]


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """The command line, in this process."""
    return Here(home, monkeypatch, capfd)


@pytest.fixture
def made(home: Home, repo: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Makes a worktree of ``repo`` (or another folder) and a job that has ended in it, without running Codex."""
    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    store = Store(str(home.agent_home))

    def make(job_id: str, *, branch: str = "", base: str | None = None, where: Path = repo, **more: Any) -> Tree:
        settings = WorktreeSettings(**more)
        folder = str(home.agent_home / "worktrees")
        planned, cwd, _ = making.plan(str(where), branch, base, None, settings, folder)
        named, cwd = making.named(planned, cwd, job_id)
        tree, _ = making.make(named, cwd, job_id, settings, home.env)

        def change(data: dict[str, Any]) -> None:
            data["request"] |= {"cwd": cwd, "worktree": asdict(tree), "sandbox": "workspace-write"}
            data["facts"] |= {"last_message": f"Done by {job_id}.\n\nIn detail."}

        write_record(store, job_id, change)
        return Tree(job_id, Path(tree.path), tree.branch)

    return make


def committed(say: Git, folder: Path, message: str = "work", **files: str) -> str:
    """Commits these files (name without its ending .txt, and text) in a folder; the commit."""
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    say(folder, "add", "-A")
    say(folder, "commit", "-q", "-m", message)
    return say(folder, "rev-parse", "HEAD")


def everything(folder: Path) -> dict[str, bytes | str]:
    """Every file below, git's own included, with what is in it: to see that nothing was changed."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            found[str(path)] = os.readlink(path)
        elif path.is_file():
            found[str(path)] = path.read_bytes()
    return found
