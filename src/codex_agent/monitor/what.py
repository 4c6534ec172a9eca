"""Owns what a monitor is asked for: kinds of events, what ends it, patterns, and the word to go on from.

Pure: parses words, reads nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from codex_agent.calling import me
from codex_agent.errors import UsageError
from codex_agent.monitor_answers import MonitorEnd

KINDS = ("commit", "goal", "turn", "failure", "idle", "file", "value", "end", "approval")
DEFAULT_ON = ("commit", "goal", "turn", "failure", "idle", "end", "approval")
DEFAULT_UNTIL = ("end", "goal", "idle")
# What a test runner or Python prints, also where a pipe or a script hides the exit status.
FAILURES = (r"^Traceback \(most recent call last\)", r"^FAILED ")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A value in a file: everything in it that the pattern matches."""

    file: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Since:
    """Where an earlier monitor stopped; in the order of its threads, repositories and values."""

    offsets: tuple[int, ...] = ()
    goals: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    start: bool = False
    """Instead of all these: from each thread's beginning."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to tell, and when to stop."""

    on: frozenset[str] = frozenset(DEFAULT_ON)
    until: frozenset[str] = frozenset(DEFAULT_UNTIL)
    any: bool = False
    """Whether one thread's end is enough."""
    repos: tuple[str, ...] = ()
    values: tuple[Wanted, ...] = ()
    failures: tuple[re.Pattern[str], ...] = field(
        default_factory=lambda: tuple(re.compile(each, re.MULTILINE) for each in FAILURES)
    )
    idle_s: float = 600.0
    max_events: int = 10
    """0: no cap."""
    timeout_s: float | None = None
    since: Since | None = None


def options(
    *,
    on: str | None,
    until: str | None,
    wait_any: bool,
    repos: Sequence[str],
    values: Sequence[str],
    failures: Sequence[str],
    idle_s: float,
    max_events: int,
    timeout_s: float | None,
    since: str | None,
) -> Options:
    """The options from the words of a call. Raises UsageError."""
    wanted = [_value(word) for word in values]
    ends = _kinds(until, "--until") if until is not None else set(DEFAULT_UNTIL)
    told = _kinds(on, "--on") if on is not None else {*DEFAULT_ON, *(["value"] if wanted else [])}
    if until is None:
        ends &= told | {"end"}
    if "value" in told | ends and not wanted:
        raise UsageError("There is no value to watch.", "Name one: --value FILE:REGEX.")
    patterns = (*FAILURES, *failures)
    return Options(
        on=frozenset(told | ends),
        until=frozenset(ends),
        any=wait_any,
        repos=tuple(repos),
        values=tuple(wanted),
        failures=tuple(_pattern(each, "--failure") for each in patterns),
        idle_s=idle_s,
        max_events=max_events,
        timeout_s=timeout_s,
        since=None if since is None else parse_since(since),
    )


def _kinds(words: str, option: str) -> set[str]:
    found = {word.strip() for word in words.split(",")} - {""}
    for word in sorted(found):
        if word not in KINDS:
            raise UsageError(f"{option}: there is no event '{word}'.", f"Some of {','.join(KINDS)}.")
    if not found:
        raise UsageError(f"{option} names no event.", f"Some of {','.join(KINDS)}.")
    return found


def _value(word: str) -> Wanted:
    file, colon, pattern = word.partition(":")
    # A name with a colon in it, if such a file is there.
    while colon and not os.path.exists(file) and os.path.exists(f"{file}:{pattern.partition(':')[0]}"):
        more, colon, pattern = pattern.partition(":")
        file = f"{file}:{more}"
    if not file or not pattern:
        raise UsageError(f"--value: '{word}' is no FILE:REGEX.", r"Such as --value 'train.py:lr = (\S+)'.")
    return Wanted(os.path.abspath(os.path.expanduser(file)), _pattern(pattern, "--value"))


def _pattern(word: str, option: str) -> re.Pattern[str]:
    try:
        return re.compile(word, re.MULTILINE)
    except re.error as error:
        raise UsageError(f"{option}: '{word}' is no regular expression: {error}.", "As in Python.") from None


# ---- the word to go on from: t<bytes of a rollout>, g<goal>, r<commit>, v<value>, each as often as there are such


def since_word(parts: Iterable[str]) -> str:
    """The word of ``--since``, from each source's own part (``t``, ``g``, ``r`` or ``v`` and what it knows)."""
    return ".".join(part for part in parts if part)


def parse_since(word: str) -> Since:
    """What stands in such a word; ``start`` is one too. Raises UsageError."""
    if word == "start":
        return Since(start=True)
    found: dict[str, list[str]] = {"t": [], "g": [], "r": [], "v": []}
    for part in word.split("."):
        if not re.fullmatch(r"t\d{1,18}|[grv](?:[0-9a-f]{1,64}|-)", part):
            raise UsageError(f"--since: '{word}' is not what a monitor printed.", "Take its last line's word.")
        found[part[0]].append(part[1:])
    return Since(tuple(int(each) for each in found["t"]), tuple(found["g"]), tuple(found["r"]), tuple(found["v"]))


def fits(since: Since, threads: int, repos: int, values: int) -> None:
    """Raises UsageError unless the word was printed by a call with as many of each."""
    if (len(since.offsets), len(since.heads), len(since.values)) != (threads, repos, values):
        raise UsageError(
            "--since belongs to a call with other threads, repositories or values.",
            "Call with the same words as then, or leave it out.",
        )


def go_on(end: MonitorEnd, given: Mapping[str, object]) -> None:
    """Completes the command of a monitor's end: ``given`` are its options as the command line calls them."""
    words: list[str] = []
    for option, value in given.items():
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [word for each in value for word in (option, str(each))]
        elif value is not None and value is not False:
            words += [option, f"{value:g}" if isinstance(value, float) else str(value)]
    end.command = [me(), "monitor", *end.command, *words, "--since", end.since]
