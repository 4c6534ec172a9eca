"""Gates without agents: who goes in and when, what the dead leave behind, what wakes who waits."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from codex_agent import settings
from codex_agent.errors import UsageError
from codex_agent.gates import lines, slots
from codex_agent.gates.conditions import Probe, demands, memory_free
from codex_agent.gates.lines import Blocked, Line
from codex_agent.gates.waiting import Rules, Waiter
from codex_agent.settings_keys import Gate, Queue, Settings
from support import until
from support.cli import SRC
from support.queueing import held, stand


@pytest.fixture
def where(tmp_path: Path) -> str:
    return str(tmp_path / "agent")


def look(line: Line, count: int = 1, cap: int = 0, *, ready: bool = True) -> Blocked | None:
    return line.look(lambda _: count, cap, ready=ready)


def place(found: Blocked | None) -> tuple[str, str | None, int, int] | None:
    return None if found is None else (found.kind, found.gate, found.place, found.of)


def waiter(line: Line, rules: Rules, tmp_path: Path) -> Waiter:
    return Waiter(line, rules, cwd=str(tmp_path), env=dict(os.environ), bury=lambda _: None)


def rules(given: Settings | None = None) -> Rules:
    return Rules({"HOME": "/nowhere"}, given or Settings(), 0)


# ---- who goes in ----


def test_first_come_first_served(where: str) -> None:
    first, second, third = (stand(where, "gpu") for _ in range(3))
    assert place(look(second)) == ("gate", "gpu", 2, 3)  # nobody is in, and still the first is first
    assert look(first) is None and first.is_in
    assert place(look(third)) == ("gate", "gpu", 2, 2)
    first.give_back()
    assert place(look(third)) == ("gate", "gpu", 2, 2)
    assert look(second) is None
    second.give_back()
    second.give_back()
    assert look(third) is None


def test_as_many_as_there_are_slots(where: str) -> None:
    everybody = [stand(where, "gpu") for _ in range(4)]
    assert [place(look(one, 2)) for one in everybody] == [None, None, ("gate", "gpu", 1, 2), ("gate", "gpu", 2, 2)]
    everybody[1].give_back()
    assert look(everybody[2], 2) is None
    assert look(everybody[3], 3) is None  # one more slot since


def test_several_gates_are_gone_into_together_and_in_order(where: str) -> None:
    with held(where, "b"):
        both = stand(where, "b", "a")
        only_a = stand(where, "a")
        assert place(look(both)) == ("gate", "b", 1, 1)
        assert [ticket.state for ticket in both.tickets] == ["waiting", "waiting"]  # nothing held meanwhile
        assert place(look(only_a)) == ("gate", "a", 2, 2)
    assert look(both) is None
    assert place(look(only_a)) == ("gate", "a", 1, 1)


def test_who_waits_at_a_gate_holds_up_nobody_else(where: str) -> None:
    """The cap counts those at work, and the order of those who could be."""
    with held(where, "gpu"):
        first = stand(where, "gpu", job=True)
        second, third = stand(where, job=True), stand(where, job=True)
        assert place(look(first, cap=1)) == ("gate", "gpu", 1, 1)
        assert look(second, cap=1) is None
        assert place(look(third, cap=1)) == ("parallel", None, 1, 1)
    assert place(look(first, cap=1)) == ("parallel", None, 1, 2)
    second.give_back()
    assert place(look(third, cap=1)) == ("parallel", None, 2, 2)
    assert look(first, cap=1) is None


def test_without_a_cap_a_job_counts_and_waits_for_nobody(where: str) -> None:
    capless = [stand(where, job=True) for _ in range(3)]
    assert [look(one) for one in capless] == [None] * 3
    assert look(stand(where, job=True), cap=4) is None
    blocked = look(stand(where, job=True), cap=4)
    assert blocked is not None and (blocked.taken, blocked.slots) == (4, 4)


def test_who_is_not_ready_keeps_its_place(where: str) -> None:
    first, second = stand(where, "gpu"), stand(where, "gpu")
    assert place(look(first, ready=False)) == ("condition", "gpu", 1, 2)
    assert place(look(second)) == ("gate", "gpu", 2, 2)
    with slots.locked(where, ["gpu"]):
        first.step_aside()
    assert look(second) is None
    assert place(look(first)) == ("gate", "gpu", 1, 1)


def test_the_dead_hold_nothing(where: str) -> None:
    first, second, third, fourth = (stand(where, "gpu", job_id=one) for one in ("0001", "0002", None, None))
    os.close(first.tickets[0].handle)  # as the kernel does it when a process ends
    assert look(second) is None
    assert not any("00000001" in name for name in os.listdir(slots.folder(where, "gpu")))
    os.close(second.tickets[0].handle)
    blocked = look(third)
    assert blocked is not None and [one.number for one in blocked.dead] == [
        2
    ]  # was in: something may be left of it
    third.clear(blocked.dead, "gpu")
    assert look(third) is None
    os.close(third.tickets[0].handle)
    assert look(fourth) is None  # of a command the kernel leaves nothing


def test_a_ticket_that_was_removed_is_taken_again(where: str) -> None:
    first, second = stand(where, "gpu"), stand(where, "gpu")
    os.unlink(first.tickets[0].path)
    assert look(second) is None
    assert place(look(first)) == ("gate", "gpu", 1, 1)
    second.give_back()
    assert look(first) is None


def test_files_are_the_users_alone_and_tell_who_it_is(where: str) -> None:
    line = stand(where, "gpu", job=True)
    for gate in ("gpu", slots.ALL):
        folder = Path(slots.folder(where, gate))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (ticket,) = folder.iterdir()
        assert stat.S_IMODE(ticket.stat().st_mode) == 0o600
        assert json.loads(ticket.read_text())["pid"] == os.getpid()
    assert slots.names(where) == ["gpu"]
    line.give_back()
    assert slots.seen(where, "gpu") == []


def test_a_lock_that_is_held_is_not_waited_for_long(where: str) -> None:
    line = stand(where, "gpu")
    with slots.locked(where, ["gpu"]):
        began = time.monotonic()
        with pytest.raises(slots.Busy):
            look(line)
        assert time.monotonic() - began < 1
    assert look(line) is None


@pytest.mark.parametrize("name", ["", ".all", "a/b", "../x", "a b", "-x", "x" * 65, "gerät"])
def test_what_cannot_be_a_gate(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a gate's name"):
        lines.check_names([name])
    assert lines.check_names(["b", "a", "b"]) == ["a", "b"]
    with pytest.raises(UsageError, match="too many"):
        lines.check_names([f"g{number}" for number in range(21)])


def test_many_at_once_never_exceed_the_slots(where: str) -> None:
    """Sixteen threads, each its own place: never more in than slots, everybody gets in, and in order."""
    inside: list[int] = []
    order: list[int] = []
    most = 0
    guard = threading.Lock()

    def play() -> None:
        nonlocal most
        line = stand(where, "gpu")
        number = line.tickets[0].number
        while True:
            try:
                if look(line, 3) is None:
                    break
            except slots.Busy:
                pass
            time.sleep(0.001)
        with guard:
            inside.append(number)
            order.append(number)
            most = max(most, len(inside))
        time.sleep(0.01)
        with guard:
            inside.remove(number)
        line.give_back()

    threads = [threading.Thread(target=play) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(order) == list(range(1, 17)) and most == 3
    # Who goes in has at most two before it that are in and not noted yet, for however long.
    assert all(sum(later < number for later in order[place:]) <= 2 for place, number in enumerate(order)), order


# ---- what wakes who waits ----

HOLDER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from codex_agent.gates import lines, slots
with slots.locked(sys.argv[2], ["gpu"]):
    line = lines.enter(sys.argv[2], ["gpu"], {"job": None, "pid": 1}, job=False)
assert line.look(lambda _: 1, 0, ready=True) is None
print("in", flush=True)
sys.stdin.read()
line.give_back()
"""


