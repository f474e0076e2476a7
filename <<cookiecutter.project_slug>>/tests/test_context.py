"""What a model is sent of a conversation fits its window, and is what Converse accepts."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support.bedrock import BedrockStandIn
from support.models import MODEL

from chatbot.bedrock import Bedrock
from chatbot.context import CONTINUE, stream_answer, to_messages
from chatbot.models import Cancellation, Finish, TooLongError


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


def roles(messages: Sequence[dict[str, object]]) -> list[object]:
    return [message["role"] for message in messages]


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
    list(
        stream_answer(
            Bedrock("us-east-1"), MODEL, [*turns, ("Last", "")], "Be kind.", Cancellation()
        )
    )
    [texts] = sent(bedrock)
    assert len(texts) == 7
    assert texts[0].startswith("7 ")
    assert texts[-1] == "Last"


def test_the_last_prompt_is_sent_even_if_it_does_not_fit(bedrock: BedrockStandIn) -> None:
    turns = [("Old", "Older"), ("x" * 100_000, "")]
    list(stream_answer(Bedrock("us-east-1"), MODEL, turns, "Be kind.", Cancellation()))
    assert sent(bedrock) == [["x" * 100_000]]


def test_a_conversation_that_the_model_finds_too_long_is_asked_with_less_of_it(
    bedrock: BedrockStandIn,
) -> None:
    model = replace(MODEL, context_window=1_000_000)  # the stand-in's is smaller
    turns = [(f"{number}", "y" * 30_000) for number in range(10)]
    *_, finish = stream_answer(
        Bedrock("us-east-1"), model, [*turns, ("Last", "")], "Be kind.", Cancellation()
    )
    assert [len(texts) for texts in sent(bedrock)] == [9]  # it records what it accepts: not 21
    assert isinstance(finish, Finish)
    assert finish.facts == {"messages": 9}


def test_a_last_prompt_that_is_too_long_alone_is_told(
    bedrock: BedrockStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    model = replace(MODEL, context_window=1_000_000)
    turns = [("Old", "Older"), ("x" * 300_000, "")]
    with pytest.raises(TooLongError):
        list(stream_answer(Bedrock("us-east-1"), model, turns, "Be kind.", Cancellation()))
    assert len(caplog.records) == 2  # with the old turn, and without
