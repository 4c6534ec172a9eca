"""Owns what a diagnosis looks up around a job that is not in its record: the login as it is now, and whether the
agent's commands could be run in the sandbox at all.

For whoever asks for a diagnosis; a supervisor never does this. Must never change anything, and never print a key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from codex_agent import codex, execstream, settings
from codex_agent.answers import Ran
from codex_agent.codex.failures import diagnose
from codex_agent.codex.finding import find
from codex_agent.codex.sandbox import refusal
from codex_agent.errors import CodexAgentError
from codex_agent.model import Record
from codex_agent.rollouts.conversation import Conversation

_MOST = 3


def login(record: Record, environ: Mapping[str, str]) -> str | None:
    """That nobody is logged in now, in a sentence; None if somebody is, or if the login is not the trouble.

    Asks the Codex that would run now, with the CODEX_HOME the job had. ``environ`` is the caller's: a key that
    only the job had is not seen, and one that only the caller has is no proof that the job had one.
    """
    facts = record.facts
    told = facts.turn.error or facts.rollout_turn.error or facts.reconnecting
    info = facts.turn.error_info or facts.rollout_turn.error_info
    found = diagnose(message=told, info=info, stderr_tail=facts.last_stderr or "", exit_code=facts.exit_code)
    if found.reason != "auth":
        return None
    try:
        chosen = settings.load(environ)
        program = find(chosen.codex, environ, settings.cache_dir(environ))
        state, detail = codex.login_state(program, environ, record.request.codex_home)
    except CodexAgentError:
        return None  # a Codex that does not run is another trouble, and `doctor` tells of it
    return detail if state == "none" else None


def refused(record: Record, stream: str) -> list[str]:
    """What commands of the agent's printed because no sandbox could be made for them; at most three, each once.

    None if some command did run: then the sandbox works, and what was refused was a sandbox within it. (An agent
    that asks may have been allowed to run that one without a sandbox, so there it proves nothing.)

    ``stream`` is the path of the job's `<id>.jsonl`, which exec agents have; of others the rollout is read. Empty
    if there is neither.
    """
    if record.request.sandbox == "danger-full-access":
        return []
    found: list[str] = []
    for exit_code, output in _commands(record, stream):
        if exit_code == 0 and record.request.approval == "never":
            return []
        line = refusal(output) if exit_code else None
        if line is not None and line not in found:
            found.append(line)
    return found[:_MOST]


def _commands(record: Record, stream: str) -> Iterator[tuple[int | None, str]]:
    """The commands that have ended: exit status, and what they printed."""
    rollout = record.facts.rollout
    try:
        if record.request.mode == "exec":
            yield from _of_stream(stream)
        elif rollout is not None:
            for entry in Conversation(record.facts.thread_id).read(rollout):
                if isinstance(entry, Ran):
                    yield entry.exit_code, entry.output
    except (OSError, CodexAgentError):
        return  # removed, archived, packed: then nothing is known of it


def _of_stream(stream: str) -> Iterator[tuple[int | None, str]]:
    with open(stream, "rb") as lines:
        for line in lines:
            # Most lines are of something else, and long ones are; decoding them all would take its time.
            if b'"command_execution"' not in line or b'"item.completed"' not in line:
                continue
            event = execstream.parse(line)
            item = event.get("item") if event is not None else None
            if isinstance(item, dict) and isinstance(item.get("aggregated_output"), str):
                yield item.get("exit_code"), item["aggregated_output"]
