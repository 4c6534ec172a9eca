"""The tables of docs/mcp.md, made from what the MCP server offers a client."""

from __future__ import annotations

import functools
import json
from typing import Any

import anyio
from mcp import Client

from codex_agent.mcp_server.server import build


@functools.cache
def offer() -> tuple[dict[str, Any], list[Any], list[Any]]:
    """What the MCP server offers a client: tools by name, resource templates, prompts."""

    async def ask() -> tuple[dict[str, Any], list[Any], list[Any]]:
        async with Client(build({})) as client:
            tools = {tool.name: tool for tool in (await client.list_tools()).tools}
            templates = (await client.list_resource_templates()).resource_templates
            return tools, list(templates), list((await client.list_prompts()).prompts)

    return anyio.run(ask)


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def table_of_tools() -> str:
    rows = ["| tool | what it is for | effect |", "| --- | --- | --- |"]
    for name, tool in offer()[0].items():
        hints = tool.annotations
        effect = "reads" if hints.read_only_hint else "may destroy" if hints.destructive_hint else "acts"
        rows.append(f"| [`{name}`](#{name}) | {cell(tool.description)} | {effect} |")
    return "\n".join(rows) + "\n"


def table_of_parameters(tool: str) -> str:
    rows = ["| parameter | type | default | what it is |", "| --- | --- | --- | --- |"]
    schema = offer()[0][tool].input_schema
    for name, each in schema["properties"].items():
        default = "must be given" if name in schema.get("required", ()) else "-"
        if each.get("default") is not None:
            default = f"`{json.dumps(each['default'])}`"
        rows.append(f"| `{name}` | {cell(type_of(each))} | {default} | {cell(each['description'])} |")
    return "\n".join(rows) + "\n"


def type_of(each: dict[str, Any]) -> str:
    """A JSON Schema's type in a few words."""
    if "anyOf" in each:
        return " or ".join(map(type_of, each["anyOf"]))
    if "const" in each or "enum" in each:
        return ", ".join(f"`{one}`" for one in each.get("enum", [each.get("const")]))
    return f"list of {type_of(each['items'])}" if each["type"] == "array" else str(each["type"])


def table_of_resources() -> str:
    rows = ["| resource | type | what it is |", "| --- | --- | --- |"]
    rows.append("| `codex-agent://jobs` | application/json | Jobs, as `jobs --json` prints them. |")
    rows += [f"| `{each.uri_template}` | {each.mime_type} | {each.description} |" for each in offer()[1]]
    return "\n".join(rows) + "\n"


def table_of_prompts() -> str:
    rows = ["| prompt | arguments | what it is for |", "| --- | --- | --- |"]
    for each in offer()[2]:
        given = ", ".join(f"`{one.name}`{'' if one.required else ' (may be left out)'}" for one in each.arguments)
        rows.append(f"| `{each.name}` | {given} | {each.description} |")
    return "\n".join(rows) + "\n"
