"""Text for a terminal, turned into what it would show; compared with what tmux shows of the same."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_agent import tmux
from codex_agent.screen import HEIGHT, Screen, clean
from support import Home, until

SRC = Path(__file__).parents[1] / "src"


def shown(text: str, height: int = HEIGHT) -> str:
    return "".join(clean([text], height))


CASES: dict[str, tuple[str, str]] = {
    "nothing": ("", ""),
    "text as it is": ("a\n\n  b \t c  \nno end", "a\n\n  b \t c  \nno end"),
    "line ends of a terminal": ("a\tb\r\nc\r\n", "a\tb\nc\n"),
    "colors": ("\x1b[1;31mred\x1b[0m \x1b[38:2::1:2:3mx\x1b[m\n", "red x\n"),
    "a bar that grows": ("  1%\r 50%\r100%\n", "100%\n"),
    "a shorter line over a longer one": ("longer\rshort\n", "shortr\n"),
    "erased first": ("longer\r\x1b[Kshort\n", "short\n"),
    "taken back": ("abd\bc\n", "abc\n"),
    "a spinner": ("⠋ a\r⠙ a\r\x1b[2Kdone\n", "done\n"),
    "a line above, again": ("one\ntwo\n\x1b[2A\x1b[2KONE\n\x1b[1Bthree\n", "ONE\ntwo\nthree\n"),
    "to a place": ("\x1b[2;3Hx\x1b[1;1Hy\n", "y\n  x"),
    "a title": ("\x1b]0;a title\x07text\x1b]2;another\x1b\\ more\n", "text more\n"),
    "a link": ("\x1b]8;;https://example.org\x1b\\here\x1b]8;;\x1b\\\n", "here\n"),
    "a question to the terminal": ("\x1bP+q544e\x1b\\a\x1b[>4;1m\x1b[?2004h\x1b_Gx\x1b\\b\n", "ab\n"),
    "an unfinished string swallows no more than its line": ("\x1b]0;a title\nnext\n", "\nnext\n"),
    "an unfinished sequence": ("a\x1b[1;\nb\x1b\nc\x1b[", "a\nb\nc"),
    "wide characters": ("日本\r\x1b[2Cx\n", "日x\n"),
    "half a wide character": ("日本\r\x1b[1Cx\n", " x本\n"),
    "a combining one": ("e\u0301te\u0301\rE\n", "Ete\u0301\n"),
    "tabs, where the cursor moved": ("a\tb\rA\n", "A       b\n"),
    "bells and nulls": ("a\x07\x00b\x7f\x9b\n", "ab\n"),
    "inserted and deleted": ("abcdef\r\x1b[2P\x1b[1@\x1b[2C\x1b[1X\n", " c ef\n"),
    "a cleared screen stays readable": ("old\n\x1b[2J\x1b[Hnew\n", "old\nnew\n"),
    "what scrolls within": ("a\nb\nc\n\x1b[1;3r\x1b[3;1Hd\ne\n", "a\nb\nd\ne\n"),
    "a forgotten history": ("a\nb\x1b[3Jc\n", "a\nbc\n"),
    "other escapes": ("a\x1b7b\x1b#8\x1b(0\x1b%8\x1b=c\n", "abc\n"),
    "a column far away": ("\x1b[999999999Cx\n", " " * 179 + "x\n"),
}


@pytest.mark.parametrize("name", CASES)
def test_what_a_terminal_would_show(name: str) -> None:
    text, expected = CASES[name]
    assert shown(text) == expected
    for size in (1, 3):  # whatever the pieces
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert "".join(clean(pieces)) == expected


def test_a_line_can_change_as_long_as_it_is_on_the_screen() -> None:
    text = "first\n" + "x\n" * 9 + "\x1b[10AFIRST\n"
    assert shown(text, 11).startswith("FIRST\n")
    assert shown(text, 10).startswith("first\nFIRST\n"), "it had left the top"
    assert shown("one\n\x1b[1Atwo\n", 1) == "one\ntwo\n", "nothing can be taken back"


def test_lines_are_told_once_they_have_left_the_top() -> None:
    screen = Screen(height=1)
    assert screen.feed("a") == ""
    assert screen.feed("b\r\nc") == "ab\n"
    assert screen.feed("\x1b[1mc\n\nd") == "cc\n\n"
    assert screen.close() == "d"
    screen = Screen(height=3)
    assert screen.feed("1\n2\n3\n4") == "1\n"
    assert screen.feed("\n") == "2\n"
    assert screen.close() == "3\n4\n"


PARTS = (
    [f"\x1b[{n}{final}" for n in ("", "0", "1", "3", "12") for final in "ABCDEFGdPX@ST"]
    + [f"\x1b[{n}K" for n in "012"]
    + [f"\x1b[{n}J" for n in "012"]
    + ["\x1b[5;9H", "\x1b[60;2H", "\x1b[H", "\x1b[3;9r", "\x1b[20;70r", "\x1b[r"]
    + ["\x1b7", "\x1b8", "\x1bM", "\x1bD", "\x1bE", "\x1b[s", "\x1b[u", "\x1b(B", "\x1b[?25l", "\x1b]0;x\x07"]
    + ["\r", "\b\b", "\t", "\n", "\r\n", "\v", "\a", "\x1b[1;31m"] * 3
    + ["word ", "abc", "é", "e\u0301"] * 6
    + ["\n".join(f"line {n}" for n in range(count)) for count in (3, 20, 60)] * 6
)


def test_it_shows_what_tmux_shows(home: Home, tmux_socket: str, tmp_path: Path) -> None:
    """Sixty random texts; what differs there on purpose is not among the parts: wide characters that are cut in
    half, lines inserted outside the part that scrolls, a history that is forgotten.
    """
    tmux.open_session(tmux_socket, home.env, "keeps-the-server", ["sleep", "600"], "/")
    for seed in range(60):
        dice = random.Random(seed)
        text = "".join(dice.choices(PARTS, k=dice.randint(3, 40)))
        (tmp_path / "text").write_text(text)
        show = "cat \"$1\"; printf '\\033]2;shown\\007'; exec sleep 600"
        name = f"seed-{seed}"
        tmux.open_session(tmux_socket, home.env, name, ["/bin/sh", "-c", show, "sh", str(tmp_path / "text")], "/")
        until(lambda name=name: tmux.pane_title(tmux_socket, name) == "shown", 10)  # type: ignore[misc]
        theirs = [line.rstrip() for line in tmux.screen(tmux_socket, name, None, False)]
        tmux.kill_session(tmux_socket, name)
        ours = [line.expandtabs().rstrip() for line in shown(text).rstrip().split("\n")]
        if re.search(r"\x1b\[\d?J", text):  # how many empty lines a cleared screen leaves
            ours, theirs = (list(filter(None, lines)) for lines in (ours, theirs))
        assert ours == theirs or not any(ours + theirs), f"seed {seed}: {text!r}"


def test_noise_is_no_trouble() -> None:
    dice = random.Random(1)
    alphabet = "\x1b\x1b[[]();?0123456789ABCDHJKLMPSTXrsu@mdG\n\n\r\b\t日e\u0301\x9b\x07\\P_^ "
    for _ in range(300):
        noise = "".join(dice.choices(alphabet, k=300))
        for height in (1, 2, HEIGHT):
            assert not set(shown(noise, height)) & set("\x1b\r\b\x07\x9b")


@pytest.mark.parametrize(
    ("what", "least_mb_s"),
    [("\x1b[2m" + "x" * 94 + "\x1b[0m\n", 20), ("\r" + "x" * 94 + "\b\x1b[2Kabc\n", 2)],
    ids=["colors", "cursor"],
)
def test_it_is_fast_and_takes_the_memory_of_a_screen(what: str, least_mb_s: float) -> None:
    """About 130 and 15 MB a second were measured; a terminal emulator made of objects does a quarter of one."""
    program = (
        f"import sys, resource, time; sys.path.insert(0, {str(SRC)!r}); from codex_agent.screen import clean\n"
        f"text = {what!r} * 600; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "started = time.process_time(); size = 0\n"
        "for piece in clean(text for _ in range(300)): size += len(piece)\n"
        "print(size, len(text) * 300 / (time.process_time() - started) / 1e6,"
        " resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    size, speed, memory = map(float, done.stdout.split())
    assert size >= 300 * 600 * 4
    assert speed > least_mb_s and memory < 8 * 1024


def test_one_endless_line_is_not_kept() -> None:
    """A million characters are waited for; then what there is is put on the screen."""
    started = time.monotonic()
    screen = Screen()
    for _ in range(50):
        screen.feed("\x1b[31mx\r" * 10_000)
    assert sum(len(held) for held in vars(screen).values() if isinstance(held, str)) < 2 << 20
    assert screen.close() == "x"
    assert time.monotonic() - started < 30
