"""What a person does just before they leave the page is done all the same."""

import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from support.browsing import (
    choose_action,
    messages,
    needs_browser,
    prompt_box,
    say,
    titles,
)
from support.projects import Project
from support.serving import free_port, serve

pytestmark = needs_browser
EnterAndLeave = Callable[[], None]


@pytest.fixture
def page(visitor: BrowserContext) -> Page:
    return visitor.new_page()


@pytest.fixture
def enter_and_leave(project: Project, page: Page) -> Iterator[EnterAndLeave]:
    """Press Enter, leave the page and come back.

    The task stands still meanwhile, so that it hears of both at once.
    """
    with serve(project, free_port()) as server:
        with page.expect_websocket() as opened:
            page.goto(server.address)

        def enter_and_leave() -> None:
            chat = page.url
            server.process.send_signal(signal.SIGSTOP)
            try:
                with opened.value.expect_event("framesent"):
                    page.keyboard.press("Enter")
                page.goto("about:blank")
            finally:
                server.process.send_signal(signal.SIGCONT)
            page.goto(chat)

        yield enter_and_leave


def test_a_message_is_answered(page: Page, enter_and_leave: EnterAndLeave) -> None:
    say(page, "A question")
    expect(messages(page).last).to_contain_text("no model")
    prompt_box(page).fill("One more")
    enter_and_leave()
    expect(messages(page).nth(2)).to_contain_text("One more")
    expect(messages(page).nth(3)).to_contain_text("no model was called")


def test_a_comment_is_kept(page: Page, enter_and_leave: EnterAndLeave) -> None:
    say(page, "A question")
    page.get_by_role("radio", name="Thumbs up").click()
    page.get_by_role("textbox", name="Comment").fill("So good")
    enter_and_leave()
    expect(page.get_by_role("textbox", name="Comment")).to_have_value("So good")


def test_a_chat_has_its_new_name(page: Page, enter_and_leave: EnterAndLeave) -> None:
    say(page, "A question")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")
    choose_action(page, "A question", "Rename")
    page.get_by_role("dialog").get_by_role("textbox").fill("Another name")
    enter_and_leave()
    expect(titles(page)).to_have_text(["Another name"])
