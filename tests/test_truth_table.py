"""The truth table: what an agent is said to do while something happens to it, for each way in which Codex is driven.

Every row is provoked for real (``support/provoking.py``, ``support/ending.py``), and within a second of the moment at
which it is true, `status` must say what stands here, and go on saying it. The same table is in docs/states.md: after
a change run ``python tests/test_truth_table.py`` in an environment with the package's requirements.

``CODEX_AGENT_TEST_ROUNDS=10`` provokes each situation ten times in succession; fewer by default, for time's sake.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

TOP = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[:0] = [str(TOP / "src"), str(TOP / "tests")]

from codex_agent.codex.interactive import records_failures  # noqa: E402
from codex_agent.model import Status, TurnState  # noqa: E402
from support import codex, ending, provoking  # noqa: E402
from support.codexes import WHEELS  # noqa: E402
from support.jobs import place, see  # noqa: E402
from support.situations import Play, Scene, Way  # noqa: E402

WITHIN_S = 1.0
LOOKS, PAUSE_S = 5, 0.02  # what is said must stay so
ROUNDS = int(os.environ.get("CODEX_AGENT_TEST_ROUNDS", "0"))
DOCUMENT = TOP / "docs" / "states.md"


class Row(NamedTuple):
    """A situation. What is said of it: status/turn_state (what it waits for, how the turn ended, why the job did);
    empty where it cannot arise.
    """

    what: str
    play: Callable[[Scene], Play]
    exec: str = ""
    channel: str = ""
    plain: str = ""
    plain_old: str = ""  # with a Codex before 0.150, which does not write down that a turn has failed

    def wanted(self, scene: Scene) -> str:
        old = scene.way == "plain" and self.plain_old and not records_failures(scene.codex.version)
        return self.plain_old if old else str(getattr(self, scene.way))


WORKING, RECONNECTING = "running/working", "running/reconnecting"
IDLE, CUT = "running/idle (completed)", "running/idle (interrupted)"
COMMAND, FILES = "running/waiting_approval (command)", "running/waiting_approval (file_change)"
QUESTION, PROMPT = "running/waiting_input (question)", "running/waiting_approval (prompt)"
KILLED, CLOSED, LOST = "interrupted (killed)", "interrupted (closed)", "interrupted (interrupted)"
INACTIVE, TOO_LONG, SIGNAL = "failed (timeout_inactivity)", "failed (timeout_total)", "failed (signal)"
UNKNOWN = "running/unknown"
OUT, USED_UP, ERROR = "running/context_limit (failed)", "running/usage_limit (failed)", "running/error (failed)"

# fmt: off
TABLE: dict[str, tuple[Row, ...]] = {
    "It comes up": (
        Row("Codex has been run and has not come up", provoking.comes_up, "running/starting", "pending/starting", "pending/starting"),
        Row("the model thinks about the first message", provoking.first_turn, WORKING, WORKING, WORKING),
    ),
    "It works": (
        Row("the model thinks, without a word", provoking.model_thinks, "", WORKING, WORKING),
        Row("a command of the agent's runs", provoking.command_runs, WORKING, WORKING, WORKING),
        Row("a message has gone into the running turn", provoking.steered, "", WORKING, WORKING),
        Row("a message waits for the turn's end", provoking.queued, WORKING, WORKING, WORKING),
        Row("the turn has ended, and the message that waited began the next", provoking.queued_turn, WORKING, WORKING, WORKING),
        Row("a message has cut the turn off and begun the next", provoking.cut_by_message, "", WORKING, WORKING),
        Row("the job had ended, and a message reopened it", provoking.reopened, WORKING, WORKING, WORKING),
        Row("a sub-agent's turn has ended, the agent's own goes on", provoking.sub_agent_ends, WORKING, WORKING, WORKING),
        Row("Codex has had the task named by a turn of another thread", provoking.names_the_task, "", WORKING, WORKING),
    ),
    "The line to the model": (
        Row("the connection drops, and Codex tries again and again", provoking.connection_drops, RECONNECTING, RECONNECTING, WORKING),
        Row("nobody answers at the model's address", provoking.no_network, RECONNECTING, RECONNECTING, WORKING),
        Row("connected again, and a command runs", provoking.connected_again, WORKING, WORKING, WORKING),
    ),
    "It has handed the turn back": (
        Row("the turn has ended", provoking.turn_ends, "", IDLE, IDLE),
        Row("`codex exec` has done its task", provoking.run_ends, "completed"),
        Row("the turn has ended, a command of the agent's runs on", provoking.leaves_command_behind, "completed", IDLE, IDLE),
        Row("`interrupt` while the model thinks", provoking.interrupted, "", CUT, CUT),
        Row("`interrupt` while a command runs", provoking.interrupted_command, "", CUT, CUT),
    ),
    "It needs somebody": (
        Row("it wants to run a command outside the sandbox", provoking.asks_for_command, "", COMMAND, COMMAND),
        Row("it wants to change a file outside the workspace", provoking.asks_for_file, "", FILES, FILES),
        Row("it asks a question", provoking.asks_question, "", QUESTION, QUESTION),
        Row("a sub-agent of its wants to run a command", provoking.sub_agent_asks, "", COMMAND, PROMPT),
        Row("it asked for two commands, one is answered", provoking.one_of_two_answered, "", COMMAND, PROMPT),
        Row("it asks, and is sent a message that is no answer", provoking.told_while_it_asks, "", COMMAND, COMMAND),
        Row("`approve`, and the command runs", provoking.approved, "", WORKING, WORKING),
        Row("`deny`, and the model has been told", provoking.denied, "", WORKING),
        Row("`answer`, and the model has been told", provoking.answered, "", WORKING, WORKING),
    ),
    "A person at the keyboard": (
        Row("approves, and the command runs", provoking.person_approves, "", WORKING, WORKING),
        Row("answers the question", provoking.person_answers, "", WORKING, WORKING),
        Row("presses Esc at an approval", provoking.person_refuses, "", CUT, CUT),
        Row("types a message that begins a turn", provoking.person_begins_turn, "", WORKING, WORKING),
        Row("has typed one, and the turn has ended", provoking.persons_turn_ends, "", IDLE, IDLE),
        Row("types a message into the running turn", provoking.person_steers, "", WORKING, WORKING),
        Row("presses Esc while it works", provoking.person_interrupts, "", CUT, CUT),
        Row("runs a command of their own with !", provoking.person_runs_command, "", WORKING, WORKING),
        Row("has typed half a message", provoking.person_half_way, "", IDLE, IDLE),
        Row("begins another conversation with /new, which works", provoking.person_elsewhere, "", IDLE, IDLE),
    ),
    "The model fails": (
        Row("the context is full", provoking.out_of_context, "failed (context_window)", OUT, OUT, UNKNOWN),
        Row("the usage limit is reached", provoking.usage_used_up, "failed (usage_limit)", USED_UP, USED_UP, UNKNOWN),
        Row("the model refuses the request", provoking.bad_request, "failed (bad_request)", ERROR, ERROR, UNKNOWN),
        Row("the model is out of order, retries used up", provoking.model_down, "failed (model_error)", ERROR, ERROR, UNKNOWN),
        Row("after a failed turn, the next one runs", provoking.works_after_failure, "", WORKING, WORKING),
    ),
    "It ends": (
        Row("`exit`", ending.exits, "", "completed", "completed"),
        Row("`exit --interrupt` while it works", ending.exits_at_work, "", "interrupted (turn_aborted)", "interrupted (turn_aborted)"),
        Row("idle for longer than its grace", ending.idle_too_long, "", "completed", "completed"),
        Row("`/exit` typed in the pane", ending.person_leaves, "", "completed", "completed"),
        Row("Ctrl-C in the pane", ending.person_presses_ctrl_c, LOST, "completed", "completed"),
        Row("`kill`", ending.killed, KILLED, KILLED, KILLED),
        Row("nothing done for longer than `--timeout`", ending.inactive_too_long, INACTIVE, INACTIVE, INACTIVE),
        Row("at work for longer than `--max-time`", ending.takes_too_long, TOO_LONG, TOO_LONG, TOO_LONG),
        Row("the tmux session is closed", ending.session_closed, CLOSED, CLOSED, CLOSED),
        Row("the tmux server is killed", ending.tmux_killed, CLOSED, CLOSED, CLOSED),
        Row("Codex is killed at work", ending.codex_killed, SIGNAL, SIGNAL, SIGNAL),
        Row("Codex is killed at rest", ending.codex_killed_at_rest, "", SIGNAL, SIGNAL),
        Row("the TUI is killed, the agent works on", ending.tui_killed, "", WORKING),
        Row("the TUI is killed at rest", ending.tui_killed_at_rest, "", IDLE),
        Row("the supervisor is killed at work", ending.supervisor_killed, LOST, LOST, LOST),
        Row("the supervisor is killed at rest", ending.supervisor_killed_at_rest, "", LOST, LOST),
        Row("supervisor and guardian are killed", ending.supervisor_and_guardian_killed, LOST, LOST, LOST),
    ),
}
# fmt: on
# Situations that need an agent of their own each time.
DEAR = {
    *(provoking.comes_up, provoking.first_turn, provoking.reopened, provoking.names_the_task),
    *(provoking.sub_agent_asks, provoking.person_elsewhere, provoking.model_down, provoking.works_after_failure),
    *(provoking.out_of_context, provoking.usage_used_up, provoking.bad_request),
    *(row.play for row in TABLE["It ends"]),
}


def said(job: dict[str, Any]) -> str:
    """What is said of a job, as it stands in the table."""
    words = "/".join(word for word in (job["status"], job["turn_state"]) if word)
    if job["turn_state"] is None:
        more = job["failure"]["reason"] if job["failure"] is not None else None
    elif job["turn_state"] in ("waiting_approval", "waiting_input"):
        more = job["waiting_for"]["kind"] if job["waiting_for"] is not None else "nothing"
    elif job["turn_state"] in ("starting", "working", "reconnecting"):
        more = "waits for something" if job["waiting_for"] is not None else None
    elif job["turn_state"] == "unknown":
        more = None
    else:
        more = job["last_turn"]["status"] if job["last_turn"] is not None else "no turn"
    return f"{words} ({more})" if more else words


def check(scene: Scene, wanted: str) -> float:
    """Fails unless this is said within a second from now, and goes on being said; after how many seconds it was."""
    began = time.monotonic()
    heard = [said(dataclasses.asdict(scene.job()))]
    while heard[-1] != wanted:
        assert time.monotonic() - began < WITHIN_S, f"after {WITHIN_S:g} s it is {' then '.join(heard)}, not {wanted}"
        time.sleep(0.004)
        now = said(dataclasses.asdict(scene.job()))
        heard += [now] if now != heard[-1] else []
    took = time.monotonic() - began
    for _ in range(LOOKS):
        time.sleep(PAUSE_S)
        assert said(dataclasses.asdict(scene.job())) == wanted, "it was right and did not stay so"
    return took


def cells() -> Iterator[Any]:
    for label in WHEELS:
        for way in ("exec", "channel", "plain"):
            driven = (label, way)  # one object: pytest keeps a fixture for the very same parameter only
            for row in (row for rows in TABLE.values() for row in rows):
                if getattr(row, way):
                    yield pytest.param(driven, row, id=f"{label}-{way}-{row.play.__name__}")


@pytest.fixture(scope="module")
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    label, way = request.param
    which = codex(label)
    with place(tmp_path_factory.mktemp(f"{label}-{way}")) as here:
        here.home.use_codex(which)
        yield Scene(here, which, way)


@pytest.mark.parametrize(("scene", "row"), list(cells()), indirect=["scene"], scope="module")
def test_the_truth_is_told(scene: Scene, row: Row) -> None:
    times = []
    try:
        for number in range(ROUNDS or (1 if row.play in DEAR or not scene.stays else 2)):
            play = row.play(scene)
            next(play)
            times.append(check(scene, row.wanted(scene)))
            if number == 0 and row.play is not provoking.connection_drops:  # which is over before a process has begun
                assert said(see(scene.place.cli, scene.agent.id)) == row.wanted(scene), "as `status --json`"
            assert next(play, "over") == "over"
    except BaseException:
        scene.forget()
        raise
    print(f"{len(times)} times, right after at most {max(times) * 1000:.0f} ms")


# ---- the document ----


def as_document() -> str:
    lines = ["| what happens | exec | interactive | interactive, `--plain` |", "| --- | --- | --- | --- |"]
    for title, rows in TABLE.items():
        lines.append(f"| **{title}** | | | |")
        lines += [f"| {' | '.join([row.what, *map(_shown, row[2:4]), _plainly(row)])} |" for row in rows]
    return "\n".join(lines) + "\n"


def _plainly(row: Row) -> str:
    older = f"; before 0.150 {_shown(row.plain_old)}" if row.plain_old else ""
    return _shown(row.plain) + older


def _shown(cell: str) -> str:
    words, _, more = cell.partition(" (")
    return f"`{words}`{' (' if more else ''}{more}" if cell else "-"


PLACE = re.compile(r"(?<=<!-- checked: truth table -->\n)(?:\|.*\n)*")


def test_the_document_has_this_table() -> None:
    (found,) = PLACE.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert found == as_document(), "run python tests/test_truth_table.py"


@pytest.mark.parametrize(("name", "words"), [("statuses", get_args(Status)), ("turn states", get_args(TurnState))])
def test_the_document_explains_every_state(name: str, words: tuple[str, ...]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.search(rf"<!-- checked: {name} in states -->\n((?:\|.*\n)+)", text)
    assert found and [line.split("`")[1] for line in found[1].splitlines()[2:]] == list(words)


def test_every_turn_state_is_in_the_table() -> None:
    told = {row[at] for rows in TABLE.values() for row in rows for at in range(2, 6)}
    assert {word.partition(" ")[0].partition("/")[2] for word in told} - {""} == set(get_args(TurnState))
    assert {word.partition(" ")[0].partition("/")[0] for word in told} - {""} == set(get_args(Status))


def test_there_are_enough_situations() -> None:
    ways: tuple[Way, ...] = ("exec", "channel", "plain")
    counts = {way: sum(bool(getattr(row, way)) for rows in TABLE.values() for row in rows) for way in ways}
    assert all(count >= 20 for count in counts.values()) and sum(counts.values()) >= 100, counts


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(PLACE.sub(lambda _: as_document(), text), encoding="utf-8")
