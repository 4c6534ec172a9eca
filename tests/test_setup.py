"""Set-up: what ``bin/codex-agent`` and ``bin/test`` make of a fresh checkout, and the lock files they use.

The checkouts here are copies with a small lock file (one tiny package), so that a real environment is made in half
a second with uv and a few seconds with pip; one test sets up the real thing.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from support import until
from support.material import TOP, our_files

BIN = TOP / "bin"
LOCKS = sorted(BIN.glob("requirements*.txt"))

# A stand-in for the package: it says where it runs, so that a test can see which environment that is.
STAND_IN = """\
import importlib.util, site, sys
def main():
    site.main()  # the launcher starts without it, and leaves it to us
    print(sys.prefix, sys.argv[1:], importlib.util.find_spec("mdurl") is not None)
"""


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_file_pins_versions_by_hash_and_names_no_address(lock: Path) -> None:
    entries = re.split(r"\n(?=\S)", lock.read_text().strip())
    assert entries
    for entry in entries:
        first, *hashes = [line.strip().removesuffix("\\").strip() for line in entry.splitlines()]
        assert re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", first), first
        assert hashes and all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in hashes), entry
    assert "://" not in lock.read_text()


def test_npm_locks_pin_by_hash_and_name_no_address() -> None:
    for lock in BIN.glob("npm/*/package-lock.json"):
        text = lock.read_text()
        assert '"resolved"' not in text and "://" not in text
        assert text.count('"integrity": "sha512-') == text.count('"node_modules/@') >= 2


def test_the_locks_fit_what_the_project_asks_for() -> None:
    project = tomllib.loads((TOP / "pyproject.toml").read_text())
    runtime, tests = pins(BIN / "requirements.txt"), pins(BIN / "requirements-test.txt")
    codex = pins(BIN / "requirements-codex.txt")
    asked = project["project"]["dependencies"]
    pairs = [(text, runtime) for text in asked]
    pairs += [(text, tests) for text in project["dependency-groups"]["dev"]]
    pairs += [(text, runtime) for text in project["project"]["optional-dependencies"]["mcp"]]
    pairs += [(text, codex) for text in project["project"]["optional-dependencies"]["codex"]]
    for text, lock in pairs:
        wanted = Requirement(text)
        locked = lock.get(canonicalize_name(wanted.name))
        assert locked is not None, f"{text}: run bin/lock"
        assert wanted.specifier.contains(locked), f"{text} is locked at {locked}: run bin/lock"
    assert runtime.items() <= tests.items(), "the tests must run what the users run"


def test_the_top_level_holds_only_what_belongs_there() -> None:
    names = {name.split("/")[0] for name in our_files()}
    visible = {name for name in names if not name.startswith(".")}
    assert visible <= {"LICENSE", "README.md", "bin", "docs", "plugins", "pyproject.toml", "src", "tests"}


# -- a checkout of its own ----------------------------------------------------------------------------------


def checkout(folder: Path) -> Path:
    """A small checkout: the real launcher, a lock file with one package, and a stand-in for ours."""
    (folder / "src" / "codex_agent").mkdir(parents=True)
    (folder / "src" / "codex_agent" / "__init__.py").touch()
    (folder / "src" / "codex_agent" / "__main__.py").write_text(STAND_IN)
    shutil.copytree(BIN, folder / "bin")
    (entry,) = re.findall(r"^mdurl==(?:.*\\\n)+.*", (BIN / "requirements.txt").read_text(), re.MULTILINE)
    (folder / "bin" / "requirements.txt").write_text(entry + "\n")
    return folder


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """As on a fresh machine: an empty HOME. The machine's own settings for pip and uv stay."""
    (tmp_path / "empty").mkdir()
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("CODEX", "XDG_"))}
    return kept | {"HOME": str(tmp_path / "empty")}


def run(
    folder: Path, env: dict[str, str], *args: str, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "bin" / "codex-agent", *args],
        env=env,
        cwd=cwd or folder.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def without(env: dict[str, str], tmp_path: Path, *missing: str) -> dict[str, str]:
    """The same environment with a PATH on which these programs are not found: links to all others."""
    folder = tmp_path / ("path-without-" + "-".join(missing))
    if not folder.exists():
        folder.mkdir()
        for place in env["PATH"].split(os.pathsep):
            for program in os.scandir(place) if os.path.isdir(place) else ():
                if program.name not in missing and not os.path.lexists(folder / program.name):
                    os.symlink(program.path, folder / program.name)
    return env | {"PATH": str(folder)}


