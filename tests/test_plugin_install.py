"""scripts/install.sh of the plugin, in an empty HOME, on PATHs that lack things.

What it would do with other machines' package managers is only said, never done: they stand for themselves as files
that fail when they are run. What can be installed here for real is.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import codex_agent
from support import codex
from support.material import TOP
from support.plugin import nowhere, programs, run, script, stand_in

# What POSIX has on every machine, as far as it is needed.
POSIX = ("awk", "cat", "dirname", "env", "grep", "head", "id", "ln", "mkdir", "sed", "sh", "sort", "tr")
# The machine's own way to its package index.
INDEX = {key: value for key, value in os.environ.items() if key.startswith(("PIP_", "SSL_", "UV_", "REQUESTS_"))}

pytestmark = nowhere


@dataclass(frozen=True)
class Machine:
    """A checkout, an empty HOME, and a PATH of one folder."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def path(self) -> Path:
        return self.root / "path"

    @property
    def checkout(self) -> Path:
        return self.root / "it's a checkout"

    def has(self, *names: str) -> None:
        """These programs are here and may not be run."""
        for name in names:
            script(self.path / name, f'echo "{name} was run: $*" >&2; exit 99')

    def lacks(self, name: str) -> None:
        (self.path / name).unlink()

    def user(self, number: int) -> None:
        self.lacks("id")
        script(self.path / "id", f"echo {number}")

    def install(self, *words: str, plugin: Path | None = None) -> subprocess.CompletedProcess[str]:
        where = plugin or self.checkout / "plugins" / "codex-orchestrator"
        env = {"HOME": str(self.home), "PATH": str(self.path)} | INDEX
        return run("/bin/sh", str(where / "scripts" / "install.sh"), *words, env=env, cwd=self.root)

    def dry(self, *words: str, plugin: Path | None = None) -> list[str]:
        """The lines it prints with --dry-run; nothing is changed or run, and nothing goes wrong."""
        done = self.install("--dry-run", *words, plugin=plugin)
        assert done.stderr == "" and done.returncode in (0, 5), done
        assert not list(self.home.iterdir())
        assert (done.returncode == 5) == ("left to you:" in done.stdout)
        return [line.strip() for line in done.stdout.splitlines()]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.home.mkdir()
    programs(made.path, *POSIX)
    script(made.path / "tmux", "echo tmux 3.3a")
    shutil.copytree(TOP / "plugins", made.checkout / "plugins")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TOP / name, made.checkout / name)
    return made


def quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"


# ---- what it chooses ----


@pytest.mark.parametrize(
    ("there", "user", "sudo", "line"),
    [
        (["apt-get"], 0, False, "+ apt-get install -y --no-install-recommends tmux"),
        (["apt-get"], 1000, True, "+ sudo -n apt-get install -y --no-install-recommends tmux"),
        (["apt-get"], 1000, False, "sudo apt-get install -y --no-install-recommends tmux"),
        (["dnf", "yum"], 0, False, "+ dnf install -y tmux"),
        (["yum"], 1000, True, "+ sudo -n yum install -y tmux"),
        (["apk"], 0, False, "+ apk add tmux"),
        (["pacman"], 0, False, "+ pacman -S --noconfirm --needed tmux"),
        (["zypper"], 1000, False, "sudo zypper --non-interactive install tmux"),
        (["brew"], 1000, False, "+ brew install tmux"),
        (["brew", "apt-get"], 1000, False, "+ brew install tmux"),
        (["brew", "apt-get"], 0, False, "+ apt-get install -y --no-install-recommends tmux"),
        (["apt-get", "dnf"], 1000, False, "sudo apt-get install -y --no-install-recommends tmux"),
        (["brew"], 0, False, "install tmux, the way this machine does"),
        ([], 0, False, "install tmux, the way this machine does"),
    ],
)
def test_how_tmux_is_installed(machine: Machine, there: list[str], user: int, sudo: bool, line: str) -> None:
    machine.lacks("tmux")
    machine.has(*there, "npm", "uv")
    machine.user(user)
    script(machine.path / "sudo", "true" if sudo else "false")
    lines = machine.dry()
    assert "tmux: none is here; 3.2 or newer is needed" in lines and line in lines
    assert ("left to you:" in lines) == (not line.startswith("+"))
    assert ("Nothing was changed." in lines) == line.startswith("+")


