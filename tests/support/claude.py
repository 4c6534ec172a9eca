"""The real Claude Code CLI in a test: its own empty HOME, a scripted Claude on loopback, and nowhere else to go.

``bin/test`` fetches it and says where it is in ``CODEX_AGENT_TEST_CLAUDE``. Whatever it, or a program it starts,
would ask of any other machine goes to a proxy of ours (``Nowhere``) that refuses and remembers.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from .home import Home
from .messages_server import MessagesServer

Json = dict[str, Any]

# It reports, updates itself and prefetches otherwise. `Nowhere` sees that when these are left out.
QUIET = {
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    "DISABLE_ERROR_REPORTING": "1",
    "DISABLE_TELEMETRY": "1",
}
# A conversation would begin without an MCP server that needs longer than usual, as on a busy machine.
PATIENT = {"MCP_CONNECTION_NONBLOCKING": "0"}


class Nowhere:
    """A proxy on loopback that lets nobody through. ``asked`` holds the first line of each who came."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._sock = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._sock.getsockname()[1]}"

    @property
    def environ(self) -> dict[str, str]:
        """What makes a program come here with all that is not for loopback."""
        proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), self.url)
        words = proxies | {"NO_PROXY": "127.0.0.1,localhost,::1"}
        return words | {name.lower(): value for name, value in words.items()}

    def _listen(self) -> None:
        while True:
            try:
                caller, _ = self._sock.accept()
            except OSError:  # closed: the test is over
                return
            with caller:
                caller.settimeout(5)
                line = "somebody who said nothing"
                with contextlib.suppress(OSError):
                    line = caller.recv(4096).decode("latin-1").partition("\r\n")[0] or line
                    caller.sendall(b"HTTP/1.1 502 Nowhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                self.asked.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


@dataclass(frozen=True)
class Told:
    """What one conversation printed: every event of ``--output-format stream-json``."""

    events: list[Json]

    @property
    def began(self) -> Json:
        """What Claude Code had when it began: tools, MCP servers, skills, plugins."""
        (event,) = [one for one in self.events if (one["type"], one.get("subtype")) == ("system", "init")]
        return event

    @property
    def end(self) -> Json:
        return self.events[-1]

    def hooks(self, name: str) -> list[Json]:
        """How the hooks of this event went."""
        return [one for one in self.events if one.get("subtype") == "hook_response" and one["hook_event"] == name]


@dataclass
class Claude:
    """The CLI. ``env`` is all it gets; change it as the test needs it."""

    path: str
    env: dict[str, str]
    cwd: Path
    model: MessagesServer
    nowhere: Nowhere
    before: list[str] = field(default_factory=list)  # a program that runs it, and that one's words

    def __call__(self, *words: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run to the end; one that takes too long fails the test."""
        with self.start(*words) as process:
            try:
                out, err = process.communicate(timeout=timeout_s)
            finally:
                process.kill()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start without waiting."""
        return subprocess.Popen(
            [*self.before, self.path, *words],
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def ok(self, *words: str) -> str:
        """What it printed, if it succeeded; fails the test otherwise."""
        done = self(*words)
        assert done.returncode == 0, f"claude {words} -> {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def talk(self, prompt: str, *allowed: str, timeout_s: float = 90) -> Told:
        """A conversation that begins with ``prompt``, to its end; of all tools only these need no permission."""
        shown = ["--output-format", "stream-json", "--verbose", "--include-hook-events"]
        done = self("-p", prompt, *shown, "--allowed-tools", ",".join(allowed), timeout_s=timeout_s)
        assert done.returncode == 0, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Told([json.loads(line) for line in done.stdout.splitlines()])


@contextlib.contextmanager
def claude_code(home: Home, cwd: Path) -> Iterator[Claude]:
    """Claude Code in this home, started in ``cwd``. Skips the calling test where it is not installed."""
    path = _binary()
    files = Path(home.tmux_socket).parent / "claude"  # its sockets lie there too, so the path has to be short
    files.mkdir(mode=0o700)
    with MessagesServer() as model, Nowhere() as nowhere:
        own = {
            "CLAUDE_CONFIG_DIR": str(home.path / ".claude"),
            "CLAUDE_CODE_TMPDIR": str(files),
            "ANTHROPIC_API_KEY": "sk-ant-not-a-key",
            "ANTHROPIC_BASE_URL": model.base_url,
        }
        yield Claude(path, home.env | own | QUIET | PATIENT | nowhere.environ, cwd, model, nowhere)


@functools.cache
def _binary() -> str:
    path = os.environ.get("CODEX_AGENT_TEST_CLAUDE")
    if not path:
        pytest.skip("Claude Code is not installed; bin/test fetches it where npm works")
    return path
