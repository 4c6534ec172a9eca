"""One interactive agent as its tests see it: the command line spoken to it, its parts, what its model was told."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_agent import jobs
from codex_agent.demo.model_server import ModelServer
from codex_agent.model import Facts, Job
from codex_agent.store import Store
from support import interactive
from support.cli import Cli, Result
from support.home import Home
from support.jobs import record, user_texts
from support.processes import Seen, job_processes
from support.waiting import until


@dataclass(frozen=True)
class Agent:
    """One job. Called, it runs `codex-agent VERB ID WORDS...`."""

    home: Home
    cli: Cli
    id: str

    def __call__(self, verb: str, *words: str, timeout_s: float = 60.0) -> Result:
        return self.cli(verb, self.id, *words, timeout_s=timeout_s)

    @property
    def job(self) -> Job:
        """The job as any reader sees it now (in this process: milliseconds)."""
        return jobs.view(Store(str(self.home.agent_home)), self.id)

    @property
    def facts(self) -> Facts:
        return record(self.home, self.id).facts

    def send(self, text: str, *more: str) -> dict[str, Any]:
        """Sends a message that must be taken; what `send --json` says."""
        found = self("send", "--json", *more, "--", text).ok().json()
        assert isinstance(found, dict)
        return found

    def turn(self, timeout_s: float = 30.0) -> tuple[int, dict[str, Any]]:
        """`await-turn --json`: its exit code, its report."""
        answer = self("await-turn", "--json", "--timeout", str(timeout_s), timeout_s=timeout_s + 20)
        return answer.rc, answer.json()

    def answers(self, timeout_s: float = 30.0) -> str:
        """The agent's message, once its turn has ended well."""
        code, report = self.turn(timeout_s)
        assert code == 0, report
        return str(report["message"])

    def until_state(self, *states: str, timeout_s: float = 20.0) -> Job:
        """The job once its ``turn_state`` (or, ended, its status) is one of these."""

        def now() -> Job | None:
            job = self.job
            return job if (job.turn_state or job.status) in states else None

        found = until(now, timeout_s, f"{self.id} being {' or '.join(states)}")
        assert found is not None
        return found

    def ended(self, timeout_s: float = 20.0) -> tuple[str, str | None]:
        """Status and reason once it has ended."""
        job = self.until_state("completed", "failed", "interrupted", timeout_s=timeout_s)
        return job.status, job.failure.reason if job.failure else None

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was noted of this kind, oldest first."""
        path = self.home.jobs / f"{self.id}.events.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return [line for line in lines if line["event"] == kind]

    def pid(self, who: str) -> int:
        """The pid of the job's ``codex`` (app-server), ``viewer`` (TUI), ``supervisor`` or ``guardian``."""
        if who == "guardian":
            ours = {one.pid: one for one in job_processes(str(self.home.agent_home))}
            return ours[self.pid("supervisor")].parent
        process = getattr(self.facts, who)
        assert process is not None, who
        return int(process.pid)

    def signal(self, who: str, number: int = signal.SIGKILL) -> int:
        """Signals that part of the job; its pid."""
        pid = self.pid(who)
        os.kill(pid, number)
        return pid

    def screen(self) -> str:
        return interactive.screen(self.home, self.id)

    def shown(self, text: str, timeout_s: float = 20.0) -> None:
        """Waits until the pane shows this."""
        until(lambda: text in self.screen(), timeout_s, f"{text!r} in the pane")

    def type(self, *keys: str) -> None:
        """Keys, as from a person's keyboard."""
        assert self.home.tmux("send-keys", "-t", f"=codex-agent-{self.id}:", *keys).returncode == 0

    def file(self, suffix: str) -> Path:
        return self.home.jobs / f"{self.id}{suffix}"

    def of_codex(self) -> list[Seen]:
        """What lives of the job besides our own supervisor and guardian."""
        return [one for one in job_processes(str(self.home.agent_home)) if "guardian.py" not in one.command]

    def nothing_left(self, timeout_s: float = 10.0) -> None:
        """No process of the job lives: not Codex, not its TUI, not its commands, not the supervisor."""
        until(lambda: not job_processes(str(self.home.agent_home)), timeout_s, "every process of the job gone")


def agent(home: Home, cli: Cli, repo: Path, prompt: str, *more: str) -> Agent:
    """A new agent that stays, at work on its first turn."""
    return Agent(home, cli, interactive.stay(cli, repo, prompt, *more))


def heard(model: ModelServer, texts: Sequence[str]) -> list[str]:
    """Those of these messages that the model knows of, as often and in the order in which they stand in the last
    request of a conversation that has any (a title request is no conversation)."""
    wanted = set(texts)
    told: list[str] = []
    for request in model.requests:
        found = [text for text in user_texts(request) if text in wanted]
        told = found or told
    return told
