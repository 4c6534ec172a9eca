"""Owns recognising test runs: whether a command ran tests, and what is seen of how they went.

Pure. The exit status decides where it is the tests' own; where a pipe or an ``|| true`` hides it, the counts in
the output do; where neither tells, the answer is that nobody knows. What the agent says of it counts for nothing.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["passed", "failed", "unknown"]
Basis = Literal["exit_code", "output", "none"]

# Programs that only run what comes behind them, each with its options that take a value.
_WRAPPERS: dict[str, tuple[str, ...]] = {
    "sudo": ("-u", "-g"),
    "env": ("-u", "-C"),
    "time": (),
    "nice": ("-n",),
    "command": (),
    "exec": (),
    "stdbuf": (),
    "timeout": ("-k", "-s"),
    "xvfb-run": (),
    "npx": ("-p", "--package"),
    "bunx": (),
    "uvx": ("--from", "--with"),
    "coverage": ("--source", "--omit", "--rcfile"),
}
# `poetry run pytest`: the tool, and the word behind which the command stands.
_RUNNERS = {"uv": "run", "poetry": "run", "pipenv": "run", "hatch": "run", "pdm": "run", "rye": "run",
            "coverage": "run", "pnpm": "exec", "bundle": "exec"}  # fmt: skip
_RUNNER_VALUES = ("--with", "--extra", "--group", "--python", "-p", "--project", "--directory")
_PYTHON = re.compile(r"python[\d.]*|pypy[\d.]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_PLAIN = {"pytest": "pytest", "py.test": "pytest"} | {
    name: name for name in ("jest", "vitest", "mocha", "tox", "nox", "ctest", "rspec", "phpunit")
}
_SHELLS = ("bash", "sh", "zsh", "dash")
_NODE_TOOLS = ("npm", "pnpm", "yarn", "bun")
_ASKS_ONLY = frozenset(
    {"--version", "-V", "--help", "-h", "--collect-only", "--co", "--no-run", "--list", "--fixtures"}
)
# Ended from outside (a time-out, a signal), or never begun, as the shell and `timeout` say it.
_NOT_OVER = frozenset({124, 126, 127, 130, 137, 143})
_NONE_FOUND = {"pytest": (4, 5)}  # exit statuses that mean: no test was run
# What would look like commands and is none: bodies of here-documents, comments; and what would look like a joint.
_HERE = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?([^\n]*)\n.*?(?:^\s*\1\s*$|\Z)", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
# Every command that runs tests has one of these in it; most commands have none, and are not taken apart.
_MAYBE = re.compile(r"test|tst|tox|nox|jest|mocha|rspec|phpunit|check|verify|\bt\b")
_LONGEST = 20_000  # characters; what is longer is a program and no command
_REDIRECTION = re.compile(r"\d*[<>]&[\d-]|&>>?|>&")


@dataclass(frozen=True, slots=True)
class Seen:
    """A test run, as its command and output tell it. Counts are None where the output does not say them."""

    runner: str
    outcome: Outcome
    basis: Basis
    passed: int | None
    failed: int | None
    skipped: int | None


def judge(command: str, exit_code: int | None, output: str, *, ended: bool) -> Seen | None:
    """What a command's run says of tests; None if it ran none. ``ended``: it came to an end by itself."""
    found = _find(command)
    if found is None:
        return None
    runner, decides = found
    counts = _counts(runner, output)
    passed, failed, skipped = counts or (None, None, None)
    outcome: Outcome = "unknown"
    basis: Basis = "none"
    if ended and decides and exit_code is not None and exit_code >= 0 and exit_code not in _NOT_OVER:
        if exit_code not in _NONE_FOUND.get(runner, ()):
            outcome, basis = ("failed" if exit_code else "passed"), "exit_code"
    elif ended and counts is not None and (failed or passed):
        outcome, basis = ("failed" if failed else "passed"), "output"
    return Seen(runner, outcome, basis, passed, failed, skipped)


