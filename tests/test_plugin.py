"""The Claude Code plugin: its launcher, its hooks, and that its files agree with the rest. What Claude Code itself
says of it is in test_claude_code.py, its skill in test_plugin_skill.py, its installer in test_plugin_install.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import codex_agent
from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home
from support.interactive import stay, told, wants
from support.jobs import begin, working
from support.material import TOP
from support.plugin import LAUNCHER, PLUGIN, SKILL, hook, nowhere, ours, run, stand_in

BARE = {"PATH": os.defpath, "HOME": "/nowhere"}  # as a Claude Code has it that no shell started


# ---- the launcher ----


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The plugin where Claude Code puts the copy of one that came by git; no checkout is around it."""
    path = tmp_path / "claude" / "plugins" / "cache" / "codex-agent" / "codex-orchestrator" / "9.9.9"
    shutil.copytree(PLUGIN, path)
    return path


def test_the_launcher_becomes_the_next_codex_agent_on_path(tmp_path: Path, copy: Path) -> None:
    stand_in(tmp_path / "a place", "this one")
    stand_in(tmp_path / "later", "not this one")
    # Its own folder, an older copy of itself, a link to itself: each would go on for ever.
    older = shutil.copytree(copy, copy.parent / "1.0.0")
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "codex-agent").symlink_to(copy / "bin" / "codex-agent")
    folders = [copy / "bin", tmp_path / "none", "", tmp_path / "links", older / "bin", tmp_path / "a place"]
    path = ":".join(map(str, [*folders, tmp_path / "later", os.defpath]))
    for launcher in (copy / "bin" / "codex-agent", tmp_path / "links" / "codex-agent"):
        done = run(launcher, "start", "two words", "", env={"PATH": path, "HOME": "/nowhere"}, cwd=tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (0, "this one start two words \n", "")


@nowhere
def test_the_launcher_needs_no_path(tmp_path: Path, copy: Path) -> None:
    """Only what stands in its file: a program it called might not be found."""
    home, launcher = tmp_path / "home", copy / "bin" / "codex-agent"
    stand_in(home / ".local" / "bin", "at home")
    empty = {"PATH": str(tmp_path / "nothing"), "HOME": str(home)}
    assert run(launcher, "x", env=empty).stdout == "at home x\n"
    # Then the checkout or clone, but only one that has been made ready: the first call of another would download.
    shutil.rmtree(home)
    clone = tmp_path / "claude" / "plugins" / "marketplaces" / "codex-agent"
    stand_in(clone / "bin", "the clone")
    assert run(launcher, "x", env=empty).returncode == 127
    (clone / ".cache").mkdir()
    (clone / ".cache" / "run").touch()
    assert run(launcher, "x", env=empty).stdout == "the clone x\n"


@nowhere
def test_the_launcher_says_how_to_install(copy: Path) -> None:
    odd = copy.rename(copy.parent / "it's here")
    done = run(odd / "bin" / "codex-agent", "mcp", env=BARE)
    assert (done.returncode, done.stdout) == (127, "")
    (command,) = re.findall(r"To install it: (sh '.*') \(", done.stderr)
    done = run("/bin/sh", "-c", f"{command} --help", env=BARE)
    assert done.returncode == 0 and done.stdout.startswith("Usage: install.sh"), done.stderr


def test_the_launcher_passes_on_what_codex_agent_says(tmp_path: Path, home: Home) -> None:
    env = home.env | {"PATH": f"{ours(tmp_path / 'ours').parent}:{os.defpath}"}
    assert run(LAUNCHER, "--version", env=env).stdout == f"codex-agent {codex_agent.__version__}\n"
    assert run(LAUNCHER, "status", "none", env=env).returncode == 3


# ---- the hooks ----


@pytest.fixture
def claude(tmp_path: Path, home: Home) -> dict[str, str]:
    """The environment of a hook on a machine that has codex-agent."""
    (tmp_path / "data").mkdir()
    path = f"{ours(tmp_path / 'ours').parent}:{home.env['PATH']}"
    return home.env | {"PATH": path, "CLAUDE_PLUGIN_DATA": str(tmp_path / "data")}


def test_session_start_tells_which_agents_are_alive(
    claude: dict[str, str], cli: Cli, model: ModelServer, repo: Path
) -> None:
    assert hook("SessionStart", claude, repo, source="startup").stdout == ""
    model.on("%%done", Step.message("Done."))
    cli("start", "%%done", "-d", str(repo), "--wait").ok()
    said = hook("SessionStart", claude, repo, source="startup")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", ""), "who has ended is not alive"

    busy = working(cli, model, repo, "%%busy")
    queued = begin(cli, repo, "later", "--after", busy)
    said = hook("SessionStart", claude, repo, source="compact")
    assert said.returncode == 0 and said.stdout.startswith("Codex agents alive now."), said
    lines = [line.split()[:2] for line in said.stdout.splitlines()[2:]]
    assert lines == [[queued, "queued"], [busy, "running/working"]] and "approvals" not in said.stdout

    model.on("%%asks", wants("touch /nowhere/1"), Step.message("One."))
    asking = stay(cli, repo, "%%asks")
    told(cli, "await-turn", asking, rc=10)
    said = hook("SessionStart", claude, repo, source="resume")
    assert "running/waiting_approval" in said.stdout and said.stdout.endswith("codex-agent approvals\n")
    assert len(said.stdout.encode()) < 1200


@nowhere
def test_session_start_says_once_that_nothing_is_installed(tmp_path: Path, repo: Path) -> None:
    # Not through LAUNCHER's own checkout, which may have been made ready.
    copied = shutil.copytree(PLUGIN, tmp_path / "plugin")
    said = run(copied / "hooks" / "session-start", env=BARE, cwd=repo, stdin="{}")
    assert said.returncode == 0 and said.stderr == ""
    assert "not installed" in said.stdout and f"sh '{copied}/scripts/install.sh'" in said.stdout
    assert said.stdout.count("\n") == 1


def test_a_session_starts_although_codex_agent_fails(claude: dict[str, str], home: Home, repo: Path) -> None:
    home.agent_home.joinpath("jobs").write_text("no folder")
    said = hook("SessionStart", claude, repo, source="startup")
    assert (said.returncode, said.stdout, said.stderr) == (0, "", "")


def test_the_review_is_offered_only_when_it_is_wanted(claude: dict[str, str], repo: Path) -> None:
    """Off by default; once for the same changes; never because of itself, without changes or outside git."""
    on = claude | {"CLAUDE_PLUGIN_OPTION_REVIEW_BEFORE_FINISHING": "true"}

    def said(env: dict[str, str] = on, cwd: Path = repo, active: bool = False) -> str:
        done = hook("Stop", env, cwd, stop_hook_active=active)
        assert (done.returncode, done.stderr) == (0, ""), done
        return done.stdout

    assert said() == "", "nothing is changed"
    (repo / "new").write_text("1\n")
    assert said(claude) == "", "off by default"
    assert said(claude | {"CLAUDE_PLUGIN_OPTION_REVIEW_BEFORE_FINISHING": "false"}) == ""
    assert said(active=True) == ""
    assert said(cwd=repo.parent) == "", "no repository"
    offer = json.loads(said())
    assert offer["decision"] == "block" and "codex-agent review --uncommitted --wait" in offer["reason"]
    assert said() == "", "the same changes"
    (repo / "README.md").write_text("other words\n")
    assert json.loads(said())["decision"] == "block" and said() == ""
    subprocess.run(["git", "commit", "-qam", "x"], cwd=repo, env=claude, check=True)
    assert json.loads(said())["decision"] == "block", "another commit, and the new file is still not reviewed"
    assert said(claude | on | {"CLAUDE_PLUGIN_DATA": "/proc/none"}) == "", (
        "what cannot be remembered is not offered"
    )


# ---- the files ----


def test_the_manifests_agree() -> None:
    market = json.loads((TOP / ".claude-plugin" / "marketplace.json").read_text())
    plugin = json.loads((PLUGIN / ".claude-plugin" / "plugin.json").read_text())
    (entry,) = market["plugins"]
    assert (TOP / entry["source"]).resolve() == PLUGIN
    assert (
        (market["name"], entry["name"]) == ("codex-agent", plugin["name"]) == ("codex-agent", "codex-orchestrator")
    )
    assert entry["description"] == plugin["description"]
    assert plugin["version"] == codex_agent.__version__, "install.sh brings codex-agent up to this version"
    assert plugin["userConfig"]["review_before_finishing"]["default"] is False
    (server,) = json.loads((PLUGIN / ".mcp.json").read_text())["mcpServers"].values()
    assert server == {"command": "${CLAUDE_PLUGIN_ROOT}/bin/codex-agent", "args": ["mcp"]}
    assert (PLUGIN / "LICENSE").read_bytes() == (TOP / "LICENSE").read_bytes()


def test_every_script_can_be_run() -> None:
    scripts = [path for path in PLUGIN.rglob("*") if path.is_file() and path.read_bytes().startswith(b"#!")]
    assert {path.name for path in scripts} == {"codex-agent", "session-start", "stop", "install.sh"}
    assert all(os.access(path, os.X_OK) for path in scripts)


def test_the_plugin_costs_little_context() -> None:
    """What Claude reads: the skill's description always, its text when it is used."""
    _, head, body = SKILL.read_text(encoding="utf-8").split("---\n", 2)
    description = re.findall(r"^description: (.*)$", head, re.MULTILINE)[0]
    assert len(description) < 400 and len(body) < 6000
    for name in re.findall(r"`(assets/\S+)`", body):
        assert (SKILL.parent / name).is_file()
    for path in (PLUGIN / "commands").iterdir():
        text = path.read_text(encoding="utf-8")
        assert len(text) < 800 and "disable-model-invocation: true" in text, path
