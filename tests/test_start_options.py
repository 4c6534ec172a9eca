"""What ``start`` is asked for is what Codex does: every option, the environment, and one turn of every Codex."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, Seen, processes_with, until
from support.cli import COMMAND
from support.jobs import Place, begin, ended, place, record, see, user_texts
from support.material import ANSWER_SCHEMA, picture

# ---- many options at once, and what became of each ----


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """A folder not below /tmp, which Codex's workspace-write leaves open."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-test-", dir="/var/tmp") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """One job that was given nearly every option, and has ended."""
    with place(tmp_path_factory.mktemp("asked")) as here:
        repo, root = here.repo, here.home.root
        (repo / "src").mkdir()
        (repo / "docs").mkdir()
        (elsewhere / "other").mkdir()
        (repo / "src" / "a.py").write_text("print('a')\n")
        (repo / "src" / "b.py").write_text("print('b')\n")
        (repo / "src" / "c.bin").write_bytes(b"\0\1\2")
        (repo / "docs" / "ARCHITECTURE.md").write_text("# How it is built\n")
        (repo / "pixel.png").write_bytes(picture())
        (root / "answer.json").write_text(json.dumps(ANSWER_SCHEMA))
        tries = f"touch here; touch {elsewhere}/other/added; touch {elsewhere}/outside"
        here.model.on("%%all", Step.command(tries), Step.message('{"a": "b"}'))
        answer = here.cli(
            *("start", "%%all look", "--json", "--wait", "-d", "repo", "-m", "gpt-5.4-mini", "-r", "low"),
            *("-s", "workspace-write", "-f", "src/*", "-f", "!src/b.py", "--map"),
            *(
                "--add-dir",
                str(elsewhere / "other"),
                "-i",
                "repo/pixel.png",
                "-c",
                'developer_instructions="Say please."',
                "--one-shot",
            ),
            *("--output-schema", "answer.json", "--parent-session", "outer-session", "--name", "the one"),
            *("--timeout", "90s", "--max-time", "2h"),
        )
        job = answer.ok().json()
        schema.check(schema.COMMANDS["start"], job)
        yield here, job


def test_model_and_reasoning(asked: tuple[Place, dict[str, Any]]) -> None:
    """Asked for, sent to the model, and told as what the rollout says was used."""
    here, job = asked
    for request in here.model.requests_for("%%all"):
        assert (request["model"], request["reasoning"]["effort"]) == ("gpt-5.4-mini", "low")
    assert (job["model"], job["reasoning"]) == ("gpt-5.4-mini", "low")
    facts = record(here.home, job["id"]).facts
    assert (facts.model, facts.reasoning) == ("gpt-5.4-mini", "low")


def test_files_and_map_are_in_the_prompt(asked: tuple[Place, dict[str, Any]]) -> None:
    here, job = asked
    prompt = next(text for text in user_texts(here.model.requests_for("%%all")[0]) if "%%all" in text)
    assert prompt.startswith("%%all look\n\n")
    assert "File: docs/ARCHITECTURE.md\n\n```md\n# How it is built\n```" in prompt
    assert "File: src/a.py\n\n```py\nprint('a')\n```" in prompt
    assert "src/b.py" not in prompt and "print('b')" not in prompt and "c.bin" not in prompt
    assert job["prompt"] == "%%all look", "the task as it was given"
    assert "Left out (binary): src/c.bin." in job["warnings"]


def test_what_the_agent_may_write(asked: tuple[Place, dict[str, Any]], elsewhere: Path) -> None:
    here, job = asked
    assert (here.repo / "here").exists() and (elsewhere / "other" / "added").exists()
    assert not (elsewhere / "outside").exists()
    assert (job["sandbox"], job["cwd"]) == ("workspace-write", str(here.repo))


def test_image_configuration_and_output_schema(asked: tuple[Place, dict[str, Any]]) -> None:
    here, job = asked
    request = here.model.requests_for("%%all")[0]
    kinds = [part["type"] for item in request["input"] for part in item.get("content", [])]
    assert kinds.count("input_image") == 1
    assert "Say please." in json.dumps(request["input"])
    assert request["text"]["format"]["schema"] == ANSWER_SCHEMA
    assert here.cli("output", job["id"], "--result").ok().out == '{"a": "b"}\n'


