"""Codex's own databases, read: what they say, what is done when they cannot be read, and that nothing is changed.

The tables are those that a real Codex makes; the rows are ours (``manythreads``), so that one knows what is right.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from codex_agent import index
from codex_agent.demo.model_server import Step
from codex_agent.model import stamp
from codex_agent.store import Store
from codex_agent.thread_answers import ThreadList
from codex_agent.threads.listing import Wanted, listing
from codex_agent.threads.looking import look
from codex_agent.threads.refs import resolve
from support import Cli, Home, codex
from support.jobs import place
from support.manythreads import Made, goals, make, schema
from support.manythreads import index as make_index
from support.measured import difference, inventory, only_reading
from support.threads import outside
from support.waiting import until

HOW = ["clean", "in the log", "in use", "killed"]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The statements by which a real Codex makes its index."""
    with place(tmp_path_factory.mktemp("real")) as here:
        which = codex("newest")
        here.home.use_codex(which)
        with outside(here, which) as out:
            out.exec(Step.message("Done."))
        return schema(here.home.codex_home)


@pytest.fixture
def made(codex_home: Path) -> list[Made]:
    return make(codex_home, 200, days=40, now=time.time())


_HOLDS = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1])
base.execute("PRAGMA wal_autocheckpoint=0")
base.execute("BEGIN IMMEDIATE")
base.execute("UPDATE threads SET tokens_used = tokens_used + 0")
base.commit()
base.execute("SELECT count(*) FROM threads").fetchone()
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def indexed(codex_home: Path, tables: list[str], made: list[Made], how: str) -> Iterator[Path]:
    """The index in one of the states in which Codex leaves it, or has it while it runs."""
    path = make_index(codex_home, tables, made, in_wal=how == "in the log")
    if how in ("clean", "in the log"):
        yield path
        return
    argv = [sys.executable, "-I", "-c", _HOLDS, str(path)]
    user = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert user.stdout is not None and user.stdout.readline() == b"ready\n"
        if how == "killed":
            user.kill()
            user.wait(10)
        assert (codex_home / "state_5.sqlite-shm").stat().st_size
        yield path
    finally:
        user.kill()
        user.communicate()


