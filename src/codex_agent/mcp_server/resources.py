"""Owns the resources: the job list, and of each job its record, transcript, result, diff and diagnosis.

Listed are the list and the newest jobs; what else there is of a job, templates say. Change nothing.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any
from urllib.parse import unquote

import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError

from codex_agent import diagnosing, jobs
from codex_agent.errors import AmbiguousId, CodexAgentError, JobNotFound, SystemRefused
from codex_agent.mcp_server.door import Call, Door, Offer
from codex_agent.mcp_server.looking import pieces
from codex_agent.mcp_server.shapes import sayable
from codex_agent.model import Job
from codex_agent.store import Store

JOBS = "codex-agent://jobs"
_JSON, _TEXT = "application/json", "text/plain"
# What there is of one job: the end of its address, what that is, of which type.
PARTS = {
    "": ("Task {task}", "The job's record, as `status --json` prints it.", _JSON),
    "/transcript": ("Conversation of task {task}", "Who said what, commands, edits.", _TEXT),
    "/result": ("Result of task {task}", "The agent's final message.", "text/markdown"),
    "/diff": (
        "Changes of task {task}",
        "How its work tree differs from where its thread began.",
        "text/x-diff",
    ),
    "/diagnosis": ("Diagnosis of task {task}", "All that tells why it is as it is.", _JSON),
}
_NEWEST = 20
_MOST_COMPLETIONS = 100
_ADDRESS = re.compile(re.escape(JOBS) + r"/([^/]+)(|/[a-z]+)")


def register(offer: Offer) -> None:
    """Adds the resources."""
    door = offer.door

    async def listed(context: ServerRequestContext[Any, Any], _: Any) -> types.ListResourcesResult:
        return types.ListResourcesResult(resources=await Call(door, context).verb(_listed, door.store()))

    async def templates(_: Any, __: Any) -> types.ListResourceTemplatesResult:
        return types.ListResourceTemplatesResult(resource_templates=_templates())

    async def read(
        context: ServerRequestContext[Any, Any], params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        text, kind = await Call(door, context).verb(_read, door, uri)
        content = types.TextResourceContents(uri=uri, mime_type=kind, text=sayable(text))
        return types.ReadResourceResult(contents=[content])

    async def complete(
        context: ServerRequestContext[Any, Any], params: types.CompleteRequestParams
    ) -> types.CompleteResult:
        values: list[str] = []
        if isinstance(params.ref, types.ResourceTemplateReference) and params.argument.name == "task":
            values = await Call(door, context).verb(_begin_so, door.store(), params.argument.value)
        most = values[:_MOST_COMPLETIONS]
        completion = types.Completion(values=most, total=len(values), has_more=len(values) > len(most))
        return types.CompleteResult(completion=completion)

    add = offer.server.add_request_handler
    add("resources/list", types.PaginatedRequestParams, listed)
    add("resources/templates/list", types.PaginatedRequestParams, templates)
    add("resources/read", types.ReadResourceRequestParams, read)
    add("completion/complete", types.CompleteRequestParams, complete)


def _listed(store: Store) -> list[types.Resource]:
    whole = types.Resource(
        uri=JOBS,
        name="jobs",
        title="Codex tasks",
        description="Jobs, as `jobs --json` prints them.",
        mime_type=_JSON,
    )
    newest = jobs.listing(store, limit=_NEWEST).jobs
    return [whole, *(_resource(job, end) for job in newest for end in _ends(job))]


def _ends(job: Job) -> list[str]:
    return ["", "/result"] if job.status == "completed" else [""]


def _resource(job: Job, end: str) -> types.Resource:
    title, _, kind = PARTS[end]
    about = f"{job.status}: {' '.join(job.prompt.split())}"
    return types.Resource(
        uri=f"{JOBS}/{job.id}{end}",
        name=f"{job.id}{end}",
        title=title.format(task=job.name or job.id),
        description=about,
        mime_type=kind,
    )


def _templates() -> list[types.ResourceTemplate]:
    return [
        types.ResourceTemplate(
            uri_template=f"{JOBS}/{{task}}{end}",
            name=end.strip("/") or "record",
            title=title.format(task="(id or name)"),
            description=about,
            mime_type=kind,
        )
        for end, (title, about, kind) in PARTS.items()
    ]


def _read(door: Door, uri: str) -> tuple[str, str]:
    """What lies at that address, and its type. Raises MCPError."""
    store, address = door.store(), _ADDRESS.fullmatch(uri)
    try:
        if uri == JOBS:
            return _json(jobs.listing(store, limit=door.settings().jobs_limit)), _JSON
        if address is None or address[2] not in PARTS:
            ends = ", ".join(filter(None, PARTS))
            raise JobNotFound(f"There is no resource {uri}.", f"There are {JOBS} and {JOBS}/TASK with {ends}.")
        return _part(door, store, store.resolve(unquote(address[1])), address[2]), PARTS[address[2]][2]
    except (CodexAgentError, OSError) as error:
        # Not found is what the protocol calls a wrong parameter.
        code = types.INVALID_PARAMS if isinstance(error, JobNotFound | AmbiguousId) else types.INTERNAL_ERROR
        told = error if isinstance(error, CodexAgentError) else SystemRefused(f"{uri}: {error.strerror or error}.")
        message = f"{told.message} {told.hint}" if told.hint else told.message
        raise MCPError(code, message, {"uri": uri, "code": told.code}) from None


def _part(door: Door, store: Store, job_id: str, end: str) -> str:
    if end == "":
        return _json(jobs.view(store, job_id))
    if end == "/diagnosis":
        return _json(diagnosing.diagnose(store, job_id, door.environ))
    if end == "/transcript":
        return "".join(pieces(store, job_id, "transcript")())
    return "".join(pieces(store, job_id, "diff" if end == "/diff" else "result")())


def _json(told: Any) -> str:
    return json.dumps(dataclasses.asdict(told), ensure_ascii=False, indent=1)


def _begin_so(store: Store, beginning: str) -> list[str]:
    """Ids and names that begin so, the newest first."""
    records = sorted(store.load_all()[0], key=lambda record: record.created_at, reverse=True)
    words = [word for record in records for word in (record.name, record.id) if word]
    return [word for word in words if word.startswith(beginning)]
