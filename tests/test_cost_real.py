"""What real Codex sessions cost, against sums by hand: several models, a resume, forks, sub-agents, a review."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from codex_agent import costing
from codex_agent.codex.version import parse_version
from codex_agent.cost_answers import By
from codex_agent.demo.model_server import Step
from codex_agent.demo.scripts import Usage
from codex_agent.model import stamp
from codex_agent.store import Store
from codex_agent.threads import looking, refs
from support import Cli, interactive
from support.ide import ide, spawns, spawns_knowing
from support.jobs import place
from support.sessions import HAS_FORK, REVIEW
from support.threads import Outside, Thread, outside
from support.waiting import until

# US dollars a million tokens: input, cached, output, written. Odd numbers, so that no mistake cancels another.
PRICES = {"gpt-5.5": (3.0, 0.7, 11.0, 5.0), "gpt-5.4-mini": (1.3, 0.11, 17.0, 1.9)}
SETTING = " ".join(f"{model}={a:g},{b:g},{c:g},{d:g}" for model, (a, b, c, d) in PRICES.items())
HAS_V2, TELLS_THE_CALL = (0, 163, 0), (0, 169, 0)
WRITES = (0, 150, 0)  # Codex before that does not write down what went into the cache


def by_hand(model: str, *used: Usage, writes: bool = True) -> float:
    """Fresh, cached, written and made tokens, each at its price; reasoning is in what was made."""
    given, cached, made, written = PRICES[model]
    sums = 0.0
    for one in used:
        put = one.written if writes else 0
        fresh = one.input - one.cached - put
        sums += fresh * given + one.cached * cached + put * written + one.output * made
    return sums / 1e6


FIRST = (Usage(1000, 400, 50, 10, 300), Usage(1500, 900, 20, 0, 100))
AGAIN = Usage(2000, 1500, 30, 5, 90)
FORK, LATER = Usage(3000, 2000, 60, 7, 11), Usage(3100, 2010, 61)
GRAND = (Usage(4000, 1, 3), Usage(4100, 2000, 64, 9, 17))
PARENT = (Usage(1000, 0, 10), Usage(1100, 5, 11), Usage(1200, 6, 12))
CHILD = Usage(700, 70, 7, 1, 30)
BRANCH = Usage(5000, 50, 5)
LOOKED = Usage(9000, 9, 99, 1, 33)


@pytest.fixture(scope="module", params=["newest", "oldest", "npm-newest"])
def out(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    from support.codexes import codex

    which = codex(request.param)
    with place(tmp_path_factory.mktemp("cost")) as here:
        here.home.use_codex(which)
        here.home.env["CODEX_AGENT_PRICES"] = SETTING
        with outside(here, which) as made:
            yield made


@pytest.fixture(scope="module")
def threads(out: Outside) -> dict[str, Thread]:
    """One CODEX_HOME with everything that could be counted twice."""
    made: dict[str, Thread] = {}
    first, second = FIRST
    made["first"] = out.exec(Step.command("ls").using(first), Step.message("Done.").using(second))
    again = (*("-c", 'model="gpt-5.4-mini"'),)
    options = [*out._options("danger-full-access", again), "resume", made["first"].id, "-"]
    out._ended(out._run(options, Step.message("Again.").using(AGAIN)))
    if parse_version(out.codex.version) >= HAS_FORK:
        made["fork"] = out.forked(made["first"], Step.message("Forked.").using(FORK))
        out.resumed(made["fork"], Step.message("Later.").using(LATER))
        made["grand"] = out.forked(
            made["fork"], Step.command("ls").using(GRAND[0]), Step.message("Grand.").using(GRAND[1])
        )
    with ide(out) as editor:
        child = out.script([Step.message("Child.").using(CHILD)])
        steps = (Step.command("ls"), spawns(f"{child} work"), Step.message("Done."))
        # Codex may tell the parent once more that its sub-agent has ended; the answer to that costs nothing.
        spare = Step.message("Told.").using(Usage(0))
        parent = editor.thread(*(step.using(used) for step, used in zip(steps, PARENT, strict=True)), spare)
        editor.ended(parent)
        made["parent"] = parent
        until(lambda: len(list(out.home.codex_home.rglob("rollout-*.jsonl"))) >= len(made) + 1, 20, "the child")
        until(lambda: _counted(out, CHILD.input), 20, "the child's tokens")
        copy = editor.ask("thread/fork", {"threadId": parent.id})["thread"]
        made["branch"] = Thread(str(copy["id"]), Path(str(copy["path"])), out.home.codex_home, "")
        editor.says(made["branch"], Step.message("Branch.").using(BRANCH))
        editor.ended(made["branch"])
    (out.repo / "a.py").write_text("x = 1\n")
    marker = "Review the current code changes"
    out.model.on(marker, Step.message(json.dumps(REVIEW)).using(LOOKED))
    made["review"] = out._ended(out._launch([*out._options("read-only"), "review", "--uncommitted"], marker, None))
    return made


def _counted(out: Outside, given: int) -> bool:
    needle = f'"last_token_usage":{{"input_tokens":{given},'.encode()
    return any(needle in path.read_bytes() for path in out.home.codex_home.rglob("rollout-*.jsonl"))


@pytest.fixture
def expected(out: Outside) -> dict[str, float]:
    """By hand: what each thread has cost, its sub-agents included."""
    writes = parse_version(out.codex.version) >= WRITES
    mini, usual = "gpt-5.4-mini", "gpt-5.5"
    costs = {
        "first": by_hand(usual, *FIRST, writes=writes) + by_hand(mini, AGAIN, writes=writes),
        "parent": by_hand(usual, *PARENT, CHILD, writes=writes),
        "branch": by_hand(usual, BRANCH, writes=writes),
        "review": by_hand(usual, LOOKED, writes=writes),
    }
    if parse_version(out.codex.version) >= HAS_FORK:
        costs["fork"] = by_hand(usual, FORK, LATER, writes=writes)
        costs["grand"] = by_hand(usual, *GRAND, writes=writes)
    return costs


def told(out: Outside, verb: str, *words: str, by: By = "job", since: str | None = None) -> dict[str, Any]:
    """What `cost` or `thread` answers, in this process."""
    store, home, prices = Store(str(out.home.agent_home)), str(out.home.codex_home), SETTING.split()
    if verb == "cost":
        return asdict(costing.report(store, home, words, by=by, since=since, prices=prices))
    return asdict(looking.look(store, refs.resolve(store, home, words[0]), prices=prices))


def test_as_commands(out: Outside, threads: dict[str, Thread], expected: dict[str, float]) -> None:
    cli = Cli(out.home.env, out.home.root)
    view = interactive.told(cli, "thread", threads["parent"].id)
    assert view["cost_usd"] == pytest.approx(expected["parent"], abs=1e-6)
    answer = interactive.told(cli, "cost", "--since", "1d", "--by", "model")
    assert [row["key"] for row in answer["rows"]] == ["gpt-5.5", "gpt-5.4-mini"]
    assert answer["total"]["cost_usd"] == pytest.approx(sum(expected.values()), abs=1e-6)
    text = cli("cost", threads["first"].id).ok()
    assert f"${expected['first']:.4f}" in text.out and "prices as of" in text.err
    assert cli("cost", "--by", "year").rc == cli("cost", "--since", "yesterday").rc == 2
    assert cli("cost", "nobody").rc == 3
    cli.close()


def test_each_thread_once(out: Outside, threads: dict[str, Thread], expected: dict[str, float]) -> None:
    answer = told(out, "cost")
    rows = {row["key"]: row for row in answer["rows"]}
    assert set(rows) == {thread.id for thread in threads.values()}
    for name, usd in expected.items():
        assert rows[threads[name].id]["cost_usd"] == pytest.approx(usd, abs=1e-6), name
    assert answer["total"]["cost_usd"] == pytest.approx(sum(expected.values()), abs=1e-6)
    assert answer["total"]["unpriced"] == [] and answer["notes"] == []


def test_sub_agents_are_shown_apart(out: Outside, threads: dict[str, Thread]) -> None:
    writes = parse_version(out.codex.version) >= WRITES
    for name, used, count in (("parent", CHILD, 2), ("review", LOOKED, 1)):
        (row,) = told(out, "cost", threads[name].id)["rows"]
        assert row["agents_cost_usd"] == pytest.approx(by_hand("gpt-5.5", used, writes=writes), abs=1e-6)
        assert row["threads"] == count
    view = told(out, "thread", threads["parent"].id)
    assert view["agents_cost_usd"] == pytest.approx(by_hand("gpt-5.5", CHILD, writes=writes), abs=1e-6)


def test_thread_and_cost_agree(out: Outside, threads: dict[str, Thread], expected: dict[str, float]) -> None:
    for name, usd in expected.items():
        assert told(out, "thread", threads[name].id)["cost_usd"] == pytest.approx(usd, abs=1e-6), name
        assert told(out, "cost", threads[name].id)["total"]["cost_usd"] == pytest.approx(usd, abs=1e-6), name


def test_rows_add_up_however_they_are_made(
    out: Outside, threads: dict[str, Thread], expected: dict[str, float]
) -> None:
    kinds: tuple[By, ...] = ("model", "day", "dir")
    for by in kinds:
        answer = told(out, "cost", by=by)
        assert sum(row["cost_usd"] for row in answer["rows"]) == pytest.approx(sum(expected.values()), abs=1e-5)
    models = {row["key"]: row for row in told(out, "cost", by="model")["rows"]}
    writes = parse_version(out.codex.version) >= WRITES
    assert models["gpt-5.4-mini"]["cost_usd"] == pytest.approx(by_hand("gpt-5.4-mini", AGAIN, writes=writes))
    assert models["gpt-5.4-mini"]["reasoning"] == AGAIN.reasoning
    assert [row["key"] for row in told(out, "cost", by="dir")["rows"]] == [str(out.repo)]
    assert told(out, "cost", since="2099-01-01")["rows"] == []


LIMITS = {
    "x-codex-primary-used-percent": "42.5",
    "x-codex-primary-window-minutes": "300",
    "x-codex-primary-reset-at": "1795300000",
    "x-codex-secondary-used-percent": "7",
    "x-codex-secondary-window-minutes": "10080",
    "x-codex-secondary-reset-at": "1795600000",
}


def test_the_accounts_limits(out: Outside, threads: dict[str, Thread]) -> None:
    """As Codex writes them down from what the model's answer says; the newest thread knows best."""
    out.exec(Step.message("Old.").heading(LIMITS | {"x-codex-primary-used-percent": "1"}))
    thread = out.exec(Step.command("ls"), Step.message("Done.").heading(LIMITS))
    for answer in (told(out, "thread", thread.id), told(out, "cost")):
        found = [(one["name"], one["used_pct"], one["window_min"], one["resets_at"]) for one in answer["limits"]]
        assert found == [
            ("primary", 42.5, 300, stamp(1795300000)),
            ("secondary", 7.0, 10080, stamp(1795600000)),
        ]
    assert told(out, "thread", threads["first"].id)["limits"] == []


