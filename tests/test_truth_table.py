"""The truth table: what an agent is said to do while something happens to it, for each way to drive a Codex.

Every row is provoked for real (``provoking.py``, ``people.py`` and ``ending.py`` in ``support/``). Within a second
of the moment at which it is true, `status` must say what stands here, and go on saying it. The same table is in
docs/states.md: after a change run ``python tests/test_truth_table.py`` in an environment with the package's
requirements.

``CODEX_AGENT_TEST_ROUNDS=10`` provokes each situation ten times in succession; fewer by default, for time's sake.
"""

from __future__ import annotations

import contextlib
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
from support import codex, people  # noqa: E402
from support import ending as end  # noqa: E402
from support import provoking as agent  # noqa: E402
from support import queueing as line  # noqa: E402
from support.codexes import WHEELS  # noqa: E402
from support.jobs import place, see  # noqa: E402
from support.situations import Play, Scene, Way  # noqa: E402

WITHIN_S = 1.0
WAYS: tuple[Way, ...] = ("exec", "channel", "plain")
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


STARTING, PENDING = "running/starting", "pending/starting"
QUEUED, BEFORE = "queued/starting", "failed (dependency)"
WORKING, RETRYING = "running/working", "running/reconnecting"
ENDED, ABORTED = "completed", "interrupted (turn_aborted)"
IDLE, CUT = "running/idle (completed)", "running/idle (interrupted)"
COMMAND, FILES = "running/waiting_approval (command)", "running/waiting_approval (file_change)"
QUESTION, PROMPT = "running/waiting_input (question)", "running/waiting_approval (prompt)"
KILLED, CLOSED, LOST = "interrupted (killed)", "interrupted (closed)", "interrupted (interrupted)"
INACTIVE, TOO_LONG, SIGNAL = "failed (timeout_inactivity)", "failed (timeout_total)", "failed (signal)"
NO_ROOM, NO_USE = "failed (context_window)", "failed (usage_limit)"
REFUSED, DOWN, UNKNOWN = "failed (bad_request)", "failed (model_error)", "running/unknown"
OUT, USED_UP, ERROR = "running/context_limit (failed)", "running/usage_limit (failed)", "running/error (failed)"

