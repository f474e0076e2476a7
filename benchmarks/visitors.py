"""How long browsers take: `python visitors.py ADDRESS COUNT FILE [KEYS]`, with a project's Python.

FILE holds what one browser sent, as recorded by benchmarks/image.py; COUNT visitors send it at
once. KEYS holds the keys of their sessions, if they have been here before. Prints the seconds until
each has received every file, and every run of the script has ended, the fastest first.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

PATIENCE = 300  # seconds


async def fetch(host: str, path: str, cookie: dict[str, str]) -> None:
    name, _, port = host.partition(":")
    reader, writer = await asyncio.open_connection(name, int(port))
    headers = {"Host": host, "Accept-Encoding": "gzip, deflate, br, zstd", "Connection": "close"}
    lines = [f"GET {path} HTTP/1.1", *(f"{k}: {v}" for k, v in (headers | cookie).items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.read()
    writer.close()
    if not answer.startswith(b"HTTP/1.1 200"):
        sys.exit(f"The server's answer for {path} begins with {answer[:40]!r}.")


def script_ended(message: bytes) -> bool:
    return bool(ForwardMsg.FromString(message).WhichOneof("type") == "script_finished")


def plan(events: list[tuple[str, str]]) -> tuple[list[str], list[tuple[int, bytes]], list[str]]:
    """Return the files requested before the first message, the messages, and the other files.

    Each message comes with the number of runs of the script that had ended when it was sent.
    """
    before: list[str] = []
    messages: list[tuple[int, bytes]] = []
    after: list[str] = []
    ended = 0
    for kind, text in events:
        if kind == "get":
            (after if messages else before).append(text)
        elif kind == "sent":
            messages.append((ended, base64.b64decode(text)))
        else:
            ended += script_ended(base64.b64decode(text))
    return before, messages, after


async def talk(host: str, messages: list[tuple[int, bytes]], cookie: dict[str, str]) -> Any:
    """Send each message after as many runs as in the recording; wait until the last run ends.

    Returns the connection, which a browser keeps.
    """
    ended = 0
    origin: Any = f"http://{host}"
    protocols: Any = ["streamlit"]
    socket = await connect(
        f"ws://{host}/_stcore/stream",
        origin=origin,
        subprotocols=protocols,
        additional_headers=cookie,
        max_size=None,
        open_timeout=PATIENCE,
        ping_interval=None,
    )
    for runs, message in messages:
        while ended < runs:
            ended += script_ended(await socket.recv(decode=False))
        await socket.send(message)
    while ended <= messages[-1][0]:
        ended += script_ended(await socket.recv(decode=False))
    return socket


async def main(address: str, count: int, file: Path, keys: list[str]) -> None:
    host = urlsplit(address).netloc
    before, messages, after = plan(json.loads(file.read_text()))
    begun = time.perf_counter()

    async def visit(number: int) -> tuple[float, Any]:
        cookie = {"Cookie": f"chatbot_session={keys[number]}"} if keys else {}
        for path in before:
            await fetch(host, path, cookie)
        socket = await talk(host, messages, cookie)
        for path in after:
            await fetch(host, path, cookie)
        return time.perf_counter() - begun, socket

    async with asyncio.timeout(PATIENCE):
        visits = await asyncio.gather(*(visit(number) for number in range(count)))
    print(json.dumps(sorted(seconds for seconds, _socket in visits)))


if __name__ == "__main__":
    kept = json.loads(Path(sys.argv[4]).read_text()) if len(sys.argv) > 4 else []
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), kept))