def test_the_second_run_needs_nothing_but_the_shell(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "a checkout")
    first = run(folder, env, "one", "two words", "")
    assert first.returncode == 0, first.stderr
    assert "making a private Python environment" in first.stderr and "ready" in first.stderr
    prefix, said = first.stdout.split(" [")
    assert Path(prefix).parent == folder / ".cache"
    assert said == "'one', 'two words', ''] True\n"
    # With nothing on PATH there is no Python to search, no pip, no uv, not even `rm`.
    (tmp_path / "nothing").mkdir()
    second = run(folder, env | {"PATH": str(tmp_path / "nothing")}, "again")
    assert (second.returncode, second.stderr) == (0, "")
    assert second.stdout.startswith(prefix)


def test_it_runs_through_a_link_and_from_any_folder(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    # What lies in the folder we stand in must not be imported in place of ours.
    (elsewhere / "codex_agent.py").write_text("raise SystemExit('the wrong one')")
    (elsewhere / "link").symlink_to(os.path.relpath(folder / "bin" / "codex-agent", elsewhere))
    done = subprocess.run(
        ["./link", "x"], cwd=elsewhere, env=env | {"PYTHONPATH": "."}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "['x'] True" in done.stdout


def test_pip_does_it_where_there_is_no_uv(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    # Settings that would send the packages elsewhere, or refuse to install, do not reach pip.
    env |= {"PIP_USER": "1", "PIP_TARGET": str(tmp_path / "astray"), "PYTHONPATH": str(tmp_path)}
    done = run(folder, without(env, tmp_path, "uv"), "x")
    assert done.returncode == 0, done.stderr
    assert "with venv and pip" in done.stderr
    assert "['x'] True" in done.stdout
    assert not (tmp_path / "astray").exists()


def test_a_wrong_hash_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    lock = folder / "bin" / "requirements.txt"
    lock.write_text(re.sub(r"sha256:\w{8}", "sha256:00000000", lock.read_text()))
    done = run(folder, env)
    assert done.returncode == 1
    assert "could not install" in done.stderr
    assert not (folder / ".cache" / "run").exists()


def test_a_changed_lock_gets_a_new_environment_and_leaves_the_old_one(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    old = run(folder, env).stdout
    lock = folder / "bin" / "requirements.txt"
    text = lock.read_text()
    lock.write_text("# nothing is needed any more\n")
    new = run(folder, env).stdout
    assert old.split()[0] != new.split()[0] and "False" in new
    assert Path(old.split()[0], "bin", "python").exists()  # what still runs from it keeps its modules
    lock.write_text(text)
    back = run(folder, env)
    assert back.stdout == old
    assert "making" not in back.stderr


def test_an_interrupted_set_up_is_taken_up_again(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    for _ in range(20):  # on a busy machine it may be done before we have seen it begin
        process = subprocess.Popen(
            [folder / "bin" / "codex-agent"],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: list(folder.glob(".cache/run-*/pyvenv.cfg")), 30, "an environment being made")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if not (folder / ".cache" / "run").exists():
            break
        shutil.rmtree(folder / ".cache")
    assert not (folder / ".cache" / "run").exists()
    done = run(folder, env)
    assert done.returncode == 0, done.stderr
    assert "incomplete" in done.stderr
    assert done.stdout.endswith("[] True\n")


def test_an_environment_whose_python_is_gone_is_made_anew(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    prefix = Path(run(folder, env).stdout.split()[0])
    (prefix / "bin" / "python").unlink()
    (prefix / "bin" / "python").symlink_to(tmp_path / "an upgraded system has it elsewhere")
    done = run(folder, env)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.split()[0]) == prefix
    assert "does not run" in done.stderr


def test_two_set_ups_at_once_make_one_environment(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    both = [
        subprocess.Popen(
            [folder / "bin" / "codex-agent", "x"],
            env=env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], told
    assert len({out for out, _ in told}) == 1
    assert sum("making a private" in err for _, err in told) == 1
    assert sum("waiting for it" in err for _, err in told) >= 1


def test_a_moved_checkout_still_runs(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    run(folder, env)
    done = run(folder.rename(tmp_path / "moved"), env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path}/moved/.cache/")


def test_without_python_it_says_what_is_needed(tmp_path: Path, env: dict[str, str]) -> None:
    folder = checkout(tmp_path / "checkout")
    bare = tmp_path / "bare"
    bare.mkdir()
    for program in ("sh", "readlink", "dirname"):
        found = shutil.which(program)
        assert found
        (bare / program).symlink_to(found)
    done = run(folder, env | {"PATH": str(bare)})
    assert done.returncode == 5
    assert "Python 3.11 or newer is needed" in done.stderr


# -- somebody without root's powers -------------------------------------------------------------------------

NOBODY = 65534
MANAGERS = ("apt-get", "dnf", "yum", "apk", "pacman", "zypper", "brew")


@dataclass(frozen=True)
class Somebody:
    """A user who may not write the checkout and has only the system's own programs."""

    folder: Path
    env: dict[str, str]

    def run(self, *argv: str | Path, path: str | None = None) -> subprocess.CompletedProcess[str]:
        become = {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.geteuid() == 0 else {}
        process = subprocess.Popen(
            argv,
            env=self.env | ({"PATH": path} if path else {}),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **become,  # type: ignore[call-overload]
        )
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(list(argv), process.returncode, out, err)


@pytest.fixture
def somebody() -> Iterator[Somebody]:
    # pytest's own folders are closed to other users.
    folder = Path(tempfile.mkdtemp(prefix="codex-agent-", dir="/tmp"))
    folder.chmod(0o755)
    checkout(folder / "checkout")
    (folder / "home").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "home", NOBODY, NOBODY)
    (folder / "checkout").chmod(0o555)
    someone = Somebody(folder, {"HOME": str(folder / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin"})
    if someone.run(BIN / "with-python", "-c", "").returncode:
        pytest.skip("the system itself has no Python 3.11")
    yield someone
    (folder / "checkout").chmod(0o755)
    shutil.rmtree(folder)


def test_a_checkout_that_cannot_be_written_uses_the_cache_of_the_user(somebody: Somebody) -> None:
    launcher = somebody.folder / "checkout" / "bin" / "codex-agent"
    first = somebody.run(launcher, "x")
    assert first.returncode == 0, first.stderr
    prefix = first.stdout.split()[0]
    assert prefix.startswith(f"{somebody.folder}/home/.cache/codex-agent{somebody.folder}/checkout/run-")
    second = somebody.run(launcher, "x")
    assert (second.returncode, second.stderr, second.stdout) == (0, "", first.stdout)
    assert not (somebody.folder / "checkout" / ".cache").exists()


def test_without_tmux_and_without_leave_the_demo_prints_the_command(somebody: Somebody) -> None:
    launcher = somebody.folder / "checkout" / "bin" / "codex-agent"
    path = without(somebody.env, somebody.folder, "tmux", "sudo", *MANAGERS)["PATH"]
    managers = [name for name in MANAGERS if shutil.which(name, path=somebody.env["PATH"])]
    for name in managers:
        os.symlink(str(shutil.which(name, path=somebody.env["PATH"])), f"{path}/{name}")
    assert somebody.run(launcher, "demo", "--help", path=path).returncode == 0  # asking costs nothing
    done = somebody.run(launcher, "demo", path=path)
    assert done.returncode == 5, done.stderr
    assert "tmux is missing" in done.stderr
    if managers and managers[0] != "brew":
        assert re.search(rf"\n  sudo {managers[0]} .*tmux\n", done.stderr), done.stderr


# -- the programs of the machine ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prepare", BIN / "prepare.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("there", "root", "sudo", "words", "allowed"),
    [
        (["apt-get"], True, False, "apt-get install -y --no-install-recommends tmux", True),
        (["apt-get"], False, True, "sudo -n apt-get install -y --no-install-recommends tmux", True),
        (["apt-get"], False, False, "sudo apt-get install -y --no-install-recommends tmux", False),
        (["dnf", "yum"], True, False, "dnf install -y tmux", True),
        (["apk"], True, False, "apk add tmux", True),
        (["pacman"], False, True, "sudo -n pacman -S --noconfirm --needed tmux", True),
        (["zypper"], False, False, "sudo zypper --non-interactive install tmux", False),
        (["brew"], False, False, "brew install tmux", True),
        (["brew", "apt-get"], False, False, "brew install tmux", True),
        ([], True, False, "", False),
    ],
)
def test_how_tmux_is_installed(
    prepare: ModuleType, there: list[str], root: bool, sudo: bool, words: str, allowed: bool
) -> None:
    def which(name: str) -> str | None:
        return f"/usr/bin/{name}" if name in there else None

    assert prepare.install_command("tmux", root, sudo, which) == (words.split(), allowed)


# -- the real thing -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_fresh_clone_with_an_empty_home_runs_the_demo(
    tmp_path: Path, env: dict[str, str], tmux_socket: str
) -> None:
    clone = tmp_path / "clone"
    for name in our_files():
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TOP / name, clone / name)
    env = without(env, tmp_path, "codex") | {"CODEX_AGENT_TMUX_SOCKET": tmux_socket}
    for turn in ("first", "second"):
        done = subprocess.run(
            [clone / "bin" / "codex-agent", "demo"],
            env=env,
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{turn}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.count("completed") >= 3, done.stdout
        assert ("making a private" in done.stderr) == (turn == "first")
