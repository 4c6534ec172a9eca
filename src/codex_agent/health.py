"""Owns ``health``: whether agents could run here now, and what to do if not. Starts nothing, mends nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping

from codex_agent import __version__, codex, settings, tmux
from codex_agent.answers import Check, Health
from codex_agent.errors import CodexAgentError, MissingProgram
from codex_agent.store import Store

_MEND_SETTINGS = "Correct the file or the variable; `codex-agent config unset KEY` takes a key out of the file."


def check(environ: Mapping[str, str]) -> Health:
    """Looks at everything, however much of it is amiss."""
    store = Store(settings.home(environ))
    checks = []
    chosen = settings.Settings()
    try:
        chosen = settings.load(environ)
        strange = settings.unknown_variables(environ)
        remark = f"; not one of ours: {', '.join(strange)}" if strange else ""
        checks.append(Check("settings", True, True, settings.config_path(environ) + remark, None))
    except CodexAgentError as error:
        checks.append(Check("settings", False, True, error.message, error.hint or _MEND_SETTINGS))
    checks.append(_tmux(environ))
    checks.extend(_codex(chosen, environ))
    checks.append(_home(store))
    return Health(all(one.ok for one in checks if one.needed), __version__, checks)


def _tmux(environ: Mapping[str, str]) -> Check:
    try:
        return Check("tmux", True, True, f"tmux {tmux.version(environ)}", None)
    except MissingProgram as error:
        return Check("tmux", False, True, error.message, error.hint)


def _codex(chosen: settings.Settings, environ: Mapping[str, str]) -> list[Check]:
    try:
        found = codex.find(chosen.codex, environ, settings.cache_dir(environ))
    except MissingProgram as error:
        return [Check("codex", False, True, error.message, error.hint)]
    detail = f"Codex {found.version} at {found.path} (from {found.origin})"
    known = codex.is_known(found.version)
    if not known:
        detail += f"; tried with {codex.KNOWN_OLDEST} to {codex.KNOWN_NEWEST} only"
    checks = [Check("codex", True, True, "; ".join([detail, *found.notes]), None)]
    codex_home = environ.get("CODEX_HOME") or os.path.join(
        environ.get("HOME") or os.path.expanduser("~"), ".codex"
    )
    try:
        state, told = codex.login_state(found, environ, codex_home)
        fix = "Run `codex login`, or set CODEX_API_KEY (codex exec does not read OPENAI_API_KEY)."
        checks.append(Check("login", state != "none", True, told, fix if state == "none" else None))
        works, told = codex.sandbox_state(found, environ)
        fix = (
            "Allow user namespaces (README, Troubleshooting), or use --sandbox danger-full-access in a container."
        )
        needed = chosen.sandbox != "danger-full-access"
        checks.append(Check("sandbox", works, needed, told, None if works else fix))
    except MissingProgram as error:
        checks.append(Check("codex", False, True, error.message, error.hint))
    return checks


def _home(store: Store) -> Check:
    try:
        store.prepare()
    except CodexAgentError as error:
        return Check("home", False, True, error.message, error.hint)
    return Check("home", True, True, store.folder, None)
