"""GitHub as far as pull requests go: a small API on loopback, and a `gh` that speaks to it.

A stand-in: the real gh wants an account. It takes the options and prints the lines of gh 2.x that matter here.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

_GH = """\
#!{python} -ISE
import json, os, subprocess, sys, urllib.error, urllib.parse, urllib.request

def call(method, path, data=None):
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request("{url}" + path, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        sys.exit(f"gh: {{error.read().decode()}}")

def git(*words):
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout.strip()

words, options, flags = [], {{}}, set()
rest = iter(sys.argv[1:])
for word in rest:
    if word in ("-R", "--repo", "--title", "--body", "--json", "--jq"):
        options[word] = next(rest)
    elif word.startswith("-"):
        flags.add(word)
    else:
        words.append(word)
if words[:1] != ["pr"] or len(words) < 2:
    print("gh", *sys.argv[1:])
    sys.exit(7 if "fail" in words else 0)
which = words[2] if len(words) > 2 else git("symbolic-ref", "--short", "HEAD")
which = urllib.parse.quote(which.rpartition("/")[2] if "://" in which else which, safe="")
if words[1] in ("create", "new"):
    made = call("POST", "/pulls", {{"head": git("symbolic-ref", "--short", "HEAD"), "title": options["--title"]}})
    print("\\nCreating pull request for", made["head"], file=sys.stderr)
    print(made["url"])
elif words[1] == "merge":
    call("PUT", f"/pulls/{{which}}/merge", {{"auto": "--auto" in flags}})
    print("Merged pull request", which)
else:
    found = call("GET", f"/pulls/{{which}}")
    asked = options.get("--jq", "")
    whole = {{key: found[key] for key in ("url", "state")}}
    print(" ".join(whole[key.strip()[1:]] for key in asked.split('+ " " +')) if asked else json.dumps(whole))
"""


@dataclass
class GitHub:
    """One repository's pull requests, by their branch."""

    url: str = ""
    pulls: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def put_gh(self, folder: Path) -> Path:
        """Our `gh`, in this folder."""
        folder.mkdir(exist_ok=True)
        path = folder / "gh"
        path.write_text(_GH.format(python=sys.executable, url=self.url))
        path.chmod(0o755)
        return path

    def find(self, which: str) -> dict[str, Any] | None:
        for pull in self.pulls.values():
            if which in (pull["head"], str(pull["number"])):
                return pull
        return None


@contextlib.contextmanager
def github() -> Iterator[GitHub]:
    """A GitHub of one's own."""
    hub = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self) -> None:
            hub.asked.append(f"{self.command} {self.path}")
            size = int(self.headers.get("Content-Length") or 0)
            data = json.loads(self.rfile.read(size) or "{}")
            number = len(hub.pulls) + 1
            found: dict[str, Any] | None
            if self.command == "POST":
                url = f"https://github.example/someone/repo/pull/{number}"
                found = {"number": number, "head": data["head"], "url": url, "state": "OPEN"}
                hub.pulls[data["head"]] = found
            else:
                found = hub.find(unquote(self.path.split("/")[2]))
                if found is not None and self.command == "PUT" and not data["auto"]:
                    found["state"] = "MERGED"
            body = json.dumps(found or {"message": "no pull requests found"}).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
