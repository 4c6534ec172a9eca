"""The command lines of an interactive Codex: the exact words, and that the real versions then ask nothing."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from codex_agent.codex.finding import Codex, find
from codex_agent.codex.interactive import (
    InteractiveOptions,
    approval_policies,
    approval_word,
    has_channel,
    pasted,
    plain_argv,
    server_argv,
    title_state,
    viewer_argv,
)
from codex_agent.codex.startup import folder_trust, model_migrations, startup_overrides
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.demo.scripts import last_user_text
from codex_agent.errors import MissingProgram, UsageError
from support import Codex as Installed
from support import Home, until

NOTHING = "/nowhere"
OLD = Codex(NOTHING, NOTHING, "PATH", "0.104.0")
PLAIN = InteractiveOptions(cwd="/repo", sandbox="workspace-write")


def found_for(which: Installed, home: Home) -> Codex:
    return find(which.path, home.env, str(home.agent_home / "cache"))


@pytest.fixture
def real(each_codex: Installed, home: Home) -> Codex:
    return found_for(each_codex, home)


def options_for(repo: Path, **changes: Any) -> InteractiveOptions:
    return replace(InteractiveOptions(cwd=str(repo), sandbox="workspace-write", approval="never"), **changes)


def wants_to_move(codex: Codex, home: Home) -> str:
    """A model that this Codex would ask to leave."""
    return next(iter(model_migrations(codex, home.env)))


@contextmanager
def shown(home: Home, repo: Path, argv: list[str]) -> Iterator[Any]:
    """The TUI in a pane; yields what tells all it has shown so far."""
    name = "look"
    exports = [f"{key}={home.env[key]}" for key in ("HOME", "CODEX_HOME", "LC_ALL", "TERM")]
    words = ["-d", "-s", name, "-x", "180", "-y", "50", "-c", str(repo), "--", "env", *exports, *argv]
    started = home.tmux("new-session", *words, ";", "set-option", "-w", "remain-on-exit", "on")
    assert started.returncode == 0, started.stderr
    try:
        yield lambda: home.tmux("capture-pane", "-p", "-S", "-", "-t", f"={name}:").stdout
    finally:
        home.tmux("kill-session", "-t", f"={name}")


@contextmanager
def server(codex: Codex, options: InteractiveOptions, home: Home) -> Iterator[str]:
    """A running app-server; yields its socket's path."""
    with tempfile.TemporaryDirectory(prefix="ca-", dir="/tmp") as folder:
        path = f"{folder}/s"
        argv = server_argv(codex, options, home.env, path)
        quiet = subprocess.DEVNULL
        with subprocess.Popen(argv, env=home.env, stdin=quiet, stdout=quiet, stderr=quiet) as process:
            try:
                until(lambda: Path(path).exists() or process.poll() is not None, 15, "the app-server's socket")
                assert process.poll() is None, f"{shlex.join(argv)} ended with {process.returncode}"
                yield path
            finally:
                process.kill()


def config_of(home: Home) -> dict[str, Any]:
    return tomllib.loads((home.codex_home / "config.toml").read_text())


# --- the words


@pytest.mark.parametrize(
    ("version", "has"), [("0.125.0", False), ("0.132.9", False), ("0.133.0", True), ("0.170.0-alpha.1", True)]
)
def test_which_versions_have_the_channel(version: str, has: bool) -> None:
    assert has_channel(version) is has


def test_words_of_the_viewer() -> None:
    """Nothing in them about sandbox, policy or model: the thread has its own."""
    options = replace(PLAIN, model="gpt-5.5", add_dirs=["/x"], config=["a=1"], profile="mine")
    argv = viewer_argv(OLD, options, {"CODEX_HOME": NOTHING}, "/run/s", "the-thread")
    assert argv[:5] == [NOTHING, "--remote=unix:///run/s", "-C", "/repo", "--no-alt-screen"]
    assert argv[-2:] == ["resume", "the-thread"]
    assert argv[5:-2] == startup_overrides(OLD, "/repo", {"CODEX_HOME": NOTHING})


