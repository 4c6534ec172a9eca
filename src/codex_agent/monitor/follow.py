"""Owns the following of one thread's conversation: all that was said and done, and what is, as it happens."""

from __future__ import annotations

from collections.abc import Iterator

from codex_agent import watching
from codex_agent.answers import Entry
from codex_agent.rollouts.conversation import Conversation
from codex_agent.rollouts.feed import Feed
from codex_agent.threads.refs import Ref

from .life import Life
from .source import EVERYTHING, Place
from .told import Told
from .waking import Waking

_ROLLOUT = watching.MODIFY | watching.MOVE_SELF | watching.DELETE_SELF


def entries(ref: Ref) -> Iterator[Entry]:
    """Every entry from the beginning, then each as it is written, until no process has the thread loaded any more.

    Without an end where the system does not tell who has it. OSError if the rollout cannot be read.
    """
    source = _Growing(ref)
    waking = Waking([source])
    try:
        while True:
            waking.watch([source])
            source.life.look(source.feed.path)
            # Seen as closed before the last lines are read: so they are the last.
            over = source.life.loaded is False
            if source.moved:
                source.moved = False
                source.feed.look_again()
            for line in source.feed.lines():
                yield from source.conversation.line(line)
            if over:
                yield from source.conversation.rest()
                return
            waking.sleep(source.due())
    finally:
        waking.close()


class _Growing:
    """A source of no events: it only wakes whoever follows."""

    def __init__(self, ref: Ref) -> None:
        self.feed = Feed(ref.codex_home, ref.thread_id, ref.rollout)
        self.conversation = Conversation(ref.thread_id)
        self.life = Life(ref.codex_home, ref.thread_id)
        self.moved = False

    def fired(self, what: str, /) -> None:
        self.life.dirty = self.life.dirty or what in ("life", "closed", EVERYTHING)
        self.moved = self.moved or what in ("moved", EVERYTHING)

    def look(self) -> Iterator[Told]:
        return iter(())

    def places(self) -> list[Place]:
        path = self.feed.path
        if path is None:
            return self.life.places()
        closed = Place(path, watching.CLOSE_WRITE, "closed")
        return [*self.life.places(), Place(path, _ROLLOUT, "rollout"), closed]

    def due(self) -> float | None:
        return self.life.due()

    def since(self) -> str:
        return ""
