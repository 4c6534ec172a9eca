"""`resume`: the next turn of a thread that anybody began, as a job of ours; what it is given, and not."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.ide import ide, spawns
from support.interactive import refused, told
from support.jobs import Place, begin, ended, record, user_texts
from support.threads import ANYWHERE, Outside, Thread, outside, rollouts, set_age

AGAIN = "%%again%%"


@pytest.fixture
def there(home: Home, cli: Cli, model: ModelServer, repo: Path, each_codex: Codex) -> Iterator[Outside]:
    """Codex as if there were no codex-agent: the newest wheel and the oldest one."""
    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), each_codex) as made:
        yield made


@pytest.fixture
def newest(home: Home, cli: Cli, model: ModelServer, repo: Path) -> Iterator[Outside]:
    """The newest wheel alone."""
    from support import codex

    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), codex("newest")) as made:
        yield made


def resumed(cli: Cli, *words: str) -> dict[str, Any]:
    """The job, once it has ended; in between nothing is said that is not in the documents."""
    return ended(cli, str(told(cli, "resume", *words)["id"]))


def goes_on(cli: Cli, model: ModelServer, home: Home, thread: Thread, *words: str) -> dict[str, Any]:
    """Resumes it by its id: the same thread and file; the model knows what was said; no thread is made."""
    before, asked = rollouts(home.codex_home), len(model.requests_for(AGAIN))
    job = resumed(cli, thread.id, f"{AGAIN} once more", *words)
    assert (job["status"], job["last_message"], job["turn_count"]) == ("completed", "Again.", 1), job
    assert (job["thread_id"], job["rollout"]) == (thread.id, str(thread.rollout))
    assert job["resume"]["thread_id"] == thread.id and job["resume"]["forked"] is False
    assert rollouts(home.codex_home) == before
    (request,) = model.requests_for(AGAIN)[asked:]
    texts = user_texts(request)
    assert any(text.startswith(thread.marker) for text in texts) and texts[-1] == f"{AGAIN} once more"
    return job


def settings_of(thread: Thread) -> dict[str, Any]:
    """What Codex wrote down of the last turn's settings."""
    return thread.payloads("turn_context")[-1]


def sandbox_of(thread: Thread) -> str:
    return str(settings_of(thread)["sandbox_policy"]["type"])


# ---- whoever began it ----


def test_of_exec(cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside) -> None:
    """A thread of plain `codex exec`, by its id, a prefix, its address and `last`; sandbox from the settings."""
    thread = there.exec()
    job = goes_on(cli, model, home, thread)
    assert job["sandbox"] == "workspace-write" == sandbox_of(thread)
    assert job["cwd"] == str(repo)
    assert any(ANYWHERE in text and "workspace-write" in text for text in job["warnings"]), job["warnings"]
    for word in (f"codex://threads/{thread.id}", thread.id[:-1], "last", job["id"]):
        assert resumed(cli, word, f"{AGAIN} {word}")["thread_id"] == thread.id
    text = cli("status", job["id"]).ok().out
    assert f"resumed  thread {thread.id}" in text


