"""Owns our section of a folder's AGENTS.md: put in, taken out, shown.

The section stands between two marks of ours and says how to work under this tool. Must never change a byte outside
those marks, and leaves the file as it was before when the section is taken out.
"""

from __future__ import annotations

import contextlib
import os
import tempfile

from codex_agent.answers import AgentsMd
from codex_agent.errors import BadState, SystemRefused, UsageError
from codex_agent.instructions import HOW_TO_WORK

FILE = "AGENTS.md"
BEGIN = "<!-- codex-agent: begin (codex-agent agents-md remove takes this out) -->"
END = "<!-- codex-agent: end -->"
_SECTION = f"{BEGIN}\n## Working under codex-agent\n\n{HOW_TO_WORK}{END}"


def show(folder: str) -> AgentsMd:
    """Whether the section is there, and whether it is today's. Raises UsageError, BadState, SystemRefused."""
    path, text = _file(folder)
    at = _find(path, text or "")
    section = None if text is None or at is None else text[slice(*at)]
    return AgentsMd(path, section is not None, section == _SECTION, False, section)


def add(folder: str) -> AgentsMd:
    """Puts the section at the end, or brings it up to date where it stands; raises as ``show`` does.

    The file's last line keeps its end, or its lack of one: our section behind it ends in the same way, which is
    how taking it out knows what was there.
    """
    path, text = _file(folder)
    at = _find(path, text or "")
    if text is None:
        new = _SECTION + "\n"
    elif at is not None:
        new = text[: at[0]] + _SECTION + text[at[1] :]
    else:
        new = f"{text}\n{_SECTION}\n" if _whole(text) else f"{text}\n\n{_SECTION}"
    if new != text:
        _write(path, new)
    return AgentsMd(path, True, True, new != text, _SECTION)


def remove(folder: str) -> AgentsMd:
    """Takes the section out, and the file too if that was all of it and we made it. Raises as ``show`` does."""
    path, text = _file(folder)
    at = _find(path, text or "")
    if text is None or at is None:
        return AgentsMd(path, False, False, False, None)
    before, after = text[: at[0]], text[at[1] :]
    if after == "":
        left = before.removesuffix("\n\n")
    elif after == "\n":
        left = before.removesuffix("\n")
    else:  # somebody went on behind it
        left = before.removesuffix("\n") + after.removeprefix("\n")
    if before + after.strip("\n"):
        _write(path, left)
    else:
        try:
            os.unlink(path)
        except OSError as error:
            raise _refused(path, error) from error
    return AgentsMd(path, False, False, True, None)


def _whole(text: str) -> bool:
    return text == "" or text.endswith("\n")


def _find(path: str, text: str) -> tuple[int, int] | None:
    """Where our section stands. Raises BadState if its marks are not one pair in order."""
    begins, ends = text.count(BEGIN), text.count(END)
    if begins == ends == 0:
        return None
    begin, end = text.find(BEGIN), text.find(END)
    if begins != 1 or ends != 1 or end < begin:
        raise BadState(
            f"The marks of our section in {path} are damaged: {begins} begin it, {ends} end it.",
            "Take what is left of them out by hand, then try again.",
            path=path,
        )
    return begin, end + len(END)


def _file(folder: str) -> tuple[str, str | None]:
    """The file and what is in it, byte for byte; None if there is none."""
    full = os.path.abspath(folder)
    if not os.path.isdir(full):
        raise UsageError(f"There is no directory {full}", "Name one: -d DIR", path=full)
    path = os.path.join(full, FILE)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return path, file.read()
    except FileNotFoundError:
        return path, None
    except OSError as error:
        raise _refused(path, error) from error


def _write(path: str, text: str) -> None:
    """Puts the text in the file's place, whole or not at all. A link stays a link, and the mode what it was."""
    target = os.path.realpath(path)
    draft = None
    try:
        mode = os.stat(target).st_mode & 0o777 if os.path.exists(target) else 0o666 & ~_umask()
        handle, draft = tempfile.mkstemp(prefix=f".{FILE}.", dir=os.path.dirname(target))
        with open(handle, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, target)
    except OSError as error:
        if draft is not None:
            with contextlib.suppress(OSError):
                os.unlink(draft)
        raise _refused(path, error) from error


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _refused(path: str, error: OSError) -> SystemRefused:
    return SystemRefused(f"{path}: {error.strerror}.", "Check its owner, its folder and the disk.", path=path)
