"""Owns the shapes of the app-server's protocol: the parameters we send, and its messages in our words.

Checked against the schemas of Codex 0.133.0 and 0.163.0 (`codex app-server generate-json-schema`) and 0.169.0.
Pure. Must never decide what state an agent is in.
"""

from __future__ import annotations

import json
from typing import Any

from codex_agent.model import Question, Request, Turn, TurnMark, Waiting, WaitKind, stamp

Json = dict[str, Any]

_ASKS: dict[str, WaitKind] = {
    "item/commandExecution/requestApproval": "command",
    "item/fileChange/requestApproval": "file_change",
    "item/permissions/requestApproval": "permissions",
    "item/tool/requestUserInput": "question",
    "mcpServer/elicitation/request": "elicitation",
}
_MARKS: dict[str, TurnMark] = {
    "completed": "completed",
    "failed": "failed",
    "interrupted": "aborted",
    "inProgress": "open",
}
_ITEMS = {
    "agentMessage": "agent_message",
    "userMessage": "user_message",
    "commandExecution": "command_execution",
    "fileChange": "file_change",
    "reasoning": "reasoning",
    "mcpToolCall": "mcp_tool_call",
    "webSearch": "web_search",
    "plan": "plan",
}


# ---- what we say ----


def thread_params(request: Request) -> Json:
    """For ``thread/start`` and ``thread/resume``: Codex restores neither sandbox nor folder by itself."""
    params: Json = {"cwd": request.cwd, "sandbox": request.sandbox, "approvalPolicy": request.approval}
    params["approvalsReviewer"] = "user"
    if request.model is not None:
        params["model"] = request.model
    return params


def message_input(text: str, images: list[str] | None = None) -> list[Json]:
    """The ``input`` of ``turn/start`` and ``turn/steer``."""
    pictures = [{"type": "localImage", "path": path} for path in images or []]
    return [{"type": "text", "text": text}, *pictures]


def message_params(message_id: str, text: str) -> Json:
    """For ``turn/start`` and ``turn/steer``. The id comes back with the item, from 0.150 on; 0.133 ignores it."""
    return {"input": message_input(text), "clientUserMessageId": message_id}


def is_message(item: Json, message_id: str, text: str) -> bool:
    """Whether a ``userMessage`` item is this message of ours."""
    if isinstance(item.get("clientId"), str):
        return bool(item["clientId"] == message_id)
    parts = [_object(part).get("text") for part in item.get("content") or []]
    return "".join(part for part in parts if isinstance(part, str)).strip() == text.strip()


def verdict_on(waiting: Waiting, asked: Json, decision: str) -> Json:
    """The result that accepts ("accept", "accept_always") or refuses ("decline") what was asked."""
    if waiting.kind == "permissions":
        wanted = asked.get("permissions")
        granted = wanted if decision != "decline" and isinstance(wanted, dict) else {}
        return {"permissions": granted, "scope": "session" if decision == "accept_always" else "turn"}
    if waiting.kind == "elicitation":
        if decision == "decline":
            return {"action": "decline"}
        return {"action": "accept", "content": {}}
    return {"decision": {"accept": "accept", "accept_always": "acceptForSession"}.get(decision, "decline")}


def answers_to(waiting: Waiting, texts: list[str]) -> Json:
    """The result that answers the agent's questions, in their order."""
    pairs = zip(waiting.questions, texts, strict=True)
    return {"answers": {question.id: {"answers": [text]} for question, text in pairs}}


# ---- what it says ----


def thread_of(message: Json) -> str | None:
    """The thread a message is about."""
    params = _object(message.get("params"))
    return _text(params.get("threadId")) or _text(_object(params.get("thread")).get("id"))


def turn_of(message: Json) -> Turn:
    """The turn in ``turn/started`` and ``turn/completed``, or in the reply to ``turn/start``."""
    turn = _object(_object(message.get("params", message)).get("turn"))
    error = _object(turn.get("error"))
    return Turn(
        state=_MARKS.get(str(turn.get("status")), "open"),
        started_at=_seconds(turn.get("startedAt")),
        ended_at=_seconds(turn.get("completedAt")),
        duration_ms=turn["durationMs"] if isinstance(turn.get("durationMs"), int) else None,
        error=_text(error.get("message")),
        error_info=kind_of_error(error.get("codexErrorInfo")),
        id=_text(turn.get("id")),
    )


def kind_of_error(info: Any) -> str | None:
    """``codexErrorInfo`` as the rollout spells it: ``context_window_exceeded``, ``http_connection_failed:401``."""
    if isinstance(info, str):
        return _snake(info)
    if isinstance(info, dict) and info:
        word, inner = next(iter(info.items()))
        status = _object(inner).get("httpStatusCode")
        return _snake(str(word)) + (f":{status}" if isinstance(status, int) else "")
    return None


