"""What a model is sent of a conversation fits its window, and is what Converse accepts."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.bedrock import BedrockStandIn, texts_of
from support.models import MODEL, talk

from chatbot.bedrock import Bedrock
from chatbot.context import CONTINUE, count_fitting_turns, stream_answer, to_messages
from chatbot.conversations import Turn
from chatbot.models import Cancellation, Finish, Model, Text, TooLongError


def test_what_is_sent_is_always_valid(bedrock: BedrockStandIn) -> None:
    histories = [
        [("One", "Answer"), ("Two", "")],
        [("One", ""), ("Two", "")],
        [("One", "  \n"), ("Two", "Answer"), ("Three", "")],
        [("One", ""), ("Two", ""), ("Three", "Answer"), ("Four", "Half an ans")],
        [("\u200b", "Answer"), ("Two", "\u200b \ufeff"), ("\u3164", "\u2800"), ("Four", "\xad")],
        [("One", "Answer"), ("Two", "Half \u200b")],
    ]
    for history in histories:
        messages = to_messages(talk(*history))
        assert bedrock.objection(MODEL.id, {"messages": messages}) == ""


def test_nothing_that_was_asked_is_left_out_after_a_failure() -> None:
    [message] = to_messages(talk(("One", ""), ("Two", "")))
    assert message["content"] == [{"text": "One"}, {"text": "Two"}]


def roles(messages: Sequence[dict[str, object]]) -> list[object]:
    return [message["role"] for message in messages]


def test_an_answer_cut_off_is_continued_by_asking_for_it() -> None:
    messages = to_messages(talk(("One", "Half an ans")))
    assert roles(messages) == ["user", "assistant", "user"]
    assert messages[-1]["content"] == [{"text": CONTINUE}]


def sent(bedrock: BedrockStandIn) -> list[list[str]]:
    """Return the texts of each request."""
    return [texts_of(request) for request in bedrock.requests]


def test_old_turns_are_left_out_whole_when_the_window_is_full(bedrock: BedrockStandIn) -> None:
    turns = [(f"{number} " + "x" * 400, "y" * 400) for number in range(10)]
    list(
        stream_answer(
            Bedrock("us-east-1"), MODEL, talk(*turns, ("Last", "")), "Be kind.", Cancellation()
        )
    )
    [texts] = sent(bedrock)
    assert len(texts) == 5
    assert texts[0].startswith("8 ")
    assert texts[-1] == "Last"


def test_the_last_prompt_is_sent_even_if_it_does_not_fit(bedrock: BedrockStandIn) -> None:
    turns = [("Old", "Older"), ("x" * 100_000, "")]
    list(stream_answer(Bedrock("us-east-1"), MODEL, talk(*turns), "Be kind.", Cancellation()))
    assert sent(bedrock) == [["x" * 100_000]]


def test_a_conversation_that_the_model_finds_too_long_is_asked_with_less_of_it(
    bedrock: BedrockStandIn,
) -> None:
    model = replace(MODEL, context_window=1_000_000)  # the stand-in's is smaller
    turns = [(f"{number}", "y" * 30_000) for number in range(10)]
    *_, finish = stream_answer(
        Bedrock("us-east-1"), model, talk(*turns, ("Last", "")), "Be kind.", Cancellation()
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
        list(stream_answer(Bedrock("us-east-1"), model, talk(*turns), "Be kind.", Cancellation()))
    assert len(caplog.records) == 2  # with the old turn, and without


@pytest.mark.parametrize("kind", ["nova", "claude"])
def test_a_conversation_is_shortened_whatever_a_model_calls_too_long(
    bedrock: BedrockStandIn, kind: str
) -> None:
    model = replace(MODEL, id=f"global.{kind}-v1:0", context_window=1_000_000)
    turns = [(f"{number}", "y" * 30_000) for number in range(10)]
    *_, finish = stream_answer(
        Bedrock("us-east-1"), model, talk(*turns, ("Last", "")), "Be kind.", Cancellation()
    )
    assert isinstance(finish, Finish)
    assert (finish.sent_turns, finish.facts) == (5, {"messages": 9})


def test_a_long_chat_begins_at_the_same_turn_for_many_questions(bedrock: BedrockStandIn) -> None:
    """So that the model finds it in its cache."""
    model = replace(MODEL, context_window=4000, prompt_cache=True)
    exchanges = [(f"{number} " + "x" * 100, "y" * 100) for number in range(100)]
    begun = []
    backend = Bedrock("us-east-1")
    for asked in range(60, 100):
        turns = talk(*exchanges[:asked], ("Last", ""))
        stream = stream_answer(backend, model, turns, "Be kind.", Cancellation())
        *_, finish = stream
        assert isinstance(finish, Finish)
        begun.append(sent(bedrock)[-1][0])
        fits = count_fitting_turns(turns, replace(model, prompt_cache=False), "Be kind.")
        assert fits * 3 / 4 - 1 <= finish.sent_turns <= fits
        assert finish.sent_turns == count_fitting_turns(turns, model, "Be kind.")
    assert len(set(begun)) <= len(begun) / 5
    assert begun == sorted(begun, key=lambda text: int(text.split()[0]))


def test_hex_digits_are_not_taken_for_words(bedrock: BedrockStandIn) -> None:
    """A model takes two of them for a token, so that twice as much fits of the words."""
    bedrock.window = model_window = 900
    model = replace(MODEL, context_window=model_window + 100)
    turns = [(f"{number}", "0a1b2c3d" * 50) for number in range(10)]
    *_, finish = stream_answer(
        Bedrock("us-east-1"), model, talk(*turns, ("Last", "")), "Be kind.", Cancellation()
    )
    assert isinstance(finish, Finish)
    assert finish.facts == {}  # it was not refused
    assert finish.sent_turns == 5


def talk_on(backend: Bedrock, model: Model, prompts: list[str]) -> list[Turn]:
    """Let the model answer one prompt after the other; return the turns, as they are kept."""
    turns: list[Turn] = []
    for prompt in prompts:
        [turn] = talk((prompt, ""))
        turns.append(turn)
        *texts, finish = stream_answer(backend, model, turns, "Be kind.", Cancellation())
        assert isinstance(finish, Finish)
        turn.answer = "".join(event.text for event in texts if isinstance(event, Text))
        turn.state, turn.code = "complete", finish.code
        turn.usage, turn.sent_turns = finish.usage, finish.sent_turns
    return turns


def test_a_models_own_count_tells_how_much_fits(bedrock: BedrockStandIn) -> None:
    """Words have four bytes a token; without a count, two are assumed."""
    model = replace(MODEL, context_window=1100)
    prompts = ["word " * 80 for _ in range(8)]  # 100 tokens each
    turns = talk_on(Bedrock("us-east-1"), model, prompts)
    assert count_fitting_turns([*turns, *talk(("Last", ""))], model, "Be kind.") == 9
    for turn in turns:
        turn.sent_turns = 0  # as an older version kept it
    assert count_fitting_turns([*turns, *talk(("Last", ""))], model, "Be kind.") == 5


@pytest.mark.parametrize("window", [700, 900])
def test_what_has_been_counted_does_not_exceed_the_window(
    bedrock: BedrockStandIn, window: int
) -> None:
    bedrock.window = window
    model = replace(MODEL, context_window=window + 100)
    turns = talk_on(
        Bedrock("us-east-1"), model, [f"{number} " + "word " * 80 for number in range(20)]
    )
    assert all(turn.code == "end_turn" for turn in turns)
    assert max(turn.sent_turns for turn in turns) == window // 100 - 2
    assert len(bedrock.requests) == 20


def test_another_models_count_is_not_used(bedrock: BedrockStandIn) -> None:
    model = replace(MODEL, context_window=1100)
    turns = talk_on(Bedrock("us-east-1"), model, ["word " * 80 for _ in range(8)])
    other = replace(model, key="other")
    assert count_fitting_turns([*turns, *talk(("Last", ""))], other, "Be kind.") == 5


@pytest.mark.parametrize(
    "usage", [{"inputTokens": "7"}, {"inputTokens": -5}, {"inputTokens": 10**400}, {"x": None}]
)
def test_no_count_on_the_disk_breaks_the_page(usage: dict[str, Any]) -> None:
    turns = talk(("One", "Answer"), ("Two", ""))
    turns[0].usage, turns[0].sent_turns = usage, 10**9
    assert count_fitting_turns(turns, MODEL, "Be kind.") in (1, 2)


@pytest.mark.parametrize("code", ["guardrail_intervened", "content_filtered", "refusal"])
def test_a_turn_that_was_withheld_is_not_sent_again(bedrock: BedrockStandIn, code: str) -> None:
    turns = talk(("One", "Answer"), ("Bad", "Withheld."), ("Three", "Fine"), ("Last", ""))
    turns[1].state, turns[1].code = "complete", code
    list(stream_answer(Bedrock("us-east-1"), MODEL, turns, "Be kind.", Cancellation()))
    assert sent(bedrock) == [["One", "Answer", "Three", "Fine", "Last"]]


@pytest.mark.parametrize("before", [[], [("One", "Answer")]])
def test_a_prompt_that_nobody_can_see_is_not_sent(
    bedrock: BedrockStandIn, before: list[tuple[str, str]]
) -> None:
    turns = talk(*before, ("\u200b", ""))
    [finish] = stream_answer(Bedrock("us-east-1"), MODEL, turns, "Be kind.", Cancellation())
    assert finish == Finish("empty")
    assert not bedrock.requests


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["A \ud83d", "\ude00!"], "A \U0001f600!"),
        (["\ud83d", "", "\ude00"], "\U0001f600"),
        (["A\ud83d", "B"], "A\ufffdB"),
        (["A", "\ude00B\ud83d"], "A\ufffdB\ufffd"),
        (["\ud83d\ud83d", "\ude00\ude00"], "\ufffd\U0001f600\ufffd"),
    ],
)
def test_an_emoji_that_arrives_in_halves_is_joined(
    bedrock: BedrockStandIn, pieces: list[str], text: str
) -> None:
    bedrock.reply(*pieces)
    backend = Bedrock("us-east-1")
    *texts, _ = stream_answer(backend, MODEL, talk(("One", "")), "Be kind.", Cancellation())
    assert "".join(event.text for event in texts if isinstance(event, Text)) == text
