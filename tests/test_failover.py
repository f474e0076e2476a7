"""Conversations outlive tasks, tabs and devices: two tasks behind a balancer over one folder."""

import shutil
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    LONG,
    add_cookies_of_other_applications,
    block_cookies,
    choose_action,
    choose_model,
    delete_chat,
    expect_texts,
    hostname_of,
    messages,
    needs_browser,
    open_about,
    open_new_chat,
    open_page,
    prompt_box,
    say,
    sidebar,
    text_of,
    titles,
)
from support.cluster import HAPROXY, SERVED_BY, Cluster
from support.rendering import Bake

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare"),
]
TAKEN_OVER = 10_000  # milliseconds, the README's promise after a SIGKILL


@pytest.fixture(scope="module")
def tasks(
    bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Cluster, Any]]:
    """Two tasks that take a stand-in for Bedrock, and the stand-in."""
    project, folder = bake_to_keep(models="both"), tmp_path_factory.mktemp("cluster")
    with stand_in.bedrock_stand_in() as bedrock:
        cluster = Cluster(project, folder, bedrock_environment(bedrock.url))
        try:
            yield cluster, bedrock
        finally:
            cluster.stop()


@pytest.fixture(scope="module", params=["sticky", "round robin"])
def balanced(request: pytest.FixtureRequest, tasks: tuple[Cluster, Any]) -> Iterator[Cluster]:
    cluster, _ = tasks
    cluster.start_tasks()
    with cluster.balanced(sticky=request.param == "sticky"):
        yield cluster


@pytest.fixture
def cluster(balanced: Cluster) -> Cluster:
    """Two tasks that run, behind their balancer."""
    balanced.start_tasks()
    return balanced


# Only without stickiness, which is harder, for what does not depend on who comes back where.
in_turns = pytest.mark.parametrize("balanced", ["round robin"], indirect=True)


@pytest.fixture
def bedrock(tasks: tuple[Cluster, Any]) -> Any:
    _, running = tasks
    running.requests.clear()
    return running


def answer(page: Page) -> Any:
    return messages(page).nth(1)


def open_elsewhere(cluster: Cluster, browser: Browser, page: Page) -> Page:
    """Open the page's conversation on a second device, which the other task serves."""
    context = browser.new_context(storage_state=without_stickiness(page.context))
    context.set_default_timeout(LONG)
    wanted = cluster.other_than(page)
    context.add_cookies([{"name": SERVED_BY, "value": wanted, "url": cluster.address}])
    other = open_page(context, page.url)
    assert hostname_of(other) == wanted
    return other


def without_stickiness(context: BrowserContext) -> Any:
    state = context.storage_state()
    state["cookies"] = [each for each in state["cookies"] if each["name"] != "TASK"]
    return state


