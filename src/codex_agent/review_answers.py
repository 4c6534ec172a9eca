"""Owns the shape of a review: what Codex found, in parts where it gave them so. Only shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from codex_agent.model import ReviewTarget, Tokens, doc


@dataclass(slots=True)
class Finding:
    """One thing a review found."""

    title: str = doc("In a few words.")
    body: str = doc("What is wrong, and why.")
    file: str | None = doc("The file, absolute as Codex gave it.")
    line_start: int | None = doc("The first line it is about, counted from 1.")
    line_end: int | None = doc("The last one.")
    priority: int | None = doc("0 is the most urgent, 3 the least; null if the model gave none.")
    confidence: float | None = doc("How sure the model is, 0 to 1.")


@dataclass(slots=True)
class Review:
    """`review --wait`, and `output --review`: what a review found."""

    id: str = doc("The job.")
    thread_id: str | None = doc("Codex's id of the thread.")
    target: ReviewTarget = doc("What was reviewed.")
    basis: Literal["structured", "text"] = doc(
        "structured: the model answered in parts. text: it answered in words only, all of them in `explanation`."
    )
    findings: list[Finding] = doc("What it found, in its order; empty if nothing, and for a text.")
    correctness: str | None = doc("The model's verdict, such as `patch is correct`; null if it gave none.")
    explanation: str = doc("Why, or the whole answer if that was a text.")
    confidence: float | None = doc("How sure the model is of its verdict, 0 to 1.")
    tokens: Tokens | None = doc("What the review cost; null if nothing tells.")
