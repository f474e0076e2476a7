"""The list of chats in a real browser, and all that staff do with a whole chat."""

import io
import json
import re
import zipfile
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urljoin

import pytest
from chatbot.conversations import new_conversation_id
from chatbot.records import Claim, End, Prompt, Record, Text
from chatbot.sessions import Session
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from support.browsing import (
    SCREENSHOTS,
    block_cookies,
    choose_action,
    delete_chat,
    files_of,
    messages,
    needs_browser,
    open_new_chat,
    open_page,
    prompt_box,
    say,
    sidebar,
    titles,
)
from support.serving import Chatbot
from support.waiting import wait_until

pytestmark = needs_browser
MISSING = "This chat does not exist, or was deleted."


@pytest.fixture
def session(chatbot: Chatbot, visitor: BrowserContext) -> Session:
    """The visitor's session."""
    open_page(visitor, chatbot.address).close()
    return Session(files_of(visitor, chatbot.folder))


def write_chat(session: Session, prompt: str, answer: str = "An answer.") -> str:
    """Write a chat as an earlier visit would have left it; return its id."""
    conversation = session.conversation(new_conversation_id())
    half = len(answer) // 2
    records: list[Record] = [
        *(Prompt("t", prompt), Claim("t", 1, "w", "nova-2-lite")),
        *(Text("t", 1, answer[:half]), Text("t", 1, answer[half:])),
        End("t", 1, "complete", "end_turn"),
    ]
    conversation.update(lambda: records, create=True)
    return conversation.id


def begin_chat(page: Page, prompt: str) -> None:
    open_new_chat(page)
    say(page, prompt)
    expect(messages(page).nth(1)).to_contain_text("An answer.")


def take_picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"chats-{name}.png")


