"""What a monitor compares, without any agent: where HEAD stands, what a file holds; and how it is woken."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_agent import watching
from codex_agent.monitor import options
from codex_agent.monitor.loop import monitor
from codex_agent.monitor.repo import RepoSource
from codex_agent.monitor.source import Source
from codex_agent.monitor.told import Told, Who
from codex_agent.monitor.value import ValueSource
from codex_agent.monitor.waking import Waking
from codex_agent.monitor.what import Wanted
from codex_agent.monitor_answers import MonitorEnd
from codex_agent.store import Store
from support import Home
from support.waiting import until

FIXTURES = Path(__file__).parent / "fixtures" / "rollouts"
WHO = Who(0, "thread", None, "thread")


@pytest.fixture
def git(home: Home, repo: Path) -> Callable[..., str]:
    def run(*words: str, cwd: Path = repo) -> str:
        return subprocess.run(
            ["git", *words], cwd=cwd, env=home.env, capture_output=True, text=True, check=True, timeout=30
        ).stdout.strip()

    return run


def news(source: RepoSource | ValueSource) -> list[str]:
    """Looked at after a change: the texts, without the ids of commits and the repository's name."""
    source.fired("it")
    return [re.sub(r"\b[0-9a-f]{12} | \((repo|tree|fresh)\)$", "", told.event.text) for told in source.look()]


def commit(git: Callable[..., str], *subjects: str) -> None:
    for subject in subjects:
        git("commit", "-q", "--allow-empty", "-m", subject)


# -- commits


def test_every_commit_is_told(git: Callable[..., str], repo: Path) -> None:
    source = RepoSource(str(repo), WHO)
    assert news(source) == []
    commit(git, "one")
    assert news(source) == ["one"]
    commit(git, "two", "three", "four")
    assert news(source) == ["two", "three", "four"]
    assert news(source) == []


def test_what_is_no_commit(git: Callable[..., str], repo: Path) -> None:
    source = RepoSource(str(repo), WHO)
    (repo / "a").write_text("x")
    git("add", "a")
    git("branch", "other")
    git("tag", "t")
    git("stash", "-q")
    git("gc", "-q")
    git("pack-refs", "--all")
    assert news(source) == []


def test_on_a_branch_that_is_new_and_in_a_work_tree_of_its_own(git: Callable[..., str], repo: Path) -> None:
    source = RepoSource(str(repo), WHO)
    git("switch", "-q", "-c", "feature/one")
    assert news(source) == []
    commit(git, "on it")
    assert news(source) == ["on it"]
    git("switch", "-q", "main")
    assert news(source) == ["HEAD went to first"]
    tree = repo.parent / "tree"
    git("worktree", "add", "-q", str(tree), "feature/one")
    other = RepoSource(str(tree), WHO)
    git("commit", "-q", "--allow-empty", "-m", "there", cwd=tree)
    assert news(source) == []
    assert news(other) == ["there"]


def test_amended_merged_reset(git: Callable[..., str], repo: Path) -> None:
    commit(git, "wrong")
    source = RepoSource(str(repo), WHO)
    git("commit", "-q", "--amend", "--allow-empty", "-m", "right")
    assert news(source) == ["right"]
    git("switch", "-q", "-c", "side")
    commit(git, "aside")
    git("switch", "-q", "main")
    commit(git, "meanwhile")
    source = RepoSource(str(repo), WHO)
    git("merge", "-q", "-m", "both", "side")
    assert sorted(news(source)) == ["aside", "both"]
    git("reset", "-q", "--hard", "HEAD~2")
    assert news(source) == ["HEAD went to right"]


def test_the_first_commit_of_all(home: Home, tmp_path: Path, git: Callable[..., str]) -> None:
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git("init", "-q", cwd=fresh)
    source = RepoSource(str(fresh), WHO)
    assert source.since() == "r-"
    git("commit", "-q", "--allow-empty", "-m", "genesis", cwd=fresh)
    assert news(source) == ["genesis"]
    assert news(RepoSource(str(fresh), WHO, "-")) == ["genesis"]