def test_agents_of_the_second_kind(out: Outside, threads: dict[str, Thread]) -> None:
    """Their rollout begins with a copy of their parent's records, which are not theirs."""
    if parse_version(out.codex.version) < HAS_V2:
        pytest.skip("this Codex has no such agents")
    first, asks, waits, last = Usage(1000, 7, 10), Usage(1100, 5, 11), Usage(1300, 3, 13), Usage(1200, 6, 12)
    with ide(out, "--enable", "multi_agent_v2") as editor:
        parent = editor.thread(Step.message("One.").using(first))
        editor.ended(parent)
        editor.says(
            parent,
            spawns_knowing("work").using(asks),
            Step.command("sleep 1").using(waits),
            Step.message("Two.").using(last),
        )
        editor.ended(parent, 2)

        def ends() -> bool:
            view = told(out, "thread", parent.id)
            return [one["turn"] for one in view["sub_agents"]] == ["completed"]

        until(ends, 20, "the sub-agent's end")
    (row,) = told(out, "cost", parent.id)["rows"]
    # The scripted model takes the agent for its parent, and gives it the steps that it has not seen; 0.163 says
    # nothing to an agent of the call that made it.
    its = (waits, last) if parse_version(out.codex.version) >= TELLS_THE_CALL else (asks, waits, last)
    assert row["agents_cost_usd"] == pytest.approx(by_hand("gpt-5.5", *its), abs=1e-6)
    assert row["cost_usd"] == pytest.approx(by_hand("gpt-5.5", first, asks, waits, last, *its), abs=1e-6)


