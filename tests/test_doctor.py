"""``doctor`` explains what ``health`` finds; its report has what a bug report needs, and no secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent import schema
from codex_agent.answers import Doctor
from codex_agent.demo.model_server import Step
from support.jobs import Place, begin, ended, place
from support.provoking import NO_RETRIES

KEY = "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789"
PROMPT, ANSWER, CONTENT = "the-words-of-the-prompt", "the-words-of-the-answer", "the-words-of-a-file"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("doctor")) as made:
        yield made


def test_each_check_is_explained(here: Place) -> None:
    health = here.cli("health", "--json").ok().json()
    answer = here.cli("doctor", "--json").ok().json()
    schema.check(Doctor, answer)
    assert [(one["name"], one["ok"], one["needed"]) for one in answer["checks"]] == [
        (one["name"], one["ok"], one["needed"]) for one in health["checks"]
    ]
    for check in answer["checks"]:
        assert check["looked_at"].endswith(".") and check["why"].endswith(".") and check["mend"] == []
    text = here.cli("doctor").ok().out
    assert all(one["name"] in text for one in health["checks"]) and "All that agents need" in text


def test_what_is_missing_is_to_be_mended(here: Place) -> None:
    env = {"PATH": str(here.home.root), "CODEX_AGENT_SANDBOX": "none"}
    health = here.cli("health", "--json", env=env).json()
    result = here.cli("doctor", "--json", env=env)
    checks = {one["name"]: one for one in result.json()["checks"]}
    assert result.rc == 5 and not result.json()["ok"]
    for one in health["checks"]:
        mend = checks[one["name"]]["mend"]
        assert (mend == []) == one["ok"] and (one["ok"] or mend[0] == one["fix"])
    text = here.cli("doctor", env=env)
    assert text.rc == 5 and "MISS  tmux" in text.out and "Agents cannot run" in text.out


@pytest.fixture(scope="module")
def busy(here: Place) -> Place:
    """Jobs have been there: one that was done, one that was refused and whose server quotes the key."""
    (here.repo / "file.txt").write_text(CONTENT)
    here.model.on("%%done", Step.command("cat file.txt"), Step.message(ANSWER))
    done = begin(here.cli, here.repo, f"%%done {PROMPT}", "--name", "the-name")
    refusal = Step.http(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    here.model.on("%%refused", *[refusal] * 9)
    words = (
        "start",
        f"%%refused {PROMPT}",
        "-d",
        str(here.repo),
        "--json",
        "-c",
        f"shell.token={KEY}",
        *NO_RETRIES,
    )
    refused = here.cli(*words, env={"CODEX_API_KEY": KEY}).ok().json()["id"]
    assert [ended(here.cli, job_id)["status"] for job_id in (done, refused)] == ["completed", "failed"]
    return here


def test_a_report_says_what_happened(busy: Place) -> None:
    env = {"CODEX_API_KEY": KEY, "HTTPS_PROXY": "http://me:my-password@127.0.0.1:1", "SOMETHING": "else"}
    report = busy.cli("doctor", "--report", "-", env=env).ok().out
    for word in ("# codex-agent: a report", "Python 3", "tmux 3", "1  completed exec", "1  failed exec (auth)"):
        assert word in report, word
    assert "likely cause: key_refused" in report and "event: " in report and "turn_ended" in report
    assert "CODEX_API_KEY=[hidden]" in report and "127.0.0.1:1" in report
    for secret in (KEY, KEY[8:20], "my-password", PROMPT, ANSWER, CONTENT, "SOMETHING", str(busy.home.path)):
        assert secret not in report, secret
    assert "~/.codex" in report


def test_a_report_is_a_file_for_its_owner_alone(busy: Place) -> None:
    path = busy.home.root / "report.md"
    result = busy.cli("doctor", "--report", str(path)).ok()
    assert str(path) in result.out and "Look through it" in result.out
    assert path.stat().st_mode & 0o777 == 0o600 and path.read_text().startswith("# codex-agent: a report")
    path.write_text("mine")
    assert busy.cli("doctor", "--report", str(path)).rc == 2 and path.read_text() == "mine"
    assert busy.cli("doctor", "--report", str(path / "below")).rc == 2
    assert busy.cli("doctor", "--report", "-", "--json").rc == 2


def test_a_report_of_a_machine_where_nothing_works(busy: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broken = busy.home.jobs / "00000000.json"
    broken.write_text("{torn")
    try:
        env = {"PATH": str(tmp_path), "CODEX_AGENT_SANDBOX": KEY}
        report = busy.cli("doctor", "--report", "-", env=env).ok().out
        assert "MISS  tmux" in report and 'CODEX_AGENT_SANDBOX is "[hidden]"' in report
        assert "unreadable: 00000000 record_unreadable" in report
        env = {"CODEX_AGENT_HOME": str(tmp_path / "file" / "x"), "CODEX_AGENT_CODEX": str(tmp_path / "none")}
        report = busy.cli("doctor", "--report", "-", env=env).ok().out
        assert "MISS  home" in report and "MISS  codex" in report
    finally:
        broken.unlink()


def test_nothing_in_a_report_ends_its_block(busy: Place) -> None:
    env = {"XDG_STRANGE": "```\n# A heading of somebody else's"}
    report = busy.cli("doctor", "--report", "-", env=env).ok().out
    assert "\n# A heading" not in report and "````text" in report
