"""How agents are brought to work, to rest, away from their model: situations of the truth table.

A play makes something true and yields at that moment, which it knows from outside: the model was asked, the
agent's command wrote a file, the rollout has the turn's end, a process is gone. Then it puts things right again.
"""

from __future__ import annotations

import json
import os

from codex_agent import talking
from codex_agent.demo.model_server import Step
from codex_agent.demo.scripts import TITLE_REQUEST, Offer, last_user_text
from support.situations import DONE, WORDS, Play, Running, Scene, slow_codex, thinking
from support.waiting import until

# ---- it comes up ----


def comes_up(s: Scene) -> Play:
    path, hold, called = slow_codex(s)
    words = ["start", s.script(DONE), "-d", str(s.place.repo), "--json", *WORDS[s.way]]
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
    gate = thinking(s, begin=s.start)
    yield
    gate.open()
    s.over()


# ---- it works ----


def model_thinks(s: Scene) -> Play:
    gate = thinking(s)
    yield
    gate.open()
    s.over()


def command_runs(s: Scene) -> Play:
    command = Running(s)
    s.turn(command.step, DONE)
    command.runs()
    yield
    command.finish()
    s.over()


def steered(s: Scene) -> Play:
    gate, later = thinking(s), s.gate()
    count = s.job().turn_count
    s.say(Step.hold(later))
    gate.open()
    later.reached()
    yield
    assert s.job().turn_count == count, "it went into the turn that ran"
    later.open()
    s.over()


def queued(s: Scene) -> Play:
    gate = thinking(s)
    s.say(DONE, how="queue")
    yield
    assert s.job().queued == 1
    gate.open()
    until(lambda: s.job().queued == 0, 10, "the message delivered")
    s.over()


def queued_turn(s: Scene) -> Play:
    gate, later = thinking(s), s.gate()
    s.say(Step.hold(later), how="queue")
    gate.open()
    later.reached()
    yield
    until(lambda: s.job().queued == 0, 5, "the message no longer waiting")
    later.open()
    s.over()


def cut_by_message(s: Scene) -> Play:
    _, later = thinking(s), s.gate()
    count = s.job().turn_count
    s.say(Step.hold(later), how="interrupt")
    later.reached()
    yield
    assert s.job().turn_count == count + 1
    later.open()
    s.over()


def reopened(s: Scene) -> Play:
    s.turn(DONE)
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
    s.turn(spawn(child), Step.hold(gate), DONE)
    gate.reached()
    until(lambda: s.place.model.requests_for(child), 10, "the sub-agent's request")
    until(lambda: _sub_agent_ended(s), 10, "the end of the sub-agent's turn")
    yield
    gate.open()
    s.over()
    s.drop()  # one agent may have six


def spawn(prompt: str) -> Step:
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
    """After a person's first message the TUI has the model name the task, in a thread of its own."""
    s.drop()
    s.rest()
    gate = s.gate()
    prompt = s.script(Step.hold(gate))
    s.person_says(prompt)
    gate.reached()
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
    s.turn(Step.flaking(1, Step.cut(), command.step), DONE)
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
    gate = thinking(s)
    before = s.ends()
    gate.open()
    s.one_more_end(before)
    yield


def run_ends(s: Scene) -> Play:
    gate = thinking(s)
    pid = s.agent.pid("codex")
    gate.open()
    s.gone(pid)
    yield


def interrupted(s: Scene) -> Play:
    thinking(s)
    before = s.ends()
    talking.interrupt(s.store, s.agent.id)
    s.one_more_end(before)
    yield


def interrupted_command(s: Scene) -> Play:
    """Codex lets the command live on."""
    command = Running(s)
    s.turn(command.step, DONE)
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
