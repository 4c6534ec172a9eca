"""Owns the text of the settings file: reading it, saying where in it something stands, changing one line of
it.

Knows TOML and nothing of what the keys mean (``settings`` does). Must never write a file it could not read,
or lose a line or comment that it was not asked to change.

There is no TOML writer here and no dependency for one: the parts of the text are told apart by tomllib
itself. A part is the shortest run of lines that tomllib takes by itself, which is exact, because a key with
its value and a table's head are complete TOML documents of their own and no beginning of one is.

A key is named by its path with dots: ``queue.max_parallel`` is ``max_parallel`` in the table ``[queue]``.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from codex_agent.errors import CodexAgentError, SettingsError


class _Part(NamedTuple):
    """Lines ``first`` up to ``end`` (from 0, end excluded); ``data`` is empty for blanks and comments.

    ``table`` is the one they stand in, "" at the top; of a table's head it is that table's own.
    """

    first: int
    end: int
    data: dict[str, Any]
    is_table: bool
    table: str

    def names(self) -> list[str]:
        """The whole names of what is said here."""
        before = f"{self.table}." if self.table and not self.is_table else ""
        return [before + name for name in _leaves(self.data)]

    def says(self, key: str) -> bool:
        """Whether that key, or something below it, is said here."""
        return any(name == key or name.startswith(f"{key}.") for name in self.names())


def read(path: str) -> str:
    """The file's text, "" if there is none. Raises SettingsError if it cannot be read or is not UTF-8."""
    try:
        with open(path, "rb") as handle:
            data = handle.read()
    except (FileNotFoundError, NotADirectoryError):  # HOME=/dev/null is how some machines say "no home"
        return ""
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read: {error.strerror}.", "Mend or remove it.", file=path
        ) from error
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SettingsError(
            f"{path}, line {line}: not UTF-8 (byte {error.start}).", "Save it as UTF-8.", file=path, line=line
        ) from error


def parse(path: str, text: str) -> dict[str, Any]:
    """What the text says. Raises SettingsError with the line if it is not TOML."""
    if not text:
        return {}
    import re
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Only Python 3.14's error has the line as a number; "at end of document" is the last line.
        reason, at, place = str(error).rpartition(" (at ")
        number = re.search(r"line (\d+)", place) if at else None
        line = int(number[1]) if number else text.rstrip("\n").count("\n") + 1
        raise SettingsError(
            f"{path}, line {line}: not valid TOML: {reason if at else error}.",
            'A line is a key, "=" and a value; text stands in double quotes.',
            file=path,
            line=line,
        ) from error


def line_of(text: str, key: str) -> int:
    """The line, from 1, on which a key of this valid text stands. Raises KeyError if it is not in there."""
    for part in _parts(text):
        if part.says(key):
            return part.first + 1
    raise KeyError(key)


def put(path: str, key: str, value: str | float | tuple[str, ...]) -> None:
    """Sets a key, in its old place with its comment or else behind the last key of its table; makes table, file
    and folder if need be.

    Raises SettingsError if the file cannot be read, is not TOML or has a table of that name,
    CodexAgentError if it cannot be written; the file is then as it was.
    """
    with _locked(path):
        text = read(path)
        before = parse(path, text)
        newline = "\r\n" if "\r\n" in text else "\n"
        lines = _lines(text)
        old = _find(path, text, key)
        if old:
            name = key[len(old.table) + 1 :] if old.table else key
            entry = f"{name} = {_toml(value)}" + _comment("".join(lines[old.first : old.end]))
            lines[old.first : old.end] = [entry + newline]
        else:
            table, _, name = key.rpartition(".")
            end = _end_of(text, table, len(lines))
            new = [f"{name} = {_toml(value)}{newline}"]
            if end is None:
                end, new = len(lines), [*([newline] if lines else []), f"[{table}]{newline}", *new]
            if end and not lines[end - 1].endswith("\n"):
                lines[end - 1] += newline
            lines[end:end] = new
        new_value = list(value) if isinstance(value, tuple) else value
        _replace(path, "".join(lines), _with(before, key.split("."), new_value))


def remove(path: str, key: str) -> bool:
    """Takes a key's lines out and says whether it was there. Raises as ``put`` does."""
    if not read(path):
        return False
    with _locked(path):
        text = read(path)
        before = parse(path, text)
        old = _find(path, text, key)
        if not old:
            return False
        lines = _lines(text)
        del lines[old.first : old.end]
        _replace(path, "".join(lines), _without(before, key.split(".")))
        return True


