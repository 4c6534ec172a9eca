"""A record's answer is believed only under a whole seal, and is then what the verdict would say."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import time
from pathlib import Path

import pytest

from codex_agent import cost, sealed, sealing, verdict
from codex_agent.codex import failures
from codex_agent.model import RECORD_VERSION, Facts, Job, Record, Request, Turn, stamp
from codex_agent.store import Store
from codex_agent.verdict import job_view

JOB = "0123abcd"
# When one of those changes, a record may be told otherwise than it was sealed. If so, let `sealed.VIEW` grow. Then
# put the new sum here.
TOLD_BY = "73a3f37d7d9caf87"


def record(**facts: object) -> Record:
    made = stamp(1_763_700_000.5)
    whole = Facts(started_at=stamp(1_763_700_001.25), turn=Turn(state="open", count=1), **facts)  # type: ignore[arg-type]
    request = Request("exec", "Say hello.", 10, "/tmp", "read-only")
    return Record(RECORD_VERSION, JOB, "worker", made, "m", f"codex-agent-{JOB}", request, whole)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path))
    made.prepare()
    return made


def as_printed(job: Job) -> bytes:
    return json.dumps(dataclasses.asdict(job), ensure_ascii=False).encode("utf-8", "replace")


def test_whoever_tells_a_job_otherwise_lets_the_view_grow() -> None:
    """Fields, verdict, failures, prices: the sum over them stands here."""
    found = hashlib.sha256()
    for module in (verdict, cost, failures):
        found.update(Path(str(module.__file__)).read_bytes())
    found.update((Path(str(cost.__file__)).parent / "prices.json").read_bytes())
    found.update(repr([(field.name, field.type) for field in dataclasses.fields(Job)]).encode())
    assert (sealed.VIEW, found.hexdigest()[:16]) == (1, TOLD_BY)


@pytest.mark.parametrize("ended", [False, True])
def test_the_answer_is_what_the_verdict_says(store: Store, ended: bool) -> None:
    one = record(last_message='Wörter, "quotes", \\ "elapsed_ms": 5,"seal":"1 \ud800 \x07')
    if ended:
        one.facts.turn.state, one.facts.exit_code, one.facts.ended_at = "completed", 0, stamp(1_763_700_099)
    sealing.save(store, one)
    found, now = sealed.read(store.folder, JOB), time.time()
    assert found is not None and (found.id, found.name, found.ended) == (JOB, "worker", ended)
    assert found.told(now) == as_printed(job_view(one, alive=not ended, now=now))
    assert found.status == ("completed" if ended else "running") and found.created_at == one.created_at
    assert store.load(JOB) == one, "the keys behind the facts are none of the record's"


def test_no_change_of_a_byte_goes_unseen(store: Store) -> None:
    sealing.save(store, record())
    data = Path(store.path(JOB, ".json")).read_bytes()
    rng = random.Random(7)
    for _ in range(500):
        at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
        assert sealed.parse(data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :], JOB) is None
        assert sealed.parse(data[:at], JOB) is None and sealed.parse(data[:at] + data[at + 1 :], JOB) is None
    assert sealed.parse(data, JOB) is not None


def test_not_another_jobs_and_not_another_versions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sealing.save(store, record())
    data = Path(store.path(JOB, ".json")).read_bytes()
    assert sealed.parse(data, "0123abce") is None
    store.save(record())
    assert sealed.read(store.folder, JOB) is None, "saved without an answer"
    monkeypatch.setattr(sealed, "_VIEW", b"2 ")
    assert sealed.parse(data, JOB) is None
    assert sealed.parse(b"", JOB) is None and sealed.read(store.folder, "deadbeef") is None


@pytest.mark.parametrize("name", [None, "a b", "ünïcödé 直し", '"q" \\ \t', "x" * 64, "\\" * 64])
def test_names(store: Store, name: str | None) -> None:
    one = record()
    one.name = name
    sealing.save(store, one)
    found = sealed.read(store.folder, JOB)
    if name is not None and not name.isprintable():
        assert found is None
    else:
        assert found is not None and found.name == name


def test_a_name_that_is_no_text_has_no_seal(store: Store) -> None:
    one = record()
    one.name = "half \udc80"
    sealing.save(store, one)
    assert sealed.read(store.folder, JOB) is None and store.load(JOB).name == one.name
