"""The likely cause, where it is only words: every reason has its sentences, and what a cause is taken from is read
right. What can be provoked is in ``test_causes.py`` and ``test_causes_ends.py``.
"""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent import oom
from codex_agent.cause_words import WORDS, moment, reset
from codex_agent.causes import Seen, likely_cause
from codex_agent.codex.limits import reset_counted, reset_said
from codex_agent.codex.sandbox import refusal
from codex_agent.diagnosis_answers import Cause
from codex_agent.model import Facts, Failure, Job, Process, Record, Request, Turn, Waiting
from codex_agent.verdict import job_view

NOW = time.mktime((2026, 11, 21, 20, 0, 0, 0, 0, -1))
REASONS = set(re.findall(r"\w+", Failure.__dataclass_fields__["reason"].metadata["doc"].partition(":")[2]))


def seen(
    reason: str | None = None, message: str = "Words.", *, stderr: list[str] | None = None, **facts: Any
) -> Seen:
    """A job that failed so (or that runs, without a reason), with these facts."""
    request = Request("exec", "a task", 6, "/nowhere", "workspace-write", codex_home="/nowhere/.codex")
    record = Record(1, "0123abcd", None, "2026-11-21T19:00:00.000Z", "m", "s", request, Facts())
    record.facts.ended_at = None if reason is None else "2026-11-21T19:59:00.000Z"
    for name, value in facts.items():
        setattr(record.facts, name, value)
    job: Job = job_view(record, alive=True, now=NOW)
    if reason is not None:
        failure = Failure(reason, message, signal=record.facts.exit_signal, exit_code=record.facts.exit_code)
        job = dataclasses.replace(
            job, status="failed", turn_state=None, failure=failure, completed_at="2026-11-21T19:59:00.000Z"
        )
    return Seen(record, job, NOW, stderr=stderr or [])


def told(what: Seen) -> Cause:
    """The cause; no sentence has a brace left in it, none is empty, none has two full stops."""
    found = likely_cause(what)
    for line in (found.cause, *found.advice):
        assert line and not re.search(r"[{}]|\.\.$|  ", line), line
    return found


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_of_a_failure_has_words(reason: str) -> None:
    found = told(seen(reason))
    assert found.cause.endswith((".", "?", "!", "Words.")) and found.advice is not None
    assert found.reason in WORDS


def test_a_reason_of_a_later_version_is_told_in_its_own_words() -> None:
    found = told(seen("of_tomorrow", "Something new."))
    assert (found.reason, found.cause) == ("of_tomorrow", "Something new.")


def test_words_are_for_reasons_that_somebody_gives() -> None:
    code = (Path(oom.__file__).parent / "causes.py").read_text()
    given = set(re.findall(r'"(\w+)"', code)) | REASONS | {"lost_start", "lost_queue"}
    assert set(WORDS) <= given


def test_going_on_is_offered_only_where_there_is_a_thread() -> None:
    assert not any("send" in line for line in told(seen("killed")).advice)
    assert any("send 0123abcd" in line for line in told(seen("killed", thread_id="t")).advice)


# ---- the account ----


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Your access token could not be refreshed because your refresh token was already used.", "login_expired"),
        ("Your session has ended. Please log in again.", "login_expired"),
        ("unexpected status 401 Unauthorized: no", "key_refused"),
        ("unexpected status 403 Forbidden: no", "forbidden"),
        ("Missing environment variable: `A_KEY`.", "key_missing"),
        ("Not logged in.", "not_logged_in"),
    ],
)
def test_who_is_not_let_in(message: str, reason: str) -> None:
    assert told(seen("auth", message)).reason == reason


def local(*when: int) -> float:
    year, month, day, hour, minute = when
    return time.mktime((year, month, day, hour, minute, 0, 0, 0, -1))


@pytest.mark.parametrize(
    ("message", "at"),
    [
        ("You\u2019ve hit your usage limit. Visit x or try again at 10:26 PM.", local(2026, 11, 21, 22, 26)),
        ("Try again at 8:00 PM.", local(2026, 11, 21, 20, 0)),
        ("try again at 12:05 AM.", local(2026, 11, 22, 0, 5)),
        ("try again at 12:05 PM.", local(2026, 11, 22, 12, 5)),
        ("try again at 9:00 AM.", local(2026, 11, 22, 9, 0)),
        ("Try again at Nov 24th, 2026 4:10 AM.", local(2026, 11, 24, 4, 10)),
        ("Try again at Jan 1st, 2027 12:00 PM.", local(2027, 1, 1, 12, 0)),
        ("try again later.", None),
        ("Try again at Foo 1st, 2027 12:00 PM.", None),
        ("", None),
    ],
)
def test_when_codex_says_the_limit_is_reset(message: str, at: float | None) -> None:
    assert reset_said(message, NOW) == at


