"""How the page looks, and how it tells what went wrong, in a real browser."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    SCREENSHOTS,
    about,
    messages,
    needs_browser,
    open_about,
    open_new_chat,
    open_page,
    prompt_box,
    say,
    sidebar,
)
from support.paths import ROOT, TEMPLATE
from support.projects import Project
from support.rendering import Bake
from support.serving import free_port, serve

pytestmark = needs_browser
CONTACT, FOOTER = "it-help@example.com", "Only for *our* staff."
WIDE = "| " + " | ".join(f"Column {number}" for number in range(12)) + " |\n"
WIDE += "| " + " | ".join(["---"] * 12) + " |\n" + "| " + " | ".join(["words"] * 12) + " |"
ANSWER = f"""# One
## Two
### Three
{"word" * 60} and `{"code" * 40}`

{WIDE}

```
{"x = 1; " * 40}
```

The last words."""


@pytest.fixture(scope="module")
def bedrock() -> Iterator[Any]:
    """One stand-in for Bedrock for all the tests here."""
    with stand_in.bedrock_stand_in() as running:
        yield running


@pytest.fixture(scope="module")
def project(bake_to_keep: Bake) -> Project:
    return bake_to_keep(models="both")


@pytest.fixture(scope="module")
def site(project: Project, bedrock: Any) -> Iterator[str]:
    """Serve the project with the words of a team; the address."""
    environment = bedrock_environment(bedrock.url) | {
        "CHATBOT_CONTACT": CONTACT,
        "CHATBOT_FOOTER": FOOTER,
        "CHATBOT_RETENTION_DAYS": "30",
        "CHATBOT_HOSTNAME": "task-7",
    }
    with serve(project, free_port(), **environment) as server:
        yield server.address


@pytest.fixture(scope="module")
def theme() -> Any:
    """What the one file says about colors and fonts."""
    text = (TEMPLATE / ".streamlit" / "config.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["theme"]


def take_picture(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"look-{name}.png")


def style(element: Locator, name: str) -> str:
    """Return what the browser makes of a style."""
    return str(element.evaluate("(element, name) => getComputedStyle(element)[name]", name))


def channels(color: str) -> list[float]:
    """Return red, green and blue from 0 to 255, and the opacity from 0 to 1."""
    if color.startswith("#"):
        return [*(int(color[each : each + 2], 16) for each in (1, 3, 5)), 1.0]
    found = [float(each) for each in re.findall(r"[0-9.]+", color)]
    if color.startswith("color(srgb"):
        found[:3] = [255 * each for each in found[:3]]
    return found if len(found) == 4 else [*found, 1.0]


def contrast(color: str, background: str) -> float:
    """Return the contrast that WCAG 2 defines."""
    *behind, _ = channels(background)
    *front, opacity = channels(color)
    lights = []
    for each in (
        [opacity * f + (1 - opacity) * b for f, b in zip(front, behind, strict=True)],
        behind,
    ):
        linear = [
            part / 255 / 12.92 if part / 255 <= 0.04045 else ((part / 255 + 0.055) / 1.055) ** 2.4
            for part in each
        ]
        lights.append(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_the_colors_and_sizes_of_the_one_file(
    site: str, browser: Browser, bedrock: Any, theme: Any, scheme: Literal["light", "dark"]
) -> None:
    bedrock.reply(ANSWER)
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 800})
    page = open_page(context, site)
    say(page, "Show me all")
    expect(messages(page).last).to_contain_text("The last words.")
    app, side = page.get_by_test_id("stApp"), sidebar(page)
    colors = theme[scheme]
    for element, name, wanted in (
        (app, "backgroundColor", colors["backgroundColor"]),
        (app, "color", colors["textColor"]),
        (side, "backgroundColor", colors["sidebar"]["backgroundColor"]),
        (messages(page).first, "backgroundColor", colors["secondaryBackgroundColor"]),
    ):
        assert channels(style(element, name)) == channels(wanted), (name, wanted)
    for caption, behind in (
        (page.locator(".st-key-footer p"), colors["backgroundColor"]),
        (open_about(page).locator("[data-testid=stCaptionContainer] p").last, None),
    ):
        seen = contrast(style(caption, "color"), behind or colors["sidebar"]["backgroundColor"])
        assert seen >= 4.5, seen
    title = side.get_by_role("heading", name="Team Chatbot")
    largest = float(style(title, "fontSize").removesuffix("px"))
    for level in (1, 2, 3):
        heading = messages(page).last.locator(f"h{level}")
        assert float(style(heading, "fontSize").removesuffix("px")) <= largest
    expect(page).to_have_title("Show me all · Team Chatbot")
    take_picture(page, scheme)
    context.close()


def test_forced_colors_leave_everything_in_sight(site: str, browser: Browser) -> None:
    """As in Windows' high contrast, which draws neither shadows nor backgrounds."""
    context = browser.new_context(forced_colors="active", viewport={"width": 1280, "height": 800})
    page = open_page(context, site)
    behind = style(page.get_by_test_id("stApp"), "backgroundColor")
    chosen = page.get_by_role("radio", checked=True)
    assert style(chosen, "borderColor") != style(page.get_by_role("radio").last, "borderColor")
    say(page, "Hello")
    copy = page.get_by_role("button", name="Copy", exact=True)
    expect(copy).to_be_visible()
    icon = copy.evaluate("each => getComputedStyle(each, '::before').backgroundColor")
    assert contrast(icon, behind) >= 3
    page.get_by_placeholder("Search chats").focus()
    page.keyboard.press("Shift+Tab")
    new = page.get_by_role("button", name="New chat")
    expect(new).to_be_focused()
    assert style(new, "outlineStyle") == "solid"
    sidebar(page).get_by_role("button", name="Actions for “Hello”").click()
    page.keyboard.press("ArrowDown")
    item = page.get_by_role("menuitem").nth(1)
    expect(item).to_be_focused()
    assert style(item, "outlineStyle") == "solid"
    take_picture(page, "forced-colors")
    page.keyboard.press("Escape")
    open_about(page)
    switch = page.locator("label", has=page.get_by_role("switch"))
    track, knob = switch.locator("> div").first, switch.locator("> div > div").first
    for is_on in (True, False):
        expect(page.get_by_role("switch")).to_be_checked(checked=is_on)
        assert contrast(style(track, "outlineColor"), behind) >= 3
        assert style(track, "outlineStyle") == "solid"
        assert style(knob, "backgroundColor") != style(track, "backgroundColor")
        switch.click()
    context.close()


