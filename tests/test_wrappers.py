"""The wrappers change nothing: the same output, exit code, input, terminal and signals as the real program."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import stat
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from codex_agent.tracking import helper, wrappers
from codex_agent.tracking.notes import Folder, Note
from support import Home, until

REAL = str(shutil.which("git"))

# In the order in which they are run; what one leaves, the next finds. Each in two repositories that are alike.
COMMANDS = """\
--version | --exec-path | --html-path | --man-path | help -a | help nothing-at-all | nothing-at-all | -C
--no-such | -c | --git-dir | status extra words | init -q . | status | status -s | status --porcelain=v2 -b
-C sub status | -C nowhere status | -c a.b=c config a.b | -c color.ui=always status | --no-pager log --oneline
log --format=%s | log -1 --stat | log --graph --all --format=%s | log nowhere | log -- README.md | log -p -1
log -S A | show | show HEAD:README.md | show HEAD:none | diff | diff HEAD | diff --stat
diff --no-index README.md sub/x | diff --exit-code | add new | add none | add -A -n | add . | diff --cached
diff --cached --name-status | rm --cached new | add -N new | reset -q | commit | commit -m
commit -q -m empty | commit -q --allow-empty -m 'two words' | commit --allow-empty -m third | branch
branch one | branch one | branch -v | branch -a | branch --show-current | branch -d one | branch -D none
branch -m main | branch 'not a branch' | checkout | checkout main | checkout none | checkout -b
checkout -b two | checkout -b two | checkout -q -b three | checkout -bfour | checkout -B two
checkout -fb five | checkout --orphan alone | checkout main | checkout -q - | checkout --detach | checkout -
checkout -- README.md | checkout HEAD -- README.md | checkout -b six nowhere | checkout -b 'bad name'
-c advice.detachedHead=false checkout HEAD~0 | -C sub checkout -b seven | -C . -c x.y=z checkout -b eight
--git-dir=.git checkout -b nine | --git-dir .git --work-tree . checkout -b ten | checkout --help-me
checkout -h | switch | switch main | switch none | switch -c | switch -c s1 | switch -c s1 | switch -q -c s2
switch -C s1 | switch --create s3 | switch --create=s4 | switch --force-create s3 | switch --orphan s5
switch main | switch - | switch --detach | switch --detach main | switch -c s6 nowhere | switch -c 'bad name'
switch --no-such | switch -h | switch main | tag v1 | tag | tag -a v2 -m two | tag -d v1 | tag -l 'v*'
describe | describe --always --all | rev-parse HEAD | rev-parse --show-toplevel | rev-parse nowhere
rev-parse --verify -q nowhere | rev-parse --git-dir | rev-list --count HEAD | rev-list --all --count
merge-base main s1 | merge s1 | merge nowhere | merge --abort | rebase main | rebase --abort
cherry-pick nowhere | cherry-pick --abort | revert --no-edit HEAD | reset --hard HEAD~1 | reset nowhere
stash | stash list | stash push -u | stash pop | stash drop | stash show | clean -n | clean -fdq
config --list --local | config user.name | config nothing.there | config --get-all user.name | config x.y z
config --unset x.y | remote | remote -v | remote add origin ../none | remote show | remote remove origin
fetch | fetch nowhere | pull | push | push origin main | clone none none | ls-files
ls-files -o --exclude-standard | ls-files -s | ls-tree HEAD | ls-tree -r HEAD --name-only | cat-file -t HEAD
cat-file -p HEAD^{tree} | cat-file -p x | hash-object README.md | hash-object --stdin | write-tree
symbolic-ref HEAD | symbolic-ref --short HEAD | for-each-ref | for-each-ref --format=%(refname) | show-ref
show-ref --verify nothing | update-ref refs/x HEAD | blame README.md | blame none | grep -n A
grep nothing-there | grep -c A | shortlog -s HEAD | reflog --format=%gs | bisect start | bisect reset
worktree list --porcelain | worktree add -q ../wt-NAME | worktree prune | submodule status | notes list
notes add -m note | notes show | archive HEAD --format=tar | bundle create - HEAD | format-patch -1 --stdout
apply --check none | apply | am | check-ignore new | check-ignore -v none | mv README.md R | mv R README.md
rm -n README.md | gc -q | fsck | count-objects | verify-commit HEAD | var GIT_EDITOR | whatchanged -1
column --mode=plain | stripspace | interpret-trailers | mailinfo | patch-id | check-ref-format x
check-ref-format a..b | credential | daemon --help-me | -p log -1 --format=%s | --literal-pathspecs status -s
--bare rev-parse | -C sub -C .. status -s | --namespace n status -s | --config-env=a.b=HOME config a.b
--attr-source HEAD status -s | -c alias.co='checkout -q' co main | -c alias.x='!echo hi' x
-c alias.b='switch -c' b aliased | status -- README.md
"""


def words_of(line: str) -> list[list[str]]:
    import shlex

    return [shlex.split(one) for one in line.replace("\n", "|").split("|") if one.strip()]


@dataclass
class Bench:
    """Two repositories that are alike, one for the real git, one for ours."""

    home: Home
    env: dict[str, str]
    notes: Path
    wrapper: str

    def run(
        self, program: str, words: list[str], cwd: Path, text: bytes = b"A line\n"
    ) -> subprocess.CompletedProcess[bytes]:
        env = self.env if program == self.wrapper else wrappers.without(self.env)
        return subprocess.run([program, *words], cwd=cwd, env=env, input=text, capture_output=True, timeout=60)


@pytest.fixture
def bench(home: Home) -> Bench:
    notes = wrappers.notes_folder(str(home.agent_home))
    env = home.env | {"GIT_PAGER": "cat", "GIT_EDITOR": "true", "GIT_TERMINAL_PROMPT": "0"}
    env |= {f"GIT_{who}_DATE": "2026-01-02T03:04:05Z" for who in ("AUTHOR", "COMMITTER")}
    env |= wrappers.environment(str(home.agent_home), notes, env)
    return Bench(home, env, Path(notes), env["PATH"].split(":")[0] + "/git")


def two(bench: Bench) -> tuple[Path, Path]:
    found = []
    for name in ("a", "b"):
        top = bench.home.root / name / "repo"
        (top / "sub").mkdir(parents=True)
        (top / "README.md").write_text("A repository.\n")
        (top / "sub" / "x").write_text("x\n")
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
            subprocess.run([REAL, *words], cwd=top, env=wrappers.without(bench.env), check=True)
        (top / "new").write_text("new\n")
        found.append(top)
    return found[0], found[1]


def test_two_hundred_commands(bench: Bench) -> None:
    """Byte for byte: stdout, stderr, exit code, and what is in the repository at the end."""
    first, second = two(bench)
    commands = words_of(COMMANDS)
    assert len(commands) >= 200
    for words in commands:
        real = bench.run(REAL, [word.replace("NAME", "x") for word in words], first)
        ours = bench.run(bench.wrapper, [word.replace("NAME", "x") for word in words], second)
        for one, other in ((real.stdout, ours.stdout), (real.stderr, ours.stderr)):
            assert one.replace(bytes(first.parent), b"@") == other.replace(bytes(second.parent), b"@"), words
        assert real.returncode == ours.returncode, words
    refs = [bench.run(REAL, ["for-each-ref"], top).stdout for top in (first, second)]
    assert refs[0] == refs[1] and refs[0].count(b"\n") > 10
    assert len(list(bench.notes.glob("*.note"))) >= 10 and not list(bench.notes.glob("*.part"))


def test_what_is_not_noted_becomes_the_real_program(bench: Bench) -> None:
    """No process of ours stays, and none was begun."""
    first, _ = two(bench)
    words = [bench.wrapper, "-C", ".", "hash-object", "--stdin"]
    with subprocess.Popen(
        words, cwd=first, env=bench.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        until(lambda: Path(f"/proc/{process.pid}/exe").resolve() == Path(REAL).resolve(), 10, "the real git")
        assert Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text() == ""
        assert process.communicate(b"")[0] == b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\n"


def test_stdin_and_arguments_as_they_are(bench: Bench) -> None:
    first, second = two(bench)
    odd = ["a b", "c\nd", "*", "$HOME", "'\"\\", "", "ünïcödé", "-n"]
    for tracked in (["-c", "alias.e=!printf '%s|'", "e"], ["checkout", "-q", "-b", "odd", "--"]):
        real, ours = bench.run(REAL, [*tracked, *odd], first), bench.run(bench.wrapper, [*tracked, *odd], second)
        assert (real.stdout, real.stderr, real.returncode) == (ours.stdout, ours.stderr, ours.returncode)
    blob = os.urandom(300_000)
    real, ours = (bench.run(one, ["hash-object", "--stdin"], first, blob) for one in (REAL, bench.wrapper))
    assert real.stdout == ours.stdout and real.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_ended_by_a_signal(bench: Bench, number: signal.Signals) -> None:
    """The real program gets it (but for SIGKILL), and we end as it ended."""
    first, _ = two(bench)
    hook = first / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\necho $PPID > ../pid; exec sleep 60\n")
    hook.chmod(0o755)
    process = subprocess.Popen([bench.wrapper, "switch", "-q", "-c", "new"], cwd=first, env=bench.env)
    seen = first.parent / "pid"
    until(lambda: seen.exists() and seen.read_text().strip() != "", 20, "the hook")
    real = int(seen.read_text())
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    if number == signal.SIGKILL:
        os.kill(real, signal.SIGKILL)
    until(lambda: not Path(f"/proc/{real}").exists(), 10, "the real git gone")
    assert not list(bench.notes.iterdir())
    for sleeper in subprocess.run(["pgrep", "-f", "^sleep 60$"], capture_output=True, text=True).stdout.split():
        environ = Path(f"/proc/{sleeper}/environ").read_bytes()
        if os.fsencode(bench.notes) in environ:
            os.kill(int(sleeper), signal.SIGKILL)


@pytest.mark.parametrize(
    "words", ["switch -c mine", "checkout -qb mine", "checkout -Bmine", "switch --create=mine", "switch -C mine"]
)
def test_whoever_switches_meanwhile(bench: Bench, words: str) -> None:
    """Two agents may have one work tree: the note names what was made, not where HEAD is by then."""
    first, _ = two(bench)
    hook = first / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ngit symbolic-ref HEAD refs/heads/theirs\n")
    hook.chmod(0o755)
    assert bench.run(bench.wrapper, words.split(), first).returncode == 0
    (note,) = Folder(str(bench.notes)).new()
    assert note == Note("branch", "mine", str(first))


def test_a_name_in_gits_own_way(bench: Bench) -> None:
    """`@{-1}` is whatever git says it is."""
    first, _ = two(bench)
    for words in ("switch -c mine", "switch main", "branch -D mine", "switch -c @{-1}"):
        assert bench.run(bench.wrapper, words.split(), first).returncode == 0, words
    notes = Folder(str(bench.notes)).new()
    assert [note.value for note in notes] == ["mine", "mine"]


def test_in_a_terminal(bench: Bench) -> None:
    """git sees the terminal, and colours what it says there."""
    first, second = two(bench)
    told = []
    for program, top in ((REAL, first), (bench.wrapper, second)):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(top)
            env = bench.env if program == bench.wrapper else wrappers.without(bench.env)
            os.execve(
                "/bin/sh",
                ["sh", "-c", f"'{program}' switch -c colored; '{program}' diff HEAD; '{program}' status"],
                env,
            )
        said = b""
        while True:
            try:
                piece = os.read(terminal, 4096)
            except OSError:
                break
            said += piece
            if not piece:
                break
        os.waitpid(pid, 0)
        os.close(terminal)
        told.append(said)
    assert told[0] == told[1] and b"\x1b[" in told[0]


def test_gh(bench: Bench, home: Home, tmp_path: Path) -> None:
    """What is no pull request goes through; output of one that is made is copied as it comes."""
    folder = tmp_path / "gh real"
    folder.mkdir()
    (folder / "gh").write_text('#!/bin/sh\nprintf "%s|" "$@"; cat; echo err >&2; exit 5\n')
    (folder / "gh").chmod(0o755)
    env = home.env | {"PATH": f"{folder}:{home.env['PATH']}"}
    env |= wrappers.environment(str(home.agent_home), str(bench.notes), env)
    ours = next(one for one in env["PATH"].split(":") if one.endswith("/gh")) + "/gh"
    for words in (["api", "x"], ["pr", "create", "-t", "a b"], ["pr", "merge"], [], ["-R", "a/b", "pr", "create"]):
        runs = [
            subprocess.run([one, *words], env=env, input=b"in\0put", capture_output=True, timeout=20)
            for one in (str(folder / "gh"), ours)
        ]
        assert (runs[0].stdout, runs[0].stderr, runs[0].returncode) == (
            runs[1].stdout, runs[1].stderr, runs[1].returncode,
        ), words  # fmt: skip
        assert runs[1].returncode == 5
    (folder / "gh").write_text("#!/bin/sh\nhead -c 3000000 /dev/zero; echo https://x/pull/1\n")
    big = subprocess.run([ours, "pr", "create"], env=env, capture_output=True, timeout=20)
    assert len(big.stdout) == 3000017 and big.returncode == 0
    cut = subprocess.run(["sh", "-c", f"'{ours}' pr create | head -c 5"], env=env, capture_output=True, timeout=20)
    assert cut.stdout == b"\0" * 5


def test_what_is_asked_for_a_note_holds_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gh that waits for the network; one that answers is heard."""
    monkeypatch.setattr(helper, "_ASK_S", 0.2)
    began = time.monotonic()
    assert helper._ask(["/bin/sleep", "30"]) == "" and time.monotonic() - began < 5
    assert helper._ask(["/bin/echo", "heard"]) == "heard" and helper._ask(["/bin/false"]) == ""


