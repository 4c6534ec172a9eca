"""How each situation of the truth table is brought about, with the real Codex and the real tmux.

A play makes something true and yields at that moment, which it knows from outside: the model was asked, the agent's
command wrote a file, the rollout has the turn's end, a process is gone. Afterwards it puts things right again.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable

import pytest

from codex_agent import talking
from codex_agent.demo.model_server import Gate, Step
from codex_agent.demo.scripts import TITLE_REQUEST, Offer, last_user_text
from codex_agent.errors import BadState
from support.interactive import asks, wants
from support.situations import WORDS, Play, Scene, slow_codex
from support.waiting import until

_DONE = Step.message("Done.")
_YES = "Yes, proceed"  # in the TUI's prompt, whatever is to be approved
_QUESTION = asks(("Which?", ["A", "B"]))


class Running:
    """A command of the agent's that runs until it is let go; it writes a file when it begins."""

    def __init__(self, scene: Scene) -> None:
        self.begun, self.enough = scene.file(), scene.file()
        self.line = f"touch {self.begun}; while [ ! -e {self.enough} ]; do sleep 0.1; done"
        self.step = Step.command(self.line)

    def runs(self) -> None:
        until(self.begun.exists, 20, "the agent's command")

    def finish(self) -> None:
        self.enough.touch()


def _thinking(s: Scene, *then: Step, begin: Callable[..., object] | None = None) -> Gate:
    """A turn whose model has been asked and has not answered yet; what it does then."""
    gate = s.gate()
    first, *rest = then or (_DONE,)
    (begin or s.turn)(Step.hold(gate, first), *rest)
    gate.reached()
    return gate


# ---- it comes up ----


def comes_up(s: Scene) -> Play:
    path, hold, called = slow_codex(s)
    words = ["start", s.script(_DONE), "-d", str(s.place.repo), "--json", *WORDS[s.way]]
    process = s.place.cli.start(*words, env={"CODEX_AGENT_CODEX": path})
    until(called.exists, 20, "Codex being run")
    s.adopt(called.read_text().strip())
    yield
    hold.unlink()
    process.communicate(timeout=30)
    s.over()
    s.drop()


def first_turn(s: Scene) -> Play:
    s.drop()
    gate = _thinking(s, begin=s.start)
    yield
    gate.open()
    s.over()


# ---- it works ----


def model_thinks(s: Scene) -> Play:
    gate = _thinking(s)
    yield
    gate.open()
    s.over()


def command_runs(s: Scene) -> Play:
    command = Running(s)
    s.turn(command.step, _DONE)
    command.runs()
    yield
    command.finish()
    s.over()


def steered(s: Scene) -> Play:
    gate, later = _thinking(s), s.gate()
    count = s.job().turn_count
    s.say(Step.hold(later))
    gate.open()
    later.reached()
    yield
    assert s.job().turn_count == count, "it went into the turn that ran"
    later.open()
    s.over()


def queued(s: Scene) -> Play:
    gate = _thinking(s)
    s.say(_DONE, how="queue")
    yield
    assert s.job().queued == 1
    gate.open()
    until(lambda: s.job().queued == 0, 10, "the message delivered")
    s.over()


def queued_turn(s: Scene) -> Play:
    gate, later = _thinking(s), s.gate()
    count = s.job().turn_count
    s.say(Step.hold(later), how="queue")
    gate.open()
    later.reached()
    yield
    assert (s.job().turn_count, s.job().queued) == (count + 1, 0)
    later.open()
    s.over()


def cut_by_message(s: Scene) -> Play:
    _, later = _thinking(s), s.gate()
    count = s.job().turn_count
    s.say(Step.hold(later), how="interrupt")
    later.reached()
    yield
    assert s.job().turn_count == count + 1
    later.open()
    s.over()


def reopened(s: Scene) -> Play:
    s.turn(_DONE)
    s.over()
    if s.stays:
        talking.leave(s.store, s.agent.id)
    gate = s.gate()
    s.agent.send(s.script(Step.hold(gate)))
    gate.reached()
    yield
    assert s.job().turn_count > 1
    gate.open()
    s.over()
    s.drop()


