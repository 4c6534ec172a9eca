"""`codex-agent demo` as a person runs it: three real Codex agents in real tmux, and nothing left of it.

Whether something is left is asked of the machine: the temporary folder it was given, and every process that has
that folder in its environment or its command line.
"""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codex_agent.demo import cast
from support import Cli, Seen, codex, processes_with, until
from support.cli import COMMAND, SRC
from support.codexes import LABELS
from support.home import clean_environ


@dataclass
class Machine:
    """A user whose home does not even exist, with a temporary folder of their own."""

    tmp: Path
    home: Path
    env: dict[str, str]
    run: Cli

    def argv(self, *args: str) -> list[str]:
        return [*COMMAND, *args]

    def processes(self) -> list[Seen]:
        return processes_with(f"{self.tmp}/")

    def assert_nothing_is_left(self) -> None:
        until(lambda: not self.processes(), 20)
        assert os.listdir(self.tmp) == []
        assert not self.home.exists()


@pytest.fixture
def machine() -> Iterator[Machine]:
    root = Path(tempfile.mkdtemp(prefix="ca-", dir="/tmp"))  # not tmp_path: the tmux socket's path has to be short
    (root / "t").mkdir()
    env = clean_environ() | {
        "HOME": str(root / "nobody-made-this-home"),
        "TMPDIR": str(root / "t"),
        "TERM": "xterm-256color",
        "COLUMNS": "90",
        "CODEX_AGENT_CODEX": codex("newest").path,
    }
    cli = Cli(env, root)
    made = Machine(root / "t", root / "nobody-made-this-home", env, cli)
    yield made
    cli.close()
    for process in made.processes():  # only after a failure
        process.kill()
    shutil.rmtree(root)


def test_it_shows_three_agents_and_leaves_nothing(machine: Machine) -> None:
    done = machine.run("demo")
    assert (done.rc, done.err) == (0, "")
    out = done.out
    for part in cast.PARTS:
        assert f"{part.name}: completed" in out
        assert part.prompt[:100] in out
        assert part.last_words in out
    assert "running, working" in out  # life, before the end
    assert "+        cents += price * amount" in out
    assert "+++ b/CHANGES.md" in out
    assert "CHANGES.md, " in out or ", CHANGES.md" in out
    assert 'codex-agent start "' in out
    assert "\x1b" not in out
    machine.assert_nothing_is_left()


@pytest.mark.parametrize("label", LABELS)
def test_json_is_one_object_in_the_shape_of_jobs(machine: Machine, label: str) -> None:
    done = machine.run("demo", "--json", env={"CODEX_AGENT_CODEX": codex(label).path})
    assert done.rc == 0
    answer = json.loads(done.out)
    assert (answer["ok"], answer["wrong"], answer["folder"]) == (True, [], None)
    assert [job["name"] for job in answer["jobs"]] == ["edit", "report", "answer"]
    for job, part in zip(answer["jobs"], cast.PARTS, strict=True):
        assert (job["status"], job["sandbox"], job["exit_code"]) == ("completed", part.sandbox, 0)
        assert sorted(job["files_modified"]) == sorted(part.changes)
        assert job["tokens"]["total"] > 0
    spans = [(job["started_at"], job["completed_at"]) for job in answer["jobs"]]
    assert max(start for start, _ in spans) < min(end for _, end in spans), "they ran one after the other"
    assert answer["diff"].count("diff --git") == 3
    machine.assert_nothing_is_left()


def test_keep_leaves_the_work_and_no_process(machine: Machine) -> None:
    done = machine.run("demo", "--json", "--keep")
    assert done.rc == 0
    answer = json.loads(done.out)
    folder = Path(answer["folder"])
    assert os.listdir(machine.tmp) == [folder.name]
    until(lambda: not machine.processes(), 20)
    # The commands it tells a person to go on with, in the environment it tells them to set.
    env = answer["environment"]
    listed = json.loads(machine.run("jobs", "--all", "--json", env=env).out)
    assert sorted(job["name"] for job in listed["jobs"]) == ["answer", "edit", "report"]
    assert {job["status"] for job in listed["jobs"]} == {"completed"}
    assert json.loads(machine.run("status", "edit", "--json", env=env).out)["status"] == "completed"
    assert cast.PARTS[0].last_words in machine.run("output", "edit", env=env).out
    assert (folder / cast.PROJECT / "CHANGES.md").read_text() == cast.CHANGED["CHANGES.md"]
    shutil.rmtree(folder)


def test_keep_tells_what_to_do_next(machine: Machine) -> None:
    done = machine.run("demo", "--keep")
    assert done.rc == 0
    (folder,) = machine.tmp.iterdir()
    for line in (f"export CODEX_AGENT_HOME={folder}/agents", "codex-agent output edit", f"rm -rf {folder}"):
        assert line in done.out


