"""Owns what the measured processes run in: folders, tmux servers, a scripted model, the launcher's environment.

Everything is temporary and private, and ended by pid at the end. Must never time anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import timed
from codex_agent.demo.model_server import ModelServer
from codex_agent.store import Store
from support import Home, processes_with
from support.home import clean_environ, make_home

TOP = Path(__file__).parents[2]
LAUNCHER = str(TOP / "bin" / "codex-agent")
# What bin/codex-agent ends in; and what pip and uv write for it where it is installed.
_START = """import sys
sys.path.insert(0, sys.argv.pop(1))
sys.argv.pop(0)
from codex_agent.__main__ import main
main()"""
_SCRIPT = """#!{python}
import sys
from codex_agent.__main__ import main
if __name__ == '__main__':
    sys.exit(main())
"""


@dataclass(frozen=True)
class Place:
    """One home with its own jobs and tmux server; ``python`` is the interpreter that is measured."""

    home: Home
    python: str
    repo: Path
    model: ModelServer

    @property
    def store(self) -> Store:
        return Store(str(self.home.agent_home))

    def argv(self, *words: str) -> list[str]:
        """The command line as bin/codex-agent starts it, without the shell before it."""
        return [self.python, "-I", "-S", "-c", _START, str(TOP / "src"), LAUNCHER, *words]

    def script(self) -> str:
        """The script that an installation of the same code has on PATH."""
        path = self.home.root / "codex-agent"
        path.write_text(_SCRIPT.format(python=self.python))
        path.chmod(0o755)
        return str(path)

    def time(self, *words: str) -> float:
        """Seconds that one call takes; it must succeed."""
        return timed(self.argv(*words), self.home.env, str(self.repo))

    def time_python(self, *words: str) -> float:
        """Seconds that the same interpreter takes for something else, in the same surroundings."""
        return timed([self.python, *words], self.home.env, str(self.repo))

    def call(self, *words: str) -> Any:
        """One call's JSON; raises if the call fails."""
        done = subprocess.run(
            self.argv(*words),
            env=self.home.env,
            cwd=self.repo,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{words} -> {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def job(self, prompt: str) -> str:
        """The id of a new job, which runs."""
        return str(self.call("start", prompt, "--json")["id"])


@dataclass(frozen=True)
class Stage:
    """All that is shared; ``place`` makes a home."""

    root: Path
    python: str
    model: ModelServer
    repo: Path
    _open: contextlib.ExitStack

    def place(self, name: str) -> Place:
        """A new home with a tmux server of its own that talks to the shared model."""
        folder = self.root / name
        folder.mkdir()
        socket = str(self.root / f"{name}.tmux")
        home = make_home(folder, socket)
        home.use_model(self.model.base_url)
        self._open.callback(_end_tmux, socket)
        return Place(home, self.python, self.repo, self.model)


@contextlib.contextmanager
def stage() -> Iterator[Stage]:
    """Sets everything up; whatever was started in it and still runs at the end is ended, by pid."""
    python = launcher_python()
    with contextlib.ExitStack() as open_things:
        root = Path(tempfile.mkdtemp(prefix="ca-bench-", dir="/tmp"))  # tmux's sockets need short paths
        open_things.callback(_clear_away, root)
        model = open_things.enter_context(ModelServer())
        repo = root / "repo"
        repo.mkdir()
        who = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"]
        for words in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "first"]):
            subprocess.run(
                ["git", *words], cwd=repo, check=True, capture_output=True, timeout=30, env=clean_environ()
            )
        yield Stage(root, python, model, repo, open_things)


def launcher_python() -> str:
    """The interpreter of the environment that bin/codex-agent runs in, which it makes first if it must."""
    subprocess.run([LAUNCHER, "--version"], check=True, stdout=subprocess.DEVNULL, timeout=600)
    outside = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
    for home in (str(TOP / ".cache"), f"{outside}/codex-agent{TOP}"):  # the two that the launcher looks in
        with contextlib.suppress(FileNotFoundError), open(os.path.join(home, "run"), encoding="utf-8") as file:
            return os.path.join(home, file.read().strip(), "bin", "python")
    raise RuntimeError(f"{LAUNCHER} made no environment that can be found")


def _end_tmux(socket: str) -> None:
    if os.path.exists(socket):
        subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True, timeout=30, check=False)


def _clear_away(root: Path) -> None:
    deadline = time.monotonic() + 15
    while (left := processes_with(f"{root}/")) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        process.kill()
    shutil.rmtree(root, ignore_errors=True)
