"""Owns a report as Markdown for people.

What an agent, a command or git wrote is quoted so that it cannot pass for a part of the report: several lines
stand in a fence that is longer than any in them, one line in a code span; control characters, also those that turn
the direction of text, are taken out. Renders; never asks anything.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence

from codex_agent.answers import FileChanged
from codex_agent.model import Tokens
from codex_agent.text import plain
from codex_agent.work_answers import CommandRun, Commits, Mistake, Note, RanTests, Report, ReportList, TurnDone

_LINES, _LINE_CHARS, _SPAN_CHARS = 80, 2_000, 200
_COMMANDS, _FILES = 30, 100
_TICKS = re.compile(r"`+")
# Marks that turn the direction of text (Unicode, bidirectional formatting), and line ends that only Unicode has.
_TURNING = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x2028, 0x2029])


def markdown(answer: ReportList) -> str:
    """All the reports, one after the other."""
    return "\n---\n\n".join("\n".join(_report(report)) + "\n" for report in answer.reports)


def _report(report: Report) -> list[str]:
    title = f"{report.id} {_span(report.name)}" if report.name else report.id
    lines = [f"# Report: {title}", "", *_facts(report), "", "## Asked", ""]
    for number, asking in enumerate(report.asked):
        left_out = report.asked_total - len(report.asked)
        if number == 1 and left_out > 0:
            lines += [f"({left_out} messages left out.)", ""]
        lines += [f"{'Prompt' if number == 0 else 'Later'}{_when(asking.at)}:", "", *_fence(asking.text), ""]
    lines += ["## Done", "", *_turns(report), "", "### Files changed through Codex", "", *_files(report), ""]
    lines += ["## Evidence", "", "### Commits", "", *_commits(report.commits), ""]
    lines += ["### Tests", "", *_tests(report.tests), "", "### Commands", "", *_commands(report), ""]
    lines += ["## Claimed by the agent", "", *_claim(report.claim), ""]
    lines += ["## Found on review", "", *_review(report.mistakes, report.notes), ""]
    return lines


def _facts(report: Report) -> list[str]:
    cost = "unknown" if report.cost_usd is None else f"${report.cost_usd:.2f}"
    rows = [
        ("state", report.state + (f": {_line(report.failure.message)}" if report.failure else "")),
        ("thread", report.thread_id),
        ("folder", _span(report.cwd)),
        ("model", f"{_span(report.model)}{f' ({_line(report.reasoning)})' if report.reasoning else ''}"),
        ("sandbox", _span(report.sandbox)),
        ("time", " to ".join(_line(at) for at in (report.started_at, report.last_at) if at)),
        ("tokens", _tokens(report.tokens)),
        ("cost", cost),
        ("sub-agents", ", ".join(map(_line, report.sub_agents))),
        ("rollout", _span(report.rollout)),
        ("unreadable", f"{report.bad_lines} lines of the rollout" if report.bad_lines else None),
    ]
    return [f"- {name}: {value}" for name, value in rows if value]


def _turns(report: Report) -> list[str]:
    lines = [
        _turn(number, turn) for number, turn in enumerate(report.turns, report.turns_total - len(report.turns) + 1)
    ]
    return lines or ["No turn is marked."]


def _turn(number: int, turn: TurnDone) -> str:
    took = f" after {turn.duration_ms / 1000:.1f} s" if turn.duration_ms is not None else ""
    why = f": {_span(turn.error)}" if turn.error else ""
    status = "no end was written down" if turn.status == "open" else turn.status
    return f"- turn {number}{_when(turn.started_at)}: {status}{took}{why}"


def _commits(commits: Commits) -> list[str]:
    before, after = (_line(commit or "")[:12] for commit in (commits.before, commits.after))
    basis = {
        "head": f"Compared: {before}, where the thread began, with HEAD ({after}).",
        "time": "By the times of commits alone.",
        "none": "Nothing could be compared.",
    }[commits.basis]
    lines = [f"{basis}{f' {_line(commits.note)}' if commits.note else ''}", ""]
    for made in commits.made:
        seen = "" if made.seen else " (no command of the agent printed it: somebody else may have made it)"
        lines.append(f"- {made.id[:12]} {_span(made.subject)}, {_span(made.author)}, {made.at}{seen}")
    if not commits.made and commits.basis != "none":
        lines.append("No commit.")
    if commits.uncommitted:
        lines += ["", "Changed by it and not committed now:", ""]
        lines += _some([f"- {_span(path)}" for path in commits.uncommitted], _FILES)
    return lines


def _tests(tests: Sequence[RanTests]) -> list[str]:
    lines = []
    for test in tests:
        counts = [
            f"{count} {word}"
            for count, word in ((test.passed, "passed"), (test.failed, "failed"), (test.skipped, "skipped"))
            if count
        ]
        why = {"exit_code": f"exit {test.exit_code}", "output": "by its output", "none": "nothing tells"}[
            test.basis
        ]
        told = ", ".join([why, *counts])
        lines.append(f"- **{test.outcome}** ({told}): {_span(test.command)}")
    return lines or ["No test run is seen."]


def _commands(report: Report) -> list[str]:
    if not report.commands_total:
        return ["No command."]
    lines = [f"{report.commands_total} run, {report.commands_failed} of them failed.", ""]
    shown = report.commands[-_COMMANDS:]
    if len(shown) < report.commands_total:
        lines += [f"The last {len(shown)}:", ""]
    return [*lines, *(f"- {_ended(run)}: {_span(run.command)}" for run in shown)]


def _ended(run: CommandRun) -> str:
    ended = f"exit {run.exit_code}" if run.exit_code is not None else _span(run.status)
    return f"{ended}, by a person" if run.by == "user" else ended


def _files(report: Report) -> list[str]:
    inside = os.path.join(report.cwd or "/", "")
    return _some([_file(file, inside) for file in report.files], _FILES) or ["None."]


def _file(file: FileChanged, inside: str) -> str:
    word = {"add": "added", "update": "changed", "delete": "deleted"}[file.kind]
    moved = f", moved to {_span(file.moved_to.removeprefix(inside))}" if file.moved_to else ""
    return f"- {word} {_span(file.path.removeprefix(inside))}{moved}"


def _claim(claim: str | None) -> list[str]:
    if claim is None:
        return ["It said nothing."]
    return ["What it says, which proves nothing:", "", *_fence(claim)]


def _review(mistakes: Sequence[Mistake], notes: Sequence[Note]) -> list[str]:
    lines: list[str] = []
    for mistake in mistakes:
        lines += [f"Mistake {mistake.note.id}, {mistake.note.at}:", "", *_fence(mistake.note.text), ""]
        for note in mistake.resolutions:
            lines += [f"Resolved, {note.at}:", "", *_fence(note.text), ""]
        if not mistake.resolutions:
            lines += ["No resolution was noted.", ""]
    for note in notes:
        lines += [f"{note.kind.capitalize()}, {note.at}:", "", *_fence(note.text), ""]
    return lines[:-1] or ["Nothing was noted."]


# ---- quoting ----


def _clean(text: str) -> str:
    return plain(text).translate(_TURNING)


def _fence(text: str) -> list[str]:
    """Text in a fence of its own that nothing in it can close."""
    lines = _clean(text).strip("\n").split("\n")
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], f"... {len(lines) - 2 * half} lines left out ...", *lines[-half:]]
    lines = [line[:_LINE_CHARS].rstrip() for line in lines]
    ticks = "`" * max(3, 1 + max((len(run) for line in lines for run in _TICKS.findall(line)), default=0))
    return [f"{ticks}text", *lines, ticks]


def _span(text: str | None) -> str:
    """Text on one line, in a code span that it cannot end."""
    if not text:
        return ""
    line = _clean(" ↵ ".join(_clean(text).strip().split("\n")))
    line = line if len(line) <= _SPAN_CHARS else line[:_SPAN_CHARS] + " ..."
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def _line(text: str) -> str:
    """Words of ours or of Codex's own in running text: nothing in them is taken for Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&])", r"\\\1", " ".join(_clean(text).split()))


def _some(lines: Iterable[str], most: int) -> list[str]:
    every = list(lines)
    return every if len(every) <= most else [*every[:most], f"- ... and {len(every) - most} more"]


def _when(at: str | None) -> str:
    return f", {_line(at)}" if at else ""


def _tokens(tokens: Tokens | None) -> str:
    return (
        "unknown" if tokens is None else f"{tokens.input} in ({tokens.cached_input} cached), {tokens.output} out"
    )
