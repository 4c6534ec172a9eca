"""`resume` where it must not go on: somebody has the thread, there is none, it is put away, two at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from codex_agent.demo.model_server import ModelServer, Step
from support import Cli, Codex, Home, codex, until
from support.ide import ide
from support.interactive import refused, stay, told
from support.jobs import Place, begin, ended
from support.threads import Outside, outside, rollouts

AGAIN = "%%again%%"


@pytest.fixture
def there(home: Home, cli: Cli, model: ModelServer, repo: Path, each_codex: Codex) -> Iterator[Outside]:
    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), each_codex) as made:
        yield made


@pytest.fixture
def newest(home: Home, cli: Cli, model: ModelServer, repo: Path) -> Iterator[Outside]:
    model.on(AGAIN, Step.message("Again."))
    with outside(Place(home, cli, model, repo), codex("newest")) as made:
        yield made


def nothing_begun(home: Home, model: ModelServer) -> bool:
    """No job is left, not even a file of one, and the model was not asked."""
    return not [path for path in home.jobs.glob("*") if path.name[0] != "."] and not model.requests_for(AGAIN)


def test_while_a_turn_runs_elsewhere(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """Who has it and since when is said; once that one has ended, or was killed, it goes on."""
    gate = model.gate("held")
    thread = there.begin(Step.hold(gate))
    gate.reached()
    why = refused(cli, "resume", thread.id, AGAIN)
    assert f"pid {thread.pid}" in why and "codex" in why and re.search(r"since 20\d\d-\d\d-\d\dT", why), why
    assert "--fork" in why and "--force" in why
    error = cli("resume", thread.id, AGAIN, "--json").json()["error"]
    assert (error["code"], error["pid"], error["id"]) == ("bad_state", thread.pid, thread.id)
    assert nothing_begun(home, model)
    gate.open()
    assert thread.process is not None and thread.process.wait(30) == 0
    assert ended(cli, told(cli, "resume", thread.id, AGAIN)["id"])["status"] == "completed"


def test_after_kill_9(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """The lock file is still there; nobody holds it."""
    thread = there.killed()
    if there.codex.label == "newest":
        assert thread.lock.exists()
    assert ended(cli, told(cli, "resume", thread.id, AGAIN)["id"])["status"] == "completed"


def test_while_a_tui_or_an_ide_has_it(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """Also when it is idle there: two writers would mix their turns."""
    with ide(there) as vscode:
        of_ide = vscode.thread()
        vscode.ended(of_ide)
        assert f"pid {of_ide.pid}" in refused(cli, "resume", of_ide.id, AGAIN)
    tui = there.tui()
    until(lambda: tui.payloads("task_complete"), 30, "the turn's end")
    assert "codex" in refused(cli, "resume", tui.id, AGAIN)
    assert nothing_begun(home, model)
    there.kill(tui)
    for thread in (of_ide, tui):
        assert ended(cli, told(cli, "resume", thread.id, AGAIN)["id"])["thread_id"] == thread.id


def test_force_leaves_it_to_codex(cli: Cli, home: Home, model: ModelServer, newest: Outside) -> None:
    """Codex refuses a second writer itself: its own words come back, and no job is left."""
    gate = model.gate("held")
    thread = newest.begin(Step.hold(gate))
    gate.reached()
    for words in ((), ("--interactive",)):
        error = cli("resume", thread.id, AGAIN, "--force", "--json", *words)
        assert error.rc == 1 and error.json()["error"]["code"] == "spawn_failed", str(error)
        assert "active writer" in error.json()["error"]["message"], str(error)
        assert nothing_begun(home, model)
    gate.open()


def test_a_job_of_ours_that_lives(cli: Cli, home: Home, model: ModelServer, repo: Path, newest: Outside) -> None:
    """It is pointed to: `send`. Nor does `send` reopen an ended job whose thread another one has."""
    model.on("%%first", Step.message("First."))
    old = ended(cli, begin(cli, repo, "%%first"))
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate))
    live = told(cli, "resume", old["id"], "%%held")["id"]
    gate.reached()
    for word in (live, old["id"], old["thread_id"]):
        why = refused(cli, "resume", word, AGAIN)
        assert live in why and f"send {live}" in why
    assert live in refused(cli, "send", old["id"], AGAIN)
    gate.open()
    assert ended(cli, live)["status"] == "completed"
    told(cli, "send", old["id"], AGAIN, "--wait", shape="send --wait")
    staying = stay(cli, repo, "%%first")
    assert f"send {staying}" in refused(cli, "resume", staying, AGAIN)


def test_two_at_once(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """One of them gets it, the others are told by whom."""
    thread = there.exec()
    gate = model.gate("held")
    model.on("%%held", Step.hold(gate))
    asking = [cli.start("resume", thread.id, "%%held", "--json") for _ in range(3)]
    answers = [process.communicate(timeout=60)[0] for process in asking]
    codes = sorted(process.returncode for process in asking)
    assert codes == [0, 4, 4], answers
    gate.reached()
    gate.open()
    (job_id,) = [path.name[:8] for path in home.jobs.glob("????????.json")]
    assert ended(cli, job_id)["status"] == "completed"
    assert len(thread.payloads("task_started")) == 2


def test_no_such_thread(cli: Cli, home: Home, model: ModelServer, there: Outside) -> None:
    """Codex would silently begin a new one for a name it does not know."""
    there.exec()
    before = rollouts(home.codex_home)
    for word in (
        "nothing-like-it",
        "0199a2b4-0000-7000-8000-00000000dead",
        "codex://threads/0199a2b4-dead",
        "fffff",
    ):
        assert word in refused(cli, "resume", word, AGAIN, rc=3)
    assert "THREAD" in refused(cli, "resume", rc=2)
    assert "no prompt" in refused(cli, "resume", "last", rc=2)
    assert rollouts(home.codex_home) == before and nothing_begun(home, model)


def test_archived_or_gone(cli: Cli, home: Home, model: ModelServer, repo: Path, newest: Outside) -> None:
    thread = newest.archived(newest.exec())
    assert f"codex unarchive {thread.id}" in refused(cli, "resume", thread.id, AGAIN)
    newest.say("unarchive", thread.id)
    job = ended(cli, told(cli, "resume", thread.id, AGAIN)["id"])
    assert job["status"] == "completed"
    newest.again(thread).rollout.unlink()
    assert "rollout" in refused(cli, "resume", job["id"], AGAIN, rc=3)


def test_below_another_codex_home(cli: Cli, home: Home, model: ModelServer, newest: Outside, repo: Path) -> None:
    """A job knows where its thread lies; the Codex that would run now looks elsewhere."""
    model.on("%%first", Step.message("First."))
    job = ended(cli, begin(cli, repo, "%%first"))
    other = home.root / "other"
    other.mkdir()
    answer = cli("resume", job["id"], AGAIN, "--json", env={"CODEX_HOME": str(other)})
    assert answer.rc == 4 and f"CODEX_HOME={home.codex_home}" in answer.json()["error"]["hint"], str(answer)


def test_words_that_exclude_each_other(cli: Cli, home: Home, model: ModelServer, newest: Outside) -> None:
    thread = newest.exec()
    assert "--last" in refused(cli, "resume", thread.id, AGAIN, "--last", rc=2)
    assert "--interactive" in refused(cli, "resume", thread.id, AGAIN, "--plain", rc=2)
    assert "--plain" in refused(cli, "resume", thread.id, AGAIN, "--fork", "--interactive", "--plain", rc=2)
    assert nothing_begun(home, model)


def test_a_codex_that_opens_another_thread(cli: Cli, home: Home, model: ModelServer, newest: Outside) -> None:
    """Should a version do so: no job is bound to it."""
    thread = newest.exec()
    bad = home.root / "codex-that-errs"
    bad.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) exec "$REAL" "$@";; esac\n'
        """echo '{"type":"thread.started","thread_id":"0199a2b4-0000-7000-8000-00000000beef"}'\n"""
        "sleep 30\n"
    )
    bad.chmod(0o755)
    env = {"CODEX_AGENT_CODEX": str(bad), "REAL": newest.codex.path}
    answer = cli("resume", thread.id, AGAIN, "--json", env=env)
    assert answer.rc == 1 and "00000000beef when asked for" in answer.json()["error"]["message"], str(answer)
    assert nothing_begun(home, model)
