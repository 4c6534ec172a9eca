"""The likely cause where the machine, a person or this program ended the job: each provoked for real.

A restart of the machine is another boot id in a record. That the kernel kills a job for memory needs a control
group of one's own, which few machines give a test: its two witnesses are in ``test_causes_words.py``.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.home import make_codex_home
from codex_agent.demo.model_server import Step
from codex_agent.model import Process
from codex_agent.store import Store
from support import Home
from support.cli import COMMAND
from support.diagnoses import cause, why
from support.disks import fill, small_disk
from support.interactive import QUESTIONS, asks, stay, wants
from support.jobs import Place, begin, ended, place, record, working
from support.queueing import held

__all__ = ["small_disk"]  # a fixture


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("ends")) as made:
        yield made


def pid_of(here: Place, job_id: str, who: str = "codex") -> int:
    process: Process | None = getattr(record(here.home, job_id).facts, who)
    assert process is not None
    return process.pid


def reasons(job: dict[str, Any], found: dict[str, Any]) -> tuple[str, str]:
    return job["failure"]["reason"], found["reason"]


# ---- the machine ----


@pytest.mark.parametrize("stays", [False, True])
def test_a_kernel_that_forbids_the_sandbox(stays: bool, where: Place) -> None:
    """The agent goes on and says that it is done; what it could not do stands in its commands' output."""
    if not shutil.which("unshare") or not shutil.which("setpriv"):
        pytest.skip("needs unshare and setpriv")
    where.model.on("%%box", Step.command("touch inside && echo made"), Step.message("I made it."))
    script = (
        "echo 0 > /proc/sys/user/max_user_namespaces || exit 77;"
        'exec setpriv --bounding-set=-all --inh-caps=-all "$@"'
    )
    words = ("start", "%%box", "-d", str(where.repo), "--json", *(["--interactive", "--idle-exit", "1s"] * stays))
    begun = subprocess.run(
        ["unshare", "-Ur", "sh", "-c", script, "sh", *COMMAND, *words],
        env=where.home.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if begun.returncode == 77:
        pytest.skip(f"no user namespaces to be had here: {begun.stderr}")
    job, found = why(where.cli, json.loads(begun.stdout)["id"])
    assert job["status"] == "completed" and not (where.repo / "inside").exists()
    assert found["reason"] == "sandbox" and "doctor" in found["advice"][0], found
    assert "namespace" in found["evidence"][0], found


def test_a_sandbox_within_the_sandbox(here: Place) -> None:
    """An agent that cannot make one of its own has one that works."""
    complains = "echo 'bwrap: No permissions to create a new namespace'; exit 1"
    here.model.on("%%within", Step.command(complains), Step.command("true"), Step.message("Done."))
    job, found = why(here.cli, begin(here.cli, here.repo, "%%within"))
    assert (job["status"], found["reason"]) == ("completed", "none"), found


def test_no_memory_to_be_had(here: Place) -> None:
    """A real limit, put on Codex while it works: what it has already is all it gets."""
    gate = here.model.gate("memory")
    here.model.on("%%memory", Step.hold(gate, Step.message("word " * 400_000)))
    job_id = begin(here.cli, here.repo, "%%memory")
    gate.reached()
    pid = pid_of(here, job_id)
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[0])
    size = pages * resource.getpagesize()
    resource.prlimit(pid, resource.RLIMIT_AS, (size, size))
    gate.open()
    job, found = why(here.cli, job_id)
    assert reasons(job, found) == ("signal", "memory_limit"), (job["failure"], found)
    assert "memory allocation of" in found["evidence"][0] and "ulimit -v" in found["cause"]


