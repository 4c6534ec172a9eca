"""The documented schema: it takes what the commands print, nothing else, and the document is made from it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_agent import answers, mcp_answers, model, schema
from codex_agent.model import Facts, Failure, JobList, Problem, Record, Request, Tokens, stamp
from codex_agent.verdict import job_view

FORMATS = Path(__file__).parents[1] / "docs" / "formats.md"


def a_list() -> dict[str, Any]:
    """What ``jobs --json`` prints of one job that failed and one record that cannot be read."""
    request = Request(mode="exec", prompt_head="do it", prompt_chars=5, cwd="/here", sandbox="read-only")
    facts = Facts(started_at=stamp(), tokens=Tokens(1, 2, 3, 4, 5, 6, 7.5), files=["/here/a"], exit_code=1)
    facts.ended_at = stamp()
    record = Record(1, "0123abcd", None, stamp(), "m", "codex-agent-0123abcd", request, facts)
    job = job_view(record, alive=False, now=0)
    assert isinstance(job.failure, Failure)
    problem = Problem("0000000a", "/f", "record_unreadable", "no")
    return dataclasses.asdict(JobList(stamp(), [job], [problem], 1))


def test_it_takes_a_real_one() -> None:
    schema.check(JobList, a_list())
    schema.check(model.Job, a_list()["jobs"][0])


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key more": lambda data: data.update(extra=1),
    "a key more in a job": lambda data: data["jobs"][0].update(extra=1),
    "a key more in the tokens": lambda data: data["jobs"][0]["tokens"].update(extra=1),
    "no jobs": lambda data: data.pop("jobs"),
    "no problems": lambda data: data.pop("problems"),
    "no name": lambda data: data["jobs"][0].pop("name"),
    "no warnings": lambda data: data["jobs"][0].pop("warnings"),
    "no window": lambda data: data["jobs"][0]["tokens"].pop("context_window"),
    "no hint": lambda data: data["jobs"][0]["failure"].pop("hint"),
    "a number as text": lambda data: data["jobs"][0].update(elapsed_ms="5"),
    "text as a number": lambda data: data["jobs"][0].update(prompt=5),
    "null": lambda data: data["jobs"][0].update(status=None),
    "an unknown status": lambda data: data["jobs"][0].update(status="asleep"),
    "a job that is none": lambda data: data["jobs"].append("x"),
    "a list": lambda data: data.update(jobs={}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_takes_nothing_else(name: str) -> None:
    data = copy.deepcopy(a_list())
    CHANGES[name](data)
    with pytest.raises(ValueError):
        schema.check(JobList, data)


def test_every_answer_is_documented() -> None:
    """Each class with every field, and each of them in words."""
    reached = {*schema.COMMANDS.values(), *schema.TOOLS.values()}
    for kind in (*schema.CLASSES, *schema.ON_DISK):
        assert kind.__doc__, kind
        for item in dataclasses.fields(kind):
            if kind is not Record:
                assert item.metadata.get("doc"), f"{kind.__name__}.{item.name}"
            reached |= {other for other in schema.CLASSES if other.__name__ in str(item.type)}
    assert reached == set(schema.CLASSES)
    told = (*vars(answers).values(), *vars(mcp_answers).values())
    ours = {kind for kind in told if dataclasses.is_dataclass(kind)}
    assert ours <= set(schema.CLASSES), "an answer that the documents leave out"


@pytest.mark.parametrize("kind", [*schema.CLASSES, *schema.ON_DISK], ids=lambda kind: kind.__name__)
def test_the_json_schema_says_the_same(kind: type[Any]) -> None:
    made = schema.schema(kind)
    names = [item.name for item in dataclasses.fields(kind)]
    assert list(made["properties"]) == names and made["required"] == names
    assert made["additionalProperties"] is False
    assert made["description"] == (kind.__doc__ or "").split("\n")[0]


def test_the_document_is_current() -> None:
    text = FORMATS.read_text(encoding="utf-8")
    assert text.count(schema.BEGIN) == 1 and text.count(schema.END) == 1
    assert schema.update(text) == text, "run: python -m codex_agent.schema docs/formats.md"


def test_update_changes_its_own_part_only(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text(f"before\n{schema.BEGIN}\nSTALE\n{schema.END}\nafter\n")
    assert schema.main([str(file)]) == 0
    text = file.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "STALE" not in text
    for kind in schema.CLASSES:
        assert f"#### {kind.__name__}\n" in text
    assert schema.update(text) == text
