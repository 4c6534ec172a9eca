"""Every command against real jobs: what a person reads, what a program reads, and the exit code.

Jobs that a test only looks at are made once a module (``jobs``); a test that changes something makes its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer

from codex_agent import __version__, schema
from codex_agent.cli.app import app
from codex_agent.demo.model_server import Gate, ModelServer, Step
from codex_agent.store import SUFFIXES, Store
from support import Cli, Home, Result, until
from support.cli import COMMAND
from support.jobs import Here, Place, begin, ended, place, see, working, write_record

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch\n"


@dataclass(frozen=True)
class Jobs:
    """Four jobs, oldest first: one completed, one failed, one was killed, one is at work."""

    place: Place
    done: str
    failed: str
    killed: str
    running: str
    gate: Gate

    @property
    def store(self) -> Store:
        return Store(str(self.place.home.agent_home))


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Jobs]:
    with place(tmp_path_factory.mktemp("jobs")) as here:
        cli, model, repo = here.cli, here.model, here.repo
        model.on("%%done", Step.command("echo hello"), Step.patch(PATCH), Step.message("All is done.\nReally."))
        done = begin(cli, repo, "%%done\nand more", "--name", "tidy up")
        ended(cli, done)
        model.on("%%failed", Step.failed("insufficient_quota", "no money"))
        failed = begin(cli, repo, "%%failed")
        ended(cli, failed)
        killed = working(cli, model, repo, "%%killed")
        cli("kill", killed).ok()
        gate = model.gate("running")
        model.on("%%running", Step.command("echo so far"), Step.hold(gate, Step.message("at last")))
        running = begin(cli, repo, "%%running")
        gate.reached()
        until(lambda: "so far" in cli("capture", running).out, 10, "the command in the log")
        until(lambda: see(cli, running)["tokens"], 10, "what the rollout tells")
        yield Jobs(here, done, failed, killed, running, gate)


@pytest.fixture
def look(jobs: Jobs, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    """The command line in this process, on those jobs."""
    return Here(jobs.place.home, monkeypatch, capfd)


def told(command: str, answer: Result) -> Any:
    """The JSON of this answer, if it is exactly what the documents say the command prints."""
    data = answer.json()
    schema.check(schema.COMMANDS[command], data)
    return data


# ---- looking ----


def test_status(look: Here, jobs: Jobs) -> None:
    job = told("status", look("status", jobs.done, "--json").ok())
    assert (job["id"], job["name"], job["status"], job["turn_state"]) == (jobs.done, "tidy up", "completed", None)
    assert (job["prompt"], job["summary"]) == ("%%done\nand more", "All is done.\nReally.")
    assert (job["files_modified"], job["exit_code"], job["failure"]) == (["made.txt"], 0, None)
    assert job["tmux_session"] == f"codex-agent-{jobs.done}" and job["tmux_socket"] == jobs.place.home.tmux_socket
    assert job["created_at"] <= job["started_at"] <= job["completed_at"] and job["elapsed_ms"] > 0
    text = look("status", jobs.done).ok().out
    assert text.splitlines()[0] == f"{jobs.done}  tidy up  completed"
    for words in (
        "%%done and more",
        "workspace-write",
        str(jobs.place.repo),
        "made.txt",
        "All is done.",
        "3600 in",
    ):
        assert words in text, text
    assert "\x1b" not in text, "no colors but on a terminal"


def test_status_of_what_went_otherwise(look: Here, jobs: Jobs) -> None:
    job = told("status", look("status", jobs.failed, "--json").ok())
    assert (job["status"], job["failure"]["reason"], job["exit_code"]) == ("failed", "quota", 1)
    job = told("status", look("status", jobs.killed, "--json").ok())
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "killed")
    job = told("status", look("status", jobs.running, "--json").ok())
    assert (job["status"], job["turn_state"], job["completed_at"]) == ("running", "working", None)
    assert job["thread_id"] and job["failure"] is None and job["summary"] is None
    until(lambda: see(jobs.place.cli, jobs.running)["tokens"], 10, "what is known so far")
    assert "failed/quota" in look("status", jobs.failed).ok().out
    assert "running/working" in look("status", jobs.running).ok().out


def test_ids_by_prefix_and_by_name_everywhere(look: Here, jobs: Jobs) -> None:
    others = {jobs.failed, jobs.killed, jobs.running}
    short = next(jobs.done[:n] for n in range(1, 9) if not any(one.startswith(jobs.done[:n]) for one in others))
    for ref in (jobs.done, short, "tidy up"):
        assert told("status", look("status", ref, "--json"))["id"] == jobs.done
        assert [job["id"] for job in told("wait", look("wait", ref, "--json"))["jobs"]] == [jobs.done]
        assert told("capture", look("capture", ref, "--json"))["id"] == jobs.done
        assert told("output", look("output", ref, "--json"))["id"] == jobs.done
        assert json.loads(look("watch", ref, "--json").out.splitlines()[-1])["id"] == jobs.done
        for command in ("attach", "kill"):
            error = look(command, ref, "--json").json()["error"]
            assert (error["code"], error["id"]) == ("bad_state", jobs.done)


def test_one_job_named_twice_is_one_job(look: Here, jobs: Jobs) -> None:
    assert len(told("wait", look("wait", jobs.done, "tidy up", jobs.done, "--json"))["jobs"]) == 1


def test_list(look: Here, jobs: Jobs) -> None:
    """Running ones first, then the newest."""
    listed = told("jobs", look("jobs", "--json").ok())
    assert [job["id"] for job in listed["jobs"]] == [jobs.running, jobs.killed, jobs.failed, jobs.done]
    assert listed["problems"] == [] and listed["generated_at"] >= listed["jobs"][0]["created_at"]
    for job in listed["jobs"]:
        one = told("status", look("status", job["id"], "--json"))
        assert one | {"elapsed_ms": 0} == job | {"elapsed_ms": 0}, "the same shape and the same facts"
    lines = look("jobs").ok().out.splitlines()
    assert lines[0].split() == ["ID", "STATUS", "TIME", "TOKENS", "FILES", "TASK"] and len(lines) == 5
    assert [line.split()[0] for line in lines[1:]] == [jobs.running, jobs.killed, jobs.failed, jobs.done]
    assert [line.split()[1] for line in lines[1:]] == [
        "running/working", "interrupted/killed", "failed/quota", "completed",
    ]  # fmt: skip
    assert lines[4].endswith("[tidy up] %%done and more")
    assert all(len(line) <= 80 for line in look("jobs", env={"COLUMNS": "80"}).ok().out.splitlines())


def test_list_in_part(look: Here, jobs: Jobs) -> None:
    def ids(*words: str, **env: str) -> list[str]:
        return [job["id"] for job in told("jobs", look("jobs", "--json", *words, env=env).ok())["jobs"]]

    everything = [jobs.running, jobs.killed, jobs.failed, jobs.done]
    assert ids("--limit", "2") == everything[:2]
    assert ids(CODEX_AGENT_JOBS_LIMIT="3") == everything[:3]
    assert ids("--limit", "4", CODEX_AGENT_JOBS_LIMIT="1") == everything
    assert ids("--all", CODEX_AGENT_JOBS_LIMIT="1") == everything
    assert ids("--status", "failed") == [jobs.failed]
    assert ids("--status", "running") == [jobs.running]
    assert ids("--status", "pending") == []
    assert ids("--status", "completed", "--limit", "1") == [jobs.done], "chosen first, then counted"
    assert look("jobs", "--status", "pending").ok().out == "No jobs.\n"


def test_twenty_unless_told_otherwise(cli: Cli, home: Home) -> None:
    store = Store(str(home.agent_home))
    for number in range(25):
        write_record(store, f"{number:08x}")
    assert len(cli("jobs", "--json").ok().json()["jobs"]) == 20
    assert len(cli("jobs").ok().out.splitlines()) == 21
    assert len(cli("jobs", "--all", "--json").ok().json()["jobs"]) == 25


def test_colors_only_on_a_terminal(jobs: Jobs) -> None:
    home = jobs.place.home
    assert "\x1b[32m" in on_a_terminal(home, "jobs")[1]
    assert "\x1b[" not in on_a_terminal(home, "jobs", NO_COLOR="1")[1]


def on_a_terminal(home: Home, *args: str, **env: str) -> tuple[int, str]:
    """Exit code and output of one call whose stdin and stdout are a terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(home.root)
        os.execve(COMMAND[0], [*COMMAND, *args], home.env | env)
    output = b""
    with contextlib.suppress(OSError):  # EIO is how Linux says that the other side is closed
        while block := os.read(terminal, 1 << 16):
            output += block
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.decode()


