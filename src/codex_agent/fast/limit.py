"""Owns how many jobs `jobs` shows unless told, for whoever must not load the settings' own reader.

Without a settings file, and without a variable that sets one, it is the default. Else it is what the settings'
reader found the last time (``keep``), if the same file and the same variables stand there still. Must never read
that file.
"""

from __future__ import annotations

import os

from codex_agent.places import OTHER_VARIABLES, cache_dir, config_path

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = 20  # a test holds it to the setting's own
_SETTLED_NS = 2_000_000_000  # a file that was written so lately may yet change within one tick of its clock


def read(environ: Mapping[str, str]) -> int | None:
    """The setting `jobs_limit`; None if only the settings' own reader can tell."""
    marks = _marks(environ)
    if marks is None:
        return DEFAULT
    try:
        with open(_path(environ), "rb", 0) as file:
            kept, _, limit = file.read(200).decode("ascii", "replace").partition(" ")
    except OSError:
        return None
    return int(limit) if kept == _sum(marks) else None


def keep(environ: Mapping[str, str], limit: int) -> None:
    """Notes what the settings' reader found just now. Where that cannot be written, nothing is lost."""
    from time import time_ns

    marks = _marks(environ)
    if marks is None:
        return
    try:
        changed_ns = os.stat(config_path(environ)).st_ctime_ns
    except OSError:
        changed_ns = 0
    if time_ns() - changed_ns < _SETTLED_NS or read(environ) == limit:
        return
    path = _path(environ)
    temporary = f"{path}.{os.getpid()}"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(f"{_sum(marks)} {limit}".encode("ascii"))
        os.replace(temporary, path)
    except OSError:
        return


def _path(environ: Mapping[str, str]) -> str:
    return os.path.join(cache_dir(environ), "jobs_limit")


def _marks(environ: Mapping[str, str]) -> str | None:
    """What the setting hangs on; None if nothing sets anything."""
    path = config_path(environ)
    try:
        status = os.stat(path)
    except FileNotFoundError:
        file = ""
    except OSError as error:
        file = str(error)
    else:
        file = f"{path} {status.st_dev} {status.st_ino} {status.st_size} {status.st_ctime_ns}"
    given = [
        f"{name}={value}"
        for name, value in sorted(environ.items())
        if name.startswith("CODEX_AGENT_") and name not in OTHER_VARIABLES and value
    ]
    return "\n".join([file, environ.get("HOME", ""), *given]) if file or given else None


def _sum(marks: str) -> str:
    from zlib import crc32

    data = marks.encode("utf-8", "surrogateescape")
    return f"{len(data)}.{crc32(data):08x}{crc32(data[::-1]):08x}"
