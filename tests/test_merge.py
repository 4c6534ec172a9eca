"""``merge`` and ``apply``: where a job's work goes, and that a refusal changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from support.jobs import Here
from support.repos import Git, say
from support.trees import Made, committed, here, made

__all__ = ["here", "made", "say"]


def answer(here: Here, *words: str) -> dict[str, Any]:
    found = here(*words, "--json").ok().json()
    schema.check(schema.COMMANDS[words[0]], found)
    assert isinstance(found, dict)
    return found


def refused(here: Here, *words: str, rc: int = 4, code: str = "bad_state") -> dict[str, Any]:
    said = here(*words, "--json")
    assert said.rc == rc, str(said)
    error = said.json()["error"]
    assert error["code"] == code, error
    assert isinstance(error, dict)
    return error


def state(say: Git, *folders: Path) -> list[str]:
    """Where branches, files and indexes of these trees stand."""
    refs = say(folders[0], "for-each-ref")
    return [refs, *(say(folder, "status", "--porcelain", "--untracked-files=all") for folder in folders)]


def test_a_branch_that_only_follows_is_moved(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    tip = committed(say, one.path, a="1")
    before = say(repo, "rev-parse", "HEAD")
    done = answer(here, "merge", one.id)
    assert (done["into"], done["before"], done["after"], done["commits"]) == ("main", before, tip, 1)
    assert (done["worktree"], say(repo, "rev-parse", "main")) == (str(repo), tip)
    assert (repo / "a.txt").read_text() == "1"
    assert answer(here, "merge", one.id)["commits"] == 0
    assert "has all of it already" in here("merge", one.id).ok().out


def test_three_ways_into_a_branch_that_went_on(here: Here, made: Made, say: Git, repo: Path) -> None:
    trees = [made(f"aaaaaaa{n}") for n in (1, 2, 3)]
    for n, one in enumerate(trees):
        committed(say, one.path, "first", **{f"a{n}": "1"})
        committed(say, one.path, "second", **{f"b{n}": "1"})
    committed(say, repo, "elsewhere", c="1")
    for one, how in zip(trees, ("", "--squash", "--rebase"), strict=True):
        before = say(repo, "rev-parse", "HEAD")
        after = answer(here, "merge", one.id, *filter(None, [how]))["after"]
        subjects = say(repo, "log", "--format=%s", "--first-parent", f"{before}..{after}").splitlines()
        assert (
            subjects
            == {
                "": [f"Merge {one.branch} into main (codex-agent job {one.id})"],
                "--squash": [f"Done by {one.id}."],
                "--rebase": ["second", "first"],
            }[how]
        )
        parents = say(repo, "rev-list", "--parents", "--max-count=1", after).split()[1:]
        assert len(parents) == (1 if how else 2) and before in say(repo, "rev-list", after).split()
    assert sorted(path.name for path in repo.glob("[abc]*.txt")) == [
        *("a0.txt", "a1.txt", "a2.txt", "b0.txt", "b1.txt", "b2.txt", "c.txt")
    ]
    assert say(repo, "status", "--porcelain") == ""
    assert say(repo, "worktree", "list").count("\n") == 3, "nothing is left of the scratch trees"


@pytest.mark.parametrize("how", ["", "--squash", "--rebase"])
def test_a_conflict_changes_nothing_and_names_the_files(
    here: Here, made: Made, say: Git, repo: Path, how: str
) -> None:
    one = made("aaaaaaa1")
    committed(say, one.path, a="mine", fine="1")
    committed(say, repo, a="theirs", other="1")
    (repo / "untracked").write_text("1")
    before = state(say, repo, one.path)
    error = refused(here, "merge", one.id, *filter(None, [how]), rc=1, code="merge_conflict")
    assert error["files"] == ["a.txt"] and "Nothing was changed" in error["message"]
    assert state(say, repo, one.path) == before
    assert not (repo / ".git" / "MERGE_HEAD").exists() and say(repo, "worktree", "list").count("\n") == 1
    # As the hint says: solved in the agent's tree, it goes through.
    assert f"in {one.path}: git merge main" in error["hint"]
    say(one.path, "merge", "-q", "-X", "ours", "-m", "both", "main")
    answer(here, "merge", one.id)
    assert (repo / "a.txt").read_text() == "mine" and (repo / "other.txt").exists()


def test_what_is_not_committed_is_not_passed_over(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    committed(say, one.path, a="1")
    (one.path / "open.txt").write_text("1")
    before = state(say, repo, one.path)
    error = refused(here, "merge", one.id, code="work_at_risk")
    assert error["files"] == ["open.txt"] and "--commit" in error["hint"] and "--force" in error["hint"]
    assert state(say, repo, one.path) == before
    assert answer(here, "merge", one.id, "--force")["commits"] == 1
    assert not (repo / "open.txt").exists() and (one.path / "open.txt").exists()
    answer(here, "merge", one.id, "--commit")
    assert (repo / "open.txt").read_text() == "1"
    assert say(repo, "log", "-1", "--format=%s") == f"Done by {one.id}."
    assert f"Codex-Agent-Job: {one.id}" in say(repo, "log", "-1", "--format=%B")


def test_a_target_that_somebody_works_in(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    committed(say, one.path, a="1")
    (repo / "README.md").write_text("changed by a person")
    before = state(say, repo, one.path)
    error = refused(here, "merge", one.id)
    assert error["files"] == ["README.md"] and str(repo) in error["message"]
    assert state(say, repo, one.path) == before
    say(repo, "checkout", "-q", "README.md")
    # A file that git does not know would be overwritten.
    (repo / "a.txt").write_text("a person's")
    before = state(say, repo, one.path)
    assert "a.txt" in refused(here, "merge", one.id)["message"]
    assert (state(say, repo, one.path), (repo / "a.txt").read_text()) == (before, "a person's")


def test_into_another_branch(here: Here, made: Made, say: Git, repo: Path) -> None:
    say(repo, "branch", "release")
    one = made("aaaaaaa1")
    tip = committed(say, one.path, a="1")
    (repo / "README.md").write_text("is no matter: release is checked out nowhere")
    done = answer(here, "merge", one.id, "--into", "release")
    assert (done["worktree"], say(repo, "rev-parse", "release")) == (None, tip)
    assert not (repo / "a.txt").exists()
    for into in ("nowhere", one.branch):
        refused(here, "merge", one.id, "--into", into, rc=2, code="usage")
    two = made("aaaaaaa2", base=tip)
    committed(say, two.path, b="1")
    assert "--into" in refused(here, "merge", two.id, rc=2, code="usage")["hint"]


def test_hooks_that_an_agent_may_have_written_do_not_run(here: Here, made: Made, say: Git, repo: Path) -> None:
    say(repo, "config", "core.hooksPath", "hooks")
    one = made("aaaaaaa1")
    (one.path / "hooks").mkdir()
    for name in ("pre-commit", "post-commit", "post-merge", "post-checkout", "commit-msg"):
        hook = one.path / "hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {repo.parent}/hook-ran\n")
        hook.chmod(0o755)
    committed(say, repo, elsewhere="1")
    answer(here, "merge", one.id, "--commit")
    assert (repo / "hooks" / "post-merge").exists()
    assert not (repo.parent / "hook-ran").exists()


def test_apply(here: Here, made: Made, say: Git, repo: Path) -> None:
    committed(say, repo, moved="1\n2\n3\n", gone="1", old="old\n" * 20)
    one = made("aaaaaaa1")
    committed(say, one.path, fresh="1")
    say(one.path, "rm", "-q", "gone.txt")
    say(one.path, "mv", "moved.txt", "there.txt")
    (one.path / "bytes").write_bytes(bytes(range(256)))
    (one.path / "run.sh").write_text("#!/bin/sh\n")
    (one.path / "run.sh").chmod(0o755)
    (one.path / "link").symlink_to("fresh.txt")
    (one.path / "old.txt").write_text("new\n" + "old\n" * 19)
    # The target went on meanwhile, in the same file too.
    committed(say, repo, "on", old="old\n" * 19 + "newer\n")
    (repo / "notes").write_text("a person's, and no concern of this")
    index = say(repo, "diff", "--cached", "--stat")
    done = answer(here, "apply", one.id)
    assert done["path"] == str(repo)
    assert set(done["files"]) == {
        *("bytes", "fresh.txt", "gone.txt", "link", "moved.txt", "old.txt", "run.sh", "there.txt")
    }
    assert (repo / "bytes").read_bytes() == bytes(range(256)) and (repo / "link").is_symlink()
    assert (repo / "run.sh").stat().st_mode & 0o100 and not (repo / "gone.txt").exists()
    assert (repo / "old.txt").read_text() == "new\n" + "old\n" * 18 + "newer\n"
    assert say(repo, "diff", "--cached", "--stat") == index and say(repo, "log", "-1", "--format=%s") == "on"
    # Twice does not mix.
    assert "--force" in refused(here, "apply", one.id)["hint"]


def test_apply_that_does_not_fit_changes_nothing(here: Here, made: Made, say: Git, repo: Path) -> None:
    committed(say, repo, a="1\n", b="1\n")
    one = made("aaaaaaa1")
    (one.path / "a.txt").write_text("mine\n")
    (one.path / "b.txt").write_text("mine\n")
    committed(say, repo, a="theirs\n")
    before = state(say, repo, one.path)
    error = refused(here, "apply", one.id, rc=1, code="merge_conflict")
    assert error["files"] == ["a.txt"]
    assert state(say, repo, one.path) == before
    # In another worktree of the same repository it may go well; elsewhere it is no question.
    other = made("aaaaaaa2", base="HEAD~1")
    assert answer(here, "apply", one.id, "--dir", str(other.path))["files"] == ["a.txt", "b.txt"]
    for folder in (one.path, repo.parent):
        refused(here, "apply", one.id, "--dir", str(folder), rc=2, code="usage")


def test_a_file_of_a_persons_own_is_not_overwritten(here: Here, made: Made, say: Git, repo: Path) -> None:
    one = made("aaaaaaa1")
    (one.path / "new.txt").write_text("mine")
    (one.path / "also.txt").write_text("mine")
    (repo / "new.txt").write_text("a person's")
    assert refused(here, "apply", one.id)["files"] == ["new.txt"]
    error = refused(here, "apply", one.id, "--force", rc=1, code="merge_conflict")
    assert error["files"] == ["new.txt"]
    assert (repo / "new.txt").read_text() == "a person's" and not (repo / "also.txt").exists()
