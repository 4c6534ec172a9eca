"""Owns how an exec agent looks in its pane: one Codex event in, a few readable lines out.

What Codex and its commands print is shown as text: control characters in it are removed, so that an agent's
output can neither move an attached person's cursor nor set a title. Must never decide anything.
"""

from __future__ import annotations

import os
from typing import Any

from codex_agent.execstream import objects
from codex_agent.model import Facts, Request
from codex_agent.text import plain

_BOLD, _DIM, _RED, _GREEN, _YELLOW, _CYAN, _OFF = (
    "\x1b[1m",
    "\x1b[2m",
    "\x1b[31m",
    "\x1b[32m",
    "\x1b[33m",
    "\x1b[36m",
    "\x1b[0m",
)
_OUTPUT_LINES = 12
_LINE_CHARS = 400
_PROMPT_LINES = 12
_KINDS = {"add": ("+", _GREEN), "delete": ("-", _RED), "update": ("~", _YELLOW)}


def shown_prompt(request: Request) -> str | None:
    """The prompt's beginning; the channel tells all of it, as the first thing somebody said."""
    if request.mode == "interactive":
        return None
    return request.prompt_head + ("..." if request.prompt_chars > len(request.prompt_head) else "")


def opening(job_id: str, name: str | None, version: str | None, sandbox: str, cwd: str, prompt: str | None) -> str:
    """What the pane shows first."""
    title = f"{job_id} {name}" if name else job_id
    lines = [
        f"{_BOLD}codex-agent {title}{_OFF}{_DIM}  Codex {version or '?'} · {sandbox} · {_one_line(cwd)}{_OFF}",
        "",
    ]
    if prompt is not None:
        lines += [*(f"{_CYAN}>{_OFF} {line}" for line in _head(plain(prompt), _PROMPT_LINES)), ""]
    return "\n".join(lines) + "\n"


def event_text(event: dict[str, Any], cwd: str) -> str:
    """The lines for one event of the stream; empty for those a person need not see."""
    kind = event["type"]
    if kind == "error":
        return f"{_YELLOW}! {_one_line(event.get('message'))}{_OFF}\n"
    if kind == "turn.completed":
        return _usage(event.get("usage"))
    item = event.get("item")
    if not kind.startswith("item.") or not isinstance(item, dict):
        return ""
    return _item(kind, item, cwd)


def closing(status: str, sentence: str | None, facts: Facts, elapsed_s: float) -> str:
    """What the pane shows last."""
    color = {"completed": _GREEN, "failed": _RED}.get(status, _YELLOW)
    files = f" · {len(facts.files)} file{'s' * (len(facts.files) != 1)} changed" if facts.files else ""
    text = f"\n{color}{_BOLD}{status}{_OFF}{_DIM} after {elapsed_s:.1f} s{files}{_OFF}\n"
    return text + (f"{color}{_one_line(sentence)}{_OFF}\n" if sentence else "")


def _item(kind: str, item: dict[str, Any], cwd: str) -> str:
    what = item.get("type")
    if kind == "item.started":
        return f"{_CYAN}${_OFF} {_command(item)}\n" if what == "command_execution" else ""
    if kind != "item.completed":
        return ""
    if what == "user_message":
        return "\n" + "".join(
            f"{_CYAN}>{_OFF} {line}\n" for line in plain(str(item.get("text") or "")).splitlines()
        )
    if what == "agent_message":
        return f"\n{plain(str(item.get('text') or '')).rstrip()}\n\n"
    if what == "reasoning":
        return f"{_DIM}{_one_line(item.get('text'))}{_OFF}\n"
    if what == "command_execution":
        return _output(item)
    if what == "file_change":
        return "".join(_change(change, cwd) for change in objects(item.get("changes")))
    if what == "todo_list":
        return "".join(_todo(step) for step in objects(item.get("items")))
    if what == "error":
        return f"{_YELLOW}! {_one_line(item.get('message'))}{_OFF}\n"
    if what == "mcp_tool_call":
        return (
            f"{_CYAN}*{_OFF} {_one_line(item.get('server'))}.{_one_line(item.get('tool'))} {item.get('status')}\n"
        )
    if what == "web_search":
        return f"{_CYAN}*{_OFF} search: {_one_line(item.get('query'))}\n"
    return f"{_DIM}* {_one_line(what)}{_OFF}\n"


def _command(item: dict[str, Any]) -> str:
    """The command as the model gave it, without the shell Codex wraps around it."""
    text = str(item.get("command") or "")
    for shell in ("/bin/bash -lc ", "/bin/bash -c ", "bash -lc ", "/bin/zsh -lc ", "/bin/sh -c "):
        if text.startswith(shell):
            text = text[len(shell) :]
            if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
                text = text[1:-1]
            break
    return "\n  ".join(_head(plain(text), 6))


def _output(item: dict[str, Any]) -> str:
    lines = plain(str(item.get("aggregated_output") or "")).rstrip("\n").split("\n")
    shown = [line[:_LINE_CHARS] for line in lines[-_OUTPUT_LINES:] if lines != [""]]
    hidden = len(lines) - len(shown) if shown else 0
    text = f"{_DIM}  ... {hidden} more lines above\n{_OFF}" if hidden else ""
    text += "".join(f"{_DIM}  {line}{_OFF}\n" for line in shown)
    code = item.get("exit_code")
    if code == 0:
        return text + f"{_GREEN}  exit 0{_OFF}\n"
    return text + f"{_RED}  {'exit ' + str(code) if code is not None else item.get('status')}{_OFF}\n"


def _change(change: dict[str, Any], cwd: str) -> str:
    sign, color = _KINDS.get(str(change.get("kind")), ("~", _YELLOW))
    path = str(change.get("path") or "?")
    inside = os.path.join(cwd, "")
    path = path[len(inside) :] if path.startswith(inside) else path
    return f"{color}{sign}{_OFF} {_one_line(path)}\n"


def _todo(step: dict[str, Any]) -> str:
    box = "[x]" if step.get("completed") else "[ ]"
    return f"{_DIM}  {box} {_one_line(step.get('text'))}{_OFF}\n"


def _usage(usage: Any) -> str:
    if not isinstance(usage, dict) or not usage.get("input_tokens"):
        return ""
    cached = usage.get("cached_input_tokens") or 0
    counts = f"{usage['input_tokens']} in ({cached} cached), {usage.get('output_tokens') or 0} out"
    return f"{_DIM}tokens: {counts}{_OFF}\n"


def _one_line(value: Any) -> str:
    return " ".join(plain(str(value if value is not None else "")).split())[:_LINE_CHARS]


def _head(text: str, count: int) -> list[str]:
    lines = text.strip("\n").split("\n")
    cut = [line[:_LINE_CHARS] for line in lines[:count]]
    return [*cut, f"... {len(lines) - count} more lines"] if len(lines) > count else cut
