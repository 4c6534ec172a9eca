"""The fast way stays light: nothing heavy is imported on it and no process begun. Python tells, nothing is timed.

Each call is a real one, without site-packages and with an audit hook that writes down, as they come, every import
and every process. ``main`` ends without taking the interpreter apart, so nothing could be asked at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import parity_homes as homes
from support import parity_words as lists
from support.cli import SRC
from support.home import clean_environ
from support.parity import CAN_SEE_SLEEP, asleep
from support.parity_homes import Jobs
from support.waiting import until

# Each of these alone costs more than a whole call may.
NEVER = {"typer", "click", "rich", "pydantic", "libtmux", "platformdirs", "re", "subprocess", "sqlite3", "mcp"}
# What costs half a millisecond or more, and is not needed to print a record.
NOT_WITHOUT_NEED = {
    *("argparse", "asyncio", "ast", "calendar", "collections", "contextlib", "copy", "ctypes", "dataclasses"),
    *("datetime", "decimal", "enum", "functools", "hashlib", "importlib", "inspect", "json", "locale", "logging"),
    *(
        "operator",
        "pathlib",
        "random",
        "selectors",
        "shutil",
        "signal",
        "socket",
        "struct",
        "tempfile",
        "threading",
    ),
    *("tomllib", "traceback", "types", "typing", "weakref"),
}
PROCESSES = {
    "subprocess.Popen",
    "os.fork",
    "os.forkpty",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
}

# What is loaded already is imported unseen, so that is written down too. `posix` is built in.
_HOOK = """
import posix, sys
_file = posix.open(sys.argv.pop(1), posix.O_WRONLY | posix.O_CREAT | posix.O_APPEND)
def _write(kind, what):
    posix.write(_file, f"{kind} {what}\\n".encode("utf-8", "replace"))
for _name in sys.modules:
    _write("loaded", _name)
_PROCESSES = %r
def _hook(event, arguments):
    if event == "import":
        _write("import", arguments[0])
    elif event in _PROCESSES:
        _write("process", f"{event} {arguments!r}")
sys.addaudithook(_hook)
"""
_MAIN = f"""
sys.path.insert(0, {SRC!r})
sys.argv[0] = "codex-agent"
from codex_agent.__main__ import main
main()
"""
HOOK = _HOOK % PROCESSES


@dataclass(frozen=True)
class Seen:
    """What one process did."""

    code: int
    out: bytes
    err: bytes
    loaded: set[str]
    imported: list[str]
    processes: list[str]

    def tops(self) -> set[str]:
        """What it imported, or found loaded, by the names of packages."""
        return {name.partition(".")[0] for name in (*self.loaded, *self.imported)}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    made = homes.fill(tmp_path_factory.mktemp("guard") / "home", homes.healthy())
    with homes.held(made):
        yield made


def begin(code: str, words: tuple[str, ...], home: Path, notes: Path) -> subprocess.Popen[bytes]:
    env = clean_environ() | {"HOME": str(home.parent), "CODEX_AGENT_HOME": str(home), "LC_ALL": "C.UTF-8"}
    # -S: no site-packages, and no .pth file of somebody's that imports something before us.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", HOOK + code, str(notes), *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes], notes: Path) -> Seen:
    try:
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    lines = [line.partition(" ") for line in notes.read_text(encoding="utf-8").splitlines()]
    found = {kind: [what for mine, _, what in lines if mine == kind] for kind in ("loaded", "import", "process")}
    return Seen(process.returncode, out, err, set(found["loaded"]), found["import"], found["process"])


def check(seen: Seen, code: int) -> None:
    assert seen.code == code, seen
    assert not seen.processes
    assert not seen.tops() & NEVER, f"{sorted(seen.tops() & NEVER)} of {seen.imported}"
    assert not seen.tops() & NOT_WITHOUT_NEED, f"{sorted(seen.tops() & NOT_WITHOUT_NEED)} of {seen.imported}"


CALLS: dict[tuple[str, ...], int] = {
    ("status", lists.ID): 0,
    ("status", lists.ID, "--json"): 0,
    ("status", lists.ID, "--json", "--fields", "id,status"): 0,
    ("status", lists.LIVE): 0,
    ("status", lists.LIVE, "--json"): 0,
    ("status", lists.NAME): 0,
    ("status", "abcdef", "--json"): 0,
    ("status", lists.ODD_NAME): 0,
    ("status", "0000000d"): 0,
    ("status", "00000006"): 0,
    ("jobs",): 0,
    ("jobs", "--json"): 0,
    ("jobs", "--all", "--json"): 0,
    ("jobs", "--json", "--fields", "id,status"): 0,
    ("jobs", "--status", "running"): 0,
    ("jobs", "--limit", "3"): 0,
    ("wait", lists.ID): 0,
    ("wait", lists.ID, "--json"): 0,
    ("wait", lists.ID, "0000000d", "--json", "--fields", "id,status"): 1,
    ("wait", lists.ID, "--timeout", "5"): 0,
    ("wait", lists.LIVE, "--timeout", "0.05"): 124,
}


@pytest.mark.parametrize("words", CALLS, ids=" ".join)
def test_what_is_called_all_day_is_light(jobs: Jobs, tmp_path: Path, words: tuple[str, ...]) -> None:
    check(end(begin(_MAIN, words, jobs.path, tmp_path / "notes"), tmp_path / "notes"), CALLS[words])


@pytest.mark.skipif(not CAN_SEE_SLEEP, reason="only Linux tells whether a process sleeps")
def test_a_job_that_ends_while_it_is_waited_for(tmp_path: Path) -> None:
    jobs = homes.fill(tmp_path / "home", [(homes.record("11110001", started_at=homes.T), True)])
    notes = tmp_path / "notes"
    with homes.held(jobs) as locks:
        process = begin(_MAIN, ("wait", "11110001"), jobs.path, notes)
        until(lambda: asleep(process), 20, "a process that sleeps")
        jobs.end("11110001")
        os.close(locks.pop("11110001"))
        check(end(process, notes), 0)


def test_the_hook_sees_what_it_should(tmp_path: Path) -> None:
    """Else the other tests hold nothing."""
    code = "import re, subprocess, os\nfrom json import decoder\nsubprocess.run(['true'])\nos.system('true')\n"
    seen = end(begin(code, (), tmp_path, tmp_path / "notes"), tmp_path / "notes")
    assert seen.code == 0, seen.err
    assert {"re", "subprocess", "json", "enum"} <= seen.tops() and "json.decoder" in seen.imported
    assert any("Popen" in one for one in seen.processes) and any("os.system" in one for one in seen.processes)


def test_what_is_not_the_fast_ways_own_goes_to_typer(jobs: Jobs, tmp_path: Path) -> None:
    """Which shows that an import in there would have been seen, too."""
    seen = end(begin(_MAIN, ("status", "--help"), jobs.path, tmp_path / "notes"), tmp_path / "notes")
    assert seen.code == 0 and "typer" in seen.imported
