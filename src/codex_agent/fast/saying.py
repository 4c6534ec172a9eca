"""Owns what the fast routes print: the records' own answers as JSON, or the same text as the typer way.

Collects everything first and prints it at the end, so that whoever cannot go on has printed nothing.
"""

from __future__ import annotations

import os
import sys
from time import time

TYPE_CHECKING = False  # as `typing` has it, without loading that
if TYPE_CHECKING:
    from typing import Any

    from codex_agent.sealed import Sealed


class Said:
    """What is to be printed. Methods that say False cannot tell it; then the typer way has to."""

    def __init__(self, as_json: bool, fields: str | None) -> None:
        self.as_json = as_json
        self._fields = fields
        self._text: list[bytes] = []
        self._notes: list[str] = []

    def check(self, jobs: list[Sealed]) -> bool:
        """Whether these jobs have the fields that were asked for."""
        return self._fields is None or bool(jobs and self._only(jobs[0]))

    def one(self, job: Sealed) -> bool:
        """`status`."""
        if self._fields is not None:
            return self._add(self._only(job))
        if self.as_json:
            return self._add(job.told(time()))
        from codex_agent.job_text import details

        self._add_text(details(self._shown(job), color=_color()))
        return True

    def listed(self, jobs: list[Sealed], total: int) -> bool:
        """`jobs`."""
        if self.as_json:
            return self._json_list(jobs, total)
        from codex_agent.job_text import table

        self._add_text(table([self._shown(job) for job in jobs], color=_color()))
        return True

    def waited(self, jobs: list[Sealed]) -> bool:
        """`wait`."""
        if self.as_json:
            return self._json_list(jobs, len(jobs))
        from codex_agent.job_text import outcome

        for job in jobs:
            self._add_text(outcome(self._shown(job)))
        return True

    def note(self, text: str) -> None:
        """A remark for a person, on stderr."""
        self._notes.append(text)

    def out(self, code: int) -> int:
        """Prints it all; the exit code."""
        data = memoryview(b"".join(b"%b\n" % one for one in self._text))
        try:
            while data:
                data = data[os.write(1, data) :]
        except OSError as error:
            from codex_agent.cli.telling import failed

            return failed(error, self.as_json)
        for text in self._notes:
            print(text, file=sys.stderr)
        return code

    def _json_list(self, jobs: list[Sealed], total: int) -> bool:
        if self._fields is not None:
            rows = [self._only(job) for job in jobs]
            if not rows or not all(rows):
                return False
            return self._add(b'{"total":%d,"jobs":[%b]}' % (total, b",".join(row for row in rows if row)))
        from codex_agent.stamps import stamp

        parts = (stamp().encode("ascii"), b", ".join(job.told(time()) for job in jobs), total)
        return self._add(b'{"generated_at": "%b", "jobs": [%b], "problems": [], "total": %d}' % parts)

    def _only(self, job: Sealed) -> bytes | None:
        """The fields that were asked for; None if that cannot be told here."""
        from _json import encode_basestring, make_encoder  # json's own, without what `json` loads around them

        whole = _scan(job.told(time()), None)
        names = [name for name in (word.strip() for word in (self._fields or "").split(",")) if name]
        if not names or any(name not in whole for name in names):
            return None
        encode = make_encoder(None, _Rules, encode_basestring, None, ":", ",", False, False, True)
        return "".join(encode({name: whole[name] for name in names}, 0)).encode("utf-8", "replace")

    def _shown(self, job: Sealed) -> Any:
        """The job with attributes, for those who render it."""
        namespace = type(sys.implementation)
        return _scan(job.told(time()), lambda found: namespace(**found))

    def _add(self, data: bytes | None) -> bool:
        if data is None:
            return False
        self._text.append(data)
        return True

    def _add_text(self, text: str) -> None:
        self._text.append(text.encode("utf-8", "replace"))


class _Rules:
    """How json's scanner is to read: as ``json.loads`` does."""

    strict = True
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float

    def __init__(self, object_hook: Any) -> None:
        self.object_hook = object_hook
        self.memo: dict[str, str] = {}


def _scan(data: bytes, object_hook: Any) -> Any:
    from _json import make_scanner

    rules: Any = _Rules(object_hook)
    return make_scanner(rules)(data.decode("utf-8"), 0)[0]


def _color() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
