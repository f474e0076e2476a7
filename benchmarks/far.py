"""A distant visitor's network: a relay on this machine that is as slow in both directions.

What it carries, HTTP and WebSocket alike, arrives after 20 ms, at 10 Mbit/s for all connections
together. A new connection takes a round trip. TCP's slow start is left out.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from queue import SimpleQueue
from threading import Thread
from urllib.parse import urlsplit

from benchmarks.page import App

DELAY = 0.02  # seconds each way
RATE = 10e6 / 8  # bytes per second each way
CHUNK = 8_192  # bytes; small, so that connections share the line evenly
BACKLOG = 2 * CHUNK / RATE  # seconds of data that may wait, so that the line is never idle


class Line:
    """One direction of the line between two places, which all connections share."""

    def __init__(self) -> None:
        self._free_at = 0.0

    def send(self, count: int) -> float:
        """Return when so many bytes will have left, by the event loop's clock."""
        begin = max(asyncio.get_running_loop().time(), self._free_at)
        self._free_at = begin + count / RATE
        return self._free_at


async def sleep_until(moment: float) -> None:
    await asyncio.sleep(moment - asyncio.get_running_loop().time())


async def carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: Line, opened: float
) -> None:
    """Carry one direction of a connection that is open from that moment on."""
    travelling: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def leave() -> None:
        await sleep_until(opened)
        data = b"begin"
        while data:
            data = await reader.read(CHUNK)
            left = line.send(len(data))
            travelling.put_nowait((left + DELAY, data))
            await sleep_until(left - BACKLOG)

    async def arrive() -> None:
        while True:
            moment, data = await travelling.get()
            await sleep_until(moment)
            if not data:
                writer.write_eof()
                return
            writer.write(data)
            await writer.drain()

    await asyncio.gather(leave(), arrive())


@contextmanager
def away(app: App) -> Iterator[App]:
    """Put a served app far away, until the block ends."""
    port = urlsplit(app.address).port
    told: SimpleQueue[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = SimpleQueue()

    async def relay() -> None:
        to_server, to_browser, ended = Line(), Line(), asyncio.Event()

        async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            opened = asyncio.get_running_loop().time() + 2 * DELAY
            server_reader, server_writer = await asyncio.open_connection("localhost", port)
            # A tab that closes may reset its connection; the relay's end cancels the others.
            with suppress(OSError, asyncio.CancelledError):
                await asyncio.gather(
                    carry(reader, server_writer, to_server, opened),
                    carry(server_reader, writer, to_browser, opened),
                )
            writer.close()
            server_writer.close()

        server = await asyncio.start_server(connect, "127.0.0.1")
        told.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), ended))
        await ended.wait()

    thread = Thread(target=lambda: asyncio.run(relay()))
    thread.start()
    relay_port, loop, ended = told.get()
    try:
        yield replace(app, address=f"http://localhost:{relay_port}")
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
