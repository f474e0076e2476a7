"""What a person does without a mouse, and while an answer is in progress, in a browser."""

from functools import partial
from threading import Event
from typing import Any

import pytest
from chatbot.conversations import new_conversation_id
from chatbot.records import Prompt, to_line
from chatbot.sessions import Session
from playwright.sync_api import Browser, BrowserContext, Page, WebSocketRoute, expect

from support.browsing import (
    LONG,
    SCREENSHOTS,
    choose_action,
    delete_chat,
    files_of,
    messages,
    needs_browser,
    open_page,
    prompt_box,
    say,
    sidebar,
    titles,
)
from support.serving import Chatbot

pytestmark = needs_browser

WORDS = 5_000


@pytest.fixture
def replies(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def begin_answer(page: Page, replies: Any, prompt: str) -> Event:
    """Ask for an answer that goes on when the event is set."""
    more = Event()
    replies.reply("Half ", more, "and half.")
    say(page, prompt)
    expect(messages(page).last).to_contain_text("Half")
    return more


def expect_focus_in_input(page: Page) -> None:
    expect(prompt_box(page)).to_be_focused()


def test_stop_is_hit_twenty_times_of_twenty_while_an_answer_grows(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    """A person sees where the button is, and clicks there a moment later."""
    page = open_page(visitor, address)
    where = None
    for number in range(20):
        steps = [step for each in range(WORDS) for step in (f"word{each} ", 1 / 133)]
        replies.reply(*steps)
        say(page, f"Question {number}")
        expect(messages(page)).to_have_count(2 * number + 2)
        expect(messages(page).last).to_contain_text("word99 ")
        if number % 2:
            page.mouse.move(700, 300)
            page.mouse.wheel(0, -300)
        stop = page.get_by_role("button", name="Stop")
        seen = stop.bounding_box()
        assert seen is not None
        where = where or seen
        assert abs(seen["x"] - where["x"]) < 1 and abs(seen["y"] - where["y"]) < 1  # pixel
        shown = len(messages(page).last.inner_text())
        page.wait_for_function(
            "before => [...document.querySelectorAll('[data-testid=stChatMessage]')].at(-1)"
            ".innerText.length > before + 200",
            arg=shown,
        )
        page.mouse.click(seen["x"] + seen["width"] / 2, seen["y"] + seen["height"] / 2)
        expect(messages(page).last).to_contain_text("Stopped.")
        expect(stop).to_have_count(0)


def test_the_keyboard_alone_is_enough(address: str, visitor: BrowserContext, replies: Any) -> None:
    page = open_page(visitor, address)
    expect_focus_in_input(page)
    page.keyboard.type("First chat")
    more = Event()
    replies.reply("Half ", more, "and half.")
    page.keyboard.press("Enter")
    expect(messages(page).last).to_contain_text("Half")
    page.keyboard.press("Escape")
    expect(messages(page).last).to_contain_text("Stopped.")
    more.set()
    expect_focus_in_input(page)
    page.keyboard.press("Control+Shift+O")
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect_focus_in_input(page)
    page.keyboard.press("Control+K")  # finds no field yet, or has the focus in it
    page.keyboard.press("Control+/")
    help_ = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_).to_contain_text("New chat")
    expect(help_.get_by_role("button", name="Close")).to_be_focused()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "shortcuts.png")
    page.keyboard.press("Control+Shift+O")  # does nothing beneath it
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    page.keyboard.press("Control+/")
    page.keyboard.press("Control+/")
    expect(help_).to_have_count(0)
    page.evaluate(SHOW_CLOSE_SHOW)
    expect(help_).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    prompt_box(page).focus()
    page.keyboard.type("Second chat")
    page.keyboard.press("Enter")
    expect(messages(page).last).to_contain_text("An answer.")
    chat = sidebar(page).get_by_role("button", name="First chat").first
    chat.focus()
    page.keyboard.press("Enter")
    expect(messages(page).first).to_contain_text("First chat")
    expect_focus_in_input(page)


# Before the browser says that the list was closed.
SHOW_CLOSE_SHOW = """() => {
  const press = () => document.activeElement.dispatchEvent(
    new KeyboardEvent("keydown", { key: "/", ctrlKey: true, bubbles: true }));
  [1, 2, 3].forEach(press);
}"""