@pytest.mark.parametrize(("version", "fits"), [("tmux 3.1c", False), ("tmux 3.2", True), ("tmux next-3.6", True)])
def test_a_tmux_that_is_too_old(machine: Machine, version: str, fits: bool) -> None:
    machine.has("apt-get", "npm", "uv")
    machine.user(0)
    script(machine.path / "tmux", f"echo {version}")
    said = "\n".join(machine.dry())
    assert (f"tmux: there, {version}" in said) == fits and ("+ apt-get" in said) != fits


@pytest.mark.parametrize(
    ("there", "lines"),
    [
        (["uv", "pipx", "npm"], ["uv tool install --force --python '>=3.11' {from}[mcp]'"]),
        (["pipx", "npm"], ["pipx install --force {from}[mcp]'"]),
        (["pipx", "npm", "python3"], ["pipx install --force --python python3 {from}[mcp]'"]),
        (
            ["npm", "python3"],
            [
                "python3 -m venv {venv}",
                "{venv}/bin/python -m pip install --quiet --upgrade {from}[mcp]'",
                "mkdir -p {bin}",
                "ln -sf {venv}/bin/codex-agent {bin}/codex-agent",
            ],
        ),
        # Nothing else could bring Codex.
        (["uv"], ["uv tool install --force --python '>=3.11' {from}[mcp,codex]'"]),
    ],
)
def test_how_codex_agent_is_installed(machine: Machine, there: list[str], lines: list[str]) -> None:
    machine.has(*there)
    if "python3" in there:
        machine.lacks("python3")
        (machine.path / "python3").symlink_to(sys.executable)
    known = {
        "from": quoted(machine.checkout)[:-1],
        "venv": f"{machine.home}/.local/share/codex-agent/venv",
        "bin": f"{machine.home}/.local/bin",
    }
    said = [
        line for line in machine.dry() if line.startswith("+ ") and "openai" not in line and "tmux" not in line
    ]
    assert said == ["+ " + line.format(**known) for line in lines]


def test_where_codex_agent_comes_from(machine: Machine) -> None:
    """What is named; the checkout around the plugin; Claude Code's clone; where a local marketplace lies."""
    machine.has("uv", "npm")
    assert any("'git+file:///some/where[mcp]'" in line for line in machine.dry("--from", "git+file:///some/where"))
    claude = machine.root / "claude" / "plugins"
    plugin = claude / "cache" / "codex-agent" / "codex-orchestrator" / "1.0"
    shutil.copytree(machine.checkout / "plugins" / "codex-orchestrator", plugin)
    assert "a checkout of codex-agent, and then: install.sh --from CHECKOUT" in machine.dry(plugin=plugin)
    (claude / "known_marketplaces.json").write_text(
        '{"other": {"source": {"source": "x"}, "installLocation": "/other"},\n"codex-agent": {\n"source": {\n'
        f'"source": "directory",\n"path": "/p"}},\n"installLocation": "{machine.checkout}", "lastUpdated": ""}}}}'
    )
    assert any(f"{quoted(machine.checkout)[:-1]}[mcp]'" in line for line in machine.dry(plugin=plugin))
    clone = claude / "marketplaces" / "codex-agent"
    clone.mkdir(parents=True)
    shutil.copy(machine.checkout / "pyproject.toml", clone)
    assert any(f"'{clone}[mcp]'" in line for line in machine.dry(plugin=plugin))


def test_what_is_there_is_left_alone_and_what_is_old_is_not(machine: Machine) -> None:
    machine.has("uv", "npm")
    stand_in(machine.path, "codex-agent 9.10.0 #")
    script(machine.path / "codex", "exit 0")
    lines = machine.dry()
    assert lines[:3] == ["tmux: there, tmux 3.3a", "codex-agent: there, 9.10.0", "codex: there"]
    assert not any(line.startswith("+") for line in lines)
    stand_in(machine.path, "codex-agent 0.3.12 #")
    lines = machine.dry()
    assert f"codex-agent: 0.3.12 is here; this plugin comes with {codex_agent.__version__}" in lines
    assert any(line.startswith("+ uv tool install") for line in lines)
    script(machine.path / "codex-agent", '[ "$1" = --version ] && echo codex-agent 9.9.9')
    lines = machine.dry()
    assert "codex-agent: 9.9.9 is here, without what its MCP server needs" in lines
    assert any(line.startswith("+ uv tool install") for line in lines)


