"""The house rules that a machine can hold: imports point down, outside things have owners, starting is cheap.

A new module needs its floor here; a rule that is in the way is changed here, on purpose, in the same commit.
"""

from __future__ import annotations

import ast
import functools
import graphlib
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.material import TOP, our_files

SRC = TOP / "src"
PACKAGE = "codex_agent"

# A package stands on the floor of its name; inside it, imports are free of floors (not of cycles).
FLOORS = {
    # words, and what the fast routes read without loading anything else
    0: {
        "__init__",
        "answers",
        "calling",
        "cost",
        "cost_answers",
        "decoding",
        "diagnosis_answers",
        "errors",
        "gate_answers",
        "mcp_answers",
        "model",
        "monitor_answers",
        "places",
        "quick",
        "review_answers",
        "roster",
        "sealed",
        "settings",
        "settings_file",
        "settings_keys",
        "stamps",
        "text",
        "thread_answers",
        "tokens",
        "tracked",
        "tree_answers",
        "turns",
        "work_answers",
    },
    # one outside thing each; they never import each other
    1: {
        "channel",
        "codex",
        "control",
        "execstream",
        "git",
        "handshake",
        "holders",
        "index",
        "kernel",
        "notes",
        "oom",
        "prompt",
        "rollouts",
        "store",
        "tmux",
        "watching",
    },
    # the rules, the processes in the pane, the verbs
    2: {
        "arrival",
        "budget",
        "calls",
        "cause_words",
        "causes",
        "child",
        "circumstances",
        "command_lines",
        "debug_file",
        "desk",
        "diagnosing",
        "drivers",
        "ending",
        "gates",
        "guardian",
        "health",
        "jobs",
        "instructions",
        "launching",
        "linger",
        "mailbox",
        "masking",
        "noting",
        "notify",
        "offspring",
        "outputs",
        "pane_process",
        "pulse",
        "render",
        "profiles",
        "reopening",
        "resuming",
        "screen",
        "sealing",
        "settle",
        "sharing",
        "start_checks",
        "start_options",
        "starting",
        "supervisor",
        "talking",
        "testruns",
        "thread_reading",
        "threads",
        "tracking",
        "verdict",
        "worktrees",
    },
    # rooms, one per capability; they never import each other
    3: {
        "bug_report",
        "changes",
        "agents_md",
        "costing",
        "demo",
        "diagnosis_text",
        "job_text",
        "doctor",
        "logs",
        "machine",
        "monitor",
        "overlap",
        "report",
        "report_text",
        "review_text",
        "reviewing",
        "schema",
        "transcript",
    },
    # doors
    4: {"__main__", "cli", "fast", "mcp_server"},
}
STRANGERS_TO_EACH_OTHER = {1, 3}

