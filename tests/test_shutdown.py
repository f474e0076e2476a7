"""A task that ends on AWS: nobody notices, because it leaves the load balancer first."""

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from threading import Event
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Response, expect

from support.bedrock import bedrock_environment, stand_in
from support.browsing import (
    LONG,
    expect_texts,
    hostname_of,
    messages,
    needs_browser,
    open_page,
    say,
    sidebar,
)
from support.cluster import HAPROXY, Cluster
from support.rendering import Bake, InfrastructureRenderer
from support.stack_parts import container, variables
from support.stacks import RenderedStack

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed"),
    pytest.mark.skipif(shutil.which("unshare") is None, reason="there is no unshare"),
]


@pytest.fixture(scope="module")
def stack(render_infrastructure: InfrastructureRenderer) -> RenderedStack:
    return render_infrastructure().create()


@pytest.fixture(scope="module")
def tasks(
    bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory, stack: RenderedStack
) -> Iterator[tuple[Cluster, Any]]:
    """Two tasks that drain as long as those on AWS, and their stand-in for Bedrock."""
    project, folder = bake_to_keep(models="both"), tmp_path_factory.mktemp("cluster")
    drain = {"CHATBOT_DRAIN_SECONDS": variables(stack)["CHATBOT_DRAIN_SECONDS"]}
    with stand_in.bedrock_stand_in() as bedrock:
        cluster = Cluster(project, folder, bedrock_environment(bedrock.url) | drain)
        try:
            yield cluster, bedrock
        finally:
            cluster.stop()


@pytest.mark.parametrize("sticky", [True, False], ids=["sticky", "round robin"])
def test_nobody_notices_that_a_task_ends(
    tasks: tuple[Cluster, Any],
    stack: RenderedStack,
    browser: Browser,
    visitor: BrowserContext,
    sticky: bool,
) -> None:
    cluster, bedrock = tasks
    bedrock.requests.clear()
    cluster.start_tasks()
    more, never = Event(), Event()
    bedrock.reply("One, ", more, "two, ", never)
    bedrock.reply("three.")
    errors: list[str] = []

    def note(response: Response) -> None:
        if response.status >= 400:
            errors.append(f"{response.status} {response.url}")

    with cluster.balanced(sticky, stack["TargetGroup"]):
        visitor.on("response", note)
        page = open_page(visitor, cluster.address)
        say(page, "Count")
        answer = messages(page).nth(1)
        expect(answer).to_contain_text("One,")
        ending, other = hostname_of(page), cluster.other_than(page)
        process = cluster.process_of(ending)

        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        more.set()
        expect(answer).to_contain_text("One, two,")
        assert hostname_of(page) == ending
        newest = ""
        while process.poll() is None:
            stuck = visitor.storage_state() if sticky else None
            with closing(browser.new_context(storage_state=stuck)) as newcomer:
                newcomer.set_default_timeout(LONG)
                newcomer.on("response", note)
                newest = hostname_of(open_page(newcomer, cluster.address))
        assert time.monotonic() - told < container(stack)["StopTimeout"]
        assert newest == other

        expect(answer).to_contain_text("three.")
        expect(sidebar(page)).to_contain_text(other)
        expect_texts(answer, "One, two, three.")
        assert len(bedrock.requests) == 2
        assert errors == []
