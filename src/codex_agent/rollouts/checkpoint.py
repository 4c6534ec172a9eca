"""Owns what a reader knows, as JSON, so that the next process reads only what is new in a large rollout.

What it was made from is in it: a file that is another one by now, or shorter, is read from its beginning. Must
never keep anything of a line that is not whole.
"""

from __future__ import annotations

from typing import Any

from .reader import Reader
from .state import RolloutState

_ANCHOR = 64
VERSION = 3  # grows with every change of what is kept


def save(reader: Reader) -> dict[str, Any] | None:
    """What the reader knows, as JSON; None if that cannot be gone on from (a compressed file)."""
    fold, usage = reader.fold, reader.fold.usage
    if reader.path.endswith(".zst") or reader.file is None:
        return None
    offset = reader.offset - reader.unfinished_bytes
    return {
        "version": VERSION,
        "file": list(reader.file),
        "offset": offset,
        "before": _before(reader.path, offset),
        "unknown_lines": reader.unknown_lines,
        "bad": reader.bad_lines,
        "state": fold.state.values(),
        "fold": {
            "has_items": fold.has_items,
            "own_from": fold.own_from,
            "calls": fold.calls,
            "planned": fold.planned,
            "turns": sorted(fold.turns),
            "copied": fold.copied,
            "counts_on": fold.counts_on,
            "error": fold.kept_error,
            "turn_model": fold.turn_model,
            "tier": fold.tier,
        },
        "usage": {
            "counted": usage.counted,
            "used": usage.used,
            "before_overflow": usage.before_overflow,
            "window": usage.size,
            "share": usage.share,
            "charged": usage.charged,
            "recorded": usage.recorded,
        },
    }


def load(path: str, thread_id: str | None, saved: dict[str, Any] | None) -> Reader:
    """A reader for this file that goes on from there; from the beginning if nothing sound was saved.

    Raises OSError if the file cannot be read.
    """
    reader = Reader(path, thread_id=thread_id)
    if saved is None or saved.get("version") != VERSION:
        return reader
    try:
        _restore(reader, saved)
    except (KeyError, TypeError, ValueError, AttributeError):
        return Reader(path, thread_id=thread_id)
    return reader


def _before(path: str, offset: int) -> str:
    """The last bytes before that place, by which a file that was written anew is known."""
    with open(path, "rb") as file:
        file.seek(max(0, offset - _ANCHOR))
        return file.read(min(offset, _ANCHOR)).hex()


def _restore(reader: Reader, saved: dict[str, Any]) -> None:
    if _before(reader.path, int(saved["offset"])) != saved["before"]:
        raise ValueError("the file was written anew")
    device, inode = saved["file"]
    reader.go_on((int(device), int(inode)), int(saved["offset"]), int(saved["unknown_lines"]), int(saved["bad"]))
    fold, usage = reader.fold, reader.fold.usage
    state = dict(saved["state"])
    state["counted"] = state["counted"] and tuple(state["counted"])
    state["billed"] = [tuple(one) for one in state["billed"]]
    fold.state = RolloutState(**state)
    kept = saved["fold"]
    fold.has_items, fold.own_from = kept["has_items"], kept["own_from"]
    fold.copied, fold.counts_on = kept["copied"], kept["counts_on"]
    fold.calls = {
        call: [(kind, path, moved) for kind, path, moved in about] for call, about in kept["calls"].items()
    }
    fold.planned = kept["planned"] and (kept["planned"][0], kept["planned"][1])
    fold.turns, fold.kept_error = set(kept["turns"]), kept["error"]
    fold.turn_model, fold.tier = kept["turn_model"], kept["tier"]
    counts = saved["usage"]
    usage.counted = counts["counted"] and tuple(counts["counted"])
    usage.used, usage.before_overflow = tuple(counts["used"]), tuple(counts["before_overflow"])
    usage.size, usage.share = counts["window"], counts["share"]
    usage.charged, usage.recorded = tuple(counts["charged"]), counts["recorded"]
    usage.spent = {(model, day, tier, long): more for model, day, tier, long, *more in fold.state.billed}