def test_when_codex_counts_the_limit_to_be_reset() -> None:
    full, empty = {"used_percent": 100.0, "resets_at": 5}, {"used_percent": 99.0, "resets_at": 9}
    assert reset_counted({"primary": full, "secondary": empty}) == 5
    assert reset_counted({"primary": full, "secondary": {**full, "resets_at": 7}}) == 7
    assert reset_counted({"primary": empty, "secondary": None}) is None
    assert reset_counted({"primary": {"used_percent": "all", "resets_at": None}}) is None
    assert reset_counted(None) is None


def test_a_limit_that_was_reset_meanwhile() -> None:
    what = seen("usage_limit", "You've hit your usage limit.")
    what.rollout_limits = {"primary": {"used_percent": 100, "resets_at": NOW - 60}}
    assert told(what).cause.endswith(f"It was reset at {moment(NOW - 60)}: it can go on.")
    assert reset(NOW + 90 * 60, NOW).endswith("in 1h30m.")


# ---- what runs ----


def test_jobs_that_run() -> None:
    turn = Facts().turn
    turn.state = "open"
    running: dict[str, Any] = {"started_at": "2026-11-21T19:00:01.000Z", "turn": turn}
    what = seen(**running)
    assert told(what).cause == "Nothing is wrong. The agent is at work."
    what.silent_s = 119
    assert told(what).reason == "none"
    what.silent_s = 150
    assert told(what).reason == "silent" and "2m30s" in told(what).cause
    what = seen(**running, reconnecting="Reconnecting... 2/5 (unexpected status 401 Unauthorized: no)")
    assert told(what).reason == "key_refused" and "tries again" in told(what).cause
    what = seen(**running)
    what.job = dataclasses.replace(what.job, turn_state="unknown", turn_state_reason="The title says nothing.")
    assert told(what).reason == "unknown_state"
    ask = Waiting(3, "question", "2026-11-21T19:00:00.000Z", reason="Which one?")
    what.job = dataclasses.replace(what.job, turn_state="waiting_input", waiting_for=ask)
    assert told(what).reason == "waiting_input" and "answer 0123abcd -n 3" in told(what).advice[0]
    what.job = dataclasses.replace(what.job, turn_state="waiting_approval", waiting_for=None)
    assert told(what).reason == "waiting_pane"


def test_who_interrupted_it() -> None:
    assert told(seen("interrupted", stop_reason="interrupted")).reason == "ctrl_c"
    assert told(seen("interrupted", ended_at=None)).reason == "lost_supervisor", (
        "its end could not be written so far"
    )
    for lost in ("reboot", "start", "queue"):
        assert lost in told(seen("interrupted", lost=lost)).reason


# ---- the machine ----


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Error: No space left on device (os error 28)", "disk_full"),
        ("Error: Too many open files (os error 24)", "open_files"),
        ("Error: failed to open state db: Permission denied (os error 13)", "not_permitted"),
        ("thread 'main' panicked at src/main.rs:1:2: index out of bounds", "crash"),
        ("Error: Cannot allocate memory (os error 12)", "memory_limit"),
        ("Error: something else", "exit_code"),
    ],
)
def test_what_codex_says_of_the_machine(line: str, reason: str) -> None:
    assert (
        told(seen("exit_code", "Words.", stderr=["Reading prompt from stdin...", line], exit_code=1)).reason
        == reason
    )


KILLED = "Memory cgroup out of memory: Killed process 4711 (codex) total-vm:1048576kB, anon-rss:65536kB, UID:0"


@pytest.mark.parametrize(
    ("reason", "facts"),
    [
        ("signal", {"exit_signal": 9}),
        ("channel_lost", {"stop_reason": "channel_lost"}),
        ("interrupted", {"lost": "supervisor", "supervisor": Process(4711, 1)}),
        ("interrupted", {"supervisor": Process(4711, 1), "ended_at": None}),
    ],
)
def test_the_kernel_says_that_it_killed_it(reason: str, facts: dict[str, Any]) -> None:
    what = seen(reason, **facts)
    assert told(what).reason != "memory"
    what.kernel = [KILLED]
    assert told(what).reason == "memory" and told(what).evidence == [f"kernel: {KILLED}"]