# ---- waiting ----


def test_wait_for_what_has_ended(look: Here, jobs: Jobs) -> None:
    done = look("wait", jobs.done)
    assert done.rc == 0 and done.out == f"{jobs.done}  completed\n"
    failed = look("wait", jobs.done, jobs.failed)
    assert failed.rc == 1 and f"{jobs.failed}  failed/quota" in failed.out
    answer = look("wait", jobs.killed, jobs.done, "--json")
    assert answer.rc == 1
    assert [job["id"] for job in told("wait", answer)["jobs"]] == [jobs.killed, jobs.done], "in the order asked"


def test_wait_for_any(look: Here, jobs: Jobs) -> None:
    assert look("wait", "--any", jobs.running, jobs.done).rc == 0
    answer = look("wait", "--any", jobs.running, jobs.failed, "--json")
    assert answer.rc == 1 and [job["status"] for job in told("wait", answer)["jobs"]] == ["running", "failed"]


def test_wait_gives_up(look: Here, jobs: Jobs) -> None:
    answer = look("wait", jobs.done, jobs.running, "--timeout", "0.2", "--json")
    assert answer.rc == 124 and 0.2 <= answer.seconds < 10
    assert [job["status"] for job in told("wait", answer)["jobs"]] == ["completed", "running"]
    text = look("wait", "--all", jobs.running, "--timeout", "0")
    assert text.rc == 124 and "running/working" in text.out and "Timed out after 0 s" in text.err


