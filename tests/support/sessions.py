"""One Codex session of every kind, made once for many tests, and what is true of each.

The words in ``KINDS`` are what a person who made them would say, whatever any file tells.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from codex_agent.codex.interactive import records_failures, records_turns
from codex_agent.codex.version import parse_version
from codex_agent.demo.model_server import Gate, Step
from support.codexes import Codex
from support.ide import Ide, escalates, ide, spawns
from support.jobs import Place, place
from support.threads import DONE, Outside, Thread, outside, rollouts
from support.waiting import until

LOOKS = Step.all(Step.message("I look first."), Step.command("ls"))
PATCH = Step.patch("*** Begin Patch\n*** Add File: made.txt\n+made\n*** End Patch\n")
AIM = "Make the tests pass."
REVIEW = {
    "findings": [
        {
            "title": "[P1] It adds instead of subtracting",
            "body": "The sign is wrong.",
            "confidence_score": 0.9,
            "priority": 1,
            "code_location": {"absolute_file_path": "/home/ada/repo/a.py", "line_range": {"start": 3, "end": 4}},
        }
    ],
    "overall_correctness": "patch is incorrect",
    "overall_explanation": "One sign.",
    "overall_confidence_score": 0.8,
}
# Otherwise a sub-agent may not start another one.
DEEP = ("-c", "agents.max_depth=3")
PLAN = (("look", "completed"), ("change", "in_progress"))


# As Codex tells it.
REVIEW_TEXT = (
    "One sign.\n\nReview comment:\n\n- [P1] It adds instead of subtracting \u2014 /home/ada/repo/a.py:3-4\n"
    "  The sign is wrong."
)


@dataclass(frozen=True)
class Kind:
    """Where such a session comes from, what it does, how its last turn stands."""

    source: str
    state: str
    turn: str | None
    says: str | None = "Done."
    """The last thing it said."""


KINDS = {
    "done": Kind("exec", "closed", "completed"),
    "resumed": Kind("exec", "closed", "completed", "Again."),
    "failed": Kind("exec", "closed", "failed", "I look first."),
    "aborted": Kind("exec", "closed", "interrupted", "I look first."),
    "killed": Kind("exec", "closed", "interrupted", None),
    "resumed after a kill": Kind("exec", "closed", "completed", "Again."),
    "forked": Kind("exec", "closed", "completed", "Forked."),
    "archived": Kind("exec", "closed", "completed"),
    "reviewed": Kind("exec", "closed", "completed", REVIEW_TEXT),
    "planned": Kind("exec", "closed", "completed"),
    "reached": Kind("exec", "closed", "completed", "Reached."),
    "thinking": Kind("exec", "working", "open", "I look first."),
    "running": Kind("exec", "working", "open", None),
    "terminal": Kind("cli", "idle", "completed"),
    "terminal at work": Kind("cli", "working", "open", "I look first."),
    "ide": Kind("vscode", "idle", "completed"),
    "ide at work": Kind("vscode", "working", "open", "I look first."),
    "ide runs": Kind("vscode", "working", "open", None),
    "ide asks": Kind("vscode", "working", "open", "I need the network."),
    "ide interrupted": Kind("vscode", "idle", "interrupted", None),
    "ide pursues": Kind("vscode", "working", "open", None),
    "parent": Kind("vscode", "idle", "completed", "Both work."),
}
HAS_FORK = (0, 150, 0)
HAS_AGENTS = (0, 133, 0)  # and goals


@dataclass
class Sessions:
    """All of them. ``threads`` by the names in ``KINDS``, those that this Codex can have."""

    out: Outside
    editor: Ide
    threads: dict[str, Thread]
    gates: list[Gate]
    late: list[Gate]
    children: list[str]
    """Threads that "parent" started: the first, the second; then what the first started."""

    @property
    def codex_home(self) -> Path:
        return self.out.home.codex_home

    def kind(self, name: str) -> Kind:
        """What is true of this one with this Codex."""
        kind = KINDS[name]
        if name == "failed" and not records_failures(self.out.codex.version):
            return Kind(kind.source, kind.state, "completed", kind.says)
        return kind


@contextlib.contextmanager
def sessions(root: Path, codex: Codex) -> Iterator[Sessions]:
    """Made in about twenty seconds; what lives of them lives until the end."""
    with contextlib.ExitStack() as stack:
        here: Place = stack.enter_context(place(root))
        here.home.use_codex(codex)
        out = stack.enter_context(outside(here, codex))
        editor = stack.enter_context(ide(out, *(DEEP if parse_version(codex.version) >= HAS_AGENTS else ())))
        made = Sessions(out, editor, {}, [], [], [])
        _closed(made)
        _live(made)
        _in_the_ide(made)
        try:
            yield made
        finally:
            for gate in made.gates + made.late:
                gate.open()


def _closed(made: Sessions) -> None:
    out, threads = made.out, made.threads
    threads["done"] = out.exec(LOOKS, PATCH, DONE)
    threads["resumed"] = out.resumed(out.exec(), Step.message("Again."))
    threads["failed"] = out.failed(LOOKS, Step.failed("context_length_exceeded"))
    threads["aborted"] = out.aborted(LOOKS)
    threads["killed"] = out.killed()
    threads["resumed after a kill"] = out.resumed(out.killed(LOOKS), Step.message("Again."))
    threads["planned"] = out.exec(Step.plan(("look", "completed"), ("change", "in_progress")), DONE)
    threads["archived"] = _archived(made, out.exec())
    (out.repo / "a.py").write_text("print(1 + 1)\n")
    threads["reviewed"] = out.reviewed(REVIEW)
    if parse_version(out.codex.version) < HAS_AGENTS:
        return
    aim = Step.call("create_goal", {"objective": AIM, "token_budget": 50000})
    reached = Step.call("update_goal", {"status": "complete"})
    threads["reached"] = out.exec(aim, reached, Step.message("Reached."))
    if parse_version(out.codex.version) >= HAS_FORK:
        threads["forked"] = out.forked(threads["done"], Step.message("Forked."))


def _archived(made: Sessions, thread: Thread) -> Thread:
    if parse_version(made.out.codex.version) >= HAS_FORK:
        return made.out.archived(thread)
    made.editor.archives(thread)  # 0.133 has no `codex archive`
    return made.out.again(thread)


def _live(made: Sessions) -> None:
    out, threads = made.out, made.threads
    threads["thinking"] = out.begin(LOOKS, _held(made))
    begun = out.repo / "running"
    threads["running"] = out.begin(_endless(begun), _held(made, late=True))
    until(begun.exists, 20, "the command of `codex exec`")
    threads["terminal"] = out.tui(DONE)
    until(lambda: _over(threads["terminal"]), 20, "the end of the TUI's turn")
    threads["terminal at work"] = out.tui(LOOKS, _held(made))
    for gate in made.gates:
        gate.reached()


def _in_the_ide(made: Sessions) -> None:
    out, editor, threads = made.out, made.editor, made.threads
    threads["ide"] = editor.thread(LOOKS, DONE)
    editor.ended(threads["ide"])
    threads["ide at work"] = editor.thread(LOOKS, _held(made), sandbox="danger-full-access")
    begun = out.repo / "running-in-ide"
    threads["ide runs"] = editor.thread(_endless(begun), _held(made, late=True), sandbox="danger-full-access")
    until(begun.exists, 20, "the command of the IDE's thread")
    asks = Step.all(Step.message("I need the network."), escalates("curl example.invalid"))
    threads["ide asks"] = editor.thread(asks, DONE)
    editor.asked(threads["ide asks"])
    held = _held(made)
    stopped = editor.thread(held)
    made.gates[-1].reached()
    editor.interrupts(stopped)
    editor.ended(stopped)
    threads["ide interrupted"] = stopped
    if parse_version(out.codex.version) >= HAS_AGENTS:
        _with_goal_and_agents(made)
    for gate in made.gates:
        gate.reached()


def _with_goal_and_agents(made: Sessions) -> None:
    out, editor, threads = made.out, made.editor, made.threads
    threads["ide pursues"] = editor.thread(_held(made))
    editor.goal(threads["ide pursues"], AIM)
    grandchild, first, second = (out.script([DONE]) for _ in range(3))
    # Who started others is told when they are done, which to 0.133 may begin one more turn.
    out.model.on(first, spawns(f"{grandchild} please"), *[Step.message("I was the first.")] * 4)
    out.model.on(second, LOOKS, Step.message("I was the second."))
    spawning = [spawns(f"{first} please"), spawns(f"{second} please"), *[Step.message("Both work.")] * 4]
    threads["parent"] = editor.thread(*spawning)
    editor.ended(threads["parent"])
    for mark in (first, second, grandchild):
        made.children.append(until(partial(child_with, made.codex_home, mark), 30, "a sub-agent's end") or "")


def _held(made: Sessions, *, late: bool = False) -> Step:
    """The model thinks, until the end; ``late``: nobody waits until it begins to."""
    gates = made.late if late else made.gates
    gate = made.out.model.gate(f"held-{len(gates)}-{late}")
    gates.append(gate)
    return Step.hold(gate)


def _endless(begun: Path) -> Step:
    """A command without an end. Codex tells its model after half a minute that it runs in the background."""
    return Step.command(f"touch {begun}; sleep 987", yield_time_ms=30_000)


def _over(thread: Thread) -> bool:
    if records_turns(thread.records()[0]["payload"]["cli_version"]):
        return bool(thread.payloads("task_complete"))
    return any(each["info"] for each in thread.payloads("token_count"))


def child_with(codex_home: Path, mark: str) -> str | None:
    """The sub-agent with this prompt, once it has said its last word."""
    for path in rollouts(codex_home):
        text = path.read_text()
        head = text.partition("\n")[0]
        if '"thread_spawn"' in head and f"{mark} please" in text and '"task_complete"' in text:
            lines = text.splitlines()
            asked = next(line for line in lines if "%%outside-" in line)
            if f"{mark} please" in asked:
                return path.name.removesuffix(".jsonl")[-36:]
    return None
