"""Codex as an IDE runs it: `codex app-server` on pipes, introduced as the VS Code extension introduces itself.

The extension cannot run here; its threads can be made by the program that makes them. From its side of the
protocol come its name (recorded as ``originator``), the folder, sandbox and policy; Codex itself records
``source`` "vscode" for every app-server.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from codex_agent.demo.model_server import Step
from support.interactive import wants
from support.threads import DONE, Outside, Thread
from support.waiting import until

NAME = "codex_vscode"
Json = dict[str, Any]


@dataclass(frozen=True)
class IdeThread(Thread):
    """A thread of an IDE. ``said`` looks through what its app-server told the IDE."""

    ide: Ide | None = None

    @property
    def the_ide(self) -> Ide:
        assert self.ide is not None
        return self.ide


class Ide:
    """One app-server with one client. It lives, with all its threads loaded, until it is closed."""

    def __init__(self, outside: Outside, *words: str) -> None:
        self._outside = outside
        self.mark = outside.new_mark()
        self._wrong = outside.home.root / f"{self.mark}.err"
        with self._wrong.open("wb") as err:
            self.process = subprocess.Popen(
                [outside.codex.path, "app-server", *words],
                cwd=outside.repo,
                env=outside.env(self.mark),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=err,
            )
        self._lock = threading.Lock()
        self._told: list[Json] = []
        self._calls = 0
        threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()
        about = {"name": NAME, "title": "Codex VS Code Extension", "version": "26.1119.1"}
        # Goals and the source of a thread are among what Codex calls experimental.
        self.ask("initialize", {"clientInfo": about, "capabilities": {"experimentalApi": True}})
        self._send({"method": "initialized"})

    @property
    def told(self) -> list[Json]:
        """All that the server said, oldest first."""
        with self._lock:
            return list(self._told)

    def ask(self, method: str, params: Json) -> Json:
        """A call's result; an error fails the test."""
        self._calls += 1
        call = self._calls
        self._send({"id": call, "method": method, "params": params})
        reply = self.hears(lambda each: each.get("id") == call and "method" not in each, f"an answer to {method}")
        assert "error" not in reply, f"{method}: {reply['error']}"
        result = reply["result"]
        assert isinstance(result, dict)
        return result

    def hears(self, wanted: Callable[[Json], bool], what: str, timeout_s: float = 30.0) -> Json:
        """The first message like this, once there is one."""

        def heard() -> Json | None:
            found = next((each for each in self.told if wanted(each)), None)
            assert found is not None or self.process.poll() is None, self._wrong.read_text()
            return found

        found = until(heard, timeout_s, what)
        assert found is not None
        return found

    # ---- threads ----

    def thread(self, *steps: Step, source: str | None = "user", **params: Any) -> IdeThread:
        """A new thread, at work on its first message. ``params`` go into `thread/start`, by Codex's names."""
        marker = self._outside.script(steps)
        where: Json = {
            "cwd": str(self._outside.repo),
            "sandbox": "workspace-write",
            "approvalPolicy": "on-request",
        }
        if source is not None:
            where["threadSource"] = source
        made = self.ask("thread/start", where | params)["thread"]
        self._turn(made["id"], marker)
        path = self._path(str(made["id"]))
        home = self._outside.home.codex_home
        return IdeThread(str(made["id"]), path, home, marker, self.mark, self.process, self.process.pid, self)

    def says(self, thread: Thread, *steps: Step) -> str:
        """The person's next message to it; the id of the turn, which has begun."""
        return self._turn(thread.id, self._outside.script(steps or (DONE,)))

    def ended(self, thread: Thread, count: int = 1) -> Json:
        """The thread's ``count``-th turn that ended, as the IDE is told."""

        def ends() -> list[Json]:
            return [each["params"]["turn"] for each in self.told if self._is(each, "turn/completed", thread)]

        return until(lambda: ends()[count - 1 :], 30, f"{count} ended turns")[0]

    def asked(self, thread: Thread) -> Json:
        """What its person is asked: an approval or a question; nobody answers unless the test does."""
        return self.hears(
            lambda each: "id" in each and "method" in each and each["params"].get("threadId") == thread.id,
            "a question to the person",
        )

    def answers(self, request: Json, decision: str) -> None:
        """The person's click: "accept", "decline"."""
        self._send({"id": request["id"], "result": {"decision": decision}})

    def interrupts(self, thread: Thread) -> None:
        """The person's click on the square: the turn that runs is to stop."""
        begun = [each for each in self.told if self._is(each, "turn/started", thread)]
        turn_id = begun[-1]["params"]["turn"]["id"]
        self.ask("turn/interrupt", {"threadId": thread.id, "turnId": turn_id})

    def goal(self, thread: Thread, objective: str, **params: Any) -> Json:
        """The person's goal for it (`/goal`); what Codex made of it."""
        found = self.ask("thread/goal/set", {"threadId": thread.id, "objective": objective, **params})["goal"]
        assert isinstance(found, dict)
        return found

    def archives(self, thread: Thread) -> None:
        """The person puts it away; also one that another program made."""
        self.ask("thread/archive", {"threadId": thread.id})

    def close(self) -> None:
        """The IDE is closed: its app-server hears the end of its input."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:  # 0.98 waits for an answer to what it has asked
            self.process.kill()
            self.process.wait(5)

    def _turn(self, thread_id: str, marker: str) -> str:
        says = [{"type": "text", "text": f"{marker} please"}]
        turn = self.ask("turn/start", {"threadId": thread_id, "input": says})["turn"]
        return str(turn["id"])

    def _path(self, thread_id: str) -> Path:
        def written() -> Path | None:
            found = list(self._outside.home.codex_home.rglob(f"rollout-*{thread_id}.jsonl"))
            return found[0] if found and found[0].stat().st_size else None

        path = until(written, 20, "the thread's rollout")
        assert path is not None
        return path

    def _is(self, message: Json, method: str, thread: Thread) -> bool:
        return message.get("method") == method and message["params"].get("threadId") == thread.id

    def _send(self, message: Json) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        pipe.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        pipe.flush()

    def _listen(self, pipe: IO[bytes]) -> None:
        for line in pipe:
            message = json.loads(line)
            with self._lock:
                self._told.append(message)


@contextlib.contextmanager
def ide(outside: Outside, *words: str) -> Iterator[Ide]:
    """An IDE that is open for as long."""
    made = Ide(outside, *words)
    try:
        yield made
    finally:
        with contextlib.suppress(BrokenPipeError):
            made.close()


def escalates(command: str, why: str = "It needs the network.") -> Step:
    """The model wants a command to run outside the sandbox: its person is asked."""
    return wants(command, why)


def spawns(prompt: str) -> Step:
    """The model starts a sub-agent with this prompt (the tools of 0.133 and later)."""
    return _spawning("multi_agent_v1", {"message": prompt})


def spawns_knowing(prompt: str) -> Step:
    """A sub-agent that knows all that its parent knows (`--enable multi_agent_v2`, 0.163 and later)."""
    return _spawning("collaboration", {"task_name": "sub", "message": prompt, "fork_turns": "all"})


def _spawning(namespace: str, arguments: Json) -> Step:
    named = {"namespace": namespace, "name": "spawn_agent", "arguments": json.dumps(arguments)}
    return Step((lambda offer, n: {"type": "function_call", "call_id": offer.call_id(n), **named},))