def sleeps_on_a_lock(pid: int) -> bool:
    """Whether the kernel lists this process as one that waits for a shared lock."""
    return bool(re.search(rf"-> FLOCK  ADVISORY  READ {pid} ", Path("/proc/locks").read_text()))


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="looks into /proc")
def test_wait_uses_no_cpu(jobs: Jobs) -> None:
    """Asleep in the kernel on the jobs' locks: neither clock ticks nor wake-ups while nothing happens."""
    waiter = jobs.place.cli.start("wait", jobs.running, jobs.done)

    def spent() -> tuple[int, int]:
        fields = Path(f"/proc/{waiter.pid}/stat").read_bytes().rpartition(b")")[2].split()
        threads = Path(f"/proc/{waiter.pid}/task").glob("*/status")
        switches = sum(
            int(line.split()[1]) for file in threads for line in file.read_text().splitlines() if "ctxt" in line
        )
        return int(fields[11]) + int(fields[12]), switches

    until(lambda: sleeps_on_a_lock(waiter.pid), 20, "waiting for the lock")
    looks = [spent()]
    for _ in range(8):  # the first looks may come before its other threads are at rest
        with pytest.raises(subprocess.TimeoutExpired):
            waiter.communicate(timeout=0.7)
        looks.append(spent())
        if looks[-1] == looks[-2]:
            break
    assert looks[-1] == looks[-2], looks
    waiter.kill()


def test_wait_is_woken_by_the_end(cli: Cli, model: ModelServer, repo: Path) -> None:
    gates = [model.gate(name) for name in ("one", "two")]
    for name, gate in zip(("one", "two"), gates, strict=True):
        model.on(f"%%wake-{name}", Step.hold(gate, Step.message(name)))
    first, second = (begin(cli, repo, f"%%wake-{name}") for name in ("one", "two"))
    for gate in gates:
        gate.reached()
    both = cli.start("wait", first, second, "--json")
    either = cli.start("wait", first, second, "--any", "--json")
    gates[1].open()
    answer = json.loads(either.communicate(timeout=20)[0])
    assert either.returncode == 0 and [job["status"] for job in answer["jobs"]] == ["running", "completed"]
    assert both.poll() is None
    gates[0].open()
    answer = json.loads(both.communicate(timeout=20)[0])
    assert both.returncode == 0 and [job["status"] for job in answer["jobs"]] == ["completed"] * 2


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="looks into /proc")
def test_wait_can_be_interrupted(jobs: Jobs) -> None:
    waiter = jobs.place.cli.start("wait", jobs.running)
    until(lambda: sleeps_on_a_lock(waiter.pid), 20, "waiting for the lock")
    waiter.send_signal(signal.SIGINT)
    assert "Traceback" not in waiter.communicate(timeout=10)[1]
    assert waiter.returncode == 130


# ---- what it showed ----


def test_capture(look: Here, jobs: Jobs) -> None:
    every = told("capture", look("capture", jobs.done, "999", "--strip-ansi", "--json").ok())["lines"]
    text = "\n".join(every)
    for words in ("echo hello", "hello", "made.txt", "All is done.", "Really."):
        assert words in text
    assert "{" not in text, "an agent at work, and not JSON"
    assert "\x1b[" not in text
    assert look("capture", jobs.done, "2", "--clean").ok().out.splitlines() == every[-2:]
    assert len(look("capture", jobs.done).ok().out.splitlines()) == min(50, len(every))
    assert "so far" in look("capture", jobs.running).ok().out


def test_capture_is_what_the_pane_shows(look: Here, jobs: Jobs) -> None:
    shown = "".join(look("capture", jobs.running, "--strip-ansi").ok().out.split())

    def pane() -> str:  # without the places where it wraps its lines
        told = jobs.place.home.tmux("capture-pane", "-p", "-t", f"=codex-agent-{jobs.running}:").stdout
        return "".join(told.split())

    assert shown != ""
    until(lambda: pane() == shown, 10, "tmux shows the same")


