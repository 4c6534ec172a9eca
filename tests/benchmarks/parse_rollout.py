"""One process that parses one rollout and prints what it says: the program whose time and memory are measured.

    python -ISE parse_rollout.py SRC FILE

Loads the reader from SRC and nothing that it can do without. ``peak_kb`` is the kernel's VmHWM: ``ru_maxrss``
would count what the process that started this one had.
"""

from __future__ import annotations

import posix
import sys
from _json import encode_basestring_ascii as quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def main(source: str, path: str) -> None:
    sys.path.insert(0, source)
    from codex_agent.rollouts.reader import Reader

    reader = Reader(path)
    reader.read_new()
    state = reader.state
    answer = {
        "thread_id": state.thread_id,
        "tokens": state.counted,
        "spent": state.billed,
        "turns": state.turns_completed,
        "files": state.files,
        "last_message": state.last_message,
        "bad_lines": reader.bad_lines,
        "unknown_lines": reader.unknown_lines,
        "peak_kb": peak_kb(),
    }
    posix.write(1, (text(answer) + "\n").encode())
    posix._exit(0)  # nothing is left to be tidied up


def peak_kb() -> int:
    fd = posix.open("/proc/self/status", posix.O_RDONLY)
    told = posix.read(fd, 1 << 16)
    return int(told[told.index(b"VmHWM:") + 6 :].split(None, 1)[0])


def text(value: Any) -> str:
    """JSON, without the package that would take longer to load than to write this."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{quoted(key)}:{text(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(text, value)) + "]"
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


if __name__ == "__main__":
    main(*sys.argv[1:])
