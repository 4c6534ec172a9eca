"""Rollouts that are not where or what they were a moment ago, or not what one would like them to be.

They vanish, are compressed, archived, brought back, torn, broken, glued together, and written by other clocks.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import zstandard

from codex_agent.errors import CodexAgentError, ThreadNotFound
from codex_agent.rollouts import locate
from codex_agent.rollouts.head import first_prompt, read_head
from codex_agent.rollouts.tail import end_of, narrations
from codex_agent.store import Store
from codex_agent.thread_answers import ThreadRow, ThreadView
from codex_agent.threads.listing import Wanted, listing
from codex_agent.threads.looking import look
from codex_agent.threads.refs import resolve
from support import oddrollouts as odd

DAY = 86400.0
VERSIONS = odd.versions()
MARKS_TURNS = [version for version in VERSIONS if version != "0.98.0"]


def thread_of(path: Path) -> str:
    return path.name.partition(".")[0][-36:]


def view(store: Store, codex_home: Path, path: Path) -> ThreadView:
    return look(store, resolve(store, str(codex_home), thread_of(path)))


def rows(store: Store, codex_home: Path, **wanted: object) -> list[ThreadRow]:
    return listing(store, str(codex_home), Wanted(**wanted)).threads  # type: ignore[arg-type]


def as_usual(found: ThreadView) -> None:
    """What the sample of one turn comes to, whatever was done to its file."""
    assert (found.turn, found.turns, found.state) == ("completed", 1, "closed")
    assert (found.cwd, found.source, found.title) == ("/home/ada/repo", "exec", "do the work")
    assert found.narrations[-1].text == "All done."
    assert "/home/ada/repo/moved.txt" in [file.path for file in found.files]


# ---- they move ----


def archive(path: Path) -> Path:
    """As `codex archive` does."""
    moved = path.parents[4] / "archived_sessions" / path.name
    moved.parent.mkdir(exist_ok=True)
    path.rename(moved)
    return moved


def bring_back(path: Path) -> Path:
    """As `codex unarchive` does."""
    day = path.parents[1] / "sessions" / "2026" / "11" / "21"
    day.mkdir(parents=True, exist_ok=True)
    return path.rename(day / path.name)


def pack(path: Path) -> Path:
    packed = path.with_name(f"{path.name}.zst")
    draft = packed.with_suffix(".tmp")
    draft.write_bytes(zstandard.compress(path.read_bytes()))
    os.utime(draft, (path.stat().st_atime, path.stat().st_mtime))
    draft.rename(packed)
    path.unlink()
    return packed


def unpack(path: Path) -> Path:
    plain = path.with_suffix("")
    draft = plain.with_suffix(".tmp")
    draft.write_bytes(zstandard.decompress(path.read_bytes(), max_output_size=1 << 28))
    draft.rename(plain)
    path.unlink()
    return plain


@pytest.mark.parametrize(
    "move", [archive, pack, lambda path: pack(archive(path))], ids=["archived", "packed", "both"]
)
@pytest.mark.parametrize("version", MARKS_TURNS)
def test_found_wherever_it_is(store: Store, codex_home: Path, version: str, move: Callable[[Path], Path]) -> None:
    path = odd.put(codex_home, odd.sample(version))
    first = view(store, codex_home, path)
    as_usual(first)
    moved = move(path)
    second = view(store, codex_home, path)
    as_usual(second)
    assert second.rollout == str(moved)
    (row,) = rows(store, codex_home, archived=True)
    assert (row.rollout, row.turn, row.title) == (str(moved), "completed", "do the work")
    assert row.archived == ("archived_sessions" in str(moved))
    assert (second.turns, second.files, second.tokens) == (first.turns, first.files, first.tokens)


def test_a_plain_file_wins_over_the_packed_one(store: Store, codex_home: Path) -> None:
    """While Codex packs, both are there; the packed one may be half written."""
    path = odd.put(codex_home, odd.sample("0.169.0"))
    packed = zstandard.compress(path.read_bytes())
    path.with_name(f"{path.name}.zst").write_bytes(packed[: len(packed) // 2])
    as_usual(view(store, codex_home, path))
    assert [row.rollout for row in rows(store, codex_home)] == [str(path)]


def test_a_packed_one_that_is_cut(store: Store, codex_home: Path) -> None:
    """What comes before the cut stands."""
    sample = odd.sample("0.169.0")
    noise = random.Random(7).randbytes(1_000_000).hex().encode()  # which cannot be packed into one block
    line = b'{"timestamp":"2026-11-21T12:00:00.000Z","ordinal":99,"type":"world_state","payload":{"x":"%s"}}\n'
    path = odd.put(codex_home, sample.read_bytes() + line % noise, sample.name)
    packed = pack(path)
    whole = packed.read_bytes()
    packed.write_bytes(whole[: len(whole) * 2 // 3])
    as_usual(view(store, codex_home, path))
    assert [row.turn for row in rows(store, codex_home)] == ["completed"]
    packed.write_bytes(b"not packed at all")
    assert view(store, codex_home, path).turns == 0
    assert [row.id for row in rows(store, codex_home)] == [thread_of(path)]


def test_gone_since_it_was_named(store: Store, codex_home: Path) -> None:
    path = odd.put(codex_home, odd.sample("0.169.0"))
    ref = resolve(store, str(codex_home), thread_of(path))
    path.unlink()
    with pytest.raises(ThreadNotFound) as caught:
        look(store, ref)
    assert caught.value.hint
    with pytest.raises(ThreadNotFound):
        resolve(store, str(codex_home), thread_of(path))


def test_moved_since_it_was_named(store: Store, codex_home: Path) -> None:
    path = odd.put(codex_home, odd.sample("0.169.0"))
    ref = resolve(store, str(codex_home), thread_of(path))
    moved = archive(path)
    assert look(store, ref).rollout == str(moved)


def test_two_files_of_one_thread(store: Store, codex_home: Path) -> None:
    """Codex writes one, and goes on in it (0.98 to 0.169): its own name counts, then the newest, everywhere.

    The days are those next to its own, where it is looked for whatever day it is.
    """
    sample = odd.sample("0.104.0")
    own = odd.put(codex_home, sample, age_s=3 * DAY)
    again = sample.read_bytes().replace(b"All done.", b"All anew.")
    newer = odd.put(codex_home, again, sample.name.replace("2026-11-21T", "2026-11-22T"), age_s=DAY)
    newest = odd.put(codex_home, again, sample.name.replace("2026-11-21T", "2026-11-20T"), age_s=DAY / 2)
    for path in (own, newest, newer):
        assert view(store, codex_home, sample).rollout == str(path)
        (row,) = rows(store, codex_home)
        assert row.rollout == str(path)
        path.unlink()


@pytest.mark.parametrize("way", ["archived and back", "packed and back"])
def test_moved_all_the_time(store: Store, codex_home: Path, way: str) -> None:
    """Never an error of the system's, never a thread that is not there, though it is never long in one place."""
    path = odd.put(codex_home, odd.sample("0.169.0"))
    others = [odd.put(codex_home, odd.sample(version)) for version in ("0.125.0", "0.150.0")]
    there, back = (archive, bring_back) if way == "archived and back" else (pack, unpack)
    done = threading.Event()

    def move() -> None:
        where = path
        while not done.is_set():
            where = back(there(where))

    mover = threading.Thread(target=move)
    mover.start()
    try:
        seen, refused = 0, 0
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline:
            try:
                as_usual(view(store, codex_home, path))
                seen += 1
            except ThreadNotFound:
                refused += 1  # it was on its way both times we looked
            ids = {row.id for row in rows(store, codex_home, archived=True)}
            assert {thread_of(one) for one in others} <= ids
    finally:
        done.set()
        mover.join()
    assert seen > refused


