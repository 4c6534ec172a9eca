"""Talking about jobs through the command line: begin one, see it, wait for its end; what its model was told."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codex_agent.cli.app import run
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.model import Record
from codex_agent.store import Store
from support.cli import Cli, Result
from support.home import Home, make_home
from support.processes import processes_with
from support.waiting import until


def begin(cli: Cli, cwd: Path, prompt: str, *more: str) -> str:
    """Starts a job; its id."""
    job_id = cli("start", prompt, "-d", str(cwd), "--json", *more).ok().json()["id"]
    assert isinstance(job_id, str)
    return job_id


def see(cli: Cli, job_id: str) -> dict[str, Any]:
    """The job as `status --json` tells it."""
    found = cli("status", job_id, "--json").ok().json()
    assert isinstance(found, dict)
    return found


def ended(cli: Cli, job_id: str, timeout_s: float = 30) -> dict[str, Any]:
    """The job when it has ended."""
    answer = cli("wait", job_id, "--json", "--timeout", str(timeout_s), timeout_s=timeout_s + 10)
    assert answer.rc in (0, 1), str(answer)
    job = answer.json()["jobs"][0]
    assert isinstance(job, dict) and job["completed_at"], job
    return job


def working(cli: Cli, model: ModelServer, repo: Path, marker: str, *more: str) -> str:
    """A job whose agent runs a command that never ends by itself; returned once the command runs."""
    (repo / "begun").unlink(missing_ok=True)  # of an earlier one
    model.on(marker, Step.command("touch begun; sleep 987"), Step.message("never"))
    job_id = begin(cli, repo, f"work {marker}", *more)
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    return job_id


def record(home: Home, job_id: str) -> Record:
    """The job's record as it is on disk."""
    return Store(str(home.agent_home)).load(job_id)


def write_record(store: Store, job_id: str, change: Callable[[dict[str, Any]], object] | None = None) -> Path:
    """A record of a job that completed long ago, changed as told; its file."""
    data: dict[str, Any] = {
        "version": 1,
        "id": job_id,
        "name": None,
        "created_at": "2026-01-02T03:04:05.678Z",
        "mark": f"{job_id}.00",
        "tmux_session": f"codex-agent-{job_id}",
        "request": {
            "mode": "exec",
            "prompt_head": "an old task",
            "prompt_chars": 11,
            "cwd": "/nowhere",
            "sandbox": "read-only",
        },
        "facts": {
            "started_at": "2026-01-02T03:04:06.000Z",
            "turn": {"state": "completed", "count": 1},
            "exit_code": 0,
            "exited_at": "2026-01-02T03:04:09.000Z",
            "ended_at": "2026-01-02T03:04:09.000Z",
            "settled_by": "supervisor",
        },
    }
    if change is not None:
        change(data)
    store.prepare()
    path = Path(store.path(job_id, ".json"))
    path.write_text(json.dumps(data))
    return path


def user_texts(request: dict[str, Any]) -> list[str]:
    """The texts of a model request's user messages, in order, each part by itself."""
    return [
        part["text"]
        for item in request["input"]
        if item.get("role") == "user"
        for part in item["content"]
        if "text" in part
    ]


def make_repo(home: Home, path: Path) -> Path:
    """A git repository with one commit."""
    path.mkdir()
    (path / "README.md").write_text("A repository for one test.\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=path, env=home.env, check=True, capture_output=True, timeout=30)
    return path


@dataclass(frozen=True)
class Here:
    """The command line without a process of its own (milliseconds instead of a fifth of a second).

    For calls that start nothing: what a person types wrongly, what only looks.
    """

    home: Home
    monkeypatch: pytest.MonkeyPatch
    capfd: pytest.CaptureFixture[str]

    def __call__(self, *words: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Result:
        with self.monkeypatch.context() as only_now:
            for name in [name for name in os.environ if name.startswith(("CODEX", "TMUX", "COLUMNS"))]:
                only_now.delenv(name)
            for name, value in (self.home.env | (env or {})).items():
                only_now.setenv(name, value)
            only_now.chdir(cwd or self.home.root)
            self.capfd.readouterr()
            started = time.monotonic()
            exit_code = run(list(words))
        out, err = self.capfd.readouterr()
        return Result(words, exit_code, out, err, time.monotonic() - started)


@dataclass(frozen=True)
class Place:
    """All a module's tests need that look at the same jobs and change none of them."""

    home: Home
    cli: Cli
    model: ModelServer
    repo: Path


@contextlib.contextmanager
def place(root: Path) -> Iterator[Place]:
    """A home, a model and a repository for more than one test; whoever makes it ends its jobs."""
    sockets = Path(tempfile.mkdtemp(prefix="ca-", dir="/tmp"))
    home = make_home(root, str(sockets / "tmux"))
    cli = Cli(home.env, root)
    with ModelServer() as model:
        home.use_model(model.base_url)
        try:
            yield Place(home, cli, model, make_repo(home, root / "repo"))
        finally:
            cli.close()
            home.tmux("kill-server")
            shutil.rmtree(sockets)
            until(lambda: not processes_with(f"{root}/"), 15, "every process of these jobs gone")
