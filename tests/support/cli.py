"""The command line as its users run it: a process of its own, with a deadline on every call."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SRC = str(Path(__file__).parents[2] / "src")
# As bin/codex-agent starts it. Naming src makes it work in an environment that does not hold the package.
_START = (
    f"import sys; sys.path.insert(0, {SRC!r}); sys.argv[0] = 'codex-agent'; "
    "from codex_agent.__main__ import main; sys.exit(main())"
)
COMMAND = (sys.executable, "-I", "-c", _START)


@dataclass(frozen=True)
class Result:
    """What one call did. ``seconds`` is its wall time."""

    args: tuple[str, ...]
    rc: int
    out: str
    err: str
    seconds: float

    def json(self) -> Any:
        """stdout as JSON. Fails the test if it is anything else."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise AssertionError(f"stdout is not JSON ({error}):\n{self}") from None

    def ok(self) -> Result:
        """This result, if the call succeeded; fails the test otherwise."""
        assert self.rc == 0, str(self)
        return self

    def __str__(self) -> str:
        call = shlex.join(self.args)
        head = f"codex-agent {call} -> {self.rc} ({self.seconds:.2f} s)"
        return f"{head}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@dataclass
class Cli:
    """Runs ``codex-agent`` with ``env`` in ``cwd``; both can be given per call instead."""

    env: dict[str, str]
    cwd: Path
    _running: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(
        self,
        *args: str,
        stdin: str | None = None,
        timeout_s: float = 60.0,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run to the end; ``env`` is added to the usual one. A call that takes too long fails the test."""
        process = self.start(*args, cwd=cwd, env=env, stdin=subprocess.PIPE if stdin is not None else None)
        started = time.monotonic()
        try:
            out, err = process.communicate(stdin, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(
                f"codex-agent {shlex.join(args)}: not done after {timeout_s:g} s\n{out}\n{err}"
            ) from None
        finally:
            self._running.remove(process)
        return Result(args, process.returncode, out, err, time.monotonic() - started)

    def start(
        self,
        *args: str,
        cwd: Path | str | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int = subprocess.PIPE,
    ) -> subprocess.Popen[str]:
        """Start without waiting (``wait``, ``watch``, ...); what still runs when the test ends is killed."""
        process = subprocess.Popen(
            [*COMMAND, *args],
            cwd=cwd or self.cwd,
            env=self.env | dict(env or {}),
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._running.append(process)
        return process

    def close(self) -> None:
        """End what the test left running."""
        for process in self._running:
            process.kill()
            process.communicate()
        self._running.clear()
