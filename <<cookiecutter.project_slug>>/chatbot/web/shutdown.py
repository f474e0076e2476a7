"""Shutdown: on SIGTERM, a task leaves its load balancer before it releases its answers and ends.

While it drains, only the load balancer's health check fails. Pages go on as before, so nobody
notices when the load balancer sends new pages to other tasks.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

HEALTH_PATH = "/_stcore/health"
HEALTH_QUERY = b"balancer"  # pages ask for the same path without it; they must not take fright
CLOSE_TIMEOUT = 5  # seconds in which connections may close until the process is killed

log = logging.getLogger(__name__)


class Shutdown:
    """Whether this process is about to end.

    draining: whether the load balancer should send new pages to other tasks.
    """

    def __init__(self) -> None:
        self.draining = False

    @asynccontextmanager
    async def on_sigterm(self, seconds: int, release: Callable[[], None]) -> AsyncIterator[None]:
        """Handle SIGTERM within the block, in the server's place: drain, release, end.

        seconds: how long to drain; another SIGTERM ends it at once, as SIGINT ends the server.
        release: leaves the answers to other tasks. It runs while pages are still connected, so the
            task that a page connects to next finds its answer released.
        """
        loop, signals = asyncio.get_running_loop(), asyncio.Queue[None]()
        server_handler = signal.getsignal(signal.SIGTERM)

        async def end() -> None:
            await signals.get()
            self.draining = True
            log.info("SIGTERM: this task drains for %d seconds", seconds)
            with suppress(TimeoutError):
                await asyncio.wait_for(signals.get(), seconds)
            try:
                await asyncio.to_thread(release)
            finally:
                loop.remove_signal_handler(signal.SIGTERM)
                signal.signal(signal.SIGTERM, server_handler)
                signal.alarm(CLOSE_TIMEOUT)  # the server would wait for slow connections for ever
                signal.raise_signal(signal.SIGTERM)

        loop.add_signal_handler(signal.SIGTERM, signals.put_nowait, None)
        ending = asyncio.create_task(end())
        try:
            yield
        finally:
            ending.cancel()


class BalancerHealth:
    """Middleware that fails the load balancer's health check while the task drains."""

    def __init__(self, app: ASGIApp, shutdown: Shutdown) -> None:
        self._app = app
        self._shutdown = shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if self._shutdown.draining and _asks_for_balancer(scope):
            app = PlainTextResponse("draining", status_code=503)
        await app(scope, receive, send)


def _asks_for_balancer(scope: Scope) -> bool:
    """Return whether the request is the load balancer's health check."""
    kind = (scope["type"], scope.get("path"), scope.get("query_string"))
    return kind == ("http", HEALTH_PATH, HEALTH_QUERY)