def _lines(text: str) -> list[str]:
    # Not splitlines(): it also splits at characters that are no line ends in TOML.
    return [line for line in text.replace("\n", "\n\0").split("\0") if line]


def _parts(text: str) -> Iterator[_Part]:
    """The parts of a valid text, in order."""
    import tomllib

    lines = _lines(text)
    first, table = 0, ""
    while first < len(lines):
        for end in range(first + 1, len(lines) + 1):
            try:
                data = tomllib.loads("".join(lines[first:end]))
            except tomllib.TOMLDecodeError:
                continue
            is_table = lines[first].lstrip().startswith("[")
            table = _leaves(data)[0] if is_table else table
            yield _Part(first, end, data, is_table, table)
            break
        first = end


def _leaves(data: dict[str, Any]) -> list[str]:
    """The names, with dots, of everything in there that is no table, or an empty one."""
    found = []
    for name, value in data.items():
        below = _leaves(value) if isinstance(value, dict) else []
        found += [f"{name}.{rest}" for rest in below] or [name]
    return found


def _find(path: str, text: str, key: str) -> _Part | None:
    """The part that sets a key, None if no part does."""
    for part in _parts(text):
        if not part.says(key):
            continue
        if part.is_table or key not in part.names():
            line = part.first + 1
            raise SettingsError(
                f'{path}, line {line}: "{key}" is a table here.',
                "Take it out by hand.",
                file=path,
                line=line,
            )
        return part
    return None


def _end_of(text: str, table: str, end: int) -> int | None:
    """The line behind the last key of a table (``end`` if that is the whole text's); None if it has no head."""
    found: int | None = None
    for part in _parts(text):
        if not table and part.is_table:
            return part.first  # behind a table's head it would belong to the table
        if part.data and part.table == table:
            found = part.end
    return end if not table else found


def _with(data: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    name, *rest = path
    if not rest:
        return data | {name: value}
    below = data.get(name, {})
    return data | {name: _with(below if isinstance(below, dict) else {}, rest, value)}


def _without(data: dict[str, Any], path: list[str]) -> dict[str, Any]:
    name, *rest = path
    if not rest:
        return {key: value for key, value in data.items() if key != name}
    return data | {name: _without(data[name], rest)}


def _filled(data: dict[str, Any]) -> dict[str, Any]:
    """Without tables that have nothing in them: a head may stay when its last key is taken out."""
    found = {name: _filled(value) if isinstance(value, dict) else value for name, value in data.items()}
    return {name: value for name, value in found.items() if value != {}}


def _comment(part: str) -> str:
    """The comment behind a value, with the space before it: from the first '#' that leaves complete TOML to
    its left.
    """
    import tomllib

    at = part.find("#")
    while at >= 0:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            tomllib.loads(part[:at])
            return part[len(part[:at].rstrip()) :].rstrip()
        at = part.find("#", at + 1)
    return ""


def _toml(value: str | float | tuple[str, ...]) -> str:
    import json

    # JSON's escapes are TOML's too; TOML also wants U+007F escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


@contextlib.contextmanager
def _locked(path: str) -> Iterator[None]:
    """Makes writers take turns, so that of two changes at once both arrive. The lock is on the folder."""
    import fcntl

    folder = os.path.dirname(os.path.realpath(path))
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _replace(path: str, text: str, expected: dict[str, Any]) -> None:
    """Puts the text in the file's place, whole or not at all, once it says what it should."""
    try:
        safe = _filled(parse(path, text)) == _filled(expected)
    except SettingsError:
        safe = False  # two ways to write one table do not go together
    if not safe:
        raise SettingsError(
            f"{path} is laid out in a way that cannot be changed safely.", "Change it by hand.", file=path
        )
    target = os.path.realpath(path)  # a link into a folder of dot files stays one
    draft = os.path.join(os.path.dirname(target), ".config.toml.new")  # one name will do: we hold the lock
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(
            "The value is not UTF-8.", "The settings file can only hold UTF-8.", file=path
        ) from error
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(handle, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise _unwritable(path, error) from error


def _unwritable(path: str, error: OSError) -> CodexAgentError:
    return CodexAgentError(
        f"{path} cannot be written: {error.strerror}.", "Check its owner and the disk.", file=path
    )
