"""Owns the run of one `git` or `gh` command that may be noted: the real program, and a note if it succeeded.

A script of its own, started by the wrappers in the agent's shell with `python -ISE`; it imports nothing of ours.
The program has our stdin, stderr, working directory, environment and terminal; signals that reach us reach it, and
we end as it ended. Must never make a command fail that would have succeeded, whatever becomes of the note.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time

NOTES = "CODEX_AGENT_NOTES"
_FORWARDED = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_MOST_OUTPUT, _ASK_S = 65536, 10.0
_FROM_A_PROCESS = 0  # si_code of kill(2) and below; what the terminal sends goes to all of a group anyway


def main(kind: str, real: str, words: list[str]) -> int:
    """Runs it; the exit code, or does not return where a signal ended the program."""
    what = _branch(words) if kind == "git" else _pull_request(words)
    seen: list[bytes] = []
    tee = kind == "gh" and what == "create" and not _is_terminal()
    status = _run([real, *words], seen if tee else None)
    if status == 0 and what:
        # Whatever goes wrong from here on is no fault of the command's.
        with contextlib.suppress(Exception):
            note = _note_git(real, words, what) if kind == "git" else _note_gh(real, words, what, b"".join(seen))
            if note is not None:
                _write({"kind": kind, "cwd": os.getcwd(), **note})
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {-status})
        os.kill(os.getpid(), -status)
    return status if status >= 0 else 128 - status


def _run(argv: list[str], seen: list[bytes] | None) -> int:
    """The program's exit code, or minus the signal that ended it. ``seen`` gets what it says on stdout."""
    forwarded = {number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*forwarded, signal.SIGCHLD})
    pipe = os.pipe() if seen is not None else None
    actions = [] if pipe is None else [(os.POSIX_SPAWN_DUP2, pipe[1], 1), (os.POSIX_SPAWN_CLOSE, pipe[0])]
    # Python itself ignores these two; the program finds them as everywhere.
    pid = os.posix_spawn(
        argv[0],
        argv,
        os.environ,
        file_actions=actions,
        setsigmask=before,
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, *({signal.SIGINT} & forwarded)],
    )
    reader = None
    if pipe is not None and seen is not None:
        os.close(pipe[1])
        import threading  # what few commands need is loaded where they need it

        reader = threading.Thread(target=_copy, args=(pipe[0], seen), daemon=True)
        reader.start()
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        _await(pid, {*forwarded, signal.SIGCHLD})
    if reader is not None:
        reader.join()
    return os.waitstatus_to_exitcode(status)


def _await(pid: int, signals: set[signal.Signals]) -> None:
    """Waits for one signal, and hands it on unless it is about a child."""
    if not hasattr(signal, "sigwaitinfo"):
        number, sent = signal.sigwait(signals), True
    else:
        info = signal.sigwaitinfo(signals)
        number, sent = info.si_signo, info.si_code <= _FROM_A_PROCESS
    if number != signal.SIGCHLD and sent:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _copy(source: int, seen: list[bytes]) -> None:
    size = 0
    while chunk := os.read(source, 65536):
        if size < _MOST_OUTPUT:
            seen.append(chunk)
            size += len(chunk)
        try:
            while chunk:
                chunk = chunk[os.write(1, chunk) :]
        except BrokenPipeError:
            break
    os.close(source)  # whoever goes on writing learns that nobody reads


def _is_terminal() -> bool:
    try:
        return os.isatty(1)
    except OSError:
        return True  # closed: nothing to copy


def _branch(words: list[str]) -> str:
    """The branch this makes, by its words (`checkout -b` or `switch -c` and their likes); empty if none."""
    at = _verb(words)
    flags = {"checkout": ("b", "B", "--orphan"), "switch": ("c", "C", "--create", "--force-create", "--orphan")}
    rest = words[at + 1 :]
    for number, word in enumerate(rest):
        if word == "--":
            break
        following = rest[number + 1] if number + 1 < len(rest) else ""
        for flag in flags[words[at]]:
            if flag.startswith("--"):
                if word == flag:
                    return following
                if word.startswith(f"{flag}="):
                    return word[len(flag) + 1 :]
            elif word.startswith("-") and not word.startswith("--") and flag in word[1:]:
                return word[1:].partition(flag)[2] or following
    return ""


