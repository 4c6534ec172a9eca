"""Owns code reviews: what is to be reviewed, the job that does it, and what it found.

A review is an exec job: Codex's own `review`, in its own thread. Must never begin one of something that is not
there, which Codex does not check (0.133.0 to 0.169.0).
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from codex_agent import git, jobs, profiles, rollouts, starting
from codex_agent.errors import BadState, CodexAgentError, UsageError
from codex_agent.model import TERMINAL, Job, ReviewTarget
from codex_agent.review_answers import Review
from codex_agent.rollouts import review
from codex_agent.settings import Settings
from codex_agent.start_options import StartOptions
from codex_agent.starting import Plan
from codex_agent.store import Store

# A reviewer that may write is asked for by name, whatever the settings give other jobs.
_SANDBOX = "read-only"
_ONE = "Give one of them."


def target(cwd: str, *, uncommitted: bool, base: str | None, commit: str | None, prompt: str) -> ReviewTarget:
    """What is to be reviewed, checked. With none of the three: what the prompt says, else what is uncommitted.

    Raises UsageError for what is not there, BadState if nothing is uncommitted.
    """
    if uncommitted + (base is not None) + (commit is not None) > 1:
        raise UsageError("--uncommitted, --base and --commit exclude each other.", _ONE)
    instructed = bool(prompt.strip())
    if instructed and not uncommitted and base is None and commit is None:
        return ReviewTarget("custom", instructed=True)
    top = git.toplevel(cwd)
    if top is None:
        where = os.path.abspath(cwd)
        raise UsageError(f"{where} is in no git repository: nothing to compare.", "Name one: -d DIR", path=where)
    for name, kind, option in ((base, "base", "--base"), (commit, "commit", "--commit")):
        if name is not None:
            return ReviewTarget(
                "base" if kind == "base" else "commit", name, _commit(top, name, option), instructed
            )
    if not git.changed(top):
        raise BadState(
            f"Nothing is uncommitted in {top}.",
            "Say what to review: --base BRANCH, --commit SHA, or a prompt.",
            path=top,
        )
    return ReviewTarget("uncommitted", instructed=instructed)


def plan(options: StartOptions, about: ReviewTarget, settings: Settings, environ: Mapping[str, str]) -> Plan:
    """The job that reviews this, checked as by ``starting.plan``."""
    options = profiles.applied(options, settings)
    options.review = about
    options.sandbox = options.sandbox or _SANDBOX
    if about.instructed and about.kind != "custom":
        # Codex takes a target or instructions; its own prompt for a target is as short as this.
        options.prompt = f"{_in_words(about)}\n\n{options.prompt}"
    return starting.plan(options, settings, environ)


def read(store: Store, job_id: str) -> Review:
    """What the job's review found. Raises BadState if it is none, or runs; ``failed`` if it came to nothing."""
    job = jobs.view(store, job_id)
    if job.review is None:
        raise BadState(f"Job {job_id} is no review.", 'codex-agent review "..." begins one.', id=job_id)
    if job.status not in TERMINAL:
        raise BadState(
            f"The review {job_id} has found nothing yet: it is {job.status}.",
            f"Wait for it: codex-agent wait {job_id}",
            id=job_id,
            status=job.status,
        )
    path = _rollout(store, job)
    found = None if path is None else review.outcome(path)
    if found is None or path is None:
        raise failed(job)
    return Review(
        id=job_id,
        thread_id=job.thread_id,
        target=job.review,
        basis="structured" if found.structured else "text",
        findings=found.findings,
        correctness=found.correctness,
        explanation=found.explanation,
        confidence=found.confidence,
        tokens=review.tokens(path, found),
    )


def failed(job: Job) -> CodexAgentError:
    """The error that says why a review that has ended came to nothing."""
    why = f": {job.failure.message}" if job.failure else "."
    return CodexAgentError(
        f"The review {job.id} ({job.status}) came to nothing{why}",
        (job.failure and job.failure.hint) or f"codex-agent status {job.id} says what is known.",
        id=job.id,
        status=job.status,
        reason=job.failure and job.failure.reason,
    )


def _commit(top: str, name: str, option: str) -> str:
    commit = git.verify(top, name)
    if commit is None:
        raise UsageError(f"{option}: there is no commit '{name}' in {top}.", "Check the name.", path=top)
    return commit


def _in_words(about: ReviewTarget) -> str:
    if about.kind == "base":
        return (
            f"Review the changes of this branch against {about.name} ({about.commit}): "
            f"`git diff $(git merge-base HEAD {about.commit})` shows them."
        )
    if about.kind == "commit":
        return f"Review the changes of commit {about.commit}: `git show {about.commit}` shows them."
    return "Review the changes that are not committed: staged, unstaged and untracked files."


def _rollout(store: Store, job: Job) -> str | None:
    if job.rollout is not None and os.path.isfile(job.rollout):
        return job.rollout
    if job.thread_id is None:
        return None
    return rollouts.find(store.load(job.id).request.codex_home, job.thread_id)
