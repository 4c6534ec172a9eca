"""Reports of rollouts as they lie about: of every version, damaged, and large. No Codex runs here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_agent.report import COMMANDS, TURNS, reports
from codex_agent.store import Store
from codex_agent.work_answers import Report
from support import oddrollouts
from support.measured import peak_memory


@pytest.fixture
def told(tmp_path: Path) -> Callable[[bytes | Path, str], Report]:
    """The report of a rollout with this name and content."""

    def of(data: bytes | Path, name: str) -> Report:
        path = oddrollouts.put(tmp_path / "codex", data, name)
        (report,) = reports(Store(str(tmp_path / "agent")), str(tmp_path / "codex"), [path.stem[-36:]]).reports
        return report

    return of


@pytest.mark.parametrize("version", oddrollouts.versions())
def test_every_version_tells_the_same(told: Callable[[bytes | Path, str], Report], version: str) -> None:
    path = oddrollouts.sample(version)
    report = told(path, path.name)
    assert [one.text for one in report.asked] == ["do the work"]
    assert [(one.command, one.exit_code) for one in report.commands] == [("echo out; ls", 0)]
    folder = report.cwd or ""
    files = [(one.kind, one.path.removeprefix(folder), one.moved_to) for one in report.files]
    assert files == [
        ("update", "/a.txt", f"{folder}/moved.txt"),
        ("add", "/notes/hello.txt", None),
        ("delete", "/old.txt", None),
    ]
    # 0.98 marks no turns.
    turns = [] if version == "0.98.0" else ["completed"]
    assert [one.status for one in report.turns] == turns
    assert report.state == (turns or ["closed"])[0]
    assert (report.claim, report.bad_lines, report.codex_version) == ("All done.", 0, version)
    assert report.tokens is not None and report.tokens.output > 0
    assert (report.commits.basis, report.commits.tree) == ("none", None)  # that folder is not here


@pytest.mark.parametrize(
    ("damage", "bad"),
    [
        (oddrollouts.torn, 0),
        (oddrollouts.with_broken, 3),
        (oddrollouts.with_unknown, 0),
        (oddrollouts.with_huge, 0),
    ],
)
def test_damage_costs_no_more_than_what_is_damaged(
    told: Callable[[bytes | Path, str], Report], damage: Callable[[bytes], bytes], bad: int
) -> None:
    path = oddrollouts.sample("0.169.0")
    report = told(damage(path.read_bytes()), path.name)
    assert report.bad_lines == bad
    assert len(report.files) == 3 and report.commands[0].exit_code == 0


def many(turns: int) -> tuple[bytes, str]:
    """The work of the sample, so many times in one thread."""
    path = oddrollouts.sample("0.169.0")
    first, *rest = path.read_bytes().splitlines(keepends=True)
    turn = next(json.loads(line)["payload"]["turn_id"] for line in rest if b'"task_started"' in line).encode()
    pieces = [first]
    for number in range(turns):
        # The same time, another end: still an id of Codex's kind.
        name = turn[:-8] + f"{number:08x}".encode()
        pieces += [line.replace(turn, name) for line in rest]
    return b"".join(pieces), path.name


def test_a_long_thread_is_counted_whole_and_kept_in_part(told: Callable[[bytes | Path, str], Report]) -> None:
    report = told(*many(700))
    assert (report.turns_total, len(report.turns)) == (700, TURNS)
    assert (report.commands_total, len(report.commands)) == (700, COMMANDS)
    assert (report.asked_total, len(report.asked)) == (700, 100)
    assert report.turns[-1].status == "completed"
    assert len(report.files) <= 3


def test_memory_does_not_grow_with_the_rollout(tmp_path: Path) -> None:
    def peak(turns: int) -> int:
        data, name = many(turns)
        home = tmp_path / f"codex-{turns}"
        path = oddrollouts.put(home, data, name)
        return peak_memory(lambda: reports(Store(str(tmp_path / "agent")), str(home), [path.stem[-36:]]))

    small, large = peak(600), peak(2400)
    # The ids of turns are remembered, since one may be told of twice; nothing else is.
    assert large - small < 1800 * 400, (small, large)
    assert large < 3 << 20


def test_a_report_of_much_takes_seconds(told: Callable[[bytes | Path, str], Report]) -> None:
    data, name = many(2000)
    began = time.monotonic()
    told(data, name)
    assert len(data) / (time.monotonic() - began) > 2e6, "bytes a second"
