"""Settings: where values come from, what is refused and in which words, and that editing loses nothing."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path

import pytest

from codex_agent import settings
from codex_agent.errors import CodexAgentError, SettingsError, UsageError

Environ = dict[str, str]
WriteFile = Callable[[str], Path]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    return {"HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(tmp_path / "config")}


@pytest.fixture
def write(environ: Environ) -> WriteFile:
    """Writes the settings file and returns its path."""

    def write_file(text: str) -> Path:
        path = Path(settings.config_path(environ))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
        return path

    return write_file


def test_defaults_without_a_file(environ: Environ) -> None:
    assert settings.load(environ) == settings.Settings()
    assert settings.Settings() == settings.Settings(
        None, None, "workspace-write", 60.0, 0.0, 20, True, True, "codex-agent", None, True, 30.0, None, None
    )
    assert {shown.origin for shown in settings.show(environ)} == {"default"}


def test_environment_beats_file_beats_default_and_flags_beat_all(environ: Environ, write: WriteFile) -> None:
    write('model = "from-file"\nreasoning = "high"\ntimeout_min = 5\n')
    environ |= {"CODEX_AGENT_REASONING": "low", "CODEX_AGENT_IDLE_DETECTION": "off", "CODEX_AGENT_SANDBOX": ""}
    loaded = settings.load(environ)
    assert (loaded.model, loaded.reasoning, loaded.timeout_min) == ("from-file", "low", 5.0)
    assert loaded.idle_detection is False
    assert loaded.sandbox == "workspace-write"  # an empty variable is not set
    origins = {shown.key: shown.origin for shown in settings.show(environ)}
    assert [origins[key] for key in ("model", "reasoning", "sandbox")] == ["file", "env", "default"]
    over = settings.override(loaded, reasoning="xhigh", model=None, max_time_min=90)
    assert (over.reasoning, over.model, over.max_time_min) == ("xhigh", "from-file", 90.0)


@pytest.mark.parametrize("key", settings.KEYS.values(), ids=lambda key: key.name)
def test_every_key_takes_its_own_default_from_file_and_environment(
    key: settings.Key, environ: Environ, write: WriteFile
) -> None:
    """The table is one: what a key allows includes its default, however it is given."""
    sample = {
        "model": "gpt-5.5",
        "reasoning": "low",
        "tmux_socket": "mine",
        "codex": "/bin/codex",
        "mcp.wait_s": 5.0,
        "worktree.folder": "/trees",
    }
    value = key.default if key.default is not None else sample.get(key.name, "notify-send 'all done'")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, tuple):
        text = shlex.join(value)
    settings.set_value(environ, key.name, text)
    get = attrgetter(key.name)
    assert get(settings.load(environ)) == value
    settings.unset(environ, key.name)
    assert get(settings.load(environ | {key.variable: text})) == value
    assert key.doc.endswith(".")


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('# mine\nmodle = "x"\n', 2, ['"modle"', "tmux_socket", 'Did you mean "model"?']),
        ('model = """\nsandbox = 1\n"""\n\nsandbox = "x"\n', 1, ["model", "a model's name"]),
        ('sandbox = "workspace_write"', 1, ["danger-full-access", 'Did you mean "workspace-write"?']),
        ('\n\ntimeout_min = "5"', 3, ['"5"', "minutes"]),
        ("timeout_min = -1", 1, ["-1", "from 0"]),
        ("timeout_min = nan", 1, ["nan", "from 0"]),
        ("timeout_min = 1" + "0" * 400, 1, ["minutes"]),
        ("jobs_limit = 2.5", 1, ["2.5", "whole number"]),
        ("jobs_limit = true", 1, ["true", "whole number"]),
        ("idle_detection = 1", 1, ["true or false"]),
        ('tmux_prefix = "a.b"', 1, ["letters, digits"]),
        ('tmux_prefix = "pr\u00e4fix"', 1, ["letters, digits"]),
        ('tmux_socket = "a/b"', 1, ["absolute path"]),
        ('codex = "bin/codex"', 1, ["absolute path"]),
        ('notify_on_complete = "say \'hello"', 1, ["quotes closed"]),
        ('model = "-x"', 1, ["a model's name"]),
        ("[model]\nname = 1", 1, ["a model's name"]),
        ("\nmodel.name = 1", 2, ["a model's name"]),
        ('model = "a"\nmodel = "b"', 2, ["not valid TOML"]),
        ("model = unquoted", 1, ["not valid TOML", "double quotes"]),
        ('# one\nmodel = """never closed\n', 2, ["not valid TOML"]),
    ],
)
def test_a_bad_file_is_named_with_line_and_what_is_allowed(
    text: str, line: int, words: list[str], environ: Environ, write: WriteFile
) -> None:
    path = write(text)
    with pytest.raises(SettingsError) as caught:
        settings.load(environ)
    error = caught.value
    said = f"{error.message} {error.hint}"
    assert error.message.startswith(f"{path}, line {line}: ")
    assert error.data["line"] == line
    assert [word for word in words if word not in said] == [], said


