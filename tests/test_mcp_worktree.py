"""Several agents in one repository, begun by an MCP client: a tree each, and the folders of `mcp` still hold."""

from __future__ import annotations

import subprocess
from pathlib import Path

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home
from support.mcp_client import mcp


def test_a_tree_each(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    for name in ("one", "two"):
        model.on(f"%%{name}", Step.command(f"echo {name} > {name}.txt"), Step.message(f"Wrote {name}."))
    cli("config", "set", "mcp.allowed_dirs", str(repo)).ok()
    with mcp(home) as client:
        tasks = [
            client("codex_agent", task=f"%%{name}", workingDirectory=str(repo), worktree=True, commit=True).data
            for name in ("one", "two")
        ]
        assert [task["status"] for task in tasks] == ["completed", "completed"], tasks
        assert len({task["cwd"] for task in tasks} | {str(repo)}) == 3
        diff = client("codex_result", taskId=tasks[0]["id"], what="diff").data["text"]
        assert "+one" in diff and "two" not in diff
        # Whose tree it is counts, not where it lies.
        model.on("%%more", Step.message("More."))
        assert client("codex_send", taskId=tasks[0]["id"], message="%%more").data["task"]["message"] == "More."
        cli("config", "set", "mcp.allowed_dirs", "/nowhere").ok()
        assert "MCP callers may not use" in client("codex_send", taskId=tasks[0]["id"], message="%%more").error
    for task in tasks:
        cli("merge", task["id"]).ok()
    said = subprocess.run(["git", "log", "--format=%s"], cwd=repo, env=home.env, capture_output=True, text=True)
    assert {"Wrote one.", "Wrote two."} <= set(said.stdout.splitlines())
