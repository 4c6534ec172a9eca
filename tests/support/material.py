"""Small things that more than one test needs: a picture, a schema, the files of this repository."""

from __future__ import annotations

import struct
import subprocess
import zlib
from pathlib import Path

TOP = Path(__file__).parents[2]
ANSWER_SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def picture() -> bytes:
    """A PNG of one pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixel = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def our_files() -> list[str]:
    """Every file of the work tree that git tracks or would, relative to ``TOP``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TOP,
        capture_output=True,
        text=True,
        check=True,
    )
    # What was deleted and not committed yet is listed as well.
    return [name for name in listed.stdout.split("\0") if name and (TOP / name).is_file()]
