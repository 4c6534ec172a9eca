"""Owns ``doctor --report``: what somebody who is to find a fault needs to know of this machine, as Markdown.

Must never hold a secret, a prompt, an answer or a file's content: what comes from outside goes through
``masking``, and folders below the home folder begin with ``~``. Whoever sends it is asked to look first.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import re
import resource
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping

from codex_agent import __version__, diagnosing, health, jobs, masking, oom, settings
from codex_agent.diagnosis_answers import Diagnosis
from codex_agent.errors import CodexAgentError
from codex_agent.gates.conditions import GIB, MIB, disk_free, memory_free
from codex_agent.model import TERMINAL, stamp
from codex_agent.store import Store
from codex_agent.text import plain, span

_JOBS, _EVENTS = 5, 20
_STDERR_LINES = 12
_OURS = re.compile(
    r"CODEX|OPENAI_(?:BASE|ORG)|TMUX|TERM$|COLORTERM$|LANG$|LC_|SHELL$|XDG_|NO_COLOR$|\w+_proxy$", re.I
)
_LIMITS = {
    "address space": resource.RLIMIT_AS,
    "processor seconds": resource.RLIMIT_CPU,
    "file size": resource.RLIMIT_FSIZE,
    "open files": resource.RLIMIT_NOFILE,
    "stack": resource.RLIMIT_STACK,
}
_HEAD = """\
# codex-agent: a report

Put together at {at}. Keys, prompts, answers and files are left out, and folders below the home folder begin
with `~`. Names of folders and what Codex wrote to stderr are in it: look through it before you send it.

## What happened

