"""Owns ``doctor``: what ``health`` found, with what each check looks at, why that matters, and how to mend it.

Looks at nothing itself; ``health.py`` does. Starts nothing, mends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from codex_agent import health
from codex_agent.answers import Doctor, Examined


class _About(NamedTuple):
    """What is always true of a check; ``more`` is what helps besides what ``health`` itself says."""

    looked_at: str
    why: str
    more: tuple[str, ...]


_ABOUT = {
    "settings": _About(
        "The settings file and every CODEX_AGENT_ variable: is each known, and its value one that is allowed.",
        "A setting that cannot be read is never guessed: no job is started until it is right.",
        ("`codex-agent config show` has every setting, its value and where that comes from.",),
    ),
    "tmux": _About(
        "`tmux -V`, of the first tmux on PATH; 3.2 or newer is needed.",
        "Every agent lives in a tmux session, so that it goes on when you log out and anybody can look at it.",
        ("If there are several, put the newer one first on PATH, and end the server of the older one.",),
    ),
    "codex": _About(
        "The setting `codex`, then PATH, the Python package, the usual places and the editors' extensions; of the "
        "first one its `--version`.",
        "It is the agent. Versions that this program was not tried with mostly work; what they write may be read "
        "less well.",
        ("Where the wrong one is found: `codex-agent config set codex PATH`.",),
    ),
    "login": _About(
        "The provider in Codex's config.toml, CODEX_API_KEY, and `codex login status`. Nobody is asked over the "
        "network, so a key or login that has been taken back looks good here.",
        "Without it every turn ends with HTTP 401: an agent starts, and fails within seconds.",
        ("`codex login --device-auth` where there is no browser.",),
    ),
    "sandbox": _About(
        "`codex sandbox` really runs the command `true`, in an empty CODEX_HOME.",
        "Where it does not work, agents start and talk as always, and every command and change of theirs fails; "
        "the job even completes.",
        ("On the machine itself: user.max_user_namespaces must not be 0, and, where they exist, "
         "kernel.unprivileged_userns_clone must be 1 and kernel.apparmor_restrict_unprivileged_userns 0 "
         "(`sysctl`; better on Ubuntu: an AppArmor profile for bubblewrap).",
         "In a container: its host must allow `unshare` there (Docker: a seccomp profile)."),
    ),
    "interactive": _About(
        "A real `codex app-server` is started on a socket in an empty CODEX_HOME, greeted, and ended.",
        "Agents that stay (`--interactive`) are talked to through it. With --plain they work without, and less "
        "can be known of them. Agents that do their task and end do not need it.",
        (),
    ),
    "home": _About(
        "The jobs folder is made, if need be, and asked whether it can be written.",
        "All that is known of a job is kept there. While it cannot be written, no job can be started.",
        ("Check owner, rights and room of that disk (`codex-agent gate check` shows the room).",
         "`codex-agent clean` removes old jobs; CODEX_AGENT_HOME moves the folder."),
    ),
}  # fmt: skip


def examine(environ: Mapping[str, str]) -> Doctor:
    """Everything that ``health`` looks at, explained."""
    found = health.check(environ)
    checks = []
    for check in found.checks:
        about = _ABOUT[check.name]
        mend = [] if check.ok else [line for line in (check.fix, *about.more) if line]
        checks.append(
            Examined(
                name=check.name,
                ok=check.ok,
                needed=check.needed,
                looked_at=about.looked_at,
                found=check.detail,
                why=about.why,
                mend=mend,
            )
        )
    return Doctor(found.ok, found.version, checks)
