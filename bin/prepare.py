"""Makes what a fresh checkout needs, once, below ``.cache/`` (the user's cache if the checkout is read-only).

Called by ``bin/codex-agent`` and ``bin/test`` with a system Python, so it uses the standard library only and
imports nothing of ours. It must never touch a folder it did not make, and never call an environment ready that
is not: one counts once the copies of its lock files stand in it, and those are written last.

    prepare.py run     the environment that runs codex-agent
    prepare.py demo    tmux, and a Codex if the machine has none
    prepare.py test    all of that for the tests; prints the path of a shell file that says where things are
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import importlib
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.path.join(TOP, "bin")
CODEX_LOCK = os.path.join(BIN, "requirements-codex.txt")
OLDEST_CODEX_LOCK = os.path.join(BIN, "requirements-codex-oldest.txt")

# The machine's own pip and uv settings hold (index, certificates), except those that send packages elsewhere.
MISLEADING = frozenset(
    {"PIP_PREFIX", "PIP_PYTHON", "PIP_ROOT", "PIP_TARGET", "PYTHONHOME", "PYTHONPATH"}
    | {"UV_PREFIX", "UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_TARGET", "VIRTUAL_ENV"}
)

# Package managers and the words that install without asking; the first one that may be used is.
MANAGERS = {
    "apt-get": ["apt-get", "install", "-y", "--no-install-recommends"],
    "dnf": ["dnf", "install", "-y"],
    "yum": ["yum", "install", "-y"],
    "apk": ["apk", "add"],
    "pacman": ["pacman", "-S", "--noconfirm", "--needed"],
    "zypper": ["zypper", "--non-interactive", "install"],
    "brew": ["brew", "install"],
}


class Stop(Exception):
    """Set-up cannot go on; the text says why and what to do. ``code`` is the exit code."""

    def __init__(self, text: str, code: int = 1) -> None:
        super().__init__(text)
        self.code = code


def say(text: str) -> None:
    print(f"codex-agent: {text}", file=sys.stderr, flush=True)


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write(path: str, text: str) -> None:
    """Whole or not at all: whoever reads at the same time sees the old text or the new one."""
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(f"{path}.{os.getpid()}", path)


def cache_home() -> str:
    """The folder that holds everything made here. ``bin/codex-agent`` looks in the same two places."""
    inside = os.path.join(TOP, ".cache")
    if os.access(inside if os.path.isdir(inside) else TOP, os.W_OK | os.X_OK):
        home = inside
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME", ""), ".cache")
        home = f"{base}/codex-agent{TOP}"
    try:
        os.makedirs(home, exist_ok=True)
    except OSError as error:
        raise Stop(f"cannot write {home}: {error.strerror}. Make it, or the checkout, writable.") from error
    return home


class Setup:
    """One run of this program. Everything that writes below ``home`` happens while ``locked`` is held."""

    def __init__(self) -> None:
        self.home = cache_home()
        self.lock = -1
        self.environ = {key: value for key, value in os.environ.items() if key not in MISLEADING}
        self.environ["PIP_USER"] = "0"  # pip.conf may say otherwise; in an environment that is an error
        self.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        self.lock = os.open(os.path.join(self.home, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("another set-up of this checkout is under way; waiting for it")
                fcntl.flock(self.lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(self.lock)

    def call(self, argv: list[str], cwd: str | None = None) -> bool:
        """Run an installer, its words on stderr. It holds the lock too, even after us."""
        done = subprocess.run(
            argv,
            cwd=cwd or self.home,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            pass_fds=(self.lock,),
            check=False,
        )
        return done.returncode == 0

    def fresh(self, path: str) -> None:
        """Remove what an interrupted set-up left at ``path``, a place of ours."""
        if os.path.lexists(path):
            say(f"{os.path.basename(path)} is incomplete or does not run; making it anew")
            shutil.rmtree(path)

    # -- the Python environments -------------------------------------------------------------------

    def environment(self, kind: str, lock: str) -> str:
        """The Python of the environment for exactly this lock file, made now if it is not there.

        Environments are never changed once made: a new lock file gets a new one, so that what still runs from
        the old one (a dashboard, an MCP server) does not lose its modules.
        """
        locks = [lock, CODEX_LOCK]
        key = hashlib.sha256(b"\0".join(read(each) for each in locks)).hexdigest()[:12]
        env = os.path.join(self.home, f"{kind}-{key}")
        python = os.path.join(env, "bin", "python")
        copies = [os.path.join(env, os.path.basename(each)) for each in locks]
        if not (all(map(os.path.exists, copies)) and runs([python, "-I", "-c", ""])):
            self.fresh(env)
            started = time.monotonic()
            say(f"making a private Python environment in {env} (once)")
            self.make_environment(env, python, lock)
            say(f"environment ready after {time.monotonic() - started:.1f} s")
        # bin/codex-agent compares these time stamps; a copy is also the mark of a complete environment.
        # Put in place whole: a launcher may look at them at any moment.
        for each, copy in zip(locks, copies, strict=True):
            shutil.copy2(each, f"{copy}.{os.getpid()}")
            os.replace(f"{copy}.{os.getpid()}", copy)
        return python

    def make_environment(self, env: str, python: str, lock: str) -> None:
        # The real file and not a link to it: when the system moves on to another Python, the environment's
        # `python` then points at nothing and is made anew, where it would otherwise run without its packages.
        base = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
        uv = find_uv()
        made = False
        if uv:
            say(f"installing {packages_in(lock)} packages with uv")
            words = ["--quiet", "--python", python, "--compile-bytecode", "--require-hashes", "-r", lock]
            made = self.call([uv, "venv", "--quiet", "--no-project", "--python", base, env])
            made = made and self.call([uv, "pip", "install", *words])
            if not made:
                say("uv could not do it; trying venv and pip")
                shutil.rmtree(env, ignore_errors=True)
        if not made:
            if not has_ensurepip():  # Debian and its children pack it separately
                need(self, "python{}.{}-venv".format(*sys.version_info), has_ensurepip)
            say(f"installing {packages_in(lock)} packages with venv and pip")
            if not self.call([base, "-I", "-m", "venv", env]):
                raise Stop(f"{base} -m venv failed; its own words are above.")
            if not self.call([*pip(python), "install", "--require-hashes", "-r", lock]):
                raise Stop("pip could not install the packages; its own words are above. Run this again to retry.")
        # Relative paths, so that the checkout may be moved; a folder that is not there (yet) is passed over.
        (site,) = glob.glob(os.path.join(env, "lib", "python*", "site-packages"))
        with open(os.path.join(site, "codex_agent.pth"), "w", encoding="utf-8") as file:
            for folder in (os.path.join(TOP, "src"), os.path.join(self.home, codex_folder(CODEX_LOCK))):
                file.write(os.path.relpath(folder, site) + "\n")

    # -- Codex --------------------------------------------------------------------------------------

    def codex_wheel(self, lock: str, python: str) -> str:
        """The Codex binary of the wheel that ``lock`` names, installed in a folder of its own."""
        name = codex_folder(lock)
        folder = os.path.join(self.home, name)
        binary = os.path.join(folder, "codex_cli_bin", "bin", "codex")
        if os.path.isdir(folder):
            return binary
        started = time.monotonic()
        say(f"getting {name.replace('-', ' ')} (once, a large download)")
        half = folder + ".half"
        shutil.rmtree(half, ignore_errors=True)
        words = ["install", "--target", half, "--no-deps", "--require-hashes", "-r", lock]
        uv = find_uv()
        made = uv is not None and self.call([uv, "pip", words[0], "--quiet", "--python", python, *words[1:]])
        if not made:
            shutil.rmtree(half, ignore_errors=True)
            if not runs([python, "-I", "-m", "pip", "--version"]):  # uv makes environments without it
                self.call([python, "-I", "-m", "ensurepip"])
            made = self.call([*pip(python), *words])
        if not made:
            raise Stop(
                f"{name} could not be installed from the package index; the reason is above. "
                "Run this again to retry, or install Codex yourself and put it on PATH."
            )
        os.rename(half, folder)
        if not says_version(binary):
            raise Stop(f"{binary} was installed and does not run on this machine.", code=5)
        say(f"{name} ready after {time.monotonic() - started:.1f} s")
        return binary

    def npm(self, label: str, what: str, programs: str, source: str | None = None) -> str | None:
        """The first of ``programs`` (a pattern below node_modules) that runs, of what ``source`` pins.

        That is ``bin/npm/<label>`` if not given. npm checks the hashes. None, and a word about it, where npm
        cannot get ``what``.
        """
        source = source or os.path.join(BIN, "npm", label)
        key = hashlib.sha256(read(os.path.join(source, "package-lock.json"))).hexdigest()[:12]
        folder = os.path.join(self.home, f"npm-{label}-{key}")
        found = first_that_runs(folder, programs)
        if found:
            return found
        self.fresh(folder)
        skipped = f"the tests that need {what} will be skipped"
        npm = shutil.which("npm")
        if npm is None:
            say(f"npm is not at hand: {skipped}")
            return None
        say(f"getting {what} (once, a large download)")
        half = folder + ".half"
        shutil.rmtree(half, ignore_errors=True)
        os.mkdir(half)
        for file in ("package.json", "package-lock.json"):
            shutil.copyfile(os.path.join(source, file), os.path.join(half, file))
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=1"]
        # Not `npm ci`: it refuses a lock that lacks the platforms a registry has no 0.104.0 for. `install` checks
        # the lock's hashes just the same.
        if not self.call([npm, "install", "--no-save", *quiet], cwd=half):
            say(f"npm could not get it: {skipped}")
            return None
        if not first_that_runs(half, programs):
            say(f"{what} does not run here: {skipped}")
            return None
        os.rename(half, folder)
        return first_that_runs(folder, programs)


# -- small questions ------------------------------------------------------------------------------------


def runs(argv: list[str]) -> bool:
    """Whether this command starts and succeeds; its output does not matter."""
    try:
        return subprocess.run(argv, stdin=-3, stdout=-3, stderr=-3, check=False).returncode == 0
    except OSError:
        return False


def says_version(binary: str) -> bool:
    """Whether this Codex or Claude Code runs, asked with a throwaway home: Codex makes folders there."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-") as home:
        return runs(["env", f"CODEX_HOME={home}", f"CLAUDE_CONFIG_DIR={home}", binary, "--version"])


