"""A stand-in for Bedrock's ConverseStream on loopback, as strict as Bedrock about what it is sent.

It speaks the real protocol, so boto3 is used as it is: a request signed with SigV4, an answer in
the binary event-stream encoding (https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

import base64
import json
import re
import select
import socket
import struct
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from string import whitespace
from typing import Any
from urllib.parse import unquote

WINDOW = 50_000  # tokens of a conversation
CACHED_FROM = 1_000  # tokens that a model keeps at least
_PROSE, _DIGITS = 4, 2  # characters a token, in words and in long numbers or hashes
_BYTES, _IMAGE = 40, 1_500  # bytes of a document a token, and tokens of an image
# What Converse's reference, and its errors, say of files.
_IMAGES = ("png", "jpeg", "gif", "webp")
_DOCUMENTS = ("pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md")
_MAX_IMAGES, _MAX_DOCUMENTS = 20, 5
_MAX_IMAGE, _MAX_DOCUMENT = 3_750_000, 4_500_000  # bytes
_MAX_REQUEST = 20_000_000  # characters of base64
_NAME = re.compile(r"[A-Za-z0-9()\[\]_-]+( [A-Za-z0-9()\[\]_-]+)*")

# What the models say of a conversation that is too long, by what is in their ids.
TOO_LONG = {
    "nova": "Input Tokens Exceeded: Number of input tokens exceeds maximum length. Please update "
    "the input to try again.",
    "claude": "The model returned the following errors: input length and `max_tokens` exceed "
    "context limit: {tokens} + 8192 > {window}, decrease input length or `max_tokens` and try "
    "again",
    "": "Input is too long for requested model.",
}
# Characters that Bedrock does not take for text, though Python's `strip` keeps them.
_NO_TEXT = "".join(map(chr, (0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0x2800, 0x3164, 0xFEFF)))
REQUEST_ID = "8a6f0c1e-5b1d-4c0a-9a57-2f6d3b7e9c11"  # of all requests


@dataclass(frozen=True)
class Refuse:
    """Answer with an error instead of a stream."""

    status: int
    code: str
    message: str = "No."


@dataclass(frozen=True)
class Fail:
    """End the stream with an error event."""

    code: str
    message: str = "It failed."


@dataclass(frozen=True)
class Reason:
    """Send a piece of reasoning; one without text stands for reasoning that is withheld."""

    text: str


@dataclass(frozen=True)
class Stop:
    """End the answer for this reason."""

    reason: str


class Cut:
    """Close the connection in the middle of the stream."""


@dataclass(frozen=True)
class Silence:
    """Say nothing at all, not even the response's headers, until the event is set."""

    until: threading.Event


Step = str | float | threading.Event | Reason | Stop | Fail | Cut | Silence


