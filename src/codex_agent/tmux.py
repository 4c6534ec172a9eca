"""Owns tmux: sessions are opened, found, attached to and closed here, and nowhere else. Alone imports libtmux.

Every target is exact (``=name``), every argument is passed as it is (no shell), and "tmux cannot answer" is an
error, never "no such session". Must never touch a session whose name is not one of ours.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from codex_agent.errors import BadState, MissingProgram, TmuxFailed

if TYPE_CHECKING:
    from libtmux import Server

OLDEST = (3, 2)
COLUMNS, LINES = 180, 50
# What a tmux client says when there is no server behind the socket (tmux 3.3a; client.c), so no session either.
# "error connecting to ..." with any other reason (a socket that is another person's) is no such answer.
_NO_SERVER = (
    "no server running",
    "(No such file or directory)",
    "(Not a directory)",
    "(Connection refused)",
    "server exited",
    "lost server",
)
# What a client is told whose server ended while it was connected.
_JUST_GONE = ("server exited", "lost server")
_TRIES, _PAUSE_S = 20, 0.02
# "no current target": the server has no session at all and is about to end.
_NO_SESSION = ("can't find session", "session not found", "no current target")
# What tmux itself writes into lines it was asked to color (and OSC 8 links from 3.4 on).
_SGR = re.compile(r"\x1b\[[0-9;:]*m|\x1b\]8;[^\x1b]*\x1b\\")
_PLAIN = "\x1b[0m"


@dataclass(frozen=True, slots=True)
class Session:
    """A tmux session of ours."""

    name: str
    socket: str
    attached: int
    created_at: float


def install_hint() -> str:
    """How a person gets tmux on this machine."""
    import shutil

    for tool, command in (
        ("apt-get", "sudo apt-get install tmux"),
        ("dnf", "sudo dnf install tmux"),
        ("apk", "sudo apk add tmux"),
        ("pacman", "sudo pacman -S tmux"),
        ("zypper", "sudo zypper install tmux"),
        ("brew", "brew install tmux"),
    ):
        if shutil.which(tool):
            return f"Install it: {command}"
    return "Install tmux 3.2 or newer with your package manager."


def find(environ: Mapping[str, str]) -> str:
    """Where tmux is. Raises MissingProgram if it is not on PATH."""
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder, "tmux")
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise MissingProgram("tmux is not installed (not on PATH).", install_hint(), program="tmux")


def version(environ: Mapping[str, str]) -> str:
    """What ``tmux -V`` says after its name, such as ``3.3a``. Raises MissingProgram if it is not usable."""
    import subprocess

    program = find(environ)
    try:
        told = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingProgram(f"{program} does not run: {error}", install_hint(), program="tmux") from error
    words = told.stdout.split()
    found = re.search(r"(\d+)\.(\d+)", told.stdout)
    if told.returncode != 0 or found is None or words[0] != "tmux":
        if words[:2] == ["tmux", "master"]:
            return "master"
        said = (told.stdout + told.stderr).strip()[:200]
        raise MissingProgram(f"{program} -V says {said!r}: that is no tmux.", install_hint(), program="tmux")
    if (int(found[1]), int(found[2])) < OLDEST:
        raise MissingProgram(
            f"tmux {words[1]} is too old; {OLDEST[0]}.{OLDEST[1]} or newer is needed.",
            install_hint(),
            program="tmux",
        )
    return words[1]


def server_socket(wanted: str | None, environ: Mapping[str, str]) -> tuple[str, str]:
    """How to name the server: (``-L`` or ``-S``, value).

    What the settings say comes first; then the server whose pane we are in; then tmux's default one.
    """
    if wanted:
        return ("-S", wanted) if "/" in wanted else ("-L", wanted)
    inside = environ.get("TMUX", "")
    if inside:
        return "-S", inside.rsplit(",", 2)[0]
    return "-L", "default"


def socket_path(wanted: str | None, environ: Mapping[str, str]) -> str:
    """The server's socket as a path (tmux puts named ones below ``$TMUX_TMPDIR/tmux-<uid>``)."""
    flag, value = server_socket(wanted, environ)
    if flag == "-S":
        return os.path.abspath(value)
    folder = os.path.realpath(environ.get("TMUX_TMPDIR") or "/tmp")  # noqa: S108 (where tmux itself puts it)
    return os.path.join(folder, f"tmux-{os.getuid()}", value)


