"""`gate run`: a command of one's own in the line; what it hears, says and returns is its own."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_agent.gates import slots
from support import Cli, Home, until
from support.cli import COMMAND
from support.processes import processes_with
from support.queueing import held, set_up, stand


def tickets(home: Home, gate: str = "gpu") -> list[str]:
    folder = Path(slots.folder(str(home.agent_home), gate))
    return sorted(os.listdir(folder)) if folder.exists() else []


def test_in_and_out_are_the_commands_own(cli: Cli, home: Home) -> None:
    done = cli("gate", "run", "gpu", "--", "sh", "-c", "cat; echo err >&2; exit 7", stdin="words\n")
    assert (done.rc, done.out, done.err) == (7, "words\n", "err\n")
    assert cli("gate", "run", "gpu", "true").rc == 0
    assert cli("gate", "run", "gpu", "--", "sh", "-c", "kill -9 $$").rc == 128 + 9
    assert cli("gate", "run", "gpu", "--", "echo", "--json", "--timeout", "x").out == "--json --timeout x\n"
    assert tickets(home) == []


def test_it_waits_for_its_turn_and_says_for_what(cli: Cli, home: Home) -> None:
    with held(str(home.agent_home), "gpu"):
        first = cli.start("gate", "run", "gpu", "--", "sh", "-c", "echo in; sleep 0.3")
        until(lambda: len(tickets(home)) == 2, 10)
        second = cli.start("gate", "run", "gpu", "--", "echo", "then")
        until(lambda: len(tickets(home)) == 3, 10)
        check = cli("gate", "check", "--json").json()
        (gate,) = check["gates"]
        assert (gate["name"], gate["slots"], len(gate["holders"])) == ("gpu", 1, 1)
        assert gate["holders"][0]["command"] == "a test"
        assert [one["place"] for one in gate["waiting"]] == [1, 2]
        assert [one["command"] for one in gate["waiting"]] == ["sh -c 'echo in; sleep 0.3'", "echo then"]
        assert first.poll() is None and second.poll() is None
    out, err = first.communicate(timeout=20)
    assert out == "in\n" and err.startswith("codex-agent: waits: gate gpu: 1 of 1 slot taken by pid ")
    out, err = second.communicate(timeout=20)
    assert (second.returncode, out) == (0, "then\n") and "place 2 of 2" in err
    assert tickets(home) == []


def test_it_waits_no_longer_than_it_was_told(cli: Cli, home: Home) -> None:
    with held(str(home.agent_home), "gpu"):
        done = cli("gate", "run", "gpu", "--timeout", "0.5", "--", "true")
        assert done.rc == 124 and "Not let in after 0.5 s: gate gpu" in done.err and done.seconds < 10
        assert len(tickets(home)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_who_waits(cli: Cli, home: Home, number: signal.Signals) -> None:
    with held(str(home.agent_home), "gpu"):
        waits = cli.start("gate", "run", "gpu", "--", "true")
        until(lambda: len(tickets(home)) == 2, 10)
        assert waits.stderr is not None and "waits" in waits.stderr.readline()
        waits.send_signal(number)
        waits.communicate(timeout=10)
        assert waits.returncode == 128 + number
        assert len(tickets(home)) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_goes_to_the_command(cli: Cli, home: Home, number: signal.Signals) -> None:
    name = number.name.removeprefix("SIG")
    script = f"trap 'echo got {name}; exit 3' {name}; echo ready; while :; do sleep 0.05; done"
    runs = cli.start("gate", "run", "gpu", "--", "bash", "-c", script)
    assert runs.stdout is not None and runs.stdout.readline() == "ready\n"
    runs.send_signal(number)
    out, _ = runs.communicate(timeout=10)
    assert (out, runs.returncode) == (f"got {name}\n", 3)


def test_ctrl_c_reaches_the_command_once(home: Home) -> None:
    """The terminal tells all in front of it; if we told the command too, it would have it twice."""
    script = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGINT, lambda *_: os.write(1, b'got '))\n"
        "os.write(1, b'ready ')\n"
        "end = time.monotonic() + 1.5\n"
        "while time.monotonic() < end: time.sleep(0.01)\n"
        "os.write(1, b'end')\n"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [*COMMAND, "gate", "run", "gpu", "--", sys.executable, "-c", script], home.env)
    said = b""

    def hear() -> bytes:
        nonlocal said
        try:
            said += os.read(terminal, 4096)
        except OSError:
            pass  # the terminal's other side is closed
        return said

    until(lambda: b"ready" in hear(), 20)
    os.write(terminal, b"\x03")
    until(lambda: b"end" in hear(), 20)
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert said.count(b"got") == 1 and os.waitstatus_to_exitcode(status) == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the parent-death signal")
def test_killed_the_hard_way_it_takes_the_command_along(cli: Cli, home: Home, tmp_path: Path) -> None:
    runs = cli.start("gate", "run", "gpu", "--", "sh", "-c", f"echo ready; exec sleep 543; : {tmp_path}")
    assert runs.stdout is not None and runs.stdout.readline() == "ready\n"
    behind = stand(str(home.agent_home), "gpu")
    assert behind.look(lambda _: 1, 0, ready=True) is not None
    runs.kill()
    runs.wait(10)
    until(lambda: behind.look(lambda _: 1, 0, ready=True) is None, 5, "the slot, given back by the kernel")
    behind.give_back()
    until(lambda: not [one for one in processes_with(f"{tmp_path}/") if "sleep 543" in one.command], 5)
    runs.communicate(timeout=10)


def test_what_is_wrong_is_said_before_it_waits(cli: Cli, home: Home) -> None:
    assert cli("gate", "run", "gpu", "--", "no-such-program").rc == 5
    assert cli("gate", "run", "../gpu", "--", "true").rc == 2
    assert cli("gate", "run", "gpu").rc == 2
    assert cli("gate", "run", "gpu", "--timeout", "soon", "--", "true").rc == 2
    script = home.root / "script"
    script.write_text("no interpreter")
    script.chmod(0o755)
    assert cli("gate", "run", "gpu", "--", str(script)).rc == 5
    assert tickets(home) == []


def test_it_demands_what_the_gate_demands(cli: Cli, home: Home, tmp_path: Path) -> None:
    set_up(home, "[gates.lab]\ncommand = 'test -e unlocked'\n")
    waits = cli.start("gate", "run", "lab", "--", "echo", "in", cwd=tmp_path)
    assert waits.stderr is not None and "its command says 1 (test -e unlocked)" in waits.stderr.readline()
    (tmp_path / "unlocked").touch()
    out, _ = waits.communicate(timeout=20)
    assert out == "in\n"


def test_agents_and_commands_stand_in_one_line(cli: Cli, home: Home) -> None:
    """Both take tickets of the same kind; here a command is behind one that was taken for an agent."""
    agent = stand(str(home.agent_home), "gpu", job=True)
    waits = cli.start("gate", "run", "gpu", "--", "true")
    until(lambda: len(tickets(home)) == 2, 10)
    assert agent.look(lambda _: 1, 1, ready=True) is None
    began = time.monotonic()
    agent.give_back()
    waits.communicate(timeout=20)
    assert waits.returncode == 0 and time.monotonic() - began < 5
    assert json.dumps(tickets(home)) == "[]"
    assert subprocess.run([*COMMAND, "gate", "--help"], env=home.env, capture_output=True, check=True).stdout
