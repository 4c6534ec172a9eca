"""What is hidden of an environment, a command line and a text, and what is left for whoever looks for a cause."""

from __future__ import annotations

import pytest

from codex_agent import masking

H = masking.HIDDEN


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OPENAI_API_KEY", "abc", H),
        ("openai_api_key", "abc", H),
        ("CODEX_API_KEY", "", ""),
        ("GITHUB_TOKEN", "abc", H),
        ("GITHUB_PAT", "abc", H),
        ("AWS_SECRET_ACCESS_KEY", "abc", H),
        ("MYSQL_PWD", "abc", H),
        ("PGPASSWORD", "abc", H),
        ("npm_config_//registry/:_authToken", "abc", H),
        ("SENTRY_DSN", "abc", H),
        ("MY_COOKIE", "abc", H),
        ("SERVICE_KEY_2", "abc", H),
        # What only sounds like it.
        ("PWD", "/home/me", "/home/me"),
        ("KEYBOARD", "us", "us"),
        ("SSH_AUTH_SOCK", "/run/agent.1", "/run/agent.1"),
        ("GOOGLE_CREDENTIALS_FILE", "/home/me/g.json", "/home/me/g.json"),
        ("XAUTHORITY", "/home/me/.Xauthority", "/home/me/.Xauthority"),
        ("GIT_ASKPASS", "/usr/bin/ask", "/usr/bin/ask"),
        ("TOKENIZERS_PARALLELISM", "false", "false"),
        ("MAX_TOKENS", "4096", "4096"),
        ("MONKEY", "business", "business"),
        # By shape, whatever the name.
        ("A", "sk-proj-abcdefghijklmnop", H),
        ("A", "aB3" * 12, H),
        ("A", "0123456789abcdef" * 2, H),
        ("A", "postgres://me:pa/ss@host/db", f"postgres://{H}@host/db"),
        ("A", "http://host:80/@scope/x", "http://host:80/@scope/x"),
        ("A", "postgres://me:p@ss@host/db", f"postgres://{H}@host/db"),
        ("A", "https://ghptokenwithoutname1@host/x", f"https://{H}@host/x"),
        ("A", "ssh://git@host/x", "ssh://git@host/x"),
        ("A", "http://proxy:3128", "http://proxy:3128"),
        ("PATH", "/usr/local/bin:/usr/bin", "/usr/local/bin:/usr/bin"),
        ("LS_COLORS", "rs=0:di=01;34", "rs=0:di=01;34"),
        ("THREAD", "01a1ffd8-77e5-7381-b2b2-7a33ef48e7bc", "01a1ffd8-77e5-7381-b2b2-7a33ef48e7bc"),
    ],
)
def test_a_variable(name: str, value: str, told: str) -> None:
    assert masking.environment({name: value}) == {name: told}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Incorrect API key provided: sk-bad*****here. See", f"Incorrect API key provided: {H}. See"),
        ("got ghp_0123456789abcdefghij", f"got {H}"),
        ("key AKIAABCDEFGHIJKLMNOP used", f"key {H} used"),
        ("jwt eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", f"jwt {H}"),
        ("Authorization: Basic abc def", f"Authorization: {H}"),
        ("-H 'Bearer abcdefghij'", f"-H 'Bearer {H}'"),
        ('{"access_token":"a b", "n": 1}', f'{{"access_token":"{H}", "n": 1}}'),
        ('x = {API_KEY="a b", PATH="/x"}', f'x = {{API_KEY="{H}", PATH="/x"}}'),
        ("GET /?api_key=abc&x=1", f"GET /?api_key={H}&x=1"),
        ("a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb", f"a\n{H}\nb"),
        ("Set-Cookie: sid=1; path=/", f"Set-Cookie: {H}"),
        # Words about secrets are no secrets.
        ("token expired, please log in", "token expired, please log in"),
        ("missing environment variable: `CODEX_API_KEY`", "missing environment variable: `CODEX_API_KEY`"),
        ("usage: 12 tokens, model=gpt-5.5", "usage: 12 tokens, model=gpt-5.5"),
        ("thread 01a1ffd8-77e5-7381-b2b2-7a33ef48e7bc", "thread 01a1ffd8-77e5-7381-b2b2-7a33ef48e7bc"),
        ("commit 0123456789abcdef0123456789abcdef01234567", "commit 0123456789abcdef0123456789abcdef01234567"),
    ],
)
def test_a_text(text: str, told: str) -> None:
    assert masking.text(text) == told
    assert masking.text(told) == told, "once more changes nothing"


def test_a_command_line() -> None:
    words = [
        "codex",
        "--api-key",
        "abc",
        "--token=abc",
        "-c",
        'p.bearer_token="abc"',
        "-c",
        'model="x"',
        "-m",
        "gpt",
        "-",
    ]
    assert masking.argv(words) == [
        *(
            "codex",
            "--api-key",
            H,
            f"--token={H}",
            "-c",
            f'p.bearer_token="{H}"',
            "-c",
            'model="x"',
            "-m",
            "gpt",
            "-",
        ),
    ]
    assert masking.argv(["x", "--api-key", "--json"]) == ["x", "--api-key", "--json"]