# ---- the command ----


def _find(command: str) -> tuple[str, bool] | None:
    """The last runner in a command, and whether the whole command's exit status is its own."""
    parts = _split(command)
    found: tuple[str, bool] | None = None
    for number, (words, joint) in enumerate(parts):
        inner = _unwrapped(words)
        own = True
        runner = _runner(inner)
        if len(inner) > 2 and os.path.basename(inner[0]) in _SHELLS and inner[1] in ("-c", "-lc"):
            nested = _find(inner[2])
            runner, own = nested or (None, True)
        if runner is not None:
            joints = [joint for _, joint in parts[number:-1]] + (["&"] if joint == "&" else [])
            passes_on = {"&&", "|"} if "pipefail" in command else {"&&"}
            found = (runner, own and passes_on.issuperset(joints))
    return found


def _split(command: str) -> list[tuple[list[str], str]]:
    """The simple commands of a shell command, each with what joins it to the next one; none if it is not sound."""
    if not _MAYBE.search(command):
        return []
    command = _REDIRECTION.sub(" ", _COMMENT.sub("", _HERE.sub(r"\2\n", command)))
    if len(command) > _LONGEST:
        return []
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()\n")
    lexer.whitespace = " \t\r"
    lexer.whitespace_split = True
    lexer.commenters = ""
    parts: list[tuple[list[str], str]] = []
    words: list[str] = []
    try:
        for token in lexer:
            if token and all(char in ";&|()\n" for char in token):
                joint = token.strip("\n") or ";"
                if words:
                    parts.append((words, joint))
                elif parts and joint != ";":
                    parts[-1] = (parts[-1][0], joint)
                words = []
            else:
                words.append(token)
    except ValueError:  # quotes that do not close: a here-document, or no shell at all
        return []
    return [*parts, (words, "")] if words else parts


def _runner(words: list[str]) -> str | None:
    """What runs tests in a simple command that is not wrapped; None if nothing does."""
    if not words or not _ASKS_ONLY.isdisjoint(words):
        return None
    name, rest = os.path.basename(words[0]), words[1:]
    if _PYTHON.fullmatch(name):
        left = _without_options(rest, ("-W", "-X"))
        module = left[1].partition(".")[0] if left[:1] == ["-m"] and len(left) > 1 else ""
        return module if module in ("pytest", "unittest", "tox", "nox") else None
    if name in _PLAIN:
        return _PLAIN[name]
    if name in _NODE_TOOLS:
        task = rest[1:] if rest[:1] in (["run"], ["run-script"]) else rest
        return name if task and (task[0] in ("test", "t", "tst") or task[0].startswith("test:")) else None
    first = next((word for word in rest if not word.startswith(("-", "+"))), "")
    if name == "cargo":
        return "cargo" if first in ("test", "t", "nextest") else None
    if name in ("go", "dotnet", "swift", "deno", "flutter", "dart", "mix"):
        return name if first == "test" else None
    if name == "node" and "--test" in rest:
        return "node"
    if name in ("make", "just", "gradle", "gradlew", "mvn", "mvnw", "rake", "bazel", "sbt", "ninja"):
        return name if any(word in ("test", "tests", "check", "verify") for word in rest) else None
    return None


def _unwrapped(words: list[str]) -> list[str]:
    """Without variables set in front, and without programs that only run the rest."""
    left = list(words)
    while left:
        name = os.path.basename(left[0])
        if _ASSIGNMENT.match(left[0]) or name in ("!", "then", "do", "else", "if", "while", "{"):
            left = left[1:]
        elif name in _RUNNERS and _RUNNERS[name] in left[1:]:
            left = _without_options(left[left.index(_RUNNERS[name]) + 1 :], _RUNNER_VALUES)
            if name == "coverage" and left[:1] != ["-m"]:
                return []
            if name == "coverage":
                left = ["python", *left]
        elif name in _WRAPPERS:
            left = _without_options(left[1:], _WRAPPERS[name])
            if name == "timeout":
                left = left[1:]
        else:
            return left
    return left


