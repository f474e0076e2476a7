"""What a person does with messages in a browser: answers again, edits, pages, rates, copies."""

import csv
import re
import shutil
import signal
from itertools import chain
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from chatbot.records import Claim, End, Prompt, Record, Shown, Text, to_line
from playwright.sync_api import BrowserContext, Page, WebSocket, expect

from support.bedrock import bedrock_environment
from support.browsing import (
    SCREENSHOTS,
    expect_texts,
    hostname_of,
    messages,
    needs_browser,
    open_page,
    prompt_box,
    say,
    sidebar,
    text_of,
)
from support.cluster import HAPROXY, Cluster
from support.own_python import load
from support.serving import Chatbot

pytestmark = needs_browser
uploads = load("tests/support/uploads.py")


@pytest.fixture
def bedrock(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def ask(page: Page, bedrock: Any, prompt: str, *answer: Any) -> None:
    bedrock.reply(*(answer or (f"Answer to {prompt}",)))
    say(page, prompt)


def click(page: Page, name: str, which: int = -1) -> None:
    page.get_by_role("button", name=name, exact=True).nth(which).click()


def texts(page: Page) -> list[str]:
    return [text_of(each) for each in messages(page).all()]


def choose(page: Page, menu: str, name: str | re.Pattern[str], which: int = -1) -> None:
    click(page, menu, which)
    page.get_by_role("menuitem", name=name, exact=True).click()


def test_another_model_answers_again_and_both_answers_can_be_seen(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    ask(page, bedrock, "One")
    expect(messages(page).nth(1)).to_contain_text("Answer to One")
    bedrock.reply("Another answer")
    choose(page, "Another model", "Amazon Nova Lite")
    expect(messages(page).nth(1)).to_contain_text("Another answer")
    expect(page.get_by_text("2/2")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Amazon Nova Lite · \d\d:\d\d"))).to_be_visible()
    page.screenshot(path=SCREENSHOTS / "versions.png")
    click(page, "Previous version")
    expect(messages(page).nth(1)).to_contain_text("Answer to One")
    expect(page.get_by_text("1/2")).to_be_visible()
    expect(messages(page)).to_have_count(2)
    page.reload()
    expect(page.get_by_text("1/2")).to_be_visible()
    expect_texts(messages(page), "One", "Answer to One")
    ask(page, bedrock, "Two")
    expect(messages(page).nth(3)).to_contain_text("Answer to Two")
    sent = [each["content"][0]["text"] for each in bedrock.requests[-1]["messages"]]
    assert sent == ["One", "Answer to One", "Two"]


def test_an_earlier_prompt_is_edited_and_what_followed_it_comes_back(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    for number, prompt in enumerate(("One", "    indented\n  code", "Three")):
        ask(page, bedrock, prompt)
        expect(messages(page)).to_have_count(2 * number + 2)
        expect(messages(page).last).to_contain_text("Answer to")
    prompt = messages(page).nth(2).get_by_test_id("stChatMessageContent")
    assert prompt.inner_text().rstrip() == "    indented\n  code"
    expect(page.get_by_role("button", name="Answer again", exact=True)).to_have_count(1)
    choose(page, "More", "Edit your message", which=1)
    editor = page.get_by_role("textbox", name="Edit your message")
    expect(editor).to_have_value("    indented\n  code")
    page.screenshot(path=SCREENSHOTS / "edit.png")
    editor.fill("Not this")
    click(page, "Cancel")
    expect(editor).to_have_count(0)
    choose(page, "More", "Edit your message", which=1)
    editor.fill("Two, but better")
    more = Event()
    bedrock.reply("Half ", more, "and whole.")
    click(page, "Send")
    expect(messages(page).nth(3)).to_contain_text("Half")
    expect(messages(page)).to_have_count(4)  # nothing of the old branch stands under it
    expect(page.get_by_text("Answer to Three")).to_have_count(0)
    click(page, "Previous version")
    expect(messages(page)).to_have_count(6)
    click(page, "Next version")
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(3)).to_contain_text("Half")
    expect(page.get_by_text("Three")).to_have_count(0)
    more.set()
    expect(messages(page).nth(3)).to_contain_text("and whole.")
    other = open_page(visitor, page.url)
    expect(messages(other).nth(2)).to_contain_text("Two, but better")
    click(other, "Previous version")
    expect(messages(other)).to_have_count(6)
    page.reload()
    expect(messages(page)).to_have_count(6)
    expect_texts(messages(page).nth(4), "Three")
    expect_texts(messages(page).nth(5), "Answer to Three")
    other.close()


def test_a_rating_with_its_comment_stays_and_is_exported(
    address: str, visitor: BrowserContext, bedrock: Any, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    ask(page, bedrock, "Is it good?")
    page.get_by_role("radio", name="Thumbs down").click()
    comment = page.get_by_role("textbox", name="Comment")
    comment.fill('=2+2, "so good"')
    comment.press("Enter")
    page.wait_for_load_state("networkidle")
    page.reload()
    expect(comment).to_have_value('=2+2, "so good"')
    rows = [each for each in read_feedback(chatbot) if each["Conversation"] in page.url]
    assert [(each["Rating"], each["Comment"]) for each in rows] == [("down", '\'=2+2, "so good"')]


def read_feedback(chatbot: Chatbot) -> list[dict[str, str]]:
    python = str(chatbot.project.path / ".venv" / "bin" / "python")
    command = [python, "-m", "chatbot", "feedback"]
    environment = {"CHATBOT_SESSIONS_DIR": str(chatbot.folder)}
    output = chatbot.project.run(*command, environment=environment).stdout
    return list(csv.DictReader(output.splitlines()))


@pytest.mark.parametrize("is_allowed", [True, False])
def test_an_answer_is_copied_as_the_model_wrote_it(
    address: str, visitor: BrowserContext, bedrock: Any, is_allowed: bool
) -> None:
    if is_allowed:
        visitor.grant_permissions(["clipboard-read", "clipboard-write"])
    else:
        visitor.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    page = open_page(visitor, address)
    answer = '**Bold** `code` <b> --> 5% & "quotes" $5\n\n```py\nx = 1\n```\n\n- öäü 👋'
    ask(page, bedrock, "Copy me", answer)
    click(page, "Copy")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    prompt_box(page).focus()
    page.keyboard.press("Control+v")
    expect(prompt_box(page)).to_have_value(answer)


# What the first version wrote, line by line.
OLD = b"""\
{"v":1,"at":"2026-03-02T09:00:00+00:00","type":"prompt","turn":"a","text":"Old a","model":"m"}
{"v":1,"at":"2026-03-02T09:00:01+00:00","type":"claim","turn":"a","attempt":1,"writer":"w/1","model":"m"}
{"v":1,"at":"2026-03-02T09:00:02+00:00","type":"text","turn":"a","attempt":1,"text":"Old "}
{"v":1,"at":"2026-03-02T09:00:03+00:00","type":"beat","turn":"a","attempt":1}
{"v":1,"at":"2026-03-02T09:00:04+00:00","type":"text","turn":"a","attempt":1,"text":"answer a"}
{"v":1,"at":"2026-03-02T09:00:05+00:00","type":"end","turn":"a","attempt":1,"state":"complete","reason":"end_turn"}
{"v":1,"at":"2026-03-02T09:01:00+00:00","type":"prompt","turn":"b","text":"Old b","model":"m"}
{"v":1,"at":"2026-03-02T09:01:01+00:00","type":"claim","turn":"b","attempt":1,"writer":"w/1","model":"m"}
{"v":1,"at":"2026-03-02T09:01:02+00:00","type":"text","turn":"b","attempt":1,"text":"Old answer b"}
{"v":1,"at":"2026-03-02T09:01:03+00:00","type":"end","turn":"b","attempt":1,"state":"failed","notice":"Old notice"}
"""  # noqa: E501


def test_a_file_of_the_version_before_opens_and_goes_on(
    address: str, visitor: BrowserContext, bedrock: Any, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    file = keep(page, chatbot, OLD)
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(3)).to_contain_text("Old notice")
    bedrock.reply("New answer")
    choose(page, "More", "Answer again", which=0)
    expect(messages(page).nth(1)).to_contain_text("New answer")
    expect_texts(messages(page), "Old a", "New answer")
    click(page, "Previous version")
    expect(messages(page)).to_have_count(4)
    expect_texts(messages(page).nth(2), "Old b")
    assert file.read_bytes().startswith(OLD)
    assert len(file.read_bytes()) > len(OLD)


def keep(page: Page, chatbot: Chatbot, lines: bytes) -> Path:
    """Have the browser's only chat consist of these lines, and show it; return its file."""
    say(page, "New")
    expect(messages(page).nth(1)).not_to_be_empty()
    expect(page.get_by_role("button", name="Answer again", exact=True)).to_be_visible()
    chat = parse_qs(urlsplit(page.url).query)["chat"][0]
    [file] = chatbot.folder.rglob(f"{chat}.jsonl")
    file.write_bytes(lines)
    page.reload()
    return file


def turn(prompt: Prompt, answer: str) -> list[Record]:
    """Return the records of a turn that has ended."""
    name = prompt.turn
    return [prompt, Claim(name, 1, "w", "m"), Text(name, 1, answer), End(name, 1, "complete")]


def test_of_two_tabs_that_page_at_once_the_last_one_counts(
    address: str, visitor: BrowserContext, chatbot: Chatbot
) -> None:
    visitor.route("**/chats/news*", lambda route: route.abort())  # they hear nothing of each other
    page = open_page(visitor, address)
    versions = [
        turn(Prompt(f"t{n}", "One", after="-", again="t1"), f"Answer {n}") for n in range(2, 5)
    ]
    lines = [*turn(Prompt("t1", "One"), "Answer 1"), *chain.from_iterable(versions), Shown("t3")]
    keep(page, chatbot, b"".join(map(to_line, lines)))
    expect(page.get_by_text("3/4")).to_be_visible()
    other = open_page(visitor, page.url)
    expect(other.get_by_text("3/4")).to_be_visible()
    click(page, "Next version")
    expect(page.get_by_text("4/4")).to_be_visible()
    click(other, "Previous version")  # of what it still shows
    expect(other.get_by_text("2/4")).to_be_visible()
    for each in (page, other):
        each.reload()
        expect(each.get_by_text("2/4")).to_be_visible()
        expect_texts(messages(each), "One", "Answer 2")
    click(page, "Next version")
    click(other, "Previous version")  # whichever is the last one now
    expect(page.get_by_text("2/4")).to_have_count(0)
    expect(other.get_by_text("2/4")).to_have_count(0)
    for each in (page, other):
        each.reload()
        expect(messages(each)).to_have_count(2)
        expect(messages(each).nth(1)).to_contain_text("Answer")
    assert texts(page) == texts(other)
    other.close()


def test_what_a_person_reads_stays_in_place_while_they_page_an_early_prompt(
    address: str, visitor: BrowserContext, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    long = "Many words. " * 100
    lines = chain.from_iterable(turn(Prompt(f"t{n}", f"Prompt {n}"), long) for n in range(8))
    edited = turn(Prompt("e", "Edited", after="t2"), f"Another answer. {long * 5}")
    keep(page, chatbot, b"".join(map(to_line, [*lines, *edited, Shown("t3")])))
    prompt = messages(page).nth(6)
    expect(messages(page)).to_have_count(16)
    top = page.evaluate(AT_REST, 6)  # Streamlit goes to the end of what it has just drawn
    page.mouse.move(700, 400)
    page.mouse.wheel(0, top - 100)  # the header would cover it at the top
    expect(prompt).to_contain_text("Prompt 3")
    place = page.evaluate(AT_REST, 6)
    for name, text, count in (("Next", "Edited", 8), ("Previous", "Prompt 3", 16)) * 2:
        click(page, f"{name} version", 0)
        expect(prompt).to_contain_text(text)
        expect(messages(page)).to_have_count(count)
        assert page.evaluate(AT_REST, 6) == pytest.approx(place, abs=3)


# Where the message of that number stands, once it has stood still for 30 frames.
AT_REST = """number => new Promise(done => {
    let [place, frames] = [NaN, 0];
    const look = () => {
        const message = document.querySelectorAll('[data-testid="stChatMessage"]')[number];
        const now = message?.getBoundingClientRect().top;
        [place, frames] = [now, now === place ? frames + 1 : 0];
        frames < 30 ? requestAnimationFrame(look) : done(place);
    };
    look();
})"""


def test_a_comment_that_is_being_typed_survives_a_run_of_the_page(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = visitor.new_page()
    with page.expect_websocket() as opening:
        page.goto(address)
    ask(page, bedrock, "Good?")
    page.get_by_role("radio", name="Thumbs up").click()
    comment = page.get_by_role("textbox", name="Comment")
    comment.press_sequentially("Half")
    run(page, opening.value, "Good?")
    comment.press_sequentially(" and whole")
    expect(comment).to_have_value("Half and whole")
    comment.press("Enter")
    run(page, opening.value, "Good?")
    page.reload()
    expect(comment).to_have_value("Half and whole")


HAS_RUN = b"J\x00"  # Streamlit's message that the page's script runs no longer


def run(page: Page, socket: WebSocket, title: str) -> None:
    """Have the page run, by a click on the chat that is open, without a change of the focus.

    A short run leaves no trace in the page, so this waits for what the server says of it.
    """
    button = page.locator('[class*="st-key-open-"]').get_by_role("button", name=title)
    expect(button).to_be_visible()
    with socket.expect_event("framereceived", lambda message: message == HAS_RUN):
        page.evaluate(CLICK, title)


# The button is looked up at the click: one that Streamlit has replaced would do nothing.
CLICK = """title => {
  const buttons = [...document.querySelectorAll('[class*="st-key-open-"] button')];
  buttons.find(each => each.textContent === title).click();
}"""


def test_an_edited_prompt_keeps_its_files_and_its_assistant(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, f"{address}/?assistant=writing")
    picker = '[data-testid="stChatInputFileUploadButton"] input[type=file]'
    mime_type = "application/pdf"
    page.locator(picker).set_input_files(
        {"name": "Plan.pdf", "mimeType": mime_type, "buffer": uploads.PDF}
    )
    expect(page.get_by_test_id("stFileChip")).to_contain_text("Plan.pdf")
    ask(page, bedrock, "Shorten this")
    expect(messages(page).nth(1)).to_contain_text("Answer to Shorten this")
    bedrock.reply("A shorter one")
    click(page, "Edit")
    page.get_by_role("textbox", name="Edit your message").fill("Shorten this well")
    click(page, "Send")
    expect(messages(page).nth(1)).to_contain_text("A shorter one")
    bedrock.reply("The shortest one")
    click(page, "Answer again")
    expect(messages(page).nth(1)).to_contain_text("The shortest one")
    for _ in range(2):
        expect(messages(page).nth(0)).to_contain_text("Shorten this well")
        expect(messages(page).nth(0).get_by_role("link", name="Plan.pdf")).to_be_visible()
        expect(page.get_by_text("Writing").first).to_be_visible()
        page.reload()
    for each in bedrock.requests:
        assert "You edit what people paste." in each["system"][0]["text"]
        assert any("document" in block for block in each["messages"][0]["content"])


def test_an_answer_in_progress_that_is_not_shown_has_no_stop(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    stop = page.get_by_role("button", name="Stop", exact=True)
    ask(page, bedrock, "One")
    expect(messages(page).nth(1)).to_contain_text("Answer to One")
    bedrock.reply("Another ", Event())
    click(page, "Edit")
    page.get_by_role("textbox", name="Edit your message").fill("Two")
    click(page, "Send")
    expect(messages(page).nth(1)).to_contain_text("Another")
    expect(stop).to_be_visible()
    click(page, "Previous version")
    expect(messages(page).nth(1)).to_contain_text("Answer to One")
    expect(stop).to_have_count(0)
    expect(page.get_by_role("button", name="Answer again", exact=True)).to_be_visible()
    click(page, "Next version")
    expect(messages(page).nth(1)).to_contain_text("Another")
    stop.click()
    expect(messages(page).nth(1)).to_contain_text("Stopped.")
    expect(stop).to_have_count(0)
    assert len(bedrock.requests) == 2


@pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_another_answer_is_completed_by_the_other_task_and_the_old_one_stays(
    chatbot: Chatbot, tmp_path: Path, visitor: BrowserContext, bedrock: Any
) -> None:
    cluster = Cluster(chatbot.project, tmp_path, bedrock_environment(bedrock.url))
    try:
        cluster.start_tasks()
        with cluster.balanced(sticky=False):
            page = open_page(visitor, cluster.address)
            ask(page, bedrock, "One", "The old one.")
            expect(messages(page).nth(1)).to_contain_text("The old one.")
            bedrock.reply("A new ", Event())
            bedrock.reply("one.")
            click(page, "Answer again")
            expect(messages(page).nth(1)).to_contain_text("A new")
            other = cluster.other_than(page)
            cluster.signal_task(hostname_of(page), signal.SIGKILL)
            expect(messages(page).nth(1)).to_contain_text("A new one.")
            expect(sidebar(page)).to_contain_text(other)
            expect(page.get_by_text("2/2")).to_be_visible()
            click(page, "Previous version")
            expect(messages(page).nth(1)).to_contain_text("The old one.")
            page.reload()
            expect(page.get_by_text("1/2")).to_be_visible()
            expect_texts(messages(page), "One", "The old one.")
    finally:
        cluster.stop()
