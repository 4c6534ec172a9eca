"""Owns what keeps a starting Codex from asking: trust in the folder, offers of newer models, the update check.

Only words for one launch are made here. Must never edit the user's configuration (Codex itself does, where it is
left to ask) and never overrules the user's own word on a folder.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codex_agent.codex.flags import _override
from codex_agent.codex.own import user_config
from codex_agent.codex.toml import toml
from codex_agent.codex.version import parse_version
from codex_agent.errors import MissingProgram, UsageError

if TYPE_CHECKING:
    from codex_agent.codex.finding import Codex

# What 0.98 and 0.104 offer to move to; from 0.125 on Codex tells it itself (`debug models`).
_OLD_TARGETS = {(0, 98): "gpt-5.2-codex", (0, 104): "gpt-5.3-codex"}
_OLD_MODELS = (
    "gpt-5", "gpt-5-codex", "gpt-5-codex-mini", "gpt-5.1", "gpt-5.1-codex", "gpt-5.1-codex-max",
    "gpt-5.1-codex-mini", "gpt-5.2", "gpt-5.2-codex",
)  # fmt: skip
_OLD_NOTICES = ("hide_gpt5_1_migration_prompt", "hide_gpt-5.1-codex-max_migration_prompt")

NO_UPDATE_CHECK = "--config=check_for_update_on_startup=false"
_TIMEOUT_S = 10.0


def startup_overrides(codex: Codex, cwd: str, environ: Mapping[str, str], config: Sequence[str] = ()) -> list[str]:
    """The words that keep the TUI from asking anything when it starts, for this launch only.

    They cover trust in the folder, offers to move to a newer model, and updates. ``config`` are the launch's other
    overrides, which may change where the list of models comes from. Hooks that nobody has reviewed
    still make it ask: what they run is for the user to decide. Costs one short call of Codex (10 ms).
    """
    words = [NO_UPDATE_CHECK, *trust_words(cwd, codex_home_of(environ))]
    migrations = model_migrations(codex, environ, config)
    if migrations:
        words.append(f"--config=notice.model_migrations={toml(migrations)}")
    if parse_version(codex.version) < (0, 125, 0):
        words += [f"--config=notice.{key}=true" for key in _OLD_NOTICES]
    return words


def model_migrations(codex: Codex, environ: Mapping[str, str], config: Sequence[str] = ()) -> dict[str, str]:
    """Every model that this Codex would ask to leave, and for which one; its notice must name both.

    Codex is asked in the user's own configuration, since the list an account gets replaces the bundled one.
    Raises MissingProgram if it does not tell.
    """
    version = parse_version(codex.version)
    if version < (0, 125, 0):
        target = _OLD_TARGETS[(0, 104) if version >= (0, 104, 0) else (0, 98)]
        return {model: target for model in _OLD_MODELS if model != target}
    more = [f"--config={_override(text)}" for text in config]
    for words in (["debug", "models", *more], ["debug", "models", "--bundled"]):
        try:
            done = subprocess.run(
                [codex.path, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={**environ, **codex.env},
                cwd="/",
                timeout=_TIMEOUT_S,
                check=False,
            )
            return _upgrades(json.loads(done.stdout))
        except OSError as error:
            message = f"{codex.path} does not run: {error.strerror}."
            raise MissingProgram(message, "Install Codex again.", path=codex.path) from error
        except (subprocess.TimeoutExpired, ValueError):
            continue  # no network, or a configuration it cannot read, which the agent itself will tell
    raise MissingProgram(f"{codex.path} does not tell its models (debug models).", "Install Codex again.")


def folder_trust(cwd: str, codex_home: str) -> str | None:
    """What the user's config.toml says of the folder: ``trusted``, ``untrusted`` or nothing.

    As Codex looks it up: the folder itself, then the top of its git repository (of the main one, in a worktree).
    """
    projects = user_config(codex_home).get("projects")
    real = os.path.realpath(cwd)
    for folder in (cwd, real, _git_root(real)):
        entry = projects.get(folder) if isinstance(projects, dict) and folder else None
        if isinstance(entry, dict) and isinstance(entry.get("trust_level"), str):
            return str(entry["trust_level"])
    return None


def check_not_untrusted(codex: Codex, cwd: str, codex_home: str) -> None:
    """Raises UsageError where the bare TUI would ask "Open restricted?"; 0.150.0 does not yet, 0.163.0 does."""
    if parse_version(codex.version) > (0, 150, 0) and folder_trust(cwd, codex_home) == "untrusted":
        raise UsageError(
            f"Codex's configuration says that {cwd} is untrusted, and the bare TUI asks about that at its start.",
            f"Leave --plain out, or take the folder out of [projects] in {codex_home}/config.toml.",
            path=cwd,
        )


def trust_words(cwd: str, codex_home: str) -> list[str]:
    """Trust for this launch, unless the user has said otherwise. Codex adds it to the user's other projects."""
    if folder_trust(cwd, codex_home) is not None:
        return []
    folders = dict.fromkeys((cwd, os.path.realpath(cwd)))
    return [f"--config=projects={toml({folder: {'trust_level': 'trusted'} for folder in folders})}"]


def _upgrades(catalog: Any) -> dict[str, str]:
    """From the catalog as Codex prints it. Raises ValueError if it is something else."""
    models = catalog.get("models") if isinstance(catalog, dict) else None
    if not isinstance(models, list):
        raise ValueError("no list of models")
    found = {}
    for model in models:
        upgrade = model.get("upgrade")
        if isinstance(upgrade, dict) and isinstance(upgrade.get("model"), str):
            found[str(model["slug"])] = upgrade["model"]
    return found


def _git_root(folder: str) -> str | None:
    """The top of the git repository that Codex asks about: in a linked worktree, the main one's."""
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return None
        folder = above
    try:
        with open(os.path.join(folder, ".git"), encoding="utf-8") as file:
            gitdir = os.path.join(folder, file.read().removeprefix("gitdir:").strip())
    except (OSError, UnicodeDecodeError):
        return folder  # a folder, as mostly
    worktrees = os.path.dirname(os.path.realpath(gitdir))
    return os.path.dirname(os.path.dirname(worktrees)) if os.path.basename(worktrees) == "worktrees" else folder


def codex_home_of(environ: Mapping[str, str]) -> str:
    return environ.get("CODEX_HOME") or os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".codex")
