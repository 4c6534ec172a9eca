"""Making worktrees: where they begin, what is copied in, the set-up command, odd repositories, refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from codex_agent import schema
from codex_agent.cli.app import with_values
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.errors import BadState, GitFailed, StartFailed
from codex_agent.settings_keys import WorktreeSettings
from codex_agent.worktrees import making
from support.cli import Cli
from support.home import Home
from support.jobs import Here, ended, make_repo
from support.processes import processes_with
from support.repos import Git, commit, say
from support.trees import Made, committed, here, made
from support.waiting import until

__all__ = ["here", "made", "say"]


def dry(here: Here, repo: Path, *words: str) -> dict[str, Any]:
    found = here("start", "do it", "-d", str(repo), "--dry-run", "--json", *words).ok().json()
    schema.check(schema.COMMANDS["start --dry-run"], found)
    assert isinstance(found, dict)
    return found


def refused(here: Here, repo: Path, *words: str, rc: int = 2) -> str:
    """What `start` says; it must leave the repository as it was."""
    said = here("start", "do it", "-d", str(repo), "--json", *words)
    assert said.rc == rc, str(said)
    error = said.json()["error"]
    return f"{error['message']} {error['hint']}"


def test_where_it_goes(here: Here, say: Git, repo: Path, home: Home) -> None:
    folder = home.agent_home / "worktrees" / "repo"
    assert dry(here, repo, "--worktree")["cwd"] == str(folder / making.ID)
    assert dry(here, repo, "--worktree", "--name", "A name: ../so")["cwd"] == str(folder / "A-name-.-so")
    (repo / "sub dir").mkdir()
    commit(say, repo, "sub dir/file")
    assert dry(here, repo / "sub dir", "--worktree", "--name", "n")["cwd"] == str(folder / "n" / "sub dir")
    env = {"CODEX_AGENT_WORKTREE_FOLDER": str(home.root / "my trees")}
    said = here("start", "x", "-d", str(repo), "--worktree", "--name", "n", "--dry-run", "--json", env=env).ok()
    assert said.json()["cwd"] == str(home.root / "my trees" / "repo" / "n")
    assert say(repo, "worktree", "list").count("\n") == 0, "a dry run makes none"


def test_what_is_not_committed_is_told(here: Here, say: Git, repo: Path) -> None:
    assert not any("without what" in text for text in dry(here, repo, "--worktree")["notices"])
    (repo / "README.md").write_text("changed")
    (notice,) = [text for text in dry(here, repo, "--worktree")["notices"] if "without what" in text]
    assert "README.md" in notice and "main" in notice


@pytest.mark.parametrize(
    ("words", "read"),
    [
        (["start", "fix", "--worktree"], ["start", "fix", "--worktree="]),
        (["start", "--worktree", "--json", "fix"], ["start", "--worktree=", "--json", "fix"]),
        (["start", "--worktree", "Fix the parser"], ["start", "--worktree=", "Fix the parser"]),
        (["start", "--worktree", "fix/it", "Fix it"], ["start", "--worktree", "fix/it", "Fix it"]),
        (["start", "--worktree=x", "Fix"], ["start", "--worktree=x", "Fix"]),
        (["start", "--worktree", "--", "-x"], ["start", "--worktree=", "--", "-x"]),
        (["start", "--", "--worktree"], ["start", "--", "--worktree"]),
        (["send", "x", "--worktree"], ["send", "x", "--worktree"]),
    ],
)
def test_a_branch_may_be_left_out(words: list[str], read: list[str]) -> None:
    assert with_values(words) == read


def test_refusals(here: Here, say: Git, repo: Path, tmp_path: Path) -> None:
    outside, empty = tmp_path / "outside", tmp_path / "empty"
    for folder in (outside, empty):
        folder.mkdir()
    say(empty, "init", "-q")
    say(repo, "branch", "side")
    before = say(repo, "for-each-ref")
    assert "no git repository" in refused(here, outside, "--worktree")
    assert "no commit yet" in refused(here, empty, "--worktree")
    assert "no such commit" in refused(here, repo, "--worktree", "--base", "nowhere")
    assert "cannot be a branch" in refused(here, repo, "--worktree", "a..b")
    assert "--base cannot" in refused(here, repo, "--worktree", "side", "--base", "main")
    told = refused(here, repo, "--worktree", "main", rc=4)
    assert str(repo) in told and "--worktree NEW --base main" in told
    for words in (["--base", "main"], ["--setup", "true"], ["--commit"]):
        assert "--worktree" in refused(here, repo, *words)
    assert "read-only" in refused(here, repo, "--worktree", "--allow-commits", "-s", "read-only")
    assert "quotes" in refused(here, repo, "--worktree", "--setup", "'open")
    assert "in whose name" in refused_without_a_name(here, repo)
    assert say(repo, "for-each-ref") == before and say(repo, "worktree", "list").count("\n") == 0


def refused_without_a_name(here: Here, repo: Path) -> str:
    config = here.home.path / ".gitconfig"
    text = config.read_text()
    try:
        config.write_text("[user]\n    useConfigOnly = true\n")
        return refused(here, repo, "--worktree", "--commit", rc=1)
    finally:
        config.write_text(text)


def test_a_branch_that_exists_is_gone_on_with(made: Made, say: Git, repo: Path) -> None:
    say(repo, "branch", "side")
    one = made("aaaaaaa1", branch="side")
    assert say(one.path, "branch", "--show-current") == "side"


def test_an_earlier_job_of_that_name(cli: Cli, model: ModelServer, say: Git, repo: Path) -> None:
    model.on("%%again%%", Step.message("hi"))
    ids = []
    for _ in range(2):
        words = ("start", "%%again%%", "-d", str(repo), "--worktree", "--name", "again", "--json")
        ids.append(cli(*words).ok().json()["id"])
        ended(cli, ids[-1])
    branches = say(repo, "branch", "--format=%(refname:short)").split()
    assert branches == ["codex-agent/again", f"codex-agent/again-{ids[1]}", "main"]


def test_the_set_up_command(cli: Cli, model: ModelServer, say: Git, repo: Path) -> None:
    model.on("%%set%%", Step.message("hi"))
    words = ("start", "%%set%%", "-d", str(repo), "--worktree", "--json")
    script = "echo made ready; echo in $CODEX_AGENT_BRANCH >&2; touch from-setup"
    job = cli(*words, "--setup", f"sh -c '{script}'").ok().json()
    setup = job["worktree"]["setup"]
    assert (setup["exit_code"], setup["output"]) == (0, f"made ready\nin {job['worktree']['branch']}\n")
    assert Path(job["cwd"], "from-setup").exists() and not (repo / "from-setup").exists()
    ended(cli, job["id"])
    before = say(repo, "for-each-ref"), say(repo, "worktree", "list")
    for command, told in {
        "sh -c 'echo went wrong; touch x; exit 3'": "exit status 3",
        "no-such-program": "cannot be run",
    }.items():
        error = cli(*words, env={"CODEX_AGENT_WORKTREE_SETUP": command}).json()["error"]
        assert error["code"] == "spawn_failed" and told in error["message"], error
        if "exit_code" in error:
            assert (error["exit_code"], error["output"]) == (3, "went wrong\n")
    assert (say(repo, "for-each-ref"), say(repo, "worktree", "list")) == before
    assert [one["id"] for one in cli("jobs", "--json").ok().json()["jobs"]] == [job["id"]]
    assert len(list(Path(job["worktree"]["path"]).parent.iterdir())) == 1


def test_a_start_that_is_killed_leaves_no_worktree_unknown(cli: Cli, say: Git, repo: Path, here: Here) -> None:
    words = ("start", "x", "-d", str(repo), "--worktree", "--name", "cut off", "--setup")
    process = cli.start(*words, f"sh -c 'touch {repo.parent}/begun; sleep 987'")
    until((repo.parent / "begun").exists, 20, "the set-up command")
    process.kill()
    process.wait()
    assert processes_with(f"{repo.parent}/agent")
    (row,) = here("worktree", "list", "--json").ok().json()["worktrees"]
    until(lambda: not processes_with(f"{repo.parent}/agent"), 5, "the set-up command's end")
    assert (row["name"], row["status"], row["branch"]) == ("cut off", "interrupted", "codex-agent/cut-off")
    here("worktree", "prune").ok()
    assert say(repo, "worktree", "list").count("\n") == 0


def test_several_starts_at_once(cli: Cli, model: ModelServer, say: Git, repo: Path, here: Here) -> None:
    model.on("%%many%%", Step.message("hi"))
    words = ("start", "%%many%%", "-d", str(repo), "--worktree", "--commit", "--wait", "--json")
    running = [cli.start(*words) for _ in range(4)]
    told = [process.communicate(timeout=90) for process in running]
    assert [process.returncode for process in running] == [0] * 4, told
    assert len({json.loads(out)["cwd"] for out, _ in told}) == 4
    assert len(here("worktree", "prune", "--json").ok().json()["removed"]) == 4


def test_a_checkout_that_fails_leaves_nothing(made: Made, say: Git, repo: Path) -> None:
    (repo / ".gitattributes").write_text("*.big filter=missing\n")
    (repo / "a.big").write_text("1")
    committed(say, repo)
    say(repo, "config", "filter.missing.smudge", "false")
    say(repo, "config", "filter.missing.required", "true")
    with pytest.raises(GitFailed):
        made("aaaaaaa1")
    assert say(repo, "worktree", "list").count("\n") == 0
    assert say(repo, "branch", "--format=%(refname:short)") == "main"


def test_a_folder_that_the_base_has_not(made: Made, say: Git, repo: Path) -> None:
    (repo / "new").mkdir()
    with pytest.raises(BadState, match="new is not in main"):
        made("aaaaaaa1", where=repo / "new")
    assert say(repo, "branch", "--format=%(refname:short)") == "main"


def test_through_links(made: Made, here: Here, say: Git, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "repo link").symlink_to(repo)
    (repo / ".gitignore").write_text("env\n")
    committed(say, repo)
    (repo / "env").write_text("1")
    one = made("aaaaaaa1", where=tmp_path / "repo link", folder=str(tmp_path / "link"), include=("env",))
    assert one.path == tmp_path / "real" / "repo" / "aaaaaaa1" and (one.path / "env").exists()
    here("worktree", "remove", str(tmp_path / "link" / "repo" / "aaaaaaa1")).ok()
    assert not one.path.exists()


def test_a_set_up_command_that_takes_too_long(made: Made, say: Git, repo: Path) -> None:
    tree = making.plan(str(repo), "", None, None, WorktreeSettings(), str(repo.parent / "trees"))[0]
    with pytest.raises(StartFailed, match="more than"):
        making.set_up(tree, ["sleep", "60"], str(repo), 0.2, "aaaaaaa1", dict(os.environ))


def test_a_codex_that_does_not_run_leaves_no_worktree(cli: Cli, model: ModelServer, say: Git, repo: Path) -> None:
    words = ("start", "x", "-d", str(repo), "--worktree", "-c", 'sandbox_mode="bogus"', "--interactive", "--json")
    assert cli(*words).rc == 1
    assert say(repo, "worktree", "list").count("\n") == 0
    assert say(repo, "branch", "--format=%(refname:short)") == "main"


def test_what_is_copied_in(made: Made, say: Git, repo: Path, home: Home) -> None:
    (repo / ".gitignore").write_text(".env*\nbuild/\nsecret\n*.key\n")
    (repo / ".worktreeinclude").write_text(
        "# what an agent needs\n.env*\n!.env.old\nbuild/cache/\nnotes\nREADME.md\n"
    )
    committed(say, repo)
    (repo / "build" / "cache" / "a b").mkdir(parents=True)
    for name in (".env", ".env.old", "build/cache/a b/c", "build/other", "secret", "notes", "my.key"):
        (repo / name).write_text(f"of {name}")
    (repo / ".env").chmod(0o600)
    (repo / ".env.link").symlink_to("/nowhere")
    (repo / "README.md").write_text("changed, and tracked: not copied")
    tree = making.plan(str(repo), "", None, None, WorktreeSettings(), str(home.root / "t"))[0]
    assert tree.copied == []
    settings = WorktreeSettings(include=("*.key",))
    planned, cwd, _ = making.plan(str(repo), "", None, None, settings, str(home.root / "t"))
    tree, notices = making.make(planned, cwd, "aaaaaaa1", settings, home.env)
    assert sorted(tree.copied) == [".env", ".env.link", "build/cache/a b/c", "my.key"]
    path = Path(tree.path)
    assert (path / ".env").read_text() == "of .env" and (path / ".env").stat().st_mode & 0o777 == 0o600
    assert (path / ".env.link").readlink() == Path("/nowhere")
    assert not (path / "build" / "other").exists() and (path / "README.md").read_text().startswith("A repository")
    (notice,) = notices
    assert "notes" in notice and "does not ignore" in notice
    assert say(path, "status", "--porcelain", "--untracked-files=all") == ""


def test_nothing_is_copied_through_a_link(made: Made, say: Git, repo: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (repo / "conf").symlink_to(outside)
    base = committed(say, repo)
    say(repo, "rm", "-q", "conf")
    (repo / ".gitignore").write_text("conf/env\n")
    (repo / ".worktreeinclude").write_text("conf/env\n")
    committed(say, repo)
    (repo / "conf").mkdir()
    (repo / "conf" / "env").write_text("secret")
    one = made("aaaaaaa1", base=base)
    assert (one.path / "conf").is_symlink() and list(outside.iterdir()) == []


def test_submodules_come_along_without_the_network(made: Made, say: Git, repo: Path, home: Home) -> None:
    say(repo, "config", "--global", "protocol.file.allow", "always")
    inner, lib = make_repo(home, home.root / "inner"), make_repo(home, home.root / "lib repo")
    say(lib, "submodule", "--quiet", "add", str(inner), "deep")
    say(lib, "commit", "-q", "-m", "with a submodule")
    for name in ("libs/one", "unused"):
        say(repo, "submodule", "--quiet", "add", "--name", f"{name} name", str(lib), name)
    say(repo, "submodule", "--quiet", "update", "--init", "--recursive")
    committed(say, repo)
    say(repo, "submodule", "--quiet", "deinit", "--force", "unused")
    say(repo, "config", "--global", "--unset", "protocol.file.allow")
    url = say(repo / "libs/one", "remote", "get-url", "origin")
    for gone in (inner, lib):
        gone.rename(f"{gone} gone")
    one = made("aaaaaaa1")
    assert (one.path / "libs/one/deep/README.md").exists() and list((one.path / "unused").iterdir()) == []
    assert say(one.path / "libs/one", "remote", "get-url", "origin") == url
    assert say(one.path, "status", "--porcelain") == ""
    # The other trees' settings are as they were.
    assert say(repo / "libs/one", "remote", "get-url", "origin") == url
    assert str(home.root / "repo") not in say(repo, "config", "--local", "--get-regexp", "^submodule")


def test_a_sparse_checkout_stays_sparse(made: Made, here: Here, say: Git, repo: Path) -> None:
    for name in ("in", "out"):
        (repo / name).mkdir()
        (repo / name / "file").write_text("1")
    committed(say, repo)
    say(repo, "sparse-checkout", "set", "in")
    one = made("aaaaaaa1")
    assert (one.path / "in").is_dir() and not (one.path / "out").exists()
    # What an agent writes out there all the same is not lost, and what is not there is not taken for deleted.
    (one.path / "out").mkdir()
    (one.path / "out" / "new").write_text("1")
    (one.path / "in" / "file").write_text("2")
    files = here("diff", one.id, "--stat", "--json").ok().json()["files"]
    assert [file["path"] for file in files] == ["in/file", "out/new"]
    here("merge", one.id, "--commit").ok()
    assert say(repo, "show", "--name-only", "--format=", "HEAD").split() == ["in/file", "out/new"]
    assert say(repo, "ls-tree", "-r", "--name-only", "HEAD").split() == [
        "README.md",
        "in/file",
        "out/file",
        "out/new",
    ]


@pytest.mark.parametrize("layout", ["bare", "bare with a .git file"])
def test_a_bare_repository(made: Made, here: Here, say: Git, repo: Path, tmp_path: Path, layout: str) -> None:
    folder = tmp_path / "my project.git"
    if layout != "bare":
        folder = tmp_path / "project" / ".bare"
    say(repo, "clone", "-q", "--bare", str(repo), str(folder))
    where = folder
    if layout != "bare":
        where = folder.parent
        (where / ".git").write_text("gitdir: ./.bare\n")
    one, two = made("aaaaaaa1", where=where), made("aaaaaaa2", where=where)
    for tree in (one, two):
        committed(say, tree.path, **{tree.id: "1"})
        here("merge", tree.id).ok()
    names = say(folder, "ls-tree", "--name-only", "main").split()
    assert names == ["README.md", "aaaaaaa1.txt", "aaaaaaa2.txt"]
    assert "bare" in here("apply", one.id).err
    here("worktree", "prune").ok()
    assert say(folder, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_an_agent_in_a_bare_repository(cli: Cli, model: ModelServer, say: Git, repo: Path, tmp_path: Path) -> None:
    bare = tmp_path / "a bare one.git"
    say(repo, "clone", "-q", "--bare", str(repo), str(bare))
    model.on("%%bare%%", Step.command("echo x > x.txt"), Step.message("Done."))
    job = cli("start", "%%bare%%", "-d", str(bare), "--worktree", "--commit", "--json").ok().json()
    assert ended(cli, job["id"])["status"] == "completed"
    cli("merge", job["id"]).ok()
    assert "x.txt" in say(bare, "ls-tree", "--name-only", "main").split()


def test_from_another_worktree_with_odd_names(
    made: Made, here: Here, say: Git, repo: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "a linked  one 'ü'"
    say(repo, "worktree", "add", "-q", "-b", "später", str(linked))
    committed(say, linked, only="there")
    one = made("aaaaaaa1", where=linked)
    assert (one.path / "only.txt").exists()
    (one.path / "new\tfile.txt").write_text("1")
    (one.path / "ünter").mkdir()
    (one.path / "ünter" / "a b").write_text("1")
    done = here("merge", one.id, "--commit", "--json").ok().json()
    assert (done["into"], done["worktree"]) == ("später", str(linked))
    assert (linked / "new\tfile.txt").exists() and (linked / "ünter" / "a b").exists()