def test_of_the_tui(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    thread = there.tui()
    until(lambda: thread.payloads("task_complete"), 30, "the turn's end")
    there.kill(thread)
    goes_on(cli, model, home, thread)


def test_of_an_ide(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    with ide(there) as vscode:
        thread = vscode.thread()
        vscode.ended(thread)
    assert thread.payloads("session_meta")[0]["source"] == "vscode"
    goes_on(cli, model, home, thread)


def test_of_turns_that_did_not_end(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """Interrupted with Ctrl-C; killed while a command ran, which leaves Codex's lock file behind."""
    goes_on(cli, model, home, there.aborted())
    thread = there.killed()
    job = goes_on(cli, model, home, thread)
    assert job["last_turn"]["status"] == "completed" and job["failure"] is None


def test_of_a_job(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """A new job: the old one stays as it was. What belongs to the thread counts on, files are the job's own."""
    model.on(AGAIN, Step.command("true"), Step.patch(_patch("new.txt")), Step.message("Again."))
    model.on("%%before", Step.patch(_patch("old.txt")), Step.message("Before."))
    old = ended(cli, begin(cli, repo, "%%before", "--name", "first"))
    assert old["files_modified"] == ["old.txt"]
    job = resumed(cli, "first", AGAIN, "--name", "second")
    assert job["id"] != old["id"] and job["thread_id"] == old["thread_id"]
    assert job["files_modified"] == ["new.txt"] and job["turn_count"] == 1
    assert job["tokens"]["total"] > old["tokens"]["total"]
    assert (job["last_message"], cli("output", "second", "--result").ok().out) == ("Again.", "Again.\n")
    assert told(cli, "status", "first") | {"elapsed_ms": 0} == old | {"elapsed_ms": 0}
    # And the new one can be reopened, told to go on while it runs, and resumed itself.
    told(cli, "send", "second", "%%before once more", "--wait", shape="send --wait")
    assert ended(cli, job["id"])["thread_id"] == old["thread_id"]
    assert resumed(cli, job["id"], AGAIN)["thread_id"] == old["thread_id"]


def _patch(name: str) -> str:
    return f"*** Begin Patch\n*** Add File: {name}\n+text\n*** End Patch"


# ---- which one ----


def test_the_last_one(
    cli: Cli, home: Home, model: ModelServer, repo: Path, newest: Outside, tmp_path: Path
) -> None:
    """--last is the newest thread, with --dir that of this folder; a sub-agent's counts as none."""
    mine = newest.exec()
    there = tmp_path / "elsewhere"
    shutil.copytree(repo, there)
    theirs = replace(newest, repo=there).exec()
    now = theirs.rollout.stat().st_mtime
    set_age(mine.rollout, now, 60)
    job = resumed(cli, "--last", AGAIN)
    assert (job["thread_id"], job["cwd"]) == (theirs.id, str(there))
    job = resumed(cli, "--last", AGAIN, "-d", str(repo))
    assert (job["thread_id"], job["cwd"]) == (mine.id, str(repo))
    model.on("%%child", Step.message("I am a child."))
    parent = newest.exec(spawns("%%child"), Step.call("wait_agent", {}), Step.message("Done."))
    children = [path for path in rollouts(home.codex_home) if path not in (mine.rollout, theirs.rollout)]
    assert len(children) == 2, "the parent and its child"
    for path in children:
        set_age(path, path.stat().st_mtime, -5 if path != parent.rollout else 0)
    assert resumed(cli, "--last", AGAIN)["thread_id"] == parent.id
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert str(nowhere) in refused(cli, "resume", "--last", AGAIN, "-d", str(nowhere), rc=3)


def test_a_packed_rollout(cli: Cli, home: Home, model: ModelServer, newest: Outside) -> None:
    """Codex unpacks it again; what the job did is told from what was there all the same."""
    import zstandard

    thread = newest.exec(Step.patch(_patch("old.txt")), Step.message("Old words."))
    packed = thread.rollout.with_suffix(".jsonl.zst")
    packed.write_bytes(zstandard.ZstdCompressor().compress(thread.rollout.read_bytes()))
    thread.rollout.unlink()
    model.on(AGAIN, Step.patch(_patch("new.txt")), Step.message("Again."))
    job = resumed(cli, thread.id, AGAIN)
    assert (job["status"], job["files_modified"]) == ("completed", ["new.txt"])
    assert job["rollout"] == str(thread.rollout)


def test_in_a_queue(cli: Cli, home: Home, model: ModelServer, repo: Path, newest: Outside) -> None:
    """It has the thread from the first moment; what others do there until its turn comes is not its own."""
    thread = newest.exec()
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate))
    before = begin(cli, repo, "%%held")
    gate.reached()
    waiting = told(cli, "resume", thread.id, AGAIN, "--after", before)
    assert (waiting["status"], waiting["thread_id"]) == ("queued", thread.id)
    assert waiting["id"] in refused(cli, "resume", thread.id, AGAIN)
    newest.resumed(thread, Step.patch(_patch("theirs.txt")), Step.message("Theirs."))
    gate.open()
    job = ended(cli, waiting["id"])
    assert (job["status"], job["last_message"], job["files_modified"]) == ("completed", "Again.", [])
    assert (job["turn_count"], job["thread_id"]) == (1, thread.id)


# ---- with what ----


def test_the_sandbox_is_never_what_it_was(
    cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside
) -> None:
    """Neither restored nor widened in silence: it is the settings', or as given, and said where it differs."""
    thread = there.exec(sandbox="read-only")
    job = goes_on(cli, model, home, thread)
    assert sandbox_of(thread) == "workspace-write"
    assert any("read-only" in text and "allows more" in text for text in job["warnings"])
    assert not goes_on(cli, model, home, thread)["warnings"]
    job = goes_on(cli, model, home, thread, "-s", "read-only")
    assert sandbox_of(thread) == "read-only" == job["sandbox"]
    assert not any("allows more" in text for text in job["warnings"])
    text = cli("resume", thread.id, AGAIN).ok()
    assert "note: The thread's last turn ran with the sandbox read-only" in text.err
    assert f"goes on with thread {thread.id}" in text.out
    ended(cli, text.out.split()[0])
    # What the agent may do is what the record says: it is asked to write outside, and cannot.
    outer = Path("/var/tmp") / f"codex-agent-test-{os.getpid()}"
    model.on("%%write", Step.command(f"touch {outer}"), Step.message("Tried."))
    resumed(cli, thread.id, "%%write")
    assert not outer.exists()


def test_the_folder(cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside, tmp_path: Path) -> None:
    """The thread's own; another one if given; if it is gone, an error that says so."""
    gone, other = tmp_path / "gone", tmp_path / "other"
    for folder in (gone, other):
        shutil.copytree(repo, folder)
    thread = replace(there, repo=gone).exec()
    model.on("%%where", Step.command("pwd >where"), Step.message("Here."))
    assert resumed(cli, thread.id, "%%where")["cwd"] == str(gone)
    assert (gone / "where").read_text() == f"{gone}\n"
    job = resumed(cli, thread.id, "%%where", "-d", str(other))
    assert job["cwd"] == str(other) and (other / "where").read_text() == f"{other}\n"
    assert any(str(gone) in text and str(other) in text for text in job["warnings"])
    shutil.rmtree(other)
    assert str(other) in refused(cli, "resume", thread.id, AGAIN, rc=2)
    assert "-d DIR" in refused(cli, "resume", thread.id, AGAIN, rc=2)
    shutil.rmtree(repo / ".git")
    assert resumed(cli, thread.id, AGAIN, "-d", str(repo), "--skip-git-repo-check")["status"] == "completed"


def test_model_and_effort_are_the_threads_unless_given(
    cli: Cli, home: Home, model: ModelServer, there: Outside
) -> None:
    """What the settings give to new jobs is no reason to change a thread's model."""
    thread = there.exec()
    was = settings_of(thread)["model"]
    env = {"CODEX_AGENT_MODEL": "other", "CODEX_AGENT_REASONING": "high"}
    job = ended(cli, cli("resume", thread.id, AGAIN, "--json", env=env).ok().json()["id"])
    assert job["model"] == was == settings_of(thread)["model"] and "other" not in str(job["warnings"])
    job = goes_on(cli, model, home, thread, "-m", "another-one", "-r", "low")
    assert (job["model"], job["reasoning"]) == ("another-one", "low")
    assert any(was in text and "another-one" in text for text in job["warnings"])


def test_more_of_starts_options(
    cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside, tmp_path: Path
) -> None:
    """Files, pictures, a schema, a profile, --wait, --name, --notify-on-complete reach this turn."""
    thread = there.exec()
    (repo / "notes.md").write_text("Noted.\n")
    image, schema = tmp_path / "dot.png", tmp_path / "schema.json"
    image.write_bytes(_DOT)
    schema.write_text('{"type":"object","properties":{},"required":[],"additionalProperties":false}')
    done = tmp_path / "done"
    words = ("-f", "notes.md", "-i", str(image), "--output-schema", str(schema), "--name", "more", "--wait")
    answer = cli(*("resume", thread.id, AGAIN, "--json", "--notify-on-complete", f"touch {done}", *words)).ok()
    assert answer.json()["status"] == "completed" and answer.json()["name"] == "more"
    (request,) = model.requests_for(AGAIN)
    assert "Noted." in user_texts(request)[-1] or any("Noted." in text for text in user_texts(request))
    assert "input_image" in str(request["input"][-1]) and request["text"]["format"]["type"] == "json_schema"
    until(done.exists, 10, "the command at the end")
    # The picture belonged to that turn alone.
    told(cli, "send", "more", AGAIN, "--wait", shape="send --wait")
    assert "input_image" not in str(model.requests_for(AGAIN)[-1]["input"][-1])


_DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8d"
    "b00000000049454e44ae426082"
)


def test_dry_run(cli: Cli, home: Home, there: Outside, repo: Path) -> None:
    """The exact command line; nothing runs, nothing is written."""
    thread = there.exec()
    before = thread.rollout.read_bytes()
    answer = cli("resume", thread.id, AGAIN, "--dry-run", "--json").ok().json()
    assert answer["argv"][-3:] == ["resume", thread.id, "-"] and answer["cwd"] == str(repo)
    assert answer["argv"][answer["argv"].index("-s") + 1] == "workspace-write"
    assert any(ANYWHERE in text for text in answer["notices"])
    assert thread.rollout.read_bytes() == before and not list(home.jobs.glob("*.json"))


# ---- what belongs to it ----


def test_an_earlier_failure_is_not_this_jobs(
    cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside
) -> None:
    """The thread's last turn failed for its own reason; the job's words are about what happened to it."""
    there_failed = there.begin(Step.failed("context_length_exceeded"))
    assert there_failed.process is not None and there_failed.process.wait(60) == 1
    job = goes_on(cli, model, home, there_failed)
    assert job["failure"] is None and job["last_turn"]["error"] is None
    model.on("%%fails", Step.failed("insufficient_quota"))
    job = resumed(cli, there_failed.id, "%%fails")
    assert job["status"] == "failed" and job["failure"]["reason"] in ("quota", "usage_limit"), job["failure"]
    assert job["last_message"] is None


def test_a_supervisor_that_dies(cli: Cli, home: Home, model: ModelServer, repo: Path, there: Outside) -> None:
    """What is settled later is the job's own part too: not the files and words of turns before."""
    import signal

    thread = there.exec(Step.patch(_patch("old.txt")), Step.message("Old words."))
    model.on("%%stuck", Step.patch(_patch("new.txt")), Step.command("touch begun; sleep 987"), Step.message("No."))
    job_id = str(told(cli, "resume", thread.id, "%%stuck")["id"])
    until((repo / "begun").exists, 20, "the command running")
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    job = ended(cli, job_id)
    assert job["status"] == "interrupted" and job["files_modified"] == ["new.txt"]
    assert job["last_message"] is None and job["thread_id"] == thread.id
