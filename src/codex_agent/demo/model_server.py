"""Owns the scripted model: an HTTP server on loopback with as much of OpenAI's Responses API as Codex needs.

It answers `POST .../responses` with server-sent events and `GET .../models` with an empty list. It never
listens on anything but 127.0.0.1 and never writes to the terminal.
"""

from __future__ import annotations

import gzip
import http.server
import json
import select
import socket
import threading
import time
import zlib
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from .scripts import (
    TITLE_ANSWER,
    TITLE_REQUEST,
    Gate,
    Json,
    Step,
    Usage,
    default_usage,
    find_place,
    last_user_text,
    offer_of,
)

__all__ = ["Gate", "ModelServer", "Step", "Usage"]

UNSCRIPTED = "Nothing is scripted for this prompt."


class ModelServer:
    """A model on `127.0.0.1` that answers by script. Use it as a context manager, or call `close`.

    `requests` holds every parsed request body, oldest first; `surprises` what no script foresaw (a request
    after the last step, a body that could not be read): a test may want it empty.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: dict[str, tuple[tuple[Step, ...], Usage | None]] = {}
        self._gates: dict[str, Gate] = {}
        self._attempts: dict[tuple[str, str, int], int] = {}
        self._seen: list[Json] = []
        self._surprises: list[str] = []
        self._http: _Listener | None = None
        self._parked: socket.socket | None = None
        self.closing = threading.Event()
        self.port = 0
        self.accept()

    # --- what tests and the demo say

    @property
    def base_url(self) -> str:
        """What goes into `base_url` of Codex's provider."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def requests(self) -> list[Json]:
        with self._lock:
            return list(self._seen)

    @property
    def surprises(self) -> list[str]:
        with self._lock:
            return list(self._surprises)

    def requests_for(self, marker: str) -> list[Json]:
        """The requests whose conversation this marker rules, oldest first."""
        with self._lock:
            markers = list(self._scripts)
        places = [(request, find_place(request, markers)) for request in self.requests]
        return [request for request, place in places if place is not None and place[0] == marker]

    def on(self, marker: str, *steps: Step, usage: Usage | None = None) -> None:
        """Conversations whose user prompt contains `marker` get these steps, one per request, in order.

        `usage` is what every step reports that does not say otherwise itself.
        """
        with self._lock:
            self._scripts[marker] = (steps, usage)

    def gate(self, name: str) -> Gate:
        """The gate of this name; made at first asking."""
        with self._lock:
            return self._gates.setdefault(name, Gate(name))

    def refuse(self) -> None:
        """From now on connections are refused; the port stays ours (a bound socket that does not listen)."""
        self._stop()
        self._parked = _bound(self.port)
        self.port = self._parked.getsockname()[1]

    def accept(self) -> None:
        """Listens (again), on the same port as before."""
        sock = self._parked or _bound(self.port)
        self._parked = None
        self.port = sock.getsockname()[1]
        self._http = _Listener(self, sock)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Ends every open reply and gives the port back."""
        self.closing.set()
        self._stop()
        if self._parked is not None:
            self._parked.close()
            self._parked = None

    def _stop(self) -> None:
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- what a connection asks

    def surprised(self, text: str) -> None:
        with self._lock:
            self._surprises.append(text)

    def next_step(self, body: Json) -> tuple[Step, int]:
        """The step for this request and its number; counts the attempt."""
        with self._lock:
            self._seen.append(body)
            place = find_place(body, list(self._scripts))
            if last_user_text(body).lstrip().startswith(TITLE_REQUEST):
                return Step.message(TITLE_ANSWER), 0
            if place is None:
                return Step.message(UNSCRIPTED), 0
            marker, index = place
            steps, usage = self._scripts[marker]
            if index >= len(steps):
                self._surprises.append(f"{marker}: asked for step {index + 1} of {len(steps)}")
                return Step.message(f"The script {marker} has only {len(steps)} steps."), index
            key = (marker, str(body.get("prompt_cache_key")), index)
            attempt = self._attempts[key] = self._attempts.get(key, 0) + 1
        step = steps[index]
        if step.flaky is not None and attempt <= step.flaky[0]:
            step = step.flaky[1]
        return (step.using(usage) if usage and not step.usage else step), index


def _bound(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, model: ModelServer, sock: socket.socket) -> None:
        super().__init__(sock.getsockname(), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = sock
        self.socket.listen(512)
        self.model = model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is Codex being killed or giving up: nothing to report."""


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the terminal belongs to the demo, or to pytest."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith("/models"):
            self._answer(200, b'{"object":"list","data":[],"models":[]}')
        else:
            self._answer(404, b'{"error":{"message":"no such path"}}')

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(_unpacked(raw, (self.headers.get("content-encoding") or "").lower()))
        except (ValueError, zlib.error, OSError) as error:
            self.server.model.surprised(f"{self.path}: a body that could not be read: {error}")
            self._answer(400, b'{"error":{"message":"the body could not be read"}}')
            return
        if not self.path.partition("?")[0].endswith("/responses"):
            self._answer(404, b'{"error":{"message":"no such path"}}')
            return
        step, index = self.server.model.next_step(body)
        self._play(step, index, body)

    # --- one reply

    def _play(self, step: Step, index: int, body: Json) -> None:
        if step.ending == "http":
            self._pause(step.pause_s)
            self._answer(step.status, step.body, dict(step.headers))
            return
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        for name, value in step.headers.items():
            self.send_header(name, value)
        self.end_headers()
        response: Json = {"id": f"resp_{index}", "object": "response", "status": "in_progress"}
        self._event("response.created", response=response)
        if step.gate is not None:
            step.gate.arrive()
            while not step.gate.wait(0.05):
                if not self._alive():
                    return
        self._pause(step.pause_s)
        offer = offer_of(body, str(index))
        for number, make in enumerate(step.made):
            self._event("response.output_item.done", output_index=number, item=make(offer, number))
        match step.ending:
            case "completed":
                usage = (step.usage or default_usage(index)).to_json()
                done = {**response, "status": "completed", "usage": usage}
                self._event("response.completed", response=done)
            case "failed":
                self._event("response.failed", response={**response, "status": "failed", "error": step.error})
            case "incomplete":
                half = {**response, "status": "incomplete", "incomplete_details": step.error}
                self._event("response.incomplete", response=half)
            case "silent":
                while self._alive():
                    self.server.model.closing.wait(0.05)

    def _event(self, kind: str, **fields: Any) -> None:
        self.wfile.write(f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode())
        self.wfile.flush()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {"content-type": "application/json"}).items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._alive():
            time.sleep(min(left, 0.05))

    def _alive(self) -> bool:
        """Whether somebody still listens to this reply: the server is not closing, Codex has not hung up."""
        if self.server.model.closing.is_set():
            return False
        try:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return not readable or self.connection.recv(1, socket.MSG_PEEK) != b""
        except (OSError, ValueError):
            return False


def _unpacked(raw: bytes, encoding: str) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(raw)
    if encoding == "deflate":
        return zlib.decompress(raw)
    if encoding == "zstd":
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    return raw
