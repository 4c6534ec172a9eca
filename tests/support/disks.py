"""A small file system at CODEX_AGENT_HOME, and filling it to the last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.home import Home


@pytest.fixture
def small_disk(home: Home) -> Iterator[Path]:
    """A file system of 2 MB at CODEX_AGENT_HOME."""
    place = home.agent_home
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """A file that takes all the room there is; remove it to have room again."""
    hog = place / "hog"
    handle = os.open(hog, os.O_WRONLY | os.O_CREAT)
    for size in (65536, 4096, 1):
        try:
            while True:
                os.write(handle, b"x" * size)
        except OSError as error:
            assert error.errno == errno.ENOSPC
    os.close(handle)
    return hog
