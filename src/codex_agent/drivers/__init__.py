"""Owns the ways to drive a Codex: `codex exec`, the app-server with the TUI attached, the bare TUI.

The supervisor knows only what is in ``base.py``. A way loads nothing of the others.
"""

from __future__ import annotations

from codex_agent.drivers.base import Driver, Host


def make(supervisor: Host) -> Driver:
    """The way this job's record names."""
    match supervisor.record.request.driver:
        case "exec":
            from codex_agent.drivers.exec import ExecDriver

            return ExecDriver(supervisor)
        case "channel":
            from codex_agent.drivers.live import LiveDriver

            return LiveDriver(supervisor)
        case "plain":
            from codex_agent.drivers.plain import PlainDriver

            return PlainDriver(supervisor)
