"""The options of `start --interactive`: each by what the agent, its model or its clock made of it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.verdict import seconds
from support import Cli, Codex, Home
from support.interactive import heard, refused, stay, told, wants
from support.jobs import Place, begin, ended, place, record, see
from support.material import picture


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Path]:
    """A folder not below /tmp, which Codex's workspace-write leaves open."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-test-", dir="/var/tmp") as folder:
        yield Path(folder)


# ---- one agent that was given nearly everything ----


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, elsewhere: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Its first turn has ended."""
    with place(tmp_path_factory.mktemp("asked")) as here:
        repo = here.repo
        (repo / "src").mkdir()
        (repo / "docs").mkdir()
        (elsewhere / "other").mkdir()
        (repo / "src" / "a.py").write_text("print('a')\n")
        (repo / "src" / "b.py").write_text("print('b')\n")
        (repo / "docs" / "ARCHITECTURE.md").write_text("# How it is built\n")
        (repo / "pixel.png").write_bytes(picture())
        for word in ("first", "later"):
            tries = f"touch {word}; touch {elsewhere}/other/{word}; touch {elsewhere}/{word}"
            here.model.on(f"%%{word}", Step.command(tries), Step.message(word))
        answer = here.cli(
            *("start", "%%first look", "--interactive", "--idle-exit", "off", "--json", "-d", "repo"),
            *("--model", "gpt-5.4-mini", "-r", "low", "-s", "workspace-write", "--approval", "never"),
            *("-f", "src/*", "-f", "!src/b.py", "--map", "-i", "repo/pixel.png"),
            *("--add-dir", str(elsewhere / "other"), "-c", 'developer_instructions="Say please."'),
            *("--parent-session", "outer-session", "--name", "the one", "--timeout", "90s", "--max-time", "2h"),
        )
        job = answer.ok().json()
        told(here.cli, "await-turn", job["id"])
        yield here, see(here.cli, job["id"])


def arrived(here: Place, marker: str, elsewhere: Path) -> None:
    """What every turn of this agent must have, whoever began it and however often the job did."""
    for request in here.model.requests_for(marker):
        if "concise, single-line task title" not in json.dumps(request["input"][-1]):
            assert (request["model"], request["reasoning"]["effort"]) == ("gpt-5.4-mini", "low")
            assert "Say please." in json.dumps(request["input"])
    word = marker.lstrip("%")
    assert (here.repo / word).exists() and (elsewhere / "other" / word).exists()
    assert not (elsewhere / word).exists(), "the sandbox is there"


def test_the_first_turn(asked: tuple[Place, dict[str, Any]], elsewhere: Path) -> None:
    here, job = asked
    arrived(here, "%%first", elsewhere)
    prompt = next(text for text in heard(here.model, "%%first")[0] if "%%first" in text)
    assert prompt.startswith("%%first look\n\n") and "# How it is built" in prompt
    assert "print('a')" in prompt and "print('b')" not in prompt
    parts = [
        part["type"] for item in here.model.requests_for("%%first")[0]["input"] for part in item.get("content", [])
    ]
    assert parts.count("input_image") == 1
    assert (job["model"], job["reasoning"], job["sandbox"], job["approval"]) == (
        *("gpt-5.4-mini", "low", "workspace-write", "never"),
    )
    assert (job["prompt"], job["name"], job["parent_session"]) == ("%%first look", "the one", "outer-session")
    request = record(here.home, job["id"]).request
    assert (request.timeout_s, request.max_time_s, request.idle_exit_s) == (90.0, 7200.0, 0.0)
    assert not [word for word in [*request.argv, *request.viewer_argv] if "%%first" in word or "print(" in word]


def test_reopened_it_is_the_same_agent(asked: tuple[Place, dict[str, Any]], elsewhere: Path) -> None:
    here, before = asked
    told(here.cli, "exit", "the one")
    assert told(here.cli, "send", "the one", "%%later", "--wait", shape="send --wait")["message"] == "later"
    arrived(here, "%%later", elsewhere)
    after = see(here.cli, "the one")
    same = (
        "id",
        "thread_id",
        "rollout",
        "model",
        "reasoning",
        "sandbox",
        "approval",
        "cwd",
        "started_at",
        "prompt",
    )
    assert {key: after[key] for key in same} == {key: before[key] for key in same}


# ---- one by one ----


def test_outside_a_repository_and_what_a_person_reads(cli: Cli, home: Home, model: ModelServer) -> None:
    """Codex's interactive side needs none; `start` says how it goes on."""
    folder = home.root / "no repository"
    folder.mkdir()
    model.on("%%plain", Step.message("Here I am."))
    answer = cli("start", "%%plain", "--interactive", "-d", str(folder)).ok()
    job_id = answer.out.split()[0]
    lines = answer.out.splitlines()
    assert lines[0].startswith(f"{job_id} started: Codex ") and lines[0].endswith(
        f", interactive, workspace-write, approval on-request, {folder}"
    )
    assert lines[1] == f'  codex-agent send {job_id} "..." | await-turn {job_id} | approvals {job_id}'
    assert told(cli, "await-turn", job_id)["message"] == "Here I am."
    assert record(home, job_id).request.idle_exit_s == 30.0
    assert "trust" not in (home.codex_home / "config.toml").read_text()


