"""Conversations in rollouts: what each Codex version wrote as text and as JSON, and what is no part of them."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema, tmux, transcript
from codex_agent.answers import Changed, Entry, FileChanged, Marked, Noted, Planned, Ran, Said, Step, Used
from codex_agent.demo.model_server import ModelServer
from codex_agent.demo.model_server import Step as Reply
from codex_agent.errors import BadState
from codex_agent.rollouts import conversation
from codex_agent.rollouts.conversation import Conversation
from codex_agent.store import Store
from support import Cli, Codex, Home, until
from support.jobs import Here, begin, ended, record, working, write_record

FIXTURES = Path(__file__).parent / "fixtures" / "rollouts"
SAMPLES = sorted(FIXTURES.glob("*/*/rollout-*.jsonl"))
WORK = "/home/ada/repo"
SRC = Path(__file__).parents[1] / "src"

THREAD = "01a1fd66-9d0f-7d30-b781-b521de99b021"
TURN = "01a1fd66-9d52-7802-9973-4f42a16bcace"
PARENT_TURN = "01a1fd66-0000-7802-9973-4f42a16bcace"
AT = "2026-11-21T09:00:00.000Z"


def sample(version: str, scenario: str) -> Path:
    (path,) = (FIXTURES / version / scenario).glob("rollout-*.jsonl")
    return path


def told(path: Path) -> str:
    where = transcript.Source("0000000a", path.name.removesuffix(".jsonl")[-36:], str(path), WORK)
    return "".join(transcript.text(where))


# ---- what each version's samples say ----

CHANGES = """\
added notes/hello.txt
changed a.txt, now moved.txt
deleted old.txt
"""
WORKED = """\
you: do the work
agent: I look first.
$ echo out; ls
  out
  a.txt
  notes
  old.txt
{changes}{plan}agent: All done.
"""
PLAN = """\
plan:
  [x] look
  [>] change
"""
OUT_OF_ROOM = (
    "* the turn failed: Codex ran out of room in the model's context window. "
    "Start a new thread or clear earlier history before retrying.\n"
)
NO_FILE = "apply_patch verification failed: Failed to read file to update /home/ada/repo/none.txt: " + (
    "No such file or directory (os error 2)"
)
# What a scenario reads like; the versions in which it differs come before it.
TEXTS: dict[tuple[str, str], str] = {
    ("0.163.0", "work"): WORKED.format(changes=CHANGES, plan=""),  # it has no plans any more
    ("0.169.0", "work"): WORKED.format(changes=CHANGES, plan=""),
    ("*", "work"): WORKED.format(changes=CHANGES, plan=PLAN),
    ("*", "heredoc"): "you: patch through the shell\nadded notes/s.txt\nagent: Answered.\n",
    ("0.98.0", "refused"): f"""\
you: patch what is not there
$ apply_patch <<'EOF'
> *** Begin Patch
> *** Update File: none.txt
> @@
> -a
> +b
> *** End Patch
> EOF
  {NO_FILE}
-> failed
agent: Answered.
""",
    ("0.125.0", "refused"): f"""\
you: patch what is not there
-> failed: update none.txt {NO_FILE}
agent: Answered.
""",
    ("*", "refused"): "you: patch what is not there\nagent: Answered.\n",  # an attempt that is no item
    ("0.150.0", "context"): f"you: answer only\nagent: Answered.\n\nyou: run out of room\n{OUT_OF_ROOM}",
    ("0.163.0", "context"): f"you: answer only\nagent: Answered.\n\nyou: run out of room\n{OUT_OF_ROOM}",
    ("0.169.0", "context"): f"you: answer only\nagent: Answered.\n\nyou: run out of room\n{OUT_OF_ROOM}",
    ("*", "context"): "you: answer only\nagent: Answered.\n\nyou: run out of room\n",  # they do not tell
    ("0.104.0", "recovered"): """\
you: answer only
agent: Answered.

you: run out of room

* what was said so far was summed up to make room
you: answer only
agent: Answered.
""",
    ("*", "recovered"): f"""\
you: answer only
agent: Answered.

you: run out of room
{OUT_OF_ROOM}
* what was said so far was summed up to make room
you: answer only
agent: Answered.
""",
    ("0.150.0", "interrupted"): "you: run for long\n* interrupted\n$ sleep 60\n-> no exit status\n",
    ("0.163.0", "interrupted"): "you: run for long\n* interrupted\n$ sleep 60\n-> no exit status\n",
    ("0.169.0", "interrupted"): "you: run for long\n* interrupted\n$ sleep 60\n-> no exit status\n",
    ("*", "interrupted"): "you: run for long\n$ sleep 60\n-> interrupted\n* interrupted\n",
    ("*", "forked"): "you: answer only\nagent: Answered.\n",
    ("*", "review"): """\