# fmt: off
TABLE: dict[str, tuple[Row, ...]] = {
    "It waits for its turn": (
        Row("it waits for a slot of a gate", line.waits_at_gate, QUEUED, QUEUED, QUEUED),
        Row("it waits for another job's end", line.waits_for_job, QUEUED, QUEUED, QUEUED),
        Row("`kill` while it waits", line.killed_in_line, KILLED, KILLED, KILLED),
        Row("the job before it does not complete", line.job_before_fails, BEFORE, BEFORE, BEFORE),
    ),
    "It comes up": (
        Row("Codex has been run and has not come up", agent.comes_up, STARTING, PENDING, PENDING),
        Row("the model thinks about the first message", agent.first_turn, WORKING, WORKING, WORKING),
    ),
    "It works": (
        Row("the model thinks, without a word", agent.model_thinks, "", WORKING, WORKING),
        Row("a command of the agent's runs", agent.command_runs, WORKING, WORKING, WORKING),
        Row("a message has gone into the running turn", agent.steered, "", WORKING, WORKING),
        Row("a message waits for the turn's end", agent.queued, WORKING, WORKING, WORKING),
        Row("the message that waited has begun the next turn", agent.queued_turn, WORKING, WORKING, WORKING),
        Row("a message has cut the turn off and begun the next", agent.cut_by_message, "", WORKING, WORKING),
        Row("the job had ended, and a message reopened it", agent.reopened, WORKING, WORKING, WORKING),
        Row("a sub-agent's turn has ended, its own goes on", agent.sub_agent_ends, WORKING, WORKING, WORKING),
        Row("another thread's turn has named the task for Codex", agent.names_the_task, "", WORKING, WORKING),
    ),
    "The line to the model": (
        Row("the connection drops again and again", agent.connection_drops, RETRYING, RETRYING, WORKING),
        Row("nobody answers at the model's address", agent.no_network, RETRYING, RETRYING, WORKING),
        Row("connected again, and a command runs", agent.connected_again, WORKING, WORKING, WORKING),
    ),
    "It has handed the turn back": (
        Row("the turn has ended", agent.turn_ends, "", IDLE, IDLE),
        Row("`codex exec` has done its task", agent.run_ends, ENDED),
        Row("the turn has ended, a command of its runs on", agent.leaves_command_behind, ENDED, IDLE, IDLE),
        Row("`interrupt` while the model thinks", agent.interrupted, "", CUT, CUT),
        Row("`interrupt` while a command runs", agent.interrupted_command, "", CUT, CUT),
    ),
    "It needs somebody": (
        Row("it wants to run a command outside the sandbox", people.asks_for_command, "", COMMAND, COMMAND),
        Row("it wants to change a file outside the workspace", people.asks_for_file, "", FILES, FILES),
        Row("it asks a question", people.asks_question, "", QUESTION, QUESTION),
        Row("a sub-agent of its wants to run a command", people.sub_agent_asks, "", COMMAND, PROMPT),
        Row("it asked for two commands, one is answered", people.one_of_two_answered, "", COMMAND, PROMPT),
        Row("it asks, and is sent a message that is no answer", people.told_while_it_asks, "", COMMAND, COMMAND),
        Row("`approve`, and the command runs", people.approved, "", WORKING, WORKING),
        Row("`deny`, and the model has been told", people.denied, "", WORKING),
        Row("`answer`, and the model has been told", people.answered, "", WORKING, WORKING),
    ),
    "A person at the keyboard": (
        Row("approves, and the command runs", people.person_approves, "", WORKING, WORKING),
        Row("answers the question", people.person_answers, "", WORKING, WORKING),
        Row("presses Esc at an approval", people.person_refuses, "", CUT, CUT),
        Row("types a message that begins a turn", people.person_begins_turn, "", WORKING, WORKING),
        Row("has typed one, and the turn has ended", people.persons_turn_ends, "", IDLE, IDLE),
        Row("types a message into the running turn", people.person_steers, "", WORKING, WORKING),
        Row("presses Esc while it works", people.person_interrupts, "", CUT, CUT),
        Row("runs a command of their own with !", people.person_runs_command, "", WORKING, WORKING),
        Row("has typed half a message", people.person_half_way, "", IDLE, IDLE),
        Row("begins another conversation with /new, which works", people.person_elsewhere, "", IDLE, IDLE),
    ),
    "The model fails": (
        Row("the context is full", agent.out_of_context, NO_ROOM, OUT, OUT, UNKNOWN),
        Row("the usage limit is reached", agent.usage_used_up, NO_USE, USED_UP, USED_UP, UNKNOWN),
        Row("the model refuses the request", agent.bad_request, REFUSED, ERROR, ERROR, UNKNOWN),
        Row("the model is out of order", agent.model_down, DOWN, ERROR, ERROR, UNKNOWN),
        Row("after a failed turn, the next one runs", agent.works_after_failure, "", WORKING, WORKING),
    ),
    "It ends": (
        Row("`exit`", end.exits, "", ENDED, ENDED),
        Row("`exit --interrupt` while it works", end.exits_at_work, "", ABORTED, ABORTED),
        Row("idle for longer than its grace", end.idle_too_long, "", ENDED, ENDED),
        Row("`/exit` typed in the pane", end.person_leaves, "", ENDED, ENDED),
        Row("Ctrl-C in the pane", end.person_presses_ctrl_c, LOST, ENDED, ENDED),
        Row("`kill`", end.killed, KILLED, KILLED, KILLED),
        Row("nothing done for longer than `--timeout`", end.inactive_too_long, INACTIVE, INACTIVE, INACTIVE),
        Row("at work for longer than `--max-time`", end.takes_too_long, TOO_LONG, TOO_LONG, TOO_LONG),
        Row("the tmux session is closed", end.session_closed, CLOSED, CLOSED, CLOSED),
        Row("the tmux server is killed", end.tmux_killed, CLOSED, CLOSED, CLOSED),
        Row("Codex is killed at work", end.codex_killed, SIGNAL, SIGNAL, SIGNAL),
        Row("Codex is killed at rest", end.codex_killed_at_rest, "", SIGNAL, SIGNAL),
        Row("the TUI is killed, the agent works on", end.tui_killed, "", WORKING),
        Row("the TUI is killed at rest", end.tui_killed_at_rest, "", IDLE),
        Row("the supervisor is killed at work", end.supervisor_killed, LOST, LOST, LOST),
        Row("the supervisor is killed at rest", end.supervisor_killed_at_rest, "", LOST, LOST),
        Row("supervisor and guardian are killed", end.supervisor_and_guardian_killed, LOST, LOST, LOST),
    ),
}
# fmt: on
# Situations that need an agent of their own each time.
DEAR = {
    *(agent.comes_up, agent.first_turn, agent.reopened, agent.names_the_task),
    *(
        agent.sub_agent_ends,
        people.sub_agent_asks,
        people.person_elsewhere,
        agent.model_down,
        agent.works_after_failure,
    ),
    *(agent.out_of_context, agent.usage_used_up, agent.bad_request),
    *(row.play for row in (*TABLE["It ends"], *TABLE["It waits for its turn"])),
}

