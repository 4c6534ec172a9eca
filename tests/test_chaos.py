"""SIGKILL for any one part of a job at a random moment: no job lost, no orphan, no status that was ever wrong.

Run it again with another seed: ``CODEX_AGENT_CHAOS_SEED=7 bin/test tests/test_chaos.py``;
``CODEX_AGENT_CHAOS_KILLS`` sets how many kills there are (200). A failure names its seed and round.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codex_agent import jobs, kernel
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import JobNotFound
from codex_agent.model import TERMINAL, Job
from codex_agent.store import Store
from support import Cli, Home, until
from support.processes import job_processes

SEED = int(os.environ.get("CODEX_AGENT_CHAOS_SEED", "20261121"))
KILLS = int(os.environ.get("CODEX_AGENT_CHAOS_KILLS", "200"))
CHUNKS = 8
VICTIMS = ("cli", "supervisor", "guardian", "codex", "tmux server")
# Which ends each death may have; "completed" is always possible, when the job was faster than the signal.
ENDS: dict[str, set[tuple[str, str | None]]] = {
    "cli": {("interrupted", "interrupted")},
    "supervisor": {("interrupted", "interrupted")},
    "guardian": {("interrupted", "closed"), ("interrupted", "interrupted")},
    "codex": {("failed", "signal")},
    "tmux server": {("interrupted", "closed"), ("interrupted", "interrupted")},
}
LONGEST_S = 0.9  # about what one job takes here, from the call of `start` to its end


@dataclass
class Round:
    """One job, one kill. ``seen`` is every status that was ever told, in order."""

    name: str
    victim: str
    home: Home
    store: Store
    before: set[str]
    seen: list[str] = field(default_factory=list)
    killed: bool = False

    def new_jobs(self) -> list[str]:
        return [job_id for job_id in self.store.ids() if job_id not in self.before]

    def look(self) -> Job | None:
        """The new job as it is told now; and what is told must be true."""
        found = self.new_jobs()
        assert len(found) <= 1, f"{self.name}: more than one job: {found}"
        if not found:
            return None
        try:
            job = jobs.view(self.store, found[0])
        except JobNotFound:
            return None  # `start` failed and took it back, between the two looks
        if not self.seen or self.seen[-1] != job.status:
            assert not self.seen or self.seen[-1] not in TERMINAL, f"{self.name}: {self.seen} then {job.status}"
            self.seen.append(job.status)
        if job.status in TERMINAL:
            left = kernel.marked(self.store.load(job.id).mark)
            assert not left, f"{self.name}: {job.status}, but it still has {left}"
        return job


def find(victim: str, cli: subprocess.Popen[str], home: Home) -> int | None:
    """The pid of the victim, if it is there."""
    if victim == "cli":
        return cli.pid if cli.poll() is None else None
    if victim == "tmux server":
        shown = home.tmux("display-message", "-p", "#{pid}")
        return int(shown.stdout) if shown.returncode == 0 and shown.stdout.strip().isdigit() else None
    ours = job_processes(str(home.agent_home))
    guardians = [one for one in ours if "guardian.py" in one.command]
    pids = {one.pid for one in guardians}
    if victim == "guardian":
        return next((one.pid for one in guardians if one.parent not in pids), None)
    if victim == "supervisor":
        return next((one.pid for one in guardians if one.parent in pids), None)
    return next((one.pid for one in ours if one.parent in pids and " exec --json" in one.command), None)


def play(game: Round, cli: Cli, repo: Path, rng: random.Random) -> None:
    sandbox = rng.choice(["workspace-write", "danger-full-access"])
    moment = time.monotonic() + rng.uniform(0.0, LONGEST_S)
    starter = cli.start("start", f"%%{game.name}", "-d", str(repo), "-s", sandbox, "--json")
    while time.monotonic() < moment:
        game.look()
        time.sleep(0.005)
    deadline = time.monotonic() + 10
    while not game.killed and time.monotonic() < deadline:
        pid = find(game.victim, starter, game.home)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGKILL)
                game.killed = True
            except ProcessLookupError:
                pass
        job = game.look()
        if starter.poll() is not None and (job is None or job.status in TERMINAL):
            break
    out, err = starter.communicate(timeout=60)
    started = json.loads(out)["id"] if starter.returncode == 0 else None
    until(lambda: (one := game.look()) is None or one.status in TERMINAL, 20, f"{game.name}: its end")
    check(game, started, game.look(), out + err)


def check(game: Round, started: str | None, job: Job | None, told: str) -> None:
    if started is not None:
        assert job is not None and job.id == started, f"{game.name}: start said {started}, and it is lost: {job}"
    if job is None:
        check_none(game, told)
        return
    end = (job.status, job.failure.reason if job.failure else None)
    allowed = {("completed", None)} | (ENDS[game.victim] if game.killed else set())
    assert end in allowed, f"{game.name}: {end} after {game.seen}; {job.failure}; start: {told}"
    if job.status == "completed":
        assert job.summary == f"done {game.name}" and job.exit_code == 0
    print(game.name, end, game.seen)
    again = jobs.view(game.store, job.id)
    assert again == job, f"{game.name}: told {job}, then {again}"


def check_none(game: Round, told: str) -> None:
    """No job: `start` was killed before there was a record, or it was told and took everything back."""
    assert game.killed, f"{game.name}: no job, and nothing was killed: {told}"
    if game.victim != "cli":
        code = json.loads(told.splitlines()[0])["error"]["code"]
        assert code in ("spawn_failed", "tmux_failed"), f"{game.name}: {told}"
    print(game.name, "no job", told)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its victims in /proc")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_kill_at_any_moment(chunk: int, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    store = Store(str(home.agent_home))
    known: set[str] = set()
    for number in range(chunk, KILLS, CHUNKS):
        rng = random.Random(f"{SEED}.{number}")
        victim = VICTIMS[number // CHUNKS % len(VICTIMS)]
        name = f"seed{SEED}-round{number}-{victim.replace(' ', '-')}"
        model.on(f"%%{name}", Step.command("sleep 0.15; echo it"), Step.message(f"done {name}"))
        game = Round(name, victim, home, store, set(known))
        play(game, cli, repo, rng)
        assert known <= set(store.ids()), f"{name}: earlier jobs are gone: {known - set(store.ids())}"
        known = set(store.ids())
        until(lambda: not job_processes(str(home.agent_home)), 10, f"{name}: nothing of it is left running")
    listed = cli("jobs", "--all", "--json").json()
    assert {job["id"] for job in listed["jobs"]} == known and not listed["problems"]
    assert all(job["status"] in TERMINAL for job in listed["jobs"])
