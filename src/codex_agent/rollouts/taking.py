"""Owns taking out of a line what matters without decoding it: a turn's start and end, the paths of a file change.

A quote with nothing in front of it cannot stand inside a JSON string, so what is looked for here is never a piece
of what was said or stands in a file. Whatever is not as Codex writes it is left to be decoded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fold import Fold
    from .patches import Change, Kind

_STAMPED = b'{"timestamp":"'
_WINDOW = b'"model_context_window":'
_SAID = b'"last_agent_message":"'
_TAKEN = b"Plan updated"
_TURN_ID = b'"turn_id":"'
_CHANGES = b',"changes":{"'
_CHANGE = b'":{"type":"'
_MOVED = b',"move_path":'
_NEXT = b'},"'
_DONE = b'}},"status":"completed"'
_KINDS: dict[bytes, Kind] = {b"add": "add", b"delete": "delete", b"update": "update"}
_QUOTE = ord('"')


def take_start(fold: Fold, line: bytes) -> bool:
    """A ``task_started`` by what is in it for us; False if it has to be decoded."""
    turn, window = line.rfind(_TURN_ID) + len(_TURN_ID), line.find(_WINDOW) + len(_WINDOW)
    size = line[window : line.find(b",", window)]
    if not (turn > len(_TURN_ID) and window > len(_WINDOW) and size.isdigit() and line.endswith(b"}}")):
        return False
    if int(size) != fold.usage.size or not line.startswith(_STAMPED):
        return False
    fold.at = line[14 : line.find(b'"', 14)].decode("ascii", "replace")
    fold.start_turn(line[turn : line.find(b'"', turn)].decode("ascii", "replace"), int(size))
    fold.changes += 1
    return True


def take_end(fold: Fold, line: bytes) -> bool | None:
    """A ``task_complete`` with last words and no error, by what is in it for us; None if it must be decoded.

    The words are decoded when somebody asks. False if it is not the current turn's.
    """
    turn, said = line.rfind(_TURN_ID) + len(_TURN_ID), line.find(_SAID) + len(_SAID)
    if not (turn > len(_TURN_ID) and said > len(_SAID) and line.endswith(b"}}")):
        return None
    if line.find(b'"error":') >= 0 or not line.startswith(_STAMPED):
        return None
    fold.at = line[14 : line.find(b'"', 14)].decode("ascii", "replace")
    fold.changes += 1
    if not fold.end_turn("completed", line[turn : line.find(b'"', turn)].decode("ascii", "replace")):
        return False
    fold.said_last(line)
    return True


def take_files(fold: Fold, line: bytes) -> bool:
    """A ``FileChange`` item by its paths alone; False if it has to be decoded."""
    found = paths_in(line)
    if found is None:
        return False
    turn, changes = found
    if not fold.older_than_thread(turn):
        for kind, path, moved in changes:
            fold.changed(path, "delete" if moved else kind)
            if moved:
                fold.changed(moved, "add")
    fold.changes += 1
    return True


def take_output(fold: Fold, line: bytes) -> None:
    """What came of a tool call while a plan's outcome is awaited; decoded only if it is that."""
    if not fold.calls and fold.planned is not None and line.endswith(b"}}") and line.find(_TAKEN) < 0:
        if line.find(f'"call_id":"{fold.planned[0]}"'.encode()) >= 0:
            fold.planned = None
        return
    fold.put(b"output", line)


def paths_in(line: bytes) -> tuple[str, list[Change]] | None:
    """Its turn, and what became of which absolute paths; None if the line has to be decoded to tell."""
    find = line.find
    turn = find(_TURN_ID) + len(_TURN_ID)
    at = find(_CHANGES) + len(_CHANGES)
    if turn < len(_TURN_ID) or at < turn or not line.endswith(b"}}"):
        return None
    found: list[Change] = []
    change = find(_CHANGE, at)
    try:
        while True:
            kind = change + len(_CHANGE)
            what = _KINDS[line[kind : find(b'"', kind)]]
            path, moved = _path(line[at:change]), None
            change = find(_CHANGE, kind)
            end = change if change >= 0 else find(_DONE, kind)
            if what == "update":  # nothing else can be moved
                move = find(_MOVED, kind, end) + len(_MOVED)
                if move >= len(_MOVED) and line[move] == _QUOTE:
                    moved = _path(line[move + 1 : find(b'"', move + 1)])
            found.append((what, path, moved))
            if end < 0:
                return None
            if change < 0:
                return line[turn : find(b'"', turn)].decode(), found
            at = line.rfind(_NEXT, kind, change) + len(_NEXT)
            if at < kind:
                return None
    except (KeyError, ValueError):
        return None


def _path(raw: bytes) -> str:
    """ValueError if more than its bytes has to be known."""
    if b"\\" in raw or b'"' in raw or not raw.startswith(b"/"):
        raise ValueError
    return raw.decode()
