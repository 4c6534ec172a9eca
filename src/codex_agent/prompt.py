"""Owns the text that goes to Codex: where the prompt comes from, the files and the map put behind it.

Must never start anything, write anything, or read a file outside the working directory other than the
prompt file. What it leaves out it names in a notice; a call that is wrong in itself raises UsageError.

The task comes first, the map and the files behind it. OpenAI's own advice for its models is that
instructions above a long context work better than below it, and the first line is what Codex shows in its
lists of threads.

What Codex does with a prompt on stdin (`codex exec -`; 0.133.0, 0.163.0 and 0.169.0 alike, with a loopback
model; tests hold it to that):
- NUL characters reach the model as they are, so they are passed on; so does a prompt of nothing else.
- The limit counts characters, not bytes: 1,048,576 emoji (4 MB) pass, one more fails.
- White space at both ends is kept, and counts; a byte order mark at the start is dropped.
- Bytes that are not UTF-8, and white space alone, end it with status 1: refused here, before a job is made.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from codex_agent.errors import PromptTooLong, UsageError

# Larger files are left out: 500 KB as in 500 * 1024 bytes.
MAX_FILE_BYTES = 500 * 1024
MAPS = ("docs/CODEBASE_MAP.md", "CODEBASE_MAP.md", "docs/ARCHITECTURE.md")
# A notice names this many paths of a kind and counts the others.
_NAMED = 20


@dataclass(frozen=True, slots=True)
class FileIncluded:
    """A file that went into the prompt; ``path`` is relative to the working directory."""

    path: str
    chars: int


@dataclass(frozen=True, slots=True)
class BuiltPrompt:
    """The whole prompt. ``notices`` are sentences for the person; ``files`` are in the order of the text.

    ``tokens_estimated`` is a quarter of the UTF-8 bytes, which is close for English and code and within
    about half for other scripts; nothing decides by it.
    """

    text: str
    notices: list[str]
    files: list[FileIncluded]
    chars: int
    tokens_estimated: int


@dataclass(slots=True)
class _Pick:
    """What was chosen so far, and what was left out and why (reason -> paths)."""

    cwd: str
    root: str  # the same with all links resolved
    left_out: dict[str, list[str]] = field(default_factory=dict)
    seen: set[tuple[int, int]] = field(default_factory=set)

    def leave_out(self, reason: str, path: str) -> None:
        paths = self.left_out.setdefault(reason, [])
        if path not in paths:
            paths.append(path)


def read_prompt(
    arg: str | None,
    prompt_file: str | None,
    stdin: BinaryIO | None,
    *,
    limit: int | None = None,
    what: str = "prompt",
    option: str = "--prompt-file",
) -> str:
    """The prompt as given: the argument, the prompt file, or stdin if either of them is ``-``.

    At most ``limit`` characters are taken, so that an endless stdin ends in an error and not in a full
    memory. ``what`` and ``option`` are the caller's words for the text and for the file's option. Raises
    UsageError for no source or two, a file that cannot be read, text that is not UTF-8 (with the offset of the
    first bad byte) or that is empty or only white space, PromptTooLong above the limit.
    """
    if arg is not None and prompt_file is not None:
        raise UsageError(f"There are two {what}s: the argument and {option}.", "Give one of them.")
    if arg is None and prompt_file is None:
        raise UsageError(
            f"There is no {what}.", f'Give it in quotes, as "-" to read it from stdin, or with {option} FILE.'
        )
    if arg is not None and arg != "-":
        source, data = f"The {what}", arg.encode(errors="surrogatepass")
    elif arg == "-" or prompt_file == "-":
        if stdin is None:
            raise UsageError(f"There is no stdin to read the {what} from.", f"Use {option} FILE.")
        source, data = f"The {what} on stdin", _read_bounded(stdin, limit)
    else:
        assert prompt_file is not None
        source = f"The {what} file {prompt_file}"
        try:
            with open(prompt_file, "rb") as handle:
                data = _read_bounded(handle, limit)
        except OSError as error:
            raise UsageError(f"{source} cannot be read: {error.strerror}.", file=prompt_file) from error
    try:
        text = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if limit is not None and len(data) >= _most_bytes(limit):  # perhaps cut inside a character
            check_length(data.decode(errors="replace"), limit, at_least=True, what=what)
        raise UsageError(
            f"{source} is not UTF-8: byte {error.start} cannot be read.", "Save it as UTF-8.", offset=error.start
        ) from error
    if not text.strip():
        raise UsageError(f"{source} is empty.", "Say what the agent shall do.")
    if limit is not None:
        check_length(text, limit, at_least=len(data) >= _most_bytes(limit), what=what)
    return text


def check_length(text: str, limit: int, *, at_least: bool = False, what: str = "prompt") -> None:
    """Raises PromptTooLong above ``limit`` characters. ``at_least``: there was more than ``text`` shows."""
    if len(text) > limit:
        raise PromptTooLong(
            f"The {what} has {'at least ' * at_least}{len(text):,} characters; Codex takes up to {limit:,}.",
            "Put the long part in a file in the working directory and tell the agent to read it.",
            chars=len(text),
            limit=limit,
        )


def build(text: str, *, cwd: str, globs: Sequence[str], use_map: bool, limit: int | None = None) -> BuiltPrompt:
    """``text`` and, behind it, the map and the files that ``globs`` choose, each as a fenced block under
    its path.

    Globs are relative to ``cwd``; files come in the order of the globs, then by path. ``*``, ``?`` and
    ``[...]`` stay within one name, ``**`` stands for any number of folders (links to folders are not
    followed, they may lead in circles), names that start with a dot are only matched by a part that does; a
    glob that is the name of a file means that file. ``!GLOB`` leaves out what it matches, folders with all
    that is in them, wherever in the list it stands. With nothing to add the text is returned as it is.

    Raises UsageError, before reading anything, for a glob that leaves ``cwd``; PromptTooLong above ``limit``
    characters, as soon as that is clear.
    """
    cwd = os.path.abspath(cwd)
    wanted = [_inside(pattern, cwd, pattern) for pattern in globs if not pattern.startswith("!")]
    unwanted = [_inside(pattern[1:], cwd, pattern) for pattern in globs if pattern.startswith("!")]
    notices: list[str] = []
    pick = _Pick(cwd, os.path.realpath(cwd))
    blocks = [text]
    files: list[FileIncluded] = []
    chars = len(text)
    for path in [*_map(cwd, use_map, notices), *_choose(cwd, wanted, unwanted, notices)]:
        content = _content(path, pick)
        if content is None:
            continue
        blocks.append(_block(path, content))
        files.append(FileIncluded(path, len(content)))
        chars += len(blocks[-1]) + 2
        if limit is not None and chars > limit:
            raise PromptTooLong(
                f"With {len(files)} files the prompt has {chars:,} characters; Codex takes up to {limit:,}.",
                "Choose fewer files; the agent can read the others itself.",
                chars=chars,
                limit=limit,
            )
    for reason, paths in pick.left_out.items():
        named = ", ".join(_shown(path) for path in paths[:_NAMED])
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        notices.append(f"Left out ({reason}): {named}{more}.")
    whole = "\n\n".join(blocks)
    return BuiltPrompt(whole, notices, files, len(whole), (len(whole.encode()) + 3) // 4)


# ---- choosing ----


def _inside(pattern: str, cwd: str, given: str) -> str:
    """The glob relative to ``cwd`` without ``.`` and ``..``. Raises UsageError if it is empty or leads
    outside.
    """
    if not pattern:
        raise UsageError(
            f'"{given}" is no glob.', "For example: src/**/*.py, or '!src/**/*_test.py' to leave out."
        )
    relative = pattern
    if os.path.isabs(pattern):
        # The folder may have been named through a link, or the glob may.
        roots = [root for root in (cwd, os.path.realpath(cwd)) if _is_below(os.path.normpath(pattern), root)]
        relative = os.path.relpath(pattern, roots[0]) if roots else ".."
    relative = os.path.normpath(relative)
    if relative == ".." or relative.startswith("../"):
        raise UsageError(
            f'"{given}" leads out of the working directory {cwd}.',
            "Start the agent in the folder that has the files (--dir), or let it read them itself.",
            glob=given,
        )
    return relative


def _is_below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _choose(cwd: str, wanted: list[str], unwanted: list[str], notices: list[str]) -> list[str]:
    """The paths of files that the globs choose, in order, the same one possibly more than once."""
    excluded = {path for pattern in unwanted for path in _expand(cwd, pattern)}
    if unwanted and not wanted:
        notices.append("Only globs to leave out were given, so no file is included.")
    chosen = []
    for pattern in wanted:
        matches = sorted(_expand(cwd, pattern))
        files = [path for path in matches if not os.path.isdir(os.path.join(cwd, path))]
        kept = [path for path in files if not _is_excluded(path, excluded)]
        if not matches:
            notices.append(f'"{_shown(pattern)}" matches nothing.')
        elif not files:
            inside = "**" if pattern == "." else f"{pattern.removesuffix('/**')}/**"
            notices.append(f'"{pattern}" matches only directories; "{inside}" takes the files in them.')
        elif not kept:
            notices.append(f'All that "{pattern}" matches was left out by a "!" glob.')
        chosen += kept
    return chosen


def _is_excluded(path: str, excluded: set[str]) -> bool:
    while path:
        if path in excluded:
            return True
        path = os.path.dirname(path)
    return "." in excluded


def _expand(cwd: str, pattern: str) -> set[str]:
    """The files and folders a glob matches, relative to ``cwd``.

    Not glob.glob: its ``**`` follows links to folders, and two links that lead upwards keep it busy for
    hours.
    """
    if os.path.lexists(os.path.join(cwd, pattern)):
        return {pattern}  # also names like app/[id]/page.tsx
    return set(_walk(cwd, "", pattern.split("/")))


def _walk(cwd: str, folder: str, parts: list[str]) -> Iterator[str]:
    part, rest = parts[0], parts[1:]
    if part == "**":
        if rest:
            yield from _walk(cwd, folder, rest)
        for name, is_folder in _names(cwd, folder):
            if name.startswith("."):
                continue
            path = os.path.join(folder, name)
            if not rest:
                yield path
            if is_folder:
                yield from _walk(cwd, path, parts)
        return
    matches = re.compile(fnmatch.translate(part)).match
    for name, _ in _names(cwd, folder):
        if matches(name) and (part.startswith(".") or not name.startswith(".")):
            path = os.path.join(folder, name)
            if not rest:
                yield path
            elif os.path.isdir(os.path.join(cwd, path)):
                yield from _walk(cwd, path, rest)


def _names(cwd: str, folder: str) -> list[tuple[str, bool]]:
    """What is in a folder: (name, whether it is a folder and not a link to one). A folder we may not read
    is empty.
    """
    try:
        with os.scandir(os.path.join(cwd, folder)) as entries:
            return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []


def _map(cwd: str, use_map: bool, notices: list[str]) -> list[str]:
    if not use_map:
        return []
    for path in MAPS:
        if os.path.isfile(os.path.join(cwd, path)):
            return [path]
    notices.append(f"There is no map: none of {', '.join(MAPS)} exists.")
    return []


# ---- reading and writing down ----


def _content(path: str, pick: _Pick) -> str | None:
    """The file's text, or None after noting why it is left out."""
    full = os.path.join(pick.cwd, path)
    if not _is_below(os.path.realpath(full), pick.root):
        pick.leave_out("a link out of the working directory", path)
        return None
    try:
        found = os.stat(full)
        if not stat.S_ISREG(found.st_mode):
            pick.leave_out("not a regular file", path)
            return None
        if (found.st_dev, found.st_ino) in pick.seen:
            pick.leave_out("already included", path)
            return None
        with open(full, "rb") as handle:
            data = handle.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        pick.leave_out(f"cannot be read: {error.strerror}", path)
        return None
    if len(data) > MAX_FILE_BYTES:
        pick.leave_out(f"over 500 KB, that is {MAX_FILE_BYTES:,} bytes", path)
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        pick.leave_out("binary", path)
        return None
    pick.seen.add((found.st_dev, found.st_ino))
    return text


def _block(path: str, content: str) -> str:
    """The content under its path, in a fence longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", content)), default=0)
    fence = "`" * max(3, longest + 1)
    suffix = os.path.splitext(path)[1][1:]
    language = suffix if suffix.isascii() and suffix.isalnum() else ""
    end = "" if content.endswith("\n") or not content else "\n"
    return f"File: {_shown(path)}\n\n{fence}{language}\n{content}{end}{fence}"


def _shown(path: str) -> str:
    # A file name may hold line ends, escape sequences and bytes that are not UTF-8.
    return path if path.isprintable() else ascii(path)


def _read_bounded(handle: BinaryIO, limit: int | None) -> bytes:
    return handle.read() if limit is None else handle.read(_most_bytes(limit))


def _most_bytes(limit: int) -> int:
    """So many bytes are surely more than ``limit`` characters (four bytes each) behind a byte order mark."""
    return 4 * limit + 4
