"""`start --thread-source`: Codex writes the word down where it can; elsewhere an error that names the version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent
from support.interactive import refused, told
from support.jobs import ended

OLD = "oldest"


def begins(rollout: str) -> dict[str, Any]:
    path = Path(rollout)
    until(lambda: path.exists() and b"\n" in path.read_bytes(), 10, "the rollout's first line")
    payload = json.loads(path.read_text().partition("\n")[0])["payload"]
    assert isinstance(payload, dict)
    return payload


def test_exec(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The source that decides what an IDE lists stays what it is: that is said."""
    model.on("%%task", Step.message("Done."))
    words = ("start", "%%task", "-d", str(repo), "--thread-source", "my orchestrator")
    if each_codex.label == OLD:
        assert each_codex.version in refused(cli, *words, rc=5)
        assert not list(home.jobs.glob("*.json"))
        return
    job = ended(cli, told(cli, *words)["id"])
    assert job["status"] == "completed"
    assert any("IDE" in text and "my orchestrator" in text for text in job["warnings"]), job["warnings"]
    first = begins(job["rollout"])
    assert (first["thread_source"], first["source"]) == ("my orchestrator", "exec")
    told(cli, "send", job["id"], "%%task", "--wait", shape="send --wait")
    assert len(begins(job["rollout"])) == len(first)


def test_staying(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """Over the channel; Codex's own words say which it takes (0.133 knows three)."""
    model.on("%%task", Step.message("Done."))
    words = ("start", "%%task", "-d", str(repo), "--interactive", "--thread-source")
    job = told(cli, *words, "user")
    assert Agent(home, cli, job["id"]).answers() == "Done."
    assert begins(job["rollout"])["thread_source"] == "user"
    if each_codex.label == OLD:
        assert "expected one of" in refused(cli, *words, "mine", rc=1)
    else:
        assert begins(told(cli, *words, "mine")["rollout"])["thread_source"] == "mine"


def test_what_it_cannot_be(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    words = ("start", "%%task", "-d", str(repo), "--thread-source")
    assert "empty" in refused(cli, *words, " ", rc=2)
    assert "--plain" in refused(cli, *words, "mine", "--interactive", "--plain", rc=2)
    assert not model.requests
