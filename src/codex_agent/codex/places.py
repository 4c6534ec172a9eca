"""Owns the list of places where a Codex may be installed, and how a Node wrapper leads to its native binary.

Must never run anything: it looks at folders and names only. ``finding.py`` decides which candidate is usable.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_EDITORS = (".vscode", ".vscode-insiders", ".cursor", ".windsurf")
_NUMBER = re.compile(r"\d+")
_RC_PREFIX = re.compile(r"^\s*prefix\s*=\s*(.+?)\s*$", re.MULTILINE)


class Candidate(NamedTuple):
    """A file that is there and may be a Codex."""

    origin: str
    path: str


class Native(NamedTuple):
    """A native binary and what the wrapper around it would have given it."""

    path: str
    path_dirs: tuple[str, ...]
    env: dict[str, str]


def home_of(environ: Mapping[str, str]) -> str:
    """The home folder as ``environ`` has it."""
    return environ.get("HOME") or os.path.expanduser("~")


def on_path(name: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Every file of this name on PATH, executable or not. Relative folders are left out: they name any folder."""
    for folder in environ.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if os.path.isabs(folder) and os.path.isfile(path):
            yield path


def candidates(environ: Mapping[str, str]) -> Iterator[Candidate]:
    """Everything that may be a Codex, best first: PATH, the PyPI wheel, the usual places, editors' extensions."""
    for path in on_path("codex", environ):
        yield Candidate("PATH", path)
    yield from _wheel()
    for origin, folder in _usual_folders(environ):
        path = os.path.join(folder, "codex")
        if os.path.isfile(path):
            yield Candidate(origin, path)
    yield from _extensions(home_of(environ))


def native_beside(path: str) -> Native | None:
    """The native binary that the Node wrapper ``path`` (or a link to it) would start; None if it is no wrapper.

    Layouts, as npm installs them: from 0.150 ``vendor/<target>/bin/codex`` with ``codex-path``, up to 0.125
    ``vendor/<target>/codex/codex`` with ``path``, each in a platform package that Node finds; up to 0.98 the
    vendor folder is in the package itself.
    """
    real = os.path.realpath(path)
    root = os.path.dirname(os.path.dirname(real))
    if os.path.basename(real) != "codex.js" or os.path.basename(os.path.dirname(real)) != "bin":
        return None
    target, platform = _target()
    for vendor in _vendor_folders(root, platform):
        for layout in ("bin", "codex"):
            binary = os.path.join(vendor, target, layout, "codex")
            if os.path.isfile(binary) and os.access(binary, os.X_OK):
                env = {_manager(root): "1"}
                if layout == "bin":
                    env["CODEX_MANAGED_PACKAGE_ROOT"] = root
                return Native(binary, tool_folders(binary), env)
    return None


def tool_folders(binary: str) -> tuple[str, ...]:
    """Folders with tools made for this binary (ripgrep) that belong first on its PATH, where it has any."""
    folder = os.path.dirname(os.path.realpath(binary))
    for tools in (os.path.join(folder, "..", "codex-path"), os.path.join(folder, "..", "path"), folder):
        if os.path.isfile(os.path.join(tools, "rg")):
            return (os.path.normpath(tools),)
    return ()


def _wheel() -> Iterator[Candidate]:
    from importlib.util import find_spec  # late: only when PATH has no Codex

    spec = find_spec("codex_cli_bin")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = os.path.join(folder, "bin", "codex")
        if os.path.isfile(path):
            yield Candidate("wheel", path)


