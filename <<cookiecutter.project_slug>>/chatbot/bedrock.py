"""Answers from Amazon Bedrock's ConverseStream."""

import logging
import re
import threading
from contextlib import closing
from functools import partial
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    EventStreamError,
    HTTPClientError,
    InvalidRegionError,
    LoginError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from chatbot.connections import breakable_by, make_breakable, shut_down
from chatbot.errors import Facts
from chatbot.models import (
    Cancellation,
    Events,
    Finish,
    Message,
    Model,
    ModelError,
    Text,
    Thought,
    TooLongError,
)
from chatbot.settings import Guardrail
from chatbot.text import is_blank

log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 5  # seconds
READ_TIMEOUT = 300  # seconds: a reasoning model may be silent for minutes before its first word
_REDACTED = "[REDACTED]"  # what Nova 2 sends in place of its thoughts


class Bedrock:
    """A backend that asks Amazon Bedrock.

    region: None leaves it to boto3's own configuration.
    guardrail: watches over all models but those that do without it.
    """

    def __init__(self, region: str | None, guardrail: Guardrail | None = None) -> None:
        self._region = region
        self._guardrail = guardrail
        self._lock = threading.Lock()
        self._client: Any = None

    def stream(
        self, model: Model, messages: list[Message], system: str, cancellation: Cancellation
    ) -> Events:
        request: dict[str, Any] = {
            "modelId": model.id,
            "messages": _with_cache_points(messages) if model.prompt_cache else messages,
            "system": [{"text": system}],
            "inferenceConfig": model.inference,
        }
        if model.additional:
            request["additionalModelRequestFields"] = model.additional
        if self._guardrail and model.guardrail:
            request["guardrailConfig"] = {
                "guardrailIdentifier": self._guardrail.id,
                "guardrailVersion": self._guardrail.version,
                "streamProcessingMode": "sync",  # nothing is shown that it has not seen
            }
        client, answered = None, {}
        try:
            client = self._connect()
            with breakable_by(cancellation):
                answered = client.converse_stream(**request)
            request.clear()
            del messages  # the files in them are large, and an answer may take minutes
            with closing(answered["stream"]) as stream:
                # Closing would not wake the thread that reads; only urllib3's response can.
                cancellation.on_cancel(partial(shut_down, stream._raw_stream))
                yield from _read(stream)
        except ModelError as error:
            error.facts |= _request_of(answered)
            raise
        except Exception as error:  # anything can break below botocore: urllib3, ssl, a parser
            if cancellation.cancelled:
                return
            log.warning("Bedrock, %s: %s: %s", model.id, type(error).__name__, error)
            model_error = _to_model_error(error)
            model_error.facts |= _request_of(getattr(error, "response", None)) or _request_of(
                answered
            )
            if model_error.code in _OF_THE_CLIENT:
                self._drop(client)
            raise model_error from error

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
                client = session.client("bedrock-runtime", config=config)
                make_breakable(client)
                self._client = client
            return self._client

    def _drop(self, client: Any) -> None:
        """Let the next request use a new client, which reads configuration and credentials anew."""
        with self._lock:
            if self._client is client:
                self._client = None


def _with_cache_points(messages: list[Message]) -> list[Message]:
    """Tell the model to keep what it is sent, and to look for what it kept the last time.

    A mark stands behind the newest question, which the next request will look for, and one behind
    the question before it, which the last request has kept.
    """
    point = {"cachePoint": {"type": "default"}}
    newest = [number for number, each in enumerate(messages) if each["role"] == "user"][-2:]
    return [
        {**each, "content": [*each["content"], point]} if number in newest else each
        for number, each in enumerate(messages)
    ]


