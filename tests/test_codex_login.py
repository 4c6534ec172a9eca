"""Whether Codex could reach its model: what the real `codex login status` says, and what it does not know."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from codex_agent.codex.finding import Codex, find
from codex_agent.codex.login import login_state
from codex_agent.errors import MissingProgram
from support import Codex as Installed
from support import Home, codex

KEY = "sk-proj-abcdefghijklmnop1234567890"
PROVIDER = 'model_provider = "mine"\n[model_providers.mine]\nname = "mine"\nbase_url = "http://127.0.0.1:1/v1"\n'


@pytest.fixture
def found(home: Home) -> Codex:
    return find(codex("newest").path, home.env, str(home.agent_home / "cache"))


def configure(home: Home, text: str) -> str:
    (home.codex_home / "config.toml").write_text(text)
    return str(home.codex_home)


def test_not_logged_in_then_with_a_key(every_codex: Installed, home: Home, tmp_path: Path) -> None:
    found = find(every_codex.path, home.env, str(home.agent_home / "cache"))
    folder = str(home.codex_home)
    assert login_state(found, home.env, folder).state == "none"
    words = [found.path, "login", "--with-api-key"]
    subprocess.run(words, input=KEY, env=home.env, capture_output=True, text=True, check=True, timeout=30)
    # The folder that was asked for counts, not the one that this environment leads to.
    elsewhere = {name: value for name, value in home.env.items() if name != "CODEX_HOME"} | {"HOME": str(tmp_path)}
    state, detail = login_state(found, elsewhere, folder)
    assert state == "api_key"
    assert not any(piece in detail for piece in (KEY[:8], KEY[-5:]))


def test_the_variable_that_exec_takes(found: Codex, home: Home) -> None:
    folder = str(home.codex_home)
    assert login_state(found, home.env | {"CODEX_API_KEY": KEY}, folder).state == "api_key"
    assert KEY not in login_state(found, home.env | {"CODEX_API_KEY": KEY}, folder).detail
    # Codex 0.98 to 0.169 were seen to send no key with only this one set.
    assert login_state(found, home.env | {"OPENAI_API_KEY": KEY}, folder).state == "none"


PROVIDERS: list[tuple[str, dict[str, str], str]] = [
    (PROVIDER, {}, "provider"),
    (f'{PROVIDER}env_key = "MY_KEY"\n', {"MY_KEY": KEY}, "provider"),
    (f'{PROVIDER}env_key = "MY_KEY"\n', {}, "none"),
    (f"{PROVIDER}requires_openai_auth = true\n", {}, "none"),
    (f"{PROVIDER}requires_openai_auth = true\n", {"CODEX_API_KEY": KEY}, "api_key"),
    ('model_provider = "ollama"\n', {}, "provider"),
    ('model_provider = "openai"\n', {}, "none"),
    ('model_provider = "nosuch"\n', {}, "none"),
    ("model_provider = 7\n", {}, "none"),
    ("model_providers = 7\n", {}, "none"),
]


@pytest.mark.parametrize(("config", "variables", "state"), PROVIDERS)
def test_providers(config: str, variables: dict[str, str], state: str, found: Codex, home: Home) -> None:
    told = login_state(found, home.env | variables, configure(home, config))
    assert told.state == state
    assert KEY not in told.detail


def test_what_cannot_be_read_is_said(found: Codex, home: Home, tmp_path: Path) -> None:
    assert "is not TOML" in login_state(found, home.env, configure(home, "[half")).detail
    assert (
        "refuses its configuration" in login_state(found, home.env, configure(home, 'sandbox_mode = "x"\n')).detail
    )
    configure(home, "")
    (home.codex_home / "auth.json").write_text('{"OPENAI_API_KEY": ["sk-proj-')
    assert "cannot read its login" in login_state(found, home.env, str(home.codex_home)).detail
    assert login_state(found, home.env, str(tmp_path / "none")).state == "none"
    with pytest.raises(MissingProgram, match="does not run"):
        (home.codex_home / "auth.json").unlink()
        login_state(replace(found, path="/bin/nonexistent-codex"), home.env, str(home.codex_home))
