"""Codex's command line: the exact words, and that the real versions do with them what is meant."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codex_agent.codex.failures import diagnose
from codex_agent.codex.finding import Codex, find
from codex_agent.codex.flags import (
    MAX_PROMPT_CHARS,
    REASONING_EFFORTS,
    ExecOptions,
    check_files,
    check_profile,
    check_reasoning,
    exec_argv,
    reasoning_efforts,
)
from codex_agent.codex.version import parse_version
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import CodexAgentError, UsageError
from support import Codex as Installed
from support import Home
from support.material import ANSWER_SCHEMA, picture

FAKE = Codex("/bin/codex", "/bin/codex", "PATH", "0.163.0")
PLAIN = ExecOptions(cwd="/repo", sandbox="read-only")


def found_for(which: Installed, home: Home) -> Codex:
    return find(which.path, home.env, str(home.agent_home / "cache"))


def run(codex: Codex, options: ExecOptions, home: Home, prompt: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        exec_argv(codex, options),
        input=prompt,
        env={**home.env, **codex.env},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def turn_context(home: Home) -> dict[str, Any]:
    """What the one rollout of this home says the turn ran with."""
    (rollout,) = (home.codex_home / "sessions").rglob("*.jsonl")
    records = [json.loads(line) for line in rollout.read_text().splitlines()]
    context: dict[str, Any] = next(one["payload"] for one in records if one["type"] == "turn_context")
    return context


# --- the words


def test_no_more_than_needed() -> None:
    assert exec_argv(FAKE, PLAIN) == [
        "/bin/codex", "exec", "--json", "--color=never", "-s", "read-only", "-C", "/repo",
        '--config=approval_policy="never"', "-",
    ]  # fmt: skip


def test_everything() -> None:
    options = ExecOptions(
        cwd="/repo",
        sandbox="danger-full-access",
        model="gpt-5.5",
        reasoning="xhigh",
        add_dirs=["/a", "/b"],
        images=["/x.png", "/y.png"],
        profile="mine",
        config=["a.b=1", "-odd=", 'x="y=z"'],
        output_schema="/s.json",
        skip_git_repo_check=True,
    )
    assert exec_argv(FAKE, options)[5:] == [
        "danger-full-access", "-C", "/repo", '--config=approval_policy="never"', "--model=gpt-5.5",
        '--config=model_reasoning_effort="xhigh"', "--profile=mine", "--add-dir=/a", "--add-dir=/b",
        "--image=/x.png", "--image=/y.png", "--output-schema=/s.json", "--skip-git-repo-check",
        "--config=a.b=1", "--config=-odd=", '--config=x="y=z"', "-",
    ]  # fmt: skip


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sandbox": "none"}, "Unknown sandbox 'none'"),
    ({"model": " "}, "The model is empty"),
    ({"profile": ""}, "The profile is empty"),
    ({"reasoning": ""}, "'' is no reasoning effort"),
    ({"reasoning": 'high"\nx="'}, "is no reasoning effort"),
    ({"config": ["novalue"]}, "'novalue' is not KEY=VALUE"),
    ({"config": ["=1"]}, "'=1' is not KEY=VALUE"),
    ({"config": ["  =1"]}, "is not KEY=VALUE"),
    ({"images": ["/a,b.png"]}, "comma"),
    ({"model": "a\0b"}, "NUL"),
    ({"config": ["a=\0"]}, "NUL"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG, ids=[told for _, told in WRONG])
def test_wrong_words(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        exec_argv(FAKE, replace(PLAIN, **changes))


# --- what the real ones do with them


def test_every_option_arrives(every_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("look at this", Step.message('{"a": "b"}'))
    image, schema, other = repo / "pixel.png", repo / "schema.json", repo.parent / "other"
    image.write_bytes(picture())
    schema.write_text(json.dumps(ANSWER_SCHEMA))
    other.mkdir()
    codex = found_for(every_codex, home)
    options = ExecOptions(
        cwd=str(repo),
        sandbox="workspace-write",
        model="gpt-5.4-mini",
        reasoning="low",
        add_dirs=[str(other)],
        images=[str(image)],
        # Codex takes the sandbox from its flag, whatever this says.
        config=['sandbox_mode="danger-full-access"', 'developer_instructions="Say please."'],
        output_schema=str(schema),
    )
    done = run(codex, options, home, "-- look at this\nand 'this' \"too\" 😀")
    assert done.returncode == 0, done.stderr
    (request,) = model.requests_for("look at this")
    assert request["model"] == "gpt-5.4-mini"
    assert request["reasoning"]["effort"] == "low"
    assert request["text"]["format"]["schema"] == ANSWER_SCHEMA
    last = request["input"][-1]["content"]
    assert [part["type"] for part in last].count("input_image") == 1
    assert last[-1]["text"].rstrip("\n") == "-- look at this\nand 'this' \"too\" 😀"
    assert "Say please." in json.dumps(request["input"])
    context = turn_context(home)
    assert context["approval_policy"] == "never"
    assert context["sandbox_policy"]["type"] == "workspace-write"
    assert str(other) in json.dumps(context)
    assert json.loads(done.stdout.splitlines()[0])["type"] == "thread.started"


def test_nothing_and_nobody_approves(each_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    # With this setting and without our explicit policy, Codex from 0.150 on has a second model decide.
    home.use_model(model.base_url, extra='approval_policy = "on-request"\napprovals_reviewer = "auto_review"')
    outside = repo.parent / "outside"
    escalated = {"cmd": f"touch {outside}", "sandbox_permissions": "require_escalated", "justification": "why not"}
    model.on("get out", Step.call("exec_command", escalated), Step.message("Done."))
    done = run(found_for(each_codex, home), ExecOptions(str(repo), "workspace-write"), home, "get out")
    assert done.returncode == 0, done.stderr
    assert len(model.requests) == 2
    assert "approval policy is Never" in json.dumps(model.requests[-1]["input"][-1])
    assert not outside.exists()


@pytest.mark.parametrize("sandbox", ["read-only", "danger-full-access"])
def test_other_sandboxes(sandbox: str, each_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    outside = repo.parent / "outside"
    model.on("write", Step.command(f"touch {outside}"), Step.message("Done."))
    done = run(found_for(each_codex, home), ExecOptions(str(repo), sandbox), home, "write")
    assert done.returncode == 0, done.stderr
    assert turn_context(home)["sandbox_policy"]["type"] == sandbox
    assert outside.exists() == (sandbox == "danger-full-access")


@pytest.fixture
def no_repo() -> Iterator[Path]:
    """A folder in no repository. Not below /tmp: an interrupted Codex leaves an empty /tmp/.git behind."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-test-", dir="/var/tmp") as folder:
        yield Path(folder)


