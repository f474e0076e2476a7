"""When Streamlit hears that a person has left the page."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.types import Message, Receive, Scope, Send

from chatbot.web.leaving import Leaving

ASKS_FOR_ITSELF: Message = {"type": "websocket.receive", "bytes": b"the page"}
ACTS: Message = {"type": "websocket.receive", "bytes": b"a click"}
LEAVES: Message = {"type": "websocket.disconnect", "code": 1001}
IS_LOST: Message = {"type": "websocket.disconnect", "code": 1006}
ENDLESS = 3600.0  # seconds


async def hear(
    messages: Sequence[Message], patience: float, limit: float = 5
) -> tuple[list[Message], list[Message]]:
    """Return what Streamlit hears of a browser, and what the browser hears afterwards.

    Raises TimeoutError after `limit` seconds.
    """
    coming = iter(messages)
    heard: list[Message] = []
    sent: list[Message] = []

    async def streamlit(_scope: Scope, receive: Receive, send: Send) -> None:
        for _ in messages:
            heard.append(await receive())
        await send({"type": "websocket.send"})

    async def receive() -> Message:
        return next(coming)

    async def send(message: Message) -> None:
        sent.append(message)

    leaving = Leaving(streamlit, patience)
    await asyncio.wait_for(leaving({"type": "websocket"}, receive, send), limit)
    return heard, sent


@pytest.mark.parametrize("last", [[LEAVES], [ACTS, IS_LOST]])
def test_who_did_nothing_or_is_cut_off_is_gone_at_once(last: list[Message]) -> None:
    messages = [ASKS_FOR_ITSELF, *last]
    assert asyncio.run(hear(messages, ENDLESS))[0] == messages


def test_who_has_just_done_something_leaves_later_and_hears_nothing_more() -> None:
    messages = [ASKS_FOR_ITSELF, ACTS, LEAVES]
    with pytest.raises(TimeoutError):
        asyncio.run(hear(messages, ENDLESS, limit=0.1))
    assert asyncio.run(hear(messages, 0.01)) == (messages, [])


def test_an_open_page_hears_what_is_sent() -> None:
    assert asyncio.run(hear([ASKS_FOR_ITSELF, ACTS], ENDLESS))[1] == [{"type": "websocket.send"}]