def test_words_of_the_server(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('sandbox_workspace_write.writable_roots = ["/theirs"]\n')
    options = replace(PLAIN, model='a"b', reasoning="high", add_dirs=["/x"], config=["a.b=1"])
    assert server_argv(OLD, options, {"CODEX_HOME": str(tmp_path)}, "/run/s") == [
        NOTHING,
        "app-server",
        "--listen=unix:///run/s",
        "--config=check_for_update_on_startup=false",
        '--config=model_reasoning_effort="high"',
        '--config=model="a\\"b"',
        '--config=sandbox_workspace_write.writable_roots=["/theirs", "/x"]',
        '--config=projects={"/repo" = {"trust_level" = "trusted"}}',
        "--config=a.b=1",
    ]


def test_words_of_the_bare_tui(real: Codex, home: Home) -> None:
    options = InteractiveOptions(
        cwd="/repo",
        sandbox="read-only",
        approval="on-request",
        model="gpt-5.5",
        reasoning="low",
        add_dirs=["/a"],
        images=["/x.png"],
        profile="mine",
        config=["a.b=1"],
    )
    argv = plain_argv(real, options, home.env, "-x", "the-thread")
    newer = ["--no-daemon"] if real.version != "0.133.0" else []
    assert argv == [
        real.path, "-C", "/repo", "-s", "read-only", "-a", "on-request", "--no-alt-screen",
        '--config=model_reasoning_effort="low"', *newer, "--model=gpt-5.5", "--profile=mine", "--add-dir=/a",
        "--image=/x.png", *startup_overrides(real, "/repo", home.env, options.config),
        "--config=a.b=1", '--config=tui.terminal_title=["activity", "run-state", "thread-id"]',
        "resume", "the-thread", "--", "-x",
    ]  # fmt: skip
    assert argv[-6:] != plain_argv(real, options, home.env)[-6:]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"sandbox": "none"}, "Unknown sandbox 'none'"),
    ({"approval": "sometimes"}, "has no approval policy 'sometimes'"),
    ({"model": " "}, "The model is empty"),
    ({"profile": ""}, "The profile is empty"),
    ({"reasoning": 'high"\nx="'}, "is no reasoning effort"),
    ({"config": ["novalue"]}, "'novalue' is not KEY=VALUE"),
    ({"images": ["/a,b.png"]}, "comma"),
    ({"model": "a\0b"}, "NUL"),
    ({"cwd": "/a\0b"}, "NUL"),
]


@pytest.mark.parametrize(("changes", "told"), WRONG, ids=[told for _, told in WRONG])
def test_wrong_words(changes: dict[str, Any], told: str, each_codex: Installed, home: Home) -> None:
    with pytest.raises(UsageError, match=re.escape(told)):
        plain_argv(found_for(each_codex, home), replace(PLAIN, **changes), home.env)


def test_codex_that_does_not_run() -> None:
    gone = Codex(NOTHING, NOTHING, "PATH", "0.163.0")
    with pytest.raises(MissingProgram, match="does not run"):
        viewer_argv(gone, PLAIN, {"CODEX_HOME": NOTHING}, "/run/s", "the-thread")


WORDS = [
    ("0.163.0", False, {"never": "never", "untrusted": "untrusted", "suggest": "untrusted", "skip": "never"}),
    ("0.163.0", True, {"on-request": "on-request", "auto-edit": "never"}),
    ("0.133.0", True, {"suggest": "untrusted", "on-failure": "on-failure"}),
]


@pytest.mark.parametrize(("version", "plain", "words"), WORDS)
def test_approval_words(version: str, plain: bool, words: dict[str, str]) -> None:
    codex = replace(OLD, version=version)
    assert {word: approval_word(word, codex, plain) for word in words} == words


