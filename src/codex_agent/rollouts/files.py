"""Owns opening a rollout, plain or compressed, to read it from its beginning."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from typing import Any

from ..errors import MissingProgram

_BLOCK = 64 * 1024


class Damaged(Exception):
    """A compressed file that is cut or broken: what came before stands."""


@contextlib.contextmanager
def opened(path: str) -> Iterator[io.BufferedIOBase]:
    """The file's bytes, unpacked. Raises OSError, and while it is read Damaged."""
    if not path.endswith(".zst"):
        with open(path, "rb") as plain:
            yield plain
        return
    try:
        import zstandard
    except ImportError as error:
        raise MissingProgram(
            f"{path} is compressed and the Python package zstandard is not there.",
            "Install codex-agent with its dependencies, or unpack the file with `zstd -d`.",
        ) from error

    class Unpacked(io.RawIOBase):
        """What ``zstandard`` reads has no ``readline``."""

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            try:
                return int(stream.readinto(buffer))
            except zstandard.ZstdError as error:
                raise Damaged from error

    with open(path, "rb") as packed:
        stream: Any = zstandard.ZstdDecompressor().stream_reader(packed)
        yield io.BufferedReader(Unpacked(), 256 * 1024)


def whole_bytes(path: str) -> int:
    """Where the last whole line ends, in the unpacked file. Raises OSError."""
    if path.endswith(".zst"):
        whole = size = 0
        with contextlib.suppress(Damaged), opened(path) as file:
            while line := file.readline(_BLOCK):
                size += len(line)
                whole = size if line.endswith(b"\n") else whole
        return whole
    with open(path, "rb", buffering=0) as file:
        at = file.seek(0, io.SEEK_END)
        while at > 0:
            begin = max(0, at - _BLOCK)
            file.seek(begin)
            cut = file.read(at - begin).rfind(b"\n")
            if cut >= 0:
                return begin + cut + 1
            at = begin
    return 0