def read_until(terminal: int, words: bytes | None, seconds: float = 60) -> bytes:
    """What the program shows on its terminal until `words` (None: until it ends)."""
    seen = b""
    end = time.monotonic() + seconds
    while words is None or words not in seen:
        assert time.monotonic() < end, seen
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 65536)
            except OSError:  # how Linux says that nobody has the other side any more
                data = b""
            if not data:
                assert words is None, seen
                break
            seen += data
    return seen


def on_terminal(machine: Machine, *args: str) -> tuple[subprocess.Popen[bytes], int]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        machine.argv(*args), env=machine.env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def test_on_a_terminal_it_is_a_live_table(machine: Machine) -> None:
    process, terminal = on_terminal(machine, "demo")
    seen = read_until(terminal, None)
    assert process.wait(20) == 0
    assert seen.count(b"running, working") > 3, "the table was not drawn again and again"
    last_frame = seen.rpartition(b"last words")[2].partition(b"asked")[0]
    for part in cast.PARTS:
        assert part.name.encode() in last_frame
        assert part.last_words[:20].encode() in last_frame
    assert last_frame.count(b"completed") == 3 + 1, "the table and the first result"
    assert b"\x1b[?25h" in seen, "the cursor was not given back"
    os.close(terminal)
    machine.assert_nothing_is_left()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("when", [b"a folder of its own", b"working"])
def test_stopped_half_way_it_takes_everything_down(machine: Machine, number: signal.Signals, when: bytes) -> None:
    process, terminal = on_terminal(machine, "demo", "--keep")
    read_until(terminal, when)
    process.send_signal(number)
    rest = read_until(terminal, None)
    assert process.wait(20) == 130
    assert b"Nothing is left" in rest
    assert b"Traceback" not in rest
    os.close(terminal)
    machine.assert_nothing_is_left()


def test_without_codex_it_says_so_and_leaves_nothing(machine: Machine) -> None:
    done = machine.run("demo", env={"CODEX_AGENT_CODEX": "/no/such/codex"})
    assert done.rc == 5
    assert "/no/such/codex" in done.err
    machine.assert_nothing_is_left()


OTHERWISE = {
    "another result expected": (
        "cast.CHANGED['till.py'] = 'something else'",
        ["till.py does not hold what was to be written"],
    ),
    "a change too many": (
        "del cast.CHANGED['CHANGES.md']",
        ["CHANGES.md was not to be changed, and was"],
    ),
    "an agent that fails": (
        "object.__setattr__(cast.PARTS[2], 'steps', (cast.Step.failed('insufficient_quota'),))",
        ["answer is failed: Quota exceeded. Check your plan and billing details"],
    ),
    "other last words": (
        "object.__setattr__(cast.PARTS[2], 'steps', (cast.Step.message('Hm.'),))",
        ["answer did not end with its last words, but with 'Hm.'"],
    ),
}


@pytest.mark.parametrize("case", OTHERWISE)
def test_what_came_out_otherwise_fails_the_demo(machine: Machine, case: str) -> None:
    """The same demo with one thing changed, so that it must not call itself a success."""
    change, wrong = OTHERWISE[case]
    code = (
        f"import sys; sys.path.insert(0, {SRC!r}); from codex_agent.demo import cast; {change}; "
        "from codex_agent.demo.run import run_demo; raise SystemExit(run_demo(keep=False, json_output=True))"
    )
    argv = [sys.executable, "-c", code]
    done = subprocess.run(argv, env=machine.env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["ok"], answer["wrong"]) == (False, wrong)
    machine.assert_nothing_is_left()


def test_the_users_own_codex_and_settings_stay_out_of_it(machine: Machine) -> None:
    """A proxy, keys, a model of the user's, even a broken Codex configuration: none of it reaches the agents."""
    home = machine.tmp.parent / "user"
    (home / ".codex").mkdir(parents=True)
    (home / ".codex" / "config.toml").write_text("this is no TOML")
    (home / ".gitconfig").write_text("[commit]\n\tgpgsign = true\n[core]\n\thooksPath = /nowhere\n")
    env = {
        "HOME": str(home),
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
        "OPENAI_API_KEY": "sk-not-a-key",
        "CODEX_AGENT_MODEL": "another",
        "CODEX_AGENT_SANDBOX": "read-only",
        "GIT_DIR": "/nowhere",
    }
    done = machine.run("demo", "--json", env=env)
    assert done.rc == 0, done.err
    assert {job["model"] for job in json.loads(done.out)["jobs"]} == {"gpt-5.5"}
    assert sorted(os.listdir(home)) == [".codex", ".gitconfig"]
    assert os.listdir(home / ".codex") == ["config.toml"]
