"""What a THREAD on a command line means: ids, prefixes, addresses, jobs, ``last``."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from codex_agent.errors import AmbiguousId, ThreadNotFound
from codex_agent.store import Store
from codex_agent.threads.refs import Ref, job_of, resolve
from support.jobs import write_record
from support.manythreads import Made, make

FOREIGN = "01a1ffff-ffff-7fff-8fff-ffffffffffff"


@pytest.fixture
def made(codex_home: Path) -> list[Made]:
    """Two hundred sessions, newest first."""
    return make(codex_home, 200, now=time.time())


def a_job(store: Store, job_id: str, one: Made, codex_home: Path, **more: object) -> None:
    def change(data: dict[str, object]) -> None:
        facts, request = data["facts"], data["request"]
        assert isinstance(facts, dict) and isinstance(request, dict)
        facts |= {"thread_id": one.id, "rollout": str(one.path)}
        request["codex_home"] = str(codex_home)
        data |= more

    write_record(store, job_id, change)


def test_every_way_to_name_a_thread(store: Store, codex_home: Path, made: list[Made]) -> None:
    for one in (made[0], made[57], made[99]):  # the last is archived
        wanted = Ref(one.id, str(one.path), None, str(codex_home))
        for word in (
            one.id,
            one.id.upper(),
            f"  {one.id} ",
            one.id[:13],
            one.id[:20],
            f"codex://threads/{one.id}",
            f"codex://threads/{one.id}/",
            f"codex://threads/{one.id}?from=ide",
            f"codex://local/{one.id}",
        ):
            assert resolve(store, str(codex_home), word) == wanted, word


def test_last_is_the_one_that_was_written_to_last(store: Store, codex_home: Path, made: list[Made]) -> None:
    assert resolve(store, str(codex_home), "last").thread_id == made[0].id
    later = time.time()
    os.utime(made[40].path, (later, later))
    assert resolve(store, str(codex_home), "last").thread_id == made[40].id


def test_last_is_no_archived_one(store: Store, codex_home: Path, made: list[Made]) -> None:
    later = time.time()
    os.utime(made[99].path, (later, later))
    assert made[99].archived
    assert resolve(store, str(codex_home), "last").thread_id == made[0].id


def test_the_beginning_of_several(store: Store, codex_home: Path, made: list[Made]) -> None:
    with pytest.raises(AmbiguousId) as caught:
        resolve(store, str(codex_home), made[0].id[:2])
    assert str(len(made)) in caught.value.message
    assert made[0].id in str(caught.value.data["matches"])


@pytest.mark.parametrize(
    "word",
    [
        FOREIGN,
        f"codex://threads/{FOREIGN}",
        "codex://threads/",
        "01a1ffff",
        "nobody",
        "",
        "  ",
        "../../etc/passwd",
        "/etc/passwd",
        "*",
        "01a1\0",
        "ä",
    ],
)
def test_what_names_none(store: Store, codex_home: Path, made: list[Made], word: str) -> None:
    assert made
    with pytest.raises(ThreadNotFound) as caught:
        resolve(store, str(codex_home), word)
    assert caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("word", ["last", FOREIGN, "abc"])
def test_without_any_session(store: Store, tmp_path: Path, word: str) -> None:
    with pytest.raises(ThreadNotFound):
        resolve(store, str(tmp_path / "there-is-none"), word)


def test_a_job_means_its_thread(store: Store, codex_home: Path, made: list[Made]) -> None:
    one = made[5]
    a_job(store, "aaaa0001", one, codex_home, name="mend")
    wanted = Ref(one.id, str(one.path), "aaaa0001", str(codex_home))
    for word in ("aaaa0001", "mend", one.id):
        assert resolve(store, str(codex_home), word) == wanted


def test_the_newest_of_several_jobs(store: Store, codex_home: Path, made: list[Made]) -> None:
    a_job(store, "aaaa0002", made[5], codex_home, created_at="2026-02-02T03:04:05.678Z")
    a_job(store, "aaaa0003", made[5], codex_home, created_at="2026-01-02T03:04:05.678Z")
    assert job_of(store, made[5].id) == "aaaa0002"
    assert resolve(store, str(codex_home), made[5].id).job_id == "aaaa0002"
    assert resolve(store, str(codex_home), "aaaa0003").thread_id == made[5].id


def test_a_job_of_another_codex_home(store: Store, tmp_path: Path, codex_home: Path, made: list[Made]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    assert resolve(store, str(codex_home), made[5].id).job_id is None
    a_job(store, "aaaa0004", made[5], codex_home)
    for word in ("aaaa0004", made[5].id):
        found = resolve(store, str(other), word)
        assert (found.codex_home, found.rollout) == (str(codex_home), str(made[5].path))


def test_a_job_without_a_thread(store: Store, codex_home: Path, made: list[Made]) -> None:
    assert made
    write_record(store, "aaaa0005")
    with pytest.raises(ThreadNotFound) as caught:
        resolve(store, str(codex_home), "aaaa0005")
    assert "aaaa0005" in caught.value.message


def test_a_thread_wins_over_the_beginning_of_a_job(store: Store, codex_home: Path, made: list[Made]) -> None:
    """Both are hexadecimal; only a whole job id is one."""
    one = made[0]
    same = one.id[:8].replace("-", "")
    a_job(store, same, made[5], codex_home)
    assert resolve(store, str(codex_home), one.id[:13]).thread_id == one.id
    assert resolve(store, str(codex_home), same).thread_id == made[5].id


def test_the_rollout_is_found_afresh(store: Store, codex_home: Path, made: list[Made]) -> None:
    one = made[3]
    a_job(store, "aaaa0006", one, codex_home)
    moved = codex_home / "archived_sessions" / one.path.name
    moved.parent.mkdir(exist_ok=True)
    one.path.rename(moved)
    for word in (one.id, "aaaa0006"):
        assert resolve(store, str(codex_home), word).rollout == str(moved)


def test_a_home_that_is_a_link(store: Store, tmp_path: Path, codex_home: Path, made: list[Made]) -> None:
    link = tmp_path / "link"
    link.symlink_to(codex_home)
    found = resolve(store, str(link), made[0].id)
    assert found.thread_id == made[0].id
    assert found.rollout is not None and os.path.samefile(found.rollout, made[0].path)
