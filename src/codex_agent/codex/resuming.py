"""Owns the words that go on with a thread, made from those that began it: `codex exec resume`, the bare TUI's.

Light enough for the supervisor. Must never touch a file.
"""

from __future__ import annotations

from collections.abc import Sequence


def resume_argv(argv: Sequence[str], thread_id: str) -> list[str]:
    """From ``flags.exec_argv``'s words: the same, but for this thread and without the pictures of its beginning.

    Codex restores neither sandbox nor folder (0.169.0), so the words that give them stay, before `resume`, where
    every version from 0.98.0 on takes them.
    """
    words = [word for word in argv[:-1] if not word.startswith("--image=")]
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