def test_what_is_only_noted_down(asked: tuple[Place, dict[str, Any]]) -> None:
    here, job = asked
    assert (job["parent_session"], job["name"]) == ("outer-session", "the one")
    request = record(here.home, job["id"]).request
    assert (request.timeout_s, request.max_time_s) == (90.0, 7200.0)
    assert see(here.cli, "the one") == job


def test_the_command_line_holds_no_prompt(asked: tuple[Place, dict[str, Any]]) -> None:
    here, job = asked
    argv = record(here.home, job["id"]).request.argv
    assert argv[1:3] == ["exec", "--json"] and argv[-1] == "-"
    assert not [word for word in argv if "%%all" in word or "print(" in word]


# ---- one by one ----


@pytest.mark.parametrize("mode", ["read-only", "workspace-write", "danger-full-access"])
def test_sandbox(mode: str, cli: Cli, model: ModelServer, repo: Path, elsewhere: Path) -> None:
    """As seen by what a command can write."""
    outside = elsewhere / "outside"
    model.on("%%sandbox", Step.command(f"touch inside; touch {outside}"), Step.message("tried"))
    job = cli("start", "%%sandbox", "-d", str(repo), "-s", mode, "--wait", "--json").ok().json()
    assert job["sandbox"] == mode
    assert (repo / "inside").exists() == (mode != "read-only")
    assert outside.exists() == (mode == "danger-full-access")


def test_the_sandbox_of_the_settings(cli: Cli, model: ModelServer, repo: Path) -> None:
    """The setting is used where no flag is given; a flag stands above it."""
    cli("config", "set", "sandbox", "read-only").ok()
    cli("config", "set", "model", "gpt-5.4").ok()
    one = cli("start", "x", "-d", str(repo), "--dry-run", "--json").ok().json()["argv"]
    two = cli("start", "x", "-d", str(repo), "--dry-run", "--json", "-s", "workspace-write", "-m", "other")
    assert one[one.index("-s") + 1] == "read-only" and "--model=gpt-5.4" in one
    argv = two.ok().json()["argv"]
    assert argv[argv.index("-s") + 1] == "workspace-write" and "--model=other" in argv


