"""What a person does with messages in a browser: answers again, edits, pages, rates, copies."""

import csv
import os
import re
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from chatbot.records import Claim, End, Prompt, Record, Text, to_line
from playwright.sync_api import BrowserContext, Page, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    SCREENSHOTS,
    messages,
    needs_browser,
    open_page,
    prompt_box,
    say,
    text_of,
)
from support.projects import Project
from support.rendering import Bake
from support.serving import free_port, serve

pytestmark = needs_browser


@pytest.fixture(scope="module")
def kept(bake_to_keep: Bake) -> Project:
    """A project that all tests of this file use, each with a browser of its own."""
    return bake_to_keep(models="both")


@pytest.fixture(scope="module")
def bedrock_of_all() -> Iterator[Any]:
    with stand_in.bedrock_stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def address(kept: Project, bedrock_of_all: Any) -> Iterator[str]:
    with serve(kept, free_port(), **bedrock_environment(bedrock_of_all.url)) as server:
        yield server.address


@pytest.fixture
def bedrock(bedrock_of_all: Any) -> Any:
    bedrock_of_all.requests.clear()
    return bedrock_of_all


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
    assert texts(page) == ["One", "Answer to One"]
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
    assert texts(page)[4:] == ["Three", "Answer to Three"]
    other.close()


def test_a_rating_with_its_comment_stays_and_is_exported(
    address: str, visitor: BrowserContext, bedrock: Any, kept: Project
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
    rows = read_feedback(kept)
    assert [(each["Rating"], each["Comment"]) for each in rows] == [("down", '\'=2+2, "so good"')]
    assert rows[0]["Conversation"] in page.url


def read_feedback(project: Project) -> list[dict[str, str]]:
    python = str(project.path / ".venv" / "bin" / "python")
    output = project.run(python, "-m", "chatbot", "feedback").stdout
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


def test_a_file_of_the_version_before_opens_and_goes_on(
    address: str, visitor: BrowserContext, bedrock: Any, kept: Project
) -> None:
    page = open_page(visitor, address)
    ask(page, bedrock, "New")
    expect(messages(page).nth(1)).to_contain_text("Answer to New")
    chat = page.url.rpartition("=")[2]
    [file] = (kept.path / "session_data").rglob(f"{chat}.jsonl")
    lines: list[Record] = []
    for name in ("a", "b"):
        lines += [Prompt(name, f"Old {name}", "m"), Claim(name, 1, "w", "m")]
        lines += [Text(name, 1, f"Old answer {name}"), End(name, 1, "complete", "end_turn")]
    old = b"".join(map(to_line, lines))
    assert b'"v":2' not in old and b"after" not in old
    file.write_bytes(old)
    page.reload()
    expect(messages(page)).to_have_count(4)
    bedrock.reply("New answer")
    choose(page, "More", "Answer again", which=0)
    expect(messages(page).nth(1)).to_contain_text("New answer")
    assert texts(page) == ["Old a", "New answer"]
    click(page, "Previous version")
    expect(messages(page)).to_have_count(4)
    assert texts(page)[2:] == ["Old b", "Old answer b"]
    assert file.read_bytes().startswith(old)
    assert os.path.getsize(file) > len(old)  # noqa: PTH202
