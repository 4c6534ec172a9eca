"""Owns a run of requests that are billed alike: of those the last alone is decoded, since totals only grow.

``skim.py`` says which requests belong to one. Must never hold anything but what the next is compared with.
"""

from __future__ import annotations

from .usage import TOTAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .usage import Usage

TOTAL_IS = b'"total_tokens":'
ID_IS = b'_id":"'
LAST_IS = b'},"last_token_usage":{"input_tokens":'


class Run:
    """The requests that were passed over since one was decoded. ``day`` is empty while there is no run."""

    __slots__ = ("day", "heads", "loose", "most", "own", "place", "start", "total", "totals")

    def __init__(self) -> None:
        self.place = 0  # of the type in a line
        self.loose = False  # lines have no ordinals
        self.day = b""
        self.total = b""  # the last total as it is written, with what stands around it
        self.most = b""  # the highest with as many digits
        self.totals = b"~"  # the counters of the last record, as they are written
        self.own = b""  # what stands behind a record's head if it is this thread's
        self.start = (0, 0, b"")  # of the last turn: where its id is, where the window, what stands from there on
        self.heads: dict[bytes, object] = {}  # of lines, with that in the record's

    def begin(self, line: bytes, usage: Usage, thread_id: str | None, *, recorded: bool) -> None:
        """A run begins behind this request, which was put in, if its counters are as Codex writes them."""
        self.day = b""
        counted = usage.used[TOTAL] - (0 if recorded else usage.before_overflow[TOTAL])
        if usage.charged != usage.used or usage.recorded != recorded:
            return
        total = b"%b%d%b" % (TOTAL_IS, counted, b"}}}" if recorded else LAST_IS)
        if recorded:
            usual = line.endswith(total)
            self.totals = line[line.rfind(b"{") : -2]
        else:
            usual = line.find(total) > 0
        if usual and line.startswith(b'{"timestamp":"'):
            self.day, self.total = line[14:24], total
            self.most = b"%b%b%b" % (TOTAL_IS, b"9" * len(str(counted)), b"}}}" if recorded else LAST_IS)
            own = b'%b%b"' % (ID_IS, (thread_id or "").encode())
            if own != self.own:
                self.own, self.heads = own, {}