def _read(stream: Any) -> Events:
    """Read Converse's events. Everything but text and the text of thoughts is left out."""
    reason, usage, empty = None, {}, True
    _name_unlisted_errors(stream)
    for event in stream:
        delta = event.get("contentBlockDelta", {}).get("delta", {})
        thought = delta.get("reasoningContent", {}).get("text", "")
        if text := delta.get("text"):
            empty = empty and is_blank(text)
            yield Text(text)
        elif thought and thought != _REDACTED:  # without text, it is a signature
            yield Thought(thought)
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


def _name_unlisted_errors(stream: Any) -> None:
    """Keep name and message of an error that the API's model does not list: botocore drops them."""
    parse = stream._parse_event

    def parse_and_name(event: Any) -> Any:
        try:
            return parse(event)
        except EventStreamError as error:
            if error.response["Error"]["Code"]:
                raise
            name = event.headers.get(":exception-type") or type(error).__name__
            details = {"Code": name, "Message": event.payload.decode("utf-8", "replace")}
            raise EventStreamError({"Error": details}, error.operation_name) from None

    stream._parse_event = parse_and_name


# By the errors of bedrock-runtime's API reference, of signing and of STS; in a stream they start in
# lower case.
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
    "AccessDenied": "credentials",
    "ExpiredToken": "credentials",
    "ExpiredTokenException": "credentials",
    "IncompleteSignatureException": "credentials",
    "InvalidClientTokenId": "credentials",
    "InvalidIdentityToken": "credentials",
    "InvalidSignatureException": "credentials",
    "MissingAuthenticationTokenException": "credentials",
    "SignatureDoesNotMatch": "credentials",
    "UnrecognizedClientException": "credentials",
    "ValidationException": "refused",
}

# Errors that a client made anew may not have: what boto3 reads may have changed on the disk.
_OF_THE_CLIENT = {"credentials", "denied", "network", "no_region", "no_such_model"}

# What the names leave open is in the messages, each in the words of the models that say so.
_REASONS = {
    "daily_quota": r"too many tokens per day",
    "form_missing": r"use case details",
    "needs_profile": r"on-demand throughput",
    "retired": r"end of its life|marked by provider as legacy",
    "no_access": r"have access to the model|model access is denied|aws-marketplace:",
    "no_such_model": r"model identifier",
    "too_long": r"too long|input tokens? exceed|exceeds? (the )?(max(imum)?( context)?|context) "
    r"(length|window|limit)|context (length|window|limit)|maximum number of (input )?tokens"
    r"|too many (input |total )?(tokens|text)|expected maxlength|(decrease|reduce) (the )?"
    r"(input|length of the)|(input|prompt) (token count|is too large)",
}


def _to_model_error(error: Exception) -> ModelError:
    """Return the ModelError for what boto3, or what lies under it, raised."""
    code, name = "other", type(error).__name__
    match error:
        case ClientError():
            name = str(error.response.get("Error", {}).get("Code", name))
            listed = "broke_off" if isinstance(error, EventStreamError) else "other"
            code = _CODES.get(name[:1].upper() + name[1:], listed)
            code = _find_reason(code, str(error))
            if code == "too_long":
                return TooLongError(error=name)
        case NoRegionError() | InvalidRegionError():
            code = "no_region"
        case (
            NoCredentialsError()
            | PartialCredentialsError()
            | ProfileNotFound()
            | ConfigNotFound()
            | ConfigParseError()
            | LoginError()
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


def _request_of(response: Any) -> Facts:
    """Return the id of the request, as a fact of its error, if Bedrock has answered with one."""
    metadata = response.get("ResponseMetadata", {}) if isinstance(response, dict) else {}
    return {"request": str(metadata["RequestId"])[:100]} if metadata.get("RequestId") else {}


def _find_reason(code: str, message: str) -> str:
    """Return the code for what the message says, or the one for the error's name."""
    if code == "credentials":
        return code
    found = [reason for reason, words in _REASONS.items() if re.search(words, message, re.I)]
    # "Too many tokens" is about the conversation, unless there were too many in a minute.
    return found[0] if found and (code, found[0]) != ("throttled", "too_long") else code
