"""What people and programs type wrongly, and records that others broke: a clear error, and nothing else happens.

Most of it fails before anything would start, so it runs in this process (``call``), which takes milliseconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.store import Store
from support import Cli, Home, Result
from support.cli import COMMAND
from support.jobs import Here, begin, ended, record, see, user_texts, write_record

LIMIT = 1_048_576


@pytest.fixture
def call(home: Home, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Here:
    return Here(home, monkeypatch, capfd)


def refused(answer: Result, exit_code: int, code: str, *words: str) -> dict[str, Any]:
    """The error of a call with --json, which holds every one of these words."""
    assert answer.rc == exit_code, str(answer)
    assert list(answer.json()) == ["error"], "one object and nothing beside it"
    assert "Traceback" not in answer.err, answer.err
    error = answer.json()["error"]
    assert isinstance(error, dict) and error["code"] == code, error
    assert error["message"] and "hint" in error
    for word in words:
        assert word in f"{error['message']} {error['hint']}", (word, error)
    return error


def nothing_started(home: Home, model: ModelServer | None = None) -> None:
    assert not [path for path in home.jobs.glob("*") if path.name != ".settle.lock"]
    assert "codex-agent-" not in home.tmux("ls").stdout
    assert model is None or not model.requests


# ---- words ----


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frobnicate"], "frobnicate"),
        (["fix it"], 'codex-agent start "..."'),
        (["fix", "it"], "No such command 'fix'"),
        (["--bogus"], "--bogus"),
        (["jobs", "--bogus"], "codex-agent jobs --help"),
        (["start", "x", "--bogus"], "--bogus"),
        (["start", "--bogus"], 'codex-agent start -- "-..."'),
        (["start", "fix", "it"], "it"),
        (["start", "-fix it"], "--"),
        (["start", "x", "--model"], "--model"),
        (["status"], "ID"),
        (["wait"], "ID"),
        (["config", "frobnicate"], "frobnicate"),
        (["start", "x", "--gate", "a b"], "'a b' cannot be a gate's name"),
        (["start", "x", "--max-parallel", "-1"], "--max-parallel"),
        (["gate", "frobnicate"], "frobnicate"),
        (["gate", "run", "gpu"], "CMD..."),
        (["gate", "run", "gpu", "ls", "-l"], "codex-agent gate run NAME -- COMMAND -..."),
        (["capture", "x", "many"], "many"),
        (["capture", "x", "0"], "0"),
        (["jobs", "--limit", "0"], "--limit"),
        (["jobs", "--limit", "-3"], "--limit"),
        (["jobs", "--status", "sleeping"], "pending, queued, running, completed, failed, interrupted"),
        (["wait", "x", "--any", "--all"], "opposites"),
        (["wait", "x", "--timeout", "soon"], "soon"),
        (["wait", "x", "--timeout", "-1"], "--timeout"),
        (["output", "x", "--events", "--result"], "exclude"),
        (["clean", "--older-than", "a while"], "7d"),
        (["clean", "--older-than", "-1d"], "-1d"),
        (["wait", "x", "--until", "tomorrow"], "end, turn, approval"),
        (["wait", "--until", "turn"], "ID"),
        (["send"], "ID"),
        (["send", "x", "two", "messages"], "messages"),
        (["send", "x", "-y"], 'codex-agent send ID -- "-..."'),
        (["send", "x", "y", "--queue", "--interrupt"], "exclude"),
        (["send", "x", "y", "--timeout", "5"], "--wait"),
        (["send", "x", "y", "--wait", "--timeout", "-1"], "--timeout"),
        (["send", "x", "y", "--wait", "--timeout", "5m"], "5m"),
        (["await-turn"], "ID"),
        (["await-turn", "x", "y"], "y"),
        (["await-turn", "x", "--timeout", "-1"], "--timeout"),
        (["await-turn", "x", "--timeout", "soon"], "soon"),
        (["interrupt"], "ID"),
        (["approvals", "--bogus"], "codex-agent approvals --help"),
        (["approve"], "ID"),
        (["approve", "x", "first"], "first"),
        (["approve", "x", "0"], "0"),
        (["approve", "x", "1", "2"], "2"),
        (["deny", "x", "0"], "0"),
        (["deny", "x", "--message", " \n"], "message is empty"),
        (["answer", "x"], "ANSWER..."),
        (["answer", "x", "-3"], 'codex-agent answer ID -- "-..."'),
        (["answer", "x", "1", "-n", "0"], "-n"),
        (["answer", "x", "1", "-n", "one"], "one"),
        (["keys", "x"], "KEY..."),
        (["keys", "x", ""], "no key"),
        (["keys", "x", "-l"], 'codex-agent keys ID -- "-..."'),
        (["exit"], "ID"),
        (["exit", "x", "--now"], "--now"),
    ],
)
def test_wrong_words(words: list[str], told: str, call: Here, home: Home) -> None:
    refused(call(*words, "--json"), 2, "usage", told)
    nothing_started(home)


def test_an_unknown_command_in_text(cli: Cli, home: Home) -> None:
    """What a person sees: the sentence and what to do, on stderr, and nothing on stdout."""
    answer = cli("fix it")
    assert (answer.rc, answer.out) == (2, "")
    assert answer.err.splitlines()[0] == "codex-agent: No such command 'fix it'."
    assert 'codex-agent start "..."' in answer.err
    nothing_started(home)


def test_json_after_the_dashes_is_a_prompt(call: Here, home: Home) -> None:
    answer = call("start", "--dry-run", "--skip-git-repo-check", "--", "--json").ok()
    assert answer.out == "--json\n"
    wrong = call("start", "--timeout", "soon", "--", "--json")
    assert (wrong.rc, wrong.out) == (2, "") and "soon" in wrong.err


def test_no_words_show_the_help(call: Here) -> None:
    answer = call()
    assert answer.rc == 2 and "Usage: codex-agent" in answer.out and "Traceback" not in answer.err


# ---- values of start ----


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--timeout", "soon"], "--timeout: 'soon'"),
        (["--timeout", "-5"], "--timeout"),
        (["--timeout", "1w"], "90s, 10m, 2h or 7d"),
        (["--timeout", "nan"], "--timeout"),
        (["--timeout", "9" * 400], "--timeout"),
        (["--max-time", "5 minutes"], "--max-time"),
        (["--max-time", "9999999d"], "--max-time"),
        (["--sandbox", "yolo"], "read-only, workspace-write or danger-full-access"),
        (["--sandbox", ""], "--sandbox"),
        (["--model", ""], "--model"),
        (["--model", "a b"], "--model"),
        (["--reasoning", "very much"], "--reasoning"),
        (["-c", "novalue"], "KEY=VALUE"),
        (["-c", "=x"], "KEY=VALUE"),
        (["--add-dir", "nowhere"], "nowhere"),
        (["--add-dir", "plain.txt"], "not a directory"),
        (["--image", "nowhere.png"], "nowhere.png"),
        (["--output-schema", "nowhere.json"], "nowhere.json"),
        (["--output-schema", "plain.txt"], "JSON"),
        (["--output-schema", "list.json"], "JSON"),
        (["--profile", "nobody"], "nobody"),
        (["--profile", ""], "profile"),
        (["--prompt-file", "plain.txt"], "two prompts"),
        (["--notify-on-complete", "say 'so"], "--notify-on-complete"),
        (["--notify-on-complete", " "], "--notify-on-complete"),
        (["--file", "../*"], "working directory"),
        (["--file", "/etc/passwd"], "working directory"),
        (["--file", "!"], "no glob"),
        (["--interactive", "--one-shot"], "opposites"),
        (["--plain"], "--plain"),
        (["--idle-exit", "30"], "--idle-exit"),
        (["--idle-exit", "off"], "--interactive"),
        (["--approval", "on-request"], "cannot ask"),
        (["--approval", "whatever"], "--interactive"),
        (["--interactive", "--idle-exit", "soon"], "--idle-exit: 'soon'"),
        (["--interactive", "--idle-exit", "-1"], "--idle-exit"),
        (["--interactive", "--idle-exit", ""], "--idle-exit"),
        (["--interactive", "--approval", "whatever"], "whatever"),
        (["--interactive", "--approval", ""], "approval"),
        (["--interactive", "--approval", "yolo"], "danger-full-access"),
        (["--interactive", "--plain", "--approval", "untrusted"], "--plain"),
        (["--name", ""], "name"),
        (["--name", " x"], "name"),
        (["--name=-x"], "name"),
        (["--name", "a\nb"], "name"),
        (["--name", "a\x1b[2J"], "name"),
        (["--name", "n" * 65], "64"),
        (["--name", "deadbeef"], "beginning of a job id"),
        (["--name", "be"], "beginning of a job id"),
        (["-d", ""], "is empty"),
    ],
    ids=lambda value: ascii(" ".join(value))[1:30] if isinstance(value, list) else "",
)
def test_bad_values_of_start(options: list[str], told: str, call: Here, home: Home, repo: Path) -> None:
    (repo / "plain.txt").write_text("This is no JSON, and no folder.\n")
    (repo / "list.json").write_text("[1, 2]\n")
    answer = call("start", "x", "--json", *options, cwd=repo)
    refused(answer, 2, "usage", told)
    nothing_started(home)


@pytest.mark.parametrize("prompt", ["", "   \n\t "])
def test_an_empty_prompt(prompt: str, cli: Cli, home: Home, repo: Path) -> None:
    refused(cli("start", prompt, "-d", str(repo), "--json"), 2, "usage", "empty")
    refused(cli("start", "-", "-d", str(repo), "--json", stdin=prompt), 2, "usage", "empty")
    nothing_started(home)


def test_no_prompt_at_all(call: Here, home: Home, repo: Path) -> None:
    refused(call("start", "-d", str(repo), "--json"), 2, "usage", "no prompt", "--prompt-file")
    nothing_started(home)


def test_a_prompt_file_that_is_not_there(call: Here, home: Home, repo: Path) -> None:
    refused(call("start", "--prompt-file", "gone.md", "-d", str(repo), "--json"), 2, "usage", "gone.md")
    nothing_started(home)


@pytest.mark.parametrize("way", ["stdin", "file"])
def test_a_prompt_of_2_mb(way: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    text = "long " * 400_000
    answer = cli("start", *hand_over(way, text, repo), "--json", cwd=repo, stdin=text if way == "stdin" else None)
    error = refused(answer, 2, "prompt_too_long", f"{LIMIT:,}")
    assert error["limit"] == LIMIT and answer.seconds < 5
    nothing_started(home, model)


def hand_over(way: str, text: str, folder: Path) -> list[str]:
    """The words with which ``start`` gets this prompt; on stdin it has to be given beside them."""
    if way == "stdin":
        return ["-"]
    (folder / "task.md").write_bytes(text.encode())
    return ["--prompt-file", str(folder / "task.md")]


@pytest.mark.parametrize("way", ["stdin", "file"])
def test_a_prompt_of_1_mb(way: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """As many characters as Codex takes, a part of them wider than a byte, and the model gets every one."""
    head = f"%%one-mb-{way} "
    text = head + ("é" * 99 + "\n") * ((LIMIT - len(head)) // 100)
    text += "z" * (LIMIT - len(text))
    model.on(f"%%one-mb-{way}", Step.message("read it all"))
    job = cli(
        *("start", *hand_over(way, text, repo), "--json", "--wait"),
        cwd=repo,
        stdin=text if way == "stdin" else None,
    )
    assert job.ok().json()["summary"] == "read it all"
    assert text in user_texts(model.requests_for(f"%%one-mb-{way}")[0])
    assert len(job.json()["prompt"]) == 100
    assert record(home, job.json()["id"]).request.prompt_chars == LIMIT


def test_a_prompt_that_starts_with_a_dash(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%dash", Step.message("dashed"))
    answer = cli("start", "-d", str(repo), "--json", "--wait", "--", "-x --%%dash")
    assert answer.ok().json()["prompt"] == "-x --%%dash"
    assert "-x --%%dash" in user_texts(model.requests_for("%%dash")[0])


ODD = """%%odd 'single' "double" `back` $HOME $(touch ran) ${x} ; rm -rf nothing & \\ \\n %s {} !! #
second line\twith a tab, \r\n a line of Windows, café, 日本語, 👩‍👩‍👧‍👦 🧨, \x1b[31mred\x1b[0m, -- --json\n\n"""


@pytest.mark.parametrize("way", ["argument", "stdin", "file"])
def test_an_odd_prompt_arrives_exactly(way: str, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Quotes, newlines, emoji, control characters; NUL where it can be given at all (no argument can hold one)."""
    text = ODD if way == "argument" else ODD + "NUL \0 within"
    model.on("%%odd", Step.message("odd"))
    words = [text] if way == "argument" else hand_over(way, text, repo.parent)
    answer = cli("start", *words, "-d", str(repo), "--json", "--wait", stdin=text if way == "stdin" else None)
    job = answer.ok().json()
    assert text in user_texts(model.requests_for("%%odd")[0])
    assert job["prompt"] == text[:100]
    assert not (repo / "ran").exists()
    prompt = cli("output", job["id"], "--prompt", "--json").ok().json()["text"]
    assert prompt == text
    cli("status", job["id"]).ok()
    cli("jobs").ok()


def test_stdin_that_is_not_utf_8(cli: Cli, home: Home, repo: Path) -> None:
    answer = cli("start", "-", "-d", str(repo), "--json", stdin="caf\udce9")
    refused(answer, 2, "usage", "UTF-8", "byte 3")
    nothing_started(home)


def test_an_argument_that_is_not_utf_8(call: Here, home: Home, repo: Path) -> None:
    refused(call("start", "caf\udce9", "-d", str(repo), "--json"), 2, "usage", "UTF-8")
    nothing_started(home)


# ---- messages ----


def test_bad_messages(call: Here, home: Home, repo: Path) -> None:
    """Wrong in themselves, whatever the job does."""
    write_record(Store(str(home.agent_home)), "abc00001")
    (repo / "message.md").write_bytes(b"caf\xe9")
    (repo / "empty.md").write_bytes(b" \n")
    for words, told in (
        ([], "no message"),
        (["x", "--file", "message.md"], "two messages"),
        ([""], "The message is empty"),
        ([" \n"], "The message is empty"),
        (["caf\udce9"], "The message is not UTF-8"),
        (["--file", "message.md"], "message.md is not UTF-8: byte 3"),
        (["--file", "empty.md"], "empty.md is empty"),
        (["--file", "gone.md"], "gone.md cannot be read"),
        (["--file", "."], "cannot be read"),
    ):
        refused(call("send", "abc00001", *words, "--json", cwd=repo), 2, "usage", told)


@pytest.mark.parametrize("text", ["", " \n", "caf\udce9"])
def test_bad_messages_on_stdin(text: str, cli: Cli, home: Home) -> None:
    write_record(Store(str(home.agent_home)), "abc00001")
    refused(cli("send", "abc00001", "-", "--json", stdin=text), 2, "usage", "The message on stdin")
    refused(cli("send", "abc00001", "--file", "-", "--json", stdin=text), 2, "usage", "The message on stdin")


def test_a_message_of_2_mb(cli: Cli, home: Home) -> None:
    write_record(Store(str(home.agent_home)), "abc00001")
    answer = cli("send", "abc00001", "-", "--json", stdin="long " * 400_000)
    error = refused(answer, 2, "prompt_too_long", "The message has", f"{LIMIT:,}")
    assert error["limit"] == LIMIT


# ---- folders and files ----


def test_directories_that_are_none(call: Here, home: Home, repo: Path) -> None:
    refused(call("start", "x", "-d", "nowhere", "--json"), 2, "usage", "does not exist", "nowhere")
    refused(call("start", "x", "-d", str(repo / "README.md"), "--json"), 2, "usage", "not a directory")
    nothing_started(home)


def test_a_glob_that_matches_nothing(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """A notice, and the agent starts all the same."""
    model.on("%%no-match", Step.message("went on"))
    answer = cli("start", "%%no-match", "-d", str(repo), "-f", "*.nothing", "--wait")
    assert answer.ok().err.splitlines()[0] == 'note: "*.nothing" matches nothing.'
    assert "went on" in answer.out
    job = cli("jobs", "--json").json()["jobs"][0]
    assert job["warnings"] == ['"*.nothing" matches nothing.'] and job["status"] == "completed"


def test_a_glob_that_leads_outside(call: Here, home: Home, repo: Path) -> None:
    (repo.parent / "secret.txt").write_text("not yours\n")
    for glob in ("../secret.txt", str(repo.parent / "secret.txt"), "sub/../../*.txt"):
        refused(call("start", "x", "-d", str(repo), "-f", glob, "--json"), 2, "usage", "working directory")
    nothing_started(home)


# ---- references ----


def test_a_job_that_is_not_there(call: Here, home: Home) -> None:
    looking = ("status", "wait", "capture", "output", "watch", "attach", "kill", "delete")
    talking = ("await-turn", "interrupt", "approvals", "approve", "deny", "exit")
    with_words = (("send", "hello"), ("answer", "1"), ("keys", "Enter"))
    for command, *more in (*((name,) for name in (*looking, *talking)), *with_words):
        error = refused(call(command, "01234567", *more, "--json"), 3, "not_found", "01234567")
        assert error["id"] == "01234567"
    assert call("status", "nobody").err.startswith("codex-agent: No job 'nobody'.")
    assert not home.jobs.exists(), "looking makes nothing"


def test_an_ambiguous_prefix(call: Here, home: Home) -> None:
    store = Store(str(home.agent_home))
    for job_id in ("abc00001", "abc00002", "abd00003"):
        write_record(store, job_id)
    error = refused(call("status", "abc", "--json"), 3, "ambiguous", "abc00001", "abc00002")
    assert error["matches"] == ["abc00001", "abc00002"]
    assert call("status", "abd", "--json").ok().json()["id"] == "abd00003"
    refused(call("wait", "abd", "ab", "--json"), 3, "ambiguous")
    refused(call("status", "", "--json"), 3, "not_found")


# ---- records ----


WHOLE = json.dumps({"version": 1, "id": "bad00000", "name": None})
BROKEN: dict[str, bytes] = {
    "empty": b"",
    "truncated": WHOLE[:-9].encode(),
    "text": b"I am not JSON.\n",
    "binary": bytes(range(256)),
    "list": b"[]",
    "number": b"5",
    "keys missing": WHOLE.encode(),
    "deep": b"[" * 100_000,
    "no version": b'{"id": "bad00000"}',
    "version 0": b'{"version": 0}',
    "version text": b'{"version": "1"}',
}
WRONG: dict[str, Callable[[dict[str, Any]], object]] = {
    "wrong id": lambda data: data.update(id="abc00001"),
    "id a number": lambda data: data.update(id=5),
    "name a number": lambda data: data.update(name=5),
    "created never": lambda data: data.update(created_at="yesterday"),
    "request text": lambda data: data.update(request="x"),
    "facts null": lambda data: data.update(facts=None),
    "cwd a number": lambda data: data["request"].update(cwd=7),
    "chars text": lambda data: data["request"].update(prompt_chars="many"),
    "argv of numbers": lambda data: data["request"].update(argv=[1]),
    "sandbox missing": lambda data: data["request"].pop("sandbox"),
    "turn a list": lambda data: data["facts"].update(turn=[]),
    "turn null": lambda data: data["facts"].update(turn=None),
    "turn state": lambda data: data["facts"]["turn"].update(state="dreaming"),
    "tokens text": lambda data: data["facts"].update(tokens={"input": "x"}),
    "files of numbers": lambda data: data["facts"].update(files=[1]),
    "ended sometime": lambda data: data["facts"].update(ended_at="sometime"),
    "warnings of lists": lambda data: data["facts"].update(warnings=[["x"]]),
}


@pytest.mark.parametrize("name", [*BROKEN, *WRONG])
def test_a_malformed_record(name: str, call: Here, home: Home) -> None:
    """Named, kept byte for byte, and the others are listed as if it were not there."""
    store = Store(str(home.agent_home))
    write_record(store, "abc00001")
    bad = write_record(store, "bad00000", WRONG.get(name))
    if name in BROKEN:
        bad.write_bytes(BROKEN[name])
    before = bad.read_bytes()

    listed = call("jobs", "--json").ok().json()
    assert [job["id"] for job in listed["jobs"]] == ["abc00001"]
    problem = listed["problems"][0]
    assert (problem["id"], problem["file"], problem["code"]) == ("bad00000", str(bad), "record_unreadable")
    assert len(listed["problems"]) == 1 and "cannot be read" in problem["message"]
    text = call("jobs").ok()
    assert "abc00001" in text.out and str(bad) in text.err
    error = refused(call("status", "bad", "--json"), 1, "record_unreadable", str(bad))
    assert error["file"] == str(bad)
    assert call("clean", "--older-than", "0", "--json").ok().json()["jobs"][0]["id"] == "abc00001"
    assert bad.read_bytes() == before


def test_nothing_touches_a_malformed_record(call: Here, home: Home) -> None:
    store = Store(str(home.agent_home))
    bad = write_record(store, "bad00000")
    bad.write_bytes(b'{"half')
    (home.jobs / "bad00000.log").write_text("what it showed\n")
    for command in ("wait", "kill", "delete", "attach", "watch"):
        refused(call(command, "bad00000", "--json"), 1, "record_unreadable", str(bad))
    assert call("capture", "bad00000").ok().out == "what it showed\n"
    assert bad.read_bytes() == b'{"half'


def test_a_reason_this_version_does_not_know(call: Here, home: Home) -> None:
    """Not malformed: the job is told as what is known of it."""
    store = Store(str(home.agent_home))
    write_record(store, "abc00001", lambda data: data["facts"].update(stop_reason="boredom", exit_code=None))
    job = call("status", "abc00001", "--json").ok().json()
    assert (job["status"], job["failure"]["reason"]) == ("interrupted", "boredom")
    assert "boredom" in job["failure"]["message"]


def test_a_record_of_a_newer_version(call: Here, home: Home) -> None:
    store = Store(str(home.agent_home))
    write_record(store, "abc00001")
    new = write_record(store, "fee00000", lambda data: data.update(version=2, facts="quite another shape"))
    before = new.read_bytes()
    listed = call("jobs", "--json").ok().json()
    assert [job["id"] for job in listed["jobs"]] == ["abc00001"]
    assert [problem["code"] for problem in listed["problems"]] == ["record_too_new"]
    refused(call("status", "fee00000", "--json"), 1, "record_too_new", "version 2", "newer codex-agent")
    refused(call("delete", "fee00000", "--json"), 1, "record_too_new")
    call("clean", "--older-than", "0").ok()
    assert new.read_bytes() == before


# ---- the home ----

# Root passes every mode; without this one capability it is a user like others.
WITHOUT_OVERRIDE = (
    sys.executable,
    "-c",
    "import ctypes, os, sys; libc = ctypes.CDLL(None);"
    "[libc.prctl(24, number, 0, 0, 0) for number in (1, 2)] if os.getuid() == 0 else None;"
    "os.execv(sys.argv[1], sys.argv[1:])",
)


def bound_by_modes(home: Home, *args: str, **env: str) -> Result:
    """One call as somebody whom file modes bind, root or not."""
    done = subprocess.run(
        [*WITHOUT_OVERRIDE, *COMMAND, *args],
        env=home.env | env,
        cwd=home.root,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Result(args, done.returncode, done.stdout, done.stderr, 0)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops capabilities the Linux way")
def test_a_jobs_folder_that_cannot_be_written(home: Home, model: ModelServer, repo: Path) -> None:
    write_record(Store(str(home.agent_home)), "abc00001")
    home.jobs.chmod(0o500)
    start = bound_by_modes(home, "start", "x", "-d", str(repo), "--json")
    refused(start, 1, "store_unwritable", str(home.jobs), "CODEX_AGENT_HOME")
    assert not model.requests and "codex-agent-" not in home.tmux("ls").stdout
    listed = bound_by_modes(home, "jobs", "--json").ok().json()
    assert [job["id"] for job in listed["jobs"]] == ["abc00001"], "reading needs no writing"
    health = bound_by_modes(home, "health", "--json")
    check = next(one for one in health.json()["checks"] if one["name"] == "home")
    assert health.rc == 5 and not check["ok"] and "CODEX_AGENT_HOME" in check["fix"]
    refused(bound_by_modes(home, "delete", "abc00001", "--json"), 1, "store_unwritable")
    assert (home.jobs / "abc00001.json").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="drops capabilities the Linux way")
def test_a_jobs_folder_that_cannot_be_read(home: Home) -> None:
    write_record(Store(str(home.agent_home)), "abc00001")
    home.jobs.chmod(0)
    for command in (["jobs"], ["status", "abc00001"], ["sessions"], ["clean"]):
        answer = bound_by_modes(home, *command, "--json")
        refused(answer, 1, "store_unwritable", str(home.jobs))
    home.jobs.chmod(0o700)


def test_a_home_that_cannot_be(call: Here, home: Home, repo: Path) -> None:
    """Below a regular file, which not even root can write to."""
    env = {"CODEX_AGENT_HOME": str(repo / "README.md" / "agents")}
    start = call("start", "x", "-d", str(repo), "--json", env=env)
    refused(start, 1, "store_unwritable", "README.md", "CODEX_AGENT_HOME")
    refused(call("jobs", "--json", env=env), 1, "store_unwritable", "README.md", "CODEX_AGENT_HOME")
    assert call("health", env=env).rc == 5
    assert (repo / "README.md").is_file() and "codex-agent-" not in home.tmux("ls").stdout


def test_without_a_home_of_its_own(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """CODEX_AGENT_HOME not set: `.codex-agent` in HOME."""
    model.on("%%default-home", Step.message("at home"))
    del home.env["CODEX_AGENT_HOME"]
    job = ended(cli, begin(cli, repo, "%%default-home"))
    assert job["summary"] == "at home"
    assert (home.path / ".codex-agent" / "jobs" / f"{job['id']}.json").is_file()


def test_a_home_with_a_very_long_path(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Longer than any socket's path may be, with a space and a quote in it."""
    long = home.root.joinpath("it's a", *["very" * 15] * 4, "long one")
    assert len(str(long)) > 200
    model.on("%%long-home", Step.message("far away"))
    home.env["CODEX_AGENT_HOME"] = str(long)
    job = ended(cli, begin(cli, repo, "%%long-home"))
    assert (job["status"], job["summary"]) == ("completed", "far away")
    assert (long / "jobs" / f"{job['id']}.json").is_file()
    assert see(cli, job["id"][:7])["id"] == job["id"]


# ---- settings ----


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('modle = "x"', ["line 2", "modle", "model"]),
        ('sandbox = "none"', ["line 2", "sandbox", "workspace-write"]),
        ("jobs_limit = 0", ["line 2", "jobs_limit", "1 to 1000000"]),
        ("model = ", ["line 2", "TOML"]),
    ],
)
def test_a_wrong_settings_file(line: str, words: list[str], call: Here, home: Home, repo: Path) -> None:
    path = Path(call("config", "path").ok().out.strip())
    path.parent.mkdir(parents=True)
    path.write_text(f"# mine\n{line}\n")
    for command in (["start", "x", "-d", str(repo)], ["jobs"], ["config", "show"]):
        error = refused(call(*command, "--json"), 2, "settings", str(path), *words)
        assert (error["file"], error["line"]) == (str(path), 2)
    health = call("health", "--json")
    check = next(one for one in health.json()["checks"] if one["name"] == "settings")
    assert health.rc == 5 and not check["ok"] and str(path) in check["detail"]
    nothing_started(home)


def test_a_wrong_variable(call: Here, home: Home, repo: Path) -> None:
    env = {"CODEX_AGENT_TIMEOUT_MIN": "soon"}
    start = call("start", "x", "-d", str(repo), "--json", env=env)
    refused(start, 2, "settings", "CODEX_AGENT_TIMEOUT_MIN", "soon")
    refused(call("config", "set", "jobs_limit", "many", "--json"), 2, "settings", "jobs_limit", "many")
    refused(call("config", "set", "nonsense", "1", "--json"), 2, "settings", "nonsense")
    assert not os.path.exists(call("config", "path").ok().out.strip())
    nothing_started(home)
