"""What an agent is told besides its task: given with a start, by a profile, and how to work under this tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.instructions import HOW_TO_WORK
from support import Cli, Codex, Home
from support.interactive import stay, told
from support.jobs import Here, begin, ended, record

A_RULE = "- What the sandbox refuses stays refused"
ODD = 'Say "please".\nKeep $HOME, \\n and ünïcödé as they are.\n\tTabs too.'


def developer(request: dict[str, Any]) -> str:
    """All that this request's model is told as a developer's word."""
    return "\n".join(
        part["text"] for item in request["input"] if item.get("role") == "developer" for part in item["content"]
    )


def last(model: ModelServer, marker: str) -> dict[str, Any]:
    """The last request of this conversation."""
    return model.requests_for(marker)[-1]


def test_every_turn_of_an_exec_agent(
    cli: Cli, each_codex: Codex, home: Home, model: ModelServer, repo: Path
) -> None:
    """Text and file, beside the user's own words; and again when the thread goes on, resumed or reopened."""
    (repo / "rules.md").write_text("Use tabs.\n")
    config = home.codex_home / "config.toml"
    config.write_text('developer_instructions = "The house is green."\n' + config.read_text())
    model.on("%%one", Step.message("One."))
    model.on("%%two", Step.message("Two."))
    rules = ("--instructions", ODD, "--instructions-file", str(repo / "rules.md"))
    first = ended(cli, begin(cli, repo, "%%one", *rules))
    said = developer(last(model, "%%one"))
    assert f"The house is green.\n\nUse tabs.\n\n{ODD}" in said and A_RULE not in said
    assert record(home, first["id"]).request.instructions == f"Use tabs.\n\n{ODD}"
    cli("resume", first["thread_id"], "%%two", "--wait", *rules).ok()
    assert ODD in developer(last(model, "%%two"))


def test_agents_that_stay(cli: Cli, each_codex: Codex, model: ModelServer, repo: Path) -> None:
    model.on("%%stay", Step.message("Here."))
    job_id = stay(cli, repo, "%%stay", "--instructions", ODD, "--agents-md")
    assert told(cli, "await-turn", job_id)["message"] == "Here."
    said = developer(last(model, "%%stay"))
    assert ODD in said and A_RULE in said
    told(cli, "exit", job_id)
    model.on("%%later", Step.message("Later."))
    told(cli, "send", job_id, "%%later", "--wait", shape="send --wait")
    assert ODD in developer(last(model, "%%later"))
    assert not (repo / "AGENTS.md").exists(), "for this run only: nothing is written"


def test_the_bare_tui(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%plain", Step.message("Here."))
    job_id = stay(cli, repo, "%%plain", "--plain", "--instructions", ODD)
    assert told(cli, "await-turn", job_id)["message"] == "Here."
    assert ODD in developer(last(model, "%%plain"))


@pytest.fixture
def here(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(home, monkeypatch, capfd)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--instructions", " "), "The instructions are empty."),
        (("--instructions-file", "nothing.md"), "cannot be read: No such file"),
        (("--instructions-file", "bytes.md"), "are not UTF-8."),
        (("--instructions", "x" * 100_001), "The instructions have 100001 bytes"),
        (("--instructions", "x", "-c", 'developer_instructions="y"'), "Both the instructions and -c"),
        (("--as", "nobody"), "The settings have no profile 'nobody'."),
    ],
)
def test_refused(here: Here, repo: Path, words: tuple[str, ...], message: str) -> None:
    (repo / "bytes.md").write_bytes(b"\xff\xfe\0")
    answer = here("start", "task", "--dry-run", "--json", *words, cwd=repo)
    assert answer.rc == 2, str(answer)
    assert message in answer.json()["error"]["message"] and answer.json()["error"]["hint"]


def dry(here: Here, repo: Path, *words: str, rc: int = 0) -> dict[str, Any]:
    answer = here("start", "task", "--dry-run", "--json", *words, cwd=repo)
    assert answer.rc == rc, str(answer)
    found = answer.json()
    assert isinstance(found, dict)
    return found


def test_o_series_models_think_hard(here: Here, home: Home, repo: Path) -> None:
    raised = '--config=model_reasoning_effort="high"'
    answer = dry(here, repo, "-m", "o4-mini")
    assert raised in answer["argv"] and any("o-series" in notice for notice in answer["notices"])
    assert raised in dry(here, repo, "-m", "o3", "--interactive")["argv"]
    for words in (("-m", "gpt-5.4"), ("-m", "o4-mini", "-r", "low"), ("-m", "ollama-3")):
        assert raised not in dry(here, repo, *words)["argv"], words
    config = home.codex_home / "config.toml"
    config.write_text('model = "o3"\n')
    assert raised in dry(here, repo)["argv"]
    config.write_text('model = "o3"\nmodel_reasoning_effort = "low"\n')
    assert raised not in dry(here, repo)["argv"], "the user has said how hard"


# ---- profiles ----


