"""Everybody can use the page: what axe finds, and what a screen reader says."""

from threading import Event
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from playwright.sync_api import BrowserContext, Page, expect

from support.bedrock import stand_in
from support.browsing import (
    SCREENSHOTS,
    choose_model,
    messages,
    needs_browser,
    open_about,
    open_page,
    prompt_box,
    say,
    sidebar,
    titles,
)
from support.projects import Project
from support.serving import Chatbot, free_port, serve

pytestmark = needs_browser

# Rules of axe that Streamlit's own markup breaks, where it can't be cured from outside; and why.
INCURABLE: dict[str, str] = {}

ANSWER = """# Travel

Half of `it`, with a [link](https://example.com).

#### Limits

> As agreed.
>
> > And they said:
> >
> > > Of course.

- one
- two

| Trip | Limit |
| - | - |
| Airport | 8,000 |

```python
@cache  # as long as it lasts
def limit(trip: str, days: int = 3) -> float:
    return {"Airport": 8_000.5, "Train": None}[trip] * days or True
```

```xml
<?xml version="1.0"?>
<!DOCTYPE trips>
<trip><![CDATA[Airport]]></trip>
```

"""
NOTES: Any = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Airport: 8,000"}
PICKER = '[data-testid="stChatInputFileUploadButton"] input[type=file]'
HEBREW = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"


@pytest.fixture
def replies(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


# Streamlit draws itself anew for it, in its own time.
HAS_SCHEME = """scheme => {
  const app = document.querySelector("[data-testid=stApp]");
  return !app || getComputedStyle(app).colorScheme === scheme;
}"""


# Axe keeps the page busy: before each look, this gives it the time to draw itself.
IDLE = """() => new Promise(done => requestIdleCallback(() => requestAnimationFrame(
    () => requestIdleCallback(() => done()))))"""


def violations(page: Page) -> list[tuple[str, str]]:
    """Return the rules that are broken, each with the element, once the page has nothing to do."""
    page.evaluate(IDLE)
    return [
        (each["id"], node["html"][:200])
        for each in Axe().run(page).response["violations"]
        if each["impact"] in ("serious", "critical") and each["id"] not in INCURABLE
        for node in each["nodes"]
    ]


def check(page: Page, state: str) -> None:
    """Let axe look at the page, in light and in dark."""
    found: list[tuple[str, str, str]] = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function(HAS_SCHEME, arg=scheme)
        before, now = None, violations(page)
        while now and now != before:  # colors come one after the other
            before, now = now, violations(page)
        found += [(scheme, *each) for each in now]
    assert not found, f"{state}: {found}"


def test_axe_finds_nothing_serious_while_people_chat(
    address: str, visitor: BrowserContext, replies: Any, chatbot: Chatbot
) -> None:
    page = open_page(visitor, address)
    expect(page.get_by_text("How can I help?")).to_be_visible()
    check(page, "empty")
    page.locator(PICKER).set_input_files([NOTES])
    expect(page.get_by_test_id("stFileChip")).to_have_count(1)
    expect(page.get_by_test_id("stFileChipIconSpinner")).to_have_count(0)
    check(page, "file in the input")
    more = Event()
    replies.reply(ANSWER, more, "The end.")
    say(page, "What may I spend?")
    expect(messages(page).last.locator(".token").first).to_be_visible()
    expect(messages(page).first).to_contain_text("notes.txt")
    check(page, "answer in progress")
    more.set()
    expect(messages(page).last).to_contain_text("The end.")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible()
    check(page, "conversation")
    page.get_by_role("button", name="Edit").click()
    expect(page.get_by_role("textbox", name="Edit your message")).to_be_visible()
    check(page, "message that is edited")
    page.get_by_role("button", name="Cancel").click()
    replies.reply(stand_in.Refuse(429, "ThrottlingException"))
    say(page, "And now?")
    expect(messages(page).last).to_contain_text("too many requests")
    messages(page).last.get_by_text("Details").click()
    check(page, "failed answer")
    folder = chatbot.folder
    folder.rename(folder.with_name("elsewhere"))
    folder.touch()
    say(page, "Where is the disk?")
    expect(page.get_by_role("button", name="Discard")).to_be_visible()
    check(page, "unsent message")
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_text("Where is the disk?")).to_have_count(0)
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    expect(messages(page).last).to_contain_text("too many requests")
    check(page, "phone")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(page.get_by_role("button", name="New chat")).to_be_in_viewport()
    check(page, "list on a phone")
    page.route("**/static/js/**", lambda route: route.abort())
    page.reload()
    expect(page.locator("#first-sight")).to_contain_text("too many requests")
    check(page, "first sight")


