"""Owns inotify: being woken by the kernel when a file is written, or a folder's entries change.

Only Linux has it. Elsewhere, or where the user has no more of it (128 watchers by default), ``begin`` says None
and somebody has to look now and then. Must never decide what a change means, nor read what changed.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

# include/uapi/linux/inotify.h
MODIFY = 0x00000002
ATTRIB = 0x00000004
CLOSE_WRITE = 0x00000008
MOVED_FROM = 0x00000040
MOVED_TO = 0x00000080
CREATE = 0x00000100
DELETE = 0x00000200
DELETE_SELF = 0x00000400
MOVE_SELF = 0x00000800
# What the kernel adds of itself: more happened than it kept (look at everything), and a watch that is gone.
OVERFLOW = 0x00004000
IGNORED = 0x00008000
IS_FOLDER = 0x40000000

_HEAD = struct.Struct("iIII")
# Room for hundreds of events; the kernel keeps what did not fit for the next read.
_READ_BYTES = 1 << 16


class Event(NamedTuple):
    """One thing that happened. ``wd`` is what ``add`` gave (-1 at an overflow), ``name`` the entry of a folder."""

    wd: int
    mask: int
    name: str


class Watch:
    """One inotify descriptor; ``begin`` makes it, its owner closes it. To be polled by ``fileno``."""

    def __init__(self, handle: int, add_watch: Callable[..., int]) -> None:
        self._handle, self._add_watch = handle, add_watch

    def add(self, path: str, mask: int) -> int:
        """From now on tells of these events at ``path``; a path that is watched already gets the new mask.

        Raises FileNotFoundError or another OSError; ENOSPC means that the user's watches are used up.
        """
        wd = self._add_watch(self._handle, os.fsencode(path), mask)
        if wd < 0:
            import ctypes

            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), path)
        return wd

    def fileno(self) -> int:
        """For ``poll``."""
        return self._handle

    def read(self) -> list[Event]:
        """What happened since the last time, oldest first; empty if nothing did. Never blocks."""
        try:
            data = os.read(self._handle, _READ_BYTES)
        except BlockingIOError:
            return []
        events, at = [], 0
        while at < len(data):
            wd, mask, _, length = _HEAD.unpack_from(data, at)
            at += _HEAD.size
            name = os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length
            events.append(Event(wd, mask, name))
        return events

    def close(self) -> None:
        """Watches nothing any more."""
        os.close(self._handle)


def begin() -> Watch | None:
    """A new watch of nothing yet; None where the system has no such thing, or no more of it."""
    made = _inotify()
    return None if made is None else Watch(*made)


def watch_file(path: str) -> int | None:
    """A descriptor that can be read whenever something is written to the file; its owner reads and closes it.

    None as for ``begin``. Raises OSError if there is no such file.
    """
    watch = begin()
    if watch is None:
        return None
    try:
        watch.add(path, MODIFY)
    except OSError as error:
        watch.close()
        if error.errno == errno.ENOSPC:
            return None
        raise
    return watch.fileno()


def _inotify() -> tuple[int, Any] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes  # late: `start` loads this module too, and watches nothing

    libc = ctypes.CDLL(None, use_errno=True)
    handle: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    return None if handle < 0 else (handle, libc.inotify_add_watch)
