"""A CODEX_HOME with as many sessions as years of work leave, the same every time: files, and Codex's index.

The lines are those of a real thread of Codex 0.163.0, told anew for each; the index has the tables of a real
one, which the test makes with a real Codex.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

SAMPLE = "0.163.0"
_FIXTURES = Path(__file__).parents[1] / "fixtures" / "rollouts"
# Of the sample's lines: the first, the turn's beginning, its context, what was asked, said and counted, its end.
_LINES = (0, 1, 5, 8, 25, 28, 29)
_END = 29
_TOKENS = 5000  # as the sample counts them
_DAY = 86400.0
SOURCES = (*("exec",) * 10, *("vscode",) * 6, *("cli",) * 3, "subagent")
_FOLDERS = [f"/home/ada/{name}" for name in ("repo", "site", "paper", "tools", "maps")]


@dataclass(frozen=True)
class Made:
    """One session. ``created_at`` and ``changed_at`` are seconds since the epoch."""

    id: str
    path: Path
    created_at: float
    changed_at: float
    source: str
    cwd: str
    prompt: str
    archived: bool
    parent_id: str | None
    open: bool
    """Its turn never ended: Codex was killed."""


def make(
    codex_home: Path, count: int, *, days: int = 365, now: float, seed: int = 7, instructions: int = 300
) -> list[Made]:
    """``count`` sessions in ``days`` folders, newest first, the last of them two minutes before ``now``.

    One in a hundred is archived, one in fifty was killed. ``instructions``: characters of Codex's own that
    stand in each first line (real ones have about 20,000).
    """
    rng = random.Random(seed)
    lines = _sample()
    lines[0] = _with_instructions(lines[0], instructions)
    made: list[Made] = []
    for number in range(count):
        created = now - 120 - number * (days - 1) * _DAY / max(count, 1)
        source = rng.choice(SOURCES)
        one = Made(
            id=thread_id(created, rng),
            path=Path(),
            created_at=created,
            changed_at=int(created) + 0.91,  # as its last line says
            source=source,
            cwd=rng.choice(_FOLDERS),
            prompt=f"Task {number}: {rng.choice(('mend', 'write', 'explain', 'test'))} it",
            archived=number % 100 == 99,
            parent_id=made[-1].id if source == "subagent" and made else None,
            open=number % 50 == 49,
        )
        one = _with_path(codex_home, one)
        one.path.parent.mkdir(parents=True, exist_ok=True)
        one.path.write_bytes(b"".join(_told(lines, one)))
        os.utime(one.path, (one.changed_at, one.changed_at))
        made.append(one)
    return made


def thread_id(created_at: float, rng: random.Random) -> str:
    """A UUIDv7 of that moment."""
    digits = f"{int(created_at * 1000):012x}7{rng.getrandbits(12):03x}8{rng.getrandbits(60):015x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def schema(codex_home: Path) -> list[str]:
    """The statements that make Codex's index as it is in this home (of a real Codex, which has run)."""
    with tempfile.TemporaryDirectory() as folder:
        for path in codex_home.glob("state_5.sqlite*"):  # its WAL belongs to it
            shutil.copy(path, folder)
        base = sqlite3.connect(os.path.join(folder, "state_5.sqlite"))
        try:
            found = base.execute(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
                "ORDER BY type = 'trigger', type = 'index'"
            )
            return [str(row[0]) for row in found]
        finally:
            base.close()


def index(codex_home: Path, statements: Iterable[str], threads: Sequence[Made], *, in_wal: bool = False) -> Path:
    """Codex's index of these threads. ``in_wal``: all of it is still in the write-ahead log, as a killed Codex
    leaves it; otherwise the log is empty, as after a clean exit.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "state_5.sqlite")
        base = sqlite3.connect(path)
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA wal_autocheckpoint=0")
        for statement in statements:
            base.execute(statement)
        _insert(base, "threads", [_row(one) for one in threads])
        edges = [(one.parent_id, one.id) for one in threads if one.parent_id]
        _insert(base, "thread_spawn_edges", [_edge(*edge) for edge in edges])
        base.commit()
        if not in_wal:
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for suffix in ("", "-wal"):
            shutil.copy(path + suffix, codex_home / f"state_5.sqlite{suffix}")
        base.close()
    return codex_home / "state_5.sqlite"


def goals(codex_home: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Codex's goals database (0.150 to 0.169) with these rows of ``thread_goals``."""
    path = codex_home / "goals_1.sqlite"
    base = sqlite3.connect(path)
    base.execute(
        "CREATE TABLE thread_goals (thread_id TEXT PRIMARY KEY NOT NULL, goal_id TEXT NOT NULL, "
        "objective TEXT NOT NULL, status TEXT NOT NULL, token_budget INTEGER, "
        "tokens_used INTEGER NOT NULL DEFAULT 0, time_used_seconds INTEGER NOT NULL DEFAULT 0, "
        "created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL)"
    )
    _insert(base, "thread_goals", rows)
    base.commit()
    base.close()
    return path


