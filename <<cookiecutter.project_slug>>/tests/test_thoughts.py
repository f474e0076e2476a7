"""What a model thinks before it answers: kept, shown folded, and never sent again."""

import json
from dataclasses import replace
from threading import Event

import pytest
from support.bedrock import BedrockStandIn, Cut, Reason, texts_of
from support.models import MODEL, talk
from support.page import OpenPage, read_messages, say
from support.store import append, reread, reread_turns

from chatbot.answers import Assistant
from chatbot.bedrock import Bedrock
from chatbot.context import stream_answer, to_messages
from chatbot.conversations import Conversation, new_conversation_id
from chatbot.demo import Demo
from chatbot.models import Cancellation, Events, Text, Thought
from chatbot.page import wording
from chatbot.records import Claim, End, Prompt
from chatbot.records import Text as TextRecord
from chatbot.records import Thought as ThoughtRecord
from chatbot.sessions import Session


@pytest.fixture
def assistant(bedrock: BedrockStandIn) -> Assistant:
    return Assistant(Bedrock("us-east-1"), {MODEL.key: MODEL}, "Be kind.")


@pytest.fixture
def chat(session: Session) -> Conversation:
    return session.conversation(new_conversation_id())


def test_thoughts_are_kept_apart_from_the_answer_and_not_sent_again(
    chat: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Reason("Let me "), Reason("see."), "Yes", ", so.")
    first = assistant.ask(chat, "Is it?", MODEL.key)
    *_, last = assistant.follow(chat, first)
    assert (last.turn.thought, last.turn.answer) == ("Let me see.", "Yes, so.")
    second = assistant.ask(chat, "Why?", MODEL.key)
    list(assistant.follow(chat, second))
    assert texts_of(bedrock.requests[1]) == ["Is it?", "Yes, so.", "Why?"]
    [kept, plain] = reread_turns(chat)
    assert (kept.thought, kept.thought_seconds > 0) == ("Let me see.", True)
    assert (plain.thought, plain.thought_seconds) == ("", 0)
    lines = [json.loads(line) for line in chat.path.read_text().splitlines()]
    assert {line["v"] for line in lines if line["type"] == "thought"} == {2}
    assert {line["v"] for line in lines if line["type"] != "thought"} == {1}


def test_thoughts_are_there_while_the_model_thinks(
    chat: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    more = Event()
    bedrock.reply(Reason("First."), more, Reason(" Second."), "Done.")
    turn = assistant.ask(chat, "Think", MODEL.key)
    progress = assistant.follow(chat, turn)
    thinking = next(each.turn for each in progress if each.turn.thought)
    assert (thinking.thought, thinking.answer) == ("First.", "")
    assert reread_turns(chat)[0].thought == "First."
    more.set()
    *_, last = progress
    assert (last.turn.thought, last.turn.answer) == ("First. Second.", "Done.")


def test_thoughts_of_an_answer_that_was_stopped_stay_and_are_counted(
    chat: Conversation, assistant: Assistant, bedrock: BedrockStandIn, session: Session
) -> None:
    more = Event()
    bedrock.reply(Reason("Let me see. " * 40), more, "Yes.")
    turn = assistant.ask(chat, "Is it?", MODEL.key)
    progress = assistant.follow(chat, turn)
    next(each for each in progress if each.turn.thought)
    assistant.stop(chat, turn)
    *_, last = progress
    assert (last.turn.state, last.turn.answer) == ("stopped", "")
    assert last.turn.thought.startswith("Let me see.")
    assistant.close()
    more.set()
    session.usage.refresh()
    assert "written" in (session.folder / "usage.jsonl").read_text()


def test_who_takes_over_thinks_anew_after_what_was_thought(
    chat: Conversation, assistant: Assistant, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Reason("Again."), "Yes.")
    append(chat, Prompt("t1", "Is it?", MODEL.key), Claim("t1", 1, "gone", MODEL.key))
    append(chat, ThoughtRecord("t1", 1, "Let me", 2.0), End("t1", 1, "released"))
    *_, last = assistant.follow(reread(chat), "t1")
    assert (last.turn.thought, last.turn.answer) == ("Let me\n\nAgain.", "Yes.")
    assert last.turn.thought_seconds > 2
    append(chat, ThoughtRecord("t1", 1, "GHOST", 9.0))
    assert "GHOST" not in reread_turns(chat)[0].thought


def test_an_answer_that_breaks_off_while_the_model_thinks_can_be_tried_again(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Reason("Let me see."), Cut())
    page = say(open_page(), "Is it?")
    assert "broke off" in page.error[0].value
    [button] = [each for each in page.button if each.label == "Try again"]
    bedrock.reply(Reason("Once more."), "Yes.")
    button.click().run()
    assert "Yes." in read_messages(page)[1]
    assert [each.value for each in page.expander[0].markdown] == ["Let me see.\n\nOnce more."]


def test_the_page_folds_thoughts_and_shows_nothing_where_there_are_none(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    hostile = "![x](https://example.com/x.png) :red[x]"
    bedrock.reply(Reason(hostile), "Yes.")
    page = say(open_page(), "Is it?")
    say(page, "Why?")
    for each in (page, open_page()):
        [folded] = each.chat_message[1].expander
        assert folded.label == "Thought for 1 second"
        assert not folded.proto.expanded
        assert "![x](" not in folded.markdown[0].value and ":red[" not in folded.markdown[0].value
        assert not each.chat_message[3].expander


@pytest.mark.parametrize(
    ("seconds", "line"),
    [
        (0, "Thought for 1 second"),
        (12.4, "Thought for 12 seconds"),
        (59.6, "Thought for 1 min 0 s"),
        (125, "Thought for 2 min 5 s"),
    ],
)
def test_the_time_is_told_in_seconds_and_minutes(seconds: float, line: str) -> None:
    assert wording.thought_for(seconds) == line


def test_half_of_a_character_does_not_move_from_a_thought_into_the_answer() -> None:
    class Halves:
        def stream(self, *_: object) -> Events:
            yield Thought("a\ud83d")
            yield Thought("\ude00b\ud83d")
            yield Text("\ude00c")

    events = list(stream_answer(Halves(), MODEL, talk(("Hi", "")), "", Cancellation()))
    assert events == [
        Thought("a"),
        Thought("\U0001f600b"),
        Thought("\ufffd"),
        Text("\ufffdc"),
    ]


def test_the_demo_model_thinks_if_it_is_asked_to_and_only_once() -> None:
    def thoughts(answer: str) -> str:
        messages = to_messages(talk(("Think it over", answer)))
        events = Demo().stream(replace(MODEL, name="M"), messages, "", Cancellation())
        return "".join(each.text for each in events if isinstance(each, Thought))

    assert "demo model thinks" in thoughts("")
    assert thoughts("**This") == ""


def test_a_turn_is_what_its_records_say(chat: Conversation) -> None:
    append(chat, Prompt("t1", "Hello"), Claim("t1", 1, "w", "m"), ThoughtRecord("t1", 1, "A", 1.5))
    append(chat, ThoughtRecord("t1", 1, "B", -9.0), TextRecord("t1", 1, "Hi"))
    append(chat, End("t1", 1, "complete"), ThoughtRecord("t1", 1, "GHOST", 1.0))
    [turn] = reread_turns(chat)
    assert (turn.thought, turn.thought_seconds, turn.answer) == ("AB", 1.5, "Hi")
