"""Owns ``gate check``: what the machine has to do now, what it has left, and who stands at which gate.

A program that is not here is said to be "not here": it is no error. Must never begin or end anything else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from codex_agent.gate_answers import (
    BusyProcess,
    Container,
    Disk,
    GateCheck,
    GateLine,
    Gpu,
    GpuProcess,
    Load,
    Memory,
    Standing,
)
from codex_agent.gates import slots
from codex_agent.gates.conditions import GIB, MIB, disk_free, memory_free
from codex_agent.gates.slots import Seen
from codex_agent.model import stamp
from codex_agent.settings_keys import Check, Gate, Settings

_ANSWER_S = 10.0
_GPU_COLUMNS = "index,uuid,name,memory.total,memory.used,memory.free,utilization.gpu"
_APP_COLUMNS = "gpu_uuid,pid,used_memory"
_NOT_HERE = "not here"


class _Absent(Exception):
    """A program that is not here, or does not answer as it should."""


def check(home: str, cwd: str, settings: Settings, environ: Mapping[str, str]) -> GateCheck:
    """The machine as it is now."""
    notes: list[str] = []
    wanted = settings.check
    gpus = containers = None
    try:
        gpus = _gpus(wanted, environ)
    except _Absent as error:
        notes.append(f"GPUs: {error}")
    try:
        containers = _containers(environ)
    except _Absent as error:
        notes.append(f"containers: {error}")
    busy = _busy(wanted.busy)
    if busy is None:
        notes.append(f"busy processes: /proc is {_NOT_HERE}")
    memory, load = _memory(wanted), _load(wanted)
    disks = [_disk(path, wanted) for path in dict.fromkeys((cwd, _existing(home)))]
    verdicts = [one.ok for one in gpus or []] + [disk.ok for disk in disks]
    verdicts += [memory is None or memory.ok, load is None or load.ok]
    return GateCheck(
        generated_at=stamp(),
        ok=all(verdicts) and not busy,
        gpus=gpus,
        busy=busy,
        containers=containers,
        memory=memory,
        disks=disks,
        load=load,
        gates=gates(home, settings),
        notes=notes,
    )


# ---- gates ----


def gates(home: str, settings: Settings) -> list[GateLine]:
    """Every gate that is set up, or that somebody stands at."""
    lines = []
    for name in sorted({*settings.gates, *slots.names(home)}):
        gate = settings.gates.get(name)
        here = [one for one in _line(home, name) if one.alive]
        if gate is None and not here:
            continue
        inside = [one for one in here if one.state == "in"]
        waiting = [one for one in here if one.state == "waiting"]
        gate = gate or Gate()
        lines.append(
            GateLine(
                name=name,
                slots=gate.slots,
                conditions=_conditions(gate),
                holders=[_standing(one, None) for one in inside],
                waiting=[_standing(one, place) for place, one in enumerate(waiting, 1)],
            )
        )
    return lines


def _line(home: str, name: str) -> list[Seen]:
    try:
        return slots.seen(home, name)
    except FileNotFoundError:
        return []


def _standing(one: Seen, place: int | None) -> Standing:
    who = slots.who(one)
    return Standing(place, who.get("job"), who.get("pid"), who.get("command"), who.get("since"))


def _conditions(gate: Gate) -> list[str]:
    found = []
    for key in ("gpu_free_mib", "mem_free_mib", "disk_free_gib", "command"):
        value = getattr(gate, key)
        if value:
            found.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return found


# ---- the machine ----


def _gpus(wanted: Check, environ: Mapping[str, str]) -> list[Gpu]:
    rows = _table(["nvidia-smi", f"--query-gpu={_GPU_COLUMNS}"], environ)
    try:
        apps = _table(["nvidia-smi", f"--query-compute-apps={_APP_COLUMNS}"], environ)
    except _Absent:
        apps = []
    gpus = []
    for row in rows:
        if len(row) != len(_GPU_COLUMNS.split(",")):
            raise _Absent(f"nvidia-smi says what nobody understands: {', '.join(row)}")
        index, uuid, name = row[:3]
        total, used, free, use = map(_number, row[3:])
        processes = [
            GpuProcess(int(app[1]), _number(app[2]), _command_line(app[1]))
            for app in apps
            if len(app) == len(_APP_COLUMNS.split(",")) and app[0] == uuid and app[1].isdecimal()
        ]
        short = free is not None and free < wanted.gpu_free_mib
        used_much = use is not None and use > wanted.gpu_use_pct
        told = [f"{free} of {total} MiB free"] if free is not None else []
        told += [f"{use}% used"] if use is not None else []
        told += [f"{len(processes)} compute process{'es' * (len(processes) != 1)}"]
        verdict = f"{'busy' if short or used_much else 'free'}: {', '.join(told)}"
        gpus.append(
            Gpu(
                index=_number(index) or 0,
                name=name,
                memory_total_mib=total,
                memory_used_mib=used,
                memory_free_mib=free,
                use_pct=use,
                processes=processes,
                ok=not short and not used_much,
                verdict=verdict,
            )
        )
    return gpus


def _containers(environ: Mapping[str, str]) -> list[Container]:
    found = []
    for line in _ask(["docker", "ps", "--format", "{{json .}}"], environ).splitlines():
        try:
            told: Any = json.loads(line)
            found.append(Container(str(told["Names"]), str(told["Image"]), str(told["Status"])))
        except (ValueError, KeyError, TypeError):
            raise _Absent(f"docker says what nobody understands: {line[:200]}") from None
    return found


def _busy(patterns: Sequence[str]) -> list[BusyProcess] | None:
    """Processes that these find, Codex and our own left out, and who called us: their words are only ours."""
    if not os.path.isdir("/proc/self"):
        return None
    ours = _ancestors(os.getpid())
    compiled = [(pattern, re.compile(pattern)) for pattern in patterns]
    found = []
    for name in os.listdir("/proc"):
        if not name.isdecimal() or int(name) in ours:
            continue
        command = _command_line(name)
        if not command or _is_codex(command):
            continue
        pattern = next((text for text, each in compiled if each.search(command)), None)
        if pattern is not None:
            found.append(BusyProcess(int(name), pattern, command))
    return sorted(found, key=lambda one: one.pid)


def _is_codex(command: str) -> bool:
    """Whether this is Codex, or one of ours: by the program, or the script that an interpreter runs."""
    words = [os.path.basename(word) for word in command.split()[:6] if not word.startswith("-")]
    return any(word.startswith("codex") for word in words[:2]) or "codex_agent/guardian.py" in command


def _ancestors(pid: int) -> set[int]:
    found = {pid}
    while pid > 1:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                line = file.read()
        except OSError:
            break
        pid = int(line[line.rindex(b")") + 2 :].split()[1])
        found.add(pid)
    return found


def _command_line(pid: str) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return None
    return b" ".join(words).decode("utf-8", "replace").strip() or None


def _memory(wanted: Check) -> Memory | None:
    free = memory_free()
    if free is None:
        return None
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    ok = free >= wanted.mem_free_mib * MIB
    verdict = f"{'enough' if ok else 'short'}: {free // MIB} of {total // MIB} MiB free"
    return Memory(free // MIB, total // MIB, ok, verdict)


def _disk(path: str, wanted: Check) -> Disk:
    free = disk_free(path)
    info = os.statvfs(path)
    total = info.f_blocks * info.f_frsize
    ok = free >= wanted.disk_free_gib * GIB
    verdict = f"{'enough' if ok else 'short'}: {free / GIB:.1f} of {total / GIB:.1f} GiB free"
    return Disk(path, round(free / GIB, 2), round(total / GIB, 2), ok, verdict)


def _load(wanted: Check) -> Load | None:
    try:
        one_minute = os.getloadavg()[0]
    except OSError:
        return None
    cpus = os.cpu_count() or 1
    ok = one_minute / cpus <= wanted.load_per_cpu
    return Load(
        round(one_minute, 2), cpus, ok, f"{'low' if ok else 'high'}: {one_minute:.2f} on {cpus} processors"
    )


# ---- asking programs ----


def _table(argv: Sequence[str], environ: Mapping[str, str]) -> list[list[str]]:
    text = _ask([*argv, "--format=csv,noheader,nounits"], environ)
    return [[cell.strip() for cell in line.split(",")] for line in text.splitlines() if line.strip()]


def _ask(argv: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a program prints. Raises _Absent with the reason."""
    program = shutil.which(argv[0], path=environ.get("PATH"))
    if program is None:
        raise _Absent(f"{argv[0]} is {_NOT_HERE}")
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _Absent(f"{argv[0]} does not answer within {_ANSWER_S:.0f} s") from None
    except OSError as error:
        raise _Absent(f"{argv[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        told = (done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()
        raise _Absent(f"{argv[0]} says {done.returncode}{': ' + told[0] if told else ''}")
    return done.stdout.decode("utf-8", "replace")


def _number(text: str) -> int | None:
    """A count as nvidia-smi writes it; None for ``[N/A]`` and its like."""
    return int(text) if text.isdecimal() else None


def _existing(path: str) -> str:
    """The folder, or the nearest one above it that is there."""
    while not os.path.isdir(path) and os.path.dirname(path) != path:
        path = os.path.dirname(path)
    return path
