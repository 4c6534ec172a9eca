"""What git and GitHub see of a job is in its record: branch, commits, pull request; with wrappers and without."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.model import Job
from codex_agent.tracking.notes import Folder, Note
from support import Cli, Codex, Home, until
from support.github import GitHub, github
from support.interactive import stay, told
from support.jobs import begin, ended, record, see

# The network for gh, and no way to write below /tmp, where the tests' folders are, but into what is made writable.
STRICT = tuple(
    word
    for key in ("network_access", "exclude_slash_tmp", "exclude_tmpdir_env_var")
    for word in ("-c", f"sandbox_workspace_write.{key}=true")
)


def git(home: Home, repo: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=repo, env=home.env, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def hub(home: Home, repo: Path) -> Iterator[GitHub]:
    """A GitHub, its `gh` on the PATH, and the repository known there."""
    with github() as made:
        folder = made.put_gh(home.root / "programs").parent
        home.env["PATH"] = f"{folder}:{home.env['PATH']}"
        (home.path / ".bash_profile").write_text(f"PATH={folder}:$PATH\n")  # Codex's shells are login shells
        git(home, repo, "remote", "add", "origin", "https://github.example/someone/repo.git")
        yield made


def did(
    cli: Cli, model: ModelServer, repo: Path, commands: list[str], *more: str, sandbox: str = "workspace-write"
) -> dict[str, Any]:
    """A job whose agent ran these commands, when it has ended."""
    model.on("%%work", *map(Step.command, commands), Step.message("Done."))
    words = ("-s", sandbox, *(("--add-dir", str(repo / ".git"), *STRICT) if sandbox == "workspace-write" else ()))
    job = ended(cli, begin(cli, repo, "%%work", *words, *more))
    assert job["status"] == "completed", job
    schema.check(Job, job)
    return job


def kinds(cli: Cli, job_id: str) -> list[str]:
    return [event["event"] for event in cli("output", job_id, "--events", "--json").ok().json()["events"]]


def test_a_whole_contribution(
    cli: Cli, each_codex: Codex, home: Home, model: ModelServer, repo: Path, hub: GitHub
) -> None:
    """Inside the sandbox, in whatever shell Codex uses: branch, commit, pull request, merge."""
    before = git(home, repo, "rev-parse", "HEAD")
    job = did(
        *(cli, model, repo),
        [
            f"touch {home.agent_home}/no {home.agent_home}/jobs/no {home.agent_home}/wrappers/git/no",
            "command -v git gh > seen; echo $CODEX_AGENT_ISSUE $CODEX_AGENT_NAME $CODEX_AGENT_PROJECT >> seen",
            "git switch -q -c feature/one && git add -A && git commit -q -m 'one thing' && echo x > left",
            "gh pr create --title 'One thing' --body ''",
            "gh pr merge --squash",
        ],
        *("--name", "worker", "--issue", "ISSUE-7"),
    )
    after = git(home, repo, "rev-parse", "HEAD")
    seen = (repo / "seen").read_text().split()
    assert [Path(path).parts[-3:] for path in seen[:2]] == [("wrappers", "git", "git"), ("wrappers", "gh", "gh")]
    assert seen[2:] == ["ISSUE-7", "worker", "repo"]
    assert job["git"] == {
        "top": str(repo),
        "branch_before": "main",
        "head_before": before,
        "branch": "feature/one",
        "head": after,
        "commits": [{"id": after, "subject": "one thing"}],
        "more_commits": False,
        "dirty": [],
        "dirty_count": None,
    }
    assert not list(home.agent_home.rglob("no")), "the one folder is open, and nothing else of ours"
    assert job["branches_made"] == ["feature/one"] and job["issue"] == "ISSUE-7"
    url = hub.pulls["feature/one"]["url"]
    assert job["pull_request"] == {"url": url, "status": "merged", "seen_by": "gh"}
    told_events = kinds(cli, job["id"])
    assert told_events.count("pull_request") == 2 and {"branch", "branch_made", "head"} <= set(told_events)
    text = cli("status", job["id"]).ok().out
    assert f"pr       merged: {url}" in text and "branch   feature/one" in text and "1, the last: " in text


def test_only_what_succeeded(cli: Cli, home: Home, model: ModelServer, repo: Path, hub: GitHub) -> None:
    job = did(
        *(cli, model, repo),
        [
            "git switch -c 'no branch at all'; git checkout -b; git checkout -b main; gh pr merge 99; true",
            "gh pr create --title open-one; gh pr merge --auto; git checkout -q -b kept; git branch other",
        ],
    )
    assert job["branches_made"] == ["kept"]
    assert job["pull_request"]["status"] == "pr_open", "--auto only says that it is to be merged some day"


def test_other_jobs_notes_are_not_ours(cli: Cli, home: Home, model: ModelServer, repo: Path, hub: GitHub) -> None:
    """Two at once in one repository: each has its own; a job that a job starts too."""
    for name in "ab":
        commands = f"git branch {name}-one && git checkout -q -B from-{name}"
        model.on(f"%%{name}", Step.command(commands), Step.hold(model.gate(name)), Step.message(name))
    more = ("--add-dir", str(repo / ".git"))
    first, second = begin(cli, repo, "%%a", *more), begin(cli, repo, "%%b", *more)
    for name, job_id in (("a", first), ("b", second)):
        until(lambda job_id=job_id: see(cli, job_id)["branches_made"], 20, "the branch")  # type: ignore[misc]
        assert see(cli, job_id)["branches_made"] == [f"from-{name}"]
        model.gate(name).open()
    ended(cli, first)
    ended(cli, second)


@pytest.mark.parametrize("how", ["bypassed", "--no-track"])
def test_without_the_wrappers(cli: Cli, home: Home, model: ModelServer, repo: Path, hub: GitHub, how: str) -> None:
    """HEAD is compared all the same, and gh is asked; switched off, gh is left alone."""
    real = {name: shutil.which(name, path=home.env["PATH"]) for name in ("git", "gh")}
    job = did(
        *(cli, model, repo),
        [
            f"export G={real['git']}; $G switch -q -c aside && touch new && $G add new && $G commit -q -m two",
            f"PATH={Path(str(real['git'])).parent}:$PATH {real['gh']} pr create --title two; env > seen",
        ],
        *(("--no-track",) if how == "--no-track" else ()),
    )
    assert (job["git"]["branch"], job["git"]["commits"][0]["subject"]) == ("aside", "two")
    assert job["branches_made"] == []
    seen = (repo / "seen").read_text()
    if how == "bypassed":
        assert job["pull_request"] == {
            "url": hub.pulls["aside"]["url"], "status": "pr_open", "seen_by": "head",
        }  # fmt: skip
    else:
        assert job["pull_request"] is None and "CODEX_AGENT_NOTES" not in seen and "/wrappers/" not in seen
        assert not [one for one in hub.asked if one.startswith("GET")]
        assert record(home, job["id"]).request.track is None


def test_an_agent_that_stays(cli: Cli, each_codex: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    """Seen while it runs; and still there when the job is begun again."""
    commit = "touch {0} && git add {0} && git commit -q -m {0}"
    first, second = (commit.format(name) for name in "ab")
    model.on("%%stay", Step.command(f"git switch -q -c live && {first}"), Step.message("One."))
    model.on("%%more", Step.command(second), Step.message("Two."))
    job_id = stay(cli, repo, "%%stay", "--add-dir", str(repo / ".git"))
    assert told(cli, "await-turn", job_id)["message"] == "One."
    until(lambda: see(cli, job_id)["branches_made"] == ["live"], 10, "the branch")
    assert see(cli, job_id)["git"]["branch"] == "live"
    told(cli, "exit", job_id)
    assert [one["subject"] for one in see(cli, job_id)["git"]["commits"]] == ["a"]
    told(cli, "send", job_id, "%%more", "--wait", shape="send --wait")
    told(cli, "exit", job_id)
    assert [one["subject"] for one in see(cli, job_id)["git"]["commits"]] == ["a", "b"]


def test_a_killed_supervisor_loses_nothing(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    commands = "git switch -q -c before && touch a && git add a && git commit -q -m a && touch x"
    model.on("%%die", Step.command(commands), Step.hold(model.gate("never")))
    job_id = begin(cli, repo, "%%die", "--add-dir", str(repo / ".git"))
    until(lambda: (repo / "x").exists(), 20, "the commit")
    facts = record(home, job_id).facts
    assert facts.supervisor is not None
    os.kill(facts.supervisor.pid, signal.SIGKILL)
    job = ended(cli, job_id)
    assert job["status"] == "interrupted"
    assert (job["git"]["branch"], job["branches_made"]) == ("before", ["before"])
    assert [one["subject"] for one in job["git"]["commits"]] == ["a"]


def test_what_is_not_committed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """Asked of git only where the agent could not have told git what to run for it."""
    trap = repo / ".git" / "trap"
    spring = (
        f"git config filter.x.clean 'touch {trap}; cat'; echo '* filter=x' > .gitattributes; echo y >> README.md"
    )
    for more, sprung in (
        ((), False),
        (("--add-dir", str(repo / ".git")), True),
        (("-s", "danger-full-access"), None),
    ):
        model.on("%%left", Step.command(f"touch left; {spring}"), Step.message("Done."))
        job = ended(cli, begin(cli, repo, "%%left", *STRICT, *more))
        if sprung:
            assert job["git"]["dirty_count"] is None and not trap.exists()
        else:
            assert {"left", "README.md"} <= set(job["git"]["dirty"]) and job["git"]["dirty_count"] == 3
            assert "3 files not committed" in cli("status", job["id"]).ok().out


def test_the_notes_go_with_the_job(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    job = did(cli, model, repo, ["git switch -q -c there"])
    folder = Path(str(record(home, job["id"]).request.track))
    assert [path.suffix for path in folder.iterdir()] == [".note"] and folder.stat().st_mode & 0o777 == 0o700
    cli("delete", job["id"]).ok()
    assert not folder.exists()


def test_outside_of_git(cli: Cli, home: Home, model: ModelServer, tmp_path: Path) -> None:
    folder = tmp_path / "plain folder"
    folder.mkdir()
    model.on("%%none", Step.command("git status; echo $? $CODEX_AGENT_PROJECT > out"), Step.message("Done."))
    job = ended(cli, begin(cli, folder, "%%none", "--skip-git-repo-check"))
    assert job["git"] is None and (folder / "out").read_text() == "128 plain folder\n"


# ---- what the agent can write is not believed ----


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"\xff", b"kind=git\0branch=x y\0top=/", b"kind=git\0branch=x\0top=relative",
        b"kind=git\0top=/",
        b"kind=gh\0status=merged\0url=file:///x", b"kind=gh\0status=else\0url=https://x", b"kind\0branch\0top",
        b"kind=gh\0status=merged\0url=https://x\x1b[31m", b"kind=git\0top=/\0branch=" + b"x" * 5000,
    ],
)  # fmt: skip
def test_notes_that_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.note").write_bytes(content)
    (tmp_path / "pipe.note").touch()
    os.unlink(tmp_path / "pipe.note")
    os.mkfifo(tmp_path / "pipe.note")
    (tmp_path / "link.note").symlink_to(tmp_path / "good.txt")
    (tmp_path / "good.txt").write_bytes(b"kind=gh\0status=merged\0url=https://x")
    folder = Folder(str(tmp_path))
    assert folder.new() == []
    shutil.rmtree(tmp_path)
    assert folder.new() == []


def test_an_invented_branch(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    note = f"kind=git\\0branch=invented\\0top={repo}"
    job = did(cli, model, repo, [f"printf '{note}' > \"$CODEX_AGENT_NOTES/x.note\""])
    assert Folder(str(record(home, job["id"]).request.track)).new() == [Note("branch", "invented", str(repo))]
    assert job["branches_made"] == []


def test_a_note_about_a_repository_that_git_cannot_read(
    cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    note = f"kind=git\\0branch=other\\0top={repo}/broken"
    broken = "git init -q broken && echo '[' >> broken/.git/config"
    job = did(cli, model, repo, [f"{broken}; printf '{note}' > \"$CODEX_AGENT_NOTES/x.note\""])
    assert job["status"] == "completed" and job["branches_made"] == []


def test_a_repository_that_goes_away(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """And the folder of the notes with it: the job goes on and ends as it would have."""
    model.on(
        "%%gone",
        Step.command('git switch -q -c last; mv "$CODEX_AGENT_NOTES" moved; mv .git .gone; touch done'),
        Step.message("Done."),
    )
    job = ended(cli, begin(cli, repo, "%%gone", "-s", "danger-full-access"))
    assert job["status"] == "completed" and job["git"]["branch_before"] == "main"
    assert job["git"]["dirty_count"] is None and (repo / "done").exists()
