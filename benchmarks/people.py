"""People who chat: `python people.py ADDRESS COUNT SECONDS PAUSE KEYS`, with a project's Python.

KEYS holds the keys of their sessions. All open the page; once all have it, each sends a message
every PAUSE seconds, at moments that are random but the same in each run, and reads along; with a
PAUSE of 0, nobody says anything. Prints "opened", "said", and at last how far behind the model the
page was, in seconds, for each piece of text that the model marked with the time when it was sent
(benchmarks/timed_model.py).
"""

import asyncio
import json
import random
import re
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect

STAMP = re.compile(rb"at(\d+)ms")
PATIENCE = 120  # seconds
LAST_ANSWERS = 15.0  # seconds for which those that are not complete are waited for
PROMPT = "How long does an answer last if its task ends while it is written? "


class Person:
    """Somebody whose browser holds that session key.

    opened: set once the page is there.
    behind: how late each piece of the answers was shown, in seconds.
    asked, answered: messages sent, and answers that were shown to their end.
    waits: whether an answer is not shown to its end.
    """

    def __init__(self, address: str, key: str) -> None:
        self.opened = asyncio.Event()
        self.behind: list[float] = []
        self.asked = self.answered = 0
        self.waits = False
        self._host = urlsplit(address).netloc
        self._key = key
        self._input = ""
        self._query = ""
        self._seen: set[bytes] = set()
        self._socket: Any = None

    async def open(self) -> None:
        """Open the page, and read what it shows until this is cancelled."""
        origin: Any = f"http://{self._host}"
        protocols: Any = ["streamlit"]
        async with connect(
            f"ws://{self._host}/_stcore/stream",
            origin=origin,
            subprotocols=protocols,
            additional_headers={"Cookie": f"chatbot_session={self._key}"},
            max_size=None,
            open_timeout=PATIENCE,
            ping_interval=None,
        ) as self._socket:
            await self._run()
            async for data in self._socket:
                self._read(data)

    async def say(self) -> None:
        """Send a message, unless the answer to the last one is not there yet."""
        self.asked += 1
        if not self.waits:
            self.waits = True
            await self._run(PROMPT * 3)

    async def _run(self, prompt: str = "") -> None:
        message = BackMsg()
        message.rerun_script.query_string = self._query
        if prompt:
            widget = message.rerun_script.widget_states.widgets.add()
            widget.id = self._input
            widget.chat_input_value.data = prompt
        await self._socket.send(message.SerializeToString())

    def _read(self, data: bytes) -> None:
        now = time.monotonic()
        message = ForwardMsg.FromString(data)
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.new_element.HasField("chat_input"):
            self._input = message.delta.new_element.chat_input.id
        elif kind == "page_info_changed":
            self._query = message.page_info_changed.query_string
        elif kind == "script_finished" and message.script_finished == 0:
            self.answered += self.waits
            self.waits = False
            self.opened.set()
        else:
            for stamp in STAMP.findall(data):
                if stamp not in self._seen:
                    self._seen.add(stamp)
                    self.behind.append(now - int(stamp) / 1000)


async def main(address: str, count: int, seconds: float, pause: float, keys: list[str]) -> None:
    people = [Person(address, key) for key in keys[:count]]
    open_pages = [asyncio.create_task(each.open()) for each in people]
    async with asyncio.timeout(PATIENCE):
        for each in people:
            await each.opened.wait()
    print(json.dumps("opened"), flush=True)
    if pause:
        chance = random.Random(count)  # noqa: S311
        begun = time.monotonic()
        due = sorted(
            (pause * (number + chance.random()) / count + again * pause, number)
            for number in range(count)
            for again in range(round(seconds / pause))
        )
        for moment, number in due:
            await asyncio.sleep(begun + moment - time.monotonic())
            await people[number].say()
        await asyncio.sleep(begun + seconds - time.monotonic())
    else:
        await asyncio.sleep(seconds)
    print(json.dumps("said"), flush=True)
    end = time.monotonic() + LAST_ANSWERS
    while any(each.waits for each in people) and time.monotonic() < end:
        await asyncio.sleep(0.1)
    for task in open_pages:
        task.cancel()
    failed = [r for r in await asyncio.gather(*open_pages, return_exceptions=True) if r]
    failed = [each for each in failed if not isinstance(each, asyncio.CancelledError)]
    figures = {
        "behind": sorted(lag for each in people for lag in each.behind),
        "asked": sum(each.asked for each in people),
        "answered": sum(each.answered for each in people),
        "failed": len(failed),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    arguments = sys.argv[1:]
    known = json.loads(Path(arguments[4]).read_text())
    numbers = (int(arguments[1]), float(arguments[2]), float(arguments[3]))
    asyncio.run(main(arguments[0], *numbers, known))
