"""What is said to an agent that stays, by many, at bad moments, in odd words: all of it, once each, in order."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, until
from support.agents import Agent, agent, heard
from support.interactive import QUESTIONS, asks, callers, wants
from support.jobs import user_texts

SENDERS = 10
USAGE_LIMIT = {"error": {"type": "usage_limit_reached", "message": "x", "resets_in_seconds": 3600}}
FEW = ("-c", "model_providers.mock.request_max_retries=1", "-c", "model_providers.mock.stream_max_retries=1")


def idle(cli: Cli, home: Home, model: ModelServer, repo: Path, *more: str) -> Agent:
    model.on("%%idle", Step.message("Ready."))
    one = agent(home, cli, repo, "%%idle", *more)
    assert one.answers() == "Ready."
    return one


def provider(home: Home, options: tuple[str, ...]) -> tuple[str, ...]:
    """The options, for the provider that this home's Codex configuration names."""
    config = (home.codex_home / "config.toml").read_text()
    name = next(line.split('"')[1] for line in config.splitlines() if line.startswith("model_provider "))
    return tuple(option.replace(".mock.", f".{name}.") for option in options)


def answers_of(processes: list[subprocess.Popen[str]]) -> list[tuple[int, Any]]:
    """Exit code and JSON of commands that run side by side."""
    found = []
    for process in processes:
        out, err = process.communicate(timeout=60)
        assert out, err
        found.append((process.returncode, json.loads(out)))
    return found


# ---- many at once ----


