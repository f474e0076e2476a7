"""What a person reads stays where it is, and the end of a chat stays in sight, in a browser."""

from threading import Event
from typing import Any

import pytest
from chatbot.conversations import new_conversation_id
from chatbot.records import Claim, End, Prompt, Record, Text, Thought
from chatbot.sessions import Session
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from support.browsing import (
    AT_REST,
    BELOW,
    LONG,
    PLACE,
    TWO_FRAMES,
    files_of,
    messages,
    needs_browser,
    open_new_chat,
    open_page,
    say,
    titles,
)
from support.serving import Chatbot
from support.waiting import wait_until

pytestmark = needs_browser


@pytest.fixture
def replies(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def test_who_scrolls_up_while_an_answer_grows_stays_there_until_they_come_back(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    page = open_page(visitor, address)
    end = Event()
    lines = [step for number in range(1_000) for step in (f"Line {number}.\n\n", 0.01)]
    replies.reply(*lines, end, "Last.")
    say(page, "Tell me")
    answer = messages(page).last
    expect(answer).to_contain_text("Line 80.")
    line = page.get_by_text("Line 40.", exact=True)
    page.mouse.move(700, 300)
    while (line.bounding_box() or {"y": 0})["y"] < 200:
        page.mouse.wheel(0, -100)
        page.evaluate(TWO_FRAMES)
    place = line.bounding_box()
    assert place
    expect(answer).to_contain_text("Line 300.")
    assert line.bounding_box() == place
    page.mouse.wheel(0, 100_000)
    expect(answer).to_contain_text("Line 500.")
    newest = answer.get_by_text("Line ").last
    expect(newest).to_be_in_viewport()
    page.get_by_role("button", name="Stop").click()
    end.set()
    expect(answer).to_contain_text("Stopped.")
    expect(newest).to_be_in_viewport()


def test_a_finger_scrolls_up_while_an_answer_grows_and_back(
    address: str, browser: Browser, replies: Any
) -> None:
    phone = browser.new_context(
        viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True
    )
    phone.set_default_timeout(LONG)
    page = open_page(phone, address)
    lines = [step for number in range(100) for step in (f"Line {number}.\n\n", 0.03)]
    more = Event()
    replies.reply(*lines, more, *lines, "The end.")
    say(page, "Tell me")
    answer = messages(page).last
    expect(answer).to_contain_text("Line 30.")
    place = swipe(page, range(150, 650, 50))
    newest = answer.get_by_text("Line ").last
    expect(newest).not_to_be_in_viewport()
    expect(answer).to_contain_text("Line 99.")
    assert page.evaluate(PLACE) == place
    before = place
    while (place := swipe(page, range(650, 50, -100))) > before:
        before = place
    more.set()
    expect(answer).to_contain_text("The end.")
    expect(answer.get_by_text("The end.")).to_be_in_viewport()
    phone.close()


def swipe(page: Page, places: range) -> float:
    """Move a finger over these pixels from the top, and return where the page comes to rest."""
    screen = page.context.new_cdp_session(page)
    for number, place in enumerate(places):
        touch = {
            "type": "touchMove" if number else "touchStart",
            "touchPoints": [{"x": 180, "y": place}],
        }
        screen.send("Input.dispatchTouchEvent", touch)
    screen.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    return float(page.evaluate(AT_REST))


def test_who_came_back_to_the_end_is_at_it_also_when_the_page_is_drawn_anew(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    page = open_page(visitor, address)
    replies.reply("".join(f"Line {number}.\n\n" for number in range(100)), Event(), "Last.")
    say(page, "Tell me")
    answer = messages(page).last
    newest = answer.get_by_text("Line 99.")
    expect(newest).to_be_in_viewport()
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -1_000)
    expect(newest).not_to_be_in_viewport()
    page.mouse.wheel(0, 2_000)
    expect(newest).to_be_in_viewport()
    page.get_by_role("button", name="Stop").click()
    expect(answer).to_contain_text("Stopped.")
    page.evaluate(DRAW_ANEW)
    expect(newest).to_be_in_viewport()


# What a browser does when the last message is taken away and comes back before the next frame.
DRAW_ANEW = """() => {
    const message = [...document.querySelectorAll('[data-testid="stChatMessage"]')].at(-1);
    message.style.display = "none";
    message.parentElement.getBoundingClientRect(); // the page is laid out while it is short
    message.style.display = "";
    document.body.append(document.createElement("span"));
}"""


@pytest.mark.parametrize("way", ["loaded", "chosen"])
def test_a_chat_that_has_just_opened_stays_at_its_end(
    address: str, visitor: BrowserContext, replies: Any, way: str
) -> None:
    page = open_page(visitor, address)
    for name in ("First", "Second"):
        replies.reply("".join(f"{name} {number}.\n\n" for number in range(100)))
        say(page, name)
        expect(messages(page).last).to_contain_text(f"{name} 99.")
        if name == "First":
            open_new_chat(page)
    if way == "loaded":
        page.reload()
        newest = messages(page).last.get_by_text("Second 99.")
    else:
        titles(page).get_by_text("First").click()
        newest = messages(page).last.get_by_text("First 99.")
    expect(newest).to_be_in_viewport()
    expect(page.locator("#first-sight")).to_have_count(0)
    page.evaluate(AT_REST)
    for _ in range(3):
        page.evaluate(DRAW_ANEW)
        page.evaluate(AT_REST)
        assert page.evaluate(BELOW) < 2
    assert page.evaluate(GROW) < 2


# Makes the newest message higher, as a picture or a font that comes late does: no element comes or
# goes. Returns how much of the page is out of sight below in the frame that shows it.
GROW = f"""async () => {{
    const newest = [...document.querySelectorAll('[data-testid="stChatMessage"]')].at(-1);
    await new Promise(requestAnimationFrame);
    newest.style.paddingBottom = "96px";
    await new Promise(requestAnimationFrame);
    return {BELOW};
}}"""


# What the browser's own search does, which no test can open.
FIND = """words => {
    const found = window.find(words, false, true);
    getSelection().anchorNode.parentElement.scrollIntoView({ block: "center" });
    return found;
}"""


@pytest.mark.parametrize("way", ["find", "select"])
def test_who_looks_for_words_or_selects_some_is_not_moved_to_the_end_by_an_answer(
    address: str, visitor: BrowserContext, replies: Any, way: str
) -> None:
    page = open_page(visitor, address)
    lines = [step for number in range(1_000) for step in (f"Line {number}.\n\n", 0.01)]
    replies.reply(*lines, Event(), "Last.")
    say(page, "Tell me")
    answer = messages(page).last
    expect(answer).to_contain_text("Line 80.")
    if way == "find":
        page.keyboard.press("Control+f")
        assert page.evaluate(FIND, "Line 20.")
    else:
        page.mouse.move(700, 400)
        page.mouse.down()
        page.mouse.move(700, 1)
        wait_until(lambda: page.evaluate(BELOW) > 1_000, "the page to move up")
        page.mouse.move(700, 400)
    place = page.evaluate(AT_REST)
    expect(answer).to_contain_text("Line 200.")
    expect(answer).to_contain_text("Line 300.")
    assert page.evaluate(PLACE) == place
    assert page.evaluate("getSelection().toString()")
    page.mouse.up()


def test_what_a_person_unfolds_or_edits_stays_where_it_is(
    address: str, visitor: BrowserContext, chatbot: Chatbot, replies: Any
) -> None:
    page = open_page(visitor, address)
    session = Session(files_of(visitor, chatbot.folder))
    thought = "".join(f"Thought {number}.\n\n" for number in range(40))
    records: list[Record] = [
        *(Prompt("t1", "A question"), Claim("t1", 1, "w", "m")),
        *(Text("t1", 1, "Words.\n\n" * 9), End("t1", 1, "complete")),
        *(Prompt("t2", "Think"), Claim("t2", 1, "w", "m"), Thought("t2", 1, thought, 3.0)),
        *(Text("t2", 1, "The answer."), End("t2", 1, "complete")),
    ]
    session.conversation(new_conversation_id()).update(lambda: records, create=True)
    page.reload()
    expect(page.locator("#first-sight")).to_have_count(0)
    heading = messages(page).last.locator("summary")
    expect(heading).to_be_in_viewport()
    assert page.evaluate(AT_REST) > 100
    place = heading.bounding_box()
    heading.click()
    expect(page.get_by_text("Thought 1.")).to_be_in_viewport()
    page.evaluate(AT_REST)
    assert heading.bounding_box() == place
    heading.click()
    expect(page.get_by_text("Thought 1.")).not_to_be_visible()
    page.mouse.move(700, 300)
    page.mouse.wheel(0, 10_000)
    page.evaluate(AT_REST)
    place = messages(page).nth(2).bounding_box()
    page.get_by_role("button", name="Edit").last.click()
    field = page.get_by_role("textbox", name="Edit your message")
    expect(field).to_be_focused()
    page.evaluate(AT_REST)
    now = messages(page).nth(2).bounding_box()
    assert now and place and now["y"] == pytest.approx(place["y"], abs=1)
    replies.reply("".join(f"Line {number}.\n\n" for number in range(100)))
    field.fill("Think again")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(messages(page).last.get_by_text("Line 99.")).to_be_in_viewport()


def test_what_a_person_reads_stays_at_the_top_when_the_window_gets_another_width(
    address: str, visitor: BrowserContext, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    session = Session(files_of(visitor, chatbot.folder))
    records: list[Record] = []
    for number in range(12):
        turn = f"t{number}"
        records += [
            *(Prompt(turn, f"Question {number}. " * 20), Claim(turn, 1, "w", "m")),
            *(Text(turn, 1, "Words and words. " * 60), End(turn, 1, "complete")),
        ]
    session.conversation(new_conversation_id()).update(lambda: records, create=True)
    page.reload()
    expect(messages(page)).to_have_count(24)
    expect(page.locator("#first-sight")).to_have_count(0)
    page.mouse.move(700, 300)
    page.mouse.wheel(0, -1_450)
    page.evaluate(AT_REST)
    prompt = messages(page).nth(16)
    before = part_above(prompt)
    assert 0 < before < 1
    for width, height in ((800, 390), (390, 800), (1200, 800)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(AT_REST)
        assert part_above(prompt) == pytest.approx(before, abs=0.05), width


def part_above(message: Locator) -> float:
    """Return how much of a message is above the end of the page's header, as a fraction."""
    box = message.bounding_box()
    assert box
    return (80 - box["y"]) / box["height"]
