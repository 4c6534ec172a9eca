"""Owns the sentences of ``causes.py``: one entry for each reason it can give. Words only; decides nothing.

``{id}``, ``{cwd}``, ``{model}`` and ``{codex_home}`` are known of every job; what else stands in braces is given
by the one rule that uses the entry.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from codex_agent.text import span


class Words(NamedTuple):
    """What a reason is in words. ``goes_on``: whether going on with the thread is a way out."""

    cause: str
    advice: tuple[str, ...] = ()
    goes_on: bool = False


GO_ON = '`codex-agent send {id} "go on"` goes on with its thread.'
ALSO_SANDBOX = "Besides, the sandbox does not work there: `codex-agent doctor` says more."
NOBODY_SAID = "Nobody said when it is reset: https://chatgpt.com/settings/usage shows it."
COMPLETED = "The job completed."
GAVE_UP = "All that time it only tried to reach the model."
TRIES = "It tries again and again to reach the model."
STATES = {
    "starting": "The agent is coming up.",
    "working": "The agent is at work.",
    "idle": "The agent's turn is over, and it waits for a message.",
}

WORDS: dict[str, Words] = {
    "none": Words("Nothing is wrong. {what}"),
    # ---- the account ----
    "not_logged_in": Words(
        "Codex is not logged in, so the model's server refused it.",
        ("Run `codex login` (or `codex login --device-auth` where there is no browser), or set CODEX_API_KEY.",
         "`codex-agent doctor` looks at the login again.",),
        True,
    ),
    "login_expired": Words(
        "Codex's login has run out, or was taken back, and could not be renewed.",
        ("Run `codex logout`, then `codex login`.",),
        True,
    ),
    "key_missing": Words(
        "The model provider that Codex is configured for wants its key in the variable {variable}, which was not "
        "set where the job was started.",
        ("Set {variable} and start it again: a job gets the environment of the `start` that began it.",),
    ),
    "key_refused": Words(
        "The model's server refused the key or the login that Codex sent (HTTP 401).",
        ("Check which one it was: CODEX_API_KEY if that is set, else the login (`codex login status`), else the "
         "provider's key (`env_key` in {codex_home}/config.toml).",
         "Put a valid one there, or run `codex login` again.",),
        True,
    ),
    "forbidden": Words(
        "The model's server knows the account and refuses it (HTTP 403): it may not do this, or not from here.",
        ("The server's words above say which; the account's owner, or another network, can help.",),
        True,
    ),
    "usage_limit": Words(
        "The plan's usage limit is used up. {when}",
        ("Wait until then, use another account (`codex login`), or buy credits.",),
        True,
    ),
    "not_included": Words(
        "The plan of this account does not include Codex.",
        ("Log in with an account whose plan does, or set CODEX_API_KEY.",),
        True,
    ),
    "quota": Words(
        "The account that pays for the API key has no credit left.",
        ("Check plan and billing of the account; waiting does not help.",),
        True,
    ),
    "rate_limit": Words(
        "Too many requests, or too many tokens, in a short time.",
        ("Wait a minute, then go on.",
         "Run fewer agents at once: `--max-parallel N`, or the setting queue.max_parallel.",),
        True,
    ),
    # ---- the model ----
    "model_unknown": Words(
        "There is no model {model} for this account; it was {place}.",
        ("Name another one with -m, or leave -m out and let Codex choose.",
         "`codex` shows with /model what the account may use."),
    ),
    "overloaded": Words(
        "The model's server has more to do than it can.",
        ("Wait some minutes, then go on; or use another model (-m).",),
        True,
    ),
    "model_error": Words(
        "The model's server failed, or broke its answer off: {message}",
        ("Go on with it. If it happens again and again, try another model (-m); https://status.openai.com tells "
         "of known troubles.",),
        True,
    ),
    "context_window": Words(
        "The conversation no longer fits into the model's context window.",
        ("Send it a message: Codex shortens the conversation first. If it fails again, start a new agent.",
         "Give a new agent less at once: name the files instead of quoting them, and split the task.",),
        True,
    ),
    "input_too_large": Words(
        "A message was longer than Codex, or the model's server, takes.",
        ("Put the long part into a file in {cwd} and tell the agent to read it.",),
    ),
    "bad_request": Words(
        "The model's server, or Codex, refused the request: {message}",
        ("Its words say what it refused: model, reasoning effort, an option, the prompt's content.",),
    ),
    "network": Words(
        "The model could not be reached, or the connection broke. {why}",
        ("Look whether the network is there, and whether it takes a proxy to get out (HTTPS_PROXY is passed on).",
         "If the provider has an address of its own, check `base_url` in {codex_home}/config.toml.",),
        True,
    ),
    # ---- the machine ----
    "memory": Words(
        "The machine, or the control group the job ran in, had no memory left, and the kernel killed the job's "
        "process for that.",
        ("Run fewer agents at once (`--max-parallel N`; a gate with mem_free_mib waits for free memory).",
         "In a container or a service: raise its memory limit. An agent takes 150 to 300 MB, plus its commands.",),
        True,
    ),
    "memory_limit": Words(
        "Codex was refused the memory it asked for: the job ran under a limit (`ulimit -v`, RLIMIT_AS), or the "
        "machine had none left.",
        ("Look with `ulimit -v` where tmux was started: a job has the limits of its tmux server.",
         "Raise it (1 GB is enough for Codex itself), end that tmux server, and start the job again.",),
        True,
    ),
    "process_limit": Words(
        "The job ran under a limit on {what}, and reached it.",
        ("Look with `ulimit -a` where tmux was started, and raise it: a job has the limits of its tmux server.",),
        True,
    ),
    "disk_full": Words(
        "The disk is full (or its quota is used up): {what}",
        ("Make room: `codex-agent clean --older-than 7d`, Codex's own {codex_home}/sessions, the work tree's "
         "build folders.",),
        True,
    ),
    "open_files": Words(
        "Too many files were open at once: {what}",
        ("Look with `ulimit -n` where tmux was started, and raise it.",),
        True,
    ),
    "not_permitted": Words(
        "The system did not let Codex read or write what it needs: {what}",
        ("Check who owns {codex_home} and {cwd}; a `sudo codex` may have left files that belong to root.",),
    ),
    "reboot": Words("The machine restarted while the agent was at work.", (), True),
    "sandbox": Words(
        "Codex's sandbox does not work on this machine (or there, in that container), so the agent's commands and "
        "changes failed, whatever it says it did.",
        ("`codex-agent doctor` tries the sandbox and says what the kernel forbids.",
         "Allow unprivileged user namespaces; in a container that is a fence itself, use -s danger-full-access."),
    ),
    "denied": Words(
        "The agent tried so often what its sandbox ({sandbox}) forbids that Codex gave up.",
        ("`codex-agent output {id} --transcript` shows what it wanted.",
         "If it may: -s workspace-write, --add-dir FOLDER, or an agent that stays and asks (--interactive)."),
        True,
    ),
    "crash": Words(
        "Codex crashed: {what}",
        ("Go on with it. If it happens again, run the newest Codex, and tell its makers; the job's stderr file "
         "has the trace.",),
        True,
    ),
    # ---- the task ----
    "not_a_repo": Words(
        "{cwd} is in no git repository (any more), and Codex works in repositories only unless told otherwise.",
        ("Start it in a repository (-d), run `git init` there, or add --skip-git-repo-check.",),
    ),
    "bad_config": Words(
        "Codex refused its configuration, or an option that was handed to it: {message}",
        ("Correct {codex_home}/config.toml, or what was given with -c and -p.",
         "`codex-agent doctor` runs Codex with that configuration, without an agent."),
    ),
    "timeout_inactivity": Words(
        "Nothing happened for {limit}, its inactivity time-out: a command hung, or the model did not answer.",
        ("`codex-agent output {id} --transcript` shows what it was doing.",
         "If that may take so long: `--timeout` gives it more time (0 is none).",),
        True,
    ),
    "timeout_total": Words(
        "It took longer than {limit}, the time it was given in all.",
        ("Give it longer (`--max-time`, 0 is none), or a smaller task.",),
        True,
    ),
    "budget": Words(
        "{message}",
        ("`codex-agent cost {id}` says what it went into.",
         "`codex-agent resume THREAD` goes on where it stopped, with another --budget or none."),
    ),
    "dependency": Words("{message}", ("Mend that job, then start this one again.",)),
    "spawn_failed": Words(
        "Its turn had come, and Codex could not be run: {message}",
        ("Mend what is in the way, then start it again.", "`codex-agent doctor` checks all that a job needs."),
    ),
    # ---- somebody ended it ----
    "killed": Words("Somebody ended it: `codex-agent kill`, or a SIGTERM to its supervisor.", (), True),
    "closed": Words(
        "Its tmux session was closed, or the tmux server ended, and the agent with it.",
        ("If that was a logout: `loginctl enable-linger` lets your programs live on, and so tmux.",),
        True,
    ),
    "ctrl_c": Words("Somebody pressed Ctrl-C (or Ctrl-\\) in its pane.", ("Leave a pane with Ctrl-b d.",), True),
    "turn_aborted": Words("Its last turn was interrupted, and nobody let it go on.", (), True),
    "asked_to_end": Words(
        "Somebody told Codex itself to end ({what}), past this program.",
        ("`codex-agent kill {id}` ends a job and says so.",),
        True,
    ),
    "signal": Words(
        "Something killed Codex the hard way (SIGKILL). Often that is the kernel when memory runs out; here it "
        "has not said so, or its log may not be read.",
        ("Ask the kernel's log as root: `journalctl -k -g 'out of memory|oom-kill'`, or `dmesg`.",
         "If it was memory: run fewer agents at once, or raise the container's limit.",),
        True,
    ),
    "signal_other": Words("Codex was ended by {what}, from outside this program.", (), True),
    "lost_supervisor": Words(
        "The job's supervisor died and the agent with it: somebody killed it, memory ran out, or it had a fault.",
        ("If it had a fault, `codex-agent doctor --report -` has what a bug report needs.",
         "The kernel's log knows whether memory ran out: `journalctl -k -g 'out of memory|oom-kill'`, `dmesg`.",),
        True,
    ),
    "lost_start": Words(
        "The command that was starting it ended before the agent ran (Ctrl-C, a closed terminal).",
        ("Start it again.",),
    ),
    "lost_queue": Words(
        "Its supervisor died while the job stood in line; Codex was never run.", ("Start it again.",)
    ),
    "channel_lost": Words(
        "Codex's app-server no longer answered, so nobody could tell what the agent did, and it was ended.",
        ("Go on with it. If it happens again, the job's stderr file tells what the app-server complained of.",),
        True,
    ),
    # ---- nobody knows ----
    "exit_code": Words(
        "Codex ended by itself, in words that this program does not know: {message}",
        ("`codex-agent output {id}` shows what it printed. Run the same by hand to see more: the command is in "
         "`codex-agent diagnose {id}`.",),
        True,
    ),
    "no_turn": Words(
        "Codex ended without an error and without doing anything.",
        ("Start it again. If it happens again, run its command by hand: it is in `codex-agent diagnose {id}`.",),
    ),
    "unknown": Words(
        "Nobody can tell: {message}",
        ("`codex-agent output {id} --transcript` shows what was written down.",),
        True,
    ),
    # ---- it runs ----
    "queued": Words("It stands in line; Codex does not run yet. {what}", ("`codex-agent queue` shows the line.",)),
    "waiting_approval": Words(
        "It waits for you: may it do this? {what}",
        ("`codex-agent approve {id} {n}` or `codex-agent deny {id} {n}`.",),
    ),
    "waiting_input": Words(
        "It waits for your answer: {what}", ("`codex-agent answer {id} -n {n} ...`; `approvals` has the choices.",)
    ),
    "waiting_pane": Words("It waits for you, in its pane only. {what}", ("`codex-agent attach {id}`.",)),
    "silent": Words(
        "It is at work and has said nothing for {what}: the model thinks, or a command takes long (or hangs).",
        ("`codex-agent capture {id}` shows what it did last.",
         "If it hangs: `codex-agent interrupt {id}` cuts the turn of an agent that stays, `kill {id}` ends any."),
    ),
    "unknown_state": Words("Nobody can tell what it does. {what}", ("`codex-agent attach {id}` and look.",)),
}  # fmt: skip

# What in Codex's words, or on its stderr, says why the model was out of reach.
NETWORK: tuple[tuple[str, str], ...] = (
    (
        "lookup address|dns error|name or service not known|does not resolve",
        "Its name could not be resolved.",
    ),
    ("connection refused", "Nothing listens at the model's address."),
    (
        "certificate|unknownissuer|tls handshake",
        "Its certificate was not accepted: is there a proxy between?",
    ),
    (r"\b407\b|proxy", "A proxy stands between and refused."),
    ("unreachable|no route", "There is no way to that network."),
    ("idle timeout|timed out|timeout", "The server took too long."),
    (r"\b50[24]\b", "Something between here and the model's server is out of order."),
    (
        "before response.completed|connection reset|error decoding",
        "It broke in the middle of an answer.",
    ),
)


def moment(at: float) -> str:
    """A moment to the minute, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


def reset(at: float, now: float) -> str:
    """When a limit is reset, seen from ``now``; both in seconds since the epoch."""
    if at <= now:
        return f"It was reset at {moment(at)}: it can go on."
    return f"It is reset at {moment(at)}, in {span(round((at - now) * 1000))}."
