"""`gate check`: what it finds, what it calls busy, and that a program that is missing is no error.

nvidia-smi and docker are played by scripts: neither can be installed without a card and a daemon.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from codex_agent import machine
from codex_agent.gate_answers import GateCheck
from codex_agent.model import stamp
from codex_agent.schema import check as fits
from codex_agent.settings_keys import Check, Settings
from support import Cli, Home, processes_with, until
from support.queueing import held, set_up

LENIENT = Check(gpu_free_mib=0, gpu_use_pct=100, mem_free_mib=0, disk_free_gib=0.0, load_per_cpu=1e6, busy=())
SMI = """#!/bin/sh
case "$1" in
--query-gpu=*) echo "0, GPU-aaa, NVIDIA Test 1, 24576, 20000, 4576, 93"
               echo "1, GPU-bbb, NVIDIA Test 2, 24576, 10, 24566, 0" ;;
--query-compute-apps=*) echo "GPU-aaa, {pid}, 19990"; echo "GPU-aaa, 999999999, [N/A]" ;;
esac
"""
DOCKER = """#!/bin/sh
echo '{"Names":"isaac-sim","Image":"nvcr.io/isaac:5","Status":"Up 2 hours","ID":"1"}'
"""


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    return folder


def play(programs: Path, name: str, text: str) -> None:
    script = programs / name
    script.write_text(text)
    script.chmod(0o755)


def look(tmp_path: Path, programs: Path, wanted: Check = LENIENT) -> GateCheck:
    """The machine, with no other programs than these in PATH but the shell's."""
    environ = {"PATH": f"{programs}:/bin:/usr/bin"}
    return machine.check(str(tmp_path / "agent"), str(tmp_path), Settings(check=wanted), environ)


def test_gpus(tmp_path: Path, programs: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as busy:
        play(programs, "nvidia-smi", SMI.replace("{pid}", str(busy.pid)))
        found = look(tmp_path, programs)
        assert found.gpus is not None and found.ok
        first, second = found.gpus
        assert (first.name, first.memory_free_mib, first.use_pct, second.processes) == (
            "NVIDIA Test 1",
            4576,
            93,
            [],
        )
        assert [(one.pid, one.memory_mib, one.command) for one in first.processes] == [
            (busy.pid, 19990, "sleep 60"),
            (999999999, None, None),
        ]
        for wanted in (
            replace(LENIENT, gpu_use_pct=50),
            replace(LENIENT, gpu_free_mib=5000),
        ):
            found = look(tmp_path, programs, wanted)
            assert found.gpus is not None and [gpu.ok for gpu in found.gpus] == [False, True] and not found.ok
            assert found.gpus[0].verdict == "busy: 4576 of 24576 MiB free, 93% used, 2 compute processes"
        busy.kill()


def test_what_is_not_here_is_no_error(tmp_path: Path, programs: Path) -> None:
    environ = {"PATH": str(programs)}
    found = machine.check(str(tmp_path / "agent"), str(tmp_path), Settings(check=LENIENT), environ)
    assert (found.gpus, found.containers, found.ok) == (None, None, True)
    assert found.notes == ["GPUs: nvidia-smi is not here", "containers: docker is not here"]
    play(programs, "nvidia-smi", "#!/bin/sh\necho NVIDIA-SMI has failed >&2\nexit 9\n")
    play(programs, "docker", "#!/bin/sh\necho nonsense\n")
    found = look(tmp_path, programs)
    assert found.notes == [
        "GPUs: nvidia-smi says 9: NVIDIA-SMI has failed",
        "containers: docker says what nobody understands: nonsense",
    ]
    assert (found.gpus, found.containers, found.ok) == (None, None, True)
    play(programs, "nvidia-smi", "#!/bin/sh\necho one, two\n")
    assert look(tmp_path, programs).notes[0] == "GPUs: nvidia-smi says what nobody understands: one, two"


def test_containers(tmp_path: Path, programs: Path) -> None:
    play(programs, "docker", DOCKER)
    found = look(tmp_path, programs)
    assert found.ok and found.containers is not None  # up is not busy
    assert [(one.name, one.image, one.status) for one in found.containers] == [
        ("isaac-sim", "nvcr.io/isaac:5", "Up 2 hours")
    ]
    play(programs, "docker", "#!/bin/sh\n")
    assert look(tmp_path, programs).containers == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_busy_processes(tmp_path: Path, programs: Path) -> None:
    word = f"train-{tmp_path.name}"
    wanted = replace(LENIENT, busy=(r"train-\S+", "nothing-of-this-name"))
    play(programs, "codex", "#!/bin/sh\nsleep 60\n")
    with (
        subprocess.Popen(["sh", "-c", "sleep 60; :", word]) as busy,
        subprocess.Popen(["sh", str(programs / "codex"), word]) as codex,
    ):
        try:
            # For a moment a shell's child has its shell's command line, and in an exec there is none.
            until(lambda: {one.pid for one in processes_with(word)} == {busy.pid, codex.pid}, 5)
            found = look(tmp_path, programs, wanted)
            assert found.busy is not None and not found.ok
            mine = [one for one in found.busy if word in one.command]
            assert [(one.pid, one.pattern) for one in mine] == [(busy.pid, r"train-\S+")]
        finally:
            for process in (busy, codex):
                subprocess.run(["pkill", "-P", str(process.pid)], check=False)
                process.kill()
    assert look(tmp_path, programs).busy == []


def test_memory_disk_and_load(tmp_path: Path, programs: Path) -> None:
    found = look(tmp_path, programs)
    assert found.ok and found.load is not None and found.load.ok and found.load.cpus > 0
    assert [disk.path for disk in found.disks] == [str(tmp_path)]
    found = look(tmp_path, programs, replace(LENIENT, disk_free_gib=1e9))
    assert not found.ok and found.disks[0].verdict.startswith("short: ")
    if sys.platform.startswith("linux"):
        found = look(tmp_path, programs, replace(LENIENT, mem_free_mib=10**9))
        assert found.memory is not None and not found.memory.ok and not found.ok


def test_the_command(cli: Cli, home: Home) -> None:
    set_up(
        home,
        "[check]\ngpu_free_mib = 0\nmem_free_mib = 0\ndisk_free_gib = 0\nload_per_cpu = 1000000\nbusy = []\n"
        "[gates.lab]\nslots = 3\ncommand = 'test -e x'\nmem_free_mib = 5\n",
    )
    with held(str(home.agent_home), "gpu"):
        told = cli("gate", "check", "--json").ok().json()
        fits(GateCheck, told)
        assert told["ok"] and told["generated_at"] <= stamp()
        gpu, lab = told["gates"]
        assert (gpu["name"], gpu["slots"], gpu["holders"][0]["command"]) == ("gpu", 1, "a test")
        assert (lab["slots"], lab["conditions"], lab["holders"]) == (
            3,
            ["mem_free_mib = 5", 'command = "test -e x"'],
            [],
        )
        shown = cli("gate", "check").ok().out
        assert "gate gpu" in shown and "1 of 1 taken, 0 waiting" in shown and "in: pid" in shown
        assert "0 of 3 taken, 0 waiting; demands mem_free_mib = 5" in shown
    set_up(home, "[check]\ndisk_free_gib = 1000000000\n")
    done = cli("gate", "check")
    assert done.rc == 1 and "BUSY  disk" in done.out
