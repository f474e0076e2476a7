"""What a person does with the chatbot's page in a browser."""

import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from chatbot.identity import session_folder
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from support.paths import BUILD

# Pages are the same in both. The shell has no windows, menus and settings, and so is much faster.
WHOLE_CHROMIUM = shutil.which("chromium")
CHROMIUM = shutil.which("chromium-headless-shell") or WHOLE_CHROMIUM
needs_browser = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Debian's package chromium is not installed"),
]
SCREENSHOTS = BUILD / "screenshots"
# Chromium as root needs no sandbox, and it must not ask for the outside world.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
LONG = 20_000  # milliseconds


expect.set_options(timeout=LONG)


def open_page(visitor: BrowserContext, address: str) -> Page:
    page = visitor.new_page()
    page.goto(address)
    expect(prompt_box(page)).to_be_visible()
    return page


def add_cookies_of_other_applications(visitor: BrowserContext, address: str) -> None:
    """Add 60 kB of cookies, as applications on the same domain may do."""
    visitor.add_cookies(
        [{"name": f"other{each:02}", "value": "x" * 4_000, "url": address} for each in range(15)]
    )


# What a browser does whose settings block cookies: it neither keeps nor tells any. A script can't
# block those of responses; `drop_cookies` does.
NO_COOKIES = "Object.defineProperty(Document.prototype, 'cookie', {get: () => '', set: () => {}});"
NO_STORAGE = """Object.defineProperty(window, 'localStorage',
    {get() { throw new DOMException('blocked', 'SecurityError'); }});"""


def drop_cookies(route: Route) -> None:
    """Answer a request for the page without its cookies, as some proxies do."""
    with urlopen(route.request.url, timeout=LONG / 1000) as response:
        headers = {name: value for name, value in response.headers.items() if name != "set-cookie"}
        route.fulfill(status=response.status, headers=headers, body=response.read())


def block_cookies(visitor: BrowserContext) -> None:
    """Let the browser keep no cookie from now on."""
    # A page that a test answers itself counts as coming from the internet.
    visitor.grant_permissions(["local-network-access"])
    visitor.add_init_script(NO_COOKIES)
    visitor.route(re.compile(r"^[^?]*:[0-9]+/(\?.*)?$"), drop_cookies)


def prompt_box(page: Page) -> Any:
    return page.get_by_test_id("stChatInputTextArea")


def say(page: Page, text: str) -> None:
    prompt_box(page).fill(text)
    prompt_box(page).press("Enter")


def messages(page: Page) -> Any:
    return page.get_by_test_id("stChatMessage")


def text_of(message: Any) -> str:
    """Return what a message says, without its picture."""
    return str(message.get_by_test_id("stChatMessageContent").inner_text()).strip()


def expect_texts(messages: Locator, *texts: str) -> None:
    """Wait until these messages say just that, as an answer does once it has ended."""
    content = messages.get_by_test_id("stChatMessageContent")
    expect(content).to_have_text(list(texts), use_inner_text=True)


def sidebar(page: Page) -> Any:
    return page.get_by_test_id("stSidebar")


def about(page: Page) -> Any:
    """Return the section "Settings and about", whose text is there even while it is folded."""
    return page.locator(".st-key-about")


def open_about(page: Page) -> Any:
    """Unfold the section, and return it."""
    section = about(page).locator("details").first
    if not section.evaluate("element => element.open"):
        section.locator("summary").first.click()
    return section


def session_of(page: Page) -> str:
    expect(about(page)).to_contain_text(re.compile("Session [0-9a-f]{8}"))
    found = re.search(r"Session ([0-9a-f]{8})", about(page).text_content())
    assert found
    return found[1]


def hostname_of(page: Page) -> str:
    """Return the name of the host that serves the page, as it tells itself."""
    expect(about(page)).to_contain_text("Hostname")
    found = re.search(r"Hostname (\S+)", about(page).text_content())
    assert found
    return found[1]


def choose_model(page: Page, name: str) -> None:
    page.locator(".st-key-header").get_by_test_id("stSelectbox").first.click()
    page.get_by_role("option", name=name).click()


def open_new_chat(page: Page) -> None:
    """Begin a chat, and wait until the page shows it, also if a new one was open before."""
    before = page.url
    sidebar(page).get_by_role("button", name="New chat").click()
    expect(page).not_to_have_url(before)
    expect(messages(page)).to_have_count(0)


def titles(page: Page) -> Any:
    """Return the buttons that open chats, in the order of the list."""
    return page.locator('.st-key-chats [class*="st-key-open-"] button')


def choose_action(page: Page, title: str, action: str) -> None:
    """Choose what is done with a chat, in its menu."""
    sidebar(page).get_by_role("button", name=f"Actions for “{title}”").click()
    page.get_by_role("menuitem", name=action).click()


def delete_chat(page: Page, title: str) -> None:
    choose_action(page, title, "Delete")
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()


def local_storage(page: Page) -> str:
    return str(json.loads(page.evaluate("localStorage.chatbot_session"))["chatbot_session"])


def stored(key: object) -> str:
    """Return the item that streamlit-local-storage makes of a key."""
    return json.dumps({"chatbot_session": key})


def cookie(visitor: BrowserContext) -> str:
    return {each["name"]: each["value"] for each in visitor.cookies()}["chatbot_session"]


def files_of(visitor: BrowserContext, folder: Path) -> Path:
    """Return the folder of the visitor's session, among everybody's."""
    return session_folder(folder, cookie(visitor))


# Where the page stands, in pixels from its top, and how much of it is out of sight below.
PLACE = """document.querySelector('[data-testid="stAppScrollToBottomContainer"]').scrollTop"""
BELOW = """(() => {
    const page = document.querySelector('[data-testid="stAppScrollToBottomContainer"]');
    return page.scrollHeight - page.clientHeight - page.scrollTop;
})()"""
# The same place, once the page has stood still for ten frames.
AT_REST = f"""async () => {{
    const place = () => {PLACE};
    for (let [last, same] = [place(), 0]; same < 10; last = place()) {{
        await new Promise(requestAnimationFrame);
        same = place() === last ? same + 1 : 0;
    }}
    return place();
}}"""
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Waits until an element has stood at one place for thirty frames.
STANDS_STILL = """element => new Promise(done => {
    let [place, frames] = ["", 0];
    const look = () => {
        const { x, y, width, height } = element.getBoundingClientRect();
        const now = [x, y, width, height].join();
        [place, frames] = [now, now === place ? frames + 1 : 0];
        frames < 30 ? requestAnimationFrame(look) : done();
    };
    look();
})"""
