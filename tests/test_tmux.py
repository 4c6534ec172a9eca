"""tmux itself, on a server of the test's own: exact names, and "cannot tell" never read as "is not there"."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_agent import tmux
from codex_agent.errors import MissingProgram, TmuxFailed
from support import Home, until

PREFIX = "codex-agent"
FOREVER = ["sleep", "600"]


@pytest.fixture
def socket(tmux_socket: str) -> str:
    return tmux_socket


def program(folder: Path, text: str) -> dict[str, str]:
    """An environment in whose PATH ``tmux`` is this program, and little else is."""
    folder.mkdir()
    (folder / "tmux").write_text(text)
    (folder / "tmux").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


# ---- the program ----


def test_the_version_of_the_real_one(home: Home) -> None:
    told = subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout
    assert tmux.version(home.env) == told.split()[1]


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("tmux 3.2a", "3.2a"),
        ("tmux 3.10", "3.10"),
        ("tmux next-3.6", "next-3.6"),
        ("tmux 10.0", "10.0"),
        ("tmux master", "master"),
    ],
)
def test_versions_that_do(says: str, version: str, tmp_path: Path) -> None:
    assert tmux.version(program(tmp_path / "bin", f"#!/bin/sh\necho {says}\n")) == version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#!/bin/sh\necho tmux 3.1c\n", "too old; 3.2"),
        ("#!/bin/sh\necho tmux 2.9\n", "too old"),
        ("#!/bin/sh\necho screen 4.9\n", "is no tmux"),
        ("#!/bin/sh\n", "is no tmux"),
        ("#!/bin/sh\necho tmux 3.4; exit 1\n", "is no tmux"),
        ("#!/nowhere/sh\n", "does not run"),
    ],
)
def test_versions_that_do_not(text: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(MissingProgram, match=told) as error:
        tmux.version(program(tmp_path / "bin", text))
    assert error.value.exit_code == 5 and "nstall" in (error.value.hint or "")


def test_no_tmux(tmp_path: Path) -> None:
    with pytest.raises(MissingProgram, match="not on PATH"):
        tmux.version({"PATH": str(tmp_path)})


# ---- sessions ----


def test_one_session_from_open_to_close(home: Home, socket: str, tmp_path: Path) -> None:
    """The words arrive as they are, in the folder asked for; the answer is the server's socket."""
    words = ["a b", "'", '"', "$HOME", "`x`", ";", "#{pid}", "-d", "", "ü", "\\;", "{", "%1"]
    script = "import json, os, sys; open('words', 'w').write(json.dumps([sys.argv[1:], os.getcwd()]))"
    folder = tmp_path / "a #{pid} #(touch ran) %d ##;"
    folder.mkdir()
    keep = "; import time; time.sleep(600)"
    argv = [sys.executable, "-c", script + keep, *words]
    assert tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", argv, str(folder)) == socket
    until((folder / "words").exists, 10, "the session's program")
    got = until(lambda: (folder / "words").read_text(), 10)
    assert json.loads(got) == [words, str(folder)]
    assert not (folder / "ran").exists() and not (tmp_path / "ran").exists()
    assert tmux.has_session(socket, f"{PREFIX}-0000000a")
    tmux.kill_session(socket, f"{PREFIX}-0000000a")
    assert not tmux.has_session(socket, f"{PREFIX}-0000000a")
    tmux.kill_session(socket, f"{PREFIX}-0000000a")  # gone is what was wanted


def test_names_are_exact(home: Home, socket: str) -> None:
    """tmux itself would take any unique beginning of a name, and patterns."""
    long = f"{PREFIX}-0000000a"
    tmux.open_session(socket, home.env, long, FOREVER, "/")
    for near in (long[:-1], long[:5], f"{PREFIX}-*", long + "b", long.upper()):
        assert not tmux.has_session(socket, near)
        tmux.kill_session(socket, near)
    assert tmux.has_session(socket, long)


def test_only_ours_are_listed(home: Home, socket: str) -> None:
    strangers = ["work", f"{PREFIX}-notes", f"{PREFIX}-0000000", f"{PREFIX}-0000000ab", f"my-{PREFIX}-0000000a"]
    for name in [*strangers, f"{PREFIX}-0000000b", f"{PREFIX}-0000000a"]:
        tmux.open_session(socket, home.env, name, FOREVER, "/")
    found = tmux.sessions(socket, PREFIX)
    assert sorted(session.name for session in found) == [f"{PREFIX}-0000000a", f"{PREFIX}-0000000b"]
    assert all(session.attached == 0 and session.socket == socket for session in found)
    assert all(abs(session.created_at - time.time()) < 60 for session in found)
    assert [session.name for session in tmux.sessions(socket, "my-codex-agent")] == [strangers[-1]]


def test_a_name_that_is_taken(home: Home, socket: str) -> None:
    tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", FOREVER, "/")
    with pytest.raises(TmuxFailed, match="duplicate session"):
        tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", FOREVER, "/")


def test_no_server_is_no_session(socket: str, home: Home) -> None:
    assert not tmux.has_session(socket, f"{PREFIX}-0000000a")
    assert tmux.sessions(socket, PREFIX) == []
    tmux.kill_session(socket, f"{PREFIX}-0000000a")
    assert not os.path.exists(socket), "asking starts no server"
    assert tmux.sessions(str(Path(socket).parent / "no" / "folder" / "s"), PREFIX) == []
    # A socket whose server died hard.
    tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", FOREVER, "/")
    home.tmux("kill-server")
    assert tmux.sessions(socket, PREFIX) == [] and not tmux.has_session(socket, f"{PREFIX}-0000000a")


