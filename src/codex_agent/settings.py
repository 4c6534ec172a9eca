"""Owns the settings: their names, what each allows, where they come from, and the one file they are kept in.

Weakest first: the default, the settings file, the environment (``CODEX_AGENT_<KEY>``), the flags of a
command (``override``). The fields of ``Settings`` are the only list of keys; the file, the variables,
``config show`` and the docs are all made from it (``KEYS``). An empty variable counts as not set, as for
the XDG variables.

The text of the file is ``settings_file``'s. Must never look at a job, or find out whether a path exists or
a model is real. Cheap on purpose, every command reads it: tomllib loads only if there is a file,
platformdirs only where the rule is not two lines, difflib only once something is wrong.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, NamedTuple

from codex_agent import settings_file
from codex_agent.errors import SettingsError, UsageError
from codex_agent.model import SANDBOXES

APP = "codex-agent"
VARIABLE_PREFIX = "CODEX_AGENT_"
# Variables of ours that are no settings; the job's own ones are set by us for Codex and for
# --notify-on-complete.
OTHER_VARIABLES = frozenset(
    VARIABLE_PREFIX + word for word in ("HOME", "JOB_ID", "MARK", "STATUS", "ERROR", "SERVER", "NAME")
)
TEST_VARIABLES = VARIABLE_PREFIX + "TEST_"

Value = str | int | float | bool | None
Origin = Literal["default", "file", "env"]

_BOOLS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


def _is_plain(text: str) -> bool:
    return text != "" and not any(ord(char) < 32 or ord(char) == 127 for char in text)


def _is_word(text: str) -> bool:
    # A leading dash would be read as an option on Codex's command line.
    return _is_plain(text) and not any(char.isspace() for char in text) and not text.startswith("-")


def _is_path(text: str) -> bool:
    return _is_plain(text) and os.path.isabs(text)


def _is_socket(text: str) -> bool:
    return _is_path(text) or (_is_word(text) and "/" not in text and text not in (".", ".."))


def _is_session_prefix(text: str) -> bool:
    # tmux turns '.' and ':' in names into '_' or reads them as window and pane; a leading '=', '@', '$' or
    # '%' means something else in a target.
    return (
        len(text) <= 64
        and text.isascii()
        and text[:1].isalnum()
        and text.replace("-", "a").replace("_", "a").isalnum()
    )


def _is_command(text: str) -> bool:
    import shlex

    return _is_plain(text) and bool(shlex.split(text))


def _up_to(low: float, high: float) -> Callable[[Any], bool]:
    return lambda number: low <= number <= high


_MINUTES = "a number of minutes from 0 (none) to 1000000"


def _key(
    kind: type, allowed: str, ok: Callable[[Any], bool], default: Any, doc: str, *, flag: str | None = None
) -> Any:
    """A field of ``Settings`` with all there is to say about it."""
    about = {"kind": kind, "allowed": allowed, "ok": ok, "default": default, "doc": doc, "flag": flag}
    return field(default=default, metadata=about)


# A table is read by its rows.
# fmt: off
@dataclass(frozen=True, slots=True)
class Settings:
    """What the user decided once for all. None: not decided here, left to Codex or to the machine."""

    model: str | None = _key(str, "a model's name", _is_word, None,
        "Model of new jobs; not set: what Codex's own configuration says.", flag="--model")
    reasoning: str | None = _key(
        str, "none, minimal, low, medium, high, xhigh or another word that your Codex takes", _is_word, None,
        "Reasoning effort of new jobs; not set: what Codex's own configuration says.", flag="--reasoning")
    sandbox: str = _key(
        str, "read-only, workspace-write or danger-full-access", SANDBOXES.__contains__, "workspace-write",
        "What new jobs may do to the machine.", flag="--sandbox")
    timeout_min: float = _key(float, _MINUTES, _up_to(0, 1e6), 60.0,
        "Minutes without any activity after which a job is ended; 0: never.", flag="--timeout")
    max_time_min: float = _key(float, _MINUTES, _up_to(0, 1e6), 0.0,
        "Minutes after which a job is ended whatever it does; 0: never.", flag="--max-time")
    jobs_limit: int = _key(int, "a whole number from 1 to 1000000", _up_to(1, 1e6), 20,
        "How many jobs `jobs` lists.", flag="--limit")
    tmux_prefix: str = _key(
        str, "up to 64 letters, digits, '-' and '_', a letter or digit first", _is_session_prefix, APP,
        "tmux sessions are called `<prefix>-<job id>`.")
    tmux_socket: str | None = _key(
        str, "a socket name (as for tmux -L) or an absolute path (as for tmux -S)", _is_socket, None,
        "The tmux server the jobs live in; not set: the one we are in, else tmux's default one.")
    idle_detection: bool = _key(bool, "true or false", lambda _: True, True,
        "Whether an interactive agent that has nothing to do is ended by itself. Flag: `--idle-exit off`.")
    idle_grace_s: float = _key(float, "a number of seconds from 0 to 86400", _up_to(0, 86400), 30.0,
        "Seconds an interactive agent must have been idle, with nobody attached, before it is ended; 0: never.",
        flag="--idle-exit")
    codex: str | None = _key(str, "an absolute path (or one that starts with ~/)", _is_path, None,
        "The Codex program; not set: the first one found in PATH and the usual places.")
    notify_on_complete: str | None = _key(str, "a command line with its quotes closed", _is_command, None,
        "Command to run when a job has ended, split into words as a shell would and run without one.",
        flag="--notify-on-complete")
# fmt: on


@dataclass(frozen=True, slots=True)
class Key:
    """One setting, for whoever lists them; ``kind`` is str, float, int or bool."""

    name: str
    kind: type
    allowed: str
    ok: Callable[[Any], bool]
    default: Value
    doc: str
    flag: str | None

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper()


KEYS: dict[str, Key] = {f.name: Key(name=f.name, **f.metadata) for f in fields(Settings)}


class Shown(NamedTuple):
    """A setting as it stands."""

    key: str
    value: Value
    origin: Origin


# ---- places ----


def user_home(environ: Mapping[str, str]) -> str:
    """The user's home folder: HOME if it is absolute, else what the user database says."""
    home = environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        raise SettingsError("There is no home folder for this user.", "Set HOME to an absolute path.") from None


