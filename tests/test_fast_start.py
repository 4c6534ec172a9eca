"""The quick way into `start`: it reads what typer would read, or nothing, and loads little."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codex_agent import sharing
from codex_agent.cli import app, beginning
from codex_agent.cli.asked import Options
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import StoreUnwritable
from codex_agent.fast import starting
from codex_agent.model import Record
from codex_agent.store import Store
from support import until
from support.cli import COMMAND
from support.home import Home
from support.jobs import Here
from support.processes import job_processes

_FIELDS = {each.name: each for each in dataclasses.fields(Options)}
_NAMES = {each.name: each.metadata["names"] for each in _FIELDS.values()}
_ALL = [name for names in _NAMES.values() for name in names]
_VALUES = ["x", "", "0", "7", "a b", "ä=b", "--", "-", "-x", "--json", "-1", "2.5", "caf\udce9", "\n"]

Words = list[str]


def lists() -> list[Words]:
    """What might be typed behind `start`, sensible and not."""
    found: list[Words] = [[], ["x"], ["-"], [""], ["a b"], ["x", "y"], ["--", "-x"], ["x", "--"], ["--", "x", "y"]]
    for name in [*_ALL, "-h", "--help", "--version", "--nope", "-z", "--js", "--no-json", "---json"]:
        found += [[name, "x"], ["x", name], [f"{name}=v", "x"], ["x", name, "v", name, "w"], ["x", "--", name]]
    for name, value in itertools.product(("-m", "--name", "--file", "--max-parallel", "--worktree"), _VALUES):
        found += [["x", name, value], ["x", f"{name}={value}"], [name, value, "x"], [f"{name}{value}", "x"]]
    found += [
        ["x", "--json", "--dry-run", "-m", "o3", "-d", "/", "--file=a", "-f", "b", "--gate", "g", "--track"],
        ["--interactive", "x", "--approval", "never", "--idle-exit", "off", "--json"],
        ["x", "-jm", "o3"],
        ["x", "--worktree", "branch", "--base=main"],
        ["--worktree", "a task of words"],
        ["x", "--json", "--json"],
    ]
    return found


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, Options]]:
    """What `start` is called with, which does nothing then."""
    calls: list[tuple[str | None, Options]] = []

    def start(prompt: str | None, options: Options) -> int:
        calls.append((prompt, options))
        return 0

    monkeypatch.setattr(beginning, "start", start)
    return calls


def test_it_reads_what_typer_reads_or_nothing(
    handed_on: list[tuple[str | None, Options]], capfd: pytest.CaptureFixture[str]
) -> None:
    read = 0
    for words in lists():
        quick = starting.parse(words)
        if quick is None:
            continue
        read += 1
        handed_on.clear()
        assert app.run(["start", *words]) == 0, (words, capfd.readouterr())
        assert [(prompt, dataclasses.asdict(options)) for prompt, options in handed_on] == [
            (quick[0], dataclasses.asdict(quick[1]))
        ], words
    assert read > 150, read  # else it reads nothing, which would be right and useless


@pytest.mark.parametrize("name", _ALL)
def test_it_reads_every_option_but_numbers(name: str) -> None:
    option = next(each for each in _FIELDS.values() if name in each.metadata["names"])
    quick = starting.parse(["x", name] if option.type == "bool" else ["x", name, "v"])
    if option.type == "int | None" or option.name == "worktree":
        assert quick is None
    else:
        assert quick is not None
        assert getattr(quick[1], option.name) == {"bool": True, "str | None": "v"}.get(str(option.type), ["v"])


def test_typer_has_these_options_and_no_others() -> None:
    import typer.main

    command: Any = typer.main.get_command(app.app)
    params = {param.name: param for param in command.commands["start"].params if param.param_type_name == "option"}
    assert {name: tuple(param.opts) for name, param in params.items() if name != "help"} == _NAMES
    for name, param in params.items():
        assert not param.secondary_opts and not param.envvar and param.nargs == 1, name
        if name != "help":
            kind = _FIELDS[name].type
            assert (bool(param.is_flag), bool(param.multiple)) == (kind == "bool", kind == "list[str] | None"), (
                name
            )


@pytest.mark.parametrize(
    "words",
    [
        ["x", "-d", "/nowhere/at/all"],
        ["x", "-d", ""],
        [" "],
        ["x", "--timeout", "soon", "--json"],
        ["x", "--one-shot", "--interactive"],
        ["x", "--plain", "--json"],
        ["x", "--after", "00000000"],
        ["x", "--base", "main", "--json"],
    ],
)
def test_its_errors_are_the_same(
    words: Words, home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    slow = Here(home, monkeypatch, capfd)("start", *words)
    assert starting.parse(words) is not None
    quick = subprocess.run(
        [*COMMAND, "start", *words],
        env=home.env,
        cwd=home.root,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert slow.rc != 0
    assert (quick.returncode, quick.stdout, quick.stderr) == (slow.rc, slow.out, slow.err)


def test_it_loads_little(home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%little", Step.message("done"))
    argv = [sys.executable, "-X", "importtime", *COMMAND[1:], "start", "%%little", "--json"]
    for _ in range(2):  # the first asks Codex for its version
        done = subprocess.run(argv, env=home.env, cwd=repo, capture_output=True, text=True, timeout=60, check=True)
    loaded = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }
    heavy = {
        "typer",
        "click",
        "rich",
        "pydantic",
        "libtmux",
        "subprocess",
        "inspect",
        "tempfile",
        "codex_agent.jobs",
    }
    assert "codex_agent.starting" in loaded
    assert not loaded & heavy, sorted(loaded & heavy)


def test_what_fails_while_the_supervisor_comes_up_leaves_nothing(
    home: Home, model: ModelServer, repo: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The session is open by then."""
    sessions: list[str] = []

    def fail(store: Store, record: Record) -> list[str]:
        sessions.extend(home.tmux("list-sessions", "-F", "#{session_name}").stdout.split())
        raise StoreUnwritable("No room.", "Make some.")

    monkeypatch.setattr(sharing, "warn", fail)
    answer = Here(home, monkeypatch, capfd)("start", "x", "-d", str(repo), "--json")
    assert answer.rc == 1 and answer.json()["error"]["message"] == "No room."
    assert len(sessions) == 1 and not home.tmux("list-sessions").stdout
    assert not [path.name for path in home.jobs.iterdir() if path.name != ".settle.lock"]
    until(lambda: not job_processes(str(home.agent_home)), 10, "its processes gone")
