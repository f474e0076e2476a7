"""Admission: when many browsers come at once, a few at a time get their page, the first one first.

Otherwise the server goes round among all of them: each has its page when the last one has, and the
load balancer's health check waits for several rounds. Then the balancer takes the task for dead,
and sends the crowd to the next one. The health check itself never waits here.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import count

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chatbot.sign_in import CALLBACK, LOGIN, SIGN_OUT
from chatbot.web.requests import is_page

PLACES = 4  # requests and new WebSockets that are worked on at once
LEASE = 1.0  # seconds until a place is free again, if the browser is slow, or the answer
RANKS = 3
ROUND = 8  # places, of which each rank that waits gets one at least


class Admission:
    """ASGI middleware that lets requests and new WebSockets wait for one of a few places.

    A place is free again when the answer begins; that of a WebSocket when the page does, whose
    script then runs. So one that stays open, or a download that takes long, holds no place. Nor
    does what waits for a network: a WebSocket before its first message, a request with a body, and
    one for which the server asks the provider who somebody is. Else a few of them, which nobody
    need sign in for, would keep out everybody.

    A WebSocket goes before the page's files, and these go before the next page: who has begun to
    get the page gets the rest of it before those who came later begin. But each of these ranks has
    a place in every ROUND, so that no number of requests of one rank keeps out another.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._free = PLACES
        self._admitted = count()
        self._waiting: list[deque[asyncio.Future[Callable[[], None]]]] = [
            deque() for _ in range(RANKS)
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        elif scope["type"] == "lifespan" or _holds_no_place(scope):
            await self._app(scope, receive, send)
        else:
            leave = await self._wait_for_place(2 if is_page(scope) else 1)

            async def send_and_leave(message: Message) -> None:
                leave()
                await send(message)

            try:
                await self._app(scope, receive, send_and_leave)
            finally:
                leave()

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        leave: Callable[[], None] | None = None

        async def receive_and_wait() -> Message:
            nonlocal leave
            message = await receive()
            if message["type"] == "websocket.receive" and leave is None:
                leave = await self._wait_for_place(0)
            return message

        async def send_and_leave(message: Message) -> None:
            if leave:
                leave()
            await send(message)

        try:
            await self._app(scope, receive_and_wait, send_and_leave)
        finally:
            if leave:
                leave()

    async def _wait_for_place(self, rank: int) -> Callable[[], None]:
        """Wait for a place; return what frees it.

        rank: whose turn it is, if more than one wait: the lowest one's, as a rule.
        """
        admitted: asyncio.Future[Callable[[], None]] = asyncio.get_running_loop().create_future()
        self._waiting[rank].append(admitted)
        self._admit()
        return await admitted

    def _admit(self) -> None:
        """Let those go in whose turn it is, while there are places."""
        while self._free and any(self._waiting):
            turn = next(self._admitted) % ROUND
            ranks = [self._waiting[turn]] if turn < RANKS else []
            admitted = next(filter(None, [*ranks, *self._waiting])).popleft()
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


def _holds_no_place(scope: Scope) -> bool:
    """Return whether a request never waits here: the health check, or what waits for a network."""
    if scope["path"].endswith("/_stcore/health"):
        return True
    return scope["method"] not in ("GET", "HEAD") or scope["path"] in (LOGIN, CALLBACK, SIGN_OUT)
