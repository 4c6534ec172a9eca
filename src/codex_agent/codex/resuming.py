"""Owns the words behind `codex exec` and the bare TUI that make them go on with a thread, fork one, or review.

Light enough for the supervisor. Must never touch a file.
"""

from __future__ import annotations

from collections.abc import Sequence

from codex_agent.codex.version import parse_version
from codex_agent.model import Driver, Resume, ReviewTarget

_VERBS = ("resume", "fork", "review")


def has_fork(version: str, driver: Driver) -> bool:
    """Whether this Codex can begin a new thread with another one's history, when driven so."""
    return parse_version(version) >= ((0, 133, 0) if driver == "channel" else (0, 150, 0))


def continued_argv(argv: Sequence[str], resume: Resume) -> list[str]:
    """From ``flags.exec_argv``'s words: the same, but with that thread, or a new one that begins as it is.

    Codex restores neither sandbox nor folder (0.169.0), so the words that give them stay, before the verb, where
    every version from 0.98.0 on takes them.
    """
    return [*argv[:-1], "fork" if resume.forked else "resume", resume.thread_id, "-"]


def review_argv(argv: Sequence[str], target: ReviewTarget) -> list[str]:
    """From ``flags.exec_argv``'s words: a review. Instructions come on stdin; Codex takes none beside a target."""
    about = {
        "uncommitted": "--uncommitted",
        "base": f"--base={target.name}",
        "commit": f"--commit={target.commit}",
    }
    return [*argv[:-1], "review", "-" if target.instructed else about[target.kind]]


def resume_argv(argv: Sequence[str], thread_id: str) -> list[str]:
    """The words of the run that follows one with these: for this thread, without the pictures of its first turn.

    What stands before the verb is never one of them: values are joined to their flags, and paths are absolute.
    """
    verb = next((at for at, word in enumerate(argv) if at > 1 and word in _VERBS), len(argv) - 1)
    words = [word for word in argv[:verb] if not word.startswith("--image=")]
    return [*words, "resume", thread_id, "-"]


def plain_words(argv: Sequence[str], thread_id: str | None, prompt: str | None) -> list[str]:
    """From ``interactive.plain_argv``'s words: the same with a thread to go on with, and a prompt to begin with.

    Pictures belong to the first prompt, and Codex sends them by themselves where there is none (0.163.0).
    """
    first = prompt is not None and thread_id is None
    words = [word for word in argv if first or not word.startswith("--image=")]
    if thread_id is not None:
        words += ["resume", thread_id]
    return words if prompt is None else [*words, "--", prompt]
