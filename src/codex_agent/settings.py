"""Owns where the settings come from, and what is said when one is wrong.

Weakest first: the default, the settings file, the environment (``CODEX_AGENT_<KEY>``), the flags of a
command (``override``). The keys are ``settings_keys``'s, the text of the file is
``settings_file``'s, where it is ``places``'s. An empty
variable counts as not set, as for the XDG variables.

Must never look at a job, or find out whether a path exists or a model is real. Cheap on purpose, every command
reads it: tomllib loads only if there is a file, platformdirs only where the rule is not two lines, difflib only
once something is wrong.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, NamedTuple

from codex_agent import settings_file
from codex_agent.errors import SettingsError, UsageError
from codex_agent.model import SANDBOXES
from codex_agent.places import OTHER_VARIABLES, cache_dir, config_path, expand, home, user_home
from codex_agent.settings_keys import (
    APP,
    BOOLS,
    FAMILIES,
    KEYS,
    NAMED_KEYS,
    TABLES,
    VARIABLE_PREFIX,
    Check,
    Gate,
    Key,
    Profile,
    Queue,
    Settings,
    Value,
    are_paths,
    is_name,
    is_path,
    is_socket,
    key_of,
)

__all__ = [
    "APP",
    "KEYS",
    "NAMED_KEYS",
    "OTHER_VARIABLES",
    "Check",
    "Gate",
    "Key",
    "Profile",
    "Queue",
    "Settings",
    "Value",
    "cache_dir",
    "config_path",
    "home",
    "key_of",
    "user_home",
]

TEST_VARIABLES = VARIABLE_PREFIX + "TEST_"

Origin = Literal["default", "file", "env"]


class Shown(NamedTuple):
    """A setting as it stands."""

    key: str
    value: Value
    origin: Origin


# ---- reading ----


def load(environ: Mapping[str, str]) -> Settings:
    """The settings for this environment. No settings file means the defaults.

    Raises SettingsError for a file that cannot be read or is not TOML, an unknown key or a bad value in it,
    and a bad value in a variable of a known key; it names the file and line, or the variable, and what is
    allowed. Variables of unknown keys are no error: other versions and other parts of us have theirs
    (``unknown_variables`` lists them).
    """
    flat: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    families: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in FAMILIES}
    for key, value, _ in show(environ):
        table, _, rest = key.partition(".")
        entry, _, word = rest.partition(".")
        if word:
            families[table].setdefault(entry, {})[word] = value
        elif rest:
            tables[table][rest] = value
        else:
            flat[key] = value
    for name, kind in TABLES.items():
        flat[name] = kind(**tables[name])
    for name, kind in FAMILIES.items():
        flat[name] = {entry: kind(**values) for entry, values in families[name].items()}
    return Settings(**flat)


def show(environ: Mapping[str, str]) -> list[Shown]:
    """Every setting in the order of ``KEYS`` with its value and where it comes from, then what the file says below
    names of the user's own (``gates.gpu.slots``). Raises as ``load`` does.
    """
    path = config_path(environ)
    text = settings_file.read(path)
    found = _flat(settings_file.parse(path, text))
    for name in found:
        if key_of(name) is None:
            line = settings_file.line_of(text, name)
            raise _unknown(name, f"{path}, line {line}: ", file=path, line=line)
    result = []
    for key in [*KEYS.values(), *(key for name in found if name not in KEYS and (key := key_of(name)))]:
        shown = Shown(key.name, key.default, "default")
        if key.name in found:
            raw = found[key.name]
            try:
                shown = Shown(key.name, _check(key, raw, environ), "file")
            except ValueError:
                line = settings_file.line_of(text, key.name)
                raise _bad(key, raw, f"{path}, line {line}: {key.name}", file=path, line=line) from None
        if key.name in KEYS and (given := environ.get(key.variable)):
            try:
                shown = Shown(key.name, _check(key, _from_text(key, given), environ), "env")
            except ValueError:
                raise _bad(key, given, key.variable, variable=key.variable) from None
        result.append(shown)
    return result


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """What the file says, by the names of the keys; what should be a table and is none keeps its own name."""
    found: dict[str, Any] = {}
    for name, value in data.items():
        tables = {name: value} if name in TABLES else {}
        if name in FAMILIES and isinstance(value, dict):
            tables = {f"{name}.{entry}": below for entry, below in value.items()}
        for table, below in tables.items():
            if isinstance(below, dict):
                found |= {f"{table}.{word}": one for word, one in below.items()}
            else:
                found[table] = below
        if not tables and not (name in FAMILIES and isinstance(value, dict)):
            found[name] = value
    return found


def override(settings: Settings, **flags: Value) -> Settings:
    """The settings with the flags of one command on top; a flag that is None was not given.

    Names are the keys'. Raises UsageError, naming the flag, for a value the key does not allow.
    """
    changes: dict[str, Any] = {}
    for name, value in flags.items():
        if value is None:
            continue
        key = KEYS[name]
        try:
            changes[name] = _check(key, value, os.environ)
        except ValueError:
            error = _bad(key, value, key.flag or name)
            raise UsageError(error.message, error.hint, **error.data) from None
    return replace(settings, **changes)


def set_value(environ: Mapping[str, str], name: str, text: str) -> Value:
    """Writes one setting into the settings file, which is made if need be, and returns its value.

    Everything else in the file stays as it is, comments too. Raises SettingsError, with the file untouched,
    if there is no such key, ``text`` is no value for it, or the file is not TOML; CodexAgentError if it
    cannot be written.
    """
    key = key_of(name)
    if key is None:
        raise _unknown(name)
    try:
        raw = _from_text(key, text)
        value = _check(key, raw, environ)
    except ValueError:
        raise _bad(key, text, name) from None
    settings_file.put(config_path(environ), name, raw)
    return value


def unset(environ: Mapping[str, str], name: str) -> None:
    """Takes one setting out of the settings file; nothing happens if it is not in there.

    Also takes out a key we do not know, so that a file can be mended without an editor. Raises as
    ``set_value`` does.
    """
    if not settings_file.remove(config_path(environ), name) and key_of(name) is None:
        raise _unknown(name)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """The CODEX_AGENT_ variables that mean nothing to us, sorted: likely slips of the pen."""
    known = OTHER_VARIABLES | {key.variable for key in KEYS.values()}
    return sorted(
        name
        for name in environ
        if name.startswith(VARIABLE_PREFIX) and name not in known and not name.startswith(TEST_VARIABLES)
    )


def _from_text(key: Key, text: str) -> str | float | tuple[str, ...]:
    """What ``text`` means for this key. Raises ValueError."""
    text = text.strip()
    if key.kind is bool:
        if text.lower() not in BOOLS:
            raise ValueError(text)
        return BOOLS[text.lower()]
    if key.kind is tuple:
        import shlex

        return tuple(shlex.split(text))
    value: str | float = key.kind(text)
    return value


def _check(key: Key, value: Any, environ: Mapping[str, str]) -> Value:
    """The value as the program uses it. Raises ValueError if its type is not the key's or the key does not
    allow it.
    """
    if key.kind is float and type(value) is int:
        value = float(value) if abs(value) < 1e15 else math.inf
    if key.kind is tuple and isinstance(value, list) and all(isinstance(one, str) for one in value):
        value = tuple(value)
    if type(value) is not key.kind:
        raise ValueError(value)
    if isinstance(value, str) and key.ok in (is_path, is_socket):
        value = expand(value, environ)
    if isinstance(value, tuple) and key.ok is are_paths:
        value = tuple(expand(each, environ) for each in value)
    if not key.ok(value):
        raise ValueError(value)
    checked: Value = value
    return checked


# ---- errors ----


def _shown(value: object) -> str:
    import json

    text = json.dumps(value, ensure_ascii=False) if isinstance(value, str | bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _did_you_mean(word: object, words: list[str]) -> str | None:
    import difflib

    close = difflib.get_close_matches(str(word), words, n=1)
    return f'Did you mean "{close[0]}"?' if close else None


def _bad(key: Key, value: object, what: str, **data: Any) -> SettingsError:
    choices = list(SANDBOXES) if key.name == "sandbox" else []
    return SettingsError(
        f"{what} is {_shown(value)}; allowed: {key.allowed}.",
        _did_you_mean(value, choices),
        key=key.name,
        allowed=key.allowed,
        **data,
    )


def _unknown(name: str, where: str = "", **data: Any) -> SettingsError:
    allowed = [*KEYS, *NAMED_KEYS]
    family, _, rest = name.partition(".")
    entry = rest.partition(".")[0]
    # A slip in `gates.gpu.slotz` is told with that gate's name.
    mine = entry if family in FAMILIES and is_name(entry) else "NAME"
    like = [*KEYS, *(key.replace(".NAME.", f".{mine}.") for key in NAMED_KEYS)]
    return SettingsError(
        f"{where}there is no setting {_shown(name)}; there are: {', '.join(allowed)}.",
        f"It is a table: [{name}] on a line of its own." if name in TABLES else _did_you_mean(name, like),
        key=name,
        allowed=allowed,
        **data,
    )
