"""Owns Codex's error words: what a failure message, an error kind, a stderr line or an exit status means.

Must never decide whether a job failed (``verdict.py`` does): it only says why, once that is decided. The
strongest evidence comes first: Codex's own error kind, then the HTTP status, then words. The messages were
collected from Codex 0.98.0 to 0.169.0, see the table in ``tests/test_codex_failures.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why an agent failed: ``reason`` is one of the words of ``model.Failure.reason``, ``message`` a sentence."""

    reason: str
    message: str
    hint: str | None


_HINTS = {
    "auth": "Run `codex login`, or set CODEX_API_KEY.",
    "usage_limit": "Wait until the limit is reset, or use another plan or account.",
    "rate_limit": "Wait a little and start it again; run fewer agents at once.",
    "quota": "Check the plan and billing of the API account.",
    "context_window": "Start a new agent with a smaller task, or with less in the prompt.",
    "model_error": "Start it again; if it happens again, try another model.",
    "model_unknown": "Name a model this account may use (-m), or leave it to Codex's configuration.",
    "overloaded": "Wait a little and start it again, or try another model.",
    "network": "Check the network and the provider's address, then start it again.",
    "bad_request": "Check model, reasoning effort and options; the server's words say which it refused.",
    "bad_config": "Correct Codex's configuration or the options given with -c and -p.",
    "not_a_repo": "Start it in a git repository, or add --skip-git-repo-check.",
    "input_too_large": "Put the long part into a file and let the agent read it.",
    "sandbox": "Check that the sandbox works on this machine, or choose another one with -s.",
}

# What is refused for want of a variable is not mended by a login.
_NO_VARIABLE = "missing environment variable"
_SET_VARIABLE = "Set that variable where you start agents: an agent gets the environment of its start."

# codex_error_info, in the rollout's spelling (the app-server writes the same in camel case).
_KINDS = {
    "context_window_exceeded": "context_window",
    "session_budget_exceeded": "usage_limit",
    "usage_limit_exceeded": "usage_limit",
    "rate_limit_exceeded": "rate_limit",
    "flex_unavailable": "overloaded",
    "server_overloaded": "overloaded",
    "policy_capacity_unavailable": "overloaded",
    "model_not_found": "model_unknown",
    "cyber_policy": "bad_request",
    "misalignment_policy_violation": "bad_request",
    "invalid_prompt": "bad_request",
    "too_many_denials": "sandbox",
    "sandbox_error": "sandbox",
    "internal_server_error": "model_error",
    "unauthorized": "auth",
    "bad_request": "bad_request",
    "inference_hook_denied": "bad_request",
    "input_too_large": "input_too_large",
}
# Kinds that say where it broke; the status after the colon says why, if there is one.
_TRANSPORT = {
    "http_connection_failed": "network",
    "response_stream_connection_failed": "network",
    "response_stream_disconnected": "network",
    "response_too_many_failed_attempts": "network",
}
_STATUSES = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "bad_request",
    407: "network",
    408: "network",
    413: "input_too_large",
    429: "rate_limit",
    502: "network",
    503: "overloaded",
    504: "network",
    529: "overloaded",
}
# The API's own error codes, where Codex hands the body of a refusal on as it came.
_API_CODES = {
    "context_length_exceeded": "context_window",
    "invalid_api_key": "auth",
    "insufficient_quota": "quota",
    "model_not_found": "model_unknown",
    "rate_limit_exceeded": "rate_limit",
    "server_is_overloaded": "overloaded",
    "usage_limit_reached": "usage_limit",
    "usage_not_included": "usage_limit",
}
# Read from the top. Lower case, straight apostrophes. Words are the weakest evidence; see the module's docstring.
_WORDS: tuple[tuple[str, str], ...] = tuple(
    (reason, words)
    for reason, several in (
        ("quota", ("quota exceeded", "exceeded your current quota")),
        ("usage_limit", ("hit your usage limit", "to use codex with your chatgpt plan", "out of credits")),
        ("context_window", ("ran out of room in the model's context window", "exceeds the context window")),
        ("rate_limit", ("rate limit", "too many requests")),
        ("overloaded", ("selected model is at capacity", "overloaded")),
        ("model_error", ("experiencing high demand", "incomplete response returned")),
        ("model_unknown", ("does not exist or you do not have access", "model is not supported")),
        ("auth", ("not logged in", "please log in", "sign in again", "refresh token", "incorrect api key")),
        ("auth", (_NO_VARIABLE, "access token could not be refreshed")),
        ("input_too_large", ("input exceeds the maximum length", "input_too_large")),
        ("not_a_repo", ("not inside a trusted directory",)),
        ("bad_config", ("error loading config", "error parsing -c overrides", "config profile")),
        ("bad_config", ("model provider `", "error finding codex home", "failed to read output schema")),
        ("bad_config", ("output schema file", "required mcp servers failed", "unexpected argument")),
        ("bad_config", ("invalid value '", "unknown configuration", "unrecognized configuration setting")),
        (
            "bad_request",
            ("no prompt provided via stdin", "invalid prompt", "flagged", "already has an active writer"),
        ),
        ("sandbox", ("bwrap:", "landlock", "sandbox-exec", "seccomp", "failed to apply sandbox")),
        (
            "network",
            ("stream closed before response.completed", "idle timeout waiting for", "error sending request"),
        ),
        ("network", ("connection failed", "connection refused", "error decoding response body", "dns error")),
        ("network", ("waiting for network", "timed out", "connection reset", "request timeout")),
        # The last of its kind: what follows the colon is the server's own complaint unless a line above knew it.
        ("model_error", ("stream disconnected before completion",)),
    )
    for words in several
)

