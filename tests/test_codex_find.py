"""Finding Codex: where it is looked for and in what order, what a broken one does, its version read once.

The binaries are real; folders of an imagined home hold links to them. Where nothing may be found by accident, the
search runs in an interpreter without installed packages, as the supervisor's does.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent import kernel
from codex_agent.codex.ask import ask
from codex_agent.codex.finding import find
from codex_agent.codex.places import native_beside
from codex_agent.codex.version import KNOWN_NEWEST, KNOWN_OLDEST, is_known, parse_version
from codex_agent.errors import MissingProgram
from support import Home, codex, until

SRC = Path(__file__).parents[1] / "src"
BARE = f"""
import json, os, sys
sys.path.insert(0, {str(SRC)!r})
from codex_agent.codex.finding import find
from codex_agent.errors import CodexAgentError
explicit, environ, cache = json.loads(sys.argv[1])
try:
    found = find(explicit, environ, cache)
    print(json.dumps({{name: getattr(found, name) for name in found.__dataclass_fields__}}))
except CodexAgentError as error:
    print(json.dumps(error.to_json()))
"""


def bare_find(environ: dict[str, str], cache: Path, explicit: str | None = None) -> dict[str, Any]:
    """``find`` where no Python package is installed: its Codex, or the error, as a dict."""
    words = [sys.executable, "-I", "-S", "-E", "-c", BARE, json.dumps([explicit, environ, str(cache)])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def environ_of(home: Path, *path: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": os.pathsep.join(map(str, path))}


def link(target: str, *parts: str | Path) -> Path:
    path = Path(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def platform_names() -> tuple[str, str, str]:
    """Of this machine: the compiler's target, the ending of npm's platform package, the extension's folder."""
    arm = os.uname().machine in ("aarch64", "arm64")
    if sys.platform == "darwin":
        return (
            ("aarch64-apple-darwin", "darwin-arm64", "macos-aarch64")
            if arm
            else ("x86_64-apple-darwin", "darwin-x64", "macos-x86_64")
        )
    return (
        ("aarch64-unknown-linux-musl", "linux-arm64", "linux-aarch64")
        if arm
        else ("x86_64-unknown-linux-musl", "linux-x64", "linux-x86_64")
    )


TARGET, PLATFORM, EXTENSION = platform_names()


@pytest.fixture
def nothing_installed(tmp_path: Path) -> None:
    """Skips where the machine itself has a Codex in a place outside the home folder."""
    answer = bare_find(environ_of(tmp_path / "nobody"), tmp_path / "cache0")
    if "path" in answer:
        pytest.skip(f"this machine has a Codex at {answer['path']}")


# --- where it is found


def test_on_path_before_everything_else(tmp_path: Path) -> None:
    real = codex("newest")
    there = link(real.path, tmp_path, "bin", "codex")
    found = find(None, environ_of(tmp_path, tmp_path / "empty", tmp_path / "bin"), str(tmp_path / "cache"))
    assert (found.origin, found.found_as, found.version) == ("PATH", str(there), real.version)
    assert found.notes == ()


def test_the_wheel_of_this_interpreter(tmp_path: Path) -> None:
    wheel = pytest.importorskip("codex_cli_bin")
    found = find(None, environ_of(tmp_path), str(tmp_path / "cache"))
    assert (found.origin, found.path) == ("wheel", str(wheel.bundled_codex_path()))
    assert found.path_dirs == (str(wheel.bundled_path_dir()),)
    assert os.access(os.path.join(found.path_dirs[0], "rg"), os.X_OK)


def test_relative_folders_on_path_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link(codex("newest").path, tmp_path, "bin", "codex")
    monkeypatch.chdir(tmp_path / "bin")
    environ = {"HOME": str(tmp_path), "PATH": os.pathsep.join(["", ".", "../bin"])}
    answer = bare_find(environ, tmp_path / "cache")
    assert answer.get("origin") != "PATH"
    assert not answer.get("notes") and not answer.get("tried")


PLACES = [
    (".npm-global/bin", "npm", {}),
    ("prefix/bin", "npm", {"NPM_CONFIG_PREFIX": "prefix"}),
    (".nvm/versions/node/v22.1.0/bin", "npm", {}),
    ("pn", "pnpm", {"PNPM_HOME": "pn"}),
    (".bun/bin", "bun", {}),
    ("brew/bin", "homebrew", {"HOMEBREW_PREFIX": "brew"}),
    (".cargo/bin", "cargo", {}),
    ("elsewhere/bin", "cargo", {"CARGO_HOME": "elsewhere"}),
    (".local/bin", "local-bin", {}),
    *(
        (f"{editor}/extensions/openai.chatgpt-0.4.9/bin/{EXTENSION}", editor.split("-")[0][1:], {})
        for editor in (".vscode", ".vscode-server", ".cursor", ".cursor-server", ".windsurf", ".windsurf-server")
    ),
]


