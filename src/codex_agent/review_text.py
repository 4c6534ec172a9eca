"""Owns how a review looks as text. Must never look anything up."""

from __future__ import annotations

from codex_agent.model import ReviewTarget
from codex_agent.review_answers import Finding, Review
from codex_agent.text import plain


def as_text(found: Review) -> str:
    """For a person: what it is about, the findings, the verdict."""
    head = f"{found.id}  {describe(found.target)}"
    verdict = ": ".join(
        plain(word).strip() for word in (found.correctness or "", found.explanation) if word.strip()
    )
    if found.basis == "text":
        return f"{head}\n\n{verdict}"
    blocks = [f"{head}: {len(found.findings)} finding{'s' * (len(found.findings) != 1)}"]
    return "\n\n".join([*blocks, *map(_finding, found.findings), *filter(None, [verdict])])


def describe(target: ReviewTarget) -> str:
    """What is reviewed, in a few words."""
    words = {
        "uncommitted": "review of what is uncommitted",
        "base": f"review against {target.name}",
        "commit": f"review of commit {target.name}",
        "custom": "review as told",
    }
    return words[target.kind]


def _finding(one: Finding) -> str:
    lines = "" if one.line_start is None else f":{one.line_start}"
    if one.line_end is not None and one.line_end != one.line_start:
        lines += f"-{one.line_end}"
    marks = [] if one.priority is None else [f"P{one.priority}"]
    marks += [] if one.confidence is None else [f"confidence {one.confidence:.2f}"]
    about = f" ({', '.join(marks)})" if marks else ""
    body = plain(one.body).strip().replace("\n", "\n  ")
    return f"{plain(one.file or '?')}{lines}{about}\n  {plain(one.title)}" + (f"\n  {body}" if body else "")
