"""A report as Markdown: nothing that an agent wrote can pass for a part of it. Read by a Markdown parser."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from codex_agent.answers import FileChanged
from codex_agent.model import Failure, Tokens
from codex_agent.report import _Files, cut
from codex_agent.report_text import markdown
from codex_agent.work_answers import (
    Asking,
    CommandRun,
    CommitMade,
    Commits,
    Mistake,
    Note,
    RanTests,
    Report,
    ReportList,
    TurnDone,
)

HEADINGS = [
    *("Asked", "Done", "Files changed through Codex", "Evidence", "Commits", "Tests", "Commands"),
    *("Claimed by the agent", "Found on review"),
]
HOSTILE = [
    "```\n# Report: forged\n\n**passed**",
    "`````text\n~~~\n````\n## Evidence",
    "~~~\n</pre><script>alert(1)</script>\n---",
    "`code` ``more`` # x",
    "`",
    "line one\n\n    ## Found on review\n\n- [link](http://example.invalid)\n![x](y)",
    "\x1b[2Jx\r\n## Commits\u2028## Tests\u202e",
    "> quote\n1. one\n| a | b |\n| - | - |\n<details>",
    "ends with a backslash\\",
    "$`\n" * 3,
]
AT = "2026-01-02T03:04:05.678Z"


def hostile(text: str) -> Report:
    """A report in which everything that somebody else wrote is this."""
    note = Note("0a0b0c0d", AT, "mistake", text, None, None)
    made = CommitMade("a" * 40, text, text, AT, False)
    return Report(
        id="0a1b2c3d",
        state="failed",
        name=text,
        cwd=text,
        model=text,
        reasoning=text,
        sandbox=text,
        rollout=text,
        failure=Failure("unknown", text),
        asked=[Asking(text, None, text, len(text)), Asking(AT, None, text, len(text))],
        asked_total=2,
        turns=[TurnDone("t", "failed", text, AT, 1500, text)],
        turns_total=1,
        claim=text,
        commits=Commits("/repo", "head", "b" * 40, "c" * 40, [made], [text], text),
        commands=[CommandRun(AT, None, text, "agent", text, None)],
        commands_total=1,
        tests=[RanTests(AT, None, text, "pytest", "failed", "exit_code", 1, 1, 2, 3)],
        files=[FileChanged("update", text, text)],
        tokens=Tokens(),
        mistakes=[Mistake(note, [note])],
        notes=[note],
    )


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_breaks_out(text: str) -> None:
    told = markdown(ReportList(AT, [hostile(text)]))
    tokens = MarkdownIt("commonmark").enable("table").parse(told)
    headings = [tokens[at + 1].content for at, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[0].startswith("Report: 0a1b2c3d")
    assert headings[1:] == HEADINGS
    kinds = {token.type for token in tokens} | {
        child.type for token in tokens for child in token.children or [] if child.type != "text"
    }
    assert kinds <= {
        *("heading_open", "heading_close", "inline", "paragraph_open", "paragraph_close", "fence"),
        *("bullet_list_open", "bullet_list_close", "list_item_open", "list_item_close"),
        *("code_inline", "strong_open", "strong_close", "softbreak"),
    }
    bold = [
        token.children[at + 1].content
        for token in tokens
        if token.children
        for at, child in enumerate(token.children)
        if child.type == "strong_open"
    ]
    assert bold == ["failed"]
    assert sum(token.type == "fence" for token in tokens) == 6  # asked twice, claim, three notes
    assert not set(told) & {"\x1b", "\r", "\u2028", "\u202e"}


def test_the_words_are_there_as_they_were() -> None:
    text = "first\n\n  indented `x`\n```\nlast"
    tokens = MarkdownIt("commonmark").parse(markdown(ReportList(AT, [hostile(text)])))
    fences = [token.content for token in tokens if token.type == "fence"]
    assert set(fences) == {text + "\n"}


def test_an_empty_report() -> None:
    told = markdown(ReportList(AT, [Report(id="x", state="unknown")]))
    for words in (
        "No turn is marked.",
        "No test run is seen.",
        "No command.",
        "It said nothing.",
        "cost: unknown",
    ):
        assert words in told


def test_long_lists_are_cut_and_counted() -> None:
    report = Report(id="x", state="completed")
    report.commands = [CommandRun(AT, None, f"command {n}", "agent", "completed", 0) for n in range(500)]
    report.commands_total, report.commands_failed = 2000, 3
    report.files = [FileChanged("add", f"/repo/{n}", None) for n in range(150)]
    report.claim = "\n".join(f"line {n}" for n in range(1000))
    report.asked, report.asked_total = [Asking(AT, None, "a", 1), Asking(AT, None, "b", 1)], 40
    told = markdown(ReportList(AT, [report]))
    assert "2000 run, 3 of them failed." in told and "The last 30:" in told
    assert "command 499" in told and "command 469" not in told
    assert "... and 50 more" in told
    assert "920 lines left out" in told and "line 999" in told
    assert "(38 messages left out.)" in told


def test_several_reports_stand_apart() -> None:
    told = markdown(ReportList(AT, [Report(id=name, state="completed") for name in ("a", "b")]))
    tokens = MarkdownIt("commonmark").parse(told)
    assert [token.type for token in tokens].count("hr") == 1


def test_a_long_text_keeps_both_ends() -> None:
    assert cut("short", 100) == "short"
    long = cut("a" * 500 + "b" * 500, 100)
    assert long.startswith("a" * 50) and long.endswith("b" * 50) and "900 characters left out" in long


FILES: list[tuple[list[tuple[str, str, str | None]], list[tuple[str, str, str | None]]]] = [
    ([("add", "a", None), ("update", "a", None)], [("add", "a", None)]),
    ([("update", "a", None), ("update", "a", None)], [("update", "a", None)]),
    ([("add", "a", None), ("delete", "a", None)], []),
    ([("update", "a", None), ("delete", "a", None)], [("delete", "a", None)]),
    ([("delete", "a", None), ("add", "a", None)], [("update", "a", None)]),
    ([("update", "a", "b"), ("update", "b", None)], [("update", "a", "b")]),
    ([("update", "a", "b"), ("update", "b", "c")], [("update", "a", "c")]),
    ([("update", "a", "b"), ("update", "b", "a")], [("update", "a", None)]),
    ([("update", "a", "b"), ("delete", "b", None)], [("delete", "a", None)]),
    ([("add", "a", None), ("update", "a", "b")], [("add", "b", None)]),
    ([("add", "a", None), ("update", "a", "b"), ("delete", "b", None)], []),
    ([("update", "a", "b"), ("add", "a", None)], [("add", "a", None), ("update", "a", "b")]),
    ([("update", "b", None), ("add", "a", None)], [("add", "a", None), ("update", "b", None)]),
]


@pytest.mark.parametrize(("changes", "net"), FILES)
def test_what_became_of_a_file(
    changes: list[tuple[str, str, str | None]], net: list[tuple[str, str, str | None]]
) -> None:
    files = _Files()
    for kind, path, moved_to in changes:
        files.put(FileChanged(kind, path, moved_to))  # type: ignore[arg-type]
    assert sorted((one.kind, one.path, one.moved_to) for one in files.all()) == sorted(net, key=str)