def test_profile(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """A file of its own from 0.150 on, a table of config.toml before."""
    if each_codex.version < "0.150":
        home.use_model(model.base_url, extra='[profiles.quick]\nmodel = "gpt-5.4-mini"\n')
    else:
        (home.codex_home / "quick.config.toml").write_text('model = "gpt-5.4-mini"\n')
    model.on("%%profile", Step.message("quick"))
    job = ended(cli, begin(cli, repo, "%%profile", "-p", "quick"))
    assert (job["status"], job["model"]) == ("completed", "gpt-5.4-mini")
    assert model.requests_for("%%profile")[0]["model"] == "gpt-5.4-mini"


def test_codex_decides_what_nobody_said(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """No model and no effort are named on the command line; what the rollout says was used is shown.

    Codex's rollouts name the effort only where somebody chose it.
    """
    model.on("%%default", Step.message("as usual"))
    job = ended(cli, begin(cli, repo, "%%default"))
    request = model.requests_for("%%default")[0]
    assert job["model"] == request["model"]
    assert job["reasoning"] in (None, request["reasoning"]["effort"])
    assert f"model    {job['model']}" in cli("status", job["id"]).ok().out
    argv = record(home, job["id"]).request.argv
    assert not [word for word in argv if "model" in word or "reasoning" in word]


def test_outside_a_repository(cli: Cli, home: Home, model: ModelServer) -> None:
    plain = home.root / "plain"
    plain.mkdir()
    model.on("%%plain", Step.message("went"))
    assert ended(cli, begin(cli, plain, "%%plain", "--skip-git-repo-check"))["summary"] == "went"


def test_a_folder_with_an_odd_name(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """tmux and Codex both get it as it is: nothing in it is expanded or run."""
    odd = repo / "a #(touch ran) #{pid} $HOME 'q' ü;"
    odd.mkdir()
    model.on("%%odd-folder", Step.command("pwd > where"), Step.message("there"))
    job = ended(cli, begin(cli, odd, "%%odd-folder"))
    assert (job["status"], job["cwd"]) == ("completed", str(odd))
    assert (odd / "where").read_text() == f"{odd}\n"
    assert not list(home.root.rglob("ran"))


def test_a_name_is_taken_while_its_job_lives(cli: Cli, model: ModelServer, repo: Path) -> None:
    gate = model.gate("name")
    model.on("%%named", Step.hold(gate, Step.message("first")))
    model.on("%%again", Step.message("second"))
    first = begin(cli, repo, "%%named", "--name", "deploy")
    gate.reached()
    taken = cli("start", "%%again", "-d", str(repo), "--name", "deploy", "--json")
    assert taken.rc == 4 and taken.json()["error"]["code"] == "bad_state"
    assert taken.json()["error"]["id"] == first and "deploy" in taken.json()["error"]["message"]
    assert len(cli("jobs", "--json").json()["jobs"]) == 1 and not model.requests_for("%%again")
    gate.open()
    assert ended(cli, "deploy")["summary"] == "first"
    second = begin(cli, repo, "%%again", "--name", "deploy")
    assert ended(cli, "deploy")["id"] == second != first


def test_wait_tells_the_end(cli: Cli, model: ModelServer, repo: Path) -> None:
    model.on("%%well", Step.message("all is well"))
    model.on("%%badly", Step.failed("insufficient_quota", "no money"))
    well = cli("start", "%%well", "-d", str(repo), "--wait").ok()
    assert "completed" in well.out and "all is well" in well.out and "waiting" in well.err
    badly = cli("start", "%%badly", "-d", str(repo), "--wait", "--json")
    assert badly.rc == 1 and badly.err == ""
    assert (badly.json()["status"], badly.json()["failure"]["reason"]) == ("failed", "quota")
    text = cli("start", "%%badly", "-d", str(repo), "--wait")
    assert text.rc == 1 and "failed/quota" in text.out and "failure" in text.out


def test_start_says_how_to_go_on(cli: Cli, model: ModelServer, repo: Path) -> None:
    answer = cli("start", "hello", "-d", str(repo)).ok()
    job_id = answer.out.split()[0]
    for command in ("status", "watch", "wait", "attach", "kill"):
        assert f"{command} {job_id}" in answer.out
    assert answer.err == "" and ended(cli, job_id)["status"] == "completed"


def test_dry_run_starts_nothing(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It shows the very words that a start with the same options then uses."""
    words = ("%%dry", "-d", str(repo), "-m", "gpt-5.4-mini", "-r", "high", "-f", "*.md", "-f", "*.no", "-c", "a=1")
    shown = cli("start", *words, "--dry-run", "--json").ok().json()
    schema.check(schema.COMMANDS["start --dry-run"], shown)
    assert shown["prompt"].startswith("%%dry\n\nFile: README.md") and shown["notices"] == [
        '"*.no" matches nothing.'
    ]
    assert (
        shown["prompt_chars"] == len(shown["prompt"])
        and shown["tokens_estimated"] == (len(shown["prompt"]) + 3) // 4
    )
    text = cli("start", *words, "--dry-run").ok()
    assert text.out == shown["prompt"] + "\n"
    notes = re.compile(r"track/[0-9a-f]{16}")  # where its git and gh leave notes: another folder each time
    assert (
        notes.sub("", shlex.join(shown["argv"])) in notes.sub("", text.err)
        and f"{shown['prompt_chars']} characters" in text.err
    )
    assert not home.jobs.exists() and not model.requests and "codex-agent-" not in home.tmux("ls").stdout
    model.on("%%dry", Step.message("wet"))
    job_id = begin(cli, repo, *words[:1], *words[3:])
    argv = record(home, job_id).request.argv
    assert [notes.sub("", word) for word in argv] == [notes.sub("", word) for word in shown["argv"]]
    assert Path(home.jobs / f"{job_id}.prompt").read_text() == shown["prompt"]
    ended(cli, job_id)


# ---- the environment ----


def variables(path: Path) -> dict[bytes, bytes]:
    pairs = (entry.partition(b"=") for entry in path.read_bytes().split(b"\0") if entry)
    return {key: value for key, _, value in pairs}


def test_the_callers_environment_reaches_the_agent(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Whatever the tmux server has, which somebody else started elsewhere, with other values."""
    stale = home.env | {
        "MINE": "stale",
        "ONLY_SERVER": "1",
        "PATH": "/stale:" + home.env["PATH"],
        "CODEX_HOME": "/stale",
    }
    subprocess.run(
        ["tmux", "-S", home.tmux_socket, "new-session", "-d", "-s", "first", "sleep 600"], env=stale, check=True
    )
    gate = model.gate("environment")
    see_it = Step.command("cat /proc/self/environ > environ")
    model.on("%%environment", see_it, Step.hold(gate, Step.message("seen")))
    mine = {
        "MINE": "line one\nline two\n",
        "EMPTY": "",
        "PATH": f"{home.env['PATH']}:/my/own/path",
        # Marks of the job from which this one is started, say.
        "CODEX_AGENT_MARK": "0000000f.ff",
        "CODEX_AGENT_JOB_ID": "0000000f",
        "CODEX_AGENT_SERVER": "1",
        "CODEX_AGENT_STATUS": "failed",
    }
    home.env.update(mine)
    job_id = begin(cli, repo, "%%environment", "-s", "danger-full-access", "-c", "allow_login_shell=false")
    gate.reached()
    codex = record(home, job_id).facts.codex
    assert codex is not None
    environs = variables(Path(f"/proc/{codex.pid}/environ")), variables(repo / "environ")
    gate.open()
    assert ended(cli, job_id)["status"] == "completed"
    for environ in environs:
        assert environ[b"MINE"] == b"line one\nline two\n" and environ[b"EMPTY"] == b""
        assert environ[b"PATH"].endswith(b":/my/own/path") and b"/stale" not in environ[b"PATH"]
        assert environ[b"CODEX_HOME"] == os.fsencode(str(home.codex_home))
        assert environ[b"CODEX_AGENT_JOB_ID"] == job_id.encode()
        assert environ[b"CODEX_AGENT_MARK"] == record(home, job_id).mark.encode()
        assert not {b"ONLY_SERVER", b"CODEX_AGENT_SERVER", b"CODEX_AGENT_STATUS"} & set(environ)


def test_a_variable_that_is_no_text_is_left_out_and_named(
    every_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Codex panics at every command while it has one, and calls the turn completed all the same."""
    model.on("%%bytes", Step.command("echo $FINE > ran"), Step.message("seen"))
    home.env.update(BYTES="caf\udce9", FINE="café")
    job = ended(cli, begin(cli, repo, "%%bytes"), 60)
    assert (repo / "ran").read_text() == "café\n"
    assert "Left out of the agent's environment (not UTF-8): 'BYTES'." in job["warnings"]


def test_no_secret_is_written_down_or_shown(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Not in any file of ours, nor in any command line."""
    secret = "hunter2-and-more"
    home.env["MY_SECRET_KEY"] = secret
    gate = model.gate("secret")
    model.on("%%secret", Step.hold(gate, Step.message("kept")))
    job_id = begin(cli, repo, "%%secret", "--notify-on-complete", "true")
    gate.reached()
    carriers = [one for one in processes_with(secret) if one.environ.get("CODEX_AGENT_JOB_ID") == job_id]
    assert carriers, "the agent has it"
    assert not [one for one in processes_with(secret) if secret in one.command]
    gate.open()
    ended(cli, job_id)
    written = [path for path in home.agent_home.rglob("*") if path.is_file()]
    assert len(written) > 5
    for path in written:
        assert secret.encode() not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("server", "end"), [("the same", "kill"), ("one of its own", "kill"), ("one of its own", "SIGKILL")]
)
def test_a_job_started_by_a_job_is_not_part_of_it(
    server: str, end: str, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """The outer one's end leaves the inner one alone, also where that had to launch a tmux server."""
    socket = home.tmux_socket if server == "the same" else os.path.join(os.path.dirname(home.tmux_socket), "own")
    gate = model.gate("inner")
    model.on("%%inner", Step.hold(gate, Step.message("untouched")))
    inner_start = shlex.join([*COMMAND, "start", "%%inner", "-d", str(repo), "--json"])
    command = f"CODEX_AGENT_TMUX_SOCKET={socket} {inner_start} > inner.json; touch begun; sleep 987"
    model.on("%%outer", Step.command(command), Step.message("never"))
    outer = begin(cli, repo, "%%outer", "-s", "danger-full-access")
    try:
        gate.reached(30)
        until((repo / "begun").exists, 20, "the outer agent's command")
        inner = json.loads((repo / "inner.json").read_text())["id"]
        assert see(cli, inner)["status"] == "running"
        if end == "kill":
            cli("kill", outer).ok()
        else:
            supervisor = record(home, outer).facts.supervisor
            assert supervisor is not None
            os.kill(supervisor.pid, signal.SIGKILL)
        assert see(cli, outer)["status"] == "interrupted"
        until(lambda: not marked_by(home, outer), 10, "the end of all that the outer job started")
        assert see(cli, inner)["status"] == "running"
        assert record(home, inner).mark != record(home, outer).mark
        gate.open()
        job = ended(cli, inner)
        assert (job["status"], job["summary"]) == ("completed", "untouched")
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], env=home.env, capture_output=True, check=False)


def marked_by(home: Home, job_id: str) -> list[Seen]:
    return [one for one in processes_with(record(home, job_id).mark) if not one.command.startswith("tmux")]


def test_a_supervisor_ignores_what_the_caller_ignored(
    home: Home, cli: Cli, model: ModelServer, repo: Path
) -> None:
    """Started by a program that ignores SIGINT (as nohup and some CI do), the job can still be asked to end."""
    model.on("%%deaf-caller", Step.command("touch begun; sleep 987"), Step.message("never"))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        job_id = begin(cli, repo, "%%deaf-caller")
    finally:
        signal.signal(signal.SIGINT, before)
    until((repo / "begun").exists, 20, "the agent's command")
    answer = cli("kill", job_id, "--json").ok()
    assert answer.json()["failure"]["reason"] == "killed"
    assert '"turn_aborted"' in Path(answer.json()["rollout"]).read_text()


# ---- every Codex ----

PATCH = """*** Begin Patch
*** Update File: README.md
*** Move to: docs/READ ME.md
@@
-A repository for one test.
+A repository for every Codex.
*** Add File: new.txt
+new
*** Add File: {other}/out.txt
+outside
*** End Patch
"""


def test_one_turn_of_every_codex(
    every_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path, elsewhere: Path
) -> None:
    """A command, a patch with a move, a message: what it did, used and said, whichever Codex it was."""
    other = elsewhere / every_codex.label
    other.mkdir()
    model.on(
        "%%turn",
        Step.command("echo from-the-command; exit 3"),
        Step.patch(PATCH.format(other=other)),
        Step.message("Moved and added.\n\nSecond paragraph."),
    )
    job_id = begin(cli, repo, "%%turn", "--add-dir", str(other))
    job = ended(cli, job_id, 60)
    schema.check(schema.COMMANDS["status"], job)
    assert (job["status"], job["failure"], job["exit_code"]) == ("completed", None, 0), job
    assert (repo / "docs" / "READ ME.md").read_text() == "A repository for every Codex.\n"
    assert sorted(job["files_modified"]) == sorted(["README.md", "docs/READ ME.md", "new.txt", f"{other}/out.txt"])
    assert job["summary"] == "Moved and added.\n\nSecond paragraph."
    tokens = job["tokens"]
    assert (tokens["input"], tokens["cached_input"], tokens["output"]) == (3600, 1800, 120)
    assert (tokens["reasoning"], tokens["total"]) == (24, 3720)
    assert 0 < tokens["context_used_pct"] < 100 and tokens["context_window"] > 1440
    assert job["model"] == model.requests_for("%%turn")[0]["model"]
    assert Path(job["rollout"]).is_file() and job["thread_id"] in job["rollout"]
    assert job["started_at"] <= job["last_activity_at"] <= job["completed_at"]
    assert record(home, job_id).request.codex_version == every_codex.version
    shown = cli("capture", job_id, "200", "--strip-ansi").ok().out
    for words in ("from-the-command", "Moved and added.", "new.txt"):
        assert words in shown, shown
    assert not model.surprises
