"""Rollouts of real Codex versions, found and read (``fixtures/make_rollouts.py`` makes the samples)."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import MissingProgram
from codex_agent.model import Tokens
from codex_agent.rollouts import Reader, RolloutState, find
from codex_agent.rollouts.values import flatten
from support import Codex, Home
from support.waiting import until

FIXTURES = Path(__file__).parent / "fixtures" / "rollouts"
SAMPLES = sorted(FIXTURES.glob("*/*/rollout-*.jsonl"))
WORK = "/home/ada/repo"
CHANGED = {f"{WORK}/{name}" for name in ("notes/hello.txt", "a.txt", "moved.txt", "old.txt")}
MARKS_NO_TURNS = "0.98.0"
TELLS_FAILURES = {"0.150.0", "0.163.0", "0.169.0"}
OUT_OF_ROOM = (
    "Codex ran out of room in the model's context window. "
    "Start a new thread or clear earlier history before retrying."
)


def sample(version: str, scenario: str) -> Path:
    (path,) = (FIXTURES / version / scenario).glob("rollout-*.jsonl")
    return path


def read(path: Path | str, **kwargs: Any) -> Reader:
    reader = Reader(str(path), **kwargs)
    reader.read_new()
    return reader


def thread_of(path: Path) -> str:
    return path.name.removesuffix(".jsonl")[-36:]


def name_of(path: Path) -> str:
    return "-".join(path.parts[-3:-1])


def record(kind: str, ordinal: int | None = 0, *, at: str = "2026-11-21T09:00:00.000Z", **payload: Any) -> bytes:
    """One line as Codex writes it: an event, or a record if ``kind`` begins with a capital or is a record's."""
    top = kind if kind in ("session_meta", "turn_context", "response_item", "token_usage_record") else "event_msg"
    body = payload if top == kind else {"type": kind, **payload}
    head = {"timestamp": at} if ordinal is None else {"timestamp": at, "ordinal": ordinal}
    return json.dumps({**head, "type": top, "payload": body}, separators=(",", ":")).encode() + b"\n"


def item(kind: str, ordinal: int = 0, **rest: Any) -> bytes:
    body = {"type": kind, **rest}
    return record("item_completed", ordinal, thread_id=THREAD, turn_id=TURN, item=body)


THREAD = "01a1fd66-9d0f-7d30-b781-b521de99b021"
TURN = "01a1fd66-9d52-7802-9973-4f42a16bcace"
PARENT_TURN = "01a1fd66-0000-7802-9973-4f42a16bcace"
META = record("session_meta", id=THREAD, cwd=WORK, source="exec", cli_version="0.169.0")
STARTED = record("task_started", 1, turn_id=TURN, model_context_window=1000)


# -- what each version's samples add up to


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_every_sample(path: Path) -> None:
    version, scenario = path.parts[-3:-1]
    reader = read(path)
    state = reader.state
    assert (reader.bad_lines, reader.unknown_lines) == (0, 0)
    assert reader.offset == path.stat().st_size
    assert (state.thread_id, state.cwd, state.cli_version) == (thread_of(path), WORK, version)
    assert (state.source, state.model, state.reasoning, state.approval) == ("exec", "gpt-5.5", "high", "never")
    assert state.sandbox == "danger-full-access"
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert state.last_record_at == last["timestamp"]

    turns = {"recovered": 3, "context": 2}.get(scenario, 1)
    how = {"interrupted": "aborted", "context": "failed" if version in TELLS_FAILURES else "completed"}
    if version == MARKS_NO_TURNS:
        assert state.turn_state == ("aborted" if scenario == "interrupted" else None)
        assert (state.turns_started, state.turns_completed, state.turn_id) == (0, 0, None)
    else:
        assert state.turn_state == how.get(scenario, "completed")
        assert state.turns_started == turns
        assert state.turn_started_at
        assert state.turn_ended_at
        assert state.last_record_at
        assert state.turn_started_at < state.turn_ended_at <= state.last_record_at
    failed = state.turn_state == "failed"
    assert state.turn_error == (OUT_OF_ROOM if failed else None)
    assert state.turn_error_info == ("context_window_exceeded" if failed else None)

    messages = {"work": "All done.", "interrupted": None}
    assert state.last_message == messages.get(scenario, "Answered.")
    files = {"work": CHANGED, "heredoc": {f"{WORK}/notes/s.txt"}}
    assert set(state.files) == files.get(scenario, set())


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_tokens_of_every_sample(path: Path) -> None:
    """The scripted model counts 1200 in (1000 of them cached) and 50 out (10 reasoned) for each reply."""
    scenario = path.parent.name
    replies = {"work": 4, "recovered": 3, "heredoc": 2, "refused": 2, "forked": 2}.get(scenario, 1)
    share = 100.0 if scenario == "context" else round(100 * 1250 / 258400, 2)
    expected = Tokens(1200 * replies, 1000 * replies, 50 * replies, 10 * replies, 1250 * replies, 258400, share)
    assert read(path).state.tokens == (None if scenario == "review" else expected)