def test_axe_finds_nothing_serious_in_what_opens(address: str, visitor: BrowserContext) -> None:
    page = open_page(visitor, address)
    say(page, "Which trips?")
    expect(page.get_by_role("button", name="Answer again")).to_be_visible()
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_visible()
    check(page, "shortcuts")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator(".st-key-header").get_by_test_id("stSelectbox").click()
    expect(page.get_by_role("option").first).to_be_visible()
    check(page, "choice of the model")
    page.keyboard.press("Escape")
    expect(page.get_by_role("option")).to_have_count(0)
    menu = sidebar(page).get_by_role("button", name="Actions for “Which trips?”")
    for action, name in (("", "menu"), ("Rename", "new name"), ("Delete", "deletion")):
        menu.click()
        expect(page.get_by_role("menuitem").first).to_be_visible()
        if action:
            page.get_by_role("menuitem", name=action).click()
            expect(page.get_by_role("dialog")).to_be_visible()
        check(page, f"{name} of a chat")
        page.keyboard.press("Escape")
        expect(page.get_by_role("menuitem")).to_have_count(0)
        expect(page.get_by_role("dialog")).to_have_count(0)
    open_about(page)
    expect(page.get_by_text("Use my instructions")).to_be_visible()
    check(page, "settings")
    sidebar(page).get_by_label("Search chats").fill("trips")
    expect(sidebar(page).get_by_text("1 chat found")).to_be_visible()
    check(page, "search")


def test_axe_finds_nothing_serious_where_people_sign_in(
    project: Project, visitor: BrowserContext
) -> None:
    port = free_port()
    environment = {
        "CHATBOT_ADDRESS": f"http://localhost:{port}",
        "CHATBOT_SIGN_IN_METADATA_URL": "http://localhost:1/.well-known/openid-configuration",
        "CHATBOT_SIGN_IN_CLIENT_ID": "chatbot",
        "CHATBOT_SIGN_IN_CLIENT_SECRET": "secret",
        "STREAMLIT_SERVER_COOKIE_SECRET": "c" * 32,
    }
    with serve(project, port, **environment) as server:
        page = visitor.new_page()
        page.goto(server.address)
        expect(page.get_by_text("Please sign in.")).to_be_visible()
        check(page, "signed out")
        page.goto(f"{server.address}/oauth2callback?error=access_denied&state=x")
        expect(page.get_by_text("You were not signed in.")).to_be_visible()
        check(page, "not signed in")


# Keeps each sentence that a screen reader hears.
LISTEN = """addEventListener("DOMContentLoaded", () => {
  window.heard = [];
  new MutationObserver((changes) => changes.forEach(({ target }) => {
    if (target.role === "status" && target.id === "told") heard.push(target.textContent);
  })).observe(document, { subtree: true, childList: true, characterData: true });
});"""
WRITTEN, COMPLETE, STOPPED, FAILED = (
    "The answer is being written.",
    "The answer is complete.",
    "The answer was stopped.",
    "The answer failed.",
)


def expect_heard(page: Page, *sentences: str) -> None:
    """Wait for the last sentence, and expect all of them, each once."""
    page.wait_for_function("count => heard.length >= count", arg=len(sentences))
    assert page.evaluate("heard") == list(sentences)


