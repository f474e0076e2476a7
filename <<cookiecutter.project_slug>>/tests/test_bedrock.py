"""Answers of Bedrock through boto3's real protocol, and what goes wrong there."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.bedrock import (
    REQUEST_ID,
    TOO_LONG,
    BedrockStandIn,
    Cut,
    Fail,
    Reason,
    Refuse,
    Silence,
    Stop,
)
from support.models import HELLO, MODEL, listen, talk

from chatbot.bedrock import Bedrock
from chatbot.context import to_messages
from chatbot.models import Cancellation, Finish, Model, ModelError, Text, Thought, count_tokens
from chatbot.settings import Guardrail


def test_an_answer_arrives_in_pieces_with_its_usage(bedrock: BedrockStandIn) -> None:
    bedrock.reply("Grüß ", "dich ", "👋")
    events = list(Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation()))
    assert events[:3] == [Text("Grüß "), Text("dich "), Text("👋")]
    usage = {"inputTokens": 4, "outputTokens": 3, "totalTokens": 7}
    assert events[3] == Finish("end_turn", usage=usage)


def test_a_piece_arrives_before_the_next_one_is_sent(bedrock: BedrockStandIn) -> None:
    more = threading.Event()
    bedrock.reply("One", more, "two")
    stream = Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation())
    assert next(stream) == Text("One")
    more.set()
    assert next(stream) == Text("two")


def test_a_model_is_sent_only_the_parameters_it_accepts(bedrock: BedrockStandIn) -> None:
    backend = Bedrock("us-east-1")
    listen(backend)
    picky = Model("p", "Picky", "picky", 1000, {"maxTokens": 5}, {"reasoning": {"effort": "low"}})
    listen(backend, picky)
    first, second = bedrock.requests
    assert bedrock.models == ["test.model-v1:0", "picky"]
    assert first["inferenceConfig"] == {"maxTokens": 100}
    assert "additionalModelRequestFields" not in first
    assert second["inferenceConfig"] == {"maxTokens": 5}
    assert second["additionalModelRequestFields"] == {"reasoning": {"effort": "low"}}
    assert first["system"] == [{"text": "Be kind."}]


def test_a_long_chat_pays_for_its_history_once(bedrock: BedrockStandIn) -> None:
    model = replace(MODEL, prompt_cache=True)
    backend, exchanges, read, kept = Bedrock("us-east-1"), list[tuple[str, str]](), 0, 0
    for number in range(6):
        exchanges.append((f"Question {number} " * 500, ""))
        messages = to_messages(talk(*exchanges))
        *_, finish = backend.stream(model, messages, "Be kind.", Cancellation())
        assert isinstance(finish, Finish)
        tokens = count_tokens(finish.usage)
        assert tokens and tokens.fresh == 0
        assert tokens.cached == read + kept  # all that was sent before
        read, kept = tokens.cached, tokens.kept
        exchanges[-1] = (exchanges[-1][0], "An answer.")
    assert all("cachePoint" not in str(each) for each in messages)  # others use them, too


def test_a_model_that_keeps_nothing_is_not_told_to(bedrock: BedrockStandIn) -> None:
    listen(Bedrock("us-east-1"))
    assert "cachePoint" not in str(bedrock.requests)


def test_a_guardrail_watches_over_the_models_that_are_not_excepted(
    bedrock: BedrockStandIn,
) -> None:
    backend = Bedrock("us-east-1", Guardrail("a1b2", "3"))
    listen(backend)
    listen(backend, replace(MODEL, guardrail=False))
    listen(Bedrock("us-east-1"))
    watched, excepted, without = bedrock.requests
    assert watched["guardrailConfig"] == {
        "guardrailIdentifier": "a1b2",
        "guardrailVersion": "3",
        "streamProcessingMode": "sync",
    }
    assert "guardrailConfig" not in {**excepted, **without}


def test_reasoning_is_not_taken_for_the_answer(bedrock: BedrockStandIn) -> None:
    bedrock.reply(Reason("Hm"), Reason("m."), Reason(""), Reason("[REDACTED]"), "Yes.")
    events = list(Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation()))
    assert events[:-1] == [Thought("Hm"), Thought("m."), Text("Yes.")]


@pytest.mark.parametrize(
    ("inference", "additional"),
    [
        ({"maxTokens": 4096}, {"thinking": {"type": "enabled", "budget_tokens": 4096}}),
        ({"maxTokens": 99, "topP": 1}, {"thinking": {"type": "adaptive"}}),
        ({"maxTokens": 99}, {"reasoningConfig": {"maxReasoningEffort": "high"}}),
    ],
)
def test_a_model_can_not_reason_with_every_setting(
    bedrock: BedrockStandIn, inference: dict[str, Any], additional: dict[str, Any]
) -> None:
    with pytest.raises(ModelError) as caught:
        listen(Bedrock("us-east-1"), replace(MODEL, inference=inference, additional=additional))
    assert caught.value.code == "refused"
    assert not bedrock.requests


@pytest.mark.parametrize(
    "reason",
    [
        "max_tokens",
        "guardrail_intervened",
        "content_filtered",
        "model_context_window_exceeded",
        "something_new",
        "stop_sequence",
    ],
)
def test_an_answer_ends_for_the_reason_that_the_model_gives(
    bedrock: BedrockStandIn, reason: str
) -> None:
    bedrock.reply("Half", Stop(reason))
    text, finish = listen(Bedrock("us-east-1"))
    assert (text, finish.code) == ("Half", reason)


@pytest.mark.parametrize("pieces", [[""], [" ", "\n"], ["\u200b"], ["\ufeff", " \u2060", "\u3164"]])
def test_an_empty_answer_has_a_code_of_its_own(bedrock: BedrockStandIn, pieces: list[str]) -> None:
    bedrock.reply(*pieces)
    assert listen(Bedrock("us-east-1"))[1].code == "empty"


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (Refuse(429, "ThrottlingException"), "throttled"),
        (Refuse(400, "ServiceQuotaExceededException"), "throttled"),
        (Refuse(403, "AccessDeniedException"), "denied"),
        (Refuse(404, "ResourceNotFoundException"), "no_such_model"),
        (Refuse(400, "ValidationException", "Input is too long."), "too_long"),
        (Refuse(400, "ValidationException", "Malformed."), "refused"),
        (Refuse(403, "ExpiredTokenException"), "credentials"),
        (Refuse(403, "UnrecognizedClientException"), "credentials"),
        (Refuse(503, "ServiceUnavailableException"), "unavailable"),
        (Refuse(500, "InternalServerException"), "unavailable"),
        (Refuse(408, "ModelTimeoutException"), "timeout"),
        (Refuse(418, "TeapotException"), "other"),
    ],
)
def test_a_refusal_is_explained(bedrock: BedrockStandIn, refusal: Refuse, code: str) -> None:
    bedrock.reply(refusal)
    with pytest.raises(ModelError, match=f"^{code}:") as caught:
        listen(Bedrock("us-east-1"))
    assert caught.value.code == code
    assert caught.value.facts == {"error": refusal.code, "request": REQUEST_ID}


ON_DEMAND = (
    "Invocation of model ID amazon.nova-2-lite-v1:0 with on-demand throughput isn\u2019t "
    "supported. Retry your request with the ID or ARN of an inference profile that contains this "
    "model."
)
USE_CASE = (
    "Model use case details have not been submitted for this account. Fill out the Anthropic use "
    "case details form before using the model."
)
MARKETPLACE = (
    "Model access is denied due to IAM user or service role is not authorized to perform the "
    "required AWS Marketplace actions (aws-marketplace:ViewSubscriptions, "
    "aws-marketplace:Subscribe) to enable access to this model."
)
NOT_AUTHORIZED = (
    "User: arn:aws:sts::123456789012:assumed-role/task/1 is not authorized to perform: "
    "bedrock:InvokeModelWithResponseStream on resource: arn:aws:bedrock:us-east-1::model/x"
)
LEGACY = (
    "Access denied. This Model is marked by provider as Legacy and you have not been actively "
    "using the model in the last 30 days. Please upgrade to an active model on Amazon Bedrock"
)
TOO_MANY_ANSWER_TOKENS = (
    "The maximum tokens you requested exceeds the model limit of 4096. Try again with a maximum "
    "tokens value that is lower than 4096."
)


@pytest.mark.parametrize(
    ("name", "message", "code"),
    [
        *(("ValidationException", message, "too_long") for message in TOO_LONG.values()),
        ("ValidationException", "prompt is too long: 213462 tokens > 200000 maximum", "too_long"),
        ("ValidationException", "Too many input tokens. Max input tokens: 8192", "too_long"),
        (
            "ValidationException",
            "This model's maximum context length is 8192 tokens. Please reduce the length of the "
            "prompt.",
            "too_long",
        ),
        ("ModelErrorException", TOO_LONG["nova"], "too_long"),
        ("ValidationException", TOO_MANY_ANSWER_TOKENS, "refused"),
        ("ThrottlingException", "Too many tokens, please wait before trying again.", "throttled"),
        (
            "ThrottlingException",
            "Too many tokens per day, please wait before trying again.",
            "daily_quota",
        ),
        ("ResourceNotFoundException", USE_CASE, "form_missing"),
        ("ValidationException", ON_DEMAND, "needs_profile"),
        (
            "AccessDeniedException",
            "You don't have access to the model with the specified model ID.",
            "no_access",
        ),
        ("AccessDeniedException", MARKETPLACE, "no_access"),
        ("AccessDeniedException", NOT_AUTHORIZED, "denied"),
        (
            "ResourceNotFoundException",
            "This model version has reached the end of its life.",
            "retired",
        ),
        ("ResourceNotFoundException", LEGACY, "retired"),
    ],
)
def test_what_the_service_says_is_understood(
    bedrock: BedrockStandIn, name: str, message: str, code: str
) -> None:
    bedrock.reply(Refuse(400, name, message))
    with pytest.raises(ModelError) as caught:
        listen(Bedrock("us-east-1"))
    assert (caught.value.code, caught.value.facts["error"]) == (code, name)


def test_a_model_that_does_not_exist_is_explained(bedrock: BedrockStandIn) -> None:
    with pytest.raises(ModelError, match="no_such_model:"):
        listen(Bedrock("us-east-1"), Model("u", "Unknown", "unknown-model", 1000))


@pytest.mark.parametrize(
    ("break_", "code"),
    [
        (Fail("throttlingException"), "throttled"),
        (Fail("modelStreamErrorException"), "broke_off"),
        (Fail("internalServerException"), "unavailable"),
        (Fail("validationException", TOO_LONG["claude"]), "too_long"),
        (Fail("accessDeniedException"), "denied"),
        (Fail("unheardOfException"), "broke_off"),
        (Cut(), "broke_off"),
    ],
)
def test_what_arrived_before_a_break_is_kept(
    bedrock: BedrockStandIn, break_: Fail | Cut, code: str
) -> None:
    bedrock.reply("Half", break_)
    stream = Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation())
    assert next(stream) == Text("Half")
    with pytest.raises(ModelError, match=f"^{code}:") as caught:
        next(stream)
    if isinstance(break_, Fail):
        assert caught.value.facts == {"error": break_.code, "request": REQUEST_ID}


def stop_when_asked(bedrock: BedrockStandIn, backend: Bedrock, count: int) -> None:
    """Ask so many questions that get no answer at all, stop them, and wait for their threads."""
    never = threading.Event()
    cancellations = [Cancellation() for _ in range(count)]
    for _ in cancellations:
        bedrock.reply(Silence(never))
    threads = [
        threading.Thread(
            target=lambda each: list(backend.stream(MODEL, HELLO, "Be kind.", each)), args=[each]
        )
        for each in cancellations
    ]
    for thread in threads:
        thread.start()
    bedrock.wait_for(lambda: bedrock.silent == count)
    for cancellation in cancellations:
        cancellation.cancel()
    for thread in threads:
        thread.join(30)
    assert not any(thread.is_alive() for thread in threads)


def test_a_request_is_broken_off_before_the_response_begins(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    backend = Bedrock("us-east-1")
    stop_when_asked(bedrock, backend, 50)
    assert listen(backend)[0] == "An answer."
    assert (len(bedrock.requests), bedrock.connected) == (51, 51)  # none was tried again
    backend._client.close()
    bedrock.wait_for(lambda: bedrock.connections == 0)


def test_a_connection_that_was_used_before_can_be_broken_off(bedrock: BedrockStandIn) -> None:
    bedrock.reply(Refuse(400, "ValidationException"))  # leaves the connection open
    backend = Bedrock("us-east-1")
    with pytest.raises(ModelError):
        listen(backend)
    assert bedrock.connections == 1
    stop_when_asked(bedrock, backend, 1)


def test_a_request_that_is_stopped_before_it_begins_is_not_sent(bedrock: BedrockStandIn) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    assert not list(Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", cancellation))
    assert not bedrock.connected


def test_a_late_stop_does_not_break_off_the_next_request(bedrock: BedrockStandIn) -> None:
    """It has the connection of the one before."""
    bedrock.reply(Refuse(400, "ValidationException"))
    backend, late = Bedrock("us-east-1"), Cancellation()
    with pytest.raises(ModelError):
        list(backend.stream(MODEL, HELLO, "Be kind.", late))
    begin = threading.Event()
    bedrock.reply(Silence(begin), "Well.")
    answers: list[str] = []
    asking = threading.Thread(target=lambda: answers.append(listen(backend)[0]))
    asking.start()
    bedrock.wait_for(lambda: bedrock.silent > 0)
    late.cancel()
    begin.set()
    asking.join()
    assert (answers, bedrock.connected) == (["Well."], 1)


@pytest.mark.parametrize("refusal", ["ExpiredTokenException", "AccessDeniedException"])
def test_credentials_that_change_on_the_disk_are_used_without_a_restart(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, refusal: str
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    backend = Bedrock("us-east-1")
    with pytest.raises(ModelError, match="credentials:"):
        listen(backend)
    text = "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
    file.write_text(text.format("first"))
    assert listen(backend)[0] == "An answer."
    file.write_text(text.format("second"))
    bedrock.reply(Refuse(403, refusal))
    with pytest.raises(ModelError):
        listen(backend)
    assert listen(backend)[0] == "An answer."
    assert bedrock.access_keys == ["first", "first", "second"]


def test_a_region_and_a_profile_that_are_corrected_are_used_without_a_restart(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "team")
    backend = Bedrock(None)
    for text, code in (
        ("", "credentials"),
        ("[profile team", "credentials"),
        ("[profile team]\n", "no_region"),
        ("[profile team]\nregion = no region\n", "no_region"),
    ):
        config.write_text(text)
        with pytest.raises(ModelError, match=f"{code}:"):
            listen(backend)
    config.write_text("[profile team]\nregion = us-east-1\n")
    assert listen(backend)[0] == "An answer."


def test_botocore_tries_again_before_staff_hear_of_it(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    bedrock.reply(Refuse(429, "ThrottlingException"))
    assert listen(Bedrock("us-east-1"))[0] == "An answer."


def test_missing_credentials_are_explained(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ModelError, match="credentials:"):
        listen(Bedrock("us-east-1"))


def test_a_missing_profile_is_explained(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ModelError, match="credentials:"):
        listen(Bedrock("us-east-1"))


def test_a_missing_region_is_explained() -> None:
    with pytest.raises(ModelError, match="no_region:"):
        listen(Bedrock(None))


def test_a_network_that_is_down_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="network:"):
        listen(Bedrock("us-east-1"))
