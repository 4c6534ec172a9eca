"""Owns the JSON Schema of every ``--json`` answer, and the tables of docs/formats.md, made from the dataclasses.

Run ``python -m codex_agent.schema FILE`` to bring the generated part of a document up to date; a test fails when
it is not. The only module that loads pydantic.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from codex_agent import (
    answers,
    cost_answers,
    diagnosis_answers,
    gate_answers,
    mcp_answers,
    model,
    monitor_answers,
    review_answers,
    thread_answers,
    tracked,
    tree_answers,
    work_answers,
)

if TYPE_CHECKING:
    from pydantic import TypeAdapter

BEGIN = "<!-- generated: python -m codex_agent.schema docs/formats.md -->"
END = "<!-- end of generated part -->"

# What each command prints with --json.
COMMANDS: dict[str, type[Any]] = {
    "start": model.Job,
    "start --interactive --wait": answers.TurnReport,
    "start --dry-run": answers.DryRun,
    "resume": model.Job,
    "resume --interactive --wait": answers.TurnReport,
    "resume --dry-run": answers.DryRun,
    "review": model.Job,
    "review --wait": review_answers.Review,
    "review --dry-run": answers.DryRun,
    "send": answers.Sent,
    "send --wait": answers.TurnReport,
    "await-turn": answers.TurnReport,
    "interrupt": answers.Cut,
    "approvals": answers.Approvals,
    "approve": answers.Responded,
    "deny": answers.Responded,
    "answer": answers.Responded,
    "keys": answers.Keyed,
    "exit": model.Job,
    "status": model.Job,
    "jobs": model.JobList,
    "wait": model.JobList,
    "capture": answers.Captured,
    "output": answers.Output,
    "output --events": answers.Events,
    "output --transcript": answers.Transcript,
    "output --review": review_answers.Review,
    "watch": model.Job,
    "threads": thread_answers.ThreadList,
    "thread": thread_answers.ThreadView,
    "thread --transcript": answers.Transcript,
    "monitor": monitor_answers.MonitorEvent,
    "monitor (last line)": monitor_answers.MonitorEnd,
    "cost": cost_answers.CostReport,
    "overlap": work_answers.OverlapList,
    "diff": tree_answers.Diff,
    "diff --stat": tree_answers.Diff,
    "commits": tree_answers.CommitList,
    "merge": tree_answers.Merged,
    "apply": tree_answers.Applied,
    "worktree list": tree_answers.WorktreeList,
    "worktree remove": tree_answers.WorktreesRemoved,
    "worktree prune": tree_answers.WorktreesRemoved,
    "note": work_answers.Notes,
    "note --list": work_answers.Notes,
    "report": work_answers.ReportList,
    "attach": answers.Attach,
    "sessions": answers.Sessions,
    "kill": model.Job,
    "kill (several)": model.JobList,
    "delete": model.Job,
    "clean": model.JobList,
    "health": answers.Health,
    "doctor": answers.Doctor,
    "agents-md add": answers.AgentsMd,
    "agents-md remove": answers.AgentsMd,
    "agents-md show": answers.AgentsMd,
    "gate check": gate_answers.GateCheck,
    "diagnose": diagnosis_answers.Diagnosis,
    "config show": answers.Config,
    "config set": answers.Config,
    "config unset": answers.Config,
    "config path": answers.ConfigPath,
}
# What each tool of the MCP server answers (docs/mcp.md).
TOOLS: dict[str, type[Any]] = {
    "codex_agent": mcp_answers.Task,
    "codex_resume": mcp_answers.Task,
    "codex_review": mcp_answers.Reviewed,
    "codex_wait": mcp_answers.Waited,
    "codex_cancel": mcp_answers.Task,
    "codex_send": mcp_answers.Spoken,
    "codex_interrupt": answers.Cut,
    "codex_status": mcp_answers.TaskStatus,
    "codex_tasks": mcp_answers.TaskList,
    "codex_result": mcp_answers.TaskText,
    "codex_approvals": answers.Approvals,
    "codex_approve": answers.Responded,
    "codex_threads": mcp_answers.ThreadsFound,
    "codex_monitor": mcp_answers.Monitored,
}
# Every class the documents describe, each before the ones it is made of.
CLASSES: tuple[type[Any], ...] = (
    model.JobList,
    model.Job,
    model.CurrentTurn,
    model.LastTurn,
    model.Waiting,
    model.Question,
    model.QueuePlace,
    model.Resume,
    tracked.Work,
    tracked.Committed,
    tracked.PullRequest,
    model.ReviewTarget,
    model.Worktree,
    model.SetUp,
    model.Tokens,
    model.Failure,
    model.Problem,
    answers.DryRun,
    answers.AgentsMd,
    answers.Sent,
    answers.TurnReport,
    answers.Cut,
    answers.Approvals,
    answers.Asked,
    answers.Responded,
    answers.Keyed,
    answers.Captured,
    answers.Output,
    answers.Events,
    answers.Transcript,
    answers.Said,
    answers.Ran,
    answers.Changed,
    answers.FileChanged,
    answers.Planned,
    answers.Step,
    answers.Used,
    answers.Noted,
    answers.Marked,
    thread_answers.ThreadList,
    thread_answers.ThreadRow,
    thread_answers.ThreadView,
    thread_answers.Owner,
    thread_answers.Suspicion,
    thread_answers.Goal,
    thread_answers.Narration,
    thread_answers.SubAgent,
    cost_answers.CostReport,
    cost_answers.CostRow,
    cost_answers.RateLimit,
    monitor_answers.MonitorEvent,
    monitor_answers.MonitorEnd,
    monitor_answers.MonitoredThread,
    review_answers.Review,
    review_answers.Finding,
    work_answers.OverlapList,
    work_answers.Tree,
    work_answers.Sharer,
    work_answers.SharedFile,
    work_answers.Apart,
    work_answers.ApartFile,
    tree_answers.Diff,
    tree_answers.DiffFile,
    tree_answers.CommitList,
    work_answers.Commit,
    tree_answers.Merged,
    tree_answers.Applied,
    tree_answers.WorktreeList,
    tree_answers.WorktreeRow,
    tree_answers.WorktreesRemoved,
    tree_answers.WorktreeKept,
    work_answers.Notes,
    work_answers.Note,
    work_answers.ReportList,
    work_answers.Report,
    work_answers.Asking,
    work_answers.TurnDone,
    work_answers.Commits,
    work_answers.CommitMade,
    work_answers.CommandRun,
    work_answers.RanTests,
    work_answers.Mistake,
    answers.Attach,
    answers.Sessions,
    answers.SessionRow,
    answers.Health,
    answers.Check,
    answers.Doctor,
    answers.Examined,
    diagnosis_answers.Diagnosis,
    diagnosis_answers.Cause,
    diagnosis_answers.Versions,
    mcp_answers.Reviewed,
    mcp_answers.Spoken,
    mcp_answers.Waited,
    mcp_answers.Task,
    mcp_answers.TaskList,
    mcp_answers.TaskRow,
    mcp_answers.TaskStatus,
    mcp_answers.Diagnostics,
    mcp_answers.TaskText,
    mcp_answers.ThreadsFound,
    mcp_answers.Monitored,
    gate_answers.GateCheck,
    gate_answers.Gpu,
    gate_answers.GpuProcess,
    gate_answers.BusyProcess,
    gate_answers.Container,
    gate_answers.Memory,
    gate_answers.Disk,
    gate_answers.Load,
    gate_answers.GateLine,
    gate_answers.Standing,
    answers.Config,
    answers.Setting,
    answers.ConfigPath,
)
ON_DISK: tuple[type[Any], ...] = (model.Record, model.Request, model.Facts, model.Spent, model.Turn, model.Process)


def schema(kind: type[Any]) -> dict[str, Any]:
    """JSON Schema (2020-12) of a dataclass, strict: no property that is not described."""
    made: dict[str, Any] = _adapter(kind).json_schema(mode="serialization")
    for name, definition in [(kind.__name__, made), *made.get("$defs", {}).items()]:
        _describe(name, definition)
    return made


def check(kind: type[Any], data: Any) -> None:
    """Raises ValueError, naming every field that is wrong, unless ``data`` (parsed JSON) is exactly a ``kind``."""
    adapter = _adapter(kind)
    value = adapter.validate_json(json.dumps(data), strict=True)
    whole = adapter.dump_python(value, mode="json")
    if whole != data:
        raise ValueError(f"{kind.__name__}: fields are missing: {data} should be {whole}")


def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    for each in (*CLASSES, *ON_DISK):
        each.__pydantic_config__ = {"extra": "forbid", "json_schema_serialization_defaults_required": True}
    return TypeAdapter(kind)


def markdown() -> str:
    """The generated part of docs/formats.md."""
    lines = [BEGIN, "", "### What each command prints", "", "| command | prints |", "| --- | --- |"]
    for command, kind in COMMANDS.items():
        lines.append(f"| `{command} --json` | [{kind.__name__}](#{kind.__name__.lower()}) |")
    lines += ["", "### What each MCP tool answers", "", "What may be null is left out there.", ""]
    lines += ["| tool | answers |", "| --- | --- |"]
    lines += [f"| `{tool}` | [{kind.__name__}](#{kind.__name__.lower()}) |" for tool, kind in TOOLS.items()]
    for kind in CLASSES:
        lines += _table(kind)
    lines += ["", "### On disk", "", "`<id>.json` is one `Record`; its parts:"]
    for kind in ON_DISK:
        lines += _table(kind)
    return "\n".join([*lines, "", END])


def update(text: str) -> str:
    """A document with its generated part made anew."""
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return head + markdown() + tail


def _table(kind: type[Any]) -> list[str]:
    first = (kind.__doc__ or "").split("\n")[0]
    lines = ["", f"#### {kind.__name__}", "", first, "", "| field | type | what it is |", "| --- | --- | --- |"]
    for item in dataclasses.fields(kind):
        kind_text = str(item.type).replace("|", "\\|")
        lines.append(f"| `{item.name}` | {kind_text} | {item.metadata.get('doc', '')} |")
    return lines


def _class(name: str) -> type[Any] | None:
    return next((kind for kind in (*CLASSES, *ON_DISK) if kind.__name__ == name), None)


def _describe(name: str, definition: dict[str, Any]) -> None:
    kind = _class(name)
    if kind is None or "properties" not in definition:
        return
    definition["description"] = (kind.__doc__ or "").split("\n")[0]
    for item in dataclasses.fields(kind):
        if "doc" in item.metadata:
            definition["properties"][item.name]["description"] = item.metadata["doc"]


def main(argv: list[str]) -> int:
    """Rewrites the generated part of the documents named."""
    for path in argv:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(update(text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
