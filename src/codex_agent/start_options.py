"""Owns what a caller may ask for when it begins an agent. Only a shape: ``starting.plan`` checks it."""

from __future__ import annotations

from dataclasses import dataclass, field

from codex_agent.model import Resume, ReviewTarget
from codex_agent.worktrees import TreeOptions


@dataclass(slots=True)
class StartOptions:
    """What a caller asks for. None or empty leaves it to the settings, and those to Codex's own configuration."""

    prompt: str
    cwd: str
    files: list[str] = field(default_factory=list)
    use_map: bool = False
    model: str | None = None
    reasoning: str | None = None
    sandbox: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    profile: str | None = None
    config: list[str] = field(default_factory=list)
    output_schema: str | None = None
    skip_git_repo_check: bool = False
    thread_source: str | None = None
    resume: Resume | None = None
    review: ReviewTarget | None = None
    parent_session: str | None = None
    name: str | None = None
    timeout_s: float | None = None
    max_time_s: float | None = None
    notify_on_complete: str | None = None
    interactive: bool = False
    plain: bool = False
    approval: str | None = None
    idle_exit_s: float | None = None
    gates: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    after_any: list[str] = field(default_factory=list)
    max_parallel: int | None = None
    budget: str | None = None
    overlap_check: bool = True
    tree: TreeOptions = field(default_factory=TreeOptions)
    issue: str | None = None
    track: bool = True
    instructions: str | None = None
    instructions_file: str | None = None
    agents_md: bool = False
    named: str | None = None
    """One of the settings' profiles; what it says counts where these options say nothing."""
