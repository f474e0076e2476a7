"""`python3 cluster.py`: what the project's README promises to who kills a task on a laptop."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, expect

from support.browsing import (
    LONG,
    hostname_of,
    messages,
    needs_browser,
    open_page,
    say,
    sidebar,
    text_of,
)
from support.cluster import HAPROXY
from support.projects import Project, clean_environment
from support.provider import stand_in
from support.serving import free_ports
from support.waiting import wait_until

pytestmark = [
    *needs_browser,
    pytest.mark.skipif(HAPROXY is None, reason="Debian's package haproxy is not installed"),
]


@dataclass(frozen=True)
class Terminal:
    """A terminal in which `cluster.py` runs."""

    process: subprocess.Popen[str]
    port: int

    def type(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def read_until(self, text: str) -> None:
        """Read on until a line has the text, which fails at the end of all that is said."""
        assert self.process.stdout
        said = []
        for line in self.process.stdout:
            said.append(line)
            if text in line:
                return
        pytest.fail("".join(said))


@contextmanager
def running_cluster(project: Project, port: int, **environment: str) -> Iterator[Terminal]:
    project.dev("test", "--version")
    process = subprocess.Popen(
        [sys.executable, "cluster.py", f"--port={port}"],
        cwd=project.path,
        env=clean_environment() | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Terminal(process, port)
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def terminal(project: Project) -> Iterator[Terminal]:
    with running_cluster(project, free_ports(3)) as terminal:
        yield terminal


def test_an_answer_survives_the_death_of_the_task_whose_number_is_typed(
    terminal: Terminal, visitor: BrowserContext
) -> None:
    terminal.read_until(f"serve on http://localhost:{terminal.port} with the demo model")
    page = open_page(visitor, f"http://localhost:{terminal.port}")
    say(page, "Tell me slowly")
    answer = messages(page).nth(1)
    expect(answer).to_contain_text("This is the demo model")
    task = hostname_of(page)
    number = task.removeprefix("task-")
    terminal.type("9")
    terminal.read_until("Type 1 or 2")
    terminal.type(number)
    terminal.read_until(f"{task} is dead")
    expect(answer).to_contain_text("CHATBOT_BACKEND=bedrock python3 dev.py run", timeout=2 * LONG)
    other = {"task-1": "task-2", "task-2": "task-1"}[task]
    expect(sidebar(page)).to_contain_text(other)
    page.reload()
    expect(messages(page)).to_have_count(2)
    expect(messages(page).nth(1)).to_contain_text("To get real answers")
    said = text_of(messages(page).nth(1))
    assert said.count("This is the demo model") == said.count("To get real answers") == 1
    terminal.type(number)
    terminal.read_until(f"{task} starts again")
    os.killpg(terminal.process.pid, signal.SIGINT)  # as Ctrl-C
    terminal.read_until("stopped.")
    assert terminal.process.wait(20) == 1
    assert_that_nobody_listens(terminal)


def test_who_signed_in_at_a_task_is_known_to_the_other_one(
    project: Project, visitor: BrowserContext
) -> None:
    port = free_ports(3)
    address = f"http://localhost:{port}"
    with stand_in.provider(address) as provider:
        settings = provider.environment()
        del settings["CHATBOT_ADDRESS"]  # cluster.py knows it
        with running_cluster(project, port, **settings) as terminal:
            terminal.read_until(f"serve on {address}")
            page = visitor.new_page()
            page.goto(address)
            page.get_by_role("link", name="Sign in").click()
            expect(sidebar(page)).to_contain_text("Signed in as")
            task = hostname_of(page)
            terminal.type(task.removeprefix("task-"))
            terminal.read_until(f"{task} is dead")
            # At the very moment of a death, a balancer may lose a request, also the one on AWS.
            wait_until(lambda: visitor.request.get(address).ok, "the balancer found the other task")
            page.reload()
            expect(sidebar(page)).to_contain_text("Signed in as")
            assert hostname_of(page) != task


def test_nothing_stays_when_the_terminal_is_closed(terminal: Terminal) -> None:
    terminal.read_until("serve on")
    os.killpg(terminal.process.pid, signal.SIGHUP)
    terminal.process.wait(20)
    assert_that_nobody_listens(terminal)


def assert_that_nobody_listens(terminal: Terminal) -> None:
    for port in range(terminal.port, terminal.port + 3):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_port_in_use_is_told_before_anything_starts(project: Project) -> None:
    first = free_ports(4)
    port = first + 2  # of the second task
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        done = project.run(sys.executable, "cluster.py", f"--port={first}")
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 can't be used" in done.stderr
    assert f"python3 cluster.py --port {port + 1}" in done.stderr