def open_session(wanted: str | None, environ: Mapping[str, str], name: str, argv: Sequence[str], cwd: str) -> str:
    """Opens a detached session that runs ``argv``; the server's socket path. Raises TmuxFailed, MissingProgram."""
    flag, value = server_socket(wanted, environ)
    # By name where it has one: only then does tmux make the folder its socket lies in.
    server = (flag, os.path.abspath(value) if flag == "-S" else value)
    words = (
        "new-session",
        "-d",
        *("-P", "-F", "#{socket_path}"),
        *("-s", name),
        *("-x", str(COLUMNS), "-y", str(LINES)),
        *("-e", "CODEX_AGENT_MARK="),  # an agent may have launched this server by itself, mark and all
        *("-c", _word(cwd.replace("#", "##"))),  # tmux expands formats in it, and #(...) is a command
        "--",
        *map(_word, argv),
        # What a person's tmux.conf may say of sessions nobody looks at, or of panes that are done.
        *(";", "set-option", "-t", f"={name}:", "destroy-unattached", "off"),
        *(";", "set-option", "-w", "-t", f"={name}:", "remain-on-exit", "off"),
    )
    for left_tries in reversed(range(_TRIES)):
        try:
            code, told = _call(*server, *words)
        except OSError as error:
            code, told = -1, str(error)
        # The server goes when its last session ends, and with it whoever has just connected: no session was made,
        # and the next call launches a server.
        if code == 0 or not left_tries or not any(one in told for one in _JUST_GONE):
            break
        time.sleep(_PAUSE_S)
    socket = told.rpartition("\n")[2]
    if code != 0 or not socket.startswith("/"):
        version(environ)  # one that is too old does not know these words
        raise TmuxFailed(
            f"tmux could not open session {name}: {' '.join(told.split()) or 'it said nothing'}.",
            "Check `tmux ls`; another socket can be set with CODEX_AGENT_TMUX_SOCKET.",
            session=name,
        )
    return socket


def reopen_session(socket: str, name: str, argv: Sequence[str], cwd: str) -> None:
    """Runs ``argv`` in the pane of a session that is still there, in place of what is in it. Raises TmuxFailed.

    Whoever looks at it sees what comes next.
    """
    done = _server(socket).cmd(
        "respawn-pane",
        "-k",
        *("-t", f"={name}:"),
        *("-e", "CODEX_AGENT_MARK="),
        *("-c", _word(cwd.replace("#", "##"))),
        "--",
        *map(_word, argv),
    )
    if done.returncode != 0:
        raise TmuxFailed(f"tmux could not use session {name} again: {' '.join(done.stderr)}", session=name)


def has_session(socket: str, name: str) -> bool:
    """Whether the session exists. Raises TmuxFailed if tmux cannot tell."""
    done = _server(socket).cmd("has-session", "-t", f"={name}")
    if done.returncode == 0:
        return True
    told = " ".join(done.stderr)
    if any(words in told for words in (*_NO_SESSION, *_NO_SERVER)):
        return False
    raise TmuxFailed(f"tmux cannot say whether session {name} exists: {told}", session=name)


def send_back(socket: str, name: str) -> None:
    """Shows whoever came from another session of this server (``switch-client``) that one again.

    tmux would end their client with the session they look at. Asked from the pane itself, so without libtmux.
    """
    told = _from_pane(socket, "list-clients", "-t", f"={name}", "-F", "#{client_name}\t#{client_last_session}")
    for line in told.splitlines():
        client, _, last = line.partition("\t")
        if last:
            _from_pane(socket, "switch-client", "-c", client, "-t", f"={last}")


def attached(socket: str, name: str) -> int:
    """How many clients look at the session; 0 if it is gone. Asked from its own pane, so without libtmux."""
    told = _from_pane(socket, "display-message", "-p", "-t", f"={name}:", "#{session_attached}").strip()
    return int(told) if told.isdigit() else 0