def test_none_where_there_is_none(bench: Bench, home: Home) -> None:
    """No `gh` appears where there was none; and a program that went away is told as the shell does."""
    if shutil.which("gh", path=wrappers.without(bench.env)["PATH"]) is None:
        assert not [one for one in bench.env["PATH"].split(":") if one.endswith("wrappers/gh")]
    odd = home.root / "*"
    odd.mkdir()
    (odd / "git").symlink_to(REAL)
    found = subprocess.run([bench.wrapper, "--version"], env=bench.env | {"PATH": str(odd)}, capture_output=True)
    assert found.returncode == 0, "a folder's name is no pattern"
    gone = subprocess.run([bench.wrapper, "status"], env=bench.env | {"PATH": "/nowhere"}, capture_output=True)
    assert gone.returncode == 127


def test_written_anew_only_when_they_would_read_otherwise(bench: Bench, home: Home) -> None:
    again = str(home.agent_home)
    before = {path: path.stat() for path in (home.agent_home / "wrappers").rglob("*") if path.is_file()}
    assert len(before) >= 4 and all(status.st_mode & 0o077 == 0 for status in before.values())
    wrappers.environment(again, str(bench.notes), home.env)
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: status.st_mtime_ns for path, status in before.items()
    }
    Path(bench.wrapper).parent.joinpath(".codex-agent-wrappers").write_text("an older one")
    wrappers.environment(again, str(bench.notes), home.env)
    assert Path(bench.wrapper).stat().st_ino != before[Path(bench.wrapper)].st_ino
    assert Path(bench.wrapper).stat().st_mode & stat.S_IXUSR