@pytest.mark.parametrize(
    ("version", "plain", "word", "hint"),
    [
        ("0.163.0", False, "on-failure", "never, on-request, untrusted, skip, auto-edit, suggest"),
        ("0.163.0", False, "", "One of never"),
        ("0.163.0", True, "suggest", "Leave --plain out"),
        ("0.133.0", False, "--dangerously-bypass-approvals-and-sandbox", "--sandbox danger-full-access"),
        ("0.133.0", False, "yolo", "--sandbox danger-full-access"),
    ],
)
def test_approval_words_that_are_refused(version: str, plain: bool, word: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        approval_word(word, replace(OLD, version=version), plain)
    assert hint in str(caught.value.hint)


# --- trust


def test_whose_word_on_trust_counts(home: Home, repo: Path, tmp_path: Path) -> None:
    """As Codex looks it up: the folder, then its repository; a worktree belongs to the main one."""
    tree, deep = tmp_path / "tree", repo / "a" / "b"
    deep.mkdir(parents=True)
    add = ["git", "worktree", "add", "-q", str(tree)]
    subprocess.run(add, cwd=repo, env=home.env, check=True, capture_output=True, timeout=30)
    everywhere = [str(repo), str(deep), str(tree)]
    told = home.codex_home / "config.toml"

    def trust(**levels: str) -> list[str | None]:
        folders = {"repo": repo, "deep": deep, "tree": tree}
        told.write_text("".join(f'[projects."{folders[n]}"]\ntrust_level = "{v}"\n' for n, v in levels.items()))
        return [folder_trust(folder, str(home.codex_home)) for folder in everywhere]

    assert trust() == [None, None, None]
    assert trust(repo="trusted") == ["trusted", "trusted", "trusted"]
    assert trust(repo="untrusted", deep="trusted") == ["untrusted", "trusted", "untrusted"]
    assert trust(tree="trusted") == [None, None, "trusted"]
    assert folder_trust(str(tmp_path), str(home.codex_home)) is None


def test_the_users_no_stays(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    file = home.codex_home / "config.toml"
    file.write_text(f'{file.read_text()}\n[projects."{repo}"]\ntrust_level = "untrusted"\n')
    assert not [word for word in server_argv(real, options_for(repo), home.env, "/s") if "projects=" in word]
    if real.version == "0.133.0":  # its TUI asks nothing then
        assert not [word for word in plain_argv(real, options_for(repo), home.env) if "projects=" in word]
    else:
        with pytest.raises(UsageError, match="untrusted"):
            plain_argv(real, options_for(repo), home.env)


def start_thread(codex: Codex, home: Home, repo: Path, argv: list[str]) -> dict[str, Any]:
    """What an app-server answers to ``thread/start`` (over stdio: the quickest way to ask one thing)."""
    words = [word for word in argv if not word.startswith("--listen")]
    asked: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "t", "title": "t", "version": "1"}}},
        {"method": "initialized"},
        {"id": 1, "method": "thread/start", "params": {"cwd": str(repo), "sandbox": "workspace-write"}},
    ]
    with subprocess.Popen(
        words, env=home.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write("".join(json.dumps({"jsonrpc": "2.0", **one}) + "\n" for one in asked))
            process.stdin.flush()
            for line in process.stdout:
                answer = json.loads(line)
                if answer.get("id") == 1:
                    return dict(answer["result"])
        finally:
            process.kill()
    raise AssertionError("the app-server ended without an answer")


def test_the_users_configuration_is_left_alone(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    file = home.codex_home / "config.toml"
    file.write_text(f'{file.read_text()}\n[projects."/other"]\ntrust_level = "trusted"\n')
    before = file.read_text()
    argv = server_argv(real, options_for(repo), home.env, "/s")
    start_thread(real, home, repo, argv)
    assert file.read_text() == before
    # What would happen otherwise: trusted, for good.
    start_thread(real, home, repo, [word for word in argv if "projects=" not in word])
    assert tomllib.loads(file.read_text())["projects"][str(repo)] == {"trust_level": "trusted"}


def test_what_the_server_is_told_arrives(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    config = ['model_reasoning_summary="detailed"']
    options = options_for(repo, model="gpt-5.4", reasoning="low", config=config, add_dirs=["/srv"])
    answer = start_thread(real, home, repo, server_argv(real, options, home.env, "/s"))
    assert (answer["model"], answer["reasoningEffort"]) == ("gpt-5.4", "low")
    assert "/srv" in json.dumps(answer["sandbox"])


def test_a_profile_reaches_the_server(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    file = home.codex_home / "config.toml"
    if real.version == "0.133.0":
        file.write_text(f'{file.read_text()}\n[profiles.mine]\nmodel_reasoning_effort = "xhigh"\n')
    else:
        (home.codex_home / "mine.config.toml").write_text(
            'model_reasoning_effort = "xhigh"\n[tui]\nanimations = false'
        )
    answer = start_thread(real, home, repo, server_argv(real, options_for(repo, profile="mine"), home.env, "/s"))
    assert answer["reasoningEffort"] == "xhigh"


# --- the real TUI asks nothing, and does without


@pytest.mark.parametrize("place", ["repository", "below it", "worktree", "through a link", "odd name"])
def test_the_bare_tui_begins_at_once(
    place: str, real: Codex, home: Home, model: ModelServer, repo: Path, tmp_path: Path
) -> None:
    home.use_model(model.base_url, model=wants_to_move(real, home))
    model.on("begin", Step.message("It has begun."))
    cwd = repo
    if place == "below it":
        cwd = repo / "a" / "b"
        cwd.mkdir(parents=True)
    elif place == "worktree":
        cwd = tmp_path / "tree"
        add = ["git", "worktree", "add", "-q", str(cwd)]
        subprocess.run(add, cwd=repo, env=home.env, check=True, capture_output=True, timeout=30)
    elif place == "through a link":
        cwd = tmp_path / "link"
        cwd.symlink_to(repo)
    elif place == "odd name":
        cwd = repo.rename(tmp_path / "a \"b' \\ é 😀 .x=y")
    with shown(home, cwd, plain_argv(real, options_for(cwd), home.env, "begin")) as screen:
        until(lambda: "It has begun." in screen(), 20, "the answer on the screen")
    config = config_of(home)
    assert "projects" not in config and "notice" not in config
    assert config["model"] == wants_to_move(real, home)


@pytest.mark.parametrize(("without", "asks"), [("projects=", "[Tt]rust"), ("model_migrations=", "Try new model")])
def test_without_the_overrides_it_asks(
    without: str, asks: str, real: Codex, home: Home, model: ModelServer, repo: Path
) -> None:
    home.use_model(model.base_url, model=wants_to_move(real, home))
    argv = plain_argv(real, options_for(repo), home.env, "begin")
    with shown(home, repo, [word for word in argv if without not in word]) as screen:
        until(lambda: re.search(asks, screen()), 20, "the question")
    assert not model.requests_for("begin")


def a_thread(codex: Codex, home: Home, model: ModelServer, repo: Path) -> str:
    model.on("earlier", Step.message("Said long ago."))
    words = [codex.path, "exec", "--json", "-s", "read-only", "-C", str(repo), "earlier"]
    quiet = subprocess.DEVNULL
    done = subprocess.run(words, env=home.env, stdin=quiet, capture_output=True, timeout=60, check=True)
    return str(json.loads(done.stdout.splitlines()[0])["thread_id"])


@pytest.mark.parametrize("without", [None, "model_migrations="])
def test_the_viewer_shows_the_thread(
    without: str | None, real: Codex, home: Home, model: ModelServer, repo: Path
) -> None:
    thread = a_thread(real, home, model, repo)
    home.use_model(model.base_url, model=wants_to_move(real, home))
    options = options_for(repo)
    with server(real, options, home) as path:
        argv = viewer_argv(real, options, home.env, path, thread)
        argv = [word for word in argv if without is None or without not in word]
        with shown(home, repo, argv) as screen:
            until(lambda: ("Try new model" if without else "Said long ago.") in screen(), 20, "what it shows")
    assert "projects" not in config_of(home)


@pytest.mark.parametrize("policy", ["never", "on-request", "untrusted", "on-failure"])
def test_policies_that_the_bare_tui_takes(
    policy: str, real: Codex, home: Home, model: ModelServer, repo: Path
) -> None:
    model.on("begin", Step.message("It has begun."))
    options = options_for(repo, approval=policy)
    if policy not in approval_policies(real, plain=True):
        with pytest.raises(UsageError):
            plain_argv(real, options, home.env, "begin")
        return
    with shown(home, repo, plain_argv(real, options, home.env, "begin")) as screen:
        until(lambda: "It has begun." in screen(), 20, "the answer on the screen")


# --- its title, and what is pasted into it


TITLES = [
    ("Ready | 01a1fe8e-704e-7e73-9c2c-3d321...", "idle"),
    ("⠋ Working | 01a1fe8e-704e-7e73-9c2c-3d321... ⠋", "working"),
    ("Thinking | 01a1fe8e-704e-7e73-9c2c-3d321...", "working"),
    ("Starting | 01a1fe8e-704e-7e73-9c2c-3d321...", "starting"),
    ("[ . ] Action Required | ⠹ | 01a1fe8e-704e-7e73-9c2c-3d321...", "needs_you"),
    ("my-host", None),
    ("", None),
]


@pytest.mark.parametrize(("title", "state"), TITLES)
def test_what_a_title_says(title: str, state: str | None) -> None:
    assert title_state(title) == state


def test_the_title_of_a_real_one(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    """Whatever the user has chosen for it."""
    home.use_model(model.base_url, extra="tui.terminal_title = []")
    gate = model.gate("working")
    model.on("begin", Step.hold(gate))
    escalated = {"cmd": "true", "sandbox_permissions": "require_escalated", "justification": "why not"}
    model.on("ask me", Step.call("exec_command", escalated), Step.message("Asked."))
    argv = plain_argv(real, options_for(repo, approval="on-request"), home.env, "begin")

    with shown(home, repo, argv):
        gate.reached()
        until(lambda: state(home) == "working", 5)
        gate.open()
        until(lambda: state(home) == "idle", 5)
        paste(home, "ask me")
        until(lambda: state(home) == "needs_you", 5)


def state(home: Home) -> str | None:
    return title_state(home.tmux("display-message", "-p", "-t", "=look:", "#{pane_title}").stdout)


def paste(home: Home, message: str) -> None:
    file = home.root / "message"
    file.write_text(pasted(message))
    home.tmux("load-buffer", "-b", "test", str(file))
    home.tmux("paste-buffer", "-p", "-d", "-b", "test", "-t", "=look:")
    home.tmux("send-keys", "-t", "=look:", "Enter")


MESSAGES = [
    "/help",
    "/exit",
    "a\n/model",
    "C-c",
    "-x",
    "see @README",
    "$x",
    "@",
    "?",
    "\n\nthree\n\nlines\n",
    "é 😀",
]


def test_every_message_arrives_as_it_is(real: Codex, home: Home, model: ModelServer, repo: Path) -> None:
    """Each when the turn before is over: one that comes while a turn ends may be recorded and not be answered."""
    with shown(home, repo, plain_argv(real, options_for(repo), home.env)):
        for message in [*MESSAGES, "a line\n" * 50, "x" * 400_000]:
            until(lambda: state(home) == "idle", 20)
            before = len(model.requests)
            paste(home, message)
            until(lambda: message.strip() in heard(model, before), 10, message[:20])  # noqa: B023


def heard(model: ModelServer, after: int) -> list[str]:
    """The newest user message of each request since."""
    return [last_user_text(request) for request in model.requests[after:]]


def test_what_cannot_be_pasted() -> None:
    assert pasted("a\x1b[31m\r\nb\x7f\tc") == " a[31m\nb\tc "
    for message in ["!ls", " \n!ls", " ", "\x1b"]:
        with pytest.raises(UsageError):
            pasted(message)
