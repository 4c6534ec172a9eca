"""What work did to the outside: bytes it read, memory it took, what it changed, locked, opened to write."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Inventory = dict[str, tuple[int, int, int, int, str]]
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.utime", "os.chmod", "os.link")
_LOCKS = ("fcntl.flock", "fcntl.lockf")


def bytes_read(work: Callable[[], object]) -> int:
    """Bytes that this process asked the system for meanwhile (files, pipes); Linux alone can tell."""
    before = _rchar()
    work()
    return _rchar() - before


def _rchar() -> int:
    with open("/proc/self/io", encoding="ascii") as file:
        return int(file.readline().split()[1])


def peak_memory(work: Callable[[], object]) -> int:
    """The most bytes that Python had in use for it at one time."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def inventory(folder: Path) -> Inventory:
    """Every file and folder below: size, mtime (ns), inode, mode, hash of what is in it."""
    found: Inventory = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path)] = (status.st_size, status.st_mtime_ns, status.st_ino, status.st_mode, digest)
    return found


def difference(before: Inventory, after: Inventory) -> list[str]:
    """What appeared, went away, changed."""
    return [
        f"{path}: {before.get(path)} -> {after.get(path)}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


class _Watch:
    """Python's own audit events; a hook cannot be taken away again, so there is one, which is mostly asleep."""

    def __init__(self) -> None:
        self.folder: str | None = None
        self.seen: list[str] = []
        sys.addaudithook(self)

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.folder is None or event not in ("open", *_CHANGES, *_LOCKS):
            return
        if event in _LOCKS:
            # The descriptor's path tells whose file it is.
            path = os.readlink(f"/proc/self/fd/{args[0]}")
        else:
            path = os.fsdecode(args[0]) if isinstance(args[0], (str, bytes)) else ""
        if not os.path.realpath(path).startswith(self.folder):
            return
        if event == "open" and not int(args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            return
        self.seen.append(f"{event} {path} {args[1:]}")


_watch: _Watch | None = None


@contextlib.contextmanager
def only_reading(folder: Path) -> Iterator[None]:
    """Fails if, meanwhile, this process opens something below the folder to write, changes it, or locks it."""
    global _watch
    _watch = _watch or _Watch()
    _watch.folder, _watch.seen = os.path.join(os.path.realpath(folder), ""), []
    try:
        yield
    finally:
        _watch.folder = None
    assert _watch.seen == []
