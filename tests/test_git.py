"""Reading where a git work tree stands, against real git in every arrangement it has; and what git is asked."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from codex_agent import git
from codex_agent.errors import GitFailed, MissingProgram
from support.home import Home
from support.repos import Git, commit, say

__all__ = ["say"]


def as_git_says(say: Git, folder: Path) -> None:
    """What is read from files is what git itself says."""
    top = say(folder, "rev-parse", "--show-toplevel")
    assert git.toplevel(str(folder)) == top
    assert git.head(top) == say(folder, "rev-parse", "HEAD")
    assert git.branch(top) == (say(folder, "branch", "--show-current") or None)


# ---- where the tree begins ----


def test_the_tree_of_a_folder_of_a_file_and_of_what_is_not_there_yet(repo: Path, tmp_path: Path) -> None:
    (repo / "a b" / "c").mkdir(parents=True)
    for path in (repo, repo / "README.md", repo / "a b" / "c", repo / "new" / "file.py", repo / ".git" / "hooks"):
        assert git.toplevel(str(path)) == os.path.realpath(repo), path
    assert git.toplevel(str(tmp_path)) is None
    assert git.toplevel("/") is None


def test_a_link_leads_to_the_real_tree(repo: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(repo)
    assert git.toplevel(str(link / "sub")) == os.path.realpath(repo)


def test_a_folder_that_is_only_called_dot_git_is_none(repo: Path) -> None:
    inner = repo / "inner"
    (inner / ".git").mkdir(parents=True)
    assert git.toplevel(str(inner)) == os.path.realpath(repo)
    (repo / "other").mkdir()
    (repo / "other" / ".git").write_text("nothing that git knows\n")
    assert git.toplevel(str(repo / "other")) == os.path.realpath(repo)


def test_bare_repositories_have_no_tree_and_their_work_trees_have(say: Git, repo: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    say(tmp_path, "clone", "-q", "--bare", str(repo), str(project / ".bare"))
    (project / ".git").write_text("gitdir: ./.bare\n")
    assert git.toplevel(str(project)) is None
    assert git.toplevel(str(project / ".bare" / "refs")) is None
    say(project, "worktree", "add", "-q", "main")
    as_git_says(say, project / "main")


# ---- where it stands ----


def test_head_as_it_moves(say: Git, repo: Path) -> None:
    as_git_says(say, repo)
    commit(say, repo, "one")
    as_git_says(say, repo)
    say(repo, "switch", "-q", "-c", "topic/with/slashes")
    commit(say, repo, "two")
    as_git_says(say, repo)
    say(repo, "pack-refs", "--all")
    assert not (repo / ".git" / "refs" / "heads" / "topic" / "with" / "slashes").exists()
    as_git_says(say, repo)
    commit(say, repo, "three")  # loose again, above a packed one that is older
    as_git_says(say, repo)
    say(repo, "switch", "-q", "--detach", "HEAD~1")
    as_git_says(say, repo)
    say(repo, "reset", "-q", "--hard", "main")
    as_git_says(say, repo)


def test_a_packed_branch_whose_name_ends_like_another(say: Git, repo: Path) -> None:
    first = say(repo, "rev-parse", "HEAD")
    say(repo, "branch", "b")
    say(repo, "switch", "-q", "-c", "a-b")
    second = commit(say, repo, "one")
    say(repo, "tag", "-a", "-m", "annotated", "v1")  # has a line of its own below it
    say(repo, "update-ref", "refs/a/refs/heads/a-b", first)
    say(repo, "pack-refs", "--all")
    assert git.head(str(repo)) == second
    say(repo, "switch", "-q", "b")
    assert git.head(str(repo)) == first


def test_before_the_first_commit(say: Git, tmp_path: Path) -> None:
    empty = tmp_path / "empty one"
    empty.mkdir()
    say(empty, "init", "-q")
    assert git.toplevel(str(empty)) == os.path.realpath(empty)
    assert (git.head(str(empty)), git.branch(str(empty))) == (None, "main")
    assert git.verify(str(empty), "HEAD") is None
    (empty / "new").write_text("")
    assert git.changed(str(empty)) == [str(empty / "new")]
    made = commit(say, empty, "one", "the first")
    assert [one.id for one in git.commits(str(empty), None, "HEAD", 5)] == [made]


def test_linked_work_trees_stand_for_themselves(say: Git, repo: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked tree"
    say(repo, "worktree", "add", "-q", "-b", "side", str(linked))
    commit(say, linked, "one")
    for tree in (repo, linked):
        as_git_says(say, tree)
    say(linked, "pack-refs", "--all")
    as_git_says(say, linked)
    where = git.place(str(linked))
    assert where is not None and where.common == str(repo / ".git")
    assert where.folder == str(repo / ".git" / "worktrees" / "linked-tree")
    for tree, name in ((repo, "HEAD"), (linked, "HEAD~1")):
        say(tree, "update-ref", "refs/worktree/mine", name)  # each has its own
        say(tree, "symbolic-ref", "HEAD", "refs/worktree/mine")
    for tree in (repo, linked):
        assert git.head(str(tree)) == say(tree, "rev-parse", "HEAD")
    assert git.head(str(repo)) == git.head(str(linked))
    commit(say, linked, "two")
    assert git.head(str(repo)) != git.head(str(linked)) == say(linked, "rev-parse", "HEAD")


def test_a_submodule_is_a_tree_of_its_own(say: Git, repo: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    say(tmp_path, "init", "-q", str(whole))
    commit(say, whole, "one")
    say(whole, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repo), "part")
    say(whole, "commit", "-q", "-m", "part")
    as_git_says(say, whole / "part")
    assert git.toplevel(str(whole / "part" / "x")) == str(whole / "part")
    (whole / "part" / "README.md").write_text("changed")
    assert git.changed(str(whole)) == []
    assert git.changed(str(whole / "part")) == [str(whole / "part" / "README.md")]


def test_sixty_four_digits(say: Git, tmp_path: Path) -> None:
    top = tmp_path / "sha256"
    say(tmp_path, "init", "-q", "--object-format=sha256", str(top))
    assert len(commit(say, top, "one")) == 64
    as_git_says(say, top)


def test_refs_that_only_git_can_read(home: Home, say: Git, tmp_path: Path) -> None:
    top = tmp_path / "reftable"
    words = ["git", "init", "-q", "--ref-format=reftable", str(top)]
    if subprocess.run(words, env=home.env, capture_output=True, timeout=30, check=False).returncode != 0:
        pytest.skip("this git has no reftable (2.45 and later have)")
    commit(say, top, "one")
    as_git_says(say, top)
    assert str(top / ".git" / "reftable") in git.head_files(str(top))


def test_a_ref_that_leads_out_of_the_repository_is_not_followed(repo: Path, tmp_path: Path) -> None:
    (tmp_path / "stolen").write_text("a" * 40)
    (repo / ".git" / "HEAD").write_text("ref: refs/../../../stolen\n")
    assert git.head(str(repo)) is None
    (repo / ".git" / "HEAD").write_text(f"ref: {tmp_path}/stolen\n")
    assert git.head(str(repo)) is None
    (repo / ".git" / "HEAD").write_text("ref: refs/heads/loop\n")
    (repo / ".git" / "refs" / "heads" / "loop").write_text("ref: refs/heads/loop\n")
    assert git.head(str(repo)) is None


# ---- noticing that it moved ----

MOVES: dict[str, tuple[tuple[str, ...], ...]] = {
    "a commit": (("commit", "-q", "--allow-empty", "-m", "x"),),
    "a new branch with slashes": (("switch", "-q", "-c", "a/b/c"), ("commit", "-q", "--allow-empty", "-m", "x")),
    "a packed branch": (("pack-refs", "--all"), ("commit", "-q", "--allow-empty", "-m", "x")),
    "a reset": (("commit", "-q", "--allow-empty", "-m", "x"), ("reset", "-q", "--hard", "HEAD~1")),
    "a detached head": (("switch", "-q", "--detach"), ("commit", "-q", "--allow-empty", "-m", "x")),
    "a branch that stands for another": (
        ("switch", "-q", "-c", "deep/er"),
        ("symbolic-ref", "refs/heads/alias", "refs/heads/deep/er"),
        ("switch", "-q", "alias"),
        ("commit", "-q", "--allow-empty", "-m", "x"),
    ),
    "an update of the branch from outside": (("update-ref", "refs/heads/main", "refs/heads/other"),),
}


@pytest.mark.parametrize("words", MOVES.values(), ids=MOVES)
@pytest.mark.parametrize("linked", [False, True], ids=["main tree", "linked tree"])
@pytest.mark.parametrize("logs", [True, False], ids=["logs", "no logs"])
def test_whatever_moves_head_touches_what_is_watched(
    say: Git, repo: Path, tmp_path: Path, words: tuple[tuple[str, ...], ...], linked: bool, logs: bool
) -> None:
    if not logs and words == MOVES["a branch that stands for another"]:
        pytest.skip("nothing that is named for it changes")
    say(repo, "switch", "-q", "-c", "other")
    commit(say, repo, "one")
    say(repo, "switch", "-q", "main" if not linked else "other")
    if not logs:
        say(repo, "config", "core.logAllRefUpdates", "false")
        (repo / ".git" / "logs" / "HEAD").unlink()
    top = repo
    if linked:
        top = tmp_path / "linked"
        say(repo, "worktree", "add", "-q", str(top), "main")
    for each in words:
        before = git.head(str(top)), _watched(top)
        # From the other tree, where that can be, so that this one's log is not written.
        say(repo if each[0] == "update-ref" else top, *each)
        after = git.head(str(top)), _watched(top)
        if before[0] != after[0]:
            assert before[1] != after[1], each
    assert git.head(str(top)) == say(top, "rev-parse", "HEAD")


def _watched(top: Path) -> set[tuple[str, int]]:
    """What inotify would tell of: names that appear or are replaced in a folder, changes of a file."""
    paths = [Path(path) for path in git.head_files(str(top))]
    assert paths and all(path.exists() for path in paths)
    seen = [path for path in paths if path.is_file()]
    return {(str(path), path.stat().st_mtime_ns) for path in paths if path.is_dir()} | {
        (str(path), path.stat().st_size) for path in seen
    }


def test_nothing_to_watch_where_there_is_no_tree(tmp_path: Path) -> None:
    assert git.head_files(str(tmp_path)) == []


# ---- what git is asked ----


def test_commits_in_order(say: Git, repo: Path) -> None:
    start = say(repo, "rev-parse", "HEAD")
    made = [commit(say, repo, f"f{number}", f"number {number}\n\nbody") for number in range(4)]
    found = git.commits(str(repo), start, "HEAD", 10)
    assert [(one.id, one.subject) for one in found] == [(name, f"number {n}") for n, name in enumerate(made)]
    assert {one.author for one in found} == {"A Tester"}
    assert all(one.at.endswith(".000Z") and one.at[:2] == "20" for one in found)
    assert [one.id for one in git.commits(str(repo), start, "HEAD", 2)] == made[2:]
    assert len(git.commits(str(repo), None, made[0], 10)) == 2
    assert git.commits(str(repo), made[3], made[0], 10) == []
    assert git.subject(str(repo), made[1]) == "number 1"
    found_one = git.commit(str(repo), made[2][:8])
    assert found_one is not None and found_one.id == made[2]
    assert git.commit(str(repo), "nothing") is None


def test_commits_by_time(home: Home, say: Git, repo: Path) -> None:
    start = say(repo, "rev-parse", "HEAD")
    for number in range(3):
        home.env["GIT_COMMITTER_DATE"] = f"{1_800_000_000 + 100 * number} +0100"
        commit(say, repo, f"f{number}", f"number {number}")
    found = git.commits(str(repo), start, "HEAD", 9, since=1_800_000_050, until=1_800_000_100.7)
    assert [(one.subject, one.at) for one in found] == [("number 1", "2027-01-15T08:01:40.000Z")]


def test_odd_words_in_a_commit(say: Git, repo: Path) -> None:
    say(repo, "config", "user.name", "Zoë\x1f| `x`")
    say(repo, "config", "log.showSignature", "true")
    say(repo, "config", "color.ui", "always")
    made = commit(say, repo, "f", "ünï \x1f\t--x `y`")
    (one,) = git.commits(str(repo), "HEAD~1", made, 5)
    assert one.id == made
    assert one.author.startswith("Zoë") and "`y`" in one.subject


def test_everything_changed(say: Git, repo: Path) -> None:
    for name in ("kept", "gone", "moved", "staged"):
        commit(say, repo, name)
    (repo / "gone").unlink()
    say(repo, "mv", "moved", "new name")
    (repo / "staged").write_text("other")
    say(repo, "add", "staged")
    (repo / "dir").mkdir()
    for name in ("dir/ä ö", "dir/\n", '"quoted"'):
        (repo / name).write_text("new")
    (repo / ".gitignore").write_text("ignored\n")
    (repo / "ignored").write_text("")
    names = {os.path.relpath(path, repo) for path in git.changed(str(repo))}
    expected = {"gone", "moved", "new name", "staged", "dir/ä ö", "dir/\n", '"quoted"', ".gitignore"}
    assert names == expected


def test_looking_leaves_no_trace(say: Git, repo: Path) -> None:
    (repo / "README.md").write_text("changed")
    commit(say, repo, "touched")
    os.utime(repo / "touched", (1, 1))  # looks changed, so that git would like to write down that it is not
    index = repo / ".git" / "index"
    before = index.read_bytes(), index.stat().st_mtime_ns
    assert git.changed(str(repo)) == [str(repo / "README.md")]
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before
    lock = repo / ".git" / "index.lock"
    lock.write_text("")  # somebody else is at it
    assert git.changed(str(repo)) == [str(repo / "README.md")]
    git.commits(str(repo), None, "HEAD", 1)
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_what_a_revision_means(say: Git, repo: Path) -> None:
    head = say(repo, "rev-parse", "HEAD")
    say(repo, "tag", "-a", "-m", "annotated", "v1")
    for rev in ("HEAD", "main", head[:7], "v1", "main@{0}"):
        assert git.verify(str(repo), rev) == head, rev
    for rev in ("", "-x", "--all", "nothing", "0" * 40, "HEAD:README.md", "HEAD~5", "a b", "x\0y"):
        assert git.verify(str(repo), rev) is None, rev


def test_options_are_no_revisions(repo: Path, tmp_path: Path) -> None:
    target = tmp_path / "written"
    for old, new in ((None, f"--output={target}"), ("HEAD", "--all"), ("-x", "HEAD"), (None, "")):
        with pytest.raises(GitFailed):
            git.commits(str(repo), old, new, 1)
    with pytest.raises(GitFailed):
        git.subject(str(repo), f"--output={target}")
    assert not target.exists()


def test_what_git_refuses_is_said(repo: Path, tmp_path: Path) -> None:
    with pytest.raises(GitFailed, match="nothing") as told:
        git.commits(str(repo), "nothing", "HEAD", 1)
    assert told.value.data["path"] == str(repo)
    with pytest.raises(GitFailed, match="not a git repository"):
        git.changed(str(tmp_path))


def test_without_git(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = git.head(str(repo))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.head(str(repo)) == head  # files alone
    assert git.toplevel(str(repo)) == os.path.realpath(repo)
    with pytest.raises(MissingProgram, match="git cannot be run"):
        git.changed(str(repo))


def test_git_that_does_not_answer(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file system that hangs cannot be had here; a filter of the repository's own that never ends can.
    (repo / ".gitattributes").write_text("* filter=slow\n")
    with (repo / ".git" / "config").open("a") as config:
        config.write('[filter "slow"]\n    clean = sleep 30\n')
    (repo / "README.md").write_text("a repository for one test.\n")
    monkeypatch.setattr(git, "TIMEOUT_S", 0.5)
    with pytest.raises(GitFailed, match="took more than"):
        git.changed(str(repo))


def test_a_repository_that_a_caller_is_in_is_not_the_one_asked_about(
    say: Git, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    say(tmp_path, "init", "-q", str(other))
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
    (repo / "new").write_text("")
    assert git.changed(str(repo)) == [str(repo / "new")]
    assert git.verify(str(repo), "HEAD") is not None


def test_nothing_that_the_repository_names_is_run(say: Git, repo: Path, tmp_path: Path) -> None:
    program, ran = tmp_path / "program", tmp_path / "ran"
    signed = "-----BEGIN PGP SIGNATURE-----\n\nx\n-----END PGP SIGNATURE-----"
    program.write_text(f"#!/bin/sh\necho '[GNUPG:] SIG_CREATED ' >&2\ntouch {ran}\necho '{signed}'\n")
    program.chmod(0o755)
    say(repo, "config", "gpg.program", str(program))
    say(repo, "commit", "-q", "--allow-empty", "-S", "-m", "signed")
    for key, value in (
        ("core.fsmonitor", str(program)),
        ("log.showSignature", "true"),
        ("core.pager", str(program)),
    ):
        say(repo, "config", key, value)
    say(repo, "update-index", "--fsmonitor")
    assert ran.exists()
    ran.unlink()
    git.changed(str(repo))
    (one,) = git.commits(str(repo), "HEAD~1", "HEAD", 1)
    assert one.subject == "signed"
    assert not ran.exists()
