"""``report``, with real Codex in a real repository: what is claimed stands apart from what is seen."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import Step
from support.ide import ide, spawns
from support.jobs import Place, begin, ended, record
from support.threads import Outside
from support.waiting import until

ANYWHERE = ("-s", "danger-full-access", "-c", "allow_login_shell=false")
GOOD, BAD = "test_good.py", "test_bad.py"


def told(where: Place, *words: str) -> list[dict[str, Any]]:
    answer = where.cli("report", *words, "--json").ok().json()
    schema.check(schema.COMMANDS["report"], answer)
    reports = answer["reports"]
    assert isinstance(reports, list)
    return reports


def say(where: Place, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(where.repo), *words], env=where.home.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run(where: Place, marker: str, *steps: Step) -> str:
    """A job that does these steps and has ended."""
    where.model.on(marker, *steps)
    job_id = begin(where.cli, where.repo, f"work {marker}", *ANYWHERE)
    ended(where.cli, job_id)
    return job_id


def patch(text: str) -> Step:
    return Step.patch(f"*** Begin Patch\n{text}*** End Patch\n")


def unittest(name: str, *more: str) -> str:
    return " ".join(["python3 -B -m unittest", name.removesuffix(".py"), *more])


def test_one_agent_from_the_prompt_to_the_commit(where: Place) -> None:
    # By its time it could be the agent's.
    soon = where.home.env | {"GIT_COMMITTER_DATE": f"{int(time.time()) + 1} +0000"}
    words = ["git", "commit", "-q", "--allow-empty", "-m", "before it began"]
    subprocess.run(words, cwd=where.repo, env=soon, check=True)
    before = say(where, "rev-parse", "HEAD")
    good = "+import unittest\n+class T(unittest.TestCase):\n+    def test_a(self): pass\n"
    bad = good.replace("pass", "self.fail()")
    job_id = run(
        where,
        "%%whole%%",
        patch(f"*** Add File: {GOOD}\n{good}*** Add File: {BAD}\n{bad}"),
        Step.command(unittest(GOOD)),
        Step.command(unittest(BAD)),
        Step.command(unittest(BAD, "2>&1 | cat")),
        patch(
            f"*** Delete File: {BAD}\n*** Update File: README.md\n*** Move to: READ.md\n"
            "@@\n-A repository for one test.\n+Changed.\n"
        ),
        Step.command(f"git add {GOOD} && git commit -m 'add `a` test'"),
        Step.command("exit 3"),
        Step.message("All 12 tests pass."),
    )
    (report,) = told(where, job_id)
    made = say(where, "rev-parse", "HEAD")
    thread_id = record(where.home, job_id).facts.thread_id
    assert (report["id"], report["thread_id"], report["state"]) == (job_id, thread_id, "completed")
    assert [(one["text"], one["chars"]) for one in report["asked"]] == [("work %%whole%%", 14)]
    assert [one["status"] for one in report["turns"]] == ["completed"]
    assert report["turns"][0]["duration_ms"] > 0
    assert report["claim"] == "All 12 tests pass."
    assert [(one["outcome"], one["basis"], one["passed"], one["failed"]) for one in report["tests"]] == [
        ("passed", "exit_code", 1, 0),
        ("failed", "exit_code", 0, 1),
        ("failed", "output", 0, 1),
    ]
    commits = report["commits"]
    assert (commits["basis"], commits["before"], commits["after"]) == ("head", before, made)
    assert [(one["id"], one["subject"], one["seen"]) for one in commits["made"]] == [(made, "add `a` test", True)]
    assert commits["uncommitted"] == [str(where.repo / name) for name in ("READ.md", "README.md")]
    assert [one["exit_code"] for one in report["commands"]] == [0, 1, 0, 0, 3]
    assert (report["commands_total"], report["commands_failed"]) == (5, 2)
    # What came and went is no change.
    assert [(one["kind"], one["path"], one["moved_to"]) for one in report["files"]] == [
        ("update", str(where.repo / "README.md"), str(where.repo / "READ.md")),
        ("add", str(where.repo / GOOD), None),
    ]
    assert report["tokens"]["output"] > 0
    assert report["cost_usd"] > 0
    text = where.cli("report", job_id).ok().out
    assert "- cost: $" in text
    assert "- **failed** (by its output, 1 failed)" in text
    assert f"- {made[:12]} ``add `a` test``, `A Tester`" in text
    assert text.index("## Evidence") < text.index("## Claimed by the agent") < text.index("All 12 tests pass.")


def test_commits_of_others_are_not_the_agents(where: Place) -> None:
    gate = where.model.gate("commits")
    where.model.on("%%work%%", Step.hold(gate, Step.command("true")), Step.message("I committed it."))
    job_id = begin(where.cli, where.repo, "%%work%%", *ANYWHERE)
    gate.reached()
    say(where, "commit", "-q", "--allow-empty", "-m", "by a person, meanwhile")
    gate.open()
    ended(where.cli, job_id)
    later = where.home.env | {"GIT_COMMITTER_DATE": "2099-01-01T00:00:00Z"}
    subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "long after"], cwd=where.repo, env=later, check=True
    )
    (report,) = told(where, job_id)
    assert [(one["subject"], one["seen"]) for one in report["commits"]["made"]] == [
        ("by a person, meanwhile", False)
    ]
    text = where.cli("report", job_id).ok().out
    assert "somebody else may have made it" in text and "long after" not in text


def test_a_commit_that_was_reset_away_is_shown(where: Place) -> None:
    job_id = run(
        where,
        "%%reset%%",
        Step.command("git commit --allow-empty -m 'made and dropped' && git reset -q --hard HEAD~1"),
        Step.message("Nothing happened."),
    )
    (report,) = told(where, job_id)
    assert [(one["subject"], one["seen"]) for one in report["commits"]["made"]] == [("made and dropped", True)]


def test_without_the_commit_it_began_at_time_decides(where: Place, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    subprocess.run(["git", "init", "-q", str(empty)], env=where.home.env, check=True)
    where.model.on("%%first%%", Step.command("git commit -q --allow-empty -m first"), Step.message("done"))
    job_id = begin(where.cli, empty, "%%first%%", *ANYWHERE)
    ended(where.cli, job_id)
    (report,) = told(where, job_id)
    commits = report["commits"]
    assert (commits["basis"], commits["before"], [one["subject"] for one in commits["made"]]) == (
        "time",
        None,
        ["first"],
    )
    outside_git = tmp_path / "plain"
    outside_git.mkdir()
    where.model.on("%%plain%%", Step.message("done"))
    other = begin(where.cli, outside_git, "%%plain%%", "--skip-git-repo-check")
    ended(where.cli, other)
    (report,) = told(where, other)
    assert (report["commits"]["basis"], report["commits"]["tree"]) == ("none", None)
    assert "no git work tree" in where.cli("report", other).ok().out


def test_later_messages_and_turns_that_failed(where: Place, others: Outside) -> None:
    thread = others.aborted(Step.command("exit 1"))
    again = others.resumed(thread, Step.message("Now it is done."))
    (report,) = told(where, thread.id)
    assert (report["id"], report["job_id"], report["source"]) == (thread.id, None, "exec")
    assert [one["status"] for one in report["turns"]] == ["interrupted", "completed"]
    assert [one["text"] for one in report["asked"]] == [f"{thread.marker} please", f"{again.marker} please"]
    assert (report["state"], report["claim"]) == ("completed", "Now it is done.")
    killed = others.killed()
    (report,) = told(where, killed.id)
    assert (report["state"], report["turns"][-1]["status"]) == ("interrupted", "open")
    failed = others.failed(Step.failed("context_length_exceeded"))
    (report,) = told(where, f"codex://threads/{failed.id}")
    assert report["state"] == "failed" and "context window" in report["turns"][0]["error"]


def test_an_archived_thread_and_what_it_cost(where: Place, others: Outside) -> None:
    steps = (Step.command("true"), Step.message("Put me away."))
    thread = others.archived(others.exec(*steps, words=("-m", "no-price")))
    (report,) = told(where, thread.id)
    assert report["claim"] == "Put me away." and "/archived_sessions/" in report["rollout"]
    assert report["cost_usd"] is None
    priced = {"CODEX_AGENT_PRICES": f"{report['model']}=1000000,1000000,1000000"}
    answer = where.cli("report", thread.id, "--json", env=priced).ok().json()
    assert answer["reports"][0]["cost_usd"] == report["tokens"]["input"] + report["tokens"]["output"]
    assert "- cost: $" in where.cli("report", thread.id, env=priced).ok().out


def test_sub_agents_have_reports_of_their_own(where: Place, others: Outside) -> None:
    with ide(others) as window:
        where.model.on("%%child%%", Step.command("exit 4"), Step.message("I was the child."))
        thread = window.thread(
            spawns("%%child%% please"), Step.message("I am the parent."), sandbox="danger-full-access"
        )
        window.ended(thread)

        def child() -> dict[str, Any] | None:
            (report,) = told(where, thread.id)
            assert (report["claim"], report["commands_total"], report["state"]) == ("I am the parent.", 0, "idle")
            found = told(where, *report["sub_agents"]) if report["sub_agents"] else []
            return found[0] if found and found[0]["claim"] else None

        found = until(child, 30, "the child's last word")
        assert found is not None
        assert (found["source"], found["claim"], found["commands"][0]["exit_code"]) == (
            "subagent",
            "I was the child.",
            4,
        )
        assert ["%%child%% please" in one["text"] for one in found["asked"]] == [True]


def test_several_and_their_notes(where: Place) -> None:
    one, two = (run(where, f"%%{name}%%", Step.message(name)) for name in ("one", "two"))
    where.cli("note", one, "forgot `x`\n## Done", "--kind", "mistake").ok()
    where.cli("note", one, "other mistake", "--kind", "mistake").ok()
    where.cli("note", one, "fixed by hand", "--kind", "resolution").ok()
    where.cli("note", two, "just a note").ok()
    first, second = told(where, one, two, one)
    assert [mistake["note"]["text"] for mistake in first["mistakes"]] == ["forgot `x`\n## Done", "other mistake"]
    assert [[note["text"] for note in mistake["resolutions"]] for mistake in first["mistakes"]] == [
        [],
        ["fixed by hand"],
    ]
    assert (second["mistakes"], [note["text"] for note in second["notes"]]) == ([], ["just a note"])
    text = where.cli("report", one, two).ok().out
    assert text.count("# Report: ") == 2 and "No resolution was noted." in text
    assert text.count("\n## Done\n\n-") == 2  # what a note says is quoted


def test_a_job_that_never_had_a_thread(where: Place) -> None:
    where.model.on("%%never%%", Step.message("x"))
    # What Codex refuses before it has a thread.
    done = where.cli(
        "start", "%%never%% please", "-d", str(where.repo), "-c", 'sandbox_mode="bogus"', "--wait", "--json"
    )
    job = done.json() if "error" not in done.json() else None
    if job is None:
        pytest.skip("this Codex is refused before there is a job")
    (report,) = told(where, job["id"])
    assert (report["thread_id"], report["state"], report["commands_total"]) == (None, "failed", 0)
    assert report["asked"][0]["text"] == "%%never%% please"
    assert report["failure"]["message"] in where.cli("report", job["id"]).ok().out.replace("\\", "")


def test_whoever_there_is_none(where: Place) -> None:
    answer = where.cli("report", "nobody", "--json")
    assert (answer.rc, answer.json()["error"]["code"]) == (3, "thread_not_found")
