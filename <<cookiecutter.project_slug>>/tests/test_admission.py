"""When many browsers come at once: who waits, for whom, and for how long."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from chatbot.web import admission
from chatbot.web.admission import PLACES, ROUND, Admission

HEALTH = "/_stcore/health"
SOCKET = "ws:/_stcore/stream"
SILENT = "ws:/silent"


class Crowd:
    """Browsers that ask for something, and an application that answers when it is told to.

    begun: what the application has begun to work on, in that order.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._events: dict[str, asyncio.Queue[Message | Exception | None]] = {}
        self._admission = Admission(self._application)
        self._tasks: list[asyncio.Task[None]] = []

    async def _application(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["name"]
        if scope["type"] == "websocket":
            await receive()
        self.begun.append(name)
        while event := await self._events[name].get():
            if isinstance(event, Exception):
                raise event
            await send(event)

    async def ask(self, *names: str, method: str = "GET") -> list[asyncio.Task[None]]:
        """Let browsers ask for a path each, which is that of a WebSocket after "ws:".

        What follows a space in a name tells it from others. A WebSocket sends a message at once, if
        it isn't a SILENT one.
        """
        tasks = []
        for name in names:
            path = name.split()[0]
            kind = "websocket" if path.startswith("ws:") else "http"
            self._events[name] = asyncio.Queue()
            scope = {"type": kind, "path": path.removeprefix("ws:"), "name": name, "method": method}
            receive = _never if path == SILENT else _message
            call = self._admission(scope, receive, _drop)
            tasks.append(asyncio.create_task(call))
            await _settle()
        self._tasks += tasks
        return tasks

    async def send(self, name: str, event: str) -> None:
        """Let the application send a message of that ASGI type."""
        self._events[name].put_nowait({"type": event})
        await _settle()

    async def end(self, name: str, error: Exception | None = None) -> None:
        """Let the application return, or fail."""
        self._events[name].put_nowait(error)
        await _settle()

    async def go(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _nothing() -> Message:
    raise AssertionError("The application reads nothing.")


async def _message() -> Message:
    return {"type": "websocket.receive"}


async def _never() -> Message:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def _drop(message: Message) -> None:
    pass


async def _settle() -> None:
    """Let all tasks do what they can."""
    for _ in range(10):
        await asyncio.sleep(0)


def with_crowd(test: Callable[[Crowd], Awaitable[None]]) -> Callable[[], None]:
    """Run the test with a crowd, in an event loop of its own."""

    async def run() -> None:
        crowd = Crowd()
        try:
            await test(crowd)
        finally:
            await crowd.go()

    def call() -> None:
        asyncio.run(run())

    call.__name__ = test.__name__
    call.__doc__ = test.__doc__
    return call


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """No place is free by itself, unless a test says so."""
    monkeypatch.setattr(admission, "LEASE", 3600.0)


FULL = [f"/ {number}" for number in range(PLACES)]  # as many pages as there are places


@with_crowd
async def test_the_health_check_passes_a_crowd(crowd: Crowd) -> None:
    await crowd.ask(*FULL, "/ waits", HEALTH)
    assert crowd.begun == [*FULL, HEALTH]


@with_crowd
async def test_those_who_wait_come_in_order_of_arrival(crowd: Crowd) -> None:
    await crowd.ask(*FULL, "/ first", "/ second", "/ third")
    for name in FULL[:2]:
        await crowd.send(name, "http.response.start")
    assert crowd.begun == [*FULL, "/ first", "/ second"]


@with_crowd
async def test_who_has_begun_gets_the_rest_before_others_begin(crowd: Crowd) -> None:
    await crowd.ask(*FULL, "/ other", "/static/script.js", SOCKET)
    for name in FULL[:3]:
        await crowd.send(name, "http.response.start")
    assert crowd.begun == [*FULL, SOCKET, "/static/script.js", "/ other"]


@pytest.mark.parametrize("flood", [SOCKET, "/static/script.js", "/"])
def test_no_number_of_requests_keeps_out_another_kind(flood: str) -> None:
    @with_crowd
    async def run(crowd: Crowd) -> None:
        others = {SOCKET, "/static/script.js", "/"} - {flood}
        waiting = [f"{flood} {number}" for number in range(PLACES, 2 * ROUND)]
        await crowd.ask(*FULL, *waiting, *others)
        for name in [*FULL, *waiting][:ROUND]:
            await crowd.end(name)
        assert others <= set(crowd.begun)

    run()


@with_crowd
async def test_what_waits_for_a_network_holds_no_place(crowd: Crowd) -> None:
    waiting = ["/auth/login", "/oauth2callback", "/auth/logout", SILENT]
    await crowd.ask(*(f"{path} {number}" for path in waiting for number in range(PLACES)))
    await crowd.ask(*FULL, "/ waits")
    assert crowd.begun[-PLACES:] == FULL
    await crowd.ask("/auth/login more")
    assert crowd.begun[-1] == "/auth/login more"


@with_crowd
async def test_an_upload_that_takes_long_holds_no_place(crowd: Crowd) -> None:
    uploads = [f"/_stcore/upload_file/a/b {number}" for number in range(PLACES)]
    await crowd.ask(*uploads, method="PUT")
    await crowd.ask("/ next")
    assert crowd.begun == [*uploads, "/ next"]


@with_crowd
async def test_a_slow_download_holds_no_place(crowd: Crowd) -> None:
    downloads = [f"/media/picture.png {number}" for number in range(PLACES)]
    await crowd.ask(*downloads)
    for name in downloads:
        await crowd.send(name, "http.response.start")
        await crowd.send(name, "http.response.body")
    await crowd.ask("/ next")
    assert crowd.begun[-1] == "/ next"


@with_crowd
async def test_a_websocket_holds_its_place_until_the_page_begins(crowd: Crowd) -> None:
    await crowd.ask(*(f"{SOCKET} {number}" for number in range(PLACES)), "/ next")
    assert "/ next" not in crowd.begun
    await crowd.send(f"{SOCKET} 0", "websocket.send")
    assert "/ next" in crowd.begun
    await crowd.ask("/ waits")
    await crowd.send(f"{SOCKET} 0", "websocket.send")
    assert "/ waits" not in crowd.begun  # each place was freed once


@with_crowd
async def test_what_fails_holds_no_place(crowd: Crowd) -> None:
    tasks = await crowd.ask(*FULL, "/ next")
    await crowd.end(FULL[0], OSError("The browser has gone."))
    assert "/ next" in crowd.begun
    assert isinstance(tasks[0].exception(), OSError)


@with_crowd
async def test_who_goes_while_waiting_takes_no_place(crowd: Crowd) -> None:
    await crowd.ask(*FULL)
    [gone] = await crowd.ask("/ gone")
    await crowd.ask("/ next")
    gone.cancel()
    await _settle()
    await crowd.end(FULL[0])
    assert crowd.begun == [*FULL, "/ next"]


def test_a_slow_browser_delays_others_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        crowd = Crowd()
        monkeypatch.setattr(admission, "LEASE", 0.0)
        await crowd.ask(*(f"{SOCKET} {number}" for number in range(PLACES)))
        monkeypatch.setattr(admission, "LEASE", 3600.0)
        await crowd.ask(*FULL, "/ waits")
        assert crowd.begun[PLACES:] == FULL
        await crowd.end(f"{SOCKET} 0")  # its place is another's meanwhile
        assert "/ waits" not in crowd.begun
        await crowd.go()

    asyncio.run(run())


@with_crowd
async def test_the_start_of_the_server_does_not_wait(crowd: Crowd) -> None:
    seen: list[Any] = []

    async def application(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope)

    await Admission(application)({"type": "lifespan"}, _nothing, _drop)
    assert seen == [{"type": "lifespan"}]
