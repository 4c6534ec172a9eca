"""The fast way over a rollout against the slow and obvious one, over rollouts of every shape, cut everywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import rollout_files
from codex_agent.rollouts import Reader, reader
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


def slowly(path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """Each line by itself."""
    with monkeypatch.context() as patch:
        patch.setattr(reader, "skim", lambda _fold, lines: next(lines, b""))
        found = Reader(str(path))
        found.read_new()
    return found


@pytest.mark.parametrize("other", ["01a00000-0000-7000-8000-000000000000", "01a1fded-7291-7683-8e1b-000000000000"])
def test_a_turn_that_is_none_of_its_own(tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An older one, copied from another thread, or the first once more: all that is said of it goes by."""
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(rollout_files, "_COMMANDS", 2)
    rollout_files.write(str(path), 400_000, "0.169.0")
    data = path.read_bytes().replace(b"01a1fded-7291-7683-8e1b-000000000004", other.encode())
    path.write_bytes(data)
    found, wanted = Reader(str(path)), slowly(path, monkeypatch)
    found.read_new()
    assert data.count(b'"type":"task_started"') - 1 == wanted.state.turns_started > 5
    assert found.state.values() == wanted.state.values()


@pytest.mark.parametrize("sizes", [(258_400, 400_000), (258_400, 2_584_000)])
def test_windows_that_change_with_each_turn(
    tmp_path: Path, sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but turns, so that their starts alone tell of it."""
    path = tmp_path / "r.jsonl"
    monkeypatch.setattr(rollout_files, "_COMMANDS", 1)
    rollout_files.write(str(path), 300_000, "0.169.0")
    kept: list[bytes] = []
    for line in path.read_bytes().splitlines():
        record = json.loads(line)
        if record["payload"].get("type") == "task_started":
            record["payload"]["model_context_window"] = sizes[len(kept) // 2 % 2]
        if record["type"] == "session_meta" or record["payload"].get("type") in ("task_started", "task_complete"):
            kept.append(packed(record))
    counted = next(line for line in path.read_bytes().splitlines() if b'"token_count","info":{' in line)
    kept.insert(1, counted)  # or there is nothing to which a window belongs
    for end in range(8, 16):
        path.write_bytes(b"".join(line + b"\n" for line in kept[:end]))
        found, wanted = Reader(str(path)), slowly(path, monkeypatch)
        found.read_new()
        assert found.state.values() == wanted.state.values(), end
    assert {slowly(path, monkeypatch).state.counted[5]} <= set(sizes)  # type: ignore[index]


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
    sound = line(
        {
            "/r/a": {"type": "update", "unified_diff": body, "move_path": "/r/b"},
            "/r/c d": {"type": "add", "content": body},
            "/r/日本": {"type": "update", "unified_diff": body, "move_path": None},
            "/r/e": {"type": "delete", "content": body},
        }
    )
    changes = [
        ("update", "/r/a", "/r/b"),
        ("add", "/r/c d", None),
        ("update", "/r/日本", None),
        ("delete", "/r/e", None),
    ]
    known: dict[bytes, str] = {}
    assert paths_in(sound, known) == ("t", changes) == paths_in(sound, known)
    assert list(known.values()) == ["/r/a", "/r/c d", "/r/日本", "/r/e"]
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
    assert [paths_in(one, {}) for one in undecided] == [None] * len(undecided)
