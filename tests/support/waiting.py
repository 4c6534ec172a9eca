"""Waiting for something to become true, with a deadline; never a bare sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(question: Callable[[], T], timeout_s: float = 10.0, what: str = "") -> T:
    """Ask until the answer is true, and return it. Raises AssertionError with the last answer at the deadline.

    What ``question`` raises is raised on: a question that may fail for a while says so itself.
    """
    deadline = time.monotonic() + timeout_s
    pause = 0.002
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            wanted = what or getattr(question, "__name__", "the condition")
            raise AssertionError(f"{wanted}: not within {timeout_s:g} s; the last answer was {answer!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)
