"""What goes wrong around a running job: programs missing or dying, models refusing, disks filling."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.cli import COMMAND
from support.disks import fill, small_disk
from support.jobs import begin, ended, record, see, working
from support.processes import job_processes

__all__ = ["small_disk"]  # a fixture


def pid_of(home: Home, job_id: str, who: str) -> int:
    """The pid the record has of the job's ``codex`` or ``supervisor``."""
    facts = record(home, job_id).facts
    process = facts.codex if who == "codex" else facts.supervisor
    assert process is not None
    return process.pid


def nobody_left(home: Home) -> None:
    """No process of the job lives: not Codex, not its commands, not the supervisor."""
    until(lambda: not job_processes(str(home.agent_home)), 10, "every process of the job gone")


# ---- programs ----


def test_tmux_missing(cli: Cli, home: Home, repo: Path) -> None:
    empty = home.root / "no-tmux"
    empty.mkdir()
    answer = cli("start", "x", "-d", str(repo), "--json", env={"PATH": str(empty)})
    assert answer.rc == 5 and answer.json()["error"]["code"] == "missing_program"
    assert "tmux" in answer.json()["error"]["message"] and answer.json()["error"]["hint"]
    assert not list(home.jobs.glob("*"))


@pytest.mark.parametrize("says", ["tmux 2.9a", "screen 4.9", ""])
def test_tmux_too_old_or_no_tmux(says: str, cli: Cli, home: Home, repo: Path) -> None:
    fake = home.root / "old-tmux"
    fake.mkdir()
    (fake / "tmux").write_text(f"#!/bin/sh\necho '{says}'\n")
    (fake / "tmux").chmod(0o755)
    answer = cli("start", "x", "-d", str(repo), env={"PATH": f"{fake}:{home.env['PATH']}"})
    assert answer.rc == 5 and ("too old" in answer.err if says.startswith("tmux") else "is no tmux" in answer.err)
    assert not list(home.jobs.glob("*.json"))


