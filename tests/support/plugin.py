"""The Claude Code plugin of this checkout: its files, and its scripts called as Claude Code calls them."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from support.cli import COMMAND
from support.material import TOP

PLUGIN = TOP / "plugins" / "codex-orchestrator"
LAUNCHER = PLUGIN / "bin" / "codex-agent"
SKILL = PLUGIN / "skills" / "codex-orchestrator" / "SKILL.md"
# Where the launcher looks besides PATH and HOME.
nowhere = pytest.mark.skipif(
    any(Path(place, "codex-agent").exists() for place in ("/opt/homebrew/bin", "/usr/local/bin")),
    reason="this machine has a codex-agent for everybody",
)


def run(
    program: Path | str, *words: str, env: Mapping[str, str], cwd: Path | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run to the end, in exactly this environment."""
    return subprocess.run(
        [program, *words], env=env, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False
    )


def hook(event: str, env: Mapping[str, str], cwd: Path, **fields: Any) -> subprocess.CompletedProcess[str]:
    """The hooks of this event, of which there is one, called with the event on stdin as Claude Code does it."""
    declared = json.loads((PLUGIN / "hooks" / "hooks.json").read_text())["hooks"][event]
    ((called,),) = [each["hooks"] for each in declared]
    told = {"session_id": "s", "cwd": str(cwd), "hook_event_name": event} | fields
    words = ["/bin/sh", "-c", called["command"]]
    return run(*words, env={**env, "CLAUDE_PLUGIN_ROOT": str(PLUGIN)}, cwd=cwd, stdin=json.dumps(told))


def stand_in(folder: Path, says: str) -> Path:
    """A program of the name codex-agent that says this and its arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    return script(folder / "codex-agent", f'echo {says} "$@"')


def ours(folder: Path) -> Path:
    """The codex-agent of this checkout, as if it were installed in this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    return script(folder / "codex-agent", f'exec {shlex.join(COMMAND)} "$@"')


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def programs(folder: Path, *names: str) -> Path:
    """A folder with these programs of the system, and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        found = shutil.which(name, path=os.defpath)
        assert found, f"this system has no {name}"
        (folder / name).symlink_to(found)
    return folder