def test_a_profile(here: Here, home: Home, repo: Path) -> None:
    """It counts where the command says nothing; lists are joined."""
    for key, value in {
        "model": "gpt-5.4-mini",
        "reasoning": "high",
        "sandbox": "read-only",
        "instructions": "'Find faults; change nothing.'",
        "config": 'model_verbosity="low"',
        "timeout_min": "7",
        "agents_md": "yes",
        "budget": "500k",
        "worktree": "true",
    }.items():
        assert here("config", "set", f"profiles.reviewer.{key}", value.strip("'")).rc == 0
    answer = dry(here, repo, "--as", "reviewer")
    argv = answer["argv"]
    assert "/worktrees/repo/" in answer["cwd"]
    assert ("--model=gpt-5.4-mini" in argv) and argv[argv.index("-s") + 1] == "read-only"
    (told_it,) = [word for word in argv if "developer_instructions" in word]
    assert "Find faults; change nothing." in told_it and "stays refused" in told_it
    argv = dry(here, repo, "--as", "reviewer", "-s", "workspace-write", "-c", 'a="b"')["argv"]
    assert argv[argv.index("-s") + 1] == "workspace-write"
    assert [word for word in argv if "model_verbosity" in word or 'a="b"' in word] == [
        "--config=model_verbosity=low",
        '--config=a="b"',
    ]


def test_a_profile_that_stays(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """With everything that follows from it: it may ask, `--wait` waits for the turn, and review keeps it out."""
    for key, value in {"interactive": "true", "approval": "never", "sandbox": "read-only"}.items():
        cli("config", "set", f"profiles.talker.{key}", value).ok()
    model.on("%%talk", Step.message("Hello."))
    answer = cli("start", "%%talk", "--as", "talker", "--wait", "--json", "-d", str(repo)).ok().json()
    assert answer["turn_state"] == "idle" and answer["message"] == "Hello."
    request = record(home, answer["id"]).request
    assert (request.mode, request.approval, request.sandbox) == ("interactive", "never", "read-only")
    assert (
        cli("start", "%%talk", "--as", "talker", "--approval", "on-request", "--dry-run", "-d", str(repo)).rc == 0
    )


# ---- AGENTS.md ----


def section(here: Here, verb: str, folder: Path, rc: int = 0) -> dict[str, Any]:
    answer = here("agents-md", verb, "-d", str(folder), "--json")
    assert answer.rc == rc, str(answer)
    found = answer.json()
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize(
    "before",
    [None, b"", b"# Ours\n", b"# Ours", b"# Ours\n\n\n", b"\r\nCRLF\r\n", b"\xef\xbb\xbf\xff\xfe not UTF-8\n"],
)
def test_the_section_comes_and_goes_without_a_trace(here: Here, tmp_path: Path, before: bytes | None) -> None:
    file = tmp_path / "AGENTS.md"
    if before is not None:
        file.write_bytes(before)
        file.chmod(0o640)
    assert section(here, "show", tmp_path)["present"] is False
    assert section(here, "add", tmp_path)["changed"] is True
    there = file.read_bytes()
    assert there.startswith(before or b"") and HOW_TO_WORK.encode() in there
    assert section(here, "add", tmp_path)["changed"] is False and file.read_bytes() == there
    assert section(here, "show", tmp_path)["current"] is True
    assert section(here, "remove", tmp_path)["changed"] is True
    assert (file.read_bytes() if file.exists() else None) == before
    assert before is None or file.stat().st_mode & 0o777 == 0o640
    assert section(here, "remove", tmp_path)["changed"] is False


def test_what_others_write_around_it_stays(here: Here, tmp_path: Path) -> None:
    """Also when the section is an older one, and through a link."""
    real = tmp_path / "CLAUDE.md"
    real.write_text("# Before\n")
    file = tmp_path / "AGENTS.md"
    file.symlink_to(real.name)
    section(here, "add", tmp_path)
    real.write_text(real.read_text().replace("Do the whole task", "Do half of the task") + "After.\n")
    assert section(here, "show", tmp_path) | {"section": None} == {
        "path": str(file), "present": True, "current": False, "changed": False, "section": None,
    }  # fmt: skip
    assert section(here, "add", tmp_path)["changed"] is True
    assert "half of" not in real.read_text() and real.read_text().endswith("-->\nAfter.\n")
    section(here, "remove", tmp_path)
    assert real.read_text() == "# Before\nAfter.\n" and file.is_symlink()


def test_damaged_marks_are_left_alone(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "AGENTS.md"
    section(here, "add", tmp_path)
    torn = file.read_text().replace("<!-- codex-agent: end -->", "")
    file.write_text(torn)
    for verb in ("add", "remove", "show"):
        error = section(here, verb, tmp_path, rc=4)["error"]
        assert "1 begin it, 0 end it" in error["message"]
    assert file.read_text() == torn
    assert section(here, "add", tmp_path / "nowhere", rc=2)["error"]["code"] == "usage"


def test_codex_reads_it(cli: Cli, here: Here, model: ModelServer, repo: Path) -> None:
    section(here, "add", repo)
    model.on("%%read", Step.message("Done."))
    ended(cli, begin(cli, repo, "%%read"))
    assert A_RULE in json.dumps(last(model, "%%read")["input"])