def test_a_key_is_found_where_it_stands_and_not_inside_a_text(environ: Environ, write: WriteFile) -> None:
    path = write('notify_on_complete = """\\\n  sandbox = x"""\nsandbox = "x"\n')
    with pytest.raises(SettingsError, match="line 3: sandbox"):
        settings.load(environ)
    path.write_bytes(b'model = "a"\n# \xff\n')
    with pytest.raises(SettingsError, match=r"line 2: not UTF-8 \(byte 14\)"):
        settings.load(environ)


def test_a_file_that_cannot_be_read_is_not_the_same_as_none(environ: Environ) -> None:
    os.makedirs(settings.config_path(environ))
    with pytest.raises(SettingsError, match="cannot be read: Is a directory"):
        settings.load(environ)
    assert settings.load({"HOME": "/dev/null"}) == settings.Settings()


def test_a_bad_variable_is_named(environ: Environ) -> None:
    for variable, value in {
        "CODEX_AGENT_TIMEOUT_MIN": "soon",
        "CODEX_AGENT_JOBS_LIMIT": "0",
        "CODEX_AGENT_IDLE_DETECTION": "maybe",
        "CODEX_AGENT_SANDBOX": "none",
        "CODEX_AGENT_MODEL": "two words",
    }.items():
        with pytest.raises(SettingsError, match=f'{variable} is "{value}"; allowed: ') as caught:
            settings.load(environ | {variable: value})
        assert caught.value.data["variable"] == variable


def test_variables_of_unknown_keys_are_no_error_but_can_be_listed(environ: Environ) -> None:
    environ |= {"CODEX_AGENT_SANDBX": "read-only", "CODEX_AGENT_JOB_ID": "1", "CODEX_AGENT_TEST_X": "1"}
    environ |= {"CODEX_AGENT_HOME": "/x", "CODEX_AGENT_MODEL": "m"}
    assert settings.load(environ).sandbox == "workspace-write"
    assert settings.unknown_variables(environ) == ["CODEX_AGENT_SANDBX"]


def test_a_bad_flag_is_a_usage_error_that_names_the_flag() -> None:
    with pytest.raises(UsageError, match=r'--sandbox is "readonly"; allowed: read-only') as caught:
        settings.override(settings.Settings(), sandbox="readonly")
    assert caught.value.code == "usage"
    assert caught.value.hint == 'Did you mean "read-only"?'
    with pytest.raises(UsageError, match="--timeout is -1"):
        settings.override(settings.Settings(), timeout_min=-1)


def test_paths_below_home_are_expanded(environ: Environ, write: WriteFile) -> None:
    write('codex = "~/bin/codex"\n')
    environ["CODEX_AGENT_TMUX_SOCKET"] = "~/tmux.sock"
    loaded = settings.load(environ)
    assert (loaded.codex, loaded.tmux_socket) == (f"{environ['HOME']}/bin/codex", f"{environ['HOME']}/tmux.sock")


# ---- editing ----

