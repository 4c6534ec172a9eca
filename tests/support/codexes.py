"""Which real Codex binaries the tests run: two wheels and, where npm is at hand, two of npm's.

``bin/test`` fetches them and says where they are in ``CODEX_AGENT_TEST_CODEX_*``. Run by hand without it, the
newest is taken from the environment pytest runs in; whatever is missing skips the tests that ask for it.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import subprocess
from dataclasses import dataclass

import pytest

# "newest" and "oldest" are wheels; the npm ones are Node wrappers around a native binary.
LABELS = {
    "newest": "CODEX_AGENT_TEST_CODEX_NEWEST",
    "oldest": "CODEX_AGENT_TEST_CODEX_OLDEST",
    "npm-newest": "CODEX_AGENT_TEST_CODEX_NPM_NEWEST",
    "npm-oldest": "CODEX_AGENT_TEST_CODEX_NPM_OLDEST",
}
WHEELS = ["newest", "oldest"]


@dataclass(frozen=True)
class Codex:
    """One real Codex. ``version`` is what it says itself, such as ``0.163.0``."""

    label: str
    path: str
    version: str


def codex(label: str) -> Codex:
    """The Codex of this label. Skips the calling test, with the reason, where it is not installed."""
    path = os.environ.get(LABELS[label]) or (_bundled() if label == "newest" else None)
    if path is None:
        pytest.skip(f"Codex {label!r} is not installed; bin/test fetches it (npm's only where npm works)")
    return _asked(label, path)


def has_newest() -> bool:
    return bool(os.environ.get(LABELS["newest"]) or _bundled())


def _bundled() -> str | None:
    try:
        wheel = importlib.import_module("codex_cli_bin")
    except ImportError:
        return None
    return str(wheel.bundled_codex_path())


@functools.cache
def _asked(label: str, path: str) -> Codex:
    told = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    match = re.search(r"\d+\.\d+\.\d+\S*", told)
    assert match, f"{path} --version said {told!r}"
    return Codex(label, path, match[0])
