"""The documents say what the program does: quoted help, tables, links and names are held to the code.

Generated parts (``<!-- help: ... -->`` and ``<!-- table: ... -->``) are brought up to date by running this file:
``python tests/test_docs.py`` in an environment with the package's requirements. Tables behind a comment
``<!-- checked: ... -->`` are written by hand; what is in them is compared. docs/formats.md has a generated part of
its own (``schema.py``).
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

TOP = Path(__file__).parents[1]
SRC = TOP / "src" / "codex_agent"
if __name__ == "__main__":
    sys.path[:0] = [str(TOP / "src"), str(TOP / "tests")]

import codex_agent  # noqa: E402
from codex_agent import errors, prompt, schema, settings, verdict  # noqa: E402
from codex_agent.cause_words import WORDS  # noqa: E402
from codex_agent.codex import failures  # noqa: E402
from codex_agent.model import Failure, Job, Status, TurnState  # noqa: E402
from support import mcp_docs  # noqa: E402
from support.cli import COMMAND  # noqa: E402

DOCS = [TOP / "README.md", *sorted((TOP / "docs").rglob("*.md")), *sorted((TOP / "plugins").rglob("*.md"))]
NAMES = [str(path.relative_to(TOP)) for path in DOCS]
# A marker, and what it rules: a fenced block or a table.
GENERATED = re.compile(
    r"(?P<marker><!-- (?P<kind>help|table): (?P<name>[^>]+?) -->\n)(?P<body>```\w*\n.*?^```$|(?:^\|[^\n]*\n)+|)",
    re.MULTILINE | re.DOTALL,
)


# ---- what is generated ----


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words, in the order of the help."""
    import typer

    from codex_agent.cli.app import app

    def walk(words: str, group: Any) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            path = f"{words} {name}".strip()
            if hasattr(command, "commands"):
                yield from walk(path, command)
            else:
                yield path, command

    yield from walk("", typer.main.get_command(app))


def table_of_commands() -> str:
    rows = ["| command | what it does |", "| --- | --- |"]
    for words, command in commands():
        arguments = [
            f"[{each.metavar.strip('[]')}]" if not each.required else each.metavar
            for each in command.params
            if each.param_type_name == "argument"
        ]
        rows.append(f"| `{' '.join([words, *arguments])}` | {' '.join(command.help.split())} |")
    return "\n".join(rows) + "\n"


def table_of_settings() -> str:
    rows = ["| key | default | allowed | what it does |", "| --- | --- | --- | --- |"]
    for key in [*settings.KEYS.values(), *settings.NAMED_KEYS.values()]:
        default = "not set" if key.default is None else str(key.default).lower()
        if isinstance(key.default, tuple):
            default = " ".join(key.default)
        flag = f" Flag: `{key.flag}`." if key.flag else ""
        rows.append(f"| `{key.name}` | {default} | {key.allowed} | {key.doc}{flag} |")
    return "\n".join(rows) + "\n"


