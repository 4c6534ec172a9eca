"""Owns the table of the settings: each key with its kind, what it allows, its default and its line in the docs.

The fields of ``Settings`` are the only list of keys; the file, the variables, ``config show`` and the docs are all
made from it. A table of the file is a dataclass of its own (``queue.max_parallel``); one whose entries the user
names is a family of them (``gates.NAME.slots``). Must never read a file or a variable.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from codex_agent.model import SANDBOXES
from codex_agent.tokens import Fixed

APP = "codex-agent"
VARIABLE_PREFIX = "CODEX_AGENT_"

Value = str | int | float | bool | tuple[str, ...] | None

BOOLS = dict.fromkeys(("true", "1", "yes", "on"), True) | dict.fromkeys(("false", "0", "no", "off"), False)


def _is_plain(text: str) -> bool:
    return text != "" and not any(ord(char) < 32 or ord(char) == 127 for char in text)


def _is_word(text: str) -> bool:
    # A leading dash would be read as an option on Codex's command line.
    return _is_plain(text) and not any(char.isspace() for char in text) and not text.startswith("-")


def is_path(text: str) -> bool:
    return _is_plain(text) and os.path.isabs(text)


def are_paths(words: tuple[str, ...]) -> bool:
    return all(is_path(word) for word in words)


def is_socket(text: str) -> bool:
    return is_path(text) or (_is_word(text) and "/" not in text and text not in (".", ".."))


def _is_session_prefix(text: str) -> bool:
    # tmux turns '.' and ':' in names into '_' or reads them as window and pane; a leading '=', '@', '$' or
    # '%' means something else in a target.
    return is_name(text)


def _is_command(text: str) -> bool:
    import shlex

    return _is_plain(text) and bool(shlex.split(text))


def _are_patterns(words: tuple[str, ...]) -> bool:
    import re

    try:
        return all(_is_plain(word) and re.compile(word) for word in words)
    except re.error:
        return False


def _are_prices(words: tuple[str, ...]) -> bool:
    from codex_agent.cost import price

    try:
        return all(_is_plain(word) and bool(price(word)) for word in words)
    except ValueError:
        return False


def is_name(text: str) -> bool:
    """Whether this can be the name of an entry that the user makes: what TOML takes without quotes."""
    return (
        len(text) <= 64
        and text.isascii()
        and text[:1].isalnum()
        and text.replace("-", "a").replace("_", "a").isalnum()
    )


def _up_to(low: float, high: float) -> Callable[[Any], bool]:
    return lambda number: low <= number <= high


_MINUTES = "a number of minutes from 0 (none) to 1000000"


def _key(
    kind: type, allowed: str, ok: Callable[[Any], bool], default: Any, doc: str, *, flag: str | None = None
) -> Any:
    """A field of ``Settings`` with all there is to say about it."""
    about = {"kind": kind, "allowed": allowed, "ok": ok, "default": default, "doc": doc, "flag": flag}
    return field(default=default, metadata=about)


_COUNT = "a whole number from 0 to 1000000000"
_MIB = "a number of MiB from 0 (none) to 1000000000"


# A table is read by its rows.
# fmt: off
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Gate(Fixed):
    """One gate: how many may be in, and what it demands of the machine before one goes in."""

    slots: int = _key(int, "a whole number from 1 to 1000000", _up_to(1, 1e6), 1,
        "How many jobs and commands may hold this gate at once.")
    gpu_free_mib: int = _key(int, _MIB, _up_to(0, 1e9), 0,
        "Free memory that at least one GPU must have before somebody goes in.")
    mem_free_mib: int = _key(int, _MIB, _up_to(0, 1e9), 0,
        "Free memory that the machine must have.")
    disk_free_gib: float = _key(float, "a number of GiB from 0 (none) to 1000000000", _up_to(0, 1e9), 0.0,
        "Free room that the disk of the working directory must have.")
    command: str | None = _key(str, "a command line with its quotes closed", _is_command, None,
        "A command that must exit 0, run in the working directory, split into words and without a shell.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Queue(Fixed):
    """How many agents are at work at once."""

    max_parallel: int = _key(int, _COUNT, _up_to(0, 1e9), 0,
        "A new job begins when fewer agents than this are at work; 0: at once.", flag="--max-parallel")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class WorktreeSettings(Fixed):
    """The worktrees of jobs (`start --worktree`)."""

    folder: str | None = _key(str, "an absolute path (or one that starts with ~/)", is_path, None,
        "Where they are made, as REPOSITORY/NAME; not set: `worktrees` in our own folder.")
    setup: str | None = _key(str, "a command line with its quotes closed", _is_command, None,
        "A command that makes a new one ready, run in it, split into words and without a shell.", flag="--setup")
    setup_min: float = _key(float, _MINUTES, _up_to(0, 1e6), 10.0,
        "Minutes that command may take; 0: any number.")
    include: tuple[str, ...] = _key(
        tuple, "patterns as in .gitignore", lambda words: all(map(_is_plain, words)), (),
        "Files that git ignores to copy into a new one, besides those that `.worktreeinclude` names.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Check(Fixed):
    """What `gate check` calls busy."""

    gpu_free_mib: int = _key(int, _MIB, _up_to(0, 1e9), 1024,
        "A GPU with less free memory is busy.")
    gpu_use_pct: int = _key(int, "a whole number from 0 to 100", _up_to(0, 100), 50,
        "A GPU that is used more than this is busy.")
    mem_free_mib: int = _key(int, _MIB, _up_to(0, 1e9), 1024,
        "Less free memory than this is short.")
    disk_free_gib: float = _key(float, "a number of GiB from 0 (none) to 1000000000", _up_to(0, 1e9), 5.0,
        "Less free room than this, on the disks of the working directory and of our own folder, is short.")
    load_per_cpu: float = _key(float, "a number from 0 to 1000000", _up_to(0, 1e6), 1.5,
        "A load average (one minute, for each processor) above this is high.")
    busy: tuple[str, ...] = _key(tuple, "regular expressions", _are_patterns, ("pytest", "torchrun", "isaac"),
        "Processes whose command line one of these finds are busy; Codex and our own are left out.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Mcp(Fixed):
    """What callers of `codex-agent mcp` may have, and how long their calls wait."""

    max_sandbox: str = _key(
        str, "read-only, workspace-write or danger-full-access", SANDBOXES.__contains__, "workspace-write",
        "The most that a job may be allowed which an MCP caller starts, talks to or approves for.")
    allowed_dirs: tuple[str, ...] = _key(tuple, "absolute paths (or ones that start with ~/)", are_paths, (),
        "Where MCP callers may have agents at work, with what is below; none: anywhere.")
    approve: bool = _key(bool, "true or false", lambda _: True, True,
        "Whether MCP callers may answer approvals themselves; a person asked by the client always may.")
    wait_s: float | None = _key(float, "a number of seconds from 0 (no limit) to 1000000", _up_to(0, 1e6), None,
        "How long a call that waits does so unless it says `timeoutMs`; not set: 600 for Claude Code, 50 for "
        "others, most of which give up after 60.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Profile(Fixed):
    """A named set of start options, for `--as NAME`. What is not set is left to the other settings."""

    model: str | None = _key(str, "a model's name", _is_word, None,
        "Its model.")
    reasoning: str | None = _key(str, "a reasoning effort that your Codex takes", _is_word, None,
        "Its reasoning effort.")
    sandbox: str | None = _key(
        str, "read-only, workspace-write or danger-full-access", SANDBOXES.__contains__, None,
        "What it may do to the machine.")
    interactive: bool = _key(bool, "true or false", lambda _: True, False,
        "Whether it stays (true), or does its task and ends unless the command says otherwise.")
    approval: str | None = _key(str, "an approval policy that your Codex takes", _is_word, None,
        "With interactive: when it asks before it acts.")
    instructions: str | None = _key(str, "a text that is not empty", lambda text: bool(text.strip()), None,
        "What it is told besides its task.")
    instructions_file: str | None = _key(
        str, "an absolute path (or one that starts with ~/)", is_path, None,
        "A file with more of that; it stands before the text.")
    agents_md: bool = _key(bool, "true or false", lambda _: True, False,
        "Whether it is told how to work under this tool.")
    files: tuple[str, ...] = _key(tuple, "globs", lambda words: all(map(_is_plain, words)), (),
        "Files that go into the prompt.")
    map: bool = _key(bool, "true or false", lambda _: True, False,
        "Whether the codebase map goes into the prompt.")
    add_dirs: tuple[str, ...] = _key(tuple, "absolute paths", lambda words: all(map(is_path, words)), (),
        "More folders that it may write.")
    codex_profile: str | None = _key(str, "a profile of Codex's own configuration", _is_word, None,
        "The profile of Codex's configuration that it runs with.")
    config: tuple[str, ...] = _key(tuple, "entries KEY=VALUE", lambda words: all("=" in one for one in words), (),
        "Codex configuration, handed on as it is.")
    worktree: bool = _key(bool, "true or false", lambda _: True, False,
        "Whether it gets a git worktree of its own, on a new branch.")
    commit: bool = _key(bool, "true or false", lambda _: True, False,
        "With a worktree: whether its changes are committed for it.")
    budget: str | None = _key(str, "tokens (500k, 2M) or dollars (5usd)", _is_plain, None,
        "It is stopped when it has used so much.")
    gates: tuple[str, ...] = _key(tuple, "names of gates", lambda words: all(map(is_name, words)), (),
        "Gates of which it holds a slot while it runs.")
    timeout_min: float | None = _key(float, _MINUTES, _up_to(0, 1e6), None,
        "Minutes without any activity after which it is ended; 0: never.")
    max_time_min: float | None = _key(float, _MINUTES, _up_to(0, 1e6), None,
        "Minutes after which it is ended whatever it does; 0: never.")
    notify_on_complete: str | None = _key(str, "a command line with its quotes closed", _is_command, None,
        "Command to run when it has ended.")


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Settings(Fixed):
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
    overlap_check: bool = _key(bool, "true or false", lambda _: True, True,
        "Whether `start` tells of other agents that may write in the same tree. Flag: `--no-overlap-check`.")
    track: bool = _key(bool, "true or false", lambda _: True, True,
        "Whether the agent's git and gh note branches and pull requests. Flag: `--no-track`.")
    tmux_prefix: str = _key(
        str, "up to 64 letters, digits, '-' and '_', a letter or digit first", _is_session_prefix, APP,
        "tmux sessions are called `<prefix>-<job id>`.")
    tmux_socket: str | None = _key(
        str, "a socket name (as for tmux -L) or an absolute path (as for tmux -S)", is_socket, None,
        "The tmux server the jobs live in; not set: the one we are in, else tmux's default one.")
    idle_detection: bool = _key(bool, "true or false", lambda _: True, True,
        "Whether an interactive agent that has nothing to do is ended by itself. Flag: `--idle-exit off`.")
    idle_grace_s: float = _key(float, "a number of seconds from 0 to 86400", _up_to(0, 86400), 30.0,
        "Seconds an interactive agent must have been idle, with nobody attached, before it is ended; 0: never.",
        flag="--idle-exit")
    codex: str | None = _key(str, "an absolute path (or one that starts with ~/)", is_path, None,
        "The Codex program; not set: the first one found in PATH and the usual places.")
    notify_on_complete: str | None = _key(str, "a command line with its quotes closed", _is_command, None,
        "Command to run when a job has ended, split into words as a shell would and run without one.",
        flag="--notify-on-complete")
    prices: tuple[str, ...] = _key(
        tuple, "entries MODEL=INPUT,CACHED,OUTPUT or MODEL=INPUT,CACHED,OUTPUT,WRITTEN, in US dollars a million",
        _are_prices, (),
        "What models cost, before the package's own prices (docs/cost.md).")
    queue: Queue = field(default_factory=Queue, metadata={"table": Queue})
    worktree: WorktreeSettings = field(default_factory=WorktreeSettings, metadata={"table": WorktreeSettings})
    check: Check = field(default_factory=Check, metadata={"table": Check})
    mcp: Mcp = field(default_factory=Mcp, metadata={"table": Mcp})
    gates: Mapping[str, Gate] = field(default_factory=dict, metadata={"family": Gate})
    profiles: Mapping[str, Profile] = field(default_factory=dict, metadata={"family": Profile})
# fmt: on


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Key(Fixed):
    """One setting, for whoever lists them; ``kind`` is str, float, int, bool or tuple (of texts)."""

    name: str
    kind: type
    allowed: str
    ok: Callable[[Any], bool]
    default: Value
    doc: str
    flag: str | None

    @property
    def variable(self) -> str:
        """Its variable. What the user names has none: two names might be one there."""
        return VARIABLE_PREFIX + self.name.upper().replace(".", "_")


def _keys_of(table: type[Any], prefix: str = "") -> dict[str, Key]:
    return {
        prefix + f.name: Key(name=prefix + f.name, **f.metadata) for f in fields(table) if "kind" in f.metadata
    }


TABLES: dict[str, type[Any]] = {f.name: f.metadata["table"] for f in fields(Settings) if "table" in f.metadata}
FAMILIES: dict[str, type[Any]] = {f.name: f.metadata["family"] for f in fields(Settings) if "family" in f.metadata}

# Every key that stands in the file under one name, in order.
KEYS: dict[str, Key] = _keys_of(Settings)
for _name, _table in TABLES.items():
    KEYS |= _keys_of(_table, f"{_name}.")
# Those below names that the user gives: `gates.NAME.slots`.
NAMED_KEYS: dict[str, Key] = {}
for _name, _table in FAMILIES.items():
    NAMED_KEYS |= _keys_of(_table, f"{_name}.NAME.")


def key_of(name: str) -> Key | None:
    """The key of this name (``gates.gpu.slots`` is one); None if there is none."""
    if name in KEYS:
        return KEYS[name]
    family, _, rest = name.partition(".")
    entry, _, word = rest.partition(".")
    key = NAMED_KEYS.get(f"{family}.NAME.{word}")
    return None if key is None or not is_name(entry) else replace(key, name=name)