def holder(where: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, SRC, where], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "in\n"
    return process


def let_in(waits: Waiter, end: Callable[[], None]) -> float:
    """How long after ``end`` it went in; it sleeps in between, and looks only when it was woken."""
    while waits.look() is not None and waits.due <= time.monotonic():
        pass
    assert waits.watch is not None
    poller = select.poll()
    poller.register(waits.watch.fileno(), select.POLLIN)
    end()
    began = time.monotonic()
    while time.monotonic() < began + 10:
        if poller.poll(max(0.0, waits.due - time.monotonic()) * 1000):
            waits.heard()
        if time.monotonic() >= waits.due and waits.look() is None:
            return time.monotonic() - began
    raise AssertionError(f"still out: {waits.place}")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere somebody looks now and then")
@pytest.mark.parametrize("how", ["gives it back", "is killed"])
def test_it_is_woken_at_once(where: str, tmp_path: Path, how: str) -> None:
    process = holder(where)
    waits = waiter(stand(where, "gpu"), rules(), tmp_path)

    def end() -> None:
        if how == "is killed":
            process.send_signal(signal.SIGKILL)
        else:
            assert process.stdin is not None
            process.stdin.close()

    try:
        took = let_in(waits, end)
    finally:
        waits.close()
        process.wait(10)
    assert took < 0.5, f"{took:.3f} s: it was not woken, it looked after a while"