@pytest.mark.parametrize(("folder", "origin", "variables"), PLACES, ids=[place[0] for place in PLACES])
@pytest.mark.usefixtures("nothing_installed")
def test_in_the_usual_places(folder: str, origin: str, variables: dict[str, str], tmp_path: Path) -> None:
    there = link(codex("newest").path, tmp_path, folder, "codex")
    environ = environ_of(tmp_path) | {name: str(tmp_path / value) for name, value in variables.items()}
    found = bare_find(environ, tmp_path / "cache")
    assert (found["origin"], found["found_as"]) == (origin, str(there))


@pytest.mark.usefixtures("nothing_installed")
def test_npm_prefix_from_its_settings_file_and_beside_node(tmp_path: Path) -> None:
    link(codex("newest").path, tmp_path, "mine/bin/codex")
    (tmp_path / ".npmrc").write_text("fund=false\nprefix = ${HOME}/mine\n")
    assert bare_find(environ_of(tmp_path), tmp_path / "cache")["origin"] == "npm"
    (tmp_path / ".npmrc").unlink()
    script(tmp_path / "mine" / "bin" / "node", "exit 0")
    link(str(tmp_path / "mine" / "bin" / "node"), tmp_path, "shims/node")
    found = bare_find(environ_of(tmp_path, tmp_path / "shims"), tmp_path / "cache")
    assert found["found_as"] == str(tmp_path / "mine" / "bin" / "codex")


@pytest.mark.usefixtures("nothing_installed")
def test_the_newest_extension_whichever_editor_has_it(tmp_path: Path) -> None:
    for editor, version in ((".vscode", "0.4.9"), (".cursor-server", "0.4.10"), (".windsurf", "0.3.99")):
        folder = f"openai.chatgpt-{version}-{PLATFORM}"
        link(codex("newest").path, tmp_path, editor, "extensions", folder, "bin", EXTENSION, "codex")
    found = bare_find(environ_of(tmp_path), tmp_path / "cache")
    assert found["origin"] == "cursor"
    assert "0.4.10" in found["found_as"]


@pytest.mark.usefixtures("nothing_installed")
def test_none_at_all(tmp_path: Path) -> None:
    answer = bare_find(environ_of(tmp_path), tmp_path / "cache")
    assert answer["code"] == "missing_program"
    assert "CODEX_AGENT_CODEX" in answer["hint"]


# --- the native binary behind a Node wrapper