def sub_agent_ends(s: Scene) -> Play:
    child, gate = s.script(Step.message("I was the sub-agent.")), s.gate()
    s.turn(_spawn(child), Step.hold(gate), _DONE)
    gate.reached()
    until(lambda: s.place.model.requests_for(child), 10, "the sub-agent's request")
    until(lambda: _sub_agent_ended(s), 10, "the end of the sub-agent's turn")
    yield
    gate.open()
    s.over()


def _spawn(prompt: str) -> Step:
    return Step((lambda offer, n: _spawn_call(offer, n, prompt),))


def _spawn_call(offer: Offer, number: int, prompt: str) -> dict[str, object]:
    arguments = json.dumps({"message": prompt})
    named = {"namespace": "multi_agent_v1", "name": "spawn_agent", "arguments": arguments}
    return {"type": "function_call", "call_id": offer.call_id(number), **named}


def _sub_agent_ended(s: Scene) -> bool:
    own = s.job().rollout
    found = [path for path in s.place.home.codex_home.rglob("rollout-*.jsonl") if str(path) != own]
    newest = max(found, key=os.path.getmtime, default=None)
    return (
        newest is not None
        and "I was the sub-agent." in newest.read_text()
        and '"task_complete"' in newest.read_text()
    )


def names_the_task(s: Scene) -> Play:
    """Codex's TUI lets the model name the task after the first message that a person types, in a thread of its own."""
    s.drop()
    s.rest()
    gate = s.gate()
    prompt = s.script(Step.hold(gate))
    s.person_says(prompt)
    gate.reached()
    if s.codex.label == "oldest":
        pytest.skip("this Codex names no tasks")
    until(
        lambda: any(_names(request, prompt) for request in s.place.model.requests), 15, "the request for a title"
    )
    yield
    gate.open()
    s.over()


def _names(request: dict[str, object], prompt: str) -> bool:
    text = last_user_text(request)
    return text.lstrip().startswith(TITLE_REQUEST) and prompt in text


# ---- the line to the model ----


def connection_drops(s: Scene) -> Play:
    """Cut three times; Codex waits 0.2, 0.4 and 0.8 s before it tries again."""
    gate = s.gate()
    prompt = s.turn(Step.flaking(3, Step.cut(), Step.hold(gate)))
    s.asked(prompt, 2)
    yield
    gate.reached()
    gate.open()
    s.over()


def connected_again(s: Scene) -> Play:
    command = Running(s)
    s.turn(Step.flaking(1, Step.cut(), command.step), _DONE)
    command.runs()
    yield
    command.finish()
    s.over()


def no_network(s: Scene) -> Play:
    gate, held = s.gate(), s.gate()
    s.turn(Step.flaking(1, Step.hold(gate, Step.cut()), Step.hold(held)))
    gate.reached()
    s.place.model.refuse()
    try:
        gate.open()
        yield
    finally:
        s.place.model.accept()
    held.reached()
    held.open()
    s.over()


# ---- it is at rest ----


def turn_ends(s: Scene) -> Play:
    gate = _thinking(s)
    before = s.ends()
    gate.open()
    s.one_more_end(before)
    yield


def run_ends(s: Scene) -> Play:
    gate = _thinking(s)
    pid = s.agent.pid("codex")
    gate.open()
    s.gone(pid)
    yield


def interrupted(s: Scene) -> Play:
    _thinking(s)
    before = s.ends()
    talking.interrupt(s.store, s.agent.id)
    s.one_more_end(before)
    yield


def interrupted_command(s: Scene) -> Play:
    """Codex lets the command live on."""
    command = Running(s)
    s.turn(command.step, _DONE)
    command.runs()
    before = s.ends()
    talking.interrupt(s.store, s.agent.id)
    s.one_more_end(before)
    yield
    command.finish()


def leaves_command_behind(s: Scene) -> Play:
    """The model does not wait for its command's end."""
    command, gate = Running(s), s.gate()
    s.turn(Step.command(command.line, yield_time_ms=250), Step.hold(gate))
    gate.reached()
    assert command.begun.exists()
    before = s.ends()
    gate.open()
    s.one_more_end(before)
    yield
    command.finish()


# ---- it needs somebody ----


def asks_for_command(s: Scene) -> Play:
    gate = _thinking(s, wants(f"touch {s.file()}"), _DONE)
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
    gate = _thinking(s, Step.patch(f"*** Begin Patch\n*** Add File: {path}\n+x\n*** End Patch\n"), _DONE)
    gate.open()
    _put_off(s, _YES)
    yield
    _go_on(s)


