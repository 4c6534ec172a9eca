"""Owns filling the submodules of a new worktree from those of the tree it was made from, without the network.

What that tree has not checked out stays empty here too. Must never fail a worktree: what could not be had is said.
"""

from __future__ import annotations

import os

from codex_agent import git
from codex_agent.errors import CodexAgentError
from codex_agent.git import changes, trees


def fill(source: str, target: str) -> list[str]:
    """Checks out the submodules that ``source`` has checked out; notices of those that could not be."""
    notices: list[str] = []
    for path in changes.submodules(target):
        there = changes.module(source, path)
        if there is None:
            continue
        try:
            _fill(target, path, there.common)
            notices += fill(os.path.join(source, path), os.path.join(target, path))
        except CodexAgentError as error:
            notices.append(f"The submodule {path} could not be checked out: {error.message}")
    return notices


def _fill(target: str, path: str, objects: str) -> None:
    """One submodule, from the repository that the other tree has of it; its own address is put back."""
    name = _name(target, path)
    local = ("-c", "protocol.file.allow=always", "-c", f"submodule.{name}.url={objects}")
    update = ("submodule", "--quiet", "update", "--init", "--no-recommend-shallow", "--", path)
    git.ask(target, *trees.NO_HOOKS, *local, *update, timeout_s=trees.CHECKOUT_S)
    git.ask(target, "submodule", "--quiet", "sync", "--", path)


def _name(target: str, path: str) -> str:
    """What .gitmodules calls the submodule at this path."""
    words = ("config", "--file", ".gitmodules", "--null", "--get-regexp", r"^submodule\..*\.path$")
    for entry in git.ask(target, *words, allowed=(0, 1)).split("\0"):
        key, _, value = entry.partition("\n")
        if value == path:
            return key.removeprefix("submodule.").removesuffix(".path")
    return path