def home(environ: Mapping[str, str]) -> str:
    """The folder of everything we keep, absolute: CODEX_AGENT_HOME, else ``~/.codex-agent``. It need not
    exist.
    """
    given = environ.get("CODEX_AGENT_HOME", "")
    if not given:
        return os.path.join(user_home(environ), ".codex-agent")
    return os.path.abspath(_expand(given, environ))


def cache_dir(environ: Mapping[str, str]) -> str:
    """The folder for what can be found out again (versions of Codex binaries), below ``home``."""
    return os.path.join(home(environ), "cache")


def config_path(environ: Mapping[str, str]) -> str:
    """The settings file, where platformdirs puts it for this environment. It need not exist.

    On Linux that is the XDG rule, written out here because importing platformdirs costs more than all else
    that ``load`` does; a test holds it to platformdirs.
    """
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        if sys.platform == "linux":
            base = os.path.join(user_home(environ), ".config")
        else:
            from platformdirs import user_config_dir

            # platformdirs knows the process's environment only; what it says below HOME goes below the
            # given one.
            base = user_config_dir()
            below = os.path.relpath(base, user_home(os.environ))
            if not below.startswith(".."):
                base = os.path.join(user_home(environ), below)
    return os.path.join(base, APP, "config.toml")


# ---- reading ----


def load(environ: Mapping[str, str]) -> Settings:
    """The settings for this environment. No settings file means the defaults.

    Raises SettingsError for a file that cannot be read or is not TOML, an unknown key or a bad value in it,
    and a bad value in a variable of a known key; it names the file and line, or the variable, and what is
    allowed. Variables of unknown keys are no error: other versions and other parts of us have theirs
    (``unknown_variables`` lists them).
    """
    return Settings(**{shown.key: shown.value for shown in show(environ)})  # type: ignore[arg-type]


def show(environ: Mapping[str, str]) -> list[Shown]:
    """Every setting in the order of ``KEYS`` with its value and where it comes from. Raises as ``load``
    does.
    """
    path = config_path(environ)
    text = settings_file.read(path)
    found = settings_file.parse(path, text)
    for name in found:
        if name not in KEYS:
            line = settings_file.line_of(text, name)
            raise _unknown(name, f"{path}, line {line}: ", file=path, line=line)
    result = []
    for key in KEYS.values():
        shown = Shown(key.name, key.default, "default")
        if key.name in found:
            raw = found[key.name]
            try:
                shown = Shown(key.name, _check(key, raw, environ), "file")
            except ValueError:
                line = settings_file.line_of(text, key.name)
                raise _bad(key, raw, f"{path}, line {line}: {key.name}", file=path, line=line) from None
        if given := environ.get(key.variable):
            try:
                shown = Shown(key.name, _check(key, _from_text(key, given), environ), "env")
            except ValueError:
                raise _bad(key, given, key.variable, variable=key.variable) from None
        result.append(shown)
    return result


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
    if name not in KEYS:
        raise _unknown(name)
    key = KEYS[name]
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
    if not settings_file.remove(config_path(environ), name) and name not in KEYS:
        raise _unknown(name)


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """The CODEX_AGENT_ variables that mean nothing to us, sorted: likely slips of the pen."""
    known = OTHER_VARIABLES | {key.variable for key in KEYS.values()}
    return sorted(
        name
        for name in environ
        if name.startswith(VARIABLE_PREFIX) and name not in known and not name.startswith(TEST_VARIABLES)
    )


def _from_text(key: Key, text: str) -> str | float:
    """What ``text`` means for this key. Raises ValueError."""
    text = text.strip()
    if key.kind is bool:
        if text.lower() not in _BOOLS:
            raise ValueError(text)
        return _BOOLS[text.lower()]
    value: str | float = key.kind(text)
    return value


def _check(key: Key, value: Any, environ: Mapping[str, str]) -> Value:
    """The value as the program uses it. Raises ValueError if its type is not the key's or the key does not
    allow it.
    """
    if key.kind is float and type(value) is int:
        value = float(value) if abs(value) < 1e15 else math.inf
    if type(value) is not key.kind:
        raise ValueError(value)
    if isinstance(value, str) and key.ok in (_is_path, _is_socket):
        value = _expand(value, environ)
    if not key.ok(value):
        raise ValueError(value)
    checked: Value = value
    return checked


def _expand(path: str, environ: Mapping[str, str]) -> str:
    return os.path.join(user_home(environ), path[2:]) if path.startswith("~/") else path


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
    return SettingsError(
        f"{where}there is no setting {_shown(name)}; there are: {', '.join(KEYS)}.",
        _did_you_mean(name, list(KEYS)),
        key=name,
        allowed=list(KEYS),
        **data,
    )
