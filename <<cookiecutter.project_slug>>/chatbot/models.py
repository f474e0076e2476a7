"""Who answers: Amazon Bedrock, or the offline demo model."""

import logging
import re
import threading
import time
import tomllib
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from chatbot.settings import ROOT, Settings, SettingsError

log = logging.getLogger(__name__)

BYTES_PER_TOKEN = 3  # of UTF-8; English has about 4, so the estimate is on the safe side
DEMO_PAUSE = 0.02  # seconds between two words of the demo model
SLOWLY = 8  # times as long, where the prompt asks for it

CONTINUE = (
    "Your answer above was cut off. Go on exactly where it ends, in the same language and form. "
    "Don't repeat any of it, and don't mention the interruption."
)

Message = dict[str, Any]
Events = Generator["Text | Finish", None, None]


@dataclass(frozen=True)
class Model:
    """A model that staff can choose: one table of models.toml.

    key: the table's name, which conversations remember.
    name: what staff see.
    id: a Bedrock model or inference profile.
    context_window: tokens of a conversation and its answer together.
    inference: Converse's inferenceConfig; leave out what the model refuses.
    additional: Converse's additionalModelRequestFields.
    """

    key: str
    name: str
    id: str
    context_window: int
    inference: dict[str, Any] = field(default_factory=dict)
    additional: dict[str, Any] = field(default_factory=dict)


def load_models(path: Path = ROOT / "models.toml") -> dict[str, Model]:
    """Read the models offered, the default one first.

    Raises SettingsError that says what is wrong with the file.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path.name} can't be read: {error}.") from error
    types = {
        "name": str,
        "id": str,
        "context_window": int,
        "inference": dict,
        "additional": dict,
    }
    models = {}
    for key, table in tables.items():
        if not isinstance(table, dict):
            raise SettingsError(f"{path.name}: {key!r} stands outside of a table.")
        for name, kind in types.items():
            if name in table and not isinstance(table[name], kind):
                raise SettingsError(f"{path.name}: {name!r} in [{key}] has the wrong type.")
        try:
            models[key] = Model(key=key, **table)
        except TypeError as error:
            raise SettingsError(
                f"{path.name}: [{key}] needs name, id and context_window, "
                "and may have inference and additional."
            ) from error
    if not models:
        raise SettingsError(f"{path.name} offers no model; it needs at least one table.")
    return models


@dataclass(frozen=True)
class Text:
    """A piece of an answer."""

    text: str


@dataclass(frozen=True)
class Finish:
    """The end of an answer: why, a sentence about it for people or "", and tokens by kind."""

    reason: str
    notice: str = ""
    usage: dict[str, int] = field(default_factory=dict)


class ModelError(Exception):
    """The model could not answer, or not to the end; the text is a sentence for staff.

    code: the error's name, for whoever runs the chatbot.
    """

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class TooLongError(ModelError):
    """The conversation does not fit the model's window."""


class Interruption:
    """Lets one thread break off what another one waits for: a model may be silent for minutes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked = False
        self._break_off: Callable[[], object] = lambda: None

    def ask(self) -> None:
        """Break off what is waited for, now or from now on."""
        with self._lock:
            self._asked = True
            self._break_off()

    def serve(self, break_off: Callable[[], object]) -> None:
        """Tell how what is waited for is broken off."""
        with self._lock:
            self._break_off = break_off
            if self._asked:
                break_off()


class Backend(Protocol):
    """Somebody who answers."""

    def stream(
        self, model: Model, messages: list[Message], system: str, interruption: Interruption
    ) -> Events:
        """Yield the answer's text as it arrives, a Finish last. Raises ModelError."""
        ...


def choose_backend(settings: Settings) -> Backend:
    """Return the backend that the settings name."""
    return Demo() if settings.backend == "demo" else Bedrock(settings.region)


def answer(
    backend: Backend,
    model: Model,
    turns: Sequence[tuple[str, str]],
    system: str,
    interruption: Interruption,
) -> Events:
    """Let the backend answer the last of the turns, as (prompt, answer). Raises ModelError.

    How many of the turns fit the model's window is estimated. If the model disagrees, it is asked
    again with half as many, until it answers or is alone with the last one.
    """
    fitting = turns_that_fit(turns, model, system)
    asked, begun = fitting, False
    while True:
        try:
            for event in backend.stream(model, to_messages(turns[-asked:]), system, interruption):
                if isinstance(event, Finish) and asked < fitting and not event.notice:
                    event = replace(event, notice=_FORGOTTEN.format(2 * asked - 1))
                begun = True
                yield event
            return
        except TooLongError:
            if begun or asked == 1:
                raise
            asked //= 2