def test_settings_that_change_count_at_the_next_look(where: str, tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    live = Rules(environ, settings.load(environ), None)
    assert live.cap == 0
    with held(where, "gpu"):
        waits = waiter(stand(where, "gpu"), live, tmp_path)
        first = waits.look()
        assert first is not None and first.detail == (
            f"gate gpu: 1 of 1 slot taken by pid {os.getpid()} (a test); place 1 of 1"
        )
        settings.set_value(environ, "gates.gpu.slots", "2")
        settings.set_value(environ, "queue.max_parallel", "3")
        assert waits.look() is None and live.cap == 3
        Path(settings.config_path(environ)).write_text("gates = 3")  # nobody can read that: what was said still is
        live.refresh()
        assert live.gate("gpu").slots == 2
        waits.close()


# ---- what a gate demands ----


def probed(gate: Gate, tmp_path: Path, env: dict[str, str] | None = None) -> str:
    probe = Probe([("gpu", gate)], str(tmp_path), env or dict(os.environ))
    try:
        until(lambda: probe.look() is not None, 20)
        return probe.result or ""
    finally:
        probe.close()


def test_conditions_in_words(tmp_path: Path) -> None:
    assert not demands(Gate()) and demands(Gate(command="true"))
    assert probed(Gate(disk_free_gib=0.001, command="true"), tmp_path) == ""
    assert "of free disk, there are" in probed(Gate(disk_free_gib=1e9), tmp_path)
    assert probed(Gate(command="false"), tmp_path) == "gate gpu: its command says 1 (false)"
    assert "no-such-program cannot be run" in probed(Gate(command="no-such-program"), tmp_path)
    assert probed(Gate(command="test -e here"), tmp_path).endswith("says 1 (test -e here)")
    (tmp_path / "here").touch()
    assert probed(Gate(command="test -e here"), tmp_path) == ""
    if memory_free() is not None:
        assert "MiB of free memory, there are" in probed(Gate(mem_free_mib=10**9), tmp_path)
        assert probed(Gate(mem_free_mib=1), tmp_path) == ""


def test_the_gpu_with_most_room_counts(tmp_path: Path) -> None:
    """nvidia-smi is played by a script: it cannot be installed without such a card."""
    script = tmp_path / "nvidia-smi"
    script.write_text('#!/bin/sh\n[ "$1" = --query-gpu=memory.free ] && printf "800\\n2500\\n"\n')
    script.chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert probed(Gate(gpu_free_mib=2500), tmp_path, env) == ""
    assert probed(Gate(gpu_free_mib=2501), tmp_path, env).endswith("2501 MiB of free GPU memory, there are 2500")
    script.write_text("#!/bin/sh\nexit 9\n")
    assert "does not tell of any GPU" in probed(Gate(gpu_free_mib=1), tmp_path, env)
    assert "nvidia-smi cannot be run" in probed(Gate(gpu_free_mib=1), tmp_path, {"PATH": "/nowhere"})


def test_a_condition_is_looked_at_again_and_nobody_goes_past(where: str, tmp_path: Path) -> None:
    given = Settings(gates={"gpu": Gate(command="test -e here")}, queue=Queue())
    waits, behind = (waiter(stand(where, "gpu"), rules(given), tmp_path) for _ in range(2))
    try:
        until(lambda: (found := waits.look()) is not None and "says 1" in found.detail, 10)
        assert waits.place is not None and waits.place.kind == "condition" and not waits.undecided
        found = behind.look()
        assert found is not None and (found.kind, found.place) == ("gate", 2)
        (tmp_path / "here").touch()
        until(lambda: waits.look() is None, 10)
    finally:
        waits.close()
        behind.close()