def _edge(parent: str | None, child: str) -> dict[str, Any]:
    return {"parent_thread_id": parent, "child_thread_id": child, "status": "open"}


def _row(one: Made) -> dict[str, Any]:
    """As Codex 0.163.0 fills it."""
    source = json.dumps(_spawn(one), separators=(",", ":")) if one.source == "subagent" else one.source
    created, changed = int(one.created_at * 1000), int(one.changed_at * 1000)
    return {
        "id": one.id,
        "rollout_path": str(one.path),
        "created_at": created // 1000,
        "updated_at": changed // 1000,
        "source": source,
        "model_provider": "mock",
        "cwd": one.cwd,
        "title": one.prompt,
        "sandbox_policy": '{"type":"disabled"}',
        "approval_mode": "never",
        "tokens_used": _TOKENS,
        "archived": int(one.archived),
        "archived_at": changed // 1000 if one.archived else None,
        "cli_version": SAMPLE,
        "first_user_message": one.prompt,
        "preview": one.prompt,
        "model": "gpt-5.5",
        "created_at_ms": created,
        "updated_at_ms": changed,
        "recency_at": changed // 1000,
        "recency_at_ms": changed,
        "thread_source": "subagent" if one.source == "subagent" else "user",
        "history_mode": "paginated",
        "originator": {"exec": "codex_exec", "vscode": "codex_vscode"}.get(one.source, "codex-tui"),
    }


def _insert(base: sqlite3.Connection, table: str, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        names = list(rows[0])
        places = ", ".join("?" * len(names))
        statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})"
        base.executemany(statement, [list(row.values()) for row in rows])


def _sample() -> list[bytes]:
    (path,) = (_FIXTURES / SAMPLE / "work").glob("rollout-*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    return [lines[number] for number in _LINES]


def _with_instructions(line: bytes, length: int) -> bytes:
    record = json.loads(line)
    record["payload"]["base_instructions"]["text"] = "You are Codex. " * (length // 15)
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _with_path(codex_home: Path, one: Made) -> Made:
    local = time.localtime(one.created_at)
    name = f"rollout-{time.strftime('%Y-%m-%dT%H-%M-%S', local)}-{one.id}.jsonl"
    day = codex_home / "sessions" / time.strftime("%Y/%m/%d", local)
    folder = codex_home / "archived_sessions" if one.archived else day
    return replace(one, path=folder / name)


def _spawn(one: Made) -> dict[str, Any]:
    spawn = {
        "parent_thread_id": one.parent_id,
        "depth": 1,
        "agent_path": None,
        "agent_nickname": "Noether",
        "agent_role": None,
    }
    return {"subagent": {"thread_spawn": spawn}}


def _told(lines: list[bytes], one: Made) -> Iterator[bytes]:
    """The sample's lines as this session's own."""
    at = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(one.created_at)).encode()
    source = json.dumps(_spawn(one) if one.source == "subagent" else one.source, separators=(",", ":")).encode()
    parent = b'"parent_thread_id":"%s",' % one.parent_id.encode() if one.parent_id else b""
    turn = f"{one.id[:13]}-7000{one.id[18:]}".encode()
    changes = (
        (b"01a1fded-67f9-70d3-8507-0aea57845c89", one.id.encode()),
        (b"01a1fded-6804-7000-9e8a-1009ed811a94", turn),
        (b"2026-11-21T11:45:56.", at),
        (b"1795261556", str(int(one.created_at)).encode()),
        (b'"cwd":"/home/ada/repo"', b'"cwd":"%s"' % one.cwd.encode()),
        (b'"source":"exec",', b'"source":%s,' % source),
        (b"do the work", one.prompt.encode()),
    )
    for number, line in zip(_LINES, lines, strict=True):
        if number == _END and one.open:
            return
        for old, new in changes:
            line = line.replace(old, new)
        yield line.replace(b'"cwd":', parent + b'"cwd":', 1) if number == 0 else line