def test_a_server_that_cannot_be_asked_is_an_error(
    socket: str, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path longer than a socket's may be: tmux says so, and that is not "no server"."""
    too_long = "/tmp/" + "x" * 200
    for ask in (
        lambda: tmux.has_session(too_long, f"{PREFIX}-0000000a"),
        lambda: tmux.sessions(too_long, PREFIX),
        lambda: tmux.kill_session(too_long, f"{PREFIX}-0000000a"),
    ):
        with pytest.raises(TmuxFailed):
            ask()


def test_a_socket_that_may_not_be_used_is_an_error(socket: str, home: Home) -> None:
    """Another person's server: its sessions may well be there."""
    tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", FOREVER, "/")
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1] / 'src')!r})\n"
        "import os; os.setgid(65534); os.setuid(65534)\n"
        "from codex_agent import tmux; from codex_agent.errors import TmuxFailed\n"
        "try: print('there' if tmux.has_session(sys.argv[1], sys.argv[2]) else 'not there')\n"
        "except TmuxFailed as error: print('cannot tell')\n"
    )
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    os.chmod(os.path.dirname(socket), 0o711)
    done = subprocess.run(
        [sys.executable, "-c", "import libtmux\n" + program, socket, f"{PREFIX}-0000000a"],
        capture_output=True,
        text=True,
        timeout=20,
        cwd="/",
        env=home.env | {"TMUX_TMPDIR": "/tmp"},
        check=False,
    )
    if "ModuleNotFoundError" in done.stderr or "PermissionError" in done.stderr:
        pytest.skip("that user cannot read this checkout")
    assert done.stdout == "cannot tell\n", done.stderr


def test_a_server_we_launch_has_no_jobs_mark(home: Home, socket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be launched from inside a job and outlives it; other jobs and people will live in it."""
    monkeypatch.setenv("CODEX_AGENT_MARK", "0000000f.ff")
    monkeypatch.setenv("CODEX_AGENT_JOB_ID", "0000000f")
    tmux.open_session(socket, home.env, f"{PREFIX}-0000000a", FOREVER, "/")
    server = int(home.tmux("display-message", "-p", "#{pid}").stdout)
    environ = Path(f"/proc/{server}/environ").read_bytes().split(b"\0")
    assert b"CODEX_AGENT_SERVER=1" in environ
    assert not [word for word in environ if word.startswith((b"CODEX_AGENT_MARK", b"CODEX_AGENT_JOB_ID"))]
    assert os.environ["CODEX_AGENT_MARK"] == "0000000f.ff" and "CODEX_AGENT_SERVER" not in os.environ


# ---- which server ----


@pytest.mark.parametrize(
    ("wanted", "environ", "path"),
    [
        (None, {}, "/tmp/tmux-{uid}/default"),
        ("mine", {}, "/tmp/tmux-{uid}/mine"),
        ("/run/s", {}, "/run/s"),
        (None, {"TMUX": "/run/inside,123,0"}, "/run/inside"),
        (None, {"TMUX": "/run/with,comma,123,0"}, "/run/with,comma"),
        (None, {"TMUX": ""}, "/tmp/tmux-{uid}/default"),
        ("mine", {"TMUX": "/run/inside,123,0"}, "/tmp/tmux-{uid}/mine"),
        ("/run/s", {"TMUX": "/run/inside,123,0"}, "/run/s"),
        (None, {"TMUX_TMPDIR": "/var"}, "/var/tmux-{uid}/default"),
        ("mine", {"TMUX_TMPDIR": "/var"}, "/var/tmux-{uid}/mine"),
        (None, {"TMUX_TMPDIR": ""}, "/tmp/tmux-{uid}/default"),
    ],
)
def test_which_server(wanted: str | None, environ: dict[str, str], path: str) -> None:
    assert (
        tmux.socket_path(wanted, environ) == os.path.realpath("/tmp") + path.format(uid=os.getuid())[4:]
        if path.startswith("/tmp")
        else tmux.socket_path(wanted, environ) == path.format(uid=os.getuid())
    )


def test_tmux_means_the_same_server(home: Home, tmux_socket: str) -> None:
    """Where we say a named server is, the real one is."""
    folder = os.path.dirname(tmux_socket)
    env = home.env | {"TMUX_TMPDIR": folder}
    subprocess.run(["tmux", "-L", "named", "new-session", "-d", "-s", "x", *FOREVER], env=env, check=True)
    path = tmux.socket_path("named", env)
    try:
        assert tmux.has_session(path, "x")
    finally:
        subprocess.run(["tmux", "-S", path, "kill-server"], env=env, check=True)


def test_how_to_attach() -> None:
    default = tmux.socket_path(None, {})
    name = f"{PREFIX}-0000000a"
    target = ["-t", f"={name}"]
    assert tmux.attach_argv(default, name, {}) == ["tmux", "attach-session", *target]
    assert tmux.attach_argv("/run/s", name, {}) == ["tmux", "-S", "/run/s", "attach-session", *target]
    assert tmux.attach_argv("/run/s", name, {"TMUX": "/run/s,1,0"}) == ["tmux", "switch-client", *target]
    inside_another = tmux.attach_argv(default, name, {"TMUX": "/run/s,1,0"})
    assert inside_another == ["tmux", "-S", default, "attach-session", *target]
