"""Owns what a rollout says was done: which files changed, by which calls, and the plan. ``Fold`` is made of it.

Must never look at turns and tokens.
"""

from __future__ import annotations

from .state import RolloutState
from .usage import mapping, text
from .values import steps, taken

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .patches import Change, Kind


class Doings:
    """The files and the plan in a state."""

    def __init__(self, thread_id: str | None = None) -> None:
        self.state = RolloutState(thread_id=thread_id)
        self.calls: dict[str, list[Change]] = {}
        """apply_patch calls that have no output yet: call id to what they are about."""
        self.planned: tuple[str, list[list[str]]] | None = None
        """An update_plan call that has no output yet: its id and steps."""

    def settle_settings(self) -> None:
        """The folder is known after this."""

    def older_than_thread(self, turn: str | None) -> bool:
        """Whether a turn is older than its thread: then it was copied from the thread this one forked from.

        Both ids are UUIDv7, whose first 48 bits are the time.
        """
        thread = self.state.thread_id
        if turn is None or thread is None or len(turn) != 36 or len(thread) != 36:
            return False
        return turn[14] == thread[14] == "7" and turn[:13] < thread[:13]

    def file_change(self, payload: dict[str, Any]) -> None:
        """A ``FileChange`` item, or 0.133's ``patch_apply_end``."""
        item = payload.get("item")
        if not isinstance(item, dict):
            item = payload
        changes = item.get("changes")
        if item.get("status") != "completed" or not isinstance(changes, dict):
            return
        if self.older_than_thread(text(payload, "turn_id")):
            return
        for path, change in changes.items():
            kind, moved = text(change, "type"), text(change, "move_path")
            self.changed(path, "delete" if moved else _KINDS.get(kind or "", "update"))
            if moved:
                self.changed(moved, "add")

    def call(self, payload: dict[str, Any]) -> None:
        """A tool call: a plan, or (of a Codex that records no file changes) a patch."""
        call = text(payload, "call_id")
        if call is None:
            return
        if payload.get("name") == "update_plan":
            self.planned = (call, steps(text(payload, "arguments") or ""))
            return
        from . import patches  # late: no Codex since 0.133 needs it

        self.settle_settings()
        folder = self.state.cwd or "/"
        if payload.get("type") == "custom_tool_call":
            patch = text(payload, "input") if payload.get("name") == "apply_patch" else None
            about = patches.changes(patch or "", folder)
        elif payload.get("type") == "local_shell_call":
            about = patches.changes_of_call(mapping(payload, "action"), folder)
        else:
            about = patches.changes_of_function_call(text(payload, "arguments") or "", folder)
        if about:
            self.calls[call] = about

    def output(self, payload: dict[str, Any]) -> None:
        call = text(payload, "call_id") or ""
        if self.planned is not None and self.planned[0] == call:
            # 0.169 has no such tool for the models it knows, and says so here.
            if taken(payload.get("output")):
                self.state.plan = self.planned[1]
            self.planned = None
        about = self.calls.pop(call, [])
        if not about:
            return
        from . import patches  # late, as above

        if patches.succeeded(payload.get("output")):
            for kind, path, moved in about:
                self.changed(path, "delete" if moved else kind)
                if moved:
                    self.changed(moved, "add")

    def changed(self, path: str, kind: Kind) -> None:
        """What became of a file in all: one that was made and then changed was made."""
        before = self.state.files.get(path)
        if before is None:
            path = _whole(path, self.state.cwd)
            before = self.state.files.get(path)
        if before == "add" and kind == "update":
            kind = "add"
        elif before == "delete" and kind == "add":
            kind = "update"
        self.state.files[path] = kind


_KINDS: dict[str, Kind] = {"add": "add", "delete": "delete"}


def _whole(path: str, cwd: str | None) -> str:
    """The path from the root on, without detours. Codex nearly always names it so."""
    if path.startswith("/") and not path.endswith("/") and "//" not in path and "/." not in path:
        return path
    import os

    return os.path.normpath(os.path.join(cwd or "/", path))