def _without_options(words: list[str], valued: tuple[str, ...]) -> list[str]:
    left = list(words)
    while left and left[0].startswith("-") and left[0] not in ("-m",):
        left = left[2:] if left[0] in valued else left[1:]
    return left


# ---- the output ----

_Counts = tuple[int | None, int | None, int | None]


def _counts(runner: str, output: str) -> _Counts | None:
    """Passed, failed, skipped, as the output's own summary has them; None if there is none that is understood."""
    known = _SUMMARIES.get(runner)
    for read in [known] if known else dict.fromkeys(_SUMMARIES.values()):
        counts = read(output)
        if counts is not None:
            return counts
    return None


def _sum(pattern: str, output: str) -> int:
    return sum(int(number) for number in re.findall(pattern, output, re.MULTILINE))


def _pytest(output: str) -> _Counts | None:
    lines = re.findall(r"^=* ?((?:\d+ [a-z]+(?:, )?)+) in [\d.:]+s.*$", output, re.MULTILINE)
    if not lines:
        return None
    found = {word.removesuffix("s"): int(number) for number, word in re.findall(r"(\d+) ([a-z]+)", lines[-1])}
    return found.get("passed", 0), found.get("failed", 0) + found.get("error", 0), found.get("skipped", 0)


def _unittest(output: str) -> _Counts | None:
    ran = re.findall(r"^Ran (\d+) tests? in ", output, re.MULTILINE)
    end = re.findall(r"^(OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$", output, re.MULTILINE)
    if not ran or not end:
        return None
    found = {word: int(number) for word, number in re.findall(r"(\w+)=(\d+)", end[-1][1])}
    failed = found.get("failures", 0) + found.get("errors", 0)
    skipped = found.get("skipped", 0)
    return int(ran[-1]) - failed - skipped, failed, skipped


def _cargo(output: str) -> _Counts | None:
    if "test result: " not in output:
        return None
    return (
        _sum(r"(\d+) passed; \d+ failed;", output),
        _sum(r" (\d+) failed;", output),
        _sum(r" (\d+) ignored;", output),
    )


def _go(output: str) -> _Counts | None:
    # Without -v go names packages only.
    counts = tuple(
        len(re.findall(rf"^\s*--- {word}: ", output, re.MULTILINE)) for word in ("PASS", "FAIL", "SKIP")
    )
    return (counts[0], counts[1], counts[2]) if counts[0] else None


def _jest(output: str) -> _Counts | None:
    line = re.search(r"^\s*Tests:? +(?=.*\d+ (?:passed|failed|total))(.*)$", output, re.MULTILINE)
    if line is None:
        return None
    found = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped)", line[1])}
    return found.get("passed", 0), found.get("failed", 0), found.get("skipped", 0)


def _node(output: str) -> _Counts | None:
    found = dict(re.findall(r"^(?:#|\u2139) (pass|fail|skipped) (\d+)$", output, re.MULTILINE))
    return (int(found["pass"]), int(found["fail"]), int(found.get("skipped", 0))) if len(found) > 1 else None


def _mocha(output: str) -> _Counts | None:
    if not re.search(r"^\s+\d+ passing \(", output, re.MULTILINE):
        return None
    passing, failing, pending = (_sum(rf"^\s+(\d+) {word}", output) for word in ("passing", "failing", "pending"))
    return passing, failing, pending


_SUMMARIES: dict[str, Callable[[str], _Counts | None]] = {
    "pytest": _pytest,
    "unittest": _unittest,
    "cargo": _cargo,
    "go": _go,
    "jest": _jest,
    "vitest": _jest,
    "node": _node,
    "mocha": _mocha,
}
