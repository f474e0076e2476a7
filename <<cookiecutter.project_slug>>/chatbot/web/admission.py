"""Admission: when many browsers come at once, a few at a time get their page, the first one first.

Otherwise the server goes round among all of them: each has its page when the last one has, and the
load balancer's health check waits for several rounds. Then the balancer takes the task for dead,
and sends the crowd to the next one. The health check itself never waits here.
"""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.web.requests import is_page

PLACES = 4  # requests and new WebSockets that are worked on at once
LEASE = 1.0  # seconds until a place is free again, if the browser is slow, or the answer


class Admission:
    """ASGI middleware that lets requests and new WebSockets wait for one of a few places.

    A place is free again when the answer begins; that of a WebSocket when the page does, whose
    script then runs. So one that stays open, or a download that takes long, holds no place.

    A WebSocket goes before the page's files, and these go before the next page: who has begun to
    get the page gets the rest of it before those who came later begin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._free = PLACES
        self._numbers = count()
        self._waiting: list[tuple[int, int, asyncio.Future[Callable[[], None]]]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or scope["path"].endswith("/_stcore/health"):
            await self._app(scope, receive, send)
            return
        admitted = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (_rank(scope), next(self._numbers), admitted))
        self._admit()
        leave = await admitted

        async def send_and_leave(message: Message) -> None:
            if message["type"] != "websocket.accept":
                leave()
            await send(message)

        try:
            await self._app(scope, receive, send_and_leave)
        finally:
            leave()

    def _admit(self) -> None:
        """Let those go in who are first, while there are places."""
        while self._free and self._waiting:
            _rank, _number, admitted = heappop(self._waiting)
            if not admitted.cancelled():
                admitted.set_result(self._hold_place())

    def _hold_place(self) -> Callable[[], None]:
        """Take a place; return what frees it, which happens after LEASE in any case."""
        self._free -= 1
        held = True

        def leave() -> None:
            nonlocal held
            if held:
                held = False
                timer.cancel()
                self._free += 1
                self._admit()

        timer = asyncio.get_running_loop().call_later(LEASE, leave)
        return leave


def _rank(scope: Scope) -> int:
    """Return when it is a request's turn: those of the lowest number come first."""
    if scope["type"] == "websocket":
        return 0
    return 2 if is_page(scope) else 1
