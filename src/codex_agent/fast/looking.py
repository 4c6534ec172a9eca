"""Owns `status`, `jobs` and `wait` of the fast routes: parse, take the answers out of the records, print.

Does what cli/looking.py does with the verbs of jobs.py, where nothing has to be worked out.
"""

from __future__ import annotations

import os
import sys

from codex_agent.fast.finding import Jobs
from codex_agent.fast.saying import Said
from codex_agent.fast.words import Words, number, split
from codex_agent.places import home

EXIT_OK, EXIT_FAILED, EXIT_TIMED_OUT = 0, 1, 124  # as in errors.py, which takes longer to load than all of this
STATUSES = ("pending", "queued", "running", "completed", "failed", "interrupted")


def answer(words: list[str]) -> int | None:
    """The exit code of a call of one of these commands; None if it is not for us."""
    if sys.stdout is None or sys.stderr is None or not os.path.isabs(os.environ.get("HOME", "")):
        return None
    jobs = Jobs(home(os.environ))
    command = {"status": _status, "jobs": _jobs, "wait": _wait}[words[0]]
    return command(jobs, words[1:])


def _status(jobs: Jobs, given: list[str]) -> int | None:
    words = split(given, ("--json",), ("--fields",))
    if words is None or len(words.rest) != 1:
        return None
    job_id = jobs.resolve(words.rest[0])
    job = None if job_id is None else jobs.read(job_id)
    said = None if job is None else _said(words)
    if job is None or said is None or not said.one(job):
        return None
    return said.out(EXIT_OK)


def _jobs(jobs: Jobs, given: list[str]) -> int | None:
    words = split(given, ("--json", "--all"), ("--fields", "--limit", "--status"))
    if words is None or words.rest:
        return None
    statuses = words.values.get("--status", [])
    if any(status not in STATUSES for status in statuses):
        return None
    limit, is_known = _limit(words)
    if not is_known:
        return None
    found = jobs.listing(statuses, limit)
    said = None if found is None else _said(words)
    if found is None or said is None:
        return None
    shown, total = found
    if not said.listed(shown, total):
        return None
    if not said.as_json and total > len(shown):
        said.note(f"{total - len(shown)} more: --all")
    return said.out(EXIT_OK)


def _limit(words: Words) -> tuple[int | None, bool]:
    """How many to show, None being all of them; and whether that is known."""
    given = words.last("--limit")
    if given is not None and not (given.isascii() and given.isdecimal() and int(given) >= 1):
        return None, False
    if "--all" in words.flags:
        return None, True
    if given is not None:
        return int(given), True
    from codex_agent.fast import limit

    known = limit.read(os.environ)
    return known, known is not None


def _wait(jobs: Jobs, given: list[str]) -> int | None:
    words = split(given, ("--json", "--any", "--all"), ("--fields", "--timeout", "--until"))
    if words is None or not words.rest or any(value != "end" for value in words.values.get("--until", [])):
        return None
    timeout_s = None
    timeout = words.last("--timeout")
    if timeout is not None:
        timeout_s = number(timeout)
    ids = [jobs.resolve(ref) for ref in words.rest]
    if (timeout is not None and timeout_s is None) or None in ids:
        return None
    whole = list(dict.fromkeys(job_id for job_id in ids if job_id is not None))
    wait_any = "--any" in words.flags
    said = _said(words)
    if said is None or (wait_any and "--all" in words.flags):
        return None
    found = [jobs.read(job_id) for job_id in whole]
    if None in found or not said.check([one for one in found if one is not None]):
        return None
    if wait_any and len(whole) > 1 and not any(one is not None and one.ended for one in found):
        return None  # one thread for each: the other way has them
    done = True
    if not wait_any or len(whole) == 1:
        from codex_agent.fast import sleeping

        done = sleeping.until_ended(jobs, whole, timeout_s)
    now = [jobs.read(job_id) for job_id in whole]
    told = [one for one in now if one is not None]
    if len(told) != len(whole) or not said.waited(told):
        return None
    if not done:
        if not said.as_json:
            said.note(f"Timed out after {timeout_s:g} s.")
        return said.out(EXIT_TIMED_OUT)
    failed = any(one.ended and one.status != "completed" for one in told)
    return said.out(EXIT_FAILED if failed else EXIT_OK)


def _said(words: Words) -> Said | None:
    as_json, fields = "--json" in words.flags, words.last("--fields")
    return None if fields is not None and not as_json else Said(as_json, fields)
