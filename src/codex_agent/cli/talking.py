"""Owns the commands that talk to an agent: send, await-turn, interrupt, approvals and their answers, keys, exit.

Prints what the verbs of the room of the same name told; what a report means as an exit code is in ``common``.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from codex_agent import talking as verbs
from codex_agent.answers import Responded, Sent, TurnReport
from codex_agent.calling import me
from codex_agent.cli.common import (
    JobRef,
    Json,
    argument,
    exit_of_report,
    no_longer_waiting,
    resolve_all,
    settings,
    store,
)
from codex_agent.cli.show import asked, responses
from codex_agent.cli.telling import note, print_json, print_text
from codex_agent.errors import EXIT_NEEDS_YOU, EXIT_OK, EXIT_TIMED_OUT, UsageError
from codex_agent.job_text import asks, state
from codex_agent.store import Store
from codex_agent.text import plain

Seconds = Annotated[
    float | None,
    typer.Option("--timeout", metavar="S", min=0, help="Give up after so many seconds (exit 124)."),
]
Number = Annotated[
    int | None,
    typer.Argument(
        metavar="[N]",
        min=1,
        help="Which, as `approvals` counts; needed if more than one waits.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this room."""
    app.command()(send)
    app.command("await-turn")(await_turn)
    for command in (interrupt, approvals, approve, deny, answer, keys):
        app.command()(command)
    app.command("exit")(leave)


def send(
    ref: JobRef,
    message: Annotated[
        str | None,
        typer.Argument(metavar="MESSAGE", help="What to say; - reads it from stdin.", show_default=False),
    ] = None,
    file: Annotated[str | None, typer.Option("--file", help="Read the message from a file.")] = None,
    queue: Annotated[
        bool, typer.Option("--queue", help="Wait for the end of a running turn instead of going into it.")
    ] = False,
    cut: Annotated[bool, typer.Option("--interrupt", help="Cut a running turn off first.")] = False,
    no_resume: Annotated[
        bool, typer.Option("--no-resume", help="Refuse (exit 4) if the job has ended instead of reopening it.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Then do as await-turn does: its output, its exit codes.")
    ] = False,
    timeout: Seconds = None,
    json_output: Json = False,
) -> None:
    """Say something to an agent: it begins a turn, goes into the running one, or reopens an ended job."""
    from codex_agent import codex
    from codex_agent import prompt as prompt_room

    if queue and cut:
        raise UsageError("--queue and --interrupt exclude each other.", "Give one of them.")
    if timeout is not None and not wait:
        raise UsageError("--timeout is how long --wait waits.", "Add --wait, or leave it out.")
    where = store()
    job_id = where.resolve(ref)
    text = prompt_room.read_prompt(
        message, file, sys.stdin.buffer, limit=codex.MAX_PROMPT_CHARS, what="message", option="--file"
    )
    how: verbs.How = "queue" if queue else "interrupt" if cut else "now"
    sent = verbs.send(where, job_id, text, settings(), os.environ, how=how, resume=not no_resume)
    if not wait:
        _tell_sent(sent, json_output)
        return
    if not json_output:
        note(_sent_line(sent))
    raise typer.Exit(wait_for_turn(where, job_id, timeout, json_output))


def await_turn(ref: JobRef, timeout: Seconds = None, json_output: Json = False) -> None:
    """Sleep until the agent's turn has ended, and print its last message.

    Exit 0: it ended well; 1: the turn or the job failed or was interrupted; 10: the agent needs you; 11: context
    or usage limit; 124: timed out.
    """
    where = store()
    raise typer.Exit(wait_for_turn(where, where.resolve(ref), timeout, json_output))


def wait_for_turn(where: Store, job_id: str, timeout_s: float | None, json_output: bool) -> int:
    """Waits for the turn's end and prints what came of it; the exit code."""
    with no_longer_waiting([job_id], "await-turn"):
        report, done = verbs.await_turn(where, job_id, timeout_s=timeout_s)
    code = exit_of_report(report) if done else EXIT_TIMED_OUT
    if json_output:
        print_json(report)
        return code
    # At a time-out the last message is not yet the answer, or it is that of an earlier turn.
    if done and report.message is not None:
        print_text(plain(report.message))
    if code != EXIT_OK:
        note(_report_line(report, code))
    return code


def interrupt(ref: JobRef, json_output: Json = False) -> None:
    """Cut the running turn off; the agent stays. Returns when the turn has ended."""
    where = store()
    cut = verbs.interrupt(where, where.resolve(ref))
    if json_output:
        print_json(cut)
        return
    print_text(f"{cut.id}  turn {cut.turn_id or '(no id)'} was cut off; now {cut.turn_state or 'ended'}")
    for text in cut.untaken:
        print_text(f"  not seen by the agent, send it again: {plain(text)[:200]}")
    print_text(f'  {me()} send {cut.id} "..." | exit {cut.id}')


def approvals(
    refs: Annotated[
        list[str] | None, argument("[ID...]", "Only of these jobs: ids, unique prefixes, or names.")
    ] = None,
    json_output: Json = False,
) -> None:
    """List what waits for somebody, approvals and questions, longest waiting first."""
    where = store()
    found = verbs.approvals(where, resolve_all(where, refs) if refs else None)
    if json_output:
        print_json(found)
        return
    print_text("\n\n".join(asked(one, found.generated_at) for one in found.waiting) or "Nothing waits.")