def test_of_very_many_the_last(git: Callable[..., str], repo: Path) -> None:
    source = RepoSource(str(repo), WHO)
    commit(git, *(f"c{n}" for n in range(60)))
    found = news(source)
    assert len(found) == 50 and found[-1] == "c59" and found[0].startswith("(the last 50 of more)")


def test_gone_on_from_in_the_middle(git: Callable[..., str], repo: Path) -> None:
    source = RepoSource(str(repo), WHO)
    commit(git, "one", "two", "three")
    source.fired("it")
    assert "one" in next(iter(source.look())).event.text
    again = RepoSource(str(repo), WHO, source.since()[1:])
    assert [told.event.data["subject"] for told in again.look()] == ["two", "three"]
    # Whoever goes on with the same one gets the rest as well.
    assert [told.event.data["subject"] for told in source.look()] == ["two", "three"]
    assert source.since()[1:] == git("rev-parse", "HEAD")[:12]
    assert list(RepoSource(str(repo), WHO, source.since()[1:]).look()) == []


# -- values


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("a = 1\nb = 2\n")
    return path


def value(file: Path, pattern: str = r"^a = (\S+)", since: str | None = None) -> ValueSource:
    return ValueSource(Wanted(str(file), re.compile(pattern, re.MULTILINE)), WHO, since)


def test_a_value(file: Path) -> None:
    source = value(file)
    file.write_text("a = 1\nb = 3\n# a = 5\n")
    assert news(source) == []
    file.write_text("a = 2\n")
    assert news(source) == ["config: 1 -> 2"]
    file.write_text("a = 2\nx\na = 7\n")
    assert news(source) == ["config: 2 -> 2 | 7"]


def test_groups_and_whole_matches(file: Path) -> None:
    whole, groups = value(file, r"[ab] = \d"), value(file, r"(\w) = (\d)")
    file.write_text("a = 1\n")
    assert news(whole) == ["config: a = 1 | b = 2 -> a = 1"]
    assert news(groups) == ["config: a 1 | b 2 -> a 1"]


def test_a_file_that_is_being_rewritten_holds_nothing_for_a_moment(file: Path) -> None:
    source = value(file)
    file.write_text("")
    assert news(source) == []
    file.write_text("a = 1\n")
    assert news(source) == [] and source.due() is None
    file.unlink()
    assert news(source) == []
    due = source.due()
    assert due is not None and 0.5 < due - time.monotonic() <= 1.0
    assert until(lambda: news(source), 5) == ["config: 1 -> (nothing)"]
    file.write_text("a = 9\n")
    assert news(source) == ["config: (nothing) -> 9"]


def test_a_value_gone_on_with(file: Path) -> None:
    source = value(file)
    assert list(value(file, since=source.since()[1:]).look()) == []
    file.write_text("a = 4\n")
    (told,) = value(file, since=source.since()[1:]).look()
    assert (told.event.data["old"], told.event.data["new"]) == (None, ["4"])


def test_what_a_file_holds_is_made_safe(file: Path) -> None:
    source = value(file, "a = (.*)")
    file.write_text("a = \x1b[2J" + "x" * 10_000)
    (text,) = news(source)
    assert "\x1b" not in text and len(text) < 200


# -- the loop, on a rollout that this very process has open to write: so it has the thread loaded


class Writer:
    """Writes a thread's rollout, as Codex does."""

    def __init__(self, home: Home, scenario: str = "work") -> None:
        (sample,) = (FIXTURES / "0.169.0" / scenario).glob("rollout-*.jsonl")
        self.lines = sample.read_bytes().splitlines(keepends=True)
        self.id = sample.stem[-36:]
        self.path = home.codex_home / "sessions" / "2026" / "11" / "21" / sample.name
        self.path.parent.mkdir(parents=True)
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, *lines: bytes) -> None:
        os.write(self._handle, b"".join(lines))

    def event(self, kind: str, turn: int, **more: object) -> bytes:
        """An event of a turn that comes later than all in the sample."""
        turn_id = f"01a1ffff-0000-7000-8000-{turn:012d}"
        payload = {"type": kind, "turn_id": turn_id, **more}
        record = {"timestamp": f"2026-11-21T20:00:{turn:02d}.000Z", "type": "event_msg", "payload": payload}
        return json.dumps(record, separators=(",", ":")).encode() + b"\n"

    def close(self) -> None:
        os.close(self._handle)


