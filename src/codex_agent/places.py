"""Owns where our folders are for an environment: the home of everything we keep, and the settings file.

Loaded by the fast routes: imports nothing that costs. Must never make or read a file.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from collections.abc import Mapping

# Variables of ours that are no settings; the job's own ones are set by us for Codex and for
# --notify-on-complete.
OTHER_VARIABLES = frozenset(
    f"CODEX_AGENT_{word}"
    for word in (
        *("HOME", "JOB_ID", "MARK", "STATUS", "ERROR", "SERVER", "NAME", "ISSUE", "PROJECT"),
        *("NOTES", "WRAPPERS", "BASH_ENV", "WORKTREE", "BRANCH", "SOURCE"),
    )
)


def user_home(environ: Mapping[str, str]) -> str:
    """The user's home folder: HOME if it is absolute, else what the user database says."""
    home = environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        from codex_agent.errors import SettingsError

        raise SettingsError("There is no home folder for this user.", "Set HOME to an absolute path.") from None


def home(environ: Mapping[str, str]) -> str:
    """The folder of everything we keep, absolute: CODEX_AGENT_HOME, else ``~/.codex-agent``. It need not
    exist.
    """
    given = environ.get("CODEX_AGENT_HOME", "")
    if not given:
        return os.path.join(user_home(environ), ".codex-agent")
    return os.path.abspath(expand(given, environ))


def cache_dir(environ: Mapping[str, str]) -> str:
    """The folder for what can be found out again (versions of Codex binaries), below ``home``."""
    return os.path.join(home(environ), "cache")


def config_path(environ: Mapping[str, str]) -> str:
    """The settings file, where platformdirs puts it for this environment. It need not exist.

    On Linux that is the XDG rule, written out here because importing platformdirs costs more than all else
    that ``load`` does; a test holds it to platformdirs.
    """
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        if sys.platform == "linux":
            base = os.path.join(user_home(environ), ".config")
        else:
            from platformdirs import user_config_dir

            # platformdirs knows the process's environment only; what it says below HOME goes below the
            # given one.
            base = user_config_dir()
            below = os.path.relpath(base, user_home(os.environ))
            if not below.startswith(".."):
                base = os.path.join(user_home(environ), below)
    return os.path.join(base, "codex-agent", "config.toml")


def expand(path: str, environ: Mapping[str, str]) -> str:
    """The path with ``~/`` as the user's home."""
    return os.path.join(user_home(environ), path[2:]) if path.startswith("~/") else path
