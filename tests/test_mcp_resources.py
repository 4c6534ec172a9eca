"""The resources and prompts of the MCP server, and that everything it offers is run by a test."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from codex_agent import diagnosis_answers, model, schema
from codex_agent.demo.model_server import Step
from support.jobs import Place, begin, ended, place, see
from support.mcp_client import Mcp, mcp

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch\n"
JOBS = "codex-agent://jobs"


@dataclass(frozen=True)
class Jobs:
    here: Place
    mcp: Mcp
    done: str
    running: str

    def read(self, end: str) -> tuple[str, str | None]:
        """What lies there, and its type."""
        result = self.mcp.run(self.mcp.client.read_resource, JOBS + end)
        (content,) = result.contents
        assert isinstance(content, types.TextResourceContents) and content.uri == JOBS + end
        return content.text, content.mime_type

    def refused(self, end: str) -> MCPError:
        with pytest.raises(MCPError) as raised:
            self.read(end)
        return raised.value


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with place(tmp_path_factory.mktemp("mcp")) as here:
        here.model.on("%%done", Step.patch(PATCH), Step.message("All is done."))
        done = begin(here.cli, here.repo, "%%done", "--name", "the maker")
        ended(here.cli, done)
        gate = here.model.gate("held")
        here.model.on("%%held", Step.hold(gate, Step.message("at last")))
        running = begin(here.cli, here.repo, "%%held")
        gate.reached()
        with mcp(here.home) as client:
            yield Jobs(here, client, done, running)


# ---- resources ----


def test_the_list_and_the_record(jobs: Jobs) -> None:
    """As the command line prints them."""
    text, kind = jobs.read("")
    assert kind == "application/json"
    told = json.loads(text)
    schema.check(model.JobList, told)
    assert [job["id"] for job in told["jobs"]] == [jobs.running, jobs.done]
    record = json.loads(jobs.read(f"/{jobs.done}")[0])
    assert record == see(jobs.here.cli, jobs.done)
    assert json.loads(jobs.read("/the%20maker")[0]) == record == json.loads(jobs.read(f"/{jobs.done[:5]}")[0])


def test_what_there_is_of_a_job(jobs: Jobs) -> None:
    said, kind = jobs.read(f"/{jobs.done}/transcript")
    assert said.startswith("you: %%done") and "added made.txt" in said and kind == "text/plain"
    assert jobs.read(f"/{jobs.done}/result") == ("All is done.", "text/markdown")
    diff, kind = jobs.read(f"/{jobs.done}/diff")
    assert "+++ b/made.txt\n@@ -0,0 +1 @@\n+made\n" in diff and kind == "text/x-diff"
    found = json.loads(jobs.read(f"/{jobs.done}/diagnosis")[0])
    schema.check(diagnosis_answers.Diagnosis, found)
    assert found["id"] == jobs.done and found["exit_code"] == 0


def test_what_is_listed(jobs: Jobs) -> None:
    """The list, the newest jobs and what they have; all of it can be read. Templates say what else there is."""
    listed = jobs.mcp.run(jobs.mcp.client.list_resources).resources
    assert [each.uri for each in listed] == [
        JOBS,
        f"{JOBS}/{jobs.running}",
        f"{JOBS}/{jobs.done}",
        f"{JOBS}/{jobs.done}/result",
    ]
    assert listed[2].title == "Task the maker" and listed[2].description == "completed: %%done"
    for each in listed:
        assert jobs.read(each.uri.removeprefix(JOBS))[1] == each.mime_type
    templates = jobs.mcp.run(jobs.mcp.client.list_resource_templates).resource_templates
    for each in templates:
        end = each.uri_template.removeprefix(JOBS).replace("{task}", jobs.done)
        assert jobs.read(end)[1] == each.mime_type


def test_a_task_is_completed(jobs: Jobs) -> None:
    """While a person types its id or name into a template."""

    def completed(beginning: str) -> list[str]:
        ref = types.ResourceTemplateReference(uri=f"{JOBS}/{{task}}")
        argument = {"name": "task", "value": beginning}
        values = jobs.mcp.run(jobs.mcp.client.complete, ref, argument).completion.values
        assert isinstance(values, list)
        return values

    assert completed("") == [jobs.running, "the maker", jobs.done]
    assert completed("the") == ["the maker"] and completed(jobs.done[:7]) == [jobs.done] and completed("no") == []


def test_what_is_not_there(jobs: Jobs) -> None:
    for end in ("/nobody", "/nobody/result", f"/{jobs.done}/everything", f"/{jobs.done}/result/", "/", "x"):
        error = jobs.refused(end)
        assert error.code == types.INVALID_PARAMS and error.data == {"uri": JOBS + end, "code": "not_found"}, end
    early = jobs.refused(f"/{jobs.running}/result")
    assert early.code == types.INTERNAL_ERROR and "no final message yet" in early.message


# ---- prompts ----


def test_prompts(jobs: Jobs) -> None:
    offered = jobs.mcp.run(jobs.mcp.client.list_prompts).prompts
    assert [each.name for each in offered] == ["parallel_investigation", "review", "implement_and_verify"]

    def filled_in(name: str, **given: str) -> str:
        (message,) = jobs.mcp.run(jobs.mcp.client.get_prompt, name, given).messages
        assert message.role == "user"
        text = message.content.text
        assert isinstance(text, str)
        return text

    asked = filled_in("parallel_investigation", question="Why is it slow?", agents="five", workingDirectory="/r")
    assert "Why is it slow?" in asked and "into five lines" in asked and "workingDirectory /r." in asked
    assert "uncommitted changes in the repository you work in" in filled_in("review")
    of = filled_in("review", target="the branch x", focus="locks")
    assert "review the branch x in" in of and "in particular: locks." in of
    assert "run\n   `make check`" in filled_in("implement_and_verify", task="Add a flag", check="make check")
    tools = jobs.mcp.tools()
    for each in offered:
        needed = {one.name: "something" for one in each.arguments or [] if one.required}
        named = set(re.findall(r"\bcodex_\w+", filled_in(each.name, **needed)))
        assert named and named <= set(tools), "it names tools that there are"


def test_prompts_that_lack_something(jobs: Jobs) -> None:
    for name, given, why in (
        ("review", {"target": "x", "branch": "y"}, "takes no branch"),
        ("implement_and_verify", {"task": " "}, "needs task"),
        ("make_coffee", {}, "no prompt"),
    ):
        with pytest.raises(MCPError, match=why):
            jobs.mcp.run(jobs.mcp.client.get_prompt, name, given)


# ---- all of it together (that docs/mcp.md has it is held by test_docs.py) ----


def test_every_tool_and_prompt_is_run(jobs: Jobs) -> None:
    """By some test of ours, against the real Codex."""
    called = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_mcp*.py"))
    for name, tool in jobs.mcp.tools().items():
        hints = tool.annotations
        assert hints is not None and hints.open_world_hint is (not hints.read_only_hint)
        assert not (hints.read_only_hint and hints.destructive_hint), name
        properties = tool.input_schema["properties"].values()
        assert tool.output_schema is not None and all(each["description"] for each in properties), name
        assert re.search(rf'(?:begin|client|mcp|refused)\(\s*"{name}"', called), f"no test calls {name}"
    for name in (each.name for each in jobs.mcp.run(jobs.mcp.client.list_prompts).prompts):
        assert f'"{name}"' in called


def test_what_the_list_of_tools_costs(jobs: Jobs) -> None:
    """A client puts names, descriptions and parameters of all tools before its model in every conversation."""
    tools = jobs.mcp.tools().values()
    size = sum(len(tool.name) + len(tool.description or "") + len(json.dumps(tool.input_schema)) for tool in tools)
    assert size < 15_500, size
