"""What can be done with a message, through Streamlit's own test driver."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.runtime.scriptrunner_utils.exceptions import StopException
from streamlit.testing.v1 import AppTest
from support.bedrock import BedrockStandIn, texts_of
from support.page import OpenPage, click, read_messages, say
from support.store import append, reread_turns

from chatbot.conversations import Conversation
from chatbot.models import load_models
from chatbot.page import waiting
from chatbot.page.state import Action
from chatbot.records import End, Feedback, Prompt, Text
from chatbot.sessions import Session
from chatbot.settings import ROOT
from chatbot.storage import StorageError

MODELS = load_models()


def open_chat(session: Session) -> Conversation:
    return session.conversation(session.conversations()[0].id)


def edit(page: AppTest, text: str) -> AppTest:
    click(page, "Edit")
    page.main.text_area[0].set_value(text).run()
    return click(page, "Send")


def test_a_prompt_is_edited_and_the_old_one_comes_back(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = say(open_page(), "One")
    edit(page, "Two")
    assert not page.exception
    assert read_messages(page) == ["Two", "An answer."]
    assert texts_of(bedrock.requests[-1]) == ["Two"]
    click(page, "Previous version")
    assert read_messages(page) == ["One", "An answer."]
    assert read_messages(open_page()) == ["One", "An answer."]


def test_an_edited_prompt_that_nobody_can_see_is_not_sent(open_page: OpenPage) -> None:
    page = say(open_page(), "One")
    edit(page, " \u200b ")
    assert page.main.text_area
    click(page, "Cancel")
    assert read_messages(page)[0] == "One" and not page.main.text_area


def test_an_edit_waits_while_another_chat_is_shown(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    page = say(open_page(), "One")
    click(page, "Edit")
    page.main.text_area[0].set_value("Two").run()
    click(page, "New chat")
    assert not page.main.text_area
    click(page, "One")
    assert page.main.text_area[0].value == "Two"
    click(page, "Send")
    assert texts_of(bedrock.requests[-1]) == ["Two"]


def test_what_is_edited_of_a_chat_that_was_deleted_is_asked_in_a_new_one(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "One")
    click(page, "Edit")
    page.main.text_area[0].set_value("Two").run()
    open_chat(session).delete()
    click(page, "Send")
    assert not page.exception
    assert read_messages(page)[0] == "Two"
    assert [chat.title for chat in session.conversations()] == ["Two"]


def test_what_is_edited_of_a_chat_that_another_tab_has_removed_is_asked_in_a_new_one(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "One")
    removed = open_chat(session)
    click(page, "Edit")
    page.main.text_area[0].set_value("Two").run()
    session.remove_conversation(removed.id)
    click(page, "Send")
    assert read_messages(page)[0] == "Two"
    assert [chat.title for chat in session.conversations()] == ["Two"]
    assert [turn.prompt for turn in reread_turns(removed)] == ["One"]


def test_the_same_model_answers_again(open_page: OpenPage, bedrock: BedrockStandIn) -> None:
    page = say(open_page(), "One")
    bedrock.reply("Another one.")
    click(page, "Answer again")
    assert read_messages(page) == ["One", "Another one."]
    assert "2/2" in [caption.value for caption in page.caption]
    assert bedrock.models[0] == bedrock.models[1]


def end_next_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """End the next run once its action is done, as a click does before the page is drawn."""
    real = waiting.run_interruptibly

    def act_and_end(*arguments: Any, **named: Any) -> None:
        monkeypatch.setattr(waiting, "run_interruptibly", real)
        real(*arguments, **named)
        raise StopException

    monkeypatch.setattr(waiting, "run_interruptibly", act_and_end)


def test_two_quick_clicks_ask_for_one_answer(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = say(open_page(), "One")
    [again] = [button for button in page.button if button.label == "Answer again"]
    end_next_run(monkeypatch)
    again.click().run()
    again.click().run()
    assert [turn.prompt for turn in reread_turns(open_chat(session))] == ["One"]
    assert [turn.prompt for turn in open_chat(session).all_turns] == ["One", "One"]


def test_a_failure_does_not_take_what_waits_behind_it(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "One")
    done: list[str] = []

    def fail() -> None:  # meanwhile, somebody clicks
        tab.pending.append(Action(done.append, ("after it",), {}))
        raise StorageError("timeout", errno="ETIMEDOUT")

    tab = page.session_state["tab"]
    tab.pending.append(Action(fail, (), {}))
    page.run()
    assert page.error and done == []
    page.run()
    assert not page.error and done == ["after it"]


def test_a_thumb_and_a_comment_of_the_same_moment_are_both_kept(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "One")
    page.feedback[0].set_value(0).run()
    page.feedback[0].set_value(1)
    next(each for each in page.text_input if each.label == "Comment").set_value("Good").run()
    [turn] = open_chat(session).turns
    assert (turn.rating, turn.comment) == ("up", "Good")


def test_a_rating_is_kept_exported_and_withdrawn(open_page: OpenPage, session: Session) -> None:
    page = say(open_page(), "One")
    page.feedback[0].set_value(0).run()
    comment = next(each for each in page.text_input if each.label == "Comment")
    comment.set_value("=HYPERLINK()\x1b[2J").run()
    assert not page.exception
    turn = open_chat(session).turns[0]
    assert (turn.rating, turn.comment) == ("down", "=HYPERLINK()\x1b[2J")
    lines = feedback(session.folder.parent)
    assert lines[0] == "Conversation,Turn,Model,Rating,Comment,When"
    assert f",{turn.id},{turn.model},down,'=HYPERLINK() [2J,20" in lines[1]
    other = open_page()
    assert other.feedback[0].value == 0
    other.feedback[0].set_value(None).run()
    assert open_chat(session).turns[0].rating == ""
    assert len(feedback(session.folder.parent)) == 1


def feedback(root: Path) -> list[str]:
    command = [sys.executable, "-m", "chatbot", "feedback"]
    environment = {**os.environ, "CHATBOT_SESSIONS_DIR": str(root)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def test_an_older_answer_has_a_menu_in_the_place_of_its_actions(
    open_page: OpenPage, session: Session
) -> None:
    page = say(say(open_page(), "One"), "Two")
    labels = [each.label for each in page.button]
    assert labels.count("Answer again") == labels.count("Edit") == 1
    assert len(page.feedback) == 1
    append(open_chat(session), Feedback(open_chat(session).turns[0].id, "up"))
    assert len(page.run().feedback) == 2


def test_an_answer_tells_who_gave_it_and_holds_its_source(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply('<b> & "quotes" $5')
    page = say(open_page(), "One")
    html = "".join(each.proto.body for each in page.get("html") if "data-copy" in each.proto.body)
    assert 'data-copy="%3Cb%3E &amp; &quot;quotes&quot; $5"' in html
    assert f"<small>{next(iter(MODELS.values())).name} · " in html and " tokens</small>" in html


def test_an_answer_of_a_branch_that_is_not_shown_is_not_drawn(
    open_page: OpenPage, session: Session
) -> None:
    page = say(open_page(), "One")
    conversation = open_chat(session)
    append(conversation, Prompt("t2", "Other", after="-"), Text("t2", 0, "GHOST"))
    append(conversation, End("t2", 0, "stopped"))
    conversation.show(conversation.all_turns[0].id)
    assert read_messages(page.run())[0] == "One"
    assert len(page.chat_message) == 2
