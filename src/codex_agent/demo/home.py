"""Owns the CODEX_HOME that points Codex at a scripted model: one `config.toml`, and no way to the network.

It never touches a CODEX_HOME that a person uses: it writes only into the folder it is given.
"""

from __future__ import annotations

import json
import os

# Known by name to the Codex versions of today, and one whose tools are plain calls (the newest models write
# JavaScript instead). A Codex that does not know it says so in a warning and goes on.
MODEL = "gpt-5.5"


def make_codex_home(
    path: str | os.PathLike[str], base_url: str, *, model: str | None = None, extra: str = ""
) -> None:
    """Makes `path` a CODEX_HOME whose only provider is the scripted model at `base_url`.

    `model` is the name Codex is told (``MODEL`` by default; "" leaves Codex its own default). `extra` is TOML
    put between the top-level keys and the tables: it may hold top-level keys first and tables after them.

    Everything that would go elsewhere is off. Whatever its provider, Codex 0.163 would otherwise run
    `git ls-remote` against github.com at every start (`plugins`), and 0.98 would ask api.openai.com which models
    there are (`remote_models`).
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    name = MODEL if model is None else model
    lines = [
        'model_provider = "mock"',
        *([f"model = {json.dumps(name)}"] if name else []),
        "check_for_update_on_startup = false",
        extra.strip(),
        "",
        "[model_providers.mock]",
        'name = "scripted model"',
        f"base_url = {json.dumps(base_url)}",
        'wire_api = "responses"',
        "requires_openai_auth = false",
        "",
        "[analytics]",
        "enabled = false",
        "",
        "[history]",
        'persistence = "none"',
        "",
        "[features]",
        "plugins = false",
        "apps = false",
        "remote_models = false",
        "",
    ]
    file = os.path.join(path, "config.toml")
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        out.write("\n".join(lines))