def test_a_chat_is_renamed_pinned_and_found(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    write_chat(session, "Reise nach Köln", "Der Zug fährt um neun ab.")
    write_chat(session, "Taxi receipts", "They are paid after 22:00.")
    write_chat(session, "日本の領収書", "領収書も可。")
    page = open_page(visitor, address)
    expect(titles(page)).to_have_text(["日本の領収書", "Taxi receipts", "Reise nach Köln"])
    expect(titles(page).nth(0)).to_have_attribute("aria-current", "page")
    expect(page).to_have_title(re.compile("^日本の領収書 · "))
    choose_action(page, "Reise nach Köln", "Rename")
    page.get_by_role("dialog").get_by_label("Title").fill(" Trip  to *Cologne*  ")
    page.get_by_role("dialog").get_by_label("Title").press("Enter")
    expect(titles(page).nth(2)).to_have_text("Trip to *Cologne*")
    choose_action(page, "Trip to *Cologne*", "Pin")
    renamed = ["Trip to *Cologne*", "日本の領収書", "Taxi receipts"]
    expect(titles(page)).to_have_text(renamed)
    expect(sidebar(page).get_by_text("Pinned")).to_be_visible()
    expect(sidebar(page).get_by_text("Today")).to_be_visible()
    take_picture(page, "list")
    page.reload()
    expect(titles(page)).to_have_text(renamed)
    search = page.get_by_placeholder("Search chats")
    search.fill("fahrt ZUG")  # without the dots, and across two pieces of the answer
    expect(titles(page)).to_have_text(["Trip to *Cologne*"])
    expect(sidebar(page).get_by_text("Der Zug fährt um neun ab.")).to_be_visible()
    take_picture(page, "search")
    search.fill("領収書も")
    expect(titles(page)).to_have_text(["日本の領収書"])
    search.fill("cologne")
    expect(titles(page)).to_have_text(["Trip to *Cologne*"])
    titles(page).click()
    expect(messages(page).nth(0)).to_contain_text("Reise nach Köln")
    search.fill("taxi nobody")
    expect(sidebar(page).get_by_text("No chat has “taxi nobody”.")).to_be_visible()
    search.fill("")
    choose_action(page, "Trip to *Cologne*", "Unpin")
    expect(titles(page)).to_have_text(["日本の領収書", "Taxi receipts", "Trip to *Cologne*"])


def test_a_deletion_is_asked_for_can_be_undone_and_then_is_for_good(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    page = open_page(visitor, address)
    begin_chat(page, "Keep this")
    begin_chat(page, "Forget this")
    choose_action(page, "Forget this", "Delete")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("“Forget this” with its 2 messages")
    take_picture(page, "delete")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    actions = sidebar(page).get_by_role("button", name="Actions for “Forget this”")
    expect(actions).to_be_focused()
    delete_chat(page, "Forget this")
    expect(titles(page)).to_have_text(["Keep this"])
    expect(messages(page)).to_have_count(0)
    expect(page.get_by_text(MISSING)).to_have_count(0)
    take_picture(page, "undo")
    page.get_by_role("button", name="Undo").click()
    expect(titles(page)).to_have_text(["Forget this", "Keep this"])
    expect(messages(page).nth(0)).to_contain_text("Forget this")
    delete_chat(page, "Forget this")
    expect(titles(page)).to_have_text(["Keep this"])
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    wait_until(lambda: len(list(session.folder.glob("2*"))) == 1, "the chat is deleted for good")
    page.reload()
    expect(titles(page)).to_have_text(["Keep this"])


def test_an_answer_in_progress_is_no_obstacle_to_a_dialog(
    chatbot: Chatbot, visitor: BrowserContext
) -> None:
    """Streamlit keeps a click in a dialog until the page's run ends, as it does with an answer."""
    page = open_page(visitor, chatbot.address)
    begin_chat(page, "Before")
    more = Event()
    chatbot.bedrock.reply("Once upon", more, " a time.")
    try:
        open_new_chat(page)
        say(page, "Tell me a story")
        expect(messages(page).nth(1)).to_contain_text("Once upon")
        delete_chat(page, "Before")
        expect(titles(page)).to_have_text(["Tell me a story"])
        choose_action(page, "Tell me a story", "Rename")
        expect(page.get_by_role("dialog").get_by_label("Title")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
    finally:
        more.set()
    expect(messages(page).nth(1)).to_contain_text("Once upon a time.")


def test_an_address_that_leads_nowhere_is_told(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    write_chat(session, "Mine")
    page = open_page(visitor, f"{address}/?chat={new_conversation_id()}")
    expect(page.get_by_text(MISSING)).to_be_visible()
    expect(messages(page)).to_have_count(0)
    take_picture(page, "missing")
    say(page, "Then I ask this")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(page.get_by_text(MISSING)).to_have_count(0)
    expect(titles(page)).to_have_text(["Then I ask this", "Mine"])
    open_new_chat(page)
    page.reload()
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect(page.get_by_text(MISSING)).to_have_count(0)


def test_another_tab_hears_of_new_chats_and_messages(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    write_chat(session, "Both know this")
    first = open_page(visitor, address)
    expect(titles(first)).to_have_text(["Both know this"])
    second = open_page(visitor, address)
    say(second, "More of it")
    expect(messages(second).nth(3)).to_contain_text("An answer.")
    first.bring_to_front()
    prompt_box(first).fill("A draft")
    expect(messages(first).nth(3)).to_contain_text("An answer.")
    second.bring_to_front()
    begin_chat(second, "Something new")
    first.bring_to_front()
    expect(titles(first)).to_have_text(["Something new", "Both know this"])
    expect(prompt_box(first)).to_have_value("A draft")
    second.bring_to_front()
    delete_chat(second, "Both know this")
    first.bring_to_front()
    expect(first.get_by_text(MISSING)).to_be_visible()
    expect(prompt_box(first)).to_have_value("A draft")


# As any two clicks of a quick person: both ask for a run in nearly the same moment.
LOOK_AGAIN_AT_ENTER = """let pause = 0; // milliseconds
addEventListener("keydown", ({ key }) => {
  if (key !== "Enter") return;
  setTimeout(() => document.querySelector(".st-key-look-again button").click(), pause);
  pause = (pause + 2) % 12;
});"""

STATE = """() => JSON.stringify([
  {...document.querySelector('[data-testid="stApp"]').dataset},
  sessionStorage.getItem("chatbot_sent"),
  document.body.innerText,
])"""


@pytest.mark.parametrize("together", [1, 2])
def test_what_is_sent_while_the_page_looks_again_is_saved_or_back_in_the_input(
    address: str, visitor: BrowserContext, together: int
) -> None:
    page = open_page(visitor, address)
    page.evaluate(LOOK_AGAIN_AT_ENTER)
    for number in range(together, 13, together):
        for _ in range(together):
            say(page, "yes")
            expect(prompt_box(page)).to_have_value("")
        while saved(page) < number:
            wait_until(
                partial(has_come, page, number),
                f"{number} are saved, or one is back in the input",
                explain=partial(page.evaluate, STATE),
            )
            if prompt_box(page).input_value():
                prompt_box(page).press("Enter")
                expect(prompt_box(page)).to_have_value("")


def saved(page: Page) -> int:
    """Return how often the person has said yes. What comes back may be one message of two."""
    prompts = page.get_by_test_id("stText").all_inner_texts()
    return sum(prompt.split().count("yes") for prompt in prompts)


def has_come(page: Page, number: int) -> bool:
    return saved(page) >= number or bool(prompt_box(page).input_value())


def test_what_a_slow_connection_still_carries_does_not_come_back_to_the_input(
    address: str, visitor: BrowserContext
) -> None:
    page = visitor.new_page()
    page.clock.install()
    connection = SlowConnection(page)
    page.goto(address)
    say(page, "One")
    expect(messages(page).last).to_contain_text("An answer.")
    wait_until(lambda: page.evaluate(NOTHING_IS_SENT), "the page has found the message")
    page.clock.fast_forward(60_000)
    connection.is_held.set()
    say(page, "Two")
    page.clock.run_for(3_000)
    expect(prompt_box(page)).to_have_value("")
    connection.pass_all_on()
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    expect(prompt_box(page)).to_have_value("")


NOTHING_IS_SENT = "sessionStorage.getItem('chatbot_sent') === null"


class SlowConnection:
    """What the page and the server tell each other waits while it is held."""

    def __init__(self, page: Page) -> None:
        self.is_held = Event()
        self._waiting: list[tuple[WebSocketRoute, str | bytes]] = []
        page.route_web_socket("**", self._relay)

    def _relay(self, page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        page.on_message(partial(self._pass_on, server))
        server.on_message(partial(self._pass_on, page))

    def _pass_on(self, to: WebSocketRoute, message: str | bytes) -> None:
        if self.is_held.is_set():
            self._waiting.append((to, message))
        else:
            to.send(message)

    def pass_all_on(self) -> None:
        self.is_held.clear()
        for to, message in self._waiting:
            to.send(message)
        self._waiting.clear()


@pytest.mark.parametrize("way", [{"modifiers": ["ControlOrMeta"]}, {"button": "middle"}])
def test_a_chat_opens_in_a_tab_of_its_own_as_a_link_would(
    address: str, visitor: BrowserContext, session: Session, way: dict[str, Any]
) -> None:
    dogs = write_chat(session, "About dogs")
    write_chat(session, "About cats")
    page = open_page(visitor, address)
    expect(messages(page).nth(0)).to_contain_text("About cats")
    with visitor.expect_page() as opened:
        titles(page).nth(1).click(**way)
    expect(opened.value).to_have_url(re.compile(rf"\?chat={dogs}$"))
    expect(messages(opened.value).nth(0)).to_contain_text("About dogs")
    expect(messages(page).nth(0)).to_contain_text("About cats")
    assert dogs not in page.url


def attach(page: Page, content: bytes) -> None:
    notes: Any = {"name": "notes.txt", "mimeType": "text/plain", "buffer": content}
    page.get_by_test_id("stChatInputFileUploadButton").locator("input").set_input_files([notes])
    expect(page.get_by_test_id("stFileChip")).to_have_count(1)


def test_a_draft_stays_with_its_chat(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    write_chat(session, "About dogs")
    write_chat(session, "About cats")
    page = open_page(visitor, address)
    expect(messages(page).nth(0)).to_contain_text("About cats")
    prompt_box(page).fill("Why do they purr?")
    attach(page, b"cats")
    titles(page).nth(1).click()
    expect(messages(page).nth(0)).to_contain_text("About dogs")
    expect(prompt_box(page)).to_have_value("")
    expect(page.get_by_test_id("stFileChip")).to_have_count(0)
    prompt_box(page).fill("Why do they bark?")
    attach(page, b"dogs")
    titles(page).nth(0).click()
    expect(prompt_box(page)).to_have_value("Why do they purr?")
    prompt_box(page).press("Enter")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    [link] = messages(page).nth(2).get_by_role("link").all()
    assert visitor.request.get(urljoin(address, link.get_attribute("href"))).body() == b"cats"
    expect(page.get_by_test_id("stFileChip")).to_have_count(0)
    titles(page).nth(1).click()
    expect(prompt_box(page)).to_have_value("Why do they bark?")
    expect(page.get_by_test_id("stFileChip")).to_have_count(1)
    page.reload()
    expect(prompt_box(page)).to_have_value("Why do they bark?")
    expect(page.get_by_role("alert")).to_contain_text("notes.txt")  # to be attached again
    titles(page).nth(0).click()
    expect(prompt_box(page)).to_have_value("")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.reload()
    expect(messages(page)).to_have_count(4)
    expect(prompt_box(page)).to_have_value("")
    open_new_chat(page)
    prompt_box(page).fill("Something else")
    titles(page).nth(1).click()
    expect(prompt_box(page)).to_have_value("Why do they bark?")


def test_more_chats_are_shown_by_steps_and_a_phone_shows_the_chosen_one(
    address: str, visitor: BrowserContext, session: Session
) -> None:
    for number in range(22):
        write_chat(session, f"Chat {number}, with a title that is wider than a phone's list is")
    page = open_page(visitor, address)
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(titles(page)).to_have_count(20)
    expect(titles(page).nth(1)).to_be_in_viewport(ratio=1)
    take_picture(page, "phone")
    for row in (0, 1):
        left = titles(page).nth(row).bounding_box()
        right = page.locator('[class*="st-key-menu-"] button').nth(row).bounding_box()
        assert left and right
        assert left["y"] < right["y"] + right["height"] / 2 < left["y"] + left["height"]
        assert left["x"] + left["width"] <= right["x"]
    sidebar(page).get_by_role("button", name="Show more (2)").click()
    expect(titles(page)).to_have_count(22)
    titles(page).last.click()
    expect(messages(page).nth(0)).to_contain_text("Chat 0")
    expect(titles(page).last).not_to_be_in_viewport()


def test_chats_are_downloaded(address: str, visitor: BrowserContext, session: Session) -> None:
    title = 'A "plan"; für ../5 € \u202e= 日本\n'
    write_chat(session, title, "| a | b |\n|---|---|\n| 1 | 2 |")
    page = open_page(visitor, address)
    shown = " ".join(title.split())
    for action, ending in (("Download Markdown", "md"), ("Download JSON", "json")):
        with page.expect_download() as started:
            page.locator('[class*="st-key-menu-"] button').click()
            page.get_by_role("menuitem", name=action).click()
        download = started.value
        assert download.suggested_filename == f"A plan für .. 5 = 日本.{ending}"
        text = Path(download.path()).read_text(encoding="utf-8")
        if ending == "md":
            assert text.startswith(f"# {shown}\n")
            assert "| 1 | 2 |" in text and "## Answer · Amazon Nova 2 Lite" in text
        else:
            question, answer = json.loads(text)["messages"]
            assert question["text"] == title
            assert answer["model_name"] == "Amazon Nova 2 Lite" and answer["time"]
    expect(messages(page)).to_have_count(2)  # it is still the page
    response = visitor.request.get(f"{address}/chats.zip")
    with zipfile.ZipFile(io.BytesIO(response.body())) as archive:
        assert archive.testzip() is None
        assert {Path(name).suffix for name in archive.namelist()} == {".md", ".json"}


def test_a_browser_without_cookies_downloads_a_chat_all_the_same(
    address: str, visitor: BrowserContext
) -> None:
    block_cookies(visitor)
    page = open_page(visitor, address)
    say(page, "Without cookies")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    choose_action(page, "Without cookies", "Download Markdown")
    with page.expect_download() as started:
        page.get_by_role("dialog").get_by_role("button", name="Markdown").click()
    assert "An answer." in Path(started.value.path()).read_text(encoding="utf-8")
