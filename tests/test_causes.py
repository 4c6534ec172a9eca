"""The likely cause of a failure, in words: each provoked with the real Codex, and asked of ``diagnose``.

What the model, the account and the configuration refuse is here; what the machine does and how jobs are ended in
``test_causes_ends.py``; what cannot be provoked in ``test_causes_words.py``.
"""

from __future__ import annotations

import base64
import http.server
import json
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from codex_agent.demo.home import make_codex_home
from codex_agent.demo.model_server import Step
from codex_agent.model import stamp
from support import Home
from support.diagnoses import cause, why
from support.jobs import Place, begin, ended, place
from support.provoking import NO_RETRIES
from support.queueing import held

SECRET = "sk-proj-0123456789abcdefghijABCDEFGHIJ0123456789"  # nobody's


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("causes")) as made:
        yield made


@pytest.fixture
def folder(here: Place) -> Iterator[Path]:
    """A CODEX_HOME of its own, on the same model."""
    path = here.home.root / "codex"
    make_codex_home(path, here.model.base_url)
    yield path
    shutil.rmtree(path)


@dataclass(frozen=True)
class Case:
    """What the model does, and what is to be said of it."""

    step: Step
    failure: str
    cause: str
    says: tuple[str, ...] = ()
    advises: tuple[str, ...] = ()
    more: tuple[str, ...] = field(default=NO_RETRIES)


def answers(status: int, **error: object) -> Step:
    return Step.http(status, {"error": error})


NO_MODEL = "The model `gpt-nine` does not exist or you do not have access to it."
CASES = {
    "key refused": Case(
        answers(401, message="Incorrect API key provided", code="invalid_api_key"),
        "auth",
        "key_refused",
        ("401",),
        ("codex login status", "CODEX_API_KEY"),
    ),
    "no leave": Case(answers(403, message="Country, region, or territory not supported"), "auth", "forbidden"),
    "plan without Codex": Case(answers(429, type="usage_not_included"), "usage_limit", "not_included", ("plan",)),
    "quota": Case(Step.failed("insufficient_quota"), "quota", "quota", ("credit",), ("billing",)),
    "too many": Case(answers(429, message="slow down"), "rate_limit", "rate_limit", (), ("--max-parallel",)),
    "no such model": Case(
        answers(404, message=NO_MODEL, code="model_not_found"),
        "model_unknown",
        "model_unknown",
        ("gpt-nine", "asked for with -m"),
        ("-m",),
        (*NO_RETRIES, "-m", "gpt-nine"),
    ),
    "full of work": Case(answers(503, code="server_is_overloaded"), "overloaded", "overloaded"),
    "out of order": Case(answers(500, message="boom"), "model_error", "model_error", ("high demand",)),
    "broken off": Case(Step.incomplete(), "model_error", "model_error", ("max_output_tokens",)),
    "no room": Case(
        Step.failed("context_length_exceeded"), "context_window", "context_window", ("window",), ("send",)
    ),
    "too long": Case(answers(413, message="too large"), "input_too_large", "input_too_large", (), ("file",)),
    "not for this account": Case(
        Step.http(
            400, {"detail": "The 'gpt-nine' model is not supported when using Codex with a ChatGPT account."}
        ),
        "model_unknown",
        "model_unknown",
        ("gpt-5.5", "config.toml"),
        ("/model",),
    ),
    "no sense": Case(
        answers(400, message="Unsupported value: bogus", code="unsupported_value"),
        "bad_request",
        "bad_request",
        ("Unsupported value: bogus",),
    ),
    "cut": Case(Step.cut(), "network", "network", ("in the middle",), ("proxy",)),
    "a gateway": Case(answers(502, message="Bad gateway"), "network", "network", ("out of order",)),
}


@pytest.mark.parametrize("name", CASES)
def test_the_model_refuses(name: str, here: Place) -> None:
    case, marker = CASES[name], f"%%{name}%%"
    here.model.on(marker, *[case.step] * 9)
    job_id = begin(here.cli, here.repo, marker, *case.more)
    job, found = why(here.cli, job_id)
    assert (job["status"], job["failure"]["reason"], found["reason"]) == ("failed", case.failure, case.cause), job
    assert all(word in found["cause"] for word in case.says), found
    advice = " ".join(found["advice"])
    assert found["advice"] and all(word in advice for word in case.advises), found
    assert any("Codex: " in line for line in found["evidence"]), found