def _usual_folders(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    home = home_of(environ)
    for prefix in _npm_prefixes(environ, home):
        yield "npm", os.path.join(prefix, "bin")
    for folder in (environ.get("PNPM_HOME", ""), os.path.join(home, ".local", "share", "pnpm")):
        if folder:
            yield "pnpm", folder
    yield "bun", os.path.join(home, ".bun", "bin")
    for prefix in (
        environ.get("HOMEBREW_PREFIX", ""),
        "/opt/homebrew",
        "/usr/local",
        "/home/linuxbrew/.linuxbrew",
    ):
        if prefix:
            yield "homebrew", os.path.join(prefix, "bin")
    yield "cargo", os.path.join(environ.get("CARGO_HOME") or os.path.join(home, ".cargo"), "bin")
    yield "local-bin", os.path.join(home, ".local", "bin")


def _npm_prefixes(environ: Mapping[str, str], home: str) -> Iterator[str]:
    """npm's global prefixes without asking npm (half a second): configured, usual, beside node, nvm's versions."""
    for name in ("NPM_CONFIG_PREFIX", "npm_config_prefix"):
        if environ.get(name):
            yield environ[name]
    try:
        with open(os.path.join(home, ".npmrc"), encoding="utf-8", errors="replace") as file:
            for prefix in _RC_PREFIX.findall(file.read()):
                unquoted = prefix.strip("\"'").replace("${HOME}", home)
                yield home + unquoted[1:] if unquoted.startswith("~/") else unquoted
    except OSError:
        pass  # no such file, mostly
    yield os.path.join(home, ".npm-global")
    for node in on_path("node", environ):
        yield os.path.dirname(os.path.dirname(os.path.realpath(node)))
    nvm = environ.get("NVM_DIR") or os.path.join(home, ".nvm")
    yield from _newest_first(glob.glob(os.path.join(glob.escape(nvm), "versions", "node", "*")))
    if sys.platform != "darwin":
        yield "/usr/local"  # on a Mac that is Homebrew's, named as such below
    yield "/usr"


def _extensions(home: str) -> Iterator[Candidate]:
    """The binaries inside the editors' Codex extension, newest extension first whichever editor has it."""
    found: list[tuple[str, str]] = []
    for editor in _EDITORS:
        for place in (editor, f"{editor}-server"):
            folders = glob.glob(os.path.join(glob.escape(home), place, "extensions", "openai.chatgpt-*"))
            found += [(folder, editor.removeprefix(".")) for folder in folders]
    editor_of = dict(found)
    for folder in _newest_first([folder for folder, _ in found]):
        for platform in _extension_platforms():
            path = os.path.join(folder, "bin", platform, "codex")
            if os.path.isfile(path):
                yield Candidate(editor_of[folder], path)


def _newest_first(folders: list[str]) -> list[str]:
    def numbers(folder: str) -> list[int]:
        return [int(number) for number in _NUMBER.findall(os.path.basename(folder))]

    return sorted(folders, key=numbers, reverse=True)


def _arm() -> bool:
    return os.uname().machine in ("aarch64", "arm64")


def _target() -> tuple[str, str]:
    """Codex's names for this machine: the compiler's target, and the ending of npm's platform package."""
    system = "apple-darwin" if sys.platform == "darwin" else "unknown-linux-musl"
    short = "darwin" if sys.platform == "darwin" else "linux"
    return (f"aarch64-{system}", f"{short}-arm64") if _arm() else (f"x86_64-{system}", f"{short}-x64")


def _extension_platforms() -> tuple[str, ...]:
    machines = ("aarch64", "arm64") if _arm() else ("x86_64", "x64")
    systems = ("macos", "darwin") if sys.platform == "darwin" else ("linux",)
    return tuple(f"{system}-{machine}" for system in systems for machine in machines)


def _vendor_folders(root: str, platform: str) -> Iterator[str]:
    """Where Node would find the platform package, seen from the package at ``root``; last, the package itself."""
    folder = root
    while True:
        if os.path.basename(folder) != "node_modules":
            yield os.path.join(folder, "node_modules", "@openai", f"codex-{platform}", "vendor")
        parent = os.path.dirname(folder)
        if parent == folder:
            break
        folder = parent
    yield os.path.join(root, "vendor")


def _manager(root: str) -> str:
    """The variable by which Codex learns how it was installed; it only words its update notice by it."""
    if "/.bun/install/global/" in root:
        return "CODEX_MANAGED_BY_BUN"
    return "CODEX_MANAGED_BY_PNPM" if "/.pnpm/" in root else "CODEX_MANAGED_BY_NPM"
