"""Leaving: what a person did just before they left the page is still done.

Streamlit ends the script of a page that is gone, whatever the page has asked for. So a message that
is sent and a tab that is closed right after it would leave nothing.
"""

import asyncio
import math
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LEFT = 1001  # the close code of a browser that closes the page or opens another one, by RFC 6455
PATIENCE = 3.0  # seconds; less than a task has to end, in shutdown.py


class Leaving:
    """ASGI middleware: Streamlit hears later that a person has left, if they just did something.

    Of a connection that was lost, it hears at once: the page comes back, and wants its script.
    What the task does not begin within that time, because it or its storage is too slow, is lost.

    patience: seconds from what a person did until Streamlit hears that they have left.
    """

    def __init__(self, app: ASGIApp, patience: float = PATIENCE) -> None:
        self._app, self._patience = app, patience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._app(scope, receive, send)
            return
        has_asked = has_left = False
        acted = -math.inf  # when a person last did something

        async def receive_late() -> Message:
            nonlocal has_asked, has_left, acted
            message = await receive()
            if message["type"] == "websocket.receive":
                acted = time.monotonic() if has_asked else acted
                has_asked = True  # at first, for the page itself
            elif message["type"] == "websocket.disconnect" and message.get("code") == LEFT:
                has_left = True
                await asyncio.sleep(acted + self._patience - time.monotonic())
            return message

        async def send_unless_left(message: Message) -> None:
            if not has_left:  # else it would fail, and end the script
                await send(message)

        await self._app(scope, receive_late, send_unless_left)
