"""Large rollouts cost what small ones do: memory, the latest words, a second look. In bytes, not in seconds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from benchmarks import rollout_files
from codex_agent.rollouts import Reader, checkpoint
from codex_agent.rollouts.head import first_prompt, read_head
from codex_agent.rollouts.tail import end_of, narrations
from codex_agent.store import Store
from codex_agent.thread_answers import ThreadView
from codex_agent.threads.looking import look
from codex_agent.threads.refs import resolve
from support.measured import bytes_read, inventory, peak_memory
from support.oddrollouts import HUGE, put, sample

MIB = 1 << 20
SIZE = 50 * MIB
VERSIONS = ["0.98.0", "0.133.0", "0.169.0"]
AGAIN = b"I go on."


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, version: str) -> Path:
    """50 MB of turns, the last of them completed; lines of 1 MB among them. Not to be changed."""
    path = tmp_path_factory.mktemp("large") / "codex" / "sessions" / "2026" / "11" / "21" / sample(version).name
    path.parent.mkdir(parents=True)
    rollout_files.write(str(path), SIZE, version)
    return path


def store_in(folder: Path) -> Store:
    return Store(str(folder / "agent"))


def home_of(path: Path) -> str:
    return str(path.parents[4])


def thread_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl")[-36:]


def view(store: Store, path: Path) -> ThreadView:
    return look(store, resolve(store, home_of(path), thread_of(path)))


def own(folder: Path, large: Path) -> Path:
    """A large one that may be appended to."""
    path = folder / large.relative_to(large.parents[4])
    path.parent.mkdir(parents=True)
    path.write_bytes(large.read_bytes())
    return path


def a_dozen_megabytes(folder: Path) -> Path:
    """Large enough to be remembered."""
    path = folder / "codex" / "sessions" / "2026" / "11" / "21" / sample("0.169.0").name
    path.parent.mkdir(parents=True)
    rollout_files.write(str(path), 12 * MIB, "0.169.0")
    return path


def last_line(path: Path, text: bytes) -> bytes:
    """The last line with these words in it."""
    return next(line for line in reversed(path.read_bytes().splitlines(keepends=True)) if text in line)


def said_again(path: Path) -> bytes:
    """What the agent said last, once more and in other words."""
    line = next(
        line
        for line in reversed(path.read_bytes().splitlines(keepends=True))
        if b"All done." in line and (b'"AgentMessage"' in line or b'"agent_message"' in line)
    )
    return line.replace(b"All done.", AGAIN)


# ---- the latest words ----


def test_the_latest_words_are_read_from_the_end(large: Path) -> None:
    assert large.stat().st_size >= SIZE
    found: list[str] = []
    count = bytes_read(lambda: found.extend(said.text for said in narrations(str(large), 5)))
    assert found == ["All done.", "I look first.", "All done.", "I look first.", "All done."]
    assert count < 4 * MIB


def test_how_it_stands_is_read_from_the_end(large: Path, version: str) -> None:
    count = bytes_read(lambda: end_of(str(large)))
    assert count < 10 * MIB
    end = end_of(str(large))
    assert end.turn == (None if version == "0.98.0" else "completed")
    assert (end.model, end.calls) == ("gpt-5.5", [])


def test_the_beginning_is_read_alone(large: Path) -> None:
    head = read_head(str(large))
    assert (head.thread_id, head.cwd, head.source) == (thread_of(large), "/home/ada/repo", "exec")
    assert first_prompt(str(large)) == "do the work"
    assert bytes_read(lambda: read_head(str(large))) < MIB
    assert bytes_read(lambda: first_prompt(str(large))) < 2 * MIB


def test_behind_a_line_of_5_mb(tmp_path: Path, large: Path) -> None:
    """The output of a command is that long, and it is the last thing there is."""
    path = own(tmp_path, large)
    output = last_line(path, b"_output")
    record = json.loads(output)
    record["payload"]["output"] = "x" * HUGE
    with path.open("ab") as file:
        file.write(said_again(large) + json.dumps(record, separators=(",", ":")).encode() + b"\n")
    found: list[str] = []
    count = bytes_read(lambda: found.extend(said.text for said in narrations(str(path), 1)))
    assert found == [AGAIN.decode()]
    assert count < HUGE + 2 * MIB
    assert peak_memory(lambda: narrations(str(path), 1)) < 4 * HUGE


def test_behind_a_torn_line_of_5_mb(tmp_path: Path, large: Path) -> None:
    """Codex is just writing it."""
    path = own(tmp_path, large)
    with path.open("ab") as file:
        file.write(
            said_again(large)
            + b'{"timestamp":"2026-11-21T12:00:00.000Z","type":"response_item","pay'
            + b"x" * HUGE
        )
    assert [said.text for said in narrations(str(path), 1)] == [AGAIN.decode()]
    assert peak_memory(lambda: narrations(str(path), 1)) < 3 * MIB, "what is not whole is not kept"


def test_when_it_has_long_said_nothing(tmp_path: Path, large: Path) -> None:
    """Twenty megabytes of commands since: it is found all the same, and costs no memory."""
    path = own(tmp_path, large)
    output = last_line(path, b"_output")
    with path.open("ab") as file:
        file.write(said_again(large))
        for _ in range(20 * MIB // len(output)):
            file.write(output)
    assert [said.text for said in narrations(str(path), 1)] == [AGAIN.decode()]
    assert peak_memory(lambda: narrations(str(path), 1)) < 3 * MIB


def test_when_it_has_hardly_said_anything(tmp_path: Path, version: str) -> None:
    """Two things, and fifty megabytes of commands since: looking for more does not read all of it again."""
    path = tmp_path / "codex" / "sessions" / "2026" / "11" / "21" / sample(version).name
    path.parent.mkdir(parents=True)
    lines = sample(version).read_bytes().splitlines(keepends=True)
    output = last_line(sample(version), b"_output")
    with path.open("wb") as file:
        file.writelines(lines)
        for _ in range(SIZE // len(output)):
            file.write(output)
    store = store_in(tmp_path)
    assert view(store, path).narrations[-1].text == "All done."
    views: list[ThreadView] = []
    assert bytes_read(lambda: views.append(view(store, path))) < 45 * MIB
    assert views[0].narrations[-1].text == "All done."


# ---- the whole of it ----


def test_memory_does_not_grow_with_the_file(tmp_path: Path, large: Path, version: str) -> None:
    small = tmp_path / sample(version).name
    rollout_files.write(str(small), 5 * MIB, version)
    peaks = [peak_memory(lambda path=path: Reader(str(path)).read_new()) for path in (small, large)]  # type: ignore[misc]
    assert peaks[1] < 8 * MIB
    assert peaks[1] < peaks[0] + 3 * MIB


def test_looking_costs_no_memory(tmp_path: Path, large: Path) -> None:
    assert peak_memory(lambda: view(store_in(tmp_path), large)) < 16 * MIB


def test_a_line_of_5_mb(tmp_path: Path, version: str) -> None:
    path = tmp_path / sample(version).name
    rollout_files.write(str(path), MIB, version)
    output = json.loads(last_line(path, b"_output"))
    output["payload"]["output"] = "x" * HUGE
    with path.open("ab") as file:
        file.write(json.dumps(output, separators=(",", ":")).encode() + b"\n" + said_again(sample(version)))
    reader = Reader(str(path))
    assert peak_memory(reader.read_new) < 4 * HUGE
    assert (reader.bad_lines, reader.unknown_lines) == (0, 0)
    assert narrations(str(path), 1)[0].text == AGAIN.decode()


# ---- the second look ----


def test_the_second_look_reads_what_is_new(tmp_path: Path, large: Path) -> None:
    path, store = own(tmp_path, large), store_in(tmp_path)
    first = view(store, path)
    tail = 10 * MIB  # in which the state is looked for from the end
    assert bytes_read(lambda: view(store, path)) < tail
    with path.open("ab") as file:
        file.write(said_again(large))
    second = view(store, path)
    assert [said.text for said in second.narrations][-1] == AGAIN.decode()
    assert (second.files, second.turns, second.tokens) == (first.files, first.turns, first.tokens)
    assert (second.bad_lines, second.unknown_lines) == (first.bad_lines, first.unknown_lines)
    assert bytes_read(lambda: view(store, path)) < tail


def test_the_second_look_says_what_the_first_would(tmp_path: Path, large: Path) -> None:
    """Cut anywhere, gone on from there, it comes to the same as one reading of the whole."""
    whole = Reader(str(large), thread_id=thread_of(large))
    whole.read_new()
    data = large.read_bytes()
    path = own(tmp_path, large)
    for part in (0.1, 0.5, 0.83, 0.999):
        path.write_bytes(data[: int(len(data) * part)])
        kept = checkpoint.save(_read(path, None))
        assert kept is not None
        kept = json.loads(json.dumps(kept))
        path.write_bytes(data)
        again = _read(path, kept)
        assert again.offset == len(data)
        assert again.state == whole.state
        assert (again.bad_lines, again.unknown_lines) == (whole.bad_lines, whole.unknown_lines)


def _read(path: Path, kept: dict[str, object] | None) -> Reader:
    reader = checkpoint.load(str(path), thread_of(path), kept)
    reader.read_new()
    return reader


@pytest.mark.parametrize("how", ["cut", "replaced", "rewritten"])
def test_another_file_under_its_name_is_read_anew(tmp_path: Path, how: str) -> None:
    path = a_dozen_megabytes(tmp_path)
    store = store_in(tmp_path)
    first = view(store, path)
    assert first.turns > 1
    data = sample("0.169.0").read_bytes()
    if how == "cut":
        os.truncate(path, data.index(b'"task_complete"'))
    elif how == "replaced":
        other = path.with_suffix(".new")
        other.write_bytes(data)
        other.replace(path)
    else:  # as long as before, and another: by its inode it is the same
        size = path.stat().st_size
        path.write_bytes(data.replace(b"All done.", b"All anew.") * (size // len(data) + 2))
    second = view(store, path)
    assert second.turns != first.turns
    if how == "replaced":
        assert second.turns == 1


def test_a_memory_that_is_spoilt_is_none(tmp_path: Path) -> None:
    path = a_dozen_megabytes(tmp_path)
    store = store_in(tmp_path)
    first = view(store, path)
    kept = [file for file in (tmp_path / "agent").rglob("*") if file.is_file()]
    assert kept
    for text in (b"", b"{", b"[]", b'{"version": 1}', b'{"version": 99, "offset": 5}', b"\xff\xfe"):
        for file in kept:
            file.write_bytes(text)
        second = view(store, path)
        assert (second.turns, second.files, second.tokens) == (first.turns, first.files, first.tokens)


def test_nothing_of_it_lies_beside_the_rollout(tmp_path: Path, large: Path) -> None:
    path = put(tmp_path / "codex", large)
    before = inventory(tmp_path / "codex")
    view(store_in(tmp_path), path)
    assert inventory(tmp_path / "codex") == before