def test_nothing_moves_the_page_sideways_on_a_phone(
    site: str, visitor: BrowserContext, bedrock: Any
) -> None:
    bedrock.reply(ANSWER)
    page = open_page(visitor, site)
    page.set_viewport_size({"width": 360, "height": 740})
    say(page, "Wide? " + "w" * 200)
    expect(messages(page).last).to_contain_text("The last words.")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    for place in (page.locator("html"), page.get_by_role("main")):
        assert place.evaluate("each => each.scrollWidth <= each.clientWidth")
    table = messages(page).last.locator("table")
    assert table.evaluate("each => each.scrollWidth > each.clientWidth")
    model = page.locator(".st-key-header").get_by_test_id("stSelectbox")
    for each in (model, prompt_box(page), page.locator(".st-key-footer")):
        expect(each).to_be_in_viewport(ratio=1)
    take_picture(page, "phone")


def test_a_printed_chat_has_all_its_words_and_no_buttons(
    site: str, visitor: BrowserContext, bedrock: Any
) -> None:
    bedrock.reply("First words.\n\n" + "Many words. " * 2000 + "\n\nThe last words.")
    page = open_page(visitor, site)
    say(page, "Print this")
    expect(messages(page).last).to_contain_text("The last words.")
    page.emulate_media(media="print")
    for hidden in (sidebar(page), prompt_box(page), page.locator(".st-key-header")):
        expect(hidden).to_be_hidden()
    expect(page.get_by_role("button").filter(visible=True)).to_have_count(0)
    page.set_viewport_size({"width": 794, "height": 1123})  # A4
    bottom = "each => each.getBoundingClientRect().bottom + scrollY"
    for word in (page.get_by_text("First words."), page.get_by_text("The last words.")):
        assert 0 < word.evaluate(bottom) <= page.evaluate("document.documentElement.scrollHeight")
    take_picture(page, "print")