def test_start_wait(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """As `await-turn` does: its output, its exit codes."""
    model.on("%%well", Step.message("Well."))
    model.on("%%ask", wants("true"), Step.message("never"))
    words = ("--interactive", "--wait", "-d", str(repo))
    report = told(cli, "start", "%%well", *words, shape="start --interactive --wait")
    assert report["turn_state"] == "idle" and report["message"] == "Well."
    answer = cli("start", "%%well", *words).ok()
    assert answer.out == "Well.\n" and "started; waiting" in answer.err
    report = told(cli, "start", "%%ask", *words, rc=10, shape="start --interactive --wait")
    assert report["turn_state"] == "waiting_approval"


@pytest.mark.parametrize("policy", ["never", "on-request", "untrusted"])
def test_approval(policy: str, cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """By what is asked: nothing at all, what leaves the sandbox, or whatever is not known to be harmless."""
    model.on("%%inside", Step.command("touch inside"), Step.message("Inside."))
    model.on("%%outside", wants("touch outside"), Step.message("Outside."))
    job_id = stay(cli, repo, "%%inside", "--approval", policy)
    assert see(cli, job_id)["approval"] == policy
    told(cli, "await-turn", job_id, rc=10 if policy == "untrusted" else 0)
    if policy == "untrusted":
        told(cli, "approve", job_id)
        told(cli, "await-turn", job_id)
    assert (repo / "inside").exists()
    # With untrusted 0.133 lets nobody ask for more than the sandbox gives: it refuses by itself.
    asks = policy == "on-request" or (policy == "untrusted" and each_codex.label == "newest")
    told(cli, "send", job_id, "%%outside", "--wait", rc=10 if asks else 0, shape="send --wait")
    assert not (repo / "outside").exists()


@pytest.mark.parametrize(("word", "means"), [("skip", "never"), ("auto-edit", "never"), ("suggest", "untrusted")])
def test_approval_in_the_seeds_words(
    word: str, means: str, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    model.on("%%inside", Step.command("touch inside"), Step.message("Inside."))
    job_id = stay(cli, repo, "%%inside", "--approval", word)
    job = see(cli, job_id)
    assert (job["approval"], job["sandbox"]) == (means, "workspace-write")
    told(cli, "await-turn", job_id, rc=10 if means == "untrusted" else 0)


def test_approval_words_that_are_none(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    words = ("start", "x", "-d", str(repo))
    assert "danger-full-access" in refused(cli, *words, "--interactive", "--approval", "yolo", rc=2)
    assert "on-request" in refused(cli, *words, "--interactive", "--approval", "sometimes", rc=2)
    assert "--interactive" in refused(cli, *words, "--approval", "on-request", rc=2)
    for option in (("--plain",), ("--idle-exit", "3")):
        assert "--interactive" in refused(cli, *words, *option, rc=2)
    assert "opposites" in refused(cli, *words, "--interactive", "--one-shot", rc=2)
    schema_file = home.root / "schema.json"
    schema_file.write_text("{}")
    assert "--output-schema" in refused(cli, *words, "--interactive", "--output-schema", str(schema_file), rc=2)
    assert not list(home.jobs.glob("*.json"))


def test_profile(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    if each_codex.version < "0.150":
        home.use_model(model.base_url, extra='[profiles.quick]\nmodel = "gpt-5.4-mini"\n')
    else:
        (home.codex_home / "quick.config.toml").write_text('model = "gpt-5.4-mini"\n')
    model.on("%%profile", Step.message("quick"))
    job_id = stay(cli, repo, "%%profile", "-p", "quick")
    told(cli, "await-turn", job_id)
    assert model.requests_for("%%profile")[0]["model"] == see(cli, job_id)["model"] == "gpt-5.4-mini"


# ---- clocks ----


@pytest.mark.parametrize(
    ("settings", "option", "ends"),
    [
        ({"idle_grace_s": "0.3"}, (), True),
        ({"idle_grace_s": "0.3", "idle_detection": "false"}, (), False),
        ({"idle_grace_s": "0"}, (), False),
        ({"idle_grace_s": "0.3"}, ("--idle-exit", "off"), False),
        ({"idle_grace_s": "0.3"}, ("--idle-exit", "1h"), False),
        ({"idle_detection": "false"}, ("--idle-exit", "0.3"), True),
    ],
)
def test_idle_exit_and_its_settings(
    settings: dict[str, str],
    option: tuple[str, ...],
    ends: bool,
    cli: Cli,
    home: Home,
    model: ModelServer,
    repo: Path,
) -> None:
    for key, value in settings.items():
        cli("config", "set", key, value).ok()
    model.on("%%idle", Step.message("Done."))
    job_id = begin(cli, repo, "%%idle", "--interactive", *option)
    told(cli, "await-turn", job_id)
    if ends:
        assert ended(cli, job_id, 10)["status"] == "completed"
    else:
        assert record(home, job_id).request.idle_exit_s in (0.0, 3600.0)
        assert cli("wait", job_id, "--timeout", "0.7").rc == 124 and see(cli, job_id)["turn_state"] == "idle"


def test_what_stops_the_idle_clock(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """A waiting approval; and each turn gives the whole grace anew."""
    model.on("%%ask", wants("true"), Step.message("Asked."))
    model.on("%%more", Step.message("More."))
    job_id = begin(cli, repo, "%%ask", "--interactive", "--idle-exit", "4")  # a command takes a second of that
    told(cli, "await-turn", job_id, rc=10)
    assert cli("wait", job_id, "--timeout", "4.5").rc == 124, "it waits for somebody"
    told(cli, "approve", job_id)
    told(cli, "await-turn", job_id)
    assert not told(cli, "send", job_id, "%%more")["reopened"]
    assert ended(cli, job_id, 15)["status"] == "completed"
    events = told(cli, "output", job_id, "--events", shape="output --events")["events"]
    at = {event["event"]: seconds(event["at"]) for event in events}  # of several the last
    assert at["answered"] - at["asked"] > 4.5 and at["stopping"] - at["turn_ended"] >= 4


def test_inactivity_is_of_those_at_work(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Whoever waits for a person, or for the next message, is not inactive; a silent turn is."""
    model.on("%%ask", wants("true"), Step.message("Asked."))
    model.on("%%silent", Step.hold(model.gate("never")))
    job_id = stay(cli, repo, "%%ask", "--timeout", "2s")
    told(cli, "await-turn", job_id, rc=10)
    assert (
        cli("wait", job_id, "--timeout", "2.5").rc == 124 and see(cli, job_id)["turn_state"] == "waiting_approval"
    )
    told(cli, "approve", job_id)
    told(cli, "await-turn", job_id)
    assert cli("wait", job_id, "--timeout", "2.5").rc == 124 and see(cli, job_id)["turn_state"] == "idle"
    told(cli, "send", job_id, "%%silent")
    job = ended(cli, job_id, 10)
    assert (job["status"], job["failure"]["reason"]) == ("failed", "timeout_inactivity")
    assert job["last_turn"]["status"] == "interrupted"


def test_max_time(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Ends it whatever it does; begun again, it has that time again."""
    model.on("%%idle", Step.message("Done."))
    job_id = stay(cli, repo, "%%idle", "--max-time", "4s")
    job = ended(cli, job_id, 10)
    assert (job["status"], job["failure"]["reason"]) == ("failed", "timeout_total")
    assert told(cli, "send", job_id, "%%idle", "--wait", shape="send --wait")["message"] == "Done."


def test_a_commit_of_an_agent_that_may_everything(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """`-s danger-full-access`, asked for by name, is what takes the sandbox away."""
    model.on("%%commit", Step.command("git commit -q --allow-empty -m mine"), Step.message("Committed."))
    job_id = stay(cli, repo, "%%commit", "-s", "danger-full-access", "--approval", "never")
    told(cli, "await-turn", job_id)
    log = subprocess.run(
        ["git", "log", "--format=%s"], cwd=repo, env=home.env, capture_output=True, text=True, check=True
    )
    assert log.stdout.split() == ["mine", "first"]
