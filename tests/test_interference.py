"""Somebody interferes with a job: removes its files, compresses its rollout, stops a reader, uses sudo."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import Gate, ModelServer, Step
from codex_agent.store import Store
from support import Cli, Home, until
from support.cli import COMMAND, SRC
from support.jobs import begin, ended, record, see, write_record


def held(cli: Cli, model: ModelServer, repo: Path, word: str) -> tuple[str, Gate]:
    """A job whose model does not answer until the gate opens."""
    gate = model.gate(word)
    model.on(f"%%{word}", Step.hold(gate, Step.message("well done")))
    job_id = begin(cli, repo, f"%%{word}")
    gate.reached()
    return job_id, gate


def lost(data: dict[str, Any]) -> None:
    """A record whose supervisor died after the turn was done."""
    for key in ("ended_at", "exit_code", "exited_at", "settled_by"):
        data["facts"].pop(key)
    data["facts"]["last_message"] = "the whole\n" * 200


def test_the_rollout_is_compressed_meanwhile(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id, gate = held(cli, model, repo, "compressed")
    path = Path(str(until(lambda: see(cli, job_id)["rollout"], 20, "the rollout is found")))
    zstandard = pytest.importorskip("zstandard")
    Path(f"{path}.zst").write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    path.unlink()
    gate.open()
    assert ended(cli, job_id)["status"] == "completed"


def test_the_lock_file_is_removed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """A look at the job must not end it: its very supervisor still runs."""
    job_id, gate = held(cli, model, repo, "lock-gone")
    (home.jobs / f"{job_id}.lock").unlink()
    assert see(cli, job_id)["status"] == "running"
    waiter = cli.start("wait", job_id)
    gate.open()
    waiter.communicate(timeout=30)
    assert waiter.returncode == 0 and see(cli, job_id)["status"] == "completed"


@pytest.mark.parametrize("line", ["set -g destroy-unattached on", "set -g remain-on-exit on"])
def test_a_tmux_conf_that_would_end_or_keep_sessions(
    line: str, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    (home.path / ".tmux.conf").write_text(line + "\n")
    model.on("%%conf", Step.message("fine"))
    job_id = begin(cli, repo, "%%conf")
    assert ended(cli, job_id)["status"] == "completed"
    until(lambda: job_id not in home.tmux("ls").stdout, 5, "the session is gone")


def test_a_reader_that_is_stopped_while_it_settles(cli: Cli, home: Home) -> None:
    store = Store(str(home.agent_home))
    for job_id in ("aaaaaaaa", "bbbbbbbb", "cccccccc"):
        write_record(store, job_id, lost)
    handle = os.open(os.path.join(store.folder, ".settle.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    began = time.monotonic()
    listed = cli("jobs", "--json").ok().json()
    assert {job["status"] for job in listed["jobs"]} == {"interrupted"}
    assert time.monotonic() - began < 25, "it waits for the other reader once, not once for every job"
    os.close(handle)
    assert see(cli, "aaaaaaaa")["completed_at"], "now it could be written down"


def test_the_last_message_of_a_lost_job(cli: Cli, home: Home) -> None:
    write_record(Store(str(home.agent_home)), "cccccccc", lost)
    job = see(cli, "cccccccc")
    assert job["status"] == "interrupted" and "last message is whole" in job["failure"]["message"]
    assert cli("output", "cccccccc", "--result").ok().out == "the whole\n" * 200 + "\n"


def test_the_callers_umask(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    home.tmux("new-session", "-d", "-s", "keeps-the-server", "sleep 60")
    model.on("%%umask", Step.command("umask > mask"), Step.message("done"))
    words = ["sh", "-c", 'umask 027; exec "$@"', "sh", *COMMAND, "start", "%%umask", "-d", str(repo), "--wait"]
    subprocess.run(words, env=home.env, capture_output=True, timeout=60, check=True)
    assert (repo / "mask").read_text().strip() == "0027"
    assert all(path.stat().st_mode & 0o077 == 0 for path in home.jobs.iterdir()), "ours stay for us alone"
    home.tmux("kill-server")


def test_a_job_deleted_while_its_command_runs(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%deleted", Step.message("done"))
    command = "sh -c 'touch going; while [ ! -e go ]; do sleep 0.05; done; touch over'"
    job_id = begin(cli, repo, "%%deleted", "--notify-on-complete", command)
    until(lambda: (repo / "going").exists(), 20, "the command runs")
    cli("delete", job_id).ok()
    (repo / "go").touch()
    until(lambda: (repo / "over").exists() and job_id not in home.tmux("ls").stdout, 20, "the pane is closed")
    assert not [name for name in os.listdir(home.jobs) if job_id in name]


def test_no_escape_of_the_agents_reaches_the_terminal(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    evil = "\x1b]0;owned\x07.txt"
    patch = f"apply_patch <<'EOF'\n*** Begin Patch\n*** Add File: {evil}\n+hi\n*** End Patch\nEOF"
    model.on("%%escape", Step.command(patch), Step.failed("insufficient_quota", "no \x1b]0;pwned\x07 money\nline"))
    job_id = begin(cli, repo, "%%escape")
    job = ended(cli, job_id, 60)
    assert evil in job["files_modified"], "JSON says it as it is"
    for words in (["status", job_id], ["wait", job_id], ["output", job_id, "--events"], ["jobs"]):
        assert "\x1b" not in cli(*words).out, words


def test_events_with_strange_line_ends(cli: Cli, home: Home) -> None:
    """U+2028, U+2029 and U+0085 are line ends for str.splitlines, not for JSON lines."""
    store = Store(str(home.agent_home))
    write_record(store, "dddddddd")
    for mark in ("\u2028", "\u2029", "\u0085"):
        store.event("dddddddd", "strange", text=f"a{mark}b")
    answer = cli("output", "dddddddd", "--events", "--json").ok().json()
    assert [event["event"] for event in answer["events"]] == ["strange"] * 3 and answer["bad_lines"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another person for a moment")
def test_a_process_of_another_person_is_named_and_not_waited_for() -> None:
    """As after `sudo something &` in an agent's command."""
    program = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {SRC!r})\n"
        "from codex_agent import kernel\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    os.close(1), os.close(2), time.sleep(60)\n"
        "    os._exit(0)\n"
        "os.setuid(65534)\n"
        "began = time.monotonic()\n"
        "left = kernel.sweep(lambda: kernel.descendants(os.getpid()))\n"
        "print([process.pid for process in left] == [child], time.monotonic() - began < 3, child)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    said, quick, child = done.stdout.split()
    os.kill(int(child), 9)
    assert (said, quick) == ("True", "True"), done.stderr


def test_two_of_one_name_mean_the_living(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("name")
    model.on("%%living", Step.hold(gate, Step.message("done")))
    living = begin(cli, repo, "%%living", "--name", "twin")
    store = Store(str(home.agent_home))

    def later(data: dict[str, Any]) -> None:
        data.update(name="twin", created_at="2999-01-01T00:00:00.000Z")

    write_record(store, "eeeeeeee", later)
    assert json.loads(cli("status", "twin", "--json").out)["id"] == living
    gate.open()
    ended(cli, living)
    assert record(home, living).name == "twin"