def status_of(message: Json) -> tuple[str, list[str]]:
    """``thread/status/changed``: idle, active, systemError or notLoaded, and what an active one waits on."""
    status = _object(_object(message.get("params")).get("status"))
    flags = status.get("activeFlags")
    return str(status.get("type")), [str(flag) for flag in flags] if isinstance(flags, list) else []


def trouble_of(message: Json) -> tuple[str, str | None, bool]:
    """``error``: Codex's words, its kind, and whether it will try again."""
    params = _object(message.get("params"))
    error = _object(params.get("error"))
    words = _text(error.get("message")) or "an error without words"
    details = _text(error.get("additionalDetails"))
    retries = params.get("willRetry") is True
    if retries and details and details not in words:
        words = f"{words} ({details})"
    return words, kind_of_error(error.get("codexErrorInfo")), retries


def asked_by(message: Json, n: int, at: str) -> Waiting | None:
    """A request of the server's as something to wait for; None if it wants nothing of a person."""
    kind = _ASKS.get(str(message.get("method")))
    if kind is None:
        return None
    params = _object(message.get("params"))
    network = _object(params.get("networkApprovalContext"))
    reason = _text(params.get("reason")) or _text(params.get("message"))
    if network and reason is None:
        reason = f"network access to {network.get('host')}"
    if kind == "permissions" and reason is None:
        reason = json.dumps(params.get("permissions"))
    questions = [_question(each) for each in params.get("questions") or [] if isinstance(each, dict)]
    if questions and reason is None:
        reason = questions[0].text
    return Waiting(
        n=n,
        kind=kind,
        asked_at=at,
        request_id=json.dumps(message.get("id")),
        thread_id=_text(params.get("threadId")),
        turn_id=_text(params.get("turnId")),
        item_id=_text(params.get("itemId")),
        command=_text(params.get("command")),
        cwd=_text(params.get("cwd")),
        reason=reason,
        questions=questions,
    )


def resolved_by(message: Json) -> str:
    """``serverRequest/resolved``: the request's id, as in ``Waiting.request_id``."""
    return json.dumps(_object(message.get("params")).get("requestId"))


def changed_paths(item: Json) -> list[str]:
    """The files of a ``fileChange`` item, where they were and where they go."""
    paths = []
    for change in item.get("changes") or []:
        kind = _object(_object(change).get("kind"))
        paths += [path for path in (_text(_object(change).get("path")), _text(kind.get("move_path"))) if path]
    return paths


def as_event(message: Json) -> Json | None:
    """``item/started`` and ``item/completed`` as the event of `codex exec --json` that says the same."""
    method = str(message.get("method"))
    item = _object(_object(message.get("params")).get("item"))
    kind = _ITEMS.get(str(item.get("type")))
    if method not in ("item/started", "item/completed") or kind is None:
        return None
    told: Json = {"id": item.get("id"), "type": kind}
    if kind == "user_message":
        parts = [_object(part) for part in item.get("content") or []]
        told["text"] = "\n".join(str(part.get("text") or f"[{part.get('type')}]") for part in parts)
    elif kind == "command_execution":
        told |= {
            "command": item.get("command"),
            "aggregated_output": item.get("aggregatedOutput") or "",
            "exit_code": item.get("exitCode"),
            "status": {"inProgress": "in_progress"}.get(str(item.get("status")), item.get("status")),
        }
    elif kind == "file_change":
        told |= {
            "changes": [
                {"path": path, "kind": _object(_object(change).get("kind")).get("type", "update")}
                for change in item.get("changes") or []
                for path in changed_paths({"changes": [change]})
            ],
            "status": item.get("status"),
        }
    elif kind == "reasoning":
        told["text"] = "\n".join(str(part) for part in item.get("summary") or [])
    elif kind == "mcp_tool_call":
        told |= {key: item.get(key) for key in ("server", "tool", "arguments", "result", "error", "status")}
    else:
        told |= {"text": item.get("text"), "query": item.get("query")}
    return {"type": method.replace("/", "."), "item": told}


def _question(data: Json) -> Question:
    options = [_object(option) for option in data.get("options") or []]
    return Question(
        id=str(data.get("id")),
        header=_text(data.get("header")) or "",
        text=_text(data.get("question")) or "",
        options=[str(option.get("label")) for option in options if option.get("label")],
        secret=data.get("isSecret") is True,
    )


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _seconds(value: Any) -> str | None:
    return stamp(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _snake(word: str) -> str:
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in word).lstrip("_")