LAYOUTS = {
    "beside, 0.150 and later": f"node_modules/@openai/codex-{PLATFORM}/vendor/{TARGET}/bin",
    "nested": f"node_modules/@openai/codex/node_modules/@openai/codex-{PLATFORM}/vendor/{TARGET}/bin",
    "beside, up to 0.125": f"node_modules/@openai/codex-{PLATFORM}/vendor/{TARGET}/codex",
    "in the package, up to 0.98": f"node_modules/@openai/codex/vendor/{TARGET}/codex",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_native_binary_in_each_layout(layout: str, tmp_path: Path) -> None:
    wrapper = script(tmp_path / "node_modules/@openai/codex/bin/codex.js", "exit 1")
    binary = link(codex("newest").path, tmp_path, LAYOUTS[layout], "codex")
    native = native_beside(str(link(str(wrapper), tmp_path, "bin", "codex")))
    assert native is not None
    assert native.path == str(binary)
    root = {"CODEX_MANAGED_PACKAGE_ROOT": str(wrapper.parents[1])} if binary.parent.name == "bin" else {}
    assert native.env == {"CODEX_MANAGED_BY_NPM": "1"} | root


def test_no_native_binary_for_what_is_no_wrapper(tmp_path: Path) -> None:
    assert native_beside(str(script(tmp_path / "bin" / "codex", "exit 0"))) is None
    assert native_beside(str(script(tmp_path / "package" / "bin" / "codex.js", "exit 0"))) is None


@pytest.mark.parametrize("label", ["npm-newest", "npm-oldest"])
def test_real_npm_package(label: str, tmp_path: Path) -> None:
    wrapper = codex(label)
    found = find(wrapper.path, {**os.environ, "HOME": str(tmp_path)}, str(tmp_path / "cache"))
    assert found.version == wrapper.version
    assert Path(found.path).read_bytes()[:4] in (b"\x7fELF", b"\xcf\xfa\xed\xfe")
    assert found.env["CODEX_MANAGED_BY_NPM"] == "1"
    assert os.access(os.path.join(found.path_dirs[0], "rg"), os.X_OK)
    # It starts without Node on PATH.
    words = [found.path, "--version"]
    told = subprocess.run(
        words, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True, timeout=30
    )
    assert wrapper.version in told.stdout


def test_a_wrapper_of_another_kind_is_used_as_it_is(tmp_path: Path) -> None:
    real = codex("newest")
    behind = link(real.path, tmp_path, "behind")
    wrapper = script(tmp_path / "bin" / "codex", f'exec "{behind}" "$@"')
    found = find(str(wrapper), environ_of(tmp_path), str(tmp_path / "cache"))
    assert (found.path, found.version) == (str(wrapper), real.version)
    # What it starts can change without the script changing: nothing is remembered for it.
    behind.unlink()
    script(behind, "echo codex-cli 9.9.9")
    assert find(str(wrapper), environ_of(tmp_path), str(tmp_path / "cache")).version == "9.9.9"


# --- what the user named is used, or is an error


def test_named_ones_come_first(tmp_path: Path) -> None:
    real = codex("newest")
    script(tmp_path / "bin" / "codex", "echo codex-cli 1.2.3")
    named = link(real.path, tmp_path, "mine", "codex")
    environ = environ_of(tmp_path, tmp_path / "bin")
    found = find(str(named), environ, str(tmp_path / "cache"))
    assert (found.origin, found.version) == ("settings", real.version)
    assert find("~/mine/codex", environ, str(tmp_path / "cache")).version == real.version


def test_a_name_is_looked_up_on_path(tmp_path: Path) -> None:
    link(codex("newest").path, tmp_path, "bin", "codex-beta")
    found = find("codex-beta", environ_of(tmp_path, tmp_path / "bin"), str(tmp_path / "cache"))
    assert found.found_as == str(tmp_path / "bin" / "codex-beta")
    with pytest.raises(MissingProgram, match="'codex-gamma' is not on PATH"):
        find("codex-gamma", environ_of(tmp_path, tmp_path / "bin"), str(tmp_path / "cache"))


BROKEN = {
    "missing": "does not exist",
    "folder": "is a folder",
    "not executable": "is not executable",
    "nonsense": "printed 'banana'",
    "silent": "printed nothing",
    "another program": "printed 'codex 12'",
    "fails": "ended with status 3",
    "no such interpreter": "does not run",
}


def make_broken(kind: str, path: Path) -> Path:
    if kind == "folder":
        path.mkdir(parents=True)
    elif kind == "not executable":
        script(path, "echo codex-cli 0.163.0").chmod(0o644)
    elif kind == "no such interpreter":
        script(path, "").write_text("#!/nonexistent/node\n")
    elif kind != "missing":
        said = {"nonsense": "echo banana", "silent": "", "another program": "echo codex 12"}
        script(path, said.get(kind, "echo codex-cli 0.163.0; exit 3"))
    return path


@pytest.mark.parametrize("kind", BROKEN)
def test_a_named_one_that_is_broken_is_an_error(kind: str, tmp_path: Path) -> None:
    link(codex("newest").path, tmp_path, "bin", "codex")
    named = make_broken(kind, tmp_path / "mine" / "codex")
    with pytest.raises(MissingProgram, match=BROKEN[kind]) as caught:
        find(str(named), environ_of(tmp_path, tmp_path / "bin"), str(tmp_path / "cache"))
    assert str(named) in caught.value.message
    assert caught.value.hint
    assert caught.value.exit_code == 5


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if kind not in ("missing", "folder")])
def test_a_broken_one_on_path_is_passed_over_and_named(kind: str, tmp_path: Path) -> None:
    real = codex("newest")
    broken = make_broken(kind, tmp_path / "first" / "codex")
    link(real.path, tmp_path, "second", "codex")
    found = find(None, environ_of(tmp_path, tmp_path / "first", tmp_path / "second"), str(tmp_path / "cache"))
    assert found.version == real.version
    assert len(found.notes) == 1
    assert str(broken) in found.notes[0]


@pytest.mark.usefixtures("nothing_installed")
def test_only_broken_ones(tmp_path: Path) -> None:
    broken = make_broken("nonsense", tmp_path / "bin" / "codex")
    other = make_broken("not executable", tmp_path / ".local" / "bin" / "codex")
    answer = bare_find(environ_of(tmp_path, tmp_path / "bin"), tmp_path / "cache")
    assert answer["code"] == "missing_program"
    assert str(broken) in answer["message"] and "banana" in answer["message"]
    assert str(other) in answer["message"]


# --- asking a program