class BedrockStandIn:
    """A server that answers each request with what was queued, else with "An answer."."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[dict[str, Any]] = []
        self.models: list[str] = []
        self.access_keys: list[str] = []  # that the requests were signed with
        self.window = WINDOW
        self.connections = 0  # that are open now
        self.connected = 0  # connections so far
        self.silent = 0  # requests that were met with silence
        self.strangers = {"unknown-model"}  # ids that do not exist
        self._changed = threading.Condition()  # one of the counts
        self._cache: set[str] = set()
        self._replies: deque[Refuse | tuple[Step, ...]] = deque()

    def reply(self, *steps: Step | Refuse) -> None:
        """Queue an answer: text is sent, numbers are seconds, events are waited for.

        A Silence has to be the first step.
        """
        if isinstance(steps[0], Refuse):
            self._replies.append(steps[0])
        else:
            self._replies.append(tuple(step for step in steps if not isinstance(step, Refuse)))

    def count(self, **changes: int) -> None:
        """Add to the counts of these names."""
        with self._changed:
            for name, change in changes.items():
                setattr(self, name, getattr(self, name) + change)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the counts are as the condition wants them; fail after half a minute."""
        with self._changed:
            assert self._changed.wait_for(condition, 30)

    def forget(self) -> None:
        """Forget what was queued, and what was asked."""
        self._replies.clear()
        self.requests.clear()
        self.models.clear()
        self.access_keys.clear()

    def next_reply(self) -> Refuse | tuple[Step, ...]:
        return self._replies.popleft() if self._replies else ("An ", "answer.")

    def objection(self, model: str, request: dict[str, Any]) -> str:
        """Say what Bedrock would refuse the request for, or ""."""
        messages = request.get("messages", [])
        if model in self.strangers:
            return "The provided model identifier is invalid."
        if objection := _objection_to_reasoning(request):
            return objection
        if not messages or messages[0]["role"] != "user":
            return (
                "A conversation must start with a user message. Try again with a conversation that "
                "starts with a user message."
            )
        for number, message in enumerate(messages):
            if message["role"] != ("user", "assistant")[number % 2]:
                return (
                    "A conversation must alternate between user and assistant roles. Make sure the "
                    "conversation alternates between user and assistant roles and try again."
                )
            if not message["content"]:
                return (
                    f"The content field in the Message object at messages.{number} is empty. Add a "
                    "ContentBlock object to the content field and try again."
                )
            points = [part for part in message["content"] if "cachePoint" in part]
            if points and points != message["content"][-1:]:
                return "A cache point must come once, after what it is for."
            if objection := _objection_to_files(message):
                return objection
            for part, block in enumerate(message["content"]):
                if "text" in block and not block["text"].strip(whitespace + _NO_TEXT):
                    return (
                        "The text field in the ContentBlock object at "
                        f"messages.{number}.content.{part} is blank. Add text to the text field, "
                        "and try again."
                    )
        if objection := _objection_to_all_files(messages):
            return objection
        if sum("cachePoint" in part for each in messages for part in each["content"]) > 4:
            return "You have exceeded the maximum number of cache checkpoints."
        if messages[-1]["role"] != "user":
            return (
                "The model returned the following errors: This model does not support assistant "
                "message prefill. The conversation must end with a user message."
            )
        if not all(block["text"].strip() for block in request.get("system", [])):
            return "The text field in the SystemContentBlock object at system.0 is blank."
        tokens = self.count_tokens(request)
        if tokens > self.window:
            name = next(name for name in TOO_LONG if name in model)
            return TOO_LONG[name].format(tokens=tokens, window=self.window)
        return ""

    def count_tokens(self, request: dict[str, Any]) -> int:
        """Count the tokens of all that the model is sent."""
        blocks = [block for each in request.get("messages", []) for block in each["content"]]
        blocks += request.get("system", [])
        files = [_bytes_of(block) for block in blocks if "document" in block]
        images = sum("image" in block for block in blocks)
        tokens = sum(_count_tokens(block["text"]) for block in blocks if "text" in block)
        return tokens + sum(len(each) // _BYTES for each in files) + images * _IMAGE

    def use_cache(self, model: str, request: dict[str, Any]) -> dict[str, int]:
        """Return how many tokens come from the cache, and go into it; keep what is marked."""
        read = kept = 0
        begin: dict[str, Any] = {"system": request.get("system", []), "messages": []}
        for message in request["messages"]:
            begin["messages"].append(message)
            if "cachePoint" in message["content"][-1] and self.count_tokens(begin) >= CACHED_FROM:
                shown = re.sub(r', {"cachePoint": [^}]*}}', "", json.dumps([model, begin]))
                kept = self.count_tokens(begin)
                read = kept if shown in self._cache else read
                self._cache.add(shown)
        return {"cacheReadInputTokens": read, "cacheWriteInputTokens": kept - read}


def documents_of(request: dict[str, Any]) -> list[str]:
    """Return the names of the request's documents."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [block["document"]["name"] for block in blocks if "document" in block]


def _bytes_of(block: dict[str, Any]) -> bytes:
    [file] = [block[each] for each in ("document", "image") if each in block]
    return base64.b64decode(file["source"]["bytes"])


def _objection_to_files(message: dict[str, Any]) -> str:
    """Say what Bedrock would refuse in the files of a message, or ""."""
    content = message["content"]
    if any("document" in block for block in content):
        if message["role"] != "user":
            return "Documents are supported in user messages only."
        if not any("text" in block for block in content):
            return "A text block is required beside a document."
    for block in content:
        kind = next((each for each in ("document", "image") if each in block), "")
        if not kind:
            continue
        formats, most = (_DOCUMENTS, _MAX_DOCUMENT) if kind == "document" else (_IMAGES, _MAX_IMAGE)
        if block[kind]["format"] not in formats:
            return "Member must satisfy enum value set."
        if not 0 < len(_bytes_of(block)) <= most:
            return f"The {kind} is empty, or too large."
        name = block[kind].get("name", "a")
        if not (len(name) <= 200 and _NAME.fullmatch(name)):
            return (
                "The document file name can only contain alphanumeric characters, whitespace "
                "characters, hyphens, parentheses, and square brackets. The name can't contain "
                "more than one consecutive whitespace character."
            )
    return ""


def _objection_to_all_files(messages: list[dict[str, Any]]) -> str:
    """Say what Bedrock would refuse in the files of all messages together, or ""."""
    blocks = [block for message in messages for block in message["content"]]
    names = documents_of({"messages": messages})
    if len({name.lower() for name in names}) < len(names):
        return "The request has documents with the same name. Give each document its own name."
    if len(names) > _MAX_DOCUMENTS:
        return f"The request has more than {_MAX_DOCUMENTS} documents."
    if sum("image" in block for block in blocks) > _MAX_IMAGES:
        return f"The request has more than {_MAX_IMAGES} images."
    files = [block for block in blocks if "image" in block or "document" in block]
    if sum(len(_bytes_of(block)) * 4 // 3 for block in files) > _MAX_REQUEST:
        return "The request is too large."
    return ""


def texts_of(request: dict[str, Any]) -> list[str]:
    """Return the texts of the request's messages, without what is said about the cache."""
    blocks = [block for message in request["messages"] for block in message["content"]]
    return [block["text"] for block in blocks if "text" in block]


@contextmanager
def bedrock_stand_in(host: str = "127.0.0.1", port: int = 0) -> Iterator[BedrockStandIn]:
    """Run a stand-in in a thread of its own, at a port of the machine's choice unless told."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle(self) -> None:
            stand_in.count(connections=1, connected=1)
            try:
                super().handle()
            finally:
                stand_in.count(connections=-1)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            _, _, model, operation = unquote(self.path).rsplit("/", 3)
            authorization = self.headers.get("Authorization", "")
            signed = authorization.startswith("AWS4-HMAC-SHA256 ")
            if operation != "converse-stream" or not signed:
                return self._refuse(Refuse(403, "AccessDeniedException", "Unsigned, or unknown."))
            request = json.loads(body)
            if objection := stand_in.objection(model, request):
                return self._refuse(Refuse(400, "ValidationException", objection))
            stand_in.requests.append(request)
            stand_in.models.append(model)
            stand_in.access_keys.append(re.findall("Credential=([^/]*)/", authorization)[0])
            reply = stand_in.next_reply()
            if isinstance(reply, Refuse):
                return self._refuse(reply)
            cached = stand_in.use_cache(model, request)
            fresh = {"inputTokens": stand_in.count_tokens(request) - sum(cached.values())}
            return self._stream(reply, fresh | (cached if any(cached.values()) else {}))

        def _refuse(self, refusal: Refuse) -> None:
            body = json.dumps({"message": refusal.message}).encode()
            self.send_response(refusal.status)
            self.send_header("x-amzn-ErrorType", refusal.code)
            self.send_header("x-amzn-RequestId", REQUEST_ID)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self, steps: tuple[Step, ...], usage: dict[str, int]) -> None:
            if isinstance(steps[0], Silence):
                stand_in.count(silent=1)
                # A client that goes away ends it as well.
                while not steps[0].until.is_set() and not self._has_gone():
                    time.sleep(0.01)
                if self._has_gone():
                    self.close_connection = True
                    return
            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.amazon.eventstream")
            self.send_header("x-amzn-RequestId", REQUEST_ID)
            self.send_header("Transfer-Encoding", "chunked")
            self.send_header("Connection", "close")  # so that Cut needs no special case
            self.end_headers()
            try:
                for event in _events(steps, usage):
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(event), event))
                if not any(isinstance(step, Cut) for step in steps):
                    self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client has gone

        def _has_gone(self) -> bool:
            readable, _, _ = select.select([self.connection], [], [], 0)
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    stand_in = BedrockStandIn(f"http://{host}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        server.shutdown()
        server.server_close()


def _count_tokens(text: str) -> int:
    digits = sum(map(len, re.findall(r"[0-9a-f]{16,}", text)))
    return -(-digits // _DIGITS) + -(-(len(text) - digits) // _PROSE)


def _objection_to_reasoning(request: dict[str, Any]) -> str:
    """Say what the models that reason would refuse the request for, or ""."""
    inference = request.get("inferenceConfig", {})
    additional = request.get("additionalModelRequestFields", {})
    thinking = additional.get("thinking", {})
    effort = additional.get("reasoningConfig", {}).get("maxReasoningEffort")
    blocks = [block for message in request.get("messages", []) for block in message["content"]]
    if any("reasoningContent" in block for block in blocks):
        return "The signature of a thinking block is missing or invalid."
    if thinking and (inference.get("temperature", 1) != 1 or "topP" in inference):
        return "`temperature` may only be set to 1, and `top_p` not at all, when thinking is on."
    if thinking.get("budget_tokens", 0) >= inference.get("maxTokens", 2**30):
        return "`max_tokens` must be greater than `thinking.budget_tokens`."
    if effort == "high" and {"temperature", "topP", "maxTokens"} & set(inference):
        return "temperature, topP and maxTokens must be unset with a high maxReasoningEffort."
    return ""


def _events(steps: tuple[Step, ...], usage: dict[str, int]) -> Iterator[bytes]:
    """Encode the steps as the events that Converse sends."""
    yield _event("messageStart", {"role": "assistant"})
    reason = "end_turn"
    block, reasons = 0, False  # the number of the content block, and whether it holds reasoning
    for step in steps:
        if reasons and isinstance(step, str):
            signature = {"reasoningContent": {"signature": "c2lnbmF0dXJl"}}
            yield _event("contentBlockDelta", {"delta": signature, "contentBlockIndex": block})
            yield _event("contentBlockStop", {"contentBlockIndex": block})
            block, reasons = block + 1, False
        match step:
            case str():
                text = {"delta": {"text": step}, "contentBlockIndex": block}
                yield _event("contentBlockDelta", text)
            case Reason():
                reasons = True
                content = {"text": step.text} if step.text else {"redactedContent": "c2VjcmV0"}
                delta = {"reasoningContent": content}
                yield _event("contentBlockDelta", {"delta": delta, "contentBlockIndex": block})
            case Stop():
                reason = step.reason
            case Fail():
                yield _message("exception", step.code, {"message": step.message})
                return
            case Cut():
                return
            case Silence():
                pass
            case threading.Event():
                step.wait(30)
            case int() | float():
                time.sleep(step)
    yield _event("contentBlockStop", {"contentBlockIndex": block})
    yield _event("messageStop", {"stopReason": reason})
    written = _count_tokens("".join(step for step in steps if isinstance(step, str)))
    written += _count_tokens("".join(step.text for step in steps if isinstance(step, Reason)))
    usage |= {"outputTokens": written, "totalTokens": sum(usage.values()) + written}
    yield _event("metadata", {"usage": usage, "metrics": {"latencyMs": 1}})


def _event(kind: str, payload: dict[str, Any]) -> bytes:
    return _message("event", kind, {"contentBlockIndex": 0} | payload)


def _message(message_type: str, kind: str, payload: dict[str, Any]) -> bytes:
    names = {
        ":message-type": message_type,
        f":{message_type}-type": kind,
        ":content-type": "application/json",
    }
    headers = b"".join(
        struct.pack(f"!B{len(name)}sBH", len(name), name.encode(), 7, len(value)) + value.encode()
        for name, value in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", len(headers) + len(body) + 16, len(headers))
    message = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + body
    return message + struct.pack("!I", zlib.crc32(message))