def test_outside_a_repository(each_codex: Installed, home: Home, model: ModelServer, no_repo: Path) -> None:
    codex, options = found_for(each_codex, home), ExecOptions(str(no_repo), "read-only")
    done = run(codex, options, home, "hello")
    assert done.returncode == 1
    told = diagnose(message=None, info=None, stderr_tail=done.stderr, exit_code=1)
    assert told.reason == "not_a_repo"
    assert model.requests == []
    assert run(codex, replace(options, skip_git_repo_check=True), home, "hello").returncode == 0


def test_the_longest_prompt(each_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    codex, options = found_for(each_codex, home), ExecOptions(str(repo), "read-only")
    done = run(codex, options, home, "é" * MAX_PROMPT_CHARS)
    assert done.returncode == 0, done.stderr[-2000:]
    done = run(codex, options, home, "é" * (MAX_PROMPT_CHARS + 1))
    assert done.returncode == 1
    told = diagnose(message=None, info=None, stderr_tail=done.stderr, exit_code=1)
    assert told.reason == "input_too_large"
    assert str(MAX_PROMPT_CHARS) in told.message


# --- reasoning efforts


def test_efforts_of_each_version(every_codex: Installed, home: Home) -> None:
    codex = found_for(every_codex, home)
    # A mistake in the user's own configuration is not taken for the answer.
    (home.codex_home / "config.toml").write_text('model_reasoning_effort = "bogus"\nsandbox_mode = "bogus"\n')
    takes_any = parse_version(codex.version) >= (0, 150, 0)
    assert reasoning_efforts(codex, home.env) == REASONING_EFFORTS + (("max", "ultra") if takes_any else ())
    for effort in REASONING_EFFORTS:
        check_reasoning(codex, effort, home.env)
    if takes_any:
        check_reasoning(codex, "enormous", home.env)
    else:
        with pytest.raises(UsageError, match=f"Codex {codex.version} does not know .* 'enormous'"):
            check_reasoning(codex, "enormous", home.env)
    with pytest.raises(UsageError):
        check_reasoning(codex, "Very High", home.env)


@pytest.mark.parametrize("effort", REASONING_EFFORTS)
def test_the_common_efforts_reach_the_model(
    effort: str, each_codex: Installed, home: Home, model: ModelServer, repo: Path
) -> None:
    options = ExecOptions(str(repo), "read-only", reasoning=effort)
    done = run(found_for(each_codex, home), options, home, "hello")
    assert done.returncode == 0, done.stderr
    assert model.requests[0]["reasoning"]["effort"] == effort


def test_asking_a_codex_that_is_gone(home: Home) -> None:
    with pytest.raises(CodexAgentError, match="/bin/nonexistent-codex does not run"):
        check_reasoning(replace(FAKE, path="/bin/nonexistent-codex"), "enormous", home.env)


# --- files and profiles, which Codex does not check or only late


def test_files_that_are_there(repo: Path) -> None:
    (repo / "a.png").write_bytes(picture())
    (repo / "s.json").write_text(json.dumps(ANSWER_SCHEMA))
    options = replace(
        PLAIN, images=[str(repo / "a.png")], add_dirs=[str(repo)], output_schema=str(repo / "s.json")
    )
    check_files(options)


def test_files_that_are_not_there(repo: Path) -> None:
    (repo / "torn.json").write_text('{"type":')
    (repo / "list.json").write_text("[]")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"images": [str(repo)]}, "is not a file"),
        ({"add_dirs": [str(repo / "README.md")]}, "does not exist"),
        ({"output_schema": str(repo / "none.json")}, "cannot be read"),
        ({"output_schema": str(repo / "torn.json")}, "is not JSON"),
        ({"output_schema": str(repo / "list.json")}, "is not a JSON object"),
    ]
    for changes, told in cases:
        with pytest.raises(UsageError, match=told):
            check_files(replace(PLAIN, **changes))


