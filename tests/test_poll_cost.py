"""What a look at jobs costs whoever pays for each byte of it: tables, JSON of some fields, waits, help texts."""

from __future__ import annotations

import dataclasses
import json
import typing

import pytest

from codex_agent import job_text, jobs
from codex_agent.model import Job, Status, Tokens, TurnState
from codex_agent.store import Store
from support import Home
from support.jobs import Here, write_record
from test_docs import commands

MOST_FOR_EIGHT = 1200
IDS = [f"{number:08x}" for number in range(1, 9)]
TASK = "直してください: the total in till.py ignores how many of an item are bought; mend that, and add a test"


@pytest.fixture
def look(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """The command line, on eight jobs with all that takes room; every second one failed."""
    store = Store(str(home.agent_home))
    for number, job_id in enumerate(IDS):

        def change(data: dict[str, typing.Any], number: int = number) -> None:
            data["name"] = f"a-long-name-for-{number}"
            data["request"]["prompt_head"] = TASK
            facts = data["facts"]
            facts["tokens"] = dataclasses.asdict(Tokens(10**8, 10**7, 10**7, 10**6, 11 * 10**7, 258400, 42.0))
            facts["files"] = [f"/nowhere/src/module{n}.py" for n in range(12)]
            facts["last_message"] = "I mended it. " * 100
            if number % 2:
                facts |= {"stop_reason": "timeout_inactivity", "exit_code": None, "exit_signal": 9}

        write_record(store, job_id, change)
    return Here(home, monkeypatch, capfd)


def size(text: str) -> int:
    return len(text.encode("utf-8"))


def test_the_table_of_eight_jobs(look: Here) -> None:
    out = look("jobs").ok().out
    assert len(out.splitlines()) == 9 and "failed/timeout_inactivity" in out and "110000000" in out
    assert all(f"[a-long-name-for-{number}] 直し" in out for number in range(8))
    assert size(out) < MOST_FOR_EIGHT
    assert size(look("wait", *IDS).out) < MOST_FOR_EIGHT


def test_the_table_of_eight_jobs_in_any_state(look: Here) -> None:
    job = jobs.view(Store(str(look.home.agent_home)), IDS[0])
    now = [dataclasses.replace(job, status="running", turn_state=state) for state in typing.get_args(TurnState)]
    now += [dataclasses.replace(job, status=status) for status in typing.get_args(Status)]
    for one in now:
        # Three bytes a character, two columns on a terminal.
        assert (
            size(job_text.table([dataclasses.replace(one, prompt="世" * 100)] * 8, color=False)) < MOST_FOR_EIGHT
        )


def test_some_fields_as_json(look: Here) -> None:
    few = look("jobs", "--json", "--fields", "id,status,name").ok().out
    data = json.loads(few)
    assert list(data) == ["total", "jobs"] and data["total"] == 8
    assert [list(job) for job in data["jobs"]] == [["id", "status", "name"]] * 8
    whole = {job["id"]: job for job in look("jobs", "--json").ok().json()["jobs"]}
    assert all(job == {name: whole[job["id"]][name] for name in job} for job in data["jobs"])
    assert size(few) < 600 and size(look("jobs", "--json", "--fields", "id,status,turn_state").out) < 600
    assert look("jobs", "--json", "--fields", "id", "--limit", "2").json()["total"] == 8

    assert look("status", IDS[0], "--json", "--fields", " exit_code , id").ok().out == (
        f'{{"exit_code":0,"id":"{IDS[0]}"}}\n'
    )
    assert look("wait", IDS[0], "--json", "--fields", "status").ok().json()["jobs"] == [{"status": "completed"}]


def test_every_field_can_be_chosen(look: Here) -> None:
    for field in dataclasses.fields(Job):
        look("status", IDS[1], "--json", "--fields", field.name).ok()


def test_problems_are_never_left_out(look: Here) -> None:
    (look.home.jobs / "0000000a.json").write_text("{")
    (problem,) = look("jobs", "--json", "--fields", "id").ok().json()["problems"]
    assert problem["id"] == "0000000a"


@pytest.mark.parametrize("words", [("jobs",), ("status", IDS[0]), ("wait", IDS[0])], ids=" ".join)
def test_fields_that_make_no_sense(look: Here, words: tuple[str, ...]) -> None:
    for fields in ("id,none", "", ",", "tokens.input"):
        answer = look(*words, "--json", "--fields", fields)
        assert answer.rc == 2 and "--fields" in answer.json()["error"]["message"], answer
    assert look(*words, "--fields", "id").rc == 2


def test_status_says_what_counts_and_no_more(look: Here) -> None:
    """500 characters of what the agent said, 20 files, and a line for each other thing."""
    assert size(look("status", IDS[1]).ok().out) < 2000


def test_help_texts_are_short() -> None:
    """Those with all of start's options are the longest."""
    import typer.testing

    from codex_agent.cli.app import app

    runner = typer.testing.CliRunner()
    for words, _ in [*commands(), ("", None)]:
        said = runner.invoke(app, [*words.split(), "--help"], env={"COLUMNS": "80", "TERM": "dumb"}).output
        long = words in ("start", "resume", "review", "")
        assert 100 < size(said) < (5000 if long else 1700), words
