"""Owns the `git` and `gh` that the agent's commands find first, and the environment that makes them do so.

The wrappers are shared by all jobs of this home and written anew only when they would read otherwise. Must never
stand in the way of the real programs: where nothing is to be noted, a wrapper becomes the real one (`exec`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping

from codex_agent.errors import StoreUnwritable

# What a job's processes see of it. NOTES is the one folder that the agent's sandbox may write for us.
NOTES = "CODEX_AGENT_NOTES"
FOLDERS = "CODEX_AGENT_WRAPPERS"
# The user's own start-up file of shells that run scripts; ours runs it.
_OWN_BASH_ENV = "CODEX_AGENT_BASH_ENV"
_MARKER = ".codex-agent-wrappers"
_BASH_ENV = "bash_env"
PROGRAMS = ("git", "gh")

# Which words before a command take the next one as their value, and which commands are looked at more closely.
_VALUED = {"git": "-C|-c|--git-dir|--work-tree|--namespace|--config-env|--attr-source", "gh": "-R|--repo"}
_VERBS = {"git": "checkout|switch", "gh": "pr"}

_WRAPPER = """\
#!/bin/sh
# Written by codex-agent: notes what a job does to branches and pull requests, and is @NAME@ in all else.
set -f; IFS=:; real=
for folder in $PATH; do
  [ -n "$folder" ] || folder=.
  if [ -f "$folder/@NAME@" ] && [ -x "$folder/@NAME@" ] && [ ! -e "$folder/@MARKER@" ]; then
    real=$folder/@NAME@; break
  fi
done
unset IFS; set +f
if [ -z "$real" ]; then echo "@NAME@: command not found" >&2; exit 127; fi
if [ -n "${@NOTES@-}" ]; then
  skip=
  for word do
    if [ -n "$skip" ]; then skip=; continue; fi
    case $word in
      @VALUED@) skip=1 ;;
      -*) ;;
      @VERBS@)
        if [ -x @PYTHON@ ] && [ -f @HELPER@ ]; then exec @PYTHON@ -ISE @HELPER@ @NAME@ "$real" "$@"; fi
        break ;;
      *) break ;;
    esac
  done
fi
exec "$real" "$@"
"""

# Bash reads this after the profile of a login shell, which may have put other folders first (bash 5.2, seen).
_STARTUP = """\
# Written by codex-agent. Whatever the profile did to PATH: the wrappers of this job come first.
if [ -n "${@FOLDERS@-}" ]; then
  case $PATH in "$@FOLDERS@":*) ;; *) PATH=$@FOLDERS@:$PATH ;; esac
fi
if [ -n "${@OWN@-}" ] && [ -r "$@OWN@" ]; then . "$@OWN@"; fi
"""


def notes_folder(home: str) -> str:
    """A folder for the notes of one job; it is not made yet."""
    return os.path.join(home, "track", os.urandom(8).hex())


def forget(home: str, folder: str | None) -> None:
    """Removes the notes of a job that is no more."""
    if folder is not None and os.path.dirname(folder) == os.path.join(home, "track"):
        import shutil

        shutil.rmtree(folder, ignore_errors=True)


def environment(home: str, folder: str, env: Mapping[str, str]) -> dict[str, str]:
    """What goes into the environment of a job that is tracked, beside ``env``. Makes wrappers and folder.

    Empty where no program is there to be wrapped. Raises StoreUnwritable.
    """
    path = _without_wrappers(env.get("PATH", os.defpath))
    import shutil  # late: `start` comes here once the supervisor is on its way

    found = [name for name in PROGRAMS if shutil.which(name, path=path)]
    top = os.path.join(home, "wrappers")
    if not found or os.pathsep in top:
        return {}
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for name in found:
            _put(os.path.join(top, name), name, _wrapper(name), 0o700)
        _put(top, _BASH_ENV, _filled(_STARTUP, FOLDERS=FOLDERS, OWN=_OWN_BASH_ENV), 0o600)
    except OSError as error:
        raise StoreUnwritable(
            f"{error.filename or top} cannot be written: {error.strerror}.",
            "Check the owner and the disk; --no-track does without.",
            path=top,
        ) from error
    folders = os.pathsep.join(os.path.join(top, name) for name in found)
    added = {NOTES: folder, FOLDERS: folders, "PATH": os.pathsep.join((folders, path))}
    startup = os.path.join(top, _BASH_ENV)
    own = env.get("BASH_ENV", "")
    if own and os.path.basename(own) == _BASH_ENV and os.path.exists(os.path.join(os.path.dirname(own), _MARKER)):
        own = env.get(_OWN_BASH_ENV, "")  # of the job that started this one
    return {**added, "BASH_ENV": startup, _OWN_BASH_ENV: _expanded(own, env)}


def without(env: Mapping[str, str]) -> dict[str, str]:
    """The environment as it was before the wrappers: for what is asked by ourselves."""
    plain = {key: value for key, value in env.items() if key not in (NOTES, FOLDERS, "BASH_ENV", _OWN_BASH_ENV)}
    if "PATH" in plain:
        plain["PATH"] = _without_wrappers(plain["PATH"])
    if env.get(_OWN_BASH_ENV):
        plain["BASH_ENV"] = env[_OWN_BASH_ENV]
    return plain


def _without_wrappers(path: str) -> str:
    kept = [
        folder
        for folder in path.split(os.pathsep)
        if not (folder and os.path.exists(os.path.join(folder, _MARKER)))
    ]
    return os.pathsep.join(kept)


def _expanded(path: str, env: Mapping[str, str]) -> str:
    """As bash reads the name of its start-up file: with variables filled in."""
    for name, value in env.items():
        path = path.replace(f"${{{name}}}", value)
        if path.startswith(f"${name}/"):
            path = value + path[len(name) + 1 :]
    return path


def _wrapper(name: str) -> str:
    helper = os.path.join(os.path.dirname(os.path.abspath(__file__)), "helper.py")
    return _filled(
        _WRAPPER,
        NAME=name,
        MARKER=_MARKER,
        NOTES=NOTES,
        VALUED=_VALUED[name],
        VERBS=_VERBS[name],
        PYTHON=shlex.quote(sys.executable),
        HELPER=shlex.quote(helper),
    )


def _filled(text: str, **words: str) -> str:
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return text


def _put(folder: str, name: str, text: str, mode: int) -> None:
    """The file as it should be, and then the mark that says so; nothing is written if the mark says it already."""
    import hashlib

    path, marker = os.path.join(folder, name), os.path.join(folder, _MARKER)
    version = hashlib.sha256(text.encode()).hexdigest()
    with contextlib.suppress(FileNotFoundError), open(marker, encoding="ascii") as file:
        if file.read() == version and os.path.exists(path):
            return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    for target, content, bits in ((path, text, mode), (marker, version, 0o600)):
        import tempfile

        handle, draft = tempfile.mkstemp(dir=folder)
        with open(handle, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), bits)
            file.write(content)
        os.replace(draft, target)
