"""Owns the command lines of an interactive agent: its private app-server, the TUI attached to it, the bare TUI.

Must never start an agent, never edit the user's configuration, and never let a start-up question stand in an
agent's way: what would ask is switched off for that one launch. Tried with Codex 0.98.0, 0.104.0, 0.125.0,
0.133.0, 0.150.0, 0.163.0 and 0.169.0.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from codex_agent.codex.ask import ask
from codex_agent.codex.flags import _effort, _given, _image, _override, instruction_words
from codex_agent.codex.own import user_config
from codex_agent.codex.startup import (
    NO_UPDATE_CHECK,
    check_not_untrusted,
    codex_home_of,
    startup_overrides,
    trust_words,
)
from codex_agent.codex.toml import read_toml, toml
from codex_agent.codex.version import parse_version
from codex_agent.errors import MissingProgram, UsageError
from codex_agent.model import SANDBOXES

if TYPE_CHECKING:
    from codex_agent.codex.finding import Codex

TitleState = Literal["starting", "idle", "working", "needs_you"]

# 0.125 has an app-server too, and refuses a client on a Unix socket.
CHANNEL_SINCE = (0, 133, 0)

# What seed users know, in Codex's words. `skip` is no bypass of the sandbox: that one has a name of its own.
_SEED_WORDS = {"skip": "never", "auto-edit": "never", "suggest": "untrusted"}
_POLICIES = ("never", "on-request", "untrusted")
_BYPASS = ("bypass", "yolo", "dangerously-bypass-approvals-and-sandbox")

# What the bare TUI is to put into the terminal's title, whatever the user has set: it is how it tells its state.
# Before 0.133 neither the activity nor the thread can be shown (0.125.0), or there is no title at all (0.104.0).
_TITLE = '--config=tui.terminal_title=["activity", "run-state", "thread-id"]'
_OLD_TITLE = '--config=tui.terminal_title=["run-state"]'
_TITLE_STATES: dict[str, TitleState] = {
    "Ready": "idle", "Working": "working", "Thinking": "working", "Waiting": "working", "Starting": "starting",
}  # fmt: skip
_TIMEOUT_S = 10.0


@dataclass(slots=True)
class InteractiveOptions:
    """What an interactive Codex is to be told. Paths are absolute; None and empty leave it to Codex's own
    configuration.

    ``approval`` is Codex's own word (see ``approval_word``). ``config`` holds ``KEY=VALUE`` texts as in
    ``ExecOptions``: they come last and win. ``images`` go with the bare TUI's first prompt; over the channel
    they are part of the turn's input and are not used here.
    """

    cwd: str
    sandbox: str
    approval: str = "on-request"
    model: str | None = None
    reasoning: str | None = None
    add_dirs: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    profile: str | None = None
    config: list[str] = field(default_factory=list)
    instructions: str | None = None


def has_channel(version: str) -> bool:
    """Whether this Codex can be driven through a private app-server on a Unix socket."""
    return parse_version(version) >= CHANNEL_SINCE


def records_turns(version: str) -> bool:
    """Whether this Codex writes down when a turn begins and ends: 0.98.0 does not, 0.104.0 does."""
    return parse_version(version) >= (0, 104, 0)


def records_failures(version: str) -> bool:
    """Whether this Codex writes down that a turn has failed: 0.133.0 does not, 0.150.0 does."""
    return parse_version(version) >= (0, 150, 0)


def approval_policies(codex: Codex, plain: bool = False) -> tuple[str, ...]:
    """The approval policies this Codex takes: its app-server, or (``plain``) its bare TUI.

    0.133 takes all four everywhere. From 0.150 on there is no on-failure, and untrusted is left to the app-server
    alone: the TUI refuses it as a flag and ends at once if it finds it in the configuration. Of the versions
    between nothing is known, so they are offered what the later ones take.
    """
    if parse_version(codex.version) < (0, 134, 0):
        return (*_POLICIES, "on-failure")
    return _POLICIES[:2] if plain else _POLICIES


def approval_word(word: str, codex: Codex, plain: bool = False) -> str:
    """Codex's word for what was asked for: its own ones, or the seeds' skip, auto-edit, suggest.

    None of them touches the sandbox. Raises UsageError for any other word, and for one that this Codex does not
    take this way: a policy that asks is never replaced by one that asks less.
    """
    meant = _SEED_WORDS.get(word, word)
    if meant in approval_policies(codex, plain):
        return meant
    if plain and meant in approval_policies(codex):
        raise UsageError(
            f"The TUI of Codex {codex.version} has no approval policy '{meant}'.",
            f"Leave --plain out, or one of {', '.join(approval_policies(codex, plain))}.",
        )
    if word.lstrip("-") in _BYPASS:
        raise UsageError(
            f"'{word}' is no approval policy: it would also remove the sandbox.",
            "Ask for both by name: --approval never --sandbox danger-full-access.",
        )
    known = ", ".join((*approval_policies(codex, plain), *_SEED_WORDS))
    raise UsageError(f"Codex {codex.version} has no approval policy '{word}'.", f"One of {known}.")


def server_argv(
    codex: Codex, options: InteractiveOptions, environ: Mapping[str, str], listen_path: str
) -> list[str]:
    """The words that start the private app-server. What it is told here holds for the thread and its commands.

    Sandbox, approval policy and working directory belong into ``thread/start``, which would take the user's
    defaults otherwise. Raises UsageError.
    """
    _checked([options.cwd])
    home = codex_home_of(environ)
    words = [codex.path, "app-server", f"--listen=unix://{listen_path}", NO_UPDATE_CHECK, *_effort_words(options)]
    if options.model is not None:
        words.append(f"--config=model={toml(_given(options.model, 'model'))}")
    if options.add_dirs:
        # A list replaces the user's own one, so that one is carried along.
        roots = _user_roots(home) + options.add_dirs
        words.append(f"--config=sandbox_workspace_write.writable_roots={toml(roots)}")
    if options.profile is not None:
        words += _profile_of_server(codex, options.profile, home)
    # Also no notice is written into the user's config.toml then: `thread/start` marks a folder that has no word
    # of its own as trusted there, for good (0.133.0 to 0.169.0).
    words += trust_words(options.cwd, home)
    words += instruction_words(options.instructions)
    return _checked(words + [f"--config={_override(text)}" for text in options.config])


def viewer_argv(
    codex: Codex, options: InteractiveOptions, environ: Mapping[str, str], listen_path: str, thread_id: str
) -> list[str]:
    """The words that start the TUI attached to the app-server, showing ``thread_id``.

    The thread must have had its first turn. No word about sandbox, policy or model: the thread has its own, and
    from 0.163 on the TUI does not come up with them. Raises UsageError.
    """
    _checked([options.cwd])
    words = [codex.path, f"--remote=unix://{listen_path}", "-C", options.cwd, "--no-alt-screen"]
    words += startup_overrides(codex, options.cwd, environ, options.config)
    return _checked([*words, "resume", thread_id])


def plain_argv(
    codex: Codex,
    options: InteractiveOptions,
    environ: Mapping[str, str],
    prompt: str | None = None,
    thread_id: str | None = None,
) -> list[str]:
    """The words that start the TUI by itself, with everything of Codex in this one process.

    ``prompt`` is its first message, taken as it is; ``thread_id`` is a thread to go on with. Raises UsageError.
    """
    if options.sandbox not in SANDBOXES:
        raise UsageError(f"Unknown sandbox '{options.sandbox}'.", f"One of {', '.join(SANDBOXES)}.")
    _checked([options.cwd])
    policy = approval_word(options.approval, codex, plain=True)
    check_not_untrusted(codex, options.cwd, codex_home_of(environ))
    words = [codex.path, "-C", options.cwd, "-s", options.sandbox, "-a", policy, "--no-alt-screen"]
    words += _effort_words(options)
    if _takes_no_daemon(codex, environ):
        words.append("--no-daemon")
    if options.model is not None:
        words.append(f"--model={_given(options.model, 'model')}")
    if options.profile is not None:
        words.append(f"--profile={_given(options.profile, 'profile')}")
    words += [f"--add-dir={path}" for path in options.add_dirs]
    words += [f"--image={_image(path)}" for path in options.images]
    words += startup_overrides(codex, options.cwd, environ, options.config)
    words += instruction_words(options.instructions)
    words += [f"--config={_override(text)}" for text in options.config]
    words.append(_TITLE if has_channel(codex.version) else _OLD_TITLE)  # last: without it nothing can be told
    if thread_id is not None:
        words += ["resume", thread_id]
    if prompt is not None:
        words += ["--", prompt]
    return _checked(words)


def title_state(title: str) -> TitleState | None:
    """What the bare TUI's terminal title says; None if nothing (not begun, asks at its start, ended).

    ``needs_you`` is an approval or a question; up to 0.125.0 the title says "working" then. A turn that failed is
    "idle", and so is an agent whose commands still run in the background.
    """
    if "Action Required" in title:
        return "needs_you"
    for word in title.split():
        if word in _TITLE_STATES:
            return _TITLE_STATES[word]
    return None


def pasted(message: str) -> str:
    """The text to paste into the bare TUI so that it is taken as a message and as nothing else.

    The blanks keep a first ``/`` from being a command and a last ``@word`` or ``$word`` from opening a menu that
    would take the Enter; Codex trims them. Control characters are dropped, since tmux and Codex make
    something else of them. Raises UsageError for a first ``!``, which the TUI runs as a shell command whatever
    blanks stand before it (up to 0.163.0), and for a message with nothing in it.
    """
    text = "".join(
        letter
        for letter in message.replace("\r\n", "\n")
        if (letter >= " " and letter != "\x7f") or letter in "\n\t"
    )
    if not text.strip():
        raise UsageError("The message is empty.", "Say something.")
    if text.lstrip().startswith("!"):
        raise UsageError("Codex's TUI would run a message that begins with ! as a shell command.", "Reword it.")
    return f" {text} "


def _effort_words(options: InteractiveOptions) -> list[str]:
    return (
        []
        if options.reasoning is None
        else [f"--config=model_reasoning_effort={toml(_effort(options.reasoning))}"]
    )


def _checked(words: list[str]) -> list[str]:
    for word in words:
        if "\0" in word:
            raise UsageError(f"An option holds a NUL character: {word!r}.", "Take it out.")
    return words


def _profile_of_server(codex: Codex, name: str, codex_home: str) -> list[str]:
    """A profile in words the app-server takes. It has no flag for one from 0.150 on, where a profile is a file."""
    file = os.path.join(codex_home, f"{name}.config.toml")
    if parse_version(codex.version) < (0, 134, 0) or not os.path.isfile(file):
        return [f"--config=profile={toml(_given(name, 'profile'))}"]
    return [f"--config={_toml_key(key)}={toml(value)}" for key, value in read_toml(file).items()]


def _user_roots(codex_home: str) -> list[str]:
    table = user_config(codex_home).get("sandbox_workspace_write")
    roots = table.get("writable_roots") if isinstance(table, dict) else None
    return [str(root) for root in roots] if isinstance(roots, list) else []


def _takes_no_daemon(codex: Codex, environ: Mapping[str, str]) -> bool:
    """Whether this Codex has ``--no-daemon``: 0.150.0 has not, 0.163.0 has; one between is as likely either."""
    try:
        answer = ask([codex.path, "--no-daemon", "--version"], {**environ, **codex.env}, _TIMEOUT_S)
    except OSError as error:
        message = f"{codex.path} does not run: {error.strerror}."
        raise MissingProgram(message, "Install Codex again.", path=codex.path) from error
    return answer.exit_code == 0


def _toml_key(key: str) -> str:
    # `-c` splits a key at its dots and knows no quotes.
    if "." in key:
        raise UsageError(f"Codex cannot be given the key {key!r} on its command line.", "Rename it.")
    return key