_STATUS_WORDS = re.compile(r"\b(?:unexpected|last|http) status:? (\d{3})\b", re.IGNORECASE)
_RECONNECT = re.compile(
    r"^Reconnecting\.\.\. ?(?P<count>\d+/\d+|waiting for network)? ?(?:\((?P<why>.*)\))?$", re.DOTALL
)
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+ +(?P<level>ERROR|WARN|INFO|DEBUG|TRACE) ")
_ERROR_LINE = re.compile(r"^(Error\b|error:|Fatal error|thread '.*' \(?.*panicked at )")
_NOISE = re.compile(
    r"^(\s*$|[Ss]tack backtrace:|\s*\d+: |\s+at |Reading (additional input|prompt) from stdin|WARNING: proceeding"
    r"|note: (?:run with|[Ss]ome details)|\s*tip: |Usage: |For more information, try |\s+codex )"
)


def reconnect_reason(message: str) -> str | None:
    """What made Codex reconnect, if this ``error`` event says no more than that it does; None for a real error.

    Codex says so up to five times before it gives up, and without end when there is no network at all.
    """
    match = _RECONNECT.match(message.strip())
    if match is None:
        return None
    return match["why"] or match["count"] or "connection lost"


def diagnose(
    *, message: str | None, info: str | None, stderr_tail: Sequence[str] | str, exit_code: int | None
) -> Diagnosis:
    """The reason of a failure, from whatever is known of it.

    ``message`` is Codex's last error (``turn.failed``, or the rollout's ``task_complete.error``), ``info`` its
    ``codex_error_info`` as one word with the HTTP status after a colon if it carries one
    (``http_connection_failed:401``). Stderr counts only where both are silent: its log lines also come on success.
    """
    if message or info:
        told, body_reason = _unwrap(message or "")
        reason = _reason(info or "", told, body_reason) or ("exit_code" if exit_code else "unknown")
        hint = _SET_VARIABLE if _NO_VARIABLE in told.lower() else _HINTS.get(reason)
        return Diagnosis(reason, _sentence(told or (info or "")), hint)
    lines = stderr_tail.splitlines() if isinstance(stderr_tail, str) else stderr_tail
    line = telling_stderr_line(lines)
    if line is not None:
        reason = _reason("", line, None) or ("exit_code" if exit_code else "unknown")
        return Diagnosis(reason, _sentence(re.sub(r"^[Ee]rror: ", "", line)), _HINTS.get(reason))
    if exit_code is None:
        return Diagnosis("unknown", "Codex ended without saying why.", None)
    if exit_code == 0:
        return Diagnosis("no_turn", "Codex ended with exit status 0 and without finishing a turn.", None)
    return Diagnosis("exit_code", f"Codex ended with exit status {exit_code} and did not say why.", None)


def telling_stderr_line(lines: Sequence[str]) -> str | None:
    """The line that says most of why Codex ended; None if there is only noise.

    Rust's own error line first (with its continuation), then any plain line, then an ERROR of the log.
    """
    best: tuple[int, str] = (0, "")
    previous_was_error = False
    for raw in lines:
        line = _ANSI.sub("", raw).rstrip()
        if previous_was_error and (line.startswith("in `") or best[1].startswith("thread '")):
            best = (best[0], f"{best[1]} {line.strip()}")
            previous_was_error = False
            continue
        previous_was_error = False
        if _NOISE.match(line):
            continue
        log = _LOG_LINE.match(line)
        if log is not None:
            rank = 1 if log["level"] == "ERROR" else 0
        else:
            rank = 3 if _ERROR_LINE.match(line) else 2
            previous_was_error = rank == 3
        if rank and rank >= best[0]:
            best = (rank, line.strip())
    return best[1] or None


def _reason(info: str, told: str, body_reason: str | None) -> str | None:
    """The first evidence that says something, strongest first; None if none does."""
    kind, _, number = info.partition(":")
    words = _by_words(told)
    known = _KINDS.get(_snake(kind))
    if known == "usage_limit" and words == "quota":
        return "quota"  # 0.150 and later use one kind for both, the words tell them apart
    if known is not None:
        return known
    if body_reason is not None:
        return body_reason
    match = _STATUS_WORDS.search(told)
    status = int(number) if number.isdigit() else int(match[1]) if match else None
    if status is not None:
        return _by_status(status, words)
    return words or _TRANSPORT.get(_snake(kind))


def _by_status(status: int, words: str | None) -> str | None:
    if status == 404 and words == "model_unknown":
        return words
    if status in _STATUSES:
        return _STATUSES[status]
    if 500 <= status <= 599:
        return "model_error"
    return "bad_request" if 400 <= status <= 499 else words


def _by_words(told: str) -> str | None:
    text = told.replace("\u2019", "'").casefold()
    return next((reason for reason, words in _WORDS if words in text), None)


def _unwrap(message: str) -> tuple[str, str | None]:
    """Of a message that is the server's JSON body its sentence and what its code means; others as they are."""
    text = message.strip()
    if not text.startswith("{"):
        return text, None
    try:
        body: Any = json.loads(text)
    except ValueError:
        return text, None
    error = body.get("error", body)
    if not isinstance(error, dict):
        return str(error), "bad_request"
    told = error.get("message") or body.get("detail")
    if not isinstance(told, str) or not told:
        return text, "bad_request"
    return told, _API_CODES.get(str(error.get("code"))) or _by_words(told) or "bad_request"


def _snake(kind: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", kind).lower()


def _sentence(text: str) -> str:
    """One line of bearable length, with a full stop."""
    line = " ".join(text.split())
    if len(line) > 400:
        return f"{line[:399]}…"
    return line if line.endswith((".", "!", "?", "…")) else f"{line}."