def test_focus_is_never_lost(address: str, visitor: BrowserContext, replies: Any) -> None:
    page = open_page(visitor, address)
    more = begin_answer(page, replies, "First of two")
    page.get_by_role("button", name="Stop").click()
    expect(messages(page).last).to_contain_text("Stopped.")
    more.set()
    expect_focus_in_input(page)
    more = begin_answer(page, replies, "Second of two")
    page.get_by_role("button", name="Stop").focus()
    more.set()  # and the button goes
    expect(messages(page).last).to_contain_text("and half.")
    expect_focus_in_input(page)


def test_focus_stays_where_a_person_works(address: str, visitor: BrowserContext) -> None:
    page = open_page(visitor, address)
    say(page, "A journey")
    edit = page.get_by_role("button", name="Edit", exact=True)
    menu = sidebar(page).get_by_role("button", name="Actions for “A journey”")
    dialog = page.get_by_role("dialog")
    field = page.get_by_role("textbox", name="Edit your message")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible()
    edit.click()
    expect(field).to_be_focused()
    page.get_by_role("button", name="Cancel").click()
    expect(field).to_have_count(0)
    expect_focus_in_input(page)
    edit.click()
    expect(field).to_be_focused()
    page.keyboard.type(" home")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(messages(page).first).to_contain_text("A journey home")
    expect(field).to_have_count(0)
    expect(page.get_by_role("button", name="Answer again")).to_be_visible()
    expect_focus_in_input(page)
    page.get_by_role("button", name="Previous version").click()
    expect(page.get_by_text("1/2")).to_be_visible()
    expect_focus_in_input(page)
    menu.click()
    expect(page.get_by_role("menuitem").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("menuitem")).to_have_count(0)
    expect(menu).to_be_focused()
    choose_action(page, "A journey", "Delete")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(menu).to_be_focused()
    choose_action(page, "A journey", "Delete")
    dialog.get_by_role("button", name="Keep").click()
    expect(dialog).to_have_count(0)
    expect(menu).to_be_focused()
    choose_action(page, "A journey", "Rename")
    dialog.get_by_role("textbox", name="Title").fill("Elsewhere")
    page.keyboard.press("Enter")
    expect(dialog).to_have_count(0)
    renamed = sidebar(page).get_by_role("button", name="Actions for “Elsewhere”")
    expect(renamed).to_be_focused()
    delete_chat(page, "Elsewhere")  # so a new one is open
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect_focus_in_input(page)