@pytest.mark.parametrize("situation", ["idle", "working", "queue", "ended"])
def test_ten_senders_at_once(
    situation: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Each is told the turn that took its message, and the model hears every message once, in that order."""
    gate = model.gate("work")
    model.on("%%work", Step.hold(gate, Step.message("Worked.")))
    one = agent(home, cli, repo, "%%work")
    gate.reached()
    if situation in ("idle", "ended"):
        gate.open()
        one.answers()
    if situation == "ended":
        one("exit").ok()
    texts = [f"message {n}." for n in range(SENDERS)]
    more = ["--queue"] if situation == "queue" else []
    told = answers_of([cli.start("send", one.id, text, "--json", *more) for text in texts])
    gate.open()
    assert [code for code, _ in told] == [0] * SENDERS, told
    one.answers(60)
    assert one.facts.queued == 0 and one.job.turn_state == "idle"
    known = heard(model, texts)
    assert sorted(known) == sorted(texts), "every one, once"
    taken = {event["message_id"]: event["turn_id"] for event in one.events("sent")}
    order = [event["message_id"] for event in one.events("sent")]
    by_id = {said["message_id"]: text for text, (_, said) in zip(texts, told, strict=True)}
    assert [by_id[message_id] for message_id in order] == known, "in the order in which they were taken"
    for text, (_, said) in zip(texts, told, strict=True):
        assert said["delivery"] != "queued" or situation in ("queue", "ended"), said
        if said["turn_id"] is not None:
            assert said["turn_id"] == taken[said["message_id"]], text
    turns = turn_of_each(one, texts)
    assert {by_id[message_id]: turn for message_id, turn in taken.items()} == turns, "the turn that was told"
    assert sum(said["reopened"] for _, said in told) == (situation == "ended")


def turn_of_each(one: Agent, texts: list[str]) -> dict[str, str]:
    """The turn that each message is in, by Codex's own rollout."""
    found, turn = {}, ""
    for line in Path(one.job.rollout or "").read_text().splitlines():
        payload = json.loads(line)["payload"]
        if payload.get("type") in ("task_started", "turn_started"):
            turn = payload["turn_id"]
        item = payload.get("item") or {}
        said = payload.get("message") if payload.get("type") == "user_message" else None
        if item.get("type") == "UserMessage":
            said = "".join(part.get("text", "") for part in item["content"])
        if said in texts:
            assert said not in found, f"{said} twice"
            found[said] = payload.get("turn_id") or turn
    return found


# ---- odd words ----


ODD = {
    "fifty lines": "\n".join(f"line {n}\t{'.' * n}" for n in range(50)),
    "a key's name": "C-c",
    "a dash": "--help",
    "a command": "/quit",
    "a path": "/etc/passwd says what?",
    "a shell command": "!touch ran-in-a-shell",
    "a mention": "@README.md $x `y` 'z' \"q\" %s {0} #{pane_id} ;",
    "escape sequences": "red \x1b[31mred\x1b[0m bell \x07 end \x1b[201~ paste",
    "letters": "\U0001f680 \u00e9 \u4f60 \u202eback",
}


def test_odd_words(each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """They reach the model as they are, and mean nothing to anybody on the way."""
    one = idle(cli, home, model, repo)
    for text in ODD.values():
        assert one.send(text)["delivery"] == "turn"
        one.answers()
    assert heard(model, list(ODD.values())) == list(ODD.values())
    assert one.job.status == "running" and one.job.turn_count == 1 + len(ODD)
    assert sorted(path.name for path in repo.iterdir()) == [".git", "README.md"]
    one("kill").ok()


@pytest.mark.parametrize("situation", ["idle", "ended"])
def test_a_message_of_400_kb(
    situation: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """The agent is told to read it in a file, which holds it byte for byte."""
    one = idle(cli, home, model, repo)
    if situation == "ended":
        one("exit").ok()
    text = "".join(f"{n} \u00e9\u4f60 and so on\n" for n in range(20_000))[:400_000]
    answer = cli("send", one.id, "-", "--json", stdin=text).ok().json()
    assert Path(answer["file"]).read_text() == text
    one.answers()
    last = user_texts(model.requests[-1])[-1] if situation == "idle" else answer["file"]
    assert answer["file"] in last and len(last) < 1000
    assert any(answer["file"] in said for request in model.requests for said in user_texts(request))
    one.shown(answer["file"][-30:])


def test_a_message_bigger_than_a_socket_takes_at_once(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """More than a megabyte as JSON, and nothing else happens that would push it on."""
    one = idle(cli, home, model, repo)
    text = "\U0001f680" * 99_000
    answer = cli("send", one.id, "-", "--json", stdin=text, timeout_s=20).ok().json()
    assert answer["file"] is None and answer["turn_id"]
    one.answers()
    assert heard(model, [text]) == [text]


# ---- at bad moments ----


def test_send_while_an_approval_waits(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """It goes into the turn that waits; the approval still stands, and the model hears it after its answer."""
    made = home.root / "made"
    model.on("%%ask", wants(f"touch {made}"), Step.message("Both."))
    one = agent(home, cli, repo, "%%ask")
    assert one.turn()[0] == 10
    sent = one.send("and mind the gap")
    assert sent["delivery"] == "steer" and one.job.turn_state == "waiting_approval"
    assert one.job.current_turn is not None and sent["turn_id"] == one.job.current_turn.id
    one("approve").ok()
    assert one.answers() == "Both." and made.exists()
    assert heard(model, ["and mind the gap"]) == ["and mind the gap"]


def test_approve_twice_and_what_is_gone(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on("%%ask", wants("true"), wants("true"), Step.message("Twice."))
    one = agent(home, cli, repo, "%%ask")
    assert one.turn()[0] == 10
    assert one("approve", "1", "--json").ok().json()["waiting"]["n"] == 1
    gone = one("approve", "1", "--json")
    assert gone.rc == 4 and "Number 1" in gone.json()["error"]["message"]
    one.until_state("waiting_approval")
    assert one.turn()[1]["waiting_for"][0]["n"] == 2
    never = one("deny", "7", "--json")
    assert never.rc == 4 and "never asked" in never.json()["error"]["message"]
    assert one("answer", "yes", "--json").rc == 4, "it is no question"
    one("interrupt").ok()
    late = one("approve", "2", "--json")
    assert late.rc == 4 and "its turn ended" in late.json()["error"]["message"]
    assert one("approve", "--json").rc == 4
    one("exit").ok()
    assert one("approve", "--json").rc == 4


@pytest.mark.parametrize("verbs", [("approve", "approve"), ("approve", "deny"), ("answer", "answer")])
def test_two_answers_at_once(verbs: tuple[str, str], cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """One counts, the other is told."""
    question = verbs[0] == "answer"
    model.on("%%ask", asks(("Which?", ["A", "B"])) if question else wants("true"), Step.message("Heard."))
    one = agent(home, cli, repo, "%%ask", *QUESTIONS)
    assert one.turn()[0] == 10
    words = [(verb, one.id, *([str(n)] if question else []), "--json") for n, verb in enumerate(verbs, 1)]
    told = answers_of([cli.start(*each) for each in words])
    assert sorted(code for code, _ in told) == [0, 4], told
    won = next(answer for code, answer in told if code == 0)
    lost = next(answer for code, answer in told if code == 4)
    assert won["waiting"]["n"] == 1 and lost["error"]["code"] == "bad_state"
    assert one.answers() == "Heard."
    assert [event["by"] for event in one.events("answered")] == ["command"]
    assert one.events("answer_given")[0]["decision"] == won["decision"]


def test_a_person_answers_at_the_same_moment(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Whoever is first counts; the command is told what became of it, and the agent goes on."""
    rounds = 4
    for n in range(rounds):
        model.on(f"%%ask{n}", wants(f"echo {n}"), Step.message(f"Went on {n}."))
    one = agent(home, cli, repo, "%%ask0")
    for n in range(rounds):
        if n:
            one.send(f"%%ask{n}")
        one.shown(f"$ echo {n}")
        one.until_state("waiting_approval")
        racing = cli.start("approve", one.id, "--json")
        if n % 2:
            until(lambda: racing.poll() is not None or one.job.turn_state, 5)  # noqa: B023
        one.type("y")
        ((code, answer),) = answers_of([racing])
        assert code == 0 or (code == 4 and answer["error"]["code"] == "bad_state"), answer
        assert one.answers() == f"Went on {n}."
        assert one.facts.waiting == [] and one.facts.waiting_flags == []
        answered = one.events("answered")
        assert len(answered) == n + 1 and answered[-1]["by"] in ("command", "pane")
        if code:
            assert answered[-1]["by"] == "pane", "it was refused, so it was not the command"
    one("kill").ok()


def test_a_person_types_at_the_same_moment(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Both are heard, and the turn that `send` tells is the one that has its message (0.133 promises another)."""
    one = idle(cli, home, model, repo)
    one.shown("Ready.")
    texts = []
    for n in range(4):
        typed, sent = f"typed {n}.", f"sent {n}."
        one.type("-l", typed)
        one.shown(typed)
        texts += [typed, sent]
        one.signal("codex", signal.SIGSTOP)  # so that it finds both when it goes on
        one.type("Enter")
        sender = cli.start("send", one.id, sent, "--json")
        until(lambda: callers(one.id), 10, "the sender on the line")
        one.signal("codex", signal.SIGCONT)
        ((code, told),) = answers_of([sender])
        assert code == 0, told
        until(lambda: sorted(heard(model, texts)) == sorted(texts), 10, "both heard, once")  # noqa: B023
        one.answers()
        assert turn_of_each(one, texts)[sent] == told["turn_id"]
        assert one.job.turn_state == "idle"
    one("kill").ok()


@pytest.mark.parametrize("more", [(), ("--queue",)])
def test_a_sender_killed_in_the_middle(
    more: tuple[str, ...], cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Whatever it had come to: the message is said once or never, and the agent goes on."""
    gate = model.gate("work")
    model.on("%%work", Step.hold(gate, Step.message("Worked.")))
    one = agent(home, cli, repo, "%%work")
    gate.reached()
    texts = [f"cut off {n}." for n in range(8)]
    for n, text in enumerate(texts):
        sender = cli.start("send", one.id, text, *more)
        time.sleep(0.02 * n + 0.02)  # anywhere between its start and its end
        sender.kill()
        sender.wait()
    last = one.send("the last one.")
    gate.open()
    assert last["turn_id"] and one.answers()
    known = heard(model, [*texts, "the last one."])
    assert len(known) == len(set(known)) and "the last one." in known, known
    assert one.facts.queued == 0
    assert len(one.events("sent")) == len(known)


@pytest.mark.parametrize("words", [("exit", "--interrupt"), ("kill",)])
def test_sent_while_it_is_being_ended(
    words: tuple[str, ...], each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """It is no error to come a moment too late: the job is reopened, as it is a moment later."""
    stubborn = Step.command("trap '' TERM; touch begun; while :; do sleep 0.2; done")
    model.on("%%work", stubborn, Step.message("never"))
    model.on("%%late", Step.message("Not too late."))
    one = agent(home, cli, repo, "%%work", "-s", "danger-full-access")
    until(lambda: (repo / "begun").exists(), 20, "the agent's command")
    verb, *more = words
    ending = cli.start(verb, one.id, *more, "--json")
    until(lambda: one.facts.stop_reason is not None, 10, "the end begun")
    said = one.send("%%late")
    assert said["reopened"] and said["turn_id"]
    ending.communicate(timeout=30)
    assert one.answers() == "Not too late." and heard(model, ["%%late"]) == ["%%late"]
    one("kill").ok()


# ---- turns that end in other ways ----


def test_a_subagent_ends_its_turns(
    each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """Neither its turns nor its words are the agent's."""
    gate = model.gate("main")
    task = {"message": "help", "task_name": "helper", "fork_turns": "none"}
    call = {"type": "function_call", "name": "spawn_agent", "call_id": "call_0_0", "arguments": json.dumps(task)}
    if each_codex.label == "newest":
        call["namespace"] = "collaboration"
    model.on("%%main", Step.items(call), Step.hold(gate, Step.message("The agent's own words.")))
    one = agent(home, cli, repo, "%%main", "-c", "features.multi_agent_v2=true")
    gate.reached()

    def helper_is_done() -> bool:
        files = [path.read_text() for path in home.codex_home.glob("sessions/**/*.jsonl")]
        return len(files) == 2 and sum('"task_complete"' in text for text in files) == 1

    until(helper_is_done, 20, "the sub-agent's turn ended")
    assert one.turn(0.5)[0] == 124
    job = one.job
    assert (job.turn_state, job.turn_count, job.last_turn, job.last_message) == ("working", 1, None, None)
    gate.open()
    assert one.answers() == "The agent's own words." and one.job.turn_count == 1


ENDINGS: dict[str, tuple[Step, int, str, str]] = {
    "error": (Step.http(400, {"error": {"message": "no such thing"}}), 1, "failed", "error"),
    "context limit": (Step.failed("context_length_exceeded"), 11, "failed", "context_limit"),
    "usage limit": (Step.http(429, USAGE_LIMIT), 11, "failed", "usage_limit"),
    "cut for good": (Step.cut(), 1, "failed", "error"),
    "cut once": (Step.flaking(1, Step.cut(), Step.message("Back again.")), 0, "completed", "idle"),
    "interrupt": (Step.silent(), 1, "interrupted", "idle"),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_how_a_turn_ends(
    name: str, each_codex: Codex, cli: Cli, home: Home, model: ModelServer, repo: Path
) -> None:
    """`await-turn` says how, by exit code and report; the next message is a turn as any other."""
    step, code, status, state = ENDINGS[name]
    one = idle(cli, home, model, repo, *provider(home, FEW))
    model.on("%%bad", *[step] * 4)
    before = len(model.requests)
    sent = one.send("%%bad")
    if name == "interrupt":
        until(lambda: len(model.requests) > before, 10, "the model asked")
        one("interrupt").ok()
    got, report = one.turn()
    assert (got, report["turn_status"], report["turn_state"]) == (code, status, state), report
    assert report["turn_id"] == sent["turn_id"] and report["status"] == "running"
    assert bool(report["error"]) == (status == "failed")
    assert report["message"] == ("Back again." if code == 0 else None)
    assert bool(one.events("reconnecting")) == name.startswith("cut")
    model.on("%%good", *[Step.message("Good again.")] * 9)
    next_one = one.send("%%good")
    assert next_one["delivery"] == "turn" and next_one["turn_id"] != sent["turn_id"]
    assert one.answers() == "Good again." and one.job.turn_state == "idle"
    one("kill").ok()