def help_of(words: str) -> str:
    """What ``--help`` prints, on a terminal of 80 columns."""
    called = words.split()
    assert called[0] == "codex-agent", words
    env = {name: value for name, value in os.environ.items() if not name.startswith(("COLUMNS", "TERM", "_TYPER"))}
    env |= {"COLUMNS": "80", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        [*COMMAND, *called[1:], "--help"], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return f"```text\n$ {words} --help\n{done.stdout.rstrip()}\n```"


TABLES: dict[str, Callable[[], str]] = {
    "commands": table_of_commands,
    "settings": table_of_settings,
    "tools": mcp_docs.table_of_tools,
    "resources": mcp_docs.table_of_resources,
    "prompts": mcp_docs.table_of_prompts,
}


def body_of(kind: str, name: str) -> str:
    if kind == "help":
        return help_of(name)
    return TABLES[name]() if name in TABLES else mcp_docs.table_of_parameters(name)


def refresh() -> None:
    for path in DOCS:
        text = path.read_text(encoding="utf-8")
        new = GENERATED.sub(lambda found: found["marker"] + body_of(found["kind"], found["name"]), text)
        if new != text:
            path.write_text(new, encoding="utf-8")
            print(f"brought up to date: {path.relative_to(TOP)}")


def generated_parts() -> list[tuple[str, str, str, str]]:
    return [
        (name, found["kind"], found["name"], found["body"])
        for name, path in zip(NAMES, DOCS, strict=True)
        for found in GENERATED.finditer(path.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("document", "kind", "name", "body"), generated_parts(), ids=lambda text: text[:40])
def test_a_generated_part_is_current(document: str, kind: str, name: str, body: str) -> None:
    assert body == body_of(kind, name), f"{document}: run python tests/test_docs.py"


def test_the_help_of_every_command_is_quoted() -> None:
    quoted = {name for _, kind, name, _ in generated_parts() if kind == "help"}
    assert quoted >= {f"codex-agent {words}" for words, _ in commands()} | {"codex-agent"}
    assert {name for _, kind, name, _ in generated_parts() if kind == "table"} == {*TABLES, *mcp_docs.offer()[0]}


# ---- what is compared ----


def rows_of(document: str, name: str) -> list[list[str]]:
    """The cells of the table after ``<!-- checked: name -->``, without its head."""
    text = (TOP / document).read_text(encoding="utf-8")
    found = re.search(rf"<!-- checked: {re.escape(name)} -->\n((?:\|.*\n)+)", text)
    assert found, f"{document} has no table of {name}"
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in found[1].splitlines()]
    return cells[2:]


def first_words(document: str, name: str) -> list[str]:
    return [row[0].strip("`") for row in rows_of(document, name)]


def error_classes(root: type[errors.CodexAgentError] = errors.CodexAgentError) -> Iterator[type[Any]]:
    yield root
    for each in root.__subclasses__():
        yield from error_classes(each)


EXITS = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}


def test_the_exit_codes() -> None:
    for document in ("README.md", "docs/formats.md"):
        told = [int(code) for code in first_words(document, "exit codes")]
        assert told == sorted(EXITS), document


def test_the_job_in_the_readme_has_every_field() -> None:
    text = (TOP / "README.md").read_text(encoding="utf-8")
    (shown,) = (json.loads(block) for block in re.findall(r"```json\n(\{\n.*?)```", text, re.DOTALL))
    schema.check(Job, shown)
    assert list(shown) == [each.name for each in dataclasses.fields(Job)]


def test_the_error_codes() -> None:
    made: dict[int, set[str]] = {code: set() for code in EXITS}
    for each in error_classes():
        made[each.exit_code].add(each.code)
    made[errors.EXIT_FAILED].add("internal")  # cli.app, for a fault of ours
    told = {int(row[0]): set(re.findall(r"`(\w+)`", row[2])) for row in rows_of("docs/formats.md", "exit codes")}
    assert told == made