def test_a_conversation_is_the_same_on_both_tasks(
    cluster: Cluster, browser: Browser, visitor: BrowserContext
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Remember me")
    expect(answer(page)).to_contain_text("An answer.")
    restarted = browser.new_context(storage_state=without_stickiness(visitor))
    for again in (page, open_page(visitor, cluster.address), open_page(restarted, cluster.address)):
        for _ in range(4):
            again.reload()
            expect(messages(again)).to_have_count(2)
            expect(messages(again).nth(0)).to_contain_text("Remember me")
            expect(answer(again)).to_contain_text("An answer.")
    expect(messages(open_elsewhere(cluster, browser, page))).to_have_count(2)
    restarted.close()


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_task_that_ends_while_idle_costs_not_even_the_draft(
    cluster: Cluster, visitor: BrowserContext, ending: signal.Signals
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Before")
    expect(answer(page)).to_contain_text("An answer.")
    prompt_box(page).fill("A draft that I thought about for long")
    other = cluster.other_than(page)
    with page.expect_websocket():  # the next one
        cluster.signal_task(hostname_of(page), ending)
    expect(prompt_box(page)).to_be_enabled()
    expect(prompt_box(page)).to_have_value("A draft that I thought about for long")
    prompt_box(page).press("Enter")
    expect(messages(page)).to_have_count(4)
    expect(sidebar(page)).to_contain_text(other)
    expect(messages(page).nth(0)).to_contain_text("Before")
    expect(messages(page).nth(2)).to_contain_text("A draft that I thought about for long")
    expect(messages(page).nth(3)).to_contain_text("An answer.")


@pytest.mark.parametrize("reloads", [False, True])
def test_a_message_that_a_dying_task_has_not_read_goes_back_into_the_input(
    cluster: Cluster, visitor: BrowserContext, reloads: bool
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Again")
    expect(answer(page)).to_contain_text("An answer.")
    cluster.signal_task(hostname_of(page), signal.SIGSTOP)
    say(page, "Again")  # which the page shows already, once
    say(page, "And\n  more\nof it")
    cluster.signal_task(hostname_of(page), signal.SIGKILL)
    if reloads:
        page.reload()
    expected = "Again\n\nAnd\n  more\nof it"
    expect(prompt_box(page)).to_have_value(expected)
    prompt_box(page).press("Enter")
    expect(messages(page)).to_have_count(4)
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    assert text_of(messages(page).nth(2)) == expected
    page.reload()
    expect(messages(page)).to_have_count(4)
    expect(prompt_box(page)).to_have_value("")


@in_turns
def test_a_message_that_is_too_long_is_told_by_the_task_that_takes_over(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    page = open_page(visitor, cluster.address)
    draft = "x" * 50_001
    prompt_box(page).fill(draft)
    other = cluster.other_than(page)
    with page.expect_websocket():  # the next one
        cluster.signal_task(hostname_of(page), signal.SIGKILL)
    expect(prompt_box(page)).to_be_enabled()
    prompt_box(page).press("Enter")
    expect(page.get_by_text("has 50,001 characters")).to_be_visible()
    expect(prompt_box(page)).to_have_value(draft)
    expect(sidebar(page)).to_contain_text(other)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_an_answer_is_completed_by_the_task_that_takes_over(
    cluster: Cluster, visitor: BrowserContext, bedrock: Any, ending: signal.Signals
) -> None:
    never = Event()
    bedrock.reply("Once upon ", never)
    bedrock.reply("a time.")
    page = open_page(visitor, cluster.address)
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Once upon")
    other = cluster.other_than(page)
    cluster.signal_task(hostname_of(page), ending)
    expect(answer(page)).to_contain_text("Once upon a time.", timeout=TAKEN_OVER)
    expect(sidebar(page)).to_contain_text(other)
    never.set()
    page.reload()
    expect(answer(page)).to_contain_text("Once upon")
    expect(messages(page)).to_have_count(2)
    expect_texts(answer(page), "Once upon a time.")
    first, second = bedrock.requests  # the second one goes on from what was shown
    assert second["messages"][:2] == [
        *first["messages"],
        {"role": "assistant", "content": [{"text": "Once upon "}]},
    ]


def test_a_task_that_was_only_frozen_does_no_harm(
    cluster: Cluster, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Once upon ", more, "another time, said the frozen one.")
    bedrock.reply("a time.")
    page = open_page(visitor, cluster.address)
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Once upon")
    frozen = hostname_of(page)
    cluster.signal_task(frozen, signal.SIGSTOP)
    try:
        expect(answer(page)).to_contain_text("Once upon a time.")
    finally:
        cluster.signal_task(frozen, signal.SIGCONT)
    more.set()
    say(page, "And then?")
    expect(messages(page).nth(3)).to_contain_text("An answer.")
    for _ in range(4):
        page.reload()
        expect(messages(page)).to_have_count(4)
        expect(answer(page)).to_contain_text("Once upon")
        expect_texts(answer(page), "Once upon a time.")


@in_turns
def test_an_answer_goes_on_without_the_tab_and_is_seen_everywhere(
    cluster: Cluster, browser: Browser, visitor: BrowserContext, bedrock: Any
) -> None:
    more, enough = Event(), Event()
    bedrock.reply("One, ", more, "two, ", enough, "three.")
    page = open_page(visitor, cluster.address)
    say(page, "Count")
    expect(answer(page)).to_contain_text("One,")
    tab, device = open_page(visitor, page.url), open_elsewhere(cluster, browser, page)
    page.reload()
    for each in (page, tab, device):
        expect(answer(each)).to_contain_text("One,")
    open_new_chat(page)
    more.set()
    for each in (tab, device):
        expect(answer(each)).to_contain_text("One, two,")
    tab.close()
    page.close()
    enough.set()
    expect(answer(device)).to_contain_text("One, two, three.")
    expect(answer(open_page(visitor, device.url))).to_contain_text("One, two, three.")
    assert len(bedrock.requests) == 1


@in_turns
def test_an_answer_that_nobody_watched_is_completed_when_somebody_looks(
    cluster: Cluster, visitor: BrowserContext, bedrock: Any
) -> None:
    bedrock.reply("Once upon ", Event())
    bedrock.reply("a time.")
    page = open_page(visitor, cluster.address)
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Once upon")
    address, task = page.url, hostname_of(page)
    page.close()
    cluster.signal_task(task, signal.SIGKILL)
    expect(answer(open_page(visitor, address))).to_contain_text("Once upon a time.")


@in_turns
def test_stop_works_from_a_device_on_the_other_task(
    cluster: Cluster, browser: Browser, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Only this", more, " and not that")
    page = open_page(visitor, cluster.address)
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Only this")
    device = open_elsewhere(cluster, browser, page)
    device.get_by_role("button", name="Stop").click()
    for each in (page, device):
        expect(answer(each)).to_contain_text("Stopped.")
    more.set()
    for each in (page, device):
        each.reload()
        expect(answer(each)).to_contain_text("Only this")
        expect(answer(each)).to_contain_text("Stopped.")
        expect(answer(each)).not_to_contain_text("not that")


@in_turns
def test_a_second_message_from_the_other_task_stops_the_answer(
    cluster: Cluster, browser: Browser, visitor: BrowserContext, bedrock: Any
) -> None:
    more = Event()
    bedrock.reply("Only this", more, " and not that")
    page = open_page(visitor, cluster.address)
    say(page, "Tell me")
    expect(answer(page)).to_contain_text("Only this")
    device = open_elsewhere(cluster, browser, page)
    choose_model(device, "Claude Sonnet 5.5")  # which stops nothing
    expect(device.get_by_role("button", name="Stop")).to_be_visible()
    say(device, "No, tell me that")
    expect(messages(device).nth(3)).to_contain_text("An answer.")
    more.set()
    page.reload()
    for each in (page, device):
        expect(messages(each)).to_have_count(4)
        expect(answer(each)).to_contain_text("Only this")
        expect(answer(each)).to_contain_text("Stopped.")
        expect(answer(each)).not_to_contain_text("not that")
        expect(messages(each).nth(2)).to_contain_text("No, tell me that")


@in_turns
def test_both_tasks_take_messages_at_once(
    cluster: Cluster, browser: Browser, visitor: BrowserContext
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Message 0")
    expect(answer(page)).to_contain_text("An answer.")
    device = open_elsewhere(cluster, browser, page)
    for number in range(1, 9, 2):
        say(page, f"Message {number}")
        say(device, f"Message {number + 1}")  # at once, and both before an answer
        for each, own in ((page, number), (device, number + 1)):
            expect(messages(each).get_by_text(f"Message {own}")).to_be_visible()
    orders = []
    for each in (page, device):
        expect(each.get_by_role("button", name="Stop")).to_have_count(0)
        each.reload()
        expect(messages(each)).to_have_count(18)
        expect(messages(each).last).to_contain_text("An answer.")
        orders.append([text_of(message) for message in messages(each).all()[::2]])
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == [f"Message {number}" for number in range(9)]


@in_turns
def test_chats_are_downloaded_from_either_task(cluster: Cluster, visitor: BrowserContext) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Keep this")
    expect(answer(page)).to_contain_text("An answer.")
    for action in ("Download Markdown", "Download JSON") * 2:
        with page.expect_download() as started:
            choose_action(page, "Keep this", action)
        assert "An answer." in Path(started.value.path()).read_text(encoding="utf-8")
    names = []
    for _ in range(2):
        with ZipFile(BytesIO(visitor.request.get(f"{cluster.address}/chats.zip").body())) as chats:
            names.append(chats.namelist())
    assert names[0] == names[1] != []


@in_turns
def test_both_tasks_delete(cluster: Cluster, browser: Browser, visitor: BrowserContext) -> None:
    page = open_page(visitor, cluster.address)
    for title in ("First", "Second"):
        open_new_chat(page)
        say(page, title)
        expect(answer(page)).to_contain_text("An answer.")
    device = open_elsewhere(cluster, browser, page)
    expect(messages(device).nth(0)).to_contain_text("Second")
    for each in (page, device):
        choose_action(each, "Second", "Delete")
    for each in (page, device):
        each.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for each in (page, device):
        expect(titles(each)).to_have_text(["First"])
        expect(each.get_by_text("storage")).to_have_count(0)


@in_turns
def test_a_message_to_a_chat_that_was_deleted_elsewhere_begins_a_new_one(
    cluster: Cluster, browser: Browser, visitor: BrowserContext
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Forget this")
    expect(answer(page)).to_contain_text("An answer.")
    device = open_elsewhere(cluster, browser, page)
    delete_chat(page, "Forget this")
    expect(messages(page)).to_have_count(0)
    say(device, "But not this")
    expect(answer(device)).to_contain_text("An answer.")
    expect(messages(device)).to_have_count(2)
    page.reload()
    expect(titles(page)).to_have_text(["But not this"])


@in_turns
def test_everything_is_deleted_on_both_tasks(
    cluster: Cluster, browser: Browser, visitor: BrowserContext
) -> None:
    folders = set(cluster.folder.glob("*"))  # which may not exist yet
    page = open_page(visitor, cluster.address)
    say(page, "Forget me")
    expect(answer(page)).to_contain_text("An answer.")
    device = open_elsewhere(cluster, browser, page)
    open_about(page).get_by_role("button", name="Delete all my chats").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete all chats").click()
    expect(messages(page)).to_have_count(0)
    device.reload()
    expect(device.get_by_text("How can I help?")).to_be_visible()
    [left] = set(cluster.folder.iterdir()) - folders - {cluster.folder / ".deleted"}
    assert [each.name for each in left.iterdir()] == ["usage.jsonl"]  # numbers, for the limit


@pytest.mark.parametrize("cleared", ["cookies", "local storage"])
def test_either_is_enough_on_both_tasks(
    cluster: Cluster, visitor: BrowserContext, cleared: str
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Remember me")
    expect(answer(page)).to_contain_text("An answer.")
    for _ in range(3):
        if cleared == "cookies":
            visitor.clear_cookies()
        else:
            page.evaluate("localStorage.clear()")
        page.goto(cluster.address)
        expect(messages(page).nth(0)).to_contain_text("Remember me")


@in_turns
@pytest.mark.parametrize("cleared", ["cookies", "local storage"])
def test_either_is_enough_to_reload_a_chat_by_its_address(
    cluster: Cluster, visitor: BrowserContext, cleared: str
) -> None:
    page = open_page(visitor, cluster.address)
    say(page, "Remember me")
    expect(answer(page)).to_contain_text("An answer.")
    open_new_chat(page)
    say(page, "A newer one")
    expect(answer(page)).to_contain_text("An answer.")
    page.get_by_role("button", name="Remember me", exact=True).click()
    expect(messages(page).nth(0)).to_contain_text("Remember me")
    address = page.url
    for _ in range(6):
        if cleared == "cookies":
            visitor.clear_cookies()
        else:
            page.evaluate("localStorage.clear()")
        page.reload()
        expect(messages(page).nth(0)).to_contain_text("Remember me")
        assert page.url.startswith(address)


@in_turns
def test_large_cookies_of_other_applications_are_no_obstacle(
    cluster: Cluster, visitor: BrowserContext
) -> None:
    add_cookies_of_other_applications(visitor, cluster.address)
    page = open_page(visitor, cluster.address)
    say(page, "Remember me")
    expect(answer(page)).to_contain_text("An answer.")
    page.reload()
    expect(answer(page)).to_contain_text("An answer.")


def test_blocked_cookies_are_no_obstacle_on_either_task(cluster: Cluster, browser: Browser) -> None:
    context = browser.new_context()
    context.set_default_timeout(LONG)
    block_cookies(context)
    page = open_page(context, cluster.address)
    say(page, "Remember me")
    expect(answer(page)).to_contain_text("An answer.")
    for _ in range(4):
        page.goto(cluster.address)
        expect(messages(page).nth(0)).to_contain_text("Remember me")
    context.close()
