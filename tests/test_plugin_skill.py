"""Every shell example of the plugin's skill, run as Claude would: by bash, with the plugin's own folder on PATH.

Codex is real, its model scripted. Each heading has its stage here: what must be there before, what must be said.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Home, until
from support.interactive import QUESTIONS, asks, stay, told, wants
from support.jobs import begin, ended, see, working
from support.plugin import LAUNCHER, SKILL, ours, run
from support.reviews import UNCOMMITTED, finding, reviewed

PATCH = "*** Begin Patch\n*** Update File: till.py\n@@\n-total = price\n+total = price * amount\n*** End Patch\n"
FIX = "The total in till.py"


@dataclass(frozen=True)
class Stage:
    """Makes what an example speaks of."""

    cli: Cli
    model: ModelServer
    repo: Path

    def fix(self) -> None:
        self.model.on(FIX, Step.command("cat till.py"), Step.patch(PATCH), Step.message("The total counts."))

    def fixed(self) -> None:
        self.fix()
        ended(self.cli, begin(self.cli, self.repo, FIX, "--name", "fix"))

    def reads(self) -> None:
        self.model.on("session cookie", Step.command("cat till.py"), Step.message("auth.py, line 3."))
        self.model.on("once per row", Step.message("None."))

    def several(self) -> None:
        self.fixed()
        self.reads()
        self.model.on("Write tests", Step.message("Written."))

    def waits(self) -> None:
        self.reads()
        begin(self.cli, self.repo, "session cookie", "--name", "auth")
        begin(self.cli, self.repo, "once per row", "--name", "queries")

    def results(self) -> None:
        self.fixed()
        self.reads()
        ended(self.cli, begin(self.cli, self.repo, "session cookie", "--name", "auth"))

    def rounds(self) -> None:
        self.model.on("parser's tests", Step.command("cat till.py"), Step.message("They pass."))
        self.model.on("rename Tok", Step.message("Renamed."))

    def approvals(self) -> None:
        both = Step.all(wants("touch ../one"), wants("touch ../two"))
        self.model.on("%%asks", both, asks(("Which?", ["sqlite", "files"])), Step.message("Sqlite."))
        job_id = stay(self.cli, self.repo, "%%asks", "--name", "parser", *QUESTIONS)
        until(lambda: len(told(self.cli, "approvals", job_id)["waiting"]) == 2, 20, "both to be asked")

    def review(self) -> None:
        (self.repo / "till.py").write_text("total = price * 2\n")
        found = finding(self.repo / "till.py", 1, 1, title="[P1] Twice is not the amount")
        self.model.on(UNCOMMITTED, reviewed(found))

    def wrong(self) -> None:
        self.model.on("%%broken", Step.failed("insufficient_quota", "no money"))
        ended(self.cli, begin(self.cli, self.repo, "%%broken", "--name", "broken"))
        self.model.on("flaky test", Step.message("I go on."))
        working(self.cli, self.model, self.repo, "%%stuck", "--name", "stuck")

    def others(self) -> None:
        self.model.on("write the tests", Step.message("Tests."))
        self.fixed()


# What each heading needs, and what its example must print, in this order.
STAGES: dict[str, tuple[Callable[[Stage], None], list[str]]] = {
    "A prompt that works": (Stage.fix, [r"^\w{8} started: Codex .*, workspace-write"]),
    "Several": (Stage.several, ["started.* read-only", "started.* read-only", "started|queued"]),
    "Wait, never poll": (Stage.waits, ["completed", "completed", r'\{"total":2,"jobs":\[\{"id":']),
    "Read the result, then check it": (
        Stage.results,
        [r"^auth\.py, line 3\.$", "The total counts", r"till\.py \|"],
    ),
    "Work in rounds": (Stage.rounds, ["They pass", "Renamed"]),
    "Approvals": (Stage.approvals, [r"1: command", r"2: command"]),
    "Review": (Stage.review, [r"Twice is not the amount"]),
    "When it goes wrong": (
        Stage.wrong,
        ["Likely cause: ", "What to do", "reopened", "interrupted/killed", "ok +codex"],
    ),
    "Sessions you did not start": (Stage.others, [r"The total", "till"]),
}


def examples() -> dict[str, list[str]]:
    """The shell blocks of the skill, by their headings."""
    sections = re.split(r"^## (.+)$", SKILL.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {
        name: re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL) for name, text in _pairs(sections)
    }
    return {name: blocks for name, blocks in found.items() if blocks}


def _pairs(flat: list[str]) -> list[tuple[str, str]]:
    return list(zip(flat[::2], flat[1::2], strict=True))


def test_every_example_has_its_stage() -> None:
    assert list(examples()) == list(STAGES)


@pytest.mark.parametrize("heading", STAGES)
def test_the_example_does_what_it_says(
    heading: str, home: Home, cli: Cli, model: ModelServer, repo: Path, tmp_path: Path
) -> None:
    (repo / "till.py").write_text("total = price\n")
    for words in (["add", "."], ["commit", "-qm", "till"]):
        assert run("git", *words, env=home.env, cwd=repo).returncode == 0
    set_stage, said = STAGES[heading]
    set_stage(Stage(cli, model, repo))
    path = os.pathsep.join([str(LAUNCHER.parent), str(ours(tmp_path / "ours").parent), home.env["PATH"]])
    out = ""
    for block in examples()[heading]:
        done = run("bash", "-eu", "-c", block, env=home.env | {"PATH": path}, cwd=repo)
        assert done.returncode == 0, f"{block}\n--- {done.returncode}\n{done.stdout}\n{done.stderr}"
        out += done.stdout
    place = 0
    for pattern in said:
        found = re.compile(pattern, re.MULTILINE).search(out, place)
        assert found, f"{pattern} is not in:\n{out[place:]}"
        place = found.end()
    for job in cli("jobs", "--json").ok().json()["jobs"]:
        if job["status"] in ("running", "queued") and job["mode"] == "exec":
            assert ended(cli, job["id"])["status"] == "completed", see(cli, job["id"])
    assert not model.surprises
