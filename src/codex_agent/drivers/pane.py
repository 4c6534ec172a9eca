"""Owns the bare TUI's pane as tmux tells of it: the title it sets, text pasted into it, keys pressed in it.

What is on the screen is never looked at. Must never decide what the title means for the job.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass

from codex_agent import tmux
from codex_agent.codex.interactive import TitleState, pasted, title_state
from codex_agent.drivers.base import Host
from codex_agent.errors import StoreUnwritable

# As much of the thread's id as the title shows.
_THREAD = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{5}")


@dataclass(slots=True)
class Title:
    """What the title says: the state, and the beginning of the id of the thread that is shown; None if nothing."""

    state: TitleState | None
    thread: str | None

    def is_of(self, thread_id: str | None) -> bool:
        """Whether this is the thread that is shown, as far as it is known: a person may have gone to another."""
        return self.thread is None or thread_id is None or thread_id.startswith(self.thread)


class Pane:
    """The pane of one job."""

    def __init__(self, supervisor: Host) -> None:
        self._supervisor = supervisor

    def title(self) -> Title:
        """The title now; it says nothing if tmux cannot be asked. Costs a process (3 ms)."""
        told = tmux.pane_title(self._socket(), self._supervisor.record.tmux_session) or ""
        thread = _THREAD.search(told)
        return Title(title_state(told), thread[0] if thread else None)

    def type(self, text: str) -> None:
        """Pastes a message and presses Enter.

        Raises UsageError for what cannot be a message, BadState if the pane is gone, TmuxFailed if tmux refuses,
        StoreUnwritable if there is no room for it on the way.
        """
        supervisor = self._supervisor
        words = pasted(text)
        path = supervisor.store.temporary(supervisor.record.id, "paste")
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(words.encode("utf-8", "replace"))
            tmux.paste(self._socket(), supervisor.record.tmux_session, path)
        except OSError as error:
            raise StoreUnwritable(f"The message cannot be written to {path}: {error.strerror}.") from error
        finally:
            with contextlib.suppress(OSError):
                os.unlink(path)

    def press(self, key: str) -> None:
        """Presses one key, by tmux's name for it. Raises BadState, TmuxFailed."""
        tmux.send_keys(self._socket(), self._supervisor.record.tmux_session, [key])

    def _socket(self) -> str:
        return self._supervisor.facts.tmux_socket or ""
