"""How agents are brought to need somebody, and what a person does: situations of the truth table.

Plays as in ``provoking.py``.
"""

from __future__ import annotations

import contextlib
from functools import partial

from codex_agent import talking
from codex_agent.demo.model_server import Gate, Step
from codex_agent.errors import BadState
from support.interactive import asks, composer, wants
from support.provoking import spawn
from support.situations import DONE, REST, Play, Running, Scene, thinking
from support.waiting import until

_YES = "Yes, proceed"  # in the TUI's prompt, whatever is to be approved
_QUESTION = asks(("Which?", ["A", "B"]))


# ---- it needs somebody ----


def asks_for_command(s: Scene) -> Play:
    gate = thinking(s, wants(f"touch {s.file()}"), DONE)
    gate.open()
    _put_off(s, _YES)
    yield
    _go_on(s)


def _put_off(s: Scene, shown: str) -> None:
    """The bare TUI asks a second after the last key was pressed, and what is sent to it is typed."""
    if s.way == "plain":
        s.person_sees(shown)


def _go_on(s: Scene) -> None:
    """Whatever it waits for, it is not going to happen."""
    s.agent.until_state("waiting_approval", "waiting_input")
    talking.interrupt(s.store, s.agent.id)
    s.over()


def asks_for_file(s: Scene) -> Play:
    path = s.place.home.root / s.name("outside")
    gate = thinking(s, Step.patch(f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"), DONE)
    gate.open()
    _put_off(s, _YES)
    yield
    _go_on(s)


def asks_question(s: Scene) -> Play:
    gate = thinking(s, _QUESTION, DONE)
    gate.open()
    _put_off(s, "Which?")
    yield
    _go_on(s)


def sub_agent_asks(s: Scene) -> Play:
    gate, own = s.gate(), s.gate()
    child = s.script(Step.hold(gate, wants(f"touch {s.file()}")), DONE)
    s.turn(spawn(child), Step.hold(own), DONE)
    own.reached()
    gate.reached()
    gate.open()
    _put_off(s, _YES)
    yield
    s.drop()


def _sit_down(s: Scene) -> None:
    s.rest()
    s.person_sits_down()


def one_of_two_answered(s: Scene) -> Play:
    gate, files = s.gate(), (s.file(), s.file())
    if s.way == "plain":
        _sit_down(s)
    s.turn(Step.hold(gate, Step.all(*(wants(f"touch {file}") for file in files))), DONE)
    gate.reached()
    gate.open()
    s.person_sees(_YES)
    s.agent.until_state("waiting_approval")
    if s.way == "plain":  # which does not know for which of them the prompt is
        s.agent.type("y")
    else:
        talking.respond(s.store, s.agent.id, _asked(s), "accept")
    until(lambda: any(file.exists() for file in files), 10, "the command that was approved")
    yield
    _go_on(s)


def _asked(s: Scene) -> int:
    waiting = s.job().waiting_for
    assert waiting is not None
    return waiting.n


def told_while_it_asks(s: Scene) -> Play:
    gate = thinking(s, wants(f"touch {s.file()}"), DONE)
    gate.open()
    s.agent.until_state("waiting_approval")
    with contextlib.suppress(BadState) if s.way == "plain" else contextlib.nullcontext():
        s.say(DONE)  # typed, it would be an answer: then it is refused
    yield
    _go_on(s)


def _asking(s: Scene, command: Running | None, *then: Step) -> None:
    """It waits for an answer to ``command`` (None: to a question)."""
    s.turn(_QUESTION if command is None else wants(command.line), *then, DONE)
    s.agent.until_state("waiting_approval", "waiting_input")


def approved(s: Scene) -> Play:
    command = Running(s)
    _asking(s, command)
    talking.respond(s.store, s.agent.id, None, "accept")
    command.runs()
    yield
    command.finish()
    s.over()


def denied(s: Scene) -> Play:
    gate = s.gate()
    _asking(s, Running(s), Step.hold(gate))
    talking.respond(s.store, s.agent.id, None, "decline")
    gate.reached()
    yield
    gate.open()
    s.over()


def answered(s: Scene) -> Play:
    gate = s.gate()
    _asking(s, None, Step.hold(gate))
    talking.answer(s.store, s.agent.id, ["1"])
    gate.reached()
    yield
    gate.open()
    s.over()


# ---- the person at the keyboard ----


def person_approves(s: Scene) -> Play:
    _sit_down(s)
    command = Running(s)
    _asking(s, command)
    s.person_sees(_YES)
    s.agent.type("y")
    command.runs()
    yield
    command.finish()
    s.over()


def person_answers(s: Scene) -> Play:
    _sit_down(s)
    gate = s.gate()
    _asking(s, None, Step.hold(gate))
    s.person_sees("Which?")
    s.agent.type("Enter")
    gate.reached()
    yield
    gate.open()
    s.over()


def person_refuses(s: Scene) -> Play:
    """Esc at the prompt: the turn ends with it."""
    _sit_down(s)
    command = Running(s)
    _asking(s, command)
    s.person_sees(_YES)
    before = s.ends()
    s.agent.type("Escape")
    s.one_more_end(before)
    yield


def person_begins_turn(s: Scene) -> Play:
    gate = _person_thinking(s)
    yield
    gate.open()
    s.over()


def _person_thinking(s: Scene) -> Gate:
    s.rest()
    gate = s.gate()
    count = s.job().turn_count
    s.person_says(s.script(Step.hold(gate)))
    gate.reached()
    until(lambda: s.job().turn_count == count + 1, 5, "one more turn")
    return gate


def persons_turn_ends(s: Scene) -> Play:
    gate = _person_thinking(s)
    before = s.ends()
    gate.open()
    s.one_more_end(before)
    yield


def person_steers(s: Scene) -> Play:
    _sit_down(s)
    command, later = Running(s), s.gate()
    s.turn(command.step, DONE)
    command.runs()
    count, text = s.job().turn_count, s.script(Step.hold(later))
    s.person_says(text)
    until(lambda: _left_the_line(s, text), 10, "the message taken by the TUI")
    command.finish()
    later.reached()
    yield
    assert s.job().turn_count == count, "it went into the turn that ran"
    later.open()
    s.over()


def _left_the_line(s: Scene, text: str) -> bool:
    """Whether the line in which one types no longer holds this; while the TUI comes up, it keeps it there."""
    shown = s.agent.screen()
    return text in shown and text not in composer(s.place.home, s.agent.id) and "Waiting for startup" not in shown


def person_interrupts(s: Scene) -> Play:
    _sit_down(s)
    thinking(s)
    s.person_sees("to interrupt")
    before = s.ends()
    s.agent.type("Escape")
    s.one_more_end(before)
    yield


def person_runs_command(s: Scene) -> Play:
    """With a ! before it, in the agent's own pane."""
    s.rest()
    command = Running(s)
    s.person_says(f"!{command.line}")
    command.runs()
    yield
    command.finish()
    s.agent.until_state("idle", "unknown")  # a turn without a word, see `Row.plain_old`


def person_half_way(s: Scene) -> Play:
    s.rest()
    text = s.name("half-a-message")
    s.person_says(text, enter=False)
    s.person_sees(text)
    yield
    s.agent.type("C-u")
    until(lambda: text not in s.agent.screen(), 5, "an empty line again")


def person_elsewhere(s: Scene) -> Play:
    """A conversation of the person's own, which only the pane has in common with the agent's."""
    s.drop()
    s.rest()
    s.person_sits_down()
    refused = 0
    while not _empty(s):
        s.person_says("/new")
        until(partial(_told, s, refused), 10, "/new")
        refused = _refusals(s)
    gate = s.gate()
    until(lambda: _empty(s), 10, "/new")
    s.person_says(s.script(Step.hold(gate)))
    gate.reached()
    yield
    gate.open()
    s.drop()


def _told(s: Scene, refused: int) -> bool:
    return _empty(s) or _refusals(s) > refused


def _refusals(s: Scene) -> int:
    """How often the TUI refused, since it had not noticed yet that the turn was over."""
    return s.agent.screen().count("disabled while a task")


def _empty(s: Scene) -> bool:
    """Whether the pane shows a conversation that has only just begun."""
    screen = s.agent.screen()
    if "Where should the new conversation run?" in screen:
        s.agent.type("Enter")
        return False
    return bool(screen) and (REST not in screen or screen.count("OpenAI Codex") > 1)