FULL = """\
# What I like.

model = "a # b"   # the quick #1
reasoning = \"\"\"\\
  high\"\"\"  # two lines
timeout_min=5
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_set_changes_one_line_and_nothing_else(newline: str, environ: Environ, write: WriteFile) -> None:
    path = write(FULL.replace("\n", newline))
    assert settings.set_value(environ, "model", 'gpt "6"'.replace(" ", "-")) == 'gpt-"6"'
    settings.set_value(environ, "reasoning", "low")
    settings.set_value(environ, "idle_detection", "no")
    expected = (
        '# What I like.\n\nmodel = "gpt-\\"6\\""   # the quick #1\nreasoning = "low"  # two lines\n'
        "timeout_min=5\nidle_detection = false\n"
    )
    assert path.read_bytes().decode() == expected.replace("\n", newline)
    settings.unset(environ, "model")
    settings.unset(environ, "model")
    assert path.read_bytes().decode() == expected.replace('model = "gpt-\\"6\\""   # the quick #1\n', "").replace(
        "\n", newline
    )


def test_set_makes_file_and_folder_for_the_user_alone(environ: Environ) -> None:
    assert settings.set_value(environ, "timeout_min", "7") == 7.0
    path = Path(settings.config_path(environ))
    assert path.read_text() == "timeout_min = 7.0\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert os.listdir(path.parent) == ["config.toml"]


def test_set_on_a_last_line_without_an_end(environ: Environ, write: WriteFile) -> None:
    path = write('model = "a"')
    settings.set_value(environ, "sandbox", "read-only")
    assert path.read_text() == 'model = "a"\nsandbox = "read-only"\n'


@pytest.mark.parametrize("text", ["model = \n", 'model = "a"\nmodel = "b"\n', "\ufeff"])
def test_set_and_unset_leave_a_broken_file_alone(text: str, environ: Environ, write: WriteFile) -> None:
    path = write(text)
    with pytest.raises(SettingsError, match="not valid TOML"):
        settings.set_value(environ, "sandbox", "read-only")
    with pytest.raises(SettingsError, match="not valid TOML"):
        settings.unset(environ, "model")
    assert path.read_bytes() == text.encode()
    assert os.listdir(path.parent) == ["config.toml"]


def test_set_checks_before_it_writes(environ: Environ, write: WriteFile) -> None:
    path = write('model = "a"\n')
    for key, value, words in [
        ("sandbox", "readonly", 'sandbox is "readonly"; allowed: read-only'),
        ("timeout", "5", 'no setting "timeout"'),
        ("jobs_limit", "many", "whole number"),
        ("model", "two\nlines", "a model's name"),
        ("codex", "/bin/\udcff", "not UTF-8"),
    ]:
        with pytest.raises(SettingsError, match=words):
            settings.set_value(environ, key, value)
    assert path.read_text() == 'model = "a"\n'


def test_a_file_with_foreign_or_bad_keys_can_be_mended_by_command(environ: Environ, write: WriteFile) -> None:
    path = write('modle = "a"\nsandbox = "x"\n[later]\nsandbox = 1 # theirs\n')
    settings.set_value(environ, "sandbox", "read-only")
    settings.set_value(environ, "jobs_limit", "5")
    settings.unset(environ, "modle")
    assert path.read_text() == 'sandbox = "read-only"\njobs_limit = 5\n[later]\nsandbox = 1 # theirs\n'
    settings.unset(environ, "sandbox")
    settings.unset(environ, "sandbox")
    assert path.read_text() == "jobs_limit = 5\n[later]\nsandbox = 1 # theirs\n"
    with pytest.raises(SettingsError, match='"later" is a table here'):
        settings.unset(environ, "later")
    with pytest.raises(SettingsError, match="no setting"):
        settings.unset(environ, "nothing")


def test_a_settings_file_that_is_a_link_stays_one(environ: Environ, write: WriteFile, tmp_path: Path) -> None:
    path = write("")
    real = tmp_path / "dotfiles.toml"
    path.replace(real)
    path.symlink_to(real)
    settings.set_value(environ, "model", "m")
    assert path.is_symlink()
    assert real.read_text() == 'model = "m"\n'


def test_a_write_that_fails_leaves_the_old_file(environ: Environ, write: WriteFile) -> None:
    path = write('model = "a"\n')
    (path.parent / ".config.toml.new").mkdir()  # root may write anywhere, but not into a folder
    with pytest.raises(CodexAgentError, match="cannot be written: Is a directory"):
        settings.set_value(environ, "model", "b")
    assert path.read_text() == 'model = "a"\n'


def test_changes_at_the_same_time_all_arrive(environ: Environ) -> None:
    values = {"model": "m", "reasoning": "low", "sandbox": "read-only", "jobs_limit": "3", "idle_grace_s": "1.0"}
    code = (
        "import os, sys; from codex_agent import settings\n"
        "for _ in range(40): settings.set_value(os.environ, *sys.argv[1:])"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, key, value], env=environ | {"PYTHONPATH": "src"})
        for key, value in values.items()
    ]
    assert [process.wait(timeout=60) for process in running] == [0] * len(values)
    assert {shown.key: str(shown.value) for shown in settings.show(environ) if shown.origin == "file"} == values


# ---- places and cost ----


def test_home_and_what_is_below_it(environ: Environ, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings.home(environ) == f"{environ['HOME']}/.codex-agent"
    assert settings.cache_dir(environ | {"CODEX_AGENT_HOME": "/x/"}) == "/x/cache"
    assert settings.cache_dir(environ | {"CODEX_AGENT_HOME": "~/y"}) == f"{environ['HOME']}/y/cache"
    monkeypatch.chdir(tmp_path)
    assert settings.home({"HOME": "relative", "CODEX_AGENT_HOME": "here"}) == str(tmp_path / "here")
    assert os.path.isabs(settings.home({}))


@pytest.mark.parametrize("xdg", [None, "", "relative", "/tmp/elsewhere"])
@pytest.mark.parametrize("user_home", ["/tmp/someone", "relative", None])
def test_the_file_is_where_platformdirs_puts_it(xdg: str | None, user_home: str | None) -> None:
    environ = {
        name: value for name, value in {"XDG_CONFIG_HOME": xdg, "HOME": user_home}.items() if value is not None
    }
    code = "import platformdirs; print(platformdirs.user_config_dir('codex-agent'))"
    said = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert settings.config_path(environ) == f"{said.stdout.strip()}/config.toml"


def test_reading_loads_nothing_that_costs(environ: Environ) -> None:
    code = (
        "import sys, os; sys.path.insert(0, 'src'); before = set(sys.modules)\n"
        "from codex_agent import settings; settings.load(os.environ); settings.cache_dir(os.environ)\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "codex_agent" in said
    assert not {"tomllib", "platformdirs", "difflib", "json", "shlex", "pydantic", "typer", "pathlib"} & set(said)
