"""Homes full of jobs for the parity test: of every kind, odd, broken, lost. No agent ever ran for any of them.

Records are saved with their seal, as everybody's are; what is broken was broken afterwards. A job that lives is
one whose lock the test's own process holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from codex_agent import kernel, sealed, sealing
from codex_agent.model import (
    Facts,
    Process,
    Question,
    QueuePlace,
    Record,
    Request,
    Resume,
    ReviewTarget,
    SetUp,
    Spent,
    Tokens,
    Turn,
    Waiting,
    Worktree,
)
from codex_agent.store import Store
from codex_agent.tracked import Committed, PullRequest, Work
from test_verdict import TABLE

DAY = "2026-11-20T"
T = f"{DAY}10:00:00.000Z"
LATER = f"{DAY}10:05:00.250Z"
DONE = Turn("completed", 1, T, LATER, id="turn-1", duration_ms=300250)
ENDED: dict[str, Any] = {
    "started_at": T,
    "ended_at": LATER,
    "exit_code": 0,
    "turn": DONE,
    "settled_by": "supervisor",
}
OPEN = Turn("open", 2, LATER, id="turn-2")
LONG = "It is done.\n\nüñí 世界 🙂 " + "and more of it " * 80
# Control codes, a lone surrogate, line ends of every kind, what JSON and HTML escape.
ODD = '\x1b[31mred\x1b[0m\tTab \x00\x07\x7f\x85\u2028 \ud800 \udcff "quotes" \\ / <b> \r\n two\rthree\u200b'
QUEUES = [
    QueuePlace("gate", "gpu", 1, 2, T, "gate gpu: 1 of 1 slot taken; place 1 of 2"),
    QueuePlace("after", "abcd0001", None, None, T, "job abcd0001 has not ended"),
    QueuePlace("condition", "ram", 12, 13, T, "gate ram: 1 GB\x1b[1m free\nof 2"),
    QueuePlace("parallel", None, 1, 1, T, "2 agents are at work, 2 may be"),
]
TREE = Worktree(
    "/nowhere/trees/one", "codex/one", True, "main", "c" * 40, "/nowhere/.git", "/nowhere", [".env"],
    SetUp(["make", "ready"], 1, 2.5, "no\n"),
)  # fmt: skip
WORK = Work(
    "/nowhere", "main", "a" * 40, "codex/one", "b" * 40,
    [Committed("d" * 40, "first"), Committed("b" * 40, "mend \x1b[1mit\nall")], True, ["a b.py"], 3,
)  # fmt: skip
ASKS = Waiting(
    1, "command", T, "7", "t", "turn-2", "i", "rm -r build\n  && make\x1b[2J " + "x" * 300, "/nowhere", "It is old"
)
FILES = [f"/nowhere/src/module {number}.py" for number in range(25)]
PRICED = Spent("gpt-5-codex", "2026-11-20", input=10**6, cached_input=10**5, output=10**5)


def record(job_id: str, name: str | None = None, request: dict[str, Any] | None = None, **facts: Any) -> Record:
    """A record; without facts of a job that completed."""
    asked: dict[str, Any] = {
        "mode": "exec",
        "prompt_head": f"task of {job_id}",
        "prompt_chars": 17,
        "cwd": "/nowhere",
    }
    asked |= {"sandbox": "workspace-write", "codex_home": "/nowhere/.codex"}
    return Record(
        1, job_id, name, f"{DAY}09:{int(job_id[-2:], 16) % 60:02d}:59.999Z", f"{job_id}.00",
        f"codex-agent-{job_id}", Request(**(asked | (request or {}))), Facts(**(facts or ENDED)),
    )  # fmt: skip


STAYS: dict[str, Any] = {"mode": "interactive", "driver": "channel", "approval": "on-request"}


def healthy() -> list[tuple[Record, bool]]:
    """Jobs as every day has them, and whether each lives."""
    live: dict[str, Any] = {"started_at": T, "supervisor": Process(1, 1), "boot_id": "boot"}
    ended = [
        record("abcd0001", "till"),
        record("abcd0002", "two words", {"model": "gpt-5-codex", "reasoning": "high", "parent_session": "me"}),
        record("abcdef03", "ünïcode 名", last_message=LONG, files=FILES, **ENDED),
        record("ca000004", "cafe", {"prompt_head": ODD}, last_message=ODD, warnings=[ODD, "two"], **ENDED),
        record("cafe0005", "till", tokens=Tokens(10**8, 10**7, 10**6, 10**5, 11 * 10**7, 258400, 42.25), **ENDED),
        record("00000006", None, {"budget_tokens": 1234567}, spent=[PRICED], agents_spent=[PRICED], **ENDED),
        record("00000007", None, {"budget_usd": 1.5}, spent=[PRICED, Spent("who-knows", "", "flex")], **ENDED),
        record("00000008", None, {"worktree": TREE, "issue": "#7\x1b"}, work=WORK, committed=["e" * 40], **ENDED),
        record("00000009", pull_request=PullRequest("https://example.invalid/1", "pr_open", "gh"), **ENDED),
        record("0000000a", None, {"review": ReviewTarget("base", "main", "c" * 40), "track": "/t"}, **ENDED),
        record("0000000b", None, {"resume": Resume("thread-0", True)}, thread_id="one", rollout="/r", **ENDED),
        record(
            "0000000c", "not-there", ended_at=LATER, started_at=T, exit_code=1, last_stderr="stderr: \x1b[1mno\n",
            turn=Turn("failed", 1, error="boom"), stdout_bytes=7,
        ),
        record(
            "0000000d", None, ended_at=LATER, started_at=T, exit_code=1, turn=Turn("failed", 1, error="quota"),
            rollout_turn=Turn("failed", 1, error_info="usage_limit_exceeded"),
        ),
        record("0000000e", None, started_at=T, ended_at=LATER, exit_signal=9, stop_reason="killed", turn=OPEN),
        record("0000000f", None, started_at=T, ended_at=LATER, lost="supervisor", settled_by="reader", turn=OPEN),
        record("00000010", "stayed", STAYS | {"idle_exit_s": 9.5}, stop_reason="idle", **ENDED),
        record("00000011", None, started_at=LATER, ended_at=T, exit_code=0, turn=DONE),  # a clock set back
        record("00000012", "", {"prompt_head": "", "prompt_chars": 0, "cwd": "/"}, files=["/a", "b"], **ENDED),
    ]  # fmt: skip
    alive = [
        record("11110001", "at-work", **live, turn=OPEN, last_turn=DONE, tokens=Tokens(1, 0, 1, 0, 2)),
        record("11110002"),
        record("11110003", None, **live, turn=OPEN, reconnecting="Reconnecting... 1/5"),
        *(record(f"1111001{n}", f"in-line-{n}", queue=place) for n, place in enumerate(QUEUES)),
        record("11110020", "idle one", STAYS, **live, turn=DONE, queued=2, last_message="Well?"),
        record("11110021", "asks", STAYS, **live, turn=OPEN, waiting=[ASKS, replace(ASKS, n=2)], asked=2),
        record(
            "11110022", None, STAYS, **live, turn=OPEN,
            waiting=[Waiting(1, "question", T, questions=[Question("q", "H", "Which?", ["a", "b"])])],
        ),
        record("11110023", None, STAYS | {"driver": "plain"}, **live, unknown="Nobody can tell."),
        record("11110024", None, STAYS, **live, turn=Turn("failed", 3, T, LATER, "no", "context_window_exceeded")),
        record("11110025", None, STAYS, **live, turn=Turn("failed", 3, T, LATER, "usage", "usage_limit_exceeded")),
        record("11110026", None, STAYS, **live, turn=Turn("failed", 3, T, LATER, "odd")),
        record("11110027", None, **(live | {"started_at": "2096-01-01T00:00:00.000Z"}), turn=OPEN),
    ]  # fmt: skip
    alive[1].facts = Facts()
    return [*((one, False) for one in ended), *((one, True) for one in alive)]


def verdicts() -> list[tuple[Record, bool]]:
    """A job for every row of the verdict's table that is no dead one's."""
    rows = [row for row in TABLE if row.alive or "ended_at" in row.facts]
    made = [(record(f"{n:08x}", f"row {n}"), row) for n, row in enumerate(rows)]
    for one, row in made:
        one.facts = Facts(**row.facts)
    return [(one, row.alive) for one, row in made]


def many() -> list[tuple[Record, bool]]:
    """More than a list shows: 24 that ended and three that live, two of them made in the same moment."""
    jobs = [(record(f"{n:06x}a0"), False) for n in range(24)]
    jobs += [(record(f"{n:06x}b0", started_at=T, turn=OPEN), True) for n in range(3)]
    for number, (one, _) in enumerate(jobs):
        one.created_at = f"{DAY}08:{number // 2 * 7 % 60:02d}:00.000Z"
    return jobs


def crowd() -> list[tuple[Record, bool]]:
    """So many that a roster is kept: some failed, three live, some were made in the same moment."""
    jobs = []
    for number in range(230):
        facts = ENDED | ({"exit_code": 1, "turn": Turn("failed", 1, error="boom")} if number % 7 == 0 else {})
        one = record(
            f"{number * 7919 % 65536:04x}c{number:03x}", f"worker {number}" if number % 2 else None, **facts
        )
        one.created_at = f"{DAY}{number // 60:02d}:{number // 3 % 60:02d}:00.000Z"
        jobs.append((one, False))
    return [*jobs, *((record(f"1111000{n}", f"live {n}", started_at=T, turn=OPEN), True) for n in range(3))]


@dataclass
class Jobs:
    """One home. ``alive`` are the jobs whose locks are to be held, ``path`` is CODEX_AGENT_HOME."""

    path: Path
    alive: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(str(self.path))

    def file(self, job_id: str) -> Path:
        return self.path / "jobs" / f"{job_id}.json"

    def end(self, job_id: str) -> None:
        """Writes down that a living job completed; its lock is the caller's."""
        one = self.store.load(job_id)
        one.facts = Facts(**ENDED)
        sealing.save(self.store, one)


