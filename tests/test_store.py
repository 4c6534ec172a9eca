"""The jobs folder: records whole or not at all, locks that tell life from death, ids that mean one job."""

from __future__ import annotations

import fcntl
import json
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.errors import AmbiguousId, JobNotFound, StoreUnwritable
from codex_agent.model import Facts, Failure, Job, Process, Record, Request, Tokens, Turn, stamp
from codex_agent.sealed import is_id
from codex_agent.store import SUFFIXES, Store

SRC = str(Path(__file__).parents[1] / "src")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(str(tmp_path / "agent"))
    made.prepare()
    return made


def a_record(job_id: str, *, name: str | None = None, created_at: str | None = None) -> Record:
    request = Request(mode="exec", prompt_head="do it", prompt_chars=5, cwd="/here", sandbox="read-only")
    return Record(
        1, job_id, name, created_at or stamp(), f"{job_id}.00", f"codex-agent-{job_id}", request, Facts()
    )


def elsewhere(program: str, *args: str) -> subprocess.Popen[str]:
    """A program in a process of its own, with the package at hand; it says a line when it is ready."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {SRC!r})\n{program}", *args],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def holder(store: Store) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of job 0000000a, as a supervisor does, until its stdin is closed."""
    process = elsewhere(
        "import fcntl, os\n"
        "lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.flock(lock, fcntl.LOCK_EX); print('held', flush=True); sys.stdin.read()",
        store.path("0000000a", ".lock"),
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def whole() -> Record:
    """A record with something in every field, none of it the default."""
    record = a_record("0123abcd", name="ein Name: 名前", created_at=stamp(0))
    record.request = Request(
        mode="exec",
        prompt_head="caf\udce9 \x00 \u2028 👩‍👩‍👧‍👦",
        prompt_chars=99,
        cwd="/a/b\udcff",
        sandbox="danger-full-access",
        model="m",
        reasoning="high",
        parent_session="p",
        timeout_s=0.5,
        max_time_s=7,
        notify_on_complete=["a", "b c"],
        argv=["codex", "-"],
        codex_version="0.163.0",
        codex_home="/c",
    )
    turn = Turn("failed", 3, stamp(1), stamp(2), "e", "i")
    record.facts = Facts(
        tmux_socket="/s",
        boot_id="b",
        supervisor=Process(1, 2),
        codex=Process(3, 4),
        started_at=stamp(3),
        thread_id="t",
        rollout="/r",
        model="m2",
        reasoning="low",
        turn=turn,
        rollout_turn=Turn("aborted", 1),
        reconnecting="again",
        last_activity_at=stamp(4),
        tokens=Tokens(1, 2, 3, 4, 5, 6, 7.5),
        files=["/x"],
        last_message="done\n",
        exit_code=1,
        exit_signal=9,
        exited_at=stamp(5),
        last_stderr="err",
        stop_reason="killed",
        lost="reboot",
        ended_at=stamp(6),
        settled_by="reader",
        stdout_bytes=8,
        stderr_bytes=9,
        warnings=["w"],
    )
    return record


# ---- records ----


def test_a_record_comes_back_as_it_was_saved(store: Store) -> None:
    record = whole()
    store.save(record)
    assert store.load("0123abcd") == record
    store.save(a_record("0123abcd"))
    assert store.load("0123abcd").facts == Facts(), "replaced, not merged"


def test_keys_of_a_later_version_are_passed_over(store: Store) -> None:
    store.save(whole())
    path = Path(store.path("0123abcd", ".json"))
    data = json.loads(path.read_bytes())
    data["new"] = 1
    data["request"]["new"] = data["facts"]["new"] = data["facts"]["turn"]["new"] = {"deep": [1]}
    path.write_text(json.dumps(data))
    assert store.load("0123abcd") == whole()


def test_a_record_without_the_newer_keys_is_filled_up(store: Store) -> None:
    """What was written before a key existed still loads; the key has its default."""
    store.save(a_record("0123abcd"))
    path = Path(store.path("0123abcd", ".json"))
    data = json.loads(path.read_bytes())
    data["facts"] = {"started_at": stamp(1)}
    del data["name"]
    path.write_text(json.dumps(data))
    assert store.load("0123abcd").facts == Facts(started_at=stamp(1))


def test_a_reader_never_sees_half_a_record(store: Store) -> None:
    """While another process saves a thousand times, short and long records by turns."""
    store.save(a_record("0123abcd"))
    writer = elsewhere(
        "from codex_agent.store import Store; import os; os.fsync = lambda handle: None\n"
        "store = Store(sys.argv[1]); record = store.load('0123abcd')\n"
        "for number in range(1000):\n"
        "    record.facts.last_message = 'x' * (number % 2 * 300_000); record.facts.stdout_bytes = number\n"
        "    store.save(record)\n",
        store.home,
    )
    seen = set()
    while writer.poll() is None:
        facts = store.load("0123abcd").facts
        assert facts.last_message is None or len(facts.last_message) == facts.stdout_bytes % 2 * 300_000
        seen.add(facts.stdout_bytes)
    assert writer.returncode == 0 and len(seen) > 20, "it was read while it was written"
    assert store.load("0123abcd").facts.stdout_bytes == 999
    assert not [name for name in os.listdir(store.folder) if name.endswith(".tmp")]


def test_a_save_that_fails_leaves_the_old_record(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel refuses in the middle of the write (a limit on file sizes); nothing is left of it."""
    store.save(a_record("0123abcd", name="old"))
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from codex_agent.store import Store; from codex_agent.errors import StoreUnwritable\n"
        "store = Store(sys.argv[1]); record = store.load('0123abcd'); record.name = 'n' * 100_000\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: store.save(record)\n"
        "except StoreUnwritable as error: print(error.message)\n"
    )
    told = elsewhere(program, store.home).communicate(timeout=20)[0]
    assert told.startswith("Cannot write") and "0123abcd.json" in told
    assert store.load("0123abcd").name == "old"
    assert os.listdir(store.folder) == ["0123abcd.json"]


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = Store(str(tmp_path / "a" / "b"))
        store.prepare()
        job_id, lock = store.reserve()
        os.close(lock)
        store.save(a_record(job_id))
        store.write(job_id, ".prompt", b"x")
        store.event(job_id, "started")
        os.close(store.open_append(job_id, ".log"))
        with store.settling():
            pass
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path / "a").as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in (tmp_path / "a").rglob("*")
    }
    assert {path: mode for path, mode in modes.items() if (tmp_path / "a" / path).is_dir()} == {
        "b": 0o700,
        "b/jobs": 0o700,
    }
    files = {path: mode for path, mode in modes.items() if (tmp_path / "a" / path).is_file()}
    assert len(files) == 6 and set(files.values()) == {0o600}


def test_a_folder_that_others_may_read_is_closed(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    (tmp_path / "jobs").mkdir(mode=0o755)
    store.prepare()
    assert stat.S_IMODE((tmp_path / "jobs").stat().st_mode) == 0o700


def test_looking_makes_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "none"))
    assert store.load_all() == ([], []) and not store.is_alive("0123abcd")
    store.wait_dead("0123abcd")
    with pytest.raises(JobNotFound):
        store.resolve("0123abcd")
    assert not (tmp_path / "none").exists()


def test_what_is_no_record_is_no_job(store: Store) -> None:
    """Only `<id>.json` counts, whatever else lies in the folder."""
    for name in ("notes.json", "0123ABCD.json", "0123abcd.json.bak", ".0123abcd.json.1.tmp", "0123abcd.log"):
        Path(store.folder, name).write_text("{}")
    assert store.load_all() == ([], [])


# ---- events ----


def test_events_of_many_writers_do_not_mix(store: Store) -> None:
    store.save(a_record("0123abcd"))
    program = (
        "from codex_agent.store import Store\n"
        "store = Store(sys.argv[1]); sys.stdin.readline()\n"
        "for number in range(200): store.event('0123abcd', 'e', who=sys.argv[2], number=number, pad='ü' * 3000)\n"
    )
    writers = [elsewhere(program, store.home, str(who)) for who in range(4)]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    lines = Path(store.path("0123abcd", ".events.jsonl")).read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    assert len(events) == 800 and all(event["pad"] == "ü" * 3000 for event in events)
    for who in range(4):
        assert [event["number"] for event in events if event["who"] == str(who)] == list(range(200))


def test_an_event_of_a_deleted_job_brings_nothing_back(store: Store) -> None:
    store.event("0123abcd", "late")
    assert not Path(store.path("0123abcd", ".events.jsonl")).exists()


def test_an_event_may_hold_anything(store: Store) -> None:
    store.save(a_record("0123abcd"))
    store.event("0123abcd", "e", text="caf\udce9 \n \u2028 \x00 🧨")
    (line,) = Path(store.path("0123abcd", ".events.jsonl")).read_bytes().splitlines()
    event = json.loads(line)
    assert list(event) == ["at", "event", "text"] and event["text"] == "caf\udce9 \n \u2028 \x00 🧨"


# ---- ids ----


def test_an_id_is_given_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two starts that draw the same numbers, and one that draws a job's that has ended, get different ids."""
    store.save(a_record("aaaaaaaa"))
    drawn = iter([b"\xaa" * 4, b"\xbb" * 4, b"\xbb" * 4, b"\xaa" * 4, b"\xcc" * 4])
    monkeypatch.setattr(os, "urandom", lambda size: next(drawn))
    first, first_lock = store.reserve()
    second, second_lock = store.reserve()
    assert (first, second) == ("bbbbbbbb", "cccccccc")
    assert store.is_alive(first) and store.is_alive(second)
    os.close(first_lock)
    assert not store.is_alive(first) and store.is_alive(second)
    os.close(second_lock)


def test_many_at_once_get_different_ids(store: Store) -> None:
    got: list[tuple[str, int]] = []
    threads = [threading.Thread(target=lambda: got.append(store.reserve())) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job_id for job_id, _ in got}) == 50 and all(is_id(job_id) for job_id, _ in got)
    for _, lock in got:
        os.close(lock)


def test_what_a_reference_means(store: Store) -> None:
    store.save(a_record("abc00001", name="tidy", created_at=stamp(1)))
    store.save(a_record("abc00002", name="tidy", created_at=stamp(2)))
    store.save(a_record("dddd0003", name="abc"))
    Path(store.path("eeee0004", ".json")).write_text("broken")
    assert store.resolve("abc00001") == "abc00001"
    assert store.resolve("tidy") == "abc00002", "the newest of that name"
    assert store.resolve("abc") == "dddd0003", "a name goes before a prefix"
    assert store.resolve("d") == "dddd0003"
    assert store.resolve("ee") == "eeee0004", "also one that cannot be read"
    with pytest.raises(AmbiguousId) as two:
        store.resolve("abc0")
    assert two.value.data["matches"] == ["abc00001", "abc00002"] and two.value.exit_code == 3
    for nobody in ("", "abc00003", "abc000011", "tid", "TIDY", "../dddd0003", "dddd0003.json"):
        with pytest.raises(JobNotFound):
            store.resolve(nobody)


@pytest.mark.parametrize("text", ["0123456", "012345678", "0123456G", "ABCDEF01", "", "0123-567", "\uff101234567"])
def test_what_is_no_id(text: str) -> None:
    assert not is_id(text)


# ---- life ----


def test_alive_while_the_lock_is_held(store: Store, holder: subprocess.Popen[str]) -> None:
    assert store.is_alive("0000000a") and not store.is_alive("0000000b")
    holder.kill()
    holder.wait()
    assert not store.is_alive("0000000a"), "the kernel lets go of a dead process's lock, however it died"


def test_readers_never_look_like_a_supervisor(store: Store) -> None:
    """A hundred look at once, some of them waiting; nobody ever takes another one for the job's supervisor."""
    Path(store.path("0000000a", ".lock")).touch()
    wrong: list[str] = []
    stop = time.monotonic() + 0.5

    def look() -> None:
        while time.monotonic() < stop:
            store.wait_dead("0000000a")
            if store.is_alive("0000000a"):
                wrong.append("alive")

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_readers_do_not_keep_a_supervisor_out(store: Store) -> None:
    """A lock that ``start`` creates is taken before anyone can know of it, so nobody can hold it against it."""
    job_id, lock = store.reserve()
    with pytest.raises(BlockingIOError):
        other = os.open(store.path(job_id, ".lock"), os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
    os.close(other)
    os.close(lock)


def test_waiting_ends_with_the_holder_and_costs_nothing(store: Store, holder: subprocess.Popen[str]) -> None:
    woken: list[float] = []

    def sleep() -> None:
        store.wait_dead("0000000a")
        woken.append(time.monotonic())

    threads = [threading.Thread(target=sleep) for _ in range(3)]
    cpu = time.process_time()
    for thread in threads:
        thread.start()
    threads[0].join(0.3)
    assert all(thread.is_alive() for thread in threads) and time.process_time() - cpu < 0.1
    killed = time.monotonic()
    holder.kill()
    for thread in threads:
        thread.join(10)
    assert len(woken) == 3 and max(woken) - killed < 10


def test_settling_is_done_in_turns(store: Store) -> None:
    inside: list[int] = []
    most: list[int] = []

    def settle() -> None:
        with store.settling():
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.002)
            inside.pop()

    threads = [threading.Thread(target=settle) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 10


# ---- the end ----


def test_delete_takes_all_of_a_job_and_nothing_else(store: Store) -> None:
    for job_id in ("0000000a", "0000000b"):
        for suffix in SUFFIXES:
            Path(store.path(job_id, suffix)).write_text("{}")
    store.delete("0000000a")
    assert sorted(os.listdir(store.folder)) == sorted(f"0000000b{suffix}" for suffix in SUFFIXES)
    store.delete("0000000a")  # nothing left to do is no error


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("no folder")
    store = Store(str(tmp_path))
    with pytest.raises(StoreUnwritable) as cannot:
        store.prepare()
    assert str(tmp_path / "jobs") in cannot.value.message and "CODEX_AGENT_HOME" in (cannot.value.hint or "")


def test_the_public_face_is_not_what_is_stored() -> None:
    """The record keeps facts; a verdict in it could only become stale (law 1)."""
    stored = {field for kind in (Record, Request, Facts) for field in kind.__slots__}
    assert not stored & {"status", "turn_state", "failure", "summary"}
    assert {"status", "turn_state", "failure"} <= set(Job.__slots__) and "reason" in Failure.__slots__
