"""A scripted Claude on loopback: as much of the Messages API as Claude Code asks for.

It answers ``POST /v1/messages`` as server-sent events (or whole, where no stream was asked for) and
``POST /v1/messages/count_tokens``. It listens on nothing but 127.0.0.1.
"""

from __future__ import annotations

import http.server
import json
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]
UNSCRIPTED = "Nothing is scripted for this."


@dataclass(frozen=True)
class Talk:
    """One request: the conversation so far."""

    body: Json

    @property
    def tools(self) -> list[str]:
        """Names of the tools whose schemas Claude was given."""
        return [tool["name"] for tool in self.body.get("tools", [])]

    @property
    def text(self) -> str:
        """Everything Claude was told by anybody, tool results included."""
        told = [each["text"] for each in _blocks(self.body.get("system", "")) if "text" in each]
        for message in self.body["messages"]:
            for block in _blocks(message["content"]):
                told += [part["text"] for part in _blocks(block.get("content", [])) if "text" in part]
                told += [block["text"]] if "text" in block else []
        return "\n".join(told)

    @property
    def results(self) -> list[str]:
        """What the tools answered, oldest first, each as one text."""
        return [
            "\n".join(part["text"] for part in _blocks(block.get("content", [])) if "text" in part)
            for message in self.body["messages"]
            for block in _blocks(message["content"])
            if block["type"] == "tool_result"
        ]

    def turns_since(self, marker: str) -> int | None:
        """How often Claude has spoken since a person said ``marker``; None if nobody did."""
        count = None
        for message in self.body["messages"]:
            if count is not None:
                count += message["role"] == "assistant"
            elif message["role"] == "user":
                said = [block["text"] for block in _blocks(message["content"]) if block["type"] == "text"]
                count = 0 if any(marker in text for text in said) else None
        return count


# What Claude says next: the content blocks of one message.
Step = Callable[[Talk], list[Json]]


def say(text: str) -> Step:
    """Claude says this, and with that its turn is over."""
    return lambda _: [{"type": "text", "text": text}]


def use(tool: str, **words: Any) -> Step:
    """Claude calls this tool. A word may be a function of the talk, for what only an earlier result tells."""

    def made(talk: Talk) -> list[Json]:
        given = {name: word(talk) if callable(word) else word for name, word in words.items()}
        number = len(talk.body["messages"])
        return [{"type": "tool_use", "id": f"toolu_{number}", "name": tool, "input": given}]

    return made


class MessagesServer:
    """A Claude that answers by script. Use it as a context manager.

    ``talks`` holds every request of a conversation, oldest first; ``surprises`` what no script foresaw.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: dict[str, tuple[Step, ...]] = {}
        self.talks: list[Talk] = []
        self.surprises: list[str] = []
        self._http = _Listener(self)
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def base_url(self) -> str:
        """What goes into ``ANTHROPIC_BASE_URL``."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def on(self, marker: str, *steps: Step) -> None:
        """A conversation in which a person says ``marker`` gets these steps, one per request, in order."""
        with self._lock:
            self._scripts[marker] = steps

    def surprised(self, text: str) -> None:
        with self._lock:
            self.surprises.append(text)

    def answer(self, talk: Talk) -> list[Json]:
        with self._lock:
            if not talk.tools:  # a small errand beside the conversation, such as a title for it
                return say(UNSCRIPTED)(talk)
            self.talks.append(talk)
            for marker, steps in self._scripts.items():
                place = talk.turns_since(marker)
                if place is not None and place < len(steps):
                    return steps[place](talk)
            self.surprises.append(f"nothing is scripted for request {len(self.talks)}")
            return say(UNSCRIPTED)(talk)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, model: MessagesServer) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.model = model

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is Claude Code ending; what a script did wrong is for the test to hear."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self.model.surprised(repr(error))


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Listener

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: the terminal belongs to pytest."""

    def do_GET(self) -> None:
        self.server.model.surprised(f"{self.command} {self.path}")
        self._whole(404, {"type": "error", "error": {"type": "not_found_error", "message": "no such path"}})

    do_HEAD = do_PUT = do_DELETE = do_GET

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.partition("?")[0]
        if path == "/v1/messages/count_tokens":
            self._whole(200, {"input_tokens": len(raw) // 4})
        elif path == "/v1/messages":
            talk = Talk(json.loads(raw))
            content = self.server.model.answer(talk)
            message = _message(talk, content)
            if talk.body.get("stream"):
                self._stream(message)
            else:
                self._whole(200, message)
        else:
            self.do_GET()

    def _whole(self, status: int, answer: Json) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _stream(self, message: Json) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in _events(message):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


def _message(talk: Talk, content: list[Json]) -> Json:
    calls = any(block["type"] == "tool_use" for block in content)
    return {
        "id": f"msg_{len(talk.body['messages'])}",
        "type": "message",
        "role": "assistant",
        "model": talk.body["model"],
        "content": content,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 10},
    }


def _events(message: Json) -> Iterator[Json]:
    """The message as a stream tells it: each block opened empty, filled by one delta, closed."""
    end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    begun = message | {"content": [], "stop_reason": None}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        if block["type"] == "tool_use":
            opened: Json = block | {"input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        else:
            opened = block | {"text": ""}
            delta = {"type": "text_delta", "text": block["text"]}
        yield {"type": "content_block_start", "index": index, "content_block": opened}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 10}}
    yield {"type": "message_stop"}


def _blocks(content: Any) -> list[Json]:
    """A message's content as blocks; a bare text is one."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
