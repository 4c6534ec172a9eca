"""The one command: measures the groups asked for, prints the table, and with --write puts it into README.md."""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks import (
    commands,
    rollouts,
    starts,
    staying,
    table,
    talking,
    thinking,
    threads,
    tracking,
    turns,
    waits,
)
from benchmarks.stage import Stage, stage
from support import codex

GROUPS: dict[str, Callable[[Stage], list[table.Row]]] = {
    "commands": commands.rows,
    "start": starts.rows,
    "wait": waits.rows,
    "thinking": thinking.rows,
    "turns": turns.rows,
    "staying": staying.rows,
    "talking": talking.rows,
    "threads": threads.rows,
    "rollouts": rollouts.rows,
    "tracking": tracking.rows,
}


def main() -> int:
    """Exit code 1 if a row is over its limit."""
    parser = argparse.ArgumentParser(prog="tests/benchmarks/run", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of: {', '.join(GROUPS)} (default: all)")
    parser.add_argument("--write", action="store_true", help="put the table into README.md (all groups only)")
    wanted = parser.parse_args()
    unknown = set(wanted.groups) - set(GROUPS)
    if unknown or (wanted.write and wanted.groups):
        parser.error(f"no such group: {', '.join(unknown)}" if unknown else "--write wants all groups")
    rows: list[table.Row] = []
    began = time.monotonic()
    with stage() as shared:
        load = os.getloadavg()[0]
        for name in wanted.groups or GROUPS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            rows += GROUPS[name](shared)
        machine = describe(shared, load)
    block = f"{machine} {time.monotonic() - began:.0f} s in all.\n\n{table.text(rows)}"
    print(block)
    if wanted.write:
        table.put_into_readme(block)
    return 1 if any(row.met is False for row in rows) else 0


def describe(shared: Stage, load: float) -> str:
    """One sentence on what it was measured with; ``load`` is the load average at the start."""
    version = subprocess.run([shared.python, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    tmux = subprocess.run(["tmux", "-V"], capture_output=True, text=True, check=True).stdout.strip()
    day = time.strftime("%Y-%m-%d", time.gmtime())
    programs = f"{version}, Codex {codex('newest').version}, {tmux}"
    cores = f"{os.cpu_count()} cores (load {load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end)"
    return f"{day}: {platform.system()} {platform.machine()}, {_processor()}, {cores}, {programs}."


def _processor() -> str:
    """As the kernel names it, with the memory there is."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "unnamed")
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{model}, {pages * size / 2**30:.0f} GiB"


if __name__ == "__main__":
    sys.exit(main())
