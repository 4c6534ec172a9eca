"""What of the MCP server may die, and what it never loses: clients and servers that are killed, two at once, waits
that are given up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from codex_agent import kernel
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.mcp_server.waits import Waits
from codex_agent.store import Store
from support import Cli, Home, until
from support.cli import COMMAND
from support.jobs import begin, ended, see
from support.mcp_client import mcp, servers


class Raw:
    """A server at the end of two pipes, and nothing between."""

    def __init__(self, home: Home) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            [*COMMAND, "mcp"],
            cwd=home.root,
            env=home.env,
            text=True,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            start_new_session=True,
        )
        assert self.process.stdin and self.process.stdout and self.process.stderr
        self.stdin, self.stdout, self.stderr = self.process.stdin, self.process.stdout, self.process.stderr

    def __enter__(self) -> Raw:
        """The handshake as clients have spoken it since 2024."""
        about = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "raw", "version": "1"},
        }
        self.say(id=0, method="initialize", params=about)
        assert self.hear()["result"]["serverInfo"]["name"] == "codex-agent"
        self.say(method="notifications/initialized")
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        for pipe in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def say(self, **message: object) -> None:
        self.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        self.stdin.flush()

    def call(self, number: int, tool: str, **arguments: object) -> None:
        self.say(id=number, method="tools/call", params={"name": tool, "arguments": arguments})

    def hear(self) -> dict[str, Any]:
        """The next message; fails the test if a line is none."""
        message = json.loads(self.stdout.readline())
        assert isinstance(message, dict)
        return message


def test_a_client_that_dies_loses_nothing(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """Its server ends with it, in the middle of the call that waits; the agent goes on."""
    model.on("slow", Step.hold(model.gate("slow"), Step.message("Still here.")))
    with Raw(home) as server:
        server.call(1, "codex_agent", task="slow", workingDirectory=str(repo), name="mine")
        model.gate("slow").reached()
        server.stdin.close()  # all that a killed client leaves
        assert server.process.wait(10) == 0
        assert server.stderr.read() == ""
    assert see(cli, "mine")["status"] == "running"
    model.gate("slow").open()
    with mcp(home) as client:
        assert client("codex_wait", taskId="mine").data["tasks"][0]["message"] == "Still here."


def test_a_server_that_is_killed_loses_nothing(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """With its whole process group, as clients do it; it had also started tmux."""
    model.on("slow", Step.hold(model.gate("slow"), Step.message("Still here.")))
    with Raw(home) as server:
        server.call(1, "codex_agent", task="slow", workingDirectory=str(repo), name="mine")
        model.gate("slow").reached()
        os.killpg(server.process.pid, signal.SIGKILL)
        assert server.process.wait(10) == -signal.SIGKILL
    assert see(cli, "mine")["status"] == "running"
    model.gate("slow").open()
    assert ended(cli, "mine")["last_message"] == "Still here."


def test_stdout_is_the_protocols(home: Home, model: ModelServer, repo: Path) -> None:
    """Every line of it is a message, also where a call fails."""
    model.on("quick", Step.message("Done."))
    calls = [{"task": "quick", "workingDirectory": str(repo)}, {"task": "x", "workingDirectory": "/gone"}, {}]
    with Raw(home) as server:
        for number, arguments in enumerate(calls, 1):
            server.call(number, "codex_agent", **arguments)
            answer = server.hear()
            assert answer["id"] == number and answer["result"].get("isError", False) == (number > 1), answer
        server.stdin.close()
        assert server.stdout.read() == "" and server.stderr.read() == "" and server.process.wait(10) == 0


def test_an_older_client_hears_how_it_goes_and_breaks_off(home: Home, model: ModelServer, repo: Path) -> None:
    """As they have done it since 2024: a token for news, a notification to cancel, and then no answer."""
    model.on("slow", Step.hold(model.gate("slow")))
    with Raw(home) as server:
        server.call(1, "codex_agent", task="slow", workingDirectory=str(repo), name="mine", **{"async": True})
        assert server.hear()["id"] == 1
        wait = {
            "name": "codex_wait",
            "arguments": {"taskId": "mine", "timeoutMs": 0},
            "_meta": {"progressToken": "t"},
        }
        server.say(id=2, method="tools/call", params=wait)
        news = server.hear()
        assert news["method"] == "notifications/progress" and news["params"]["progressToken"] == "t", news
        server.say(method="notifications/cancelled", params={"requestId": 2})
        server.call(3, "codex_cancel", taskId="mine")
        answers = [server.hear()]
        while answers[-1].get("method") == "notifications/progress":  # on its way before it heard
            answers.append(server.hear())
        assert answers[-1]["id"] == 3 and answers[-1]["result"]["structuredContent"]["status"] == "interrupted"


def test_ctrl_c_ends_a_server(home: Home) -> None:
    with Raw(home) as server:
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(10) == -signal.SIGINT


def test_two_servers_agree(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    """A task begun through one is waited for through the other, ended by it, and seen by the command line."""
    model.on("slow", Step.hold(model.gate("slow")))
    with mcp(home) as one, mcp(home) as other:
        assert len(servers(home)) == 2
        job_id = one("codex_agent", task="slow", workingDirectory=str(repo), async_=True).data["id"]
        waiting = [each.begin("codex_wait", taskId=job_id, timeoutMs=0) for each in (one, other)]
        assert other("codex_cancel", taskId=job_id).data["status"] == "interrupted"
        assert {each.answer().data["tasks"][0]["status"] for each in waiting} == {"interrupted"}
        assert see(cli, job_id)["status"] == "interrupted"
        assert "already ended" in one("codex_cancel", taskId=job_id).error
        named: dict[str, Any] = {"task": "slow", "workingDirectory": str(repo), "name": "the one"}
        begun = [each.begin("codex_agent", async_=True, **named) for each in (one, other)]
        assert sorted(each.answer().result.is_error for each in begun) == [False, True], "the same name twice"
        other("codex_cancel", taskId="the one")


@pytest.mark.skipif(not kernel.LINUX, reason="elsewhere there is no way to look without touching")
def test_the_mask_is_looked_at_and_not_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another thread may be making a file."""
    mask = os.umask(0o077)
    os.umask(mask)
    monkeypatch.delattr(os, "umask")
    assert kernel.umask() == mask


def test_waits_that_are_given_up_share_one_sleeper(home: Home, cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("slow", Step.hold(model.gate("slow")))
    job_id = begin(cli, repo, "slow")
    store, waits = Store(str(home.agent_home)), Waits()

    async def wait() -> None:
        before = threading.active_count()
        news = [asyncio.create_task(waits.news(store, job_id, "end")) for _ in range(50)]
        await asyncio.sleep(0)
        assert threading.active_count() <= before + 1
        for task in news[1:]:
            task.cancel()
        await asyncio.gather(*news[1:], return_exceptions=True)
        assert [len(each) for each in waits._waiting.values()] == [1]
        model.gate("slow").open()
        await asyncio.wait_for(news[0], 30)
        assert not waits._waiting
        await asyncio.wait_for(waits.news(store, job_id, "end"), 10)  # long ended: at once

    asyncio.run(wait())
    until(lambda: see(cli, job_id)["status"] == "completed", 10)
