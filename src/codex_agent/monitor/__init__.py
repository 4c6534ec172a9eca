"""Owns `monitor`: what happens to threads, repositories and files, told as it happens, an event a line.

A source looks after one thing (a thread, a repository, a value in a file) and tells what is new about it; ``loop``
sleeps in the kernel until something may be new, and decides when it is over. Only ever reads.
"""

from __future__ import annotations

from .loop import monitor
from .what import Options, go_on, options

__all__ = ["Options", "go_on", "monitor", "options"]
