"""Owns what the user's own Codex configuration says where a launch must not pass over it.

Must never write a file.
"""

from __future__ import annotations

import os
import re
from typing import Any

from codex_agent.codex.toml import read_toml

# The reasoning effort of o-series models (o3, o4-mini), which do little without.
_HARD = "high"


def user_config(codex_home: str) -> dict[str, Any]:
    return read_toml(os.path.join(codex_home, "config.toml"))


def with_own_instructions(text: str | None, codex_home: str) -> str | None:
    """What the agent is told besides its task, behind the user's own words, which it would replace otherwise."""
    own = None if text is None else user_config(codex_home).get("developer_instructions")
    return f"{own.strip()}\n\n{text}" if isinstance(own, str) and own.strip() else text


def raised_effort(model: str | None, codex_home: str) -> str | None:
    """The effort that this model (None: the configured one) is given where nobody has said one; None: its own."""
    config = user_config(codex_home)
    name = model or config.get("model")
    wants = isinstance(name, str) and re.match(r"o\d", name) is not None
    return _HARD if wants and "model_reasoning_effort" not in config else None
