"""The fast way over a rollout against the slow and obvious one, over rollouts of every shape, cut everywhere."""

from __future__ import annotations

import errno
import json
import posix
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rollout_files
from codex_agent.rollouts import Reader, checkpoint, reader
from codex_agent.rollouts.taking import paths_in
from support.material import TOP
from support.spoilt import UNMARKED, VERSIONS, Line, expected, packed, spoilt, told

SEEDS = range(12)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_the_fast_way_says_what_the_slow_one_says(tmp_path: Path, version: str, seed: int) -> None:
    path = tmp_path / "r.jsonl"
    lines = spoilt(path, version, seed)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    found, wanted = Reader(str(path)), expected(lines, version)
    found.read_new()
    assert told(found, wanted) == wanted
    assert found.offset == path.stat().st_size
    if lines[-1].startswith(b'{"timestamp":"') and len(lines[-1]) > 38:  # its time is whole
        assert found.state.last_record_at == lines[-1][14:38].decode()


@pytest.mark.parametrize("seed", SEEDS)
def test_behind_each_turn(tmp_path: Path, seed: int) -> None:
    """What was said last, when the file ends there."""
    path = tmp_path / "r.jsonl"
    lines = spoilt(path, "0.169.0", seed)
    ends = [number for number, line in enumerate(lines, 1) if b'"task_complete"' in line[:200]]
    for end in ends:
        path.write_bytes(b"".join(line + b"\n" for line in lines[:end]))
        found, wanted = Reader(str(path)), expected(lines[:end], "0.169.0")
        found.read_new()
        assert told(found, wanted) == wanted


@pytest.mark.parametrize("version", ["0.150.0", "0.169.0"])
def test_counters_that_were_torn(tmp_path: Path, version: str) -> None:
    """At any byte of them; the next line is sound again."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 10_000, version)
    lines = path.read_bytes().splitlines()
    numbers = [n for n, line in enumerate(lines) if b'"token_count"' in line or b'"token_usage_record"' in line]
    for number in numbers[-2:]:
        for cut in range(100, len(lines[number])):
            spoilt_lines = [*lines[:number], lines[number][:cut], *lines[number + 1 : -1]]
            path.write_bytes(b"".join(line + b"\n" for line in spoilt_lines))
            found, wanted = Reader(str(path)), expected(spoilt_lines, version)
            found.read_new()
            assert told(found, wanted) == wanted, lines[number][:cut]


def overflowed(payload: Line) -> None:
    totals = (payload.get("info") or payload).get("total_token_usage") or payload["thread_token_usage"]
    total = totals["total_tokens"]
    for counts in (*(payload.get("info") or {}).values(), *payload.values()):
        if isinstance(counts, dict) and "total_tokens" in counts:
            counts.update(dict.fromkeys(counts, 0))
    totals["total_tokens"] = total + 1


def long(payload: Line) -> None:
    (payload.get("info") or payload)["last_token_usage" if "info" in payload else "usage"]["input_tokens"] = (
        272_001
    )


def begun_again(payload: Line) -> None:
    totals = (payload.get("info") or payload).get("total_token_usage") or payload["thread_token_usage"]
    totals.update({"input_tokens": 5, "output_tokens": 5, "total_tokens": 10})


@pytest.mark.parametrize("spoil", [overflowed, long, begun_again])
@pytest.mark.parametrize("version", VERSIONS)
def test_one_line_of_counters_is_not_like_the_others(tmp_path: Path, version: str, spoil: Any) -> None:
    """Each of them, a record and the count behind it apart."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 30_000, version)
    lines = path.read_bytes().splitlines()
    for number, line in enumerate(lines):
        record = json.loads(line)
        if b'"total_tokens"' not in line or record["type"] not in ("event_msg", "token_usage_record"):
            continue
        spoil(record["payload"])
        odd = [*lines[:number], packed(record), *lines[number + 1 :]]
        behind = (n for n, line in enumerate(odd) if n > number and b'"token_usage_record"' in line[:90])
        for end in (next(behind, number) + 1, len(odd)):
            path.write_bytes(b"".join(line + b"\n" for line in odd[:end]))
            found, wanted = Reader(str(path)), expected(odd[:end], version)
            found.read_new()
            assert told(found, wanted) == wanted, (number, end)


def nothing(line: Line) -> list[Line]:
    return []


def twice(line: Line) -> list[Line]:
    return [line, line]


def without_words(line: Line) -> list[Line]:
    return [{**line, "payload": {**line["payload"], "last_agent_message": None}}]


def of_another_turn(line: Line) -> list[Line]:
    return [{**line, "payload": {**line["payload"], "turn_id": "01a1fded-7291-7683-8e1b-ffffffffffff"}}]


def of_the_first_turn(line: Line) -> list[Line]:
    return [{**line, "payload": {**line["payload"], "turn_id": "01a1fded-7291-7683-8e1b-000000000000"}}]


