"""The prompt: its sources, the files and the map behind it, and what real Codex makes of odd ones."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from codex_agent import prompt
from codex_agent.demo.model_server import ModelServer
from codex_agent.errors import PromptTooLong, UsageError
from support import Codex, Home

LIMIT = 1_048_576


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A working directory with a bit of everything, and a file next to it that is nobody's business."""
    (tmp_path / "outside.txt").write_text("secret\n")
    work = tmp_path / "work"
    for path, text in {
        "a.py": "print('a')\n",
        "README.md": "# Read me",
        "src/b.py": "b = 1\n",
        "src/deep/er/c.py": "c = 1\n",
        "src/deep/er/c.txt": "c\n",
        "src/.hidden/d.py": "d = 1\n",
        ".github/ci.yml": "ci\n",
        "app/[id]/page.tsx": "page\n",
    }.items():
        (work / path).parent.mkdir(parents=True, exist_ok=True)
        (work / path).write_text(text)
    return work


def build(work: Path, *globs: str, use_map: bool = False, limit: int | None = None) -> prompt.BuiltPrompt:
    return prompt.build("Do it.", cwd=str(work), globs=globs, use_map=use_map, limit=limit)


def paths(work: Path, *globs: str) -> list[str]:
    return [file.path for file in build(work, *globs).files]


def test_without_files_the_prompt_is_as_given(work: Path) -> None:
    odd = "  -x \"quotes\" 'n' \0 \U0001f600\n\n"
    built = prompt.build(odd, cwd=str(work), globs=[], use_map=False)
    assert built == prompt.BuiltPrompt(odd, [], [], len(odd), -(-len(odd.encode()) // 4))


def test_the_task_comes_first_then_each_file_under_its_path(work: Path) -> None:
    built = build(work, "README.md", "a.py")
    assert built.text == (
        "Do it.\n\nFile: README.md\n\n```md\n# Read me\n```\n\nFile: a.py\n\n```py\nprint('a')\n```"
    )
    assert built.files == [prompt.FileIncluded("README.md", 9), prompt.FileIncluded("a.py", 11)]
    assert (built.chars, built.notices) == (len(built.text), [])


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["*.py"], ["a.py"]),
        (["**/*.py"], ["a.py", "src/b.py", "src/deep/er/c.py"]),
        (["src/**"], ["src/b.py", "src/deep/er/c.py", "src/deep/er/c.txt"]),
        (["src/*/*/c.*"], ["src/deep/er/c.py", "src/deep/er/c.txt"]),
        (["./src/../[ab].py", "src/?.py"], ["a.py", "src/b.py"]),
        (["src/**/*.txt", "a.py"], ["src/deep/er/c.txt", "a.py"]),
        (["src/.hidden/*", "**/.h*/**"], ["src/.hidden/d.py"]),
        ([".*/*"], [".github/ci.yml"]),
        (["*/*.yml", "a.py"], ["a.py"]),
        (["app/[id]/page.tsx"], ["app/[id]/page.tsx"]),
        (["!src/deep", "**/*.py"], ["a.py", "src/b.py"]),
        (["**/*.py", "!src/deep/", "!**/a.*"], ["src/b.py"]),
        (["src/**", "!**/c.py"], ["src/b.py", "src/deep/er/c.txt"]),
        (["*.py", "!."], []),
    ],
    ids=lambda value: " ".join(value) or "nothing",
)
def test_globs(globs: list[str], expected: list[str], work: Path) -> None:
    assert paths(work, *globs) == expected


