"""What the fast routes say twice, because loading it costs more than all they do, is the same in both places."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import get_args

import pytest

from codex_agent import errors, text
from codex_agent.fast import finding, limit, looking
from codex_agent.fast.words import number, split
from codex_agent.model import TERMINAL, Job, Status
from codex_agent.settings import KEYS, config_path
from support import until


def test_said_twice() -> None:
    assert (*(errors.EXIT_OK, errors.EXIT_FAILED, errors.EXIT_TIMED_OUT),) == (
        looking.EXIT_OK,
        looking.EXIT_FAILED,
        looking.EXIT_TIMED_OUT,
    )
    assert set(looking.STATUSES) == set(get_args(Status)) and set(finding.TERMINAL) == TERMINAL
    assert KEYS["jobs_limit"].default == limit.DEFAULT
    assert list(Job.__dataclass_fields__)[:2] == ["id", "name"], "where a sealed record's name is looked for"


@pytest.mark.parametrize("columns", [None, "", "0", "-3", "77", " 77 ", "7_7", "x", "1e3", "100000"])
def test_the_width_is_the_one_shutil_says(monkeypatch: pytest.MonkeyPatch, columns: str | None) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert text.columns_of_terminal() == shutil.get_terminal_size((120, 24)).columns


def test_a_grammar_that_never_guesses() -> None:
    flags, valued = ("--json",), ("--limit",)
    found = split(["a", "--json", "--limit=3", "--limit", "4", "b"], flags, valued)
    assert found is not None and (found.rest, found.flags, found.last("--limit")) == (["a", "b"], {"--json"}, "4")
    for words in (["--"], ["-"], ["-h"], ["--jso"], ["--json=1"], ["--limit"], ["--limit", "--json"], ["--x=1"]):
        assert split(words, flags, valued) is None, words
    assert split(["--limit="], flags, valued) is not None
    assert [number(word) for word in ("5", "0.5", "05")] == [5.0, 0.5, 5.0]
    for word in ("", ".5", "5.", "1e3", "nan", "-1", " 5", "1_0", "５", "1.2.3"):  # noqa: RUF001
        assert number(word) is None, word


def test_a_setting_is_kept_until_anything_changes(tmp_path: Path) -> None:
    """What the settings' reader found holds for that file and those variables only."""
    env = {"HOME": str(tmp_path), "CODEX_AGENT_HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path)}
    assert limit.read(env) == limit.DEFAULT, "nothing sets anything"
    file = Path(config_path(env))
    file.parent.mkdir()
    file.write_text("jobs_limit = 5\n")
    assert limit.read(env) is None
    limit.keep(env, 5)
    assert limit.read(env) is None, "a file so young may change unseen"
    until(lambda: time.time_ns() - os.stat(file).st_ctime_ns > 2_050_000_000, 10, "it is old enough")
    limit.keep(env, 5)
    assert limit.read(env) == 5 and limit.read(env | {"CODEX_AGENT_JOB_ID": "x"}) == 5
    for more in ({"CODEX_AGENT_JOBS_LIMIT": "7"}, {"CODEX_AGENT_SANDBOX": "bogus"}, {"HOME": "/"}):
        assert limit.read(env | more) is None, more
    file.chmod(0o600)
    assert limit.read(env) is None
    file.unlink()
    assert limit.read(env) == limit.DEFAULT


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    env = {"HOME": str(tmp_path), "CODEX_AGENT_HOME": str(tmp_path), "CODEX_AGENT_JOBS_LIMIT": "7"}
    (tmp_path / "cache").write_text("in the way")
    limit.keep(env, 7)
    assert limit.read(env) is None
