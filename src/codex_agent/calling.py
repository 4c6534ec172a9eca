"""Owns the words with which a person can call this program again, for the commands it prints to go on with."""

from __future__ import annotations

import os
import sys


def me() -> str:
    """``codex-agent`` where that is on PATH; in a checkout the launcher as called, say ``bin/codex-agent``."""
    import shutil  # late: only text says this

    if os.path.basename(sys.argv[0]) != "codex-agent" or shutil.which("codex-agent"):
        return "codex-agent"
    return sys.argv[0]
