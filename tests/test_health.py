"""``health`` says what is missing and how to mend it, and nothing that is not so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer
from support import Cli, Codex, Home
from support.cli import COMMAND


def checks(answer: Any) -> dict[str, Any]:
    return {check["name"]: check for check in answer["checks"]}


def test_all_is_well(every_codex: Codex, cli: Cli, model: ModelServer) -> None:
    answer = cli("health", "--json").ok().json()
    found = checks(answer)
    assert list(found) == ["settings", "tmux", "codex", "login", "sandbox", "interactive", "home"]
    way = found.pop("interactive")
    assert answer["ok"] and all(check["ok"] and check["fix"] is None for check in found.values())
    assert every_codex.version in found["codex"]["detail"]
    if every_codex.label == "npm-oldest":
        assert not way["ok"] and "--plain" in way["detail"] and "bundled" in way["fix"]
    else:
        assert way["ok"] and re.search(r"by the channel: .* in \d+ ms", way["detail"]) and way["fix"] is None


def test_an_app_server_that_does_not_come_up(cli: Cli, home: Home, model: ModelServer) -> None:
    """It is really asked: here it is a Codex whose app-server ends at once."""
    path = home.root / "codex"
    path.write_text(f'#!/bin/sh\n[ "$1" = app-server ] && exit 3\nexec {home.env["CODEX_AGENT_CODEX"]} "$@"\n')
    path.chmod(0o755)
    answer = cli("health", "--json", env={"CODEX_AGENT_CODEX": str(path)}).ok().json()
    way = checks(answer)["interactive"]
    assert answer["ok"] and not way["ok"] and "ended with status 3" in way["detail"] and "--plain" in way["fix"]


def test_not_logged_in(cli: Cli, home: Home) -> None:
    result = cli("health", "--json")
    login = checks(result.json())["login"]
    assert result.rc == 5 and not login["ok"] and "codex login" in login["fix"]
    assert cli("health", env={"CODEX_API_KEY": "sk-not-to-be-shown"}).rc == 0
    assert "sk-not" not in cli("health", "--json", env={"CODEX_API_KEY": "sk-not-to-be-shown"}).out


def test_nothing_there(cli: Cli, home: Home) -> None:
    env = {"PATH": str(home.root), "CODEX_AGENT_CODEX": str(home.root / "nowhere")}
    result = cli("health", "--json", env=env)
    found = checks(result.json())
    assert result.rc == 5 and not result.json()["ok"]
    assert not any(found[name]["ok"] for name in ("tmux", "codex"))
    assert all(found[name]["fix"] for name in ("tmux", "codex"))
    assert found["home"]["ok"] and found["settings"]["ok"]


def test_a_slip_of_the_pen_is_named(cli: Cli, model: ModelServer) -> None:
    answer = cli("health", "--json", env={"CODEX_AGENT_SANDBX": "read-only"}).ok().json()
    assert "CODEX_AGENT_SANDBX" in checks(answer)["settings"]["detail"]


def test_a_broken_codex_that_was_passed_over_is_named(cli: Cli, home: Home, model: ModelServer) -> None:
    broken = home.root / "bin" / "codex"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    env = {"PATH": f"{broken.parent}:{home.env['PATH']}", "CODEX_AGENT_CODEX": ""}
    found = checks(cli("health", "--json", env=env).json())["codex"]
    assert str(broken) in found["detail"] or str(broken) in str(found)


def test_bad_settings(cli: Cli, home: Home) -> None:
    result = cli("health", "--json", env={"CODEX_AGENT_SANDBOX": "none"})
    settings = checks(result.json())["settings"]
    assert result.rc == 5 and not settings["ok"] and "CODEX_AGENT_SANDBOX" in settings["detail"]
    assert "workspace-write" in f"{settings}"


def test_home_that_cannot_be_written(cli: Cli, home: Home, model: ModelServer) -> None:
    (home.root / "file").write_text("")
    result = cli("health", "--json", env={"CODEX_AGENT_HOME": str(home.root / "file" / "below")})
    assert result.rc == 5 and not checks(result.json())["home"]["ok"]


def test_a_kernel_without_namespaces(home: Home, model: ModelServer) -> None:
    """In a user namespace that may have no further ones, and without capabilities, bubblewrap can do nothing."""
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs unshare and setpriv")
    script = (
        "echo 0 > /proc/sys/user/max_user_namespaces || exit 77;"
        'exec setpriv --bounding-set=-all --inh-caps=-all "$@" health --json'
    )
    done = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, "sh", *COMMAND],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode == 77 or not done.stdout:
        pytest.skip(f"no user namespaces to be had here: {done.stderr}")
    found = checks(json.loads(done.stdout))
    assert done.returncode == 5 and not found["sandbox"]["ok"] and "namespace" in found["sandbox"]["detail"]
    assert os.path.exists(home.agent_home)
