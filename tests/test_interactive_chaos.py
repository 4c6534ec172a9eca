"""SIGKILL for any one part of an interactive agent while somebody talks to it: the state stays true, nothing
survives, no message is said twice, and none is lost that was confirmed.

One agent a chunk lives through all of its kills, reopened by the next message wherever one has ended it. As in
``test_chaos``: ``CODEX_AGENT_CHAOS_SEED`` sets the seed, ``CODEX_AGENT_CHAOS_TALK_KILLS`` how many kills (40).
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
from typing import Any

import pytest

from codex_agent import kernel
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.model import TERMINAL, WAITING
from support import Cli, Home, until
from support.agents import Agent, agent, heard
from support.interactive import wants
from support.jobs import record
from support.processes import job_processes

SEED = int(os.environ.get("CODEX_AGENT_CHAOS_SEED", "20261121"))
KILLS = int(os.environ.get("CODEX_AGENT_CHAOS_TALK_KILLS", "40"))
CHUNKS = 4
VICTIMS = ("codex", "viewer", "supervisor", "guardian", "cli", "both")
ACTIONS = {
    "idle": ("send",),
    "working": ("send", "send --queue", "send --interrupt", "interrupt"),
    "waiting": ("approve", "send", "send --queue"),
    "ended": ("send",),
}
LONGEST_S = 0.5  # a little more than what a command takes here


@dataclass
class Life:
    """One agent, and what it was told. ``confirmed`` is what somebody was told it got."""

    one: Agent
    model: ModelServer
    sent: list[str] = field(default_factory=list)
    confirmed: list[str] = field(default_factory=list)

    def text(self, marker: str, name: str) -> str:
        self.sent.append(f"%%{marker} {name}.{len(self.sent)}")
        return self.sent[-1]

    def say(self, text: str, *more: str) -> dict[str, Any]:
        told = self.one.send(text, *more)
        self.confirmed.append(text)
        return told

    def true(self, name: str) -> bool:
        """Whether it runs; and what is told of it must be so."""
        runs, job = self.one.facts.runs, self.one.job
        if job.status not in TERMINAL:
            return True
        left = kernel.marked(record(self.one.home, self.one.id).mark)
        if left and self.one.facts.runs == runs and self.one.job.status in TERMINAL:
            raise AssertionError(f"{name}: {job.status} {job.failure}, but it still has {left}")
        return False

    def settle(self, name: str) -> None:
        """Lets it come to rest, whatever it does."""
        deadline = time.monotonic() + 30
        while self.true(name):
            code, report = self.one.turn(20)
            if report["turn_state"] in WAITING:
                self.one("approve")
            elif code != 124 or time.monotonic() > deadline:
                break

    def bring(self, situation: str, name: str) -> None:
        if situation == "ended":
            if self.true(name):
                self.one("exit", "--interrupt").ok()
        elif situation == "idle":
            self.say(self.text("quick", name))
            self.settle(name)
        elif situation == "waiting":
            self.say(self.text("ask", name))
            assert self.one.turn()[0] == 10
        else:
            self.say(self.text("slow", name))


def find(victim: str, one: Agent, cli: subprocess.Popen[str]) -> list[int]:
    """The pids to kill, if they are there."""
    if victim == "cli":
        return [cli.pid] if cli.poll() is None else []
    supervisor = one.facts.supervisor
    if victim in ("codex", "viewer"):
        process = getattr(one.facts, victim)
        return [process.pid] if process is not None and kernel.is_same(process) else []
    if supervisor is None or not kernel.is_same(supervisor):
        return []
    if victim == "supervisor":
        return [supervisor.pid]
    parents = {each.pid: each.parent for each in job_processes(str(one.home.agent_home))}
    guardian = parents.get(supervisor.pid)
    if guardian not in parents:
        return []
    return [guardian, supervisor.pid] if victim == "both" else [guardian]


def play(life: Life, name: str, situation: str, action: str, victim: str, rng: random.Random) -> None:
    one = life.one
    life.bring(situation, name)
    verb, *more = action.split()
    text = life.text("quick" if situation in ("idle", "ended") else "more", name) if verb == "send" else None
    moment = time.monotonic() + rng.uniform(0.0, LONGEST_S)
    call = one.cli.start(verb, one.id, *([text] if text else []), *more, "--json")
    while time.monotonic() < moment:
        life.true(name)
        time.sleep(0.005)
    hit = find(victim, one, call)
    if victim == "both" and hit:
        os.kill(hit[0], signal.SIGSTOP)  # so that it cannot act when the supervisor dies
    for pid in reversed(hit):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    out, err = call.communicate(timeout=60)
    if not (victim == "cli" and call.returncode == -signal.SIGKILL):
        told = json.loads(out)
        assert call.returncode == 0 or told["error"]["message"], err
        if call.returncode == 0 and text is not None:
            assert told["delivery"] == "queued" or told["turn_id"], told
            life.confirmed.append(text)
    life.settle(name)
    life.say(life.text("quick", name))  # goes on, or is reopened
    life.settle(name)
    check(life, name, hit)


def check(life: Life, name: str, hit: list[int]) -> None:
    one = life.one
    until(lambda: one.job.queued == 0 and one.job.turn_state == "idle", 20, f"{name}: idle at last")
    known = heard(life.model, life.sent)
    twice = {text for text in known if known.count(text) > 1}
    lost = [text for text in life.confirmed if text not in known]
    print(name, "hit" if hit else "missed", one.job.status, len(known), "of", len(life.sent))
    assert not twice, f"{name}: said twice: {twice}"
    assert not lost, f"{name}: lost: {lost}"
    living = {each.pid for each in job_processes(str(one.home.agent_home)) if "app-server" in each.command}
    assert living == {one.pid("codex")}, f"{name}: {living}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds its victims in /proc")
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_kill_in_the_middle_of_talk(chunk: int, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%quick", *[Step.message("Quick.")] * 9)
    model.on("%%slow", Step.command("sleep 0.4"), *[Step.message("Slow.")] * 9)
    model.on("%%ask", wants("true"), *[Step.message("Asked.")] * 9)
    life = Life(agent(home, cli, repo, "%%quick first"), model)
    life.settle("first")
    for number in range(chunk, KILLS, CHUNKS):
        rng = random.Random(f"{SEED}.{number}")
        situation = rng.choice(list(ACTIONS))
        action, victim = rng.choice(ACTIONS[situation]), VICTIMS[number // CHUNKS % len(VICTIMS)]
        name = f"seed{SEED}-round{number}-{situation}-{action.replace(' ', '')}-{victim}"
        play(life, name, situation, action, victim, rng)
    life.one("kill").ok()
    life.one.nothing_left()
