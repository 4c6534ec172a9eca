"""What Codex's error words mean: a table of real messages, and real runs that fail before the scripted model."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codex_agent.codex.failures import diagnose, reconnect_reason, telling_stderr_line
from codex_agent.codex.finding import find
from codex_agent.codex.flags import ExecOptions, exec_argv
from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.model import Failure
from support import Codex as Installed
from support import Home

LIMIT = "hit your usage limit. Upgrade to Pro (https://chatgpt.com/explore/pro), visit https://chatgpt.com/codex/"
PLUS = "To use Codex with your ChatGPT plan, upgrade to Plus: https://chatgpt.com/explore/plus."
ROOM = "Codex ran out of room in the model's context window. Start a new thread or clear earlier history."
CUT = "stream disconnected before completion: "
AT = ", url: http://127.0.0.1:8399/v1/responses"
TOO_LONG = '{"error": {"message": "Your input exceeds the context window.", "code": "context_length_exceeded"}}'

# (Codex's message, its error kind, the reason); as seen with 0.104 (no kind), 0.133, 0.150 and 0.169.
MESSAGES: list[tuple[str, str | None, str]] = [
    (f"unexpected status 401 Unauthorized: Incorrect API key provided{AT}", "http_connection_failed:401", "auth"),
    (f"unexpected status 401 Unauthorized: Incorrect API key provided{AT}", "other", "auth"),
    (f"unexpected status 401 Unauthorized: Incorrect API key provided{AT}", None, "auth"),
    (f"unexpected status 403 Forbidden: Country not supported{AT}", None, "auth"),
    ("exceeded retry limit, last status: 401 Unauthorized, request id: 1", None, "auth"),
    (
        "exceeded retry limit, last status: 429 Too Many Requests",
        "response_too_many_failed_attempts:429",
        "rate_limit",
    ),
    ("exceeded retry limit, last status: 429 Too Many Requests", None, "rate_limit"),
    (f"{CUT}Rate limit reached for gpt. Please try again in 2.5s.", "other", "rate_limit"),
    (
        "rate limit exceeded: Rate limit reached for gpt. Please try again in 2.5s.",
        "rate_limit_exceeded",
        "rate_limit",
    ),
    ("rate limit exceeded: slow", None, "rate_limit"),
    (f"You've {LIMIT}settings/usage to purchase more credits or try again later.", None, "usage_limit"),
    (f"You\u2019ve {LIMIT}settings/usage or try again at 10:26 PM.", None, "usage_limit"),
    (f"You\u2019ve {LIMIT}settings/usage or try again at 10:26 PM.", "usage_limit_exceeded", "usage_limit"),
    (PLUS, None, "usage_limit"),
    (PLUS, "usage_limit_exceeded", "usage_limit"),
    ("Quota exceeded. Check your plan and billing details.", "usage_limit_exceeded", "quota"),
    ("Quota exceeded. Check your plan and billing details.", None, "quota"),
    ("We're currently experiencing high demand, which may cause temporary errors.", None, "model_error"),
    ("We\u2019re currently experiencing high demand, which may cause temporary errors.", None, "model_error"),
    ("We\u2019re currently experiencing high demand.", "internal_server_error", "model_error"),
    ("Selected model is at capacity. Please try a different model.", None, "overloaded"),
    ("Selected model is at capacity. Please try a different model.", "server_overloaded", "overloaded"),
    (f"unexpected status 502 Bad Gateway: <html>Bad gateway</html>{AT}", "http_connection_failed:502", "network"),
    (f"unexpected status 502 Bad Gateway: <html>Bad gateway</html>{AT}", None, "network"),
    ("unexpected status 520 <unknown status code>: error", "http_connection_failed:520", "model_error"),
    (f"unexpected status 413 Payload Too Large: too large{AT}", "http_connection_failed:413", "input_too_large"),
    (
        '{"error": {"message": "Unsupported value: \'bogus\'.", "code": "unsupported_value"}}',
        "other",
        "bad_request",
    ),
    (
        '{"detail": "The \'foo\' model is not supported when using Codex with a ChatGPT account."}',
        None,
        "model_unknown",
    ),
    ('{"error": "nothing more"}', None, "bad_request"),
    ('{"torn', None, "unknown"),
    (TOO_LONG, None, "context_window"),
    (ROOM, None, "context_window"),
    (ROOM.replace("'", "\u2019"), None, "context_window"),
    (ROOM, "context_window_exceeded", "context_window"),
    ("The model `foo` does not exist or you do not have access to it.", "model_not_found", "model_unknown"),
    (
        f"unexpected status 404 Not Found: The model `foo` does not exist or you do not have access to it.{AT}",
        None,
        "model_unknown",
    ),
    (f"unexpected status 404 Not Found: no such path{AT}", None, "bad_request"),
    ("Invalid prompt: we've limited access to this content for safety reasons.", "invalid_prompt", "bad_request"),
    ("Invalid prompt: we've limited access to this content for safety reasons.", None, "bad_request"),
    ("This content was flagged", "cyber_policy", "bad_request"),
    (f"{CUT}something odd", "other", "model_error"),
    (f"{CUT}Incomplete response returned, reason: max_output_tokens", None, "model_error"),
    ("Incomplete response returned, reason: max_output_tokens", "other", "model_error"),
    (f"{CUT}stream closed before response.completed", "other", "network"),
    (f"{CUT}idle timeout waiting for SSE", None, "network"),
    (f"{CUT}error sending request for url (http://127.0.0.1:1/v1/responses)", None, "network"),
    ("Reconnecting... waiting for network (Connection failed: error sending request)", None, "network"),
    (f"Reconnecting... 3/5 (unexpected status 401 Unauthorized: no{AT})", None, "auth"),
    ("connection dropped", "response_stream_disconnected", "network"),
    ("", "response_stream_connection_failed:503", "overloaded"),
    ("", "sandbox_error", "sandbox"),
    ("", "contextWindowExceeded", "context_window"),
    ("", "a_kind_of_tomorrow", "unknown"),
    ("Something nobody has seen.", None, "unknown"),
]


@pytest.mark.parametrize(("message", "info", "reason"), MESSAGES)
def test_messages(message: str, info: str | None, reason: str) -> None:
    # Noise on stderr, which also comes with success, changes nothing.
    found = diagnose(message=message, info=info, stderr_tail=["Error: not a git repository"], exit_code=None)
    assert found.reason == reason
    assert found.message and found.message.endswith((".", "!", "?"))
    assert (found.hint is None) == (reason in ("unknown", "exit_code"))


def test_every_reason_is_one_of_the_record() -> None:
    known = Failure.__dataclass_fields__["reason"].metadata["doc"].removesuffix(".")
    words = set(known.partition(": ")[2].split(", "))
    assert {reason for _, _, reason in MESSAGES} <= words
    assert {row[3] for row in STDERR} <= words


def test_the_message_is_for_a_person() -> None:
    found = diagnose(message=TOO_LONG, info=None, stderr_tail="", exit_code=1)
    assert found.message == "Your input exceeds the context window."
    found = diagnose(message="line one\n  line two", info=None, stderr_tail="", exit_code=1)
    assert (found.reason, found.message) == ("exit_code", "line one line two.")
    found = diagnose(message="x" * 500, info=None, stderr_tail="", exit_code=0)
    assert (found.reason, len(found.message)) == ("unknown", 400)


BACKTRACE = ["", "Stack backtrace:", "   0: <unknown>", "   1: <unknown>", "  12: <unknown>"]
WARNING = (
    'WARNING: proceeding, even though we could not update PATH: Refusing to create ... (codex_home: "/tmp/x")'
)
ROLLOUT = (
    "2026-11-21T11:26:48.182037Z ERROR codex_core::session: failed to record rollout items: thread 01 not found"
)
LONG = (
    "Error: turn/start: turn/start failed: Input exceeds the maximum length of 1048576 characters. (code -32602)"
)
USAGE = [
    "",
    "  tip: to pass '--bogus' as a value, use '-- --bogus'",
    "",
    "Usage: codex exec [OPTIONS] [PROMPT]",
    "       codex exec [OPTIONS] <COMMAND> [ARGS]",
    "",
    "For more information, try '--help'.",
]
MEMORY = "memory allocation of 21473 bytes failed"
DETAILS = "note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace."
REPO = "Not inside a trusted directory and --skip-git-repo-check was not specified."
MCP = "required MCP servers failed to initialize: x: No such file or directory (os error 2)"

# (stderr, exit status, the telling line, the reason); as the real ones wrote it.
STDERR: list[tuple[list[str], int, str | None, str]] = [
    ([WARNING, "Reading prompt from stdin...", REPO], 1, REPO, "not_a_repo"),
    (["Reading additional input from stdin...", LONG, *BACKTRACE], 1, LONG, "input_too_large"),
    (
        ["Error: Model provider `nosuch` not found", *BACKTRACE],
        1,
        "Error: Model provider `nosuch` not found",
        "bad_config",
    ),
    (["Error: config profile `x` not found", *BACKTRACE], 1, "Error: config profile `x` not found", "bad_config"),
    (
        [
            "Error loading config.toml: unknown variant `max`, expected one of `none`",
            "in `model_reasoning_effort`",
            "",
        ],
        1,
        "Error loading config.toml: unknown variant `max`, expected one of `none` in `model_reasoning_effort`",
        "bad_config",
    ),
    (
        [WARNING, 'Error finding codex home: CODEX_HOME points to "/x", but that path does not exist'],
        1,
        'Error finding codex home: CODEX_HOME points to "/x", but that path does not exist',
        "bad_config",
    ),
    (
        ["Error parsing -c overrides: Empty key in override: =1"],
        1,
        "Error parsing -c overrides: Empty key in override: =1",
        "bad_config",
    ),
    (
        ["Failed to read output schema file /nosuch: No such file or directory (os error 2)"],
        1,
        "Failed to read output schema file /nosuch: No such file or directory (os error 2)",
        "bad_config",
    ),
    (
        ["error: unexpected argument '--bogus' found", *USAGE],
        2,
        "error: unexpected argument '--bogus' found",
        "bad_config",
    ),
    (
        [
            f"2026-11-21T11:42:57Z ERROR codex_core::codex: Failed to create session: {MCP}",
            f"Error: Fatal error: Failed to initialize session: {MCP}",
            *BACKTRACE,
        ],
        1,
        f"Error: Fatal error: Failed to initialize session: {MCP}",
        "bad_config",
    ),
    (
        ["Error: No such file or directory (os error 2)", *BACKTRACE],
        1,
        "Error: No such file or directory (os error 2)",
        "exit_code",
    ),
    (["No prompt provided via stdin."], 1, "No prompt provided via stdin.", "bad_request"),
    (
        ["\x1b[31mError:\x1b[0m Model provider `x` not found"],
        1,
        "Error: Model provider `x` not found",
        "bad_config",
    ),
    (
        ["thread 'main' panicked at src/main.rs:1:2:", "index out of bounds", "note: run with `RUST_BACKTRACE=1`"],
        101,
        "thread 'main' panicked at src/main.rs:1:2: index out of bounds",
        "exit_code",
    ),
    ([MEMORY, "stack backtrace:", DETAILS], 134, MEMORY, "exit_code"),
    ([REPO, ROLLOUT], 1, REPO, "not_a_repo"),
    ([ROLLOUT], 1, ROLLOUT, "exit_code"),
    (["Error: first", *BACKTRACE, "Error: second", *BACKTRACE], 1, "Error: second", "exit_code"),
    (["2026-11-21T11:26:48Z  WARN codex_core: something", WARNING], 1, None, "exit_code"),
    ([], 1, None, "exit_code"),
    ([], 0, None, "no_turn"),
]


@pytest.mark.parametrize(("lines", "exit_code", "line", "reason"), STDERR)
def test_stderr(lines: list[str], exit_code: int, line: str | None, reason: str) -> None:
    assert telling_stderr_line(lines) == line
    assert diagnose(message=None, info=None, stderr_tail=lines, exit_code=exit_code).reason == reason
    assert diagnose(message=None, info=None, stderr_tail="\n".join(lines), exit_code=exit_code).reason == reason


def test_a_variable_that_is_not_set_is_not_mended_by_a_login() -> None:
    found = diagnose(message="Missing environment variable: `A_KEY`.", info=None, stderr_tail="", exit_code=1)
    assert found.reason == "auth" and found.hint and "variable" in found.hint and "login" not in found.hint


def test_nothing_known_at_all() -> None:
    assert diagnose(message=None, info=None, stderr_tail="", exit_code=None).reason == "unknown"
    found = diagnose(message="", info="", stderr_tail="", exit_code=7)
    assert (found.reason, found.message) == ("exit_code", "Codex ended with exit status 7 and did not say why.")


RECONNECTS = [
    (
        f"Reconnecting... 1/5 ({CUT}stream closed before response.completed)",
        f"{CUT}stream closed before response.completed",
    ),
    ("Reconnecting... 2/5 (unexpected (very) status)", "unexpected (very) status"),
    (
        "Reconnecting... waiting for network (Connection failed: error sending request)",
        "Connection failed: error sending request",
    ),
    ("Reconnecting... waiting for network", "waiting for network"),
    ("Reconnecting... 5/5", "5/5"),
    ("Reconnecting...", "connection lost"),
    (f"{CUT}stream closed before response.completed", None),
    ("The tool said: Reconnecting... 1/5", None),
    ("", None),
]


@pytest.mark.parametrize(("message", "why"), RECONNECTS)
def test_reconnects(message: str, why: str | None) -> None:
    assert reconnect_reason(message) == why


# --- the same, from the mouths of the real ones

FAILING: dict[str, tuple[Step, str]] = {
    "401": (Step.http(401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}), "auth"),
    "429": (Step.http(429, {"error": {"message": "slow down"}}), "rate_limit"),
    "usage limit": (
        Step.http(429, {"error": {"type": "usage_limit_reached", "plan_type": "plus"}}),
        "usage_limit",
    ),
    "not included": (Step.http(429, {"error": {"type": "usage_not_included"}}), "usage_limit"),
    "500": (Step.http(500, {"error": {"message": "boom"}}), "model_error"),
    "overloaded": (Step.http(503, {"error": {"code": "server_is_overloaded"}}), "overloaded"),
    "400": (
        Step.http(400, {"error": {"message": "Unsupported value", "code": "unsupported_value"}}),
        "bad_request",
    ),
    "404": (
        Step.http(
            404,
            {
                "error": {
                    "message": "The model `x` does not exist or you do not have access to it.",
                    "code": "model_not_found",
                }
            },
        ),
        "model_unknown",
    ),
    "too long": (
        Step.http(400, {"error": {"message": "exceeds the context window", "code": "context_length_exceeded"}}),
        "context_window",
    ),
    "context": (Step.failed("context_length_exceeded"), "context_window"),
    "quota": (Step.failed("insufficient_quota"), "quota"),
    "rate": (Step.failed("rate_limit_exceeded", "Rate limit reached. Please try again in 0.1s."), "rate_limit"),
    "incomplete": (Step.incomplete(), "model_error"),
    "cut": (Step.cut(), "network"),
}
NO_RETRIES = ["model_providers.mock.request_max_retries=0", "model_providers.mock.stream_max_retries=0"]


def flattened(info: Any) -> str | None:
    """``codex_error_info`` as the record keeps it: the kind, and the status if it has one."""
    if isinstance(info, dict):
        ((kind, more),) = info.items()
        status = more.get("http_status_code")
        return kind if status is None else f"{kind}:{status}"
    return info if isinstance(info, str) else None


@pytest.mark.parametrize("kind", FAILING)
def test_real_failures(kind: str, every_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    step, reason = FAILING[kind]
    model.on("fail", *[step] * 3)
    codex = find(every_codex.path, home.env, str(home.agent_home / "cache"))
    argv = exec_argv(codex, ExecOptions(str(repo), "read-only", config=NO_RETRIES))
    done = subprocess.run(
        argv, input="fail", env=home.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    events = [json.loads(line) for line in done.stdout.splitlines()]
    message = next(event["error"]["message"] for event in events if event["type"] == "turn.failed")
    assert reconnect_reason(message) is None
    assert diagnose(message=message, info=None, stderr_tail=done.stderr, exit_code=1).reason == reason
    (rollout,) = (home.codex_home / "sessions").rglob("*.jsonl")
    records = [json.loads(line)["payload"] for line in rollout.read_text().splitlines()]
    errors = [
        record["error"] for record in records if record.get("type") == "task_complete" and record.get("error")
    ]
    for error in errors:  # none up to 0.133
        info = flattened(error["codex_error_info"])
        assert diagnose(message=error["message"], info=info, stderr_tail="", exit_code=1).reason == reason


def test_real_reconnects(each_codex: Installed, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("shaky", Step.flaking(1, Step.cut(), Step.message("There.")))
    codex = find(each_codex.path, home.env, str(home.agent_home / "cache"))
    argv = exec_argv(codex, ExecOptions(str(repo), "read-only"))
    done = subprocess.run(
        argv, input="shaky", env=home.env, capture_output=True, text=True, timeout=60, check=True
    )
    told = [event["message"] for event in map(json.loads, done.stdout.splitlines()) if event["type"] == "error"]
    assert [reconnect_reason(message) for message in told] == [f"{CUT}stream closed before response.completed"]
