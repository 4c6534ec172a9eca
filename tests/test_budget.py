"""`--budget`: a warning at 80 %, a clean stop at 100 %, and what a job has cost; by real Codex."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from codex_agent.demo.scripts import Usage
from support import Cli, Codex, Home, until
from support.ide import spawns
from support.interactive import refused, stay, told
from support.jobs import begin, ended, record, see
from support.processes import job_processes
from support.sessions import REVIEW
from support.threads import Outside

BIG, SMALL = Usage(900, 0, 100), Usage(90, 0, 10)
PRICES = "gpt-5.5=1000,100,2000,5000"  # a token in is a tenth of a cent
WORK = "%%work%%"


def events(home: Home, job_id: str, kind: str) -> list[dict[str, Any]]:
    lines = (home.jobs / f"{job_id}.events.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_tokens_are_used_up(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """The model is asked for the next step, and the job is stopped meanwhile."""
    gate = model.gate("held")
    model.on(WORK, *[Step.command("ls").using(BIG)] * 3, Step.hold(gate))
    job = ended(cli, begin(cli, repo, WORK, "--budget", "3k"))
    gate.open()
    assert (job["status"], job["failure"]["reason"]) == ("failed", "budget")
    assert "3,000 of 3,000 tokens" in job["failure"]["message"] and "--budget" in job["failure"]["hint"]
    assert job["budget_tokens"] == 3000 and job["budget_usd"] is None
    assert [event["reason"] for event in events(home, job["id"], "stopping")] == ["budget"]
    assert "turn_aborted" in Path(job["rollout"]).read_text(), "Codex was asked, not killed"
    until(lambda: not job_processes(str(home.agent_home)), 10, "nothing left of it")
    assert "budget" in cli("status", job["id"]).out
    cause = told(cli, "diagnose", job["id"])["cause"]
    assert cause["reason"] == "budget" and "3,000 of 3,000 tokens" in cause["cause"]
    # What is used up stays so.
    assert "used up" in refused(cli, "send", job["id"], "go on")
    model.on("%%on%%", Step.message("On."))
    again = told(cli, "resume", job["id"], "%%on%%", "--budget", "3k")
    assert ended(cli, again["id"])["status"] == "completed", "another budget, which counts from here"


def test_most_of_it_is_a_warning(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    model.on(WORK, Step.command("ls").using(BIG), Step.message("Done.").using(SMALL))
    job = ended(cli, begin(cli, repo, WORK, "--budget", "1200"))
    assert job["status"] == "completed"
    (event,) = events(home, job["id"], "budget")
    assert event["stops"] is False and "of 1,200 tokens" in event["used"]
    assert any("budget" in text for text in job["warnings"])
    job = ended(cli, begin(cli, repo, WORK, "--budget", "2M"))
    assert not job["warnings"] and not events(home, job["id"], "budget")


@pytest.mark.parametrize("how", [(), ("--plain",)], ids=["channel", "plain"])
def test_dollars_of_an_agent_that_stays(
    cli: Cli, home: Home, model: ModelServer, repo: Path, how: tuple[str, ...]
) -> None:
    home.env["CODEX_AGENT_PRICES"] = PRICES
    model.on(WORK, Step.message("One.").using(BIG))
    model.on("%%more%%", Step.message("Two.").using(BIG))
    job_id = stay(cli, repo, WORK, "--budget", "2usd", *how)
    assert cli("await-turn", job_id).rc == 0
    job = see(cli, job_id)
    assert job["cost_usd"] == pytest.approx(1.1) and job["budget_usd"] == 2.0  # 900 x 0.001 + 100 x 0.002
    cli("send", job_id, "%%more%%")
    job = ended(cli, job_id)
    assert (job["failure"]["reason"], job["cost_usd"]) == ("budget", pytest.approx(2.2))
    assert "$2.2 of $2" in job["failure"]["message"]


def test_sub_agents_use_it_too(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    home.env["CODEX_AGENT_PRICES"] = PRICES
    model.on("%%child%%", Step.message("Child.").using(BIG))
    gate = model.gate("held")
    model.on(WORK, spawns("%%child%% work").using(SMALL), Step.hold(gate))
    job = ended(cli, begin(cli, repo, WORK, "--budget", "1000"))
    gate.open()
    assert job["failure"]["reason"] == "budget"
    assert job["agents_cost_usd"] == pytest.approx(1.1) and job["cost_usd"] == pytest.approx(1.1 + 0.11)
    facts = record(home, job["id"]).facts
    assert facts.agents == 1 and sum(one.input for one in facts.agents_spent) == 900


def test_what_a_review_costs(cli: Cli, home: Home, model: ModelServer, repo: Path, each_codex: Codex) -> None:
    """It is a thread of its own that reviews; 0.133 does not write down whose it is."""
    home.env["CODEX_AGENT_PRICES"] = PRICES
    (repo / "a.py").write_text("x = 1\n")
    model.on("Review the current code changes", Step.message(json.dumps(REVIEW)).using(BIG))
    job = ended(cli, cli("review", "--uncommitted", "-d", str(repo), "--json").ok().json()["id"])
    assert job["status"] == "completed"
    assert job["cost_usd"] == job["agents_cost_usd"] == pytest.approx(1.1)


def test_a_price_that_nobody_knows(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    """It is said at once where the model is named, else as soon as Codex names it: nothing is spent blindly."""
    answer = cli("start", WORK, "-d", str(repo), "-m", "gpt-none", "--budget", "5usd")
    assert answer.rc == 2 and "price of gpt-none is unknown" in answer.err
    gate = model.gate("held")
    model.on(WORK, Step.command("ls"), Step.hold(gate))
    job = ended(cli, begin(cli, repo, WORK, "-c", 'model="gpt-none"', "--budget", "5usd"))
    gate.open()
    assert job["failure"]["reason"] == "budget" and "no price is known for gpt-none" in job["failure"]["message"]
    assert (job["cost_usd"], job["unpriced"]) == (None, ["gpt-none"])
    assert "unknown price (gpt-none)" in cli("status", job["id"]).out
    assert "unknown price" in cli("cost", job["id"]).ok().out


@pytest.mark.parametrize("word", ["0", "-1", "5eur", "k", "0usd", "", "1e9", "$"])
def test_what_is_no_budget(cli: Cli, repo: Path, word: str) -> None:
    answer = cli("start", "x", "-d", str(repo), f"--budget={word}")
    assert answer.rc == 2 and "no budget" in answer.err


def test_a_job_pays_for_its_own_part(cli: Cli, home: Home, out: Outside, repo: Path) -> None:
    """Of a thread that it goes on with, and of one that it forks."""
    home.env["CODEX_AGENT_PRICES"] = PRICES
    thread = out.exec(Step.command("ls").using(BIG), Step.message("Old.").using(BIG))
    out.model.on(WORK, Step.message("Mine.").using(SMALL))
    for words in ((), ("--fork",)):
        job = ended(cli, told(cli, "resume", thread.id, WORK, *words)["id"])
        assert job["cost_usd"] == pytest.approx(0.11), words
        row = cli("cost", job["id"], "--json").ok().json()["total"]
        assert (row["cost_usd"], row["input"]) == (pytest.approx(0.11), 90)
    both = cli("cost", thread.id, "--json").ok().json()["total"]
    assert both["cost_usd"] == pytest.approx(2.2 + 0.11), "the thread's own, with the resumed turn"
    job_id = job["id"]
    cli("send", job_id, f"{WORK} again")
    assert ended(cli, job_id)["cost_usd"] == pytest.approx(0.22), "all runs of the job"


def test_a_job_whose_supervisor_was_killed(cli: Cli, home: Home, model: ModelServer, repo: Path) -> None:
    home.env["CODEX_AGENT_PRICES"] = PRICES
    gate = model.gate("held")
    model.on("%%child%%", Step.message("Child.").using(BIG))
    model.on(WORK, spawns("%%child%% work").using(SMALL), Step.command("ls").using(BIG), Step.hold(gate))
    job_id = begin(cli, repo, WORK)
    gate.reached()
    child = until(lambda: _child_ended(home), 20, "the child's end")
    assert child
    supervisor = record(home, job_id).facts.supervisor
    assert supervisor is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    job = ended(cli, job_id)
    gate.open()
    assert job["status"] == "interrupted"
    assert job["cost_usd"] == pytest.approx(0.11 + 1.1 + 1.1) and job["agents_cost_usd"] == pytest.approx(1.1)


def _child_ended(home: Home) -> bool:
    found = [path.read_text() for path in home.codex_home.rglob("rollout-*.jsonl")]
    return any('"thread_source":"subagent"' in text and "task_complete" in text for text in found)
