"""``overlap`` and what ``start`` says of it, with real Codex: our jobs, an IDE, a run of somebody else's."""

from __future__ import annotations

import subprocess
from typing import Any

from codex_agent import schema
from codex_agent.demo.model_server import Step
from support.ide import ide, spawns
from support.jobs import Place, begin, ended, see
from support.threads import Outside
from support.waiting import until


def overlaps(where: Place, *words: str) -> dict[str, Any]:
    answer = where.cli("overlap", "--json", *words).ok().json()
    schema.check(schema.COMMANDS["overlap"], answer)
    assert isinstance(answer, dict)
    return answer


def adds(name: str) -> Step:
    return Step.patch(f"*** Begin Patch\n*** Add File: {name}\n+x\n*** End Patch\n")


def moves(name: str, to: str) -> Step:
    return Step.patch(f"*** Begin Patch\n*** Update File: {name}\n*** Move to: {to}\n@@\n-x\n+y\n*** End Patch\n")


def changes(name: str) -> Step:
    return Step.patch(f"*** Begin Patch\n*** Update File: {name}\n@@\n-x\n+y\n*** End Patch\n")


def held(where: Place, marker: str, *steps: Step, files: int = 0, words: tuple[str, ...] = ()) -> str:
    """A job that has done these steps and waits for the model; its id."""
    gate = where.model.gate(marker)
    where.model.on(marker, *steps, Step.hold(gate))
    job_id = begin(where.cli, where.repo, f"do {marker}", "-s", "danger-full-access", *words)
    gate.reached()
    until(lambda: len(see(where.cli, job_id)["files_modified"]) >= files, 20, "its files in its record")
    return job_id


def let_go(where: Place, *markers: str) -> None:
    for marker in markers:
        where.model.gate(marker).open()


def test_two_jobs_that_changed_the_same_file(where: Place) -> None:
    one = held(where, "%%one%%", adds("shared.txt"), adds("mine.txt"), files=2)
    assert overlaps(where)["trees"] == []
    two = held(where, "%%two%%", moves("shared.txt", "moved.txt"), files=2)
    answer = overlaps(where)
    (tree,) = answer["trees"]
    assert (tree["path"], tree["git"], tree["branch"], answer["agents"]) == (str(where.repo), True, "main", 2)
    assert [(each["id"], each["job_id"], each["state"], each["files"]) for each in tree["sharers"]] == [
        (one, one, "working", 2),
        (two, two, "working", 2),
    ]
    # A move is a change of the old path.
    assert [(each["path"], each["by"]) for each in tree["shared_files"]] == [
        (str(where.repo / "shared.txt"), [one, two])
    ]
    text = where.cli("overlap").ok().out
    assert f"{where.repo} (git, main)" in text and f"! shared.txt: {one}, {two}" in text
    let_go(where, "%%one%%", "%%two%%")
    for job_id in (one, two):
        ended(where.cli, job_id)
    assert overlaps(where)["trees"] == []


def test_changes_that_an_ended_job_left(where: Place) -> None:
    where.model.on("%%left%%", adds("left.txt"), Step.message("done"))
    gone = begin(where.cli, where.repo, "do %%left%%", "-s", "danger-full-access")
    ended(where.cli, gone)
    alive = held(where, "%%alive%%", changes("left.txt"), files=1)
    assert overlaps(where)["trees"] == []
    (tree,) = overlaps(where, "--all")["trees"]
    assert {each["id"]: each["state"] for each in tree["sharers"]} == {gone: "completed", alive: "working"}
    assert tree["shared_files"] == [
        {"path": str(where.repo / "left.txt"), "by": [alive, gone], "uncommitted": True}
    ]
    let_go(where, "%%alive%%")
    ended(where.cli, alive)


def test_committed_work_is_left_by_nobody(where: Place) -> None:
    where.model.on("%%kept%%", adds("kept.txt"), Step.message("done"))
    gone = begin(where.cli, where.repo, "do %%kept%%", "-s", "danger-full-access")
    ended(where.cli, gone)
    alive = held(where, "%%alive%%")
    (tree,) = overlaps(where, "--all")["trees"]
    assert [each["id"] for each in tree["sharers"]] == [alive, gone]
    for words in (["add", "-A"], ["commit", "-q", "-m", "kept"]):
        subprocess.run(["git", *words], cwd=where.repo, env=where.home.env, check=True, capture_output=True)
    (where.repo / "something else").write_text("is changed")
    assert overlaps(where, "--all")["trees"] == []
    let_go(where, "%%alive%%")
    ended(where.cli, alive)