def test_escape_closes_what_is_open_before_it_stops_an_answer(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    page = open_page(visitor, address)
    more = begin_answer(page, replies, "Go on")
    stop = page.get_by_role("button", name="Stop")
    dialog, items = page.get_by_role("dialog"), page.get_by_role("menuitem")
    sidebar(page).get_by_role("button", name="Actions for “Go on”").click()
    expect(items.first).to_be_visible()
    page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(stop).to_be_visible()
    for action in ("Rename", "Delete"):
        choose_action(page, "Go on", action)
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(stop).to_be_visible()
    page.locator(".st-key-header").get_by_test_id("stSelectbox").click()
    expect(page.get_by_role("option").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    page.keyboard.press("Control+/")
    expect(dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(stop).to_be_visible()
    expect(messages(page).last).not_to_contain_text("Stopped.")
    page.keyboard.press("Escape")
    expect(messages(page).last).to_contain_text("Stopped.")
    more.set()


def test_messages_that_are_sent_together_are_answered_one_after_the_other(
    address: str, visitor: BrowserContext, replies: Any, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    folder = chatbot.folder
    folder.rename(folder.with_name("elsewhere"))
    folder.touch()
    for count, prompt in enumerate(("One of two", "Two of two"), 1):
        say(page, prompt)
        expect(page.locator(".st-key-unsent").get_by_test_id("stChatMessage")).to_have_count(count)
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)
    more = Event()
    replies.reply("Half ", more, "and half.")
    page.get_by_role("button", name="Send again").click()
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(1)).to_contain_text("Half")
    expect(messages(page).last).to_contain_text("Begins when the answer above has ended.")
    choose_action(page, "One of two", "Rename")  # the page stands still behind it
    expect(page.get_by_role("dialog")).to_be_visible()
    expect(page.get_by_role("button", name="Answer again", include_hidden=True)).to_have_count(0)
    expect(messages(page).last).to_contain_text("Begins when the answer above has ended.")
    more.set()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(messages(page).nth(1)).to_contain_text("and half.")
    expect(messages(page).last).to_contain_text("An answer.")


def test_the_first_tab_leads_to_the_input_however_many_chats_there_are(
    address: str, visitor: BrowserContext, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    say(page, "The first of many")
    expect(messages(page).last).to_contain_text("An answer.")
    [file] = files_of(visitor, chatbot.folder).glob("2*.jsonl")
    for number in range(200):
        name = f"{file.name[:8]}-{number:06}{file.name[15:]}"
        file.with_name(name).write_bytes(to_line(Prompt("t", f"Chat {number}", "nova-2-lite")))
    page.goto(address)
    expect_focus_in_input(page)
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")  # as if the page began here
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the message box")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the message box")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect_focus_in_input(page)


# Whether the middle of what has the focus is what a click there would hit.
IN_SIGHT = """() => {
  const focused = document.activeElement;
  const { x, y, width, height } = focused.getBoundingClientRect();
  const hit = document.elementFromPoint(x + width / 2, y + height / 2);
  return hit !== null && (focused.contains(hit) || hit.contains(focused));
}"""


def test_what_has_the_focus_is_never_behind_the_header_the_input_or_the_section_about_the_page(
    address: str, visitor: BrowserContext, replies: Any, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    links = (f"Words and [a link](https://example.com/{number}).\n\n" for number in range(25))
    replies.reply("".join(links))
    say(page, "Which links are there?")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible()
    session = Session(files_of(visitor, chatbot.folder))
    for number in range(19):
        chat = session.conversation(new_conversation_id())
        chat.update(partial(list, [Prompt("t", f"Chat {number}")]), create=True)
    page.reload()
    expect(page.locator("#first-sight")).to_have_count(0)
    expect(titles(page)).to_have_count(20)
    page.get_by_placeholder("Search chats").focus()
    for key in ("Tab", "Shift+Tab"):
        for _ in range(75):
            page.keyboard.press(key)
            assert page.evaluate(IN_SIGHT), page.evaluate("document.activeElement.outerHTML")


def test_who_moves_the_focus_while_a_chat_is_still_opening_keeps_it(
    address: str, visitor: BrowserContext
) -> None:
    page = open_page(visitor, address)
    say(page, "A question")
    expect(messages(page).last).to_contain_text("An answer.")
    on_the_way: list[tuple[WebSocketRoute, str | bytes]] = []
    is_slow = Event()
    is_slow.set()

    def relay(to_page: WebSocketRoute) -> None:
        def pass_on(message: str | bytes) -> None:
            names_the_chat = isinstance(message, bytes) and b"chat=2" in message
            if is_slow.is_set() and (on_the_way or names_the_chat):
                on_the_way.append((to_page, message))
            else:
                to_page.send(message)

        to_page.connect_to_server().on_message(pass_on)

    page.route_web_socket("**", relay)
    page.goto(address)
    expect_focus_in_input(page)
    page.keyboard.press("Shift+Tab")
    expect(prompt_box(page)).not_to_be_focused()
    is_slow.clear()
    for to_page, message in on_the_way:
        to_page.send(message)
    page.wait_for_url("**chat=2*")
    expect(messages(page).last).to_contain_text("An answer.")
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)
    expect(prompt_box(page)).not_to_be_focused()


def test_a_phone_keeps_its_keyboard_closed_and_escape_closes_the_list(
    address: str, browser: Browser
) -> None:
    phone = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    phone.set_default_timeout(LONG)
    page = open_page(phone, address)
    expect(page.get_by_text("How can I help?")).to_be_visible()
    page.get_by_test_id("stExpandSidebarButton").click()
    new = sidebar(page).get_by_role("button", name="New chat")
    expect(new).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(new).not_to_be_in_viewport()
    expect(prompt_box(page)).not_to_be_focused()
    page.wait_for_function("document.activeElement !== document.body")
    phone.close()
