"""Owns the question whether a message has arrived, where nobody lived to tell: the thread's rollout knows.

Codex goes on with what is in the rollout and with nothing else. Must never write anything.
"""

from __future__ import annotations

from collections.abc import Iterable

from codex_agent import rollouts
from codex_agent.drivers.base import Message
from codex_agent.errors import MissingProgram
from codex_agent.model import Facts, Request


def turns(facts: Facts, request: Request, messages: Iterable[Message]) -> dict[str, str | None]:
    """Those of these messages that the thread has: the id of each, and its turn where Codex tells.

    A message is known by its words and by when it was sent, so the same words sent earlier are not taken for it.
    """
    wanted = {message.id: (_plain(message.text), message.sent_at) for message in messages}
    found: dict[str, str | None] = {}
    if not wanted or facts.thread_id is None:
        return found
    from codex_agent.answers import Said
    from codex_agent.rollouts.conversation import Conversation

    try:
        path = rollouts.find(request.codex_home, facts.thread_id) or facts.rollout
        if path is None:
            return found
        for entry in Conversation(facts.thread_id).read(path):
            if not isinstance(entry, Said) or entry.kind != "user":
                continue
            said = _plain(entry.text)
            for message_id, (text, sent_at) in wanted.items():
                if message_id not in found and said == text and (entry.at or "") >= sent_at:
                    found[message_id] = entry.turn_id
                    break
    except (OSError, MissingProgram):
        pass  # Codex cannot read it either, and says so when it is to go on
    return found


def _plain(text: str) -> str:
    """Without what a terminal would not have passed on."""
    return "".join(letter for letter in text if letter.isprintable() or letter in "\n\t").strip()
