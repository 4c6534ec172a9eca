"""Owns which threads a thread has started: its sub-agents, as a tree."""

from __future__ import annotations

from codex_agent import index
from codex_agent.rollouts import locate
from codex_agent.rollouts.head import Head, read_head
from codex_agent.rollouts.tail import End, end_of, narrations
from codex_agent.thread_answers import SubAgent
from codex_agent.threads.owner import Owners, Unknown
from codex_agent.threads.state import judge

_MOST = 500  # an agent that started more has gone wild


def sub_agents(codex_home: str, thread_id: str, owners: Owners) -> list[SubAgent]:
    """The threads that this one started, and those that they started; each before its own."""
    found = {one.thread_id: one for one in locate.everything(codex_home, archived=True)}
    children = _children(codex_home, thread_id, found)
    told: list[SubAgent] = []
    queue = [(child, thread_id, 1) for child in children.get(thread_id, [])]
    seen = {thread_id}
    while queue and len(told) < _MOST:
        child, parent, depth = queue.pop(0)
        if child in seen:
            continue
        seen.add(child)
        told.append(_sub_agent(child, parent, depth, found.get(child), owners))
        queue[:0] = [(one, child, depth + 1) for one in children.get(child, [])]
    return told


def _children(codex_home: str, thread_id: str, found: dict[str, locate.Found]) -> dict[str, list[str]]:
    try:
        told = index.children(codex_home)
    except index.Unreadable:
        told = None
    if told is not None:
        return told
    children: dict[str, list[str]] = {}
    # Without Codex's table: a sub-agent is younger than its parent, and its first line names that.
    parent = found.get(thread_id)
    born = locate.created_at(thread_id)
    for one in sorted(found.values(), key=lambda each: each.thread_id):
        made = locate.created_at(one.thread_id)
        if parent is None or one is parent or (born is not None and made is not None and made < born):
            continue
        above = _head(one.path).parent_id
        if above is not None:
            children.setdefault(above, []).append(one.thread_id)
    return children


def _sub_agent(child: str, parent: str, depth: int, found: locate.Found | None, owners: Owners) -> SubAgent:
    head, end, words = Head(), End(), ""
    if found is not None:
        head = _head(found.path)
        try:
            end = end_of(found.path)
            words = "".join(one.text for one in narrations(found.path, 1, thread_id=child, own_from=head.own_from))
        except OSError:
            pass  # archived or compressed since it was listed: the next look finds it
    try:
        loaded: bool | None = owners.of(child, found.path if found else None) is not None
    except Unknown:
        loaded = None
    verdict = judge(end.turn, loaded=loaded, unmarked=end.unmarked)
    return SubAgent(child, parent, depth, head.agent_name, verdict.state, verdict.turn, end.tokens, words or None)


def _head(path: str) -> Head:
    try:
        return read_head(path)
    except OSError:
        return Head()