def test_an_absolute_glob_inside_is_one_like_others(work: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(work)
    assert paths(work, f"{work}/src/*.py") == ["src/b.py"]
    assert [
        file.path
        for file in prompt.build("x", cwd=f"{tmp_path}/link/", globs=[f"{work}/a.py"], use_map=False).files
    ] == ["a.py"]


@pytest.mark.parametrize(
    "glob", ["../outside.txt", "src/../../*", "/etc/passwd", "!../x", "**/../../x", "..", "/", "!"]
)
def test_a_glob_that_leaves_the_directory_is_refused(glob: str, work: Path) -> None:
    with pytest.raises(UsageError) as caught:
        build(work, "a.py", glob)
    assert f'"{glob}"' in caught.value.message
    sibling = f"{work}-other/x"  # begins like the directory and is not in it
    with pytest.raises(UsageError, match="leads out"):
        build(work, sibling)


def test_links_out_of_the_directory_are_left_out_and_named(work: Path) -> None:
    (work / "link.txt").symlink_to(work.parent / "outside.txt")
    (work / "up").symlink_to(work.parent)
    (work / "in.py").symlink_to("src/b.py")
    neighbour = Path(f"{work}-too")  # its path begins like the directory's
    neighbour.mkdir()
    (neighbour / "n.txt").write_text("secret\n")
    (work / "n.txt").symlink_to(neighbour / "n.txt")
    built = build(work, "*", "up/*.txt", "!README.md")
    assert [file.path for file in built.files] == ["a.py", "in.py"]
    assert built.notices == ["Left out (a link out of the working directory): link.txt, n.txt, up/outside.txt."]
    assert "secret" not in built.text


def test_links_in_circles_are_not_followed(work: Path) -> None:
    (work / "src/round").symlink_to("..")
    (work / "src/deep/round").symlink_to("../..")
    assert paths(work, "**/*.py") == ["a.py", "src/b.py", "src/deep/er/c.py"]


def test_what_is_left_out_is_named(work: Path) -> None:
    (work / "nul").write_bytes(b"a" * 9000 + b"\0")
    (work / "latin").write_bytes(b"caf\xe9")
    (work / "full").write_bytes(b"x" * 512_000)
    (work / "over").write_bytes(b"x" * 512_001)
    (work / "gone").symlink_to("nowhere")
    os.mkfifo(work / "pipe")
    os.link(work / "a.py", work / "b-same.py")
    built = build(work, "[abfglnop]*", "a.py", "over")
    assert [file.path for file in built.files] == ["a.py", "full"]
    assert sorted(built.notices) == [
        "Left out (already included): b-same.py, a.py.",
        "Left out (binary): latin, nul.",
        "Left out (cannot be read: No such file or directory): gone.",
        "Left out (not a regular file): pipe.",
        "Left out (over 500 KB, that is 512,000 bytes): over.",
    ]


def test_a_notice_names_twenty_and_counts_the_rest(work: Path) -> None:
    for number in range(25):
        (work / f"{number:02}.bin").write_bytes(b"\0")
    assert build(work, "*.bin").notices[0].endswith("18.bin, 19.bin and 5 more.")


def test_notices_about_globs(work: Path) -> None:
    assert build(work, "*.rs", "s*", ".", "!x", "a.py", "!a.py").notices == [
        '"*.rs" matches nothing.',
        '"s*" matches only directories; "s*/**" takes the files in them.',
        '"." matches only directories; "**" takes the files in them.',
        'All that "a.py" matches was left out by a "!" glob.',
    ]
    assert build(work, "!*.py").notices == ["Only globs to leave out were given, so no file is included."]


def test_a_fence_is_longer_than_any_in_the_file(work: Path) -> None:
    (work / "x.md").write_text("````\n```py\n````")
    (work / "empty.c++").write_text("")
    text = build(work, "x.md", "empty.c++").text
    assert "File: x.md\n\n`````md\n````\n```py\n````\n`````" in text
    assert text.endswith("File: empty.c++\n\n```\n```")


def test_odd_file_names_cannot_break_the_text(work: Path) -> None:
    (work / "a\n```\x1b[2J.py").write_text("x\n")
    with open(os.fsencode(work) + b"/\xff.rs", "w") as file:
        file.write("y\n")
    text = build(work, "a?*.py", "*.rs").text
    assert r"File: 'a\n```\x1b[2J.py'" in text
    assert r"File: '\udcff.rs'" in text
    text.encode()


def test_map_takes_the_first_that_exists(work: Path) -> None:
    assert build(work, use_map=True).notices == [
        "There is no map: none of docs/CODEBASE_MAP.md, CODEBASE_MAP.md, docs/ARCHITECTURE.md exists."
    ]
    (work / "docs").mkdir()
    for path in reversed(prompt.MAPS):
        (work / path).write_text(f"map in {path}\n")
        built = build(work, "a.py", path, use_map=True)
        assert built.text.startswith(f"Do it.\n\nFile: {path}\n\n```md\nmap in {path}\n```\n\nFile: a.py")
        assert built.notices == [f"Left out (already included): {path}."]


def test_too_many_files_are_noticed_while_reading(work: Path) -> None:
    for name in "1234":
        (work / f"{name}.big").write_text("x" * 400_000)
    with pytest.raises(
        PromptTooLong, match=r"With 3 files the prompt has 1,200,0\d\d characters; Codex takes up to 1,048,576"
    ):
        build(work, "*.big", limit=LIMIT)
    assert len(build(work, "[12].big", limit=LIMIT).files) == 2


# ---- where the prompt comes from ----


def test_sources(tmp_path: Path) -> None:
    file = tmp_path / "p.txt"
    file.write_text("from file \U0001f600\r\n", newline="")
    assert prompt.read_prompt("-x 'y'", None, None) == "-x 'y'"
    assert prompt.read_prompt(None, str(file), None) == "from file \U0001f600\r\n"
    for arg, name in (("-", None), (None, "-")):
        assert prompt.read_prompt(arg, name, io.BytesIO(b"\xef\xbb\xbfin\0\n")) == "in\0\n"


@pytest.mark.parametrize(
    ("arg", "file", "stdin", "words"),
    [
        (None, None, b"x", "There is no prompt"),
        ("a", "b", b"x", "There are two prompts"),
        ("", None, b"x", "The prompt is empty"),
        (" \n\t\u00a0", None, b"x", "The prompt is empty"),
        ("-", None, b"", "The prompt on stdin is empty"),
        ("-", None, b"\xef\xbb\xbf\n", "The prompt on stdin is empty"),
        ("-", None, None, "There is no stdin"),
        ("-", None, b"caf\xe9", "The prompt on stdin is not UTF-8: byte 3"),
        ("\u00e9\udcff", None, None, "The prompt is not UTF-8: byte 2"),
        (None, "/nowhere/p", None, "The prompt file /nowhere/p cannot be read: No such file"),
        (None, "/", None, "The prompt file / cannot be read: Is a directory"),
    ],
)
def test_bad_sources(arg: str | None, file: str | None, stdin: bytes | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        prompt.read_prompt(arg, file, None if stdin is None else io.BytesIO(stdin))


def test_the_limit_counts_characters() -> None:
    def read(data: bytes) -> str:
        return prompt.read_prompt("-", None, io.BytesIO(data), limit=LIMIT)

    emoji = "\U0001f600".encode()
    assert len(read(b"\xef\xbb\xbf" + emoji * LIMIT)) == LIMIT
    with pytest.raises(PromptTooLong, match="has at least 1,048,577 characters; Codex takes up to 1,048,576"):
        read(emoji * (LIMIT + 1))
    with pytest.raises(PromptTooLong, match="has 2,000,000 characters"):
        read(b"x" * 2_000_000)
    with pytest.raises(PromptTooLong, match="has at least"):
        read(b"\xef\xbb\xbf" + emoji * LIMIT * 2)
    with open("/dev/zero", "rb") as endless, pytest.raises(PromptTooLong, match="has at least"):
        prompt.read_prompt("-", None, endless, limit=LIMIT)


# ---- what Codex makes of it: the facts this module is built on ----


def ask(which: Codex, home: Home, model: ModelServer, data: bytes) -> tuple[int, str]:
    """Runs one turn; returns the exit status and the text of the last user message the model got."""
    ran = subprocess.run(
        [which.path, "exec", "--json", "--skip-git-repo-check", "-C", str(home.root), "-s", "read-only", "-"],
        input=data,
        env=home.env,
        capture_output=True,
        timeout=60,
        check=False,
    )
    bodies: list[dict[str, Any]] = model.requests
    return ran.returncode, bodies[-1]["input"][-1]["content"][-1]["text"] if bodies else ""


@pytest.mark.parametrize(
    "text", ["a\0b task\0", "\0\0", '  -x "q" \U0001f600 \n\n'], ids=["nul", "only-nul", "odd"]
)
def test_codex_passes_odd_prompts_on(text: str, each_codex: Codex, home: Home, model: ModelServer) -> None:
    assert prompt.read_prompt("-", None, io.BytesIO(text.encode()), limit=LIMIT) == text
    assert ask(each_codex, home, model, text.encode()) == (0, text)


def test_codex_takes_as_many_characters_as_we_do(each_codex: Codex, home: Home, model: ModelServer) -> None:
    at_limit = "\U0001f600" * LIMIT
    status, got = ask(each_codex, home, model, at_limit.encode())
    assert (status, got == at_limit) == (0, True)
    before = len(model.requests)
    status, _ = ask(each_codex, home, model, b"x" * (LIMIT + 1))
    assert (status, len(model.requests)) == (1, before)