def turns_that_fit(turns: Sequence[tuple[str, str]], model: Model, system: str) -> int:
    """Count the newest turns, as (prompt, answer), that fit the model's window; at least one."""
    answer_tokens = model.inference.get("maxTokens", 4096)
    room = (model.context_window - answer_tokens) * BYTES_PER_TOKEN - len(system.encode())
    for fitting, (prompt, answer) in enumerate(reversed(turns)):
        room -= len(prompt.encode()) + len(answer.encode())
        if room < 0:
            return max(1, fitting)
    return len(turns)


def to_messages(turns: Sequence[tuple[str, str]]) -> list[Message]:
    """Turn prompts and answers into what Converse accepts.

    Roles alternate, no text is blank, and the user speaks first and last. If the last turn
    already has a part of its answer, the user asks to go on from there: newer models refuse a
    conversation that ends with the assistant.
    """
    messages: list[Message] = []
    for prompt, answer in turns:
        _say(messages, "user", prompt)
        _say(messages, "assistant", answer)
    if messages and messages[-1]["role"] == "assistant":
        _say(messages, "user", CONTINUE)
    return messages


def _say(messages: list[Message], role: str, text: str) -> None:
    if not text.strip():
        return
    if messages and messages[-1]["role"] == role:
        messages[-1]["content"].append({"text": text})
    else:
        messages.append({"role": role, "content": [{"text": text}]})


class Bedrock:
    """Answers from Amazon Bedrock's ConverseStream."""

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._client: Any = None

    def stream(
        self, model: Model, messages: list[Message], system: str, interruption: Interruption
    ) -> Events:
        request: dict[str, Any] = {
            "modelId": model.id,
            "messages": messages,
            "system": [{"text": system}],
            "inferenceConfig": model.inference,
        }
        if model.additional:
            request["additionalModelRequestFields"] = model.additional
        try:
            with closing(self._connect().converse_stream(**request)["stream"]) as stream:
                # Closing would not wake the thread that reads; only urllib3's response can.
                interruption.serve(partial(_shut_down, stream._raw_stream))
                yield from _read(stream)
        except ModelError:
            raise
        except Exception as error:  # below botocore anything may break off: urllib3, ssl, a parser
            log.warning("Bedrock, %s: %s: %s", model.id, type(error).__name__, error)
            raise explain(error) from error

    def _connect(self) -> Any:
        with self._lock:  # making a client is not safe in threads, using it is
            if self._client is None:
                # A reasoning model may be silent for minutes before its first word. The number of
                # attempts is botocore's, or that of AWS_MAX_ATTEMPTS.
                config = Config(connect_timeout=5, read_timeout=300, retries={"mode": "standard"})
                session = boto3.session.Session(region_name=self._region)
                self._client = session.client("bedrock-runtime", config=config)
            return self._client


_FORGOTTEN = (
    "The conversation is too long for this model, which saw only the newest {} messages of it."
)

_STOP_NOTICES = {
    "end_turn": "",
    "stop_sequence": "",
    "max_tokens": "The answer reached the model's limit of length. Ask it to continue.",
    "model_context_window_exceeded": (
        "The conversation has filled the model's memory. Start a new chat to go on."
    ),
    "guardrail_intervened": "A guardrail of your organization withheld the answer or a part of it.",
    "content_filtered": "The model's content filter withheld the answer or a part of it.",
}


def _shut_down(response: Any) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
        response.shutdown()


def _read(stream: Any) -> Events:
    """Read Converse's events. Pieces other than text, such as reasoning, are not shown."""
    reason, usage, empty = None, {}, True
    for event in stream:
        if text := event.get("contentBlockDelta", {}).get("delta", {}).get("text"):
            empty = False
            yield Text(text)
        elif "messageStop" in event:
            reason = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            tokens = event["metadata"].get("usage", {})
            usage = {name: n for name, n in tokens.items() if isinstance(n, int)}
    if reason is None:
        raise ModelError("The model broke off in the middle of the answer.", "StreamEnded")
    notice = _STOP_NOTICES.get(reason, "The model ended the answer in an unexpected way.")
    if empty and not notice:
        notice = "The model gave an empty answer. Put the question differently."
    yield Finish(reason, notice, usage)


