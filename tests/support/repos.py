"""git as a person uses it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.home import Home

Git = Callable[..., str]


@pytest.fixture
def say(home: Home) -> Git:
    """`git -C FOLDER WORDS...` as a person of this home; what it prints."""

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *words],
            env=home.env,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, f"git {words}: {done.stderr}"
        return done.stdout.strip()

    return run


def commit(say: Git, folder: Path, name: str, message: str = "a change") -> str:
    """A commit of a new file; its id."""
    (folder / name).write_text(name)
    say(folder, "add", "--", name)
    say(folder, "commit", "-q", "-m", message)
    return say(folder, "rev-parse", "HEAD")