def _verb(words: list[str]) -> int:
    """Where git's command stands; the wrapper has seen that there is one."""
    valued = ("-C", "-c", "--git-dir", "--work-tree", "--namespace", "--config-env", "--attr-source")
    at = 0
    while words[at].startswith("-"):
        at += 2 if words[at] in valued else 1
    return at


def _note_git(real: str, words: list[str], branch: str) -> dict[str, str] | None:
    """The branch with its work tree, asked of git as the command was.

    Not where HEAD stands now: somebody else may have switched it in the meantime. Only where the words name the
    branch in a way of git's own (`@{-1}`) does HEAD have to say.
    """
    before = words[: _verb(words)]
    if "@{" in branch:
        branch = _ask([real, *before, "symbolic-ref", "--quiet", "--short", "HEAD"])
    top = _ask([real, *before, "rev-parse", "--show-toplevel"])
    return {"branch": branch, "top": top} if branch and top else None


def _pull_request(words: list[str]) -> str:
    plain = _arguments(words)
    if plain[:1] != ["pr"] or len(plain) < 2:
        return ""
    return {"create": "create", "new": "create", "merge": "merge"}.get(plain[1], "")


def _arguments(words: list[str]) -> list[str]:
    found, skip = [], False
    for word in words:
        if skip:
            skip = False
        elif word in ("-R", "--repo"):
            skip = True
        elif not word.startswith("-"):
            found.append(word)
    return found


def _note_gh(real: str, words: list[str], what: str, seen: bytes) -> dict[str, str] | None:
    repo = [
        each
        for at, word in enumerate(words)
        for each in (
            words[at : at + 2] if word in ("-R", "--repo") else [word] if word.startswith("--repo=") else []
        )
    ]
    if what == "create":
        lines = [line.strip() for line in seen.decode("utf-8", "replace").splitlines()]
        url = next((line for line in reversed(lines) if line.startswith(("https://", "http://"))), "")
        url = url or _ask([real, "pr", "view", *repo, "--json", "url", "--jq", ".url"])
        return {"url": url, "status": "pr_open"} if url else None
    which = _arguments(words)[2:3]
    told = _ask([real, "pr", "view", *which, *repo, "--json", "url,state", "--jq", '.state + " " + .url']).split()
    if told and told[0] != "MERGED":
        return None  # it was only told to merge later (--auto)
    return {"url": told[-1] if told else "", "status": "merged"}


def _ask(argv: list[str]) -> str:
    """What the program prints; nothing if it fails. Without `subprocess`, whose import takes longer than git."""
    read, write = os.pipe()
    nowhere = os.open(os.devnull, os.O_RDWR)
    actions = [
        (os.POSIX_SPAWN_DUP2, nowhere, 0),
        (os.POSIX_SPAWN_DUP2, write, 1),
        (os.POSIX_SPAWN_DUP2, nowhere, 2),
    ]
    pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions, setsigmask=[])
    os.close(write)
    os.close(nowhere)
    said, deadline = b"", time.monotonic() + _ASK_S
    while select.select([read], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(read, _MOST_OUTPUT)
        if not chunk:
            break
        said += chunk
    else:  # a network that does not answer must not hold the agent's command
        os.kill(pid, signal.SIGKILL)
    os.close(read)
    _, status = os.waitpid(pid, 0)
    return said.decode("utf-8", "surrogateescape").strip() if status == 0 else ""


def _write(note: dict[str, str]) -> None:
    """One file a note, whole or not there: many commands of a job may end at once."""
    name = os.path.join(os.environ[NOTES], os.urandom(8).hex())
    with open(f"{name}.part", "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\0".join(f"{key}={value}" for key, value in note.items()))
    os.rename(f"{name}.part", f"{name}.note")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