def test_a_limit_on_the_size_of_files(here: Place) -> None:
    gate = here.model.gate("limit")
    here.model.on("%%limit", Step.hold(gate, Step.message("Never said.")))
    job_id = begin(here.cli, here.repo, "%%limit")
    gate.reached()
    resource.prlimit(pid_of(here, job_id), resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    gate.open()
    job, found = why(here.cli, job_id)
    assert reasons(job, found) == ("signal", "process_limit"), (job["failure"], found)
    assert "ulimit -f" in found["cause"]


def test_a_full_disk(home: Home, here: Place, small_disk: Path) -> None:
    """Codex's own folder is full; ours has room."""
    folder = small_disk / "codex"
    make_codex_home(folder, here.model.base_url)
    hog = fill(small_disk)
    words = ("start", "%%full", "-d", str(here.repo), "--json")
    job_id = here.cli(*words, env={"CODEX_HOME": str(folder)}).ok().json()["id"]
    job, found = why(here.cli, job_id)
    hog.unlink()
    assert (job["status"], found["reason"]) == ("failed", "disk_full"), (job["failure"], found)


def test_a_folder_that_cannot_be_written(home: Home, here: Place, small_disk: Path) -> None:
    folder = small_disk / "codex"
    make_codex_home(folder, here.model.base_url)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    words = ("start", "%%read-only", "-d", str(here.repo), "--json")
    job, found = why(here.cli, here.cli(*words, env={"CODEX_HOME": str(folder)}).ok().json()["id"])
    assert (job["status"], found["reason"]) == ("failed", "not_permitted"), (job["failure"], found)
    assert str(folder) in found["advice"][0]


def test_the_machine_restarted(here: Place) -> None:
    """A record of before: its boot is not this one, and whoever had its pids is somebody else."""
    here.model.on("%%boot", Step.message("Done."))
    job_id = begin(here.cli, here.repo, "%%boot")
    ended(here.cli, job_id)
    store = Store(str(here.home.agent_home))
    lost = store.load(job_id)
    facts = lost.facts
    facts.boot_id, facts.ended_at, facts.settled_by = "11111111-2222-3333-4444-555555555555", None, None
    facts.turn.state, facts.exit_code = "open", None
    with (here.home.jobs / f"{job_id}.jsonl").open() as stream:
        begun = [line for line in stream if '"thread.started"' in line or '"turn.started"' in line]
    (here.home.jobs / f"{job_id}.jsonl").write_text("".join(begun))
    store.save(lost)
    job, found = why(here.cli, job_id)
    assert (job["status"], *reasons(job, found)) == ("interrupted", "interrupted", "reboot"), (job, found)
    assert "restarted" in found["cause"] and "11111111" in found["evidence"][0]


# ---- signals ----


@pytest.mark.parametrize(
    ("number", "reason", "says"),
    [
        (signal.SIGKILL, "signal", "memory"),
        (signal.SIGTERM, "asked_to_end", "SIGTERM"),
        (signal.SIGILL, "crash", "SIGILL"),
        (signal.SIGUSR1, "signal_other", "SIGUSR1"),
    ],
)
def test_a_signal_ends_codex(number: signal.Signals, reason: str, says: str, here: Place) -> None:
    gate = here.model.gate(reason)
    here.model.on(f"%%{reason}%%", Step.hold(gate))
    job_id = begin(here.cli, here.repo, f"%%{reason}%%")
    gate.reached()
    os.kill(pid_of(here, job_id), number)
    job, found = why(here.cli, job_id)
    gate.open()
    assert reasons(job, found) == ("signal", reason) and says in found["cause"], found
    assert found["evidence"][0].endswith(number.name) and job_id in found["advice"][-1]


def test_a_kill_that_the_control_group_counted(here: Place) -> None:
    """As the supervisor writes it down when the kernel's counter has grown meanwhile."""
    gate = here.model.gate("counted")
    here.model.on("%%counted", Step.hold(gate))
    job_id = begin(here.cli, here.repo, "%%counted")
    gate.reached()
    os.kill(pid_of(here, job_id), signal.SIGKILL)
    ended(here.cli, job_id)
    gate.open()
    store = Store(str(here.home.agent_home))
    counted = store.load(job_id)
    counted.facts.oom_kills = 1
    store.save(counted)
    found = cause(here.cli, job_id)
    assert found["reason"] == "memory" and "control group" in found["evidence"][0], found


def test_the_supervisor_is_killed(here: Place) -> None:
    job_id = working(here.cli, here.model, here.repo, "%%lost")
    os.kill(pid_of(here, job_id, "supervisor"), signal.SIGKILL)
    job, found = why(here.cli, job_id)
    assert (job["status"], *reasons(job, found)) == ("interrupted", "interrupted", "lost_supervisor"), found


def test_the_supervisor_is_killed_in_line(here: Place) -> None:
    with held(str(here.home.agent_home), "line"):
        job_id = begin(here.cli, here.repo, "%%line", "--gate", "line")
        os.kill(pid_of(here, job_id, "supervisor"), signal.SIGKILL)
        job, found = why(here.cli, job_id)
    assert reasons(job, found) == ("interrupted", "lost_queue"), found


# ---- people, and time ----


def test_people_end_it(here: Place) -> None:
    """One agent for each way; they have nothing to do with each other."""
    ways = {"killed": "killed", "closed": "closed", "ctrl_c": "interrupted", "turn_aborted": "turn_aborted"}
    for reason, failure in ways.items():
        gate = here.model.gate(reason)
        here.model.on(f"%%{reason}%%", Step.hold(gate))
        job_id = begin(here.cli, here.repo, f"%%{reason}%%", "--no-overlap-check")
        gate.reached()
        session = f"=codex-agent-{job_id}"
        if reason == "killed":
            here.cli("kill", job_id).ok()
        elif reason == "closed":
            assert here.home.tmux("kill-session", "-t", session).returncode == 0
        elif reason == "ctrl_c":
            assert here.home.tmux("send-keys", "-t", f"{session}:", "C-c").returncode == 0
        else:
            os.kill(pid_of(here, job_id), signal.SIGINT)
        job, found = why(here.cli, job_id)
        gate.open()
        assert (job["status"], *reasons(job, found)) == ("interrupted", failure, reason), (job["failure"], found)
        assert f'codex-agent send {job_id} "go on"' in found["advice"][-1]


def test_time_is_up(here: Place) -> None:
    for option, reason in (("--timeout", "timeout_inactivity"), ("--max-time", "timeout_total")):
        gate = here.model.gate(reason)
        here.model.on(f"%%{reason}%%", Step.hold(gate))
        job, found = why(here.cli, begin(here.cli, here.repo, f"%%{reason}%%", option, "1s"))
        gate.open()
        assert reasons(job, found) == (reason, reason) and "1.0s" in found["cause"], found
        assert option in str(found["advice"])


# ---- agents that stay ----


def test_an_agent_that_stays(here: Place) -> None:
    """What it waits for, what its turn failed for, and what ended its app-server."""
    here.model.on("%%stays", wants("touch /tmp/never"), Step.message("Done."))
    job_id = stay(here.cli, here.repo, "%%stays", "--approval", "on-request", *QUESTIONS)
    found = cause(here.cli, job_id, until=lambda it: it["reason"] == "waiting_approval")
    assert "touch /tmp/never" in found["cause"] and f"approve {job_id} 1" in found["advice"][0], found
    here.cli("deny", job_id).ok()
    found = cause(here.cli, job_id, until=lambda it: "waits for a message" in it["cause"])
    assert found["reason"] == "none"
    here.model.on("%%which", asks(("Which one?", ["A", "B"])), Step.message("Done."))
    here.cli("send", job_id, "%%which")
    found = cause(here.cli, job_id, until=lambda it: it["reason"] == "waiting_input")
    assert "Which one?" in found["cause"] and f"answer {job_id} -n 2" in found["advice"][0], found
    here.cli("answer", job_id, "1").ok()
    cause(here.cli, job_id, until=lambda it: "waits for a message" in it["cause"])
    here.model.on("%%more", Step.failed("context_length_exceeded"))
    here.cli("send", job_id, "%%more")
    found = cause(here.cli, job_id, until=lambda it: it["reason"] == "context_window")
    assert "window" in found["cause"] and "Send it a message" in found["advice"][0], found
    os.kill(pid_of(here, job_id), signal.SIGKILL)
    job, found = why(here.cli, job_id)
    assert reasons(job, found) == ("signal", "signal"), (job["failure"], found)