# 0.133.0 does not name tasks.
NOT_THERE = {("oldest", agent.names_the_task)}


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
    """Fails unless this is said within a second from now, and goes on being said; how many seconds it took."""
    began = time.monotonic()
    heard = [said(dataclasses.asdict(scene.job()))]
    while heard[-1] != wanted:
        assert time.monotonic() - began < WITHIN_S, f"not {wanted} within a second but {' then '.join(heard)}"
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
        for way in WAYS:
            for row in (row for rows in TABLE.values() for row in rows):
                if getattr(row, way) and (label, row.play) not in NOT_THERE:
                    yield pytest.param(label, way, row, id=f"{label}-{way}-{row.play.__name__}")


class Scenes:
    """One scene at a time: it stays as long as it is asked for again."""

    def __init__(self, folders: pytest.TempPathFactory) -> None:
        self._folders = folders
        self._open = contextlib.ExitStack()
        self._scene: Scene | None = None

    def of(self, label: str, way: Way) -> Scene:
        if self._scene is None or (self._scene.codex.label, self._scene.way) != (label, way):
            self.close()
            which = codex(label)
            here = self._open.enter_context(place(self._folders.mktemp(f"{label}-{way}")))
            here.home.use_codex(which)
            self._scene = Scene(here, which, way)
        return self._scene

    def close(self) -> None:
        self._open.close()
        self._scene = None


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    made = Scenes(tmp_path_factory)
    yield made
    made.close()


@pytest.mark.parametrize(("label", "way", "row"), list(cells()))
def test_the_truth_is_told(label: str, way: Way, row: Row, scenes: Scenes) -> None:
    scene = scenes.of(label, way)
    times = []
    try:
        for number in range(ROUNDS or (1 if row.play in DEAR or not scene.stays else 2)):
            with contextlib.closing(row.play(scene)) as play:
                next(play)
                times.append(check(scene, row.wanted(scene)))
                # A drop is over before another process has come up.
                if number == 0 and row.play is not agent.connection_drops:
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
    cells = {str(cell) for rows in TABLE.values() for row in rows for cell in row[2:]} - {""}
    states = [cell.partition(" ")[0].partition("/") for cell in cells]
    assert {status for status, _, _ in states} == set(get_args(Status))
    assert {state for _, _, state in states} - {""} == set(get_args(TurnState))


def test_there_are_enough_situations() -> None:
    counts = {way: sum(bool(getattr(row, way)) for rows in TABLE.values() for row in rows) for way in WAYS}
    assert all(count >= 20 for count in counts.values()) and sum(counts.values()) >= 100, counts


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(PLACE.sub(lambda _: as_document(), text), encoding="utf-8")