def test_a_machine_on_which_tmux_never_ran(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """The folder of tmux's default socket is not there yet."""
    places = Path(home.tmux_socket).parent / "t"  # short enough for a socket
    places.mkdir()
    del home.env["CODEX_AGENT_TMUX_SOCKET"]
    model.on("%%first", Step.message("done"))
    job = (
        cli("start", "%%first", "-d", str(repo), "--wait", "--json", env={"TMUX_TMPDIR": str(places)}).ok().json()
    )
    assert job["tmux_socket"] == str(places / f"tmux-{os.getuid()}" / "default")


def test_codex_missing(cli: Cli, home: Home, repo: Path) -> None:
    answer = cli("start", "x", "-d", str(repo), "--json", env={"CODEX_AGENT_CODEX": str(home.root / "nowhere")})
    assert answer.rc == 5 and "nowhere" in answer.json()["error"]["message"]
    assert not list(home.jobs.glob("*.json"))


def test_codex_not_executable(cli: Cli, home: Home, repo: Path) -> None:
    plain = home.root / "codex"
    plain.write_text("#!/bin/sh\necho codex-cli 0.163.0\n")
    answer = cli("start", "x", "-d", str(repo), "--json", env={"CODEX_AGENT_CODEX": str(plain)})
    assert answer.rc == 5 and answer.json()["error"]["code"] == "missing_program"


def test_codex_with_a_nonsense_version(cli: Cli, home: Home, repo: Path) -> None:
    strange = home.root / "codex"
    strange.write_text("#!/bin/sh\necho potato\n")
    strange.chmod(0o755)
    answer = cli("start", "x", "-d", str(repo), "--json", env={"CODEX_AGENT_CODEX": str(strange)})
    assert answer.rc == 5 and "potato" in answer.json()["error"]["message"]


def test_codex_cannot_be_run_after_all(home: Home, repo: Path) -> None:
    """Only the supervisor can see it: a command line that our limits allow and the tmux server's do not."""
    home.tmux("new-session", "-d", "-s", "keeps-the-server", "sleep 60")
    program = (
        "import os, resource, sys; resource.setrlimit(resource.RLIMIT_STACK, (1 << 26, resource.RLIM_INFINITY));"
        "words = [w for n in range(30) for w in ('-c', f'x{n}=' + 'y' * 100_000)];"
        "os.execv(sys.argv[1], sys.argv[1:] + words)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, *COMMAND, "start", "x", "-d", str(repo), "--json"],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    error = json.loads(answer.stdout)["error"]
    assert answer.returncode == 1 and error["code"] == "spawn_failed" and "too long" in error["message"]
    assert not [path for path in home.jobs.iterdir() if path.name != ".settle.lock"], (
        "a failed start leaves no job"
    )
    assert "codex-agent-" not in home.tmux("ls").stdout
    home.tmux("kill-server")
    nobody_left(home)


# ---- deaths ----


@pytest.mark.parametrize("sandbox", ["workspace-write", "danger-full-access"])
def test_codex_killed_mid_turn(sandbox: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%codex-killed", "-s", sandbox)
    os.kill(pid_of(home, job_id, "codex"), signal.SIGKILL)
    job = ended(cli, job_id)
    assert (job["status"], job["failure"]["reason"], job["failure"]["signal"]) == ("failed", "signal", 9)
    nobody_left(home)


@pytest.mark.parametrize("sandbox", ["workspace-write", "danger-full-access"])
def test_supervisor_killed(sandbox: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%supervisor-killed", "-s", sandbox)
    os.kill(pid_of(home, job_id, "supervisor"), signal.SIGKILL)
    job = see(cli, job_id)
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "interrupted"), (
        "at once, not after a while"
    )
    assert job["thread_id"], "what Codex had said is not lost"
    nobody_left(home)


def test_supervisor_and_guardian_killed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Nobody is left in the pane: the reader that settles the job ends what still runs, by the job's mark."""
    job_id = working(cli, model, repo, "%%both-killed", "-s", "danger-full-access")
    supervisor = pid_of(home, job_id, "supervisor")
    ours = {one.pid: one for one in job_processes(str(home.agent_home))}
    guardian = ours[ours[supervisor].parent]
    os.kill(guardian.pid, signal.SIGSTOP)  # so that it cannot act when the supervisor dies
    os.kill(supervisor, signal.SIGKILL)
    guardian.kill()
    assert see(cli, job_id)["status"] == "interrupted"
    nobody_left(home)


def test_session_closed_by_hand(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%closed")
    assert home.tmux("kill-session", "-t", f"=codex-agent-{job_id}").returncode == 0
    job = ended(cli, job_id)
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "closed")
    assert '"turn_aborted"' in Path(job["rollout"]).read_text(), "Codex was asked first"
    nobody_left(home)


def test_tmux_server_killed_mid_job(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%server-killed")
    os.kill(int(home.tmux("display-message", "-p", "#{pid}").stdout), signal.SIGKILL)
    job = ended(cli, job_id)
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "closed")
    nobody_left(home)
    assert cli("sessions", "--json").ok().json()["sessions"] == []


@pytest.mark.parametrize("key", ["C-c", "C-\\"])
def test_ctrl_c_in_the_pane(key: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%ctrl-c")
    home.tmux("send-keys", "-t", f"=codex-agent-{job_id}:", key)
    job = ended(cli, job_id)
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "interrupted")
    nobody_left(home)


def test_kill(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%kill", "-s", "danger-full-access")
    job = cli("kill", job_id, "--json").ok().json()
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "killed")
    assert '"turn_aborted"' in Path(job["rollout"]).read_text()
    nobody_left(home)


@pytest.mark.parametrize("how", ["kill", "close", "supervisor", "codex"])
def test_an_end_by_force_leaves_no_litter(
    how: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Codex's sandbox puts empty folders into the repository and TMPDIR, and cleans up unless it is killed."""
    scratch = home.root / "scratch"
    scratch.mkdir()
    home.env["TMPDIR"] = str(scratch)
    job_id = working(cli, model, repo, f"%%litter-{how}")
    assert len(os.listdir(repo)) > 3, "the test wants that litter"
    if how == "kill":
        cli("kill", job_id).ok()
    elif how == "close":
        home.tmux("kill-session", "-t", f"=codex-agent-{job_id}")
    else:
        os.kill(pid_of(home, job_id, how), signal.SIGKILL)
    ended(cli, job_id)
    nobody_left(home)
    assert sorted(os.listdir(repo)) == [".git", "README.md", "begun"]
    assert {name for name in os.listdir(scratch) if not name.startswith("codex-")} == set()


def test_kill_of_a_finished_job_changes_nothing(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%quick", Step.message("done"))
    job_id = begin(cli, repo, "%%quick")
    before = ended(cli, job_id)
    files = {path.name: path.read_bytes() for path in home.jobs.glob(f"{job_id}.*")}
    answer = cli("kill", job_id, "--json")
    assert answer.rc == 4 and answer.json()["error"]["code"] == "bad_state"
    assert see(cli, job_id) == before
    assert {path.name: path.read_bytes() for path in home.jobs.glob(f"{job_id}.*")} == files


def test_two_kills_at_once(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%two-kills")
    both = [cli.start("kill", job_id, "--json") for _ in range(2)]
    codes = []
    for process in both:
        process.communicate(timeout=30)
        codes.append(process.returncode)
    assert 0 in codes and set(codes) <= {0, 4}
    job = see(cli, job_id)
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "killed")
    nobody_left(home)


def test_kill_of_a_supervisor_that_does_not_answer(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%deaf", "-s", "danger-full-access")
    os.kill(pid_of(home, job_id, "supervisor"), signal.SIGSTOP)
    job = cli("kill", job_id, "--json").ok().json()
    assert job["status"] == "interrupted"
    nobody_left(home)


# ---- time-outs ----


def test_inactivity(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%idle", Step.command("sleep 987"), Step.message("never"))
    job = ended(cli, begin(cli, repo, "%%idle", "--timeout", "1.5s"))
    assert (job["status"], job["failure"]["reason"]) == ("failed", "timeout_inactivity")
    nobody_left(home)


def test_reconnecting_is_no_activity(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Codex tries for ever when nothing answers, and says so each time."""
    model.refuse()
    job_id = begin(cli, repo, "%%nobody", "--timeout", "6s")
    job = until(lambda: (one := see(cli, job_id))["turn_state"] == "reconnecting" and one, 20, "reconnecting")
    assert isinstance(job, dict) and "onnection" in job["turn_state_reason"] and job["status"] == "running"
    job = ended(cli, job_id, 40)
    assert (job["status"], job["failure"]["reason"]) == ("failed", "timeout_inactivity")
    assert "onnection" in job["failure"]["message"] and "network" in job["failure"]["hint"]


def test_max_time(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%long", Step.command("sleep 987"), Step.message("never"))
    job = ended(cli, begin(cli, repo, "%%long", "--max-time", "1s"))
    assert (job["status"], job["failure"]["reason"]) == ("failed", "timeout_total")


# ---- what the model may do ----

USAGE_LIMIT = {"error": {"type": "usage_limit_reached", "message": "x", "resets_in_seconds": 3600}}
REFUSALS: dict[str, tuple[Step, str]] = {
    "401": (Step.http(401, {"error": {"message": "bad key"}}), "auth"),
    "429": (Step.http(429, {"error": {"message": "slow down"}}), "rate_limit"),
    "usage-limit": (Step.http(429, USAGE_LIMIT), "usage_limit"),
    "500": (Step.http(500, "oops"), "model_error"),
    "cut": (Step.cut(), "network"),
    "context": (Step.failed("context_length_exceeded", "too long"), "context_window"),
    "quota": (Step.failed("insufficient_quota", "no money"), "quota"),
    "incomplete": (Step.incomplete(), "model_error"),
}
# Fewer and faster tries than Codex's own, so that the suite need not wait for them.
FEW = ("-c", "model_providers.mock.request_max_retries=1", "-c", "model_providers.mock.stream_max_retries=1")


@pytest.mark.parametrize("name", REFUSALS)
def test_the_model_refuses(name: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    step, reason = REFUSALS[name]
    model.on(f"%%refuse-{name}", *[step] * 40)
    job_id = begin(cli, repo, f"%%refuse-{name}", *provider(home, FEW))
    job = ended(cli, job_id, 60)
    assert (job["status"], job["failure"]["reason"]) == ("failed", reason), job["failure"]
    assert job["failure"]["exit_code"] == 1 and job["failure"]["message"]
    assert cli("wait", job_id).rc == 1


def provider(home: Home, options: tuple[str, ...]) -> tuple[str, ...]:
    """The options, for the provider that this home's Codex configuration names."""
    config = (home.codex_home / "config.toml").read_text()
    name = next(line.split('"')[1] for line in config.splitlines() if line.startswith("model_provider "))
    return tuple(option.replace(".mock.", f".{name}.") for option in options)


def test_a_cut_stream_that_recovers_is_no_failure(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%once", Step.flaking(1, Step.cut(), Step.message("back again")))
    job = ended(cli, begin(cli, repo, "%%once"))
    assert (job["status"], job["failure"], job["summary"]) == ("completed", None, "back again")


def test_noise_on_stderr_is_no_failure(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Codex logs an ERROR for a tool it does not have, and the turn goes on."""
    model.on("%%noise", Step.call("no_such_tool", {"a": 1}), Step.message("fine"))
    job_id = begin(cli, repo, "%%noise")
    assert ended(cli, job_id)["status"] == "completed"
    assert "ERROR" in (home.jobs / f"{job_id}.stderr").read_text(), "the test wants that noise"


def test_outside_a_repository(cli: Cli, home: Home, model: ModelServer) -> None:
    """Codex would come up, refuse and be gone: said before anything starts."""
    answer = cli("start", "%%x", "-d", "/", "--json")
    assert answer.rc == 2 and "--skip-git-repo-check" in answer.json()["error"]["hint"]
    assert not home.jobs.exists()
    model.on("%%x", Step.message("fine"))
    job = (
        cli("start", "%%x", "-d", "/", "-s", "read-only", "--skip-git-repo-check", "--wait", "--json").ok().json()
    )
    assert job["status"] == "completed"


# ---- volume ----


def test_thirty_starts_at_once(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    for number in range(30):
        model.on(f"%%one-of-30-{number}-", Step.message(f"answer {number}"))
    starters = {n: cli.start("start", f"%%one-of-30-{n}-", "-d", str(repo), "--json") for n in range(30)}
    ids = {}
    for number, process in starters.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err + out
        ids[number] = json.loads(out)["id"]
    assert len(set(ids.values())) == 30
    assert cli("wait", *ids.values(), timeout_s=120).rc == 0
    listed = {job["id"]: job for job in cli("jobs", "--all", "--json").json()["jobs"]}
    assert len(listed) == 30
    for number, job_id in ids.items():
        job = listed[job_id]
        assert (job["prompt"], job["summary"]) == (f"%%one-of-30-{number}-", f"answer {number}")
        assert (home.jobs / f"{job_id}.result").read_text() == f"answer {number}"
        assert Path(job["rollout"]).name.endswith(f"{job['thread_id']}.jsonl")


def test_log_of_200_mb(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Reading it takes the memory of a few blocks, not of the log."""
    model.on("%%log", Step.message("done"))
    job_id = begin(cli, repo, "%%log")
    ended(cli, job_id)
    line = b"\x1b[2m" + b"x" * 94 + b"\x1b[0m\n"
    with (home.jobs / f"{job_id}.log").open("ab") as log:
        for _ in range(200):
            log.write(line * (1_000_000 // len(line)))
        log.write(b"the very last line\n")
    assert (home.jobs / f"{job_id}.log").stat().st_size > 195_000_000
    started = time.monotonic()
    assert cli("capture", job_id, "3").out.splitlines()[-1] == "the very last line"
    assert time.monotonic() - started < 10
    peak = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >/dev/null', "sh", *MEASURED, "output", job_id, "--strip-ansi"],
        env=home.env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(peak.stderr.split()[-1]) < 80 * 1024, f"peak {peak.stderr} KiB"


_SRC = str(Path(__file__).parents[1] / "src")
MEASURED = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {_SRC!r}); from codex_agent.cli.app import run;"
    "code = run(sys.argv[1:]);"
    # Not ru_maxrss: that of a process begun with vfork is at least its parent's.
    "told = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'));"
    "print(told, file=sys.stderr); sys.exit(code)",
)


def test_disk_full_before_the_start(
    cli: Cli, home: Home, model: ModelServer, repo: Path, small_disk: Path
) -> None:
    cli("health")
    hog = fill(small_disk)
    answer = cli("start", "%%full", "-d", str(repo), "--json")
    assert answer.rc == 1 and answer.json()["error"]["code"] == "store_unwritable"
    assert "full" in answer.json()["error"]["hint"]
    assert cli("jobs", "--json").ok().json()["jobs"] == []
    hog.unlink()
    model.on("%%full", Step.message("room again"))
    assert ended(cli, begin(cli, repo, "%%full"))["status"] == "completed"


def test_disk_full_while_it_runs(cli: Cli, home: Home, model: ModelServer, repo: Path, small_disk: Path) -> None:
    """The job goes on, is told as running as long as its end cannot be written, and nothing of it is lost."""
    gate = model.gate("full")
    model.on("%%filling", Step.hold(gate, Step.message("no room " * 3000)))
    job_id = begin(cli, repo, "%%filling")
    gate.reached()
    hog = fill(small_disk)
    gate.open()
    until(lambda: not record_codex_alive(home, job_id), 20, "Codex's end")
    assert see(cli, job_id)["status"] == "running"
    hog.unlink()
    job = ended(cli, job_id)
    assert (job["status"], job["summary"][:8]) == ("completed", "no room ")
    assert (home.jobs / f"{job_id}.result").read_text() == "no room " * 3000
    assert any("missing" in warning for warning in job["warnings"]), "what could not be written is said"


def record_codex_alive(home: Home, job_id: str) -> bool:
    from codex_agent import kernel

    process = record(home, job_id).facts.codex
    return process is not None and kernel.is_same(process)
