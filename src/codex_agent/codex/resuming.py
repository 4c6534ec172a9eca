"""Owns the words that go on with a thread by `codex exec resume`, made from those that began it.

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
