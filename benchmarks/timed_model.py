"""A model whose answers say when each piece was sent: `python timed_model.py PORT`.

It speaks Bedrock's protocol. In "at4711ms", the number is the time in milliseconds, by
the machine's monotonic clock.
"""

import asyncio
import sys
import time

from support.bedrock import stand_in

TOKENS = 300  # of an answer
EVERY = 0.02  # seconds between two tokens, each an event of its own
FIRST = 0.5  # seconds until the first token
STAMP_EVERY = 5  # tokens
TEXT = (
    "The chatbot keeps each answer in a file, piece by piece, as **it** arrives. And so on, "
    "with `code` and a [link](https://example.com) in it, as models like to write."
)
WORDS = TEXT.split()
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.amazon.eventstream\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)


def now() -> int:
    """Return the time in milliseconds, which is the same in all processes of the machine."""
    return int(time.monotonic() * 1000)


def token(number: int) -> str:
    return f"at{now()}ms " if number % STAMP_EVERY == 0 else WORDS[number % len(WORDS)] + " "


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line for line in head.lower().splitlines() if line.startswith(b"content-length")]
    await reader.readexactly(int(length.split(b":")[1]))

    def send(kind: str, payload: dict[str, object]) -> None:
        event = stand_in._event(kind, payload)
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))

    writer.write(HEAD)
    send("messageStart", {"role": "assistant"})
    loop = asyncio.get_running_loop()
    begun = loop.time() + FIRST
    for number in range(TOKENS):
        await asyncio.sleep(begun + number * EVERY - loop.time())
        send("contentBlockDelta", {"delta": {"text": token(number)}})
    send("contentBlockStop", {})
    send("messageStop", {"stopReason": "end_turn"})
    usage = {"inputTokens": 1000, "outputTokens": TOKENS, "totalTokens": 1000 + TOKENS}
    send("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(answer, "127.0.0.1", port, limit=2**20)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
