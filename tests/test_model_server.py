"""The scripted model against the real Codex CLI: every step does to Codex what its name says.

The rest of the suite stands on this server, so Codex is run directly here, without the project's other parts.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.home import make_codex_home
from codex_agent.demo.model_server import UNSCRIPTED, ModelServer, Step, Usage
from codex_agent.demo.scripts import TITLE_ANSWER, TITLE_REQUEST, default_usage, find_place, offer_of
from support import Codex, Home, until
from support import codex as real_codex

PATCH = "*** Begin Patch\n*** Add File: made.txt\n+hello\n*** End Patch"
PROVIDER = "model_providers.mock."
ONE_ATTEMPT = ("-c", PROVIDER + "request_max_retries=0", "-c", PROVIDER + "stream_max_retries=0")


@dataclass
class Exec:
    """Runs the real `codex exec --json` in this test's folders."""

    path: str
    work: Path
    env: dict[str, str]

    def start(self, prompt: str, *args: str) -> subprocess.Popen[str]:
        argv = [self.path, "exec", "--json", "--skip-git-repo-check", "-s", "workspace-write", *args, "-"]
        with tempfile.TemporaryFile("w+") as file:
            file.write(prompt)
            file.seek(0)
            return subprocess.Popen(
                argv,
                cwd=self.work,
                env=self.env,
                stdin=file,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def run(self, prompt: str, *args: str, timeout: float = 60) -> Ran:
        return finish(self.start(prompt, *args), timeout)


@dataclass
class Ran:
    rc: int
    events: list[dict[str, Any]]
    stderr: str

    def items(self, kind: str) -> list[dict[str, Any]]:
        done = [e["item"] for e in self.events if e["type"] == "item.completed"]
        return [item for item in done if item["type"] == kind]

    @property
    def words(self) -> list[str]:
        return [item["text"] for item in self.items("agent_message")]

    @property
    def error(self) -> str:
        failed = [e["error"]["message"] for e in self.events if e["type"] == "turn.failed"]
        assert len(failed) == 1, self.events
        return str(failed[0])


def finish(process: subprocess.Popen[str], timeout: float = 60) -> Ran:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, [json.loads(line) for line in out.splitlines()], err)


def make_exec(which: Codex, home: Home, tmp_path: Path) -> Exec:
    work = tmp_path / "work"
    work.mkdir()
    return Exec(which.path, work, home.env)


@pytest.fixture
def codex(home: Home, tmp_path: Path, model: ModelServer) -> Exec:
    return make_exec(real_codex("newest"), home, tmp_path)


# --- whole turns


# A model whose tools are plain calls, one Codex does not know (no apply_patch tool), and Codex's own default,
# which writes JavaScript ("code mode"): the same script has to do the same in all three.
@pytest.mark.parametrize("name", ["gpt-5.5", "no-such-model", ""])
def test_a_whole_turn(codex: Exec, home: Home, model: ModelServer, name: str) -> None:
    home.use_model(model.base_url, model=name)
    model.on(
        "%%turn",
        Step.all(Step.reasoning("First I look."), Step.message("I look."), Step.command("echo one", "/")),
        Step.patch(PATCH),
        Step.command("cat made.txt; exit 3"),
        Step.message("Made it."),
    )
    ran = codex.run("please %%turn")
    assert ran.rc == 0
    assert ran.words == ["I look.", "Made it."]
    assert [item["text"] for item in ran.items("reasoning")] == ["First I look."]
    commands = ran.items("command_execution")
    assert [(c["exit_code"], c["aggregated_output"]) for c in commands] == [(0, "one\n"), (3, "hello\n")]
    changed = [change for item in ran.items("file_change") for change in item["changes"]]
    assert changed == [{"path": str(codex.work / "made.txt"), "kind": "add"}]
    assert (codex.work / "made.txt").read_text() == "hello\n"
    usage = ran.events[-1]["usage"]
    steps = [default_usage(index) for index in range(4)]
    assert usage["input_tokens"] == sum(u.input for u in steps)
    assert usage["cached_input_tokens"] == sum(u.cached for u in steps)
    assert (usage["output_tokens"], usage["reasoning_output_tokens"]) == (4 * 40, 4 * 8)
    assert len(model.requests_for("%%turn")) == 4
    last = model.requests[-1]
    calls = [item["name"] for item in last["input"] if item["type"] in ("function_call", "custom_tool_call")]
    assert set(calls) <= offer_of(last, "").tools
    assert model.surprises == []