def watch(home: Home, writer: Writer, found: list[Told], happen: Callable[[], None], **more: object) -> MonitorEnd:
    """Watches while this happens, until the thread's end."""
    words: dict[str, object] = {"on": None, "until": "end", "wait_any": False, "repos": [], "values": []}
    words |= {"failures": [], "idle_s": 1e9, "max_events": 0, "timeout_s": 60.0, "since": None}
    settings = options(**(words | more))  # type: ignore[arg-type]
    asleep, sleep = threading.Event(), Waking.sleep

    def first_sleep(waking: Waking, until_at: float | None) -> list[Source]:
        asleep.set()
        return sleep(waking, until_at)

    def then() -> None:
        # What is there before it has looked for the first time is nothing new to it.
        assert asleep.wait(20)
        happen()

    thread = threading.Thread(target=then, daemon=True)
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Waking, "sleep", first_sleep)
        end = monitor(Store(str(home.agent_home)), str(home.codex_home), [writer.id], settings, found.append)
    thread.join(10)
    return end


@pytest.mark.parametrize("blind", [False, True], ids=["inotify", "no inotify"])
def test_it_notices(
    monkeypatch: pytest.MonkeyPatch, home: Home, repo: Path, git: Callable[..., str], blind: bool
) -> None:
    """The same happens with and without inotify; without, it only takes longer."""
    if blind:
        monkeypatch.setattr(watching, "begin", lambda: None)
    writer = Writer(home)
    writer.write(*writer.lines[:9])
    found: list[Told] = []

    def happen() -> None:
        commit(git, "one")
        until(lambda: len(found) == 1, 20, "the commit told")
        (repo / "README.md").write_text("Title x\n")
        until(lambda: len(found) == 2, 20, "the value told")
        writer.write(*writer.lines[9:])
        until(lambda: len(found) == 4, 20, "failure and turn told")
        writer.close()

    began = time.monotonic()
    failures = ["^notes$"]  # in what its `ls` prints
    values = [f"{repo}/README.md:Title (.*)"]
    end = watch(home, writer, found, happen, repos=[str(repo)], values=values, failures=failures)
    assert [told.event.kind for told in found] == ["commit", "value", "failure", "turn", "end"]
    assert (end.exit_code, end.ended) == (0, "until")
    assert time.monotonic() - began < (40 if blind else 20)


def test_a_turn_in_which_nothing_was_said_or_done_is_none(home: Home) -> None:
    """`codex exec` with an open goal begins one more turn as it leaves, and breaks it off (0.169.0)."""
    writer = Writer(home)
    writer.write(*writer.lines)
    found: list[Told] = []

    def happen() -> None:
        begun, ended = writer.event("task_started", 1), writer.event("turn_aborted", 1, reason="interrupted")
        writer.write(begun, ended)
        writer.close()

    end = watch(home, writer, found, happen, since="start")
    assert [told.event.kind for told in found] == ["turn", "end"]
    assert found[0].event.data["status"] == "completed"
    assert end.exit_code == 0


def test_a_turn_that_was_cut_off_with_its_command(home: Home) -> None:
    """Codex writes the command's end down after the turn's, without an exit status: one event is enough."""
    writer = Writer(home, "interrupted")
    found: list[Told] = []

    def happen() -> None:
        writer.write(*writer.lines)
        writer.close()

    writer.write(writer.lines[0])
    writer.lines.pop(0)
    end = watch(home, writer, found, happen, since="start")
    assert [(told.event.kind, told.exit_code) for told in found] == [("turn", 1), ("end", 1)]
    assert end.exit_code == 1
