"""Owns where the demo plays: one temporary folder with a git repository, a CODEX_HOME, a home for the jobs and a
private tmux socket, and the clean environment that the agents get.

It never reads or changes anything of the user's: no git configuration, no Codex login, no running tmux server.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from codex_agent.errors import CodexAgentError, MissingProgram

from .cast import CHANGED, FILES, PROJECT
from .home import make_codex_home

# The tmux socket lies in the folder, and a Unix socket's path holds about 100 bytes.
_FOLDER_LIMIT = 70
# What of the caller's environment reaches the agents: enough to run programs and to show text. No proxy (Codex
# would ask it for the way to 127.0.0.1), no key, no git or Codex variable, nothing of ours.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "COLORTERM", "TZ", "USER", "LOGNAME", "SHELL")
_GONE_S = 5.0
_WHO = ("Demo", "demo@example.invalid")


@dataclass(frozen=True)
class Stage:
    """The folder and what is in it; all paths absolute."""

    folder: str
    environ: dict[str, str]

    @property
    def repository(self) -> str:
        return os.path.join(self.folder, PROJECT)

    @property
    def codex_home(self) -> str:
        return os.path.join(self.folder, "codex")

    @property
    def agents_home(self) -> str:
        return os.path.join(self.folder, "agents")

    @property
    def tmux_socket(self) -> str:
        return os.path.join(self.folder, "tmux")

    @property
    def exports(self) -> dict[str, str]:
        """What a shell needs to look at these jobs later."""
        return {
            "CODEX_AGENT_HOME": self.agents_home,
            "CODEX_AGENT_TMUX_SOCKET": self.tmux_socket,
            "CODEX_HOME": self.codex_home,
        }

    def remove(self) -> None:
        """Ends the private tmux server, should it still be there, and removes the folder."""
        end_tmux(self)
        deadline = time.monotonic() + _GONE_S
        while True:
            try:
                shutil.rmtree(self.folder)
                return
            except FileNotFoundError:
                if not os.path.exists(self.folder):
                    return
            except OSError:  # somebody who is ending wrote a file meanwhile
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)


def build(environ: Mapping[str, str], base_url: str) -> Stage:
    """Makes the folder and everything in it; on a failure nothing is left. Raises MissingProgram without git."""
    folder = os.path.realpath(tempfile.mkdtemp(prefix="codex-agent-demo-"))
    if len(os.fsencode(folder)) > _FOLDER_LIMIT:
        os.rmdir(folder)
        folder = os.path.realpath(tempfile.mkdtemp(prefix="codex-agent-demo-", dir="/tmp"))
    try:
        stage = Stage(folder, _environment(environ, folder))
        for name in ("home", "tmp"):
            os.mkdir(os.path.join(folder, name), 0o700)
        # No login shell: the machine's profile would reset the PATH, and with it which python3 there is.
        make_codex_home(stage.codex_home, base_url, extra="allow_login_shell = false")
        _repository(stage)
    except BaseException:
        shutil.rmtree(folder)
        raise
    return stage


def _environment(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    env = {name: environ[name] for name in _PASSED_ON if name in environ}
    path = [os.path.dirname(sys.executable), env.get("PATH", os.defpath)]
    env.update(
        PATH=os.pathsep.join(path),
        HOME=os.path.join(folder, "home"),
        TMPDIR=os.path.join(folder, "tmp"),
        CODEX_HOME=os.path.join(folder, "codex"),
        CODEX_AGENT_HOME=os.path.join(folder, "agents"),
        CODEX_AGENT_TMUX_SOCKET=os.path.join(folder, "tmux"),
        GIT_CONFIG_NOSYSTEM="1",
        PYTHONDONTWRITEBYTECODE="1",
    )
    return env


def _repository(stage: Stage) -> None:
    os.mkdir(stage.repository)
    for path, text in FILES.items():
        with open(os.path.join(stage.repository, path), "w", encoding="utf-8") as file:
            file.write(text)
    # Not `init -b`, which came with git 2.28.
    _git(stage, "-c", "init.defaultBranch=main", "init", "-q")
    _git(stage, "add", ".")
    _git(stage, "-c", f"user.name={_WHO[0]}", "-c", f"user.email={_WHO[1]}", "commit", "-qm", "A till")


def _git(stage: Stage, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", stage.repository, *words],
            env=stage.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        hint = "Install git with your package manager."
        raise MissingProgram("git is not installed (not on PATH).", hint, program="git") from error
    if done.returncode != 0:
        raise CodexAgentError(f"git {' '.join(words)} failed: {done.stderr.strip()}", "Check your git.")
    return done.stdout


def diff(stage: Stage) -> str:
    """What the agents changed in the repository, new files included."""
    _git(stage, "add", "--intent-to-add", ".")
    return _git(stage, "diff", "--no-ext-diff", "--no-color")


def wrong_changes(stage: Stage) -> list[str]:
    """How the repository differs from what the agents were to make of it; empty if it is just that."""
    listed = _git(stage, "status", "--porcelain", "-z", "--untracked-files=all")
    found = {entry[3:] for entry in listed.split("\0") if entry}
    wrong = [f"{path} was not to be changed, and was" for path in sorted(found - CHANGED.keys())]
    for path, text in CHANGED.items():
        if path not in found:
            wrong.append(f"{path} was to be changed, and was not")
        elif _read(os.path.join(stage.repository, path)) != text:
            wrong.append(f"{path} does not hold what was to be written")
    return wrong


def _read(path: str) -> str | None:
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def end_tmux(stage: Stage) -> None:
    """Ends the private tmux server; it has usually ended by itself, with its last session."""
    if os.path.exists(stage.tmux_socket):
        argv = ["tmux", "-S", stage.tmux_socket, "kill-server"]
        subprocess.run(argv, env=stage.environ, capture_output=True, check=False, timeout=10)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(stage.tmux_socket)