def test_every_codex_plays_a_script_to_its_end(
    every_codex: Codex, home: Home, model: ModelServer, tmp_path: Path
) -> None:
    model.on(
        "%%any",
        Step.plan(("make", "pending")),
        Step.patch(PATCH),
        Step.command("cat made.txt"),
        Step.message("ok"),
    )
    ran = make_exec(every_codex, home, tmp_path).run("%%any")
    assert (ran.rc, ran.words) == (0, ["ok"])
    assert [change["kind"] for item in ran.items("file_change") for change in item["changes"]] == ["add"]
    assert "hello" in json.dumps(model.requests[-1]["input"][-1])
    assert (len(model.requests), model.surprises) == (4, [])


def test_several_calls_in_one_reply_count_as_one_step(codex: Exec, model: ModelServer) -> None:
    both = Step.all(Step.command("sleep 0.2; echo slow"), Step.command("echo quick"))
    model.on("%%both", both, both, Step.message("end"))
    ran = codex.run("%%both")
    assert (ran.rc, ran.words) == (0, ["end"])
    assert len(ran.items("command_execution")) == 4
    assert len(model.requests) == 3


def test_a_plan_does_not_end_the_turn_whether_codex_knows_the_tool_or_not(codex: Exec, model: ModelServer) -> None:
    model.on("%%plan", Step.plan(("look", "completed"), ("write", "pending")), Step.message("planned"))
    ran = codex.run("%%plan")
    assert (ran.rc, ran.words) == (0, ["planned"])


def test_usage_can_be_set_for_a_script_and_for_a_step(codex: Exec, model: ModelServer) -> None:
    model.on(
        "%%usage",
        Step.command("true"),
        Step.message("x").using(Usage(input=7, cached=3, output=5, reasoning=2)),
        usage=Usage(input=100, output=10),
    )
    usage = codex.run("%%usage").events[-1]["usage"]
    assert (usage["input_tokens"], usage["cached_input_tokens"]) == (107, 3)
    assert (usage["output_tokens"], usage["reasoning_output_tokens"]) == (15, 2)


def test_a_prompt_without_a_script_gets_plain_words(codex: Exec, model: ModelServer) -> None:
    ran = codex.run("anything at all")
    assert (ran.rc, ran.words) == (0, [UNSCRIPTED])


def test_a_script_that_is_too_short_is_reported(codex: Exec, model: ModelServer) -> None:
    model.on("%%short", Step.command("true"))
    assert codex.run("%%short").rc == 0
    assert model.surprises == ["%%short: asked for step 2 of 1"]


def test_agents_side_by_side_do_not_mix(codex: Exec, model: ModelServer) -> None:
    for n in ("1", "12"):
        model.on(f"%%p-{n}", Step.command(f"echo {n}"), Step.message(f"I am {n}"))
    running = [codex.start(f"be %%p-{n}") for n in ("1", "12", "1")]
    ran = [finish(process) for process in running]
    assert [r.words for r in ran] == [["I am 1"], ["I am 12"], ["I am 1"]]
    assert [r.items("command_execution")[0]["aggregated_output"] for r in ran] == ["1\n", "12\n", "1\n"]


def test_a_resumed_thread_follows_its_newest_marker(codex: Exec, model: ModelServer) -> None:
    model.on("%%first", Step.command("true"), Step.message("one"), Step.message("two"))
    model.on("%%second", Step.message("other"))
    thread = codex.run("%%first").events[0]["thread_id"]
    assert codex.run("go on", "resume", thread).words == ["two"]
    assert codex.run("now %%second", "resume", thread).words == ["other"]


def test_a_prompt_of_a_million_characters_arrives(codex: Exec, model: ModelServer) -> None:
    prompt = "%%big " + "é" * 1_000_000
    model.on("%%big", Step.message("read"))
    assert codex.run(prompt).words == ["read"]
    assert model.requests[0]["input"][-1]["content"][0]["text"] == prompt


# --- waiting