def test_a_job_in_a_job(bench: Bench, home: Home, tmp_path: Path) -> None:
    """Wrappers of another home never call each other in circles, and the user's own start-up file is kept."""
    (home.path / "mine.sh").write_text("MINE=yes\n")
    env = home.env | {"BASH_ENV": "$HOME/mine.sh"}
    env |= wrappers.environment(str(home.agent_home), str(bench.notes), env)
    inner = env | wrappers.environment(str(tmp_path / "other home"), str(tmp_path / "notes"), env)
    done = subprocess.run(
        ["bash", "-lc", "command -v git; git --version; echo $MINE"], env=inner, capture_output=True, text=True
    )
    lines = done.stdout.split("\n")
    assert lines[0] == str(tmp_path / "other home/wrappers/git/git"), done
    assert lines[1].startswith("git version") and lines[2] == "yes"
    plain_path = wrappers.without(env)["PATH"]
    both = {**inner, "PATH": f"{tmp_path}/other home/wrappers/git:{Path(bench.wrapper).parent}:{plain_path}"}
    assert subprocess.run([bench.wrapper, "--version"], env=both, capture_output=True, timeout=10).returncode == 0
    plain = wrappers.without(inner)
    assert plain["BASH_ENV"] == str(home.path / "mine.sh") and "wrappers" not in plain["PATH"]