def test_files_vanish_while_they_are_listed(store: Store, codex_home: Path) -> None:
    sample = odd.sample("0.163.0")
    data, own = sample.read_bytes().splitlines(keepends=True)[0], thread_of(sample)
    for _ in range(4):
        paths = []
        for number in range(600):
            other = f"{own[:-6]}{number:06d}"
            name = sample.name.replace(own, other)
            paths.append(odd.put(codex_home, data.replace(own.encode(), other.encode()), name))
        remover = subprocess.Popen(["rm", *paths[1:]])
        while remover.poll() is None:
            locate.everything(str(codex_home))
        assert remover.wait() == 0
        assert [row.id for row in rows(store, codex_home)] == [thread_of(paths[0])]


# ---- they are odd ----


@pytest.mark.parametrize("version", MARKS_TURNS)
@pytest.mark.parametrize("spoil", [odd.with_unknown, odd.with_broken, odd.with_huge])
def test_odd_lines_are_counted_and_passed_over(
    store: Store, codex_home: Path, version: str, spoil: Callable[[bytes], bytes]
) -> None:
    path = odd.put(codex_home, spoil(odd.sample(version).read_bytes()), odd.sample(version).name)
    found = view(store, codex_home, path)
    as_usual(found)
    counted = {"with_unknown": (0, 2), "with_broken": (3, 0), "with_huge": (0, 0)}
    assert (found.bad_lines, found.unknown_lines) == counted[spoil.__name__]
    (row,) = rows(store, codex_home)
    assert (row.turn, row.model) == ("completed", "gpt-5.5")