def approve(
    ref: JobRef,
    number: Number = None,
    always: Annotated[
        bool, typer.Option("--always", help="And do not ask again for the same, as long as this agent runs.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Let the agent do what it asks for."""
    where = store()
    decision: verbs.Decision = "accept_always" if always else "accept"
    _tell_responded(verbs.respond(where, where.resolve(ref), number, decision), json_output)


def deny(
    ref: JobRef,
    number: Number = None,
    message: Annotated[
        str | None, typer.Option("--message", metavar="TEXT", help="Tell the agent what to do instead.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Refuse what the agent asks for; its turn goes on without."""
    if message is not None and not message.strip():
        raise UsageError("The message is empty.", "Say what the agent shall do instead, or leave --message out.")
    where = store()
    _tell_responded(verbs.respond(where, where.resolve(ref), number, "decline", message=message), json_output)


def answer(
    ref: JobRef,
    answers: Annotated[
        list[str],
        typer.Argument(
            metavar="ANSWER...",
            help="One for each question: the number or the label of an option, or words of your own.",
            show_default=False,
        ),
    ],
    number: Annotated[
        int | None,
        typer.Option(
            "-n", metavar="N", min=1, help="Which, as `approvals` counts; needed if more than one waits."
        ),
    ] = None,
    json_output: Json = False,
) -> None:
    """Answer the agent's questions."""
    where = store()
    _tell_responded(verbs.answer(where, where.resolve(ref), answers, n=number), json_output)


def keys(
    ref: JobRef,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="KEY...", help="Keys in tmux's names, such as Enter, Escape, Up, C-c.", show_default=False
        ),
    ],
    literal: Annotated[bool, typer.Option("--literal", help="Type the words as they are.")] = False,
    json_output: Json = False,
) -> None:
    """Type keys into the agent's pane, for what nothing else reaches."""
    if not all(names):
        raise UsageError("An empty word is no key.", "Such as Enter, Escape, Up, C-c.")
    where = store()
    typed = verbs.keys(where, where.resolve(ref), names, literal=literal)
    if json_output:
        print_json(typed)
        return
    print_text(f"{typed.id}  typed: {plain(' '.join(typed.keys))}")
    print_text(f"  {me()} capture {typed.id} 20 --clean")


def leave(
    ref: JobRef,
    cut: Annotated[bool, typer.Option("--interrupt", help="Cut a running turn off first.")] = False,
    json_output: Json = False,
) -> None:
    """End an agent that stays, politely: exit 4 while a turn runs."""
    where = store()
    job = verbs.leave(where, where.resolve(ref), cut=cut)
    if json_output:
        print_json(job)
        return
    print_text(f"{job.id}  {state(job)}")
    print_text(f'  {me()} output {job.id} --transcript | send {job.id} "..." (reopens it)')


def _tell_sent(sent: Sent, json_output: bool) -> None:
    if json_output:
        print_json(sent)
        return
    print_text(_sent_line(sent))
    print_text(f"  {me()} await-turn {sent.id} | watch {sent.id} | status {sent.id}")


def _sent_line(sent: Sent) -> str:
    turn = f"turn {sent.turn_id or '(no id)'}"
    what = {
        "turn": f"{turn} began with it",
        "steer": f"it went into {turn}",
        "queued": "queued for the end of the running turn",
    }[sent.delivery]
    back = "reopened: " if sent.reopened else ""
    long = f"; it is long, so the agent was told to read {sent.file}" if sent.file else ""
    return f"{sent.id}  {back}{what}{long}"


def _report_line(report: TurnReport, code: int) -> str:
    """What is not a plain success, on one line."""
    is_now = f"{report.status}/{report.turn_state}" if report.turn_state else report.status
    if code == EXIT_TIMED_OUT:
        return f"{report.id}  {is_now}: timed out, the turn has not ended"
    if code == EXIT_NEEDS_YOU:
        if not report.waiting_for:
            return f"{report.id}  {is_now}: {me()} approvals {report.id} | attach {report.id}"
        first = report.waiting_for[0]
        more = f" (and {len(report.waiting_for) - 1} more)" if len(report.waiting_for) > 1 else ""
        how = " | ".join(responses(report.id, first))
        return f"{report.id}  {is_now} {first.n}: {asks(first)}{more}: {how}"
    told = report.failure.message if report.failure else report.error
    turn = f", turn {report.turn_status}" if report.turn_status and report.turn_status != report.status else ""
    return f"{report.id}  {is_now}{turn}" + (f": {' '.join(plain(told).split())}" if told else "")


def _tell_responded(done: Responded, json_output: bool) -> None:
    if json_output:
        print_json(done)
        return
    word = {
        "accept": "approved",
        "accept_always": "approved for good",
        "decline": "denied",
        "answer": "answered",
    }[done.decision]
    print_text(f"{done.id}  {word} {done.waiting.n} ({asks(done.waiting)}); now {done.turn_state or 'ended'}")
    if done.sent is not None:
        print_text(f"  {_sent_line(done.sent)}")
    print_text(f"  {me()} await-turn {done.id} | approvals {done.id}")
