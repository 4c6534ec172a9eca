"""Owns the reading of tool calls and their outputs, which is all that Codex up to 0.133 writes of commands.

Never used where the rollout has items of its own (from 0.150 on), but for ``update_plan``, which never became one.
A call and its output are two records; between them the call waits here. Shapes are those of 0.98 to 0.133
(tests/fixtures/rollouts).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from ..answers import Changed, Entry, FileChanged, Planned, Ran, Step, Used
from . import patches
from .usage import mapping, text

SHELLS = ("exec_command", "shell", "shell_command", "local_shell", "container.exec")
_HEAD, _TAIL = 2_000, 4_000  # characters of an output that are kept
# What Codex puts above a command's output, for the model.
_HEADERS = ("Chunk ID:", "Wall time:", "Exit code:", "Process ", "Original token count:", "Total output lines:")
_FAILURES = ("unsupported call: ", "write_stdin failed: ", "failed to parse function arguments")
_EXIT = re.compile(r"^(?:Process exited with code|Exit code:) (-?\d+)$", re.MULTILINE)
_SESSION = re.compile(r"^Process running with session ID (\d+)$", re.MULTILINE)
_WRAPS = (["bash", "-lc"], ["bash", "-c"], ["zsh", "-lc"], ["zsh", "-c"], ["sh", "-lc"], ["sh", "-c"])


@dataclass(slots=True)
class _Call:
    at: str | None
    turn_id: str | None
    name: str
    input: str  # a command, a patch, arguments
    files: list[FileChanged]  # that a patch in it is about


class Calls:
    """The calls that have no output yet. ``whole``: what commands printed is not clipped."""

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._items = False
        self._told: set[str] = set()
        self._open: dict[str, _Call] = {}
        self._sessions: dict[str, _Call] = {}  # commands that run on, by Codex's number for them

    def begin(self, payload: dict[str, Any], at: str | None, turn_id: str | None, folder: str) -> None:
        """A call: ``function_call``, ``custom_tool_call`` or ``local_shell_call``."""
        call_id, name = text(payload, "call_id"), text(payload, "name") or "local_shell"
        if call_id is None:
            return
        given = text(payload, "input") if payload.get("type") == "custom_tool_call" else text(payload, "arguments")
        if payload.get("type") == "local_shell_call":
            given = json.dumps(mapping(payload, "action"))
        given = given or ""
        arguments = _object(given)
        about: list[tuple[patches.Kind, str, str | None]] = []
        if name == "apply_patch":
            about = patches.changes(text(arguments, "input") or given, folder)
        elif name in SHELLS:
            about = patches.changes_of_function_call(given, folder)
            given = command_text(arguments.get("cmd", arguments.get("command")))
        elif name == "write_stdin":
            session = self._sessions.get(str(arguments.get("session_id")))
            if session is not None:
                name, given = session.name, session.input
        files = [FileChanged(kind, path, moved_to) for kind, path, moved_to in about]
        if name not in SHELLS:
            name = f"{text(payload, 'namespace') or ''}{name}".removeprefix("mcp__").replace("__", ".")
        self._open[call_id] = _Call(at, turn_id, name, given, files)

    def is_open(self, call_id: str) -> bool:
        """Whether its output would say something."""
        return call_id in self._open

    def drop(self, call_id: str | None) -> bool:
        """The call has been told of by a record of its own. Whether that is the first that is told of it."""
        self._open.pop(call_id or "", None)
        return call_id not in self._told

    def end(self, payload: dict[str, Any], at: str | None) -> list[Entry]:
        """A call's output: what came of it."""
        call = self._open.pop(text(payload, "call_id") or "", None)
        if call is None:
            return []
        said = plain_text(payload.get("output"))
        done = patches.succeeded(said)
        if call.name == "update_plan":
            return [plan(_object(call.input), call.at, call.turn_id)] if said.startswith("Plan updated") else []
        if call.files and (done or call.name == "apply_patch"):
            why = None if done else clip(said)
            return [Changed("files", at, call.turn_id, "completed" if done else "failed", call.files, why)]
        body, exit_code, session = output(said)
        if session is not None:
            self._sessions[session] = call
        if call.name in SHELLS:
            status = "completed" if exit_code == 0 else "failed"
            if exit_code is None:
                status = "running" if session is not None else "declined" if "rejected" in body else status
            if exit_code is None and body.startswith("aborted by user"):
                status, body = "interrupted", ""
            if self._items:
                if not exit_code:
                    return []  # its item says what became of it, or will
                self._told.add(text(payload, "call_id") or "")
            return [
                Ran(
                    "command",
                    at,
                    call.turn_id,
                    call.input,
                    "agent",
                    status,
                    exit_code,
                    body if self._whole else clip(body),
                    len(body),
                )
            ]
        status = "failed" if body.startswith(_FAILURES) else "completed"
        return [Used("tool", at, call.turn_id, call.name, clip(call.input), status, clip(body))]

    def rest(self) -> list[Entry]:
        """What was begun and has no output: it runs, or nobody lived to write down its end."""
        left: list[Entry] = []
        if self._items:
            self._open.clear()
        for call in self._open.values():
            if call.name in SHELLS:
                left.append(Ran("command", call.at, call.turn_id, call.input, "agent", "running", None, "", 0))
            elif call.name not in ("apply_patch", "update_plan"):
                left.append(Used("tool", call.at, call.turn_id, call.name, clip(call.input), "running", ""))
        self._open.clear()
        return left

    def forget(self) -> None:
        """From here on the rollout has items: of commands only one that failed matters, if no item tells of it.

        0.163.0 writes none for a command that its sandbox made fail at once.
        """
        self._items = True
        kept = {call_id: call for call_id, call in self._open.items() if call.name == "update_plan"}
        self._open = kept
        self._sessions.clear()


