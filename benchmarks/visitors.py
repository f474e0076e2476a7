"""How long new browsers take: `python visitors.py ADDRESS COUNT FILE`, with a project's Python.

FILE holds what one browser sent, as recorded by benchmarks/image.py; COUNT visitors send it at
once. Prints the seconds until all have received every file, and every run of the script has ended.
"""

import base64
import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

HEADERS = {"Accept-Encoding": "gzip, deflate, br, zstd"}  # as Chromium
PATIENCE = 120  # seconds


def fetch(host: str, paths: list[str]) -> None:
    connection = http.client.HTTPConnection(host, timeout=PATIENCE)
    for path in paths:
        connection.request("GET", path, headers=HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            sys.exit(f"The server answered {answer.status} for {path}.")
    connection.close()


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


def talk(host: str, messages: list[tuple[int, bytes]]) -> None:
    """Send each message after as many runs as in the recording; wait until the last run ends."""
    ended = 0
    address = f"ws://{host}/_stcore/stream"
    origin: Any = f"http://{host}"
    protocols: Any = ["streamlit"]
    with connect(address, origin=origin, subprotocols=protocols, max_size=None) as socket:
        for runs, message in messages:
            while ended < runs:
                ended += script_ended(socket.recv(PATIENCE))
            socket.send(message)
        while ended <= messages[-1][0]:
            ended += script_ended(socket.recv(PATIENCE))


def main(address: str, count: int, file: Path) -> None:
    host = urlsplit(address).netloc
    before, messages, after = plan(json.loads(file.read_text()))
    ready = Barrier(count + 1)

    def visit() -> None:
        ready.wait()
        fetch(host, before)
        talk(host, messages)
        fetch(host, after)

    with ThreadPoolExecutor(count) as pool:
        visits = [pool.submit(visit) for _ in range(count)]
        ready.wait()
        begun = time.perf_counter()
        for each in visits:
            each.result()
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
