"""What CloudWatch is told of each answer: how it went, but neither who asked nor what."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest
from support.bedrock import BedrockStandIn, Fail

from chatbot import metrics
from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.metrics import Outcome
from chatbot.models import Model, load_models
from chatbot.sessions import Session

MODELS = load_models()
MODEL = replace(
    next(iter(MODELS.values())),
    input_price=0.3,
    output_price=2.5,
    prompt_cache=True,
    cache_read_price=0.03,
)
OF_TOKENS = {"InputTokens", "CachedTokens", "OutputTokens", "Cost"}
PATIENCE = 20  # seconds


class Told(SimpleQueue[Outcome]):
    """What the assistant has told about its answers."""

    def next(self) -> Outcome:
        return self.get(timeout=PATIENCE)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def assistant(bedrock: BedrockStandIn, told: Told) -> Assistant:
    return Assistant(Bedrock("us-east-1"), {MODEL.key: MODEL}, "Be kind.", told.put)


@pytest.fixture
def conversation(session: Session) -> Conversation:
    return session.conversation(new_conversation_id())


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[[Outcome], dict[str, Any]]:
    """Report an outcome, and read the line that the log has then."""

    def write(outcome: Outcome) -> dict[str, Any]:
        metrics.reporter("team-chatbot")(outcome)
        text = capsys.readouterr().out
        assert text.endswith("}\n") and text.count("\n") == 1  # else CloudWatch reads no metrics
        line: dict[str, Any] = json.loads(text)
        return line

    return write


def test_an_answer_tells_its_tokens_and_times(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, told: Told
) -> None:
    more = Event()
    bedrock.reply("An answer", more, 0.3, " at last.")
    begun = time.monotonic()
    turn = assistant.ask(conversation, "Hello", MODEL.key)
    next(each for each in assistant.follow(conversation, turn) if each.turn.answer)
    seen = time.monotonic() - begun
    more.set()
    outcome = told.next()
    assert (outcome.model, outcome.state, outcome.code) == (MODEL, "complete", "end_turn")
    assert outcome.first_word and 0 < outcome.first_word <= seen
    assert outcome.first_word < outcome.seconds
    assert outcome.usage["outputTokens"] > 0 and outcome.usage["inputTokens"] > 0


def test_a_failure_tells_why(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, told: Told
) -> None:
    bedrock.reply(Fail("modelStreamErrorException"))
    turn = assistant.ask(conversation, "Hello", MODEL.key)
    outcome = told.next()
    assert (outcome.state, outcome.first_word, outcome.usage) == ("failed", None, {})
    assert outcome.code == conversation.turn(turn).code != ""


def test_an_answer_that_somebody_else_stopped_is_told_once(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, told: Told
) -> None:
    more = Event()
    bedrock.reply("One ", more, "two.")
    turn = assistant.ask(conversation, "Hello", MODEL.key)
    follower = assistant.follow(conversation, turn)
    next(each for each in follower if "One" in each.turn.answer)
    another = Assistant(Bedrock("us-east-1"), MODELS, "Be kind.", told.put)  # another process
    another.stop(Session(conversation.path.parent).conversation(conversation.id), turn)
    more.set()
    outcome = told.next()
    assert (outcome.state, outcome.code) == ("stopped", "person")
    assistant.ask(conversation, "And now?", MODEL.key)
    assert told.next().state == "complete"
    assert told.empty()


def test_an_answer_that_goes_on_in_another_process_is_told_by_that_one(
    conversation: Conversation, assistant: Assistant, bedrock: BedrockStandIn, told: Told
) -> None:
    bedrock.reply("One ", Event())
    turn = assistant.ask(conversation, "Hello", MODEL.key)
    next(each for each in assistant.follow(conversation, turn) if "One" in each.turn.answer)
    assistant.close()
    assert conversation.turn(turn).state == "released"
    others = Told()
    another = Assistant(Bedrock("us-east-1"), {MODEL.key: MODEL}, "Be kind.", others.put)
    again = Session(conversation.path.parent).conversation(conversation.id)
    again.refresh()
    *_, last = another.follow(again, turn)
    assert last.turn.state == others.next().state == "complete"
    assert told.empty()


def test_a_line_is_one_that_cloudwatch_reads(
    written: Callable[[Outcome], dict[str, Any]],
) -> None:
    usage = {"inputTokens": 1000, "cacheReadInputTokens": 200, "outputTokens": 100}
    line = written(Outcome(MODEL, "complete", "end_turn", 2.5, 0.75, usage))
    [described] = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == "Chatbot"
    assert described["Dimensions"] == [["Stack", "Model"]]
    assert (line["Stack"], line["Model"]) == ("team-chatbot", MODEL.key)
    values = {each["Name"]: line[each["Name"]] for each in described["Metrics"]}
    assert values == {
        "InputTokens": 1200,
        "CachedTokens": 200,
        "OutputTokens": 100,
        "Cost": pytest.approx(0.000556),
        "FirstWord": 0.75,
        "Duration": 2.5,
        "Failures": 0,
    }


@pytest.mark.parametrize(
    ("usage", "unknown"),
    [
        ({}, OF_TOKENS),
        ({"inputTokens": "many", "outputTokens": None}, OF_TOKENS),
        ({"inputTokens": 5, "outputTokens": 7}, set[str]()),
    ],
)
def test_what_is_unknown_is_left_out(
    written: Callable[[Outcome], dict[str, Any]], usage: dict[str, Any], unknown: set[str]
) -> None:
    line = written(Outcome(MODEL, "failed", "throttled", 1, None, usage))
    declared = {each["Name"] for each in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
    expected = (OF_TOKENS | {"Duration", "Failures"}) - unknown
    assert declared == expected == expected & line.keys()
    assert not {"FirstWord", *unknown} & line.keys()
    assert line["Failures"] == 1


@pytest.mark.parametrize("model", [replace(MODEL, input_price=0), replace(MODEL, output_price=0)])
def test_a_model_without_both_prices_has_no_cost(
    written: Callable[[Outcome], dict[str, Any]], model: Model
) -> None:
    line = written(Outcome(model, "complete", "end_turn", 1, 1, {"outputTokens": 1}))
    assert "Cost" not in line and line["OutputTokens"] == 1


def test_a_model_that_is_not_told_to_keep_anything_has_no_metric_of_that(
    written: Callable[[Outcome], dict[str, Any]],
) -> None:
    model = replace(MODEL, prompt_cache=False)
    assert "CachedTokens" not in written(Outcome(model, "complete", "", 1, 1, {"outputTokens": 1}))


def test_nothing_is_written_unless_somebody_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    metrics.reporter("")(Outcome(MODEL, "complete", "end_turn", 1))
    assert capsys.readouterr().out == ""
