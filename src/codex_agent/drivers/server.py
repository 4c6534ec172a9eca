"""Owns a job's private app-server: its process, the socket it listens at, and the channel to it while it comes up.

Must never know what is said over the channel.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from codex_agent import __version__, kernel
from codex_agent.channel import Channel, ChannelClosed, Reply, words
from codex_agent.child import Child, Rung
from codex_agent.drivers.base import Host, Json
from codex_agent.errors import StartFailed
from codex_agent.model import LISTEN, Facts, Request

_COME_UP_S, _CONNECT_PAUSE_S, ANSWER_S = 30.0, 0.005, 30.0
# At the first SIGTERM it waits for turns to end, now and then (4 times in 30 with 0.133.0) for one that has long
# ended; the second ends it at once.
_LADDER: tuple[Rung, ...] = ((signal.SIGTERM, 0.7), (signal.SIGTERM, 2.0), (signal.SIGKILL, 2.0))
_PATH_LIMIT = 100


class Server:
    """The app-server. ``listen`` is the path as Codex and its TUI are told it."""

    def __init__(self, supervisor: Host) -> None:
        """Starts it. Raises OSError if it cannot be run, StartFailed if there is no path for its socket."""
        self._path = supervisor.store.path(supervisor.record.id, ".app")
        self._home_handle: int | None = None
        self._real: str | None = None
        self.listen = self._listen_path()
        launch = supervisor.launch
        self.child = Child(
            [word.replace(LISTEN, self.listen) for word in launch.argv],
            launch.cwd,
            supervisor.environment(),
            launch.umask,
            os.devnull,
            supervisor.outputs.stderr,
            supervisor.outputs.stderr,
            _LADDER,
        )

    def connect(self, take: Callable[[Json], None]) -> Channel:
        """The channel to it, once it answers. Raises ChannelClosed if it does not."""
        deadline = time.monotonic() + _COME_UP_S
        while True:
            try:
                channel = Channel(self.listen, take)
                break
            except OSError as error:
                for pid, status in kernel.reap():
                    self.child.met(pid, status)
                if self.child.exit_status is not None:
                    code = os.waitstatus_to_exitcode(self.child.exit_status)
                    raise ChannelClosed(f"it ended with status {code}") from error
                if time.monotonic() > deadline:
                    raise ChannelClosed(f"nobody listens at its socket ({error})") from error
                time.sleep(_CONNECT_PAUSE_S)
        channel.greet(__version__, ANSWER_S)
        if os.path.islink(self._path):
            self._real = os.readlink(self._path)
        return channel

    def clear(self) -> None:
        """Removes what it may have left of its socket; it has ended."""
        clear_socket(self._path, self._real)
        if self._home_handle is not None:
            os.close(self._home_handle)
            self._home_handle = None

    def _listen_path(self) -> str:
        """Where the app-server is to listen: in the jobs folder, by a name short enough for a socket.

        0.133 refuses a path whose last folder is a link, as an entry of /proc/PID/fd is; one step further is none.
        """
        path = self._path
        if os.path.lexists(path):
            os.unlink(path)  # of a run that was killed; we hold the job's lock
        if len(os.fsencode(path)) <= _PATH_LIMIT:
            return path
        if not kernel.LINUX:
            raise StartFailed(f"{path} is too long for a socket.", "Choose a shorter CODEX_AGENT_HOME.")
        folder, name = os.path.split(path)
        self._home_handle = os.open(os.path.dirname(folder), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/{os.getpid()}/fd/{self._home_handle}/{os.path.basename(folder)}/{name}"


def clear_socket(path: str, real: str | None = None) -> None:
    """Removes what an app-server that has ended left of its socket.

    From 0.150 on ``path`` is a link; the socket itself and a lock file lie in a temporary folder of Codex's, under
    a name made from the path, and the lock file stays even after a clean end (0.163.0). ``real`` is where the link
    led, if somebody has seen it.
    """
    if os.path.islink(path):
        real = os.readlink(path)
    ours = real is not None and os.path.basename(os.path.dirname(real)).startswith("codex-daemon-")
    for each in (path, *((real, f"{real}.lock") if ours and real is not None else ())):
        with contextlib.suppress(OSError):
            os.unlink(each)


def _ask_briefly(channel: Channel, method: str, params: Json) -> Reply:
    """The history is long, and the TUI fetches it for itself; 0.133 knows no way to leave it out."""
    reply = channel.ask(method, {**params, "excludeTurns": True}, ANSWER_S)
    if reply.error is not None and "excludeTurns" in reply.error:
        reply = channel.ask(method, params, ANSWER_S)
    return reply


def open_thread(channel: Channel, facts: Facts, request: Request) -> None:
    """Has the server begin the job's thread, fork one, or go on with one. Raises StartFailed, ChannelClosed."""
    params = words.thread_params(request)
    wanted = facts.thread_id
    if wanted is not None:
        reply = _ask_briefly(channel, "thread/resume", {**params, "threadId": wanted})
    elif request.resume is not None:
        reply = _ask_briefly(channel, "thread/fork", {**params, "threadId": request.resume.thread_id})
    else:
        if request.thread_source is not None:
            params["threadSource"] = request.thread_source
        reply = channel.ask("thread/start", params, ANSWER_S)
    if reply.error is not None:
        raise StartFailed(f"Codex did not open the thread: {reply.error}")
    thread = reply.result.get("thread")
    if not isinstance(thread, dict) or not isinstance(thread.get("id"), str):
        raise ChannelClosed("it opened a thread without an id")
    if wanted is not None and thread["id"] != wanted:
        raise StartFailed(f"Codex opened the thread {thread['id']} instead of {wanted}.")
    facts.thread_id = thread["id"]
    if isinstance(thread.get("path"), str):
        facts.rollout = thread["path"]
    model, effort = reply.result.get("model"), reply.result.get("reasoningEffort")
    facts.model = model if isinstance(model, str) else facts.model
    facts.reasoning = effort if isinstance(effort, str) else facts.reasoning