def test_the_samples_tell_what_the_stream_beside_them_tells() -> None:
    for path in SAMPLES:
        if path.parent.name in ("context", "review"):
            continue
        events = [json.loads(line) for line in (path.parent / "exec.jsonl").read_bytes().splitlines()]
        items = [event["item"] for event in events if event["type"] == "item.completed"]
        state = read(path).state
        assert events[0]["thread_id"] == state.thread_id
        assert [one["text"] for one in items if one["type"] == "agent_message"][-1:] == (
            [state.last_message] if state.last_message else []
        )
        changes = [change["path"] for one in items if one["type"] == "file_change" for change in one["changes"]]
        if path.parent.name != "refused":
            assert set(changes) == set(state.files) - {f"{WORK}/moved.txt"}
        usage = [event["usage"] for event in events if event["type"] == "turn.completed"]
        if usage and path.parent.name != "recovered":  # there the stream's sum forgot what was before the overflow
            assert state.tokens is not None
            assert usage[-1]["input_tokens"] == state.tokens.input


# -- following a file that grows


@pytest.mark.parametrize("path", SAMPLES, ids=name_of)
def test_any_pieces_read_as_the_whole(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    whole = read(path)
    dice = random.Random(path.name)
    for step in (300, 5000):
        growing = tmp_path / f"{step}.jsonl"
        growing.touch()
        reader, at = Reader(str(growing)), 0
        while at < len(data):
            size = dice.randint(1, step)
            with growing.open("ab") as f:
                f.write(data[at : at + size])
            at += size
            reader.read_new()
        assert reader.state == whole.state
        assert (reader.bad_lines, reader.unknown_lines, reader.offset) == (0, 0, len(data))


def test_a_torn_last_line_waits_for_its_end(tmp_path: Path) -> None:
    data = sample("0.169.0", "work").read_bytes()
    path = tmp_path / "r.jsonl"
    path.write_bytes(data[:-1])
    reader = read(path)
    assert (reader.state.turn_state, reader.bad_lines) == ("open", 0)
    with path.open("ab") as f:
        f.write(b"\n")
    assert reader.read_new()
    assert (reader.state.turn_state, reader.bad_lines) == ("completed", 0)
    assert not reader.read_new()


def test_byte_by_byte(tmp_path: Path) -> None:
    data = sample("0.133.0", "heredoc").read_bytes()
    path = tmp_path / "r.jsonl"
    path.touch()
    reader = Reader(str(path))
    with path.open("ab", buffering=0) as f:
        for at in range(len(data)):
            f.write(data[at : at + 1])
            reader.read_new()
    assert reader.state == read(sample("0.133.0", "heredoc")).state


def test_only_new_bytes_are_read(tmp_path: Path) -> None:
    if not os.path.exists("/proc/self/io"):
        pytest.skip("the kernel does not count what a process reads")
    path = tmp_path / "r.jsonl"
    path.write_bytes(META + STARTED + item("CommandExecution", aggregated_output="x" * 1000) * 4000)
    reader = read(path)
    assert reader.offset == path.stat().st_size > 4_000_000
    with path.open("ab") as f:
        f.write(item("AgentMessage", content=[{"type": "Text", "text": "new"}]))
    before = bytes_read()
    assert reader.read_new()
    assert bytes_read() - before < 20_000
    assert reader.state.last_message == "new"


def bytes_read() -> int:
    with open("/proc/self/io", "rb", buffering=0) as f:
        return int(f.read().split(b"rchar: ")[1].split(b"\n")[0])


def test_records_that_say_nothing_change_only_the_time(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(META + STARTED)
    reader = read(path)
    with path.open("ab") as f:
        f.write(record("response_item", 3, at="2026-11-21T09:00:09.000Z", type="reasoning"))
    assert reader.read_new() is False
    assert reader.state.last_record_at == "2026-11-21T09:00:09.000Z"


@pytest.mark.parametrize("how", ["cut", "replaced"])
def test_a_file_that_begins_anew_is_read_anew(tmp_path: Path, how: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(sample("0.169.0", "work").read_bytes())
    reader = read(path)
    fresh = tmp_path / "fresh.jsonl"
    fresh.write_bytes(sample("0.125.0", "heredoc").read_bytes())
    if how == "cut":
        path.write_bytes(fresh.read_bytes())
    else:
        path.write_bytes(b"x")  # so that it is not the size that tells
        reader.read_new()
        path.write_bytes(b"")
        fresh.rename(path)
    assert reader.read_new()
    assert reader.state == read(sample("0.125.0", "heredoc")).state
    assert reader.offset == path.stat().st_size


def test_a_file_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Reader(str(tmp_path / "none.jsonl")).read_new()


# -- what goes wrong in files


BROKEN = [
    b"\n",
    b"{}\n",
    b"null\n",
    b"not json\n",
    b'"type":"event_msg"\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"event_msg","payload":{"type":"token_co"}\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"event_msg","payload":{"type":"token_count"\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"event_msg","payload":{"type":"task_complete","x":\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"event_msg","payload":{"type":"task_complete","\xff":1}}\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"session_meta","payload":[1]}\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"turn_context","payload":"}}"}\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"never_seen","payload":{}}\n',
    b'{"timestamp":"2026-11-21T09:00:00.000Z","ordinal":7,"type":"event_msg","payload":{"type":"never_seen"}}\n',
    b'{"timestamp":' + b"[" * 100_000 + b"\n",
    b"\xff\xfe\x00" * 100 + b"\n",
    item("FileChange", status="completed", changes={"/half/\ud800": {}}),
    item("FileChange", status="completed", changes={"/x": None, "y": {"move_path": 5}})[:-30] + b"\n",
    record("session_meta", source=5, id=7),
    record("task_complete", turn_id={}, error=[], last_agent_message=5)[:-3] + b"\n",
    record("token_count", 7, info={"total_token_usage": 5, "last_token_usage": None})[:-3] + b"\n",
]


def test_broken_lines_are_counted_and_passed_over(tmp_path: Path) -> None:
    lines = sample("0.169.0", "work").read_bytes().splitlines(keepends=True)
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(line + b"".join(BROKEN) for line in lines))
    reader = read(path)
    whole = read(sample("0.169.0", "work")).state
    assert {**reader.state.values(), "last_record_at": None} == {**whole.values(), "last_record_at": None}
    assert reader.bad_lines == 13 * len(lines)
    assert reader.unknown_lines == 5 * len(lines)


@pytest.mark.parametrize("path", [p for p in SAMPLES if p.parent.name in ("work", "recovered")], ids=name_of)
def test_random_damage_is_never_fatal(path: Path, tmp_path: Path) -> None:
    dice = random.Random(path.name)
    data = path.read_bytes()
    damaged = tmp_path / "r.jsonl"
    for _ in range(60):
        copy = bytearray(data)
        for _ in range(dice.randint(1, 12)):
            at = dice.randrange(len(copy))
            what = dice.randrange(3)
            if what == 0:
                copy[at] = dice.randrange(256)
            elif what == 1:
                del copy[at : at + dice.randint(1, 2000)]
            else:
                copy[at:at] = dice.choice([b"\n", b'"', b"}", b"null", b"\x00", b"[[["])
        damaged.write_bytes(bytes(copy))
        read(damaged)


@pytest.mark.parametrize("torn", [3, 40, 90, 200])
@pytest.mark.parametrize("kind", ["task_complete", "token_count", "response_item"])
def test_a_record_glued_to_a_torn_line_is_read(tmp_path: Path, torn: int, kind: str) -> None:
    """Codex to 0.133, killed in mid-write and resumed, goes on in the middle of the line."""
    lines = sample("0.133.0", "work").read_bytes().splitlines(keepends=True)
    last = [line for line in lines if f'"{kind}"'.encode() in line][-1]
    again = record("task_started", None, turn_id="01ffffff-9d52-7802-9973-4f42a16bcace")
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(lines) + last[:-3][:torn] + again)
    reader = read(path)
    assert reader.bad_lines == 1
    assert (reader.state.turn_state, reader.state.turns_started) == ("open", 2)
    assert reader.state.last_message == "All done."


def test_another_order_of_keys_is_understood(tmp_path: Path) -> None:
    def turned(value: Any) -> Any:
        return {key: turned(value[key]) for key in reversed(value)} if isinstance(value, dict) else value

    for version in ("0.104.0", "0.169.0"):
        path = tmp_path / f"{version}.jsonl"
        lines = sample(version, "work").read_bytes().splitlines()
        path.write_bytes(b"".join(json.dumps(turned(json.loads(line))).encode() + b"\n" for line in lines))
        reader = read(path)
        state, whole = reader.state, read(sample(version, "work")).state
        assert reader.bad_lines == 0
        assert set(state.files) == set(whole.files)
        state.files = whole.files
        state.last_record_at = whole.last_record_at
        assert state == whole


# -- turns


def states(tmp_path: Path, *lines: bytes, thread_id: str | None = None) -> RolloutState:
    path = tmp_path / "r.jsonl"
    path.write_bytes(b"".join(lines))
    return read(path, thread_id=thread_id).state


def test_late_records_do_not_open_an_ended_turn(tmp_path: Path) -> None:
    done = record("task_complete", 2, turn_id=TURN, last_agent_message="done", at="2026-11-21T09:00:05.000Z")
    late = (
        STARTED,
        item("CommandExecution"),
        item("FileChange", status="completed", changes={"/late": {"type": "add"}}),
        record("turn_aborted", 9, turn_id=TURN, reason="interrupted", at="2026-11-21T09:00:09.000Z"),
        record("thread_settings_applied", thread_settings={"model": "other"}),
    )
    state = states(tmp_path, META, STARTED, done, *late)
    assert (state.turn_state, state.turns_started, state.turns_completed) == ("completed", 1, 1)
    assert state.turn_ended_at == "2026-11-21T09:00:05.000Z"
    assert (list(state.files), state.model) == (["/late"], "other")


def test_the_end_of_an_earlier_turn_does_not_end_the_current_one(tmp_path: Path) -> None:
    second = "01a1fd67-9d52-7802-9973-4f42a16bcace"
    state = states(
        tmp_path,
        META,
        STARTED,
        record("task_started", 2, turn_id=second),
        record("task_complete", 3, turn_id=TURN, last_agent_message="late"),
    )
    assert (state.turn_state, state.turn_id, state.turns_started) == ("open", second, 2)


def test_a_killed_turn_stays_open_until_the_next(tmp_path: Path) -> None:
    data = sample("0.169.0", "interrupted").read_bytes().splitlines(keepends=True)
    cut = [line for line in data if b'"turn_aborted"' not in line]
    assert states(tmp_path, *cut).turn_state == "open"


@pytest.mark.parametrize("thread_id", [None, THREAD])
def test_a_copied_history_is_not_the_threads_own(tmp_path: Path, thread_id: str | None) -> None:
    """A fork or sub-agent may begin with its parent's records; their turns are older than the thread."""
    copied = (
        record("session_meta", 1, id="01a1fd65-0000-7d30-b781-b521de99b021", cwd="/parent"),
        record("task_started", 2, turn_id=PARENT_TURN),
        record(
            "item_completed",
            3,
            turn_id=PARENT_TURN,
            item={"type": "AgentMessage", "content": [{"text": "parent's"}]},
        ),
        record(
            "item_completed",
            4,
            turn_id=PARENT_TURN,
            item={"type": "FileChange", "status": "completed", "changes": {"/p": {}}},
        ),
        record("token_count", 5, info={"total_token_usage": {"input_tokens": 9, "total_tokens": 9}}),
        record("turn_aborted", 6, turn_id=PARENT_TURN),
    )
    state = states(tmp_path, META, *copied, thread_id=thread_id)
    assert state == RolloutState(
        thread_id=THREAD, cwd=WORK, cli_version="0.169.0", source="exec", last_record_at=state.last_record_at
    )
    state = states(tmp_path, META, *copied, STARTED, item("AgentMessage", content=[{"text": "own"}]))
    assert (state.turn_state, state.turns_started, state.last_message, state.cwd) == ("open", 1, "own", WORK)
    marked = record("session_meta", id=THREAD, cwd=WORK, subagent_history_start_ordinal=8)
    unmarked_turn = record("task_started", 7, turn_id="0")
    state = states(tmp_path, marked, *copied, unmarked_turn, record("task_started", 8, turn_id="1"))
    assert (state.turns_started, state.turn_id, state.files) == (1, "1", {})


def test_error_kinds_are_one_string() -> None:
    assert flatten("context_window_exceeded") == "context_window_exceeded"
    assert flatten({"http_connection_failed": {"http_status_code": 401}}) == "http_connection_failed:401"
    assert flatten({"http_connection_failed": {"http_status_code": None}}) == "http_connection_failed"
    assert flatten({"other": None}) == "other"
    assert flatten(None) is flatten({}) is flatten([]) is flatten(5) is None


# -- tokens


def test_tokens_without_counts_and_over_the_window(tmp_path: Path) -> None:
    usage = {"input_tokens": 3000, "cached_input_tokens": 1, "output_tokens": 5, "reasoning_output_tokens": 2}
    info = {"total_token_usage": usage, "last_token_usage": {"total_tokens": 1500}, "model_context_window": 1000}
    nothing = record("token_count", 3, info=None)
    assert states(tmp_path, META, STARTED, nothing).tokens is None
    state = states(tmp_path, META, STARTED, item("UserMessage"), record("token_count", 2, info=info), nothing)
    assert state.tokens == Tokens(3000, 1, 5, 2, 3005, 1000, 100.0)


def test_the_latest_count_stands_whatever_record_it_is_in(tmp_path: Path) -> None:
    def counted(total: int) -> bytes:
        return record("token_count", 2, info={"total_token_usage": {"input_tokens": total}})

    def used(total: int) -> bytes:
        return record("token_usage_record", 3, thread_token_usage={"input_tokens": total})

    between = record("thread_settings_applied", 4)
    for records in ((counted(1), used(2), counted(3)), (used(1), counted(2), used(3))):
        for lines in (records, (item("UserMessage"), *records), (*records[:2], between, records[2])):
            state = states(tmp_path, META, STARTED, *lines)
            assert state.tokens is not None
            assert state.tokens.total == 3


def test_a_change_that_was_refused_is_none(tmp_path: Path) -> None:
    for status in ("failed", "declined", "in_progress"):
        refused = item("FileChange", status=status, changes={"/x": {"type": "add", "content": ""}})
        assert states(tmp_path, META, STARTED, refused).files == {}


def test_a_new_message_ends_an_interruption_where_turns_are_not_marked(tmp_path: Path) -> None:
    lines = sample(MARKS_NO_TURNS, "interrupted").read_bytes().splitlines(keepends=True)
    assert states(tmp_path, *lines).turn_state == "aborted"
    assert states(tmp_path, *lines, record("user_message", None, message="go on")).turn_state is None


# -- apply_patch, where the rollout tells of no file changes


PATCH = (
    "*** Begin Patch\n*** Add File: a b.txt\n+x\n"
    "*** Update File: /abs/u\n*** Move to: sub/../m\n@@\n-a\n+*** Add File: not\n"
    "*** Delete File: d\n*** End Patch\n"
)
NAMES = ["/w/a b.txt", "/abs/u", "/w/m", "/w/d"]
APPLIED = "Success. Updated the following files:\nA a b.txt\n"


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": json.dumps(arguments)}


@pytest.mark.parametrize(
    ("made", "said", "expected"),
    [
        ({"type": "custom_tool_call", "name": "apply_patch", "input": PATCH}, APPLIED, NAMES),
        (
            call("exec_command", cmd=f"echo '\n*** Add File: not\n'; apply_patch <<'EOF'\n{PATCH}EOF"),
            json.dumps({"output": APPLIED}),
            NAMES,
        ),
        (call("shell", command=["bash", "-lc", f"apply_patch <<EOF\n{PATCH}EOF\nmake"]), "x\n" + APPLIED, NAMES),
        (call("shell", command=["apply_patch", PATCH]), APPLIED, NAMES),
        (call("shell_command", command=f"apply_patch '{PATCH}'"), [{"type": "text", "text": APPLIED}], NAMES),
        (call("apply_patch", input=PATCH), APPLIED, NAMES),
        (
            {"type": "local_shell_call", "action": {"command": ["apply_patch", PATCH], "working_directory": "/w"}},
            APPLIED,
            NAMES,
        ),
        (
            call("shell", command=["apply_patch", PATCH], workdir="s"),
            APPLIED,
            ["/w/s/a b.txt", "/abs/u", "/w/s/m", "/w/s/d"],
        ),
        (
            call("exec_command", cmd=f"cd 't u' && apply_patch <<'EOF'\n{PATCH}EOF"),
            APPLIED,
            ["/w/t u/a b.txt", "/abs/u", "/w/t u/m", "/w/t u/d"],
        ),
        (call("exec_command", cmd=f"apply_patch <<'EOF'\n{PATCH}EOF"), "apply_patch verification failed: no", []),
        (call("exec_command", cmd=f"cat <<'EOF'\n{PATCH}EOF"), APPLIED, []),
        ({"type": "custom_tool_call", "name": "other", "input": PATCH}, APPLIED, []),
        ({"type": "function_call", "name": "shell", "arguments": "apply_patch not json"}, APPLIED, []),
        ({"type": "function_call", "name": "shell", "arguments": '["apply_patch"]'}, APPLIED, []),
    ],
)  # fmt: skip
def test_patches_of_old_versions(tmp_path: Path, made: dict[str, Any], said: Any, expected: list[str]) -> None:
    lines = (
        record("session_meta", None, id=THREAD, cwd="/home"),
        record("turn_context", None, cwd="/w"),
        record("response_item", None, **made, call_id="c1"),
        record("response_item", None, type="function_call_output", call_id="other", output=APPLIED),
    )
    assert states(tmp_path, *lines).files == {}
    answer = record("response_item", None, type=f"{made['type']}_output", call_id="c1", output=said)
    assert list(states(tmp_path, *lines, answer).files) == expected


def test_a_plan_that_is_an_item_does_not_hide_file_changes(tmp_path: Path) -> None:
    """Some versions record plans as items, and their file changes in the calls all the same."""
    lines = (
        record("session_meta", None, id=THREAD, cwd="/w"),
        item("Plan", text="first this, then that"),
        record("response_item", None, type="custom_tool_call", name="apply_patch", input=PATCH, call_id="c1"),
        record("response_item", None, type="custom_tool_call_output", call_id="c1", output=APPLIED),
    )
    assert list(states(tmp_path, *lines).files) == NAMES


# -- size


@pytest.mark.parametrize("pieces", [1, 7])
def test_lines_of_a_megabyte(tmp_path: Path, pieces: int) -> None:
    text = 'a "quoted" word, "type":"event_msg", \n' * 30_000
    lines = (
        META
        + STARTED
        + record("response_item", 2, type="message", content=text)
        + item("CommandExecution", aggregated_output=text)
        + record("compacted_differently", 3, message=text)
        + item("FileChange", status="completed", changes={"/big": {"type": "add", "content": text}})
        + item("AgentMessage", content=[{"type": "Text", "text": text}])
    )
    path = tmp_path / "r.jsonl"
    path.touch()
    reader = Reader(str(path))
    for at in range(pieces):
        with path.open("ab") as f:
            f.write(lines[len(lines) * at // pieces : len(lines) * (at + 1) // pieces])
        reader.read_new()
    assert reader.state.last_message == text
    assert list(reader.state.files) == ["/big"]
    assert (reader.bad_lines, reader.unknown_lines) == (0, 1)


def test_a_line_beyond_measure_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codex_agent.rollouts.reader.LONGEST_LINE", 500_000)
    big = item("FileChange", status="completed", changes={"/big": {"type": "add", "content": "x" * 1_000_000}})
    path = tmp_path / "r.jsonl"
    path.write_bytes(META + STARTED + big + item("AgentMessage", content=[{"text": "on"}]))
    reader = read(path)
    assert (reader.bad_lines, reader.state.files, reader.state.last_message) == (1, {}, "on")


# In a process of its own, because tracemalloc counts what all threads of a process hold.
MEASURE = """
import sys, tracemalloc
sys.path.insert(0, sys.argv[1])
from codex_agent.rollouts import Reader
reader = Reader(sys.argv[2])
tracemalloc.start()
reader.read_new()
print(tracemalloc.get_traced_memory()[1], reader.state.turn_state, reader.state.tokens.input, reader.bad_lines)
"""


def test_a_big_file_is_read_in_constant_memory(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    usage = {"input_tokens": 7, "output_tokens": 1, "total_tokens": 8}
    counted = record("token_count", 4, info={"total_token_usage": usage, "last_token_usage": usage})
    block = (
        item("CommandExecution", aggregated_output="some output\n" * 400)
        + record("response_item", 3, type="function_call_output", output="some output\n" * 400)
        + counted
    )
    with path.open("wb") as f:
        f.write(META + STARTED)
        for _ in range(60):
            f.write(block * 100)
        f.write(record("response_item", 5, type="message", content="x" * 20_000_000))
        f.write(record("task_complete", 6, turn_id=TURN, last_agent_message="ok"))
    assert path.stat().st_size > 70_000_000
    source = str(Path(__file__).parents[1] / "src")
    ran = subprocess.run(
        [sys.executable, "-I", "-S", "-E", "-c", MEASURE, source, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    peak, state, tokens, bad = ran.stdout.split()
    assert (state, tokens, bad) == ("completed", "7", "0")
    assert int(peak) < 2_000_000


# -- compressed


def test_compressed_rollouts(tmp_path: Path) -> None:
    import zstandard

    def pack(data: bytes) -> bytes:
        return zstandard.ZstdCompressor().compress(data)

    source = sample("0.169.0", "work")
    data = source.read_bytes()
    path = tmp_path / "r.jsonl.zst"
    half = data.index(b"\n", len(data) // 2) + 1
    path.write_bytes(pack(sample("0.104.0", "heredoc").read_bytes()))
    reader = read(path)
    path.write_bytes(pack(data[:half]))
    assert reader.read_new()
    assert (reader.state.thread_id, reader.state.turn_state) == (thread_of(source), "open")
    assert reader.offset == path.stat().st_size
    assert not reader.read_new()
    path.write_bytes(pack(data[:half]) + pack(data[half:]))  # a second frame, as an appending writer makes it
    assert reader.read_new()
    assert reader.state == read(source).state
    path.write_bytes(pack(data[:half]) + pack(data[half:])[:-100])  # what is whole in it counts
    assert reader.read_new()
    assert (reader.state.thread_id, reader.bad_lines) == (thread_of(source), 0)
    path.write_bytes(pack(sample("0.104.0", "context").read_bytes()))
    assert reader.read_new()
    assert reader.state == read(sample("0.104.0", "context")).state
    path.write_bytes(b"no zstd at all")
    assert reader.read_new()
    assert (reader.state.thread_id, reader.bad_lines) == (None, 1)


def test_a_compressed_rollout_without_the_package_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "r.jsonl.zst"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingProgram, match="zstandard"):
        Reader(str(path)).read_new()


# -- where it lies


def place(folder: Path, thread: str = THREAD, ending: str = ".jsonl", age: float = 0) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"rollout-2026-11-21T09-18-42-{thread}{ending}"
    path.write_bytes(b"")
    os.utime(path, (time.time() - age,) * 2)
    return str(path)


@pytest.mark.parametrize("day", ["2026/11/20", "2026/11/21", "2026/11/22", "2025/01/02", "2031/01/01", "."])
def test_found_on_any_day(tmp_path: Path, day: str) -> None:
    """THREAD was made at 2026-11-21T09:18 UTC; its folder is called after the local date."""
    place(tmp_path / "sessions" / "2026" / "11" / "21", "01a1fd66-9d0f-7d30-b781-b521de99b022")
    place(tmp_path / "sessions" / "2024" / "11" / "21", "01a1fd66-9d0f-7d30-b781-b521de99b0")
    assert find(str(tmp_path), THREAD) is None
    path = place(tmp_path / "sessions" / day)
    assert find(str(tmp_path), THREAD) == path
    assert find(str(tmp_path), THREAD.upper()) == path
    assert find(str(tmp_path), THREAD[1:]) is None
    assert find(str(tmp_path), "") is None


def test_found_by_an_id_without_a_time(tmp_path: Path) -> None:
    thread = "7d444840-9dc0-41d1-b245-5ffdce74fad2"
    older = place(tmp_path / "sessions" / "2025" / "03" / "01", thread)
    assert find(str(tmp_path), thread) == older
    newer = place(tmp_path / "sessions" / "2025" / "12" / "01", thread)
    assert find(str(tmp_path), thread) == newer


def test_the_best_of_several(tmp_path: Path) -> None:
    thread = "01941f29-7c00-7d30-b781-b521de99b021"  # made at the first second of 2025
    days = tmp_path / "sessions" / "2025" / "01"
    archived = place(tmp_path / "archived_sessions", thread)
    assert find(str(tmp_path), thread) == archived
    packed = place(days / "01", thread, ".jsonl.zst")
    assert find(str(tmp_path), thread) == packed
    plain = place(days / "01", thread, age=100)
    assert find(str(tmp_path), thread) == plain
    newer = place(days / "02", thread, age=50)
    assert find(str(tmp_path), thread) == newer
    today = place(tmp_path / "sessions" / time.strftime("%Y/%m/%d", time.gmtime()), thread)
    assert find(str(tmp_path), thread) == today


def test_a_tree_that_is_not_there_or_not_a_tree(tmp_path: Path) -> None:
    assert find(str(tmp_path / "none"), THREAD) is None
    (tmp_path / "sessions").write_text("")
    (tmp_path / "archived_sessions").symlink_to("nowhere")
    assert find(str(tmp_path), THREAD) is None


# -- the real Codex, while it works


def test_following_the_real_codex(home: Home, model: ModelServer, repo: Path, every_codex: Codex) -> None:
    """From the thread's id alone to its rollout, read while Codex writes it: the same as read at the end."""
    model.on(
        "follow me",
        Step.command("echo seen > seen.txt"),
        Step.patch("*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch"),
        Step.message("Followed."),
    )
    argv = [every_codex.path, "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", "-"]
    with subprocess.Popen(
        argv, cwd=repo, env=home.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as codex:
        assert codex.stdin is not None
        assert codex.stdout is not None
        codex.stdin.write(b"follow me")
        codex.stdin.close()
        thread = json.loads(codex.stdout.readline())["thread_id"]
        path = until(lambda: find(str(home.codex_home), thread) or "", what="the rollout")
        reader = Reader(path, thread_id=thread)
        while codex.poll() is None:
            reader.read_new()
            time.sleep(0.005)
        codex.stdout.read()
    reader.read_new()
    assert codex.returncode == 0
    assert reader.state == read(path).state
    assert (reader.bad_lines, reader.unknown_lines) == (0, 0)
    assert (reader.state.turn_state, reader.state.last_message) == ("completed", "Followed.")
    assert list(reader.state.files) == [str(repo / "made.txt")]
