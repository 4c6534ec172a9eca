"""Owns the tools that begin work: codex_agent, codex_resume, codex_review."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from codex_agent import resuming, reviewing, starting
from codex_agent.codex.home import codex_home
from codex_agent.mcp_answers import Reviewed, Task
from codex_agent.mcp_server import limits
from codex_agent.mcp_server.door import ASYNC, TIMEOUT, Call, Offer, Tool
from codex_agent.mcp_server.following import finish, seen
from codex_agent.mcp_server.telling import in_words
from codex_agent.model import doc
from codex_agent.review_text import as_text
from codex_agent.start_options import StartOptions
from codex_agent.starting import Plan
from codex_agent.threads.refs import newest, resolve
from codex_agent.worktrees import TreeOptions

Sandbox = Literal["read-only", "workspace-write", "danger-full-access"]

_MODEL = "The model; by default Codex's own."
_REASONING = "Reasoning effort: none, minimal, low, medium, high or xhigh; by default Codex's own."
_SANDBOX = (
    "What it may do: read-only, workspace-write (change files in its working directory; the default) or "
    "danger-full-access. The owner's settings may allow less."
)
_STAYS = "An agent that stays when it is done: codex_send gives it more, and it may ask for approval."
_APPROVAL = "With interactive, when it asks before it acts: never, on-request (the default) or untrusted."
_NAME = "A name that works as a taskId."


@dataclass(slots=True)
class Agent:
    """Parameters of codex_agent."""

    task: str = doc(
        "What the agent is to do. It knows nothing of this conversation: give the goal, the files that matter, "
        "and what must hold when it is done."
    )
    working_directory: str = doc("Where it works: an absolute path in a git repository.")
    sandbox: Sandbox | None = doc(_SANDBOX, default=None)
    model: str | None = doc(_MODEL, default=None)
    reasoning: str | None = doc(_REASONING, default=None)
    async_: bool = doc(ASYNC, default=False)
    timeout_ms: float | None = doc(TIMEOUT, default=None)
    interactive: bool = doc(_STAYS, default=False)
    approval: str | None = doc(_APPROVAL, default=None)
    files: list[str] | None = doc(
        "Globs, relative to workingDirectory, of files to put into the prompt; !GLOB leaves some out.",
        default=None,
    )
    add_dirs: list[str] | None = doc("More directories it may write, absolute.", default=None)
    worktree: bool = doc(
        "Give it a git worktree of its own, on a new branch: for several agents in one repository.", default=False
    )
    commit: bool = doc("With worktree: commit its changes there when a turn or the task ends.", default=False)
    name: str | None = doc(_NAME, default=None)


@dataclass(slots=True)
class GoOn:
    """Parameters of codex_resume."""

    thread: str = doc(
        "The Codex session: its id or a unique prefix, codex://threads/ID, a task that had it, or last (the one "
        "that was active last). codex_threads lists them."
    )
    task: str | None = doc("How to go on; may be left out with interactive.", default=None)
    fork: bool = doc("Leave that session as it is: a new one that begins with its history.", default=False)
    working_directory: str | None = doc("Where it works; by default where the session was.", default=None)
    sandbox: Sandbox | None = doc(_SANDBOX, default=None)
    model: str | None = doc("The model; by default the session's.", default=None)
    reasoning: str | None = doc("Reasoning effort; by default the session's.", default=None)
    async_: bool = doc(ASYNC, default=False)
    timeout_ms: float | None = doc(TIMEOUT, default=None)
    interactive: bool = doc(_STAYS, default=False)
    approval: str | None = doc(_APPROVAL, default=None)
    name: str | None = doc(_NAME, default=None)


@dataclass(slots=True)
class LookOver:
    """Parameters of codex_review."""

    working_directory: str = doc("The git repository, or a folder in it: an absolute path.")
    uncommitted: bool = doc("Review what is not committed. The default if nothing else is named.", default=False)
    base: str | None = doc("Review what the current branch has over this one.", default=None)
    commit: str | None = doc("Review what this commit changed.", default=None)
    instructions: str | None = doc("What to look out for; alone: what to review.", default=None)
    model: str | None = doc(_MODEL, default=None)
    reasoning: str | None = doc(_REASONING, default=None)
    async_: bool = doc(ASYNC, default=False)
    timeout_ms: float | None = doc(TIMEOUT, default=None)
    name: str | None = doc(_NAME, default=None)


def register(offer: Offer) -> None:
    """Adds the tools of this module."""
    offer.tool(
        Tool(
            name="codex_agent",
            about="Give a coding task to a new Codex agent and wait for its result; what takes longer goes on in "
            "the background. For work that can be described in full: implement, fix, investigate, write tests. "
            "Several at once: async true for each, then codex_wait for all.",
            takes=Agent,
            answers=Task,
            run=agent,
            text=in_words,
            destroys=True,
            waits=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_resume",
            about="Go on with a Codex session that anybody began, in a terminal, an IDE or another program. For a "
            "task that was started with these tools codex_send is simpler.",
            takes=GoOn,
            answers=Task,
            run=resume,
            text=in_words,
            destroys=True,
            waits=True,
        )
    )
    offer.tool(
        Tool(
            name="codex_review",
            about="Have a Codex agent review code: uncommitted changes, a branch, a commit, or what instructions "
            "say. Answers with findings by file and line. Changes nothing.",
            takes=LookOver,
            answers=Reviewed,
            run=review,
            text=_reviewed,
        )
    )


async def agent(call: Call, wanted: Agent) -> Task:
    """codex_agent."""

    def begin() -> Task:
        settings = call.door.settings()
        options = StartOptions(
            prompt=wanted.task,
            cwd=wanted.working_directory,
            files=wanted.files or [],
            model=wanted.model,
            reasoning=wanted.reasoning,
            sandbox=wanted.sandbox or limits.default_sandbox(settings),
            add_dirs=wanted.add_dirs or [],
            tree=TreeOptions("" if wanted.worktree else None, commit=wanted.commit),
            name=wanted.name,
            interactive=wanted.interactive,
            approval=wanted.approval,
        )
        limits.check_folder(settings, wanted.working_directory)
        return _start(call, starting.plan(options, settings, call.door.environ))

    return await _begin(call, begin, wanted)


async def resume(call: Call, wanted: GoOn) -> Task:
    """codex_resume."""

    def begin() -> Task:
        environ, settings, store = call.door.environ, call.door.settings(), call.door.store()
        home, folder = codex_home(environ), wanted.working_directory
        ref = newest(store, home, folder) if wanted.thread == "last" else resolve(store, home, wanted.thread)
        options = StartOptions(
            prompt=wanted.task or "",
            cwd="",
            model=wanted.model,
            reasoning=wanted.reasoning,
            sandbox=wanted.sandbox or limits.default_sandbox(settings),
            name=wanted.name,
            interactive=wanted.interactive,
            approval=wanted.approval,
        )
        how = resuming.Wanted(forked=wanted.fork, directory=folder)
        return _start(call, resuming.plan(store, ref, how, options, settings, environ))

    return await _begin(call, begin, wanted)


async def review(call: Call, wanted: LookOver) -> Reviewed:
    """codex_review."""

    def begin() -> Task:
        settings, cwd = call.door.settings(), wanted.working_directory
        limits.check_folder(settings, cwd)
        options = StartOptions(
            prompt=wanted.instructions or "",
            cwd=cwd,
            model=wanted.model,
            reasoning=wanted.reasoning,
            name=wanted.name,
        )
        about = reviewing.target(
            cwd,
            uncommitted=wanted.uncommitted,
            base=wanted.base,
            commit=wanted.commit,
            prompt=options.prompt,
        )
        return _start(call, reviewing.plan(options, about, settings, call.door.environ))

    task = await _begin(call, begin, wanted)
    found = await call.verb(reviewing.read, call.door.store(), task.id) if task.status == "completed" else None
    return Reviewed(task, found)


def _start(call: Call, planned: Plan) -> Task:
    """Starts what was planned, if an MCP caller may have it."""
    settings, store = call.door.settings(), call.door.store()
    limits.check(settings, planned.request)
    job = starting.start(planned, settings, store, call.door.environ)
    return seen(store, job.id, planned.notices)


async def _begin(call: Call, begin: Callable[[], Task], wanted: Agent | GoOn | LookOver) -> Task:
    """Begins it, and waits for it unless that is not wanted."""
    seconds = call.limit_s(wanted.timeout_ms)
    if call.begun is None:
        task = await call.verb(begin)
        call.begun = {"id": task.id, "notices": task.notices}
    else:
        store, begun = call.door.store(), call.begun
        task = await call.verb(lambda: seen(store, store.resolve(begun["id"]), begun["notices"]))
    return task if wanted.async_ else await finish(call, task, seconds)


def _reviewed(answer: Reviewed) -> str:
    if answer.review is None:
        return in_words(answer.task)
    return f"{as_text(answer.review)}\n\n{answer.task.next}"
