"""Notes of reviewers: the file that keeps them whatever happens, and the command."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from codex_agent.errors import StoreUnwritable
from codex_agent.notes import NoteBook
from codex_agent.store import Store
from support.disks import fill, small_disk
from support.home import Home, make_home
from support.jobs import Here, write_record

__all__ = ["small_disk"]

THREAD = "01a1fded-0056-70e1-aaa4-8112a38b46a9"
JOB = "0a1b2c3d"


@pytest.fixture
def book(tmp_path: Path) -> NoteBook:
    return NoteBook(str(tmp_path / "home"))


def test_what_was_noted_comes_back_in_order(book: NoteBook) -> None:
    first = book.add(THREAD, "mistake", "off by one\nin pager.py", job_id=JOB)
    second = book.add(THREAD, "resolution", "fixed in ünï", resolves=first.id)
    found, bad = book.read(THREAD)
    assert (found, bad) == ([first, second], 0)
    assert (first.kind, first.text, first.job_id, first.resolves) == (
        "mistake",
        "off by one\nin pager.py",
        JOB,
        None,
    )
    assert second.resolves == first.id
    assert len({first.id, second.id}) == 2


def test_nothing_was_noted(book: NoteBook) -> None:
    assert book.read(THREAD, None, JOB) == ([], 0)
    assert not os.path.exists(book.folder)  # looking makes nothing


def test_notes_of_a_job_and_of_its_thread_are_one_list(book: NoteBook) -> None:
    early = book.add(JOB, "note", "before it had a thread")
    late = book.add(THREAD, "note", "after")
    other = book.add("0" * 8, "note", "of another")
    assert book.read(JOB, THREAD, JOB)[0] == [early, late]
    assert book.read("0" * 8)[0] == [other]
    old = {"id": "00", "at": "2020-01-01T00:00:00.000Z", "kind": "note", "text": "written late"}
    with open(book.path(THREAD), "a") as file:
        file.write(json.dumps(old) + "\n")
    assert [one.text for one in book.read(JOB, THREAD)[0]] == ["written late", early.text, late.text]


def test_only_the_owner_may_read(book: NoteBook) -> None:
    book.add(THREAD, "note", "x")
    for path, mode in ((book.home, 0o700), (book.folder, 0o700), (book.path(THREAD), 0o600)):
        assert stat.S_IMODE(os.stat(path).st_mode) == mode, path


def test_what_is_no_id_names_no_file(book: NoteBook) -> None:
    Path(book.folder).mkdir(parents=True)
    (Path(book.home) / "secret.jsonl").write_text("{}\n")
    assert not book.has("../secret") and not book.has("last") and not book.has("")
    book.add(JOB, "note", "x")
    assert book.has(JOB) and not book.has(THREAD)


def test_many_at_once_lose_none_and_mix_nothing(book: NoteBook) -> None:
    texts = [f"{number} " + "x" * 9000 for number in range(40)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda text: book.add(THREAD, "note", text), texts))
    found, bad = book.read(THREAD)
    assert bad == 0
    assert {one.id for one in found} == {one.id for one in made}
    assert sorted(one.text for one in found) == sorted(texts)


def test_a_torn_line_costs_no_other_note(book: NoteBook) -> None:
    first = book.add(THREAD, "note", "before")
    with open(book.path(THREAD), "ab") as file:
        file.write(b'{"id": "torn", "at": "2026')  # somebody was killed in the middle
    assert book.read(THREAD) == ([first], 0)  # it may still be being written
    second = book.add(THREAD, "note", "after")
    assert book.read(THREAD) == ([first, second], 1)


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        "no json",
        "{}",
        '{"id": 1, "at": "", "kind": "note", "text": ""}',
        '{"id": "", "at": "", "kind": "other", "text": ""}',
        '{"id": "", "at": "", "kind": ["note"], "text": ""}',
        '{"id": "", "at": "", "kind": "note", "text": "", "resolves": 3}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_broken_line_is_counted(book: NoteBook, line: str) -> None:
    kept = book.add(THREAD, "note", "good")
    with open(book.path(THREAD), "ab") as file:
        file.write(line.encode("utf-8", "surrogateescape") + b"\n")
    assert book.read(THREAD) == ([kept], 1)


def test_words_that_are_no_unicode_are_kept_as_far_as_they_are(book: NoteBook) -> None:
    made = book.add(THREAD, "note", "a\udcffb")
    assert book.read(THREAD)[0] == [made]
    assert made.text == "a?b"


def test_a_full_disk_takes_nothing_and_says_so(small_disk: Path) -> None:
    book = NoteBook(str(small_disk))
    kept = book.add(THREAD, "note", "before")
    size = os.path.getsize(book.path(THREAD))
    hog = fill(small_disk)
    with pytest.raises(StoreUnwritable, match="No space left") as told:
        book.add(THREAD, "mistake", "y" * 50_000)
    assert told.value.hint is not None and "make room" in told.value.hint
    assert os.path.getsize(book.path(THREAD)) == size
    hog.unlink()
    later = book.add(THREAD, "note", "after")
    assert book.read(THREAD) == ([kept, later], 0)


def test_a_folder_that_cannot_be_written_is_named(book: NoteBook) -> None:
    Path(book.home).mkdir()
    (Path(book.home) / "notes").write_text("a file in its place")
    with pytest.raises(StoreUnwritable, match="notes"):
        book.add(THREAD, "note", "x")


# ---- the command ----


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path, str(tmp_path / "tmux"))


@pytest.fixture
def call(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Here]:
    def named(data: dict[str, object]) -> None:
        data["name"] = "parser"
        facts = data["facts"]
        assert isinstance(facts, dict)
        facts["thread_id"] = THREAD

    store = Store(str(home.agent_home))
    write_record(store, JOB, named)
    write_record(store, "99999999")  # never had a thread
    yield Here(home, monkeypatch, capfd)


def test_a_mistake_and_its_resolution(call: Here, home: Home) -> None:
    made = call("note", "parser", "off by one", "--kind", "mistake", "--json").ok().json()
    assert (made["thread_id"], made["job_id"]) == (THREAD, JOB)
    assert made["file"] == str(home.agent_home / "notes" / f"{THREAD}.jsonl")
    mistake = made["notes"][0]["id"]
    told = call("note", THREAD, "fixed", "--kind", "resolution").ok().out
    assert f"resolution of {mistake}: fixed" in told and "off by one" not in told
    listed = call("note", JOB, "--list", "--json").ok().json()
    assert [(one["kind"], one["resolves"]) for one in listed["notes"]] == [
        ("mistake", None),
        ("resolution", mistake),
    ]
    shown = call("note", f"codex://threads/{THREAD}", "--list").ok().out
    assert shown.index("off by one") < shown.index("fixed")


def test_which_mistake_is_resolved(call: Here) -> None:
    def note(*words: str) -> list[dict[str, str | None]]:
        found = call("note", JOB, *words, "--json").ok().json()["notes"]
        assert isinstance(found, list)
        return found

    alone = note("nothing is open", "--kind", "resolution")[-1]
    first, second = (note(text, "--kind", "mistake")[-1]["id"] for text in ("one", "two"))
    named = note("that one", "--kind", "resolution", "--of", str(second))[-1]
    latest, again = (note(text, "--kind", "resolution")[-1] for text in ("the last open one", "none is open"))
    assert [one["resolves"] for one in (alone, named, latest, again)] == [None, second, first, None]
    wrong = call("note", JOB, "x", "--kind", "resolution", "--of", "nothing", "--json")
    assert (wrong.rc, wrong.json()["error"]["code"]) == (2, "usage")
    assert call("note", JOB, "x", "--of", str(first)).rc == 2


def test_a_job_without_a_thread_has_notes_of_its_own(call: Here, home: Home) -> None:
    call("note", "99999999", "never began").ok()
    assert "never began" in call("note", "99999999", "--list").ok().out
    assert (home.agent_home / "notes" / "99999999.jsonl").exists()


def test_notes_outlive_the_job(call: Here, home: Home) -> None:
    call("note", JOB, "keep me").ok()
    call("note", "99999999", "and me").ok()
    call("clean", "--older-than", "0").ok()
    assert call("jobs", "--json").ok().json()["total"] == 0
    assert "keep me" in call("note", THREAD, "--list").ok().out
    assert "and me" in call("note", "99999999", "--list").ok().out
    call("note", THREAD, "still").ok()
    (file,) = home.agent_home.glob(f"notes/{THREAD}.jsonl")
    assert [json.loads(line)["text"] for line in file.read_text().splitlines()] == ["keep me", "still"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("note", "nobody", "x"), 3),
        (("note", JOB), 2),
        (("note", JOB, " \n"), 2),
        (("note", JOB, "x", "--list"), 2),
        (("note", JOB, "x", "--kind", "error"), 2),
        (("note", JOB, "x" * 100_001), 2),
    ],
)
def test_what_cannot_be_noted(call: Here, home: Home, words: tuple[str, ...], code: int) -> None:
    wrong = call(*words)
    assert wrong.rc == code, str(wrong)
    assert wrong.err.count("\n") == 2  # what is wrong, and what to do
    assert not (home.agent_home / "notes").exists()


def test_a_long_note_in_text(call: Here) -> None:
    told = call("note", JOB, "first line\nkind: resolution\n\x1b[31mred").ok().out
    assert "note: first line\n  kind: resolution\n  [31mred" in told