@pytest.mark.parametrize("version", MARKS_TURNS)
def test_a_torn_last_line_is_not_there_yet(store: Store, codex_home: Path, version: str) -> None:
    data = odd.sample(version).read_bytes()
    path = odd.put(codex_home, odd.torn(data), odd.sample(version).name)
    found = view(store, codex_home, path)
    assert (found.turn, found.state) == ("interrupted", "closed"), "its end is not written, and nobody lives"
    assert (found.bad_lines, found.unknown_lines) == (0, 0)
    assert [row.turn for row in rows(store, codex_home)] == ["interrupted"], "the list reads from the end"
    path.write_bytes(data)
    as_usual(view(store, codex_home, path))


@pytest.mark.parametrize("version", ["0.104.0", "0.125.0", "0.133.0"])
def test_a_line_glued_to_a_torn_one(store: Store, codex_home: Path, version: str) -> None:
    path = odd.put(codex_home, odd.with_glued(odd.sample(version).read_bytes()), odd.sample(version).name)
    found = view(store, codex_home, path)
    as_usual(found)
    assert found.bad_lines == 1
    (row,) = rows(store, codex_home)
    assert row.turn == "completed", "the list reads from the end, and comes to the same"


@pytest.mark.parametrize(
    "data", [b"", b"\n", b"{", b"[]\n", b"null\n", b'"text"\n', b"\0" * 5000, b"\xff" * 90 + b"\n"]
)
def test_a_file_with_nothing_in_it(store: Store, codex_home: Path, data: bytes) -> None:
    """Codex makes it empty and fills it a moment later; a power cut leaves zeros."""
    path = odd.put(codex_home, data, odd.sample("0.169.0").name)
    found = view(store, codex_home, path)
    assert (found.id, found.turn, found.turns, found.narrations) == (thread_of(path), None, 0, [])
    (row,) = rows(store, codex_home)
    assert (row.id, row.source, row.title) == (thread_of(path), None, None)


def test_other_files_are_none(store: Store, codex_home: Path) -> None:
    path = odd.put(codex_home, odd.sample("0.169.0"))
    for name in ("notes.txt", "rollout-x.jsonl", f"{path.name}.tmp", f"{path.name}.bak", ".DS_Store"):
        (path.parent / name).write_bytes(path.read_bytes())
    (path.parent / "folder").mkdir()
    (codex_home / "sessions" / "README").write_text("not a year")
    (codex_home / "sessions" / "2026" / "lost+found").mkdir()
    assert [row.id for row in rows(store, codex_home)] == [thread_of(path)]


