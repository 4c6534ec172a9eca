"""Owns the command that says why a job is as it is: diagnose."""

from __future__ import annotations

import os

import typer

from codex_agent.cli.common import JobRef, Json, store
from codex_agent.cli.telling import print_json, print_text


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(diagnose)


def diagnose(ref: JobRef, json_output: Json = False) -> None:
    """Say why a job failed or does nothing: the likely cause, what to do, and everything known of it."""
    from codex_agent import diagnosing, diagnosis_text

    where = store()
    found = diagnosing.diagnose(where, where.resolve(ref), os.environ)
    if json_output:
        print_json(found)
    else:
        print_text(diagnosis_text.text(found))
