"""The rows of agents that stay, while they think: what a supervisor uses, and the `await-turn` asleep on it."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass

from benchmarks.measure import cpu_seconds, rss_kb
from benchmarks.stage import Place, Stage
from benchmarks.table import Row
from codex_agent.demo.model_server import Step
from codex_agent.drivers.base import SAID_CHARS
from support import until
from support.interactive import callers

SECONDS = 120.0
HOUR = 3600.0
TURNS = 20
LONG_CHARS = 400_000
STAYING_KB, EXEC_KB = 32 * 1024, 20 * 1024
_STAY = ("--interactive", "--idle-exit", "off")


@dataclass(frozen=True)
class Agent:
    """One agent that thinks, and the process that awaits its turn's end. ``codex`` is all of Codex's own."""

    supervisor: int
    codex: list[int]
    waiter: subprocess.Popen[bytes]


def rows(stage: Stage) -> list[Row]:
    """``staying``: two minutes of three agents that stay, and of an exec agent, whose model says nothing."""
    place = stage.place("staying")
    gate = place.model.gate("staying")
    for marker in ("%%fresh", "%%think", "%%exec"):
        place.model.on(marker, Step.hold(gate, Step.message("done")))
    for marker in ("%%short", "This message is "):  # that is how Codex is told of one in a file
        place.model.on(marker, Step.message("done"))
    fresh = _agent(place, _begin(place, "%%fresh", *_STAY))
    talked, long = _after_turns(place), _after_long_messages(place)
    once = _agent(place, _begin(place, "%%exec"))
    gate.reached(60, count=4)
    time.sleep(2.0)  # what came last is being folded in; nothing after this belongs to it
    agents = [fresh, talked, long, once]
    pids = [pid for agent in agents for pid in (agent.supervisor, agent.waiter.pid, *agent.codex)]
    before, began = {pid: cpu_seconds(pid) for pid in pids}, time.monotonic()
    time.sleep(SECONDS)
    took = time.monotonic() - began
    share = {pid: (cpu_seconds(pid) - before[pid]) / took for pid in pids}
    resident = {agent.supervisor: rss_kb(agent.supervisor) for agent in agents}
    children = [child for agent in agents for child in _children(agent.waiter.pid)]
    assert not children, f"await-turn has children: {children}"
    gate.open()
    assert [agent.waiter.wait(timeout=60) for agent in agents] == [0] * len(agents)
    told = f"{SECONDS:.0f} s of thinking"
    waiting = max(share[agent.waiter.pid] for agent in agents) * HOUR
    supervising = share[fresh.supervisor] * HOUR
    codex = sum(share[pid] for pid in fresh.codex) * HOUR
    memory = "supervisor's memory (RSS), interactive"
    both = f"the same, after messages of {LONG_CHARS} and {SAID_CHARS} characters"
    return [
        Row("await-turn ID: CPU of an hour (extrapolated), the most of 4", waiting, "s", told, limit=1),
        Row("supervisor's CPU, an hour (extrapolated), interactive", supervising, "s", told, limit=3),
        Row("the same", supervising, "s", "that of its app-server and its TUI", codex, supervising / codex),
        Row("supervisor's CPU, an hour (extrapolated), exec", share[once.supervisor] * HOUR, "s", told, limit=3),
        Row(memory, resident[fresh.supervisor], "kB", told, limit=STAYING_KB),
        Row(f"the same, after {TURNS} turns", resident[talked.supervisor], "kB", told, limit=STAYING_KB),
        Row(both, resident[long.supervisor], "kB", told, limit=STAYING_KB),
        Row("supervisor's memory (RSS), exec", resident[once.supervisor], "kB", told, limit=EXEC_KB),
    ]


def _after_turns(place: Place) -> Agent:
    """One that has had twenty turns, and thinks in the next."""
    job_id = _begin(place, "%%short", *_STAY)
    place.call("await-turn", job_id, "--json")
    for _ in range(TURNS - 1):
        place.call("send", job_id, "%%short", "--wait", "--json")
    place.call("send", job_id, "%%think", "--json")
    return _agent(place, job_id)


def _after_long_messages(place: Place) -> Agent:
    """One that was begun with a long prompt, was sent one as long, and the longest that is said as it is."""
    texts = {"file": "long words " * (LONG_CHARS // 11 + 1), "said": "%%short " + "words " * SAID_CHARS}
    files = {}
    for name, length in (("file", LONG_CHARS), ("said", SAID_CHARS)):
        path = place.home.root / f"{name}.txt"
        path.write_text(texts[name][:length])
        files[name] = str(path)
    job_id = _begin(place, "--prompt-file", files["file"], *_STAY)
    place.call("await-turn", job_id, "--json")
    for name in ("file", "said"):
        place.call("send", job_id, "--file", files[name], "--wait", "--json")
    place.call("send", job_id, "%%think", "--json")
    return _agent(place, job_id)


def _begin(place: Place, *words: str) -> str:
    return str(place.call("start", *words, "--json")["id"])


def _agent(place: Place, job_id: str) -> Agent:
    """The job with an ``await-turn`` that is on the line."""
    argv = place.argv("await-turn", job_id)
    waiter = subprocess.Popen(argv, env=place.home.env, cwd=place.repo, stdout=subprocess.DEVNULL)
    until(lambda: callers(job_id) > 0, 20, "await-turn is on the line")
    facts = place.store.load(job_id).facts
    assert facts.supervisor is not None and facts.codex is not None
    codex = [facts.codex.pid] + ([facts.viewer.pid] if facts.viewer is not None else [])
    return Agent(facts.supervisor.pid, codex, waiter)


def _children(pid: int) -> list[str]:
    found = []
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
            found += file.read().split()
    return found