def reasons() -> set[str]:
    """Every reason the code can give: those of the verdict, and those of Codex's own words."""
    found = set(verdict._STOPPED) | set(verdict._NOT_BEGUN)
    for node in ast.walk(ast.parse((SRC / "verdict.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_failure":
            found |= {str(arg.value) for arg in node.args[1:2] if isinstance(arg, ast.Constant)}
    tables = (failures._KINDS, failures._TRANSPORT, failures._STATUSES, failures._API_CODES)
    found.update(*[table.values() for table in tables])
    found |= {reason for reason, _ in failures._WORDS}
    for message in (
        None,
        "words that nobody knows",
        '{"error": "no"}',
        *(f"unexpected status {n}" for n in (418, 599)),
    ):
        for code in (None, 0, 9):
            found.add(failures.diagnose(message=message, info=None, stderr_tail="", exit_code=code).reason)
    return found


def test_the_failure_reasons() -> None:
    told = first_words("docs/formats.md", "failure reasons")
    assert len(told) == len(set(told)) and set(told) == reasons()
    for reason, status, _ in rows_of("docs/formats.md", "failure reasons"):
        stopped = verdict._STOPPED.get(reason.strip("`"))
        assert stopped is None or stopped[0] == status, reason


def test_the_causes() -> None:
    told = [word for word in first_words("docs/causes.md", "causes") if not word.startswith("*")]
    assert len(told) == len(set(told)) and set(told) == set(WORDS)


def test_the_model_names_no_reason_that_is_gone() -> None:
    """The schema's own list."""
    (reason,) = (each for each in dataclasses.fields(Failure) if each.name == "reason")
    named = set(re.findall(r"\w+", reason.metadata["doc"].partition(":")[2]))
    assert named == reasons()


def test_the_states() -> None:
    assert first_words("docs/formats.md", "statuses") == list(get_args(Status))
    assert first_words("docs/formats.md", "turn states") == list(get_args(TurnState))


def test_the_events() -> None:
    """Every way of writing one: ``store.event(job, kind)``, the supervisor's ``note(kind)``, ``notify._note``."""
    written: dict[str, set[str]] = {}
    for path in SRC.rglob("*.py"):
        if path.parent.name == "cli":
            continue  # a `note` there is a remark on stderr
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            kinds = [
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if called in ("note", "_note", "event") and kinds:
                written.setdefault(kinds[0], set()).update(word.arg for word in node.keywords if word.arg)
    told = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows_of("docs/formats.md", "events")}
    assert told == written


# ---- names and links ----


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path: Path) -> set[str]:
    """The anchors of a document's headings, as they are made on the web."""
    headings = re.findall(r"^#+ +(.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    path = TOP / name
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(path)):
        if re.match(r"\w+://|mailto:", target):
            continue
        file, _, anchor = target.partition("#")
        aim = (path.parent / file).resolve() if file else path
        assert aim.exists() and aim.is_relative_to(TOP), f"{name}: {target}"
        assert not anchor or anchor in anchors(aim), f"{name}: {target} has no such heading"


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name: str) -> None:
    for word in re.findall(r"`([\w./-]+)`", prose(TOP / name)):
        if re.match(r"(src|tests|docs|bin|plugins|\.ci)/", word) and word not in prompt.MAPS:
            assert (TOP / word).exists(), f"{name} names {word}"


def test_the_map_names_every_module() -> None:
    text = (TOP / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.name for path in SRC.iterdir() if path.suffix == ".py" and not path.name.startswith("__")}
    rooms |= {f"{path.parent.name}/" for path in SRC.glob("*/__init__.py")}
    assert not {room for room in rooms if f"`{room}`" not in text}


def test_the_map_names_no_module_that_is_gone() -> None:
    text = (TOP / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    known = {path.name for path in [*SRC.rglob("*.py"), *(TOP / "tests").rglob("*.py"), *(TOP / "bin").iterdir()]}
    named = set(re.findall(r"`(?:[\w./]*/)?(\w+\.py)`", text))
    assert not named - known


def test_the_changelog_has_this_version() -> None:
    text = (TOP / "docs" / "changelog.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", text, re.MULTILINE)
    assert newest and newest[1] == codex_agent.__version__
    assert f'version = "{newest[1]}"' in (TOP / "pyproject.toml").read_text(encoding="utf-8")


# ---- examples ----

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples() -> Iterator[Any]:
    """Every call of ours in the documents' shell blocks, as words."""
    for name, path in zip(NAMES, DOCS, strict=True):
        for block in _BLOCK.findall(path.read_text(encoding="utf-8")):
            block = re.sub(r"(?m)(?:^| )# .*$", "", block.replace("\\\n", " "))
            split = shlex.shlex(block, posix=True, punctuation_chars="();<>|&\n")
            split.whitespace = " \t"
            words: list[str] | None = None
            for token in [*split, "\n"]:
                if set(token) <= set("();<>|&\n"):
                    if words:
                        yield pytest.param(words, id=f"{name}: {' '.join(words)}"[:80])
                    words = None
                elif words is not None:
                    words.append(token)
                elif token in ("codex-agent", "bin/codex-agent"):
                    words = []


@pytest.mark.parametrize("words", list(examples()))
def test_an_example_is_a_command_with_its_options(words: list[str]) -> None:
    known = dict(commands())
    named = next((name for name in (" ".join(words[:2]), words[0]) if name in known), None)
    if words[0] in ("--version", "--help", "--install-completion"):
        return
    assert named is not None, words
    options = {option for each in known[named].params for option in (*each.opts, *each.secondary_opts)} | {
        "--help"
    }
    for word in itertools.takewhile(lambda word: word != "--", words[len(named.split()) :]):
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in options, word


if __name__ == "__main__":
    refresh()