def test_an_ide_and_a_run_of_somebody_else(where: Place, others: Outside) -> None:
    mine = held(where, "%%mine%%", adds("a.txt"), files=1)
    with ide(others) as window:
        gate = where.model.gate("ide")
        thread = window.thread(moves("a.txt", "b.txt"), Step.hold(gate), sandbox="danger-full-access")
        gate.reached()
        (tree,) = overlaps(where)["trees"]
        told = {each["id"]: each for each in tree["sharers"]}
        assert set(told) == {mine, thread.id}
        assert (told[thread.id]["source"], told[thread.id]["job_id"]) == ("vscode", None)
        assert (told[thread.id]["state"], told[thread.id]["may_write"]) == ("working", True)
        assert [each["path"] for each in tree["shared_files"]] == [str(where.repo / "a.txt")]
        gate.open()
        window.ended(thread)
        # Idle, and still open in somebody's window.
        (tree,) = overlaps(where)["trees"]
        assert {each["id"]: each["state"] for each in tree["sharers"]} == {mine: "working", thread.id: "idle"}
        # A new agent is told of both.
        where.model.on("%%new%%", Step.message("hi"))
        started = where.cli("start", "%%new%%", "-d", str(where.repo)).ok()
        assert f"job {mine}" in started.err and f"Codex session {thread.id} (vscode)" in started.err
    until(lambda: not overlaps(where)["trees"], 30, "the window's end")
    let_go(where, "%%mine%%")
    ended(where.cli, mine)


def test_a_sub_agent_is_part_of_its_parent(where: Place, others: Outside) -> None:
    with ide(others) as window:
        gate = where.model.gate("child")
        where.model.on("%%child%%", adds("from-child.txt"), Step.hold(gate))
        thread = window.thread(
            spawns("%%child%% do it"), Step.hold(where.model.gate("parent")), sandbox="danger-full-access"
        )
        gate.reached()
        assert overlaps(where)["trees"] == []
        mine = held(where, "%%mine%%")
        (tree,) = overlaps(where)["trees"]
        files = {each["id"]: each["files"] for each in tree["sharers"]}
        assert files == {thread.id: 1, mine: 0}
        where.model.gate("parent").open()
        gate.open()
        let_go(where, "%%mine%%")
        ended(where.cli, mine)


def test_what_start_says(where: Place) -> None:
    def start(*words: str, **env: str) -> tuple[str, dict[str, Any]]:
        where.model.on("%%new%%", Step.message("hi"))
        done = where.cli("start", "%%new%%", "-d", str(where.repo), *words, env=env).ok()
        job = see(where.cli, done.out.split()[0])
        ended(where.cli, job["id"])
        assert bool(job["warnings"]) == ("Also at work" in done.err)
        return done.err, job

    assert start()[0] == ""
    mine = held(where, "%%mine%%", words=("--name", "parser"))
    told, job = start()
    assert f"Also at work in {where.repo}, and may write there: job {mine} (parser)." in told
    assert job["warnings"][0] in told
    for words in (("-s", "read-only"), ("--no-overlap-check",)):
        assert start(*words)[0] == "", words
    assert start(CODEX_AGENT_OVERLAP_CHECK="false")[0] == ""
    let_go(where, "%%mine%%")
    ended(where.cli, mine)
    assert start()[0] == ""


def test_readers_are_no_danger(where: Place) -> None:
    gate = where.model.gate("reads")
    where.model.on("%%reads%%", Step.hold(gate))
    reader = begin(where.cli, where.repo, "%%reads%%", "-s", "read-only")
    where.model.on("%%writes%%", Step.message("hi"))
    done = where.cli("start", "%%writes%%", "-d", str(where.repo), "--wait").ok()
    assert "Also at work" not in done.err
    gate.open()
    ended(where.cli, reader)


def test_an_agent_that_waits_for_another_is_no_concern(where: Place) -> None:
    mine = held(where, "%%mine%%")
    where.model.on("%%next%%", Step.message("hi"))
    done = where.cli("start", "%%next%%", "-d", str(where.repo), "--after", mine, "--json").ok()
    after = done.json()["id"]
    assert done.json()["warnings"] == []
    (tree,) = overlaps(where)["trees"]
    assert {each["id"]: each["state"] for each in tree["sharers"]} == {mine: "working", after: "queued"}
    let_go(where, "%%mine%%")
    ended(where.cli, after)


def test_of_two_starts_at_once_one_is_told(where: Place) -> None:
    gate = where.model.gate("both")
    where.model.on("%%both%%", Step.hold(gate))
    running = [where.cli.start("start", "%%both%%", "-d", str(where.repo), "--json") for _ in range(2)]
    answers = [process.communicate(timeout=60)[0] for process in running]
    assert all(process.returncode == 0 for process in running), answers
    assert sum("Also at work" in answer for answer in answers) >= 1
    gate.open()