def test_a_gate_holds_the_turn_until_it_opens(codex: Exec, model: ModelServer) -> None:
    gate = model.gate("middle")
    model.on("%%hold", Step.command("true"), Step.hold(gate, Step.message("through")))
    process = codex.start("%%hold")
    gate.reached()
    assert process.poll() is None
    gate.open()
    assert finish(process).words == ["through"]


def test_a_gate_nobody_reaches_is_an_error(model: ModelServer) -> None:
    with pytest.raises(TimeoutError, match="gate never"):
        model.gate("never").reached(0.05)


@pytest.mark.parametrize("kind", ["hold", "silent", "after"])
def test_a_codex_that_is_killed_leaves_no_reply_behind(codex: Exec, model: ModelServer, kind: str) -> None:
    before = threading.active_count()
    steps = {
        "hold": Step.hold(model.gate("g")),
        "silent": Step.silent(),
        "after": Step.message("late").after(600),
    }
    model.on("%%kill", steps[kind])
    process = codex.start("%%kill")
    until(lambda: model.requests, 20)
    process.send_signal(signal.SIGKILL)
    assert finish(process).rc == -signal.SIGKILL
    until(lambda: threading.active_count() == before, 20)


def test_closing_ends_open_replies(codex: Exec, model: ModelServer) -> None:
    before = threading.active_count()
    model.on("%%open", Step.silent())
    process = codex.start("%%open", *ONE_ATTEMPT, "--disable", "unbounded_connection_retries")
    until(lambda: model.requests, 20)
    model.close()
    until(lambda: threading.active_count() == before - 1, 20)  # the listener's own thread is gone, too
    assert finish(process).rc == 1


# --- going wrong

WRONG: dict[str, tuple[Step, str]] = {
    "401": (Step.http(401, {"error": {"message": "bad key"}}), "unexpected status 401 Unauthorized"),
    "429": (Step.http(429, "slow down", {"retry-after": "1"}), "exceeded retry limit, last status: 429"),
    "usage": (Step.http(429, {"error": {"type": "usage_limit_reached"}}), "hit your usage limit"),
    "400": (Step.http(400, {"error": {"message": "no good", "code": "x"}}), "no good"),
    "context": (Step.failed("context_length_exceeded"), "ran out of room in the model's context window"),
    "quota": (Step.failed("insufficient_quota"), "Quota exceeded"),
    "incomplete": (Step.incomplete(), "Incomplete response returned, reason: max_output_tokens"),
    "cut": (Step.cut(), "stream closed before response.completed"),
    "cut after words": (
        Step.all(Step.message("half"), Step.cut()),
        "stream closed before response.completed",
    ),
    "silent": (Step.silent(), "idle timeout waiting for SSE"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_reply_that_goes_wrong_fails_the_turn(codex: Exec, model: ModelServer, case: str) -> None:
    step, words = WRONG[case]
    model.on("%%wrong", Step.command("true"), step)
    patience = ("-c", PROVIDER + "stream_idle_timeout_ms=2000") if case == "silent" else ()
    ran = codex.run("%%wrong", *ONE_ATTEMPT, *patience)
    assert ran.rc == 1
    assert words in ran.error.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    assert len(model.requests) == 2


def test_a_repeated_request_gets_the_same_step_and_flaking_counts_attempts(
    codex: Exec, model: ModelServer
) -> None:
    model.on(
        "%%flaky",
        Step.command("echo once"),
        Step.flaking(2, Step.cut(), Step.message("in the end")),
    )
    for _ in range(2):  # every conversation has attempts of its own
        ran = codex.run("%%flaky")
        assert (ran.rc, ran.words) == (0, ["in the end"])
        assert len(ran.items("command_execution")) == 1
    assert len(model.requests) == 2 * 4


def test_a_server_that_refuses_comes_back_on_the_same_port(codex: Exec, model: ModelServer) -> None:
    port = model.port
    model.on("%%back", Step.message("there you are"))
    model.refuse()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    process = codex.start("%%back")
    assert process.stdout is not None
    seen: list[str] = []
    while not any("Reconnecting" in line for line in seen):
        seen.append(process.stdout.readline())
        assert seen[-1], "Codex ended without trying again"
    model.accept()
    assert model.port == port
    assert finish(process).words == ["there you are"]


# --- without Codex: what it does only sometimes


def post(model: ModelServer, data: bytes, **headers: str) -> str:
    request = urllib.request.Request(model.base_url + "/responses", data, headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def said(text: str = "words") -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}


def called(step: int, number: int = 0) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"call_{step}_{number}", "name": "x", "arguments": "{}"}


def answered(step: int, number: int = 0) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"call_{step}_{number}", "output": ""}


