"""Owns every error this project raises for a person to read, and the exit code of each.

An error says what failed, which thing, and what to do about it (``hint``). Nothing here prints or exits:
the doors (``cli``) turn an error into text or JSON in one place.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as `typing` has it, without loading that: the fast routes need the exit codes
if TYPE_CHECKING:
    from typing import Any, ClassVar

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_BAD_STATE = 4
EXIT_MISSING_PROGRAM = 5
EXIT_NEEDS_YOU = 10
EXIT_LIMIT = 11
EXIT_IDLE = 12
EXIT_MOST_EVENTS = 13
EXIT_TIMED_OUT = 124
EXIT_INTERRUPTED = 130


class CodexAgentError(Exception):
    """The root: something failed that a person or a calling program must hear about.

    ``code`` is the stable word for programs, ``message`` the sentence, ``hint`` what to do next,
    ``data`` whatever else identifies the thing (ids, paths, counts; JSON types only).
    """

    code: ClassVar[str] = "failed"
    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str, hint: str | None = None, **data: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data = data

    def to_json(self) -> dict[str, Any]:
        """The object that stands under ``error`` in every JSON answer."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class UsageError(CodexAgentError):
    """The words of the call are wrong: option, value, prompt, folder."""

    code = "usage"
    exit_code = EXIT_USAGE


class SettingsError(UsageError):
    """A settings file or a ``CODEX_AGENT_`` variable holds an unknown key or a bad value."""

    code = "settings"


class PromptTooLong(UsageError):
    """The prompt is longer than Codex takes."""

    code = "prompt_too_long"


class JobNotFound(CodexAgentError):
    """No job answers to this id, prefix or name."""

    code = "not_found"
    exit_code = EXIT_NOT_FOUND


class ThreadNotFound(CodexAgentError):
    """No Codex session answers to this id, prefix, address or job."""

    code = "thread_not_found"
    exit_code = EXIT_NOT_FOUND


class AmbiguousId(CodexAgentError):
    """More than one job, or more than one thread, answers to this prefix."""

    code = "ambiguous"
    exit_code = EXIT_NOT_FOUND


class BadState(CodexAgentError):
    """The job is not in a state that allows this (it has ended, it still runs)."""

    code = "bad_state"
    exit_code = EXIT_BAD_STATE


class WorkAtRisk(BadState):
    """An agent's work would be lost: it is not committed, or its commits are nowhere else."""

    code = "work_at_risk"


class MergeConflict(CodexAgentError):
    """What an agent did and what its target has become do not go together; nothing was changed."""

    code = "merge_conflict"


class RecordUnreadable(CodexAgentError):
    """A job record exists and cannot be read; it is left exactly as it is."""

    code = "record_unreadable"


class RecordTooNew(RecordUnreadable):
    """A job record was written by a newer codex-agent than this one."""

    code = "record_too_new"


class StoreUnwritable(CodexAgentError):
    """The jobs folder, or a file in it, cannot be written."""

    code = "store_unwritable"


class MissingProgram(CodexAgentError):
    """A program this tool needs is missing, too old, or does not run."""

    code = "missing_program"
    exit_code = EXIT_MISSING_PROGRAM


class TmuxFailed(CodexAgentError):
    """tmux is there and refused or could not answer; never the same as "no such session"."""

    code = "tmux_failed"


class GitFailed(CodexAgentError):
    """git is there and refused or could not answer."""

    code = "git_failed"


class StartFailed(CodexAgentError):
    """The agent could not be started; no job was left behind."""

    code = "spawn_failed"


class DependencyFailed(CodexAgentError):
    """A job that had to complete first (``--after``) did not, so this one is not begun."""

    code = "dependency"


class SystemRefused(CodexAgentError):
    """The operating system refused something nobody foresaw: a file that cannot be read, stdout that is full."""

    code = "system"


class Interrupted(CodexAgentError):
    """The person (or the calling program) broke off the command with Ctrl-C; no job was touched."""

    code = "interrupted"
    exit_code = EXIT_INTERRUPTED


class WaitTimedOut(CodexAgentError):
    """What was waited for had not happened when the caller's time was up."""

    code = "timed_out"
    exit_code = EXIT_TIMED_OUT


def by_code(code: str) -> type[CodexAgentError]:
    """The class of this code; the root if there is none (it was said by another version)."""
    kinds = [CodexAgentError]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    return next((kind for kind in kinds if kind.code == code), CodexAgentError)
