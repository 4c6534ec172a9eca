"""The roster of many jobs: never older than the folder, whatever is done to it."""

from __future__ import annotations

import dataclasses
import os
import random
import time
from pathlib import Path

import pytest

from codex_agent import jobs, roster, sealing
from codex_agent.fast.finding import MANY, Jobs
from codex_agent.model import RECORD_VERSION, Facts, Record, Request, Turn, stamp
from codex_agent.store import Store
from support import until

COUNT = 230


def record(number: int, **more: object) -> Record:
    made = stamp(1_763_700_000 + number // 3 * 60)  # some at the same moment
    facts = Facts(started_at=made, turn=Turn(state="completed", count=1), exit_code=0, ended_at=made)
    if number % 7 == 0:
        facts.turn.state, facts.exit_code = "failed", 1
    request = Request("exec", f"Task {number}.", 10, "/tmp", "read-only")
    job_id = f"{random.Random(number).getrandbits(32):08x}"
    name = f"worker {number}" if number % 2 else None
    one = Record(RECORD_VERSION, job_id, name, made, "m", f"codex-agent-{job_id}", request, facts)
    return dataclasses.replace(one, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A home with many records, a little older than what is too young (which is 50 ms here)."""
    monkeypatch.setattr(roster, "_SETTLED_NS", 50_000_000)
    store = Store(str(tmp_path / "home"))
    store.prepare()
    for number in range(COUNT):
        sealing.save(store, record(number))
    settled(store)
    return store


def settled(store: Store) -> None:
    """Waits until all that was done is old enough to be told apart from what will be."""
    latest_ns = max(os.stat(store.path(job_id, ".json")).st_ctime_ns for job_id in store.ids())
    latest_ns = max(latest_ns, roster.folder_ns(store.folder))
    until(lambda: time.time_ns() - latest_ns > 60_000_000, 10, "it is old enough")


def plainly(store: Store, statuses: tuple[str, ...] = (), limit: int = 20) -> tuple[list[str], int]:
    """The list as it is without any roster."""
    listed = jobs.listing(store, statuses=statuses)
    return [job.id for job in listed.jobs][:limit], listed.total


def by_roster(store: Store, statuses: tuple[str, ...] = (), limit: int = 20) -> tuple[list[str], int]:
    listed = jobs.listing(store, statuses=statuses, limit=limit)
    return [job.id for job in listed.jobs], listed.total


def fast(store: Store, statuses: tuple[str, ...] = (), limit: int = 20) -> tuple[list[str], int] | None:
    found = Jobs(store.home).listing(statuses, limit)
    return None if found is None else ([job.id for job in found[0]], found[1])


def test_both_ways_know_how_many_are_many() -> None:
    assert MANY == roster.MANY < COUNT


def test_it_says_what_reading_everything_says(store: Store) -> None:
    assert fast(store) is None, "nobody has made one yet"
    for statuses in ((), ("failed",), ("failed", "completed"), ("running",)):
        for limit in (1, 20, 300):
            assert by_roster(store, statuses, limit) == plainly(store, statuses, limit)
            assert fast(store, statuses, limit) == plainly(store, statuses, limit)
    known = roster.load(store.home)
    assert known is not None and len(known.lines) == COUNT and not known.others
    assert os.stat(roster.path(store.home)).st_mode & 0o777 == 0o600


def test_what_is_new_renamed_or_gone_is_seen(store: Store) -> None:
    by_roster(store)
    new = record(1000, name="new one")
    sealing.save(store, new)
    assert fast(store) == plainly(store) and plainly(store)[0][0] == new.id
    gone = plainly(store)[0][3]
    os.unlink(store.path(gone, ".json"))
    assert fast(store) == plainly(store) and gone not in plainly(store)[0]
    other = record(400)
    other.facts.turn.state, other.facts.exit_code = "failed", 1
    other.id = plainly(store)[0][5]
    sealing.save(store, other)
    assert fast(store, ("failed",)) == plainly(store, ("failed",))
    assert Jobs(store.home).resolve("new one") == new.id


def test_one_that_is_edited_in_place(store: Store) -> None:
    """Shown, it is read; not shown, it is seen at the next change in the folder."""
    by_roster(store)
    shown, hidden = plainly(store)[0][2], plainly(store, limit=COUNT)[0][100]
    _edit(store, shown)
    assert fast(store) is None and by_roster(store)[0] == plainly(store)[0]
    _edit(store, hidden)
    (Path(store.folder) / "x").touch()
    assert fast(store) is None, "they have to be decoded"
    listed = jobs.listing(store, limit=20)
    assert {problem.id for problem in listed.problems} == {shown, hidden} and listed.total == COUNT - 2


def _edit(store: Store, job_id: str) -> None:
    path = Path(store.path(job_id, ".json"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"facts":{', b'"facts":[', 1))


def test_too_young_to_tell_apart(store: Store) -> None:
    """Within one tick of the clock a second version may look like the first."""
    young = record(2000)
    by_roster(store)
    sealing.save(store, young)
    by_roster(store)
    known = roster.load(store.home)
    assert known is not None and known.others == [young.id] and known.folder_ns == 0
    settled(store)
    assert fast(store) == plainly(store)
    again = roster.load(store.home)
    assert again is not None and not again.others and again.folder_ns != 0


@pytest.mark.parametrize(
    "content", [b"", b"codex-agent roster 0\n0 \n.\n", b"codex-agent roster 1\n0 abc", b"\xff" * 99]
)
def test_a_file_that_is_no_roster(store: Store, content: bytes) -> None:
    by_roster(store)
    Path(roster.path(store.home)).write_bytes(content)
    assert fast(store) is None
    assert by_roster(store) == plainly(store) == fast(store)


def test_any_byte_of_it_changed(store: Store) -> None:
    """Whatever became of the file, it is made anew and never taken for what it is not."""
    wanted = by_roster(store)
    path = Path(roster.path(store.home))
    data = path.read_bytes()
    rng = random.Random(3)
    for _ in range(60):
        at = rng.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :])
        assert roster.load(store.home) is None
    path.write_bytes(data.replace(b" completed ", b"\n"))
    assert fast(store) is None and by_roster(store) == wanted == fast(store)


def test_a_name_of_two_lines(store: Store) -> None:
    """No command gives such a name; somebody may have written it into a record."""
    odd = record(3000, name="one\ntwo \xff")
    store.save(odd)
    settled(store)
    assert by_roster(store) == plainly(store)
    known = roster.load(store.home)
    assert known is not None and known.others == [odd.id] and len(known.lines) == COUNT


def test_where_it_cannot_be_written(store: Store) -> None:
    (Path(store.home) / "cache").write_text("in the way")
    assert by_roster(store) == plainly(store) and fast(store) is None
