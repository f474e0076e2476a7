"""Fixtures that tests of several files use, and how pytest runs them."""

import os
import re
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, sync_playwright
from pytest_cookies.plugin import Cookies

from support.aws_emulator import command_line
from support.bedrock import stand_in
from support.browsing import CHROMIUM, FLAGS, LONG
from support.options import combine_all
from support.projects import Project
from support.rendering import Bake, InfrastructureRenderer, compile_once, render_project
from support.serving import Chatbot, serve_chatbot
from support.stacks import Infrastructure, RenderedStack


def pytest_configure() -> None:
    """Write no cache beside the template's modules, and heed a terminal's signals.

    Who runs the tests may ignore these, as nohup does; what the tests start must not.
    """
    sys.dont_write_bytecode = True  # else the cache would be rendered into projects
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files whose tests take longest, so that two processors end together."""
    longest = ("test_rendered_project.py", "test_infrastructure_linters.py", "test_keyboard.py")
    items.sort(key=lambda item: item.path.name not in longest)


# Rendered projects


@pytest.fixture
def bake(cookies: Cookies) -> Bake:
    """Render a project with options; the rest are the defaults."""
    return partial(render_project, cookies)


@pytest.fixture(scope="session")
def bake_to_keep(cookies_session: Cookies) -> Bake:
    """Render a project that several tests use."""
    return partial(render_project, cookies_session)


@pytest.fixture
def project(bake: Bake) -> Project:
    """A project with all the models."""
    return bake(models="both")


@pytest.fixture(scope="session")
def projects(bake_to_keep: Bake) -> list[Project]:
    """Every combination of options, rendered once.

    There is no git, as a repository in each would take longer than the rest.
    """
    with compile_once(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "")
        return [bake_to_keep(**options) for options in combine_all()]


# The infrastructure


@pytest.fixture(scope="session")
def render_infrastructure() -> InfrastructureRenderer:
    return InfrastructureRenderer()


@pytest.fixture(scope="session")
def infrastructures(render_infrastructure: InfrastructureRenderer) -> list[Infrastructure]:
    """The files for AWS in every combination of options that changes them."""
    return list(render_infrastructure.render_all())


@pytest.fixture(scope="session")
def structures(infrastructures: list[Infrastructure]) -> list[Infrastructure]:
    """Those of them that differ in more than the models and the region."""
    return [each for each in infrastructures if each.is_default("models", "aws_region")]


@pytest.fixture(scope="session")
def stacks(structures: list[Infrastructure]) -> list[RenderedStack]:
    """The stacks of every structure with every combination of parameters.

    The processor is one word in one line: one of them is enough where people sign in.
    """
    assert len(structures) == 16 * 3
    chosen = [
        each for each in structures if each.is_default("cpu_architecture") or not each.signs_in
    ]
    return [stack for each in chosen for stack in each.stacks()]


# AWS


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder with what the tests put in the place of the AWS CLI and docker."""
    with command_line(tmp_path_factory.mktemp("programs")) as folder:
        yield folder


# The page and the model


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield chromium
    chromium.close()


def slow_down(page: Page) -> None:
    """Slow a page's scripts and drawing down by the factor SLOW_BROWSER, to find faults.

    Only pages of `visitor` are slowed, not those of contexts that a test opens itself.
    """
    rate = int(os.environ.get("SLOW_BROWSER", "1"))
    if rate > 1:
        session = page.context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": rate})


@pytest.fixture
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of its own, with empty cookies and local storage; asks nobody but the chatbot."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    context.set_default_timeout(LONG)
    context.on("page", slow_down)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context
    context.close()
    known = r"(https?://localhost[:/]|data:|blob:)"
    assert [url for url in asked if not re.match(known, url)] == []


@pytest.fixture(scope="session")
def served(bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatbot]:
    folder = tmp_path_factory.mktemp("chatbot") / "sessions"
    with serve_chatbot(bake_to_keep(models="both"), folder) as chatbot:
        yield chatbot


@pytest.fixture(scope="session")
def served_demo(bake_to_keep: Bake, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatbot]:
    folder = tmp_path_factory.mktemp("demo") / "sessions"
    with serve_chatbot(bake_to_keep(models="both"), folder, CHATBOT_BACKEND="demo") as chatbot:
        yield chatbot


@pytest.fixture
def chatbot(served: Chatbot) -> Chatbot:
    """A chatbot that many tests use, each with a browser of its own."""
    served.bedrock.forget()
    return served


@pytest.fixture
def address(chatbot: Chatbot) -> str:
    """The address of the chatbot that many tests use."""
    return chatbot.address


@pytest.fixture
def demo(served_demo: Chatbot) -> Chatbot:
    """The same with the demo model."""
    return served_demo


@pytest.fixture
def bedrock() -> Iterator[Any]:
    """A stand-in that boto3 takes for Bedrock."""
    with stand_in.bedrock_stand_in() as running:
        yield running
