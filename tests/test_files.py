"""Files in a real browser: attached, refused, found again, and not lost with a task."""

import base64
import re
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    LONG,
    SCREENSHOTS,
    block_cookies,
    choose_model,
    hostname_of,
    messages,
    needs_browser,
    open_page,
    prompt_box,
    say,
    sidebar,
)
from support.cluster import HAPROXY, Cluster
from support.own_python import load
from support.projects import Project
from support.rendering import Bake
from support.serving import Chatbot, free_port, serve
from support.waiting import wait_until

pytestmark = needs_browser
uploads = load("tests/support/uploads.py")
PICKER = '[data-testid="stChatInputFileUploadButton"] input[type=file]'


@pytest.fixture
def bedrock(chatbot: Chatbot) -> Any:
    return chatbot.bedrock


def file(name: str, content: bytes = uploads.PDF) -> Any:
    return {"name": name, "mimeType": "application/octet-stream", "buffer": content}


def choose(page: Page, *files: Any) -> None:
    """Attach files by the button."""
    page.locator(PICKER).set_input_files(list(files))


def chips(page: Page) -> Any:
    """The files in the input."""
    return page.get_by_test_id("stFileChip")


def expect_uploaded(page: Page, count: int) -> None:
    expect(chips(page)).to_have_count(count)
    expect(page.get_by_test_id("stFileChipIconSpinner")).to_have_count(0)
    expect(page.get_by_test_id("stFileChipIconError")).to_have_count(0)


def hand_over(page: Page, how: str, name: str, content: bytes) -> None:
    """Drop a file on the page, or paste it into the input, as a program does."""
    place = prompt_box(page) if how == "paste" else page.get_by_test_id("stAppViewContainer")
    place.evaluate(
        """(place, [how, name, content]) => {
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            const data = new DataTransfer();
            data.items.add(new File([bytes], name, {type: "image/png"}));
            const more = how === "paste" ? {clipboardData: data} : {dataTransfer: data};
            const kind = how === "paste" ? ClipboardEvent : DragEvent;
            place.dispatchEvent(new kind(how, {bubbles: true, cancelable: true, ...more}));
        }""",
        [how, name, base64.b64encode(content).decode()],
    )


def files_of(message: Any) -> Any:
    """The files that a message shows."""
    return message.locator(".chat-files a")


def documents(request: dict[str, Any]) -> list[str]:
    return list(stand_in.documents_of(request))


def is_drawn(image: Any) -> bool:
    return bool(image.evaluate("async (image) => { await image.decode(); return true; }"))


