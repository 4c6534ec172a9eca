"""Owns ``health``: whether agents could run here now, and what to do if not. Starts nothing, mends nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping

from codex_agent import __version__, codex, settings, tmux
from codex_agent.answers import Check, Health
from codex_agent.channel import Channel, ChannelClosed
from codex_agent.drivers.server import clear_socket
from codex_agent.errors import CodexAgentError, MissingProgram
from codex_agent.store import Store

_ANSWER_S, _PAUSE_S = 15.0, 0.01
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
        checks.append(_interactive(found, environ))
    except MissingProgram as error:
        checks.append(Check("codex", False, True, error.message, error.hint))
    return checks


def _interactive(found: codex.Codex, environ: Mapping[str, str]) -> Check:
    """Which way an agent that stays would be driven; an app-server is really asked, in an empty CODEX_HOME."""
    fix = "Use the bundled Codex (pip install 'codex-agent[codex]', CODEX_AGENT_CODEX), or add --plain."
    if not codex.has_channel(found.version):
        told = f"only with --plain: Codex {found.version} cannot be driven from outside (0.133.0 and later can)"
        return Check("interactive", False, False, told, fix)
    began = time.monotonic()
    try:
        _greet(found, environ)
    except (OSError, ChannelClosed) as error:
        told = f"only with --plain: Codex's app-server does not work: {error}"
        return Check("interactive", False, False, told, fix)
    took_ms = (time.monotonic() - began) * 1000
    return Check(
        "interactive", True, False, f"by the channel: Codex's app-server answered in {took_ms:.0f} ms", None
    )


def _greet(found: codex.Codex, environ: Mapping[str, str]) -> None:
    """Starts an app-server, says hello, ends it. Raises OSError, ChannelClosed."""
    with tempfile.TemporaryDirectory(prefix="codex-agent-") as empty:
        path = os.path.join(empty, "s")
        server = subprocess.Popen(
            [found.path, "app-server", f"--listen=unix://{path}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environ, **found.env, "CODEX_HOME": empty},
            start_new_session=True,
        )
        real: str | None = None
        try:
            channel = _connected(path, server)
            real = os.readlink(path) if os.path.islink(path) else None
            try:
                channel.greet(__version__, _ANSWER_S)
            finally:
                channel.close()
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(server.pid, signal.SIGKILL)
            server.wait()
            clear_socket(path, real)


def _connected(path: str, server: subprocess.Popen[bytes]) -> Channel:
    deadline = time.monotonic() + _ANSWER_S
    while True:
        try:
            return Channel(path, lambda _: None)
        except OSError as error:
            if server.poll() is not None:
                raise ChannelClosed(f"it ended with status {server.returncode}") from error
            if time.monotonic() > deadline:
                raise ChannelClosed(f"nobody listens at its socket ({error})") from error
            time.sleep(_PAUSE_S)


def _home(store: Store) -> Check:
    try:
        store.prepare()
    except CodexAgentError as error:
        return Check("home", False, True, error.message, error.hint)
    return Check("home", True, True, store.folder, None)