def plan(arguments: dict[str, Any], at: str | None, turn_id: str | None) -> Planned:
    """What ``update_plan`` was given."""
    given = arguments.get("plan")
    steps = [
        Step(text(step, "step") or "", text(step, "status") or "pending")
        for step in (given if isinstance(given, list) else [])
        if isinstance(step, dict)
    ]
    return Planned("plan", at, turn_id, text(arguments, "explanation"), steps)


def command_text(given: Any) -> str:
    """A command as one text; where it is a list, without the shell Codex put around it."""
    if isinstance(given, str):
        return given
    words = [word for word in given if isinstance(word, str)] if isinstance(given, list) else []
    if len(words) == 3 and [words[0].rpartition("/")[2], words[1]] in _WRAPS:
        return words[2]
    if not words:
        return ""
    import shlex

    return shlex.join(words)


def output(said: str) -> tuple[str, int | None, str | None]:
    """What a command printed, its exit status, and the number of the session if it runs on.

    Around it stand lines for the model, or a JSON object, or (``apply_patch`` in a shell) one within the other.
    """
    exit_code: int | None = None
    session: str | None = None
    for _ in range(3):
        inner = _object(said) if said.startswith('{"output":') else {}
        if isinstance(inner.get("output"), str):
            code = mapping(inner, "metadata").get("exit_code")
            exit_code = code if isinstance(code, int) else exit_code
            said = inner["output"]
            continue
        if not said.startswith(_HEADERS):
            break
        head, mark, body = said.partition("Output:\n")
        if not mark:
            head, _, body = said.partition("\n")
        found, running = _EXIT.search(head), _SESSION.search(head)
        exit_code = int(found[1]) if found else exit_code
        session = running[1] if running else session
        said = body
    return said, exit_code, session


def plain_text(given: Any) -> str:
    """The text of an output, however it is wrapped: text, a list of parts (also as JSON), an object with one."""
    if isinstance(given, str):
        return plain_text(_json(given)) or given if given.startswith('[{"type":') else given
    if isinstance(given, list):
        return "\n".join(filter(None, map(plain_text, given)))
    if isinstance(given, dict):
        return next(filter(None, (plain_text(given.get(key)) for key in ("text", "content", "output"))), "")
    return ""


def clip(whole: str) -> str:
    """A text, or the beginning and the end of a long one."""
    if len(whole) <= _HEAD + _TAIL:
        return whole
    return f"{whole[:_HEAD]}\n... {len(whole) - _HEAD - _TAIL} characters left out ...\n{whole[-_TAIL:]}"


def _object(given: str) -> dict[str, Any]:
    found = _json(given)
    return found if isinstance(found, dict) else {}


def _json(given: str) -> Any:
    try:
        return json.loads(given)
    except (ValueError, RecursionError):
        return None