_ERRORS = {
    "throttling": "The model has too many requests at the moment. Wait a minute and try again.",
    "unavailable": "The model is not available at the moment. Try again in a minute.",
    "broken": "The model broke off in the middle of the answer. Try again.",
    "denied": (
        "The chatbot may not use this model. Choose another one, or tell whoever runs the chatbot."
    ),
    "missing": (
        "This model does not exist, or not in this region. Choose another one, or tell whoever "
        "runs the chatbot."
    ),
    "credentials": (
        "The chatbot has no valid AWS credentials at the moment. Tell whoever runs the chatbot."
    ),
    "region": "The chatbot has no AWS region set. Tell whoever runs the chatbot.",
    "network": "The chatbot can't reach Amazon Bedrock over the network. Try again in a minute.",
    "slow": "The model did not answer in time. Try again.",
    "long": (
        "The conversation is too long for this model. Start a new chat or choose another model."
    ),
    "invalid": "The model refused the request. Choose another model, or start a new chat.",
    "other": "The model could not answer because of an unexpected fault. Try again.",
}

# Codes of bedrock-runtime's API reference, and of signing; in a stream they start in lower case.
_CODES = {
    "ThrottlingException": "throttling",
    "TooManyRequestsException": "throttling",
    "ServiceQuotaExceededException": "throttling",
    "ModelNotReadyException": "unavailable",
    "ServiceUnavailableException": "unavailable",
    "InternalServerException": "unavailable",
    "ModelErrorException": "unavailable",
    "ModelStreamErrorException": "broken",
    "ModelTimeoutException": "slow",
    "AccessDeniedException": "denied",
    "ResourceNotFoundException": "missing",
    "ExpiredTokenException": "credentials",
    "UnrecognizedClientException": "credentials",
    "InvalidSignatureException": "credentials",
    "InvalidClientTokenId": "credentials",
    "ValidationException": "invalid",
}

_TOO_LONG = ("too long", "too many", "context length", "context window")


def explain(error: Exception) -> ModelError:
    """Turn what boto3, or what lies under it, raised into a sentence for staff."""
    kind, code = "other", type(error).__name__
    match error:
        case ClientError():
            code = str(error.response.get("Error", {}).get("Code", code))
            kind = _CODES.get(code[:1].upper() + code[1:], "other")
            reason = str(error).lower()
            if kind == "invalid" and any(words in reason for words in _TOO_LONG):
                kind = "long"
            elif kind == "invalid" and "model identifier" in reason:
                kind = "missing"
        case NoRegionError():
            kind = "region"
        case (
            NoCredentialsError()
            | PartialCredentialsError()
            | ProfileNotFound()
            | SSOError()
            | TokenRetrievalError()
        ):
            kind = "credentials"
        case ConnectionError() | HTTPClientError():
            kind = "slow" if "timeout" in code.lower() else "network"
        case BotoCoreError() if "credential" in str(error).lower():
            kind = "credentials"
        case BotoCoreError():
            kind = "other"
        case _:
            kind = "broken"
    return (TooLongError if kind == "long" else ModelError)(_ERRORS[kind], code)


class Demo:
    """A scripted answer, for trying the page without AWS. It says so itself."""

    def stream(
        self, model: Model, messages: list[Message], system: str, interruption: Interruption
    ) -> Events:
        partial = ""
        if _last_text(messages) == CONTINUE:
            messages, partial = messages[:-2], _last_text(messages[:-1])
        prompt = _last_text(messages)
        answer = _demo_answer(prompt, len(messages), model.name)
        pause = DEMO_PAUSE * (SLOWLY if "slowly" in prompt.lower() else 1)
        for word in re.findall(r"\s*\S+\s*?", answer.removeprefix(partial)):
            time.sleep(pause)
            yield Text(word)
        yield Finish("end_turn")


def _last_text(messages: list[Message]) -> str:
    return str(messages[-1]["content"][-1]["text"])


def _demo_answer(prompt: str, messages: int, model: str) -> str:
    quoted = " ".join(prompt.split())[:200]
    return f"""\
**This is the demo model: no model was called.** The answer is scripted, and nothing left this
machine. You wrote:

> {quoted}

What you see works the same with Amazon Bedrock:

| What | Here |
| --- | --- |
| Model chosen | {model} |
| Messages it would be sent | {messages} |
| This conversation | saved, piece by piece, before you see it |

Try it: reload the page, open a second tab, or stop the server while this streams. Ask for an answer
that comes slowly, to have the time. To get real answers, start the chatbot with AWS credentials and
another backend:

```bash
CHATBOT_BACKEND=bedrock python3 dev.py run
```
"""
