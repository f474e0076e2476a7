"""Answers of Bedrock through boto3's real protocol, and what goes wrong there."""

import threading

import pytest
from support.bedrock import BedrockStandIn, Cut, Fail, Reason, Refuse, Stop
from support.models import HELLO, MODEL, listen

from chatbot.bedrock import Bedrock
from chatbot.models import Cancellation, Finish, Model, ModelError, Text


def test_an_answer_arrives_in_pieces_with_its_usage(bedrock: BedrockStandIn) -> None:
    bedrock.reply("Grüß ", "dich ", "👋")
    events = list(Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation()))
    assert events[:3] == [Text("Grüß "), Text("dich "), Text("👋")]
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
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


def test_reasoning_is_not_taken_for_the_answer(bedrock: BedrockStandIn) -> None:
    bedrock.reply(Reason("Hmm."), "Yes.")
    assert listen(Bedrock("us-east-1"))[0] == "Yes."


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


def test_an_empty_answer_has_a_code_of_its_own(bedrock: BedrockStandIn) -> None:
    bedrock.reply("")
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
    assert caught.value.facts == {"error": refusal.code}


def test_a_model_that_does_not_exist_is_explained(bedrock: BedrockStandIn) -> None:
    with pytest.raises(ModelError, match="no_such_model:"):
        listen(Bedrock("us-east-1"), Model("u", "Unknown", "unknown-model", 1000))


@pytest.mark.parametrize(
    ("break_", "code"),
    [
        (Fail("throttlingException"), "throttled"),
        (Fail("modelStreamErrorException"), "broke_off"),
        (Fail("internalServerException"), "unavailable"),
        (Cut(), "broke_off"),
    ],
)
def test_what_arrived_before_a_break_is_kept(
    bedrock: BedrockStandIn, break_: Fail | Cut, code: str
) -> None:
    bedrock.reply("Half", break_)
    stream = Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Cancellation())
    assert next(stream) == Text("Half")
    with pytest.raises(ModelError, match=f"^{code}:"):
        next(stream)


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