* review of current changes

you: Review the current code changes (staged, unstaged, and untracked files) and provide prioritized findings.
* review ended: Answered.
agent: Answered.
""",
}


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_every_sample_as_text(path: Path) -> None:
    version, scenario = path.parts[-3:-1]
    text = told(path)
    if scenario == "work":  # the files of one patch come in any order
        lines = text.splitlines(keepends=True)
        places = [n for n, line in enumerate(lines) if line in CHANGES.splitlines(keepends=True)]
        assert places == list(range(places[0], places[0] + 3))
        lines[places[0] : places[0] + 3] = [CHANGES]
        text = "".join(lines)
    assert text == TEXTS.get((version, scenario), TEXTS.get(("*", scenario)))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: "-".join(path.parts[-3:-1]))
def test_every_sample_as_json(path: Path) -> None:
    version, scenario = path.parts[-3:-1]
    where = transcript.Source("0000000a", path.name.removesuffix(".jsonl")[-36:], str(path), WORK)
    answer = transcript.whole(where)
    schema.check(schema.COMMANDS["output --transcript"], dataclasses.asdict(answer))
    assert (answer.id, answer.thread_id, answer.rollout, answer.bad_lines) == (
        "0000000a",
        where.thread_id,
        str(path),
        0,
    )
    times = [entry.at for entry in answer.entries]
    assert all(times) and times == sorted(times, key=str)
    if version != "0.98.0" and scenario != "review":  # a review's parts have turn ids of their own
        turn = None
        for entry in answer.entries:
            if entry.kind == "turn_started":
                turn = entry.turn_id
            assert entry.turn_id == turn is not None


def test_a_turn_as_entries() -> None:
    conversation = Conversation()
    entries = list(conversation.read(str(sample("0.169.0", "work"))))
    turn = "01a1fded-7291-7683-8e1b-8389ee8d402d"
    started, user, agent, ran, changed, done, over = entries
    assert started == Marked("turn_started", "2026-11-21T11:45:59.447Z", turn, None, None, None)
    assert user == Said("user", "2026-11-21T11:45:59.524Z", turn, "do the work")
    assert agent == Said("agent", "2026-11-21T11:45:59.539Z", turn, "I look first.")
    at = "2026-11-21T11:45:59.589Z"
    printed = "out\na.txt\nnotes\nold.txt\n"
    assert ran == Ran("command", at, turn, "echo out; ls", "agent", "completed", 0, printed, len(printed))
    assert isinstance(changed, Changed) and changed.status == "completed" and changed.message is None
    assert FileChanged("update", f"{WORK}/a.txt", f"{WORK}/moved.txt") in changed.files and len(changed.files) == 3
    assert done == Said("agent", "2026-11-21T11:45:59.672Z", turn, "All done.")
    assert over == Marked("turn_ended", "2026-11-21T11:45:59.676Z", turn, "completed", None, 234)


# ---- one record after the other ----


def line(top: str, payload: dict[str, Any], ordinal: int | None = None) -> bytes:
    head: dict[str, Any] = {"timestamp": AT} | ({} if ordinal is None else {"ordinal": ordinal})
    return json.dumps({**head, "type": top, "payload": payload}, separators=(",", ":")).encode() + b"\n"


def event(kind: str, **payload: Any) -> bytes:
    return line("event_msg", {"type": kind, **payload})


def response(kind: str, **payload: Any) -> bytes:
    return line("response_item", {"type": kind, **payload})


def item(item_type: str, turn_id: str = TURN, **rest: Any) -> bytes:
    return event("item_completed", thread_id=THREAD, turn_id=turn_id, item={"type": item_type, **rest})


META = line("session_meta", {"id": THREAD, "cwd": WORK, "source": "exec", "cli_version": "0.169.0"})
STARTED = event("task_started", turn_id=TURN)


def entries(*lines: bytes, turns: bool = False) -> list[Entry]:
    """What these lines say in a turn; turn marks only if asked for."""
    talk = Conversation()
    found = [entry for data in (META, STARTED, *lines) for entry in talk.line(data)] + talk.rest()
    assert talk.bad_lines == 0
    return [entry for entry in found if turns or not isinstance(entry, Marked)]


def calls(name: str, given: Any, output: Any, call_id: str = "c1", **more: Any) -> tuple[bytes, bytes]:
    """A call and its output, as versions to 0.133 write them."""
    arguments = given if isinstance(given, str) else json.dumps(given)
    return (
        response("function_call", name=name, arguments=arguments, call_id=call_id, **more),
        response("function_call_output", call_id=call_id, output=output),
    )


def ran(command: str, status: str, exit_code: int | None, output: str, by: Any = "agent") -> Ran:
    return Ran("command", AT, TURN, command, by, status, exit_code, output, len(output))


COMMANDS: dict[str, tuple[tuple[bytes, ...], list[Entry]]] = {
    "an exit status": (
        calls(
            "exec_command", {"cmd": "make"}, "Chunk ID: a\nWall time: 1\nProcess exited with code 3\nOutput:\nno\n"
        ),
        [ran("make", "failed", 3, "no\n")],
    ),
    "its output looks like a header": (
        calls("exec_command", {"cmd": "x"}, "Chunk ID: a\nProcess exited with code 0\nOutput:\nOutput:\nx\n"),
        [ran("x", "completed", 0, "Output:\nx\n")],
    ),
    "a list of words": (
        calls("shell", {"command": ["bash", "-lc", "a && b"]}, '{"output":"x","metadata":{"exit_code":0}}'),
        [ran("a && b", "completed", 0, "x")],
    ),
    "words without a shell": (
        calls("shell", {"command": ["ls", "a b"]}, '{"output":"","metadata":{"exit_code":2}}'),
        [ran("ls 'a b'", "failed", 2, "")],
    ),
    "a local shell": (
        (
            response("local_shell_call", call_id="c1", action={"type": "exec", "command": ["sh", "-c", "id"]}),
            response("function_call_output", call_id="c1", output='{"output":"me","metadata":{"exit_code":0}}'),
        ),
        [ran("id", "completed", 0, "me")],
    ),
    "parts": (
        calls("shell_command", {"command": "x"}, [{"type": "input_text", "text": "Exit code: 1\nOutput:\ny"}]),
        [ran("x", "failed", 1, "y")],
    ),
    "not allowed": (
        calls("exec_command", {"cmd": "rm x"}, "exec command rejected by user"),
        [ran("rm x", "declined", None, "exec command rejected by user")],
    ),
    "one that goes on": (
        (
            *calls(
                "exec_command", {"cmd": "sleep 9"}, "Wall time: 1\nProcess running with session ID 7\nOutput:\na\n"
            ),
            *calls(
                "write_stdin", {"session_id": 7, "chars": ""}, "Process exited with code 0\nOutput:\nb\n", "c2"
            ),
        ),
        [ran("sleep 9", "running", None, "a\n"), ran("sleep 9", "completed", 0, "b\n")],
    ),
    "one without an end": (
        calls("exec_command", {"cmd": "sleep 9"}, "")[:1],
        [ran("sleep 9", "running", None, "")],
    ),
    "an output without a call": (calls("exec_command", {"cmd": "x"}, "y")[1:], []),
    "arguments that are none": (
        calls("exec_command", "{", "failed to parse"),
        [ran("", "failed", None, "failed to parse")],
    ),
    "recorded as an event": (
        (
            *calls("exec_command", {"cmd": "x"}, "")[:1],
            event(
                "exec_command_end",
                call_id="c1",
                command=["bash", "-lc", "x"],
                exit_code=1,
                status="failed",
                aggregated_output="o",
            ),
            *calls("exec_command", {"cmd": "x"}, "Process exited with code 1\nOutput:\no")[1:],
        ),
        [ran("x", "failed", 1, "o")],
    ),
    "an item": (
        (
            item(
                "CommandExecution",
                command=["/bin/zsh", "-lc", "x"],
                status="completed",
                exit_code=0,
                aggregated_output="o",
            ),
            *calls("exec_command", {"cmd": "x"}, "Process exited with code 0\nOutput:\no"),
        ),
        [ran("x", "completed", 0, "o")],
    ),
    "an item, the first one": (
        (
            *calls("exec_command", {"cmd": "x"}, "")[:1],
            item("CommandExecution", command="x", status="completed", exit_code=0, aggregated_output="o"),
        ),
        [ran("x", "completed", 0, "o")],
    ),
    "one answer within the other": (
        calls("exec_command", {"cmd": "x"}, "Wall time: 0\nOutput:\nExit code: 1\nWall time: 0\nOutput:\nno"),
        [ran("x", "failed", 1, "no")],
    ),
    "a person's": (
        (
            item(
                "CommandExecution",
                command=["/bin/bash", "-lc", "ls"],
                source="user_shell",
                status="completed",
                exit_code=0,
            ),
        ),
        [ran("ls", "completed", 0, "", "user")],
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str) -> None:
    lines, expected = COMMANDS[name]
    assert entries(*lines) == expected


def used(name: str, given: str | None, status: str, output: str, kind: Any = "tool") -> Used:
    return Used(kind, AT, TURN, name, given, status, output)


PATCH = "*** Begin Patch\n*** Add File: a\n+a\n*** End Patch"
OK = {"content": [{"type": "text", "text": "fine"}], "isError": False}
OTHERS: dict[str, tuple[tuple[bytes, ...], list[Entry]]] = {
    "an MCP tool by its call alone (0.98)": (
        calls("mcp__lab__echo", {"x": 1}, '[{"type":"text","text":"fine"}]'),
        [used("lab.echo", '{"x": 1}', "completed", "fine")],
    ),
    "an MCP tool by its event (0.133)": (
        (
            *calls("echo", {"x": 1}, "fine", namespace="mcp__lab__")[:1],
            event(
                "mcp_tool_call_end",
                call_id="c1",
                invocation={"server": "lab", "tool": "echo", "arguments": {"x": 1}},
                result={"Ok": OK},
            ),
            *calls("echo", {"x": 1}, "fine")[1:],
        ),
        [used("lab.echo", '{"x": 1}', "completed", "fine")],
    ),
    "an MCP tool that says no": (
        (
            event(
                "mcp_tool_call_end",
                call_id="c1",
                invocation={"server": "lab", "tool": "echo"},
                result={"Ok": {**OK, "isError": True}},
            ),
        ),
        [used("lab.echo", None, "failed", "fine")],
    ),
    "an MCP server that is gone": (
        (
            event(
                "mcp_tool_call_end",
                call_id="c1",
                invocation={"server": "lab", "tool": "echo"},
                result={"Err": "gone"},
            ),
        ),
        [used("lab.echo", None, "failed", "gone")],
    ),
    "an MCP tool as an item": (
        (item("McpToolCall", server="lab", tool="echo", arguments={"x": "ü"}, status="completed", result=OK),),
        [used("lab.echo", '{"x": "ü"}', "completed", "fine")],
    ),
    "an MCP item that failed": (
        (item("McpToolCall", server="lab", tool="echo", status="failed", result=None, error={"message": "gone"}),),
        [used("lab.echo", None, "failed", "gone")],
    ),
    "a search (0.98)": (
        (response("web_search_call", status="completed", action={"type": "search", "query": "how"}),) * 2,
        [used("how", None, "completed", "", "search")] * 2,
    ),
    "a search, told twice (0.133)": (
        (
            event("web_search_end", call_id="w", query="how", action={"type": "search", "query": "how"}),
            response("web_search_call", status="completed", action={"type": "search", "query": "how"}),
        )
        * 2,
        [used("how", None, "completed", "", "search")] * 2,
    ),
    "a search as an item": (
        (
            item("WebSearch", id="w", query="how", action={"type": "search", "query": "how"}),
            response("web_search_call", id="w", status="completed", action={"type": "search", "query": "how"}),
        ),
        [used("how", None, "completed", "", "search")],
    ),
    "a tool nobody has": (
        calls("nosuch", {}, "unsupported call: nosuch"),
        [used("nosuch", "{}", "failed", "unsupported call: nosuch")],
    ),
    "an item nobody knows": ((item("Telepathy", status="completed"),), [used("Telepathy", None, "completed", "")]),
    "a sub-agent": (
        (
            item("CollabAgentToolCall", tool="spawn_agent", status="completed", prompt="look there"),
            item("SubAgentActivity", kind="completed", agent_path="/main/sub1"),
        ),
        [
            used("spawn_agent", "look there", "completed", ""),
            Noted("note", AT, TURN, "agent /main/sub1: completed"),
        ],
    ),
    "a patch and its event (0.133)": (
        (
            response("custom_tool_call", name="apply_patch", input=PATCH, call_id="c1"),
            event(
                "patch_apply_end",
                call_id="c1",
                success=True,
                status="completed",
                changes={"/a": {"type": "add", "content": "a"}},
            ),
            response(
                "custom_tool_call_output", call_id="c1", output="Success. Updated the following files:\nA a\n"
            ),
        ),
        [Changed("files", AT, TURN, "completed", [FileChanged("add", "/a", None)], None)],
    ),
    "a patch by a function (0.104)": (
        calls("apply_patch", {"input": PATCH}, '{"output":"Success. Updated the following files:\\nA a\\n"}'),
        [Changed("files", AT, TURN, "completed", [FileChanged("add", f"{WORK}/a", None)], None)],
    ),
    "a patch that was not allowed": (
        (item("FileChange", status="declined", stderr="no", changes={"/a": {"type": "delete", "content": "a"}}),),
        [Changed("files", AT, TURN, "declined", [FileChanged("delete", "/a", None)], "no")],
    ),
    "a plan": (
        calls(
            "update_plan", {"explanation": "why", "plan": [{"step": "a", "status": "completed"}]}, "Plan updated"
        ),
        [Planned("plan", AT, TURN, "why", [Step("a", "completed")])],
    ),
    "a plan beside items (0.150)": (
        (item("Reasoning"), *calls("update_plan", {"plan": [{"step": "a", "status": "pending"}]}, "Plan updated")),
        [Planned("plan", AT, TURN, None, [Step("a", "pending")])],
    ),
    "a plan that was refused": (calls("update_plan", {"plan": []}, "unsupported call: update_plan"), []),
    "a plan in words, the only item to 0.133": (
        (
            item("Plan", text="# Plan"),
            *calls("exec_command", {"cmd": "x"}, "Process exited with code 0\nOutput:\n"),
        ),
        [Planned("plan", AT, TURN, "# Plan", []), ran("x", "completed", 0, "")],
    ),
    "pictures": (
        (item("UserMessage", content=[{"type": "text", "text": "see"}, {"type": "local_image", "path": "/p"}]),),
        [Said("user", AT, TURN, "see\n[image]")],
    ),
    "pictures, earlier": (
        (event("user_message", message="see", images=["data:"], local_images=["/p"]),),
        [Said("user", AT, TURN, "see\n[image]\n[image]")],
    ),
    "a message in parts": (
        (item("AgentMessage", content=[{"type": "Text", "text": "a"}, {"type": "Text", "text": "b"}]),),
        [Said("agent", AT, TURN, "a\nb")],
    ),
    "taken back": ((event("thread_rolled_back", num_turns=2),), [Noted("note", AT, TURN, "turns taken back: 2")]),
    "what a review found": (
        (
            item(
                "ExitedReviewMode",
                review_output={"overall_explanation": "so", "findings": [{"title": "t", "body": "b\nc"}]},
            ),
        ),
        [Noted("note", AT, TURN, "review ended: so\n- t\nb\nc")],
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_everything_else(name: str) -> None:
    lines, expected = OTHERS[name]
    assert entries(*lines) == expected


def test_a_thread_that_a_newer_codex_went_on_with() -> None:
    """First events and calls, then items; what is said twice from then on counts once."""
    assert entries(
        event("user_message", message="one"),
        *calls("exec_command", {"cmd": "a"}, "Process exited with code 0\nOutput:\n"),
        event("agent_message", message="done"),
        item("UserMessage", content=[{"type": "text", "text": "two"}]),
        event("user_message", message="two"),
        *calls("exec_command", {"cmd": "b"}, "Process exited with code 0\nOutput:\n", "c2"),
        item("AgentMessage", content=[{"type": "Text", "text": "done too"}]),
        event("agent_message", message="done too"),
    ) == [
        Said("user", AT, TURN, "one"),
        ran("a", "completed", 0, ""),
        Said("agent", AT, TURN, "done"),
        Said("user", AT, TURN, "two"),
        Said("agent", AT, TURN, "done too"),
    ]


def test_how_turns_end() -> None:
    def last(*lines: bytes) -> Marked:
        found = entries(*lines, turns=True)[-1]
        assert isinstance(found, Marked)
        return found

    error = {"message": "it broke", "codex_error_info": "other"}
    assert last(event("task_complete", turn_id=TURN, duration_ms=5)).status == "completed"
    failed = last(event("task_complete", turn_id=TURN, error=error, duration_ms=5))
    assert (failed.kind, failed.status, failed.message, failed.duration_ms) == (
        "turn_ended",
        "failed",
        "it broke",
        5,
    )
    cut = last(event("turn_aborted", turn_id=TURN, reason="interrupted"))
    assert (cut.status, cut.message) == ("interrupted", None)
    assert last(event("turn_aborted", turn_id=TURN, reason="replaced")).message == "replaced"
    begun = calls("exec_command", {"cmd": "x"}, "")[0]
    assert last(begun, event("turn_aborted", turn_id=TURN, reason="interrupted")).status == "interrupted"
    ends = [event("task_complete", turn_id=TURN), event("turn_aborted", turn_id=TURN, reason="interrupted")]
    assert [entry.kind for entry in entries(*ends, turns=True)] == ["turn_started", "turn_ended"], "a late word"


# ---- what is no part of the conversation ----


def test_what_codex_puts_in_is_not_told() -> None:
    message = [{"type": "input_text", "text": "<environment_context>secret</environment_context>"}]
    assert (
        entries(
            response("message", role="developer", content=message),
            response("message", role="user", content=message),
            response("message", role="assistant", content=message),
            response("reasoning", summary=[]),
            event("token_count", info=None),
            event("agent_reasoning", text="hm"),
            line("turn_context", {"cwd": WORK, "user_instructions": "secret"}),
            line("world_state", {"state": "secret"}),
            line("something_new", {"type": "x"}),
            event("something_new"),
            item("Reasoning", summary_text=["hm"]),
            item("ContextCompaction"),
        )
        == []
    )


def test_history_copied_from_a_parent_is_not_told(tmp_path: Path) -> None:
    words = [{"type": "text", "text": "mine"}]
    theirs = [{"type": "text", "text": "the parent's"}]
    by_turn = [
        META,
        line("session_meta", {"id": "01a1fd66-0000-7d30-b781-b521de99b021", "cwd": "/elsewhere"}),
        event("task_started", turn_id=PARENT_TURN),
        event("user_message", message="the parent's"),
        item("UserMessage", PARENT_TURN, content=theirs),
        *calls("exec_command", {"cmd": "theirs"}, "Process exited with code 0\nOutput:\n"),
        event("turn_aborted", turn_id=PARENT_TURN, reason="interrupted"),
        STARTED,
        item("UserMessage", content=words),
        item("CommandExecution", PARENT_TURN, command="a late word of theirs"),
    ]
    talk = Conversation()
    found = [entry for data in by_turn for entry in talk.line(data)]
    assert [entry.kind for entry in found] == ["turn_started", "user"] and talk.thread_id == THREAD
    child = {"id": THREAD, "cwd": WORK, "source": {"subagent": {}}, "subagent_history_start_ordinal": 3}
    by_ordinal = [
        line("session_meta", child, 0),
        line("event_msg", {"type": "task_started", "turn_id": TURN}, 1),
        line(
            "event_msg",
            {"type": "item_completed", "turn_id": TURN, "item": {"type": "UserMessage", "content": theirs}},
            2,
        ),
        line(
            "event_msg",
            {"type": "item_completed", "turn_id": TURN, "item": {"type": "UserMessage", "content": words}},
            3,
        ),
    ]
    talk = Conversation()
    found = [entry for data in by_ordinal for entry in talk.line(data)]
    assert [entry.text for entry in found if isinstance(entry, Said)] == ["mine"]


# ---- files that are not as they should be ----


def test_a_torn_last_line_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(sample("0.169.0", "work").read_bytes()[:-1])
    talk = Conversation()
    assert [entry.kind for entry in talk.read(str(path))][-1] == "agent" and talk.bad_lines == 0
    path.write_bytes(b"")
    assert list(Conversation().read(str(path))) == []


def test_bad_lines_are_counted_and_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "LONGEST_LINE", 100_000)
    path = tmp_path / "r.jsonl"
    said = item("UserMessage", content=[{"type": "text", "text": "mine"}])
    path.write_bytes(
        META
        + STARTED
        + b"no JSON\n"
        + b"[]\n"
        + b'{"timestamp":"2026","type":"event_msg","payload":7}\n'
        + b"\xff\xfe\n"
        + b"[" * 50_000
        + b"\n\n"
        + said[:-1]
        + b" " * 250_000
        + b"\n"
        + b'{"timestamp":"2026-11-21T09:00:00.000Z","type":"event_m'
        + event("user_message", message="after a crash")
        + said
        + b'{"timestamp":"torn'
    )
    talk = Conversation()
    said_so_far = [entry.text for entry in talk.read(str(path)) if isinstance(entry, Said)]
    assert said_so_far == ["after a crash", "mine"]
    assert talk.bad_lines == 7
    assert told(path).endswith(f"* 7 lines of {path} could not be read\n")


def test_half_a_character_is_no_trouble() -> None:
    (found,) = entries(event("agent_message", message="a \ud800 b \udc00"))
    assert isinstance(found, Said)
    assert found.text.encode() == b"a ? b ?"


def test_a_compressed_rollout(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    path = sample("0.169.0", "recovered")
    packed = tmp_path / f"{path.name}.zst"
    data = zstandard.ZstdCompressor().compress(path.read_bytes())
    packed.write_bytes(data)
    assert list(Conversation().read(str(packed))) == list(Conversation().read(str(path)))
    packed.write_bytes(data[:-50] + b"x" * 50)
    talk = Conversation()
    list(talk.read(str(packed)))
    assert talk.bad_lines == 1
    with pytest.raises(FileNotFoundError):
        list(Conversation().read(str(tmp_path / "none.zst")))


def test_a_long_conversation_takes_little_memory(tmp_path: Path) -> None:
    """A hundred megabytes as text, in the memory of a few lines."""
    path = tmp_path / "r.jsonl"
    command = item(
        "CommandExecution", command="x", status="completed", exit_code=0, aggregated_output="y" * 500_000
    )
    with path.open("wb") as file:
        file.write(META + STARTED)
        for _ in range(200):
            file.write(command + response("message", role="user", content="z" * 10_000))
    program = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); from codex_agent import transcript\n"
        f"source = transcript.Source('0000000a', {THREAD!r}, {str(path)!r}, '/')\n"
        "chars = sum(map(len, transcript.text(source)))\n"
        # Not ru_maxrss: that of a process begun with vfork is at least its parent's.
        "print(chars, next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    chars, peak = map(int, done.stdout.split())
    assert 0 < chars < 300_000, "outputs are clipped"
    assert peak < 60 * 1024


# ---- as text ----


def text(*lines: bytes) -> str:
    return "".join(transcript.rendered(entries(*lines, turns=True), WORK))


def test_only_the_margin_is_ours() -> None:
    """What is said and printed can neither move a cursor nor pass for a line of ours."""
    shown = text(
        event("user_message", message="one\n\nyou: two\r\n$ three\x1b[2J"),
        event("agent_message", message="\nagent: \x07a\tb\n"),
        *calls(
            "exec_command",
            {"cmd": "cat <<E\n$ x\nE"},
            "Process exited with code 1\nOutput:\n-> exit 0\n\x1b]0;t\x07\n",
        ),
        event(
            "mcp_tool_call_end", invocation={"server": "a\n\x1byou: b", "tool": "c"}, result={"Err": "d\nyou: e"}
        ),
        event("patch_apply_end", status="completed", changes={f"{WORK}/a\nyou: b": {"type": "add"}}),
    )
    assert shown == (
        "you: one\n\n  you: two\n  $ three[2J\n"
        "agent: agent: a\tb\n"
        "$ cat <<E\n> $ x\n> E\n  -> exit 0\n  ]0;t\n-> exit 1\n"
        "used a you: b.c\n-> failed d you: e\n"
        "added a you: b\n"
    )


def test_long_output_is_cut_in_the_middle() -> None:
    lines = "".join(f"line {n}\n" for n in range(5000))
    shown = text(*calls("exec_command", {"cmd": "x"}, f"Process exited with code 0\nOutput:\n{lines}"))
    assert shown.splitlines()[:5] == ["$ x", "  line 0", "  line 1", "  line 2", "  line 3"]
    assert shown.splitlines()[-1] == "  line 4999" and len(shown.splitlines()) == 14
    (found,) = entries(*calls("exec_command", {"cmd": "x"}, f"Process exited with code 0\nOutput:\n{lines}"))
    assert isinstance(found, Ran) and found.output_chars == len(lines)
    assert found.output.startswith("line 0\n") and found.output.endswith("line 4999\n")
    assert f"... {len(lines) - 6000} characters left out ..." in found.output


# ---- a job's conversation ----


def test_output_transcript(cli: Cli, home: Home, model: ModelServer, repo: Path, every_codex: Codex) -> None:
    """By every Codex the same words, from a real job."""
    patch = "*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch"
    model.on(
        "%%talk", Reply.command("echo hello; exit 3"), Reply.patch(patch), Reply.message("All is done.\nReally.")
    )
    job_id = begin(cli, repo, "%%talk\nand more", "-s", "danger-full-access")
    ended(cli, job_id)
    assert cli("output", job_id, "--transcript").ok().out == (
        "you: %%talk\n  and more\n"
        "$ echo hello; exit 3\n  hello\n-> exit 3\n"
        "added made.txt\n"
        "agent: All is done.\n  Really.\n"
    )
    answer = cli("output", job_id, "--transcript", "--json").ok().json()
    schema.check(schema.COMMANDS["output --transcript"], answer)
    job = cli("status", job_id, "--json").json()
    assert (answer["id"], answer["thread_id"], answer["rollout"]) == (job_id, job["thread_id"], job["rollout"])
    assert [one["kind"] for one in answer["entries"]] == [
        "turn_started",
        "user",
        "command",
        "files",
        "agent",
        "turn_ended",
    ]


def test_while_it_works(cli: Cli, model: ModelServer, repo: Path) -> None:
    job_id = working(cli, model, repo, "%%still")
    assert cli("output", job_id, "--transcript").ok().out == "you: work %%still\n"
    cli("kill", job_id).ok()
    assert "* interrupted\n" in cli("output", job_id, "--transcript").ok().out


@pytest.fixture
def look(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(home, monkeypatch, capfd)


def kept(home: Home, *where: str, thread_id: str | None = THREAD, rollout: str | None = None) -> str:
    """An old job of that thread, whose rollout lies there below CODEX_HOME; its id."""

    def change(data: dict[str, Any]) -> None:
        data["request"]["codex_home"] = str(home.codex_home)
        data["request"]["cwd"] = WORK
        data["facts"]["thread_id"] = thread_id
        data["facts"]["rollout"] = rollout

    write_record(Store(str(home.agent_home)), "abc00001", change)
    if where:
        path = Path(home.codex_home, *where)
        path.parent.mkdir(parents=True)
        path.write_bytes(META + STARTED + event("agent_message", message="here it is"))
    return "abc00001"


def test_a_rollout_that_was_moved(home: Home, look: Here) -> None:
    """`codex archive` puts it elsewhere; the record still names the old place."""
    name = f"rollout-2026-11-21T09-18-42-{THREAD}.jsonl"
    job_id = kept(home, "archived_sessions", name, rollout=str(home.codex_home / "sessions" / name))
    assert look("output", job_id, "--transcript").ok().out == "agent: here it is\n"
    assert (
        look("output", job_id, "--transcript", "--json")
        .ok()
        .json()["rollout"]
        .endswith(f"archived_sessions/{name}")
    )


@pytest.mark.parametrize(
    ("thread_id", "words"), [(THREAD, "is not below"), (None, "has no conversation")], ids=["gone", "never"]
)
def test_no_rollout(thread_id: str | None, words: str, home: Home, look: Here) -> None:
    job_id = kept(home, thread_id=thread_id, rollout="/nowhere/at/all")
    answer = look("output", job_id, "--transcript", "--json")
    assert answer.rc == 4
    error = answer.json()["error"]
    assert error["code"] == "bad_state" and words in error["message"] and job_id in error["hint"]


def test_no_rollout_yet(home: Home) -> None:
    store = Store(str(home.agent_home))
    store.prepare()
    job_id, lock = store.reserve()

    def lives(data: dict[str, Any]) -> None:
        data["facts"] = {"started_at": AT}

    write_record(store, job_id, lives)
    try:
        with pytest.raises(BadState, match="no conversation yet"):
            transcript.source(store, job_id)
    finally:
        os.close(lock)


def test_one_thing_at_a_time(home: Home, look: Here) -> None:
    job_id = kept(home)
    for other in ("--events", "--result", "--prompt"):
        assert look("output", job_id, "--transcript", other).rc == 2


# ---- the screen of an interactive agent ----


def test_capture_of_an_interactive_agent_is_its_screen(home: Home, tmux_socket: str, look: Here) -> None:
    """As tmux renders it, colors or not, as long as it runs; afterwards what the log holds."""
    store = Store(str(home.agent_home))
    store.prepare()
    job_id, lock = store.reserve()

    def lives(data: dict[str, Any]) -> None:
        data["request"]["mode"] = "interactive"
        data["facts"] = {"started_at": AT, "tmux_socket": tmux_socket}

    write_record(store, job_id, lives)
    (home.jobs / f"{job_id}.log").write_text("an old line\nx\r\x1b[32ma bar\x1b[0m\n")
    script = "seq 1 90; printf 'gone\\r\\033[2K\\033[31mred\\033[0m word\\n'; exec sleep 600"
    session = f"codex-agent-{job_id}"
    tmux.open_session(tmux_socket, home.env, session, ["/bin/sh", "-c", script], "/")
    until(lambda: "red word" in tmux.screen(tmux_socket, session, 1, False), 10, "the screen")
    try:
        assert look("capture", job_id, "2").ok().out == "90\n\x1b[31mred\x1b[39m word\x1b[0m\n"
        assert look("capture", job_id, "3", "--clean").ok().out == "89\n90\nred word\n"
        lines = look("capture", job_id, "999", "--strip-ansi", "--json").ok().json()["lines"]
        assert lines == [*map(str, range(1, 91)), "red word"]
        tmux.kill_session(tmux_socket, session)
        gone = look("capture", job_id)
        assert gone.rc == 4 and "is gone" in gone.err
    finally:
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)
    assert look("capture", job_id, "1").ok().out == "x\r\x1b[32ma bar\x1b[0m\n"
    assert look("capture", job_id, "1", "--clean").ok().out == "a bar\n"
    assert look("output", job_id, "--clean").ok().out == "an old line\na bar\n"
    assert look("watch", job_id, "--clean").out == "an old line\na bar\n"
    assert record(home, job_id).facts.ended_at
