"""Owns the shape of what `gate check` says: the machine as it is now, and who stands at which gate.

Only shapes, as in ``answers.py``; ``machine.py`` fills them.
"""

from __future__ import annotations

from dataclasses import dataclass

from codex_agent.model import doc


@dataclass(slots=True)
class GpuProcess:
    """A program that computes on a GPU."""

    pid: int = doc("Its process id.")
    memory_mib: int | None = doc("GPU memory it uses; null if the driver does not tell.")
    command: str | None = doc("Its command line; null if it is gone.")


@dataclass(slots=True)
class Gpu:
    """One GPU."""

    index: int = doc("Its number.")
    name: str = doc("What it is.")
    memory_total_mib: int | None = doc("Its memory.")
    memory_used_mib: int | None = doc("What of it is used.")
    memory_free_mib: int | None = doc("What of it is free.")
    use_pct: int | None = doc("How busy it is, 0 to 100.")
    processes: list[GpuProcess] = doc("What computes on it.")
    ok: bool = doc("Whether it is free by `check.gpu_free_mib` and `check.gpu_use_pct`.")
    verdict: str = doc("The same in words.")


@dataclass(slots=True)
class BusyProcess:
    """A process that one of the patterns in `check.busy` finds."""

    pid: int = doc("Its process id.")
    pattern: str = doc("The first pattern that finds it.")
    command: str = doc("Its command line.")


@dataclass(slots=True)
class Container:
    """A container that runs. That it is up does not say that it is busy."""

    name: str = doc("Its name.")
    image: str = doc("Its image.")
    status: str = doc("Docker's words, such as `Up 2 hours`.")


@dataclass(slots=True)
class Memory:
    """The machine's memory."""

    free_mib: int = doc("What could be had without swapping.")
    total_mib: int = doc("All of it.")
    ok: bool = doc("Whether that is enough by `check.mem_free_mib`.")
    verdict: str = doc("The same in words.")


@dataclass(slots=True)
class Disk:
    """The disk a folder is on."""

    path: str = doc("The folder.")
    free_gib: float = doc("What the user may still write.")
    total_gib: float = doc("All of it.")
    ok: bool = doc("Whether that is enough by `check.disk_free_gib`.")
    verdict: str = doc("The same in words.")


@dataclass(slots=True)
class Load:
    """How much the processors have to do."""

    one_minute: float = doc("The load average over one minute.")
    cpus: int = doc("How many processors there are.")
    ok: bool = doc("Whether that is low by `check.load_per_cpu`.")
    verdict: str = doc("The same in words.")


@dataclass(slots=True)
class Standing:
    """One that stands at a gate."""

    place: int | None = doc("Its place in the line, 1 is the next; null if it is in.")
    job: str | None = doc("The job; null for a command of `gate run`.")
    pid: int | None = doc("The process that took the place.")
    command: str | None = doc("The command of `gate run`.")
    since: str | None = doc("When it came.")


@dataclass(slots=True)
class GateLine:
    """A gate: what is set for it, or who stands at it."""

    name: str = doc("Its name.")
    slots: int = doc("How many may be in.")
    conditions: list[str] = doc("What it demands of the machine, as it stands in the settings.")
    holders: list[Standing] = doc("Who is in.")
    waiting: list[Standing] = doc("Who waits, the next one first.")


@dataclass(slots=True)
class GateCheck:
    """What `gate check` prints."""

    generated_at: str = doc("When this was put together.")
    ok: bool = doc("Whether nothing is busy or short.")
    gpus: list[Gpu] | None = doc("The GPUs; null if there is no nvidia-smi here, or it does not work.")
    busy: list[BusyProcess] | None = doc("Processes by pattern; null where the system does not tell.")
    containers: list[Container] | None = doc(
        "Containers that run; null if docker is not here, or does not answer."
    )
    memory: Memory | None = doc("Null where the system does not tell.")
    disks: list[Disk] = doc("The disks of the working directory and of our own folder.")
    load: Load | None = doc("Null where the system does not tell.")
    gates: list[GateLine] = doc("Every gate that is set up, or that somebody stands at.")
    notes: list[str] = doc("Why something is null.")
