"""Owns where Codex keeps its own things for this environment."""

from __future__ import annotations

import os
from collections.abc import Mapping


def codex_home(environ: Mapping[str, str]) -> str:
    """CODEX_HOME, absolute; else ``~/.codex``. It need not exist."""
    home = environ.get("CODEX_HOME")
    if home:
        return os.path.abspath(home)
    return os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".codex")
