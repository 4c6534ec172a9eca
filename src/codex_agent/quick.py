"""Owns two savings while modules are loaded, for processes that somebody waits for.

Must never change what anything does.
"""

from __future__ import annotations

import gc
import sys
from importlib import import_module
from types import ModuleType


class _Later(ModuleType):
    """Stands for a module until something in it is asked for."""

    def __getattr__(self, name: str) -> object:
        return getattr(import_module(self.__name__), name)


def begin() -> None:
    """Loads ``dataclasses`` without ``inspect``, and leaves garbage for ``settle_in``.

    That module is for the docstrings of classes that have none, and takes 5 ms, as long as an interpreter takes to
    start. To look for garbage while modules are loaded costs a twentieth of the time.
    """
    gc.disable()
    if "dataclasses" in sys.modules or "inspect" in sys.modules:
        return
    sys.modules["inspect"] = _Later("inspect")
    try:
        import dataclasses  # noqa: F401
    finally:
        del sys.modules["inspect"]


def settle_in() -> None:
    """For a process that lives on: garbage is collected from now on."""
    gc.enable()
    gc.collect()
