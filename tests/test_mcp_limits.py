"""What callers of the MCP server may have: the settings table `mcp`, held against all that starts or talks."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_agent import settings as settings_room
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import UsageError
from codex_agent.mcp_server import limits
from codex_agent.mcp_server.door import wait_s
from codex_agent.model import Request
from codex_agent.settings import Settings
from support import Cli, Home
from support.interactive import stay, wants
from support.jobs import begin, ended, make_repo, see
from support.mcp_client import mcp


def of(tmp_path: Path, **table: object) -> Settings:
    """The settings with this table ``mcp``, by way of the environment."""
    environ = {f"CODEX_AGENT_MCP_{name.upper()}": str(value) for name, value in table.items()}
    return settings_room.load({"HOME": str(tmp_path), **environ})


def request(cwd: Path, sandbox: str = "workspace-write", *more: Path) -> Request:
    return Request(
        mode="exec",
        prompt_head="x",
        prompt_chars=1,
        cwd=str(cwd),
        sandbox=sandbox,
        add_dirs=[str(each) for each in more],
    )


def test_the_sandbox(tmp_path: Path) -> None:
    limits.check(of(tmp_path), request(tmp_path))
    with pytest.raises(
        UsageError, match=r"danger-full-access is more .*: workspace-write \(setting mcp.max_sandbox"
    ):
        limits.check(of(tmp_path), request(tmp_path, "danger-full-access"))
    limits.check(of(tmp_path, max_sandbox="danger-full-access"), request(tmp_path, "danger-full-access"))
    with pytest.raises(UsageError):
        limits.check(of(tmp_path, max_sandbox="read-only"), request(tmp_path))


@pytest.mark.parametrize(
    ("usual", "most", "given"),
    [
        ("workspace-write", "workspace-write", "workspace-write"),
        ("danger-full-access", "workspace-write", "workspace-write"),
        ("read-only", "danger-full-access", "read-only"),
        ("workspace-write", "read-only", "read-only"),
    ],
)
def test_what_is_given_where_nothing_was_asked(tmp_path: Path, usual: str, most: str, given: str) -> None:
    environ = {"HOME": str(tmp_path), "CODEX_AGENT_SANDBOX": usual, "CODEX_AGENT_MCP_MAX_SANDBOX": most}
    assert limits.default_sandbox(settings_room.load(environ)) == given


def test_the_folders(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine", tmp_path / "mine too"
    for folder in (mine / "below", other):
        folder.mkdir(parents=True)
    (mine / "out").symlink_to(other)
    (tmp_path / "in").symlink_to(mine)
    settings = of(tmp_path, allowed_dirs=str(mine))
    for folder in (mine, mine / "below", tmp_path / "in" / "below", mine / "below" / ".."):
        limits.check(settings, request(folder))
    for folder in (tmp_path, other, mine / "out", mine / ".." / "mine too"):
        with pytest.raises(UsageError, match="MCP callers may not use"):
            limits.check(settings, request(folder))
    with pytest.raises(UsageError, match="mine too"):
        limits.check(settings, request(mine, "workspace-write", other))
    limits.check(of(tmp_path, allowed_dirs=f"'{mine}' '{other}'"), request(mine, "workspace-write", other))
    limits.check(of(tmp_path, allowed_dirs="~/mine"), request(mine))
    limits.check(of(tmp_path), request(other))


def test_answering(tmp_path: Path) -> None:
    limits.check_answer(of(tmp_path), request(tmp_path))
    with pytest.raises(UsageError, match=r"mcp\.approve"):
        limits.check_answer(of(tmp_path, approve="no"), request(tmp_path))
    with pytest.raises(UsageError, match=r"mcp\.max_sandbox"):
        limits.check_answer(of(tmp_path), request(tmp_path, "danger-full-access"))


def test_every_tool_that_begins_or_talks_is_held_to_it(
    home: Home, cli: Cli, model: ModelServer, repo: Path, tmp_path: Path
) -> None:
    """A job that its owner began with more is none for the callers; theirs to look at it stays."""
    model.on("begin it", Step.message("Begun."))
    other = make_repo(home, tmp_path / "other")
    strong = begin(cli, repo, "begin it", "--sandbox", "danger-full-access")
    elsewhere = begin(cli, other, "begin it")
    for job_id in (strong, elsewhere):
        ended(cli, job_id)
    assert cli("config", "set", "mcp.allowed_dirs", str(repo)).rc == 0
    with mcp(home) as client:
        most = "danger-full-access is more than MCP callers may use"
        here, there = str(repo), str(other)
        full = "danger-full-access"
        assert most in client("codex_agent", task="x", workingDirectory=here, sandbox=full).error
        assert most in client("codex_send", taskId=strong, message="x").error
        thread = see(cli, strong)["thread_id"]
        assert most in client("codex_resume", thread=thread, task="x", sandbox=full).error
        away = f"MCP callers may not use {there}"
        assert away in client("codex_agent", task="x", workingDirectory=there).error
        assert away in client("codex_agent", task="x", workingDirectory=here, addDirs=[there]).error
        assert away in client("codex_review", workingDirectory=there).error
        assert away in client("codex_send", taskId=elsewhere, message="x").error
        assert away in client("codex_resume", thread=elsewhere, task="x").error
        assert client("codex_wait", taskId=elsewhere).data["done"]
        # The settings hold from the next call on, without a new server.
        assert cli("config", "set", "mcp.max_sandbox", full).rc == 0
        told = client("codex_agent", task="begin it", workingDirectory=here, sandbox=full).data
        assert (told["sandbox"], told["status"]) == (full, "completed")
    assert cli("jobs", "--json").ok().json()["total"] == 3, "what was refused left a job"


def test_who_may_not_approve(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("outside", wants("true"), Step.message("Done."))
    job_id = stay(cli, repo, "outside")
    home.env["CODEX_AGENT_MCP_APPROVE"] = "no"
    with mcp(home) as client:
        assert client("codex_wait", taskId=job_id, until="approval").data["done"]
        assert "mcp.approve" in client("codex_approve", taskId=job_id, decision="approve").error
    assert see(cli, job_id)["turn_state"] == "waiting_approval"
    cli("kill", job_id).ok()


def test_how_long_a_call_waits(tmp_path: Path) -> None:
    """As it says; else as the settings say; else as who calls does."""
    assert wait_s(None, of(tmp_path), "claude-code") == 600
    assert wait_s(None, of(tmp_path), "another") == wait_s(None, of(tmp_path), None) == 50
    assert wait_s(None, of(tmp_path, wait_s=7), "claude-code") == 7
    assert wait_s(None, of(tmp_path, wait_s=0), "another") is None
    assert wait_s(1500, of(tmp_path, wait_s=7), "another") == 1.5
    assert wait_s(0, of(tmp_path), "another") is None
    with pytest.raises(UsageError, match="negative"):
        wait_s(-1, of(tmp_path), "another")
