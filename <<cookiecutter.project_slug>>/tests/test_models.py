"""Answers of Bedrock through boto3's real protocol, and what goes wrong, told to staff."""

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest
from bedrock_stand_in import BedrockStandIn, Cut, Fail, Reason, Refuse, Stop

from chatbot.models import (
    CONTINUE,
    Bedrock,
    Demo,
    Finish,
    Interruption,
    Model,
    ModelError,
    Text,
    answer,
    to_messages,
)

MODEL = Model("m", "The Model", "test.model-v1:0", 1000, {"maxTokens": 100})
HELLO = to_messages([("Hello", "")])


def listen(backend: Bedrock | Demo, model: Model = MODEL) -> tuple[str, Finish]:
    """Let the backend answer to the end."""
    *texts, finish = backend.stream(model, HELLO, "Be kind.", Interruption())
    assert isinstance(finish, Finish)
    return "".join(event.text for event in texts if isinstance(event, Text)), finish


def test_an_answer_arrives_in_pieces_with_its_usage(bedrock: BedrockStandIn) -> None:
    bedrock.reply("Grüß ", "dich ", "👋")
    events = list(Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Interruption()))
    assert events[:3] == [Text("Grüß "), Text("dich "), Text("👋")]
    usage = {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10}
    assert events[3] == Finish("end_turn", "", usage)


def test_a_piece_arrives_before_the_next_one_is_sent(bedrock: BedrockStandIn) -> None:
    more = threading.Event()
    bedrock.reply("One", more, "two")
    stream = Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Interruption())
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
    ("reason", "sentence"),
    [
        ("max_tokens", "limit of length"),
        ("guardrail_intervened", "guardrail"),
        ("content_filtered", "content filter"),
        ("model_context_window_exceeded", "memory"),
        ("something_new", "unexpected way"),
        ("stop_sequence", ""),
    ],
)
def test_an_unusual_end_is_explained(bedrock: BedrockStandIn, reason: str, sentence: str) -> None:
    bedrock.reply("Half", Stop(reason))
    text, finish = listen(Bedrock("us-east-1"))
    assert (text, finish.reason) == ("Half", reason)
    assert sentence in finish.notice
    assert bool(finish.notice) == bool(sentence)


def test_an_empty_answer_is_explained(bedrock: BedrockStandIn) -> None:
    bedrock.reply("")
    assert "empty answer" in listen(Bedrock("us-east-1"))[1].notice


@pytest.mark.parametrize(
    ("refusal", "sentence"),
    [
        (Refuse(429, "ThrottlingException"), "too many requests"),
        (Refuse(400, "ServiceQuotaExceededException"), "too many requests"),
        (Refuse(403, "AccessDeniedException"), "may not use this model"),
        (Refuse(404, "ResourceNotFoundException"), "does not exist"),
        (Refuse(400, "ValidationException", "Input is too long."), "too long for this model"),
        (Refuse(400, "ValidationException", "Malformed."), "refused the request"),
        (Refuse(403, "ExpiredTokenException"), "credentials"),
        (Refuse(403, "UnrecognizedClientException"), "credentials"),
        (Refuse(503, "ServiceUnavailableException"), "not available"),
        (Refuse(500, "InternalServerException"), "not available"),
        (Refuse(408, "ModelTimeoutException"), "did not answer in time"),
        (Refuse(418, "TeapotException"), "unexpected fault"),
    ],
)
def test_a_refusal_is_explained(bedrock: BedrockStandIn, refusal: Refuse, sentence: str) -> None:
    bedrock.reply(refusal)
    with pytest.raises(ModelError, match=sentence) as caught:
        listen(Bedrock("us-east-1"))
    assert caught.value.code == refusal.code


def test_a_model_that_does_not_exist_is_explained(bedrock: BedrockStandIn) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        listen(Bedrock("us-east-1"), Model("u", "Unknown", "unknown-model", 1000))


@pytest.mark.parametrize(
    ("break_", "sentence"),
    [
        (Fail("throttlingException"), "too many requests"),
        (Fail("modelStreamErrorException"), "broke off"),
        (Fail("internalServerException"), "not available"),
        (Cut(), "broke off"),
    ],
)
def test_what_arrived_before_a_break_is_kept(
    bedrock: BedrockStandIn, break_: Fail | Cut, sentence: str
) -> None:
    bedrock.reply("Half", break_)
    stream = Bedrock("us-east-1").stream(MODEL, HELLO, "Be kind.", Interruption())
    assert next(stream) == Text("Half")
    with pytest.raises(ModelError, match=sentence):
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
    with pytest.raises(ModelError, match="no valid AWS credentials"):
        listen(Bedrock("us-east-1"))