def test_output(look: Here, jobs: Jobs) -> None:
    log = told("output", look("output", jobs.done, "--json").ok())
    assert log["kind"] == "log" and "All is done." in log["text"]
    assert look("output", jobs.done).ok().out == log["text"]
    assert Path(jobs.store.path(jobs.done, ".log")).read_text() == log["text"]
    stripped = look("output", jobs.done, "--strip-ansi").ok().out
    assert "\x1b[" not in stripped and "All is done." in stripped
    assert told("output", look("output", jobs.done, "--clean", "--json").ok())["text"] == stripped
    result = told("output", look("output", jobs.done, "--result", "--json").ok())
    assert (result["kind"], result["text"]) == ("result", "All is done.\nReally.")
    assert look("output", jobs.done, "--result").ok().out == "All is done.\nReally.\n"
    prompt = told("output", look("output", jobs.done, "--prompt", "--json").ok())
    assert (prompt["kind"], prompt["text"]) == ("prompt", "%%done\nand more")


def test_events(look: Here, jobs: Jobs) -> None:
    answer = told("output --events", look("output", jobs.done, "--events", "--json").ok())
    kinds = [event["event"] for event in answer["events"]]
    assert kinds == ["started", "thread", "turn_started", "turn_ended", "exited", "ended"]
    assert [event["at"] for event in answer["events"]] == sorted(event["at"] for event in answer["events"])
    assert answer["bad_lines"] == 0 and answer["events"][-1]["status"] == "completed"
    lines = look("output", jobs.done, "--events").ok().out.splitlines()
    assert len(lines) == len(kinds) and "ended status=completed" in lines[-1]
    killed = told("output --events", look("output", jobs.killed, "--events", "--json").ok())["events"]
    assert "kill_asked" in [event["event"] for event in killed]


def test_there_is_no_result_before_the_end(look: Here, jobs: Jobs) -> None:
    for job_id, words in ((jobs.running, "running"), (jobs.killed, "interrupted"), (jobs.failed, "failed")):
        answer = look("output", job_id, "--result", "--json")
        assert answer.rc == 4 and answer.json()["error"]["code"] == "bad_state"
        assert words in answer.json()["error"]["message"] and job_id in answer.json()["error"]["hint"]


