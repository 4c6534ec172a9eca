"""Owns named sets of start options: what `--as NAME` stands for.

They are entries of the settings (``profiles.NAME.model``). Must never overrule what was asked for with the command
itself. Codex's own profiles (`--profile`) are another thing; one of ours may name one of those.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from codex_agent.errors import UsageError
from codex_agent.settings import Settings
from codex_agent.settings_keys import Profile
from codex_agent.start_options import StartOptions

# The settings speak of minutes, a start of seconds.
_MINUTES = {"timeout_min": "timeout_s", "max_time_min": "max_time_s"}
_OF_TREE = ("worktree", "commit")
_OTHER_NAMES = {"map": "use_map", "codex_profile": "profile"}


def applied(options: StartOptions, settings: Settings) -> StartOptions:
    """The options with their profile put beneath them: what they say themselves wins, and lists are joined.

    Without a profile, and when this was done already, the options as they are. Raises UsageError if there is none
    of that name.
    """
    name = options.named
    if name is None:
        return options
    chosen = settings.profiles.get(name)
    if chosen is None:
        known = ", ".join(sorted(settings.profiles))
        raise UsageError(
            f"The settings have no profile '{name}'.",
            f"There are: {known}." if known else f"Make one: codex-agent config set profiles.{name}.model MODEL",
            profile=name,
        )
    tree = options.tree
    wanted = "" if chosen.worktree and tree.worktree is None else tree.worktree
    changes: dict[str, Any] = {
        "named": None,
        "tree": replace(tree, worktree=wanted, commit=chosen.commit or tree.commit),
    }
    for field in fields(Profile):
        if field.name in _OF_TREE:
            continue
        value = getattr(chosen, field.name)
        mine = _MINUTES.get(field.name) or _OTHER_NAMES.get(field.name, field.name)
        given = getattr(options, mine)
        if isinstance(value, tuple):
            changes[mine] = [*value, *given]
        elif isinstance(value, bool):
            changes[mine] = value or given
        elif value is not None and given is None:
            changes[mine] = value * 60 if field.name in _MINUTES else value
    return replace(options, **changes)
