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
from codex_agent.errors import BadState, MissingProgram, TmuxFailed
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


def test_a_server_that_just_goes(home: Home, socket: str) -> None:
    """It ends with its last session, and may take the next one's client with it: that one begins anew."""
    for number in range(60):  # without that, about one in three fails
        tmux.open_session(socket, home.env, f"short-{number}", ["true"], str(home.root))


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


# ---- the pane: what it shows, and what is put into it ----

JOB = f"{PREFIX}-0000000a"


def shows(home: Home, socket: str, script: str, *words: str) -> None:
    """A session whose pane runs a shell script (and stays)."""
    tmux.open_session(socket, home.env, JOB, ["/bin/sh", "-c", script, "sh", *words], "/")


def screen(socket: str, has: str, lines: int | None = None, colors: bool = False) -> list[str]:
    """The screen, once it shows these words."""

    def asked() -> list[str]:
        found = tmux.screen(socket, JOB, lines, colors)
        return found if any(has in line for line in found) else []

    return until(asked, 10, f"{has!r} on the screen")


def test_the_screen_with_what_scrolled_off(home: Home, socket: str) -> None:
    shows(home, socket, "seq 1 120; printf 'gone\\rlast\\033[K\\n\\n\\n'; cat")
    every = screen(socket, "last")
    assert every == [*map(str, range(1, 121)), "last"]
    assert tmux.screen(socket, JOB, 3, False) == ["119", "120", "last"]
    assert tmux.screen(socket, JOB, 100, False) == every[-100:]
    assert tmux.screen(socket, JOB, 1000, False) == every
    assert tmux.screen(socket, JOB, 3, True) == ["119", "120", "last"], "no colors, so nothing to end"


def test_the_screen_in_colors(home: Home, socket: str) -> None:
    """A color that began above the cut is said again, and none is left on."""
    shows(home, socket, "printf '\\033[31mred\\n\\033[1mbold\\nboth\\n\\033[0mplain\\n'; cat")
    assert "plain" in screen(socket, "plain", colors=True)[-1]
    assert tmux.screen(socket, JOB, None, False) == ["red", "bold", "both", "plain"]
    first, *_, last = tmux.screen(socket, JOB, None, True)
    assert first == "\x1b[31mred" and last.endswith("\x1b[0m")
    cut = tmux.screen(socket, JOB, 2, True)
    assert cut[0] == "\x1b[31m\x1b[1mboth"
    assert tmux.screen(socket, JOB, 1, True)[0].endswith("plain\x1b[0m")


def test_an_empty_screen(home: Home, socket: str) -> None:
    shows(home, socket, "printf '\\n\\n\\033[31m   \\033[0m\\n'; cat")
    assert tmux.screen(socket, JOB, 50, True) == tmux.screen(socket, JOB, None, False) == []


# A program that writes down, byte for byte, what its terminal gives it; with bracketed paste on.
LISTENS = 'stty raw -echo; : >"$1"; printf \'\\033[?2004h\\033]2;[ ! ] a b\\007ready\'; exec cat >"$1"'


def listener(home: Home, socket: str, tmp_path: Path) -> Path:
    heard = tmp_path / "heard"
    shows(home, socket, LISTENS, str(heard))
    screen(socket, "ready")
    return heard


def test_keys_arrive_as_they_are(home: Home, socket: str, tmp_path: Path) -> None:
    heard = listener(home, socket, tmp_path)
    for words in (["C-c", "Enter"], ["-l", "-N", "--"], ["a;", ";", "$HOME", "#{pid}", "ü"], ["\\;"]):
        tmux.send_keys(socket, JOB, words)
    tmux.send_keys(socket, JOB, ["C-c", "Enter", "x;"], literal=True)
    expected = "\x03\r-l-N--a;;$HOME#{pid}ü\\;C-cEnterx;"
    until(lambda: heard.read_bytes().decode() == expected, 10, "the keys")


def test_what_is_pasted_arrives_whole_and_is_entered(home: Home, socket: str, tmp_path: Path) -> None:
    heard = listener(home, socket, tmp_path)
    text = tmp_path / "a #{pid} #(touch ran) text;"
    text.write_text("-x /y\n\t$HOME ; ü\n\nC-c " + "long " * 40_000)
    tmux.paste(socket, JOB, str(text))
    # tmux tells a terminal's line ends, so that a program hears what Enter would send.
    expected = f"\x1b[200~{text.read_text()}\x1b[201~\r".replace("\n", "\r")
    until(lambda: heard.read_bytes().decode() == expected, 10, "the text")
    assert home.tmux("list-buffers").stdout == ""
    assert not (tmp_path / "ran").exists()


def test_a_person_who_scrolls_back_keeps_no_key_away(home: Home, socket: str, tmp_path: Path) -> None:
    """In copy mode tmux takes every key for itself, the Enter after a paste as well."""
    heard = listener(home, socket, tmp_path)
    text = tmp_path / "text"
    text.write_text("hello")
    home.tmux("copy-mode", "-t", f"={JOB}:")
    tmux.paste(socket, JOB, str(text))
    until(lambda: heard.read_bytes().decode() == "\x1b[200~hello\x1b[201~\r", 10, "the text and Enter")
    home.tmux("copy-mode", "-t", f"={JOB}:")
    tmux.send_keys(socket, JOB, ["y"])
    until(lambda: heard.read_bytes().decode().endswith("\ry"), 10, "the key")


def test_a_paste_that_fails_leaves_nothing(home: Home, socket: str, tmp_path: Path) -> None:
    heard = listener(home, socket, tmp_path)
    empty, text = tmp_path / "empty", tmp_path / "text"
    empty.touch()
    text.write_text("hello")
    with pytest.raises(TmuxFailed, match="no buffer"):
        tmux.paste(socket, JOB, str(empty))
    with pytest.raises(BadState):
        tmux.paste(socket, JOB + "b", str(text))
    with pytest.raises(FileNotFoundError):
        tmux.paste(socket, JOB, str(tmp_path / "nowhere"))
    assert home.tmux("list-buffers").stdout == "" and heard.read_bytes() == b""


def test_the_title(home: Home, socket: str, tmp_path: Path) -> None:
    listener(home, socket, tmp_path)
    assert tmux.pane_title(socket, JOB) == "[ ! ] a b"
    assert tmux.pane_title(socket, JOB[:-1]) is None
    home.tmux("kill-server")
    assert tmux.pane_title(socket, JOB) is None


def test_a_session_that_is_gone_has_no_pane(home: Home, socket: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello")
    doings = (
        lambda: tmux.screen(socket, JOB, 10, False),
        lambda: tmux.send_keys(socket, JOB, ["x"]),
        lambda: tmux.paste(socket, JOB, str(text)),
    )
    for doing in doings:  # no server
        with pytest.raises(BadState, match="is gone"):
            doing()
    tmux.open_session(socket, home.env, JOB + "b", FOREVER, "/")
    for doing in doings:  # a server, and a session whose name begins the same way
        with pytest.raises(BadState, match="is gone"):
            doing()
    for doing in (
        lambda: tmux.screen("/tmp/" + "x" * 200, JOB, 10, False),
        lambda: tmux.send_keys("/tmp/" + "x" * 200, JOB, ["x"]),
    ):
        with pytest.raises(TmuxFailed):
            doing()