def first_that_runs(folder: str, programs: str) -> str | None:
    """An npm that knows nothing of C libraries installs a program for each."""
    found = sorted(glob.glob(os.path.join(glob.escape(folder), "node_modules", programs)))
    return next(filter(says_version, found), None)


def find_uv() -> str | None:
    beside = os.path.expanduser("~/.local/bin/uv")
    return shutil.which("uv") or (beside if os.access(beside, os.X_OK) else None)


def pip(python: str) -> list[str]:
    """pip with little to say, unless a person watches: then they see the progress of a large download."""
    return [python, "-I", "-m", "pip", *([] if sys.stderr.isatty() else ["--quiet"])]


def has_ensurepip() -> bool:
    importlib.invalidate_caches()
    return importlib.util.find_spec("ensurepip") is not None


def packages_in(lock: str) -> int:
    return len(re.findall(rb"^[\w.-]+==(?!.*win32)", read(lock), re.MULTILINE))


def codex_folder(lock: str) -> str:
    """``codex-0.163.0`` for the lock file that pins that version."""
    match = re.search(rb"^openai-codex-cli-bin==([\w.]+)", read(lock), re.MULTILINE)
    if match is None:
        raise Stop(f"{lock} names no openai-codex-cli-bin")
    return f"codex-{match[1].decode()}"


