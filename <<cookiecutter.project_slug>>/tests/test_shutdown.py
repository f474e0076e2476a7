"""What happens to a server that is told to end: to its health check, its pages and its process."""

import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Protocol

import pytest

from chatbot.settings import ROOT

BALANCER = "/_stcore/health?balancer"
ENDS = 30  # seconds until a test gives up; a server ends in less than one, unless a test says so


def free_port() -> int:
    """Return a free port that no connection of another process gets meanwhile."""
    while True:
        port = random.randrange(20_000, 30_000)  # noqa: S311
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Server:
    """A server on a port of its own."""

    def __init__(self, drain_seconds: int) -> None:
        self.port = free_port()
        address = ["--server.address=127.0.0.1", f"--server.port={self.port}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", "server.py", *address],
            cwd=ROOT,
            env=os.environ | {"CHATBOT_DRAIN_SECONDS": str(drain_seconds)},
            stdout=subprocess.DEVNULL,
        )
        self.wait_until_health_is(200)

    def get(self, path: str) -> tuple[int, str]:
        """Return the status and the text of the answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=ENDS)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def wait_until_health_is(self, status: int) -> None:
        """Ask as the load balancer does until the answer has this status."""
        deadline = time.monotonic() + ENDS
        while True:
            assert self.process.poll() is None, "the server has ended"
            assert time.monotonic() < deadline, f"the health check never answers {status}"
            try:
                if self.get(BALANCER)[0] == status:
                    return
            except ConnectionRefusedError:  # it starts
                time.sleep(0.02)

    def drain(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.wait_until_health_is(503)


class StartServer(Protocol):
    def __call__(self, *, drain_seconds: int = 0) -> Server: ...


@pytest.fixture
def start_server(environment: Path) -> Iterator[StartServer]:
    """Start servers that end with the test."""
    with ExitStack() as running:

        def start(*, drain_seconds: int = 0) -> Server:
            server = Server(drain_seconds)
            running.callback(server.process.wait)
            running.callback(server.process.kill)
            return server

        yield start


def test_only_the_load_balancer_is_told_that_a_task_drains(start_server: StartServer) -> None:
    server = start_server(drain_seconds=600)
    server.drain()
    assert server.get(BALANCER) == (503, "draining")
    assert server.get("/_stcore/health") == (200, "ok")  # pages ask this before they connect
    assert server.get("/_stcore/host-config")[0] == 200
    status, page = server.get("/")
    assert status == 200 and '<div id="root">' in page
    assert server.process.poll() is None


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(start_server: StartServer, again: signal.Signals) -> None:
    server = start_server(drain_seconds=600)
    server.drain()
    server.process.send_signal(again)
    server.process.wait(ENDS)


def test_the_drain_ends(start_server: StartServer) -> None:
    server = start_server(drain_seconds=1)
    server.drain()
    assert server.process.wait(ENDS) == -signal.SIGTERM


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_does_not_drain_ends_at_once(
    start_server: StartServer, ending: signal.Signals
) -> None:
    server = start_server(drain_seconds=600 if ending == signal.SIGINT else 0)
    server.process.send_signal(ending)
    server.process.wait(ENDS)


def test_a_browser_that_does_not_read_its_answers_does_not_hold_up_the_end(
    start_server: StartServer,
) -> None:
    server = start_server()
    script = re.search(r'data-start="\./(static/[^"]+)"', server.get("/")[1])
    assert script
    request = f"GET /{script[1]} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(request.encode() * 50)  # more than the network's buffers hold
        assert connection.recv(1)
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(ENDS) == -signal.SIGALRM