PLACES: list[tuple[list[dict[str, Any]], tuple[str, int] | None]] = [
    ([user("nothing")], None),
    ([user("do %%a")], ("%%a", 0)),
    ([user("do %%a-12")], ("%%a-12", 0)),
    ([user("%%a"), called(0), answered(0)], ("%%a", 1)),
    ([user("%%a"), said(), called(0), answered(0)], ("%%a", 1)),
    ([user("%%a"), called(0), said(), answered(0)], ("%%a", 1)),
    ([user("%%a"), called(0), called(0, 1), answered(0, 1), answered(0)], ("%%a", 1)),
    ([user("%%a"), called(0), answered(0), called(0, 1), answered(0, 1)], ("%%a", 1)),
    ([user("%%a"), called(0), answered(0), said()], ("%%a", 2)),
    (
        [user("%%a"), called(0), answered(0), {"type": "reasoning"}, said(), called(1), answered(1)],
        ("%%a", 2),
    ),
    ([user("%%a"), said(), user("more"), said(), user("and more")], ("%%a", 2)),
    ([user("%%a"), called(0), answered(0), user("steered")], ("%%a", 1)),
    ([user("%%a"), called(0), answered(0), user("<environment_context>"), user("%%a-12")], ("%%a-12", 0)),
    ([user("%%a"), {**said(), "content": [{"type": "output_text", "text": "%%a-12"}]}], ("%%a", 1)),
]


@pytest.mark.parametrize("case", range(len(PLACES)))
def test_where_a_request_stands(case: int) -> None:
    items, place = PLACES[case]
    assert find_place({"input": items}, ["%%a", "%%a-12"]) == place


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_a_compressed_body_is_read(model: ModelServer, encoding: str) -> None:
    import zstandard

    model.on("%%packed", Step.message("unpacked"))
    data = json.dumps({"input": [user("%%packed")]}).encode()
    packed = gzip.compress(data) if encoding == "gzip" else zstandard.compress(data)
    assert "unpacked" in post(model, packed, **{"content-encoding": encoding})


def test_a_request_for_a_title_gets_one_and_does_not_count_as_the_task(model: ModelServer) -> None:
    model.on("%%task", Step.message("the task's answer"))
    prompt = f"{TITLE_REQUEST} of at most 36 characters for: %%task"
    assert TITLE_ANSWER in post(model, json.dumps({"input": [user(prompt)]}).encode())


def test_what_cannot_be_read_is_refused_and_reported(model: ModelServer) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        post(model, b"{")
    assert len(model.surprises) == 1


def test_models_are_listed_and_other_paths_are_not_there(model: ModelServer) -> None:
    with urllib.request.urlopen(model.base_url + "/models?client_version=1", timeout=10) as answer:
        assert json.loads(answer.read())["models"] == []
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(model.base_url + "/files", timeout=10)


# --- the home


def test_the_home_holds_one_private_file(tmp_path: Path) -> None:
    make_codex_home(tmp_path / "h", "http://127.0.0.1:1/v1")
    assert os.listdir(tmp_path / "h") == ["config.toml"]
    assert (tmp_path / "h").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "h" / "config.toml").stat().st_mode & 0o777 == 0o600


def test_codex_in_this_home_goes_nowhere_but_to_the_model(codex: Exec, home: Home, model: ModelServer) -> None:
    """Every way out is a proxy that only counts: without `plugins = false` Codex's git comes by at once."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.setblocking(False)
        way_out = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        env = dict.fromkeys(("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY"), way_out)
        env["NO_PROXY"] = env["no_proxy"] = "127.0.0.1"
        home.env.update(env)
        model.on("%%alone", Step.command("true").after(1.5), Step.message("alone"))
        assert codex.run("%%alone").words == ["alone"]
        with pytest.raises(BlockingIOError):
            proxy.accept()
