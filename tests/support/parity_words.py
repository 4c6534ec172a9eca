"""Argument lists for the parity test, made from what `status`, `jobs` and `wait` take and what they do not."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Words = tuple[str, ...]

# Ids and names of `parity_homes.healthy`.
ID, ALSO, LIVE, ASKING = "abcd0002", "00000006", "11110001", "11110021"
NAME, TWICE, SPACED, ODD_NAME = "not-there", "till", "two words", "ünïcode 名"

ALIVE = (LIVE, ASKING, "at-work", "idle one", "11110001")

REFS = (
    *(ID, LIVE, ASKING, NAME, TWICE, SPACED, ODD_NAME, "at-work", "idle one"),
    *("abcdef", "cafe", "cafe0", "ca", "abcd000", "1111", "11110001x", "abcd0002 ", " abcd0002", "abcd0002\n"),
    *("a", "z", "", " ", ".", "..", "/", "../jobs/abcd0002", "abcd0002.json", "abcd0002\0"),
    *(
        "ABCD0002",
        "Till",
        "ABCDEF",
        "\uff41\uff42\uff43\uff440002",
        "abcd000\uff12",
        "00000006",
        "6",
        "0",
        "row 1",
    ),
    *("\udcff", "till\udc80", "\U0001f642", "\u202e", "\x1b[31m", "x" * 5000),
)
# Time for a wait that is over at once, and for one that never is. Typer's way may not see in no time at all that a
# job has ended: a thread of its own looks.
LONG, SHORT = "5", "0.01"
STATUSES = ("pending", "queued", "running", "completed", "failed", "interrupted")
BAD_STATUSES = ("", "Running", "running,failed", " running", "runnin", "all", "\udcff", "working", "-")
FIELDS = (
    *("id", "id,status", "status,id", "id,id", " id , status ", "id,,status", ",id", "id,", "elapsed_ms,id"),
    *("tokens", "tokens,cost_usd,unpriced", "failure,warnings,last_message,summary,prompt", "waiting_for,queue"),
    "git,worktree,pull_request,review,resume,files_modified,current_turn,last_turn",
)
BAD_FIELDS = (
    *("", ",", " ", ", ,", "ID", "id;status", "id status", "tokens.input", "bogus", "id,bogus", "bogus,worse"),
    *("generated_at", "jobs", "-id", "--json", "\udcff", "é", "id\n,x"),
)
NUMBERS = (
    *("1", "2", "20", "05", "+5", " 5", "5 ", "\uff15", "1_0", "999999999999999999999"),
    *("0", "-1", "-0", "00", "", " ", "1e1", "1.5", "1.", "0x5", "five", "None", "nan", "_1", "1__0", "\udcff"),
)
# Of a wait that is over at once. What the typer way does with `nan` or too much depends on which thread is faster.
SECONDS = (
    *("5", "5.5", "05", "+5", " 5", "\uff15", "1_0", "1e1", "1.", ".5", "1E2"),
    *("-1", "-0.1", "-inf", "", " ", "1,5", "5s", "0x5", "five", "_1", "--json", "1e1e1", "\udcff"),
)
UNTILS = ("end", "turn", "approval")
BAD_UNTILS = ("bogus", "", "End", "end ", "turn,end", "-end", "--json")


@dataclass(frozen=True)
class Command:
    """What one command takes: references at least, flags, and options each with values, good ones first."""

    name: str
    refs: Words
    flags: Words
    values: dict[str, tuple[Words, Words]]

    def options(self) -> Iterator[Words]:
        """Each option with a good value, in both spellings."""
        for flag in self.flags:
            yield (flag,)
        for name, (good, _) in self.values.items():
            yield (name, good[0])
            yield (f"{name}={good[1]}",)


COMMANDS = (
    Command("status", (ID,), ("--json",), {"--fields": (("id,status", "name"), BAD_FIELDS)}),
    Command(
        "jobs",
        (),
        ("--json", "--all"),
        {
            "--fields": (("id,status", "name"), BAD_FIELDS),
            "--limit": (("3", "1"), NUMBERS),
            "--status": (("completed", "running"), BAD_STATUSES),
        },
    ),
    Command(
        "wait",
        (ID,),
        ("--json", "--any", "--all"),
        {
            "--fields": (("id,status", "name"), BAD_FIELDS),
            "--until": (("turn", "approval"), BAD_UNTILS),
            "--timeout": (("5", "0.5"), SECONDS),
        },
    ),
)


def _each(command: Command) -> Iterator[Words]:
    """Every option by itself, twice, in every position, with every bad value and with none."""
    name, refs = command.name, command.refs
    yield (name,)
    yield (name, *refs)
    yield (*refs, name)
    for given in command.options():
        yield (name, *given)
        yield (name, *given, *refs)
        yield (name, *refs, *given)
        yield (*given, name, *refs)
        yield (name, *refs, *given, *given)
        yield (name, *given, *refs, *given)
        yield (name, *refs, given[0])  # its value is missing, or it was a flag
        yield (name, given[0], *refs)  # the reference is its value
    for flag in command.flags:
        for word in (f"{flag}=", f"{flag}=1", f"{flag}=true", flag[:-1], f"{flag}x", flag[1:], f"-{flag}"):
            yield (name, *refs, word)
        yield (name, *refs, flag, "true")
        yield (name, *refs, flag.upper())
        yield (name, *refs, f"--no-{flag[2:]}")
    for option, (good, bad) in command.values.items():
        for value in (*good, *bad):
            yield (name, *refs, "--json", option, value)
            yield (name, *refs, f"{option}={value}")
            yield (name, f"{option}={value}", "--json", *refs)
        yield (name, *refs, option, "--", good[0])
        yield (name, *refs, option[:-1], good[0])
        yield (name, *refs, option[1:], good[0])
        yield (name, *refs, f"{option}x", good[0])
        yield (name, *refs, option, good[0], f"{option}={good[1]}", "--json")
        yield (name, *refs, option, bad[0], f"{option}={good[1]}", "--json")
        yield (name, *refs, option, good[0], f"{option}={bad[0]}", "--json")


def _pairs(command: Command) -> Iterator[Words]:
    """Every two options together, the references before, between and behind them."""
    for number, (one, other) in enumerate(itertools.permutations(command.options(), 2)):
        parts = [one, other]
        parts.insert(number % 3, command.refs)
        yield (command.name, *itertools.chain(*parts))


def _help(command: Command) -> Iterator[Words]:
    name, refs = command.name, command.refs
    for word in ("-h", "--help", "--help=1", "--hel", "-help", "-hh", "-?", "--version"):
        yield (name, word)
        yield (name, *refs, word)
        yield (name, word, *refs)
        yield (word, name, *refs)
        yield (name, *refs, "--fields", "bogus", word)
        yield (name, *refs, "--bogus", word)
        yield (name, *refs, "--fields", word)
        yield (name, *refs, "--", word)


def _dashes(command: Command) -> Iterator[Words]:
    name, refs = command.name, command.refs
    for more in ((), *((option) for option in command.options())):
        yield (name, "--", *refs, *more)
        yield (name, *refs, "--", *more)
        yield (name, *more, "--", *refs)
        yield ("--", name, *refs, *more)
    for word in ("-", "--", "---", "-x", "--bogus", "-1", "--=", "--=x", "-=", "--json", "", "-j", "--j", "extra"):
        yield (name, *refs, word)
        yield (name, word, *refs)
        yield (name, *refs, "--json", word)
        yield (name, *refs, "--", word)
    yield (name, "--", "--", *refs)
    yield (name, *refs, "--", "--")
    for option in command.values:
        yield (name, *refs, option, "")
        yield (name, *refs, f"{option}=", "--json")
        yield (name, *refs, option, "--json")
        yield (name, *refs, option, "--json", "--json")
        yield (name, *refs, "--json", option)
        yield (name, *refs, "--json", option, "-h")


def _top() -> Iterator[Words]:
    yield from (
        (),
        ("",),
        ("--version",),
        ("-h",),
        ("--help",),
        ("--",),
        ("-",),
        ("--json",),
        ("--version", "--json"),
    )
    for word in (
        "statu",
        "Status",
        "STATUS",
        " status",
        "status ",
        "statuss",
        "job",
        "waits",
        "sta tus",
        "\udcff",
    ):
        yield (word,)
        yield (word, ID, "--json")
    yield from (
        ("help", "status"),
        ("status", "status"),
        ("jobs", "jobs"),
        ("jobs", ID),
        ("status", "jobs", "--json"),
    )
    yield from (
        ("--version", "status", ID),
        ("--json", "status", ID),
        ("--bogus", "jobs"),
        ("--version=1", "jobs"),
    )
    yield from (("await-turn",), ("await-turn", ID), ("await-turn", ID, "--json"), ("await-turn", "z"))
    yield from (("do something for me",), ("status", ID, ID), ("status", ID, ALSO, "--json"), ("wait",))


def _references() -> Iterator[Words]:
    for ref in REFS:
        yield ("status", ref)
        yield ("status", ref, "--json")
        yield ("wait", ref, "--timeout", SHORT if ref in ALIVE else LONG, "--json")
    for ref in REFS[::3]:
        yield ("status", "--", ref)
        yield ("wait", "--any", ID, ref, "--json")
    for ref in (TWICE, "cafe0", "1111", "z", ""):
        yield ("status", "--json", "--fields=id,name", ref)
        yield ("wait", ID, ref, "--timeout=5")
    groups: list[Words] = [
        *((ID, ID), (ID, ALSO), (ALSO, ID), (ID, "abcd0002", SPACED), (TWICE, "cafe0005"), (ID, "0000000c")),
        *((ID, "z"), ("z", ID), ("z", "y"), (ID, "1111", "z"), ("0000000c", "0000000e", "0000000d")),
    ]
    for refs in groups:
        yield ("wait", *refs)
        yield ("wait", *refs, "--timeout", LONG, "--json")
        yield ("wait", "--any", *refs, "--json", "--fields", "id,status")
        yield ("wait", "--all", *refs, "--timeout", LONG)
    groups = [(LIVE,), (LIVE, ASKING), (LIVE, LIVE), (LIVE, "at-work"), (LIVE, "z"), (ID, LIVE), (LIVE, ID)]
    for refs in groups:
        for timeout in ("0", SHORT, "-0", "1e-3", "1e-9", "00.0"):
            yield ("wait", *refs, "--timeout", timeout)
            yield ("wait", *refs, "--timeout", timeout, "--json", "--all")
    for until in UNTILS[1:]:
        yield ("wait", LIVE, "--timeout", SHORT, "--until", until)
    for timeout in ("nan", "-nan", "NaN"):  # more than there is of time would wait for the job
        yield ("wait", LIVE, "--timeout", timeout)
        yield ("wait", LIVE, "--timeout", timeout, "--json")
    for ref in (ID, "0000000d", "0000000e", "00000010", "abcdef03"):
        for until in UNTILS:
            yield ("wait", ref, "--until", until)
            yield ("wait", ref, "--json", f"--until={until}", "--timeout", "1")


def _values() -> Iterator[Words]:
    for fields in FIELDS:
        yield ("status", ID, "--json", "--fields", fields)
        yield ("status", ASKING, "--json", f"--fields={fields}")
        yield ("jobs", "--json", "--fields", fields)
        yield ("jobs", "--fields", fields)
        yield ("wait", ID, ALSO, "--json", "--fields", fields)
    for status in STATUSES:
        yield ("jobs", "--status", status)
        yield ("jobs", "--json", f"--status={status}", "--limit", "2")
        yield ("jobs", "--all", "--status", status, "--status", "completed", "--json")
    yield ("jobs", "--status", "running", "--status", "bogus")
    yield ("jobs", "--status", "running", "--limit", "0")


def everything() -> list[Words]:
    """All of them, each once."""
    found: list[Words] = []
    for command in COMMANDS:
        for some in (_each, _pairs, _help, _dashes):
            found += some(command)
    return list(dict.fromkeys((*found, *_top(), *_references(), *_values())))


def looks(refs: Iterable[str], alive: Iterable[str] = ()) -> list[Words]:
    """What is asked of any home: of all of it, and of each of these jobs; for the living there is little time."""
    found: list[Words] = [("jobs",), ("jobs", "--json"), ("jobs", "--all"), ("jobs", "--all", "--json")]
    found += [
        ("jobs", "--limit", "2"),
        ("jobs", "--json", "--fields", "id,status"),
        ("jobs", "--status", "running"),
    ]
    for ref, patience in (*((ref, LONG) for ref in refs), *((ref, SHORT) for ref in alive)):
        found += [("status", ref), ("status", ref, "--json"), ("status", ref, "--json", "--fields", "id,failure")]
        found += [("wait", ref, "--timeout", patience), ("wait", ref, "--timeout", patience, "--json")]
    return found


def plain_calls(ended: list[str], alive: list[str]) -> list[Words]:
    """What everybody calls all day: the fast way must take every one of these where all records are sound."""
    found: list[Words] = [("jobs",), ("jobs", "--json"), ("jobs", "--all"), ("jobs", "--json", "--all")]
    found += [
        ("jobs", "--limit", "3"),
        ("jobs", "--limit=3", "--json"),
        ("jobs", "--json", "--fields", "id,status"),
    ]
    found += [("jobs", "--status", "running"), ("jobs", "--status=completed", "--json")]
    found += [("jobs", "--status", "failed", "--status", "running")]
    for ref, patience in (*((ref, LONG) for ref in ended), *((ref, SHORT) for ref in alive)):
        found += [("status", ref), ("status", ref, "--json"), ("status", "--json", ref)]
        found += [("status", ref, "--json", "--fields", "id,status,turn_state")]
        found += [("wait", ref, "--timeout", patience), ("wait", ref, "--timeout", patience, "--json")]
    for ref in ended:
        found += [("wait", ref), ("wait", ref, "--json"), ("wait", "--json", "--fields=id,status", ref)]
    if len(ended) > 1:
        found += [("wait", *ended[:3]), ("wait", *ended[:3], "--json"), ("wait", "--any", *ended[:2])]
    return found
