"""Owns Codex's version: asking a binary for it once, remembering it, and which versions this project knows.

Must never decide which binary is used (``finding.py`` does) and never trusts a remembered answer after the file
changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from codex_agent.errors import MissingProgram

# The range that the project's tests and measurements cover; others are used all the same, `health` says so.
KNOWN_OLDEST = "0.98.0"
KNOWN_NEWEST = "0.169.0"

_TIMEOUT_S = 10.0
_CACHE_NAME = "codex-versions.json"
_CACHE_FORMAT = 1
_CACHE_MOST = 50
_SAID = re.compile(r"^codex(?:-cli)? v?(\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?)\s*$", re.MULTILINE)
_NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")
_REINSTALL = "Install Codex again, or name another one with CODEX_AGENT_CODEX."


def parse_version(version: str) -> tuple[int, int, int]:
    """``0.169.0-alpha.3`` as ``(0, 169, 0)``: a pre-release counts as its release. Raises ValueError."""
    match = _NUMBERS.match(version)
    if match is None:
        raise ValueError(f"not a Codex version: {version!r}")
    return int(match[1]), int(match[2]), int(match[3])


def is_known(version: str) -> bool:
    """Whether this version lies in the range that was tried."""
    return parse_version(KNOWN_OLDEST) <= parse_version(version) <= parse_version(KNOWN_NEWEST)


def read_version(path: str, environ: Mapping[str, str], cache_dir: str) -> str:
    """The version of the Codex at ``path``; run at most once per state of the file. Raises MissingProgram.

    Remembered by real path, size, modification and change time: npm gives every file it unpacks the same
    modification time, only the change time tells two installations apart. A script is asked each time, since
    what it starts can change without the script changing.
    """
    real = os.path.realpath(path)
    try:
        stat = os.stat(real)
    except OSError as error:
        raise MissingProgram(f"{path} cannot be used: {error.strerror}.", _REINSTALL, path=path) from error
    state = [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    if is_script(real):
        return _ask_version(path, environ)
    cache_file = os.path.join(cache_dir, _CACHE_NAME)
    remembered = _load(cache_file)
    entry = remembered.get(real)
    if isinstance(entry, dict) and entry.get("state") == state and _NUMBERS.match(str(entry.get("version"))):
        return str(entry["version"])
    version = _ask_version(path, environ)
    remembered.pop(real, None)
    remembered[real] = {"state": state, "version": version}
    _save(cache_file, dict(list(remembered.items())[-_CACHE_MOST:]))
    return version


def is_script(path: str) -> bool:
    """Whether the file begins with ``#!``. A file that cannot be read is no script as far as we can tell."""
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def _ask_version(path: str, environ: Mapping[str, str]) -> str:
    from codex_agent.codex.ask import ask  # late: the answer is remembered for long

    try:
        answer = ask([path, "--version"], environ, _TIMEOUT_S)
    except OSError as error:
        raise MissingProgram(f"{path} does not run: {error.strerror}.", _REINSTALL, path=path) from error
    said = answer.text.strip()
    if answer.exit_code is None:
        raise MissingProgram(
            f"`{path} --version` did not end within {_TIMEOUT_S:g} seconds or wrote without end.",
            _REINSTALL,
            path=path,
            said=said[:200],
        )
    match = _SAID.search(answer.text)
    if answer.exit_code != 0 or match is None:
        shown = f"printed {said[:200]!r}" if said else "printed nothing"
        raise MissingProgram(
            f"{path} is no usable Codex: `--version` {shown} and ended with status {answer.exit_code}.",
            _REINSTALL,
            path=path,
            said=said[:200],
        )
    return match[1]


def _load(cache_file: str) -> dict[str, Any]:
    """What is remembered; nothing if the file is missing or broken, since it can always be made again."""
    try:
        with open(cache_file, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get("format") != _CACHE_FORMAT:
        return {}
    binaries = content.get("binaries")
    return binaries if isinstance(binaries, dict) else {}


def _save(cache_file: str, binaries: dict[str, Any]) -> None:
    """Writes the cache whole. A folder that cannot be written costs a few milliseconds next time, no more."""
    import tempfile  # late: a version is remembered for long

    folder = os.path.dirname(cache_file)
    try:
        # One by one: makedirs gives the mode to the last folder alone.
        for each in (os.path.dirname(folder), folder):
            os.makedirs(each, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{_CACHE_NAME}.", dir=folder)  # made 0600
    except OSError:
        return
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({"format": _CACHE_FORMAT, "binaries": binaries}, file, indent=1)
        os.replace(temporary, cache_file)
    except OSError:
        try:
            os.unlink(temporary)
        except OSError:
            pass  # the same disk trouble; a left-over of some hundred bytes harms nobody