# -- programs of the machine ----------------------------------------------------------------------------


def install_command(
    package: str, root: bool, sudo: bool, which: Callable[[str], str | None]
) -> tuple[list[str], bool]:
    """The words that install ``package`` here, and whether we may run them.

    Brew wants no root; everything else needs it. If none may be run, the first manager's words come with ``sudo``
    before them, for a person; with no manager at all the words are empty.
    """
    found = [name for name in MANAGERS if which(name)]
    for name in found:
        words = [*MANAGERS[name], package]
        if name == "brew":
            if not root:
                return words, True
        elif root:
            return words, True
        elif sudo:
            return ["sudo", "-n", *words], True
    return (["sudo", *MANAGERS[found[0]], package], False) if found else ([], False)


def need(setup: Setup, package: str, there: Callable[[], bool]) -> None:
    """Install the system's ``package`` unless what it brings is ``there`` already; Stop(5) if we may not."""
    if there():
        return
    root = os.geteuid() == 0
    sudo = not root and runs(["sudo", "-n", "true"])
    words, allowed = install_command(package, root, sudo, shutil.which)
    if not words:
        raise Stop(f"{package} is missing. Install it the way this machine does, then run this again.", 5)
    if not allowed:
        raise Stop(f"{package} is missing. Run this, then try again:\n  {shlex.join(words)}", 5)
    say(f"{package} is missing; running: {shlex.join(words)}")
    setup.environ["DEBIAN_FRONTEND"] = "noninteractive"
    done = setup.call(words)
    if not done and "apt-get" in words:  # a fresh image knows no packages until the lists are fetched
        update = [*words[: words.index("apt-get") + 1], "update"]
        say(f"that failed; running: {shlex.join(update)}, then once more")
        done = setup.call(update) and setup.call(words)
    if not done or not there():
        by_hand = shlex.join(word for word in words if word != "-n")
        raise Stop(f"{package} could not be installed; the reason is above. Then run:\n  {by_hand}", 5)