def fill(path: Path, jobs: list[tuple[Record, bool]], *, seal: bool = True) -> Jobs:
    """A home with these jobs."""
    made = Jobs(path)
    made.store.prepare()
    for one, alive in jobs:
        if seal:
            sealing.save(made.store, one)
        else:
            made.store.save(one)  # as an older version did
        (path / "jobs" / f"{one.id}.lock").touch(0o600)
        (made.alive if alive else made.ended).append(one.id)
    return made


def seal_anew(jobs: Jobs, view: int) -> None:
    """Seals every record as a version with another view of things does, which tells other jobs."""
    ours = sealed.VIEW
    try:
        sealed.VIEW = view
        for job_id in (*jobs.ended, *jobs.alive):
            one = jobs.store.load(job_id)
            told = sealing.answer(one)
            told.answer = told.answer.replace(b'"status"', b'"state"')
            jobs.store.save(one, told)
    finally:
        sealed.VIEW = ours


@contextlib.contextmanager
def held(jobs: Jobs) -> Iterator[dict[str, int]]:
    """While it lasts this process holds the locks of the living; closing one lets it go."""
    locks = {}
    for job_id in jobs.alive:
        locks[job_id] = os.open(jobs.store.path(job_id, ".lock"), os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(locks[job_id], fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield locks
    finally:
        for lock in locks.values():
            with contextlib.suppress(OSError):
                os.close(lock)


# ---- edited by hand, and broken ----

Edit = Callable[[bytes], bytes]


def _data(change: Callable[[dict[str, Any]], object], **how: Any) -> Edit:
    """The record's JSON, changed and written again; what this version does not know stays in it."""

    def edit(text: bytes) -> bytes:
        data = json.loads(text)
        change(data)
        return json.dumps(data, **how).encode("utf-8", "surrogatepass")

    return edit


def _bytes(old: bytes, new: bytes) -> Edit:
    def edit(text: bytes) -> bytes:
        assert old in text, (old, text)
        return text.replace(old, new)

    return edit


# Records that everybody must read, and that do not say what was written first: what was kept of that is worthless.
EDITED: dict[str, Edit] = {
    "the end, as long as before": _bytes(b'"exit_code":0', b'"exit_code":3'),
    "the name, longer": _bytes(b'"till"', b'"another name"'),
    "the prompt, as long as before": _bytes(b"task of", b"TASK of"),
    "the time of its end": _bytes(LATER.encode(), b"2026-11-20T11:05:00.250Z"),
    "written anew": _data(lambda data: data, indent=2, ensure_ascii=True),
    "written anew, another last message": _data(lambda data: data["facts"].update(last_message="Nothing.")),
    "keys in another order": _data(lambda data: data, sort_keys=True),
    "keys of a later version": _data(lambda data: data["facts"].update(later={"a": [1]})),
    "a key of its own at the top": _data(lambda data: data.update(mine="so")),
    "what an older version wrote": _data(lambda data: [data["facts"].pop(key) for key in ("spent", "oom_kills")]),
    "the mark of order at the front": lambda text: b"\xef\xbb\xbf" + text,
    "UTF-16": lambda text: text.decode().encode("utf-16"),
    "a line end": lambda text: text + b"\n",
    "blanks around": lambda text: b" \n" + text + b"\r\n\t",
    "a key twice": lambda text: text[:-1] + b',"name":"the second"}',
    "infinite": _data(lambda data: data["request"].update(timeout_s=float("inf"))),
    "not a number": _data(lambda data: data["request"].update(max_time_s=float("nan"))),
    "an int for a float": _data(lambda data: data["request"].update(timeout_s=3600)),
    "ids and names in escapes": _data(lambda data: data.update(name="\ud83d\ude42 \ud800"), ensure_ascii=True),
    "the answer alone": _bytes(b'"status": "completed"', b'"status": "compleTed"'),
    "another version's seal": _bytes(b'"seal":"1 ', b'"seal":"2 '),
    "a torn seal": lambda text: text[:-3] + b'"}',
    "no seal": _data(lambda data: data.pop("seal", None)),
    "no answer": _data(lambda data: data.pop("answer", None), ensure_ascii=False, separators=(",", ":")),
    "a name that is an id's beginning": _data(lambda data: data.update(name="0000")),
}
BROKEN: dict[str, Edit] = {
    "empty": lambda text: b"",
    "torn": lambda text: text[: len(text) // 2],
    "its last byte is missing": lambda text: text[:-1],
    "not JSON": lambda text: b"hello\n",
    "more behind it": lambda text: text + b"}",
    "zeros": lambda text: b"\0" * 512,
    "not UTF-8": lambda text: text.replace(b"task", b"t\xffsk"),
    "a list": lambda text: b"[" + text + b"]",
    "null": lambda text: b"null",
    "an empty object": lambda text: b"{}",
    "too new": _data(lambda data: data.update(version=2)),
    "version 0": _data(lambda data: data.update(version=0)),
    "a version in words": _data(lambda data: data.update(version="1")),
    "another id": _data(lambda data: data.update(id="ffffffff")),
    "a number for an id": _data(lambda data: data.update(id=1)),
    "no facts": _data(lambda data: data.pop("facts")),
    "facts are a list": _data(lambda data: data.update(facts=[])),
    "a text for a number": _data(lambda data: data["facts"].update(exit_code="0")),
    "true for a number": _data(lambda data: data["facts"].update(exit_code=True)),
    "no time": _data(lambda data: data["facts"].update(ended_at="yesterday")),
    "a time zone": _data(lambda data: data.update(created_at="2026-11-20T10:00:00.000+01:00")),
    "an unknown mode": _data(lambda data: data["request"].update(mode="both")),
    "a wrong turn": _data(lambda data: data["facts"]["turn"].update(state="half")),
    "numbers for files": _data(lambda data: data["facts"].update(files=[1])),
    "too deep": lambda text: b"[" * 100_000,
}


def edited(path: Path, edits: dict[str, Edit]) -> Jobs:
    """A home with one sound job, and one for each of these edits; the files' times are what they were."""
    sound = [record("dddddddd", "sound")]
    jobs = fill(
        path, [(one, False) for one in [*sound, *(record(f"0000{n:04x}", "till") for n in range(len(edits)))]]
    )
    for number, edit in enumerate(edits.values()):
        file = jobs.file(f"0000{number:04x}")
        was = file.stat()
        file.write_bytes(edit(file.read_bytes()))
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
    return jobs


def broken(path: Path) -> Jobs:
    """The same with what cannot be read at all, and with what is no record."""
    jobs = edited(path, BROKEN)
    folder = path / "jobs"
    (folder / "eeeeeee1.json").mkdir()
    (folder / "eeeeeee2.json").symlink_to("nowhere")
    (folder / "eeeeeee3.json").symlink_to(jobs.file("dddddddd"))  # another job's record
    unreadable = folder / "eeeeeee4.json"
    unreadable.write_bytes(jobs.file("dddddddd").read_bytes())
    unreadable.chmod(0)
    for name in ("notes.json", "EEEEEEE5.json", "eeeeeee.json", ".json", "eeeeeee66.json", "eeeeeee7.json.tmp"):
        (folder / name).write_text("{}")
    return jobs


def without_lock(path: Path) -> Jobs:
    """A job whose lock file is gone, whose supervisor (this process) lives all the same; and a sealed one."""
    here: dict[str, Any] = {"supervisor": kernel.identify(os.getpid()), "boot_id": kernel.boot_id()}
    living = record("11110001", "no lock", started_at=T, turn=OPEN, **here)
    jobs = fill(path, [(living, True), (record("dddddddd", "sound"), False)])
    (path / "jobs" / "11110001.lock").unlink()
    return jobs


def lost(path: Path) -> Jobs:
    """Jobs whose supervisors are gone, and one with a lock file that is gone too; nobody has written it down."""
    jobs = fill(path, [(record(f"0000000{n}", started_at=T, turn=OPEN), False) for n in range(3)])
    (path / "jobs" / "00000001.lock").unlink()
    sound = fill(path, [(record(job_id, "sound"), False) for job_id in ("dddddddd", "ddddddde")])
    undone = sound.file("ddddddde")  # by hand: it has not ended after all
    undone.write_bytes(_data(lambda data: data["facts"].update(ended_at=None))(undone.read_bytes()))
    return Jobs(path, ended=[*jobs.ended, *sound.ended])