def _from_pane(socket: str, *words: str) -> str:
    """What tmux prints; nothing if it cannot be asked: a pane that closes has nobody left to tell."""
    import subprocess

    try:
        # A tmux client sets its stdin to blocking. That would be the pane, and the TUI that reads from it without
        # blocking would stand still for ever (Codex, while it comes up: one start in a hundred).
        done = subprocess.run(
            ["tmux", "-S", socket, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def pane_title(socket: str, name: str) -> str | None:
    """The title the program in the session's pane has set; None if the session is gone or cannot be asked."""
    # With the pane's id, which is empty where there is none: tmux fails for no target here.
    told = _from_pane(socket, "display-message", "-p", "-t", f"={name}:", "#{pane_id} #{pane_title}")
    pane, _, title = told.removesuffix("\n").partition(" ")
    return title if pane else None


def send_keys(socket: str, name: str, keys: Sequence[str], literal: bool = False) -> None:
    """Sends keys by tmux's names for them (``Enter``, ``C-c``); a word that is no name is typed.

    ``literal``: every word is typed. Leaves copy mode first: there, keys would never reach the program. Raises
    BadState if the session is gone, TmuxFailed if tmux refuses. Without libtmux.
    """
    words = ["-l"] if literal else []
    _to_pane(socket, name, *_leave_modes(name), "send-keys", "-t", f"={name}:", *words, "--", *map(_word, keys))


def paste(socket: str, name: str, text_file: str) -> None:
    """Pastes a file's text, bracketed if the program wants that, and presses Enter, as one act.

    The text goes as it is: what ends a bracketed paste (``ESC [ 201 ~``) is the caller's to keep out. Raises
    BadState if the session is gone, TmuxFailed if tmux refuses (also an empty text), OSError if there is no such
    file. Without libtmux.
    """
    buffer = f"{name}-{os.urandom(8).hex()}"
    target = f"={name}:"
    with open(text_file, "rb") as file:  # on stdin, since tmux expands formats in a path
        try:
            _to_pane(
                socket,
                name,
                *("load-buffer", "-b", buffer, "-", ";"),
                *_leave_modes(name),
                *("paste-buffer", "-p", "-d", "-b", buffer, "-t", target, ";"),
                *("send-keys", "-t", target, "Enter"),
                stdin=file.fileno(),
            )
        except (BadState, TmuxFailed):
            _from_pane(socket, "delete-buffer", "-b", buffer)
            raise


def _leave_modes(name: str) -> list[str]:
    return ["copy-mode", "-q", "-t", f"={name}:", ";"]


def _to_pane(socket: str, name: str, *words: str, stdin: int | None = None) -> None:
    """Has tmux do something to the session's pane. Raises BadState if there is none, TmuxFailed if it refuses."""
    import subprocess

    try:
        done = subprocess.run(
            ["tmux", "-S", socket, *words],
            stdin=subprocess.DEVNULL if stdin is None else stdin,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TmuxFailed(f"tmux could not be asked about session {name}: {error}", session=name) from error
    if done.returncode != 0:
        _refused(socket, name, done.stderr.strip())


def _refused(socket: str, name: str, told: str) -> NoReturn:
    if any(words in told for words in (*_NO_SESSION, *_NO_SERVER)):
        raise BadState(f"Session {name} is gone.", "codex-agent sessions lists those there are.", session=name)
    raise TmuxFailed(f"tmux refused at session {name}: {told}", f"Its socket is {socket}.", session=name)


def screen(socket: str, name: str, lines: int | None, colors: bool) -> list[str]:
    """What the session's pane shows, as tmux renders it: at most the last ``lines``, oldest first.

    With what has scrolled off the top (all of it for None), without the empty lines at the bottom. A program on
    the alternate screen has no scrollback. ``colors`` keeps SGR sequences, each line complete in itself at the
    cut and at the end. Raises BadState if the session is gone, TmuxFailed if tmux cannot tell.
    """
    # The visible lines come on top of the count: some at the bottom may be empty.
    start = "-" if lines is None else f"-{lines}"
    words = ["capture-pane", "-p", *(["-e"] if colors else []), "-S", start, "-t", f"={name}:"]
    done = _server(socket).cmd(*words)
    if done.returncode != 0:
        _refused(socket, name, " ".join(done.stderr))
    shown: list[str] = list(done.stdout)
    while shown and not _SGR.sub("", shown[-1]).strip():
        shown.pop()
    if lines is not None and len(shown) > lines:
        cut = shown[:-lines]
        shown = shown[-lines:]
        # tmux tells a color once, where it begins: what is still on at the cut is said again.
        shown[0] = "".join(_SGR.findall("".join(cut).rpartition(_PLAIN)[2])) + shown[0]
    if colors and shown and any("\x1b" in line for line in shown):
        shown[-1] += _PLAIN
    return shown


def kill_session(socket: str, name: str) -> None:
    """Closes the session if it is there. Raises TmuxFailed if tmux cannot be asked."""
    done = _server(socket).cmd("kill-session", "-t", f"={name}")
    told = " ".join(done.stderr)
    if done.returncode != 0 and not any(words in told for words in (*_NO_SESSION, *_NO_SERVER)):
        raise TmuxFailed(f"tmux could not close session {name}: {told}", session=name)


def sessions(socket: str, prefix: str) -> list[Session]:
    """Every session of ours on that server (``<prefix>-<job id>``), oldest first. No server: none."""
    done = _server(socket).cmd("list-sessions", "-F", "#{session_name}\t#{session_attached}\t#{session_created}")
    told = " ".join(done.stderr)
    if done.returncode != 0:
        if any(words in told for words in _NO_SERVER):
            return []
        raise TmuxFailed(f"tmux cannot list its sessions: {told}", f"Its socket is {socket}.", socket=socket)
    found = []
    for line in done.stdout:
        name, attached, created = line.split("\t")
        if re.fullmatch(re.escape(prefix) + r"-[0-9a-f]{8}", name):
            found.append(Session(name, socket, int(attached), float(created)))
    return sorted(found, key=lambda session: (session.created_at, session.name))


def attach_argv(socket: str, name: str, environ: Mapping[str, str]) -> list[str]:
    """The command with which a person looks at the session; from inside the same server it switches."""
    inside = environ.get("TMUX", "").rsplit(",", 2)[0]
    if inside == socket:
        return ["tmux", "switch-client", "-t", f"={name}"]
    default = socket_path(None, {key: value for key, value in environ.items() if key != "TMUX"})
    if not inside and socket == default:
        return ["tmux", "attach-session", "-t", f"={name}"]
    return ["tmux", "-S", socket, "attach-session", "-t", f"={name}"]


def _word(text: str) -> str:
    """A word as tmux has to be told it: one that ends in ``;`` would end the tmux command."""
    return text[:-1] + "\\;" if text.endswith(";") else text


def _server(socket: str) -> Server:
    from libtmux import Server

    return Server(socket_path=socket)


def _call(*words: str) -> tuple[int, str]:
    """One call of tmux that may launch a server: exit code, and what it says. Raises OSError if it cannot run.

    `start` waits for it, so without libtmux and subprocess: to import those takes longer than the call.
    """
    # No job's mark goes into the server's environment, and ours does (see kernel.BORDER).
    mine = ("CODEX_AGENT_MARK", "CODEX_AGENT_JOB_ID")
    env = {**{key: value for key, value in os.environ.items() if key not in mine}, "CODEX_AGENT_SERVER": "1"}
    out, into = os.pipe()
    stdin = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
    actions = [stdin, (os.POSIX_SPAWN_DUP2, into, 1), (os.POSIX_SPAWN_DUP2, into, 2)]
    # Python ignores these two, and what a program ignores its children ignore.
    ignored = (signal.SIGPIPE, signal.SIGXFSZ)
    with open(out, "rb") as pipe:
        try:
            pid = os.posix_spawnp("tmux", ["tmux", *words], env, file_actions=actions, setsigdef=ignored)
        finally:
            os.close(into)
        said = os.fsdecode(pipe.read()).strip("\n")
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said
