"""A home for one test: HOME, CODEX_HOME, CODEX_AGENT_HOME, tmux socket and environment that nobody else uses."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from codex_agent.demo.home import make_codex_home
from support import codexes

# What the developer's own shell must not bring into a test.
_PREFIXES = (
    "CODEX",
    "OPENAI",
    "ANTHROPIC",
    "CLAUDE",
    "TMUX",
    "XDG_",
    "GIT_",
    "PYTHON",
    "PYTEST",
    "COV",
    "VIRTUAL_ENV",
)
_NAMES = {"NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "LINES", "TERM", "LS_COLORS"}
_GIT_CONFIG = """\
[user]
    name = A Tester
    email = tester@example.invalid
[init]
    defaultBranch = main
[gc]
    auto = 0
[maintenance]
    auto = false
"""
_SUFFIXES = ("_proxy", "_PROXY")  # a proxy would stand between Codex and the model on loopback


def clean_environ() -> dict[str, str]:
    """This process's environment without what belongs to the developer."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(_PREFIXES) and key not in _NAMES and not key.endswith(_SUFFIXES)
    }


@dataclass(frozen=True)
class Home:
    """The folders, and ``env``: the whole environment for a subprocess. Change ``env`` as the test needs it."""

    root: Path
    path: Path
    codex_home: Path
    agent_home: Path
    tmux_socket: str
    env: dict[str, str]

    @property
    def jobs(self) -> Path:
        return self.agent_home / "jobs"

    def use_model(self, base_url: str, *, model: str | None = None, extra: str = "") -> None:
        """Point this home's Codex at the scripted model (see ``make_codex_home``)."""
        make_codex_home(self.codex_home, base_url, model=model, extra=extra)

    def use_codex(self, which: codexes.Codex) -> None:
        """Let codex-agent run exactly this Codex."""
        self.env["CODEX_AGENT_CODEX"] = which.path

    def tmux(self, *args: str) -> subprocess.CompletedProcess[str]:
        """Run tmux against this home's own server."""
        return subprocess.run(
            ["tmux", "-S", self.tmux_socket, *args],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )


def make_home(root: Path, tmux_socket: str) -> Home:
    path, agent_home = root / "home", root / "agent"
    codex_home = path / ".codex"
    for folder in (path, codex_home, agent_home):
        folder.mkdir(mode=0o700)
    (path / ".gitconfig").write_text(_GIT_CONFIG)
    env = clean_environ() | {
        "HOME": str(path),
        "CODEX_HOME": str(codex_home),
        "CODEX_AGENT_HOME": str(agent_home),
        "CODEX_AGENT_TMUX_SOCKET": tmux_socket,
        "XDG_CONFIG_HOME": str(path / ".config"),
        "XDG_CACHE_HOME": str(path / ".cache"),
        "XDG_DATA_HOME": str(path / ".local" / "share"),
        "XDG_STATE_HOME": str(path / ".local" / "state"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
    }
    if codexes.has_newest():
        env["CODEX_AGENT_CODEX"] = codexes.codex("newest").path
    return Home(root, path, codex_home, agent_home, tmux_socket, env)
