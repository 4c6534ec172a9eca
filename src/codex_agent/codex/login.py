"""Owns the question whether Codex has what it needs to reach its model. For ``health``; changes nothing.

Must never hold or print a key: what `codex login status` prints contains a piece of one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from codex_agent.codex.ask import ask
from codex_agent.errors import MissingProgram

if TYPE_CHECKING:
    from codex_agent.codex.finding import Codex

_TIMEOUT_S = 10.0
# Providers that Codex knows by itself and that need no account.
_LOCAL_PROVIDERS = ("ollama", "lmstudio", "oss")


class Login(NamedTuple):
    """How Codex would identify itself, and one sentence about it that names no secret."""

    state: Literal["logged_in", "api_key", "provider", "none"]
    detail: str


def login_state(codex: Codex, environ: Mapping[str, str], codex_home: str) -> Login:
    """Whether an agent could reach its model. Raises MissingProgram if Codex does not answer.

    `codex login status` takes some 10 ms, asks no server, and knows the key chain and auth.json; it does not know
    CODEX_API_KEY, which `codex exec` takes (0.98 to 0.169; none of them takes OPENAI_API_KEY), nor a provider that
    needs no login. So those two are looked at here.
    """
    try:
        config = _config(codex_home)
    except ValueError as error:
        return Login("none", str(error))
    provider = _provider(config, environ)
    if provider is not None:
        return provider
    if environ.get("CODEX_API_KEY"):
        return Login("api_key", "CODEX_API_KEY is set.")
    if not os.path.isdir(codex_home):
        return Login("none", f"Not logged in: {codex_home} does not exist yet.")
    try:
        answer = ask(
            [codex.path, "login", "status"], {**environ, **codex.env, "CODEX_HOME": codex_home}, _TIMEOUT_S
        )
    except OSError as error:
        message = f"{codex.path} does not run: {error.strerror}."
        raise MissingProgram(message, "Install Codex again.", path=codex.path) from error
    if answer.exit_code is None:
        raise MissingProgram(f"`codex login status` did not end within {_TIMEOUT_S:g} seconds.", "Try it by hand.")
    return _told(answer.text.lower(), answer.exit_code, codex_home)


def _told(text: str, exit_code: int, codex_home: str) -> Login:
    if exit_code == 0 and "api key" in text:
        return Login("api_key", "Logged in with an API key.")
    if exit_code == 0:
        return Login("logged_in", "Logged in with ChatGPT." if "chatgpt" in text else "Logged in.")
    if "error loading configuration" in text:
        return Login("none", f"Codex refuses its configuration in {codex_home}; `codex login status` says why.")
    if "error checking login status" in text:
        return Login("none", f"Codex cannot read its login in {codex_home}; log in again.")
    return Login("none", "Not logged in, and CODEX_API_KEY is not set.")


def _provider(config: dict[str, Any], environ: Mapping[str, str]) -> Login | None:
    """What the configured model provider needs; None if that is the usual login."""
    name = config.get("model_provider", "openai")
    if not isinstance(name, str) or name == "openai":
        return None
    if name in _LOCAL_PROVIDERS:
        return Login("provider", f"The model provider '{name}' needs no login.")
    providers = config.get("model_providers")
    table = providers.get(name) if isinstance(providers, dict) else None
    if not isinstance(table, dict):
        return None
    if table.get("requires_openai_auth") is True:
        return None
    variable = table.get("env_key")
    if not isinstance(variable, str) or not variable:
        return Login("provider", f"The model provider '{name}' needs no login.")
    if environ.get(variable):
        return Login("provider", f"The model provider '{name}' has its key in {variable}.")
    return Login("none", f"The model provider '{name}' wants its key in {variable}, which is not set.")


def _config(codex_home: str) -> dict[str, Any]:
    """Codex's config.toml; empty if there is none. Raises ValueError with a sentence if it cannot be read."""
    import tomllib  # late: only health asks

    path = os.path.join(codex_home, "config.toml")
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from error
