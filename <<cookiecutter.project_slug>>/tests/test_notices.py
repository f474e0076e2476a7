"""What went wrong is told in one way: what happened, whom to ask, how long, and the details."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from support.bedrock import REQUEST_ID, BedrockStandIn, Cut, Fail, Refuse
from support.page import OpenPage, click, read_messages, say

from chatbot import service
from chatbot.page import chats, notices, wording
from chatbot.records import Used
from chatbot.sessions import Session
from chatbot.usage import today


def details(page: AppTest) -> str:
    """Return what is folded below the one notice."""
    [section] = [each for each in page.main.expander if each.label == "Details"]
    return "\n".join(each.value for each in section.caption)


def countdowns(page: AppTest) -> list[str]:
    elements = page.main.get("html")
    return [each.proto.body for each in elements if "countdown" in each.proto.body]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ((Refuse(429, "ThrottlingException"),), "ThrottlingException"),
        (("Half", Fail("modelStreamErrorException")), "modelStreamErrorException"),
        (("Half", Cut()), "Error"),
    ],
)
def test_the_details_of_a_failure_name_the_request(
    open_page: OpenPage, bedrock: BedrockStandIn, reply: tuple[Any, ...], error: str
) -> None:
    bedrock.reply(*reply)
    page = say(open_page(), "Hello")
    for each in (page, open_page()):
        told = details(each).replace("\\", "")
        assert error in told
        assert f"Request: {REQUEST_ID}" in told


def test_a_failure_counts_down_where_waiting_helps_and_its_moment_is_known(
    open_page: OpenPage, bedrock: BedrockStandIn
) -> None:
    bedrock.reply(Refuse(429, "ThrottlingException"))
    page = say(open_page(), "Hello")
    [countdown] = countdowns(page)
    assert 'data-seconds="60"' in countdown or 'data-seconds="59"' in countdown
    assert countdowns(open_page()) == []  # when it failed is not known there
    click(page, "Try again")
    assert countdowns(page) == []
    bedrock.reply(Refuse(400, "ValidationException"))
    assert countdowns(say(page, "Again")) == []  # waiting would not help


def test_the_days_limit_counts_down_to_midnight(
    open_page: OpenPage, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHATBOT_DAILY_TOKENS", "10")
    page = open_page()
    session.usage.update(lambda: [Used(today(), "m", 10, 0)], create=True)
    say(page, "Too much")
    [countdown] = countdowns(page)
    left = 86_400 - time.time() % 86_400  # days by UTC have as many seconds
    [seconds] = re.findall(r'data-seconds="([0-9]+)"', countdown)
    assert int(seconds) == pytest.approx(left, abs=60)
    assert "Details" not in [each.label for each in page.main.expander]


@pytest.mark.parametrize(
    ("contact", "shown"),
    [
        ("it-help@example.com", "](mailto:it-help@example.com)"),
        ("https://help.example.com/chat?a=1", "](https://help.example.com/chat?a=1)"),
        ("the *IT desk*, room 7", "the \\*IT desk\\*\\, room 7"),
    ],
)
def test_a_notice_says_whom_to_ask(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, session: Session, contact: str, shown: str
) -> None:
    monkeypatch.setenv("CHATBOT_CONTACT", contact)
    page = open_page()
    session.folder.parent.touch()  # a file where the folder should be
    say(page, "Hello")
    assert shown in page.error[0].value
    assert "ENOTDIR" in details(page)


@pytest.mark.parametrize(
    "contact",
    [
        "javascript:alert(1)",
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "https://help.example.com/) [x](javascript:alert(1))",
        "https://help.example.com/<b>",
        "a@b.example\njavascript:alert(1)",
        "![x](https://stranger.example/x)",
    ],
)
def test_no_contact_becomes_a_link_to_anything_else(contact: str) -> None:
    shown = notices.as_contact(contact)
    assert "](" not in shown
    assert "<" not in shown.replace("\\<", "")


def test_a_fault_of_the_page_is_told_and_what_is_drawn_stays(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    page = say(open_page(), "Hello")

    def fail(*_arguments: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(chats, "draw_chats", fail)
    page.run()
    assert not page.exception
    assert page.error[0].value == wording.fault()
    assert not any("secret" in each.value for each in (*page.error, *page.caption))
    assert page.title[0].value == "Chatbot"
    monkeypatch.undo()
    caplog.clear()  # of the fault that was made here
    page.run()
    assert not page.error


@pytest.fixture
def deleted_meanwhile(
    open_page: OpenPage, session: Session, bedrock: BedrockStandIn
) -> Callable[[], AppTest]:
    """Send a message to a chat that is deleted while its answer grows."""

    def send() -> AppTest:
        page = say(open_page(), "Hello")
        bedrock.reply("One ", 2, "two.")  # so that the page draws it in progress
        assistant = service.start().assistant
        follow = assistant.follow

        def follow_and_delete(conversation: Any, turn_id: str) -> Any:
            conversation.delete()
            yield from follow(conversation, turn_id)

        assistant.follow = follow_and_delete  # type: ignore[method-assign]
        return say(page, "More")

    return send


def test_a_chat_that_is_deleted_during_its_answer_stays_on_the_page(
    deleted_meanwhile: Callable[[], AppTest],
) -> None:
    page = deleted_meanwhile()
    assert not page.exception
    assert read_messages(page)[0] == "Hello"
    assert "was deleted" in page.chat_message[-1].error[0].value
    assert not [each for each in page.button if each.label == "Stop"]