def test_a_missing_profile_is_explained(
    bedrock: BedrockStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(ModelError, match="no valid AWS credentials"):
        listen(Bedrock("us-east-1"))


def test_a_missing_region_is_explained() -> None:
    with pytest.raises(ModelError, match="no AWS region"):
        listen(Bedrock(None))


def test_a_network_that_is_down_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:9")
    with pytest.raises(ModelError, match="over the network"):
        listen(Bedrock("us-east-1"))


def roles(messages: Sequence[dict[str, object]]) -> list[object]:
    return [message["role"] for message in messages]


def test_what_is_sent_is_always_valid(bedrock: BedrockStandIn) -> None:
    histories = [
        [("One", "Answer"), ("Two", "")],
        [("One", ""), ("Two", "")],
        [("One", "  \n"), ("Two", "Answer"), ("Three", "")],
        [("One", ""), ("Two", ""), ("Three", "Answer"), ("Four", "Half an ans")],
    ]
    for history in histories:
        messages = to_messages(history)
        assert bedrock.objection(MODEL.id, {"messages": messages}) == ""


def test_nothing_that_was_asked_is_left_out_after_a_failure() -> None:
    [message] = to_messages([("One", ""), ("Two", "")])
    assert message["content"] == [{"text": "One"}, {"text": "Two"}]


def test_an_answer_cut_off_is_continued_by_asking_for_it() -> None:
    messages = to_messages([("One", "Half an ans")])
    assert roles(messages) == ["user", "assistant", "user"]
    assert messages[-1]["content"] == [{"text": CONTINUE}]


def sent(bedrock: BedrockStandIn) -> list[list[str]]:
    """Return the texts of each request."""
    return [
        [part["text"] for message in request["messages"] for part in message["content"]]
        for request in bedrock.requests
    ]


def test_old_turns_are_left_out_whole_when_the_window_is_full(bedrock: BedrockStandIn) -> None:
    turns = [(f"{number} " + "x" * 400, "y" * 400) for number in range(10)]
    list(answer(Bedrock("us-east-1"), MODEL, [*turns, ("Last", "")], "Be kind.", Interruption()))
    [texts] = sent(bedrock)
    assert len(texts) == 7
    assert texts[0].startswith("7 ")
    assert texts[-1] == "Last"


def test_the_last_prompt_is_sent_even_if_it_does_not_fit(bedrock: BedrockStandIn) -> None:
    turns = [("Old", "Older"), ("x" * 100_000, "")]
    list(answer(Bedrock("us-east-1"), MODEL, turns, "Be kind.", Interruption()))
    assert sent(bedrock) == [["x" * 100_000]]


def test_a_conversation_that_the_model_finds_too_long_is_asked_with_less_of_it(
    bedrock: BedrockStandIn,
) -> None:
    model = replace(MODEL, context_window=1_000_000)  # the stand-in's is smaller
    turns = [(f"{number}", "y" * 30_000) for number in range(10)]
    *_, finish = answer(
        Bedrock("us-east-1"), model, [*turns, ("Last", "")], "Be kind.", Interruption()
    )
    assert [len(texts) for texts in sent(bedrock)] == [9]  # it records what it accepts: not 21
    assert isinstance(finish, Finish)
    assert "only the newest 9 messages" in finish.notice


def test_a_last_prompt_that_is_too_long_alone_is_told(
    bedrock: BedrockStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    model = replace(MODEL, context_window=1_000_000)
    turns = [("Old", "Older"), ("x" * 300_000, "")]
    with pytest.raises(ModelError, match="too long"):
        list(answer(Bedrock("us-east-1"), model, turns, "Be kind.", Interruption()))
    assert len(caplog.records) == 2  # with the old turn, and without


def test_the_demo_model_says_what_it_is() -> None:
    text, finish = listen(Demo())
    assert "no model was called" in text
    assert "> Hello" in text
    assert "| --- |" in text and "```" in text
    assert finish.reason == "end_turn"


def test_the_demo_model_continues_where_it_was_cut_off() -> None:
    whole, _ = listen(Demo())
    for length in (1, 40, len(whole) - 1):
        messages = to_messages([("Hello", whole[:length])])
        events = Demo().stream(MODEL, messages, "", Interruption())
        rest = "".join(event.text for event in events if isinstance(event, Text))
        assert whole[:length] + rest == whole