@pytest.mark.parametrize(
    ("there", "writable", "line"),
    [
        (["npm", "brew"], True, "+ npm install --global @openai/codex"),
        (["npm"], False, "+ npm install --global --prefix {home}/.local @openai/codex"),
        (["brew"], False, "+ brew install --cask codex"),
        ([], False, "(it comes with codex-agent, as a Python package)"),
    ],
)
def test_how_codex_is_installed(machine: Machine, there: list[str], writable: bool, line: str) -> None:
    machine.has("uv", *there)
    machine.user(1000)
    prefix = machine.root / "prefix"
    if writable:
        (prefix / "lib" / "node_modules").mkdir(parents=True)
    if "npm" in there:
        script(machine.path / "npm", f'[ "$*" = "config get prefix" ] && echo {prefix}')
    assert line.format(home=machine.home) in machine.dry()


# ---- what it does ----


def test_package_lists_that_are_missing_are_fetched_once(machine: Machine) -> None:
    """A fresh image: the first installation fails, and works after an update. Each command is said before."""
    machine.lacks("tmux")
    machine.user(0)
    script(
        machine.path / "apt-get",
        f'cd {machine.root}; [ "$1" = update ] && {{ echo >lists; exit; }}\n'
        f'[ -e lists ] && printf "#!/bin/sh\\necho tmux 3.5\\n" >path/tmux && chmod 755 path/tmux',
    )
    programs(machine.path, "chmod")
    stand_in(machine.path, "codex-agent 9.9.9 #")
    script(machine.path / "codex", "exit 0")
    done = machine.install()
    assert done.returncode == 0, done
    commands = [line.strip() for line in done.stdout.splitlines() if line.startswith("  +")]
    again = "+ apt-get install -y --no-install-recommends tmux"
    assert commands == [again, "+ apt-get update", again]
    assert done.stdout.endswith("Ready. codex-agent health has the details.\n")
    assert "+" not in machine.install().stdout


def test_what_fails_is_left_with_its_command(machine: Machine) -> None:
    machine.lacks("tmux")
    machine.has("apk", "uv", "npm")
    machine.user(0)
    done = machine.install()
    assert done.returncode == 5
    left = done.stdout.partition("left to you:\n")[2]
    assert "apk add tmux   (it failed" in left and "uv failed" in left and "npm failed" in left
    assert "apk was run: add tmux" in done.stderr


def test_the_login_is_looked_at_and_left_alone(machine: Machine) -> None:
    stand_in(machine.path, "codex-agent 9.9.9 #")
    script(machine.path / "codex", '[ "$*" = "login status" ]')
    assert "login: there" in machine.install().stdout
    script(machine.path / "codex", '[ "$*" = "login status" ] && exit 1; exit 99')
    done = machine.install()
    assert done.returncode == 0 and "That is yours to do: codex login\n" in done.stdout
    (machine.home / ".local" / "bin").mkdir(parents=True)
    (machine.path / "codex").rename(machine.home / ".local" / "bin" / "codex")
    stand_in(machine.path, 'codex-agent 9.9.9 \'"name": "codex", "ok": true\' #')  # it looks there
    assert f"yours to do: {machine.home}/.local/bin/codex login\n" in machine.install().stdout


@pytest.mark.parametrize("words", [["--fast"], ["--from"], ["--from", ""]])
def test_a_wrong_call(machine: Machine, words: list[str]) -> None:
    done = machine.install(*words)
    assert done.returncode == 2 and "Usage: install.sh" in done.stderr
    assert machine.install("--help").stdout.startswith("Usage: install.sh")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_it_really_installs_codex_agent_and_does_so_once(machine: Machine) -> None:
    """With Python's own means, in an empty HOME; Codex and tmux are here."""
    shutil.copytree(TOP / "src", machine.checkout / "src", ignore=shutil.ignore_patterns("__pycache__"))
    machine.lacks("tmux")
    programs(machine.path, "tmux")
    (machine.path / "python3").symlink_to(sys.executable)
    (machine.path / "codex").symlink_to(codex("newest").path)
    done = machine.install()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert len(re.findall(r"^  \+ ", done.stdout, re.MULTILINE)) == 4
    ours = machine.home / ".local" / "bin" / "codex-agent"
    env = {"HOME": str(machine.home), "PATH": str(machine.path)}
    assert run(ours, "--version", env=env).stdout == f"codex-agent {codex_agent.__version__}\n"
    launcher = machine.checkout / "plugins" / "codex-orchestrator" / "bin" / "codex-agent"
    health = run(launcher, "health", env=env)
    assert "ok    tmux" in health.stdout and "ok    codex" in health.stdout, health
    before = sorted(str(path) for path in machine.home.rglob("*"))
    again = machine.install()
    assert again.returncode == 0 and "  + " not in again.stdout, again
    assert f"codex-agent: there, {codex_agent.__version__}" in again.stdout
    assert sorted(str(path) for path in machine.home.rglob("*")) == before
