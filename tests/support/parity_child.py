"""One process that runs argument lists both ways, the fast one and typer's, and says what each did.

Run by ``parity.py`` as ``python -I parity_child.py SRC``, it knows nothing of the tests. One JSON line of stdin is
one question: ``[ways, words, environment, folder to stand in, folder to look after, shape]``. Typer's commands are
put together once (that takes 20 ms), and the clock stands still, so that all that is printed can be compared.

With a shape, the whole of ``main`` runs in a fork of its own whose streams are as ``SHAPES`` says; else only
``fast.route`` or ``cli.app.run`` does, right here.
"""

from __future__ import annotations

import fcntl
import functools
import gc
import json
import os
import posix
import resource
import struct
import sys
import tempfile
import termios
import time
import traceback
from collections.abc import Callable
from typing import Any

BROKEN = 97  # the exit code of a fork that was not made well, or in which `main` returned
# Later than any file here was written: what is kept of a file that is old enough is believed.
NOW = int(time.time()) + 3600.125


def stop_the_clock() -> None:
    """Before anything takes its functions by name."""
    real = time.clock_gettime, time.clock_gettime_ns
    time.time = lambda: NOW
    time.time_ns = lambda: int(NOW * 10**9)
    time.clock_gettime = lambda which: NOW if which == time.CLOCK_REALTIME else real[0](which)
    time.clock_gettime_ns = lambda which: int(NOW * 10**9) if which == time.CLOCK_REALTIME else real[1](which)


class Streams:
    """Stdout and stderr, into files for the length of one call."""

    def __init__(self) -> None:
        self._files = [tempfile.TemporaryFile(buffering=0) for _ in range(2)]

    def of(self, call: Callable[[], object]) -> dict[str, object]:
        """What it printed and returned, or raised."""
        for number, file in enumerate(self._files, 1):
            file.seek(0)
            file.truncate()
            os.dup2(file.fileno(), number)
        code: object = None
        trouble = ""
        try:
            code = call()
        except SystemExit as error:
            code = f"SystemExit {error.code}"
        except BaseException:
            trouble = traceback.format_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = (os.pread(file.fileno(), 1 << 24, 0).decode("latin-1") for file in self._files)
        return {"code": code, "out": out, "err": err, "trouble": trouble}


def full(*numbers: int) -> None:
    for number in numbers:
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)


def read_only(number: int) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), number)


def gone(*numbers: int) -> None:
    """A pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.close(reading)
    for number in numbers:
        os.dup2(writing, number)


# What becomes of the streams, after they were made files.
SHAPES: dict[str, Callable[[], Any]] = {
    "files": lambda: None,
    "stdout closed": lambda: os.close(1),
    "stderr closed": lambda: os.close(2),
    "both closed": lambda: os.closerange(1, 3),
    "all closed": lambda: os.closerange(0, 3),
    "stdin closed": lambda: os.close(0),
    "stdout full": lambda: full(1),
    "stderr full": lambda: full(2),
    "both full": lambda: full(1, 2),
    "stdout for reading only": lambda: read_only(1),
    "stderr for reading only": lambda: read_only(2),
    "reader gone": lambda: gone(1),
    "both readers gone": lambda: gone(1, 2),
    "a file that may not grow": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700)),
    "stdout and stderr the same": lambda: os.dup2(1, 2),
}
TERMINALS = {"terminal": (24, 80), "narrow terminal": (24, 30), "terminal without size": (0, 0)}


def in_fork(call: Callable[[], object], shape: str) -> dict[str, object]:
    """What a process of its own prints and returns, with such streams."""
    out, err = (tempfile.TemporaryFile(buffering=0) for _ in range(2))
    ours, theirs = os.openpty() if shape in TERMINALS else (None, out.fileno())
    if ours is not None:
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", *TERMINALS[shape], 0, 0))
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(theirs, 1)
            os.dup2(err.fileno(), 2)
            os.closerange(3, 256)
            SHAPES.get(shape, SHAPES["files"])()
            for name, number, errors in (("stdout", 1, "surrogateescape"), ("stderr", 2, "backslashreplace")):
                made = stream(number, errors)
                setattr(sys, name, made)
                setattr(sys, f"__{name}__", made)
        except BaseException:
            os._exit(BROKEN)
        call()  # what it does not catch ends this process as it would end any
        os._exit(BROKEN)
    screen = b""
    if ours is not None:
        os.close(theirs)
        screen = read_all(ours)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    said = [screen or os.pread(out.fileno(), 1 << 24, 0), os.pread(err.fileno(), 1 << 24, 0)]
    out.close()
    err.close()
    trouble = f"exit {BROKEN}" if code == BROKEN else ""
    return {"code": code, "out": said[0].decode("latin-1"), "err": said[1].decode("latin-1"), "trouble": trouble}


def stream(number: int, errors: str) -> Any:
    """As Python makes them when it starts; None where there is nothing open."""
    try:
        os.fstat(number)
    except OSError:
        return None
    return open(number, "w", encoding="utf-8", errors=errors, closefd=False, buffering=1 if number == 2 else -1)


def read_all(terminal: int) -> bytes:
    """What was written to it until nobody had it open any more."""
    found = b""
    try:
        while more := os.read(terminal, 1 << 16):
            found += more
    except OSError:
        pass  # how a terminal says so
    os.close(terminal)
    return found


def live_in(environ: dict[str, str], folder: str) -> None:
    """This environment, wherever somebody looks for it, and this folder."""
    os.environ.clear()
    os.environ.update(environ)
    posix.environ.clear()
    posix.environ.update({os.fsencode(key): os.fsencode(value) for key, value in environ.items()})
    os.chdir(folder)


def look(folder: str) -> list[tuple[str, int, int, int]]:
    """What a folder holds, so that a change shows."""
    try:
        with os.scandir(folder) as entries:
            stats = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []
    return sorted((name, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in stats)


def serve() -> None:
    """Answers until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    stop_the_clock()
    sys.path.insert(0, sys.argv[1])
    sys.argv[:] = ["codex-agent"]
    import typer.main

    from codex_agent import __main__, fast
    from codex_agent.cli.app import app, run

    commands = typer.main.get_command(app)
    typer.main.get_command = lambda typer_instance: commands
    route = fast.route
    streams = Streams()

    def here(way: str, words: list[str]) -> int | None:
        return route(words) if way == "fast" else run(words)

    def whole(way: str, words: list[str]) -> None:
        fast.route = route if way == "fast" else lambda words: None
        sys.argv[1:] = words
        __main__.main()

    gc.freeze()
    for line in sys.stdin:
        ways, words, environ, folder, guarded, shape = json.loads(line)
        live_in(environ, folder)
        said: dict[str, dict[str, object]] = {}
        for way in ways:
            before = look(guarded) if way == "fast" else []
            if shape is None:
                told = streams.of(functools.partial(here, way, list(words)))
            else:
                told = in_fork(functools.partial(whole, way, words), shape)
            said[way] = {**told, "changed": way == "fast" and before != look(guarded)}
        answers.write(json.dumps(said) + "\n")
        answers.flush()
    os._exit(0)  # threads that still wait for a job stay behind


if __name__ == "__main__":
    serve()
