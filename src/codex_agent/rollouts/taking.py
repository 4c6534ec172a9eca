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
_QUOTE = ord('"')


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
    found = paths_in(line, fold.paths)
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


def paths_in(line: bytes, known: dict[bytes, str]) -> tuple[str, list[Change]] | None:
    """Its turn, and what became of which absolute paths; None if the line has to be decoded to tell.

    ``known``: paths that were looked at before, with the quote in front of them; those of this line are put in.
    """
    find = line.find
    turn = find(TURN_ID) + len(TURN_ID)
    at, done = find(_CHANGES) + len(_CHANGES) - 1, line.rfind(_DONE)
    if turn < len(TURN_ID) or at < turn or not line.endswith((b"}}\n", b"}}")):
        return None
    found: list[Change] = []
    change = find(_CHANGE, at)
    try:
        while True:
            kind = change + len(_CHANGE)
            what, moved = _KINDS[line[kind : kind + _KIND]], None
            raw = line[at:change]
            path = known.get(raw)
            if path is None:
                path = known[raw] = _path(raw)
            change = find(_CHANGE, kind, done)
            end = change if change >= 0 else done
            if what == "update":  # nothing else can be moved
                move = line.rfind(_MOVED, kind, end) + len(_MOVED)
                if move >= len(_MOVED) and line[move] == _QUOTE:
                    moved = _path(line[move : find(b'"', move + 1)])
            found.append((what, path, moved))
            if end < kind:
                return None
            if change < 0:
                return line[turn : find(b'"', turn)].decode(), found
            at = line.rfind(_NEXT, kind, change) + len(_NEXT) - 1
            if at < kind:
                return None
    except (KeyError, ValueError, IndexError):
        return None


def _path(raw: bytes) -> str:
    """What stands behind its quote. ValueError if more than its bytes has to be known."""
    if raw[:2] != b'"/' or b"\\" in raw or b'"' in raw[1:]:
        raise ValueError
    return raw[1:].decode()
