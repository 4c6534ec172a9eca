"""Owns following a thread's rollout while it grows: what was said and done, and which calls are open.

The calls that have no output yet say what an agent stands still for when its screen says that it does. Must never
decide what a turn's state is, and never writes the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass

from codex_agent import watching
from codex_agent.answers import Changed, Entry, Ran, Said, Used
from codex_agent.drivers.base import Json
from codex_agent.rollouts.conversation import LONGEST_LINE, Conversation
from codex_agent.rollouts.values import flatten

_CHUNK = 256 * 1024
_HEAD = 96  # bytes in which the first "type" of a line begins
_RESPONSE = b'response_item","payload":{"type":"'
_END = b'event_msg","payload":{"type":"task_complete"'
ASKS = "request_user_input"
_CALLS = ("function_call", "custom_tool_call", "local_shell_call")


@dataclass(slots=True)
class Call:
    """A tool call of the model's: the tool, and what it was given (as it stands in the rollout)."""

    name: str
    given: str


@dataclass(slots=True)
class End:
    """What the record of a turn's end says: whether the agent had a last word, and what failed it."""

    silent: bool
    error: str | None
    error_info: str | None


class Following:
    """One rollout, from its beginning, or (``from_end``) from where it ends now.

    ``calls`` are the open ones of the running turn, ``answers`` what those were given that ask a person (both by
    the call's id), ``end`` is how the last turn ended. Raises OSError if there is no such file.
    """

    def __init__(self, path: str, thread_id: str, *, from_end: bool) -> None:
        self.path = path
        self.calls: dict[str, Call] = {}
        self.answers: dict[str, str] = {}
        self.end: End | None = None
        self._conversation = Conversation(thread_id)
        self._offset = os.stat(path).st_size if from_end else 0
        self._rest = bytearray()
        self.handle = watching.watch_file(path)

    def read_new(self) -> Iterator[Entry]:
        """What was appended since the last call, in order. Raises OSError if the file cannot be read."""
        handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.lseek(handle, self._offset, os.SEEK_SET)
            while chunk := os.read(handle, _CHUNK):
                self._offset += len(chunk)
                self._rest += chunk
                if b"\n" not in chunk:
                    if len(self._rest) > LONGEST_LINE:
                        self._rest.clear()
                    continue
                *lines, rest = bytes(self._rest).split(b"\n")
                self._rest = bytearray(rest)
                for line in lines:
                    self._note(line)
                    yield from self._conversation.line(line)
        finally:
            os.close(handle)

    def drain(self) -> None:
        """Takes what the kernel tells, so that ``handle`` can be waited for again."""
        if self.handle is not None:
            try:
                os.read(self.handle, 65536)
            except BlockingIOError:
                pass

    def close(self) -> None:
        """Lets go of the file."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def _note(self, line: bytes) -> None:
        kind = line.find(b'"type":"', 0, _HEAD) + 8
        if kind < 8 or not line.startswith((_RESPONSE, _END), kind):
            return
        start = kind + len(_RESPONSE)
        word = line[start : line.find(b'"', start, start + 64)].decode("ascii", "replace")
        if not line.startswith(_END, kind) and word not in _CALLS and not word.endswith("_output"):
            return
        try:
            payload: Json = json.loads(line)["payload"]
        except (ValueError, RecursionError, KeyError, TypeError):
            return  # torn; the reader of the rollout counts it
        call_id = str(payload.get("call_id"))
        if line.startswith(_END, kind):
            error = payload.get("error")
            told = error if isinstance(error, dict) else {}
            self.end = End(
                payload.get("last_agent_message") is None,
                str(told.get("message") or "") if told else None,
                flatten(told.get("codex_error_info")),
            )
        elif word in _CALLS:
            given = payload.get("arguments") or payload.get("input") or json.dumps(payload.get("action"))
            self.calls[call_id] = Call(str(payload.get("name") or word), str(given))
        else:
            call = self.calls.pop(call_id, None)
            if call is not None and call.name == ASKS:
                self.answers[call_id] = str(payload.get("output"))


def as_events(entry: Entry) -> list[Json]:
    """An entry as the events of `codex exec --json` that say the same; none for what they do not say."""
    if isinstance(entry, Said):
        return [_done({"type": f"{entry.kind}_message", "text": entry.text})]
    if isinstance(entry, Ran):
        item: Json = {"type": "command_execution", "command": entry.command, "status": entry.status}
        ended = {**item, "aggregated_output": entry.output, "exit_code": entry.exit_code}
        return [{"type": "item.started", "item": item}, _done(ended)]
    if isinstance(entry, Changed):
        changes = [{"path": file.moved_to or file.path, "kind": file.kind} for file in entry.files]
        return [_done({"type": "file_change", "status": entry.status, "changes": changes})]
    if isinstance(entry, Used) and entry.kind == "search":
        return [_done({"type": "web_search", "query": entry.name})]
    if isinstance(entry, Used):
        server, _, tool = entry.name.rpartition(".")
        return [_done({"type": "mcp_tool_call", "server": server, "tool": tool, "status": entry.status})]
    return []


def _done(item: Json) -> Json:
    return {"type": "item.completed", "item": item}
