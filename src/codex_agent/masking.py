"""Owns what of a text nobody else may see: keys, tokens, passwords, by their name and by their shape.

Pure. What is hidden stands as ``[hidden]``. It hides rather too much than too little, and leaves what a diagnosis
needs: paths, ids of threads, addresses without their password. Must never be the only guard of a file: what
it made is still 0600.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

HIDDEN = "[hidden]"

# Parts of a name that say that its value is a secret.
_NAME = re.compile(
    r"TOKEN|SECRET|PASSW|PASSPHRASE|CREDENTIAL|COOKIE|BEARER|API_?KEY|PRIVATE|AUTHORIZATION|WEBHOOK|SIGNATURE"
    r"|CONNECTION_?STRING|(?:^|[_.-])(?:KEYS?|AUTH|PASS|PWD|PAT|DSN|SAS|SALT|PIN|OTP)(?:$|[_.\d-])",
    re.IGNORECASE,
)
_PLACES = frozenset({"PWD", "OLDPWD"})
# A name that says where something lies; the value is then a path.
_PLACE = re.compile(r"_(?:SOCK|FILE|PATH|DIR|HOME)$", re.IGNORECASE)
_COUNT = re.compile(r"TOKENS|LIMIT|COUNT|MAX|MIN|SIZE|TIMEOUT", re.IGNORECASE)
_PLAIN = frozenset({"", "0", "1", "true", "false", "yes", "no", "on", "off", "none", "null"})

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), instead)
    for pattern, flags, instead in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL, HIDDEN),
        # Servers quote keys with stars in the middle.
        (r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_*-]{6,}", 0, HIDDEN),
        (r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_|hf_|AIza|dop_v1_|shpat_)[\w-]{16,}", 0, HIDDEN),
        (r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b", 0, HIDDEN),
        (r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", 0, HIDDEN),
        (r"\b(bearer|basic)\s+[\w.~+/=*-]{8,}", re.IGNORECASE, rf"\1 {HIDDEN}"),
        (r"(://)(?:[^/\s:@]*:(?:[^/\s]*|(?!\d+/)[^\s@]*)|[^/\s:@]{16,})@", 0, rf"\1{HIDDEN}@"),
        (r"\b((?:set-)?cookie|authorization|(?:x-)?api-key)(: *)[^\r\n]+", re.IGNORECASE, rf"\1\2{HIDDEN}"),
        (r"(hooks\.slack\.com/services/)\S+", 0, rf"\1{HIDDEN}"),
    )
)
# NAME=value, NAME="a value", "name": "value"; also inside the tables and objects that options carry.
_GIVEN = re.compile(
    r"""(?P<name>[A-Za-z_][\w.-]*)(?P<sign>["']?\s*=\s*|["']\s*:\s*)(?P<value>"[^"]*"?|'[^']*'?|[^\s"',;&{}\[\]]+)"""
)
# A whole value that looks made by chance: long, of letters of both cases and digits, or of hex digits.
_CHANCE = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*\d)[\w+/=-]{32,}|[0-9a-f]{32,}|[0-9A-F]{32,}")


def is_secret(name: str, value: str) -> bool:
    """Whether a variable or option of this name has a value that nobody else may see."""
    if name.upper() in _PLACES or not _NAME.search(name) or value.lower() in _PLAIN:
        return False
    if value.isdigit() and _COUNT.search(name):
        return False
    return not (value.startswith("/") and _PLACE.search(name))


def text(words: str) -> str:
    """The text without the secrets in it."""
    for shape, instead in _SHAPES:
        words = shape.sub(instead, words)
    return _GIVEN.sub(_given, words)


def _given(match: re.Match[str]) -> str:
    value = match["value"]
    quote = value[0] if value[0] in "\"'" else ""
    if not is_secret(match["name"], value.strip(quote) if quote else value):
        return match[0]
    return f"{match['name']}{match['sign']}{quote}{HIDDEN}{quote}"


def value(name: str, told: str) -> str:
    """What may be told of the value with this name."""
    if is_secret(name, told) or _CHANCE.fullmatch(told):
        return HIDDEN
    return text(told)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that may be shown, by name in order."""
    return {name: value(name, environ[name]) for name in sorted(environ)}


def argv(words: Sequence[str]) -> list[str]:
    """A command line that may be shown: also ``--api-key WORD`` loses its word."""
    told: list[str] = []
    before = ""
    for word in words:
        named = before.startswith("--") and "=" not in before and not word.startswith("-")
        told.append(HIDDEN if named and is_secret(before, word) else text(word))
        before = word
    return told
