"""`review`: what is reviewed, with what words, and its findings in parts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.rollouts.review import outcome
from support import Cli, Codex, Home
from support.interactive import refused, told
from support.jobs import begin, ended, see, user_texts
from support.reviews import BASE, COMMIT, UNCOMMITTED, finding, reviewed


def git(home: Home, repo: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=repo, env=home.env, check=True, capture_output=True, text=True, timeout=30
    )
    return done.stdout.strip()


@pytest.fixture
def changed(home: Home, repo: Path) -> Path:
    """The repository with something uncommitted."""
    (repo / "new.py").write_text("x = 1\ny = 2\n")
    return repo


def found(cli: Cli, repo: Path, *words: str) -> dict[str, Any]:
    """`review --wait --json`."""
    return told(cli, "review", "-d", str(repo), "--wait", *words, shape="review --wait")


def test_its_findings(cli: Cli, home: Home, model: ModelServer, changed: Path, every_codex: Codex) -> None:
    """Of everything uncommitted unless told otherwise; each finding with file, lines, priority, confidence."""
    file = changed / "new.py"
    second = finding(file, 2, 2, title="Small", priority=None)
    model.on(UNCOMMITTED, reviewed(finding(file, 1, 2), second))
    review = found(cli, changed)
    assert (review["basis"], review["correctness"], review["explanation"], review["confidence"]) == (
        *("structured", "patch is incorrect", "It breaks things.", 0.5),
    )
    assert review["findings"] == [
        {
            "title": "[P1] It is wrong",
            "body": "Because it is.\nAnd so it stays.",
            "file": str(file),
            "line_start": 1,
            "line_end": 2,
            "priority": 1,
            "confidence": 0.75,
        },
        {
            "title": "Small",
            "body": "Because it is.\nAnd so it stays.",
            "file": str(file),
            "line_start": 2,
            "line_end": 2,
            "priority": None,
            "confidence": 0.75,
        },
    ]
    assert review["target"] == {"kind": "uncommitted", "name": None, "commit": None, "instructed": False}
    job = see(cli, review["id"])
    assert review["tokens"]["total"] == 1040 == job["tokens"]["total"]
    assert (job["status"], job["mode"], job["sandbox"]) == ("completed", "exec", "read-only")
    assert job["review"] == review["target"] and job["thread_id"] == review["thread_id"]
    assert told(cli, "output", review["id"], "--review", shape="output --review") == review
    text = cli("output", review["id"], "--review").ok().out
    assert f"{file}:1-2 (P1, confidence 0.75)\n  [P1] It is wrong\n  Because it is.\n  And so it stays.\n" in text
    assert f"{file}:2 (confidence 0.75)\n  Small\n" in text and "patch is incorrect: It breaks things." in text
    assert "It is wrong" in cli("output", review["id"], "--result").ok().out


def test_nothing_wrong(cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex) -> None:
    model.on(UNCOMMITTED, reviewed(verdict="patch is correct", why="All is well."))
    review = found(cli, changed)
    assert (review["basis"], review["findings"], review["correctness"]) == ("structured", [], "patch is correct")
    text = cli("output", review["id"], "--review").ok().out
    assert "0 findings" in text and "patch is correct: All is well." in text


def test_words_only(cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex) -> None:
    """The model did not answer in parts: its whole answer is there, as a text."""
    model.on(UNCOMMITTED, Step.message("Line 1 is wrong.\nLine 2 too."))
    review = found(cli, changed)
    assert (review["basis"], review["findings"], review["correctness"]) == ("text", [], None)
    assert review["explanation"] == "Line 1 is wrong.\nLine 2 too."
    assert "Line 1 is wrong.\nLine 2 too." in cli("output", review["id"], "--review").ok().out


def test_against_a_branch_or_of_a_commit(
    cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex
) -> None:
    """A job that runs by itself; what it compares with is fixed when it begins."""
    first = git(home, changed, "rev-parse", "HEAD")
    git(home, changed, "checkout", "-qb", "topic")
    git(home, changed, "add", ".")
    git(home, changed, "commit", "-qm", "second")
    head = git(home, changed, "rev-parse", "HEAD")
    model.on(BASE, reviewed(why="Against main."))
    model.on(COMMIT, reviewed(why="Of a commit."))
    job = told(cli, "review", "-d", str(changed), "--base", "main")
    assert ended(cli, job["id"])["status"] == "completed"
    review = told(cli, "output", job["id"], "--review", shape="output --review")
    assert review["explanation"] == "Against main."
    assert review["target"] == {"kind": "base", "name": "main", "commit": first, "instructed": False}
    assert first in user_texts(model.requests_for(BASE)[0])[-1]
    review = found(cli, changed, "--commit", head[:8])
    assert review["explanation"] == "Of a commit." and review["target"]["commit"] == head
    assert "head" in cli("jobs").ok().out or head[:8] in cli("jobs").ok().out


def test_with_a_prompt(cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex) -> None:
    """Codex takes a prompt or a target. With both, the prompt names the target; alone, it says all."""
    for marker in ("%%alone", "%%with", "%%base"):
        model.on(marker, reviewed(why=marker))
    assert found(cli, changed, "Look at x. %%alone")["target"]["kind"] == "custom"
    assert "Look at x. %%alone" in user_texts(model.requests_for("%%alone")[0])[-1]
    review = found(cli, changed, "Mind names. %%with", "--uncommitted")
    assert review["target"] == {"kind": "uncommitted", "name": None, "commit": None, "instructed": True}
    said = user_texts(model.requests_for("%%with")[0])[-1]
    assert "Mind names." in said and "not committed" in said
    commit = git(home, changed, "rev-parse", "main")
    assert found(cli, changed, "%%base", "--base", "main")["explanation"] == "%%base"
    assert f"git merge-base HEAD {commit}" in user_texts(model.requests_for("%%base")[0])[-1]
    prompt = cli("output", review["id"], "--prompt").ok().out
    assert "Mind names." in prompt


def test_what_is_not_there(cli: Cli, home: Home, model: ModelServer, repo: Path, tmp_path: Path) -> None:
    """Codex itself reviews against a branch that does not exist."""
    where = ("-d", str(repo))
    assert "'nope'" in refused(cli, "review", *where, "--base", "nope", rc=2)
    assert "'--output=x'" in refused(cli, "review", *where, "--base=--output=x", rc=2)
    assert "'abcdef'" in refused(cli, "review", *where, "--commit", "abcdef", rc=2)
    assert "exclude" in refused(cli, "review", *where, "--commit", "HEAD", "--uncommitted", rc=2)
    assert "Nothing is uncommitted" in refused(cli, "review", *where)
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    assert "no git repository" in refused(cli, "review", "-d", str(nowhere), rc=2)
    assert not list(home.jobs.glob("*.json")) and not model.requests


def test_dry_run(cli: Cli, home: Home, model: ModelServer, changed: Path) -> None:
    answer = told(cli, "review", "-d", str(changed), "--dry-run", shape="review --dry-run")
    assert answer["argv"][-2:] == ["review", "--uncommitted"]
    assert answer["argv"][answer["argv"].index("-s") + 1] == "read-only"
    answer = told(
        cli, "review", "-d", str(changed), "--base", "main", "%%x", "--dry-run", shape="review --dry-run"
    )
    assert answer["argv"][-2:] == ["review", "-"] and answer["prompt"].endswith("%%x")
    assert not model.requests


def test_that_fails(cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex) -> None:
    """A review that fails is no review that found nothing."""
    model.on(UNCOMMITTED, Step.failed("insufficient_quota"))
    answer = cli("review", "-d", str(changed), "--wait", "--json")
    assert answer.rc == 1, str(answer)
    error = answer.json()["error"]
    assert error["status"] in ("failed", "interrupted") and error["id"], error
    assert "came to nothing" in refused(cli, "output", error["id"], "--review", rc=1)


def test_one_that_runs_and_one_that_is_none(cli: Cli, home: Home, model: ModelServer, changed: Path) -> None:
    gate = model.gate("held")
    model.on(UNCOMMITTED, Step.hold(gate, reviewed()))
    job_id = told(cli, "review", "-d", str(changed))["id"]
    gate.reached()
    assert "wait" in refused(cli, "output", job_id, "--review")
    gate.open()
    assert ended(cli, job_id)["status"] == "completed"
    assert cli("output", job_id, "--review").ok()
    model.on("%%task", Step.message("Done."))
    other = begin(cli, changed, "%%task")
    ended(cli, other)
    assert "is no review" in refused(cli, "output", other, "--review")


def test_a_killed_one(cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex) -> None:
    gate = model.gate("held")
    model.on(UNCOMMITTED, Step.hold(gate, reviewed()))
    job_id = told(cli, "review", "-d", str(changed))["id"]
    gate.reached()
    cli("kill", job_id).ok()
    assert see(cli, job_id)["status"] == "interrupted"
    assert "came to nothing" in refused(cli, "output", job_id, "--review", rc=1)
    gate.open()


def test_a_conversation_after_it(
    cli: Cli, home: Home, model: ModelServer, changed: Path, each_codex: Codex
) -> None:
    """The review's thread can be talked to: its findings are what the agent knows."""
    model.on(UNCOMMITTED, reviewed(finding(changed / "new.py", 1, 1)))
    review = found(cli, changed)
    model.on("%%why", Step.message("Because."))
    told(cli, "send", review["id"], "%%why is that?", "--wait", shape="send --wait")
    assert see(cli, review["id"])["last_message"] == "Because."
    assert told(cli, "output", review["id"], "--review", shape="output --review")["findings"] == review["findings"]


