"""The rendered chatbot in a real browser, with the demo model and with a stand-in for Bedrock."""

import random
import re
import subprocess
import sys
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from chatbot.records import Claim, End, Prompt, Record, Text, to_line
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from support.answers import SCRAPS, STRANGER, has_formula, shown, squeeze
from support.bedrock import stand_in
from support.browsing import (
    LONG,
    NO_STORAGE,
    SCREENSHOTS,
    TWO_FRAMES,
    about,
    add_cookies_of_other_applications,
    block_cookies,
    choose_action,
    choose_model,
    cookie,
    delete_chat,
    files_of,
    local_storage,
    messages,
    needs_browser,
    open_new_chat,
    open_page,
    prompt_box,
    say,
    session_of,
    sidebar,
    stored,
    text_of,
    titles,
)
from support.paths import ROOT
from support.projects import Project
from support.serving import Chatbot, free_port, serve
from support.waiting import wait_until

pytestmark = needs_browser


@pytest.fixture
def bedrock(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def test_a_first_visit(demo: Chatbot, visitor: BrowserContext) -> None:
    page = open_page(visitor, demo.address)
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect(page).to_have_title("Team Chatbot")
    expect(sidebar(page).get_by_text("Team Chatbot")).to_be_visible()
    assert local_storage(page) == cookie(visitor)
    expect(page.get_by_text("stores no data")).to_be_hidden()
    page.reload()
    expect(page.get_by_text("How can I help?")).to_be_visible()
    assert not files_of(visitor, demo.folder).exists()


def test_an_answer_streams_and_survives_thirty_refreshes(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    say(page, "Does this last?")
    expect(messages(page)).to_have_count(2)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()  # while it streams
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    expect(messages(page).nth(1).get_by_role("table")).to_be_visible()
    hostname = about(page).locator("code").first
    hostname.evaluate("element => element.textContent = 'my-laptop'")  # docs show it to the world
    page.screenshot(path=SCREENSHOTS / "chat.png")
    session = session_of(page)
    for _ in range(30):
        page.reload()
        expect(messages(page).nth(0)).to_contain_text("Does this last?")
        expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
        assert session_of(page) == session
    assert len(list(files_of(visitor, demo.folder).glob("2*.jsonl"))) == 1


def test_an_answer_asks_no_stranger_for_a_picture(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    """The visitor fails the test if its browser asks anybody but the chatbot."""
    picture = f"![x]({STRANGER})"
    named = f"[x]: {STRANGER}"
    tricks = [
        picture,
        f"a `{picture}`` b",
        f"foo ``` {picture}",
        f"> ```\n\n{picture}",
        f"- a\n  ```\n\n{picture}",
        f"~~~\n```\n~~~\n\n{picture}",
        f"   ```\n```\n{picture}",
        f"<!--\n```\n-->\n{picture}",
        f":::a\n```\n:::\n\n{picture}",
        f"a `![x``]({STRANGER})",
        f"```\r![x]\r```\r\r![x]\r\r{named}",
        f"![x]\n\n{named}",
        f"![][x]\n\n{named}",
        f"![a][\nX\n]\n\n> {named}",
        f"![a][x\\]]\n\n[x\\]]: <{STRANGER}> 'title'",
        f"`![a][x\\]``\n\n{named}",
        f"![a](<{STRANGER}> (title))",
        f"![a\n*b*]({STRANGER}\n'title')",
        f"![![a]({STRANGER})]({STRANGER})",
        f"[{picture}]({STRANGER})",
        f"| {picture} | b |\n| - | - |\n| c | `|`{picture} |",
        f"!&#91;x]({STRANGER}) &#33;[x]({STRANGER}) !\\[x]({STRANGER})",
        f"{picture}{{width=1}} **!**[x]({STRANGER}) :red[{picture}] :a-badge[{picture}]",
        f"a[^1]\n\n[^1]: {picture}",
        f"# {picture}\n\n- [ ] {picture}\n\n> 1. {picture}",
        f'<img src="{STRANGER}">',
        f"<picture><source srcset='{STRANGER}'></picture><svg><image href='{STRANGER}'/></svg>",
        f"<style>@import '{STRANGER}';</style><link rel=stylesheet href={STRANGER}>",
        f"\\(\\includegraphics{{{STRANGER}}}\\)\n\n$$\n\\includegraphics{{{STRANGER}}}\n$$",
        f'~~~~ Mermaid\ngraph TD\nA@{{ img: "{STRANGER}" }}\n~~~~',
        f"```mermaid\ngraph TD\nA --> B\nclassDef x background:url({STRANGER})\nclass A x\n```",
        f"> ```mermaid x\n> graph TD\n> A[\"<img src='{STRANGER}'>\"]\n> ```",
        f"- ```mermaid\n  graph TD\n  A[\"#lt;img src='{STRANGER}'#gt;\"]\n  ```",
        f'```-language-mermaid\ngraph TD\nA@{{ img: "{STRANGER}" }}\n```',
        f'```&#109;ermaid\ngraph TD\nA@{{ img: "{STRANGER}" }}\n```',
        f"```mermaid\n%%{{init: {{'themeCSS': '*{{fill:url({STRANGER})}}'}}}}%%\ngraph TD\nA\n```",
        f"```mermaid\ngraph TD\nA\nstyle A fill:u\\72l({STRANGER})\n```",
        f'```mermaid\nC4Context\nPerson(a, "b", $sprite="{STRANGER}")\n```',
    ]
    page = open_page(visitor, chatbot.address)
    bedrock.reply(picture)
    say(page, "While it streams")
    expect(messages(page).last.get_by_role("link", name="x")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    for start in range(0, len(tricks), 20):
        for place in show(page, visitor, chatbot, tricks[start : start + 20]):
            expect(place).not_to_be_empty()
        page.wait_for_load_state("networkidle")


def test_a_browser_shows_what_was_decided_of_an_answer(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    draw = random.Random(1)  # noqa: S311
    texts = ["".join(draw.choices(SCRAPS, k=draw.randint(1, 14))) for _ in range(4 * 24)]
    texts = [f"{text}\n\nEnd." for text in texts if not has_formula(text)]
    for start in range(0, len(texts), 24):
        some = texts[start : start + 24]
        for text, place in zip(some, show(page, visitor, demo, some), strict=True):
            expect(place.get_by_test_id("stSkeleton")).to_have_count(0)
            assert squeeze(place.text_content() or "") == shown(text), text


def test_a_browser_draws_formulas_tables_and_whole_diagrams(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    page.set_viewport_size({"width": 1200, "height": 3000})  # Streamlit draws a diagram in sight
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    formula, table, diagram, broken, half, wide = show(
        page,
        visitor,
        demo,
        [
            "It costs $5 to $6. \\(a^2\\)\n\n\\[\nb\n\\]",
            "| a |\n| - |\n| one<br>two |",
            "```mermaid\ngraph TD\n  A --> B\n```\n\n```\ncode\n```",
            "```mermaid\ngraph TD\n  A[ --> B\n```",
            "```mermaid\ngraph TD\n  A --> B",
            f"```mermaid\nflowchart LR\n  {' --> '.join('ABCDEFGHIJKLMNO')}\n```\n\n{WIDE_FORMULA}",
        ],
    )
    expect(formula.locator(".katex")).to_have_count(2)
    expect(formula).to_contain_text("$5 to $6")
    cell = table.get_by_role("cell")
    wait_until(lambda: cell.inner_text() == "one\ntwo", "the cell has two lines")
    expect(diagram.get_by_role("img", name="Mermaid flowchart")).to_be_visible()
    assert (
        "A --> B" in diagram.aria_snapshot()
    )  # a screen reader has its source, and nobody sees it
    assert diagram.get_by_text("A --> B").evaluate(SEEN) is False
    expect(diagram.get_by_text("code")).to_be_visible()
    for each in (wide.get_by_test_id("stMermaidChart"), wide.locator(".katex").last):
        expect(each).to_have_attribute("tabindex", "0")
        assert each.evaluate(SCROLLS_FROM_ITS_BEGINNING)
    # A browser may take its time to show what it has.
    chart = wide.get_by_test_id("stMermaidChart")
    chart.evaluate("chart => chart.removeAttribute('tabindex')")
    chart.locator("img").evaluate(
        "image => { const it = image.src; image.src = ''; image.src = it; }"
    )
    expect(chart).to_have_attribute("tabindex", "0")
    expect(wide.locator(".katex[tabindex]")).to_have_count(1)
    expect(wide.locator(".stCode")).to_have_attribute("tabindex", "-1")
    expect(wide.locator(".stCode [tabindex='0']")).to_have_count(0)
    expect(broken.get_by_test_id("stMermaidError")).to_be_hidden()
    expect(broken.locator("code")).to_be_visible()
    expect(half.get_by_text("A --> B")).to_be_visible()


def test_what_a_narrow_window_makes_scroll_can_be_scrolled_with_the_keyboard(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    words = "_".join(["word"] * 13)  # which break nowhere
    [answer] = show(page, visitor, demo, [f"| a | b |\n| - | - |\n| {words} | c |"])
    expect(page.locator("#first-sight")).to_have_count(0)
    table = answer.locator("table")
    expect(table).not_to_have_attribute("tabindex", "0")
    page.set_viewport_size({"width": 900, "height": 800})
    expect(table).to_have_attribute("tabindex", "0")


WIDE_FORMULA = f"\\(x_i\\) and \\(\\sqrt{{{' + '.join('abcdefghijklmnopqrstuvwxyz' * 2)}}}\\)"
SEEN = """element => element.checkVisibility() && [...element.getClientRects()].some(
    ({ x, y }) => element.contains(document.elementFromPoint(x + 2, y + 2)))"""
SCROLLS_FROM_ITS_BEGINNING = """element => {
    const { left, width } = element.getBoundingClientRect();
    const content = element.querySelector("img, .base").getBoundingClientRect();
    return content.width > width && content.left >= left && element.scrollWidth > width;
}"""


def show(
    page: Page, visitor: BrowserContext, chatbot: Chatbot, answers: list[str]
) -> list[Locator]:
    """Append answers to the one conversation; where each is shown, after a reload."""
    [file] = files_of(visitor, chatbot.folder).glob("2*.jsonl")
    turns = file.read_bytes().count(b"\n")
    with file.open("ab") as conversation:
        for number, answer in enumerate(answers, turns):
            conversation.writelines(map(to_line, question_and_answer(number, answer)))
    page.reload()
    expect(messages(page).filter(has_text=f"Question {turns + len(answers) - 1}.")).to_have_count(1)
    expect(messages(page).last.get_by_test_id("stMarkdown")).not_to_have_count(0)  # the answer
    places = messages(page).filter(has=page.get_by_test_id("stMarkdown"))
    first = places.count() - len(answers)
    return [places.nth(first + n).get_by_test_id("stMarkdown") for n in range(len(answers))]


def test_a_refresh_in_the_middle_of_an_answer_shows_it_grow_on(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Once upon ", more, "a time.")
    page = open_page(visitor, chatbot.address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("Once upon")
    page.reload()
    expect(messages(page).nth(1)).to_contain_text("Once upon")
    second = open_page(visitor, chatbot.address)
    expect(messages(second).nth(1)).to_contain_text("Once upon")
    more.set()
    for tab in (page, second):
        expect(messages(tab).nth(1)).to_contain_text("Once upon a time.")
    assert len(bedrock.requests) == 1


def test_an_answer_goes_on_when_its_tab_is_closed(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Once upon ", more, "a time.")
    page = open_page(visitor, chatbot.address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("Once upon")
    page.close()
    more.set()
    expect(messages(open_page(visitor, chatbot.address)).nth(1)).to_contain_text(
        "Once upon a time."
    )


def test_two_tabs_send_and_neither_loses_a_message(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    one = open_page(visitor, chatbot.address)
    say(one, "First")
    expect(messages(one)).to_have_count(2)
    two = open_page(visitor, chatbot.address)
    expect(messages(two)).to_have_count(2)
    say(two, "Second")
    expect(messages(two)).to_have_count(4)
    say(one, "Third")
    expect(messages(one)).to_have_count(6)
    two.reload()
    for page in (one, two):
        for number, text in enumerate(("First", "Second", "Third")):
            expect(messages(page).nth(2 * number)).to_contain_text(text)


def test_stop_keeps_what_arrived(chatbot: Chatbot, visitor: BrowserContext, bedrock: Any) -> None:
    more = Event()
    bedrock.reply("Only this", more, " and not that")
    page = open_page(visitor, chatbot.address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("Only this")
    page.get_by_role("button", name="Stop").click()
    expect(messages(page).nth(1)).to_contain_text("Stopped.")
    more.set()
    page.reload()
    expect(messages(page).nth(1)).to_contain_text("Only this")
    expect(messages(page).nth(1)).not_to_contain_text("not that")


def test_a_second_message_in_the_middle_of_an_answer(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Only this", more)
    page = open_page(visitor, chatbot.address)
    say(page, "Tell me")
    expect(messages(page).nth(1)).to_contain_text("Only this")
    say(page, "No, tell me that")
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(1)).to_contain_text("Stopped.")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    more.set()


def test_a_message_that_is_too_long_stays_in_the_input_and_can_be_shortened(
    chatbot: Chatbot, visitor: BrowserContext
) -> None:
    longest = "long " * 9_999 + "long."
    page = open_page(visitor, chatbot.address)
    say(page, longest + "er")
    expect(page.get_by_text("has 50,002 characters")).to_be_visible()
    expect(prompt_box(page)).to_have_value(longest + "er")
    page.screenshot(path=SCREENSHOTS / "too-long.png")
    expect(messages(page)).to_have_count(0)
    say(page, longest)
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(page.get_by_text("characters")).to_have_count(0)
    expect(prompt_box(page)).to_have_value("")


def test_large_cookies_of_other_applications_are_no_obstacle(
    chatbot: Chatbot, visitor: BrowserContext
) -> None:
    add_cookies_of_other_applications(visitor, chatbot.address)
    page = open_page(visitor, chatbot.address)
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("An answer.")


def test_the_model_changes_and_comes_back(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Half ", more, "and whole.")
    page = open_page(visitor, chatbot.address)
    say(page, "Hello")
    expect(messages(page).nth(1)).to_contain_text("Half")
    choose_model(page, "Claude Sonnet 5.5")  # in the middle of an answer
    more.set()
    expect(messages(page).nth(1)).to_contain_text("Half and whole.")
    say(page, "Hello Claude")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    page.reload()
    expect(page.get_by_role("combobox", name="Model")).to_have_value("Claude Sonnet 5.5")
    assert bedrock.models == ["us.amazon.nova-2-lite-v1:0", "us.anthropic.claude-sonnet-5-5"]
    assert "temperature" not in bedrock.requests[-1]["inferenceConfig"]


def test_new_chat_and_the_list_of_chats(chatbot: Chatbot, visitor: BrowserContext) -> None:
    page = open_page(visitor, chatbot.address)
    say(page, "About cats")
    expect(messages(page)).to_have_count(2)
    open_new_chat(page)
    page.reload()
    expect(page.get_by_text("How can I help?")).to_be_visible()  # also after a refresh
    say(page, "About dogs")
    expect(messages(page).nth(0)).to_contain_text("About dogs")
    page.get_by_role("button", name="About cats", exact=True).click()
    expect(messages(page).nth(0)).to_contain_text("About cats")
    page.reload()
    expect(messages(page).nth(0)).to_contain_text("About cats")


def test_a_chat_is_deleted(chatbot: Chatbot, visitor: BrowserContext) -> None:
    page = open_page(visitor, chatbot.address)
    say(page, "Forget this")
    expect(messages(page)).to_have_count(2)
    choose_action(page, "Forget this", "Delete")
    page.get_by_role("button", name="Keep").click()
    expect(messages(page)).to_have_count(2)
    delete_chat(page, "Forget this")
    expect(messages(page)).to_have_count(0)
    expect(titles(page)).to_have_count(0)
    folder = files_of(visitor, chatbot.folder)
    wait_until(lambda: not list(folder.glob("2*.jsonl")), "it is deleted for good")


def test_either_the_cookie_or_local_storage_is_enough(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    say(page, "Remember me")
    expect(messages(page)).to_have_count(2)
    key = cookie(visitor)
    visitor.clear_cookies()
    page.goto(demo.address)
    expect(messages(page).nth(0)).to_contain_text("Remember me")
    assert cookie(visitor) == key
    page.evaluate("localStorage.clear()")
    page.goto(demo.address)
    expect(messages(page).nth(0)).to_contain_text("Remember me")
    assert local_storage(page) == key


@pytest.fixture
def without_cookies(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps no cookie."""
    context = browser.new_context()
    context.set_default_timeout(LONG)
    block_cookies(context)
    yield context
    context.close()


def test_a_browser_without_cookies_keeps_its_session(
    demo: Chatbot, without_cookies: BrowserContext
) -> None:
    page = open_page(without_cookies, demo.address)
    say(page, "Remember me")
    expect(messages(page)).to_have_count(2)
    for _ in range(3):
        page.goto(demo.address)
        expect(messages(page).nth(0)).to_contain_text("Remember me")
    expect(page.get_by_text("stores no data")).to_be_hidden()
    assert "chatbot_session" not in {each["name"] for each in without_cookies.cookies()}


def test_a_browser_without_either_can_chat(demo: Chatbot, without_cookies: BrowserContext) -> None:
    without_cookies.add_init_script(NO_STORAGE)
    page = open_page(without_cookies, demo.address)
    say(page, "Hello?")  # while the page still waits for an answer of the local storage
    expect(messages(page).nth(0)).to_contain_text("Hello?")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    expect(page.get_by_text("stores no data of this site")).to_be_in_viewport()
    page.screenshot(path=SCREENSHOTS / "keeps-nothing.png")


@pytest.mark.parametrize(
    "key", ["../x", "/etc", "x" * 10_000, 7, {"a": 1}, "k" + "0" * 31, "k\0", None]
)
def test_a_key_of_somebody_elses_making_starts_a_new_session(
    demo: Chatbot, visitor: BrowserContext, key: object
) -> None:
    page = visitor.new_page()
    page.goto(f"{demo.address}/_stcore/health")
    page.evaluate("value => localStorage.setItem('chatbot_session', value)", stored(key))
    visitor.add_cookies([{"name": "chatbot_session", "value": "../x", "url": demo.address}])
    page.goto(demo.address)
    assert local_storage(page) == cookie(visitor)
    say(page, "Hello")
    expect(messages(page)).to_have_count(2)
    assert files_of(visitor, demo.folder).exists()
    assert all(re.fullmatch("[0-9a-f]{64}", each.name) for each in demo.folder.iterdir())
    page.reload()
    expect(messages(page).nth(0)).to_contain_text("Hello")


def test_a_refresh_right_after_the_first_message_of_a_new_browser(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = visitor.new_page()
    page.goto(demo.address)
    say(page, "In a hurry")
    expect(messages(page).nth(0)).to_contain_text("In a hurry")
    page.reload()
    expect(messages(page).nth(0)).to_contain_text("In a hurry")


@pytest.mark.parametrize(
    ("reply", "sentence", "kept"),
    [
        (("Refuse", 429, "ThrottlingException"), "too many requests", ""),
        (("Refuse", 403, "AccessDeniedException"), "may not use this model", ""),
        (("Refuse", 403, "ExpiredTokenException"), "no valid AWS credentials", ""),
        (("Fail", "modelStreamErrorException"), "broke off", "Half of it"),
        (("Cut",), "broke off", "Half of it"),
        (("Stop", "max_tokens"), "limit of length", "Half of it"),
    ],
)
def test_a_failure_is_told_in_a_sentence_and_costs_nothing(
    chatbot: Chatbot,
    visitor: BrowserContext,
    bedrock: Any,
    reply: tuple[Any, ...],
    sentence: str,
    kept: str,
) -> None:
    kind, *arguments = reply
    step = getattr(stand_in, kind)(*arguments)
    bedrock.reply(*([kept, step] if kept else [step]))
    page = open_page(visitor, chatbot.address)
    say(page, "My careful question")
    for _ in range(2):
        answer = messages(page).nth(1)
        expect(messages(page).nth(0)).to_contain_text("My careful question")
        expect(answer).to_contain_text(sentence)
        expect(answer).to_contain_text(kept)
        expect(page.get_by_text("Traceback")).to_have_count(0)
        page.reload()
    say(page, "Another one")
    expect(messages(page).nth(3)).to_contain_text("An answer.")


def test_the_server_is_killed_in_the_middle_of_an_answer(
    project: Project, visitor: BrowserContext
) -> None:
    port = free_port()
    with serve(project, port) as server:
        page = open_page(visitor, server.address)
        say(page, "Survive this")
        expect(messages(page).nth(1)).to_contain_text("no model was called")
        shown = messages(page).nth(1).inner_text().split("▌")[0].strip()
        server.process.kill()
        server.process.wait()
    with serve(project, port):
        expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")  # without a click
        expect(messages(page)).to_have_count(2)
        assert messages(page).nth(1).inner_text().startswith(shown[:40])
        expect(messages(page).nth(1).get_by_text("no model was called")).to_have_count(1)


def test_a_prompt_that_can_not_be_saved_is_sent_again(
    project: Project, visitor: BrowserContext
) -> None:
    with serve(project, free_port()) as server:
        page = open_page(visitor, server.address)
        folder = project.path / "session_data"
        folder.touch()  # a file where the folder should be
        say(page, "My careful question")
        expect(page.get_by_text("storage has a problem")).to_be_visible()
        expect(messages(page)).to_have_count(1)
        folder.unlink()
        page.get_by_role("button", name="Send again").click()
        expect(messages(page).nth(1)).to_contain_text("no model was called")


def test_the_demo_command_serves_a_rendered_project(visitor: BrowserContext) -> None:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "dev.py", "demo", f"--port={port}"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "URL:" in line:
                break
        page = open_page(visitor, f"http://localhost:{port}")
        say(page, "Hello")
        expect(messages(page).last).to_contain_text("no model was called")
    finally:
        process.terminate()
        process.wait(20)


def test_earlier_messages_are_shown_above_what_was_at_the_top(
    demo: Chatbot, visitor: BrowserContext
) -> None:
    page = open_page(visitor, demo.address)
    say(page, "Question 0")
    expect(messages(page).nth(1)).to_contain_text("CHATBOT_BACKEND=bedrock")
    [file] = files_of(visitor, demo.folder).glob("2*.jsonl")
    with file.open("ab") as conversation:
        for number in range(1, 2500):
            conversation.writelines(map(to_line, question_and_answer(number)))
    page.reload()
    expect(messages(page).last).to_contain_text("Answer 2499")
    expect(messages(page)).to_have_count(50)
    for earliest in (2475, 2450, 2425):
        top = messages(page).filter(has_text=f"Question {earliest}.")
        scroll_up_to(page, page.get_by_role("button", name="Show earlier"))
        page.get_by_role("button", name="Show earlier").click()
        expect(messages(page).first).to_contain_text(f"Question {earliest - 25}.")
        expect(top).to_be_in_viewport()
        expect(messages(page).first).not_to_be_in_viewport()
    say(page, "One more")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")
    expect(messages(page).last).to_be_in_viewport()


def scroll_up_to(page: Page, place: Locator) -> None:
    """Turn the wheel until the place is seen: Streamlit follows the end until a person does."""
    page.mouse.move(700, 400)
    while (place.bounding_box() or {"y": -1})["y"] < 0:
        page.mouse.wheel(0, -400)
        page.evaluate(TWO_FRAMES)  # Playwright does not wait until the page has moved


def question_and_answer(number: int, answer: str = "") -> list[Record]:
    """Return the records of a turn, with 500 characters in each message if no answer is given."""
    turn = f"t{number}"
    return [
        Prompt(turn, f"Question {number}. " + "x " * 240, "nova-2-lite"),
        Claim(turn, 1, "w", "nova-2-lite"),
        Text(turn, 1, answer or f"Answer {number}. " + "y " * 240),
        End(turn, 1, "complete", "end_turn"),
    ]


def test_nothing_of_another_chat_stays_under_an_answer_in_progress(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    page = open_page(visitor, chatbot.address)
    for number in range(3):
        say(page, f"Question {number}")
        expect(messages(page)).to_have_count(2 * number + 2)
        expect(messages(page).last).to_contain_text("An answer.")
    bedrock.reply("Half ", more, "and half.")
    open_new_chat(page)
    say(page, "Slowly")
    expect(messages(page).last).to_contain_text("Half")
    for _ in range(2):
        sidebar(page).get_by_role("button", name="Question 0", exact=True).click()
        expect(messages(page)).to_have_count(6)
        sidebar(page).get_by_role("button", name="Slowly", exact=True).click()
        expect(messages(page).last).to_contain_text("Half")
        expect(messages(page)).to_have_count(2)
    page.get_by_role("button", name="New chat").click()
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect(messages(page)).to_have_count(0)
    sidebar(page).get_by_role("button", name="Slowly", exact=True).click()
    expect(messages(page)).to_have_count(2)
    expect(page.get_by_text("How can I help?")).to_have_count(0)
    more.set()
    expect(messages(page).last).to_contain_text("Half and half.")


def test_no_error_of_an_older_answer_stays_under_another_one(
    chatbot: Chatbot, visitor: BrowserContext, bedrock: Any
) -> None:
    """While a new answer grows, older turns leave the page, and the others move up."""
    page = open_page(visitor, chatbot.address)
    say(page, "Question 0")
    expect(messages(page).last).to_contain_text("An answer.")
    [file] = files_of(visitor, chatbot.folder).glob("2*.jsonl")
    with file.open("ab") as conversation:
        for number in range(1, 30):
            *records, end = question_and_answer(number)
            failed = End(f"t{number}", 1, "failed", "throttled")
            conversation.writelines(map(to_line, [*records, failed if number % 2 else end]))
    page.reload()
    expect(messages(page).last).to_contain_text("Answer 29.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    more = Event()
    bedrock.reply("Half ", more, "and half.")
    say(page, "And now?")
    expect(messages(page).last).to_contain_text("Half")
    answers = [text_of(each) for each in messages(page).all()[1::2]]
    assert len(answers) >= 26
    for answer in answers[:-1]:
        number = int(answer.split("Answer ")[1].split(".")[0])
        assert ("too many requests" in answer) == (number % 2 == 1)
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    more.set()
    expect(messages(page).last).to_contain_text("Half and half.")


def test_on_a_phone_the_list_makes_way_for_the_chosen_chat(demo: Chatbot, browser: Browser) -> None:
    phone = browser.new_context(viewport={"width": 360, "height": 740})
    phone.set_default_timeout(LONG)
    page = open_page(phone, demo.address)
    say(page, "Hello")
    expect(messages(page).last).to_contain_text("CHATBOT_BACKEND=bedrock")
    for name in ("New chat", "Hello"):
        page.get_by_test_id("stExpandSidebarButton").click()
        button = sidebar(page).get_by_role("button", name=name, exact=True)
        expect(button).to_be_in_viewport()
        button.click()
        expect(button).not_to_be_in_viewport()
    expect(messages(page).last).to_be_in_viewport()
    phone.close()


def test_on_a_phone_a_wide_table_scrolls_and_hebrew_begins_at_the_right(
    chatbot: Chatbot, browser: Browser, bedrock: Any
) -> None:
    phone = browser.new_context(viewport={"width": 360, "height": 740})
    phone.set_default_timeout(LONG)
    page = open_page(phone, chatbot.address)
    row = "|" + "a column|" * 20 + "\n"
    bedrock.reply(f"{row}|{'---|' * 20}\n{row}\n\u05e9\u05dc\n\nHello again\n\n- \u05e9\u05dc\n")
    say(page, "\u05e9\u05dc")
    expect(messages(page).last.get_by_role("listitem")).to_be_visible()
    last = messages(page).last.get_by_role("columnheader").last
    expect(last).not_to_be_in_viewport()
    last.scroll_into_view_if_needed()
    expect(last).to_be_in_viewport()
    assert page.evaluate("document.scrollingElement.scrollLeft") == 0
    prompt, answer = messages(page).nth(0), messages(page).nth(1)
    places = [prompt.get_by_text("\u05e9\u05dc"), *answer.get_by_text("\u05e9\u05dc").all()]
    assert [each.evaluate(BEGINS_AT_THE_RIGHT) for each in places] == [True] * 3
    assert not answer.get_by_text("Hello again").evaluate(BEGINS_AT_THE_RIGHT)
    phone.close()


BEGINS_AT_THE_RIGHT = """element => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const { left, right } = element.getBoundingClientRect();
  const text = range.getBoundingClientRect();
  return right - text.right < text.left - left;
}"""