def test_a_program_that_does_not_end_is_stopped_with_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    slow = script(tmp_path / "slow", f"echo started; sleep 300 & echo $! > {pid_file}; wait")
    began = time.monotonic()
    answer = ask([str(slow)], os.environ, 3.0)
    assert (answer.text, answer.exit_code) == ("started\n", None)
    assert time.monotonic() - began < 60

    def gone() -> bool:  # a zombie is: it may be that nobody collects orphans here (a container's first process)
        try:
            return not kernel.is_same(kernel.identify(int(pid_file.read_text())))
        except ProcessLookupError:
            return True

    until(gone, 10, "the end of its child")


def test_a_program_that_closes_its_output_and_stays_is_stopped(tmp_path: Path) -> None:
    slow = script(tmp_path / "slow", "exec >/dev/null 2>&1; sleep 300")
    assert ask([str(slow)], os.environ, 0.5).exit_code is None


def test_a_program_that_writes_without_end_is_cut_off(tmp_path: Path) -> None:
    endless = script(tmp_path / "endless", "exec yes banana")
    began = time.monotonic()
    answer = ask([str(endless)], os.environ, 20.0)
    assert answer.exit_code is None
    assert len(answer.text) < 100_000
    assert time.monotonic() - began < 10


# --- the version


def remembered(cache: Path) -> tuple[Path, dict[str, Any]]:
    file = cache / "codex-versions.json"
    return file, json.loads(file.read_text())


def test_the_version_is_read_once_per_state_of_the_file(tmp_path: Path) -> None:
    real = codex("newest")
    environ, cache = environ_of(tmp_path), tmp_path / "cache"
    find(real.path, environ, str(cache))
    file, content = remembered(cache)
    assert file.stat().st_mode & 0o777 == 0o600
    (entry,) = content["binaries"].values()
    assert entry["version"] == real.version
    # A version that only the cache knows is believed: nothing was run.
    entry["version"] = "0.99.1"
    file.write_text(json.dumps(content))
    assert find(real.path, environ, str(cache)).version == "0.99.1"
    # A file in another state is asked again, and the answer replaces the old one.
    for number in range(len(entry["state"])):
        entry["state"][number] += 1
        file.write_text(json.dumps(content))
        assert find(real.path, environ, str(cache)).version == real.version
        content = remembered(cache)[1]
        (entry,) = content["binaries"].values()
        entry["version"] = "0.99.1"
    assert [path.name for path in cache.iterdir()] == [file.name]


def test_a_file_replaced_by_one_of_the_same_size_and_time_is_asked_again(tmp_path: Path) -> None:
    """npm gives all its files the same time; only the change time, which nobody can set, tells them apart."""
    mine = tmp_path / "codex"
    shutil.copyfile(os.path.realpath(codex("newest").path), mine)
    mine.chmod(0o700)
    environ, cache = environ_of(tmp_path), tmp_path / "cache"
    find(str(mine), environ, str(cache))
    file, content = remembered(cache)
    content["binaries"][str(mine)]["version"] = "0.99.1"
    file.write_text(json.dumps(content))
    assert find(str(mine), environ, str(cache)).version == "0.99.1"
    mine.chmod(0o755)
    assert find(str(mine), environ, str(cache)).version == codex("newest").version
    mine.unlink()  # it is large


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1, "binaries": 7}', '{"format": 0}', "\x00\xff"])
def test_a_broken_cache_is_made_again(text: str, tmp_path: Path) -> None:
    real = codex("newest")
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "codex-versions.json").write_text(text, encoding="latin-1")
    assert find(real.path, environ_of(tmp_path), str(cache)).version == real.version
    assert len(remembered(cache)[1]["binaries"]) == 1


def test_a_cache_that_cannot_be_written_is_no_hindrance(tmp_path: Path) -> None:
    real = codex("newest")
    (tmp_path / "file").write_text("not a folder")
    assert find(real.path, environ_of(tmp_path), str(tmp_path / "file" / "cache")).version == real.version


def test_every_test_codex_is_a_known_one(every_codex: Any, home: Home) -> None:
    found = find(every_codex.path, home.env, str(home.agent_home / "cache"))
    assert found.version == every_codex.version
    assert is_known(found.version)


def test_versions() -> None:
    assert parse_version("0.169.0") == (0, 169, 0)
    assert parse_version("0.170.0-alpha.12") == (0, 170, 0)
    assert is_known(KNOWN_OLDEST) and is_known(KNOWN_NEWEST) and is_known("0.133.0")
    assert not is_known("0.97.9") and not is_known("0.170.0-alpha.1") and not is_known("1.0.0")
    with pytest.raises(ValueError, match="banana"):
        parse_version("banana")