def test_tiers_and_long_requests(out: Outside, threads: dict[str, Thread]) -> None:
    """By the package's prices: gpt-6-luna is 0.1, 0.01, 0.5, to write 0.125; flex is half, long 2 and 1.5"""
    model = ("-m", "gpt-6-luna")
    used, much = Usage(200_000, 80_000, 30_000, 9, 40_000), Usage(300_000, 100_000, 20_000)
    usual = out.exec(Step.message("Usual.").using(used), words=model)
    flex = out.exec(Step.message("Flex.").using(used), words=(*model, "-c", 'service_tier="flex"'))
    long = out.exec(Step.message("Long.").using(much), words=model)
    writes = parse_version(out.codex.version) >= WRITES
    put = 40_000 if writes else 0
    by_hand_usual = ((200_000 - 80_000 - put) * 0.1 + 80_000 * 0.01 + put * 0.125 + 30_000 * 0.5) / 1e6
    by_hand_long = (200_000 * 0.1 * 2 + 100_000 * 0.01 * 2 + 20_000 * 0.5 * 1.5) / 1e6
    assert told(out, "thread", usual.id)["cost_usd"] == pytest.approx(by_hand_usual, abs=1e-6)
    assert told(out, "thread", long.id)["cost_usd"] == pytest.approx(by_hand_long, abs=1e-6)
    # 0.133 does not write down which tier it asked for.
    factor = 0.5 if writes else 1.0
    assert told(out, "thread", flex.id)["cost_usd"] == pytest.approx(by_hand_usual * factor, abs=1e-6)