def test_who_was_killed_otherwise_was_not_killed_for_memory() -> None:
    """The counter names nobody: a command of the agent's may have been it, or another job's."""
    assert told(seen("killed", stop_reason="killed", exit_signal=9, oom_kills=1)).reason == "killed"
    assert told(seen("signal", exit_signal=15, oom_kills=1)).reason == "asked_to_end"
    assert told(seen("auth", exit_code=1, oom_kills=1)).reason == "key_refused"


LOG = (
    "6,900,1000000,-;an early line\n"
    "6,901,2000000,-;Out of memory: Killed process 4711 (codex) total-vm:1kB\n"
    f"4,902,9000000,-;{KILLED}\n SUBSYSTEM=memory\n"
    "6,903,9000001,-;oom_reaper: reaped process 4711 (codex), now anon-rss:0kB\n"
    "6,904,9000002,c;Out of memory: Killed process 47 (other) total-vm:1kB\n"
    "no record at all\n"
)


def test_the_kernels_log(tmp_path: Path) -> None:
    log = tmp_path / "kmsg"
    log.write_text(LOG)
    booted = time.time() - time.monotonic()
    assert oom.told([4711], booted + 5, str(log)) == [KILLED]
    assert len(oom.told([4711, 47], booted, str(log))) == 3
    assert oom.told([1], 0, str(log)) == oom.told([4711], 0, str(tmp_path / "none")) == []


def test_the_kernel_of_this_machine_can_be_asked() -> None:
    assert oom.told([2**22 + 1], 0) == []
    number = oom.count()
    assert number is None or number >= 0


@pytest.mark.parametrize(
    ("own", "file", "text", "number"),
    [
        (
            "0::/user.slice/a.scope",
            "user.slice/a.scope/memory.events",
            "low 0\noom 4\noom_kill 3\noom_group_kill 0\n",
            3,
        ),
        ("0::/host/only", "memory.events", "oom 1\noom_kill 1\n", 1),
        ("5:cpu,memory:/box\n0::/", "memory/box/memory.oom_control", "oom_kill_disable 0\noom_kill 2\n", 2),
        ("5:memory:/host/only\n0::/", "memory/memory.oom_control", "under_oom 0\noom_kill 7\n", 7),
        ("0::/x", "other", "", None),
    ],
)
def test_the_control_groups_counter(own: str, file: str, text: str, number: int | None, tmp_path: Path) -> None:
    """As the kernel lays it out: version 2, version 1, and both in a container that does not see its own path."""
    (tmp_path / "own").write_text(f"{own}\n")
    place = tmp_path / "groups" / file
    place.parent.mkdir(parents=True)
    place.write_text(text)
    assert oom.count(str(tmp_path / "groups"), str(tmp_path / "own")) == number
    assert oom.count(str(tmp_path / "groups"), str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("output", "is_one"),
    [
        ("bwrap: No permissions to create a new namespace, likely because ...\n", True),
        ("\nbwrap: Creating new namespace failed: nesting depth\nmore\n", True),
        ("\nthread 'main' panicked at linux-sandbox/src/linux_run_main.rs:30:9:\nerror running landlock\n", True),
        ("error running landlock: Sandbox(LandlockRestrict)\n", True),
        ("touch: cannot touch '/x': Read-only file system\n", False),
        ("the docs say: bwrap: is a program\n", False),
        ("make: *** [all] Error 2\nbwrap: later\n", False),
        ("", False),
    ],
)
def test_the_sandbox_refuses_by_itself(output: str, is_one: bool) -> None:
    line = refusal(output)
    assert (line is not None) == is_one and (line is None or "\n" not in line)


def test_a_sandbox_that_works_and_forbids() -> None:
    what = seen("sandbox", "Too many denials.", rollout_turn=Turn(error_info="too_many_denials"))
    assert told(what).reason == "denied" and "workspace-write" in told(what).cause
    what.refused = ["bwrap: No permissions"]
    assert told(what).reason == "sandbox"


@pytest.mark.parametrize(
    ("message", "stderr", "why"),
    [
        ("stream disconnected before completion: stream closed before response.completed", "", "in the middle"),
        ("Connection failed: error sending request", "ERROR x: failed to lookup address information", "resolved"),
        (
            "Connection failed: error sending request",
            "ERROR x: Connection refused (os error 111)",
            "Nothing listens",
        ),
        ("idle timeout waiting for SSE", "ERROR x: connection refused", "too long"),
        ("Connection failed: error sending request", "a remark about a proxy", ""),
    ],
)
def test_why_the_model_was_out_of_reach(message: str, stderr: str, why: str) -> None:
    found = told(seen("network", message, stderr=[stderr]))
    assert why in found.cause and (why or found.cause.endswith("connection broke.")), found
