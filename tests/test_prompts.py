"""Assistants, suggestions, instructions and thoughts, as a person meets them in a browser."""

import re
import shutil
import signal
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, WebSocket, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    SCREENSHOTS,
    choose_model,
    messages,
    needs_browser,
    open_about,
    open_page,
    say,
)
from support.cluster import HAPROXY, SERVED_BY, Cluster
from support.rendering import Bake
from support.serving import Chatbot

pytestmark = needs_browser
SECONDS = re.compile(r"\d+ seconds?")
SHOWN_BEHIND = "element => getComputedStyle(element, '::after').content"
TAKEN_OVER = 10_000  # milliseconds, the README's promise after a SIGKILL
Reason = stand_in.Reason


@pytest.fixture
def bedrock(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def told(bedrock: Any) -> str:
    """Return what the model was told before the conversation, the last time."""
    return str(bedrock.requests[-1]["system"][0]["text"])


def assistant(page: Page, name: str) -> Any:
    return page.get_by_test_id("stButtonGroup").get_by_role("radio", name=name)


def model(page: Page) -> Any:
    return page.get_by_role("combobox", name="Model")


def own_instructions(page: Page) -> Any:
    return open_about(page).get_by_role("textbox", name="Your instructions")


def picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def test_a_chat_begins_with_an_assistant_and_a_suggestion_and_keeps_its_model(
    address: str, bedrock: Any, visitor: BrowserContext
) -> None:
    page = open_page(visitor, address)
    expect(assistant(page, "General")).to_be_checked()
    assistant(page, "Writing").click()
    expect(page.get_by_text("Makes drafts clear")).to_be_visible()
    page.reload()
    expect(assistant(page, "Writing")).to_be_checked()
    choose_model(page, "Claude Haiku 5.5")
    picture(page, "assistants")
    page.get_by_role("button", name="Write a job advertisement").click()
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    assert "You edit what people paste." in told(bedrock)
    assert bedrock.models[-1].endswith("claude-haiku-5-5")
    expect(page.get_by_test_id("stButtonGroup")).to_have_count(0)
    first = page.url
    assert "assistant" not in first

    page.get_by_role("button", name="New chat").click()
    expect(assistant(page, "General")).to_be_checked()
    expect(model(page)).to_have_value("Claude Haiku 5.5")
    choose_model(page, "Amazon Nova Pro")
    say(page, "Another chat")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    assert "You edit what people paste." not in told(bedrock)

    page.goto(first)
    expect(page.get_by_role("main").get_by_test_id("stCaptionContainer").first).to_contain_text(
        "Writing"
    )
    expect(model(page)).to_have_value("Claude Haiku 5.5")
    say(page, "Go on")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    assert "You edit what people paste." in told(bedrock)
    assert bedrock.models[-1].endswith("claude-haiku-5-5")


def test_own_instructions_reach_the_model_and_can_be_switched_off(
    address: str, bedrock: Any, visitor: BrowserContext
) -> None:
    page = open_page(visitor, address)
    own_instructions(page).fill("Always rhyme.")
    say(page, "Hello")  # at once, without leaving the field in another way
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    assert told(bedrock).endswith("Always rhyme.")
    page.reload()
    expect(own_instructions(page)).to_have_value("Always rhyme.")
    page.get_by_text("Use my instructions").click()
    say(page, "Hello again")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    assert "Always rhyme." not in told(bedrock)
    own_instructions(page).fill("x" * 4_001)
    own_instructions(page).blur()
    expect(page.get_by_text("Not saved")).to_be_visible()
    expect(own_instructions(page)).to_have_value("x" * 4_001)


def test_thoughts_are_folded_while_the_model_thinks_and_afterwards(
    address: str, bedrock: Any, visitor: BrowserContext
) -> None:
    begin, think, answer, end = Event(), Event(), Event(), Event()
    thoughts = (Reason("What do **they** mean?"), think, Reason(" I see."))
    bedrock.reply(begin, *thoughts, answer, "It is", end, " so.")
    page = open_page(visitor, address)
    say(page, "Is it so?")
    spinner = messages(page).nth(1).get_by_test_id("stSpinner")
    expect(spinner).to_contain_text("Thinking")
    expect(spinner.locator("p")).to_have_attribute("data-time", SECONDS)
    assert SECONDS.search(spinner.locator("p").evaluate(SHOWN_BEHIND))
    begin.set()
    folded = messages(page).nth(1).get_by_test_id("stExpander")
    expect(folded).to_contain_text("Thoughts so far")
    thought = folded.get_by_text("What do they mean?")
    expect(thought).to_be_hidden()
    folded.locator("summary").click()
    expect(thought).to_be_visible()
    expect(spinner).to_be_visible()
    think.set()
    expect(folded.get_by_text("I see.")).to_be_visible()  # it stays unfolded while it grows
    picture(page, "thinking")
    answer.set()
    expect(messages(page).nth(1)).to_contain_text("It is")
    expect(folded).to_contain_text("Thought for")
    expect(thought).to_be_hidden()
    expect(spinner).to_have_count(0)
    end.set()
    expect(messages(page).nth(1)).to_contain_text("It is so.")
    line = folded.locator("summary p").inner_text()
    page.reload()
    expect(folded.locator("summary p")).to_have_text(line)
    expect(thought).to_be_hidden()
    folded.locator("summary").click()
    expect(thought).to_be_visible()
    picture(page, "thoughts")


def test_what_is_finished_of_the_thoughts_is_not_sent_again(
    address: str, bedrock: Any, visitor: BrowserContext
) -> None:
    more = Event()
    words = [f"word{number:04} " for number in range(1_000)]
    paragraphs = ["".join(words[start : start + 50]) for start in range(0, len(words), 50)]
    first, second = "\n\n".join(paragraphs[:10]), "\n\n" + "\n\n".join(paragraphs[10:])
    bedrock.reply(Reason(first), more, Reason(second), "Done.")
    page = visitor.new_page()
    frames: list[Any] = []

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: frames.append(frame))

    page.on("websocket", listen)
    page.goto(address)
    say(page, "Think")
    expect(messages(page).nth(1).get_by_test_id("stExpander")).to_contain_text("Thoughts so far")
    expect(messages(page).nth(1).get_by_text("word0499")).to_have_count(1)
    sent = b"".join(frames)
    assert sent.count(b"word0000") == 1
    more.set()
    expect(messages(page).nth(1)).to_contain_text("Done.")
    sent = b"".join(frames)
    assert sent.count(b"word0000") <= 2  # and once more below the line that tells the time


@pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed")
@pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")
def test_thoughts_and_the_assistant_outlive_the_task(
    bake_to_keep: Bake,
    tmp_path_factory: pytest.TempPathFactory,
    browser: Browser,
    visitor: BrowserContext,
) -> None:
    project, folder = bake_to_keep(models="both"), tmp_path_factory.mktemp("cluster")
    with stand_in.bedrock_stand_in() as bedrock:
        cluster = Cluster(project, folder, bedrock_environment(bedrock.url))
        try:
            cluster.start_tasks()
            with cluster.balanced(sticky=True):
                _take_over(cluster, bedrock, browser, visitor)
        finally:
            cluster.stop()


def _take_over(cluster: Cluster, bedrock: Any, browser: Browser, visitor: BrowserContext) -> None:
    never, more = Event(), Event()
    bedrock.reply(Reason("Thinking at length."), never)
    bedrock.reply(more, Reason("Thinking anew."), "It is so.")
    page = open_page(visitor, cluster.address)
    own_instructions(page).fill("Always rhyme.")
    own_instructions(page).blur()
    assistant(page, "Code").click()
    expect(page.get_by_text("Programs, SQL")).to_be_visible()
    say(page, "Is it so?")
    expect(messages(page).nth(1).get_by_text("Thinking at length.")).to_have_count(1)

    state = visitor.storage_state()
    state["cookies"] = [each for each in state["cookies"] if each["name"] != "TASK"]
    context = browser.new_context(storage_state=state)
    wanted = cluster.other_than(page)
    context.add_cookies([{"name": SERVED_BY, "value": wanted, "url": cluster.address}])
    follower = open_page(context, page.url)
    spinner = messages(follower).nth(1).get_by_test_id("stSpinner")
    expect(spinner.locator("p")).to_have_attribute("data-time", SECONDS)
    expect(messages(follower).nth(1).get_by_text("Thinking at length.")).to_have_count(1)

    [writer] = {"task-one", "task-two"} - {wanted}
    cluster.signal_task(writer, signal.SIGKILL)
    more.set()
    never.set()
    expect(messages(follower).nth(1)).to_contain_text("It is so.", timeout=2 * TAKEN_OVER)
    system = told(bedrock)
    assert "who write programs" in system and system.endswith("Always rhyme.")
    folded = messages(follower).nth(1).get_by_test_id("stExpander")
    expect(folded).to_contain_text("Thought for")
    folded.locator("summary").click()
    for words in ("Thinking at length.", "Thinking anew."):
        expect(folded.get_by_text(words)).to_be_visible()
    context.close()
