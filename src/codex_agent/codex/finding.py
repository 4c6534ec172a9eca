"""Owns the choice of the Codex that is used: which candidate, in what order, and what it needs to be started.

Must never pass over what the user named: a Codex named in the settings is used or is an error.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from codex_agent.codex.places import Candidate, candidates, home_of, native_beside, on_path, tool_folders
from codex_agent.codex.version import read_version
from codex_agent.errors import MissingProgram

_INSTALL = (
    "Install it: `pip install 'codex-agent[codex]'`, or `npm install -g @openai/codex`; "
    "or say where it is: CODEX_AGENT_CODEX=/path/to/codex."
)


@dataclass(frozen=True, slots=True)
class Codex:
    """A Codex that answered with its version.

    ``path`` is what to execute: the native binary where there is one, since a Node wrapper costs tens of
    milliseconds per start and hides Codex's pid. ``path_dirs`` belong first on its PATH and ``env`` into its
    environment, as the wrapper would have done. ``notes`` say which other candidates were broken and passed
    over.
    """

    path: str
    found_as: str
    origin: str
    version: str
    path_dirs: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find(explicit: str | None, environ: Mapping[str, str], cache_dir: str) -> Codex:
    """The Codex to use. Raises MissingProgram if there is none, or if the one named by ``explicit`` is unusable.

    ``explicit`` is a path or a name on PATH (from CODEX_AGENT_CODEX or the settings) and is final. Otherwise
    the first usable one of ``places.candidates``; a broken one on the way is passed over and named in
    ``notes``, so that a stale link does not stop work that another Codex can do, and nobody wonders why that
    one was taken. ``cache_dir`` remembers versions; it is made if need be.
    """
    if explicit:
        return _usable(_named(explicit, environ), environ, cache_dir, ())
    notes: list[str] = []
    seen: set[str] = set()
    for candidate in candidates(environ):
        real = os.path.realpath(candidate.path)
        if real in seen:
            continue
        seen.add(real)
        try:
            return _usable(candidate, environ, cache_dir, tuple(notes))
        except MissingProgram as error:
            notes.append(error.message)
    if notes:
        raise MissingProgram(f"No usable Codex was found. {' '.join(notes)}", _INSTALL, tried=notes)
    raise MissingProgram(
        "Codex was not found: not on PATH, not as a Python package, not in the usual places.", _INSTALL
    )


def _named(explicit: str, environ: Mapping[str, str]) -> Candidate:
    """The file that ``explicit`` means. Raises MissingProgram if there is none."""
    hint = "Correct CODEX_AGENT_CODEX or the setting `codex`, or remove it to have Codex searched for."
    if os.sep in explicit or explicit == "~":
        path = home_of(environ) + explicit[1:] if explicit.startswith("~/") else os.path.abspath(explicit)
        if os.path.isdir(path):
            raise MissingProgram(f"The configured Codex {path} is a folder, not a program.", hint, path=path)
        if not os.path.isfile(path):
            raise MissingProgram(f"The configured Codex {path} does not exist.", hint, path=path)
        return Candidate("settings", path)
    for path in on_path(explicit, environ):
        return Candidate("settings", path)
    raise MissingProgram(f"The configured Codex '{explicit}' is not on PATH.", hint, path=explicit)


def _usable(candidate: Candidate, environ: Mapping[str, str], cache_dir: str, notes: tuple[str, ...]) -> Codex:
    """The candidate with its version. Raises MissingProgram, naming it, if it does not run or is no Codex."""
    native = native_beside(candidate.path)
    path = native.path if native else candidate.path
    if not os.access(path, os.X_OK):
        hint = f"Make it executable (chmod +x {path}), or name another one with CODEX_AGENT_CODEX."
        raise MissingProgram(f"{path} is not executable.", hint, path=path)
    version = read_version(path, environ, cache_dir)
    return Codex(
        path=path,
        found_as=candidate.path,
        origin=candidate.origin,
        version=version,
        path_dirs=native.path_dirs if native else tool_folders(path),
        env=native.env if native else {},
        notes=notes,
    )
