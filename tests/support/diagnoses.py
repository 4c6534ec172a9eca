"""Asking ``diagnose`` why a job is as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from support.cli import Cli
from support.jobs import ended
from support.waiting import until as wait_until

Cause = dict[str, Any]


def why(cli: Cli, job_id: str, env: Mapping[str, str] | None = None) -> tuple[dict[str, Any], Cause]:
    """The job once it has ended, and the likely cause of that."""
    return ended(cli, job_id), cause(cli, job_id, env=env)


def cause(
    cli: Cli, job_id: str, *, env: Mapping[str, str] | None = None, until: Callable[[Cause], object] | None = None
) -> Cause:
    """The likely cause as it is said now, or once it is as it should be."""
    if until is None:
        found = cli("diagnose", job_id, "--json", env=env).ok().json()["cause"]
        assert isinstance(found, dict)
        return found
    asked: list[Cause] = []

    def told() -> bool:
        asked.append(cause(cli, job_id, env=env))
        return bool(until(asked[-1]))

    wait_until(told, 20, "the cause that is expected")
    return asked[-1]