def test_a_screen_reader_says_once_how_it_stands_with_an_answer(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    visitor.add_init_script(LISTEN)
    page = open_page(visitor, address)
    more = Event()
    replies.reply("Half ", more, "and half.")
    say(page, "Tell me")
    expect_heard(page, WRITTEN)
    choose_model(page, "Claude Haiku 5.5")  # a run of the page in the middle
    expect(messages(page).last).to_contain_text("Half")
    more.set()
    expect_heard(page, WRITTEN, COMPLETE)
    more = Event()
    replies.reply("Half ", more)
    say(page, "Again")
    expect(messages(page)).to_have_count(4)
    expect(messages(page).last).to_contain_text("Half")
    page.keyboard.press("Escape")
    expect(messages(page).last).to_contain_text("Stopped.")
    expect_heard(page, WRITTEN, COMPLETE, WRITTEN, STOPPED)
    more.set()
    fails = Event()
    replies.reply(fails, stand_in.Fail("accessDeniedException"))
    say(page, "Once more")
    expect_heard(page, WRITTEN, COMPLETE, WRITTEN, STOPPED, WRITTEN)
    fails.set()
    expect_heard(page, WRITTEN, COMPLETE, WRITTEN, STOPPED, WRITTEN, FAILED)
    page.reload()
    expect(messages(page).last).to_contain_text("may not use this model")
    people = page.get_by_role("article", name="You")
    expect(people).to_have_count(3)
    expect(people.first).to_contain_text("Tell me")
    expect(page.get_by_role("article", name="Team Chatbot")).to_have_count(3)
    again = page.get_by_role("button", name="Try again")
    expect(again).to_have_attribute("aria-description", "Once more")
    edit = page.get_by_role("button", name="Edit", exact=True)
    expect(edit).to_have_attribute("aria-description", "Once more")
    menu = page.get_by_role("button", name="More", exact=True)
    expect(menu).to_have_count(2)
    expect(menu.first).to_have_attribute("aria-description", "Tell me")
    copy = page.get_by_role("button", name="Copy", exact=True)
    expect(copy.first).to_have_attribute("aria-description", "Tell me")
    assert page.evaluate("heard") == []


def test_a_screen_reader_says_it_also_of_an_answer_that_another_task_ends(
    project: Project, visitor: BrowserContext
) -> None:
    visitor.add_init_script(LISTEN)
    port = free_port()
    with serve(project, port) as server:
        page = open_page(visitor, server.address)
        say(page, "Survive this")
        expect(messages(page).nth(1)).to_contain_text("no model was called")
        server.process.kill()
        server.process.wait()
    with serve(project, port):
        expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
        expect_heard(page, WRITTEN, COMPLETE)


def test_headings_of_an_answer_skip_no_level(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    page = open_page(visitor, address)
    replies.reply("### One\n\n# Two\n\n#### Three\n\n## Four\n\n##### Five\n\n# Six\n\nThe end.")
    say(page, "Tell me")
    expect(messages(page).last).to_contain_text("The end.")
    for name, level in zip(
        ("One", "Two", "Three", "Four", "Five", "Six"), (2, 2, 3, 3, 4, 2), strict=True
    ):
        heading = messages(page).last.get_by_role("heading", name=name)
        expect(heading).to_have_attribute("aria-level", str(level))


# Whether the first letter of a title that is cut is shown.
BEGINS_IN_SIGHT = """button => {
  const letter = document.createRange();
  const text = button.querySelector("p").firstChild;
  letter.setStart(text, 0);
  letter.setEnd(text, 1);
  const [shown, all] = [letter, button].map((each) => each.getBoundingClientRect());
  return shown.left >= all.left && shown.right <= all.right;
}"""


def test_text_from_right_to_left_begins_at_the_right_and_code_at_the_left(
    address: str, visitor: BrowserContext, replies: Any
) -> None:
    page = open_page(visitor, address)
    replies.reply(
        f"{HEBREW}\n\n- {HEBREW}\n\n> {HEBREW}\n\n| {HEBREW} | b |\n| - | - |\n| c | d |\n\n"
        "```\nx = 1\n```\n\nEnglish\n\n- point\n\n> quoted\n"
    )
    say(page, HEBREW * 9)
    answer = messages(page).last
    expect(answer).to_contain_text("quoted")
    expect(titles(page)).to_have_count(1)

    def direction(place: Any) -> str:
        return str(place.evaluate("element => getComputedStyle(element).direction"))

    for page_is in ("ltr", "rtl"):
        page.evaluate("direction => { document.documentElement.dir = direction; }", page_is)
        for kind in ("list", "blockquote", "table"):
            expect(answer.get_by_role(kind).first).to_have_attribute("dir", "auto")
            assert direction(answer.get_by_role(kind).first) == "rtl"
        assert direction(answer.get_by_role("list").last) == "ltr"
        assert direction(answer.get_by_role("blockquote").last) == "ltr"
        assert direction(answer.locator("pre")) == "ltr"
        mark = answer.get_by_role("blockquote").first
        assert mark.evaluate("element => getComputedStyle(element).borderLeftWidth") == "0px"
        assert titles(page).evaluate(BEGINS_IN_SIGHT)
        prompt_box(page).fill(HEBREW)
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"hebrew-{page_is}.png")
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_test_id("stExpandSidebarButton").click()
    new = page.get_by_role("button", name="New chat")
    expect(new).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(new).to_have_count(0)