def test_a_failure_is_told_with_details_a_countdown_and_whom_to_ask(
    site: str, visitor: BrowserContext, bedrock: Any
) -> None:
    bedrock.reply(stand_in.Refuse(429, "ThrottlingException"))
    page = open_page(visitor, site)
    say(page, "Hello")
    notice = messages(page).last
    expect(notice.get_by_role("alert")).to_contain_text("too many requests")
    contact = notice.get_by_role("link", name=CONTACT)
    expect(contact).to_have_attribute("href", f"mailto:{CONTACT}")
    countdown = notice.get_by_role("timer")
    expect(countdown).to_contain_text(re.compile(r"again in 0:[0-5][0-9]\."))
    before = countdown.inner_text()
    expect(countdown).not_to_have_text(before)  # though nothing runs on the server
    request = notice.get_by_text(stand_in.REQUEST_ID)
    expect(request).to_be_hidden()
    notice.get_by_text("Details").click()
    expect(request).to_be_visible()
    expect(notice.get_by_text("ThrottlingException")).to_be_visible()
    take_picture(page, "notice")
    countdown.evaluate("element => { element.dataset.seconds = 1; }")
    expect(countdown).to_have_text("You can try again now.")
    page.get_by_role("button", name="Try again").click()
    expect(messages(page).last).to_contain_text("An answer.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_settings_and_about_says_where_things_stand_and_deletes_all_chats(
    site: str, visitor: BrowserContext
) -> None:
    page = open_page(visitor, site)
    expect(page.locator(".st-key-footer")).to_have_text(
        f"{FOOTER} Chats are kept for 30 days after your last visit."
    )
    expect(about(page).get_by_text("Delete all my chats")).to_have_count(0)
    for title in ("First", "Second"):
        open_new_chat(page)
        say(page, title)
        expect(messages(page).last).to_contain_text("An answer.")
    section = open_about(page)
    expect(section.get_by_text("task-7")).to_be_visible()
    expect(section.get_by_text(re.compile("Session [0-9a-f]{8}"))).to_be_visible()
    download = section.get_by_role("link", name="Download all my chats")
    expect(download).to_have_attribute("href", "./chats.zip")
    take_picture(page, "about")
    section.get_by_role("button", name="Delete all my chats").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("deletes your 2 chats, with all that was said and attached")
    expect(dialog).to_contain_text("Your usage stays")
    take_picture(page, "delete-all")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(messages(page)).to_have_count(2)
    section.get_by_role("button", name="Delete all my chats").click()
    dialog.get_by_role("button", name="Delete all chats").click()
    expect(dialog).to_have_count(0)
    expect(messages(page)).to_have_count(0)
    expect(sidebar(page).get_by_role("button", name="Second")).to_have_count(0)


def test_a_storage_fault_leaves_the_page_as_it_was(
    site: str, project: Project, visitor: BrowserContext
) -> None:
    page = open_page(visitor, site)
    say(page, "Before the fault")
    expect(messages(page).last).to_contain_text("An answer.")
    folder = project.path / "session_data"
    away = folder.rename(folder.with_name("away"))
    try:
        page.get_by_role("button", name="Before the fault", exact=True).click()
        notice = page.get_by_role("main").get_by_role("alert")
        expect(notice).to_contain_text("is missing")
        expect(notice).to_contain_text(CONTACT)
        expect(messages(page)).to_have_count(2)
        expect(page.get_by_text("Traceback")).to_have_count(0)
        take_picture(page, "fault")
    finally:
        away.rename(folder)
    page.get_by_role("button", name="Before the fault", exact=True).click()
    expect(notice).to_have_count(0)


def test_one_command_takes_the_pictures_of_the_documents(tmp_path: Path) -> None:
    command = [sys.executable, "dev.py", "pictures", f"--folder={tmp_path}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "stack.svg").unlink()  # tests/test_documents.py looks at it
    sizes = {file.name: file.stat().st_size for file in tmp_path.iterdir()}
    assert set(sizes) == {"light.png", "dark.png", "phone.png", "arabic.png"}
    assert all(10_000 < size < 150_000 for size in sizes.values()), sizes
    widths = [int.from_bytes(file.read_bytes()[16:20], "big") for file in tmp_path.iterdir()]
    assert sorted(widths) == [360, 1280, 1280, 1280]