(What you did, what you expected, what came instead. The id of the job, if it is about one.)
"""


def text(environ: Mapping[str, str]) -> str:
    """The report. What cannot be found out is said in its place."""
    store = Store(settings.home(environ))
    parts = [
        _HEAD.format(at=stamp()),
        _section("Versions", _versions()),
        _section("Checks", _checks(environ)),
        _section("Machine", _machine(store.home)),
        _section("Settings that are not the default", _settings(environ)),
        _section("Environment", [f"{name}={value}" for name, value in _environment(environ).items()]),
        _section("Jobs", _jobs(store)),
        *_failures(store, environ),
    ]
    home = settings.user_home(environ).rstrip("/")
    whole = "\n".join(parts)
    return re.sub(rf"{re.escape(home)}(?=[/\s:'\"`,;)]|$)", "~", whole) if home else whole


def _section(title: str, lines: Iterable[str]) -> str:
    """A heading and a fenced block, which nothing in the lines can end."""
    told = [masking.text(" ".join(plain(line).split("\n"))) for line in lines] or ["-"]
    longest = max((len(run) for line in told for run in re.findall(r"`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"## {title}", "", f"{fence}text", *told, fence, ""])


def _versions() -> list[str]:
    return [
        f"codex-agent {__version__}, Python {platform.python_version()}",
        f"{platform.system()} {platform.release()} {platform.machine()}",
        *(f"{line}" for line in _distribution()),
    ]


def _distribution() -> list[str]:
    try:
        told = platform.freedesktop_os_release()
    except OSError:
        return []
    return [told.get("PRETTY_NAME", told.get("ID", ""))]


def _checks(environ: Mapping[str, str]) -> list[str]:
    return [
        f"{'ok  ' if check.ok else 'MISS'}  {check.name:<11}  {check.detail}"
        for check in health.check(environ).checks
    ]


def _machine(home: str) -> list[str]:
    free, kills = memory_free(), oom.count()
    lines = [
        f"processors: {os.cpu_count()}, load: {' '.join(f'{load:.2f}' for load in os.getloadavg())}",
        f"memory free: {'not known' if free is None else f'{free // MIB} MiB'}",
        f"processes killed for memory in this control group: {'not known' if kills is None else kills}",
        f"user: {'root' if os.geteuid() == 0 else 'not root'}, container: {_container() or 'none seen'}",
        "limits: " + ", ".join(f"{name} {_limit(number)}" for name, number in _LIMITS.items()),
    ]
    try:
        lines.append(f"room where jobs are kept: {disk_free(home) / GIB:.1f} GiB")
    except OSError as error:
        lines.append(f"room where jobs are kept: not known ({error.strerror})")
    return lines


def _container() -> str | None:
    """What kind of container this seems to be, by the marks that they leave."""
    for path, name in (("/.dockerenv", "docker"), ("/run/.containerenv", "podman")):
        if os.path.exists(path):
            return name
    try:
        with open("/run/systemd/container", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def _limit(number: int) -> str:
    soft, _ = resource.getrlimit(number)
    return "none" if soft == resource.RLIM_INFINITY else str(soft)


def _settings(environ: Mapping[str, str]) -> list[str]:
    try:
        rows = settings.show(environ)
    except CodexAgentError as error:
        return [error.message]
    told = []
    for row in rows:
        if row.origin != "default":
            value = shlex.join(masking.argv(row.value)) if isinstance(row.value, tuple) else str(row.value)
            told.append(f"{row.key} = {masking.value(row.key, value)} ({row.origin})")
    return told


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    return masking.environment({name: value for name, value in environ.items() if _OURS.match(name)})


def _jobs(store: Store) -> list[str]:
    try:
        found = jobs.listing(store)
    except CodexAgentError as error:
        return [error.message]
    counted = Counter(
        f"{job.status}{f'/{job.turn_state}' if job.turn_state else ''} {job.mode}"
        + (f" ({job.failure.reason})" if job.failure else "")
        for job in found.jobs
    )
    lines = [f"{number:>5}  {what}" for what, number in counted.most_common()]
    return lines + [f"unreadable: {problem.id} {problem.code}: {problem.message}" for problem in found.problems]


def _failures(store: Store, environ: Mapping[str, str]) -> list[str]:
    """The last jobs that did not complete, newest first."""
    try:
        found = [job for job in jobs.listing(store).jobs if job.status in TERMINAL and job.failure is not None]
    except CodexAgentError:
        return []  # said above
    parts = []
    for job in found[:_JOBS]:
        try:
            told = diagnosing.diagnose(store, job.id, environ)
            parts.append(_section(f"Job {job.id}: {job.status}", [*_job(told), *_events(store, job.id)]))
        except CodexAgentError as error:
            parts.append(_section(f"Job {job.id}", [error.message]))
    return parts


def _job(told: Diagnosis) -> list[str]:
    versions = told.versions
    pairs = {
        "failure": f"{told.failure_reason}: {told.failure}",
        "likely cause": f"{told.cause.reason}: {told.cause.cause}",
        "taken from": "; ".join(told.cause.evidence),
        "codex's error": " ".join(word for word in (told.codex_error, told.codex_error_info) if word),
        "mode": f"{told.mode} ({told.driver}), {told.sandbox}, approval {told.approval}, model {told.model}",
        "end": f"exit code {told.exit_code}, signal {told.signal_name}, stopped {told.stop_reason}, "
        f"written by {told.settled_by}",
        "course": f"{span(told.duration_ms)}, {told.turns} turns, {told.runs} runs, {told.heartbeats} heartbeats, "
        f"{told.silences} silences, {told.stdout_bytes} + {told.stderr_bytes} bytes, last activity "
        f"{told.last_activity_at} ({told.last_activity_by})",
        "versions": f"codex-agent {versions.codex_agent}, Codex {versions.codex}, tmux {versions.tmux}",
        "command": shlex.join(told.command),
    }
    lines = [f"{name}: {value}" for name, value in pairs.items() if value]
    lines += [f"warning: {warning}" for warning in told.warnings]
    return lines + [f"stderr: {line}" for line in told.stderr[-_STDERR_LINES:]]


def _events(store: Store, job_id: str) -> list[str]:
    """What happened when, without what was said; heartbeats left out."""
    told = []
    try:
        with open(store.path(job_id, ".events.jsonl"), "rb") as lines:
            for line in lines:
                with contextlib.suppress(ValueError, KeyError, TypeError):  # a torn line tells nothing
                    event = json.loads(line)
                    if event["event"] != "heartbeat":
                        told.append(f"event: {event['at']} {event['event']}")
    except OSError as error:
        return [f"events: {error.strerror}"]
    return told[-_EVENTS:]
