"""Owns taking out of a line what matters without decoding it: a turn's start and end, the paths of a file change.

A quote with nothing in front of it cannot stand inside a JSON string, so what is looked for here is never a piece
of what was said or stands in a file. Whatever is not as Codex writes it is left to be decoded.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .fold import Fold
    from .patches import Change, Kind

STAMPED = b'{"timestamp":"'
WINDOW = b'"model_context_window":'
SAID = b'"last_agent_message":"'
ERROR = b'"error":'
TAKEN = b"Plan updated"
_CALL_ID = b'"call_id":"'
TURN_ID = b'"turn_id":"'
_CHANGES = b',"changes":{"'
_CHANGE = b'":{"type":"'
_MOVED = b',"move_path":'
_NEXT = b'},"'
_DONE = b'}},"status":"completed"'
_KINDS: dict[bytes, Kind] = {b'add","c': "add", b'delete"': "delete", b'update"': "update"}
_KIND = 7  # bytes that tell them apart
_QUOTE, _ESCAPE, _SLASH = b'"\\/'


def take_start(fold: Fold, line: bytes) -> bool:
    """A ``task_started`` by what is in it for us; False if it has to be decoded."""
    turn, window = line.rfind(TURN_ID) + len(TURN_ID), line.find(WINDOW) + len(WINDOW)
    size = line[window : line.find(b",", window)]
    if not (turn > len(TURN_ID) and window > len(WINDOW) and size.isdigit() and line.endswith(b"}}")):
        return False
    if int(size) != fold.usage.size or not line.startswith(STAMPED):
        return False
    name = line[turn : line.find(b'"', turn)].decode("ascii", "replace")
    if fold.older_than_thread(name):  # what follows is another thread's
        return False
    fold.at = line[14 : line.find(b'"', 14)].decode("ascii", "replace")
    fold.start_turn(name, int(size))
    fold.changes += 1
    return True


def take_end(fold: Fold, line: bytes) -> bool | None:
    """A ``task_complete`` with last words and no error, by what is in it for us; None if it must be decoded.

    The words are decoded when somebody asks. False if it is not the current turn's.
    """
    turn, said = line.rfind(TURN_ID) + len(TURN_ID), line.find(SAID) + len(SAID)
    if not (turn > len(TURN_ID) and said > len(SAID) and line.endswith(b"}}")):
        return None
    if line.find(ERROR) >= 0 or not line.startswith(STAMPED):
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
        known = fold.state.files.get
        for kind, path, moved in changes:
            if moved:
                fold.changed(path, "delete")
                fold.changed(moved, "add")
            elif known(path) != kind:
                fold.changed(path, kind)
    fold.changes += 1
    return True


def call_id(line: bytes) -> bytes:
    """The ``call_id`` of a tool call as it stands in its output too; empty if it has to be decoded."""
    at = line.find(_CALL_ID)
    end = line.find(b'"', at + len(_CALL_ID)) + 1
    return line[at:end] if 0 < at < end and line.endswith(b"}}") else b""


def take_output(fold: Fold, line: bytes) -> None:
    """What came of a tool call while a plan's outcome is awaited; decoded only if it is that."""
    if not fold.calls and fold.planned is not None and line.endswith(b"}}") and line.find(TAKEN) < 0:
        if line.find(f'"call_id":"{fold.planned[0]}"'.encode()) >= 0:
            fold.planned = None
        return
    fold.put(b"output", line)


def paths_in(line: bytes) -> tuple[str, list[Change]] | None:
    """Its turn, and what became of which absolute paths; None if the line has to be decoded to tell."""
    turn = line.find(TURN_ID) + len(TURN_ID)
    at, done = line.find(_CHANGES) + len(_CHANGES), line.rfind(_DONE)
    if turn < len(TURN_ID) or at < turn or done < at or not line.endswith(b"}}"):
        return None
    found: list[Change] = []
    path, *changes = line[at:done].split(_CHANGE)
    try:
        for change in changes:
            what, moved = _KINDS[change[:_KIND]], None
            # What is not plain in a path has to be decoded.
            if path[0] != _SLASH or _ESCAPE in path or _QUOTE in path:
                return None
            end = change.rfind(_NEXT) if len(found) + 1 < len(changes) else len(change)
            if end < 0:
                return None
            if what == "update":  # nothing else can be moved
                move = change.rfind(_MOVED, 0, end) + len(_MOVED)
                if move >= len(_MOVED) and change[move] == _QUOTE:
                    moved = _path(change[move + 1 : change.find(b'"', move + 1)])
            found.append((what, path.decode(), moved))
            path = change[end + len(_NEXT) :]
    except (KeyError, ValueError, IndexError):
        return None
    return (line[turn : line.find(b'"', turn)].decode(), found) if found else None


def _path(raw: bytes) -> str:
    """ValueError if more than its bytes has to be known."""
    if b"\\" in raw or b'"' in raw or not raw.startswith(b"/"):
        raise ValueError
    return raw.decode()
