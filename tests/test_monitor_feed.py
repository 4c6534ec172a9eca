"""A rollout followed line by line: as it grows, is torn, moved, packed, cut, or goes on in another file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from codex_agent.answers import Entry, Marked, Ran
from codex_agent.rollouts import feed as feeds
from codex_agent.rollouts.conversation import Conversation
from codex_agent.rollouts.feed import Feed, joined

FIXTURES = Path(__file__).parent / "fixtures" / "rollouts"
SAMPLES = sorted(FIXTURES.glob("*/*/rollout-*.jsonl"))
THREAD = "01a1fd66-9d0f-7d30-b781-b521de99b021"


def line(n: int, text: str = "x") -> bytes:
    """The ``n``-th line, a second after the one before."""
    at = f"2026-11-21T09:{n // 60:02d}:{n % 60:02d}.000Z"
    record = {"timestamp": at, "ordinal": n, "type": "world_state", "payload": {"n": n, "text": text}}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def numbers(feed: Feed) -> list[int]:
    return [json.loads(each)["ordinal"] for each in feed.lines()]


@pytest.fixture
def day(tmp_path: Path) -> Path:
    folder = tmp_path / "sessions" / "2026" / "11" / "21"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def path(day: Path) -> Path:
    return day / f"rollout-2026-11-21T09-00-00-{THREAD}.jsonl"


@pytest.fixture
def feed(tmp_path: Path, path: Path) -> Feed:
    """Has read ten lines."""
    path.write_bytes(b"".join(map(line, range(10))))
    made = Feed(str(tmp_path), THREAD, str(path))
    made.begin(0)
    assert numbers(made) == list(range(10))
    return made


def append(path: Path, *parts: bytes) -> None:
    with path.open("ab") as file:
        file.write(b"".join(parts))


def test_each_line_comes_once(feed: Feed, path: Path) -> None:
    assert numbers(feed) == []
    append(path, line(10), line(11))
    assert numbers(feed) == [10, 11]
    assert feed.offset == path.stat().st_size
    assert feed.last_at == "2026-11-21T09:00:11.000Z"


def test_a_torn_line_comes_when_it_is_whole(feed: Feed, path: Path) -> None:
    whole = line(10, "long " * 40_000)
    for at in range(0, len(whole) - 1, 50_000):
        append(path, whole[at : min(at + 50_000, len(whole) - 1)])
        assert numbers(feed) == []
    append(path, b"\n", line(11)[:5])
    assert numbers(feed) == [10]
    append(path, line(11)[5:])
    assert numbers(feed) == [11]


def test_who_stops_in_the_middle_gets_the_rest(feed: Feed, path: Path) -> None:
    append(path, *map(line, range(10, 15)), line(15)[:7])
    first = next(iter(feed.lines()))
    assert json.loads(first)["ordinal"] == 10
    assert feed.offset == len(b"".join(map(line, range(11))))
    assert numbers(feed) == [11, 12, 13, 14]
    append(path, line(15)[7:])
    assert numbers(feed) == [15]


def test_from_now_on(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"".join(map(line, range(10))) + line(10)[:9])
    feed = Feed(str(tmp_path), THREAD)
    feed.begin()
    assert numbers(feed) == [] and feed.last_at == "2026-11-21T09:00:09.000Z"
    append(path, line(10)[9:], line(11))
    assert numbers(feed) == [10, 11]


def test_from_a_place_in_it(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"".join(map(line, range(10))))
    feed = Feed(str(tmp_path), THREAD)
    feed.begin(len(b"".join(map(line, range(7)))))
    assert numbers(feed) == [7, 8, 9]


@pytest.mark.parametrize("offset", [3, 10**9])
def test_a_place_that_is_none_is_the_end(tmp_path: Path, path: Path, offset: int) -> None:
    path.write_bytes(b"".join(map(line, range(10))))
    feed = Feed(str(tmp_path), THREAD)
    feed.begin(offset)
    append(path, line(10))
    assert numbers(feed) == [10]


def test_before_there_is_a_file(tmp_path: Path, path: Path) -> None:
    feed = Feed(str(tmp_path), THREAD)
    feed.begin()
    assert feed.path is None and numbers(feed) == []
    path.touch()  # as Codex makes it: empty for a moment
    assert numbers(feed) == []
    append(path, line(0))
    assert numbers(feed) == [0]


def test_archived_and_taken_back(tmp_path: Path, feed: Feed, path: Path) -> None:
    append(path, line(10))
    archive = tmp_path / "archived_sessions"
    archive.mkdir()
    path.rename(archive / path.name)
    assert numbers(feed) == [10]
    assert feed.path == str(archive / path.name)
    (archive / path.name).rename(path)
    append(path, line(11))
    assert numbers(feed) == [11]


def test_packed_and_unpacked(feed: Feed, path: Path) -> None:
    import zstandard

    append(path, line(9, "at the same moment as the last"), line(10))
    packed = path.with_suffix(".jsonl.zst")
    packed.write_bytes(zstandard.ZstdCompressor().compress(path.read_bytes()))
    path.unlink()
    assert numbers(feed) == [9, 10] and feed.path == str(packed)
    assert numbers(feed) == []
    whole = zstandard.ZstdDecompressor().decompress(packed.read_bytes())
    packed.unlink()
    path.write_bytes(whole + line(11))
    assert numbers(feed) == [11]


def test_a_damaged_packed_file_ends_where_it_is_damaged(tmp_path: Path, path: Path) -> None:
    import zstandard

    packed = path.with_suffix(".jsonl.zst")
    data = b"".join(line(n, os.urandom(3000).hex()) for n in range(200))
    packed.write_bytes(zstandard.ZstdCompressor().compress(data)[:-2000])
    feed = Feed(str(tmp_path), THREAD)
    feed.begin(0)
    found = numbers(feed)
    assert 100 < len(found) < 200 and found == list(range(len(found)))


def test_a_new_file_of_the_thread_tells_only_what_is_later(feed: Feed, day: Path, path: Path) -> None:
    """A resume that writes a new rollout may begin it with a copy of what was."""
    newer = day.parent / "22" / f"rollout-2026-11-22T09-00-00-{THREAD}.jsonl"
    newer.parent.mkdir()
    newer.write_bytes(b"".join(map(line, range(8, 13))))
    os.utime(path, (1, 1))
    assert feed.look_again()
    assert numbers(feed) == [10, 11, 12]
    assert not feed.look_again()
    append(newer, line(13))
    assert numbers(feed) == [13]


def test_a_file_that_was_cut_tells_only_what_is_later(feed: Feed, path: Path) -> None:
    path.write_bytes(b"".join(map(line, range(4))))
    assert numbers(feed) == []
    append(path, line(20))
    assert numbers(feed) == [20]


def test_a_file_written_anew_with_the_same_beginning_goes_on(feed: Feed, path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(b"".join(map(line, range(12))))
    other.rename(path)
    assert numbers(feed) == [10, 11]


def test_a_line_beyond_measure_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: Path) -> None:
    monkeypatch.setattr(feeds, "LONGEST_LINE", 600_000)
    path.write_bytes(line(0) + line(1, "y" * 2_000_000) + line(2))
    feed = Feed(str(tmp_path), THREAD)
    feed.begin(0)
    assert numbers(feed) == [0, 2] and feed.skipped == 1
    assert feed.offset == path.stat().st_size
    append(path, line(3))
    assert numbers(feed) == [3]


def test_a_file_that_vanishes_is_no_error(feed: Feed, path: Path) -> None:
    path.unlink()
    assert numbers(feed) == []
    path.write_bytes(b"".join(map(line, range(11))))
    assert numbers(feed) == [10]


# -- joining a conversation that goes on


def told(entries: list[Entry]) -> list[tuple[object, ...]]:
    """What a monitor makes something of."""
    found: list[tuple[object, ...]] = []
    for each in entries:
        if isinstance(each, Ran) and each.status != "running":
            found.append(("ran", each.command, each.exit_code, each.status))
        elif isinstance(each, Marked) and each.kind != "compacted":
            found.append((each.kind, each.turn_id, each.status))
    return found


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_joined_anywhere_it_tells_what_one_tells_who_read_all(path: Path) -> None:
    """Of seven versions: each place to begin at, against the conversation read from its beginning.

    Only 0.98 to 0.133, which tell of a command in two records, may miss one whose first record came before.
    """
    thread = path.name.removesuffix(".jsonl")[-36:]
    lines = path.read_bytes().splitlines(keepends=True)
    whole = Conversation(thread, whole=True)
    by_line = [whole.line(each) for each in lines]
    offset = 0
    for n, each in enumerate(lines[:-1]):
        offset += len(each)
        late = joined(str(path), thread, offset, whole=True)
        found = told([entry for one in lines[n + 1 :] for entry in late.line(one)])
        wanted = told([entry for entries in by_line[n + 1 :] for entry in entries])
        old = path.parts[-3] in ("0.98.0", "0.104.0", "0.125.0", "0.133.0")
        if old:
            wanted = [one for one in wanted if one in found or one[0] != "ran"]
        assert found == wanted, f"from line {n + 1} on"


def test_joined_at_the_end_of_an_open_turn_knows_it(tmp_path: Path) -> None:
    (path,) = (FIXTURES / "0.169.0" / "interrupted").glob("rollout-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    cut = tmp_path / path.name
    begun = next(n for n, each in enumerate(lines) if b'"function_call"' in each)
    cut.write_bytes(b"".join(lines[: begun + 1]))
    found = joined(str(cut), path.stem[-36:], cut.stat().st_size)
    assert found.state.turn_state == "open"
    assert len(found.open_calls) == 1
    cut.write_bytes(path.read_bytes())
    assert joined(str(cut), path.stem[-36:], cut.stat().st_size).state.turn_state == "aborted"
