"""Owns sleeping for jobs without a thread for each call: at most one for each job and kind of news.

A call that waits hangs on the job's thread and lets go of it when it is cancelled; the thread sleeps in the kernel
(on the job's lock or its supervisor's answer) until there is news, whoever still wants it. Must never decide what
the news means: who is woken looks for himself.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading

from codex_agent import jobs
from codex_agent.jobs import Until
from codex_agent.store import Store

_Key = tuple[str, str, Until]


class Waits:
    """The sleepers of one server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[_Key, list[asyncio.Future[None]]] = {}

    async def news(self, store: Store, job_id: str, until: Until) -> None:
        """Returns when ``jobs.sleep`` would. Raises what it raises. Cancelled, it costs nothing more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        key = (store.home, job_id, until)
        with self._lock:
            sleeper_is_there = key in self._waiting
            self._waiting.setdefault(key, []).append(future)
        if not sleeper_is_there:
            threading.Thread(target=self._sleep, args=(loop, store, key), daemon=True).start()
        try:
            await future
        finally:
            with self._lock, contextlib.suppress(KeyError, ValueError):
                self._waiting[key].remove(future)

    def _sleep(self, loop: asyncio.AbstractEventLoop, store: Store, key: _Key) -> None:
        trouble: BaseException | None = None
        try:
            jobs.sleep(store, key[1], key[2])
        except BaseException as error:
            trouble = error
        with self._lock:
            woken = self._waiting.pop(key)
        for future in woken:
            with contextlib.suppress(RuntimeError):  # the server is going down
                loop.call_soon_threadsafe(_wake, future, trouble)


def _wake(future: asyncio.Future[None], trouble: BaseException | None) -> None:
    if future.done():
        return
    if trouble is None:
        future.set_result(None)
    else:
        future.set_exception(trouble)