def test_a_folder_that_may_not_be_read(store: Store, codex_home: Path) -> None:
    path = odd.put(codex_home, odd.sample("0.169.0"))
    other = odd.put(codex_home, odd.sample("0.163.0"), odd.sample("0.163.0").name.replace("11-21", "11-20"))
    os.chmod(other.parent, 0)
    try:
        if os.access(other.parent, os.R_OK):
            pytest.skip("this user may read everything")
        listed = listing(store, str(codex_home), Wanted())
    finally:
        os.chmod(other.parent, 0o700)
    assert [row.id for row in listed.threads] == [thread_of(path)]
    assert listed.notes, "what could not be looked at is said"


# ---- other clocks ----


@pytest.mark.parametrize("version", MARKS_TURNS)
@pytest.mark.parametrize("hours", [-26, 1, 24 * 400])
def test_a_clock_that_goes_wrong(store: Store, codex_home: Path, version: str, hours: int) -> None:
    """Times are told as they are written; one that is still to come says nothing about how long it is idle."""
    sample = odd.sample(version)
    data = odd.shifted(sample.read_bytes(), hours * 3600)
    path = odd.put(codex_home, data, sample.name, age_s=100)
    found = view(store, codex_home, path)
    as_usual(found)
    assert found.turn_started_at is not None and found.turn_ended_at is not None
    assert found.turn_started_at < found.turn_ended_at
    written = [json.loads(line)["timestamp"] for line in data.splitlines()]
    assert found.turn_ended_at in written
    last = datetime.fromisoformat(written[-1]).timestamp()
    idle_s = time.time() - last if last < time.time() else 100
    assert found.idle_s == pytest.approx(idle_s, abs=20)
    (row,) = rows(store, codex_home)
    assert row.idle_s == pytest.approx(idle_s, abs=20)


def test_a_file_from_the_future(store: Store, codex_home: Path) -> None:
    """Its time and what is in it are ahead of ours: it is not idle for less than no time, and it is not old."""
    sample = odd.sample("0.169.0")
    data = odd.shifted(sample.read_bytes(), 400 * DAY)
    path = odd.put(codex_home, data, sample.name, age_s=-3600)
    old = odd.put(codex_home, odd.sample("0.163.0"), age_s=3600)
    assert view(store, codex_home, path).idle_s == 0
    assert [row.id for row in rows(store, codex_home)] == [thread_of(path), thread_of(old)]
    assert [row.id for row in rows(store, codex_home, since_s=60.0)] == [thread_of(path)]


@pytest.mark.parametrize("zone", [-11, -5, 5.5, 9, 14])
def test_a_name_of_another_time_zone(store: Store, codex_home: Path, zone: float) -> None:
    """File and folder carry the local time of where Codex ran; which may be the day before or after."""
    sample = odd.sample("0.169.0")
    path = odd.put(codex_home, sample.read_bytes(), odd.renamed(sample, zone))
    assert locate.find(str(codex_home), thread_of(path)) == str(path)
    as_usual(view(store, codex_home, path))
    assert [row.id for row in rows(store, codex_home)] == [thread_of(path)]


def test_our_own_time_zone_does_not_matter(
    store: Store, codex_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = odd.put(codex_home, odd.sample("0.169.0"), age_s=100)
    said = []
    for zone in ("UTC", "Asia/Tokyo", "America/Los_Angeles", "XXX-5:30"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        found = view(store, codex_home, path)
        said.append((found.turn_started_at, found.turn_ended_at, found.active_at, found.narrations))
    monkeypatch.undo()
    time.tzset()
    assert said == [said[0]] * len(said)


# ---- the readers themselves ----


@pytest.mark.parametrize("version", VERSIONS)
def test_random_damage_is_never_fatal(codex_home: Path, version: str) -> None:
    """Cut at any place, with any byte changed: an answer, or an error of ours."""
    data = odd.sample(version).read_bytes()
    path = odd.put(codex_home, data, odd.sample(version).name)
    for at in range(0, len(data), 211):
        for spoilt in (data[:at], data[:at] + b"\xff" + data[at + 1 :], data[:at] + b"\n" + data[at:]):
            path.write_bytes(spoilt)
            try:
                read_head(str(path), whole=at % 2 == 0)
                first_prompt(str(path))
                end_of(str(path))
                narrations(str(path), 5)
            except CodexAgentError:
                pass
