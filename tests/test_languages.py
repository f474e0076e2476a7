"""The page in the language of who reads it, in a browser: its words, its direction, its choice."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.browsing import (
    LONG,
    STANDS_STILL,
    messages,
    needs_browser,
    open_about,
    open_page,
    prompt_box,
    say,
    sidebar,
)
from support.rendering import Bake
from support.serving import free_port, serve

pytestmark = needs_browser

NewVisitor = Callable[[str], BrowserContext]


@pytest.fixture(scope="module")
def chatbot(bake_to_keep: Bake) -> Iterator[str]:
    """Serve the chatbot with the demo model; the address."""
    with serve(bake_to_keep(models="both"), free_port(), CHATBOT_BACKEND="demo") as server:
        yield server.address


@pytest.fixture
def new_visitor(browser: Browser) -> Iterator[NewVisitor]:
    """Make browsers of people who read a language."""
    contexts: list[BrowserContext] = []

    def make(locale: str) -> BrowserContext:
        contexts.append(browser.new_context(locale=locale, viewport={"width": 1200, "height": 800}))
        contexts[-1].set_default_timeout(LONG)
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


def expect_language(page: Page, code: str, direction: str, new_chat: str) -> None:
    expect(sidebar(page).get_by_role("button", name=new_chat)).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", code)
    expect(page.locator("html")).to_have_attribute("dir", direction)


def choose(page: Page, label: str, language: str) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    open_about(page)
    box = sidebar(page).get_by_role("combobox", name=label)
    box.scroll_into_view_if_needed()
    box.evaluate(STANDS_STILL)  # a list closes when what it hangs on moves
    expect(box).to_be_in_viewport(ratio=1)
    box.click()
    page.get_by_role("option", name=language).click()


def is_right_of_the_chat(page: Page) -> bool:
    sides, box = sidebar(page).bounding_box(), prompt_box(page).bounding_box()
    assert sides and box
    return bool(sides["x"] > box["x"])


@pytest.mark.parametrize(
    ("locale", "direction", "new_chat", "refusal"),
    [
        ("de-AT", "ltr", "Neuer Chat", "Sie hat 50.001 Zeichen"),
        ("ja-JP", "ltr", "新しいチャット", "50,001 文字"),
        ("ar-EG", "rtl", "محادثة جديدة", "عدد أحرفها 50,001"),
    ],
)
def test_the_page_follows_the_browser(
    locale: str,
    direction: str,
    new_chat: str,
    refusal: str,
    chatbot: str,
    new_visitor: NewVisitor,
) -> None:
    page = open_page(new_visitor(locale), chatbot)
    expect_language(page, locale[:2], direction, new_chat)
    assert is_right_of_the_chat(page) == (direction == "rtl")
    say(page, "x" * 50_001)
    expect(page.get_by_text(refusal)).to_be_visible()


def test_a_choice_overrides_the_browser_and_follows_the_person(
    chatbot: str, new_visitor: NewVisitor
) -> None:
    visitor = new_visitor("en-US")
    page = open_page(visitor, chatbot)
    expect_language(page, "en", "ltr", "New chat")
    choose(page, "Language", "العربية")
    expect_language(page, "ar", "rtl", "محادثة جديدة")
    assert is_right_of_the_chat(page)
    page.reload()
    assert 'dir="rtl"' in visitor.request.get(chatbot).text()  # so it comes that way
    expect_language(page, "ar", "rtl", "محادثة جديدة")

    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    session = [each for each in visitor.cookies() if each["name"] == "chatbot_session"]
    other = new_visitor("ja-JP")  # the person's other device
    other.add_cookies([{**each} for each in session])  # type: ignore[typeddict-item]
    page = open_page(other, chatbot)
    expect_language(page, "ar", "rtl", "محادثة جديدة")
    choose(page, "اللغة", "حسب المتصفح")
    expect_language(page, "ja", "ltr", "新しいチャット")
    page.reload()
    expect_language(page, "ja", "ltr", "新しいチャット")
    assert not is_right_of_the_chat(page)


def test_a_sidebar_that_is_closed_leaves_nothing_behind_where_it_is_on_the_right(
    chatbot: str, new_visitor: NewVisitor
) -> None:
    page = open_page(new_visitor("ar-EG"), chatbot)
    button = sidebar(page).get_by_role("button", name="محادثة جديدة")
    expect(button).to_be_in_viewport()
    sidebar(page).hover()
    close, open_ = (
        page.get_by_test_id(f"st{each}Button") for each in ("SidebarCollapse", "ExpandSidebar")
    )
    assert close.get_by_test_id("stIconMaterial").evaluate(IS_MIRRORED)
    close.get_by_role("button").click()
    expect(button).not_to_be_in_viewport()
    assert open_.get_by_test_id("stIconMaterial").evaluate(IS_MIRRORED)
    open_.click()
    expect(button).to_be_in_viewport()
    open_about(page)
    switch = sidebar(page).locator("label", has=page.get_by_role("switch"))
    track = switch.locator("> div").first
    assert track.evaluate(KNOB_IS_WITHIN)
    switch.click()
    expect(page.get_by_role("switch")).not_to_be_checked()
    assert track.evaluate(KNOB_IS_WITHIN)


IS_MIRRORED = """element => {
    let width = 1;
    for (let each = element; each; each = each.parentElement) {
        width *= new DOMMatrix(getComputedStyle(each).transform).a;
    }
    return width < 0;
}"""
KNOB_IS_WITHIN = """async track => {
    const still = track.getAnimations({ subtree: true }).map(({ finished }) => finished);
    await Promise.allSettled(still); // one that is replaced ends, too
    const [outer, inner] = [track, track.firstChild].map((each) => each.getBoundingClientRect());
    return outer.left <= inner.left && inner.right <= outer.right;
}"""
