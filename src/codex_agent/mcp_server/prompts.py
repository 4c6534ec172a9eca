"""Owns the prompts: ways of working with several agents, in words for the model that gives out the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mcp_types as types
from mcp.shared.exceptions import MCPError

from codex_agent.mcp_server.door import Offer


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt. ``takes``: its arguments, each with what it is and whether it must be given."""

    name: str
    title: str
    about: str
    takes: Mapping[str, tuple[str, bool]]
    text: Callable[[Mapping[str, str]], str]


_FOLDER = ("The repository, an absolute path. Default: where you work.", False)


def _investigation(given: Mapping[str, str]) -> str:
    return f"""\
Find out, with several Codex agents at once: {given["question"]}

1. Split it into {given.get("agents") or "two to four"} lines of inquiry that do not need each other's answers:
   other parts of the code, other hypotheses.
2. Begin one agent for each: codex_agent with async true, sandbox read-only, workingDirectory {_folder(given)}.
   An agent knows nothing of this conversation: give it the question, its own line of inquiry and no other, where
   to look, and what to answer with (findings with file and line, how sure it is, what it could not find out).
3. codex_wait for all of them together. Do not ask for their status meanwhile.
4. Weigh the answers against each other. Where they disagree, or nothing proves a claim, look yourself or send the
   agent that question (codex_send).
5. Answer with what is established, the evidence, and what is still open."""


def _review(given: Mapping[str, str]) -> str:
    return f"""\
Have Codex review {given.get("target") or "the uncommitted changes"} in {_folder(given)}.

1. codex_review there{_focus(given)}.
2. Check each finding in the code before you believe it: is it so, does it matter, is it new with these changes?
3. Report the findings that hold, the gravest first, with file, line and how to mend them. Name those you rejected
   in one line each, with the reason.
4. Mend nothing before that is asked for."""


def _implement(given: Mapping[str, str]) -> str:
    check = given.get("check")
    proof = f"`{check}`" if check else "a test that fails without the change"
    return f"""\
Have Codex implement this in {_folder(given)}, and make sure that it was: {given["task"]}

1. Look at the code far enough to write a task that can be done without asking: goal, files, constraints, what must
   not change, and how to prove that it works: {proof}.
2. codex_agent with that task. If it takes longer than the call waits: codex_wait with its taskId.
3. What an agent says it did is a claim. See for yourself: codex_result with what "diff", and run
   {f"`{check}`" if check else "the tests"}.
4. codex_review of the uncommitted changes; check its findings.
5. What is wrong goes back to the same agent with codex_send: what you saw, and what is expected. Then from 3.
   again, three times at most.
6. Report what was changed, how it was verified, and what is left."""


def _folder(given: Mapping[str, str]) -> str:
    return given.get("workingDirectory") or "the repository you work in (its absolute path)"


def _focus(given: Mapping[str, str]) -> str:
    return f", to look at this in particular: {given['focus']}" if given.get("focus") else ""


PROMPTS = (
    Prompt(
        "parallel_investigation",
        "Investigate with several agents",
        "Split a question into independent lines of inquiry, give each to a read-only agent, weigh the answers.",
        {
            "question": ("What is to be found out.", True),
            "workingDirectory": _FOLDER,
            "agents": ("How many agents. Default: two to four.", False),
        },
        _investigation,
    ),
    Prompt(
        "review",
        "Review with Codex",
        "Have Codex review changes, and check its findings.",
        {
            "target": ("What to review, in words: a branch, a commit. Default: uncommitted changes.", False),
            "workingDirectory": _FOLDER,
            "focus": ("What to look at in particular.", False),
        },
        _review,
    ),
    Prompt(
        "implement_and_verify",
        "Implement and verify",
        "Have Codex implement something, then check the changes, review them and have them mended.",
        {
            "task": ("What is to be implemented.", True),
            "workingDirectory": _FOLDER,
            "check": ("The command that proves it, such as the tests.", False),
        },
        _implement,
    ),
)


def register(offer: Offer) -> None:
    """Adds the prompts."""

    async def listed(_: Any, __: Any) -> types.ListPromptsResult:
        return types.ListPromptsResult(prompts=[_described(each) for each in PROMPTS])

    async def get(_: Any, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        return _filled_in(params.name, params.arguments or {})

    offer.server.add_request_handler("prompts/list", types.PaginatedRequestParams, listed)
    offer.server.add_request_handler("prompts/get", types.GetPromptRequestParams, get)


def _described(prompt: Prompt) -> types.Prompt:
    arguments = [
        types.PromptArgument(name=name, description=about, required=needed)
        for name, (about, needed) in prompt.takes.items()
    ]
    return types.Prompt(name=prompt.name, title=prompt.title, description=prompt.about, arguments=arguments)


def _filled_in(name: str, given: Mapping[str, str]) -> types.GetPromptResult:
    prompt = next((each for each in PROMPTS if each.name == name), None)
    if prompt is None:
        raise MCPError(types.INVALID_PARAMS, f"There is no prompt '{name}'.")
    missing = [word for word, (_, needed) in prompt.takes.items() if needed and not given.get(word, "").strip()]
    if missing:
        raise MCPError(types.INVALID_PARAMS, f"The prompt {name} needs {', '.join(missing)}.")
    strange = sorted(set(given) - set(prompt.takes))
    if strange:
        raise MCPError(types.INVALID_PARAMS, f"The prompt {name} takes no {', '.join(strange)}.")
    message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=prompt.text(given)))
    return types.GetPromptResult(description=prompt.about, messages=[message])