@pytest.mark.parametrize("spoil", [nothing, twice, without_words, of_another_turn, of_the_first_turn])
@pytest.mark.parametrize("kind", ["task_started", "task_complete"])
def test_one_turn_is_not_like_the_others(tmp_path: Path, kind: str, spoil: Any) -> None:
    """Its start or its end; what is known there, a turn later, and at the end."""
    path = tmp_path / "r.jsonl"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rollout_files, "_OUTPUT_CHARS", 150)
        patch.setattr(rollout_files, "_COMMANDS", 2)
        patch.setattr(rollout_files, "_THOUGHTS", (1, 30))
        rollout_files.write(str(path), 80_000, "0.169.0")
    lines = path.read_bytes().splitlines()
    numbers = [n for n, line in enumerate(lines) if f'"type":"{kind}"'.encode() in line[:200]]
    assert len(numbers) > 3
    for number in numbers:
        spoilt_lines = [packed(one) for one in spoil(json.loads(lines[number]))]
        odd = [*lines[:number], *spoilt_lines, *lines[number + 1 :]]
        behind = number + len(spoilt_lines)
        for end in (behind, behind + 3, behind + 30, len(odd)):
            path.write_bytes(b"".join(line + b"\n" for line in odd[:end]))
            found, wanted = Reader(str(path)), expected(odd[:end], "0.169.0")
            found.read_new()
            assert told(found, wanted) == wanted, (number, end)


def test_another_model_right_before_a_patch(tmp_path: Path) -> None:
    """To 0.104 that asks for the folder: what was used before is the model's that ran then."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 60_000, "0.98.0")
    lines: list[bytes] = []
    before, models = 0, 0
    for line in path.read_bytes().splitlines():
        record = json.loads(line)
        payload = record["payload"]
        if record["type"] == "turn_context":
            models += 1
            payload["model"] = f"gpt-{models % 3}"
        if payload.get("type") == "token_count":
            total = (payload["info"] or {}).get("total_token_usage", {}).get("total_tokens", before)
            if total == before:
                continue  # said once more
            before = total
        lines.append(packed(record))
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    found, wanted = Reader(str(path)), expected(lines, "0.98.0")
    found.read_new()
    assert len(wanted["billed"]) == 3
    assert told(found, wanted) == wanted


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


@pytest.mark.parametrize("version", VERSIONS)
def test_sound_rollouts_are_skimmed(tmp_path: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the tests above would compare the slow way with itself: hardly any line is looked at by itself."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 4_000_000, version)
    seen: list[bytes] = []
    line = reader.Reader._line

    def counted(self: Reader, data: bytes) -> None:
        seen.append(data)
        line(self, data)

    monkeypatch.setattr(reader.Reader, "_line", counted)
    Reader(str(path)).read_new()
    assert len(seen) < (0.2 if version in UNMARKED else 0.02) * path.read_bytes().count(b"\n")


def test_reading_a_rollout_loads_little(tmp_path: Path) -> None:
    """What these take to be loaded is a tenth of what a rollout of 200 MB takes."""
    path = tmp_path / "r.jsonl"
    rollout_files.write(str(path), 30_000, "0.169.0")
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); from codex_agent.rollouts.reader import Reader; "
        "reader = Reader(sys.argv[2]); reader.read_new(); assert reader.state.turns_completed; "
        "print(*sorted({'dataclasses', 'enum', 'json', 're', 'typing'} & set(sys.modules)))"
    )
    words = [sys.executable, "-ISE", "-c", program, str(TOP / "src"), str(path)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() == []


def test_paths_without_the_bodies() -> None:
    def line(changes: Line, **item: Any) -> bytes:
        item = {"type": "FileChange", "id": "x", "changes": changes, "status": "completed", **item}
        return packed(
            {"type": "event_msg", "payload": {"type": "item_completed", "turn_id": "t", "item": item, "at": 1}}
        )

    body = 'a "quoted" },"/no":{"type":"add","status":"completed" \\ 日本\n'
    assert paths_in(
        line(
            {
                "/r/a": {"type": "update", "unified_diff": body, "move_path": "/r/b"},
                "/r/c d": {"type": "add", "content": body},
                "/r/日本": {"type": "update", "unified_diff": body, "move_path": None},
                "/r/e": {"type": "delete", "content": body},
            }
        )
    ) == (
        "t",
        [
            ("update", "/r/a", "/r/b"),
            ("add", "/r/c d", None),
            ("update", "/r/日本", None),
            ("delete", "/r/e", None),
        ],
    )
    change = {"type": "add", "content": body}
    undecided = [
        line({}),
        line({"relative": change}),
        line({'/r/"': change}),
        line({"/r/a": change, "/r/\\": change}),
        line({"/r/a": change}, status="failed"),
        line({"/r/a": {"type": "renamed", "content": body}}),
        line({"/r/a": {"content": body, "type": "add"}}),
        line({"/r/a": {"type": "update", "unified_diff": body, "move_path": '/r/"'}}),
        line({"/r/a": change})[:-1],
        line({"/r/a": change})[:-30],
    ]
    assert [paths_in(one) for one in undecided] == [None] * len(undecided)