# ---- the reading alone ----


def _line(payload: Any) -> str:
    return json.dumps({"timestamp": "2026-11-21T09:00:00.000Z", "type": "event_msg", "payload": payload}) + "\n"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (None, None),
        ({"findings": [], "overall_explanation": "Text.", "overall_correctness": ""}, (False, 0, "Text.")),
        ({"findings": [{}], "overall_explanation": ""}, (True, 1, "")),
        ({"findings": "none", "overall_correctness": "patch is correct"}, (True, 0, "")),
        ({"findings": [3, {"code_location": 4, "priority": True}]}, (True, 1, "")),
        ({"overall_explanation": 'So: {"findings": [{"title": "t"}]}.'}, (True, 1, "")),
        ({"overall_explanation": '{"findings": 3} {'}, (False, 0, '{"findings": 3} {')),
    ],
)
def test_odd_outcomes(tmp_path: Path, output: Any, expected: tuple[bool, int, str] | None) -> None:
    """Whatever a version or a model puts there, it is read without a fault; the last outcome counts."""
    path = tmp_path / "rollout.jsonl"
    item = {"type": "item_completed", "item": {"type": "ExitedReviewMode", "review_output": output}}
    quoted = {"type": "agent_message", "message": '"ExitedReviewMode" is a word'}
    for payload in (item, {"type": "exited_review_mode", "review_output": output}):
        path.write_text(_line(quoted) + 'not JSON but an "ExitedReviewMode"\n' + _line(payload) + _line(quoted))
        told_ = outcome(str(path))
        assert (told_ and (told_.structured, len(told_.findings), told_.explanation)) == expected
    assert schema.COMMANDS["output --review"].__name__ == "Review"
