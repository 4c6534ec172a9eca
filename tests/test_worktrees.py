"""Agents in worktrees of their own, with real Codex: three that edit one file; commits by them and for them."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import Step
from support import codexes
from support.agents import Agent
from support.home import Home
from support.interactive import stay
from support.jobs import Place, begin, ended, see
from support.repos import Git, say
from support.waiting import until

__all__ = ["say"]

# The tests' repositories lie below the temporary folder, which the sandbox lets an agent write otherwise.
STRICT = (
    *("-c", "sandbox_workspace_write.exclude_slash_tmp=true"),
    *("-c", "sandbox_workspace_write.exclude_tmpdir_env_var=true"),
)


@pytest.fixture
def home(where: Place) -> Home:
    return where.home


def run(where: Place, *words: str, rc: int = 0) -> dict[str, Any]:
    """What the command prints as JSON, of the documented shape."""
    said = where.cli(*words, "--json")
    assert said.rc == rc, str(said)
    found = said.json()
    name = " ".join(words[:2]) if words[0] == "worktree" else words[0]
    if rc == 0:
        schema.check(schema.COMMANDS[name], found)
    assert isinstance(found, dict)
    return found


def changed(where: Place, job: str) -> bool:
    return bool(see(where.cli, job)["files_modified"] == ["shared.txt"])


def patch(old: str, new: str) -> Step:
    return Step.patch(f"*** Begin Patch\n*** Update File: shared.txt\n@@\n-{old}\n+{new}\n*** End Patch\n")


def test_three_agents_edit_one_file(where: Place, say: Git) -> None:
    (where.repo / "shared.txt").write_text("top\n1\n2\n3\n4\n5\n6\n7\n8\nend\n")
    say(where.repo, "add", ".")
    say(where.repo, "commit", "-q", "-m", "shared")
    jobs: dict[str, str] = {}
    for name, (old, new) in {"head": ("top", "TOP"), "tail": ("end", "END"), "rival": ("top", "Top!")}.items():
        gate = where.model.gate(name)
        words = Step.message(f"The {name} is done.")
        where.model.on(f"%%{name}%%", patch(old, new), Step.hold(gate), words)
        jobs[name] = begin(
            where.cli, where.repo, f"do %%{name}%%", "--worktree", "--name", f"the {name}", "--commit"
        )
        gate.reached()
        until(partial(changed, where, jobs[name]), 20, "its file")
    # Each in a tree and on a branch of its own; none was warned of another.
    seen = {name: see(where.cli, job) for name, job in jobs.items()}
    assert {name: job["worktree"]["branch"] for name, job in seen.items()} == {
        name: f"codex-agent/the-{name}" for name in jobs
    }
    assert len({job["cwd"] for job in seen.values()}) == 3 and not any(job["warnings"] for job in seen.values())
    overlap = run(where, "overlap")
    assert overlap["trees"] == []
    (apart,) = overlap["apart"]
    assert apart["repository"] == str(where.repo / ".git")
    assert {agent["id"] for agent in apart["agents"]} == set(jobs.values())
    assert [(file["path"], set(file["by"])) for file in apart["files"]] == [("shared.txt", set(jobs.values()))]
    assert "! shared.txt: " in where.cli("overlap").ok().out
    # At work: it is seen, and not merged.
    assert [file["uncommitted"] for file in run(where, "diff", jobs["head"])["files"]] == [True]
    assert "at work" in run(where, "merge", jobs["head"], rc=4)["error"]["message"]
    for name, job in jobs.items():
        where.model.gate(name).open()
        done = ended(where.cli, job)
        assert (done["status"], len(done["committed"]), done["warnings"]) == ("completed", 1, [])
    assert run(where, "overlap")["apart"] == []
    assert {agent["state"] for agent in run(where, "overlap", "--all")["apart"][0]["agents"]} == {"completed"}

    # Two merge; the third's conflict is told, and nothing is lost or changed by it.
    for name in ("head", "tail"):
        assert run(where, "merge", jobs[name])["into"] == "main"
    assert (where.repo / "shared.txt").read_text() == "TOP\n1\n2\n3\n4\n5\n6\n7\n8\nEND\n"
    before = say(where.repo, "for-each-ref")
    error = run(where, "merge", jobs["rival"], rc=1)["error"]
    assert (error["code"], error["files"], error["into"]) == ("merge_conflict", ["shared.txt"], "main")
    assert say(where.repo, "for-each-ref") == before and say(where.repo, "status", "--porcelain") == ""
    rows = {row["jobs"][0]: row for row in run(where, "worktree", "list")["worktrees"]}
    assert {name: rows[job]["unmerged"] for name, job in jobs.items()} == {"head": 0, "tail": 0, "rival": 1}
    # What is merged may go, whoever asks; the rival's work is kept until somebody forces it.
    cleaned = run(where, "clean", "--older-than", "0")
    assert {job["id"] for job in cleaned["jobs"]} == {jobs["head"], jobs["tail"]}
    assert [(kept["id"], kept["code"]) for kept in cleaned["problems"]] == [(jobs["rival"], "work_at_risk")]
    tree = seen["rival"]["worktree"]["path"]
    with open(os.path.join(tree, "shared.txt")) as file:
        assert file.read().startswith("Top!\n")
    assert say(where.repo, "branch", "--format=%(refname:short)").split() == ["codex-agent/the-rival", "main"]
    assert "--force" in run(where, "worktree", "remove", jobs["rival"], rc=4)["error"]["hint"]
    run(where, "worktree", "remove", jobs["rival"], "--force")
    assert not os.path.exists(tree) and say(where.repo, "branch", "--format=%(refname:short)") == "main"


@pytest.mark.parametrize("label", codexes.WHEELS)
@pytest.mark.parametrize("allowed", [True, False])
def test_an_agent_that_commits_itself(where: Place, say: Git, label: str, allowed: bool) -> None:
    where.home.use_codex(codexes.codex(label))
    command = "echo new > new.txt && git switch -q -c feature && git add -A && git commit -q -m mine"
    where.model.on("%%commit%%", Step.command(command), Step.message("Committed."))
    more = ["--allow-commits"] if allowed else []
    started = where.cli("start", "%%commit%%", "-d", str(where.repo), "--worktree", "--json", *STRICT, *more).ok()
    job = started.json()["id"]
    assert ("outside its sandbox" in started.out) is allowed
    ended(where.cli, job)
    made = run(where, "commits", job)
    if allowed:
        assert [one["subject"] for one in made["commits"]] == ["mine"]
        assert (made["branch"], made["uncommitted"]) == ("feature", [])
        assert run(where, "merge", job)["branch"] == "feature"
        assert (where.repo / "new.txt").read_text() == "new\n"
    else:
        assert (made["commits"], made["uncommitted"]) == ([], ["new.txt"])
        assert say(where.repo, "branch", "--list", "feature") == ""


def test_commits_of_an_agent_that_stays(where: Place, say: Git) -> None:
    where.model.on("%%one%%", Step.command("echo 1 > one.txt"), Step.message("# One is done\n\nSee one.txt."))
    where.model.on("%%two%%", Step.command("echo 2 > two.txt"), Step.message("Two is done"))
    job = stay(where.cli, where.repo, "%%one%%", "--worktree", "talk/it", "--base", "main", "--commit")
    agent = Agent(where.home, where.cli, job)
    # Whoever hears of the turn's end finds it committed.
    assert agent.answers().startswith("# One")
    (first,) = see(where.cli, job)["committed"]
    assert say(where.repo, "log", "-1", "--format=%s", "talk/it") == "One is done"
    assert say(where.repo, "rev-parse", "talk/it") == first
    # Between its turns it may be merged, and goes on.
    assert run(where, "merge", job)["after"] == first
    agent.send("%%two%%")
    assert agent.answers() == "Two is done"
    assert say(where.repo, "log", "--format=%s", "main..talk/it") == "Two is done"
    assert "runs in" in run(where, "worktree", "remove", job, "--force", rc=4)["error"]["message"]
    agent("kill").ok()
    assert len(see(where.cli, job)["committed"]) == 2
    # Begun again by a message, and gone on with as another job: still in the same worktree.
    where.model.on("%%three%%", Step.command("echo 3 > three.txt"), Step.message("Three is done"))
    where.model.on("%%four%%", Step.command("echo 4 > four.txt"), Step.message("Four is done"))
    agent.send("%%three%%")
    assert agent.answers() == "Three is done"
    agent("kill").ok()
    other = where.cli("resume", job, "%%four%%", "--commit", "--json").ok().json()
    assert other["worktree"]["branch"] == "talk/it"
    ended(where.cli, other["id"])
    subjects = [one["subject"] for one in run(where, "commits", other["id"])["commits"]]
    assert subjects == ["Two is done", "Three is done", "Four is done"]
    # Two jobs have it: with the first of them it does not go.
    assert where.cli("delete", job).ok()
    assert run(where, "worktree", "list")["worktrees"][0]["jobs"] == [other["id"]]
    assert where.cli("delete", other["id"]).rc == 4


def test_a_thread_forked_into_a_worktree(where: Place, say: Git) -> None:
    where.model.on("%%plan%%", Step.message("A plan."))
    first = begin(where.cli, where.repo, "%%plan%%")
    ended(where.cli, first)
    where.model.on("%%do%%", Step.command("echo x > done.txt"), Step.message("Done."))
    words = ("resume", first, "%%do%%", "--worktree", "try-it", "--commit", "--json")
    job = where.cli(*words).ok().json()
    assert job["cwd"] != str(where.repo) and ended(where.cli, job["id"])["status"] == "completed"
    assert say(where.repo, "show", "--stat", "--format=%s", "try-it").split()[:1] == ["Done."]
    assert not (where.repo / "done.txt").exists()


def test_an_agent_that_is_killed(where: Place, say: Git) -> None:
    where.model.on("%%kill%%", Step.command("echo x > half.txt; sleep 987"), Step.message("never"))
    job = begin(where.cli, where.repo, "work on %%kill%%", "--worktree", "--commit")
    half = os.path.join(see(where.cli, job)["cwd"], "half.txt")
    until(lambda: os.path.exists(half), 20, "its file")
    where.cli("kill", job).ok()
    (commit,) = see(where.cli, job)["committed"]
    assert say(where.repo, "show", "--format=%s", "--name-only", commit).split("\n\n") == [
        "work on %%kill%%",
        "half.txt",
    ]
    events = [json.loads(line) for line in (where.home.jobs / f"{job}.events.jsonl").read_text().splitlines()]
    assert [event["commit"] for event in events if event["event"] == "committed"] == [commit]


def test_a_commit_that_fails_costs_a_warning_and_no_work(where: Place, say: Git) -> None:
    gate = where.model.gate("locked")
    where.model.on("%%locked%%", Step.command("echo x > x.txt"), Step.hold(gate), Step.message("Done."))
    job = begin(where.cli, where.repo, "%%locked%%", "--worktree", "--commit")
    gate.reached()
    tree = see(where.cli, job)["cwd"]
    lock = where.repo / ".git" / "worktrees" / os.path.basename(tree) / "index.lock"
    lock.touch()
    gate.open()
    done = ended(where.cli, job)
    assert (done["status"], done["committed"]) == ("completed", [])
    assert "index.lock" in done["warnings"][0] and tree in done["warnings"][0]
    lock.unlink()
    assert run(where, "commits", job)["uncommitted"] == ["x.txt"]