def need_tmux(setup: Setup) -> None:
    need(setup, "tmux", lambda: shutil.which("tmux") is not None)


# -- what the callers ask for ---------------------------------------------------------------------------


def prepare_run(setup: Setup) -> None:
    with setup.locked():
        python = setup.environment("run", os.path.join(BIN, "requirements.txt"))
        name = os.path.relpath(python, setup.home).split(os.sep)[0]
        write(os.path.join(setup.home, "run"), name + "\n")


def prepare_demo(setup: Setup) -> None:
    """Called with the environment's own Python, so that the package can say whether it finds a Codex."""
    with setup.locked():
        need_tmux(setup)
        asked = subprocess.run([sys.executable, "-I", "-c", FIND_CODEX, setup.home], stderr=-3, check=False)
        if asked.returncode == NO_CODEX:
            say("no Codex found on this machine")
            setup.codex_wheel(CODEX_LOCK, sys.executable)


# A Codex that the user named and that does not work, or unreadable settings, are for the demo itself to tell.
NO_CODEX = 3
FIND_CODEX = f"""
import os, sys
from codex_agent import codex, errors, settings
named = settings.load(os.environ).codex
try:
    codex.find(named, os.environ, sys.argv[1])
except errors.MissingProgram:
    sys.exit(0 if named else {NO_CODEX})
"""


def prepare_test(setup: Setup) -> str:
    with setup.locked():
        python = setup.environment("test", os.path.join(BIN, "requirements-test.txt"))
        need_tmux(setup)
        exports = {
            "CODEX_NEWEST": setup.codex_wheel(CODEX_LOCK, python),
            "CODEX_OLDEST": setup.codex_wheel(OLDEST_CODEX_LOCK, python),
            "CODEX_NPM_NEWEST": setup.npm("newest", "npm's newest Codex", "@openai/codex/bin/codex.js"),
            "CODEX_NPM_OLDEST": setup.npm("oldest", "npm's oldest Codex", "@openai/codex/bin/codex.js"),
            # Without its install script the program is where npm put it: in the package of this platform.
            "CLAUDE": setup.npm("claude", "Claude Code", "@anthropic-ai/claude-code-*/claude"),
        }
        lines = [f"python={shlex.quote(python)}"]
        for key, path in exports.items():
            if path:
                lines.append(f"export CODEX_AGENT_TEST_{key}={shlex.quote(path)}")
        settings = os.path.join(setup.home, "test.env")
        write(settings, "\n".join(lines) + "\n")
        return settings


def main(argv: list[str]) -> int:
    try:
        setup = Setup()
        if argv == ["run"]:
            prepare_run(setup)
        elif argv == ["demo"]:
            prepare_demo(setup)
        elif argv == ["test"]:
            print(prepare_test(setup))
        else:
            raise Stop("prepare.py is called by bin/codex-agent and bin/test: run, demo or test", 2)
    except Stop as stop:
        say(str(stop))
        return stop.code
    except KeyboardInterrupt:
        say("set-up interrupted; the next run takes it up again")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
