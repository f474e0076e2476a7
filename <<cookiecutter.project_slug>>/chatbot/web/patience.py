"""Patience: middleware asks the storage in threads, and does not wait for one that hangs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

LIMIT = 2.0  # seconds that a request waits for the storage
THREADS = 4

P = ParamSpec("P")
T = TypeVar("T")


class StorageThreads:
    """A few threads that wait for the storage, so that the server's own need not."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(THREADS, name)
        self._stuck: set[Future[Any]] = set()

    async def run(self, action: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what the action returns; raise what it raises.

        Raises TimeoutError after LIMIT, and at once while all threads wait for the storage.
        """
        if len(self._stuck) >= THREADS:
            raise TimeoutError
        context = copy_context()  # the language of who asks
        waiting = self._pool.submit(lambda: context.run(action, *args, **kwargs))
        try:
            return await asyncio.wait_for(asyncio.wrap_future(waiting), LIMIT)
        except TimeoutError:
            if not waiting.cancelled():  # a thread waits for the storage
                self._stuck.add(waiting)
                waiting.add_done_callback(self._stuck.discard)
            raise
