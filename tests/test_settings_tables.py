"""Settings in tables: keys with a dot, names that the user gives, and that editing them loses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from codex_agent import settings
from codex_agent.errors import SettingsError
from codex_agent.settings_keys import FAMILIES, KEYS, NAMED_KEYS, TABLES, Gate, key_of
from support import Cli, Home
from support.queueing import set_up

Environ = dict[str, str]


@pytest.fixture
def environ(tmp_path: Path) -> Environ:
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}


def write(environ: Environ, text: str) -> Path:
    path = Path(settings.config_path(environ))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_tables_and_names(environ: Environ) -> None:
    write(
        environ,
        "[queue]\nmax_parallel = 4\n[gates.gpu]\nslots = 2\ngpu_free_mib = 8000\n[gates.big-disk_2]\n"
        'disk_free_gib = 50\n[gates.plain]\n[check]\nbusy = ["a b", "c"]\n',
    )
    loaded = settings.load(environ)
    assert loaded.queue.max_parallel == 4 and loaded.check.busy == ("a b", "c")
    assert loaded.gates == {"gpu": Gate(slots=2, gpu_free_mib=8000), "big-disk_2": Gate(disk_free_gib=50.0)}
    shown = {one.key: (one.value, one.origin) for one in settings.show(environ)}
    assert shown["queue.max_parallel"] == (4, "file") and shown["gates.gpu.slots"] == (2, "file")
    assert shown["check.gpu_use_pct"] == (50, "default") and "gates.gpu.command" not in shown
    assert list(shown)[: len(KEYS)] == list(KEYS)
    over = settings.load(environ | {"CODEX_AGENT_QUEUE_MAX_PARALLEL": "7", "CODEX_AGENT_CHECK_BUSY": "x 'y z'"})
    assert over.queue.max_parallel == 7 and over.check.busy == ("x", "y z")
    with pytest.raises(SettingsError, match='CODEX_AGENT_QUEUE_MAX_PARALLEL is "many"; allowed: a whole number'):
        settings.load(environ | {"CODEX_AGENT_QUEUE_MAX_PARALLEL": "many"})
    assert settings.unknown_variables({"CODEX_AGENT_CHECK_BUSY": "x", "CODEX_AGENT_GATES_GPU_SLOTS": "1"}) == [
        "CODEX_AGENT_GATES_GPU_SLOTS"  # two names might be one there
    ]


@pytest.mark.parametrize(
    "text",
    [
        "gates.gpu.slots = 2",
        "gates = { gpu = { slots = 2 } }",
        "[gates]\ngpu.slots = 2",
        '[gates."gpu"]\n"slots"=2',
    ],
)
def test_every_way_to_write_a_table_means_the_same(text: str, environ: Environ) -> None:
    write(environ, text)
    assert settings.load(environ).gates == {"gpu": Gate(slots=2)}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[queue]\nmax_paralel = 1", 2, ['"queue.max_paralel"', 'Did you mean "queue.max_parallel"?']),
        ("[gates.gpu]\n\n# one\nslotz = 1", 4, ['"gates.gpu.slotz"', 'Did you mean "gates.gpu.slots"?']),
        ("[gates.gpu]\nslots = 0", 2, ["gates.gpu.slots is 0; allowed: a whole number from 1"]),
        ("[gates.a]\nslots = 1\n[gates.b]\nslots = 1.5", 4, ["gates.b.slots is 1.5"]),
        ("[gates.gpu]\ncommand = ['a']", 2, ["gates.gpu.command", "a command line with its quotes closed"]),
        ('[gates.gpu]\ncommand = "say \'x"', 2, ["quotes closed"]),
        ('[gates."a.b"]\nslots = 1', 2, ['"gates.a.b.slots"', "gates.NAME.slots"]),
        ('[gates."a b"]\nslots = 1', 2, ['"gates.a b.slots"']),
        ("gates = 3", 1, ['no setting "gates"']),
        ("[gates]\ngpu = 3", 2, ['no setting "gates.gpu"']),
        ("[gates.gpu.more]\nslots = 3", 1, ['no setting "gates.gpu.more"']),
        ("queue = 1", 1, ['no setting "queue"', "It is a table: [queue]"]),
        ("[check]\nbusy = ['(']", 2, ["check.busy", "regular expressions"]),
        ("[check]\nbusy = 'pytest'", 2, ["check.busy", "regular expressions"]),
        ("[model]\nname = 1", 1, ["a model's name"]),
        ("[[queue]]\nmax_parallel = 1", 1, ['"queue"']),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_its_line(
    text: str, line: int, words: list[str], environ: Environ
) -> None:
    path = write(environ, text)
    with pytest.raises(SettingsError) as caught:
        settings.load(environ)
    said = f"{caught.value.message} {caught.value.hint}"
    assert said.startswith(f"{path}, line {line}: "), said
    assert [word for word in words if word not in said] == [], said


def test_set_and_unset_in_tables(environ: Environ) -> None:
    path = write(
        environ,
        "# mine\nmodel = 'm'\n\n[later]\nx = 1 # theirs\n\n[gates.gpu] # the card\nslots = 1 # one\n",
    )
    settings.unset(environ, "later.x")
    assert settings.set_value(environ, "gates.gpu.slots", "2") == 2
    settings.set_value(environ, "gates.gpu.command", "test -e '/a b'")
    settings.set_value(environ, "queue.max_parallel", "3")
    settings.set_value(environ, "jobs_limit", "5")
    settings.set_value(environ, "check.busy", "a 'b c'")
    assert path.read_text() == (
        "# mine\nmodel = 'm'\n\njobs_limit = 5\n[later]\n\n[gates.gpu] # the card\nslots = 2 # one\n"
        'command = "test -e \'/a b\'"\n\n[queue]\nmax_parallel = 3\n\n[check]\nbusy = ["a", "b c"]\n'
    )
    settings.unset(environ, "gates.gpu.slots")
    settings.unset(environ, "gates.gpu.slots")
    settings.unset(environ, "queue.max_parallel")
    assert "slots" not in path.read_text() and "[queue]\n\n" in path.read_text()
    with pytest.raises(SettingsError, match="no setting"):
        settings.unset(environ, "gates.gpu.nothing")
    with pytest.raises(SettingsError, match=r'"gates\.gpu" is a table here'):
        settings.unset(environ, "gates.gpu")
    with pytest.raises(SettingsError, match=r'no setting "gates\.a b\.slots"'):
        settings.set_value(environ, "gates.a b.slots", "1")


@pytest.mark.parametrize(
    "text",
    ["gates = { gpu = { slots = 1, mem_free_mib = 2 } }\n", "gates.gpu.mem_free_mib = 1\n[[gates.gpu.x]]\n"],
)
def test_a_layout_that_cannot_be_changed_safely_is_left_alone(text: str, environ: Environ) -> None:
    path = write(environ, text)
    with pytest.raises(SettingsError, match="cannot be changed safely"):
        settings.set_value(environ, "gates.gpu.slots", "9")
    assert path.read_text() == text


def test_a_line_with_dots_is_changed_where_it_stands(environ: Environ) -> None:
    path = write(environ, "gates.gpu.slots = 1 # here\n")
    settings.set_value(environ, "gates.gpu.slots", "4")
    assert path.read_text() == "gates.gpu.slots = 4 # here\n"
    settings.unset(environ, "gates.gpu.slots")
    assert path.read_text() == ""


def test_what_keys_there_are() -> None:
    assert set(TABLES) == {name.partition(".")[0] for name in KEYS if "." in name}
    assert set(FAMILIES) == {name.partition(".")[0] for name in NAMED_KEYS}
    assert key_of("gates.gpu.slots") is not None and key_of("gates.gpu") is None and key_of("gates..slots") is None
    assert all(key.doc.endswith(".") for key in NAMED_KEYS.values())


def test_the_command(cli: Cli, home: Home) -> None:
    path = set_up(home, "[gates.gpu]\nslots = 2\n")
    (row,) = cli("config", "set", "gates.gpu.mem_free_mib", "100", "--json").ok().json()["settings"]
    assert (row["key"], row["value"], row["origin"]) == ("gates.gpu.mem_free_mib", 100, "file")
    rows = {one["key"]: one for one in cli("config", "show", "--json").ok().json()["settings"]}
    assert rows["gates.gpu.slots"]["value"] == 2 and rows["check.busy"]["value"] == ["pytest", "torchrun", "isaac"]
    shown = cli("config", "show").ok().out
    assert "pytest torchrun isaac" in shown and "gates.gpu.mem_free_mib" in shown
    cli("config", "unset", "gates.gpu.slots").ok()
    assert path.read_text() == "[gates.gpu]\nmem_free_mib = 100\n"
    refused = cli("config", "set", "gates.gpu.slots", "none", "--json")
    assert refused.rc == 2 and refused.json()["error"]["key"] == "gates.gpu.slots"
