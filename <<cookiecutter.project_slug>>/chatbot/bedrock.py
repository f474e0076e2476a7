"""Answers from Amazon Bedrock's ConverseStream."""

import logging
import threading
from contextlib import closing, suppress
from functools import partial
from typing import Any

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

from chatbot.models import (
    Cancellation,
    Events,
    Finish,
    Message,
    Model,
    ModelError,
    Text,
    TooLongError,
)

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT = 300  # seconds: a reasoning model may be silent for minutes before its first word


class Bedrock:
    """A backend that asks Amazon Bedrock.

    region: None leaves it to boto3's own configuration.
    """

    def __init__(self, region: str | None) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._client: Any = None

    def stream(
        self, model: Model, messages: list[Message], system: str, cancellation: Cancellation
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
                cancellation.on_cancel(partial(_shut_down, stream._raw_stream))
                yield from _read(stream)
        except ModelError:
            raise
        except Exception as error:  # anything can break below botocore: urllib3, ssl, a parser
            log.warning("Bedrock, %s: %s: %s", model.id, type(error).__name__, error)
            raise _to_model_error(error) from error

    def _connect(self) -> Any:
        with self._lock:  # making a client is not safe in threads, using it is
            if self._client is None:
                # The number of attempts is botocore's, or that of AWS_MAX_ATTEMPTS.
                config = Config(
                    connect_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                    retries={"mode": "standard"},
                )
                session = boto3.session.Session(region_name=self._region)
                self._client = session.client("bedrock-runtime", config=config)
            return self._client


def _shut_down(response: Any) -> None:
    with suppress(OSError, RuntimeError, ValueError):  # it has ended meanwhile
        response.shutdown()


def _read(stream: Any) -> Events:
    """Read Converse's events. Everything but text, such as reasoning, is left out."""
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
        raise ModelError("broke_off", error="StreamEnded")
    if empty and reason in ("end_turn", "stop_sequence"):
        reason = "empty"
    yield Finish(reason, usage=usage)


# By the errors of bedrock-runtime's API reference, and of signing; in a stream they start in lower
# case.
_CODES = {
    "ThrottlingException": "throttled",
    "TooManyRequestsException": "throttled",
    "ServiceQuotaExceededException": "throttled",
    "ModelNotReadyException": "unavailable",
    "ServiceUnavailableException": "unavailable",
    "InternalServerException": "unavailable",
    "ModelErrorException": "unavailable",
    "ModelStreamErrorException": "broke_off",
    "ModelTimeoutException": "timeout",
    "AccessDeniedException": "denied",
    "ResourceNotFoundException": "no_such_model",
    "ExpiredTokenException": "credentials",
    "UnrecognizedClientException": "credentials",
    "InvalidSignatureException": "credentials",
    "InvalidClientTokenId": "credentials",
    "ValidationException": "refused",
}

_TOO_LONG = ("too long", "too many", "context length", "context window")


def _to_model_error(error: Exception) -> ModelError:
    """Return the ModelError for what boto3, or what lies under it, raised."""
    code, name = "other", type(error).__name__
    match error:
        case ClientError():
            name = str(error.response.get("Error", {}).get("Code", name))
            code = _CODES.get(name[:1].upper() + name[1:], "other")
            reason = str(error).lower()
            if code == "refused" and any(words in reason for words in _TOO_LONG):
                return TooLongError(error=name)
            if code == "refused" and "model identifier" in reason:
                code = "no_such_model"
        case NoRegionError():
            code = "no_region"
        case (
            NoCredentialsError()
            | PartialCredentialsError()
            | ProfileNotFound()
            | SSOError()
            | TokenRetrievalError()
        ):
            code = "credentials"
        case ConnectionError() | HTTPClientError():
            code = "timeout" if "timeout" in name.lower() else "network"
        case BotoCoreError() if "credential" in str(error).lower():
            code = "credentials"
        case BotoCoreError():
            code = "other"
        case _:
            code = "broke_off"
    return ModelError(code, error=name)