def test_a_reader_that_stops_reading_is_no_fault(home: Home) -> None:
    """`codex-agent output ID | head -n 1`, with more than a pipe takes."""
    write_record(Store(str(home.agent_home)), "abc00001")
    (home.jobs / "abc00001.log").write_text("a line\n" * 1_000_000)
    for command in (["output", "abc00001"], ["capture", "abc00001", "100000"]):
        done = subprocess.run(
            ["/bin/sh", "-c", '"$@" | head -n 1', "sh", *COMMAND, *command],
            env=home.env,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("a line\n", "")


@pytest.mark.parametrize("command", [["output", "abc00001"], ["capture", "abc00001"], ["jobs"], ["-h"]])
def test_a_reader_that_is_gone_is_no_fault(command: list[str], cli: Cli, home: Home) -> None:
    """Also with so little to say that it is only written at the end."""
    write_record(Store(str(home.agent_home)), "abc00001")
    (home.jobs / "abc00001.log").write_text("a line\n")
    read, write = os.pipe()
    os.close(read)
    process = cli.start(*command, stdout=write)
    os.close(write)
    assert process.communicate(timeout=20)[1] == "" and process.returncode == 1


# ---- watching and attaching ----


def test_watch_follows_until_the_end(cli: Cli, model: ModelServer, repo: Path) -> None:
    first, gate = model.gate("begun"), model.gate("watched")
    model.on(
        "%%watch",
        Step.hold(first, Step.command("echo one-by-one")),
        Step.hold(gate, Step.message("the last word")),
    )
    job_id = begin(cli, repo, "%%watch")
    first.reached()
    watchers = {"text": cli.start("watch", job_id, "--strip-ansi"), "json": cli.start("watch", job_id, "--json")}
    seen = dict.fromkeys(watchers, "")

    def read(name: str) -> None:
        out = watchers[name].stdout
        assert out is not None
        for line in out:
            seen[name] += line

    readers = [threading.Thread(target=read, args=(name,), daemon=True) for name in watchers]
    for reader in readers:
        reader.start()
    until(lambda: all(seen.values()), 20, "what it has shown so far")
    assert not any("one-by-one" in text for text in seen.values())
    first.open()
    until(lambda: all("one-by-one" in text for text in seen.values()), 20, "what has come since")
    assert all(watcher.poll() is None for watcher in watchers.values())
    assert not any("the last word" in text for text in seen.values())
    gate.open()
    for watcher, reader in zip(watchers.values(), readers, strict=True):
        assert watcher.wait(20) == 0
        reader.join(10)
    assert "the last word" in seen["text"] and cli("output", job_id, "--strip-ansi").out == seen["text"]
    *events, job = [json.loads(line) for line in seen["json"].splitlines()]
    assert [event["type"] for event in events][:2] == ["thread.started", "turn.started"]
    assert events[-1]["type"] == "turn.completed"
    schema.check(schema.COMMANDS["watch"], job)
    assert (job["id"], job["status"]) == (job_id, "completed")


def test_watch_of_what_has_ended(look: Here, jobs: Jobs) -> None:
    assert look("watch", jobs.done).ok().out == look("output", jobs.done).out
    failed = look("watch", jobs.failed, "--json")
    assert failed.rc == 1
    schema.check(schema.COMMANDS["watch"], json.loads(failed.out.splitlines()[-1]))


def test_attach_says_how(look: Here, jobs: Jobs) -> None:
    socket, session = jobs.place.home.tmux_socket, f"codex-agent-{jobs.running}"
    answer = told("attach", look("attach", jobs.running, "--json").ok())
    assert answer["command"] == ["tmux", "-S", socket, "attach-session", "-t", f"={session}"]
    assert (answer["tmux_session"], answer["tmux_socket"]) == (session, socket)
    assert look("attach", jobs.running).ok().out == f"tmux -S {socket} attach-session -t ={session}\n"
    inside = look("attach", jobs.running, "--json", env={"TMUX": f"{socket},1,0"}).ok().json()["command"]
    assert inside == ["tmux", "switch-client", "-t", f"={session}"]
    for ended_one in (jobs.done, jobs.killed):
        error = look("attach", ended_one, "--json")
        assert error.rc == 4 and error.json()["error"]["code"] == "bad_state"
        assert f"output {ended_one}" in error.json()["error"]["hint"]


@pytest.mark.parametrize("way", ["the printed command", "--exec"])
def test_attach_attaches(way: str, look: Here, jobs: Jobs) -> None:
    """On a terminal: the agent is seen at work, and the session knows who looks."""
    home = jobs.place.home
    printed = look("attach", jobs.running, "--json").ok().json()["command"]
    argv = printed if way == "the printed command" else [*COMMAND, "attach", jobs.running, "--exec"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, home.env)
    seen = ""

    def read() -> bool:
        nonlocal seen
        seen += os.read(terminal, 1 << 16).decode("utf-8", "replace")
        return "so far" in seen

    def row() -> dict[str, Any]:
        rows = told("sessions", look("sessions", "--json").ok())["sessions"]
        return next(one for one in rows if one["id"] == jobs.running)

    try:
        until(read, 20, "the agent on the terminal")
        assert row()["attached"] == 1
        assert "1 attached" in look("sessions").out
    finally:
        home.tmux("detach-client", "-s", f"=codex-agent-{jobs.running}")
        os.close(terminal)
        os.waitpid(pid, 0)
    until(lambda: row()["attached"] == 0, 10, "detached")
    assert see(jobs.place.cli, jobs.running)["status"] == "running", "a look changes nothing"


def test_sessions(look: Here, jobs: Jobs) -> None:
    """One for each job that runs; a stranger in our name is told as such."""
    home = jobs.place.home
    home.tmux("new-session", "-d", "-s", "codex-agent-0000dead", "sleep 600")
    home.tmux("new-session", "-d", "-s", "codex-agent-notes", "sleep 600")
    try:
        rows = told("sessions", look("sessions", "--json").ok())["sessions"]
        rows.sort(key=lambda row: not row["known"])  # tmux tells only the second in which they were opened
        assert [(row["id"], row["known"], row["status"]) for row in rows] == [
            (jobs.running, True, "running"),
            ("0000dead", False, None),
        ]
        assert rows[0]["command"] == look("attach", jobs.running, "--json").json()["command"]
        assert rows[0]["tmux_socket"] == home.tmux_socket
        lines = sorted(look("sessions").ok().out.splitlines(), key=lambda line: "unknown" in line)
        assert lines[0].startswith(f"codex-agent-{jobs.running}  running  nobody attached  tmux -S ")
        assert lines[1].startswith("codex-agent-0000dead  unknown job")
    finally:
        for name in ("0000dead", "notes"):
            home.tmux("kill-session", "-t", f"=codex-agent-{name}")


def test_sessions_without_any(cli: Cli, home: Home) -> None:
    assert told("sessions", cli("sessions", "--json").ok())["sessions"] == []
    assert cli("sessions").ok().out == "No sessions.\n"
    assert not os.path.exists(home.tmux_socket), "asking launches no server"


# ---- ending and removing ----


def test_kill_several(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """All that can be are ended, and what could not is told with the reason."""
    model.on("%%quick", Step.message("done"))
    over = begin(cli, repo, "%%quick")
    ended(cli, over)
    first, second = working(cli, model, repo, "%%first"), working(cli, model, repo, "%%second")
    answer = cli("kill", first, over, second, "--json")
    assert answer.rc == 4
    listed = told("kill (several)", answer)
    assert [(job["id"], job["failure"]["reason"]) for job in listed["jobs"]] == [
        (first, "killed"),
        (second, "killed"),
    ]
    assert [(one["id"], one["code"]) for one in listed["problems"]] == [(over, "bad_state")]
    text = cli("kill", first, second)
    assert text.rc == 4 and text.out == "" and first in text.err and second in text.err


def test_kill_one(cli: Cli, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%text")
    assert cli("kill", job_id).ok().out == f"{job_id}  interrupted/killed\n"
    other = working(cli, model, repo, "%%json")
    assert told("kill", cli("kill", other, "--json").ok())["status"] == "interrupted"


def test_delete(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("delete")
    model.on("%%delete", Step.hold(gate, Step.message("done")))
    job_id = begin(cli, repo, "%%delete")
    gate.reached()
    refused = cli("delete", job_id, "--json")
    assert refused.rc == 4 and f"kill {job_id}" in refused.json()["error"]["hint"]
    assert see(cli, job_id)["status"] == "running"
    gate.open()
    job = ended(cli, job_id)
    rollout = Path(job["rollout"])
    assert told("delete", cli("delete", job_id, "--json").ok()) == job, "the job as it was"
    assert not list(home.jobs.glob(f"*{job_id}*"))
    assert rollout.is_file(), "the thread is Codex's"
    assert cli("delete", job_id).rc == 3


def test_clean(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Ended ones that are old enough; never what runs or cannot be read."""
    gate = model.gate("clean")
    model.on("%%clean", Step.hold(gate, Step.message("done")))
    model.on("%%young", Step.message("done"))
    running = begin(cli, repo, "%%clean")
    gate.reached()
    young = begin(cli, repo, "%%young")
    ended(cli, young)
    store = Store(str(home.agent_home))
    write_record(store, "00000001")
    write_record(store, "00000002").write_text("broken")
    for name in (
        "00000001.log",
        "00000002.log",
        "00000003.log",
        ".00000001.json.99.tmp",
        f".{running}.json.99.tmp",
    ):
        (home.jobs / name).write_text("x")
        os.utime(home.jobs / name, (1, 1))
    (home.jobs / ".00000004.json.99.tmp").write_text("a writer may be at it")
    (home.jobs / ".settle.lock").touch()
    before = sorted(os.listdir(home.jobs))

    dry = told("clean", cli("clean", "--dry-run", "--json").ok())
    assert [job["id"] for job in dry["jobs"]] == ["00000001"] and sorted(os.listdir(home.jobs)) == before
    assert cli("clean", "--dry-run").ok().out.splitlines()[-1] == "1 job would be removed."
    assert [job["id"] for job in told("clean", cli("clean", "--json").ok())["jobs"]] == ["00000001"]
    left = set(os.listdir(home.jobs))
    assert left == set(before) - {"00000001.json", "00000001.log", "00000003.log", ".00000001.json.99.tmp"}
    assert cli("clean", "--older-than", "1h").ok().out == "0 jobs removed.\n"
    assert cli("clean", "--older-than", "0").ok().out.splitlines()[0].startswith(f"{young}  completed")
    assert not (home.jobs / ".00000004.json.99.tmp").exists()
    assert {name for name in os.listdir(home.jobs) if running in name} == {
        name for name in before if running in name
    }
    gate.open()
    assert ended(cli, running)["status"] == "completed"
    assert (home.jobs / "00000002.json").read_text() == "broken" and (home.jobs / "00000002.log").exists()


def test_every_file_of_a_job_is_known(jobs: Jobs) -> None:
    """What a job writes and what delete removes are the same list."""
    found = {name[8:] for name in os.listdir(jobs.place.home.jobs) if not name.startswith(".")}
    # Only agents that stay have an app-server, and only jobs that were sent something have a queue.
    assert found == set(SUFFIXES) - {".app", ".queue"}


# ---- the tool itself ----


def test_health(cli: Cli, home: Home, model: ModelServer) -> None:
    health = told("health", cli("health", "--json").ok())
    assert health["ok"] and health["version"] == __version__
    assert {"settings", "tmux", "codex", "login", "home"} <= {check["name"] for check in health["checks"]}
    text = cli("health").ok().out
    assert "MISS" not in text and home.env["CODEX_AGENT_CODEX"] in text and "needs no login" in text


def test_health_names_what_is_missing(cli: Cli, home: Home) -> None:
    empty = home.root / "nothing"
    empty.mkdir()
    env = {"CODEX_AGENT_CODEX": str(empty / "codex"), "PATH": str(empty)}
    answer = cli("health", "--json", env=env)
    assert answer.rc == 5
    missing = {check["name"]: check["fix"] for check in told("health", answer)["checks"] if not check["ok"]}
    assert set(missing) == {"tmux", "codex"} and all(missing.values())
    text = cli("health", env=env)
    assert text.rc == 5 and text.out.count("MISS") == 2


def test_health_without_a_login(cli: Cli, home: Home) -> None:
    answer = cli("health", "--json")
    login = next(check for check in told("health", answer)["checks"] if check["name"] == "login")
    assert answer.rc == 5 and not login["ok"] and "codex login" in login["fix"]
    assert cli("health", env={"CODEX_API_KEY": "sk-not-a-real-one"}).ok().out.count("sk-not") == 0


def test_config(cli: Cli, home: Home) -> None:
    path = told("config path", cli("config", "path", "--json").ok())["path"]
    assert path == str(home.path / ".config" / "codex-agent" / "config.toml")
    assert cli("config", "path").ok().out == f"{path}\n"
    shown = told("config show", cli("config", "show", "--json").ok())
    rows = {row["key"]: row for row in shown["settings"]}
    assert (rows["jobs_limit"]["value"], rows["jobs_limit"]["origin"]) == (20, "default")
    assert (rows["tmux_socket"]["value"], rows["tmux_socket"]["origin"]) == (home.tmux_socket, "env")
    changed = told("config set", cli("config", "set", "jobs_limit", "7", "--json").ok())
    assert [(row["key"], row["value"], row["origin"]) for row in changed["settings"]] == [
        ("jobs_limit", 7, "file")
    ]
    assert "jobs_limit = 7" in Path(path).read_text()
    assert "jobs_limit           7" in cli("config", "show").ok().out
    back = told("config unset", cli("config", "unset", "jobs_limit", "--json").ok())
    assert [(row["value"], row["origin"]) for row in back["settings"]] == [(20, "default")]


def test_version_and_help(cli: Cli) -> None:
    assert cli("--version").ok().out == f"codex-agent {__version__}\n"
    top = cli("-h").ok().out
    for command in schema.COMMANDS:
        assert f"  {command.split()[0]} " in top
    assert cli("kill", "--help").ok().out.startswith("Usage: codex-agent kill [OPTIONS] ")
    assert cli("start", "-h").ok().out.startswith("Usage: codex-agent start [OPTIONS] [PROMPT]")


def test_every_command_that_prints_has_json(cli: Cli) -> None:
    group: Any = typer.main.get_command(app)
    found = {}
    for name, command in group.commands.items():
        for path, one in [
            (name, command),
            *((f"{name} {sub}", it) for sub, it in getattr(command, "commands", {}).items()),
        ]:
            found[path] = {option for parameter in one.params for option in parameter.opts}
    assert {name for name, options in found.items() if "--json" not in options} == {
        "agents-md",
        "config",
        "gate",
        "mcp",
        "worktree",
    }
    documented = {name.split(" --")[0].split(" (")[0] for name in schema.COMMANDS}
    # What `gate run` prints is the command's own, and what `mcp` does is the protocol's.
    assert documented == set(found) - {"agents-md", "config", "demo", "gate", "gate run", "mcp", "worktree"}
    assert {name for name, options in found.items() if "--strip-ansi" in options} == {"capture", "output", "watch"}


# ---- completion ----


@pytest.fixture
def on_path(home: Home) -> Home:
    """A home in whose PATH ``codex-agent`` is, as it would be installed."""
    folder = home.root / "bin"
    folder.mkdir()
    (folder / "codex-agent").write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n')
    (folder / "codex-agent").chmod(0o755)
    home.env["PATH"] = f"{folder}:{home.env['PATH']}"
    return home


def shell(home: Home, script: str) -> str:
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=home.env,
        cwd=home.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_completion_in_a_real_bash(on_path: Home) -> None:
    """Installed by its own command, loaded as bash would load it, and asked."""
    store = Store(str(on_path.agent_home))
    write_record(store, "abc00001", lambda data: data.update(name="deploy"))
    write_record(store, "abc00002")
    write_record(store, "ffff0003").write_text("broken")
    assert "completion installed" in shell(on_path, "codex-agent --install-completion; :")
    bashrc = (on_path.path / ".bashrc").read_text()

    def complete(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        ask = (
            f"{bashrc}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n"
            'ask=$(complete -p codex-agent | sed "s/.*-F //; s/ .*//")\n'
            '$ask codex-agent; printf "%s\\n" "${COMPREPLY[@]}"'
        )
        return shell(on_path, ask).split()

    assert sorted(complete("codex-agent", "status", "abc")) == ["abc00001", "abc00002"]
    assert complete("codex-agent", "kill", "abc00001", "dep") == ["deploy"]
    assert complete("codex-agent", "sta") == ["start", "status"]
    assert complete("codex-agent", "jobs", "--st") == ["--status"]
    assert complete("codex-agent", "status", "zz") == []


@pytest.mark.parametrize("shell_name", ["zsh", "fish"])
def test_completion_protocol_of_other_shells(shell_name: str, on_path: Home) -> None:
    write_record(Store(str(on_path.agent_home)), "abc00001", lambda data: data.update(name="deploy"))
    on_path.env.update(
        {
            "_CODEX_AGENT_COMPLETE": f"complete_{shell_name}",
            "_TYPER_COMPLETE_ARGS": "codex-agent status a",
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
        }
    )
    out = shell(on_path, "codex-agent")
    assert "abc00001" in out and "an old task" in out and "deploy" not in out


def test_completion_of_a_home_that_cannot_be_read_says_nothing(on_path: Home) -> None:
    (on_path.agent_home / "jobs").write_text("no folder")
    on_path.env.update({"_CODEX_AGENT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "codex-agent status a"})
    assert "Traceback" not in shell(on_path, "codex-agent 2>&1")


def test_a_repeated_delete_never_hits_another_job(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Once the named job is gone its name means nothing, and no id can begin with it."""
    model.on("%%named", Step.message("done"))
    job_id = begin(cli, repo, "%%named", "--name", "first")
    ended(cli, job_id)
    cli("delete", "first").ok()
    assert cli("delete", "first").rc == 3


def test_sessions_without_tmux(cli: Cli, home: Home) -> None:
    answer = cli("sessions", "--json", env={"PATH": str(home.root)})
    assert answer.rc == 5 and answer.json()["error"]["code"] == "missing_program"


def test_attach_without_tmux(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    gate = model.gate("no-tmux")
    model.on("%%no-tmux", Step.hold(gate, Step.message("done")))
    job_id = begin(cli, repo, "%%no-tmux")
    assert cli("attach", job_id, "--exec", env={"PATH": str(home.root)}).rc == 5
    gate.open()
    ended(cli, job_id)


def test_a_file_that_cannot_be_read_is_named(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%unread", Step.message("done"))
    job_id = begin(cli, repo, "%%unread")
    ended(cli, job_id)
    log = home.jobs / f"{job_id}.log"
    log.unlink()
    log.mkdir()
    for command in ("output", "capture"):
        answer = cli(command, job_id, "--json")
        assert answer.rc == 1 and answer.json()["error"]["code"] == "system" and str(log) in answer.out


def test_kill_ends_what_it_can(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%some")
    answer = cli("kill", "nosuch", job_id, "--json")
    assert answer.rc == 3
    assert [job["status"] for job in answer.json()["jobs"]] == ["interrupted"]
    assert [(one["id"], one["code"]) for one in answer.json()["problems"]] == [("nosuch", "not_found")]


def test_a_waiter_that_is_broken_off_says_what_goes_on(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    gate = model.gate("broken-off")
    model.on("%%broken-off", Step.hold(gate, Step.message("done")))
    starter = cli.start("start", "%%broken-off", "-d", str(repo), "--wait", "--json")
    gate.reached()
    until(lambda: len(os.listdir(f"/proc/{starter.pid}/task")) > 1, 20, "the wait has begun")
    starter.send_signal(signal.SIGINT)
    out, _ = starter.communicate(timeout=20)
    error = json.loads(out)["error"]
    assert starter.returncode == 130 and error["code"] == "interrupted"
    assert see(cli, error["ids"][0])["status"] == "running"
    gate.open()
    assert ended(cli, error["ids"][0])["status"] == "completed"


def test_a_notify_command_that_is_not_there_is_named(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%nothere", Step.message("done"))
    job_id = begin(cli, repo, "%%nothere", "--notify-on-complete", "/nope/cmd x")
    assert any("/nope/cmd" in warning for warning in ended(cli, job_id)["warnings"])


def test_two_words_for_one_job_kill_it_once(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%once-only", "--name", "once only")
    answer = cli("kill", "once only", job_id, "--json").ok().json()
    assert [job["id"] for job in answer["jobs"]] == [job_id] and answer["problems"] == []


def test_a_cut_summary_names_a_command_that_works(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """A job that failed has no --result; the rest of what it said is in its log."""
    model.on("%%cut-done", Step.message("word " * 200))
    model.on(
        "%%cut-failed",
        Step.all(Step.message("word " * 200), Step.command("true")),
        Step.failed("insufficient_quota"),
    )
    done, failed = begin(cli, repo, "%%cut-done"), begin(cli, repo, "%%cut-failed")
    for job_id, command in ((done, f"output {done} --result)"), (failed, f"output {failed})")):
        ended(cli, job_id)
        assert command in cli("status", job_id).out
