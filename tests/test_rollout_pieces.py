"""A rollout that is read in pieces: cut anywhere, growing, torn at its end, from a disk that fails for a while."""

from __future__ import annotations

import errno
import json
import posix
import random
from pathlib import Path

import pytest

from benchmarks import rollout_files
from codex_agent.rollouts import Reader, checkpoint, reader
from support.spoilt import VERSIONS, expected, packed, spoilt, told


@pytest.mark.parametrize("version", VERSIONS)
def test_wherever_the_chunks_are_cut(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Inside a head, inside counters, in a line longer than a chunk."""
    path = tmp_path / "r.jsonl"
    lines = spoilt(path, version, 99)
    wanted = expected(lines, version)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    whole = Reader(str(path))
    whole.read_new()
    for chunk in (64, 701, 1_024, 1_500, 2_047, 4_096, 4_097, 30_000):
        monkeypatch.setattr(reader, "CHUNK", chunk)
        found = Reader(str(path))
        found.read_new()
        assert told(found, wanted) == wanted, chunk
        assert (found.offset, found.state.values()) == (path.stat().st_size, whole.state.values()), chunk
        assert (found.bad_lines, found.unknown_lines) == (whole.bad_lines, whole.unknown_lines), chunk


@pytest.mark.parametrize("good", [0, 1, 2, 10, 18, 25])
def test_a_disk_that_fails_for_a_while(tmp_path: Path, good: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many reads that went well. What those said is not lost, and reading goes on behind it."""
    path = tmp_path / "r.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_files, "_COMMANDS", 2)
        rollout_files.write(str(path), 1_000_000, "0.169.0")
    wanted = expected(path.read_bytes().splitlines(), "0.169.0")
    read, left = posix.read, good

    def fails(fd: int, size: int) -> bytes:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.EIO, "Input/output error")
        return read(fd, size)

    found = Reader(str(path))
    monkeypatch.setattr(reader, "CHUNK", 32_768)
    monkeypatch.setattr(posix, "read", fails)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            found.read_new()
    monkeypatch.setattr(posix, "read", read)
    found.read_new()
    assert told(found, wanted) == wanted
    assert found.offset == path.stat().st_size


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_appended_later(tmp_path: Path, version: str, kept: bool) -> None:
    """The file grows by pieces that end anywhere; ``kept``: another process reads each."""
    path = tmp_path / "r.jsonl"
    lines = spoilt(path, version, 7)
    data = b"".join(line + b"\n" for line in lines)
    rng = random.Random(version)
    path.write_bytes(b"")
    found, at = Reader(str(path)), 0
    while at < len(data):
        piece = data[at : at + rng.choice([1, 30, 500, 5_000, 40_000])]
        at += len(piece)
        with path.open("ab") as file:
            file.write(piece)
        found.read_new()
        if kept:
            found = checkpoint.load(str(path), None, json.loads(json.dumps(checkpoint.save(found))))
        if rng.randrange(4) == 0:
            whole = data[: data.rfind(b"\n", 0, at) + 1].splitlines()
            wanted = expected(whole, version)
            assert told(found, wanted) == wanted
    assert told(found, expected(lines, version)) == expected(lines, version)


@pytest.mark.parametrize("chunk", [8_192, 32_768])
def test_the_last_whole_line_before_a_torn_one(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file ends where a chunk does, in the middle of a line."""
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(rollout_files, "_OUTPUT_CHARS", 900)
    rollout_files.write(str(path), 300_000, "0.169.0")
    data = path.read_bytes()
    monkeypatch.setattr(reader, "CHUNK", chunk)
    at = 0
    while at + chunk < len(data):
        path.write_bytes(data[: at + chunk])
        found = Reader(str(path))
        found.read_new()
        at = data.rfind(b"\n", 0, at + chunk) + 1
        last = data[data.rfind(b"\n", 0, at - 1) + 1 : at]
        assert found.state.last_record_at == json.loads(last)["timestamp"]
        assert found.offset - found.unfinished_bytes == at


def test_an_older_codex_goes_on_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It numbers no lines, and goes on in one that a crash had torn: what it wrote there counts."""
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(rollout_files, "_OUTPUT_CHARS", 300)
    monkeypatch.setattr(rollout_files, "_LONG_EVERY", 10**9)
    rollout_files.write(str(path), 400_000, "0.169.0")
    lines = path.read_bytes().splitlines()
    ends = [number for number, line in enumerate(lines) if b'"type":"task_complete"' in line]
    for end in ends[len(ends) // 2 : -1]:
        torn = unnumbered(lines[end - 1])[:80]  # and behind it stands what ends the turn
        whole = [*lines[: end - 3], *(unnumbered(line) for line in lines[end - 3 :])]
        wanted = expected([*whole[: end - 1], *whole[end:]], "0.169.0")
        parts = [*whole[: end - 1], torn + whole[end], *whole[end + 1 :]]
        path.write_bytes(b"".join(line + b"\n" for line in parts))
        for chunk in (32_768, 262_144):
            monkeypatch.setattr(reader, "CHUNK", chunk)
            found = Reader(str(path))
            found.read_new()
            assert told(found, wanted) == wanted, (end, chunk)
            assert found.bad_lines == 1


def unnumbered(line: bytes) -> bytes:
    record = json.loads(line)
    del record["ordinal"]
    return packed(record)


def test_an_end_that_is_told_again_later(tmp_path: Path) -> None:
    """When the first was read already: it ended once."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 100_000, "0.169.0")
    data = path.read_bytes()
    found = Reader(str(path))
    found.read_new()
    ended = found.state.turns_completed
    with path.open("ab") as file:
        file.write(data.splitlines(keepends=True)[-1])
    found.read_new()
    assert (found.state.turns_completed, found.state.turns_started) == (ended, ended)
