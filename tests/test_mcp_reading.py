"""The MCP tools that only look, with the SDK's client, on jobs of the real Codex in every state."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from codex_agent import mcp_answers, schema
from codex_agent.demo.model_server import Step
from support import until
from support.jobs import Place, begin, ended, place, see, working
from support.mcp_client import Mcp, mcp

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made by a patch\n*** End Patch\n"
LONG = "".join(f"line {n}\n" for n in range(2000))


@dataclass(frozen=True)
class Jobs:
    """One home with a job of each kind, and a client."""

    here: Place
    mcp: Mcp
    done: str
    failed: str
    killed: str
    running: str

    def refused(self, tool: str, **arguments: Any) -> str:
        return self.mcp(tool, **arguments).error


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with place(tmp_path_factory.mktemp("mcp")) as here:
        cli, model, repo = here.cli, here.model, here.repo
        shell = Step.command("echo changed >> README.md; echo seen-in-log")
        model.on("%%done", shell, Step.patch(PATCH), Step.message(LONG + "the end"))
        done = begin(cli, repo, "%%done", "--name", "maker")
        ended(cli, done)
        model.on("%%failed", Step.failed("insufficient_quota", "no money"))
        failed = begin(cli, repo, "%%failed")
        ended(cli, failed)
        killed = working(cli, model, repo, "%%killed")
        cli("kill", killed).ok()
        model.on(
            "%%running", Step.command("echo so far"), Step.hold(model.gate("running"), Step.message("at last"))
        )
        running = begin(cli, repo, "%%running")
        model.gate("running").reached()
        with mcp(here.home) as client:
            yield Jobs(here, client, done, failed, killed, running)


def test_the_list(jobs: Jobs) -> None:
    """Those that live first, then the newest; a short row each."""
    answer = jobs.mcp("codex_tasks")
    rows = answer.data["tasks"]
    assert [row["id"] for row in rows] == [jobs.running, jobs.killed, jobs.failed, jobs.done]
    made = rows[-1]
    assert (made["name"], made["status"], made["files"], made["task"]) == ("maker", "completed", 1, "%%done")
    assert made["tokens"] == see(jobs.here.cli, jobs.done)["tokens"]["total"]
    assert rows[2]["failure"] == "quota" and "failure" not in made and "turn_state" not in made
    assert rows[0]["turn_state"] == "working" and f"{jobs.running} running/working" in answer.text
    for words, found in (
        ({"status": "failed"}, [jobs.failed]),
        ({"status": "running"}, [jobs.running]),
        ({"status": "pending"}, []),
        ({"status": "all", "limit": 1}, [jobs.running]),
    ):
        told = jobs.mcp("codex_tasks", **words)
        assert [row["id"] for row in told.data["tasks"]] == found, words
    assert jobs.mcp("codex_tasks", limit=1).data["total"] == 4
    assert "3 more" in jobs.mcp("codex_tasks", limit=1).text
    assert jobs.mcp("codex_tasks", status="pending").text == "No tasks."
    assert len(json.dumps(rows)) / len(rows) < 400, "a row is read by a model, and paid for"


def test_a_record_that_cannot_be_read_is_told(jobs: Jobs) -> None:
    broken = jobs.here.home.jobs / "0badc0de.json"
    broken.write_text("{")
    try:
        told = jobs.mcp("codex_tasks")
    finally:
        broken.unlink()
    assert [problem["id"] for problem in told.data["problems"]] == ["0badc0de"] and "Problem: " in told.text


def test_status_of_one_that_runs(jobs: Jobs) -> None:
    until(lambda: "so far" in jobs.here.cli("capture", jobs.running).out, 10, "the command in the log")
    answer = jobs.mcp("codex_status", taskId=jobs.running[:5])
    told = answer.data
    assert (told["task"]["id"], told["task"]["status"], told["task"]["done"]) == (jobs.running, "running", False)
    assert (told["task"]["turn_state"], told["prompt"]) == ("working", "%%running")
    assert "so far" in "\n".join(told["tail"]) and "so far" in answer.text
    assert told["diagnostics"]["table"]["Exit code"] == "-"
    assert "| Heartbeats |" in answer.text and "codex_wait" in answer.text


def test_status_of_one_that_failed(jobs: Jobs) -> None:
    """The table of the seed, the likely cause, and what to do."""
    answer = jobs.mcp("codex_status", taskId=jobs.failed, tailLines=0)
    told = answer.data
    assert told["task"]["failure"]["reason"] == "quota" and told["tail"] == []
    table = told["diagnostics"]["table"]
    assert (table["Exit code"], table["Failure reason"]) == ("1", "quota")
    assert int(table["Stdout bytes"]) > 100
    assert told["diagnostics"]["cause"] and told["diagnostics"]["advice"]
    assert "### Diagnostics\n| Metric | Value |\n| --- | --- |\n| Exit code | 1 |" in answer.text
    killed = jobs.mcp("codex_status", taskId=jobs.killed).data
    assert (
        killed["task"]["status"] == "interrupted" and killed["diagnostics"]["table"]["Failure reason"] == "killed"
    )


def test_as_many_last_lines_as_asked_for(jobs: Jobs) -> None:
    assert jobs.mcp("codex_status", taskId="maker", tailLines=1).data["tail"] != []
    for count in (1, 3):
        assert len(jobs.mcp("codex_status", taskId="maker", tailLines=count).data["tail"]) == count
    assert len(jobs.mcp("codex_status", taskId="maker").data["tail"]) == 10
    assert "tailLines" in jobs.refused("codex_status", taskId="maker", tailLines=-1)


def test_a_result_in_pieces(jobs: Jobs) -> None:
    whole = LONG + "the end"
    first = jobs.mcp("codex_result", taskId="maker", maxChars=7000).data
    assert (first["what"], first["status"], first["total_chars"]) == ("result", "completed", len(whole))
    text, piece = first["text"], first
    while "next_offset" in piece and len(text) < len(whole):
        piece = jobs.mcp("codex_result", taskId="maker", maxChars=7000, offset=piece["next_offset"]).data
        text += piece["text"]
    assert text == whole and "next_offset" not in piece
    last = jobs.mcp("codex_result", taskId="maker", offset=-7)
    assert last.text == "the end" and last.data["offset"] == len(whole) - 7
    beyond = jobs.mcp("codex_result", taskId="maker", offset=10**9).data
    assert beyond["text"] == "" and "next_offset" not in beyond
    assert jobs.mcp("codex_result", taskId="maker", offset=-(10**9)).data["offset"] == 0


def test_the_other_texts(jobs: Jobs) -> None:
    said = jobs.mcp("codex_result", taskId="maker", what="transcript").text
    assert said.startswith("you: %%done") and "$ echo changed" in said and "added made.txt" in said
    assert jobs.mcp("codex_result", taskId="maker", what="prompt").text.startswith("%%done")
    log = jobs.mcp("codex_result", taskId="maker", what="log", maxChars=500).data
    assert "completed" in log["text"] and log["offset"] > 0, "of a log the end"
    log = jobs.mcp("codex_result", taskId=jobs.running, what="log").data
    assert "so far" in log["text"] and "\x1b" not in log["text"]


def test_the_diff(jobs: Jobs) -> None:
    """What a command changed, what a patch added, what was compared; also after a commit."""
    repo = jobs.here.repo
    at = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repo, capture_output=True, text=True, check=True).stdout
    told = jobs.mcp("codex_result", taskId="maker", what="diff", maxChars=100_000).text
    assert told.splitlines()[0] == f"# {repo} as it is now, against commit {at[:12]}, at which its thread began."
    assert "+changed\n" in told and "+++ b/made.txt\n" in told and "+made by a patch\n" in told
    assert "# Changed through Codex by job" in told and "made.txt" in told.splitlines()[2]
    (repo / "latin-1").write_bytes(b"caf\xe9\n")
    assert "+caf?\n" in jobs.mcp("codex_result", taskId="maker", what="diff", maxChars=100_000).text
    env = jobs.here.home.env
    for words in (["add", "made.txt"], ["commit", "-q", "-m", "kept"]):
        subprocess.run(["git", *words], cwd=repo, env=env, check=True, capture_output=True)
    again = jobs.mcp("codex_result", taskId="maker", what="diff", maxChars=100_000).text
    assert again.splitlines()[0] == told.splitlines()[0] and "+made by a patch\n" in again


def test_what_is_not_there(jobs: Jobs) -> None:
    """Errors say what to do; none has structured content."""
    for tool in ("codex_status", "codex_result"):
        assert "[not_found]" in jobs.refused(tool, taskId="nobody")
    unfinished = jobs.mcp("codex_result", taskId=jobs.running)
    assert "[bad_state]" in unfinished.error and unfinished.result.structured_content is None
    assert "no final message" in jobs.refused("codex_result", taskId=jobs.failed)
    assert "maxChars" in jobs.refused("codex_result", taskId="maker", maxChars=0)
    assert "limit" in jobs.refused("codex_tasks", limit=0)
    assert "status" in jobs.refused("codex_tasks", status="broken")
    assert "what" in jobs.refused("codex_result", taskId="maker", what="everything")


def test_what_is_null_is_left_out_and_the_schema_says_so(jobs: Jobs) -> None:
    """Our own strict check of an answer, with the nulls put back."""
    told = jobs.mcp("codex_tasks").data
    nulls = {"name", "turn_state", "tokens", "asks", "failure"}
    rows = [dict.fromkeys(nulls) | row for row in told["tasks"]]
    schema.check(mcp_answers.TaskList, told | {"tasks": rows})
    row = jobs.mcp.tools()["codex_tasks"].output_schema
    assert row is not None
    described = row["$defs"]["TaskRow"]
    assert set(described["properties"]) - set(described["required"]) == nulls
    assert described["properties"]["name"] == {"type": "string", "title": "Name"} | {
        "description": "Its name, which works as well."
    }


def test_threads(jobs: Jobs) -> None:
    answer = jobs.mcp("codex_threads")
    rows = answer.data["listed"]["threads"]
    assert {row.get("job_id") for row in rows} == {jobs.done, jobs.failed, jobs.killed, jobs.running}
    assert "thread" not in answer.data and jobs.running in answer.text
    assert len(jobs.mcp("codex_threads", limit=2).data["listed"]["threads"]) == 2
    loaded = jobs.mcp("codex_threads", active=True).data["listed"]["threads"]
    assert [row["job_id"] for row in loaded] == [jobs.running]
    assert jobs.mcp("codex_threads", workingDirectory="/nowhere").data["listed"]["threads"] == []
    assert jobs.mcp("codex_threads", source="vscode").text == "No Codex sessions."
    one = jobs.mcp("codex_threads", thread="maker")
    assert one.data["thread"]["job_id"] == jobs.done and "listed" not in one.data
    assert "made.txt" in one.text and one.text.startswith(f"Thread {one.data['thread']['id']}: closed")
    assert "[thread_not_found]" in jobs.refused("codex_threads", thread="nobody")
    assert "limit" in jobs.refused("codex_threads", limit=0)