def listed(store: Store, codex_home: Path, **wanted: object) -> ThreadList:
    return listing(store, str(codex_home), Wanted(**wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("how", HOW)
def test_what_it_says_of_threads(codex_home: Path, tables: list[str], made: list[Made], how: str) -> None:
    with indexed(codex_home, tables, made, how):
        rows = index.rows(str(codex_home))
        assert rows is not None and rows.keys() == {one.id for one in made}
        for one in made:
            row = rows[one.id]
            assert (row.rollout, row.source, row.cwd) == (str(one.path), one.source, one.cwd)
            assert (row.title, row.model, row.tokens) == (one.prompt, "gpt-5.5", 5000)
            assert row.archived == one.archived
            assert row.updated_at == pytest.approx(one.changed_at, abs=0.01)
            assert index.rows(str(codex_home), one.id) == {one.id: row}
        assert index.rows(str(codex_home), "nobody") == {}


@pytest.mark.parametrize("how", HOW)
def test_who_started_whom(codex_home: Path, tables: list[str], made: list[Made], how: str) -> None:
    with indexed(codex_home, tables, made, how):
        wanted: dict[str, set[str]] = {}
        for one in made:
            if one.parent_id:
                wanted.setdefault(one.parent_id, set()).add(one.id)
        assert wanted
        assert {parent: set(some) for parent, some in (index.children(str(codex_home)) or {}).items()} == wanted


def test_goals(codex_home: Path) -> None:
    row = {
        "thread_id": "t1",
        "goal_id": "g1",
        "objective": "Make it so.",
        "status": "budget_limited",
        "token_budget": None,
        "tokens_used": 7,
        "time_used_seconds": 61,
        "created_at_ms": 1000,
        "updated_at_ms": 2500,
    }
    goals(codex_home, [row])
    found = index.goal(str(codex_home), "t1")
    assert found == index.GoalRow("Make it so.", "budget_limited", None, 7, 61, 2.5)
    assert index.goal(str(codex_home), "t2") is None


def test_the_newest_of_several_numbers(codex_home: Path, tables: list[str], made: list[Made]) -> None:
    """A new Codex begins a new file and leaves the old one."""
    for number, some in ((9, made[:10]), (10, made)):
        path = make_index(codex_home, tables, some)
        path.rename(codex_home / f"state_{number}.sqlite")
        (codex_home / "state_5.sqlite-wal").unlink()
    (codex_home / "state_11.sqlite.bak").write_text("no database")
    rows = index.rows(str(codex_home))
    assert rows is not None and len(rows) == len(made)


def test_without_any(codex_home: Path, store: Store, made: list[Made]) -> None:
    assert index.rows(str(codex_home)) is None
    assert index.children(str(codex_home)) is None
    assert index.goal(str(codex_home), made[0].id) is None
    answer = listed(store, codex_home)
    assert (answer.basis, answer.notes) == ("rollouts", [])


def _garbage(path: Path) -> None:
    path.write_bytes(b"This is no database. " * 500)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def _other(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as base:
        base.execute("CREATE TABLE threads (id TEXT, path TEXT)")
        base.commit()


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("spoil", [_garbage, _cut, _other, _empty, _folder])
def test_one_that_cannot_be_read(
    codex_home: Path, store: Store, tables: list[str], made: list[Made], spoil: object
) -> None:
    """The rollouts do it, and the list says so."""
    path = make_index(codex_home, tables, made)
    (codex_home / "state_5.sqlite-wal").unlink()
    assert callable(spoil)
    spoil(path)
    with pytest.raises(index.Unreadable):
        index.rows(str(codex_home))
    answer = listed(store, codex_home)
    assert answer.basis == "rollouts"
    (note,) = answer.notes
    assert "index" in note
    assert [row.id for row in answer.threads] == [one.id for one in made if not one.archived]
    view = look(store, resolve(store, str(codex_home), made[0].id))
    assert (view.title, view.source) == (made[0].prompt, made[0].source)


def test_one_that_somebody_has_locked(codex_home: Path, store: Store, tables: list[str], made: list[Made]) -> None:
    """Codex, in the middle of a change: readers go on reading what was before, at once."""
    path = make_index(codex_home, tables, made)
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("BEGIN EXCLUSIVE")
        busy.execute("DELETE FROM threads")
        began = time.monotonic()
        answer = listed(store, codex_home)
        assert time.monotonic() - began < 2
        busy.execute("ROLLBACK")
    assert {row.id for row in answer.threads} == {one.id for one in made if not one.archived}
    assert answer.basis == "index" or answer.notes


def test_where_it_and_the_files_disagree(
    codex_home: Path, store: Store, tables: list[str], made: list[Made]
) -> None:
    """A file is gone, another is not in the index, a third was written to since."""
    gone, strange, newer = made[3], made[7], made[20]
    make_index(codex_home, tables, [one for one in made if one != strange])
    gone.path.unlink()
    told = {"timestamp": stamp(), "type": "event_msg", "payload": {"type": "token_count", "info": None}}
    with open(newer.path, "a") as file:
        file.write(json.dumps(told, separators=(",", ":")) + "\n")
    answer = listed(store, codex_home)
    assert answer.basis == "index"
    said = " ".join(answer.notes)
    assert gone.id in said and strange.id in said
    ids = [row.id for row in answer.threads]
    assert gone.id not in ids, "there is nothing to look at"
    assert strange.id in ids
    assert ids[0] == newer.id, "the files know when something was last written"


def test_a_copy_of_a_file_is_no_activity(
    codex_home: Path, store: Store, tables: list[str], made: list[Made]
) -> None:
    """What the last record says counts, not when the file was touched."""
    make_index(codex_home, tables, made)
    copied = next(one for one in made[20:] if not one.archived)
    os.utime(copied.path)
    row = next(one for one in listed(store, codex_home).threads if one.id == copied.id)
    assert row.active_at is not None and row.active_at < stamp(time.time() - 3600)


def test_the_first_few_are_the_newest_of_all(
    codex_home: Path, store: Store, tables: list[str], made: list[Made]
) -> None:
    """Whatever the files' own times say, as after a copy of them all."""
    make_index(codex_home, tables, made)
    for one in made[2:60:3]:
        if not one.archived:
            os.utime(one.path)
    whole = [row.id for row in listed(store, codex_home, limit=None).threads]
    for count in (1, 3, 20, 100):
        assert [row.id for row in listed(store, codex_home, limit=count).threads] == whole[:count]


def test_an_archived_one_is_no_disagreement(
    codex_home: Path, store: Store, tables: list[str], made: list[Made]
) -> None:
    make_index(codex_home, tables, made)
    assert any(one.archived for one in made)
    for archived in (False, True):
        answer = listed(store, codex_home, archived=archived)
        assert answer.notes == []
        assert {row.id for row in answer.threads} == {one.id for one in made if archived or not one.archived}


@pytest.mark.parametrize("basis", ["index", "rollouts"])
def test_both_say_the_same(
    codex_home: Path, store: Store, tables: list[str], made: list[Made], basis: str
) -> None:
    if basis == "index":
        make_index(codex_home, tables, made)
    answer = listed(store, codex_home, archived=True)
    assert answer.basis == basis
    rows = {row.id: row for row in answer.threads}
    for one in made:
        row = rows[one.id]
        assert (row.source, row.cwd, row.title) == (one.source, one.cwd, one.prompt)
        assert (row.model, row.tokens, row.archived, row.rollout) == ("gpt-5.5", 5000, one.archived, str(one.path))
        assert (row.state, row.turn) == ("closed", "interrupted" if one.open else "completed")


# ---- nothing of Codex's is touched ----


def _read_everything(store: Store, codex_home: Path, made: list[Made]) -> None:
    listed(store, codex_home)
    listed(store, codex_home, archived=True, source="vscode", cwd="/home/ada/repo", since_s=86400.0 * 9)
    listed(store, codex_home, active=True)
    for word in (made[0].id, made[1].id[:13], "last", f"codex://threads/{made[99].id}"):
        look(store, resolve(store, str(codex_home), word))
    index.goal(str(codex_home), made[0].id)


@pytest.mark.parametrize("how", HOW)
def test_nothing_is_changed_by_looking(
    codex_home: Path, store: Store, tables: list[str], made: list[Made], how: str
) -> None:
    """No file written, moved, touched or made: not the databases, not what SQLite puts beside them."""
    with indexed(codex_home, tables, made, how):
        goals(codex_home, [])
        locks = codex_home / "thread-writer-locks"
        locks.mkdir()
        (locks / f"{made[0].id}.lock").touch()
        before = inventory(codex_home)
        with only_reading(codex_home):
            _read_everything(store, codex_home, made)
        assert difference(before, inventory(codex_home)) == []


READING = [
    ("threads",),
    ("threads", "--all", "--archived", "--json"),
    ("threads", "--active"),
    ("threads", "--source", "vscode", "--dir", "/home/ada/repo", "--since", "9d"),
    ("thread", "last"),
    ("thread", "ID", "--json"),
    ("thread", "ID", "--transcript"),
    ("thread", "ID", "--follow"),
    ("monitor", "ID", "--timeout", "1"),
    ("monitor", "ID", "--since", "start", "--on", "turn,goal,end", "--timeout", "1"),
    ("overlap",),
    ("report", "ID"),
    ("jobs",),
]


@pytest.mark.parametrize("words", READING, ids=" ".join)
def test_no_command_that_reads_changes_anything(
    home: Home, cli: Cli, tables: list[str], words: tuple[str, ...]
) -> None:
    """As above, of whole processes: in the state in which a killed Codex leaves its home."""
    made = make(home.codex_home, 50, days=9, now=time.time())
    with indexed(home.codex_home, tables, made, "killed"):
        goals(home.codex_home, [])
        locks = home.codex_home / "thread-writer-locks"
        locks.mkdir()
        (locks / f"{made[0].id}.lock").touch()
        before = inventory(home.codex_home)
        answer = cli(*(made[0].id if word == "ID" else word for word in words))
        assert answer.rc in (0, 1, 124), str(answer)
        assert "Traceback" not in answer.err
        assert difference(before, inventory(home.codex_home)) == []


def test_a_home_that_cannot_be_written(
    codex_home: Path, store: Store, tables: list[str], made: list[Made]
) -> None:
    """Another person's, or on a disk mounted read-only."""
    make_index(codex_home, tables, made)
    os.chmod(codex_home, 0o500)
    try:
        answer = listed(store, codex_home)
    finally:
        os.chmod(codex_home, 0o700)
    assert answer.basis == "index"
    assert len(answer.threads) == sum(not one.archived for one in made)


@pytest.mark.slow
def test_codex_can_go_on_at_every_moment(tmp_path: Path) -> None:
    """Looked at without a pause, a thread can still be resumed each time: its lock is never taken from Codex."""
    which = codex("newest")
    with place(tmp_path) as here, outside(here, which) as out:
        thread = out.exec(Step.message("Done."))
        looking = "; ".join(
            (
                "import sys; sys.path.insert(0, sys.argv[1])",
                "from codex_agent.store import Store",
                "from codex_agent.threads import listing, looking, refs",
                "store, home, thread = Store(sys.argv[2]), sys.argv[3], sys.argv[4]",
                "print('ready', flush=True)\nwhile True:\n"
                " listing.listing(store, home, listing.Wanted(active=True))\n"
                " looking.look(store, refs.resolve(store, home, thread))",
            )
        )
        src = str(Path(index.__file__).parents[2])
        argv = [sys.executable, "-c", looking, src, str(tmp_path / "agent"), str(here.home.codex_home), thread.id]
        watchers = [subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
        try:
            for watcher in watchers:
                assert watcher.stdout is not None and watcher.stdout.readline() == b"ready\n"
            for number in range(5):
                out.resumed(thread, Step.message(f"Again {number}."))
            assert [watcher.poll() for watcher in watchers] == [None, None]
        finally:
            for watcher in watchers:
                watcher.kill()
            said = [watcher.communicate()[1] for watcher in watchers]
        assert said == [b"", b""]
        until(lambda: len(thread.payloads("task_complete")) == 6, 5, "six turns")