def test_files_are_attached_shown_and_sent_again(
    address: str, visitor: BrowserContext, bedrock: Any, tmp_path: Path
) -> None:
    page = open_page(visitor, address)
    choose(page, file("report.pdf"), file("report.docx", uploads.GOOD["a.docx"]))
    expect_uploaded(page, 2)
    hand_over(page, "paste", "image.png", uploads.png(300, 200))
    expect_uploaded(page, 3)
    hand_over(page, "drop", "dropped.png", uploads.png(200, 300))
    expect_uploaded(page, 4)
    say(page, "Compare")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(chips(page)).to_have_count(0)
    for _ in range(2):
        shown = files_of(messages(page).nth(0))
        expect(shown).to_have_count(4)
        expect(shown.nth(0)).to_contain_text("report.pdf")
        assert all(is_drawn(image) for image in shown.locator("img").all())
        page.reload()
    with page.expect_download() as downloading:
        shown.nth(0).click()
    assert downloading.value.suggested_filename == "report.pdf"
    downloading.value.save_as(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes() == uploads.PDF
    say(page, "And now?")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    first, second = bedrock.requests
    assert documents(first) == documents(second) == ["report", "report 2"]
    assert first["messages"][0]["content"][:-1] == second["messages"][0]["content"][:-1]


GOOD = "A table whose name is longer than a phone is wide but good"
IS_SHOWN_WHOLE = """each => {
    const words = document.createRange();
    words.selectNodeContents(each);
    const places = [words, each.closest("button")].map((one) => one.getBoundingClientRect());
    return places[0].right <= places[1].right;
}"""


def test_what_can_not_be_taken_is_said_and_nothing_else_is_lost(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    # Those that the browser refuses: the message is held back until they are removed.
    hand_over(page, "drop", "tool.exe", b"MZ")
    choose(page, file("large.pdf", uploads.PDF + bytes(6_000_000)), file(f"{GOOD}.csv", b"a,b"))
    expect(chips(page)).to_have_count(3)
    say(page, "Compare")
    notice = page.get_by_role("alert").filter(has_text="Not sent")
    expect(notice).to_contain_text("tool.exe")
    expect(notice).to_contain_text("large.pdf")
    expect(prompt_box(page)).to_have_value("Compare")
    for name in ("tool.exe", "large.pdf"):
        page.get_by_role("button", name=f"Remove {name}").click()
    # Those that only the server finds out about.
    choose(page, file("fake.pdf", b"<html>"))
    expect_uploaded(page, 2)
    prompt_box(page).press("Enter")
    expect(page.get_by_text("fake.pdf: The content does not match the ending")).to_be_visible()
    expect(notice).to_be_hidden()
    expect(prompt_box(page)).to_have_value("Compare")
    expect(page.get_by_role("button", name=f"Remove {GOOD}.csv (3 B)")).to_be_visible()
    page.set_viewport_size({"width": 360, "height": 740})
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "files-refused.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    held = page.locator(".st-key-held-chips p")
    assert held.evaluate(IS_SHOWN_WHOLE)
    page.set_viewport_size({"width": 1200, "height": 800})
    assert not bedrock.requests
    prompt_box(page).press("Enter")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(files_of(messages(page).nth(0))).to_contain_text(GOOD)
    expect(page.get_by_text("fake.pdf")).to_have_count(0)
    # A model that reads text only.
    choose_model(page, "Amazon Nova Micro")
    choose(page, file("report.pdf"))
    expect_uploaded(page, 1)
    say(page, "And this?")
    expect(page.get_by_text("Amazon Nova Micro takes no files.")).to_be_visible()
    expect(prompt_box(page)).to_have_value("And this?")
    choose_model(page, "Claude Haiku 5.5")
    choose(page, file("report.pdf"))
    expect_uploaded(page, 1)
    prompt_box(page).press("Enter")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    assert documents(bedrock.requests[-1]) == [GOOD, "report"]


def test_what_is_said_of_files_and_answers_is_in_one_language(
    address: str, browser: Browser, bedrock: Any
) -> None:
    german = browser.new_context(locale="de-AT")
    german.set_default_timeout(LONG)
    page = open_page(german, address)
    end = threading.Event()
    bedrock.reply(end, "Das Ende.")
    say(page, "Los")
    thinking = page.get_by_test_id("stSpinner").locator("p")
    expect(thinking).to_have_text("Denkt nach")
    expect(thinking).to_have_attribute("data-time", re.compile(r"^\d+ Sekunden?$"))
    end.set()
    expect(messages(page).nth(1)).to_contain_text("Das Ende.")
    hand_over(page, "drop", "tool.exe", b"MZ")
    choose(page, file("large.pdf", uploads.PDF + bytes(6_000_000)))
    expect(chips(page)).to_have_count(2)
    say(page, "Vergleiche")
    notice = page.get_by_role("alert").filter(has_text="Nicht gesendet")
    names, largest, kinds = notice.inner_text().splitlines()
    assert names.endswith("tool.exe, large.pdf")
    assert largest == "Eine Datei darf bis zu 5 MB groß sein."
    assert kinds.startswith("Diese Arten von Dateien können angehängt werden: .")
    page.screenshot(path=SCREENSHOTS / "files-german.png")
    german.close()


@contextmanager
def slow_uploads(page: Page) -> Iterator[list[Route]]:
    """Hold back what is uploaded until the end."""
    held: list[Route] = []
    is_slow = threading.Event()
    is_slow.set()

    def pass_on(route: Route) -> None:
        if is_slow.is_set():
            held.append(route)
        else:
            route.continue_()

    page.route("**/upload_file/**", pass_on)
    yield held
    is_slow.clear()
    for each in held:
        each.continue_()


PASTE_AND_SEND = """(input, content) => {
    const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], "photo.png", {type: "image/png"}));
    const how = {bubbles: true, cancelable: true};
    input.dispatchEvent(new ClipboardEvent("paste", {...how, clipboardData}));
    input.dispatchEvent(new KeyboardEvent("keydown", {...how, key: "Enter", keyCode: 13}));
}"""


@pytest.mark.parametrize("how", ["Enter", "at once"])
def test_a_message_that_is_sent_before_its_files_are_uploaded_takes_them_along(
    address: str, visitor: BrowserContext, bedrock: Any, how: str
) -> None:
    page = open_page(visitor, address)
    prompt_box(page).fill("Look")
    with slow_uploads(page) as held:
        if how == "Enter":
            choose(page, file("photo.png", uploads.png()))
            expect(page.get_by_test_id("stFileChipIconSpinner")).to_be_visible()
            prompt_box(page).press("Enter")
        else:  # before Streamlit shows the file
            content = base64.b64encode(uploads.png()).decode()
            prompt_box(page).evaluate(PASTE_AND_SEND, content)
        notice = page.get_by_role("alert").filter(has_text="will be sent when its files")
        expect(notice).to_be_visible()
        expect(prompt_box(page)).to_have_value("Look")
        page.screenshot(path=SCREENSHOTS / "files-uploading.png")
        # Playwright hands out a request only while it is asked something.
        wait_until(lambda: page.title() and held, "the upload has begun")
        assert not bedrock.requests
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(notice).to_be_hidden()
    expect(files_of(messages(page).nth(0))).to_have_count(1)
    expect(messages(page).nth(0)).to_contain_text("Look")
    expect(prompt_box(page)).to_have_value("")
    assert len(bedrock.requests) == 1


def test_who_writes_on_while_files_are_uploaded_sends_it_themselves(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    with slow_uploads(page):
        choose(page, file("report.pdf"))
        expect(chips(page)).to_have_count(1)
        say(page, "Look at page")
        notice = page.get_by_role("alert").filter(has_text="will be sent when its files")
        expect(notice).to_be_visible()
        prompt_box(page).press_sequentially(" 5")
        expect(notice).to_be_hidden()
    expect_uploaded(page, 1)
    expect(prompt_box(page)).to_have_value("Look at page 5")
    prompt_box(page).press("Enter")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(messages(page).nth(0)).to_contain_text("Look at page 5")
    assert len(bedrock.requests) == 1


def test_an_upload_that_fails_while_its_message_waits_is_said(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    with slow_uploads(page) as held:
        choose(page, file("report.pdf"))
        expect(chips(page)).to_have_count(1)
        say(page, "Look")
        expect(page.get_by_role("alert").filter(has_text="will be sent")).to_be_visible()
        held.pop().abort()
        notice = page.get_by_role("alert").filter(has_text="Not sent")
        expect(notice).to_contain_text("report.pdf")
        expect(prompt_box(page)).to_have_value("Look")
        page.get_by_test_id("stFileChipIconError").click()  # once more
        prompt_box(page).press("Enter")
        expect(page.get_by_role("alert").filter(has_text="will be sent")).to_be_visible()
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(files_of(messages(page).nth(0))).to_have_count(1)


def test_a_file_is_a_message_of_its_own(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    page = open_page(visitor, address)
    hand_over(page, "paste", "image.png", uploads.png(900, 300))
    expect_uploaded(page, 1)
    prompt_box(page).press("Enter")
    expect(messages(page).nth(1)).to_contain_text("An answer.")
    expect(files_of(messages(page).nth(0))).to_have_count(1)
    page.set_viewport_size({"width": 360, "height": 740})
    page.reload()
    expect(files_of(messages(page).nth(0))).to_have_count(1)
    expect(page.locator("#first-sight")).to_have_count(0)
    expect(prompt_box(page)).to_be_visible()
    assert is_drawn(files_of(messages(page).nth(0)).locator("img"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.screenshot(path=SCREENSHOTS / f"files-phone-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(prompt_box(page)).to_have_value("")


def test_a_browser_without_cookies_is_told_that_it_can_upload_nothing(
    address: str, visitor: BrowserContext, bedrock: Any
) -> None:
    block_cookies(visitor)
    page = open_page(visitor, address)
    page.set_viewport_size({"width": 360, "height": 740})
    page.emulate_media(color_scheme="dark")
    hand_over(page, "paste", "photo.png", uploads.png())
    notice = page.get_by_role("alert").filter(has_text="blocks the cookies of this site")
    expect(notice).to_be_in_viewport(ratio=1)
    expect(page.get_by_test_id("stFileChipIconError")).to_be_visible()
    page.wait_for_function(
        """() => {
            const [notice, input] = ["#files-notice", '[data-testid="stChatInput"]'].map((each) =>
                document.querySelector(each).getBoundingClientRect());
            return notice.bottom <= input.top;
        }"""
    )
    page.screenshot(path=SCREENSHOTS / "files-no-cookies.png")
    say(page, "Look")
    expect(notice).to_be_visible()
    expect(prompt_box(page)).to_have_value("Look")
    page.get_by_role("button", name="Remove photo.png").click()
    expect(notice).to_be_hidden()
    prompt_box(page).press("Enter")
    expect(messages(page).nth(1)).to_contain_text("An answer.")


# Two tasks

needs_haproxy = pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is missing")
needs_unshare = pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare")


@pytest.fixture(scope="module")
def cluster(bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two tasks that take a stand-in for Bedrock, without their balancer."""
    project, folder = bake_to_keep(models="both"), tmp_path_factory.mktemp("cluster")
    with stand_in.bedrock_stand_in() as bedrock:
        running = Cluster(project, folder, bedrock_environment(bedrock.url))
        running.start_tasks()
        try:
            yield running
        finally:
            running.stop()


@needs_haproxy
@needs_unshare
def test_an_upload_that_reaches_the_wrong_task_is_said(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    with cluster.balanced(sticky=False):  # so that every second upload does
        page = open_page(visitor, cluster.address)
        failed, spinner = (
            page.get_by_test_id(f"stFileChipIcon{each}") for each in ("Error", "Spinner")
        )
        while not failed.count():
            with page.expect_response("**/upload_file/**"):
                choose(page, file("report.pdf"))
            expect(spinner).to_have_count(0)
        say(page, "Read it")
        notice = page.get_by_role("alert").filter(has_text="Not sent")
        expect(notice).to_contain_text("report.pdf")
        expect(prompt_box(page)).to_have_value("Read it")
        expect(messages(page)).to_have_count(0)
        while failed.count():
            with page.expect_response("**/upload_file/**"):
                failed.first.click()
            expect(spinner).to_have_count(0)
        expect(notice).to_be_hidden()
        prompt_box(page).press("Enter")
        expect(messages(page).nth(1)).to_contain_text("An answer.")
        expect(files_of(messages(page).nth(0)).first).to_contain_text("report.pdf")


def test_a_file_that_is_attached_as_the_page_is_drawn_again_appears(
    project: Project, visitor: BrowserContext
) -> None:
    """The server stands still meanwhile, so that it hears of both at once."""
    with serve(project, free_port()) as server:
        page = visitor.new_page()
        with page.expect_websocket() as opened:
            page.goto(server.address)
        say(page, "Hello")
        page.get_by_role("radio", name="Thumbs up").wait_for()
        for rating in ("up", "down") * 3:
            server.process.send_signal(signal.SIGSTOP)
            try:
                with opened.value.expect_event("framesent"):
                    page.get_by_role("radio", name=f"Thumbs {rating}").click()
                with opened.value.expect_event("framesent"):
                    choose(page, file("report.csv", b"a,b"))
            finally:
                server.process.send_signal(signal.SIGCONT)
            expect_uploaded(page, 1)
            chips(page).get_by_role("button").click()
            expect(chips(page)).to_have_count(0)


@needs_haproxy
@needs_unshare
@pytest.mark.parametrize("sends", [False, True])
def test_a_task_that_dies_with_the_files_costs_none_of_them(
    cluster: Cluster, visitor: BrowserContext, sends: bool
) -> None:
    """Before the message is sent, or before it is read."""
    cluster.start_tasks()
    with cluster.balanced(sticky=True):
        page = open_page(visitor, cluster.address)
        choose(page, file("report.pdf"), file("photo.png", uploads.png()))
        expect_uploaded(page, 2)
        task, other = hostname_of(page), cluster.other_than(page)
        if sends:
            cluster.signal_task(task, signal.SIGSTOP)
            say(page, "Read it")
            expect(chips(page)).to_have_count(0)
        else:
            prompt_box(page).fill("Read it")
        with page.expect_websocket():  # the next one
            cluster.signal_task(task, signal.SIGKILL)
        expect(prompt_box(page)).to_be_enabled()
        expect_uploaded(page, 2)
        expect(prompt_box(page)).to_have_value("Read it")
        prompt_box(page).press("Enter")
        expect(messages(page).nth(1)).to_contain_text("An answer.")
        expect(sidebar(page)).to_contain_text(other)
        expect(files_of(messages(page).nth(0))).to_have_count(2)


@needs_haproxy
@needs_unshare
def test_files_that_were_lost_with_a_task_and_the_page_are_named(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    cluster.start_tasks()
    with cluster.balanced(sticky=True):
        page = open_page(visitor, cluster.address)
        choose(page, file("report.pdf"))
        expect_uploaded(page, 1)
        task = hostname_of(page)
        cluster.signal_task(task, signal.SIGSTOP)
        say(page, "Read it")
        expect(chips(page)).to_have_count(0)
        cluster.signal_task(task, signal.SIGKILL)
        page.reload()
        expect(prompt_box(page)).to_have_value("Read it")
        expect(page.get_by_role("alert").filter(has_text="Attach these")).to_contain_text(
            "report.pdf"
        )
