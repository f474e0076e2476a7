"""People sign in, in a browser: two tasks behind a balancer without stickiness, and a provider."""

import re
import shutil
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from support.browsing import (
    LONG,
    SCREENSHOTS,
    hostname_of,
    messages,
    needs_browser,
    open_about,
    open_new_chat,
    prompt_box,
    say,
    session_of,
    sidebar,
)
from support.cluster import HAPROXY, Cluster
from support.projects import Project
from support.provider import COOKIE_SECRET, let_sign_in_end, stand_in
from support.rendering import Bake
from support.waiting import wait_until

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare"),
]
NewDevice = Callable[[], BrowserContext]


@pytest.fixture(scope="module")
def project(bake_to_keep: Bake) -> Project:
    return bake_to_keep()


@pytest.fixture(scope="module")
def tasks(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two tasks, and a provider that asks people who they are."""
    cluster = Cluster(project, tmp_path_factory.mktemp("cluster"), {"CHATBOT_BACKEND": "demo"})
    with stand_in.provider(cluster.address) as provider:
        provider.who = None
        secret = {"STREAMLIT_SERVER_COOKIE_SECRET": COOKIE_SECRET}
        cluster.environment |= provider.environment() | secret
        cluster.start_tasks()
        try:
            with cluster.balanced(sticky=False):
                yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def cluster(tasks: Cluster) -> Cluster:
    tasks.start_tasks()
    return tasks


@pytest.fixture
def new_device(browser: Browser) -> Iterator[NewDevice]:
    """Make browsers of their own, for other devices and people."""
    contexts: list[BrowserContext] = []

    def make() -> BrowserContext:
        contexts.append(browser.new_context())
        contexts[-1].set_default_timeout(LONG)
        return contexts[-1]

    yield make
    for context in contexts:
        context.close()


def open_signed_out(visitor: BrowserContext, address: str) -> Page:
    page = visitor.new_page()
    page.goto(address)
    expect_sign_in(page)
    return page


def expect_sign_in(page: Page) -> None:
    expect(page.get_by_text("Please sign in.")).to_be_visible()
    expect(prompt_box(page)).to_have_count(0)


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("link", name="Sign in").click()
    page.get_by_role("link", name=name).click()
    expect_person(page, name)


def expect_person(page: Page, name: str) -> None:
    expect(sidebar(page)).to_contain_text(f"Signed in as {name}@example.com")
    expect(prompt_box(page)).to_be_visible()


def open_as(visitor: BrowserContext, cluster: Cluster, name: str) -> Page:
    page = open_signed_out(visitor, cluster.address)
    sign_in(page, name)
    return page


def open_with_a_chat(visitor: BrowserContext, cluster: Cluster, name: str) -> Page:
    page = open_as(visitor, cluster, name)
    say(page, "Hello")
    answered(page, 2)
    assert "?chat=" in page.url
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    return page


def sign_out_a_copy(visitor: BrowserContext, cluster: Cluster, other: BrowserContext) -> None:
    """End the person's sign-in with a copy of the cookies, which the open pages do not notice."""
    other.add_cookies([{**each} for each in visitor.cookies()])  # type: ignore[typeddict-item]
    other.request.get(f"{cluster.address}/auth/logout")


def sign_out(page: Page) -> None:
    """Sign out in all tabs; Chromium would never close one that is about to load itself again."""
    open_about(page).get_by_role("button", name="Sign out").click()
    for tab in page.context.pages:
        expect_sign_in(tab)


def answered(page: Page, count: int) -> None:
    expect(messages(page)).to_have_count(count)
    expect(page.get_by_role("button", name="Stop")).to_have_count(0, timeout=3 * LONG)


def test_who_has_not_signed_in_sees_a_page_with_a_button(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    page = open_signed_out(visitor, cluster.address)
    expect(page).to_have_title("Team Chatbot")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "sign-in.png")
    assert [url for url in asked if "favicon" not in url] == [f"{cluster.address}/"]


def test_the_chats_of_a_person_are_on_every_device_and_outlive_the_task(
    cluster: Cluster, visitor: BrowserContext, new_device: NewDevice
) -> None:
    page = open_as(visitor, cluster, "alice")
    say(page, "Answer slowly, please")
    expect(messages(page).nth(1)).to_contain_text(re.compile(r"\w+"))
    page.screenshot(path=SCREENSHOTS / "signed-in.png")
    cluster.signal_task(hostname_of(page), signal.SIGKILL)
    other = open_as(new_device(), cluster, "alice")
    expect(messages(other).nth(0)).to_contain_text("Answer slowly, please")
    for each in (page, other):
        answered(each, 2)
    assert session_of(page) == session_of(other)
    assert messages(page).nth(1).inner_text() == messages(other).nth(1).inner_text()


def test_a_sign_in_outlives_the_task_where_it_began(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    for name in ("task-one", "task-two"):
        cluster.start_tasks()
        page = open_signed_out(visitor, cluster.address)
        page.get_by_role("link", name="Sign in").click()
        expect(page.get_by_text("Who are you?")).to_be_visible()
        cluster.signal_task(name, signal.SIGKILL)
        page.get_by_role("link", name="carol").click()
        expect_person(page, "carol")
        sign_out(page)


def test_the_next_person_on_the_same_browser_sees_nothing_of_the_first(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    page = open_as(visitor, cluster, "dan")
    say(page, "Only for Dan")
    answered(page, 2)
    address = page.url
    sign_out(page)
    page.go_back()
    expect_sign_in(page)
    sign_in(page, "eve")
    expect(sidebar(page)).not_to_contain_text("Only for Dan")
    page.goto(address)
    expect_person(page, "eve")
    expect(page.get_by_text("How can I help?")).to_be_visible()
    expect(page.get_by_text("Only for Dan")).to_have_count(0)


def test_all_tabs_follow_who_signs_out_and_in(cluster: Cluster, visitor: BrowserContext) -> None:
    first = open_as(visitor, cluster, "frank")
    say(first, "In the first tab")
    answered(first, 2)
    second = visitor.new_page()
    second.goto(cluster.address)
    expect_person(second, "frank")
    sign_out(first)
    expect_sign_in(second)
    sign_in(second, "frank")
    expect_person(first, "frank")
    sign_out(second)
    expect_sign_in(first)
    sign_in(second, "eve")
    expect_person(first, "eve")


def test_a_slow_sign_out_is_not_broken_off(
    cluster: Cluster, visitor: BrowserContext, new_device: NewDevice
) -> None:
    page = open_with_a_chat(visitor, cluster, "kim")
    page.evaluate("() => { setInterval(() => dispatchEvent(new Event('focus')), 200); }")
    held: list[Route] = []
    page.route("**/auth/logout", lambda route: held.append(route))
    with page.expect_request("**/auth/logout"):
        open_about(page).get_by_role("button", name="Sign out").click(no_wait_after=True)
    with page.expect_response(lambda each: each.status == 401):  # as the page looks every time
        sign_out_a_copy(visitor, cluster, new_device())
    held[0].continue_()
    expect_sign_in(page)
    assert page.url == f"{cluster.address}/"


def test_who_was_signed_out_elsewhere_can_still_sign_out_at_the_provider(
    cluster: Cluster, visitor: BrowserContext, new_device: NewDevice
) -> None:
    page = open_with_a_chat(visitor, cluster, "leo")
    sign_out_a_copy(visitor, cluster, new_device())
    asked: list[str] = []
    visitor.on("request", lambda request: asked.append(request.url))
    sign_out(page)
    assert page.url == f"{cluster.address}/"
    assert f"{cluster.address}/auth/logout" in asked


def test_two_tabs_sign_in_at_once(cluster: Cluster, visitor: BrowserContext) -> None:
    tabs = [open_signed_out(visitor, cluster.address) for _ in range(2)]
    for tab in tabs:
        tab.get_by_role("link", name="Sign in").click()
        expect(tab.get_by_text("Who are you?")).to_be_visible()
    for tab in tabs:
        tab.get_by_role("link", name="alice").click()
        expect_person(tab, "alice")


def test_the_address_of_a_chat_survives_the_sign_in(
    cluster: Cluster, visitor: BrowserContext, new_device: NewDevice
) -> None:
    page = open_as(visitor, cluster, "grace")
    for text in ("The first chat", "The second chat"):
        open_new_chat(page)
        say(page, text)
        answered(page, 2)
    sidebar(page).get_by_role("button", name="The first chat", exact=True).click()
    expect(messages(page).nth(0)).to_contain_text("The first chat")
    other = open_signed_out(new_device(), page.url)
    sign_in(other, "grace")
    expect(messages(other).nth(0)).to_contain_text("The first chat")
    assert other.url == page.url


def test_what_is_sent_when_the_sign_in_is_over_is_saved_first(
    cluster: Cluster, project: Project, visitor: BrowserContext
) -> None:
    page = open_as(visitor, cluster, "heidi")
    say(page, "While I am signed in")
    answered(page, 2)
    let_sign_in_end(project, visitor, 6)
    page.reload()
    expect_person(page, "heidi")
    wait_until(lambda: is_over(page), "the sign-in is over", 20)
    say(page, "A moment too late")
    expect_sign_in(page)
    sign_in(page, "heidi")
    expect(messages(page).nth(2)).to_contain_text("A moment too late")
    answered(page, 4)


def test_a_page_that_loses_its_connection_when_the_sign_in_is_over_asks_to_sign_in(
    cluster: Cluster, project: Project, visitor: BrowserContext
) -> None:
    page = open_as(visitor, cluster, "ivan")
    let_sign_in_end(project, visitor, 6)
    page.reload()
    expect_person(page, "ivan")
    prompt_box(page).fill("A draft that I thought about for long")
    wait_until(lambda: is_over(page), "the sign-in is over", 20)
    cluster.signal_task(hostname_of(page), signal.SIGKILL)
    expect_sign_in(page)
    sign_in(page, "ivan")
    expect(prompt_box(page)).to_have_value("A draft that I thought about for long")
    prompt_box(page).press("Enter")
    expect(messages(page).nth(-2)).to_contain_text("A draft that I thought about for long")


def is_over(page: Page) -> bool:
    """Ask the server as if another page did, which the open one does not notice."""
    answer: Any = page.context.request.get(page.url, fail_on_status_code=False)
    return bool(answer.status == 401)


def test_the_draft_of_one_person_is_not_shown_to_another(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    page = open_as(visitor, cluster, "judy")
    prompt_box(page).fill("A secret draft")
    other = visitor.new_page()
    other.goto(cluster.address)
    sign_out(other)
    expect_sign_in(page)
    sign_in(page, "eve")
    expect(prompt_box(page)).to_have_value("")
