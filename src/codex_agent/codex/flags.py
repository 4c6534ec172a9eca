"""Owns Codex's command line: from what was asked for to the exact words Codex is started with.

Must never start an agent and never puts the prompt into the words: it goes in on stdin. Every word here was
tried with Codex 0.98.0, 0.104.0, 0.125.0, 0.133.0, 0.150.0, 0.163.0 and 0.169.0; the command line needs no
choice by version.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from codex_agent.codex.toml import toml
from codex_agent.codex.version import parse_version
from codex_agent.errors import MissingProgram, UsageError
from codex_agent.model import SANDBOXES, Driver

if TYPE_CHECKING:
    from codex_agent.codex.finding import Codex

# Unicode characters, not bytes, as Codex counts from 0.133 on (0.104 has no limit of its own).
MAX_PROMPT_CHARS = 1_048_576

# What every Codex takes. Up to 0.133 these are all; 0.150 and later take any word and leave it to the model.
REASONING_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
_NEWER_EFFORTS = ("max", "ultra")

_WORD = re.compile(r"[a-z][a-z0-9_-]*")
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class ExecOptions:
    """What ``codex exec`` is to be told. Paths are absolute; None and empty leave it to Codex's own configuration.

    ``config`` holds ``KEY=VALUE`` texts that are handed through as they are and come last, so that they win
    over the user's files and over ``reasoning``. Codex reads VALUE as TOML and takes what is none as plain
    text. The sandbox is given as a flag and cannot be changed by them.
    """

    cwd: str
    sandbox: str
    model: str | None = None
    reasoning: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    profile: str | None = None
    config: list[str] = field(default_factory=list)
    output_schema: str | None = None
    skip_git_repo_check: bool = False
    thread_source: str | None = None
    instructions: str | None = None


def exec_argv(codex: Codex, options: ExecOptions) -> list[str]:
    """The words that start one agent, ``-`` last: the prompt comes on stdin. Raises UsageError; touches no file.

    Values from outside are joined to their flag with ``=``: then none can be taken for a flag, and ``--image``,
    which takes any number of files, does not swallow the ``-``.
    """
    if options.sandbox not in SANDBOXES:
        raise UsageError(f"Unknown sandbox '{options.sandbox}'.", f"One of {', '.join(SANDBOXES)}.")
    # `exec` itself never asks, but a user's approvals_reviewer = "auto_review" would let a second model approve
    # what leaves the sandbox (seen from 0.150 on); the explicit policy prevents that.
    argv = [codex.path, "exec", "--json", "--color=never", "-s", options.sandbox, "-C", options.cwd]
    argv.append('--config=approval_policy="never"')
    if options.model is not None:
        argv.append(f"--model={_given(options.model, 'model')}")
    if options.reasoning is not None:
        argv.append(f'--config=model_reasoning_effort="{_effort(options.reasoning)}"')
    if options.profile is not None:
        argv.append(f"--profile={_given(options.profile, 'profile')}")
    argv += [f"--add-dir={path}" for path in options.add_dirs]
    argv += [f"--image={_image(path)}" for path in options.images]
    if options.output_schema is not None:
        argv.append(f"--output-schema={options.output_schema}")
    if options.skip_git_repo_check:
        argv.append("--skip-git-repo-check")
    if options.thread_source is not None:
        argv.append(f"--thread-source={options.thread_source}")
    argv += instruction_words(options.instructions)
    argv += [f"--config={_override(text)}" for text in options.config]
    argv.append("-")
    for word in argv:
        if "\0" in word:
            raise UsageError(f"An option holds a NUL character: {word!r}.", "Take it out.")
    return argv


def instruction_words(text: str | None) -> list[str]:
    """The words that give an agent instructions besides its task, for every way of starting one."""
    return [] if text is None else [f"--config=developer_instructions={toml(text)}"]


def check_files(options: ExecOptions) -> None:
    """Looks at the files the options name, because Codex itself does not say, or late. Raises UsageError.

    Codex tells the model "could not read the image" and goes on, and takes an --add-dir that is not there.
    """
    for path in options.images:
        if not os.path.isfile(path):
            raise UsageError(f"The image {path} is not a file.", "Give the path of a picture.", path=path)
    for path in options.add_dirs:
        if not os.path.isdir(path):
            raise UsageError(
                f"The folder {path} (--add-dir) does not exist.", "Give an existing folder.", path=path
            )
    if options.output_schema is not None:
        hint = "Give a file that holds a JSON Schema."
        try:
            with open(options.output_schema, encoding="utf-8") as file:
                schema = json.load(file)
        except OSError as error:
            message = f"The output schema {options.output_schema} cannot be read: {error.strerror}."
            raise UsageError(message, hint, path=options.output_schema) from error
        except ValueError as error:
            message = f"The output schema {options.output_schema} is not JSON: {error}."
            raise UsageError(message, hint, path=options.output_schema) from error
        if not isinstance(schema, dict):
            raise UsageError(f"The output schema {options.output_schema} is not a JSON object.", hint)


def check_repository(options: ExecOptions) -> None:
    """Raises UsageError where Codex would refuse to work: outside a git repository, without the flag.

    Codex looks for a `.git` upward from the folder; a folder that config.toml trusts is refused all the same
    (0.104.0 to 0.169.0), though only once it runs.
    """
    folder = os.path.realpath(options.cwd)
    while not options.skip_git_repo_check and not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            raise UsageError(
                f"{options.cwd} is in no git repository, and Codex works only in one.",
                "Start it in a git repository, or add --skip-git-repo-check.",
                path=options.cwd,
            )
        folder = above


def check_profile(name: str, codex_home: str, version: str) -> None:
    """Raises UsageError if this Codex has no profile of that name. From 0.150 on it would silently go on without.

    A profile is ``<name>.config.toml`` in CODEX_HOME from 0.150 on, ``[profiles.<name>]`` in config.toml up to
    0.133; of the versions between nothing is known, so there either passes.
    """
    numbers = parse_version(version)
    wants_file, wants_table = numbers >= (0, 150, 0), numbers < (0, 134, 0)
    layer, base = os.path.join(codex_home, f"{name}.config.toml"), os.path.join(codex_home, "config.toml")
    if os.path.isfile(layer) and not wants_table:
        return
    if not wants_file and _has_table(base, name):
        return
    make = f"Make it: [profiles.{name}] in {base}." if wants_table else f"Make it: {layer}."
    raise UsageError(f"Codex {version} has no profile '{name}'.", make, profile=name)


def _has_table(base: str, name: str) -> bool:
    import tomllib  # late: only a call with a profile needs it

    try:
        with open(base, "rb") as file:
            profiles = tomllib.load(file).get("profiles")
    except FileNotFoundError:
        return False
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"Codex's configuration {base} cannot be read: {error}.", "Correct it.") from error
    return isinstance(profiles, dict) and name in profiles


def check_thread_source(word: str, version: str, driver: Driver) -> None:
    """Raises UsageError if no source can be given so, MissingProgram if this Codex cannot take one.

    `codex exec` takes any word from 0.150 on; the app-server has always taken some, which it names itself (0.133).
    """
    _given(word, "source")
    if driver == "plain":
        raise UsageError("Codex's bare TUI takes no --thread-source.", "Leave --plain or --thread-source out.")
    if driver == "exec" and parse_version(version) < (0, 150, 0):
        raise MissingProgram(
            f"Codex {version} takes no --thread-source (0.150.0 and later do).",
            "Leave it out, or name a newer Codex.",
        )


def check_reasoning(codex: Codex, effort: str, environ: Mapping[str, str]) -> None:
    """Raises UsageError if this Codex does not take the effort. Only an uncommon word costs asking it (10 ms)."""
    _effort(effort)
    if effort not in REASONING_EFFORTS and not _takes(codex, effort, environ):
        raise UsageError(
            f"Codex {codex.version} does not know the reasoning effort '{effort}'.",
            f"One of {', '.join(REASONING_EFFORTS)}, or a newer Codex.",
        )


def reasoning_efforts(codex: Codex, environ: Mapping[str, str]) -> tuple[str, ...]:
    """Efforts to offer for this Codex; from 0.150 on it takes other words too and the model decides."""
    newer = _takes(codex, _NEWER_EFFORTS[0], environ)
    return REASONING_EFFORTS + (_NEWER_EFFORTS if newer else ())


def _takes(codex: Codex, effort: str, environ: Mapping[str, str]) -> bool:
    """Whether Codex loads its configuration with this effort; `login status` is the quickest way to have it read.

    Asked in an empty CODEX_HOME, so that nothing in the user's configuration can be mistaken for the answer.
    """
    # Late: most starts do not come here.
    import tempfile

    from codex_agent.codex.ask import ask

    with tempfile.TemporaryDirectory(prefix="codex-agent-") as empty:
        argv = [codex.path, "login", "status", f'--config=model_reasoning_effort="{effort}"']
        try:
            answer = ask(argv, {**environ, **codex.env, "CODEX_HOME": empty}, _TIMEOUT_S)
        except OSError as error:
            message = f"{codex.path} does not run: {error.strerror}."
            raise MissingProgram(message, "Install Codex again.", path=codex.path) from error
    if answer.exit_code is None:
        raise MissingProgram(f"{codex.path} did not answer within {_TIMEOUT_S:g} seconds.", "Install Codex again.")
    return "model_reasoning_effort" not in answer.text and "unknown variant" not in answer.text


def _given(value: str, what: str) -> str:
    """A value that must not be empty: Codex up to 0.133 takes an empty model and asks the server for it."""
    if not value.strip():
        raise UsageError(f"The {what} is empty.", f"Name a {what}, or leave the option out.")
    return value


def _effort(value: str) -> str:
    if not _WORD.fullmatch(value):
        raise UsageError(f"'{value}' is no reasoning effort.", f"One of {', '.join(REASONING_EFFORTS)}.")
    return value


def _image(path: str) -> str:
    # Codex splits at commas and knows no way to write one.
    if "," in path:
        raise UsageError(f"Codex cannot take an image with a comma in its path: {path}", "Rename or copy it.")
    return path


def _override(text: str) -> str:
    key, equals, _ = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"'{text}' is not KEY=VALUE.", 'Like this: -c model_verbosity="high".')
    return text
