"""What a monitor is asked for, what an entry means to it, and how an event looks: the parts without files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from codex_agent.answers import Changed, FileChanged, Marked, Ran
from codex_agent.errors import UsageError
from codex_agent.monitor import signs
from codex_agent.monitor.told import Who, lasted, line, one_line
from codex_agent.monitor.what import FAILURES, Options, fits, options, parse_since, since_word

PATTERNS = [re.compile(each, re.MULTILINE) for each in FAILURES]


def asked(**more: object) -> Options:
    words: dict[str, object] = {
        "on": None,
        "until": None,
        "wait_any": False,
        "repos": [],
        "values": [],
        "failures": [],
        "idle_s": 600.0,
        "max_events": 10,
        "timeout_s": None,
        "since": None,
    }
    return options(**(words | more))  # type: ignore[arg-type]


# -- options


def test_by_default_all_but_files_and_values_is_told() -> None:
    assert asked().on == {"commit", "goal", "turn", "failure", "idle", "end", "approval"}
    assert asked().until == {"end", "goal", "idle"}


def test_a_value_that_is_named_is_told(tmp_path: Path) -> None:
    found = asked(values=[f"{tmp_path}/a:x = (.*)"])
    assert "value" in found.on
    assert (found.values[0].file, found.values[0].pattern.pattern) == (f"{tmp_path}/a", "x = (.*)")


def test_what_ends_it_is_told_too() -> None:
    found = asked(on="commit", until="turn")
    assert found.on == {"commit", "turn"} and found.until == {"turn"}


def test_what_is_not_told_does_not_end_it_unless_asked() -> None:
    found = asked(on="commit,idle")
    assert found.on == {"commit", "idle", "end"} and found.until == {"end", "idle"}


def test_a_file_with_a_colon(tmp_path: Path) -> None:
    (tmp_path / "a:b").write_text("1")
    found = asked(values=[f"{tmp_path}/a:b:c:(d)"])
    assert (found.values[0].file, found.values[0].pattern.pattern) == (f"{tmp_path}/a:b", "c:(d)")


@pytest.mark.parametrize(
    "more",
    [
        {"on": "commits"},
        {"on": ","},
        {"until": "never"},
        {"on": "value"},
        {"values": ["file"]},
        {"values": ["file:"]},
        {"values": [":x"]},
        {"values": ["file:("]},
        {"failures": ["["]},
        {"since": "x12"},
        {"since": "t-1"},
        {"since": "t1.r../etc"},
        {"since": ""},
    ],
    ids=str,
)
def test_wrong_words(more: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        asked(**more)


def test_the_word_to_go_on_from() -> None:
    word = since_word(["t12", "t0", "g1a2b3c4d", "g-", "rabcdef012345", "r-", "v01234567"])
    found = parse_since(word)
    assert found.offsets == (12, 0)
    assert found.goals == ("1a2b3c4d", "-")
    assert found.heads == ("abcdef012345", "-")
    assert found.values == ("01234567",)
    fits(found, 2, 2, 1)
    with pytest.raises(UsageError):
        fits(found, 1, 2, 1)


# -- what a command's end means


def ran(command: str, code: int | None, output: str = "", status: str | None = None) -> Ran:
    how = status or ("completed" if code == 0 else "failed")
    return Ran("command", None, None, command, "agent", how, code, output, len(output))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (ran("pytest -q", 1, "1 failed\n"), "exit 1: pytest -q | 1 failed"),
        (ran("make", 2), "exit 2: make"),
        (ran("sleep 9", -1, "out\n", "failed"), "no exit status: sleep 9 | out"),
        (ran("./run", None, "", "failed"), "no exit status: ./run"),
        # A pipe hides the exit status; the output does not.
        (ran("pytest | tail", 0, "x\nFAILED t.py::a - b\ny\n"), "exit 0: pytest | tail | FAILED t.py::a - b"),
        (
            ran("python a.py; true", 0, "Traceback (most recent call last):\n  File\n"),
            "exit 0: python a.py; true | Traceback (most recent call last):",
        ),
        # Found in the middle of a long output.
        (ran("x", 0, "a\n" * 9000 + "FAILED here\n" + "b\n" * 9000), "exit 0: x | FAILED here"),
        # Says no, and printed something, or was one of several, or said worse than no.
        (ran("diff a b", 1, "1c1\n"), "exit 1: diff a b | 1c1"),
        (ran("grep x y && make", 1), "exit 1: grep x y && make"),
        (ran("grep x nofile", 2, "No such file\n"), "exit 2: grep x nofile | No such file"),
        (ran("testing", 1), "exit 1: testing"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_failure(entry: Ran, said: str) -> None:
    found = signs.failure(entry, PATTERNS)
    assert found is not None and found[0] == said


@pytest.mark.parametrize(
    "entry",
    [
        ran("git commit -m x", 0, "[main 1234] FAILED to sleep\n"),
        ran("echo the test FAILED here", 0, "the test FAILED here\n"),
        ran("cat log", 0, "  FAILED indented\nno Traceback (most recent call last) at the beginning\n"),
        ran("sleep 60", None, "", "running"),
        ran("rm -rf /", None, "", "declined"),
        ran("sleep 60", None, "", "interrupted"),
        ran("rg nothing src", 1),
        ran("git diff --quiet", 1),
        ran("test -f x", 1),
        ran("[ -f x ]", 1),
        ran("command -v node", 1),
    ],
    ids=lambda each: each.command,
)
def test_no_failure(entry: Ran) -> None:
    assert signs.failure(entry, PATTERNS) is None


def test_a_pattern_of_ones_own() -> None:
    entry = ran("train", 0, "epoch 3\nloss = nan\n")
    assert signs.failure(entry, PATTERNS) is None
    found = signs.failure(entry, [*PATTERNS, re.compile("loss = nan")])
    assert found is not None and found[1]["matched"] == "loss = nan" and found[1]["exit_code"] == 0


@pytest.mark.parametrize(
    ("status", "message", "info", "words", "code", "said"),
    [
        ("completed", None, None, "All\nis done.", 0, "completed after 12 s: All is done."),
        ("interrupted", None, None, "I was", 1, "interrupted after 12 s"),
        ("failed", "It broke.", None, None, 1, "failed after 12 s: It broke."),
        ("failed", "No room.", "context_window_exceeded", None, 11, "failed after 12 s: No room."),
        ("failed", "Too much.", "usage_limit_exceeded", None, 11, "failed after 12 s: Too much."),
    ],
)
def test_the_end_of_a_turn(
    status: str, message: str | None, info: str | None, words: str | None, code: int, said: str
) -> None:
    entry = Marked("turn_ended", None, "t", status, message, 12_000)  # type: ignore[arg-type]
    text, data, found = signs.turn(entry, info, words)
    assert (text, found) == (said, code)
    assert data["status"] == status


def test_changed_files() -> None:
    files = [
        FileChanged("add", "/repo/a", None),
        FileChanged("delete", "/elsewhere/b", None),
        FileChanged("update", "/repo/c", "/repo/d"),
    ]
    found = signs.files(Changed("files", None, None, "completed", files, None), "/repo")
    assert found is not None and found[0] == "+a -/elsewhere/b ~c -> d"
    assert signs.files(Changed("files", None, None, "failed", files, "no"), "/repo") is None


# -- how an event looks


def test_a_line_is_one_safe_short_line() -> None:
    who = Who(0, "thread", None, "01a1fd66-9d0f")
    told = who.tells("turn", "a\x1b]0;title\x07b\r\nc " + "long " * 100, {}, at="2026-11-21T09:08:07.654Z")
    found = line(told)
    assert found.startswith("09:08:07Z 01a1fd66-9d0f turn a]0;titleb c long")
    assert len(found) < 260 and "\n" not in found and "\x1b" not in found
    assert told.event.text.endswith("...")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (12.3, "12 s"), (99, "99 s"), (600, "10 min"), (7260, "2 h 1 min")],
)
def test_durations(seconds: float, said: str) -> None:
    assert lasted(seconds) == said


def test_one_line_of_a_huge_text_costs_nothing() -> None:
    assert one_line("x\n" * 10_000_000, 20) == "x x x x x x x x x..."