# ---- the account ----


def test_not_logged_in(here: Place, folder: Path) -> None:
    """The provider wants a login, there is none, and the server says what it says to everybody without."""
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("_auth = false", "_auth = true"))
    env = {"CODEX_HOME": str(folder)}
    here.model.on("%%nobody", *[answers(401, message="Missing bearer authentication")] * 9)
    words = ("start", "%%nobody", "-d", str(here.repo), "--json", *NO_RETRIES)
    _, found = why(here.cli, here.cli(*words, env=env).ok().json()["id"])
    assert found["reason"] == "not_logged_in" and "codex login" in found["advice"][0], found
    assert any("Not logged in" in line for line in found["evidence"]), "what was looked at is said"
    job_id = here.cli(*words, env={**env, "CODEX_API_KEY": SECRET}).ok().json()["id"]
    _, found = why(here.cli, job_id)  # asked from a shell that has no key
    assert found["reason"] == "key_refused" and SECRET not in str(found), found
    assert "environment: CODEX_API_KEY was set for the job" in found["evidence"], found


def token(**claims: object) -> str:
    """A JSON web token that nobody has signed."""
    parts: tuple[dict[str, object], ...] = ({"alg": "none"}, claims, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


class Refuses(http.server.BaseHTTPRequestHandler):
    """Whoever renews logins, and does not."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        body = json.dumps({"error": {"code": "refresh_token_expired", "message": "It has expired."}}).encode()
        self.send_response(401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


def test_a_login_that_has_run_out(here: Place, folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("_auth = false", "_auth = true"))
    account = {"chatgpt_plan_type": "plus", "chatgpt_account_id": "a", "chatgpt_user_id": "u"}
    jwt = token(email="a@example.invalid", exp=4_000_000_000, **{"https://api.openai.com/auth": account})
    tokens = {"id_token": jwt, "access_token": jwt, "refresh_token": "r", "account_id": "a"}
    login = {"auth_mode": "chatgpt", "OPENAI_API_KEY": None, "tokens": tokens, "last_refresh": stamp()}
    (folder / "auth.json").write_text(json.dumps(login))
    here.model.on("%%old login", *[answers(401, message="Your token has expired.", code="token_expired")] * 9)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/oauth/token"
        env = {"CODEX_HOME": str(folder), "CODEX_REFRESH_TOKEN_URL_OVERRIDE": url}
        words = ("start", "%%old login", "-d", str(here.repo), "--json", *NO_RETRIES)
        job, found = why(here.cli, here.cli(*words, env=env).ok().json()["id"])
        server.shutdown()
    assert (job["failure"]["reason"], found["reason"]) == ("auth", "login_expired"), (job["failure"], found)
    assert "codex login" in found["advice"][0]


def test_a_key_that_is_not_set(here: Place, folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("_auth = false", '_auth = false\nenv_key = "THE_MODELS_KEY"'))
    words = ("start", "%%key", "-d", str(here.repo), "--json", *NO_RETRIES)
    _, found = why(here.cli, here.cli(*words, env={"CODEX_HOME": str(folder)}).ok().json()["id"])
    assert found["reason"] == "key_missing" and "THE_MODELS_KEY" in found["cause"], found
    assert "codex login" not in str(found["advice"]), "that would not help"


def test_a_key_that_the_server_quotes_is_not_shown(here: Place) -> None:
    here.model.on("%%quotes", *[answers(401, message=f"Incorrect API key provided: {SECRET}.")] * 9)
    _, found = why(here.cli, begin(here.cli, here.repo, "%%quotes", *NO_RETRIES))
    assert found["reason"] == "key_refused" and SECRET not in str(found), found


LATER = time.time() + 200_000


@pytest.mark.parametrize(
    ("name", "step"),
    {
        "said": answers(429, type="usage_limit_reached", resets_at=int(LATER)),
        "counted": Step.http(
            429,
            {"error": {"type": "usage_limit_reached"}},
            {
                "x-codex-primary-used-percent": "100",
                "x-codex-primary-window-minutes": "10080",
                "x-codex-primary-reset-at": str(int(LATER)),
            },
        ),
    }.items(),
)
def test_when_the_usage_limit_is_reset(name: str, step: Step, here: Place) -> None:
    """Codex says it in its sentence, or writes it into the rollout."""
    here.model.on(f"%%limit {name}", step)
    job, found = why(here.cli, begin(here.cli, here.repo, f"%%limit {name}"))
    assert (job["failure"]["reason"], found["reason"]) == ("usage_limit", "usage_limit")
    assert time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(LATER)) in found["cause"], found
    assert "in 2d7h" in found["cause"], found


def test_nobody_says_when_the_limit_is_reset(here: Place) -> None:
    here.model.on("%%limit", answers(429, type="usage_limit_reached"))
    _, found = why(here.cli, begin(here.cli, here.repo, "%%limit"))
    assert found["reason"] == "usage_limit" and "Nobody said when" in found["cause"], found


# ---- the way to the model ----


def test_the_model_is_out_of_reach(here: Place, folder: Path) -> None:
    """Codex tries for ever: the cause is said while it does, and once its time is over."""
    make_codex_home(folder, "http://model.invalid/v1")
    words = ("start", "%%name", "-d", str(here.repo), "--timeout", "6s", "--json", *NO_RETRIES)
    unknown = here.cli(*words, env={"CODEX_HOME": str(folder)}).ok().json()["id"]
    here.model.refuse()
    try:
        job_id = begin(here.cli, here.repo, "%%nobody", "--timeout", "6s")
        found = cause(here.cli, job_id, until=lambda it: it["reason"] == "network")
        assert "tries again" in found["cause"], found
        job, found = why(here.cli, job_id)
    finally:
        here.model.accept()
    assert (job["failure"]["reason"], found["reason"]) == ("timeout_inactivity", "network")
    assert "only tried to reach the model" in found["cause"] and "base_url" in str(found["advice"]), found
    _, found = why(here.cli, unknown)
    assert found["reason"] == "network", found


# ---- what was asked for ----


def test_a_configuration_that_codex_refuses(here: Place) -> None:
    _, found = why(here.cli, begin(here.cli, here.repo, "%%config", "-c", "model_provider=nowhere"))
    assert found["reason"] == "bad_config" and "nowhere" in found["cause"], found
    assert "-c" in str(found["advice"])


def test_the_repository_is_gone_when_its_turn_comes(here: Place, home: Home) -> None:
    cwd = here.home.root / "going"
    shutil.copytree(here.repo, cwd)
    with held(str(here.home.agent_home), "repo"):
        job_id = begin(here.cli, cwd, "%%repo", "--gate", "repo")
        found = cause(here.cli, job_id)
        assert found["reason"] == "queued" and "gate repo" in found["cause"], found
        shutil.rmtree(cwd / ".git")
    job, found = why(here.cli, job_id)
    assert (job["failure"]["reason"], found["reason"]) == ("not_a_repo", "not_a_repo")
    assert str(cwd) in found["cause"] and "--skip-git-repo-check" in str(found["advice"])


def test_the_folder_is_gone_when_its_turn_comes(here: Place) -> None:
    cwd = here.home.root / "gone"
    shutil.copytree(here.repo, cwd)
    with held(str(here.home.agent_home), "folder"):
        job_id = begin(here.cli, cwd, "%%folder", "--gate", "folder")
        shutil.rmtree(cwd)
    job, found = why(here.cli, job_id)
    assert (job["failure"]["reason"], found["reason"]) == ("spawn_failed", "spawn_failed")
    assert str(cwd) in found["cause"], found


def test_the_job_before_it_failed(here: Place) -> None:
    with held(str(here.home.agent_home), "before"):
        first = begin(here.cli, here.repo, "%%before", "--gate", "before")
        job_id = begin(here.cli, here.repo, "%%after", "--after", first)
        here.cli("kill", first).ok()
    job, found = why(here.cli, job_id)
    assert (job["failure"]["reason"], found["reason"]) == ("dependency", "dependency")
    assert f"codex-agent diagnose {first}" in found["advice"][0], found


def test_nothing_is_wrong(here: Place) -> None:
    here.model.on("%%fine", Step.message("Done."))
    job_id = begin(here.cli, here.repo, "%%fine")
    assert ended(here.cli, job_id)["status"] == "completed"
    assert cause(here.cli, job_id) == {
        "reason": "none",
        "cause": "Nothing is wrong. The job completed.",
        "advice": [],
        "evidence": [],
    }
