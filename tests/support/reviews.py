"""What a scripted model answers when it reviews: the JSON that Codex's review prompt asks for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from codex_agent.demo.model_server import Step

# The beginnings of what Codex tells its model, by what is reviewed (0.98.0 to 0.169.0).
UNCOMMITTED = "Review the current code changes"
BASE = "Review the code changes against"
COMMIT = "Review the code changes introduced by commit"


def finding(file: Path, start: int, end: int, *, title: str = "[P1] It is wrong", priority: int | None = 1) -> Any:
    """One finding, as the model gives it."""
    return {
        "title": title,
        "body": "Because it is.\nAnd so it stays.",
        "confidence_score": 0.75,
        "priority": priority,
        "code_location": {"absolute_file_path": str(file), "line_range": {"start": start, "end": end}},
    }


def reviewed(*findings: Any, verdict: str = "patch is incorrect", why: str = "It breaks things.") -> Step:
    """The model's answer to a review."""
    return Step.message(
        json.dumps(
            {
                "findings": list(findings),
                "overall_correctness": verdict,
                "overall_explanation": why,
                "overall_confidence_score": 0.5,
            }
        )
    )