def test_profiles(tmp_path: Path) -> None:
    home = str(tmp_path)
    (tmp_path / "layer.config.toml").write_text('model = "x"\n')
    (tmp_path / "config.toml").write_text('[profiles.table]\nmodel = "y"\n')
    for version, there, absent, hint in [
        ("0.163.0", ["layer"], ["table", "other"], "other.config.toml"),
        ("0.133.0", ["table"], ["layer", "other"], r"[profiles.other]"),
        ("0.140.0", ["layer", "table"], ["other"], "other.config.toml"),
    ]:
        for name in there:
            check_profile(name, home, version)
        for name in absent:
            with pytest.raises(UsageError, match=f"no profile '{name}'") as raised:
                check_profile(name, home, version)
        assert hint in str(raised.value.hint)
    (tmp_path / "config.toml").write_text("[profiles\n")
    with pytest.raises(UsageError, match="cannot be read"):
        check_profile("other", home, "0.133.0")
    (tmp_path / "config.toml").unlink()
    with pytest.raises(UsageError, match="no profile 'other'"):
        check_profile("other", home, "0.133.0")


def test_a_profile_that_is_not_there_goes_unnoticed_by_codex(
    every_codex: Installed, home: Home, model: ModelServer, repo: Path
) -> None:
    """The reason for check_profile: a version that says so itself makes this fail, and the check can go."""
    codex = found_for(every_codex, home)
    done = run(codex, ExecOptions(str(repo), "read-only", profile="nosuch"), home, "hello")
    assert done.returncode == (0 if parse_version(codex.version) >= (0, 150, 0) else 1)
    if done.returncode:
        told = diagnose(message=None, info=None, stderr_tail=done.stderr, exit_code=1)
        assert (told.reason, told.message) == ("bad_config", "config profile `nosuch` not found.")
    assert len(model.requests) == (0 if done.returncode else 1)
