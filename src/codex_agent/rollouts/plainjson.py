"""Owns reading JSON without the ``json`` package, whose regular expressions take longer to load than most files.

The scanner is the one ``json`` itself uses, so values and errors are the same. Must never read a file.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar

_SPACE = " \t\n\r"


class _Usual:
    """What ``json.loads`` sets up by default."""

    strict = True
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__
    memo: ClassVar[dict[str, str]] = {}


def loads(text: str) -> Any:
    """What ``json.loads`` gives. ValueError if it is no JSON, RecursionError if it is too deep."""
    text = text.strip(_SPACE)
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than one value")
    return value


def _scanner() -> Any:
    usual: Any = _Usual
    try:
        from _json import make_scanner
    except ImportError:  # another Python than CPython
        from json.scanner import make_scanner
    return make_scanner(usual)


_scan = _scanner()
