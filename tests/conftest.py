"""The fixtures every test may use. Each test gets folders, a tmux server and a model of its own, so any number of
tests can run at once; what a test leaves running is ended by pid, and fails it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer
from codex_agent.store import Store
from support import Cli, Codex, Home, codex, processes_with
from support.codexes import LABELS, WHEELS
from support.home import make_home
from support.ide import Ide, ide
from support.jobs import Place, place
from support.threads import Outside, outside

# How long a job may take to come down once its tmux server is gone: the supervisor asks Codex, then insists.
GOING_DOWN_S = 15.0


def pytest_configure() -> None:
    """A shell and ``nohup`` start what they run with these ignored, and that is inherited; tests send them."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def _nothing_left_running(tmp_path: Path) -> Iterator[None]:
    """Set up first, so it looks last: whoever carries this test's folder in environment or argv is a leak."""
    yield
    deadline = time.monotonic() + GOING_DOWN_S
    while (left := processes_with(f"{tmp_path}/")) and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in left:
        process.kill()
    if left:
        pytest.fail("still running after the test:\n" + "\n".join(map(str, left)), pytrace=False)


@pytest.fixture
def tmux_socket() -> Iterator[str]:
    """A socket path short enough for the kernel (108 bytes); its server is ended with the test."""
    folder = tempfile.mkdtemp(prefix="ca-", dir="/tmp")
    path = os.path.join(folder, "tmux")
    yield path
    if os.path.exists(path):
        subprocess.run(["tmux", "-S", path, "kill-server"], capture_output=True, timeout=10, check=False)
    shutil.rmtree(folder)


@pytest.fixture
def home(tmp_path: Path, tmux_socket: str) -> Home:
    """Folders and an environment that have nothing of the developer's; no model yet (see ``model``)."""
    return make_home(tmp_path, tmux_socket)


@pytest.fixture
def model(home: Home) -> Iterator[ModelServer]:
    """A scripted model on loopback that this test's Codex talks to."""
    with ModelServer() as server:
        home.use_model(server.base_url)
        yield server


@pytest.fixture
def repo(home: Home, tmp_path: Path) -> Path:
    """A git repository with one commit."""
    path = tmp_path / "repo"
    path.mkdir()
    (path / "README.md").write_text("A repository for one test.\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=path, env=home.env, check=True, capture_output=True, timeout=30)
    return path


@pytest.fixture
def cli(home: Home, tmp_path: Path) -> Iterator[Cli]:
    """The command line, in this test's environment; it runs in the test's folder unless told otherwise."""
    runner = Cli(home.env, tmp_path)
    yield runner
    runner.close()


@pytest.fixture(params=WHEELS)
def each_codex(request: pytest.FixtureRequest, home: Home) -> Codex:
    """The newest wheel and the oldest one; ``home`` uses it."""
    which = codex(request.param)
    home.use_codex(which)
    return which


@pytest.fixture(params=list(LABELS))
def every_codex(request: pytest.FixtureRequest, home: Home) -> Codex:
    """Both wheels and npm's newest and oldest; ``home`` uses it. For what reads Codex's output."""
    which = codex(request.param)
    home.use_codex(which)
    return which


@pytest.fixture
def codex_home(tmp_path: Path) -> Path:
    """A CODEX_HOME with nothing in it, for what is only read."""
    path = tmp_path / "codex"
    path.mkdir()
    return path


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A home of ours with nothing in it."""
    return Store(str(tmp_path / "agent"))


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Place]:
    """Everything at one place, for helpers that take it so."""
    with place(tmp_path) as made:
        yield made


@pytest.fixture
def others(where: Place) -> Iterator[Outside]:
    """The newest Codex there, as somebody else runs it."""
    with outside(where, codex("newest")) as made:
        yield made


@pytest.fixture
def out(home: Home, cli: Cli, model: ModelServer, repo: Path) -> Iterator[Outside]:
    """The newest Codex in other people's hands, and ours the same."""
    newest = codex("newest")
    home.use_codex(newest)
    with outside(Place(home, cli, model, repo), newest) as made:
        yield made


@pytest.fixture
def editor(out: Outside) -> Iterator[Ide]:
    """An IDE with that Codex."""
    with ide(out) as made:
        yield made