def asks_question(s: Scene) -> Play:
    gate = _thinking(s, _QUESTION, _DONE)
    gate.open()
    _put_off(s, "Which?")
    yield
    _go_on(s)


def sub_agent_asks(s: Scene) -> Play:
    gate, own = s.gate(), s.gate()
    child = s.script(Step.hold(gate, wants(f"touch {s.file()}")), _DONE)
    s.turn(_spawn(child), Step.hold(own), _DONE)
    own.reached()
    gate.reached()
    gate.open()
    _put_off(s, _YES)
    yield
    s.drop()


def one_of_two_answered(s: Scene) -> Play:
    gate, files = s.gate(), (s.file(), s.file())
    s.turn(Step.hold(gate, Step.all(*(wants(f"touch {file}") for file in files))), _DONE)
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
    gate = _thinking(s, wants(f"touch {s.file()}"), _DONE)
    gate.open()
    s.agent.until_state("waiting_approval")
    with contextlib.suppress(BadState) if s.way == "plain" else contextlib.nullcontext():
        s.say(_DONE)  # typed, it would be an answer: then it is refused
    yield
    _go_on(s)


def _asking(s: Scene, command: Running | None, *then: Step) -> None:
    """It waits for an answer to ``command`` (None: to a question)."""
    s.turn(_QUESTION if command is None else wants(command.line), *then, _DONE)
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
    command = Running(s)
    _asking(s, command)
    s.person_sees(_YES)
    s.agent.type("y")
    command.runs()
    yield
    command.finish()
    s.over()


def person_answers(s: Scene) -> Play:
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
    gate, later = _thinking(s), s.gate()
    count = s.job().turn_count
    s.person_says(s.script(Step.hold(later)))
    until(lambda: "submitted after next tool call" in s.agent.screen() or later, 5)
    gate.open()
    later.reached()
    yield
    assert s.job().turn_count == count
    later.open()
    s.over()


def person_interrupts(s: Scene) -> Play:
    _thinking(s)
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
    s.over()


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
    s.person_says("/new")
    gate = s.gate()
    until(lambda: _empty(s), 10, "/new")
    s.person_says(s.script(Step.hold(gate)))
    gate.reached()
    yield
    gate.open()
    s.drop()


def _empty(s: Scene) -> bool:
    """Whether the pane shows a conversation that has only just begun."""
    screen = s.agent.screen()
    if "Where should the new conversation run?" in screen:
        s.agent.type("Enter")
        return False
    return "Here I am." not in screen or screen.count("OpenAI Codex") > 1


# ---- the model fails ----


def out_of_context(s: Scene) -> Play:
    yield from _fails(s, Step.failed("context_length_exceeded"), fresh=True)


def usage_used_up(s: Scene) -> Play:
    error = {"type": "usage_limit_reached", "message": "The usage limit has been reached", "resets_in_seconds": 99}
    yield from _fails(s, Step.http(429, {"error": error}))


def bad_request(s: Scene) -> Play:
    yield from _fails(
        s, Step.http(400, {"error": {"message": "This is no request.", "type": "invalid_request_error"}})
    )


def model_down(s: Scene) -> Play:
    yield from _fails(s, Step.http(500, "out of order"), more=NO_RETRIES)


NO_RETRIES = tuple(
    word for key in ("request", "stream") for word in ("-c", f"model_providers.mock.{key}_max_retries=0")
)


def _fails(s: Scene, step: Step, *, fresh: bool = False, more: tuple[str, ...] = ()) -> Play:
    command = Running(s)
    if more or fresh or not s.stays:
        s.drop()
        s.start(command.step, step, more=more)
    else:
        s.turn(command.step, step)
    command.runs()
    if s.stays:
        before = s.ends()
        command.finish()
        s.one_more_end(before)
    else:
        pid = s.agent.pid("codex")
        command.finish()
        s.gone(pid)
    yield
    s.drop()


def works_after_failure(s: Scene) -> Play:
    s.turn(Step.http(400, {"error": {"message": "This is no request."}}))
    s.agent.until_state("error", "unknown")
    gate = s.gate()
    s.say(Step.hold(gate))
    gate.reached()
    yield
    gate.open()
    s.over()