# Who may import what is not ours and not Python's, lazily or not.
OWNERS = {
    "libtmux": {"tmux"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli", "demo"},
    "pydantic": {"schema", "mcp_server"},
    "platformdirs": {"places"},
    "zstandard": {"rollouts", "demo"},
    "codex_cli_bin": {"codex"},
    "mcp": {"mcp_server"},
    "mcp_types": {"mcp_server"},
    "anyio": {"mcp_server"},
}

# Words of Codex's own that only these rooms may spell, in code (docstrings may speak of anything). The demo writes
# a configuration file for its own Codex.
SPOKEN_BY = {
    "--output-last-message": {"codex"},
    "--ask-for-approval": {"codex"},
    "model_reasoning_effort": {"codex"},
    "allow_login_shell": {"codex", "demo"},
    "session_meta": {"rollouts"},
    "task_complete": {"rollouts"},
    "token_count": {"rollouts"},
}

# What the supervisor must not load: each costs memory for the whole life of every job, or time at every start.
TOO_HEAVY = {"asyncio", "email", "http", "importlib.metadata", "logging", "multiprocessing", "ssl", "unittest"}
MOST_LINES = 400


@dataclass(frozen=True)
class Module:
    name: str  # without the package: "cli.app"
    path: Path
    tree: ast.Module
    imports: frozenset[str]  # absolute names, lazy ones and those for type checking included

    @property
    def room(self) -> str:
        return self.name.partition(".")[0]


@functools.cache
def modules() -> dict[str, Module]:
    found = {}
    for path in sorted((SRC / PACKAGE).rglob("*.py")):
        parts = list(path.relative_to(SRC / PACKAGE).with_suffix("").parts)
        here = [PACKAGE, *parts[:-1]]
        if parts[-1] == "__init__" and len(parts) > 1:
            parts.pop()
        tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        name = ".".join(parts)
        found[name] = Module(name, path, tree, frozenset(_imports(tree, here)))
    return found


def _imports(tree: ast.Module, here: list[str]) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from package import name` imports a module or a word of the package; the names decide below.
            names.update(f"{origin}.{alias.name}" for alias in node.names)
            names.add(origin)
    return names


def ours(module: Module) -> set[str]:
    """The modules of ours that this one imports, by the names of ``modules``."""
    known = modules()
    found = set()
    for name in module.imports:
        top, _, rest = name.partition(".")
        if top == PACKAGE and rest in known and rest != module.name:
            found.add(rest)
    return found


def floor_of(room: str) -> int:
    for floor, rooms in FLOORS.items():
        if room in rooms:
            return floor
    raise AssertionError(f"{room} has no floor yet: give it one in FLOORS")


def test_imports_point_down() -> None:
    wrong = []
    for module in modules().values():
        floor = floor_of(module.room)
        for name in ours(module):
            room = name.partition(".")[0]
            other = floor_of(room)
            up = other > floor or (other == floor and floor in STRANGERS_TO_EACH_OTHER)
            if room != module.room and up:
                wrong.append(f"{module.name} (floor {floor}) imports {name} (floor {other})")
    assert not wrong, "\n".join(wrong)


def test_no_module_imports_itself_through_others() -> None:
    # A package's own modules see its __init__ half-made; that is no cycle as long as they import each other only.
    graph = {
        module.name: {name for name in ours(module) if not module.name.startswith(f"{name}.")}
        for module in modules().values()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


def test_each_outside_package_has_its_owner() -> None:
    wrong = []
    for module in modules().values():
        for name in {name.partition(".")[0] for name in module.imports} - {PACKAGE, ""}:
            if name not in sys.stdlib_module_names and module.room not in OWNERS.get(name, set()):
                wrong.append(f"{module.name} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_codex_words_are_spoken_by_their_owner_alone() -> None:
    wrong = []
    for module in modules().values():
        docs = {id(doc) for doc in _docstrings(module.tree)}
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docs:
                continue
            for word, rooms in SPOKEN_BY.items():
                if word in node.value and module.room not in rooms:
                    wrong.append(f"{module.path.name}:{node.lineno} says {word}, which belongs to {rooms}")
    assert not wrong, "\n".join(wrong)


def _docstrings(tree: ast.Module) -> list[ast.expr]:
    """Every string that stands as a statement of its own."""
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]


def test_every_module_says_what_it_owns_and_stays_small() -> None:
    wrong = []
    for module in modules().values():
        lines = len(module.path.read_text(encoding="utf-8").splitlines())
        if lines > MOST_LINES:
            wrong.append(f"{module.name} has {lines} lines, {MOST_LINES} are a question: it wants to be two")
        if lines and not ast.get_docstring(module.tree):
            wrong.append(f"{module.name} has no docstring")
    assert not wrong, "\n".join(wrong)


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, check=False)


def test_importing_a_module_loads_nothing_heavy() -> None:
    # The doors may: typer is what they are made of. Everything else loads such packages where it uses them.
    names = sorted(f"{PACKAGE}.{module.name}" for module in modules().values() if floor_of(module.room) < 4)
    code = (
        "import importlib, json, sys\n"
        f"sys.path.insert(0, {str(SRC)!r})\n"
        "names, heavy = json.loads(sys.argv[1])\n"
        "blame = {}\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
        "    for each in heavy:\n"
        "        if each in sys.modules: blame.setdefault(each, name)\n"
        "print(json.dumps(blame))\n"
    )
    done = _python("-I", "-c", code, json.dumps([names, sorted(OWNERS)]))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}


def test_importing_the_package_loads_nothing_else() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); was = set(sys.modules)\n"
        f"import {PACKAGE}; print(sorted(set(sys.modules) - was))\n"
    )
    done = _python("-I", "-c", code)
    assert done.stdout.strip() == f"['{PACKAGE}']", done.stderr


@pytest.mark.parametrize("name", ["pane_process", "guardian"])
def test_what_runs_in_the_pane_is_light_and_needs_no_package(name: str) -> None:
    # As it is started there: no site-packages, so an import of anything installed fails.
    code = (
        f"import json, sys; sys.path.insert(0, {str(SRC)!r}); import {PACKAGE}.{name}\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = _python("-I", "-S", "-E", "-c", code)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint(TOO_HEAVY), sorted(loaded & TOO_HEAVY)


def test_before_codex_runs_the_supervisor_loads_little() -> None:
    # `start` waits for it (decision 28): what comes after is loaded after.
    code = (
        f"import json, sys; sys.path.insert(0, {str(SRC)!r}); from {PACKAGE} import quick; quick.begin()\n"
        f"import {PACKAGE}.pane_process, {PACKAGE}.drivers.exec\n"
        "print(json.dumps(sorted(sys.modules)))\n"
    )
    done = _python("-I", "-S", "-E", "-c", code)
    assert done.returncode == 0, done.stderr
    later = {"calendar", "datetime", "inspect", "random", "shutil", "tempfile"}
    later |= {f"{PACKAGE}.{name}" for name in ("cost", "rollouts", "settings_keys", "settle", "tmux", "verdict")}
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint(later), sorted(loaded & later)


def test_no_file_names_a_registry_or_a_folder_of_somebodys_machine() -> None:
    # Spelled in halves, so that this file does not name them either.
    hosts = ["pypi" + ".org", "python" + "hosted", "npm" + "js.", "debian" + ".org", "ubuntu" + ".com"]
    folders = ["wor" + "k", "tmp" + "/s", "opt" + "/wheels", "opt" + "/pypi", "roo" + "t"]
    # A folder counts where a path begins, so that /home/someone/work does not.
    begins = r"(?<![\w.~}/-])/(?:" + "|".join(folders) + r")\b"
    named = re.compile("|".join([*map(re.escape, hosts), begins]).encode())
    wrong = []
    for name in our_files():
        wrong += [f"{name}: {match[0].decode()}" for match in named.finditer((TOP / name).read_bytes())]
    assert not wrong, "\n".join(wrong)
