"""Twenty agents at one gate: one after the other, in order, none lost, whoever is killed with SIGKILL.

Run it again with another seed: ``CODEX_AGENT_CHAOS_SEED=7 bin/test tests/test_queue_chaos.py``.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from codex_agent import jobs
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.model import TERMINAL
from codex_agent.store import Store
from support import Cli, Home, until
from support.jobs import user_texts
from support.processes import job_processes

SEED = int(os.environ.get("CODEX_AGENT_CHAOS_SEED", "20261121"))
AGENTS = 20
PARTS = ("supervisor", "guardian", "both", "codex")


def parts_of(home: Home, job_id: str) -> dict[str, list[int]]:
    """The processes of a job, by what they are."""
    ours = job_processes(str(home.agent_home))
    guardians = [one for one in ours if "guardian.py" in one.command and job_id in one.command]
    pids = {one.pid for one in guardians}
    found = {
        "guardian": [one.pid for one in guardians if one.parent not in pids],
        "supervisor": [one.pid for one in guardians if one.parent in pids],
        "codex": [one.pid for one in ours if one.parent in pids and " exec --json" in one.command],
    }
    found["both"] = found["guardian"] + found["supervisor"]
    return found


def in_order(model: ModelServer, markers: list[str]) -> list[str]:
    """The agents in the order in which the model first heard of them."""
    heard: list[str] = []
    for request in model.requests:
        text = "\n".join(user_texts(request))
        heard += [marker for marker in markers if marker in text and marker not in heard]
    return heard


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its victims in /proc")
@pytest.mark.parametrize("kills", [False, True], ids=["in peace", "with kills"])
def test_twenty_at_one_gate(kills: bool, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    rng = random.Random(SEED)
    store = Store(str(home.agent_home))
    markers = [f"%%agent-{number:02d}%%" for number in range(AGENTS)]
    for marker in markers:
        # Who is in says so in a file; two of them at once would be seen.
        model.on(
            marker, Step.command("mkdir busy && sleep 0.1 && rmdir busy || echo both > clash"), Step.message("ok")
        )
    starters = {
        marker: cli.start("start", marker, "-d", str(repo), "--gate", "gpu", "-s", "danger-full-access", "--json")
        for marker in markers
    }
    ids: dict[str, str] = {}
    for marker, starter in starters.items():
        out, err = starter.communicate(timeout=120)
        assert starter.returncode == 0, f"{marker}: {out}{err}"
        ids[marker] = json.loads(out)["id"]
    made = sorted(markers, key=lambda marker: store.load(ids[marker]).created_at)

    killed: set[str] = set()
    deadline = time.monotonic() + 240
    while True:
        found = {marker: jobs.view(store, job_id) for marker, job_id in ids.items()}
        living = [marker for marker, job in found.items() if job.status not in TERMINAL]
        if not living:
            break
        assert time.monotonic() < deadline, {marker: job.status for marker, job in found.items()}
        if kills and len(killed) < AGENTS // 2 and rng.random() < 0.1:
            # Mostly who is in, now and then one who waits.
            running = [marker for marker in living if found[marker].status == "running"]
            victim = rng.choice(running if running and rng.random() < 0.7 else living)
            for pid in parts_of(home, ids[victim])[rng.choice(PARTS)]:
                try:
                    os.kill(pid, 9)
                    killed.add(victim)
                except ProcessLookupError:
                    pass
        time.sleep(0.02)

    ends = {marker: jobs.view(store, job_id) for marker, job_id in ids.items()}
    heard = in_order(model, markers)
    assert heard == [marker for marker in made if marker in heard], f"seed {SEED}: {heard} instead of {made}"
    for marker, job in ends.items():
        if marker in killed:
            assert job.status in TERMINAL
            continue
        assert job.status == "completed" and marker in heard, f"seed {SEED}: {marker}: {job.status} {job.failure}"
    if not kills:
        assert not (repo / "clash").exists() and len(heard) == AGENTS
    assert len(killed) >= (5 if kills else 0)
    spans = sorted((job.started_at, job.completed_at) for job in ends.values() if job.started_at)
    for (_, before), (after, _) in pairwise(spans):
        assert before is not None and after is not None and before <= after, f"seed {SEED}: two at once: {spans}"
    gates = home.agent_home / "gates"
    until(
        lambda: [os.listdir(gates / gate) for gate in ("gpu", ".all")] == [[], []], 10, "every ticket given back"
    )
    until(lambda: not job_processes(str(home.agent_home)), 10, "nothing of them left running")
    print(
        f"seed {SEED}: {len(killed)} killed, {sum(job.status == 'completed' for job in ends.values())} completed"
    )
